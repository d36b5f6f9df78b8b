/** The pages: what is served to whom, what a node and a network tell of themselves, and what is made of it. */
import { request } from 'node:http'
import { connect } from 'node:net'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { MixmintError } from '@mixmint/core/kit/errors'
import { sleep, systemClock } from '../../nodes/clock.ts'
import type { Json } from '../../nodes/control.ts'
import { Monitoring } from '../../nodes/metrics/monitoring.ts'
import { Readiness } from '../../nodes/metrics/readiness.ts'
import type { Told } from '../../nodes/metrics/readings.ts'
import { Counters, createLog } from '../../nodes/observe.ts'
import { asset } from '../../nodes/pages/assets.ts'
import { serveNetwork } from '../../nodes/pages/network-server.ts'
import type { NetworkState } from '../../nodes/pages/network-state.ts'
import { NetworkWatch } from '../../nodes/pages/network-watch.ts'
import type { NodeState } from '../../nodes/pages/node-state.ts'
import { grownSince, quantile, rates, sum } from '../../nodes/pages/rates.ts'
import { MemoryStore } from '../doubles/memory-store.ts'

const cleanups: Array<() => unknown> = []
afterEach(async () => { for (const clean of cleanups.splice(0).reverse()) await clean() })

interface Got { readonly status: number, readonly body: string, readonly headers: Readonly<Record<string, string | string[] | undefined>> }

async function ask (port: number, path: string, { method = 'GET', ...headers }: Readonly<Record<string, string>> = {}): Promise<Got> {
  return await new Promise((resolve, reject) => {
    request({ port, path, method, headers: { host: `127.0.0.1:${port}`, ...headers }, agent: false }, response => {
      let body = ''
      response.setEncoding('utf8').on('data', chunk => { body += String(chunk) }).on('end', () => { resolve({ status: response.statusCode ?? 0, body, headers: response.headers }) })
    }).on('error', reject).end()
  })
}

/** As `ask`, but the path goes as it is: clients tidy paths up. */
async function askRaw (port: number, path: string): Promise<string> {
  return await new Promise((resolve, reject) => {
    let said = ''
    const socket = connect(port, '127.0.0.1', () => { socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`) })
    socket.setEncoding('utf8').on('data', chunk => { said += String(chunk) }).on('close', () => { resolve(said) }).on('error', reject)
  })
}

interface Watched { readonly monitoring: Monitoring, readonly counters: Counters, readonly port: number }

/** A node of which monitoring is told this, over HTTP. */
async function watched (told: () => Told, { every = 3_600_000, hosts = [] as string[] } = {}): Promise<Watched> {
  const dir = mkdtempSync(join(tmpdir(), 'mixmint-pages-'))
  mkdirSync(join(dir, 'store'))
  cleanups.push(() => { rmSync(dir, { recursive: true }) })
  const counters = new Counters()
  const readiness = new Readiness({ clock: systemClock, store: new MemoryStore(), wait: sleep }, () => ({ missing: () => [] }))
  let port = 0
  const { createServer } = await import('node:net')
  await new Promise<void>(resolve => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      port = (probe.address() as { port: number }).port
      probe.close(() => { resolve() })
    })
  })
  const monitoring = new Monitoring({ role: 'gateway', suite: 'native', dir, clock: systemClock, log: createLog('gateway', 'silent'), counters, readiness, told: async () => told() },
    { network: 'test', version: '0.1.0', peer: '16Uiu2HAkPeer' }, { host: '127.0.0.1', port, hosts, every })
  await monitoring.start()
  cleanups.push(async () => { await monitoring.stop() })
  return { monitoring, counters, port }
}

describe('the page of a node', () => {
  test('consists of parts from its own server only, and none of them holds a style or a script of its own', async () => {
    const { port } = await watched(() => ({ readings: [] }))
    const page = await ask(port, '/')
    expect(page).toMatchObject({ status: 200, headers: { 'content-type': 'text/html; charset=utf-8' } })
    expect(page.body).not.toMatch(/<style|style=|<script(?![^>]*\ssrc=)|\son[a-z]+=/i)
    const parts = [...page.body.matchAll(/(?:src|href)="([^"#][^"]*)"/g)].map(([, part]) => part).filter(part => part !== 'metrics')
    expect(parts.sort()).toEqual(['icon.svg', 'node.js', 'page.css'])
    const script = await ask(port, '/node.js')
    const more = [...script.body.matchAll(/from"\.\/([^"]+)"/g)].map(([, part]) => part)
    for (const part of [...parts, ...more]) {
      const { status, body } = await ask(port, `/${part}`)
      expect(status, part).toBe(200)
      expect([...body.matchAll(/(?:https?:)?\/\/[a-z0-9.-]+\.[a-z]{2,}/gi)].map(([found]) => found).filter(found => found !== 'http://www.w3.org'), part).toEqual([])
    }
  })

  test('and each answer, says that nothing of other sites may be in it, nor it in them', async () => {
    const { port } = await watched(() => ({ readings: [] }))
    for (const path of ['/', '/page.css', '/state.json', '/metrics', '/healthz', '/nothing']) {
      const { headers } = await ask(port, path)
      expect(headers['content-security-policy'], path).toBe('default-src \'none\'; script-src \'self\'; style-src \'self\'; img-src \'self\'; connect-src \'self\'; base-uri \'none\'; form-action \'none\'; frame-ancestors \'none\'')
      expect(headers, path).toMatchObject({ 'cross-origin-resource-policy': 'same-origin', 'cross-origin-opener-policy': 'same-origin', 'referrer-policy': 'no-referrer', 'x-content-type-options': 'nosniff', 'cache-control': 'no-store' })
      expect(Object.keys(headers).filter(name => name.startsWith('access-control')), path).toEqual([])
    }
  })

  test('is for nobody under another name, of another origin, or by another method', async () => {
    const { port } = await watched(() => ({ readings: [] }), { hosts: ['node.example'] })
    const secret = expect.not.stringContaining('mixmint_')
    for (const path of ['/', '/state.json', '/metrics', '/node.js']) {
      for (const host of ['rebound.example', `rebound.example:${port}`, '192.0.2.1', '127.0.0.1.example', 'localhost.', 'x@localhost']) {
        expect(await ask(port, path, { host }), `${path} ${host}`).toMatchObject({ status: 421, body: secret })
      }
      for (const origin of ['https://example.com', 'null', `http://127.0.0.1:${port + 1}`, `http://localhost:${port}`]) {
        expect(await ask(port, path, { origin }), `${path} ${origin}`).toMatchObject({ status: 403, body: secret })
      }
      for (const site of ['cross-site', 'same-site']) {
        for (const mode of ['no-cors', 'cors', 'websocket']) expect(await ask(port, path, { 'sec-fetch-site': site, 'sec-fetch-mode': mode, 'sec-fetch-dest': 'empty' })).toMatchObject({ status: 403, body: secret })
        expect(await ask(port, path, { 'sec-fetch-site': site, 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'iframe' })).toMatchObject({ status: 403, body: secret })
      }
      for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH']) expect(await ask(port, path, { method }), method).toMatchObject({ status: 405, body: secret, headers: { allow: 'GET, HEAD' } })
    }
    // A link that somebody follows, the page itself, and the other names of this machine.
    expect(await ask(port, '/', { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' })).toMatchObject({ status: 200 })
    expect(await ask(port, '/state.json', { 'sec-fetch-site': 'same-origin', 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty', origin: `http://127.0.0.1:${port}` })).toMatchObject({ status: 200 })
    expect(await ask(port, '/state.json', { host: 'node.example', origin: 'https://node.example' })).toMatchObject({ status: 200 })
    expect(await ask(port, '/', { method: 'HEAD' })).toMatchObject({ status: 200, body: '' })
  })

  test('has no paths but its own, however they are written', async () => {
    const { port } = await watched(() => ({ readings: [] }))
    for (const path of ['/../metrics', '/..%2f..%2fidentity.key', '/../../../../etc/passwd', '//etc/passwd', '/page.css/../../package.json', '/node.js?x', '/network.js', '/network.json', '/node.html', '/node/x/', '/__proto__', '/%00', 'http://localhost/metrics', '*']) {
      expect(await askRaw(port, path), path).toMatch(/^HTTP\/1\.1 40[04] /)
    }
    expect(await askRaw(port, `/${'a'.repeat(100_000)}`)).toMatch(/^HTTP\/1\.1 431 /)
    expect((await ask(port, '/healthz')).status).toBe(200)
  })

  test('shows what was told at whole multiples of the period, as bluntly as metrics tell it', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'], now: 1_000_000_500 })
    cleanups.push(() => { vi.useRealTimers() })
    let packets = 0
    const { monitoring, counters } = await watched(() => ({
      readings: [['mix_packets_received_total', packets], ['mix_packets_dropped_total', 15, { reason: 'payload' }], ['directory_epoch', 7]],
      delays: { counts: [packets, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], sum: 5 * packets }, queues: { counts: [0, packets, ...Array<number>(13).fill(0)], sum: packets }
    }), { every: 1000 })
    const states: NodeState[] = []
    for (let i = 0; i < 3; i++) {
      packets += 20
      counters.count('wallet_packets_held_back', {}, 17)
      await vi.advanceTimersByTimeAsync(900)
      states.push(await monitoring.state())
      await vi.advanceTimersByTimeAsync(100)
    }
    const values = (state: NodeState, name: string): unknown => state.figures.find(each => each.name === `mixmint_${name}`)?.series.map(({ values }) => values)
    const [first, , third] = states
    expect(first).toMatchObject({ node: { role: 'gateway', network: 'test', suite: 'native', peer: '16Uiu2HAkPeer' }, missing: [], every: 1000 })
    expect(third.times).toEqual([1_000_000_500, 1_000_001_000, 1_000_002_000, 1_000_003_000])
    expect(third.next).toBe(600)
    expect(values(third, 'mix_packets_received_total')).toEqual([[0, 16, 32, 48]])
    expect(values(third, 'mix_packets_dropped_total')).toEqual([[0, 0, 0, 0]])
    expect(values(third, 'wallet_packets_held_back_total')).toEqual([[0, 16, 32, 48]])
    expect(values(third, 'directory_epoch')).toEqual([[7, 7, 7, 7]])
    expect(values(third, 'ready')).toEqual([[1, 1, 1, 1]])
    expect(third.histograms.map(({ name, bounds, takes }) => [name, bounds[1], takes.map(take => take?.counts.slice(0, 2))])).toEqual([
      ['mixmint_mix_delay_seconds', 0.025, [[0, 0], [16, 0], [32, 0], [48, 0]]], ['mixmint_mix_queue_found_packets', 1, [[0, 0], [0, 16], [0, 32], [0, 48]]]
    ])
    // The process's own, and nothing under names that no table has.
    expect(third.figures.map(({ name }) => name).filter(name => !name.startsWith('mixmint_')).sort()).toEqual(expect.arrayContaining(['process_resident_memory_bytes', 'process_start_time_seconds']))
  })

  test('keeps an hour at the usual period, and no more', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'], now: 1_000_000_000 })
    cleanups.push(() => { vi.useRealTimers() })
    const { monitoring } = await watched(() => ({ readings: [] }), { every: 30_000 })
    for (let i = 0; i < 130; i++) await vi.advanceTimersByTimeAsync(30_000)
    const { times } = await monitoring.state()
    expect(times.length).toBe(121)
    expect(times[120] - times[0]).toBe(3_600_000)
  })
})

describe('what is made of figures', () => {
  test('rates are means over half a minute, over longer periods of the last one; a counter that began anew counts from zero', () => {
    expect(rates([0, 10_000, 20_000, 30_000, 40_000], [0, 10, 20, 60, 60])).toEqual([null, 1, 1, 2, 50 / 30])
    expect(rates([0, 60_000, 120_000], [0, 60, 180])).toEqual([null, 1, 2])
    expect(rates([0, 10_000, 20_000], [100, 110, 5])).toEqual([null, 1, 0.75])
    expect(rates([0, 10_000, 20_000, 30_000], [null, 0, 10, null])).toEqual([null, null, 1, null])
    expect(sum([[1, null, null], [2, 3, null]])).toEqual([3, 3, null])
  })

  test('quantiles lie within the bucket in which they fall', () => {
    expect(quantile([1, 2, 4], [0, 10, 0, 0], 0.5)).toBe(1.5)
    expect(quantile([1, 2, 4], [10, 0, 10, 0], 0.75)).toBe(3)
    expect(quantile([1, 2, 4], [0, 0, 0, 5], 0.5)).toBe(4)
    expect(quantile([1, 2, 4], [0, 0, 0, 0], 0.5)).toBeNull()
    const takes = [null, { counts: [1, 1], sum: 3 }, { counts: [3, 5], sum: 20 }]
    expect(grownSince({ name: '', help: '', bounds: [1], takes }, 1)).toEqual({ counts: [2, 4], sum: 17 })
    expect(grownSince({ name: '', help: '', bounds: [1], takes }, 0)).toEqual({ counts: [3, 5], sum: 20 })
    expect(grownSince({ name: '', help: '', bounds: [1], takes: [null] }, 0)).toBeNull()
  })
})

describe('the page of a network', () => {
  const NAMES = ['authority-1', 'gateway-1', 'mix-1-1', 'center-1', 'center-2', 'bank']
  const times = [5_000, 10_000, 15_000]
  const figure = (name: string, ...series: ReadonlyArray<readonly [Record<string, string>, readonly number[]]>): NodeState['figures'][number] =>
    ({ name, type: 'gauge', help: '', series: series.map(([labels, values]) => ({ labels, values })) })
  const node = (role: string, figures: NodeState['figures'] = [], missing: string[] = []): NodeState => ({ node: { role, network: 'n', version: '0', suite: 'native', peer: '' }, missing, every: 5000, next: 1, times, figures, histograms: [] })
  const keyset = { bank: 'aa', keyset: 'bb' }
  const center = (share: number): NodeState => node('center', [figure('mixmint_keyset_start_timestamp_seconds', [keyset, [1, 1, 1]]), figure('mixmint_center_ring_share', [keyset, [share, share, share]]), figure('mixmint_ring_faults_tolerated', [keyset, [1, 1, 1]])])
  const told: Record<string, NodeState> = {
    'authority-1': node('authority', [figure('mixmint_directory_epoch', [{}, [3, 3, 4]])]),
    'gateway-1': node('gateway', [figure('mixmint_link_packets_sent_total', [{ to: 'layer-1' }, [0, 16, 32]]), figure('mixmint_gateway_packets_received_total', [{}, [0, 0, 16]]), figure('mixmint_mix_packets_forwarded_total', [{}, [0, 16, 32]])]),
    'mix-1-1': node('mix', [figure('mixmint_mix_layer', [{}, [1, 1, 1]]), figure('mixmint_link_packets_sent_total', [{ to: 'gateway' }, [0, 0, 80]], [{ to: 'other' }, [0, 16, 16]]), figure('mixmint_mix_packets_forwarded_total', [{}, [0, 0, 80]]), figure('mixmint_mix_packets_dropped_total', [{ reason: 'payload' }, [0, 0, 16]])], ['no-directory']),
    'center-1': center(1.25), 'center-2': center(0.75), bank: node('bank', [], ['starting'])
  }

  function network (votes: Record<string, number>, silent: Record<string, string> = {}): { watch: NetworkWatch, asked: string[] } {
    const asked: string[] = []
    const watch = new NetworkWatch({
      network: 'n', names: NAMES, isUp: name => silent[name] !== 'ended', clock: systemClock,
      ask: async (name, operation) => {
        asked.push(`${name} ${operation}`)
        if (silent[name] !== undefined) throw new MixmintError(silent[name], 'operator', 'no')
        if (operation === 'figures') return told[name] as unknown as Json
        if (operation === 'status') return { counters: { 'center_spend outcome=vote': votes[name] ?? 0 } }
        return { unit: 'cent', credited: 100, paidOut: 10, accounts: 50, tokens: 5, issued: 60, redeemed: 25, outstanding: 35, balanced: true, faults: [], keysets: [] }
      }
    })
    cleanups.push(async () => { await watch.stop() })
    return { watch, asked }
  }

  test('puts together what its processes say: layers and what goes between them, money, the ring', async () => {
    const { watch } = network({ 'center-1': 30, 'center-2': 10 })
    await watch.take()
    const state = watch.state()
    expect(state.processes.map(({ name, state }) => [name, state])).toEqual([['authority-1', 'ready'], ['gateway-1', 'ready'], ['mix-1-1', 'not-ready'], ['center-1', 'ready'], ['center-2', 'ready'], ['bank', 'starting']])
    expect(state).toMatchObject({ network: 'n', epoch: 4, times: times.slice(1) })
    expect(state.flows).toEqual([{ from: 'gateway', to: 'layer-1', rate: 3.2 }, { from: 'layer-1', to: 'gateway', rate: 8 }, { from: 'wallets', to: 'gateway', rate: 1.6 }])
    expect(state.traffic).toEqual([{ name: 'forwarded', values: [3.2, 11.2] }, { name: 'delivered', values: [null, null] }, { name: 'dropped', values: [0, 1.6] }])
    expect(state.drops).toEqual([{ reason: 'payload', rate: 1.6 }])
    expect(state.money).toMatchObject({ unit: 'cent', outstanding: 35, tokens: 5, balanced: true, faults: 0, lines: [{ name: 'coins', values: [35] }, { name: 'tokens', values: [5] }, { name: 'accounts', values: [50] }] })
    expect(state.ring).toEqual({ keepers: 2, quorum: 1, votes: 32, centers: [{ name: 'center-1', share: 0.625, landed: 0.75 }, { name: 'center-2', share: 0.375, landed: 0.25 }] })
  })

  test('adds up the traffic of nodes that take their figures at other periods', async () => {
    const packets = (of: readonly number[]): NodeState['figures'] => [figure('mixmint_mix_packets_forwarded_total', [{}, of])]
    const states: Record<string, NodeState> = {
      'mix-1-1': { ...node('mix', packets([0, 10, 20, 30, 40, 50, 60])), every: 1000, times: [4_000, 5_000, 6_000, 7_000, 8_000, 9_000, 10_000] },
      'mix-1-2': { ...node('mix', packets([0, 100])), every: 10_000, times: [0, 10_000] }
    }
    const watch = new NetworkWatch({ network: 'n', names: Object.keys(states), isUp: () => true, clock: systemClock, ask: async name => states[name] as unknown as Json })
    cleanups.push(async () => { await watch.stop() })
    await watch.take()
    const { times: slots, traffic } = watch.state()
    expect(slots).toEqual([5_000, 10_000])
    expect(traffic[0]).toEqual({ name: 'forwarded', values: [10, 20] })
  })

  test('tells where coins land when 16 votes have come, and then anew only after 16 more', async () => {
    const votes: Record<string, number> = { 'center-1': 10, 'center-2': 5 }
    const { watch } = network(votes)
    const landed = async (): Promise<unknown> => {
      await watch.take()
      const ring = watch.state().ring
      return [ring?.votes, ...ring?.centers.map(({ landed }) => landed) ?? []]
    }
    expect(await landed()).toEqual([0, null, null])
    votes['center-2'] = 6
    expect(await landed()).toEqual([16, 10 / 16, 6 / 16])
    votes['center-1'] = 25
    expect(await landed()).toEqual([16, 10 / 16, 6 / 16])
    // A center that began anew has not lost what it counted before.
    votes['center-1'] = 1
    expect(await landed()).toEqual([32, 26 / 32, 6 / 32])
  })

  test('says of processes that do not answer why', async () => {
    const { watch, asked } = network({}, { 'gateway-1': 'ended', 'mix-1-1': 'daemon-not-running', bank: 'daemon-silent' })
    await watch.take()
    expect(watch.state().processes.map(({ state }) => state)).toEqual(['ready', 'ended', 'starting', 'ready', 'ready', 'silent'])
    expect(watch.state()).toMatchObject({ money: null, flows: [] })
    expect(asked.filter(line => /^(gateway-1|bank) /.test(line))).toEqual(['bank figures'])
  })

  test('is served with a page for each of its nodes, and to nobody else', async () => {
    const { watch } = network({})
    await watch.take()
    const server = await serveNetwork(watch, 0)
    cleanups.push(server.close)
    const { port } = server
    expect(await ask(port, '/')).toMatchObject({ status: 200, body: (await asset('network.html'))?.body })
    expect((JSON.parse((await ask(port, '/network.json')).body) as NetworkState).processes.length).toBe(NAMES.length)
    expect(await ask(port, '/node/bank/')).toMatchObject({ status: 200, body: (await asset('node.html'))?.body })
    expect(JSON.parse((await ask(port, '/node/gateway-1/state.json')).body)).toEqual(told['gateway-1'])
    for (const part of ['network.js', 'shared.js', 'page.css', 'icon.svg', 'node/bank/node.js', 'node/bank/shared.js', 'node/bank/page.css', 'node/bank/icon.svg']) expect((await ask(port, `/${part}`)).status, part).toBe(200)
    for (const path of ['/node/bank', '/node/nobody/', '/node/nobody/state.json', '/node/__proto__/', '/node/bank/network.js', '/node/bank/../../network.json', '/metrics', '/state.json']) expect(await askRaw(port, path), path).toMatch(/^HTTP\/1\.1 404 /)
    expect(await ask(port, '/network.json', { host: 'rebound.example' })).toMatchObject({ status: 421 })
    expect(await ask(port, '/network.json', { origin: 'https://example.com' })).toMatchObject({ status: 403 })
    await expect(serveNetwork(watch, port)).rejects.toMatchObject({ code: 'page-listen', message: expect.stringContaining(String(port)) })
  })
})
