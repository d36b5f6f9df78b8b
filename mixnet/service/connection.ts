/**
 * Who a handler speaks with when the other side came over the mix: nobody that can be named. One placeholder stands for
 * all of them, so that a handler which counts or limits by peer takes them together.
 */
import { connectionSymbol, TypedEventEmitter } from '@libp2p/interface'
import type { Connection, ConnectionStatus, Logger, MessageStreamEvents, MultiaddrConnectionTimeline, PeerId, Stream } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr, type Multiaddr } from '@multiformats/multiaddr'
import { MixmintError } from '@mixmint/core/kit/errors'

/** SHA-256 of `mixmint/anonymous/1` as the multihash of a public key, which nobody has. */
export const ANONYMOUS: PeerId = peerIdFromString('QmR8rqo7fYC2EJCha57BzjW9RPsqWDHjBWK1BnhcfN1fGE')

/** Did this connection come over the mix? */
export function isAnonymous (connection: Pick<Connection, 'remotePeer'>): boolean {
  return connection.remotePeer.equals(ANONYMOUS)
}

export interface MixConnectionOptions {
  readonly id: string
  readonly log: Logger
  /** Bytes that may still be written, and seconds that are left for it: what `Connection.limits` tells handlers. */
  readonly limits: { readonly bytes: number, readonly seconds: number }
  /** When the request came in, Unix ms. */
  readonly opened: number
}

/** A connection of one stream, which the asker has opened; it cannot be dialled back. */
export class MixConnection extends TypedEventEmitter<Omit<MessageStreamEvents, 'drain' | 'message' | 'end'>> implements Connection {
  readonly [connectionSymbol] = true
  readonly id: string
  readonly remoteAddr: Multiaddr = multiaddr(`/p2p/${ANONYMOUS.toString()}`)
  readonly remotePeer = ANONYMOUS
  readonly direction = 'inbound'
  readonly encryption = 'sphinx'
  readonly direct = false
  readonly timeline: MultiaddrConnectionTimeline
  readonly limits: { bytes: bigint, seconds: number }
  readonly log: Logger
  streams: Stream[] = []

  constructor ({ id, log, limits, opened }: MixConnectionOptions) {
    super()
    this.id = id
    this.log = log
    this.limits = { bytes: BigInt(limits.bytes), seconds: limits.seconds }
    this.timeline = { open: opened }
  }

  get status (): ConnectionStatus {
    return this.streams[0]?.status ?? 'closed'
  }

  /** @throws anonymous (caller), always */
  async newStream (): Promise<Stream> {
    throw new MixmintError('anonymous', 'caller', 'whoever asked over the mix cannot be asked back; answer on the stream that there is')
  }

  async close (): Promise<void> {
    await Promise.all(this.streams.map(async stream => { await stream.close() }))
  }

  abort (error: Error): void {
    for (const stream of this.streams) stream.abort(error)
  }
}
