/** The laws by which lost packets are missed, beside what the strategies do. */
import { describe, expect, it } from 'vitest'
import { exponential, unit } from '@mixmint/core/kit/samplers'
import type { Strategy } from '@mixmint/mixnet/directory/formats'
import { strategyOf } from '@mixmint/mixnet/mixing/strategy'
import { delayQuantile, type MixingParameters } from '@mixmint/mixnet/session/delay-law'
import { jittered, Slack, timingOf, timingsOf } from '@mixmint/mixnet/session/timing'
import { seededRng } from '../doubles/rng.ts'
import { ksOneSample } from '../reference/statistics.ts'

const rng = seededRng('timing')
const MEAN = 50

function parametersOf (strategy: Strategy, pathLength = 5, loop = 0): MixingParameters {
  return { pathLength, strategy, meanDelay: MEAN, cover: { send: 0, echoes: 0, pace: 0, loop } }
}

/** How long each of many packets takes through one mix that gets one packet per `every` ms, at Poisson times. */
function waitsIn (strategy: Strategy, every: number, packets = 20_000): number[] {
  const mix = strategyOf<{ mean: number, since: number }>(strategy)
  const waits: number[] = []
  let now = 0
  const leave = (): void => { for (const { since } of mix.leave(now, rng)) waits.push(now - since) }
  for (let next = exponential(rng, every); waits.length < packets;) {
    now = Math.min(next, mix.due() ?? Infinity)
    leave()
    if (now < next) continue
    mix.add({ mean: MEAN, since: now }, now, rng)
    leave()
    next += exponential(rng, every)
  }
  return waits
}

/** Of sums of k waits drawn from these, how many are within the quantile p. */
function share (waits: readonly number[], parameters: MixingParameters, k: number, p: number): number {
  const limit = delayQuantile(parameters, k, p)
  const sums = Array.from({ length: 4000 }, () => Array.from({ length: k }, () => waits[Math.ceil(unit(rng) * waits.length) - 1]).reduce((a, b) => a + b))
  return sums.filter(sum => sum <= limit).length / sums.length
}

describe('the quantile of the delays', () => {
  it.each<[Strategy, number]>([[{ kind: 'poisson' }, 10], [{ kind: 'poisson' }, 300], [{ kind: 'timed', interval: 80 }, 10], [{ kind: 'timed', interval: 80 }, 300]])('is that of packets in mixes: %o, one each %i ms', (strategy, every) => {
    const waits = waitsIn(strategy, every)
    for (const k of [2, 4, 8]) {
      for (const p of [0.5, 0.9, 0.99]) expect(Math.abs(share(waits, parametersOf(strategy), k, p) - p)).toBeLessThan(0.025)
    }
  })

  it('is an upper bound in mixes with a pool, whatever the load, and near the truth where half of the packets stay', () => {
    const strategy: Strategy = { kind: 'pool', interval: 100, threshold: 1000, pool: 900 }
    const half = waitsIn(strategy, 2)
    for (const k of [2, 4, 8]) {
      for (const p of [0.5, 0.9, 0.99]) expect(Math.abs(share(half, parametersOf(strategy), k, p) - p)).toBeLessThan(0.035)
    }
    for (const every of [1, 5, 20, 60, 250]) {
      const few: Strategy = { kind: 'pool', interval: 100, threshold: 30, pool: 10 }
      const waits = waitsIn(few, every, 5000)
      for (const k of [2, 8]) for (const p of [0.5, 0.9, 0.99]) expect(share(waits, parametersOf(few), k, p)).toBeGreaterThan(p - 0.02)
    }
  })

  it('is an upper bound in mixes of batches with no more traffic than the loops, and no wild one', () => {
    for (const batch of [2, 10, 60]) {
      const strategy: Strategy = { kind: 'threshold', batch }
      const waits = waitsIn(strategy, 500)
      for (const k of [2, 8]) {
        expect(share(waits, parametersOf(strategy, 5, 500), k, 0.999)).toBeGreaterThan(0.998)
        expect(delayQuantile(parametersOf(strategy, 5, 500), k, 0.999)).toBeLessThan(k * (batch - 1) * 500 * 4 + 10 * 500)
      }
    }
    expect(delayQuantile(parametersOf({ kind: 'threshold', batch: 1 << 16 }, 5, 10), 8, 0.999) / (8 * 65_535 * 10)).toBeCloseTo(1, 1)
  })

  it('is as the closed forms of one mix say', () => {
    expect(delayQuantile(parametersOf({ kind: 'poisson' }), 1, 0.999)).toBeCloseTo(-MEAN * Math.log(0.001), 6)
    expect(delayQuantile(parametersOf({ kind: 'timed', interval: 100 }), 1, 0.9)).toBeCloseTo(90, 6)
    expect(delayQuantile(parametersOf({ kind: 'timed', interval: 100 }), 2, 0.995)).toBeCloseTo(190, 6)
    // After m ticks 2⁻ᵐ are still inside.
    expect(delayQuantile(parametersOf({ kind: 'pool', interval: 100, threshold: 9, pool: 4 }), 1, 1 - 1 / 16)).toBeCloseTo(400, 6)
  })
})

describe('timing', () => {
  it('is longer for more hops and certainty, and never less than what is not mixing', () => {
    for (const strategy of [{ kind: 'poisson' }, { kind: 'timed', interval: 100 }, { kind: 'pool', interval: 100, threshold: 9, pool: 4 }, { kind: 'threshold', batch: 5 }] satisfies Strategy[]) {
      const { spread, oneWay, roundTrip } = timingOf(parametersOf(strategy, 5, 100), 100)
      expect(oneWay).toBe(spread + 50)
      expect(roundTrip).toBeGreaterThan(oneWay + 50)
      expect(timingOf(parametersOf(strategy, 4, 100), 100).roundTrip).toBeLessThan(roundTrip)
      expect([spread, roundTrip].every(Number.isInteger)).toBe(true)
    }
    expect(timingOf({ ...parametersOf({ kind: 'poisson' }), meanDelay: 0 }, 100).roundTrip).toBe(100)
  })

  it('follows the parameters', () => {
    let parameters = parametersOf({ kind: 'poisson' })
    let base = 100
    const timing = timingsOf(() => parameters, () => base)
    const before = timing()
    expect(before).toEqual(timingOf(parameters, 100))
    expect(timing()).toBe(before)
    parameters = parametersOf({ kind: 'timed', interval: 500 })
    expect(timing()).toEqual(timingOf(parameters, 100))
    base = 200
    expect(timing()).toEqual(timingOf(parameters, 200))
  })

  it('jitters by an exponential time, half of it on average, and never shortens', () => {
    const more = Array.from({ length: 4000 }, () => jittered(1000, rng) / 1000 - 1)
    expect(Math.min(...more)).toBeGreaterThanOrEqual(0)
    expect(Math.max(...more)).toBeLessThanOrEqual(2)
    const longest = 1 - Math.exp(-4)
    expect(ksOneSample(more, x => (1 - Math.exp(-2 * x)) / longest)).toBeGreaterThan(0.001)
  })

  it('has more patience with what is slower than foreseen, and less again with what is not', () => {
    const slack = new Slack()
    expect(slack.of(100)).toBe(100)
    for (let i = 0; i < 50; i++) slack.word(true)
    expect(slack.of(100)).toBe(1600)
    for (let i = 0; i < 20; i++) slack.word(false)
    expect(slack.of(100)).toBeLessThan(800)
    for (let i = 0; i < 200; i++) slack.word(false)
    expect(slack.of(100)).toBe(100)
  })
})
