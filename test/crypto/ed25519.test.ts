/**
 * Ed25519 by one rule in both suites: the adversarial classes of Chalkias, Garillot, Nikolaenko, "Taming the many
 * EdDSAs" (SSR 2020), built here from the group itself, and the answers of RFC 8032.
 */
import { ed25519 } from '@noble/curves/ed25519.js'
import { sha512 } from '@noble/hashes/sha2.js'
import { describe, expect, it } from 'vitest'
import { hex, seeded, suites } from './suites.ts'

const { Point } = ed25519
type P = InstanceType<typeof Point>
const L = Point.Fn.ORDER
const FIELD = 2n ** 255n - 19n

/** The eight points whose order divides the cofactor: multiples of one of order 8. */
const T8 = Point.fromHex('26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05')
const SMALL: P[] = Array.from({ length: 8 }, (_, i) => T8.multiplyUnsafe(BigInt(i)))

const encode = (n: bigint, length = 32): Uint8Array => Uint8Array.from({ length }, (_, i) => Number((n >> BigInt(8 * i)) & 0xffn))
const decode = (bytes: Uint8Array): bigint => bytes.reduceRight((sum, byte) => sum * 256n + BigInt(byte), 0n)
const scalar = (label: string): bigint => decode(seeded(label, 48)) % L
const challenge = (r: Uint8Array, a: Uint8Array, m: Uint8Array): bigint => decode(sha512(new Uint8Array([...r, ...a, ...m]))) % L
const join = (r: Uint8Array, s: bigint): Uint8Array => new Uint8Array([...r, ...encode(s)])
const message = (i: number): Uint8Array => new TextEncoder().encode(`message ${i}`)

interface Case { readonly name: string, readonly a: Uint8Array, readonly m: Uint8Array, readonly sig: Uint8Array, readonly valid: boolean }

/** The first message for which the challenge is as wanted. */
function find (r: Uint8Array, a: Uint8Array, wanted: (k: bigint) => boolean): { m: Uint8Array, k: bigint } {
  for (let i = 0; ; i++) {
    const k = challenge(r, a, message(i))
    if (wanted(k)) return { m: message(i), k }
  }
}

/** Every other encoding of a point: y + p where it fits, and the other sign where x = 0. */
function otherEncodings (point: P): Uint8Array[] {
  const { x, y } = point.toAffine()
  const sign = (x & 1n) << 255n
  const out: Uint8Array[] = []
  if (y + FIELD < 2n ** 255n) out.push(encode(y + FIELD + sign))
  if (x === 0n) {
    out.push(encode(y + 2n ** 255n))
    if (y + FIELD < 2n ** 255n) out.push(encode(y + FIELD + 2n ** 255n))
  }
  return out
}

const a0 = scalar('a')
const r0 = scalar('r')
const A = Point.BASE.multiply(a0)
const R = Point.BASE.multiply(r0)

function cases (): Case[] {
  const out: Case[] = []
  const add = (name: string, a: Uint8Array, m: Uint8Array, r: Uint8Array, s: bigint, valid: boolean): void => { out.push({ name, a, m, sig: join(r, s), valid }) }

  // What an honest signer makes, and S in its other representations.
  {
    const [r, a, m] = [R.toBytes(), A.toBytes(), message(0)]
    const s = (r0 + challenge(r, a, m) * a0) % L
    add('honest', a, m, r, s, true)
    for (let i = 1n; s + i * L < 2n ** 256n; i++) add(`S + ${i}ℓ`, a, m, r, s + i * L, false)
    add('S with its top bit set', a, m, r, s + 2n ** 255n, false)
    add('S = 2^256 − 1', a, m, r, 2n ** 256n - 1n, false)
  }
  // A of small order: the equation holds by choice of the message, in canonical and other encodings.
  for (const [i, T] of SMALL.entries()) {
    for (const [j, a] of [T.toBytes(), ...otherEncodings(T)].entries()) {
      const r = R.toBytes()
      const { m } = find(r, a, k => T.multiplyUnsafe(k % 8n).is0())
      add(`A of small order ${i}, encoding ${j}`, a, m, r, r0, false)
      const rT = SMALL[3].toBytes()
      const both = find(rT, a, k => SMALL[3].add(T.multiplyUnsafe(k % 8n)).is0() || k % 8n === 0n)
      add(`A and R of small order ${i}, encoding ${j}, S = 0`, a, both.m, rT, 0n, false)
    }
  }
  // R of small order in its other encodings, with an honest A: r = 0, so S = k·a.
  for (const [i, T] of SMALL.entries()) {
    for (const [j, r] of otherEncodings(T).entries()) {
      const m = message(i)
      add(`R of small order ${i}, encoding ${j + 1}`, A.toBytes(), m, r, challenge(r, A.toBytes(), m) * a0 % L, false)
    }
  }
  // R of small order, where the equation does hold: A of mixed order, whose torsion k turns into R.
  for (const [i, T] of SMALL.entries()) {
    const a = A.add(SMALL[1]).toBytes()
    const { m, k } = find(T.toBytes(), a, k => SMALL[1].multiplyUnsafe(k % 8n).add(T).is0())
    add(`R of small order ${i}, equation holds`, a, m, T.toBytes(), k * a0 % L, false)
  }
  // Mixed order: cofactored verification would take all of these, the cofactorless only where the torsion cancels.
  for (const [i, T] of SMALL.entries()) {
    if (i === 0) continue
    const a = A.add(T).toBytes()
    const r = R.toBytes()
    const cancels = find(r, a, k => T.multiplyUnsafe(k % 8n).is0())
    add(`A of mixed order ${i}, torsion cancels`, a, cancels.m, r, (r0 + cancels.k * a0) % L, true)
    const stays = find(r, a, k => !T.multiplyUnsafe(k % 8n).is0())
    add(`A of mixed order ${i}, torsion stays`, a, stays.m, r, (r0 + stays.k * a0) % L, false)
    const rT = R.add(T).toBytes()
    add(`R of mixed order ${i}`, A.toBytes(), message(i), rT, (r0 + challenge(rT, A.toBytes(), message(i)) * a0) % L, false)
    const cancel2 = find(rT, a, k => T.add(T.multiplyUnsafe(k % 8n)).is0())
    add(`A and R of mixed order ${i}, torsion cancels`, a, cancel2.m, rT, (r0 + cancel2.k * a0) % L, true)
    const stays2 = find(rT, a, k => !T.add(T.multiplyUnsafe(k % 8n)).is0())
    add(`A and R of mixed order ${i}, torsion stays`, a, stays2.m, rT, (r0 + stays2.k * a0) % L, false)
  }
  // A that is no point, or is a point in a non-canonical encoding of large order (y from p to 2^255 − 1).
  for (let y = 2n; y < 19n; y++) {
    for (const sign of [0n, 2n ** 255n]) {
      const a = encode(y + FIELD + sign)
      const r = R.toBytes()
      add(`A with y = p + ${y}`, a, message(0), r, (r0 + challenge(r, a, message(0)) * a0) % L, false)
      add(`R with y = p + ${y}`, A.toBytes(), message(0), a, challenge(a, A.toBytes(), message(0)) * a0 % L, false)
    }
  }
  add('A is no point', encode(2n), message(0), R.toBytes(), r0, false)
  return out
}

describe.each(suites)('$name suite, Ed25519', suite => {
  it('signs and verifies as in RFC 8032 §7.1', () => {
    const known = [
      ['9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60', 'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a', '',
        'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b'],
      ['c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7', 'fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025', 'af82',
        '6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a']
    ]
    for (const [secret, publicKey, m, signature] of known) {
      const pair = suite.ed25519KeyPair(hex(secret))
      expect(pair).toEqual({ secret: hex(secret), publicKey: hex(publicKey) })
      expect(suite.ed25519Sign(pair, hex(m))).toEqual(hex(signature))
      expect(suite.ed25519Verify(pair.publicKey, hex(m), hex(signature))).toBe(true)
    }
  })

  it('answers every adversarial case by the one rule', () => {
    const all = cases()
    expect(all.length).toBeGreaterThan(100)
    expect(all.filter(c => c.valid).length).toBe(15)
    const wrong = all.filter(c => suite.ed25519Verify(c.a, c.m, c.sig) !== c.valid).map(c => c.name)
    expect(wrong).toEqual([])
  })

  it('answers false for keys and signatures of another length, which a peer may send', () => {
    const pair = suite.ed25519KeyPair(seeded('seed', 32))
    const signature = suite.ed25519Sign(pair, message(0))
    expect(suite.ed25519Verify(pair.publicKey.subarray(1), message(0), signature)).toBe(false)
    expect(suite.ed25519Verify(pair.publicKey, message(0), signature.subarray(0, 63))).toBe(false)
    expect(suite.ed25519Verify(pair.publicKey, message(0), new Uint8Array([...signature, 0]))).toBe(false)
    expect(suite.ed25519Verify(new Uint8Array(0), message(0), new Uint8Array(0))).toBe(false)
  })
})
