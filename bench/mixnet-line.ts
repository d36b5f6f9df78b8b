/**
 * A line of three: a generator and a sink in this process, and between them one mix in a process of its own, over real
 * libp2p streams (TCP, Noise, Yamux). Packets are made ahead; the sink knows each by its alpha.
 */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { toHex } from '@mixmint/core/kit/bytes'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import type { Suite } from '@mixmint/core/crypto/suite'
import { poissonDelay } from '@mixmint/mixnet/mixing/poisson'
import { addressBlock } from '@mixmint/mixnet/sphinx/address'
import { geometryOf } from '@mixmint/mixnet/sphinx/layout'
import { peel } from '@mixmint/mixnet/sphinx/peel'
import { wrap } from '@mixmint/mixnet/sphinx/wrap'
import { PacketLinks } from '@mixmint/mixnet/wire/packets'
import { systemRng } from '../nodes/clock.ts'
import { createHost, type Host } from '../nodes/host.ts'
import { freshIdentity } from '../nodes/identity.ts'
import { streamOf, type Ready, type Report, type Setup } from './mixnet-node.ts'

const HERE = new Uint8Array(94)
const { packetSize: PACKET_SIZE, messageSize: MESSAGE_SIZE } = geometryOf(4608)
/** Alpha names a packet well enough by its first bytes. */
const NAME_BYTES = 8
const SEED_SALT = 16

export interface Made {
  readonly packet: Uint8Array
  /** How the sink sees it. */
  readonly name: string
}

/** The two ends of a line: hosts of this process, the sink's key, and the key of whichever mix stands between them. */
export class Ends {
  readonly suite: Suite
  readonly from: Host
  readonly to: Host
  readonly secret = systemRng.bytes(32)
  readonly #sinkKey: Uint8Array

  private constructor (suite: Suite, from: Host, to: Host) {
    this.suite = suite
    this.from = from
    this.to = to
    this.#sinkKey = suite.x25519Base(systemRng.bytes(32))
  }

  static async start (): Promise<Ends> {
    return new Ends(await defaultSuite(), await startHost(), await startHost())
  }

  /** Packets that ask a mix for this mean delay, ms; each may be sent once to one mix. */
  make (count: number, mean: number): Made[] {
    const sink = { publicKey: this.#sinkKey, address: addressBlock(this.to.addresses()[0], this.to.peer), delay: 0 }
    const hops = [{ publicKey: this.suite.x25519Base(this.secret), address: sink.address, delay: mean }, sink]
    const message = systemRng.bytes(MESSAGE_SIZE)
    return Array.from({ length: count }, () => {
      const packet = wrap(this.suite, systemRng.bytes(32), hops, HERE, message)
      const peeled = peel(this.suite, this.secret, packet)
      if (peeled.kind !== 'forward') throw new Error('a packet of the bench is not right')
      return { packet, name: nameOf(peeled.packet) }
    })
  }

  async stop (): Promise<void> {
    await this.from.stop()
    await this.to.stop()
  }
}

/** One mix between the two ends. */
export class Line {
  readonly #child: ChildProcess
  readonly #links: readonly PacketLinks[]
  readonly #mix: string
  readonly #mean: number
  readonly #seed: string
  /** A packet has come to the sink, at this time of `performance.now()`. */
  onArrival: (name: string, at: number) => void = () => {}

  private constructor (child: ChildProcess, links: readonly PacketLinks[], mix: string, mean: number, seed: string) {
    this.#child = child
    this.#links = links
    this.#mix = mix
    this.#mean = mean
    this.#seed = seed
  }

  /** @param mean the mean delay at the mix, ms */
  static async start ({ from, to, secret }: Ends, mean: number): Promise<Line> {
    const seed = toHex(systemRng.bytes(16))
    const child = fork(fileURLToPath(new URL('./mixnet-node.ts', import.meta.url)), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    child.send({ secret: toHex(secret), meanDelay: mean, seed, next: { peer: toHex(to.peer), addresses: to.addresses() } } satisfies Setup)
    const [ready] = await once(child, 'message') as [Ready]
    let arrived: Line['onArrival'] = () => {}
    const common = { packetSize: PACKET_SIZE, rng: systemRng, meter: { count: () => {} } }
    const generator = new PacketLinks({
      ...common, node: from.node, onPacket: () => {}, limits: { queue: 1 << 17, hold: 60_000 },
      neighbourhood: { addresses: () => ready.addresses, accepts: () => false }
    })
    const sink = new PacketLinks({
      ...common, node: to.node, neighbourhood: { addresses: () => [], accepts: () => true },
      onPacket: (_from, packet) => { arrived(nameOf(packet), performance.now()) }
    })
    await sink.start()
    const line = new Line(child, [generator, sink], ready.peer, mean, seed)
    arrived = (name, at) => { line.onArrival(name, at) }
    return line
  }

  /** The delays that the mix draws for the packets that it gets, in the order of sending, from the first of all on. */
  * delays (): Generator<number> {
    const rng = streamOf(this.#seed)
    rng.bytes(SEED_SALT)
    for (;;) yield poissonDelay(rng, this.#mean)
  }

  send (packet: Uint8Array): void {
    if (this.#links[0].send(this.#mix, packet) !== 'queued') throw new Error('the generator\'s queue is full')
  }

  async report (): Promise<Report> {
    this.#child.send('report')
    const [report] = await once(this.#child, 'message') as [Report]
    return report
  }

  /** The next epoch's key, and the end of the one before last, with its seen tags. */
  rotate (): void {
    this.#child.send('rotate')
  }

  async stop (): Promise<void> {
    this.#child.send('stop')
    await once(this.#child, 'exit')
    for (const links of this.#links) await links.stop(AbortSignal.timeout(1000))
  }
}

async function startHost (): Promise<Host> {
  return await createHost({ privateKey: await freshIdentity(), role: 'node', isKnown: () => true, listen: ['/ip4/127.0.0.1/tcp/0'], meter: { count: () => {} } })
}

function nameOf (packet: Uint8Array): string {
  return toHex(packet.subarray(0, NAME_BYTES))
}
