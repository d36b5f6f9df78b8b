import { expect, test } from 'vitest'
import { estimatedRounds, measuredRounds } from '../../lab/compare/disclosure.ts'
import { flush } from '../../lab/compare/flushing.ts'
import { foreseenRounds, ofReceivers, ofSenders } from '../../lab/compare/intersection.ts'
import { asStrategies } from '../../lab/compare/strategies.ts'
import { simulate } from '../../lab/run/simulate.ts'
import { readScenario } from '../../lab/scenario/read.ts'

test('strategies are compared at equal mean latency and equal traffic', () => {
  const scenario = readScenario({
    topology: { layers: 2, width: 4 }, delay: { per_mix_s: 0.1 }, link: { delay_s: 0.01 }, clients: { total_rate: 800 },
    measure: { targets: 20, target_interval_s: 0.5 }, run: { warmup_s: 2, duration_s: 20 }
  }, 'test')
  const found = asStrategies(scenario).map(one => ({ kind: one.strategy.kind, ...simulate(one).summary }))
  expect(found.map(({ kind }) => kind)).toEqual(['poisson', 'threshold', 'timed', 'pool'])
  const within: Record<string, number> = { poisson: 0.05, threshold: 0.05, pool: 0.15, timed: 0.3 }
  for (const { kind, latency_s: latency, messages } of found) {
    // Beats of timed mixes stand to each other as chance has it: a few mixes do not average it out.
    expect(Math.abs((latency?.mean ?? 0) / 0.23 - 1)).toBeLessThan(within[kind])
    expect(messages.sent).toBe(found[0].messages.sent)
  }
  const bits = Object.fromEntries(found.map(({ kind, entropy_bits: measured }) => [kind, measured?.mean ?? 0]))
  expect(bits.poisson).toBeGreaterThan(bits.timed)
  expect(bits.poisson).toBeGreaterThan(bits.threshold)
})

test('statistical disclosure: rounds are of the order of the estimate, and cover makes them more', () => {
  const attack = { people: 300, friends: 10, batch: 40, real: 1 }
  const [all, third] = [1, 1 / 3].map(real => ({ measured: measuredRounds({ ...attack, real }, 1, 8), estimated: estimatedRounds({ ...attack, real }) }))
  expect(all.measured / all.estimated).toBeGreaterThan(1 / 3)
  expect(all.measured / all.estimated).toBeLessThan(4)
  // As the square of the part that is real: nine times.
  expect(third.measured / all.measured).toBeGreaterThan(4)
  expect(third.estimated / all.estimated).toBeCloseTo(9, 6)
})

test('intersection: rounds are as the formula has them; cover of hers rules her friend out, and presence tells who is behind a name', () => {
  // 1 − 2^−t is 0.95 between the fourth and the fifth round; and where the right one is missing now and then, never.
  expect([foreseenRounds(2, 0.5, 1), foreseenRounds(2, 0.5, 0.9), foreseenRounds(1000, 0, 1), foreseenRounds(1, 0.5, 1)]).toEqual([5, null, 1, 1])
  for (const row of [ofReceivers({ people: 300, batch: 20, real: 1 }, 200, 1), ofReceivers({ people: 300, batch: 200, real: 1 }, 200, 1), ofSenders({ people: 300, there: 0.3 }, 200, 1)]) {
    expect(Math.abs((row.rounds ?? NaN) - (row.foreseen ?? NaN))).toBeLessThanOrEqual(1)
    expect(row.right).toBe(1)
  }
  const covered = ofReceivers({ people: 300, batch: 20, real: 0.5 }, 200, 1)
  expect(covered).toMatchObject({ rounds: null, foreseen: null })
  expect(covered.right).toBeLessThan(0.4)
  const [few, many] = [0.1, 0.9].map(there => ofSenders({ people: 300, there }, 200, 1).rounds ?? NaN)
  expect(many).toBeGreaterThan(10 * few)
})

test('the n − 1 attack: who holds back everything for long enough has the target alone, and loops tell of it', () => {
  const scenario = readScenario({
    topology: { layers: 3, width: 3 }, delay: { per_mix_s: 0.05 }, clients: { total_rate: 300 }, cover: { loop_s: 1 }, run: { duration_s: 1 }
  }, 'test')
  const [none, short, long] = [0, 1, 30].map(block => flush(scenario, block))
  expect(none.beside).toBeGreaterThan(0)
  expect(short).toMatchObject({ beside: 0, alarm_s: null })
  expect(long).toMatchObject({ beside: 0, raised_by: 'itself' })
  expect(long.alarm_s).toBeGreaterThan(5)
  expect(long.alarm_s).toBeLessThan(30)
  expect(long.held_back).toBeGreaterThan(short.held_back)
})
