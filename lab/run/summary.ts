/** What a run reports: summary.json. Times in seconds, entropies in bits, rates a second; null or left out where there is no finite number. */
import type { Unobservability } from '../measure/activity.ts'
import { matrixMean } from '../measure/matrix.ts'
import { latencyLaw, mixEntropy, type LatencyLaw } from '../measure/theory.ts'
import { estimate, ksTest, quantileBy, quantileOf } from '../measure/statistics.ts'
import type { Histogram } from '../measure/histogram.ts'
import { widths } from '../scenario/read.ts'
import type { Scenario } from '../scenario/schema.ts'
import type { Tally } from './tally.ts'

const QUANTILES = { p01: 0.01, p05: 0.05, p25: 0.25, p50: 0.5, p75: 0.75, p90: 0.9, p95: 0.95, p99: 0.99, p999: 0.999 } as const
type Quantiles = { readonly [Q in keyof typeof QUANTILES]: number }

interface Bits extends Pick<Quantiles, 'p05' | 'p50' | 'p95'> {
  readonly mean: number
  /** The mean is in here with 95 %; of one value nothing is known of that. */
  readonly ci95: readonly [number, number] | null
  readonly deviation: number | null
  readonly n: number
}

interface Latency extends Quantiles { readonly mean: number, readonly deviation: number, readonly least: number, readonly most: number, readonly n: number }

export interface Summary {
  /** Of the observer's distribution over received messages; null: no target was followed to its end. */
  readonly entropy_bits: Bits | null
  readonly min_entropy_bits: Bits | null
  /** The probability that he gave to the right message; the mean over targets. */
  readonly right_guess: number | null
  /** Of senders; null: not two windows in which something was written, and two in which nothing was. */
  readonly unobservability: Unobservability | null
  /** Of messages, from when they were written. */
  readonly latency_s: Latency | null
  /** From when they left their sender. */
  readonly transit_s: Latency | null
  readonly theory: {
    readonly transit_s: { readonly mean: number, readonly p50?: number, readonly p99?: number }
    /** Measured less theory. */
    readonly excess_s: { readonly mean: number, readonly p50?: number, readonly p99?: number }
    readonly ks?: { readonly distance: number, readonly p: number, readonly n: number }
    /** Log2 of λe/μ (Danezis 2004), of one mix of the first layer. */
    readonly mix_entropy_bits?: number
  } | null
  /** Loss: the part that was lost, of those that came to their end. Unfinished: those that were neither received nor lost ten minutes after the end; latency is without them, and too low. */
  readonly messages: { readonly sent: number, readonly received: number, readonly lost: number, readonly loss: number, readonly unfinished: number }
  readonly packets: {
    readonly sent: Readonly<Record<'message' | 'drop' | 'loop', number>>
    readonly received: Readonly<Record<'message' | 'drop' | 'loop', number>>
    readonly dropped: Readonly<Record<string, number>>
    readonly hops: number
  }
  /** For each message that was received. */
  readonly cost: { readonly packets: number, readonly bytes: number, readonly cpu_ms: number } | null
  readonly mixes: {
    /** Packets waiting in a mix. */
    readonly occupancy: { readonly mean: number, readonly variance: number, readonly most: number }
    /** Of a processor, for peeling. */
    readonly utilisation: number
  }
  readonly measured_s: number
}

export function summaryOf (scenario: Scenario, tally: Tally): Summary {
  const { sent, received, dropped, lost, hops, seconds, anonymity, unfinished } = tally
  const mixes = widths(scenario).reduce((sum, width) => sum + width, 0)
  const delivered = received.message
  return {
    entropy_bits: bitsOf(anonymity.map(({ entropy }) => entropy)),
    min_entropy_bits: bitsOf(anonymity.map(({ minEntropy }) => minEntropy)),
    right_guess: anonymity.length === 0 ? null : estimate(anonymity.map(({ right }) => right)).mean,
    unobservability: tally.unobservability,
    latency_s: latencyOf(tally.latency),
    transit_s: latencyOf(tally.transit),
    theory: theoryOf(scenario, tally),
    messages: { sent: sent.message, received: delivered, lost, loss: delivered + lost === 0 ? 0 : lost / (delivered + lost), unfinished },
    packets: { sent, received, dropped, hops },
    cost: delivered === 0
      ? null
      : {
          packets: hops / delivered,
          // Into each mix, the last link, and what was lost on one.
          bytes: (hops + received.message + received.drop + received.loop + dropped.link) * scenario.cost.packet_bytes / delivered,
          cpu_ms: hops * scenario.cost.peel_us / 1000 / delivered
        },
    mixes: { occupancy: occupancyOf(tally), utilisation: seconds === 0 ? 0 : hops / (mixes * seconds) * scenario.cost.peel_us / 1e6 },
    measured_s: seconds
  }
}

function bitsOf (values: readonly number[]): Bits | null {
  if (values.length === 0) return null
  const { mean, low, high, deviation, n } = estimate(values)
  const sorted = values.toSorted((a, b) => a - b)
  return { mean, ci95: n < 2 ? null : [low, high], deviation: n < 2 ? null : deviation, n, p05: quantileOf(sorted, 0.05), p50: quantileOf(sorted, 0.5), p95: quantileOf(sorted, 0.95) }
}

function latencyOf (histogram: Histogram): Latency | null {
  if (histogram.count === 0) return null
  const quantiles = Object.fromEntries(Object.entries(QUANTILES).map(([name, p]) => [name, histogram.quantile(p)])) as unknown as Quantiles
  const { mean, deviation, least, most, count: n } = histogram
  return { mean, ...quantiles, deviation, least, most, n }
}

function theoryOf (scenario: Scenario, { transit, transits }: Tally): Summary['theory'] {
  const law = scenario.link.kind === 'matrix' ? overMatrix(scenario) : latencyLaw(scenario)
  if (law === null || transit.count === 0) return null
  const { cdf, mean } = law
  const bits = mixEntropy(scenario)
  const ofOneMix = bits === null ? {} : { mix_entropy_bits: bits }
  if (cdf === null) return { transit_s: { mean }, excess_s: { mean: transit.mean - mean }, ...ofOneMix }
  const [p50, p99] = [quantileBy(cdf, 0.5), quantileBy(cdf, 0.99)]
  return {
    transit_s: { mean, p50, p99 },
    excess_s: { mean: transit.mean - mean, p50: transit.quantile(0.5) - p50, p99: transit.quantile(0.99) - p99 },
    ks: { ...ksTest(transits.values, cdf), n: transits.values.length },
    ...ofOneMix
  }
}

/** Of links from a matrix the mean alone: to all else they are links that take it, one by one, though not each as long. */
function overMatrix (scenario: Scenario): LatencyLaw | null {
  const links = matrixMean(scenario)
  if (links === null) return null
  const law = latencyLaw({ ...scenario, link: { ...scenario.link, kind: 'uniform', delay_s: links / (scenario.topology.layers + 1), spread_s: 0 } })
  return law === null ? null : { mean: law.mean, cdf: null }
}

function occupancyOf ({ occupancy }: Tally): Summary['mixes']['occupancy'] {
  let [n, sum, squares, most] = [0, 0, 0, 0]
  for (const [waiting, times] of occupancy) {
    n += times
    sum += waiting * times
    squares += waiting ** 2 * times
    most = Math.max(most, waiting)
  }
  const mean = n === 0 ? 0 : sum / n
  return { mean, variance: n === 0 ? 0 : squares / n - mean ** 2, most }
}
