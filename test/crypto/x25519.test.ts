/** X25519 (RFC 7748): published answers, low-order points, non-canonical points. */
import { describe, expect, it } from 'vitest'
import { hex, nativeSuite, seeded, suites } from './suites.ts'

const P = 2n ** 255n - 19n

function encode (u: bigint): Uint8Array {
  return Uint8Array.from({ length: 32 }, (_, i) => Number((u >> BigInt(8 * i)) & 0xffn))
}

/** The u coordinates of the points of order 1, 2, 4 and 8 on the curve and its twist. */
const LOW_ORDER = [0n, 1n, P - 1n,
  325606250916557431795983626356110631294008115727848805560023387167927233504n,
  39382357235489614581723060781553021112529911719440698176882885853963445705823n]

describe.each(suites)('$name suite, X25519', suite => {
  it('gives the answers of RFC 7748 §5.2, the second with bit 255 of the point set', () => {
    expect(suite.x25519(hex('a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4'),
      hex('e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c')))
      .toEqual(hex('c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552'))
    expect(suite.x25519(hex('4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d'),
      hex('e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493')))
      .toEqual(hex('95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957'))
  })

  it('gives the iterated answer of RFC 7748 §5.2', () => {
    let k = encode(9n)
    let u = encode(9n)
    for (let i = 0; i < 100; i++) [k, u] = [suite.x25519(k, u) as Uint8Array, k]
    // After 100 rounds; the RFC's figure for 1,000 is checked once, with the fast suite.
    if (suite === nativeSuite) {
      for (let i = 100; i < 1000; i++) [k, u] = [suite.x25519(k, u) as Uint8Array, k]
      expect(k).toEqual(hex('684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51'))
    } else {
      let [k2, u2] = [encode(9n), encode(9n)]
      for (let i = 0; i < 100; i++) [k2, u2] = [nativeSuite.x25519(k2, u2) as Uint8Array, k2]
      expect(k).toEqual(k2)
      expect(u).toEqual(u2)
    }
  })

  it('answers null for every low-order point, in each of its encodings', () => {
    const scalar = seeded('scalar', 32)
    for (const u of LOW_ORDER) {
      const encodings = [u, u + P].filter(v => v < 2n ** 255n).flatMap(v => [v, v + 2n ** 255n])
      for (const encoding of encodings) expect(suite.x25519(scalar, encode(encoding))).toBeNull()
    }
  })

  it('takes a point modulo p, ignores its bit 255, and clamps the scalar', () => {
    const scalar = seeded('scalar', 32)
    for (let u = 2n; u < 19n; u++) {
      const expected = suite.x25519(scalar, encode(u))
      expect(expected).not.toBeNull()
      expect(suite.x25519(scalar, encode(u + P))).toEqual(expected)
      expect(suite.x25519(scalar, encode(u + P + 2n ** 255n))).toEqual(expected)
      expect(nativeSuite.x25519(scalar, encode(u + P))).toEqual(expected)
    }
    const clamped = scalar.slice()
    clamped[0] &= 248
    clamped[31] = (clamped[31] & 127) | 64
    expect(suite.x25519Base(clamped)).toEqual(suite.x25519Base(scalar))
    expect(suite.x25519Base(scalar)).toEqual(suite.x25519(scalar, encode(9n)))
  })

  it('answers null for a point of another length, which a peer may send', () => {
    expect(suite.x25519(seeded('scalar', 32), new Uint8Array(31))).toBeNull()
    expect(suite.x25519(seeded('scalar', 32), new Uint8Array(0))).toBeNull()
  })
})
