/**
 * Packets between neighbours, `/mix/1.0.0` (LIP-99 §5): one long-lived one-way stream for each neighbour and direction,
 * every packet a frame of exactly the network's size. From others we take more streams than one: the specification has
 * one for each packet, unless something better is done.
 *
 * Nodes of the network are dialled at the addresses that the directory gives; a packet that names another address does
 * not make us dial it. A wallet dials its gateway like any node; how a gateway serves wallets is in wallets.ts.
 */
import type { Connection, Stream } from '@libp2p/interface'
import { MixmintError, isMixmintError } from '@mixmint/core/kit/errors'
import type { Meter, Millis, Rng } from '@mixmint/core/kit/ports'
import type { LinkId } from '../mixing/engine.ts'
import { InboundStreams } from './inbound.ts'
import { PacketLink } from './link.ts'
import { dialable, isMixPeer, linkIdOf, peerBytes, peerIdOfLink } from './peers.ts'
import type { StreamHost } from './stream-host.ts'

export const MIX_PROTOCOL = '/mix/1.0.0'

/** The network around us, as the directory has it now. */
export interface Neighbourhood {
  /** Where to dial a node, multiaddrs without /p2p; empty for a peer that is not in the directory: nothing is sent to it. */
  readonly addresses: (peer: LinkId) => readonly string[]
  /** May this peer send us packets at all? */
  readonly accepts: (peer: LinkId) => boolean
  /** What it is to us, of a small fixed set, for counts: the layer that it stands in, say. */
  readonly kind?: ((peer: LinkId) => string) | undefined
}

export interface LinkLimits {
  /** Packets waiting for one neighbour. */
  readonly queue: number
  /** Neighbours that may send to us at one time. */
  readonly inbound: number
  /** Streams on which one of them may send at one time; another takes the place of its oldest. */
  readonly streams: number
  /** A neighbour that sends nothing for so long loses its stream (and opens another when it has something to send). */
  readonly silence: Millis
  /** A packet that has begun must be complete, and a stream take what is sent, within this time. */
  readonly stall: Millis
  readonly dialTimeout: Millis
  readonly backoff: { readonly first: Millis, readonly most: Millis }
  /** Packets for a node that cannot be reached are kept so long. */
  readonly hold: Millis
}

const LIMITS: LinkLimits = {
  queue: 4096, inbound: 1024, streams: 32, silence: 600_000, stall: 30_000, dialTimeout: 5_000,
  backoff: { first: 100, most: 1_000 }, hold: 30_000
}

export type SendResult = 'queued' | LinkDropReason
/** link-full: the queue for this neighbour is full. no-link: there is no way to it, or there was none for too long. */
export type LinkDropReason = 'link-full' | 'no-link'

/** sent + dropped + queued + unsent = all that `send` was given. Sent means handed to the stream. */
export interface LinkCounts {
  readonly received: number
  readonly sent: number
  /** Of these, to neighbours of each kind; empty where `Neighbourhood` has no kinds. */
  readonly sentTo: Readonly<Record<string, number>>
  /** Neighbours to whom our stream is open. */
  readonly up: number
  readonly queued: number
  /** Given back by `stop`. */
  readonly unsent: number
  readonly dropped: Readonly<Record<LinkDropReason, number>>
}

export interface PacketLinksOptions {
  readonly node: StreamHost
  readonly neighbourhood: Neighbourhood
  /** Bytes of every packet. */
  readonly packetSize: number
  /** The packet is only lent, until this has returned and settled. While a promise that it returned is pending, nothing more is read from this neighbour. */
  readonly onPacket: (from: LinkId, packet: Uint8Array) => void | Promise<void>
  /** A node of the network could not be reached, or took no stream of ours. */
  readonly onUnreachable?: (peer: LinkId) => void
  readonly rng: Rng
  readonly meter: Meter
  readonly limits?: Partial<LinkLimits>
}

/** A packet that was taken and has not left. */
export interface Unsent { readonly to: LinkId, readonly packet: Uint8Array }

/** Packets of one turn of the event loop, which leave together. */
export const FEW = 8

export class PacketLinks {
  readonly #options: PacketLinksOptions
  readonly #limits: LinkLimits
  readonly #outbound = new Map<LinkId, PacketLink>()
  readonly #inbound: InboundStreams
  readonly #dropped = { 'link-full': 0, 'no-link': 0 }
  #received = 0
  #sent = 0
  readonly #sentTo: Record<string, number> = {}
  #unsent = 0
  #closed = false

  constructor (options: PacketLinksOptions) {
    this.#options = options
    this.#limits = { ...LIMITS, ...options.limits }
    this.#inbound = new InboundStreams(options.node, MIX_PROTOCOL, this.#limits.streams)
  }

  /** Take packets from now on. */
  async start (): Promise<void> {
    // As many again are ending, or dead and not noticed yet: those that libp2p refuses would be packets lost.
    await this.#options.node.handle(MIX_PROTOCOL, (stream, connection) => { this.#onStream(stream, connection) },
      { maxInboundStreams: 2 * this.#limits.streams, maxOutboundStreams: 2 })
  }

  /** Never waits and never throws: the packet is queued, or dropped and counted. */
  send (to: LinkId, packet: Uint8Array): SendResult {
    const link = this.#link(to)
    if (link === undefined) return this.#drop('no-link', 1)
    return link.offer(packet) ? 'queued' : this.#drop('link-full', 1)
  }

  /** Keep a stream open to this node even with nothing to send: so a wallet stays reachable through its gateway. */
  keep (to: LinkId): void {
    this.#link(to)?.keep()
  }

  /** Is our stream to this peer open? */
  isUp (to: LinkId): boolean {
    return this.#outbound.get(to)?.up ?? false
  }

  /** Does it take packets as fast as they come? What paces packets must not fill a queue where it does not. */
  isFree (to: LinkId): boolean {
    return this.isUp(to) && (this.#outbound.get(to)?.queued ?? 0) < FEW
  }

  counts (): LinkCounts {
    let [queued, up] = [0, 0]
    for (const link of this.#outbound.values()) {
      queued += link.queued
      if (link.up) up += 1
    }
    return { received: this.#received, sent: this.#sent, sentTo: { ...this.#sentTo }, up, queued, unsent: this.#unsent, dropped: { ...this.#dropped } }
  }

  /** Take no more packets; nothing is lost, unless the signal fires before the neighbours have ended their streams. */
  async refuse (signal: AbortSignal): Promise<void> {
    await this.#inbound.refuse(signal)
  }

  /**
   * Send what is queued for neighbours whose streams are open, and end all streams when the neighbours have read it, at the
   * latest when the signal fires.
   * @returns what could not leave: of neighbours that are away themselves, or do not read
   */
  async stop (signal: AbortSignal): Promise<Unsent[]> {
    this.#closed = true
    await this.refuse(signal)
    const left = await Promise.all([...this.#outbound].map(async ([to, link]) => (await link.close(signal)).map(packet => ({ to, packet }))))
    this.#unsent = left.flat().length
    return left.flat()
  }

  #link (to: LinkId): PacketLink | undefined {
    const existing = this.#outbound.get(to)
    if (existing !== undefined || this.#closed) return existing
    if (this.#options.neighbourhood.addresses(to).length === 0) return undefined
    const { queue, hold, stall, backoff } = this.#limits
    const link = new PacketLink({
      open: async () => await this.#open(to),
      queue,
      hold,
      stall,
      backoff,
      rng: this.#options.rng,
      onSent: () => {
        this.#sent += 1
        const kind = this.#options.neighbourhood.kind?.(to)
        if (kind !== undefined) this.#sentTo[kind] = (this.#sentTo[kind] ?? 0) + 1
      },
      onFailed: () => { this.#options.onUnreachable?.(to) },
      onDropped: count => { this.#drop('no-link', count) },
      onOver: () => { this.#outbound.delete(to) }
    })
    this.#outbound.set(to, link)
    return link
  }

  async #open (to: LinkId): Promise<Stream> {
    const { node, neighbourhood } = this.#options
    const signal = AbortSignal.timeout(this.#limits.dialTimeout)
    const connection = this.#connectionOf(to)
    if (connection !== undefined) return await connection.newStream(MIX_PROTOCOL, { signal })
    const peer = peerIdOfLink(to)
    return await node.dialProtocol(dialable({ peer: peerBytes(peer), addresses: neighbourhood.addresses(to) }), MIX_PROTOCOL, { signal })
  }

  #connectionOf (peer: LinkId): Connection | undefined {
    try {
      return this.#options.node.getConnections(peerIdOfLink(peer)).find(({ status }) => status === 'open')
    } catch {
      return undefined // not a peer id: a packet may name anything
    }
  }

  #onStream (stream: Stream, connection: Connection): void {
    const refusal = this.#refusal(connection)
    if (refusal !== undefined) {
      this.#options.meter.count('mix_streams_refused', { reason: refusal.code })
      stream.abort(refusal)
      return
    }
    const from = linkIdOf(connection.remotePeer)
    const { silence, stall } = this.#limits
    const { packetSize, meter, onPacket } = this.#options
    const limits = { min: packetSize, max: packetSize, silence: silence + stall, stall, lent: true }
    this.#inbound.read(from, stream, limits, packet => {
      this.#received += 1
      return onPacket(from, packet)
    }, silence).catch((error: unknown) => { meter.count('mix_streams_broken', { reason: isMixmintError(error) ? error.code : 'internal' }) })
  }

  #refusal ({ remotePeer }: Connection): MixmintError | undefined {
    if (!isMixPeer(remotePeer) || !this.#options.neighbourhood.accepts(linkIdOf(remotePeer))) {
      return new MixmintError('stranger', 'peer', 'packets are not accepted from this peer')
    }
    if (this.#inbound.size >= this.#limits.inbound && !this.#inbound.has(linkIdOf(remotePeer))) {
      return new MixmintError('links-full', 'us', 'as many neighbours as we serve are connected', { retry: true })
    }
    return undefined
  }

  #drop (reason: LinkDropReason, count: number): LinkDropReason {
    this.#dropped[reason] += count
    return reason
  }
}
