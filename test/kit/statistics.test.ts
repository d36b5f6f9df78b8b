/** The tests' own yardsticks, by values from tables, and by their law: p-values of right samples are uniform. */
import { describe, expect, test } from 'vitest'
import { exponential, unit } from '@mixmint/core/kit/samplers'
import { seededRng } from '../doubles/rng.ts'
import { chiSquare, ksOneSample, ksTwoSample } from '../reference/statistics.ts'

const rng = seededRng('statistics')
const uniform = (n: number): number[] => Array.from({ length: n }, () => unit(rng))
const cdf = (x: number): number => x

describe('goodness of fit', () => {
  test.each([[1, 3.841459, 0.05], [1, 6.634897, 0.01], [4, 9.487729, 0.05], [10, 18.307038, 0.05], [10, 2.558212, 0.99], [100, 149.449253, 0.001], [1, 0.003932, 0.95]])(
    'χ² of %i degrees of freedom and %f has p = %f', (freedom, statistic, p) => {
      // All of the statistic in the first of many equal outcomes, made up for by the last.
      const expected = Array.from({ length: freedom + 1 }, () => 1e6)
      const off = Math.sqrt(statistic * 1e6 / 2)
      const observed = expected.map((n, i) => i === 0 ? n + off : i === freedom ? n - off : n)
      expect(chiSquare(observed, expected)).toBeCloseTo(p, 5)
    })

  test('Kolmogorov\'s distance of a large sample has the p of the tables', () => {
    const shifted = (d: number): number[] => Array.from({ length: 100_000 }, (_, i) => (i + 1) / 100_000 * (1 - d))
    for (const [critical, p] of [[1.2238, 0.1], [1.3581, 0.05], [1.6276, 0.01], [1.9495, 0.001]]) {
      expect(ksOneSample(shifted(critical / Math.sqrt(100_000)), cdf)).toBeCloseTo(p, 3)
    }
  })

  test('p-values of right samples are uniform, those of wrong ones small', () => {
    expect(ksOneSample(Array.from({ length: 400 }, () => ksOneSample(uniform(50), cdf)), cdf)).toBeGreaterThan(0.001)
    expect(ksOneSample(Array.from({ length: 400 }, () => ksTwoSample(uniform(300), uniform(200))), cdf)).toBeGreaterThan(0.001)
    expect(ksOneSample(uniform(2000).map(x => x ** 1.1), cdf)).toBeLessThan(0.001)
    expect(ksTwoSample(uniform(2000), uniform(2000).map(x => x ** 1.3))).toBeLessThan(0.001)
    expect(ksTwoSample(uniform(500), Array.from({ length: 500 }, () => exponential(rng, 1)))).toBeLessThan(1e-6)
  })

  test('what fits perfectly has p = 1, what cannot be has 0', () => {
    expect(chiSquare([5, 5, 5], [5, 5, 5])).toBe(1)
    expect(ksTwoSample([1, 2, 3], [1, 2, 3])).toBe(1)
    expect(ksOneSample([-5, -5, -5, -5, -5, -5, -5, -5, -5, -5], () => 0)).toBeLessThan(1e-6)
    expect(chiSquare([1000, 0], [1, 999])).toBeLessThan(1e-12)
  })
})
