/**
 * Node descriptors (DESIGN §3): what a node says about itself, signed by its libp2p identity.
 *
 *   peer id      00 25 (identity multihash, 37 bytes) ‖ 08 02 12 21 (protobuf: secp256k1, 33 bytes) ‖ compressed point
 *   signature    DER ECDSA over SHA-256 of tagged('directory-descriptor', descriptor), as libp2p's secp256k1 keys sign;
 *                only low s, so that nobody can make a second signature out of one
 */
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { multiaddr } from '@multiformats/multiaddr'
import { compare, concat, equal } from '@mixmint/core/kit/bytes'
import { encode, tagged } from '@mixmint/core/kit/codec'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Millis } from '@mixmint/core/kit/ports'
import type { Suite } from '@mixmint/core/crypto/suite'
import { addressBlock } from '../sphinx/address.ts'
import { Descriptor, type SignedDescriptor } from './formats.ts'

/** What comes before the compressed point in a secp256k1 peer id. */
const PEER_ID_PREFIX = Uint8Array.of(0x00, 0x25, 0x08, 0x02, 0x12, 0x21)
export const PEER_ID_LENGTH = 39
const BODY_LIMIT = 1 << 18

/** How the verifier sees the world. */
export interface DescriptorRules {
  readonly network: string
  /** `published` may not be later than this. */
  readonly latest: Millis
  /** Nor earlier than this. */
  readonly earliest: Millis
}

/** The peer id, 39 bytes, of a secp256k1 libp2p identity. @param secret the 32 raw bytes of its private key */
export function peerIdOf (secret: Uint8Array): Uint8Array {
  return concat(PEER_ID_PREFIX, secp256k1.getPublicKey(secret, true))
}

/** @param secret the 32 raw bytes of the node's libp2p private key (`privateKey.raw`) */
export function signDescriptor (secret: Uint8Array, descriptor: Descriptor): SignedDescriptor {
  return { descriptor, signature: secp256k1.sign(message(descriptor), secret, { format: 'der' }) }
}

/**
 * Check a descriptor by itself: everything that needs neither the admission list nor the other nodes.
 * @throws descriptor-network, descriptor-peer, descriptor-signature, descriptor-early, descriptor-stale, descriptor-kind,
 *   descriptor-body, descriptor-address, descriptor-keys, descriptor-key-order, descriptor-low-order (all peer)
 */
export function verifyDescriptor (suite: Suite, signed: SignedDescriptor, rules: DescriptorRules): void {
  const { descriptor, signature } = signed
  if (descriptor.network !== rules.network) {
    throw refuse('network', `this descriptor is for the network ${descriptor.network}, not ${rules.network}`)
  }
  if (!suite.secp256k1Verify(descriptor.peer.subarray(PEER_ID_PREFIX.length), message(descriptor), signature) || !hasPrefix(descriptor.peer)) {
    if (!isPeerId(descriptor.peer)) throw refuse('peer', 'the peer id is not that of a secp256k1 key; make the node\'s identity one')
    throw refuse('signature', 'the signature is not by the key of the peer id')
  }
  if (descriptor.published > rules.latest) throw refuse('early', 'published in the future: set the clock of the node that signed it')
  if (descriptor.published < rules.earliest) throw refuse('stale', 'published too long ago: the node has to sign a fresh one')
  checkRole(descriptor)
  checkAddresses(descriptor)
  checkKeys(descriptor)
}

function checkRole ({ role, kind, body }: Descriptor): void {
  const service = role === 'service'
  if (service ? !/^[a-z][a-z0-9-]{0,31}$/.test(kind) : kind !== '') {
    throw refuse('kind', 'a service names its kind in lower case; gateways and mixes have none')
  }
  if (body.length > (service ? BODY_LIMIT : 0)) {
    throw refuse('body', `a service may say up to ${BODY_LIMIT} bytes about itself, other nodes nothing`)
  }
}

function checkAddresses ({ role, addresses, entry, peer }: Descriptor): void {
  if (addresses.length === 0) throw refuse('address', 'no address is given')
  if (!isPacketAddress(addresses[0], peer)) throw refuse('address', 'the first address must be /ip4/…/tcp/…, to be reached by packets')
  if (role === 'mix' && entry.length > 0) throw refuse('address', 'wallets do not attach to mixes')
  if (role === 'gateway' && entry.length === 0) throw refuse('address', 'a gateway says where wallets attach')
  if (!entry.every(isEntryAddress)) throw refuse('address', 'every entry must be a multiaddr of TCP or WebSocket, without /p2p: /…/tcp/…, /…/tcp/…/ws')
  if (!addresses.every(isMultiaddr)) throw refuse('address', 'every address must be a multiaddr without /p2p')
}

function checkKeys ({ role, mixKeys }: Descriptor): void {
  if (role !== 'service' && mixKeys.length === 0) throw refuse('keys', 'gateways and mixes need mix keys')
  for (let i = 0; i < mixKeys.length; i++) {
    if (i > 0 && mixKeys[i].epoch <= mixKeys[i - 1].epoch) throw refuse('key-order', 'mix keys go by rising epoch, one for each')
    if (!isX25519Key(mixKeys[i].key)) throw refuse('low-order', 'a mix key is not canonical or is of low order')
  }
}

function isPacketAddress (address: string, peer: Uint8Array): boolean {
  try {
    addressBlock(address, peer)
    return address.includes('/tcp/')
  } catch {
    return false
  }
}

function isMultiaddr (address: string): boolean {
  try {
    return !multiaddr(address).getComponents().some(part => part.name === 'p2p')
  } catch {
    return false
  }
}

/** Such as /ip4/192.0.2.1/tcp/4001, /ip6/2001:db8::1/tcp/4002/ws, /dns/gateway.example/tcp/443/tls/ws. */
function isEntryAddress (address: string): boolean {
  try {
    const parts = multiaddr(address).getComponents().map(({ name }) => name)
    return /^(ip4|ip6|dns|dns4|dns6) tcp( ws| wss| tls ws)?$/.test(parts.join(' '))
  } catch {
    return false
  }
}

function message (descriptor: Descriptor): Uint8Array {
  return tagged('directory-descriptor', encode(Descriptor, descriptor))
}

function isPeerId (peer: Uint8Array): boolean {
  return hasPrefix(peer) && secp256k1.utils.isValidPublicKey(peer.subarray(PEER_ID_PREFIX.length), true)
}

function hasPrefix (peer: Uint8Array): boolean {
  return peer.length === PEER_ID_LENGTH && equal(peer.subarray(0, PEER_ID_PREFIX.length), PEER_ID_PREFIX)
}

/** 2^255 − 19, little-endian. */
const P = littleEndian(2n ** 255n - 19n)
/** The u-coordinates of the points of order 1, 2, 4 and 8 on Curve25519 and its twist (RFC 7748 §6.1, §7). */
const LOW_ORDER = [
  0n, 1n, 2n ** 255n - 20n,
  325606250916557431795983626356110631294008115727848805560023387167927233504n,
  39382357235489614581723060781553021112529911719440698176882885853963445705823n
].map(littleEndian)

function isX25519Key (key: Uint8Array): boolean {
  return key.length === 32 && compare(key.toReversed(), P.toReversed()) < 0 && !LOW_ORDER.some(point => equal(point, key))
}

function littleEndian (value: bigint): Uint8Array {
  return Uint8Array.from({ length: 32 }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn))
}

function refuse (what: string, why: string): MixmintError {
  return new MixmintError(`descriptor-${what}`, 'peer', why)
}
