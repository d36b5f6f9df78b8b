/**
 * Keys of a wallet, all from its 64-byte BIP-39 seed (RFC 5869 HKDF-SHA256 with a tagged info), so that the seed brings
 * back every coin. Each restore draws a fresh `generation`, and `counter` rises with each output; a pair is never used twice.
 */
import { u32, u64, utf8 } from '../kit/bytes.ts'
import { tagged } from '../kit/codec.ts'
import type { Ed25519KeyPair, Suite } from '../crypto/suite.ts'

export interface OutputPlace {
  readonly keyset: Uint8Array
  readonly value: number
  readonly generation: number
  readonly counter: number
}

/** The coin's key pair, and the 32-byte seed of its blinding factor. */
export function coinSecrets (suite: Suite, seed: Uint8Array, { keyset, value, generation, counter }: OutputPlace): { key: Ed25519KeyPair, blinding: Uint8Array } {
  const place = [keyset, u64(value), u32(generation), u64(counter)]
  return {
    key: suite.ed25519KeyPair(derive(suite, seed, 'coin-key', ...place)),
    blinding: derive(suite, seed, 'coin-blinding', ...place)
  }
}

/** Of a sealed token: its owner's key pair, its nonce, and the 32-byte seed of its blinding factor. @param place `keyset` is the hash of its keys */
export function sealedSecrets (suite: Suite, seed: Uint8Array, { keyset, value, generation, counter }: OutputPlace): { owner: Ed25519KeyPair, nonce: Uint8Array, blinding: Uint8Array } {
  const place = [keyset, u64(value), u32(generation), u64(counter)]
  return {
    owner: suite.ed25519KeyPair(derive(suite, seed, 'sealed-owner', ...place)),
    nonce: derive(suite, seed, 'sealed-nonce', ...place),
    blinding: derive(suite, seed, 'sealed-blinding', ...place)
  }
}

/** The key that names the wallet's account at a bank. */
export function accountKey (suite: Suite, seed: Uint8Array, bank: Uint8Array, unit: string): Ed25519KeyPair {
  return suite.ed25519KeyPair(derive(suite, seed, 'account', bank, utf8(unit)))
}

/** The owner key of the token that a contract with this nonce buys. */
export function tokenOwnerKey (suite: Suite, seed: Uint8Array, nonce: Uint8Array): Ed25519KeyPair {
  return suite.ed25519KeyPair(derive(suite, seed, 'token-owner', nonce))
}

/** A contract's or withdrawal's nonce. 32 bytes. */
export function contractNonce (suite: Suite, seed: Uint8Array, generation: number, counter: number): Uint8Array {
  return derive(suite, seed, 'nonce', u32(generation), u64(counter))
}

/** Encrypts the copy of a contract that is filed under this coin. 32 bytes. */
export function copyKey (suite: Suite, seed: Uint8Array, coin: Uint8Array): Uint8Array {
  return derive(suite, seed, 'copy-key', coin)
}

/** Where the bank keeps the wallet's generation number `index`, and the key that encrypts it. 32 bytes each. */
export function generationSlot (suite: Suite, seed: Uint8Array, bank: Uint8Array, unit: string, index: number): { handle: Uint8Array, key: Uint8Array } {
  const place = [bank, utf8(unit), u32(index)]
  return { handle: derive(suite, seed, 'generation-handle', ...place), key: derive(suite, seed, 'generation-key', ...place) }
}

/** Where in the time that there is for it a coin is refreshed: from 0 to below 1, by no rule that anybody else could see. */
export function refreshPoint (suite: Suite, seed: Uint8Array, coin: Uint8Array): number {
  const bytes = derive(suite, seed, 'refresh', coin)
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0) / 2 ** 32
}

function derive (suite: Suite, seed: Uint8Array, what: string, ...place: readonly Uint8Array[]): Uint8Array {
  return suite.hkdfSha256(seed, new Uint8Array(0), tagged(`derive-${what}`, ...place), 32)
}
