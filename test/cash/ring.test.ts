import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { fromHex, toHex, utf8 } from '@mixmint/core/kit/bytes'
import type { Ring } from '@mixmint/core/cash/formats'
import { keysetId } from '@mixmint/core/cash/keyset'
import { RingMap } from '@mixmint/core/cash/ring'
import { codeOf } from '../doubles/code.ts'
import { suite } from '../doubles/economy.ts'
import { ringVectors } from '../reference/ring-vectors.ts'
import { slowKeepers, type PlainKeyset, type PlainRing } from '../reference/ring.ts'

interface Vectors {
  readonly coins: ReadonlyArray<{ coinId: string, signature: string, place: string }>
  readonly nodes: ReadonlyArray<{ center: string, i: number, at: string }>
  readonly keysets: ReadonlyArray<{ keyset: PlainKeyset, keysetId: string }>
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

test('nodes that share a place, or half of it, are in the order of their places, then of their centers', () => {
  for (const kept of [[0], [3], [7], [3, 4], [0, 7]]) {
    const coarse: typeof suite = { ...suite, sha256: (...parts) => suite.sha256(...parts).map((byte, i) => i > 7 || kept.includes(i) ? byte : 0) }
    const ring = ringOf(12)
    const map = new RingMap(coarse, ring)
    const nodes = ring.centers.flatMap((center, owner) => Array.from({ length: 32 }, (_, i) =>
      ({ at: new DataView(coarse.sha256(utf8('mixmint/ring-node/1'), center.id, new Uint8Array([0, 0, 0, i])).buffer).getBigUint64(0), owner })))
    nodes.sort((a, b) => a.at < b.at ? -1 : a.at > b.at ? 1 : a.owner - b.owner)
    for (const at of [0n, 2n ** 64n - 1n, ...nodes.flatMap(node => [node.at, node.at + 1n])]) {
      const from = Math.max(0, nodes.findIndex(node => node.at >= at))
      const owners = new Set([...nodes.slice(from), ...nodes].map(({ owner }) => owner))
      expect(map.keepersAt(at)).toEqual([...owners].slice(0, 4).map(owner => ring.centers[owner]))
    }
  }
})

describe('vectors of positions and descriptors', () => {
  const alone = (center: string, nodes: number): RingMap => new RingMap(suite, {
    centers: [{ id: fromHex(center), voteKey: id(99), weight: 1 }, { id: id(1), voteKey: id(98), weight: 1 }], virtualNodesPerWeight: nodes, replicas: 1, faults: 0, quorum: 1
  })

  test('virtual nodes sit where they should: what is there belongs to their center', () => {
    for (const { center, i, at } of vectors.nodes.filter(({ i }) => i < 1000)) {
      expect(toHex(alone(center, i + 1).keepersAt(BigInt(`0x${at}`))[0].id)).toBe(center)
    }
  })

  test('a coin is kept by whoever is next to its place', () => {
    const { ring } = vectors.rings[0]
    const map = new RingMap(suite, fromPlain(ring))
    for (const { coinId, signature, place } of vectors.coins) expect(map.keepers(fromHex(coinId), fromHex(signature))).toEqual(map.keepersAt(BigInt(`0x${place}`)))
  })

  test('the id of a keyset is the hash of its descriptor', () => {
    for (const { keyset, keysetId: wanted } of vectors.keysets) {
      const denominations = keyset.denominations.map(({ value, key }) => ({ value, key: fromHex(key) }))
      expect(toHex(keysetId(suite, { ...keyset, bank: fromHex(keyset.bank), ringId: fromHex(keyset.ringId), denominations }))).toBe(wanted)
    }
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

test('load is within 10 % of even at 1,000 centers of 512 virtual nodes, by the exact share of each', () => {
  const shares = new RingMap(suite, ringOf(1000, { virtualNodesPerWeight: 512 })).shares()
  expect(shares.reduce((a, b) => a + b)).toBeCloseTo(4, 6)
  for (const share of shares) expect(Math.abs(share / (4 / 1000) - 1)).toBeLessThan(0.1)
})

test('shares are what sampled places give', () => {
  for (const ring of [ringOf(9), ringOf(5, { virtualNodesPerWeight: 1 }), ringOf(1, { virtualNodesPerWeight: 1, replicas: 1, faults: 0, quorum: 1 })]) {
    const map = new RingMap(suite, ring)
    const load = new Map(ring.centers.map(({ id }) => [toHex(id), 0]))
    const places = 20_000
    for (let i = 0; i < places; i++) for (const keeper of map.keepersAt(BigInt(i) * (1n << 64n) / BigInt(places))) load.set(toHex(keeper.id), (load.get(toHex(keeper.id)) ?? 0) + 1)
    map.shares().forEach((share, i) => { expect(Math.abs(share - (load.get(toHex(ring.centers[i].id)) ?? 0) / places)).toBeLessThan(0.01) })
  }
})

test('weights: each keeps by its weight', () => {
  const weights = [1, 2, 4]
  const ring = ringOf(60, { virtualNodesPerWeight: 512, replicas: 1, faults: 0, quorum: 1 })
  const map = new RingMap(suite, { ...ring, centers: ring.centers.map((center, i) => ({ ...center, weight: weights[i % 3] })) })
  const even = 1 / (20 * 7)
  map.shares().forEach((share, i) => { expect(Math.abs(share / (even * weights[i % 3]) - 1)).toBeLessThan(0.2) })
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
