/** The network that the service is part of, whether a pool that is fed by hand (pool-network.ts) or a directory (directory-network.ts). */
import type { Millis, Rng } from '@mixmint/core/kit/ports'
import type { LinkId, Topology } from '../mixing/engine.ts'
import type { CoverPaths } from '../cover/sender.ts'
import type { Path, Paths } from '../session/engines.ts'
import type { PacketAddress } from '../sphinx/address.ts'
import type { Neighbourhood } from '../wire/packets.ts'
import type { Target } from '../wire/peers.ts'
import type { NetworkParameters } from './init.ts'
import type { MixPoolStatus } from './mix-pool.ts'

/** Who we are on this network: a node with an address of its own, or a client, attached to the entry that `entry` names now. */
export interface Self {
  /** Peer id, 39 bytes. */
  readonly peer: Uint8Array
  /** X25519 public key under which replies come, 32 bytes. */
  readonly mixKey: Uint8Array
  /** Null for a node with an address: this block, 94 bytes. Else the entry, 39 bytes, or null while there is none. */
  readonly block: Uint8Array | null
  readonly entry: () => Uint8Array | null
}

export interface MixNetwork {
  /** What all nodes do alike; null while that is not known. */
  parameters: () => NetworkParameters | null
  /** Resolves when it is known. Rejects, saying why not, when the signal fires. */
  ready: (signal: AbortSignal) => Promise<NetworkParameters>
  /** Is this one of the network's nodes, and not a client? */
  isNode: (peer: LinkId) => boolean
  /** By what a node of the network forwards. */
  readonly topology: Topology
  readonly neighbourhood: Neighbourhood
  /** May replies be given to this first hop of a SURB? */
  mayReplyTo: (firstHop: PacketAddress) => boolean
  /** Those that take clients. */
  entries: () => readonly Target[]
  /** Does this node answer at the end of a path itself? */
  answers: (peer: Uint8Array) => boolean
  /** An exit (39 bytes) that carries the protocol; null when there is none. Not the destination's own node, nor ours, nor our entry. */
  exit: (protocol: string, destination: PacketAddress, entry: Uint8Array | null) => Uint8Array | null
  paths: (self: Self) => Paths
  /** Of cover: to nodes at random, and back. */
  coverPaths: (self: Self) => CoverPaths
  /** Of loops: from us back to us; null while there is no path, or we are no node. */
  loopPath: (self: Self) => (now: Millis, rng: Rng) => Path | null
  /** This node could not be reached: for networks whose paths avoid such. */
  unreachable?: (peer: LinkId) => void
  /** Where a directory lists them: all nodes. */
  readonly listed?: () => MixPoolStatus[]
}
