/**
 * Who may pass packets on to whom (DESIGN §3, stratified): from a wallet over its gateway into layer 1, then layer by
 * layer, and from the last layer of mixes to services and gateways. A service sends its replies into layer 1. Loops of
 * mixes go on from the last layer over a gateway into layer 1: round and round, but never past a layer, and never further
 * than the five hops that a header has.
 *
 * Around the change of an epoch there are packets that were made by the document before, or by the next one where a clock is
 * ahead. A node that joins, leaves or moves to another layer must lose none of them: whatever one of these documents allows, is.
 */
import { fromHex, toHex } from '@mixmint/core/kit/bytes'
import type { LinkId, Topology } from '../mixing/engine.ts'
import type { PacketAddress } from '../sphinx/address.ts'
import { GATEWAY_LAYER, SERVICE_LAYER } from './document.ts'
import type { DirectoryView } from './view.ts'

/** May a service give replies to this first hop of a SURB? Return paths begin in layer 1. */
export function mayReplyTo (live: readonly DirectoryView[], { peer, client }: PacketAddress): boolean {
  return client === null && live.some(view => view.byPeer(peer)?.layer === 1)
}

/**
 * @param live the documents by which packets may have been made, see `DirectoryClient.live`; asked at each packet
 * @param self the peer id of the node that forwards, 39 bytes
 */
export function topologyOf (live: () => readonly DirectoryView[], self: Uint8Array): Topology {
  const me = toHex(self)
  /** Null: not in the document, as wallets are. */
  const layerOf = (view: DirectoryView, link: LinkId): number | null => view.byPeer(fromHex(link))?.layer ?? null
  const follows = (view: DirectoryView, from: LinkId, to: LinkId): boolean => {
    const here = layerOf(view, me)
    if (here === null || here === SERVICE_LAYER) return false
    const [before, after] = [layerOf(view, from), layerOf(view, to)]
    const last = view.parameters.pathLength - 2
    const comes = here === GATEWAY_LAYER
      ? before === null || before === last
      : here === 1 ? before === GATEWAY_LAYER || before === SERVICE_LAYER : before === here - 1
    const goes = here === last ? after === GATEWAY_LAYER || after === SERVICE_LAYER : after === here + 1
    return comes && goes
  }
  return {
    // Listed nodes are reached at their own addresses; another way to write them would be a mark.
    mayForward: (from, to, relay) => relay === null && live().some(view => follows(view, from, to)),
    mayReachWallet: (from, wallet) => {
      const views = live()
      return views.every(view => layerOf(view, wallet) === null) &&
        views.some(view => layerOf(view, me) === GATEWAY_LAYER && layerOf(view, from) === view.parameters.pathLength - 2)
    }
  }
}
