/**
 * RSA numbers (RFC 8017): what both suites check alike before they compute, and the PKCS #8 form of a private key
 * (RFC 5208, RFC 8017 §A.1.2), parsed strictly.
 */
import { bytesToNumberBE, numberToBytesBE } from '@noble/curves/utils.js'
import { compare } from '../kit/bytes.ts'
import { MixmintError } from '../kit/errors.ts'
import type { RsaPublicKey } from './suite.ts'

export const EXPONENT = 65537n
const MIN_MODULUS = 256
const MAX_MODULUS = 512

/** A modulus that both suites compute with: 2041 to 4096 bits without leading zero bytes, odd. */
export function isModulus (n: Uint8Array): boolean {
  return n.length >= MIN_MODULUS && n.length <= MAX_MODULUS && n[0] !== 0 && (n[n.length - 1] & 1) === 1
}

/** Is this a number below a usable modulus, written as long as the modulus? */
export function isBelow (key: RsaPublicKey, number: Uint8Array): boolean {
  return isModulus(key.n) && number.length === key.n.length && compare(number, key.n) < 0
}

export function toNumber (bytes: Uint8Array): bigint {
  return bytesToNumberBE(bytes)
}

/** I2OSP: big-endian, exactly this many bytes. */
export function toBytes (number: bigint, length: number): Uint8Array {
  return numberToBytesBE(number, length)
}

/** a⁻¹ mod n by Euclid's algorithm, or null where a and n have a factor in common. */
export function invert (a: bigint, n: bigint): bigint | null {
  let [r0, r1] = [n, a % n]
  let [t0, t1] = [0n, 1n]
  while (r1 !== 0n) {
    const quotient = r0 / r1;
    [r0, r1] = [r1, r0 - quotient * r1];
    [t0, t1] = [t1, t0 - quotient * t1]
  }
  if (r0 !== 1n) return null
  return t0 < 0n ? t0 + n : t0
}

export interface RsaPrivateNumbers {
  readonly n: bigint
  readonly d: bigint
  readonly p: bigint
  readonly q: bigint
  /** d mod p−1, d mod q−1, q⁻¹ mod p. */
  readonly dp: bigint
  readonly dq: bigint
  readonly qi: bigint
}

/** rsaEncryption 1.2.840.113549.1.1.1 with NULL parameters, as AlgorithmIdentifier. */
const RSA_ALGORITHM = Uint8Array.of(0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00)

/**
 * The numbers of a PKCS #8 private key whose relations hold: n = p·q, e·d ≡ 1, and the CRT values.
 * Not checked: that p and q are prime (whoever holds a key signs with it once, checks, and so finds out).
 * @throws bad-argument (caller) for anything but a two-prime RSA key, 2048 to 4096 bits, e = 65537
 */
export function parsePkcs8 (pkcs8: Uint8Array): RsaPrivateNumbers {
  const outer = new Der(new Der(pkcs8).only(0x30))
  if (outer.integer() !== 0n) throw bad('version 0 wanted')
  if (compare(outer.raw(RSA_ALGORITHM.length), RSA_ALGORITHM) !== 0) throw bad('it is of another algorithm')
  const key = new Der(new Der(outer.only(0x04)).only(0x30))
  if (key.integer() !== 0n) throw bad('two primes wanted')
  const n = key.integer()
  const e = key.integer()
  const [d, p, q, dp, dq, qi] = [key.integer(), key.integer(), key.integer(), key.integer(), key.integer(), key.integer()]
  key.end()
  const bits = n.toString(2).length
  if (bits < 2048 || bits > 4096 || bits % 8 !== 0) throw bad('a modulus of 2048 to 4096 bits, whole bytes, wanted')
  if (e !== EXPONENT) throw bad('the public exponent 65537 wanted')
  const sound = p > 1n && q > 1n && p !== q && p * q === n && d < n && (e * d) % (p - 1n) === 1n && (e * d) % (q - 1n) === 1n &&
    dp === d % (p - 1n) && dq === d % (q - 1n) && qi < p && (qi * q) % p === 1n
  if (!sound) throw bad('its numbers do not belong together')
  return { n, d, p, q, dp, dq, qi }
}

function bad (why: string): MixmintError {
  return new MixmintError('bad-argument', 'caller', `RSA private key: a PKCS #8 key in DER wanted; ${why}`)
}

/** Just enough DER: definite, minimal lengths; unsigned minimal integers. */
class Der {
  #at = 0
  readonly #bytes: Uint8Array

  constructor (bytes: Uint8Array) {
    this.#bytes = bytes
  }

  raw (length: number): Uint8Array {
    if (this.#at + length > this.#bytes.length) throw bad('it is cut short')
    this.#at += length
    return this.#bytes.subarray(this.#at - length, this.#at)
  }

  value (tag: number): Uint8Array {
    if (this.raw(1)[0] !== tag) throw bad('its structure is another')
    let length = this.raw(1)[0]
    if (length >= 0x80) {
      const size = length - 0x80
      if (size < 1 || size > 2) throw bad('a length in it is malformed')
      length = this.raw(size).reduce((sum, byte) => sum * 256 + byte, 0)
      if (length < (size === 1 ? 0x80 : 0x100)) throw bad('a length in it is malformed')
    }
    return this.raw(length)
  }

  /** A value after which nothing follows. */
  only (tag: number): Uint8Array {
    const value = this.value(tag)
    this.end()
    return value
  }

  integer (): bigint {
    const value = this.value(0x02)
    if (value.length === 0 || value[0] >= 0x80 || (value.length > 1 && value[0] === 0 && value[1] < 0x80)) throw bad('a number in it is malformed')
    return toNumber(value)
  }

  end (): void {
    if (this.#at !== this.#bytes.length) throw bad('something follows it')
  }
}
