/**
 * Peers that abuse streams below their protocols, at every door of a node, over real connections: what they have opened is
 * ended in time, what they hold is bounded, it is counted, and an honest peer is served as before.
 */
import { afterEach, describe, expect, test } from 'vitest'
import { toHex } from '@mixmint/core/kit/bytes'
import { MIX_PROTOCOL, PacketLinks } from '@mixmint/mixnet/wire/packets'
import { RpcClient } from '@mixmint/mixnet/wire/rpc-client'
import { serveRpc } from '@mixmint/mixnet/wire/rpc-server'
import type { Target } from '@mixmint/mixnet/wire/peers'
import type { Host } from '../../nodes/host.ts'
import { CountingMeter } from '../doubles/meter.ts'
import { DATA, FIN, PING, RST, SYN, WINDOW, openStream, rawPeer, yamuxFrame, type RawLine, type RawPeer } from '../doubles/raw-peer.ts'
import { seededRng } from '../doubles/rng.ts'
import { startHost, targetOf, until } from './hosts.ts'
import { SIZE, openGateway, openWallet, packet } from './wallet-material.ts'

const RPC = '/test/rpc/1.0.0'
/** Long enough for who is honest on a busy machine, who is held to the same. */
const [UPGRADE, SHORT] = [1_500, { proof: 1_000, stall: 1_000 }]
const peers: RawPeer[] = []
const closing: Array<() => Promise<unknown> | unknown> = []
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
  await Promise.all(peers.splice(0).map(async peer => { await peer.stop() }))
})

interface Door {
  readonly at: Target
  readonly host: Host
  readonly protocol: string
  /** What the honest peer does with it. */
  readonly works: () => Promise<void>
  /** Streams that were ended for a reason. */
  readonly ended: (reason: string) => number
}

async function walletDoor (transport: string): Promise<Door> {
  const gateway = await openGateway({ limits: SHORT, host: { listen: [`/ip4/127.0.0.1/tcp/0${transport}`], upgradeTimeout: UPGRADE } })
  const wallet = await openWallet(gateway)
  // From a wallet that has not proven to be one in time its connection is taken, and what is just on its way is lost.
  await until(() => {
    if (wallet.links.isFree(gateway.id)) wallet.links.send(gateway.id, packet(0))
    return gateway.links.sessions.includes(wallet.id)
  })
  return {
    at: targetOf(gateway.host), host: gateway.host, protocol: MIX_PROTOCOL,
    works: async () => {
      const number = gateway.got.length
      wallet.links.send(gateway.id, packet(number))
      await until(() => gateway.got.some(got => got.from === wallet.id && got.number === number))
    },
    ended: reason => gateway.meter.of('wallet_streams_broken', { reason })
  }
}

async function mixDoor (): Promise<Door> {
  const meter = new CountingMeter()
  // Whoever comes is a neighbour, gone bad.
  const host = await startHost({ meter, isKnown: () => true, upgradeTimeout: UPGRADE })
  const [from, got]: [Host, number[]] = [await startHost(), []]
  const limits = { silence: SHORT.proof, stall: SHORT.stall }
  const common = { packetSize: SIZE, rng: seededRng('mix'), limits }
  const here = new PacketLinks({ ...common, node: host.node, meter, neighbourhood: { addresses: () => [], accepts: () => true }, onPacket: () => { got.push(1) } })
  const there = new PacketLinks({ ...common, node: from.node, meter: new CountingMeter(), neighbourhood: { addresses: () => host.addresses(), accepts: () => true }, onPacket: () => {} })
  for (const links of [here, there]) {
    await links.start()
    closing.push(async () => { await links.stop(AbortSignal.timeout(50)) })
  }
  return {
    at: targetOf(host), host, protocol: MIX_PROTOCOL,
    works: async () => {
      const before = got.length
      there.send(toHex(host.peer), packet(1))
      await until(() => got.length > before)
    },
    ended: reason => meter.of('mix_streams_broken', { reason })
  }
}

async function rpcDoor (): Promise<Door> {
  const meter = new CountingMeter()
  const host = await startHost({ role: 'authority', meter, upgradeTimeout: UPGRADE })
  const server = await serveRpc(host.node, RPC, async (_from, _protocol, body) => await Promise.resolve(body), { meter, limits: SHORT })
  const client = new RpcClient({ node: (await startHost()).node, meter: new CountingMeter() })
  closing.push(() => { client.close() }, async () => { await server.close() })
  return {
    at: targetOf(host), host, protocol: RPC,
    works: async () => { expect(await client.request(targetOf(host), RPC, Uint8Array.of(1))).toEqual(Uint8Array.of(1)) },
    ended: reason => meter.of('rpc_streams_broken', { protocol: RPC, reason })
  }
}

async function lineTo (door: Door): Promise<RawLine & { readonly peer: string }> {
  const peer = await rawPeer()
  peers.push(peer)
  // Whose handshake takes too long is turned away.
  for (;;) {
    const line = await peer.dial(door.at).catch(() => null)
    if (line === null) continue
    await until(() => !line.isOpen() || door.host.node.getConnections(peer.node.peerId).length === 1)
    if (line.isOpen()) return { ...line, peer: toHex(peer.peer) }
  }
}

/** Has the answer to a Yamux ping come? */
function isAnswered ({ got }: RawLine): boolean {
  const bytes = Buffer.concat(got)
  for (let at = 0; at + 12 <= bytes.length; at += 12 + (bytes[at + 1] === DATA ? bytes.readUInt32BE(at + 8) : 0)) if (bytes[at + 1] === PING) return true
  return false
}

const data = (bytes: readonly number[]): Uint8Array => yamuxFrame(DATA, 0, 1, bytes.length, Uint8Array.from(bytes))

/** Each on a connection of its own: what is sent at once, and byte by byte. */
const ABUSES: ReadonlyArray<{ readonly name: string, readonly reason: string | null, readonly send: (protocol: string) => readonly Uint8Array[], readonly drip?: boolean }> = [
  { name: 'a stream that is opened, and its protocol never named', reason: null, send: () => [yamuxFrame(WINDOW, SYN, 1, 0)] },
  { name: 'a protocol named half', reason: null, send: () => [yamuxFrame(DATA, SYN, 1, 7, new TextEncoder().encode('\x13/multi'))] },
  { name: 'lines of the negotiation without an end', reason: null, send: () => [yamuxFrame(WINDOW, SYN, 1, 0), ...Array.from({ length: 50 }, () => data([...new TextEncoder().encode('\x07/wrong\n')]))] },
  { name: 'a stream on which nothing is said', reason: 'peer-silent', send: protocol => [openStream(1, protocol)] },
  { name: 'a claim of 2^63 bytes', reason: 'frame-malformed', send: protocol => [openStream(1, protocol), data([0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1])] },
  { name: 'a claim of 2^28 bytes', reason: 'frame-size', send: protocol => [openStream(1, protocol), data([0xff, 0xff, 0xff, 0x7f])] },
  { name: 'a frame in drops, never whole', reason: 'peer-silent', send: protocol => [openStream(1, protocol), data([0x80, 0x24])], drip: true },
  { name: 'a stream that is closed half within a frame', reason: 'frame-cut', send: protocol => [openStream(1, protocol), data([0x80, 0x24, 1, 2, 3]), yamuxFrame(DATA, FIN, 1, 0)] },
  { name: 'one that is opened and broken off at once', reason: null, send: protocol => [openStream(1, protocol), data([0x80, 0x24, 1, 2, 3]), yamuxFrame(WINDOW, RST, 1, 0)] },
  { name: 'one that is closed half at once', reason: null, send: protocol => [openStream(1, protocol), yamuxFrame(DATA, FIN, 1, 0)] }
]

describe.each<[string, () => Promise<Door>]>([
  ['of a mix, by a neighbour', mixDoor], ['for wallets, TCP', async () => await walletDoor('')], ['for wallets, WebSocket', async () => await walletDoor('/ws')], ['for requests', rpcDoor]
])('the door %s', (_name, open) => {
  test('outlives the abuse of its streams', async () => {
    const door = await open()
    await door.works()
    const lines = await Promise.all(ABUSES.map(async () => await lineTo(door)))
    const before = new Map(ABUSES.map(({ reason }) => [reason, door.ended(reason ?? '')]))
    for (const [i, { send }] of ABUSES.entries()) for (const bytes of send(door.protocol)) lines[i].send(bytes)
    const streams = (): number => door.host.node.getConnections()
      .filter(({ remotePeer }) => lines.some(({ peer }) => peer === toHex(remotePeer.toMultihash().bytes)))
      .flatMap(({ streams }) => streams).filter(({ direction, status }) => direction === 'inbound' && status === 'open').length
    const dripping = setInterval(() => { for (const [i, { drip }] of ABUSES.entries()) if (drip === true) lines[i].send(data([7])) }, 10)
    await door.works()
    // For each reason as many as there are abuses of that kind, each counted once.
    for (const wanted of new Set(ABUSES.flatMap(({ reason }) => reason ?? []))) {
      await until(() => door.ended(wanted) - (before.get(wanted) ?? 0) >= ABUSES.filter(({ reason }) => reason === wanted).length)
    }
    await until(() => streams() === 0)
    clearInterval(dripping)
    await door.works()
  })

  test('is not filled by streams without a name', async () => {
    const door = await open()
    const line = await lineTo(door)
    for (let stream = 1; stream < 2000; stream += 2) line.send(yamuxFrame(WINDOW, SYN, stream, 0))
    line.send(yamuxFrame(PING, SYN, 0, 7))
    // Frames are taken in order: with the answer to the last, all others were. (Streams without a name live for so short a time that
    // a slow machine may not see them.)
    await until(() => isAnswered(line))
    expect(Math.max(...door.host.node.getConnections().map(({ streams }) => streams.length))).toBeLessThanOrEqual(64)
    await door.works()
    await until(() => door.host.node.getConnections().every(({ streams }) => streams.length < 8))
  })
})
