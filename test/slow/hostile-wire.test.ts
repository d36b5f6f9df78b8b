/**
 * Hostile bytes at every layer of a real process: garbage instead of a handshake; after a handshake Yamux and the negotiation
 * of protocols abused in every order; WebSocket frames that break their own rules. It lives, stays small, and serves others.
 *
 *   HOSTILE_SECONDS=600 HOSTILE_SEED=… npm run slow -- test/slow/hostile-wire.test.ts       longer; a failure names its seed
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterEach, expect, test } from 'vitest'
import { MIX_PROTOCOL, PacketLinks } from '@mixmint/mixnet/wire/packets'
import { parseTarget, type Target } from '@mixmint/mixnet/wire/peers'
import { RpcClient } from '@mixmint/mixnet/wire/rpc-client'
import { ACK, DATA, FIN, GO_AWAY, PING, RST, SYN, WINDOW, openStream, rawPeer, yamuxFrame } from '../doubles/raw-peer.ts'
import { seededRng } from '../doubles/rng.ts'
import { CountingMeter } from '../doubles/meter.ts'
import { Chance } from '../fuzz/chance.ts'
import { startHost, until } from '../mixnet/hosts.ts'
import { RPC, SIZE } from './hostile-child.ts'
import { toHex } from '@mixmint/core/kit/bytes'

const SECONDS = Number(process.env.HOSTILE_SECONDS ?? 20)
const SEED = process.env.HOSTILE_SEED ?? randomBytes(4).toString('hex')
const PROTOCOLS = [MIX_PROTOCOL, RPC, '/nothing/1.0.0', 'ls']
/** What was measured, and half as much again. */
const MOST_MEMORY = 400 << 20

const children: ChildProcess[] = []
afterEach(() => { for (const child of children.splice(0)) child.kill('SIGKILL') })

interface Figures { readonly rss: number, readonly connections: number[], readonly sockets: number, readonly counters: Record<string, unknown> }
interface Victim { readonly tcp: Target, readonly ws: Target, readonly inner: Target, readonly figures: () => Promise<Figures>, readonly died: () => string | null }

async function victim (): Promise<Victim> {
  const child = spawn(process.execPath, [fileURLToPath(new URL('hostile-child.ts', import.meta.url))], { stdio: ['pipe', 'pipe', 'pipe'] })
  children.push(child)
  let errors = ''
  let end: string | null = null
  child.stderr.on('data', (bytes: Buffer) => { errors += bytes.toString() })
  child.on('exit', (code, signal) => { end = `${code ?? signal ?? ''}: ${errors}` })
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
  const next = async (): Promise<unknown> => {
    const { value } = await lines.next()
    return JSON.parse(value as string)
  }
  const { tcp, ws, inner } = await next() as Record<'tcp' | 'ws' | 'inner', string>
  return {
    tcp: parseTarget(tcp), ws: parseTarget(ws), inner: parseTarget(inner), died: () => end,
    figures: async () => {
      child.stdin.write('?')
      return await next() as Figures
    }
  }
}

/** Bytes for the negotiation of a protocol, most of them wrong. */
function negotiation (chance: Chance): Uint8Array {
  const text = (line: string): Uint8Array => Uint8Array.from([Math.min(127, line.length + 1), ...new TextEncoder().encode(`${line}\n`)])
  const parts = Array.from({ length: chance.between(1, 6) }, () => chance.pick([
    () => text('/multistream/1.0.0'), () => text(chance.pick(PROTOCOLS)), () => text('x'.repeat(chance.between(0, 120))), () => Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x7f),
    () => Uint8Array.of(0), () => chance.bytes(chance.between(1, 300)), () => Uint8Array.of(0x80, 0x08, ...chance.bytes(1024)), () => text('/noise'), () => Uint8Array.of(3, 0xc3, 0x28, 10)
  ])())
  return Uint8Array.from(parts.flatMap(part => [...part]))
}

/** What is said on a stream once its protocol is agreed on. */
function content (chance: Chance): Uint8Array {
  const frame = (length: number): number[] => [length & 0x7f | 0x80, length >> 7 & 0x7f, ...chance.bytes(Math.min(length, 6000))]
  return Uint8Array.from(chance.pick([
    () => frame(SIZE), () => [...frame(SIZE), ...frame(SIZE), ...frame(SIZE)], () => [0xff, 0xff, 0xff, 0x7f], () => [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1], () => [0],
    () => [...chance.bytes(chance.between(1, 200))], () => [5, 0, 0, 0, chance.below(255), chance.below(4)], () => [9, 0, 0, 0, 1, 0, 1, 2, 3, 4], () => Array<number>(500).fill(0)
  ])())
}

function yamux (chance: Chance): Uint8Array {
  const stream = chance.pick([0, 1, 1, 1, 3, 3, 5, 7, 2, 4, chance.between(0, 40), 0xffffffff, 0x80000001])
  const flags = chance.pick([0, 0, SYN, SYN, ACK, FIN, RST, SYN | FIN, SYN | RST, SYN | ACK | FIN | RST, chance.below(0x10000)])
  const payload = chance.pick<(chance: Chance) => Uint8Array>([negotiation, content, () => chance.bytes(chance.between(0, 2000)), () => new Uint8Array(0)])(chance)
  return chance.pick([
    () => openStream(stream, chance.pick(PROTOCOLS)), () => openStream(stream, chance.pick(PROTOCOLS)), () => openStream(stream, chance.pick(PROTOCOLS)),
    () => yamuxFrame(DATA, flags, stream, payload.length, payload), () => yamuxFrame(DATA, 0, stream, payload.length, payload), () => yamuxFrame(DATA, flags, stream, chance.next(), payload),
    () => yamuxFrame(WINDOW, flags, stream, chance.pick([0, 1, 0xffffffff, 0x7fffffff, chance.next()])),
    () => yamuxFrame(DATA, 0, stream, 300_000, new Uint8Array(300_000)),
    () => yamuxFrame(PING, chance.pick([SYN, ACK, flags]), chance.pick([0, stream]), chance.next()),
    () => yamuxFrame(GO_AWAY, 0, chance.pick([0, stream]), chance.pick([0, 1, 2, chance.next()])),
    () => yamuxFrame(chance.below(256), flags, stream, payload.length, payload), () => yamuxFrame(DATA, SYN, stream, 0, payload, chance.below(256)),
    () => Uint8Array.from(Array.from({ length: 300 }, (_, i) => [...yamuxFrame(PING, SYN, 0, i)]).flat()),
    () => Uint8Array.from(Array.from({ length: 100 }, (_, i) => [...yamuxFrame(WINDOW, SYN, 2 * i + 101, 0), ...yamuxFrame(WINDOW, RST, 2 * i + 101, 0)]).flat())
  ])()
}

/** What Yamux allows: the protocols above it are meant. */
function allowed (chance: Chance, opened: number[]): Uint8Array {
  if (opened.length === 0 || (opened.length < 8 && chance.often(0.2))) {
    opened.push(1 + 2 * opened.length)
    return openStream(opened[opened.length - 1], chance.pick([MIX_PROTOCOL, MIX_PROTOCOL, RPC, RPC, '/nothing/1.0.0']))
  }
  const stream = chance.pick(opened)
  const say = (bytes: Uint8Array): Uint8Array => yamuxFrame(DATA, 0, stream, bytes.length, bytes)
  return chance.pick([
    () => say(content(chance)), () => say(content(chance)), () => say(content(chance)), () => say(content(chance).subarray(0, chance.between(1, 5))),
    () => yamuxFrame(WINDOW, chance.pick([0, FIN, RST]), stream, chance.pick([0, 1, 5000])), () => yamuxFrame(DATA, FIN, stream, 0)
  ])()
}

const soon = async (ms: number): Promise<void> => { await new Promise(resolve => setTimeout(resolve, ms)) }

/** A handshake as it should be, then as little as possible as it should be. */
async function inside (chance: Chance, target: Target): Promise<void> {
  const peer = await rawPeer(`127.31.${chance.below(200)}.${1 + chance.below(200)}`)
  try {
    const line = await peer.dial(target)
    if (chance.often(0.2)) line.deafen()
    const opened: number[] | null = chance.often(0.6) ? [] : null
    for (let i = chance.between(1, 60); i > 0 && line.isOpen(); i--) {
      const bytes = opened === null ? yamux(chance) : allowed(chance, opened)
      if (chance.often(0.05) && bytes.length < 300) for (const byte of bytes) line.send(Uint8Array.of(byte))
      else line.send(bytes)
      if (chance.often(0.3)) await soon(chance.below(5))
    }
    await soon(chance.below(50))
    if (chance.often(0.5)) line.drop()
  } catch {
    // It was refused.
  }
  await peer.stop()
}

async function plain (port: number, chance: Chance, say: (socket: Socket) => Promise<void>): Promise<void> {
  await new Promise<void>(resolve => {
    const socket = connect({ port, host: '127.0.0.1', localAddress: `127.32.${chance.below(200)}.${1 + chance.below(200)}` }, () => {
      void say(socket).then(async () => { await soon(chance.below(50)) }).then(() => { if (chance.often(0.5)) socket.resetAndDestroy(); else socket.end() })
      setTimeout(() => { socket.destroy() }, 2000).unref()
    })
    socket.on('error', () => {}).on('close', () => { resolve() }).resume()
  })
}

function wsFrame (chance: Chance): Uint8Array {
  const opcode = chance.pick([0, 1, 2, 2, 8, 9, 9, 10, 3, 15])
  const body = chance.pick<(chance: Chance) => Uint8Array>([() => chance.bytes(chance.between(0, 200)), () => Uint8Array.of(0xc3, 0x28, 0xff), () => negotiation(chance), () => Uint8Array.of(3, 0xee), () => Uint8Array.of(0xff)])(chance)
  const first = (chance.often(0.7) ? 0x80 : 0) | (chance.often(0.15) ? chance.pick([0x40, 0x20, 0x10, 0x70]) : 0) | opcode
  const masked = chance.often(0.9) ? 0x80 : 0
  const length = chance.pick<() => number[]>([
    () => [masked | Math.min(125, body.length)], () => [masked | Math.min(125, body.length)], () => [masked | 126, body.length >> 8, body.length & 255],
    () => [masked | 127, 0x7f, 255, 255, 255, 255, 255, 255, 255], () => [masked | 127, 0, 0, 0, 0, 0x10, 0, 0, 0], () => [masked | 126, 0xff, 0xff]
  ])()
  return Uint8Array.from([first, ...length, ...masked === 0 ? [] : [0, 0, 0, 0], ...body])
}

function upgrade (chance: Chance): string {
  const extra = chance.pick(['', 'Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=8\r\n', 'Sec-WebSocket-Protocol: \x7f\r\n', `X: ${'y'.repeat(chance.between(1, 20_000))}\r\n`, 'Sec-WebSocket-Extensions: permessage-deflate; permessage-deflate; =;;\r\n'])
  return `GET ${chance.pick(['/', '/', '/', '*', '//x?%', `/${'a'.repeat(9000)}`])} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: ${chance.pick([13, 13, 13, 8, 99])}\r\n${extra}\r\n`
}

async function attack (chance: Chance, { tcp, ws, inner }: Victim): Promise<void> {
  const port = (target: Target): number => Number(target.addresses[0].split('/')[4])
  await chance.pick([
    async () => { await inside(chance, tcp) }, async () => { await inside(chance, ws) }, async () => { await inside(chance, inner) },
    async () => { await plain(port(chance.pick([tcp, ws, inner])), chance, async socket => {
      for (let i = chance.between(1, 5); i > 0; i--) {
        socket.write(chance.often(0.5) ? negotiation(chance) : chance.bytes(chance.between(1, 3000)))
        await soon(chance.below(5))
      }
    }) },
    async () => { await plain(port(ws), chance, async socket => {
      socket.write(upgrade(chance))
      for (let i = chance.between(1, 30); i > 0 && socket.writable; i--) {
        socket.write(wsFrame(chance))
        if (chance.often(0.2)) await soon(chance.below(5))
      }
    }) }
  ])()
}

test(`a gateway outlives ${SECONDS} s of hostile bytes (HOSTILE_SEED=${SEED}), and serves others meanwhile`, async () => {
  const target = await victim()
  const honest = await startHost({ role: 'wallet', listen: [] })
  const id = toHex(target.tcp.peer)
  let came = 0
  const links = new PacketLinks({
    node: honest.node, packetSize: SIZE, rng: seededRng('honest'), meter: new CountingMeter(),
    neighbourhood: { addresses: peer => peer === id ? target.tcp.addresses : [], accepts: peer => peer === id }, onPacket: () => { came += 1 }
  })
  await links.start()
  const rpc = new RpcClient({ node: honest.node, meter: new CountingMeter() })
  const isServed = async (): Promise<number> => {
    const [before, started] = [came, performance.now()]
    await until(() => links.send(id, new Uint8Array(SIZE)) === 'queued')
    await until(() => came > before || target.died() !== null)
    expect(target.died()).toBe(null)
    expect(await rpc.request(target.tcp, RPC, Uint8Array.of(1, 2, 3), { timeout: 20_000 })).toEqual(Uint8Array.of(1, 2, 3))
    return performance.now() - started
  }
  await isServed()
  const end = performance.now() + SECONDS * 1000
  let rounds = 0
  const attacker = async (n: number): Promise<void> => {
    for (let i = 0; performance.now() < end && target.died() === null; i++, rounds++) await attack(new Chance(`${SEED}/${n}/${i}`), target)
  }
  const raging = Promise.all(Array.from({ length: 6 }, async (_, n) => { await attacker(n) }))
  let [memory, slowest] = [0, 0]
  while (performance.now() < end) {
    slowest = Math.max(slowest, await isServed())
    memory = Math.max(memory, (await target.figures()).rss)
    await soon(100)
  }
  await raging
  await isServed()
  const { counters } = await target.figures()
  process.stderr.write(`hostile bytes: ${rounds} rounds, ${memory >> 20} MiB, slowest answer ${Math.round(slowest)} ms\n${JSON.stringify(counters)}\n`)
  expect(memory).toBeLessThan(MOST_MEMORY)
  // Nothing of them stays: what is left are the lines of the honest.
  const deadline = performance.now() + 90_000
  let left = await target.figures()
  while (left.connections[0] + left.connections[1] > 1 && performance.now() < deadline) {
    await soon(500)
    left = await target.figures()
  }
  expect(left.connections).toEqual([1, 0])
  expect(left.sockets).toBeLessThan(20)
  rpc.close()
  await links.stop(AbortSignal.timeout(1000))
}, (SECONDS + 150) * 1000)
