/** Attacks fail where they must, and the same measurement finds them where they succeed. */
import { describe, expect, test } from 'vitest'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import { partitionCost, split } from '../../lab/attack/partition.ts'
import { replay } from '../../lab/attack/replay.ts'
import { tagging } from '../../lab/attack/tagging.ts'
import { foundAt, roc } from '../../lab/measure/roc.ts'
import { ksTwoSamples } from '../../lab/measure/statistics.ts'
import { seededRng } from '../../lab/kernel/rng.ts'
import { simulate } from '../../lab/run/simulate.ts'
import { readScenario, type Raw } from '../../lab/scenario/read.ts'
import { exponential, unit } from '@mixmint/core/kit/samplers'
import { ksTwoSample } from '../reference/statistics.ts'

const suite = await defaultSuite()

describe('how well two kinds are told apart', () => {
  const rng = seededRng(1, 'normal')
  const normal = (mean: number): number => mean + Math.sqrt(-2 * Math.log(unit(rng))) * Math.cos(2 * Math.PI * unit(rng))
  const of = (mean: number, n = 4000): number[] => Array.from({ length: n }, () => normal(mean))

  test('of two normal laws that are d apart: Φ(d/√2), and at 1 % of false ones 1 − Φ(2.326 − d)', () => {
    const [one, other] = [of(2), of(0)]
    const { auc, ci95: [low, high] } = roc(one, other)
    expect(Math.abs(auc - 0.9214)).toBeLessThan(0.012)
    expect(high - low).toBeLessThan(0.02)
    expect(Math.abs(foundAt(0.01, one, other) - 0.372)).toBeLessThan(0.05)
  })

  test('the interval holds the true value as often as it says', () => {
    let held = 0
    for (let i = 0; i < 400; i++) {
      const { ci95: [low, high] } = roc(of(1, 60), of(0, 60))
      if (low <= 0.7602 && 0.7602 <= high) held += 1
    }
    expect(held / 400).toBeGreaterThan(0.91)
    expect(held / 400).toBeLessThan(0.985)
  })

  test('equal ones are half', () => {
    expect(roc([1, 2, 3], [1, 2, 3]).auc).toBeCloseTo(0.5, 12)
    expect(roc([2, 2], [1, 1])).toEqual({ auc: 1, ci95: [1, 1] })
    expect(foundAt(0.01, [1, 1], [1, 1])).toBe(0)
  })

  test('two samples, as the slow twin has it', () => {
    const [a, b] = [0.1, 0.11].map(mean => Array.from({ length: 500 }, () => exponential(rng, mean)))
    expect(ksTwoSamples(a, b).p).toBeCloseTo(ksTwoSample(a, b), 2)
  })
})

describe('tagging', () => {
  const rows = tagging(suite, 10, 1)

  test('no tag is recognized behind an honest mix, and each destroys its packet: a header at the next hop, a payload at the end', () => {
    for (const { tag, packets, recognized, arrived, dropped } of rows.filter(({ payload }) => payload === 'wide block')) {
      expect([recognized, arrived]).toEqual([0, 0])
      expect(dropped).toEqual(tag.startsWith('payload') ? { 'hop 5: payload': packets } : { 'hop 3: mac': packets })
    }
    expect(rows).toHaveLength(7)
  })

  test('under a stream cipher each would be', () => {
    expect(rows.at(-1)).toMatchObject({ payload: 'stream', recognized: 10, arrived: 10 })
  })
})

test('replay: nothing leaves twice, at once, in the next epoch, after it, and after a restart; without tags all would', async () => {
  const rows = await replay(suite, 10, 1)
  expect(rows.map(({ when, first, again, dropped }) => [when, first, again, dropped])).toEqual([
    ['at once', 10, 0, { replay: 10 }],
    ['after a rotation', 10, 0, { replay: 10 }],
    ['without the key', 10, 0, { mac: 10 }],
    ['after a restart', 10, 0, { replay: 10 }],
    ['after a loss of power', 0, 10, {}],
    ['without tags', 10, 10, {}]
  ])
})

describe('partition', () => {
  const of = async (corrupt: number, apart: number): Promise<Awaited<ReturnType<typeof split>>> => await split(suite, { authorities: 4, corrupt, with_victim: apart }, 2, 1)

  test('one of four has no second document, and leaves no node out', async () => {
    expect(await of(1, 1)).toMatchObject({ documents: 1, nodes: 9, victims_nodes: null })
  })

  test('two have one where they cut the others apart, of a single path; whoever sees both convicts both of them', async () => {
    expect(await of(2, 1)).toMatchObject({ documents: 2, nodes: 9, victims_nodes: 5, convicted: 2 })
  })

  test('three need nobody', async () => {
    expect(await of(3, 0)).toMatchObject({ documents: 2, nodes: 9, victims_nodes: 5, convicted: 3 })
  })

  test('costs the logarithm of the part of the mixes that is left, and nothing where all are', () => {
    const scenario = readScenario({
      topology: { layers: 3, width: 8 }, delay: { per_mix_s: 0.2 }, clients: { count: 50, total_rate: 800 }, measure: { targets: 20, target_interval_s: 1 }, run: { warmup_s: 2 }
    }, 'test')
    const all = simulate(scenario).summary.entropy_bits?.mean ?? NaN
    const [eight, two] = [8, 2].map(keep => partitionCost(scenario, keep).entropy_bits.mean)
    expect(Math.abs(eight - all)).toBeLessThan(0.1)
    expect(Math.abs(all - two - Math.log2(8 / 2))).toBeLessThan(0.25)
  })
})

describe('unobservability of senders', () => {
  const hidden = (cover: Raw, clients: Raw = {}): ReturnType<typeof simulate>['summary']['unobservability'] => simulate(readScenario({
    topology: { layers: 1, width: 1 }, delay: { per_mix_s: 0.02 }, clients: { count: 30, rate: 0.07, ...clients }, cover, run: { duration_s: 400, warmup_s: 5 }
  }, 'test')).summary.unobservability

  test('without cover whoever writes is seen; with it not, however they write', () => {
    expect(hidden({})).toMatchObject({ auc: 1, ci95: [1, 1], total_variation: 1 })
    for (const behaviour of ['poisson', 'bursty']) {
      const { auc, ci95: [low, high], total_variation: distance, by_chance: chance, gaps_ks: gaps, busy, idle } = hidden({ send_s: 0.5 }, { behaviour }) as NonNullable<ReturnType<typeof hidden>>
      expect(busy + idle).toBe(30 * 40)
      expect(Math.abs(auc - 0.5)).toBeLessThan(high - low)
      expect(high - low).toBeLessThan(0.13)
      expect(distance).toBeLessThan(1.7 * chance)
      expect(gaps?.p).toBeGreaterThan(0.001)
    }
  })

  test('of windows that are all of one kind nothing is said', () => {
    expect(hidden({}, { rate: 1e-9 })).toBeNull()
  })
})
