/**
 * RSABSSA, the client's side of RSA blind signatures (RFC 9474 §4.2, §4.4), deterministic variants: the message is used
 * as it is. SHA-384; a salt of 0 bytes (PSSZERO, what coins use) or 48 (PSS). The signer's side is Suite.rsaBlindSign.
 */
import { concat, u32, utf8 } from '../kit/bytes.ts'
import { MixmintError } from '../kit/errors.ts'
import { wantLength } from './arguments.ts'
import { encodePss } from './pss.ts'
import { invert, isModulus, toBytes, toNumber } from './rsa.ts'
import type { RsaPublicKey, Suite } from './suite.ts'

export interface Blinded {
  /** What the signer sees and signs; as long as the modulus. */
  readonly blinded: Uint8Array
  /** r⁻¹ mod n, for `finalize`; as long as the modulus. Secret: it links the signature to the blinded message. */
  readonly inverse: Uint8Array
}

/**
 * RFC 9474 §4.2 Blind.
 * @param salt empty or 48 bytes
 * @param r the blinding factor, as long as the modulus: uniform in [1, n), see `blindingFactor`
 * @throws bad-argument (caller) when the key, the salt or r has a wrong form, or r has no inverse
 */
export function blind (suite: Suite, publicKey: RsaPublicKey, message: Uint8Array, salt: Uint8Array, r: Uint8Array): Blinded {
  const inverse = invert(toNumber(r), modulusOf(publicKey))
  const blinded = blindedMessage(suite, publicKey, message, salt, r)
  if (inverse === null) throw badFactor()
  return { blinded, inverse: toBytes(inverse, publicKey.n.length) }
}

/** What the signer sees, alone, without the inverse, which takes most of the time. Errors as of `blind`, but r may have no inverse. */
export function blindedMessage (suite: Suite, publicKey: RsaPublicKey, message: Uint8Array, salt: Uint8Array, r: Uint8Array): Uint8Array {
  const n = modulusOf(publicKey)
  if (salt.length !== 0) wantLength('salt (where it is not empty)', salt, 48)
  const masked = suite.rsaPublicRaw(publicKey, r)
  if (masked === null) throw badFactor()
  const encoded = toNumber(encodePss(suite.sha384, message, salt, n.toString(2).length - 1))
  // RFC 9474 also asks that this have no factor in common with n. Whoever meets such a message has factored n.
  return toBytes(encoded * toNumber(masked) % n, publicKey.n.length)
}

function badFactor (): MixmintError {
  return new MixmintError('bad-argument', 'caller', 'blinding factor: a number below the modulus, as long as it and with an inverse, wanted')
}

/**
 * RFC 9474 §4.4 Finalize: the signature, verified.
 * @throws bad-blind-signature (peer) when the signer's answer does not lead to a valid signature;
 *   bad-argument (caller) when the key or the inverse has a wrong form
 */
export function finalize (suite: Suite, publicKey: RsaPublicKey, message: Uint8Array, inverse: Uint8Array, blindSignature: Uint8Array, saltLength: 0 | 48): Uint8Array {
  const n = modulusOf(publicKey)
  wantLength('inverse of the blinding factor', inverse, publicKey.n.length)
  if (blindSignature.length === publicKey.n.length && toNumber(blindSignature) < n) {
    const signature = toBytes(toNumber(blindSignature) * toNumber(inverse) % n, publicKey.n.length)
    if (suite.rsaVerifyPss(publicKey, message, signature, saltLength)) return signature
  }
  throw new MixmintError('bad-blind-signature', 'peer', 'the signer\'s answer is no signature of the blinded message under this key; keep it as evidence and ask again')
}

/**
 * The blinding factor that a 32-byte secret seed stands for: HKDF-SHA-256 to 128 bits more than the modulus has, taken
 * mod n, which is uniform up to 2⁻¹²⁸. Whether it has an inverse is not looked at, which would take most of the time: a
 * number without one shares a prime with n, and is met as often as n is factored by guessing.
 */
export function blindingFactor (suite: Suite, publicKey: RsaPublicKey, seed: Uint8Array): Uint8Array {
  const n = modulusOf(publicKey)
  wantLength('seed of a blinding factor', seed, 32)
  const wide = suite.hkdfSha256(seed, new Uint8Array(0), concat(utf8('mixmint/blinding-factor/1'), u32(0)), publicKey.n.length + 16)
  return toBytes(toNumber(wide) % n, publicKey.n.length)
}

function modulusOf (key: RsaPublicKey): bigint {
  if (!isModulus(key.n)) throw new MixmintError('bad-argument', 'caller', 'RSA public key: an odd modulus of 256 to 512 bytes without leading zeros wanted')
  return toNumber(key.n)
}
