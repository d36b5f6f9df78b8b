/**
 * Flow correlation: somebody sees the link between one wallet and its gateway, and that of the bank, and asks whether the wallet
 * has to do with the bank. What he sees are times (meeting.ts). He knows how mixes delay, and for how long he has to watch is
 * what is measured; each row is of so many wallets that ask the bank, that ask another service as often, and that ask nobody.
 *
 *   link    of the wallet's link alone: does it ask anybody? By how many packets there are, and by how they come in bursts.
 *   both    of both links: is it the bank that it asks, and not another? By the packets at the bank that come as long after
 *           one of the wallet as mixes delay, more than chance would have; and back (a matched filter; as Levine, Reiter, Wang,
 *           Wright, "Timing attacks in low-latency mix systems", FC 2004, with the law of the delays for their windows).
 */
import type { Millis, Rng } from '@mixmint/core/kit/ports'
import { exponential } from '@mixmint/core/kit/samplers'
import type { Suite } from '@mixmint/core/crypto/suite'
import { foundAt, roc, type Roc } from '../measure/roc.ts'
import { hollow } from './hollow.ts'
import { keptRng } from './line.ts'
import { meet, onTheWay, type Asks, type MeetingPlan, type Seen } from './meeting.ts'

export interface Correlation {
  readonly cover: boolean
  readonly observed_s: number
  /** Asks anybody, against asks nobody. */
  readonly link_count: Roc
  readonly link_bursts: Roc
  /** Asks the bank, against asks another. */
  readonly both: Roc
  /** Of those that ask the bank so many are found where 1 % of those that do not are taken for them. */
  readonly found_at_1pc: number
  /** Asks the bank, against asks nobody. */
  readonly both_idle: Roc
  /** Of the requests to the bank and to the other service, so many had their answer when the longest observation ended. */
  readonly answered: number
}

export interface CorrelationPlan extends MeetingPlan {
  /** Wallets of each kind. */
  readonly wallets: number
  /** For how long they are observed, s, in rising order. */
  readonly observed: readonly number[]
  readonly seed: number
}

const NO_COVER = { send: 0, echoes: 0, pace: 0, loop: 0 }
/** Before observation begins all packets on the way are as many as they ever are. */
const WARM: Millis = 5000
const BIN: Millis = 10
const BURST: Millis = 1000
const FALSE = 0.01
const DRAWS = 200_000
const KINDS: readonly Asks[] = ['the bank', 'another', 'nobody']

/** @param progress which part is done, from 0 to 1 */
export function correlation (suite: Suite, plan: CorrelationPlan, progress: (part: number) => void = () => {}): Correlation[] {
  const light = hollow(suite)
  return [false, true].flatMap((isCovered, half) => {
    const meeting = isCovered ? plan : { ...plan, cover: NO_COVER }
    const kernels = kernelsOf(meeting, keptRng(plan.seed, 'kernel'))
    const last = WARM + plan.observed[plan.observed.length - 1] * 1000
    // By time and kind: of each wallet its scores.
    const scores = plan.observed.map(() => new Map<Asks, Scores[]>(KINDS.map(kind => [kind, []])))
    let [asked, answered] = [0, 0]
    for (let wallet = 0; wallet < plan.wallets; wallet++) {
      for (const [i, asks] of KINDS.entries()) {
        const seen = meet(light, meeting, asks, last, plan.seed * 1_000_003 + wallet * KINDS.length + i)
        asked += seen.requests.asked
        answered += seen.requests.answered
        plan.observed.forEach((seconds, at) => { scores[at].get(asks)?.push(scoresOf(within(seen, seconds * 1000), seconds * 1000, kernels)) })
      }
      progress((half + (wallet + 1) / plan.wallets) / 2)
    }
    return plan.observed.map((seconds, at) => {
      const of = (asks: Asks, score: keyof Scores): number[] => (scores[at].get(asks) ?? []).map(one => one[score])
      return {
        cover: isCovered, observed_s: seconds,
        link_count: roc(of('the bank', 'count'), of('nobody', 'count')), link_bursts: roc(of('the bank', 'bursts'), of('nobody', 'bursts')),
        both: roc(of('the bank', 'both'), of('another', 'both')), found_at_1pc: foundAt(FALSE, of('the bank', 'both'), of('another', 'both')),
        both_idle: roc(of('the bank', 'both'), of('nobody', 'both')),
        answered: answered / asked
      }
    })
  })
}

interface Scores { readonly count: number, readonly bursts: number, readonly both: number }
interface Kernel { readonly density: Float64Array, readonly energy: number }

/** How long after one on the first link a packet of the same way is on the second: by bins of 10 ms, of a density in 1/ms. */
function kernelsOf (plan: MeetingPlan, rng: Rng): { readonly up: Kernel, readonly down: Kernel } {
  const of = (extra: Millis): Kernel => {
    const counts: number[] = []
    for (let i = 0; i < DRAWS; i++) {
      const bin = Math.floor((onTheWay(plan, rng) + (extra > 0 ? exponential(rng, extra) : 0)) / BIN)
      counts[bin] = (counts[bin] ?? 0) + 1
    }
    const density = Float64Array.from(counts, count => (count ?? 0) / DRAWS / BIN)
    return { density, energy: density.reduce((sum, value) => sum + value ** 2 * BIN, 0) }
  }
  return { up: of(0), down: of(plan.cover.pace) }
}

type Times = Omit<Seen, 'requests'>

function within (seen: Seen, until: Millis): Times {
  const part = (times: readonly number[]): number[] => times.filter(at => at >= WARM && at < WARM + until)
  return { up: part(seen.up), down: part(seen.down), toBank: part(seen.toBank), fromBank: part(seen.fromBank) }
}

function scoresOf ({ up, down, toBank, fromBank }: Times, length: Millis, kernels: { readonly up: Kernel, readonly down: Kernel }): Scores {
  return {
    count: up.length + down.length,
    bursts: dispersion(up, length) + dispersion(down, length),
    both: match(up, toBank, length, kernels.up) + match(fromBank, down, length, kernels.down)
  }
}

/** Variance over mean of how many come in a second; 0 where none do. */
function dispersion (times: readonly number[], length: Millis): number {
  const counts = new Float64Array(Math.max(1, Math.floor(length / BURST)))
  for (const at of times) counts[Math.min(counts.length - 1, Math.floor((at - WARM) / BURST))] += 1
  const mean = times.length / counts.length
  return mean === 0 ? 0 : counts.reduce((sum, count) => sum + (count - mean) ** 2, 0) / counts.length / mean
}

/** Standard deviations by which pairs are more than independent streams would have. */
function match (from: readonly number[], to: readonly number[], length: Millis, { density, energy }: Kernel): number {
  if (from.length === 0 || to.length === 0) return 0
  let [sum, first] = [0, 0]
  for (const at of from) {
    while (first < to.length && to[first] <= at) first++
    for (let i = first; i < to.length; i++) {
      const bin = Math.floor((to[i] - at) / BIN)
      if (bin >= density.length) break
      sum += density[bin]
    }
  }
  const pairs = from.length * to.length / length
  return (sum - pairs) / Math.sqrt(pairs * energy)
}
