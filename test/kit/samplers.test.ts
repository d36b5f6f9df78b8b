import { describe, expect, test } from 'vitest'
import { exponential, shuffle, unit } from '@mixmint/core/kit/samplers'
import { seededRng } from '../doubles/rng.ts'
import { chiSquare, ksOneSample } from '../reference/statistics.ts'

const constant = (byte: number): { bytes: (length: number) => Uint8Array } => ({ bytes: length => new Uint8Array(length).fill(byte) })

describe('samplers', () => {
  test('unit is uniform, never 0, at most 1', () => {
    const rng = seededRng('unit')
    const sample = Array.from({ length: 5000 }, () => unit(rng))
    expect(ksOneSample(sample, x => x)).toBeGreaterThan(0.01)
    expect(unit(constant(0))).toBe(2 ** -53)
    expect(unit(constant(0xff))).toBe(1)
  })

  test('exponential has its mean and law, and is never infinite', () => {
    const rng = seededRng('exponential')
    const sample = Array.from({ length: 5000 }, () => exponential(rng, 40))
    expect(ksOneSample(sample, x => 1 - Math.exp(-x / 40))).toBeGreaterThan(0.01)
    expect(ksOneSample(sample, x => 1 - Math.exp(-x / 44))).toBeLessThan(0.01)
    expect(exponential(constant(0), 1)).toBeCloseTo(36.7, 1)
    expect(exponential(constant(0xff), 1)).toBeCloseTo(0)
  })
  test('shuffle keeps the items, and makes every order equally likely', () => {
    const rng = seededRng('shuffle')
    const orders = new Map<string, number>()
    for (let i = 0; i < 4800; i++) {
      const order = shuffle(rng, [...'abcd']).join('')
      orders.set(order, (orders.get(order) ?? 0) + 1)
    }
    expect([...orders.keys()].every(order => [...order].sort().join('') === 'abcd')).toBe(true)
    expect(orders.size).toBe(24)
    expect(chiSquare([...orders.values()], Array.from({ length: 24 }, () => 200))).toBeGreaterThan(0.01)
    expect(shuffle(rng, [])).toEqual([])
  })
})
