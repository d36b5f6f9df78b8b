/** Whom an exchange is for, out of what an application says. */
import { isPeerId, type PeerId } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import type { Multiaddr } from '@multiformats/multiaddr'
import { MixmintError } from '@mixmint/core/kit/errors'
import { destinationBlock, type PacketAddress } from '../sphinx/address.ts'

/** A node of the network, by its peer id; or any libp2p node, by its address with /p2p (or several, of which one is taken). */
export type Destination = PeerId | Multiaddr | readonly Multiaddr[] | string

export interface Named {
  /** The bytes of its peer id. */
  readonly peer: Uint8Array
  /** Where an exit can dial it; null when no address is given that packets can name. */
  readonly address: PacketAddress | null
}

/** @throws bad-destination (caller) */
export function readDestination (destination: Destination): Named {
  if (typeof destination !== 'string' && isPeerId(destination)) return { peer: destination.toMultihash().bytes, address: null }
  const texts = typeof destination === 'string' ? [destination] : 'getComponents' in destination ? [destination.toString()] : destination.map(String)
  const named = texts.map(readText)
  return named.find(({ address }) => address !== null) ?? named[0] ?? bad()
}

function readText (text: string): Named {
  const [address, id, ...rest] = text.startsWith('/') ? text.split('/p2p/') : [null, text]
  if (id === undefined || rest.length > 0) bad()
  let peer: Uint8Array
  try {
    peer = peerIdFromString(id).toMultihash().bytes
  } catch (cause) {
    bad(cause)
  }
  try {
    if (address === null) return { peer, address: null }
    const named = { multiaddr: address, peer, client: null }
    destinationBlock(named)
    return { peer, address: named }
  } catch {
    return { peer, address: null }
  }
}

function bad (cause?: unknown): never {
  throw new MixmintError('bad-destination', 'caller', 'a peer id of the mix network is wanted, or the address of a node with its peer id: /ip4/192.0.2.1/tcp/4001/p2p/…', { cause })
}
