/**
 * Connections as the two ends of an exchange over the mix see them; neither has the other at its end. A handler speaks with
 * nobody that can be named: one placeholder stands for all who ask over the mix, so that a handler which counts or limits by
 * peer takes them together. A client's connection is to whom it asks, each stream of it an exchange of its own.
 */
import { connectionSymbol, TypedEventEmitter } from '@libp2p/interface'
import type { Connection, ConnectionLimits, ConnectionStatus, Logger, MessageStreamDirection, MessageStreamEvents, MultiaddrConnectionTimeline, NewStreamOptions, PeerId, Stream } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr, type Multiaddr } from '@multiformats/multiaddr'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Millis } from '@mixmint/core/kit/ports'

/**
 * The peer that handlers see of whoever asks over the mix: SHA-256 of `mixmint/anonymous/1` as the multihash of a public
 * key, which nobody has.
 */
export const ANONYMOUS: PeerId = peerIdFromString('QmR8rqo7fYC2EJCha57BzjW9RPsqWDHjBWK1BnhcfN1fGE')

/**
 * Did this connection, which a handler got, come over the mix? Then nothing is known of the other side: not that two
 * requests come from one, nor that they come from two.
 */
export function isAnonymous (connection: Pick<Connection, 'remotePeer'>): boolean {
  return connection.remotePeer.equals(ANONYMOUS)
}

interface MixConnectionOptions {
  readonly id: string
  readonly log: Logger
  readonly remotePeer: PeerId
  readonly direction: MessageStreamDirection
  /** Unix ms. */
  readonly opened: Millis
}

/** What both ends have: streams, which are the connection. */
abstract class MixConnection extends TypedEventEmitter<Omit<MessageStreamEvents, 'drain' | 'message' | 'end'>> implements Connection {
  readonly [connectionSymbol] = true
  readonly id: string
  readonly remoteAddr: Multiaddr
  readonly remotePeer: PeerId
  readonly direction: MessageStreamDirection
  readonly encryption = 'sphinx'
  readonly direct = false
  readonly timeline: MultiaddrConnectionTimeline
  readonly log: Logger
  readonly limits?: ConnectionLimits
  streams: Stream[] = []

  constructor ({ id, log, remotePeer, direction, opened }: MixConnectionOptions) {
    super()
    this.id = id
    this.log = log
    this.remotePeer = remotePeer
    this.remoteAddr = multiaddr(`/p2p/${remotePeer.toString()}`)
    this.direction = direction
    this.timeline = { open: opened }
  }

  abstract get status (): ConnectionStatus

  abstract newStream (protocols: string | string[], options?: NewStreamOptions): Promise<Stream>

  async close (): Promise<void> {
    await Promise.all(this.streams.map(async stream => { await stream.close() }))
  }

  abort (error: Error): void {
    for (const stream of this.streams) stream.abort(error)
  }
}

export interface AnsweringOptions extends Omit<MixConnectionOptions, 'remotePeer' | 'direction'> {
  /** Bytes that may still be written, and seconds that are left for it: what `Connection.limits` tells handlers. */
  readonly limits: { readonly bytes: number, readonly seconds: number }
}

/** A handler's: of one stream, which the asker has opened; it cannot be dialled back. */
export class AnsweringConnection extends MixConnection {
  override readonly limits: { bytes: bigint, seconds: number }

  constructor ({ limits, ...options }: AnsweringOptions) {
    super({ ...options, remotePeer: ANONYMOUS, direction: 'inbound' })
    this.limits = { bytes: BigInt(limits.bytes), seconds: limits.seconds }
  }

  get status (): ConnectionStatus {
    return this.streams[0]?.status ?? 'closed'
  }

  /** @throws anonymous (caller), always */
  async newStream (): Promise<Stream> {
    throw new MixmintError('anonymous', 'caller', 'whoever asked over the mix cannot be asked back; answer on the stream that there is')
  }
}

export interface AskingOptions extends Omit<MixConnectionOptions, 'direction'> {
  /** Opens a stream over the mix. */
  readonly open: (protocol: string, signal: AbortSignal | undefined) => Promise<Stream>
}

/** A client's. Nothing is held open for it anywhere: it is open until it is closed here. */
export class AskingConnection extends MixConnection {
  readonly #open: AskingOptions['open']
  #status: ConnectionStatus = 'open'

  constructor ({ open, ...options }: AskingOptions) {
    super({ ...options, direction: 'outbound' })
    this.#open = open
  }

  get status (): ConnectionStatus {
    return this.#status
  }

  /** @throws bad-argument (caller): more than one protocol; what the opening throws */
  async newStream (protocols: string | string[], options?: NewStreamOptions): Promise<Stream> {
    const [protocol, ...others] = typeof protocols === 'string' ? [protocols] : protocols
    if (protocol === undefined || others.length > 0) {
      throw new MixmintError('bad-argument', 'caller', 'over the mix no protocol is negotiated: name just one')
    }
    const stream = await this.#open(protocol, options?.signal)
    this.streams.push(stream)
    stream.addEventListener('close', () => { this.streams = this.streams.filter(other => other !== stream) }, { once: true })
    return stream
  }

  override async close (): Promise<void> {
    await super.close()
    this.#status = 'closed'
  }

  override abort (error: Error): void {
    super.abort(error)
    this.#status = 'aborted'
  }
}
