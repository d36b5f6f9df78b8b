import fc from 'fast-check'
import { expect, it } from 'vitest'
import { toHex } from '@mixmint/core/kit/bytes'
import { assignLayers, type MixToPlace } from '@mixmint/mixnet/directory/layers'

const LAYERS = 3
const mixOf = (n: number): MixToPlace => ({ peer: Uint8Array.of(n >> 8, n) })
const mixes = (n: number, from = 0): MixToPlace[] => Array.from({ length: n }, (_, i) => mixOf(from + i))
const sizes = (layers: Map<string, number>): number[] => [1, 2, 3].map(layer => [...layers.values()].filter(other => other === layer).length)
const spread = (layers: Map<string, number>): number => Math.max(...sizes(layers)) - Math.min(...sizes(layers))

it('spreads mixes evenly, each in one layer', () => {
  fc.assert(fc.property(fc.nat(40), n => {
    const layers = assignLayers(mixes(n), new Map(), LAYERS)
    expect(layers.size).toBe(n)
    expect(spread(layers)).toBeLessThanOrEqual(1)
  }))
})

it('does not depend on the order of the list', () => {
  const all = mixes(11)
  fc.assert(fc.property(fc.shuffledSubarray(all, { minLength: all.length }), shuffled => {
    expect(new Map([...assignLayers(shuffled, new Map(), LAYERS)].sort())).toEqual(new Map([...assignLayers(all, new Map(), LAYERS)].sort()))
  }))
})

it('moves as few as evenness allows when mixes go and come', () => {
  const before = mixes(30)
  const first = assignLayers(before, new Map(), LAYERS)
  fc.assert(fc.property(fc.subarray(before, { minLength: 1 }), fc.nat(10), (stay, come) => {
    const second = assignLayers([...stay, ...mixes(come, 100)], first, LAYERS)
    expect(spread(second)).toBeLessThanOrEqual(1)
    const kept = new Map(stay.map(({ peer }) => [toHex(peer), first.get(toHex(peer)) as number]))
    const moved = stay.filter(({ peer }) => second.get(toHex(peer)) !== first.get(toHex(peer))).length
    // A layer may keep what it has up to the larger of the two even sizes.
    const most = Math.ceil((stay.length + come) / LAYERS)
    const surplus = sizes(kept).reduce((sum, size) => sum + Math.max(0, size - most), 0)
    const short = Math.floor((stay.length + come) / LAYERS)
    const wanting = sizes(kept).reduce((sum, size) => sum + Math.max(0, short - size), 0) - come
    expect(moved).toBeLessThanOrEqual(Math.max(surplus, wanting))
  }))
})

it('leaves nobody out when the network gets fewer layers', () => {
  const first = assignLayers(mixes(9), new Map(), 3)
  const second = assignLayers(mixes(9), first, 1)
  expect([...second.values()]).toEqual(Array.from({ length: 9 }, () => 1))
})

it('never moves a mix that is fixed, even if that leaves layers uneven', () => {
  const fixed = mixes(5).map(mix => ({ ...mix, fixed: 2 }))
  const layers = assignLayers([...fixed, ...mixes(3, 50)], new Map(), LAYERS)
  for (const { peer } of fixed) expect(layers.get(toHex(peer))).toBe(2)
  expect(sizes(layers)).toEqual([2, 5, 1])
})
