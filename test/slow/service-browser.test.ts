/**
 * The service in a browser: the example's page, bundled as for publishing, in Chromium, as a client of a network of nodes
 * that runs here; it attaches over `ws://`, asks a server, and through an exit a node that knows nothing of mixing.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { noise } from '@chainsafe/libp2p-noise'
import { generateKeyPair } from '@libp2p/crypto/keys'
import type { Libp2p } from '@libp2p/interface'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { lpStream } from '@libp2p/utils'
import { webSockets } from '@libp2p/websockets'
import { yamux } from '@libp2p/yamux'
import { createLibp2p } from 'libp2p'
import { build } from 'vite'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { exactly, isAnonymous, lengthPrefixed, mix, type MixInit, type MixService } from '@mixmint/mixnet'
import { CHROMIUM, openBrowser } from './browser.ts'

const PAGE = fileURLToPath(new URL('../../mixnet/examples/browser/', import.meta.url))
const TYPES: Readonly<Record<string, string>> = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.json': 'application/json' }
const PING = '/ipfs/ping/1.0.0'
const GREET = '/greet/1'

const nodes: Libp2p[] = []
const served: string[] = []
const askedBy: boolean[] = []
let folder: string
let server: Server | undefined

/** Over TCP among themselves; the entry over WebSocket, too. */
async function relay (init: MixInit, listen: string[] = ['/ip4/127.0.0.1/tcp/0']): Promise<Libp2p<{ mix: MixService }>> {
  const node = await createLibp2p({
    privateKey: await generateKeyPair('secp256k1'), addresses: { listen },
    transports: [tcp(), webSockets()], connectionEncrypters: [noise()], streamMuxers: [yamux()],
    connectionManager: { inboundConnectionThreshold: 100 }, services: { mix: mix(init) }
  })
  nodes.push(node)
  return node
}

/** The page, and what it is to know. @returns its address */
async function publish (network: object): Promise<string> {
  await build({ configFile: false, logLevel: 'silent', root: PAGE, base: './', build: { outDir: folder, emptyOutDir: true, target: 'es2024' } })
  writeFileSync(join(folder, 'network.json'), JSON.stringify(network))
  server = createServer((request, response) => {
    const path = request.url === '/' ? '/index.html' : request.url ?? ''
    served.push(path)
    const file = join(folder, path)
    if (path.includes('..') || !existsSync(file)) response.writeHead(404).end()
    else response.writeHead(200, { 'content-type': TYPES[extname(path)] ?? 'application/octet-stream' }).end(readFileSync(file))
  })
  await new Promise<void>(resolve => { server?.listen(0, '127.0.0.1', resolve) })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
}

beforeAll(() => { folder = mkdtempSync(join(tmpdir(), 'mixmint-page-')) })
afterAll(async () => {
  await new Promise<void>(resolve => { if (server === undefined) resolve(); else server.close(() => { resolve() }) })
  for (const node of nodes) await node.stop()
  rmSync(folder, { recursive: true, force: true })
})

test.skipIf(CHROMIUM === undefined)('a page asks a server, and through an exit a node that knows nothing of mixing', async () => {
  const entry = await relay({ relay: { clients: true } }, ['/ip4/127.0.0.1/tcp/0', '/ip4/127.0.0.1/tcp/0/ws'])
  const greeter = await relay({ relay: true, serve: { [GREET]: lengthPrefixed({ max: 1024 }) } })
  const exit = await relay({ relay: true, exit: { protocols: { [PING]: exactly(32) }, privateAddresses: true } })
  const relays = [entry, greeter, exit]
  for (let i = 0; i < 4; i++) relays.push(await relay({ relay: true }))
  const pool = relays.map(({ services }) => services.mix.describe())
  for (const { services } of relays) for (const other of pool) services.mix.pool.add(other)
  await greeter.handle(GREET, async (stream, connection) => {
    askedBy.push(isAnonymous(connection))
    const lp = lpStream(stream)
    await lp.write(new TextEncoder().encode(`hello, ${new TextDecoder().decode((await lp.read()).subarray())}`))
    await stream.close()
  })
  const outside = await createLibp2p({ addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] }, transports: [tcp()], connectionEncrypters: [noise()], streamMuxers: [yamux()], services: { ping: ping() } })
  nodes.push(outside)
  const met: string[] = []
  outside.addEventListener('connection:open', ({ detail: { remotePeer } }) => { met.push(remotePeer.toString()) })

  const address = await publish({ pool, server: greeter.peerId.toString(), outside: outside.getMultiaddrs()[0].toString() })
  const browser = await openBrowser()
  try {
    const page = await browser.newPage()
    const errors: string[] = []
    page.on('pageerror', error => { errors.push(String(error)) })
    page.on('console', message => { if (message.type() === 'error') errors.push(message.text()) })
    await page.goto(address)
    await page.waitForSelector('dt:text-is("State")', { timeout: 120_000 })
    const seen = Object.fromEntries(await page.$$eval('dt', terms => terms.map(term => [term.textContent, term.nextElementSibling?.textContent])))
    expect(seen).toEqual({
      'Attached to': entry.peerId.toString(),
      'The server says': 'hello, from a page',
      'The node outside answered after': expect.stringMatching(/^\d+ ms$/),
      'Spoke with': entry.peerId.toString(),
      State: 'done'
    })
    expect(errors).toEqual([])
  } finally {
    await browser.close()
  }
  expect(askedBy).toEqual([true])
  expect(met).toEqual([exit.peerId.toString()])
  expect(served.filter(path => !path.endsWith('.js')).sort()).toEqual(['/index.html', '/network.json'])
})
