/** What applications see of the service, and what the service takes of its node. */
import type { ComponentLogger, Libp2pEvents, Metrics, PeerId, PrivateKey, TypedEventTarget } from '@libp2p/interface'
import type { AddressManager, ConnectionManager, Registrar } from '@libp2p/interface-internal'
import type { Millis } from '@mixmint/core/kit/ports'
import type { MixCounts } from '../mixing/engine.ts'
import type { LoopFigures } from '../wire/loss-figures.ts'
import type { LinkCounts } from '../wire/packets.ts'
import type { Destination } from './destination.ts'
import type { MixPool, MixPoolEntry } from './mix-pool.ts'
import type { Leave, MixStream } from './stream.ts'

/** What the service takes of its node. */
export interface MixComponents {
  /** Of a secp256k1 identity: no other fits into packets. */
  readonly peerId: PeerId
  /** Signs what the node says of itself in a directory. */
  readonly privateKey: PrivateKey
  /** What the service logs stands under `mixmint:mixnet`. */
  readonly logger: ComponentLogger
  /** When the node begins to listen. */
  readonly events: TypedEventTarget<Libp2pEvents>
  /** Takes packets in, and finds the handlers of what is served. */
  readonly registrar: Pick<Registrar, 'handle' | 'unhandle' | 'getHandler' | 'getMiddleware'>
  /** Reaches other nodes, and destinations of an exit. */
  readonly connectionManager: Pick<ConnectionManager, 'getConnections' | 'openConnection' | 'openStream'>
  /** Where a relay is reached. */
  readonly addressManager: Pick<AddressManager, 'getAddresses'>
  /** Counters go here, where `MixInit.meter` names no other place. */
  readonly metrics?: Pick<Metrics, 'registerCounterGroup'>
}

/** How one exchange is made. Times in ms, lengths in bytes. */
export interface MixDialOptions {
  /** Is there a reply? False: the request leaves and the stream ends, with no way back in it. Default true. */
  readonly expectReply?: boolean
  /** Breaks the exchange off, at any time until it has ended. */
  readonly signal?: AbortSignal
  /** How long to wait for the reply, ms. Default: the limit of the same name. */
  readonly patience?: Millis
  /** A guess at the length of the reply, bytes: with it a long one comes at once, and not after it has been asked for. */
  readonly replySize?: number
  /** When the request leaves, see stream.ts. Default `quiet`: when the client waits for the reply, or closes its end. */
  readonly leave?: Leave
  /** With `quiet`, how long nothing more is written before it leaves, ms. Default 0: a turn of the event loop. */
  readonly quiet?: Millis
  /** Take this node as the exit, whoever answers. Default: any that carries the protocol, where the destination knows nothing of mixing. */
  readonly exit?: PeerId | string
}

/** How the service stands now; nothing in it says what was asked, or of whom. */
export interface MixStatus {
  /** The entry that this node is attached to; null: none, or it needs none. */
  readonly entry: string | null
  /** Packets: received = forwarded + delivered + dropped + queued. Null before the network is known. */
  readonly packets: { readonly mix: MixCounts, readonly links: LinkCounts } | null
  /** Of a node: what became of the packets that it sends to itself through the network, and over which nodes they are lost. */
  readonly loops: LoopFigures | null
  /** Of a client: the same of its echoes, which services answer. For its owner only: they say when it was here. */
  readonly echoes: LoopFigures | null
}

/** `node.services.mix` */
export interface MixService {
  /** The nodes of a network without a directory. */
  readonly pool: MixPool
  /**
   * Open a stream to a protocol of another node, over the mix. Whoever is asked does not learn who asks.
   * @param destination a node of the mix network: its own handlers answer, if it serves the protocol. Or the address of a
   *   node that knows nothing of mixing: an exit asks it
   * @param protocol one that the destination serves, or that an exit carries; over the mix none is negotiated
   * @throws bad-argument, bad-destination, unknown-destination, not-a-client, aborted (caller), not-started (caller, retry),
   *   no-exit, no-entry (operator, retry), not-sent (peer, retry): nothing was sent. How the exchange fails is the error of
   *   the stream: see `MixStream`
   */
  readonly dialProtocol: (destination: Destination, protocol: string, options?: MixDialOptions) => Promise<MixStream>
  /**
   * Make a libp2p service that asks others, such as `ping()` or `fetch()`, so that it asks over the mix:
   * `await client(ping()).ping(destination)`. Of components it gets a logger and a connection manager; it is not started,
   * so it answers nobody.
   * @param options of every exchange that it makes. The stream, or whatever the service makes of its error, fails as with
   *   `dialProtocol`
   */
  client: <T>(service: (components: never) => T, options?: Omit<MixDialOptions, 'signal' | 'expectReply'>) => T
  /**
   * Resolves when exchanges can be made: the network is known, and an entry has taken this node, if it needs one.
   * @param signal until then it waits; by default for the limit `patience`
   * @throws as dialProtocol, when the signal fires
   */
  ready: (signal?: AbortSignal) => Promise<void>
  /** This node's own entry, for the pools of others. @throws not-a-relay (caller) */
  describe: () => MixPoolEntry
  /** Also before the start and after the stop. */
  status: () => MixStatus
}
