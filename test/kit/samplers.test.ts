import { describe, expect, test } from 'vitest'
import { exponential, unit } from '@mixmint/core/kit/samplers'
import { seededRng } from '../doubles/rng.ts'
import { KS_LIMIT, kolmogorovSmirnov } from './statistics.ts'

const constant = (byte: number): { bytes: (length: number) => Uint8Array } => ({ bytes: length => new Uint8Array(length).fill(byte) })

describe('samplers', () => {
  test('unit is uniform, never 0, at most 1', () => {
    const rng = seededRng('unit')
    const sample = Array.from({ length: 5000 }, () => unit(rng))
    expect(kolmogorovSmirnov(sample, x => x)).toBeLessThan(KS_LIMIT)
    expect(unit(constant(0))).toBe(2 ** -53)
    expect(unit(constant(0xff))).toBe(1)
  })

  test('exponential has its mean and law, and is never infinite', () => {
    const rng = seededRng('exponential')
    const sample = Array.from({ length: 5000 }, () => exponential(rng, 40))
    expect(kolmogorovSmirnov(sample, x => 1 - Math.exp(-x / 40))).toBeLessThan(KS_LIMIT)
    expect(kolmogorovSmirnov(sample, x => 1 - Math.exp(-x / 44))).toBeGreaterThan(KS_LIMIT)
    expect(exponential(constant(0), 1)).toBeCloseTo(36.7, 1)
    expect(exponential(constant(0xff), 1)).toBeCloseTo(0)
  })
})
