/**
 * Paths (DESIGN §2, §3). pathLength counts the destination:
 *
 *   there   gateway → a mix of layer 1 → … → a mix of layer pathLength − 2 → service
 *   back    a mix of layer 1 → … → a mix of layer pathLength − 2 → gateway → wallet
 *   loop    of a mix of layer i: layers i + 1 … pathLength − 2 → gateway → layers 1 … i − 1 → itself, one hop fewer;
 *           of a gateway or service: layers 1 … pathLength − 2 → itself
 *
 * Within a layer every mix is as likely as any other. All hops but the last are told the mean delay of the network.
 */
import { fromHex } from '@mixmint/core/kit/bytes'
import { isMixmintError, MixmintError } from '@mixmint/core/kit/errors'
import type { Meter, Millis, Rng } from '@mixmint/core/kit/ports'
import { addressBlock } from '../sphinx/address.ts'
import type { Hop } from '../sphinx/header.ts'
import type { CoverPaths } from '../cover/sender.ts'
import type { Path, Paths } from '../session/engines.ts'
import { GATEWAY_LAYER, SERVICE_LAYER } from './document.ts'
import type { DirectoryNode, DirectoryView } from './view.ts'
import { drawFrom, layersAround } from './way.ts'

/** A hop to be, and until when its key lives. */
interface Leg { readonly hop: Hop, readonly until: Millis }

/** A gateway for a wallet to keep to. @throws route-layer-empty (operator) */
export function chooseGateway (view: DirectoryView, rng: Rng): DirectoryNode {
  return choose(view, GATEWAY_LAYER, rng)
}

/**
 * A path for `wrap`; the last hop is the destination.
 * @param ends.from the gateway's peer id, 39 bytes; the packet is given to it
 * @param ends.to the service's peer id
 * @throws route-gateway-unknown, route-service-unknown, route-no-key (caller), route-layer-empty (operator)
 */
export function choosePath (view: DirectoryView, rng: Rng, now: Millis, ends: { from: Uint8Array, to: Uint8Array }): Path {
  const service = view.byPeer(ends.to)
  if (service?.role !== 'service') throw unknown('service')
  return path([leg(view, gateway(view, ends.from), now), ...mixes(view, rng, now), leg(view, service, now)])
}

/**
 * A path for `createSurb`; the last hop is the wallet, reached on the connection that it opened to its gateway.
 * @param ends.gateway the gateway's peer id, 39 bytes
 * @param ends.walletPeer the wallet's, of this session
 * @param ends.walletKey the X25519 key of this wallet, 32 bytes
 * @throws as choosePath
 */
export function chooseReturnPath (
  view: DirectoryView, rng: Rng, now: Millis, ends: { gateway: Uint8Array, walletPeer: Uint8Array, walletKey: Uint8Array }
): Path {
  const node = gateway(view, ends.gateway)
  const wallet = { publicKey: ends.walletKey, address: addressBlock(node.addresses[0], node.peer, ends.walletPeer), delay: 0 }
  return path([...mixes(view, rng, now), leg(view, node, now), { hop: wallet, until: Infinity }])
}

/** Who a wallet's session is: attached to this gateway (39 bytes) as `peer` (39 bytes), with this X25519 public key (32 bytes). */
export interface Attachment {
  readonly gateway: Uint8Array
  readonly peer: Uint8Array
  readonly mixKey: Uint8Array
}

/**
 * The paths of a wallet's session.
 * @param view the document in force, or null while there is none
 */
export function directoryPaths (view: () => DirectoryView | null, { gateway, peer, mixKey }: Attachment, meter: Meter): Paths {
  const find = finder(view, code => { meter.count('request_no_path', { code }) })
  return {
    forward: ({ service }, now, rng) => find(now, known => choosePath(known, rng, now, { from: gateway, to: fromHex(service) })),
    back: (_, now, rng) => find(now, known => chooseReturnPath(known, rng, now, { gateway, walletPeer: peer, walletKey: mixKey }))
  }
}

/** Of a wallet's cover: to services at random, and back. */
export function coverPaths (view: () => DirectoryView | null, { gateway, peer, mixKey }: Attachment): CoverPaths {
  const find = finder(view)
  return {
    forward: (now, rng) => find(now, known => choosePath(known, rng, now, { from: gateway, to: chooseService(known, rng).peer })),
    back: (now, rng) => find(now, known => chooseReturnPath(known, rng, now, { gateway, walletPeer: peer, walletKey: mixKey }))
  }
}

/** Of a node's loops. @param self its peer id, 39 bytes */
export function loopPaths (view: () => DirectoryView | null, self: Uint8Array): (now: Millis, rng: Rng) => Path | null {
  const find = finder(view)
  return (now, rng) => find(now, known => chooseLoop(known, rng, now, self))
}

/** Null when the network has no such path at this time, or none that can be written down; a later draw or document may. */
function finder (view: () => DirectoryView | null, failed: (code: string) => void = () => {}) {
  return (now: Millis, choose: (view: DirectoryView) => Path): Path | null => {
    const known = view()
    if (known === null || !known.isInForce(now)) return null
    try {
      return choose(known)
    } catch (error) {
      if (!isMixmintError(error)) throw error
      failed(error.code)
      return null
    }
  }
}

/** A random one of the services that are reached through the mixnet. @throws route-layer-empty (operator) */
export function chooseService (view: DirectoryView, rng: Rng): DirectoryNode {
  return choose(view, SERVICE_LAYER, rng, ({ mixKeys }) => mixKeys.length > 0)
}

/**
 * A path that ends where it begins, for a node's own loops.
 * @param self the peer id of the node that sends it, 39 bytes
 * @throws route-unlisted, route-no-key (caller), route-layer-empty (operator)
 */
export function chooseLoop (view: DirectoryView, rng: Rng, now: Millis, self: Uint8Array): Path {
  const node = view.byPeer(self)
  if (node === undefined) throw new MixmintError('route-unlisted', 'caller', 'this node is not in the directory\'s document of this epoch: no path leads back to it', { retry: true })
  const around = layersAround(node.role === 'mix' ? node.layer : GATEWAY_LAYER, view.parameters.pathLength - 2)
  return path([...around.map(layer => leg(view, choose(view, layer, rng), now)), leg(view, node, now)])
}

/** A delay of zero is how the last hop knows that it is the last. */
function path (legs: readonly Leg[]): Path {
  return {
    hops: legs.map(({ hop }, i) => i === legs.length - 1 ? { ...hop, delay: 0 } : hop),
    expires: Math.min(...legs.map(({ until }) => until))
  }
}

function mixes (view: DirectoryView, rng: Rng, now: Millis): Leg[] {
  return Array.from({ length: view.parameters.pathLength - 2 }, (_, i) => leg(view, choose(view, i + 1, rng), now))
}

function leg (view: DirectoryView, node: DirectoryNode, now: Millis): Leg {
  const mixKey = view.mixKey(node, now)
  if (mixKey === null) throw new MixmintError('route-no-key', 'caller', 'this node has no mix key: it is not reached through the mixnet')
  const { key, until } = mixKey
  return { hop: { publicKey: key, address: addressBlock(node.addresses[0], node.peer), delay: view.parameters.meanDelay }, until }
}

function choose (view: DirectoryView, layer: number, rng: Rng, fits: (node: DirectoryNode) => boolean = () => true): DirectoryNode {
  const nodes = view.layer(layer).filter(fits)
  if (nodes.length === 0) {
    throw new MixmintError('route-layer-empty', 'operator', `no node stands in layer ${layer} of the network: no path can be made in this epoch`)
  }
  return drawFrom(nodes, rng)
}

function gateway (view: DirectoryView, peer: Uint8Array): DirectoryNode {
  const node = view.byPeer(peer)
  if (node?.role !== 'gateway') throw unknown('gateway')
  return node
}

function unknown (what: 'gateway' | 'service'): MixmintError {
  return new MixmintError(`route-${what}-unknown`, 'caller', `this ${what} is not in the directory's document of this epoch`)
}
