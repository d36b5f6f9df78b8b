/**
 * Cover over TCP, in a network of real hosts: a wallet, its gateway, three mixes and a service that follow a directory's
 * document, and an eavesdropper who relays the wallet's connection and sees the lengths of its encrypted frames.
 */
import { createServer, connect, type AddressInfo, type Server, type Socket } from 'node:net'
import type { Secp256k1PrivateKey } from '@libp2p/interface'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import { fromHex, toHex } from '@mixmint/core/kit/bytes'
import type { Log } from '@mixmint/core/kit/ports'
import { RateLimit, walletLimits } from '@mixmint/mixnet/abuse/rate-limit'
import type { Cover, Document, Parameters } from '@mixmint/mixnet/directory/formats'
import { coverPaths, directoryPaths, loopPaths } from '@mixmint/mixnet/directory/route'
import { mayReplyTo, topologyOf } from '@mixmint/mixnet/directory/topology'
import { DirectoryView } from '@mixmint/mixnet/directory/view'
import { MixEngine } from '@mixmint/mixnet/mixing/engine'
import { LoopSender } from '@mixmint/mixnet/wire/loops'
import { MixNode } from '@mixmint/mixnet/wire/mix-node'
import { MixnetRequester } from '@mixmint/mixnet/wire/requester'
import { MixnetResponder } from '@mixmint/mixnet/wire/responder'
import { systemClock as clock } from '../../nodes/clock.ts'
import type { Host } from '../../nodes/host.ts'
import { freshIdentity } from '../../nodes/identity.ts'
import { NETWORK, PARAMETERS } from '../doubles/directory.ts'
import { CountingMeter } from '../doubles/meter.ts'
import { seededRng } from '../doubles/rng.ts'
import { startHost, until } from '../mixnet/hosts.ts'

const suite = await defaultSuite()
const PROTOCOL = '/test/1'
const HOUR = 3_600_000
const COVER: Cover = { send: 30, echoes: 300, pace: 30, loop: 100 }
const quiet: Log = { info: () => {}, warn: () => {}, error: () => {} }

type Descriptor = Document['nodes'][number]['signed']['descriptor']
interface Member { readonly role: Descriptor['role'], readonly layer: number, readonly host: Host, readonly entry: Host | null, readonly secret: Uint8Array, readonly meter: CountingMeter }

/** The eavesdropper's relay: lengths of Noise frames, when they pass, in either direction. */
class Tap {
  readonly frames: Record<'up' | 'down', Array<{ readonly size: number, readonly at: number }>> = { up: [], down: [] }
  readonly #server: Server
  readonly #sockets: Socket[] = []

  constructor (to: number) {
    this.#server = createServer(socket => {
      const onward = connect(to, '127.0.0.1')
      this.#sockets.push(socket, onward)
      for (const [from, into, way] of [[socket, onward, 'up'], [onward, socket, 'down']] as const) {
        from.on('data', this.#parser(way))
        from.on('error', () => { into.destroy() })
        from.pipe(into)
      }
    })
  }

  async start (): Promise<number> {
    await new Promise<void>(resolve => { this.#server.listen(0, '127.0.0.1', resolve) })
    return (this.#server.address() as AddressInfo).port
  }

  stop (): void {
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
  }

  /** After the 28 bytes in which both sides say that they speak Noise, each message has its length in front, 2 bytes. */
  #parser (way: 'up' | 'down'): (bytes: Uint8Array) => void {
    let rest = Buffer.alloc(0)
    let skip = 28
    return bytes => {
      rest = Buffer.concat([rest, bytes])
      if (skip > 0 && rest.length >= skip) {
        rest = rest.subarray(skip)
        skip = 0
      }
      while (skip === 0 && rest.length >= 2 && rest.length >= 2 + rest.readUInt16BE()) {
        const size = rest.readUInt16BE()
        this.frames[way].push({ size, at: performance.now() })
        rest = rest.subarray(2 + size)
      }
    }
  }
}

class Network {
  cover: Cover = COVER
  readonly meters = { wallet: new CountingMeter(), service: new CountingMeter() }
  /** When packets leave the wallet. */
  readonly left: number[] = []
  members: Member[] = []
  requester!: MixnetRequester
  responder!: MixnetResponder
  tap!: Tap
  readonly loops: LoopSender[] = []
  readonly #nodes: MixNode[] = []
  #view: DirectoryView | null = null

  view = (): DirectoryView | null => this.#view
  live = (): DirectoryView[] => this.#view === null ? [] : [this.#view]

  /** Another document, with this cover, comes into force. */
  publish (cover: Cover): void {
    this.cover = cover
    const parameters: Parameters = { ...PARAMETERS, cover, meanDelay: 3, epochLength: HOUR, epochGrace: HOUR / 2, clockSkew: 0 }
    const epoch = Math.floor(Date.now() / HOUR)
    this.#view = new DirectoryView({
      signatures: [],
      document: {
        network: NETWORK, epoch, validFrom: 0, validUntil: Number.MAX_SAFE_INTEGER, parameters,
        nodes: this.members.map(({ role, layer, host, entry, secret }) => ({
          layer,
          signed: {
            signature: new Uint8Array(64),
            descriptor: {
              network: NETWORK, role, peer: host.peer, addresses: host.addresses(), entry: entry?.addresses() ?? [], kind: role === 'service' ? 'bank' : '', body: new Uint8Array(0), published: 0,
              mixKeys: [0, 1, 2].map(later => ({ epoch: epoch + later, key: suite.x25519Base(secret) }))
            }
          }
        }))
      }
    })
    for (const node of this.#nodes) node.setEpoch(epoch, parameters)
    for (const loops of this.loops) loops.onDocument()
    this.requester?.onDocument()
  }

  async start (): Promise<void> {
    const rng = seededRng('cover network')
    for (const [role, layer] of [['gateway', 0], ['mix', 1], ['mix', 2], ['mix', 3], ['service', 255]] as const) {
      const privateKey: Secp256k1PrivateKey = await freshIdentity()
      this.members.push({
        role, layer, host: await startHost({ privateKey }), entry: role === 'gateway' ? await startHost({ privateKey, role: 'entry' }) : null,
        secret: rng.bytes(32), meter: role === 'service' ? this.meters.service : new CountingMeter()
      })
    }
    this.publish(this.cover)
    for (const member of this.members) await this.#member(member, rng)
    await this.#wallet(rng)
  }

  stop (): void {
    this.requester.close()
    this.responder.close()
    for (const loops of this.loops) loops.stop()
    this.tap.stop()
  }

  async #member ({ role, host, entry, secret, meter }: Member, rng: ReturnType<typeof seededRng>): Promise<void> {
    const parameters = (): Parameters => (this.view() as DirectoryView).parameters
    const isNode = (peer: string): boolean => this.view()?.byPeer(fromHex(peer)) !== undefined
    const node: MixNode = new MixNode({
      node: host.node, engine: new MixEngine({ suite, self: host.peer, parameters: parameters(), topology: topologyOf(this.live, host.peer) }), clock, rng, meter,
      neighbourhood: { addresses: peer => this.view()?.byPeer(fromHex(peer))?.addresses ?? [], accepts: isNode },
      ...(entry === null
        ? {}
        : { wallets: { host: entry.node, accepts: (peer: string) => !isNode(peer), admit: new RateLimit(() => walletLimits(parameters().cover)), grace: () => 30_000, cover: () => parameters().cover } }),
      onDeliver: message => { if (!loops.onDeliver(message) && role === 'service') this.responder.onDeliver(message) }
    })
    const loops = new LoopSender({
      suite, clock, rng, meter, log: quiet, parameters, path: loopPaths(this.view, host.peer), isNode, sendPacket: (to, packet) => node.sendPacket(to, packet)
    })
    if (role === 'service') {
      this.responder = new MixnetResponder({
        suite, clock, rng, meter, parameters, mayReplyTo: firstHop => mayReplyTo(this.live(), firstHop), sendPacket: (to, packet) => node.sendPacket(to, packet)
      })
      this.responder.handle(PROTOCOL, async content => new Uint8Array(2000).fill(content[0]))
    }
    await this.#begin(node, secret, parameters())
    this.loops.push(loops)
    loops.onDocument()
  }

  async #wallet (rng: ReturnType<typeof seededRng>): Promise<void> {
    const [{ host: { peer: gateway }, entry }] = this.members
    this.tap = new Tap(Number(entry?.addresses()[0].split('/').at(-1)))
    const relay = await this.tap.start()
    const host = await startHost({ role: 'wallet', listen: [] })
    const secret = rng.bytes(32)
    const parameters = (): Parameters => (this.view() as DirectoryView).parameters
    const node = new MixNode({
      node: host.node, engine: new MixEngine({ suite, self: host.peer, parameters: parameters(), topology: { mayForward: () => false, mayReachWallet: () => false } }),
      clock, rng, meter: this.meters.wallet, padded: true,
      neighbourhood: { addresses: () => [`/ip4/127.0.0.1/tcp/${relay}`], accepts: other => other === toHex(gateway) },
      onReply: (surbId, payload) => { this.requester.onReply(surbId, payload) }
    })
    await this.#begin(node, secret, parameters())
    node.keep(gateway)
    const at = { gateway, peer: host.peer, mixKey: suite.x25519Base(secret) }
    this.requester = new MixnetRequester({
      suite, clock, rng, meter: this.meters.wallet, parameters, paths: directoryPaths(this.view, at, this.meters.wallet),
      cover: { paths: coverPaths(this.view, at), ready: () => node.isFree(gateway) },
      sendPacket: (to, packet) => {
        this.left.push(performance.now())
        return node.sendPacket(to, packet)
      }
    })
    await until(() => node.isFree(gateway))
  }

  async #begin (node: MixNode, secret: Uint8Array, parameters: Parameters): Promise<void> {
    const epoch = Math.floor(Date.now() / HOUR)
    for (const later of [0, 1]) node.install({ epoch: epoch + later, privateKey: secret.slice(), from: 0, until: Number.MAX_SAFE_INTEGER })
    node.setEpoch(epoch, parameters)
    await node.start()
    this.#nodes.push(node)
  }
}

let network: Network
beforeEach(async () => {
  network = new Network()
  await network.start()
}, 60_000)
afterEach(() => { network.stop() })

/**
 * How much these vary, in means: 1 for exponential gaps, 0 for a clock's. A busy machine, which is late and then catches up,
 * makes it more and never less; the law itself is tested where time is virtual (cover-sender.test.ts).
 */
function variation (gaps: readonly number[]): number {
  const mean = gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length
  return Math.sqrt(gaps.reduce((sum, gap) => sum + (gap - mean) ** 2, 0) / gaps.length) / mean
}
const gapsOf = (times: readonly number[]): number[] => times.slice(1).map((at, i) => at - times[i])
const sent = (kind: string): number => network.meters.wallet.of('cover_sent', { kind })
const received = (kind: string): number => network.meters.service.of('cover_received', { kind })

it('a wallet sends at times that chance sets; drop packets end at the service and are counted there, echoes come home, loops too, an idle line is padded', async () => {
  await until(() => network.left.length > 300 && network.requester.echoes().returned > 40)
  expect(variation(gapsOf(network.left))).toBeGreaterThan(0.7)
  // A busy machine makes ticks late, and drops those that are a second late: never are there more.
  const elapsed = network.left[network.left.length - 1] - network.left[0]
  const expected = elapsed / COVER.send
  expect(network.left.length).toBeLessThan(expected + 5 * Math.sqrt(expected))
  await until(() => received('drop') > 100 && received('echo') > 40)
  expect(received('drop')).toBeLessThanOrEqual(sent('drop'))
  expect(received('echo')).toBeLessThanOrEqual(sent('echo'))
  expect(received('malformed')).toBe(0)
  const { returned, lost, nodes, alarms } = network.requester.echoes()
  // What a busy machine holds up for seconds is counted as lost.
  expect([alarms, nodes.length]).toEqual([[], 5])
  expect(lost).toBeLessThan(returned / 10)
  expect(returned).toBeLessThanOrEqual(received('echo'))
  await until(() => network.loops.every(loops => loops.figures().returned > 3))
  for (const loops of network.loops) expect(loops.figures().alarms).toEqual([])
  // All that came down: echoes' answers, and padding between them.
  expect(network.meters.wallet.of('cover_padding')).toBeGreaterThan(100)
}, 120_000)

it('on the wire of a wallet frames have the same lengths, idle or busy, up and down', async () => {
  const { frames } = network.tap
  const from = { up: 0, down: 0 }
  const lengths = (way: 'up' | 'down'): Map<number, number> => {
    const counts = new Map<number, number>()
    for (const { size } of frames[way].slice(from[way])) counts.set(size, (counts.get(size) ?? 0) + 1)
    from[way] = frames[way].length
    return counts
  }
  const many = (): boolean => frames.up.length > from.up + 600 && frames.down.length > from.down + 600
  await until(() => network.requester.echoes().returned > 1)
  lengths('up')
  lengths('down')
  await until(many)
  const idle = { up: lengths('up'), down: lengths('down') }
  let asked = 0
  while (!many()) {
    await network.requester.request(network.members[4].host.peer, PROTOCOL, new Uint8Array(asked % 2 === 0 ? 20_000 : 10).fill(++asked), { deadline: Date.now() + 60_000 })
  }
  const busy = { up: lengths('up'), down: lengths('down') }
  expect(asked).toBeGreaterThan(2)
  for (const way of ['up', 'down'] as const) {
    // A packet, or what says that one was read; seldom several at once, when a machine is busy. Of each kind as many.
    const [usual, ...others] = [...idle[way]].sort((a, b) => b[1] - a[1]).slice(0, 2).map(([size]) => size)
    const share = (counts: Map<number, number>): number => [usual, ...others].reduce((sum, size) => sum + (counts.get(size) ?? 0), 0) / [...counts.values()].reduce((a, b) => a + b)
    expect(Math.max(usual, ...others), way).toBeGreaterThan(4610)
    expect([share(idle[way]), share(busy[way])].every(part => part > 0.75), `${way}: ${JSON.stringify([[...idle[way]], [...busy[way]]])}`).toBe(true)
    const ratio = (counts: Map<number, number>): number => (counts.get(usual) ?? 0) / [...counts.values()].reduce((a, b) => a + b)
    expect(Math.abs(ratio(idle[way]) - ratio(busy[way])), way).toBeLessThan(0.15)
  }
}, 120_000)

it('another document changes the rates, begins and ends cover', async () => {
  await until(() => network.left.length > 50)
  network.publish({ ...COVER, send: 0, pace: 0 })
  const padding = (): number => network.meters.wallet.of('cover_padding')
  // What was under way comes to rest.
  let [before, padded] = [-1, -1]
  await until(() => {
    if (performance.now() - (network.left.at(-1) ?? 0) < 1000) return false
    const still = before === network.left.length && padded === padding()
    ;[before, padded] = [network.left.length, padding()]
    return still
  })
  const stopped = network.left.length
  const answer = await network.requester.request(network.members[4].host.peer, PROTOCOL, new Uint8Array(10).fill(7), { deadline: Date.now() + 60_000 })
  expect(answer).toEqual(new Uint8Array(2000).fill(7))
  expect(network.left.length - stopped).toBeLessThan(10)
  expect(padding()).toBe(padded)
  network.publish({ ...COVER, send: 200, echoes: 0, pace: 20 })
  const [begun, echoes] = [network.left.length, sent('echo')]
  const start = performance.now()
  await until(() => network.left.length > begun + 25)
  // 25 gaps of 200 ms: less than 2 s with a probability of 10⁻⁸; at the rate that there was it takes a second.
  expect(performance.now() - start).toBeGreaterThan(2000)
  expect(sent('echo') - echoes).toBeLessThan(2)
  await until(() => padding() > padded + 50)
}, 120_000)
