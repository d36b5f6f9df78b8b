/**
 * What the wire needs of libp2p: streams taken and opened. A whole node (`Libp2p`) is one; a service inside a node makes
 * one of its components, `registrar` (handle, unhandle) and `connectionManager` (getConnections, openStream).
 */
import type { Connection, PeerId, Stream, StreamHandler } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'

export interface StreamHost {
  readonly handle: (protocol: string, handler: StreamHandler, options: { maxInboundStreams: number, maxOutboundStreams: number }) => Promise<void>
  readonly unhandle: (protocol: string) => Promise<void>
  /** Of this peer, or all. */
  readonly getConnections: (peer?: PeerId) => Connection[]
  /** A stream over a connection that there is, or else a new one to these addresses, which end in /p2p of one peer. */
  readonly dialProtocol: (addresses: Multiaddr[], protocol: string, options: { signal: AbortSignal }) => Promise<Stream>
}
