/**
 * Published results and closed forms, and what the lab measures of them: the reason to believe its other numbers. Nothing here
 * is tuned: scenarios are as the sources describe them, and each claim says how near it has to be.
 */
import { readFileSync } from 'node:fs'
import { slope, sweepDisclosure } from '../compare/disclosure-table.ts'
import { estimate } from '../measure/statistics.ts'
import { simulate, type Finished } from '../run/simulate.ts'
import { parseToml, readScenario, setKey, type Raw } from '../scenario/read.ts'
import type { Scenario } from '../scenario/schema.ts'

export interface Claim {
  readonly what: string
  readonly source: string
  readonly published: number
  readonly measured: number
  /** Half of the interval that holds the mean with 95 %, where it is one of independent values. */
  readonly within?: number
  readonly unit: string
  /** How far the measured value may be from the published one. */
  readonly tolerance: number
  readonly met: boolean
}

export type Extent = 'short' | 'full'
type Progress = (part: number) => void

const DANEZIS = 'Danezis, PET 2004'
const MIXIM = 'Ben Guirat, Gosain, Diaz, PETS 2022'
const LOOPIX = 'Piotrowska et al., USENIX Security 2017'

/** How many targets, and for how many seconds; the short ones are for every run of the tests. */
const SIZES = { short: { targets: 20, law: 60 }, full: { targets: 200, law: 600 } } as const

interface Step { readonly weight: number, readonly run: (progress: Progress) => Claim[] }

export function reproduce (extent: Extent, progress: Progress = () => {}): Claim[] {
  const steps = stepsOf(extent)
  const all = steps.reduce((sum, { weight }) => sum + weight, 0)
  let done = 0
  return steps.flatMap(({ weight, run }) => {
    const claims = run(part => { progress((done + weight * part) / all) })
    done += weight
    return claims
  })
}

function stepsOf (extent: Extent): Step[] {
  const { targets, law } = SIZES[extent]
  const mixim = (what: string, figure: number, published: number, set: Readonly<Record<string, string>>, weight: number): Step => ({
    weight,
    run: progress => [entropy(what, `${MIXIM}, Figure ${figure}`, published, run('mixim-fig7', { 'measure.targets': String(targets), ...set }, progress))]
  })
  const danezis = (published: number, rate: number, mean: number): Step => ({
    weight: 1,
    run: progress => [entropy(`one exponential mix, λ = ${rate}/s, μ = ${1 / mean}/s`, `${DANEZIS}: log2(λe/μ)`, published,
      run('danezis-2004', { 'measure.targets': String(2 * targets), 'clients.total_rate': String(rate), 'delay.per_mix_s': String(mean) }, progress))]
  })
  return [
    danezis(9.41, 500, 0.5),
    ...extent === 'full' ? [danezis(Math.log2(100 * Math.E / 0.5), 100, 2)] : [],
    mixim('stratified, W = 10, λ = 5000/s, L = 1', 7, 10.253, { 'topology.layers': '1' }, 3),
    mixim('the same, L = 3', 7, 13.039, {}, 6),
    ...extent === 'full'
      ? [mixim('L = 3, W = 10', 8, 13.038, { 'run.seed': '8' }, 6), mixim('L = 3, W = 100', 8, 12.73, { 'topology.width': '100' }, 6)]
      : [],
    { weight: 2, run: progress => loopix(law, progress) },
    { weight: 1, run: progress => threshold(law, progress) },
    { weight: 1, run: progress => timed(law, progress) },
    { weight: 1, run: progress => pool(targets, progress) },
    { weight: 1, run: progress => unobservability(law, progress) },
    { weight: 4, run: () => disclosure(extent) }
  ]
}

function run (name: string, set: Readonly<Record<string, string>>, progress: Progress): Finished {
  const file = new URL(`../scenarios/${name}.toml`, import.meta.url)
  const raw = parseToml(readFileSync(file, 'utf8'), name)
  for (const [key, value] of Object.entries(set)) setKey(raw, key, value)
  return simulate(readScenario(raw, name), { progress })
}

function entropy (what: string, source: string, published: number, { tally }: Finished): Claim {
  const { mean, high } = estimate(tally.anonymity.map(one => one.entropy))
  return claim({ what, source, published, measured: mean, within: high - mean, unit: 'bits', tolerance: 0.1 })
}

function claim (made: Omit<Claim, 'met'>): Claim {
  return { ...made, met: Math.abs(made.measured - made.published) <= made.tolerance }
}

/** Three layers of ten Poisson mixes, 100 ms each, to each of which come 50 packets a second. */
function loopix (seconds: number, progress: Progress): Claim[] {
  const rate = 50
  const mean = 0.1
  const { summary: { mixes: { occupancy }, theory } } = simulate(scenarioOf({
    topology: { layers: 3, width: 10 }, delay: { per_mix_s: mean }, link: { delay_s: 0.02 }, clients: { total_rate: 10 * rate }, run: { duration_s: seconds, warmup_s: 2 }
  }), { progress })
  // As of n independent counts: looks come once a second on the mean, and two of them t apart are correlated by e^(−t/mean).
  const n = 30 * seconds / (1 + 2 * mean)
  const load = rate * mean
  const from = `${LOOPIX}: Poisson(λ/μ)`
  return [
    claim({ what: 'packets in a Poisson mix, mean', source: from, published: load, measured: occupancy.mean, unit: 'packets', tolerance: 4 * Math.sqrt(load / n) }),
    claim({ what: 'packets in a Poisson mix, variance', source: from, published: load, measured: occupancy.variance, unit: 'packets²', tolerance: 4 * load * Math.sqrt((2 + 1 / load) / n) }),
    claim({ what: 'latency of a 3-hop path, distance from its Gamma law', source: `${LOOPIX}; Kolmogorov, Smirnov (p > 0.001)`, published: 0, measured: theory?.ks?.distance ?? NaN, unit: '', tolerance: 1.95 / Math.sqrt(theory?.ks?.n ?? 0) })
  ]
}

function threshold (seconds: number, progress: Progress): Claim[] {
  const { summary } = simulate(scenarioOf({
    topology: { layers: 1, width: 1 }, strategy: { kind: 'threshold', batch: 40 }, link: { delay_s: 0 }, clients: { total_rate: 400 }, run: { duration_s: seconds, warmup_s: 2 }
  }), { progress })
  return [wait('mean wait in a threshold mix, b = 40, λ = 400/s', 'first of a batch waits for b − 1 more: (b − 1)/2λ', 39 / 800, summary)]
}

function timed (seconds: number, progress: Progress): Claim[] {
  const { summary } = simulate(scenarioOf({
    topology: { layers: 1, width: 1 }, strategy: { kind: 'timed', interval_s: 0.2 }, link: { delay_s: 0 }, clients: { total_rate: 400 }, run: { duration_s: seconds, warmup_s: 2 }
  }), { progress })
  return [wait('mean wait in a timed mix, T = 0.2 s', 'uniform over the interval: T/2', 0.1, summary)]
}

/** In each round 90 come, and of the 100 that are then in 90 leave: (1 + n/N) log2(N + n) − (n/N) log2 n. */
function pool (targets: number, progress: Progress): Claim[] {
  const [batch, kept] = [90, 10]
  const finished = simulate(scenarioOf({
    topology: { layers: 1, width: 1 }, strategy: { kind: 'pool', interval_s: 1e6, threshold: batch + kept, pool: kept }, link: { delay_s: 0 }, clients: { total_rate: 400 },
    measure: { targets, target_interval_s: 1 }, run: { warmup_s: 5 }
  }), { progress })
  const published = (1 + kept / batch) * Math.log2(batch + kept) - kept / batch * Math.log2(kept)
  return [entropy('a pool mix, N = 90 a round, n = 10 in the pool', 'Serjantov, Danezis, PET 2002', published, finished)]
}

/** Fifty clients who write now and then, behind cover: windows in which they wrote, and in which they did not. */
function unobservability (seconds: number, progress: Progress): Claim[] {
  const { summary: { unobservability: found } } = simulate(scenarioOf({
    topology: { layers: 1, width: 1 }, delay: { per_mix_s: 0.02 }, clients: { count: 50, rate: 0.07 }, cover: { send_s: 0.2 }, run: { duration_s: seconds, warmup_s: 2 }
  }), { progress })
  const within = found === null ? NaN : (found.ci95[1] - found.ci95[0]) / 2
  return [claim({ what: 'senders behind cover, told from those who are silent (AUC)', source: `${LOOPIX}: sender unobservability`, published: 0.5, measured: found?.auc ?? NaN, within, unit: '', tolerance: 2 * within })]
}

/** Of a thousand people, fifty are friends. The estimate is of one friend; that of fifty nearly all are known takes longer. */
function disclosure (extent: Extent): Claim[] {
  const batches = extent === 'short' ? [50, 200] : [50, 100, 200, 400]
  const rows = sweepDisclosure({ people: 1000, friends: 50, batches, reals: [1], runs: extent === 'short' ? 2 : 10, seed: 1 })
  const source = 'Danezis, SEC 2003'
  const ratio = Math.exp(rows.reduce((sum, { measured, estimated }) => sum + Math.log(measured / estimated), 0) / rows.length)
  return [
    claim({ what: 'statistical disclosure, rounds over those of the estimate', source: `${source}: same order (1/3 to 3)`, published: 1, measured: ratio, unit: '', tolerance: ratio < 1 ? 2 / 3 : 2 }),
    claim({
      what: 'statistical disclosure, growth with the batch (slope of logarithms)', source, unit: '', tolerance: 0.3,
      published: slope(rows.map(({ batch, estimated }) => [batch, estimated])), measured: slope(rows.map(({ batch, measured }) => [batch, measured]))
    })
  ]
}

function wait (what: string, source: string, published: number, { transit_s: transit }: Finished['summary']): Claim {
  return claim({ what, source, published, measured: transit?.mean ?? NaN, unit: 's', tolerance: published * 0.02 })
}

function scenarioOf (raw: Raw): Scenario {
  return readScenario(raw, 'reproduce')
}
