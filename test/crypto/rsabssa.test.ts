/** Blind signatures (RFC 9474): the vectors, the refusals of the client's side, and blinding factors from seeds. */
import { generateKeyPairSync } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { runRsabssaVectors } from '@mixmint/core/crypto/kat'
import { blind, blindingFactor, finalize } from '@mixmint/core/crypto/rsabssa'
import { describe, expect, it } from 'vitest'
import { nativeSuite, pureSuite, seeded, suites } from './suites.ts'

interface File { vectors: Array<Record<string, string>> }
const file = (): File => JSON.parse(readFileSync(new URL('../vectors/rsabssa.json', import.meta.url), 'utf8')) as File
const pkcs8 = new Uint8Array(generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'der', type: 'pkcs8' }))
const none = new Uint8Array(0)
const message = seeded('message', 64)

describe.each(suites)('$name suite, RSABSSA', suite => {
  const key = suite.rsaImportPrivate(pkcs8)
  const { publicKey } = key
  const r = blindingFactor(suite, publicKey, seeded('r', 32))

  it('passes every vector', () => {
    expect(file().vectors.length).toBe(4)
    expect(runRsabssaVectors(suite, file())).toEqual([])
  })

  it.each(['n', 'e', 'msg', 'salt', 'inv', 'blindedMsg', 'blindSig', 'sig', 'suite', 'privateKeyPem'])('names a vector whose %s is another', field => {
    for (const damage of [
      (v: string) => v.length === 0 ? '00' : v.slice(0, -1) + (v.endsWith('0') ? '1' : '0'),
      (v: string) => v.slice(0, v.length / 2), () => 'zz', () => '0', (v: string) => `${v}00`
    ]) {
      const damaged = file()
      damaged.vectors = damaged.vectors.slice(1, 2)
      const before = damaged.vectors[0][field]
      damaged.vectors[0][field] = damage(before)
      const failures = runRsabssaVectors(suite, damaged)
      expect(failures.length).toBeGreaterThan(0)
      for (const failure of failures) expect(failure).toMatch(/^vector 0( \(.*\))?: /)
    }
  })

  it('reports files of another shape instead of throwing', () => {
    for (const other of [null, undefined, 7, 'text', [], {}, { vectors: {} }, { vectors: [] }, { vectors: [null] }, { vectors: [{}] }, { vectors: [{ suite: 3 }] }]) {
      expect(runRsabssaVectors(suite, other).length).toBeGreaterThan(0)
    }
  })

  it.each([0, 48] as const)('signs what it does not see, with a salt of %i bytes', saltLength => {
    const { blinded, inverse } = blind(suite, publicKey, message, seeded('salt', 48).subarray(0, saltLength), r)
    const answer = suite.rsaBlindSign(key, blinded) as Uint8Array
    const signature = finalize(suite, publicKey, message, inverse, answer, saltLength)
    for (const other of suites) expect(other.rsaVerifyPss({ n: publicKey.n }, message, signature, saltLength)).toBe(true)
    expect(answer).not.toEqual(signature)
  })

  it('refuses answers that lead to no signature', () => {
    const { blinded, inverse } = blind(suite, publicKey, message, none, r)
    const answer = suite.rsaBlindSign(key, blinded) as Uint8Array
    const flipped = answer.slice()
    flipped[200] ^= 4
    const refusal = expect.objectContaining({ code: 'bad-blind-signature', fault: 'peer' })
    for (const bad of [flipped, publicKey.n, new Uint8Array(256), blinded, answer.subarray(1), new Uint8Array([0, ...answer]), none]) {
      expect(() => finalize(suite, publicKey, message, inverse, bad, 0)).toThrow(refusal)
    }
    expect(() => finalize(suite, publicKey, seeded('another', 64), inverse, answer, 0)).toThrow(refusal)
    expect(() => finalize(suite, publicKey, message, inverse, answer, 48)).toThrow(refusal)
    expect(() => finalize(suite, publicKey, message, r, answer, 0)).toThrow(refusal)
  })

  it('refuses an answer that stands for the right number but is not below the modulus', () => {
    const n = BigInt(`0x${Buffer.from(publicKey.n).toString('hex')}`)
    for (let i = 0; ; i++) {
      const factor = blindingFactor(suite, publicKey, seeded(`above ${i}`, 32))
      const { blinded, inverse } = blind(suite, publicKey, message, none, factor)
      const answer = suite.rsaBlindSign(key, blinded) as Uint8Array
      const above = BigInt(`0x${Buffer.from(answer).toString('hex')}`) + n
      if (above >= 2n ** 2048n) continue
      expect(() => finalize(suite, publicKey, message, inverse, new Uint8Array(Buffer.from(above.toString(16), 'hex')), 0))
        .toThrow(expect.objectContaining({ code: 'bad-blind-signature' }))
      break
    }
  })

  it('refuses blinding factors, salts and keys of a wrong form', () => {
    const refusal = expect.objectContaining({ code: 'bad-argument', fault: 'caller' })
    for (const bad of [none, new Uint8Array(256), publicKey.n, r.subarray(1), new Uint8Array(256).fill(255)]) {
      expect(() => blind(suite, publicKey, message, none, bad)).toThrow(refusal)
    }
    for (const salt of [1, 47, 49]) expect(() => blind(suite, publicKey, message, new Uint8Array(salt), r)).toThrow(refusal)
    expect(() => blind(suite, { n: new Uint8Array(256) }, message, none, r)).toThrow(refusal)
    expect(() => blindingFactor(suite, { n: none }, seeded('r', 32))).toThrow(refusal)
    expect(() => blindingFactor(suite, publicKey, seeded('r', 31))).toThrow(refusal)
    expect(() => finalize(suite, publicKey, message, none, r, 0)).toThrow(refusal)
  })

  it('refuses a blinding factor that shares a prime with the modulus', () => {
    // n = 3 · m: never a real key, but the arithmetic is the same.
    const n = new Uint8Array(256).fill(0xff)
    const three = new Uint8Array(256)
    three[255] = 3
    expect(BigInt(`0x${Buffer.from(n).toString('hex')}`) % 3n).toBe(0n)
    expect(() => blind(suite, { n }, message, none, three)).toThrow(expect.objectContaining({ code: 'bad-argument' }))
  })

  it('derives the same factor from the same seed, another from another seed or key', () => {
    expect(blindingFactor(suite, publicKey, seeded('r', 32))).toEqual(r)
    expect(blindingFactor(suite, publicKey, seeded('r2', 32))).not.toEqual(r)
    expect(r.length).toBe(256)
    for (const other of [nativeSuite, pureSuite]) expect(blindingFactor(other, { n: publicKey.n }, seeded('r', 32))).toEqual(r)
  })
})
