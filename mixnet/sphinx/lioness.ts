/**
 * LIONESS, the payload's wide-block cipher (Anderson and Biham, "Two practical and provably secure block ciphers: BEAR
 * and LION", FSE 1996): one changed bit of the ciphertext makes noise of the whole plaintext, so that nobody can mark a
 * packet and recognize it behind an honest mix. Left half 32 bytes; stream rounds ChaCha20 (RFC 8439, counter 0)
 * under L ⊕ K, hash rounds keyed BLAKE2b-256 (RFC 7693).
 *
 *   master = SHA-256(delta_key ‖ secret)     K1 ‖ K2 ‖ K3 ‖ K4 = SHAKE128(master, 128)
 *   iv     = SHA-256(delta_iv ‖ secret)[0..12]
 *   encrypt: R ⊕= stream(L ⊕ K1), L ⊕= hash(K2, R), R ⊕= stream(L ⊕ K3), L ⊕= hash(K4, R)
 *
 * The secret is a hop's shared secret (32 bytes) or a SURB's key (16 bytes).
 */
import { utf8 } from '@mixmint/core/kit/bytes'
import type { Suite } from '@mixmint/core/crypto/suite'

const LEFT = 32
const IV_SIZE = 12
const DELTA_KEY = utf8('delta_key')
const DELTA_IV = utf8('delta_iv')

interface RoundKeys {
  readonly k: readonly [Uint8Array, Uint8Array, Uint8Array, Uint8Array]
  readonly iv: Uint8Array
}

function roundKeys (suite: Suite, secret: Uint8Array): RoundKeys {
  const all = suite.shake128(suite.sha256(DELTA_KEY, secret), 4 * LEFT)
  const key = (i: number): Uint8Array => all.subarray(i * LEFT, (i + 1) * LEFT)
  return { k: [key(0), key(1), key(2), key(3)], iv: suite.sha256(DELTA_IV, secret).slice(0, IV_SIZE) }
}

function xor32 (a: Uint8Array, b: Uint8Array): Uint8Array {
  const out = new Uint8Array(LEFT)
  for (let i = 0; i < LEFT; i++) out[i] = a[i] ^ b[i]
  return out
}

/** Encrypt `from` into `to`, equally long (more than 32 bytes); the two may be the same array. */
export function lionessEncrypt (suite: Suite, secret: Uint8Array, from: Uint8Array, to: Uint8Array): void {
  const { k, iv } = roundKeys(suite, secret)
  const right = to.subarray(LEFT)
  let left = from.subarray(0, LEFT)
  suite.chacha20(xor32(left, k[0]), iv, from.subarray(LEFT), right)
  left = xor32(left, suite.blake2b256(k[1], right))
  suite.chacha20(xor32(left, k[2]), iv, right, right)
  to.set(xor32(left, suite.blake2b256(k[3], right)))
}

/** The inverse of `lionessEncrypt`. */
export function lionessDecrypt (suite: Suite, secret: Uint8Array, from: Uint8Array, to: Uint8Array): void {
  const { k, iv } = roundKeys(suite, secret)
  const right = to.subarray(LEFT)
  let left = xor32(from.subarray(0, LEFT), suite.blake2b256(k[3], from.subarray(LEFT)))
  suite.chacha20(xor32(left, k[2]), iv, from.subarray(LEFT), right)
  left = xor32(left, suite.blake2b256(k[1], right))
  suite.chacha20(xor32(left, k[0]), iv, right, right)
  to.set(left)
}
