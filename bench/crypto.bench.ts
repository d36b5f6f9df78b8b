/** The primitives themselves, in both suites, and durable inserts into LMDB: absolute figures, for orientation. */
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { loadNativeSuite } from '@mixmint/core/crypto/native'
import { pureSuite } from '@mixmint/core/crypto/pure'
import { blind, blindingFactor, finalize } from '@mixmint/core/crypto/rsabssa'
import type { Suite } from '@mixmint/core/crypto/suite'
import { figure, measure, timeInFlight, type Row } from './harness.ts'
import { withStore } from './durable.ts'

function random (length: number): Uint8Array {
  return new Uint8Array(randomBytes(length))
}

function primitives (suite: Suite, pkcs8: Uint8Array): Row[] {
  const [key, nonce, short, packet, header] = [32, 24, 64, 3952, 688].map(random)
  const none = new Uint8Array(0)
  const point = suite.x25519Base(random(32))
  const pair = suite.ed25519KeyPair(key)
  const signature = suite.ed25519Sign(pair, short)
  const rsa = suite.rsaImportPrivate(pkcs8)
  const r = blindingFactor(suite, rsa.publicKey, key)
  const { blinded, inverse } = blind(suite, rsa.publicKey, short, none, r)
  const answer = suite.rsaBlindSign(rsa, blinded)
  if (answer === null) throw new Error('a blinded message is below the modulus')
  const coin = finalize(suite, rsa.publicKey, short, inverse, answer, 0)
  const calls: ReadonlyArray<readonly [string, () => unknown]> = [
    ['SHA-256, 64 bytes', () => suite.sha256(short)],
    ['HMAC-SHA-256, 688 bytes', () => suite.hmacSha256(key, header)],
    ['HKDF-SHA-256, 64 bytes', () => suite.hkdfSha256(key, none, none, 64)],
    ['keyed BLAKE2b, 3952 bytes', () => suite.blake2b256(key, packet)],
    ['SHAKE128, 128 bytes', () => suite.shake128(key, 128)],
    ['AES-128-CTR, 688 bytes', () => suite.aes128ctr(key.subarray(0, 16), nonce.subarray(0, 16), header)],
    ['ChaCha20, 3952 bytes', () => suite.chacha20(key, nonce.subarray(0, 12), packet)],
    ['XChaCha20-Poly1305 seal, 688 bytes', () => suite.seal(key, nonce, header, none)],
    ['X25519', () => suite.x25519(key, point)],
    ['X25519, public key', () => suite.x25519Base(key)],
    ['Ed25519 sign', () => suite.ed25519Sign(pair, short)],
    ['Ed25519 verify', () => suite.ed25519Verify(pair.publicKey, short, signature)],
    ['RSA-2048 blind signature, checked', () => suite.rsaBlindSign(rsa, blinded)],
    ['RSA-2048 PSS verify', () => suite.rsaVerifyPss(rsa.publicKey, short, coin, 0)],
    ['RSA-2048 PSS verify, a key not met before', () => suite.rsaVerifyPss({ n: rsa.publicKey.n }, short, coin, 0)],
    ['RSABSSA blinding factor', () => blindingFactor(suite, rsa.publicKey, key)],
    ['RSABSSA blind', () => blind(suite, rsa.publicKey, short, none, r)],
    ['RSABSSA finalize', () => finalize(suite, rsa.publicKey, short, inverse, answer, 0)]
  ]
  return calls.map(([name, call]) => figure(`${suite.name}: ${name}`, measure(call), 'µs'))
}

async function inserts (inFlight: number): Promise<Row> {
  return await withStore(async store => {
    const count = 200 * Math.min(inFlight, 100)
    const keys = Array.from({ length: count }, () => random(32))
    const value = random(300)
    const micros = await timeInFlight(count, inFlight, async i => await store.batch([{ op: 'insert', key: keys[i], value }]))
    return figure(`LMDB: durable insert if absent, ${inFlight} in flight`, 1e6 / micros, '1/s')
  })
}

export async function cryptoRows (): Promise<Row[]> {
  const native = await loadNativeSuite()
  const pkcs8 = new Uint8Array(generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs8', format: 'der' }))
  const rows = [...(native === null ? [] : primitives(native, pkcs8)), ...primitives(pureSuite, pkcs8)]
  for (const inFlight of [1, 64, 1024]) rows.push(await inserts(inFlight))
  return rows
}
