/** docs/reference/http.md says what is answered: every path of its tables is asked for, and every field that it names is there, and no other. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { request } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { sleep, systemClock } from '../../nodes/clock.ts'
import type { Json } from '../../nodes/control.ts'
import { Monitoring } from '../../nodes/metrics/monitoring.ts'
import { Readiness } from '../../nodes/metrics/readiness.ts'
import { freePorts } from '../../nodes/layout.ts'
import { Counters, createLog } from '../../nodes/observe.ts'
import { serveNetwork } from '../../nodes/pages/network-server.ts'
import { NetworkWatch } from '../../nodes/pages/network-watch.ts'
import { MemoryStore } from '../doubles/memory-store.ts'

const PAGE = readFileSync('docs/reference/http.md', 'utf8')
const cleanups: Array<() => unknown> = []
const ports: Record<string, number> = {}

/** Rows of the first table under a heading, without marks of code. */
function rows (heading: string): string[][] {
  const section = PAGE.split(/^## /m).find(each => each.startsWith(heading)) ?? ''
  return section.split('\n').filter(line => line.startsWith('|')).slice(2).map(line => line.slice(1, -1).split('|').map(cell => cell.trim().replaceAll('`', '')))
}

async function ask (port: number, path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<{ status: number, type: string, body: string }> {
  return await new Promise((resolve, reject) => {
    request({ port, path, method, headers: { host: `localhost:${port}`, ...headers }, agent: false }, response => {
      let body = ''
      response.setEncoding('utf8').on('data', chunk => { body += String(chunk) }).on('end', () => { resolve({ status: response.statusCode ?? 0, type: response.headers['content-type'] ?? '', body }) })
    }).on('error', reject).end()
  })
}

/** The status of an answer to what is no HTTP. */
async function garbage (port: number): Promise<number> {
  return await new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => { socket.write('good day\r\n\r\n') })
    socket.once('data', (said: Buffer) => {
      resolve(Number(/^HTTP\/1.1 (\d+)/.exec(said.toString('latin1'))?.[1]))
      socket.destroy()
    }).on('error', reject)
  })
}

beforeAll(async () => {
  const dir = mkdtempSync(join(tmpdir(), 'mixmint-http-'))
  mkdirSync(join(dir, 'store'))
  const [port] = await freePorts(1)
  const readiness = new Readiness({ clock: systemClock, store: new MemoryStore(), wait: sleep }, () => ({ missing: () => [] }))
  const monitoring = new Monitoring({
    role: 'mix', suite: 'native', dir, clock: systemClock, log: createLog('mix', 'silent'), counters: new Counters(), readiness,
    told: async () => ({ readings: [['mix_layer', 1]], delays: { counts: Array<number>(13).fill(20), sum: 1 } })
  }, { network: 'n', version: '0', peer: '' }, { host: '127.0.0.1', port, hosts: [], every: 1000 })
  await monitoring.start()
  const watch = new NetworkWatch({
    network: 'n', names: ['mix-1-1', 'center-1', 'bank'], isUp: () => true, clock: systemClock,
    ask: async (_, operation) => operation === 'figures'
      ? await monitoring.state() as unknown as Json
      : operation === 'status' ? { counters: {} } : { unit: 'cent', credited: 0, paidOut: 0, accounts: 0, tokens: 0, issued: 0, redeemed: 0, outstanding: 0, balanced: true, faults: [] }
  })
  await watch.take()
  const server = await serveNetwork(watch, 0)
  ports.daemon = port
  ports.network = server.port
  cleanups.push(async () => {
    await server.close()
    await watch.stop()
    await monitoring.stop()
    rmSync(dir, { recursive: true })
  })
})
afterAll(async () => { for (const clean of cleanups) await clean() })

test.each([['A daemon', 'daemon'], ['mixmint up', 'network']])('every path under "%s" is answered as it says', async (heading, server) => {
  const paths = rows(server === 'network' ? '`mixmint up`' : heading)
  expect(paths.length).toBeGreaterThan(7)
  for (const [path, statuses, type] of paths) {
    const answer = await ask(ports[server], path.replace('NAME', 'bank'))
    expect(statuses.split(', ')).toContain(String(answer.status))
    expect(answer.status, path).toBe(200)
    expect(answer.type.split(';')[0], path).toBe(type)
  }
})

test('what is refused is refused so', async () => {
  const port = ports.daemon
  const refused: Record<string, number> = {
    400: await garbage(port),
    403: (await ask(port, '/state.json', { origin: 'https://example.com' })).status,
    404: (await ask(port, '/?query')).status,
    405: (await ask(port, '/', {}, 'POST')).status,
    421: (await ask(port, '/', { host: 'example.com' })).status,
    431: (await ask(port, '/', { padding: 'x'.repeat(9 << 10) })).status
  }
  const said = rows('What is refused').map(([status]) => status)
  expect(Object.entries(refused).map(([status, got]) => [status, String(got)])).toEqual(said.map(status => [status, status]))
})

test.each([['`/state.json`', 'daemon', '/state.json'], ['`/network.json`', 'network', '/network.json']])('%s has the fields that it says', async (heading, server, path) => {
  const state = JSON.parse((await ask(ports[server], path)).body) as Record<string, unknown>
  const said = rows(heading)
  expect(said.map(([name]) => name).sort()).toEqual(Object.keys(state).sort())
  // And each word in the marks of code of `processes`, `node`: fields of these.
  for (const [name, what] of PAGE.split(/^## /m).find(each => each.startsWith(heading))?.split('\n').filter(line => line.startsWith('|')).slice(2).map(line => line.slice(1, -1).split('|').map(cell => cell.trim())) ?? []) {
    const value = state[name.replaceAll('`', '')]
    const one = (Array.isArray(value) ? value[0] : value) as Record<string, unknown> | null | undefined
    if (!['`node`', '`processes`', '`figures`', '`histograms`'].includes(name) || one === null || one === undefined) continue
    const named = [...what.matchAll(/`([a-zA-Z]+)`/g)].map(([, word]) => word)
    for (const field of Object.keys(one)) expect(named, `${heading} ${name}`).toContain(field)
  }
})
