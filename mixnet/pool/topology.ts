/**
 * Who may pass packets on to whom where no directory assigns layers: any node of the pool to any other. Packets go to nodes
 * of the pool only, at the addresses that the pool has of them: a node that dialled whatever a packet names would let
 * strangers reach, through it, what they could not reach themselves (docs/decisions/0017-networks-without-a-directory.md).
 */
import { toHex } from '@mixmint/core/kit/bytes'
import type { LinkId, Topology } from '../mixing/engine.ts'
import { nodeOf, type PacketAddress } from '../sphinx/address.ts'
import type { Neighbourhood } from '../wire/packets.ts'
import type { NodePool } from './pool.ts'

/** @param clients may they attach to this node, and have replies passed on to them? */
export function poolTopology (pool: NodePool, clients: boolean): Topology {
  return {
    mayForward: (_, to) => pool.get(to) !== undefined,
    mayReachWallet: (_, client) => clients || pool.get(client) !== undefined
  }
}

/** @param clients as for `poolTopology`: packets are then accepted from anybody */
export function poolNeighbourhood (pool: NodePool, clients: boolean): Neighbourhood {
  return {
    addresses: (peer: LinkId) => pool.get(peer)?.addresses ?? [],
    accepts: (peer: LinkId) => clients || pool.get(peer) !== undefined
  }
}

/** May a service, or an exit, give replies to this first hop of a SURB? */
export function mayReplyInto (pool: NodePool, firstHop: PacketAddress): boolean {
  return pool.get(toHex(nodeOf(firstHop))) !== undefined
}
