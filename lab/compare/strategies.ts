/**
 * The strategies at equal mean latency and equal traffic: what of a scenario's mixes each would have to be, so that a packet
 * waits as long on the mean as in its Poisson mixes. λ: packets a second that come to a mix; m: its mean delay.
 *
 *   threshold   b = 2λm + 1           the mean wait is (b − 1)/2λ
 *   timed       T = 2m                T/2
 *   pool        T = m, k = λm/2       T/2 + k/λ: of n = λT + k that are in, k stay, each the longer by k/λ on the mean
 */
import { mixRate } from '../measure/theory.ts'
import { bad } from '../scenario/fields.ts'
import { perMix } from '../scenario/read.ts'
import type { Scenario } from '../scenario/schema.ts'

/** No pool is flushed for being full. */
const NEVER = 1 << 16

/** @returns poisson, threshold, timed, pool @throws bad-scenario (caller) */
export function asStrategies (scenario: Scenario): Scenario[] {
  const { strategy, topology: { width } } = scenario
  if (strategy.kind !== 'poisson') throw bad('strategy.kind', 'poisson wanted: its delay is what the others are set to')
  if (typeof width !== 'number') throw bad('topology.width', 'a single number wanted: where layers differ, no batch suits them all')
  const mean = perMix(scenario) / 1000
  const load = mixRate(scenario, 0) * mean
  const others: Array<Partial<Scenario['strategy']>> = [
    { kind: 'threshold', batch: Math.max(2, Math.round(2 * load + 1)) },
    { kind: 'timed', interval_s: 2 * mean },
    { kind: 'pool', interval_s: mean, pool: Math.max(1, Math.round(load / 2)), threshold: NEVER }
  ]
  return [scenario, ...others.map(other => ({ ...scenario, strategy: { ...strategy, ...other } }))]
}
