/**
 * Who may pass packets on to whom (DESIGN §3, stratified): from a wallet over its gateway into layer 1, then layer by
 * layer, and from the last layer of mixes to services and gateways. A service sends its replies into layer 1. Loops of
 * mixes go on from the last layer over a gateway into layer 1: round and round, but never past a layer, and never further
 * than the five hops that a header has.
 */
import { fromHex, toHex } from '@mixmint/core/kit/bytes'
import type { LinkId, Topology } from '../mixing/engine.ts'
import type { PacketAddress } from '../sphinx/address.ts'
import { GATEWAY_LAYER, SERVICE_LAYER } from './document.ts'
import type { DirectoryView } from './view.ts'

/** May a service give replies to this first hop of a SURB? Return paths begin in layer 1. */
export function mayReplyTo (view: DirectoryView | null, { peer, client }: PacketAddress): boolean {
  return client === null && view?.byPeer(peer)?.layer === 1
}

/**
 * @param view the document in force, or null; asked at each packet
 * @param self the peer id of the node that forwards, 39 bytes
 */
export function topologyOf (view: () => DirectoryView | null, self: Uint8Array): Topology {
  const me = toHex(self)
  /** Null: not in the document, as wallets are. */
  const layerOf = (now: DirectoryView, link: LinkId): number | null => now.byPeer(fromHex(link))?.layer ?? null
  return {
    mayForward: (from, to, relay) => {
      // Listed nodes are reached at their own addresses; another way to write them would be a mark.
      if (relay !== null) return false
      const now = view()
      const here = now === null ? null : layerOf(now, me)
      if (now === null || here === null || here === SERVICE_LAYER) return false
      const [before, after] = [layerOf(now, from), layerOf(now, to)]
      const last = now.parameters.pathLength - 2
      const comes = here === GATEWAY_LAYER
        ? before === null || before === last
        : here === 1 ? before === GATEWAY_LAYER || before === SERVICE_LAYER : before === here - 1
      const goes = here === last ? after === GATEWAY_LAYER || after === SERVICE_LAYER : after === here + 1
      return comes && goes
    },
    mayReachWallet: (from, wallet) => {
      const now = view()
      return now !== null && layerOf(now, me) === GATEWAY_LAYER && layerOf(now, from) === now.parameters.pathLength - 2 && layerOf(now, wallet) === null
    }
  }
}
