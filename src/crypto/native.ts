/**
 * The native suite: libsodium (sodium-native) for the curves, ChaCha20 and BLAKE2b; OpenSSL (node:crypto) for SHA-2,
 * SHA-3, HMAC, AES and RSA. KeyObjects are made once per key: an import costs as much as several verifications.
 */
import * as openssl from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import type sodiumModule from 'sodium-native'
import { equal } from '../kit/bytes.ts'
import { MixmintError } from '../kit/errors.ts'
import { MAX_BLAKE_KEY, MAX_HKDF, MAX_SHAKE, MIN_BLAKE_KEY, wantLength, wantLengthWithin, wantNumber } from './arguments.ts'
import { isBelow, parsePkcs8, toBytes } from './rsa.ts'
import type { Ed25519KeyPair, RsaPrivateKey, RsaPublicKey, Suite } from './suite.ts'

type Sodium = typeof sodiumModule

const { RSA_NO_PADDING, RSA_PKCS1_PSS_PADDING } = openssl.constants

/**
 * The native suite, or null where sodium-native is not installed or has no binary for this platform.
 * @throws any other error that loading meets (a binary that is there but does not load, for one)
 */
export async function loadNativeSuite (load: () => Promise<{ default: Sodium }> = loadSodium): Promise<Suite | null> {
  let sodium: Sodium
  try {
    sodium = (await load()).default
  } catch (error) {
    if (isNotAvailable(error)) return null
    throw error
  }
  return nativeSuite(sodium)
}

async function loadSodium (): Promise<{ default: Sodium }> {
  return await import('sodium-native')
}

/** Not installed, or without a binary for this platform; the codes are Node's and those of require-addon. */
function isNotAvailable (error: unknown): boolean {
  if (!(error instanceof Error) || !('code' in error)) return false
  if (error.code === 'ADDON_NOT_FOUND') return true
  return (error.code === 'ERR_MODULE_NOT_FOUND' || error.code === 'MODULE_NOT_FOUND') && /Cannot find (package|module) 'sodium-native'/.test(error.message)
}

/** A Buffer as a plain array that shares memory with nobody. */
function plain (buffer: Buffer): Uint8Array {
  return buffer.buffer.byteLength === buffer.length ? new Uint8Array(buffer.buffer) : new Uint8Array(buffer)
}

/**
 * Working memory; secrets are wiped from it after use. Small arrays live in V8's heap until native code is given them, which
 * moves each outside, a burden on garbage collection: so native code is given these, and callers get copies.
 */
const [joint, givenKey, givenPoint, givenNonce, output] = [1024, 32, 32, 12, 32].map(size => new Uint8Array(new ArrayBuffer(size)))
const BLOCK = 64
const SHA256_SIZE = 32
const [INNER_PAD, OUTER_PAD] = [0x36, 0x5c]

/** What native code has put into `output`. */
function taken (): Uint8Array {
  const out = output.slice()
  output.fill(0)
  return out
}

/** As a string of bytes, not as a Buffer: the string lives in V8's heap. */
function hashInto (algorithm: string, data: Uint8Array, into: Uint8Array): void {
  const bytes = openssl.hash(algorithm, data, 'binary')
  for (let i = 0; i < bytes.length; i++) into[i] = bytes.charCodeAt(i)
}

/** The parts one after the other in `joint`, which they fit into. @returns the first place after them */
function join (parts: readonly Uint8Array[], at = 0): number {
  for (const part of parts) {
    joint.set(part, at)
    at += part.length
  }
  return at
}

function digest (algorithm: 'sha256' | 'sha384', size: number, parts: readonly Uint8Array[]): Uint8Array {
  const length = parts.reduce((sum, part) => sum + part.length, 0)
  if (parts.length > 1 && length > joint.length) {
    const hash = openssl.createHash(algorithm)
    for (const part of parts) hash.update(part)
    return plain(hash.digest())
  }
  const out = new Uint8Array(size)
  if (parts.length === 1) {
    hashInto(algorithm, parts[0], out)
  } else {
    hashInto(algorithm, joint.subarray(0, join(parts)), out)
    joint.fill(0, 0, length)
  }
  return out
}

/** Two hashes (RFC 2104) cost less than an object of OpenSSL's. */
function shortHmac (key: Uint8Array, parts: readonly Uint8Array[]): Uint8Array {
  const pad = (byte: number): void => {
    joint.fill(byte, 0, BLOCK)
    for (let i = 0; i < key.length; i++) joint[i] ^= key[i]
  }
  pad(INNER_PAD)
  const end = join(parts, BLOCK)
  const out = new Uint8Array(SHA256_SIZE)
  hashInto('sha256', joint.subarray(0, end), out)
  pad(OUTER_PAD)
  joint.set(out, BLOCK)
  hashInto('sha256', joint.subarray(0, BLOCK + SHA256_SIZE), out)
  joint.fill(0, 0, Math.max(end, BLOCK + SHA256_SIZE))
  return out
}

function nativeSuite (sodium: Sodium): Suite {
  return {
    name: 'native',
    sha256: (...parts) => digest('sha256', SHA256_SIZE, parts),
    sha384: (...parts) => digest('sha384', 48, parts),
    hmacSha256: (key, ...parts) => {
      const length = parts.reduce((sum, part) => sum + part.length, 0)
      if (key.length <= BLOCK && BLOCK + length <= joint.length) return shortHmac(key, parts)
      const hmac = openssl.createHmac('sha256', key)
      for (const part of parts) hmac.update(part)
      return plain(hmac.digest())
    },
    hkdfSha256: (secret, salt, info, length) => {
      wantNumber('HKDF output', length, 1, MAX_HKDF)
      return new Uint8Array(openssl.hkdfSync('sha256', secret, salt, info, length))
    },
    blake2b256: (key, data) => {
      wantLengthWithin('BLAKE2b key', key, MIN_BLAKE_KEY, MAX_BLAKE_KEY)
      if (key.length !== givenKey.length) {
        sodium.crypto_generichash(output, data, key)
      } else {
        givenKey.set(key)
        sodium.crypto_generichash(output, data, givenKey)
        givenKey.fill(0)
      }
      return taken()
    },
    shake128: (data, length) => {
      wantNumber('SHAKE128 output', length, 1, MAX_SHAKE)
      return plain(openssl.createHash('shake128', { outputLength: length }).update(data).digest())
    },
    aes128ctr: (key, iv, data) => {
      wantLength('AES key', key, 16)
      wantLength('AES counter block', iv, 16)
      return plain(openssl.createCipheriv('aes-128-ctr', key, iv).update(data))
    },
    chacha20: (key, nonce, data, into = new Uint8Array(data.length)) => {
      wantLength('ChaCha20 key', key, 32)
      wantLength('ChaCha20 nonce', nonce, 12)
      wantLength('ChaCha20 output', into, data.length)
      givenKey.set(key)
      givenNonce.set(nonce)
      sodium.crypto_stream_chacha20_ietf_xor(into, data, givenNonce, givenKey)
      givenKey.fill(0)
      return into
    },
    seal: (key, nonce, plaintext, associated) => {
      wantLength('XChaCha20-Poly1305 key', key, 32)
      wantLength('XChaCha20-Poly1305 nonce', nonce, 24)
      const box = new Uint8Array(plaintext.length + 16)
      sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(box, plaintext, associated, null, nonce, key)
      return box
    },
    open: (key, nonce, box, associated) => {
      wantLength('XChaCha20-Poly1305 key', key, 32)
      wantLength('XChaCha20-Poly1305 nonce', nonce, 24)
      if (box.length < 16) return null
      const plaintext = new Uint8Array(box.length - 16)
      return refuses(() => sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(plaintext, null, box, associated, nonce, key), 'could not verify data') ? null : plaintext
    },
    x25519: (scalar, point) => {
      wantLength('X25519 scalar', scalar, 32)
      if (point.length !== 32) return null
      givenKey.set(scalar)
      givenPoint.set(point)
      const refused = refuses(() => { sodium.crypto_scalarmult(output, givenKey, givenPoint) }, 'status: -1')
      givenKey.fill(0)
      return refused ? null : taken()
    },
    x25519Base: scalar => {
      wantLength('X25519 scalar', scalar, 32)
      const out = new Uint8Array(32)
      sodium.crypto_scalarmult_base(out, scalar)
      return out
    },
    ed25519KeyPair: seed => {
      wantLength('Ed25519 seed', seed, 32)
      const publicKey = new Uint8Array(32)
      const both = new Uint8Array(64)
      sodium.crypto_sign_seed_keypair(publicKey, both, seed)
      return { secret: seed.slice(), publicKey }
    },
    ed25519Sign: (key, message) => {
      const signature = new Uint8Array(64)
      sodium.crypto_sign_detached(signature, message, sodiumSecret(key))
      return signature
    },
    // libsodium 1.0.21 follows the rule of suite.ts to the letter; the adversarial cases in test/crypto hold it to that.
    ed25519Verify: (publicKey, message, signature) =>
      publicKey.length === 32 && signature.length === 64 && sodium.crypto_sign_verify_detached(signature, message, publicKey),
    secp256k1Verify: verifySecp256k1,
    rsaImportPrivate,
    rsaPublicRaw,
    rsaBlindSign,
    rsaVerifyPss
  }
}

/** SubjectPublicKeyInfo (RFC 5480) of a compressed point of secp256k1, up to the point. */
const SECP256K1 = Buffer.from('3036301006072a8648ce3d020106052b8104000a032200', 'hex')
/** Half of the order of secp256k1 (SEC 2 §2.4.1), rounded down. */
const HALF_ORDER = Buffer.from('7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0', 'hex')

function verifySecp256k1 (publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (publicKey.length !== 33 || !hasLowS(signature)) return false
  let key: KeyObject
  try {
    key = openssl.createPublicKey({ key: Buffer.concat([SECP256K1, publicKey]), format: 'der', type: 'spki' })
  } catch {
    return false // not a point of the curve
  }
  return openssl.verify('sha256', message, { key, dsaEncoding: 'der' }, signature)
}

/** Of a DER sequence of two integers, is the second at most half the order? Anything else that is not DER OpenSSL refuses. */
function hasLowS (signature: Uint8Array): boolean {
  const at = 4 + signature[3]
  if (signature.length < 8 || signature.length > 72 || at + 2 > signature.length || signature[at] !== 2 || at + 2 + signature[at + 1] !== signature.length) return false
  const s = signature.subarray(at + 2)
  return s.length < 32 || (s.length === 32 && Buffer.compare(s, HALF_ORDER) <= 0)
}

/** Did libsodium refuse the input, which sodium-native tells by an error with this message? Other errors are rethrown. */
function refuses (call: () => unknown, message: string): boolean {
  try {
    call()
    return false
  } catch (error) {
    if (error instanceof Error && error.message === message) return true
    throw error
  }
}

/** libsodium's form of a secret key: seed, then public key. */
function sodiumSecret (key: Ed25519KeyPair): Uint8Array {
  wantLength('Ed25519 secret', key.secret, 32)
  wantLength('Ed25519 public key', key.publicKey, 32)
  const both = new Uint8Array(64)
  both.set(key.secret)
  both.set(key.publicKey, 32)
  return both
}

const publicKeys = new WeakMap<RsaPublicKey, KeyObject>()
const privateKeys = new WeakMap<RsaPrivateKey, KeyObject>()

function publicKeyObject (key: RsaPublicKey): KeyObject {
  let object = publicKeys.get(key)
  if (object === undefined) {
    const n = Buffer.from(key.n).toString('base64url')
    object = openssl.createPublicKey({ key: { kty: 'RSA', n, e: 'AQAB' }, format: 'jwk' })
    publicKeys.set(key, object)
  }
  return object
}

function rsaImportPrivate (pkcs8: Uint8Array): RsaPrivateKey {
  const numbers = parsePkcs8(pkcs8)
  const length = numbers.n.toString(16).length / 2
  const key: RsaPrivateKey = { publicKey: { n: toBytes(numbers.n, length) } }
  privateKeys.set(key, openssl.createPrivateKey({ key: Buffer.from(pkcs8), format: 'der', type: 'pkcs8' }))
  return key
}

function rsaPublicRaw (key: RsaPublicKey, message: Uint8Array): Uint8Array | null {
  if (!isBelow(key, message)) return null
  return plain(openssl.publicEncrypt({ key: publicKeyObject(key), padding: RSA_NO_PADDING }, message))
}

function rsaBlindSign (key: RsaPrivateKey, blinded: Uint8Array): Uint8Array | null {
  const object = privateKeys.get(key)
  if (object === undefined) throw new MixmintError('bad-argument', 'caller', 'RSA private key: one imported by this suite wanted')
  if (!isBelow(key.publicKey, blinded)) return null
  const signature = plain(openssl.privateEncrypt({ key: object, padding: RSA_NO_PADDING }, blinded))
  const again = rsaPublicRaw(key.publicKey, signature)
  if (again === null || !equal(again, blinded)) {
    throw new MixmintError('signing-fault', 'us', 'an RSA signature failed its own verification and was not given out; check this machine\'s memory and the key file')
  }
  return signature
}

function rsaVerifyPss (key: RsaPublicKey, message: Uint8Array, signature: Uint8Array, saltLength: number): boolean {
  wantNumber('PSS salt', saltLength, 0, 64)
  if (!isBelow(key, signature)) return false
  return openssl.verify('sha384', message, { key: publicKeyObject(key), padding: RSA_PKCS1_PSS_PADDING, saltLength }, signature)
}
