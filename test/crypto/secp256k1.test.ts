/** ECDSA over secp256k1, as libp2p identities sign: both suites take the same signatures, and only one encoding of each. */
import { secp256k1 } from '@noble/curves/secp256k1.js'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { hex, seeded, suites } from './suites.ts'

const ORDER = secp256k1.Point.Fn.ORDER

const bytesOf = (value: bigint): Uint8Array => hex(value.toString(16).padStart(64, '0'))

/** A DER integer, with as many zeros before it as asked besides those that it needs. */
function integer (value: Uint8Array, zeros = 0): Uint8Array {
  let from = 0
  while (from < value.length - 1 && value[from] === 0) from++
  const lean = value.subarray(from)
  const padded = Uint8Array.of(...new Uint8Array(zeros + (lean[0] >> 7)), ...lean)
  return Uint8Array.of(2, padded.length, ...padded)
}

function sequence (...parts: readonly Uint8Array[]): Uint8Array {
  const inside = parts.flatMap(part => [...part])
  return Uint8Array.of(0x30, inside.length, ...inside)
}

function signedBy (secret: Uint8Array, message: Uint8Array): { key: Uint8Array, r: Uint8Array, s: Uint8Array } {
  const signature = secp256k1.sign(message, secret, { format: 'compact' })
  return { key: secp256k1.getPublicKey(secret, true), r: signature.subarray(0, 32), s: signature.subarray(32) }
}

describe.each(suites)('$name', suite => {
  it('takes what was signed, over messages of any length, with r and s of any length', () => {
    for (let i = 0; i < 40; i++) {
      const [secret, message] = [seeded(`secret ${i}`, 32), seeded(`message ${i}`, 1 + i * 9)]
      const { key, r, s } = signedBy(secret, message)
      expect(suite.secp256k1Verify(key, message, sequence(integer(r), integer(s)))).toBe(true)
      expect(suite.secp256k1Verify(key, seeded('another', 5), sequence(integer(r), integer(s)))).toBe(false)
    }
  })

  it('refuses every other form of a signature, and every other key', () => {
    const message = seeded('message', 40)
    const { key, r, s } = signedBy(seeded('secret', 32), message)
    const [good, zero] = [sequence(integer(r), integer(s)), new Uint8Array(32)]
    const high = bytesOf(ORDER - BigInt(`0x${Buffer.from(s).toString('hex')}`))
    expect(suite.secp256k1Verify(key, message, good)).toBe(true)
    const wrong: Record<string, Uint8Array> = {
      'high s': sequence(integer(r), integer(high)),
      'r = 0': sequence(integer(zero), integer(s)), 's = 0': sequence(integer(r), integer(zero)),
      's = the order': sequence(integer(r), integer(bytesOf(ORDER))), 'r + the order': sequence(Uint8Array.of(2, 33, 1, ...r), integer(s)),
      'a zero before r': sequence(integer(r, 1), integer(s)), 'a zero before s': sequence(integer(r), integer(s, 1)),
      'a byte behind': Uint8Array.of(...good, 0), 'a byte behind, inside': sequence(integer(r), integer(s), Uint8Array.of(0)),
      'a third number': sequence(integer(r), integer(s), integer(s)), 'a long length': Uint8Array.of(0x30, 0x81, ...good.subarray(1)),
      'a set': Uint8Array.of(0x31, ...good.subarray(1)), compact: Uint8Array.of(...r, ...s), 'one byte': Uint8Array.of(0x30), nothing: new Uint8Array(0),
      'no s': sequence(integer(r)), 'an empty s': sequence(integer(r), Uint8Array.of(2, 0))
    }
    expect(Object.keys(wrong).filter(name => suite.secp256k1Verify(key, message, wrong[name]))).toEqual([])
    const uncompressed = secp256k1.getPublicKey(seeded('secret', 32), false)
    const keys: Record<string, Uint8Array> = {
      uncompressed, hybrid: Uint8Array.of(6 + (uncompressed[64] & 1), ...uncompressed.subarray(1)), 'the other sign': Uint8Array.of(key[0] ^ 1, ...key.subarray(1)),
      'not on the curve': Uint8Array.of(2, ...bytesOf(5n)), infinity: Uint8Array.of(0), 'x too large': Uint8Array.of(2, ...new Uint8Array(32).fill(0xff)), short: key.subarray(1), empty: new Uint8Array(0)
    }
    expect(Object.keys(keys).filter(name => suite.secp256k1Verify(keys[name], message, good))).toEqual([])
  })
})

it('both suites agree on signatures with any byte changed', () => {
  const message = seeded('message', 40)
  const { key, r, s } = signedBy(seeded('secret', 32), message)
  const good = sequence(integer(r), integer(s))
  fc.assert(fc.property(fc.nat(good.length - 1), fc.nat(255), fc.nat(2), (at, byte, cut) => {
    const changed = good.slice(0, good.length - (byte === 0 ? cut : 0))
    if (at < changed.length) changed[at] = byte
    const [one, other] = suites.map(suite => suite.secp256k1Verify(key, message, changed))
    expect(one).toBe(other)
  }), { numRuns: 300 })
})
