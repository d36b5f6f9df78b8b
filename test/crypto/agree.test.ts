/** Both suites agree on random inputs of every length, at every alignment. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { nativeSuite as native, pureSuite as pure } from './suites.ts'

/** Up to 700 bytes that begin anywhere within their memory. */
const bytes = (min = 0, max = 700): fc.Arbitrary<Uint8Array> =>
  fc.tuple(fc.uint8Array({ minLength: min, maxLength: max }), fc.nat(7)).map(([data, offset]) => {
    const memory = new Uint8Array(offset + data.length + 3)
    memory.set(data, offset)
    return memory.subarray(offset, offset + data.length)
  })
const exactly = (length: number): fc.Arbitrary<Uint8Array> => bytes(length, length)

function agree<A extends unknown[]> (inputs: { [K in keyof A]: fc.Arbitrary<A[K]> }, compute: (suite: typeof pure, ...args: A) => unknown, runs = 100): void {
  fc.assert(fc.property(fc.tuple(...inputs) as unknown as fc.Arbitrary<A>, args => {
    expect(compute(native, ...args)).toEqual(compute(pure, ...args))
  }), { numRuns: runs })
}

describe('native and pure agree', () => {
  it('on hashes and MACs', () => {
    agree<[Uint8Array[]]>([fc.array(bytes(), { maxLength: 4 })], (s, parts) => [s.sha256(...parts), s.sha384(...parts)])
    agree<[Uint8Array, Uint8Array[]]>([bytes(0, 150), fc.array(bytes(), { maxLength: 4 })], (s, key, parts) => s.hmacSha256(key, ...parts))
    agree<[Uint8Array, Uint8Array, Uint8Array, number]>([bytes(), bytes(), bytes(), fc.integer({ min: 1, max: 600 })],
      (s, secret, salt, info, length) => s.hkdfSha256(secret, salt, info, length))
    agree<[Uint8Array, Uint8Array]>([bytes(16, 64), bytes()], (s, key, data) => s.blake2b256(key, data))
    agree<[Uint8Array, number]>([bytes(), fc.integer({ min: 1, max: 600 })], (s, data, length) => s.shake128(data, length))
  })

  it('on ciphers', () => {
    agree<[Uint8Array, Uint8Array, Uint8Array]>([exactly(16), exactly(16), bytes()], (s, key, iv, data) => s.aes128ctr(key, iv, data))
    agree<[Uint8Array, Uint8Array, Uint8Array]>([exactly(32), exactly(12), bytes()], (s, key, nonce, data) => s.chacha20(key, nonce, data))
    agree<[Uint8Array, Uint8Array, Uint8Array, Uint8Array]>([exactly(32), exactly(24), bytes(), bytes()], (s, key, nonce, data, associated) => {
      const box = s.seal(key, nonce, data, associated)
      return [box, native.open(key, nonce, box, associated), pure.open(key, nonce, box, associated)]
    })
  })

  it('on X25519 of any bytes at all', () => {
    agree<[Uint8Array, Uint8Array]>([exactly(32), exactly(32)], (s, scalar, point) => [s.x25519(scalar, point), s.x25519Base(scalar)], 40)
  })

  it('on Ed25519 keys and signatures, and on signatures with a bit flipped', () => {
    agree<[Uint8Array, Uint8Array, number]>([exactly(32), bytes(), fc.nat(1023)], (s, seed, message, bit) => {
      const pair = s.ed25519KeyPair(seed)
      const signature = s.ed25519Sign(pair, message)
      const publicKey = pair.publicKey.slice()
      const flipped = signature.slice()
      if (bit < 512) flipped[bit >> 3] ^= 1 << (bit & 7)
      else publicKey[(bit >> 3) & 31] ^= 1 << (bit & 7)
      expect(s.ed25519Verify(pair.publicKey, message, signature)).toBe(true)
      expect(s.ed25519Verify(publicKey, message, flipped)).toBe(false)
      return [pair, signature]
    }, 60)
  })
})
