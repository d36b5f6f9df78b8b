import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { fromHex, toHex, utf8 } from '@mixmint/core/kit/bytes'
import type { Ring } from '@mixmint/core/cash/formats'
import { RingMap } from '@mixmint/core/cash/ring'
import { codeOf } from '../doubles/code.ts'
import { suite } from '../doubles/economy.ts'
import { ringVectors } from '../reference/ring-vectors.ts'
import { slowKeepers, type PlainRing } from '../reference/ring.ts'

interface Vectors {
  readonly coins: ReadonlyArray<{ coinId: string, signature: string }>
  readonly rings: ReadonlyArray<{ ring: PlainRing, ringId: string, keepers: number[][] }>
}
const vectors = JSON.parse(readFileSync(new URL('../vectors/ring.json', import.meta.url), 'utf8')) as Vectors

const id = (i: number): Uint8Array => suite.sha256(utf8(`center ${i}`))

function ringOf (centers: number, changes: Partial<Ring> = {}): Ring {
  return {
    centers: Array.from({ length: centers }, (_, i) => ({ id: id(i), voteKey: suite.sha256(utf8(`vote key ${i}`)), weight: 1 })),
    virtualNodesPerWeight: 32, replicas: 4, faults: 1, quorum: 3, ...changes
  }
}

const fromPlain = (ring: PlainRing): Ring =>
  ({ ...ring, centers: ring.centers.map(({ id, voteKey, weight }) => ({ id: fromHex(id), voteKey: fromHex(voteKey), weight })) })

describe('vectors', () => {
  test('are what the slow twin makes', () => { expect(vectors).toEqual(ringVectors()) })

  test.each(vectors.rings.map((vector, i) => ({ i, ...vector })))('ring $i holds', ({ ring, ringId, keepers }) => {
    const map = new RingMap(suite, fromPlain(ring))
    expect(toHex(map.id)).toBe(ringId)
    vectors.coins.forEach(({ coinId, signature }, i) => {
      expect(map.keepers(fromHex(coinId), fromHex(signature)).map(keeper => toHex(keeper.id))).toEqual(keepers[i].map(at => ring.centers[at].id))
    })
  })
})

test('agrees with the slow twin on any ring and coin', () => {
  fc.assert(fc.property(
    fc.integer({ min: 4, max: 12 }), fc.integer({ min: 1, max: 9 }), fc.uint8Array({ minLength: 32, maxLength: 32 }), fc.uint8Array({ minLength: 256, maxLength: 256 }),
    (centers, virtualNodesPerWeight, coinId, signature) => {
      const ring = ringOf(centers, { virtualNodesPerWeight })
      const plain = { ...ring, centers: ring.centers.map(({ id, voteKey, weight }) => ({ id: toHex(id), voteKey: toHex(voteKey), weight })) }
      expect(new RingMap(suite, ring).keepers(coinId, signature)).toEqual(slowKeepers(plain, toHex(coinId), toHex(signature)).map(i => ring.centers[i]))
    }), { numRuns: 50 })
})

test('keepers are distinct, and as many as the ring says', () => {
  const map = new RingMap(suite, ringOf(5, { virtualNodesPerWeight: 1 }))
  for (let i = 0; i < 200; i++) {
    const keepers = map.keepers(suite.sha256(Uint8Array.of(i)), new Uint8Array(256))
    expect(new Set(keepers.map(keeper => toHex(keeper.id))).size).toBe(4)
  }
})

test('the place of a coin hangs on its signature too, which its owner cannot choose', () => {
  const map = new RingMap(suite, ringOf(50))
  const places = new Set(Array.from({ length: 20 }, (_, i) => toHex(map.keepers(id(0), new Uint8Array(256).fill(i))[0].id)))
  expect(places.size).toBeGreaterThan(5)
})

test('a center that goes away changes only its own coins, and those by one keeper', () => {
  const before = new RingMap(suite, ringOf(20))
  const ring = ringOf(20)
  const gone = toHex(ring.centers[7].id)
  const after = new RingMap(suite, { ...ring, centers: ring.centers.filter((_, i) => i !== 7) })
  let touched = 0
  for (let i = 0; i < 500; i++) {
    const coin = [suite.sha256(utf8(`coin ${i}`)), new Uint8Array(256)] as const
    const was = before.keepers(...coin).map(keeper => toHex(keeper.id))
    const is = after.keepers(...coin).map(keeper => toHex(keeper.id))
    if (was.includes(gone)) touched += 1
    const left = was.filter(name => name !== gone)
    expect(is.slice(0, left.length)).toEqual(left)
  }
  expect(touched).toBeGreaterThan(50)
  expect(touched).toBeLessThan(200)
})

test('load is within 10 % of even at 1,000 centers of 512 virtual nodes', () => {
  const map = new RingMap(suite, ringOf(1000, { virtualNodesPerWeight: 512 }))
  const load = new Map(map.ring.centers.map(({ id }) => [id, 0]))
  const coins = 1 << 19
  for (let i = 0; i < coins; i++) {
    // Evenly laid coins: what chance would add to the imbalance is not the ring's doing.
    for (const keeper of map.keepersAt(BigInt(i) << 45n)) load.set(keeper.id, (load.get(keeper.id) ?? 0) + 1)
  }
  const even = coins * 4 / 1000
  for (const count of load.values()) expect(Math.abs(count / even - 1)).toBeLessThan(0.1)
})

test('a center of twice the weight keeps about twice the coins', () => {
  const ring = ringOf(60, { virtualNodesPerWeight: 256 })
  const map = new RingMap(suite, { ...ring, centers: ring.centers.map((center, i) => i === 0 ? { ...center, weight: 2 } : center) })
  const load = new Map<string, number>()
  for (let i = 0; i < 20_000; i++) {
    for (const keeper of map.keepersAt(BigInt(i) * (1n << 64n) / 20_000n)) load.set(toHex(keeper.id), (load.get(toHex(keeper.id)) ?? 0) + 1)
  }
  const others = ring.centers.slice(1).map(({ id }) => load.get(toHex(id)) ?? 0)
  const mean = others.reduce((a, b) => a + b) / others.length
  expect((load.get(toHex(ring.centers[0].id)) ?? 0) / mean).toBeGreaterThan(1.7)
  expect((load.get(toHex(ring.centers[0].id)) ?? 0) / mean).toBeLessThan(2.2)
})

test('a position after the last virtual node goes round to the first', () => {
  const map = new RingMap(suite, ringOf(7))
  expect(map.keepersAt((1n << 64n) - 1n)).toEqual(map.keepersAt(0n))
})

test('center finds by id', () => {
  const map = new RingMap(suite, ringOf(7))
  expect(map.center(id(3))?.voteKey).toEqual(map.ring.centers[3].voteKey)
  expect(map.center(id(9))).toBeUndefined()
})

describe('the quorum rule', () => {
  test.each([
    [4, 1, 3], [7, 2, 5], [3, 0, 2], [1, 0, 1], [10, 3, 7], [5, 1, 4], [2, 0, 2], [4, 0, 4], [4, 0, 3]
  ])('n=%i f=%i q=%i is accepted', (replicas, faults, quorum) => {
    expect(codeOf(() => new RingMap(suite, ringOf(12, { replicas, faults, quorum })))).toBe('accepted')
  })

  test.each([
    ['two certificates without a common honest keeper', 4, 1, 2],
    ['quorums that share only liars', 7, 2, 4],
    ['halves', 2, 0, 1],
    ['a quorum that the faulty can withhold', 4, 1, 4],
    ['a quorum that the faulty can withhold', 7, 2, 6],
    ['a quorum above n', 3, 0, 4],
    ['no quorum', 1, 0, 0],
    ['no keepers', 0, 0, 0],
    ['more faults than keepers', 1, 1, 1],
    ['more keepers than centers', 13, 0, 13]
  ])('%s: n=%i f=%i q=%i is refused', (_, replicas, faults, quorum) => {
    expect(codeOf(() => new RingMap(suite, ringOf(12, { replicas, faults, quorum })))).toBe('bad-ring')
  })
})

describe('refused', () => {
  const change = (change: (centers: Ring['centers']) => Ring['centers'], rest: Partial<Ring> = {}): string =>
    codeOf(() => new RingMap(suite, { ...ringOf(7), ...rest, centers: change(ringOf(7).centers) }))

  test('one id twice: it would count as two keepers', () => {
    expect(change(([first, second, ...rest]) => [first, { ...second, id: first.id }, ...rest])).toBe('bad-ring')
  })
  test('one vote key twice: one machine would vote for two', () => {
    expect(change(([first, second, ...rest]) => [first, { ...second, voteKey: first.voteKey }, ...rest])).toBe('bad-ring')
  })
  test('a center without weight', () => {
    expect(change(([first, ...rest]) => [{ ...first, weight: 0 }, ...rest])).toBe('bad-ring')
  })
  test('no virtual nodes', () => { expect(change(centers => centers, { virtualNodesPerWeight: 0 })).toBe('bad-ring') })
  test('a ring too large to hold in memory', () => {
    expect(change(([first, ...rest]) => [{ ...first, weight: 65536 }, ...rest], { virtualNodesPerWeight: 65536 })).toBe('bad-ring')
  })
})
