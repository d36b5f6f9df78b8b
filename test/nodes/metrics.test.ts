/** What a daemon tells its monitoring: every counter declared, labels held to their sets, people told of in steps only. */
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { request } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Store } from '@mixmint/core/kit/ports'
import type { KnownKeyset } from '@mixmint/core/cash/known-keyset'
import { sleep, systemClock } from '../../nodes/clock.ts'
import { COUNTERS } from '../../nodes/metrics/counter-table.ts'
import { Exposition } from '../../nodes/metrics/exposition.ts'
import { MOST_SERIES, type Labels } from '../../nodes/metrics/labels.ts'
import { Readiness } from '../../nodes/metrics/readiness.ts'
import { centerReadings, COARSE, histogramOf, keysetReadings, orNothing, type Told } from '../../nodes/metrics/readings.ts'
import { serveMetrics } from '../../nodes/metrics/server.ts'
import { Counters, createLog } from '../../nodes/observe.ts'
import type { NodeState } from '../../nodes/pages/node-state.ts'
import { BooksWatch } from '../../nodes/roles/books-watch.ts'
import { MemoryStore } from '../doubles/memory-store.ts'

const cleanups: Array<() => unknown> = []
afterEach(async () => { for (const clean of cleanups.splice(0).reverse()) await clean() })

const ROOMS = ['src', 'mixnet', 'nodes']

/** Each `….count('name', { label: …` of the sources: the names it may have, and its labels where they stand there. */
function countsInSources (): Array<{ names: string[], labels: string[], where: string }> {
  const files = ROOMS.flatMap(room => readdirSync(room, { recursive: true, encoding: 'utf8' }).map(name => join(room, name)))
    .filter(name => name.endsWith('.ts') && !/node_modules|dist|examples|nodes\/metrics|nodes\/observe/.test(name))
  return files.flatMap(where => [...readFileSync(where, 'utf8').matchAll(/\b(?:meter|counters)\.count\(([^;\n]*)/gi)].map(([, args]) => {
    const [first] = args.split(/, [{\w]|\)/)
    const labels = /, \{([^}]*)\}/.exec(args)?.[1].split(',').map(part => part.split(':')[0].trim()).filter(name => /^[a-z]+$/i.test(name)) ?? []
    const names = [...first.matchAll(/'([a-z0-9_]+)'/g)].map(([, name]) => name)
    const prefix = /`([a-z_]+)\$\{/.exec(first)?.[1]
    return { where, labels, names: prefix === undefined ? names : Object.keys(COUNTERS).filter(name => name.startsWith(prefix) && Object.keys(COUNTERS[name].labels ?? {}).join() === labels.join()) }
  }))
}

test('every counter of the sources stands in the table under the labels it has there, and no other does', () => {
  const found = countsInSources()
  expect(found.length).toBeGreaterThan(90)
  for (const { where, names, labels } of found) {
    expect(names, where).not.toEqual([])
    for (const name of names) expect({ name, labels: [...labels].sort() }, where).toEqual({ name, labels: Object.keys(COUNTERS[name]?.labels ?? {}).sort() })
  }
  const counted = new Set(found.flatMap(({ names }) => names))
  expect(Object.keys(COUNTERS).filter(name => !counted.has(name) && name !== 'undeclared')).toEqual([])
})

describe('counters', () => {
  test('that the table does not have are a defect', () => {
    expect(() => { new Counters().count('coins_of_alice') }).toThrow(expect.objectContaining({ code: 'unknown-counter' }))
    expect(() => { new Counters().count('double_spend', { coin: '00' }) }).toThrow(expect.objectContaining({ code: 'unknown-counter' }))
  })

  test('take no word of a peer for a label that is not one, and no more series than are told', () => {
    const counters = new Counters()
    counters.count('settle_try', { outcome: 'c0ffee'.repeat(10) })
    counters.count('settle_try', { outcome: 'Paid by Alice' })
    counters.count('service_requests', { via: 'pigeon' })
    expect(counters.all()).toEqual({ 'service_requests via=other': 1, 'settle_try outcome=other': 2 })
    const letters = 'abcdefghijklmnopqrstuvwxyz'
    for (const a of letters) for (const b of letters) counters.count('bank_request', { op: a, outcome: b })
    const series = counters.of('bank_request')
    expect(series.length).toBeLessThanOrEqual(MOST_SERIES + 1)
    expect(series.reduce((sum, { count }) => sum + count, 0)).toBe(letters.length ** 2)
  })
})

interface Scene { readonly counters: Counters, readonly readiness: Readiness, readonly exposition: Exposition }

async function scene (told: Told, store: Store = new MemoryStore(), missing: readonly string[] = []): Promise<Scene> {
  const dir = mkdtempSync(join(tmpdir(), 'mixmint-metrics-'))
  mkdirSync(join(dir, 'store'))
  cleanups.push(() => { rmSync(dir, { recursive: true }) })
  const counters = new Counters()
  for (let i = 0; i < COARSE + 3; i++) counters.count('service_requests', { via: 'mixnet' })
  counters.count('service_requests', { via: 'direct' })
  counters.count('double_spend')
  const readiness = new Readiness({ clock: systemClock, store, wait: sleep }, () => ({ missing: () => missing }))
  const exposition = await Exposition.start({
    role: 'merchant', suite: 'native', dir, clock: systemClock, log: createLog('merchant', 'silent'), counters, readiness, told: async () => told, every: 3_600_000
  })
  cleanups.push(async () => { await exposition.stop() })
  return { counters, readiness, exposition }
}

describe('the exposition', () => {
  test('tells what people do in steps, and what is wrong to the unit', async () => {
    const { exposition: { text } } = await scene({ readings: [['mix_packets_received_total', 40], ['mix_packets_dropped_total', 1, { reason: 'payload' }], ['directory_epoch', 7]] })
    expect(text).toContain(`mixmint_service_requests_total{via="mixnet"} ${COARSE}\n`)
    expect(text).toContain('mixmint_service_requests_total{via="direct"} 0\n')
    expect(text).toContain('mixmint_double_spend_total 1\n')
    expect(text).toContain('mixmint_mix_packets_received_total 32\n')
    expect(text).toContain('mixmint_mix_packets_dropped_total{reason="payload"} 0\n')
    expect(text).toContain('mixmint_directory_epoch 7\n')
    expect(text).toContain('mixmint_ready 1\n')
  })

  test('has the delays of packets as a histogram that adds up', async () => {
    const { exposition: { text } } = await scene({ readings: [], delays: { counts: [20, 0, 0, 20, 0, 0, 0, 0, 0, 0, 0, 0, 9], sum: 700_000 } })
    expect(text).toContain('mixmint_mix_delay_seconds_bucket{le="0.01"} 16\n')
    expect(text).toContain('mixmint_mix_delay_seconds_bucket{le="0.1"} 32\n')
    expect(text).toContain('mixmint_mix_delay_seconds_bucket{le="60"} 32\n')
    expect(text).toContain('mixmint_mix_delay_seconds_bucket{le="+Inf"} 48\n')
    expect(text).toContain('mixmint_mix_delay_seconds_count 48\n')
  })

  test('stays as it was until the next period', async () => {
    const { counters, exposition } = await scene({ readings: [] })
    const before = exposition.text
    counters.count('double_spend')
    await sleep(0)
    expect(exposition.text).toBe(before)
  })

  test('is taken anew at each multiple of the period', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'], now: 1_000_170 })
    cleanups.push(() => { vi.useRealTimers() })
    const { counters, readiness } = await scene({ readings: [] })
    const dir = mkdtempSync(join(tmpdir(), 'mixmint-metrics-'))
    mkdirSync(join(dir, 'store'))
    cleanups.push(() => { rmSync(dir, { recursive: true }) })
    const times: number[] = []
    const exposition = await Exposition.start({
      role: 'merchant', suite: 'native', dir, clock: systemClock, log: createLog('merchant', 'silent'), counters, readiness, every: 200,
      told: async () => {
        times.push(Date.now())
        return { readings: [['directory_epoch', times.length]] }
      }
    })
    const told: Array<string | undefined> = []
    for (let step = 0; step < 60; step++) {
      told.push(/^mixmint_directory_epoch (.*)$/m.exec(exposition.text)?.[1])
      await vi.advanceTimersByTimeAsync(10)
    }
    await exposition.stop()
    // At the start, and from then on at the multiples themselves; each is told until the next.
    expect(times).toEqual([1_000_170, 1_000_200, 1_000_400, 1_000_600])
    expect(told).toEqual([...Array<string>(3).fill('1'), ...Array<string>(20).fill('2'), ...Array<string>(20).fill('3'), ...Array<string>(17).fill('4')])
  })
})

describe('from one exposition to the next', () => {
  /** Each time it is taken, the next of these is told; `texts` has one more for each. */
  async function takes (tells: ReadonlyArray<(counters: Counters) => Told>): Promise<string[]> {
    const { counters, readiness } = await scene({ readings: [] })
    const dir = mkdtempSync(join(tmpdir(), 'mixmint-metrics-'))
    mkdirSync(join(dir, 'store'))
    cleanups.push(() => { rmSync(dir, { recursive: true }) })
    const texts: string[] = []
    let taken = 0
    const done = Promise.withResolvers<void>()
    const exposition: Exposition = await Exposition.start({
      role: 'merchant', suite: 'native', dir, clock: systemClock, log: createLog('merchant', 'silent'), counters, readiness, every: 20,
      told: async () => {
        if (taken > 0 && taken <= tells.length) texts.push(exposition.text)
        if (taken++ < tells.length) return tells[taken - 1](counters)
        done.resolve()
        return { readings: [] }
      }
    })
    await done.promise
    await exposition.stop()
    return texts
  }

  test('a series that comes into being is told as zero once, so that it shows as an increase', async () => {
    const convicted = { fault: 'twice', center: '0011223344556677' }
    const texts = await takes([
      () => ({ readings: [] }),
      counters => {
        counters.count('center_convicted', convicted)
        return { readings: [['mix_packets_dropped_total', 40, { reason: 'payload' }]] }
      },
      () => ({ readings: [['mix_packets_dropped_total', 40, { reason: 'payload' }]] })
    ])
    const values = (start: string): Array<string | undefined> => texts.map(text => text.split('\n').find(line => line.startsWith(start))?.split(' ')[1])
    expect(values('mixmint_center_convicted_total{')).toEqual([undefined, '0', '1'])
    expect(values('mixmint_mix_packets_dropped_total{')).toEqual([undefined, '0', '32'])
  })

  test('what cannot be told is not there, and counters stay where they were', async () => {
    const texts = await takes([
      () => ({ readings: [['mix_keys', 2], ['loops_sent_total', 64], ['directory_nodes', 3, { kind: 'mix' }]] }),
      () => { throw new MixmintError('store-away', 'operator', 'away') },
      () => ({ readings: [['mix_keys', 2], ['loops_sent_total', 80]] })
    ])
    expect(texts.map(text => /^mixmint_mix_keys (.*)$/m.exec(text)?.[1])).toEqual(['2', undefined, '2'])
    expect(texts.map(text => /^mixmint_loops_sent_total (.*)$/m.exec(text)?.[1])).toEqual(['64', '64', '80'])
    expect(texts.map(text => /^mixmint_directory_nodes\{.*\} (.*)$/m.exec(text)?.[1])).toEqual(['3', undefined, undefined])
    expect(texts[1]).toContain('mixmint_ready 1\n')
  })

  test('one part of a role that cannot tell its figures does not silence the others', async () => {
    const log = createLog('merchant', 'silent')
    expect(await orNothing(Promise.resolve([['mix_keys', 2]]), log)).toEqual([['mix_keys', 2]])
    expect(await orNothing(Promise.reject(new MixmintError('store-away', 'operator', 'away')), log)).toEqual([])
  })

  test('the sum of delays moves with the count that is told, and never back', () => {
    const delays = (packets: number, sum: number): Parameters<typeof histogramOf>[1] => ({ counts: [packets, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], sum })
    const first = histogramOf('delays', delays(16, 16_000))
    const same = histogramOf('delays', delays(31, 31_500), first)
    expect([first, same].map(({ count, sum }) => [count, sum])).toEqual([[16, 16], [16, 16]])
    expect(histogramOf('delays', delays(32, 33_000), same)).toMatchObject({ count: 32, sum: 33 })
    expect(histogramOf('delays', delays(47, 16_001), first)).toMatchObject({ count: 32, sum: 16 })
  })
})

test('keysets and rings are told by their banks, so that none is hidden by another\'s', () => {
  const voteKey = new Uint8Array(32).fill(7)
  const keyset = (bank: number, own: Uint8Array | null): KnownKeyset => ({
    id: new Uint8Array(32).fill(bank), ring: { center: () => own === null ? undefined : { voteKey: own }, shares: () => [0.25], ring: { centers: own === null ? [] : [{ id: new Uint8Array(32) }] } },
    keyset: { bank: new Uint8Array(32).fill(bank), issueFrom: 0, issueUntil: 1000 * bank, spendUntil: 100_000, redeemUntil: 100_000, refundUntil: 100_000 }
  } as unknown as KnownKeyset)
  const keysets = [keyset(0xaa, voteKey), keyset(0xbb, new Uint8Array(32)), keyset(0xcc, null)]
  const labelled = (readings: ReadonlyArray<readonly [string, number, Labels?]>, name: string, label: string, is: string): Array<[string | undefined, number]> =>
    readings.filter(([of, , labels]) => of === name && labels?.[label] === is).map(([, value, labels]) => [labels?.bank, value])
  const [a, b, c] = ['aa', 'bb', 'cc'].map(digits => digits.repeat(8))
  expect(labelled(keysetReadings(keysets, 1), 'keyset_end_timestamp_seconds', 'stage', 'issue')).toEqual([[a, 170], [b, 187], [c, 204]])
  const told = centerReadings(new Uint8Array(32), ['07'.repeat(32)], keysets, 1)
  expect(labelled(told, 'center_keysets', 'member', 'yes')).toEqual([[a, 1], [b, 0], [c, 0]])
  expect(labelled(told, 'center_keysets', 'member', 'other-key')).toEqual([[a, 0], [b, 1], [c, 0]])
  expect(labelled(told, 'center_keysets', 'member', 'no')).toEqual([[a, 0], [b, 0], [c, 1]])
  expect(told.filter(([name]) => name === 'center_ring_share').map(([, value, labels]) => [labels?.bank, value])).toEqual([[a, 0.25], [b, 0.25], [c, 0]])
})

test('books that were never audited are as old as the process', async () => {
  const watch = new BooksWatch(async () => { throw new MixmintError('store-away', 'operator', 'away') }, 5000, createLog('bank', 'silent'))
  await watch.stop()
  expect(watch.readings()).toEqual([['bank_books_timestamp_seconds', 5]])
})

describe('the listener', () => {
  async function listen (parts: Scene, hosts: string[] = [], lifetime?: number): Promise<number> {
    const { exposition, readiness } = parts
    const state = async (): Promise<NodeState> => ({ node: { role: 'merchant', network: 'test', version: '0', suite: 'native', peer: '' }, missing: [], every: 1000, next: 1, ...exposition.history })
    const server = await serveMetrics({ metrics: () => ({ type: exposition.contentType, text: exposition.text }), readiness, state }, { host: '127.0.0.1', port: 0, hosts }, lifetime)
    cleanups.push(server.close)
    return server.port
  }

  async function ask (port: number, path: string, { method = 'GET', host = `127.0.0.1:${port}` } = {}): Promise<{ status: number, body: string }> {
    return await new Promise((resolve, reject) => {
      request({ port, path, method, headers: { host }, agent: false }, response => {
        let body = ''
        response.setEncoding('utf8').on('data', chunk => { body += String(chunk) }).on('end', () => { resolve({ status: response.statusCode ?? 0, body }) })
      }).on('error', reject).end()
    })
  }

  test('answers its questions, of its own host, and nothing else', async () => {
    const port = await listen(await scene({ readings: [] }), ['mix.example'])
    expect(await ask(port, '/metrics')).toMatchObject({ status: 200, body: expect.stringContaining('mixmint_ready 1') })
    expect(await ask(port, '/healthz')).toEqual({ status: 200, body: 'alive\n' })
    expect(await ask(port, '/readyz')).toEqual({ status: 200, body: 'ready\n' })
    expect(await ask(port, '/metrics', { method: 'HEAD' })).toEqual({ status: 200, body: '' })
    for (const path of ['/metrics/', '/metrics?x', '/../metrics', '/status']) expect(await ask(port, path)).toMatchObject({ status: 404 })
    for (const method of ['POST', 'PUT', 'DELETE']) expect(await ask(port, '/metrics', { method })).toMatchObject({ status: 405 })
    for (const host of ['localhost', '[::1]:9', 'MIX.example:9464']) expect(await ask(port, '/healthz', { host })).toMatchObject({ status: 200 })
    for (const host of ['rebound.example', '192.0.2.1', 'localhost.example']) expect(await ask(port, '/metrics', { host })).toMatchObject({ status: 421, body: expect.not.stringContaining('mixmint_') })
  })

  test('says what is missing', async () => {
    const refusing = new MemoryStore()
    refusing.batch = async () => { throw new MixmintError('store-full', 'operator', 'full') }
    const port = await listen(await scene({ readings: [] }, refusing, ['not-listed']))
    expect(await ask(port, '/readyz')).toEqual({ status: 503, body: 'not ready: not-listed store-full\n' })
    expect(await ask(port, '/metrics')).toMatchObject({ body: expect.stringMatching(/mixmint_ready 0\n[^]*mixmint_store_writable 0\n/) })
    expect(await ask(port, '/healthz')).toMatchObject({ status: 200 })
  })

  test('keeps nobody who is slow', async () => {
    const port = await listen(await scene({ readings: [] }), [], 100)
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => {})
    socket.write('GET /metrics HTTP/1.1\r\nHost: local')
    socket.resume()
    await once(socket, 'close')
    expect(await ask(port, '/healthz')).toMatchObject({ status: 200 })
  })

  test('that cannot listen says on what', async () => {
    const parts = await scene({ readings: [] })
    const port = await listen(parts)
    await expect(serveMetrics({ metrics: () => ({ type: '', text: '' }), readiness: parts.readiness, state: async () => { throw new Error('not asked') } }, { host: '127.0.0.1', port, hosts: [] })).rejects.toMatchObject({ code: 'metrics-listen', fault: 'operator', message: expect.stringContaining(String(port)) })
  })
})
