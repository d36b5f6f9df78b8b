/**
 * The pure suite: noble's audited JavaScript, for browsers and for platforms without native binaries. Big numbers are
 * JavaScript's, whose time depends on their values: enough for a wallet in a page, not for a bank or a mix.
 */
import { ctr } from '@noble/ciphers/aes.js'
import { chacha20, xchacha20poly1305 } from '@noble/ciphers/chacha.js'
import { ed25519, x25519 } from '@noble/curves/ed25519.js'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { bytesToNumberLE } from '@noble/curves/utils.js'
import { blake2b } from '@noble/hashes/blake2.js'
import { hkdf } from '@noble/hashes/hkdf.js'
import { hmac } from '@noble/hashes/hmac.js'
import { sha256, sha384, sha512 } from '@noble/hashes/sha2.js'
import { shake128 } from '@noble/hashes/sha3.js'
import { concat, equal } from '../kit/bytes.ts'
import { MAX_BLAKE_KEY, MAX_HKDF, MAX_SHAKE, MIN_BLAKE_KEY, wantLength, wantLengthWithin, wantNumber } from './arguments.ts'
import { rsaBlindSign, rsaImportPrivate, rsaPublicRaw, rsaVerifyPss } from './pure-rsa.ts'
import type { Suite } from './suite.ts'

export const pureSuite: Suite = {
  name: 'pure',
  sha256: (...parts) => sha256(joined(parts)),
  sha384: (...parts) => sha384(joined(parts)),
  hmacSha256: (key, ...parts) => hmac(sha256, key, joined(parts)),
  hkdfSha256: (secret, salt, info, length) => {
    wantNumber('HKDF output', length, 1, MAX_HKDF)
    return hkdf(sha256, secret, salt, info, length)
  },
  blake2b256: (key, data) => {
    wantLengthWithin('BLAKE2b key', key, MIN_BLAKE_KEY, MAX_BLAKE_KEY)
    return blake2b(data, { key, dkLen: 32 })
  },
  shake128: (data, length) => {
    wantNumber('SHAKE128 output', length, 1, MAX_SHAKE)
    return shake128(data, { dkLen: length })
  },
  aes128ctr: (key, iv, data) => {
    wantLength('AES key', key, 16)
    wantLength('AES counter block', iv, 16)
    return ctr(key, iv).encrypt(data)
  },
  chacha20: (key, nonce, data, into = new Uint8Array(data.length)) => {
    wantLength('ChaCha20 key', key, 32)
    wantLength('ChaCha20 nonce', nonce, 12)
    wantLength('ChaCha20 output', into, data.length)
    return chacha20(key, nonce, data, into)
  },
  seal: (key, nonce, plaintext, associated) => {
    wantLength('XChaCha20-Poly1305 key', key, 32)
    wantLength('XChaCha20-Poly1305 nonce', nonce, 24)
    return xchacha20poly1305(key, nonce, associated).encrypt(plaintext)
  },
  open: (key, nonce, box, associated) => {
    wantLength('XChaCha20-Poly1305 key', key, 32)
    wantLength('XChaCha20-Poly1305 nonce', nonce, 24)
    if (box.length < 16) return null
    // All lengths are right, so the one error left is that of the tag.
    return orNull(() => xchacha20poly1305(key, nonce, associated).decrypt(box))
  },
  x25519: (scalar, point) => {
    wantLength('X25519 scalar', scalar, 32)
    if (point.length !== 32) return null
    // All lengths are right, so the one error left is that of a low-order point.
    return orNull(() => x25519.scalarMult(scalar, point))
  },
  x25519Base: scalar => {
    wantLength('X25519 scalar', scalar, 32)
    return x25519.scalarMultBase(scalar)
  },
  ed25519KeyPair: seed => {
    wantLength('Ed25519 seed', seed, 32)
    return { secret: seed.slice(), publicKey: ed25519.getPublicKey(seed) }
  },
  ed25519Sign: (key, message) => {
    wantLength('Ed25519 secret', key.secret, 32)
    wantLength('Ed25519 public key', key.publicKey, 32)
    return ed25519.sign(message, key.secret)
  },
  ed25519Verify: verifyEd25519,
  secp256k1Verify: (publicKey, message, signature) =>
    publicKey.length === 33 && (orNull(() => secp256k1.verify(signature, message, publicKey, { format: 'der', lowS: true })) ?? false),
  rsaImportPrivate,
  rsaPublicRaw,
  rsaBlindSign,
  rsaVerifyPss
}

function joined (parts: readonly Uint8Array[]): Uint8Array {
  return parts.length === 1 ? parts[0] : concat(...parts)
}

function orNull<T> (attempt: () => T): T | null {
  try {
    return attempt()
  } catch {
    return null
  }
}

const { Point } = ed25519
const ORDER = Point.Fn.ORDER

/** The rule of suite.ts, spelled out, because noble's own two (ZIP 215, FIPS 186-5) multiply by the cofactor. */
function verifyEd25519 (publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (publicKey.length !== 32 || signature.length !== 64) return false
  const r = signature.subarray(0, 32)
  const s = bytesToNumberLE(signature.subarray(32))
  if (s >= ORDER) return false
  // Refuses y ≥ p, and x = 0 with the sign bit set.
  const a = orNull(() => Point.fromBytes(publicKey))
  if (a === null || a.isSmallOrder()) return false
  const k = bytesToNumberLE(sha512(concat(r, publicKey, message))) % ORDER
  const expected = Point.BASE.multiplyUnsafe(s).subtract(a.multiplyUnsafe(k))
  return !expected.isSmallOrder() && equal(expected.toBytes(), r)
}
