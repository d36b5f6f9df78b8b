/** Packets for a mix under test: peers, keys, paths. */
import { defaultSuite } from '@mixmint/core/crypto/choose'
import { concat, toHex } from '@mixmint/core/kit/bytes'
import type { EpochKey } from '@mixmint/mixnet/mixing/keyring'
import { addressBlock } from '@mixmint/mixnet/sphinx/address'
import { createSurb, useSurb } from '@mixmint/mixnet/sphinx/surb'
import { wrap, type Hop } from '@mixmint/mixnet/sphinx/wrap'
import { seededRng } from '../doubles/rng.ts'

export const suite = await defaultSuite()
export const MEAN = 50
export const HERE = new Uint8Array(94)
export const chance = seededRng('mix material')

/** 39 bytes that look like a secp256k1 peer id. */
export function peerOf (name: string): Uint8Array {
  return concat(Uint8Array.of(0, 0x25, 8, 2, 0x12, 0x21, 2), suite.sha256(new TextEncoder().encode(name)))
}

export function linkOf (name: string): string {
  return toHex(peerOf(name))
}

export function blockOf (name: string, client?: string): Uint8Array {
  return addressBlock('/ip4/192.0.2.7/tcp/4001', peerOf(name), client === undefined ? null : peerOf(client))
}

export function keyOf (epoch: number, from = 0, until = Number.MAX_SAFE_INTEGER): EpochKey {
  return { epoch, privateKey: suite.sha256(Uint8Array.of(epoch)), from, until }
}

const others = suite.x25519Base(suite.sha256(Uint8Array.of(255)))

/** A packet for the mix under test whose next hop is at `next`. */
export function packetFor (key: EpochKey, next: Uint8Array, { delay = MEAN, message = new Uint8Array(3968) } = {}): Uint8Array {
  const hops: Hop[] = [
    { publicKey: suite.x25519Base(key.privateKey), address: blockOf('mix'), delay },
    { publicKey: others, address: next, delay: MEAN },
    { publicKey: others, address: blockOf('last'), delay: 0 }
  ]
  return wrap(suite, chance.bytes(32), hops, HERE, message)
}

/** A packet that ends at the mix under test. */
export function exitFor (key: EpochKey, message: Uint8Array, destination: Uint8Array = HERE): Uint8Array {
  return wrap(suite, chance.bytes(32), pathTo(key), destination, message)
}

/** A reply that ends at the mix under test. */
export function replyFor (key: EpochKey, surbId: Uint8Array, message: Uint8Array): Uint8Array {
  const { surb } = createSurb(suite, chance.bytes(32), pathTo(key), surbId, chance.bytes(16))
  const used = useSurb(suite, surb, message)
  if (used === null) throw new Error('not a SURB')
  return used.packet
}

function pathTo (key: EpochKey): Hop[] {
  return [{ publicKey: suite.x25519Base(key.privateKey), address: blockOf('mix'), delay: 0 }]
}
