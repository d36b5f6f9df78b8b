/** EMSA-PSS with SHA-384 and MGF1-SHA-384 (RFC 8017 §9.1, §B.2.1). */
import { concat, equal, isZero, u32 } from '../kit/bytes.ts'

type Hash = (...parts: readonly Uint8Array[]) => Uint8Array

const HASH = 48
const EIGHT_ZEROS = new Uint8Array(8)

function mgf1 (sha384: Hash, seed: Uint8Array, length: number): Uint8Array {
  const blocks: Uint8Array[] = []
  for (let i = 0; i * HASH < length; i++) blocks.push(sha384(seed, u32(i)))
  return concat(...blocks).subarray(0, length)
}

function xorInto (target: Uint8Array, mask: Uint8Array): void {
  for (let i = 0; i < target.length; i++) target[i] ^= mask[i]
}

/** Bits of the first octet that an encoding of `bits` bits leaves zero. */
function unusedBits (bits: number): number {
  return 8 * Math.ceil(bits / 8) - bits
}

/** §9.1.1. `bits` is one less than those of the modulus (at least 2040); the salt is chosen by the caller. */
export function encodePss (sha384: Hash, message: Uint8Array, salt: Uint8Array, bits: number): Uint8Array {
  const length = Math.ceil(bits / 8)
  const hash = sha384(EIGHT_ZEROS, sha384(message), salt)
  const block = new Uint8Array(length - HASH - 1)
  block[block.length - salt.length - 1] = 0x01
  block.set(salt, block.length - salt.length)
  xorInto(block, mgf1(sha384, hash, block.length))
  block[0] &= 0xff >> unusedBits(bits)
  return concat(block, hash, Uint8Array.of(0xbc))
}

/** §9.1.2, with a salt of exactly this length. */
export function verifyPss (sha384: Hash, message: Uint8Array, encoded: Uint8Array, bits: number, saltLength: number): boolean {
  const length = Math.ceil(bits / 8)
  if (encoded.length !== length || length < HASH + saltLength + 2 || encoded[length - 1] !== 0xbc) return false
  const block = encoded.slice(0, length - HASH - 1)
  const hash = encoded.subarray(block.length, length - 1)
  if ((block[0] & ~(0xff >> unusedBits(bits))) !== 0) return false
  xorInto(block, mgf1(sha384, hash, block.length))
  block[0] &= 0xff >> unusedBits(bits)
  const one = block.length - saltLength - 1
  if (!isZero(block.subarray(0, one)) || block[one] !== 0x01) return false
  return equal(hash, sha384(EIGHT_ZEROS, sha384(message), block.subarray(one + 1)))
}
