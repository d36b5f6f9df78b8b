import { expect, test } from 'vitest'
import { pureSuite } from '@mixmint/core/crypto/pure'
import { seededRng } from '../../lab/kernel/rng.ts'
import { simulatePayments } from '../../lab/plan/queue.ts'
import { carried, imbalance, loadsOf, lostCounted, lostExactly, ringOf, type Lost } from '../../lab/ring/ring.ts'

const PLAN = { centers: 12, replicas: 4, faults: 1, quorum: 3 }
const SIZE = { coins: 1000, choices: 120 }

const counted = (virtualNodes: number, down: number, seed = 1): Lost =>
  lostCounted(ringOf(pureSuite, { ...PLAN, virtualNodes }, seed), down, SIZE, seededRng(1, 'down'))

test('coins lost while centers are down: counted on a ring as by the hypergeometric law', () => {
  for (const down of [0, 1, 2, 3, 6, 12]) {
    const exact = lostExactly(PLAN, down)
    expect(Math.abs(counted(64, down).mean - exact)).toBeLessThanOrEqual(0.02)
  }
  // Two of four keepers are too many to lose: C(2,2)/C(12,2) of the pairs, six pairs of keepers.
  expect(lostExactly(PLAN, 2)).toBeCloseTo(6 / 66, 9)
  expect([0, 1, 12].map(down => Math.round(lostExactly(PLAN, down) * 1e9) / 1e9)).toEqual([0, 0, 1])
})

test('it is this ring on which they are counted: a coarse one loses far more at the worst, and another one something else', () => {
  const [coarse, fine] = [counted(1, 2), counted(512, 2)]
  expect(fine.worst).toBeLessThan(2 * lostExactly(PLAN, 2))
  expect(coarse.worst).toBeGreaterThan(3 * lostExactly(PLAN, 2))
  // On a ring of one node a center, neighbours have keepers in common, and those that are apart have none.
  expect(coarse.worst).toBeGreaterThan(1.5 * fine.worst)
  expect(counted(1, 2, 2)).not.toEqual(coarse)
})

test('more virtual nodes load the centers more evenly', () => {
  const [few, many] = [1, 256].map(virtualNodes => imbalance(ringOf(pureSuite, { ...PLAN, virtualNodes }, 1)))
  expect(many).toBeLessThan(1.2)
  expect(few).toBeGreaterThan(many)
})

test('payments that a ring carries, by the exact shares: simulated, the busiest center is at work as much of its time', () => {
  for (const virtualNodes of [1, 64]) {
    const ring = ringOf(pureSuite, { ...PLAN, virtualNodes }, 1)
    const loads = loadsOf(ring)
    expect(loads.reduce((a, b) => a + b) / PLAN.centers).toBeCloseTo(1, 9)
    expect(loads.at(-1)).toBe(imbalance(ring))
    const rate = carried(ring, { coins: 3, spend_us: 2000, utilisation: 0.6 })
    // Of 12 centers at 500 spends a second, 12 spends a payment.
    expect(rate * imbalance(ring)).toBeCloseTo(0.6 * 500, 6)
    const spend = { mean: 2000, quantiles: [2000] }
    const { busiest } = simulatePayments({ rate, coins: 3, ring, dead: new Set(), spend, banks: 1, settle: { mean: 0, quantiles: [0] }, link_s: 0 }, 10_000, seededRng(1, 'payments'))
    expect(Math.abs(busiest - 0.6)).toBeLessThan(0.03)
  }
})
