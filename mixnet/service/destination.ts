/** Whom an exchange is for, out of what an application says. */
import { isPeerId, type PeerId } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { isMultiaddr, type Multiaddr } from '@multiformats/multiaddr'
import { MixmintError } from '@mixmint/core/kit/errors'
import { destinationBlock, type PacketAddress } from '../sphinx/address.ts'

/** A node of the network, by its peer id; or any libp2p node, by its address with /p2p (or several, of which one is taken). */
export type Destination = PeerId | Multiaddr | readonly Multiaddr[] | string

export interface Named {
  readonly id: PeerId
  /** The bytes of its peer id. */
  readonly peer: Uint8Array
  /** Where an exit can dial it; null when no address is given that packets can name. */
  readonly address: PacketAddress | null
}

/** @throws bad-destination (caller) */
export function readDestination (destination: Destination): Named {
  if (typeof destination === 'object' && isPeerId(destination)) return { ...idOf(destination), address: null }
  const texts = typeof destination === 'string' ? [destination] : Array.isArray(destination) ? destination.map(String) : isMultiaddr(destination) ? [destination.toString()] : []
  const named = texts.map(readText)
  return named.find(({ address }) => address !== null) ?? named[0] ?? bad()
}

function readText (text: string): Named {
  const [address, id, ...rest] = text.startsWith('/') ? text.split('/p2p/') : [null, text]
  if (id === undefined || rest.length > 0) bad()
  let named: Pick<Named, 'id' | 'peer'>
  try {
    named = idOf(peerIdFromString(id))
  } catch (cause) {
    bad(cause)
  }
  try {
    if (address === null) return { ...named, address: null }
    const reached = { multiaddr: address, peer: named.peer, client: null }
    destinationBlock(reached)
    return { ...named, address: reached }
  } catch {
    return { ...named, address: null }
  }
}

function idOf (id: PeerId): Pick<Named, 'id' | 'peer'> {
  return { id, peer: id.toMultihash().bytes }
}

function bad (cause?: unknown): never {
  throw new MixmintError('bad-destination', 'caller', 'a peer id of the mix network is wanted, or the address of a node with its peer id: /ip4/192.0.2.1/tcp/4001/p2p/…', { cause })
}
