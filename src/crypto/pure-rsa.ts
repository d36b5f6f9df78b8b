/** RSA of the pure suite: JavaScript's big numbers, the Chinese remainder theorem (RFC 8017 §5.1.2), PSS of pss.ts. */
import { pow } from '@noble/curves/abstract/modular.js'
import { sha384 } from '@noble/hashes/sha2.js'
import { concat, equal } from '../kit/bytes.ts'
import { MixmintError } from '../kit/errors.ts'
import { wantNumber } from './arguments.ts'
import { verifyPss } from './pss.ts'
import { EXPONENT, isBelow, parsePkcs8, toBytes, toNumber, type RsaPrivateNumbers } from './rsa.ts'
import type { RsaPrivateKey, RsaPublicKey } from './suite.ts'

const privateNumbers = new WeakMap<RsaPrivateKey, RsaPrivateNumbers>()

export function rsaImportPrivate (pkcs8: Uint8Array): RsaPrivateKey {
  const numbers = parsePkcs8(pkcs8)
  const key: RsaPrivateKey = { publicKey: { n: toBytes(numbers.n, numbers.n.toString(16).length / 2) } }
  privateNumbers.set(key, numbers)
  return key
}

export function rsaPublicRaw (key: RsaPublicKey, message: Uint8Array): Uint8Array | null {
  if (!isBelow(key, message)) return null
  return toBytes(pow(toNumber(message), EXPONENT, toNumber(key.n)), key.n.length)
}

export function rsaBlindSign (key: RsaPrivateKey, blinded: Uint8Array): Uint8Array | null {
  const numbers = privateNumbers.get(key)
  if (numbers === undefined) throw new MixmintError('bad-argument', 'caller', 'RSA private key: one imported by this suite wanted')
  if (!isBelow(key.publicKey, blinded)) return null
  const { p, q, dp, dq, qi } = numbers
  const m = toNumber(blinded)
  const modP = pow(m, dp, p)
  const modQ = pow(m, dq, q)
  const h = ((modP - modQ) % p + p) * qi % p
  const signature = toBytes(modQ + h * q, blinded.length)
  const again = rsaPublicRaw(key.publicKey, signature)
  if (again === null || !equal(again, blinded)) {
    throw new MixmintError('signing-fault', 'us', 'an RSA signature failed its own verification and was not given out; check this machine\'s memory and the key file')
  }
  return signature
}

export function rsaVerifyPss (key: RsaPublicKey, message: Uint8Array, signature: Uint8Array, saltLength: number): boolean {
  wantNumber('PSS salt', saltLength, 0, 64)
  const encoded = rsaPublicRaw(key, signature)
  if (encoded === null) return false
  const bits = toNumber(key.n).toString(2).length - 1
  const length = Math.ceil(bits / 8)
  // Where the modulus begins with the byte 1 the encoding is one byte shorter than it.
  if (length < encoded.length && encoded[0] !== 0) return false
  return verifyPss((...parts) => sha384(concat(...parts)), message, encoded.subarray(encoded.length - length), bits, saltLength)
}
