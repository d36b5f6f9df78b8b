/** Peers under their three names: libp2p's PeerId, the bytes of its multihash (39 for secp256k1), and their hexadecimal, the LinkId. */
import { publicKeyFromRaw } from '@libp2p/crypto/keys'
import type { PeerId } from '@libp2p/interface'
import { peerIdFromPublicKey, peerIdFromString } from '@libp2p/peer-id'
import { multiaddr, type Multiaddr } from '@multiformats/multiaddr'
import { equal, fromHex, toHex } from '@mixmint/core/kit/bytes'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { LinkId } from '../mixing/engine.ts'

/** A peer and where it listens: multiaddrs without /p2p. A descriptor of the directory is one. */
export interface Target {
  /** 39 bytes. */
  readonly peer: Uint8Array
  readonly addresses: readonly string[]
}

/** Where strangers reach a node: wallets that attach or ask directly. */
export function entryOf ({ peer, entry }: { readonly peer: Uint8Array, readonly entry: readonly string[] }): Target {
  return { peer, addresses: entry }
}

/** Multihash and protobuf headers before the 33 bytes of a compressed secp256k1 key. */
const KEY_AT = 6
const SECP256K1_PEER_SIZE = KEY_AT + 33

/** 39 bytes for a secp256k1 identity; other kinds have other lengths. */
export function peerBytes (peer: PeerId): Uint8Array {
  return peer.toMultihash().bytes
}

/** Is this the identity of a node or wallet of a mix network? */
export function isMixPeer (peer: PeerId): boolean {
  return peer.type === 'secp256k1' && peerBytes(peer).length === SECP256K1_PEER_SIZE
}

/** @throws bad-peer-id (caller) for anything but the 39 bytes of a secp256k1 identity */
export function peerIdFromBytes (bytes: Uint8Array): PeerId {
  const peer = destinationPeer(bytes)
  if (isMixPeer(peer)) return peer
  throw new MixmintError('bad-peer-id', 'caller', 'a peer id of 39 bytes wanted, that of a secp256k1 key')
}

/**
 * Whom an exit is to ask: also an Ed25519 identity, 38 bytes.
 * @throws bad-peer-id (caller)
 */
export function destinationPeer (bytes: Uint8Array): PeerId {
  try {
    const peer = peerIdFromPublicKey(publicKeyFromRaw(bytes.slice(KEY_AT)))
    if (equal(peerBytes(peer), bytes)) return peer
  } catch {
    // Not a key.
  }
  throw new MixmintError('bad-peer-id', 'caller', 'a peer id of a secp256k1 or Ed25519 key wanted')
}

export function linkIdOf (peer: PeerId): LinkId {
  return toHex(peerBytes(peer))
}

/** @throws bad-peer-id (caller) */
export function peerIdOfLink (link: LinkId): PeerId {
  return peerIdFromBytes(fromHex(link))
}

/** What libp2p dials. @throws bad-peer-id, bad-address (caller) */
export function dialable ({ peer, addresses }: Target): Multiaddr[] {
  const id = peerIdFromBytes(peer).toString()
  try {
    return addresses.map(address => multiaddr(address).encapsulate(`/p2p/${id}`))
  } catch (error) {
    throw new MixmintError('bad-address', 'caller', 'multiaddrs without /p2p wanted, such as /ip4/192.0.2.1/tcp/4001', { cause: error })
  }
}

/** The target that `/ip4/…/tcp/…/p2p/…` names. @throws bad-address (caller) */
export function parseTarget (text: string): Target {
  const [address, id, ...rest] = text.split('/p2p/')
  try {
    const peer = peerIdFromString(id)
    if (rest.length === 0 && isMixPeer(peer) && multiaddr(address).getComponents().length > 0) {
      return { peer: peerBytes(peer), addresses: [address] }
    }
  } catch {
    // Said below.
  }
  throw new MixmintError('bad-address', 'caller', 'an address like /ip4/192.0.2.1/tcp/4001/p2p/16Uiu2… wanted, with the peer id of a secp256k1 key')
}

/** The other way round. */
export function formatTarget ({ peer, addresses }: Target): string {
  return `${addresses[0]}/p2p/${peerIdFromBytes(peer).toString()}`
}

/**
 * The part of a network address that one party has at its disposal at no further price: an IPv4 address, or the first
 * 64 bits of an IPv6 address. Connections from one such are counted as one crowd.
 */
export function groupOf (address: Multiaddr): string {
  const { name, value = '' } = address.getComponents()[0] ?? { name: '' }
  return name === 'ip6' ? networkOf(value) : value
}

/** The network addresses of nodes, as `groupOf` writes them. @throws bad-address (caller) */
export function groupsOf (targets: readonly Target[]): Set<string> {
  return new Set(targets.flatMap(dialable).map(groupOf))
}

/** The first four groups of an IPv6 address, written in full. */
function networkOf (address: string): string {
  const [head, tail] = address.split('::')
  const before = head === '' ? [] : head.split(':')
  const after = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros: string[] = tail === undefined ? [] : Array<string>(8 - before.length - after.length).fill('0')
  return [...before, ...zeros, ...after].slice(0, 4).map(group => group.padStart(4, '0')).join(':')
}
