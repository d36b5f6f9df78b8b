/** What the strategies promise: the law of waiting, batches and pools, and that the order of leaving is a fair lottery. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { checkParameters } from '@mixmint/mixnet/directory/document'
import type { Strategy } from '@mixmint/mixnet/directory/formats'
import { profile } from '@mixmint/mixnet/directory/profiles'
import { poissonDelay } from '@mixmint/mixnet/mixing/poisson'
import { strategyOf, type MixStrategy } from '@mixmint/mixnet/mixing/strategy'
import { checkInit } from '@mixmint/mixnet/service/init'
import { seededRng } from '../doubles/rng.ts'
import { chiSquare, ksOneSample, ksTwoSample } from '../reference/statistics.ts'

interface Numbered { readonly number: number, readonly mean: number }
type Mix = MixStrategy<Numbered>

const rng = seededRng('strategies')
const MEAN = 50
const POISSON: Strategy = { kind: 'poisson' }
const TIMED: Strategy = { kind: 'timed', interval: 100 }
const POOL: Strategy = { kind: 'pool', interval: 100, threshold: 12, pool: 3 }

function begin (strategy: Strategy): Mix {
  const mix = strategyOf<Numbered>(strategy)
  mix.leave(0, rng)
  return mix
}

function add (mix: Mix, number: number, now = 0): number[] {
  const before = mix.leave(now, rng)
  mix.add({ number, mean: MEAN }, now, rng)
  return [...before, ...mix.leave(now, rng)].map(packet => packet.number)
}

/** All that leave by themselves, in order. */
function runOut (mix: Mix): number[] {
  const left: number[] = []
  for (let due = mix.due(); due !== undefined; due = mix.due()) left.push(...mix.leave(due, rng).map(packet => packet.number))
  return left
}

/** How often each outcome of `draw` came, of those that can. */
function tally (outcomes: readonly string[], times: number, draw: () => string): number[] {
  const counts = new Map(outcomes.map(outcome => [outcome, 0]))
  for (let i = 0; i < times; i++) {
    const outcome = draw()
    counts.set(outcome, (counts.get(outcome) ?? NaN) + 1)
  }
  return [...counts.values()]
}

function permutations (items: readonly number[]): string[] {
  return items.length < 2 ? [items.join('')] : items.flatMap(first => permutations(items.filter(item => item !== first)).map(rest => `${first}${rest}`))
}

const even = (outcomes: number, times: number): number[] => Array.from({ length: outcomes }, () => times / outcomes)

describe('the delays of poisson', () => {
  test('are exponential, truncated at the 1 − 10⁻¹² quantile: Kolmogorov and Smirnov', () => {
    const cdf = (x: number): number => (1 - Math.exp(-x / MEAN)) / (1 - 1e-12)
    const delays = Array.from({ length: 50_000 }, () => poissonDelay(rng, MEAN))
    expect(ksOneSample(delays, cdf)).toBeGreaterThan(0.01)
    // What the test would not let pass: a mean off by 3 %, a floor of 1 ms, whole ms, a tail cut at three means.
    const wrong = [delays.map(x => x * 1.03), delays.map(x => Math.max(1, x)), delays.map(x => Math.round(x)), delays.filter(x => x < 3 * MEAN)]
    for (const sample of wrong) expect(ksOneSample(sample, cdf)).toBeLessThan(0.001)
  })

  test('are those for which packets wait in the mix, whatever else is in it', () => {
    const mix = begin(POISSON)
    const due: number[] = []
    for (let i = 0; i < 3000; i++) add(mix, i, i / 1e7)
    for (const { packet, due: at } of mix.waiting()) due.push((at ?? NaN) - packet.number / 1e7)
    expect(ksOneSample(due, x => 1 - Math.exp(-x / MEAN))).toBeGreaterThan(0.01)
    expect(ksTwoSample(due, Array.from({ length: 3000 }, () => poissonDelay(rng, MEAN)))).toBeGreaterThan(0.01)
  })

  test('forget how long a packet has been there: the rest of its wait has the same law', () => {
    const rest = Array.from({ length: 60_000 }, () => poissonDelay(rng, MEAN)).filter(delay => delay > 70).map(delay => delay - 70)
    expect(ksOneSample(rest, x => 1 - Math.exp(-x / MEAN))).toBeGreaterThan(0.01)
  })
})

describe('of packets that are inside together, every order of leaving is equally likely', () => {
  const TIMES = 4800
  const orders = permutations([0, 1, 2, 3])

  /** Four packets that came at different times, none of which left before the last came; then all that leave. */
  function together (strategy: Strategy, at: readonly number[], end: (mix: Mix) => number[]): string {
    for (;;) {
      const mix = begin(strategy)
      at.slice(0, -1).forEach((time, number) => { add(mix, number, time) })
      const last = at.length - 1
      mix.leave(at[last], rng) // and where one has left before the last came, once more
      if (mix.size === last) return [...add(mix, last, at[last]), ...end(mix)].join('')
    }
  }
  const drain = (mix: Mix): number[] => mix.drain(rng).map(packet => packet.number)

  test.each<[string, Strategy, (mix: Mix) => number[]]>([
    ['poisson', POISSON, runOut], ['timed', TIMED, runOut], ['pool', POOL, runOut], ['threshold', { kind: 'threshold', batch: 4 }, () => []],
    ['pool, when so many are in', { ...POOL, threshold: 4, pool: 2 }, runOut],
    ['timed, drained', TIMED, drain], ['pool, drained', POOL, drain], ['threshold, drained', { kind: 'threshold', batch: 9 }, drain]
  ])('%s', (_, strategy, end) => {
    const counts = tally(orders, TIMES, () => together(strategy, [0, 3, 20, 41], end))
    expect(counts).toHaveLength(24)
    expect(chiSquare(counts, even(24, TIMES))).toBeGreaterThan(0.001)
  })

  test('also where there are many: each place is anyone\'s', () => {
    for (const strategy of [POISSON, TIMED, { ...POOL, threshold: 500 }]) {
      const first = tally(Array.from({ length: 10 }, (_, i) => `${i}`), 1000, () => {
        const mix = begin(strategy)
        for (let i = 0; i < 100; i++) mix.add({ number: i, mean: MEAN }, 0, rng)
        return `${Math.floor(runOut(mix)[0] / 10)}`
      })
      expect(chiSquare(first, even(10, 1000))).toBeGreaterThan(0.001)
    }
  })
})

describe('threshold', () => {
  test('is refused without cover, which fills its batches: by a directory, and where there is none', () => {
    const cover = { send: 0, echoes: 0, pace: 0, loop: 0 }
    const strategy: Strategy = { kind: 'threshold', batch: 10 }
    const full = profile('default', new Uint8Array(0))
    expect(() => { checkParameters({ ...full, strategy, cover }) }).toThrow(/threshold without cover\.loop/)
    expect(() => { checkParameters({ ...full, strategy }) }).not.toThrow()
    // Cover of wallets alone does not fill them: none may be attached.
    for (const parameters of [{ strategy }, { strategy, cover: { ...full.cover, loop: 0 } }]) {
      expect(() => checkInit({ parameters })).toThrow(expect.objectContaining({ code: 'bad-init', message: expect.stringMatching(/threshold without cover\.loop: without cover traffic a batch may never be full/) as string }))
    }
    expect(() => checkInit({ parameters: { strategy, cover: { ...cover, loop: 1000 } } })).not.toThrow()
  })

  test('lets go exactly a batch, whenever one is full, and nothing else', () => {
    fc.assert(fc.property(fc.integer({ min: 2, max: 9 }), fc.array(fc.nat(1000), { maxLength: 60 }), (batch, gaps) => {
      const mix = begin({ kind: 'threshold', batch })
      let now = 0
      const left: number[] = []
      gaps.forEach((gap, i) => {
        now += gap
        expect(mix.due()).toBeUndefined()
        expect(mix.leave(now, rng)).toEqual([])
        const out = add(mix, i, now)
        expect(out.length).toBe((i + 1) % batch === 0 ? batch : 0)
        left.push(...out)
        expect(left.length + mix.size).toBe(i + 1)
      })
      const rest = mix.drain(rng).map(packet => packet.number)
      expect([...left, ...rest].sort((a, b) => a - b)).toEqual(gaps.map((_, i) => i))
    }))
  })
})

describe('timed', () => {
  test('lets all go at each tick, one every interval, whatever the traffic', () => {
    const mix = begin(TIMED)
    add(mix, 0)
    const first = mix.due() as number
    expect(first).toBeGreaterThan(0)
    expect(first).toBeLessThanOrEqual(100)
    expect(mix.leave(first - 0.01, rng)).toEqual([])
    expect(mix.leave(first, rng)).toHaveLength(1)
    expect(mix.due()).toBeUndefined()
    // Long after, in the middle between two ticks.
    for (let i = 0; i < 50; i++) add(mix, i, first + 750 + i / 2)
    expect(mix.due()).toBeCloseTo(first + 800)
    // A timer that is late leaves the beat as it is.
    expect(mix.leave(first + 830, rng)).toHaveLength(50)
    add(mix, 1, first + 830)
    const next = mix.due() as number
    expect(next).toBeCloseTo(first + 900)
    expect(add(mix, 2, next)).toEqual([1])
    expect(mix.due()).toBeCloseTo(first + 1000)
  })

  test('packets wait uniformly over an interval; the first tick is at any time', () => {
    const waits = Array.from({ length: 2000 }, () => {
      const mix = begin(TIMED)
      add(mix, 0, 0)
      return mix.due() as number
    })
    expect(ksOneSample(waits, x => x / 100)).toBeGreaterThan(0.01)
  })
})

describe('pool', () => {
  /** One flush of n packets: who stays. */
  function stay (n: number, strategy: Strategy): number[] {
    const mix = begin(strategy)
    for (let i = 0; i < n; i++) mix.add({ number: i, mean: MEAN }, 0, rng)
    mix.leave(mix.due() as number, rng)
    return mix.waiting().map(({ packet }) => packet.number).sort((a, b) => a - b)
  }

  test('keeps min(pool, ⌊n / 2⌋) of n', () => {
    const few: Strategy = { ...POOL, threshold: 100, pool: 5 }
    for (let n = 1; n <= 30; n++) expect(stay(n, few)).toHaveLength(Math.min(5, Math.floor(n / 2)))
  })

  test('keeps every set of that size with the same probability', () => {
    const sets = ['01', '02', '03', '04', '12', '13', '14', '23', '24', '34']
    const counts = tally(sets, 3000, () => stay(5, { ...POOL, pool: 2 }).join(''))
    expect(counts).toHaveLength(10)
    expect(chiSquare(counts, even(10, 3000))).toBeGreaterThan(0.001)
  })

  test('at a steady load packets stay for a geometric number of flushes', () => {
    // 9 come between two ticks and 3 stay: of 12 each stays with probability 1/4.
    const mix = begin({ ...POOL, threshold: 1000 })
    const flushes = new Map<number, number>()
    const stayed: number[] = []
    let now = 0
    for (let i = 0; i < 9 * 1200; i++) {
      add(mix, i, now)
      if (i % 9 !== 8) continue
      if (mix.size < 12) add(mix, -1, now) // until the pool is full
      now = mix.due() as number
      for (const { number } of mix.leave(now, rng)) if (number >= 0) stayed.push((flushes.get(number) ?? 0) + 1)
      for (const { packet: { number } } of mix.waiting()) flushes.set(number, (flushes.get(number) ?? 0) + 1)
    }
    const late = stayed.slice(100)
    const counts = [1, 2, 3, 4].map(j => late.filter(n => n === j).length)
    counts.push(late.length - counts.reduce((a, b) => a + b))
    const law = [3 / 4, 3 / 16, 3 / 64, 3 / 256, 1 / 256].map(p => p * late.length)
    expect(chiSquare(counts, law)).toBeGreaterThan(0.001)
  })

  test('flushes as soon as so many are in, and at the next tick all the same', () => {
    const mix = begin(POOL)
    const out = Array.from({ length: 12 }, (_, i) => add(mix, i))
    expect(out.map(left => left.length)).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9])
    const due = mix.due() as number
    expect(due).toBeLessThanOrEqual(100)
    expect(mix.leave(due, rng)).toHaveLength(2)
    expect(mix.due()).toBeCloseTo(due + 100)
  })
})

describe('nothing starves', () => {
  test('a sole packet leaves at the next tick, under timed and pool', () => {
    for (const strategy of [TIMED, POOL]) {
      for (let i = 0; i < 200; i++) {
        const mix = begin(strategy)
        add(mix, 0, i)
        const due = mix.due() as number
        expect(due - i).toBeLessThanOrEqual(100)
        expect(mix.leave(due, rng)).toHaveLength(1)
      }
    }
  })

  test('without newcomers half of a pool leaves at each tick at least', () => {
    for (let n = 1; n <= 64; n++) {
      const mix = begin({ ...POOL, threshold: 1000, pool: 900 })
      for (let i = 0; i < n; i++) add(mix, i)
      let ticks = 0
      for (let due = mix.due(); due !== undefined; due = mix.due()) {
        mix.leave(due, rng)
        ticks += 1
      }
      expect(ticks).toBe(Math.floor(Math.log2(n)) + 1)
    }
  })

  test('at a load of one packet in many intervals none stays for long', () => {
    for (const strategy of [TIMED, POOL]) {
      const mix = begin(strategy)
      for (let i = 0; i < 100; i++) {
        add(mix, i, 1000 * i)
        expect(mix.size).toBe(1)
      }
    }
  })
})
