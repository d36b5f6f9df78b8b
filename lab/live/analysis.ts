/** What probes say of a network: how long round trips take, what was foreseen, and where the two part. */
import type { Suite } from '@mixmint/core/crypto/suite'
import { estimate, ksTwoSamples, quantileOf } from '../measure/statistics.ts'
import type { Scenario } from '../scenario/schema.ts'
import { ALPHA, estimateNodes, type LayerEstimate, type NodeEstimate, type Tolerance } from './estimate.ts'
import { predict, scenarioOf } from './predict.ts'
import type { Probed } from './session.ts'

interface Quantiles { readonly mean: number, readonly deviation: number, readonly p05: number, readonly p50: number, readonly p90: number, readonly p99: number, readonly n: number }

export interface ProbeSummary {
  readonly network: string
  readonly epoch: number
  /** How many documents of the directory were in force meanwhile: nodes may have moved. */
  readonly documents: number
  readonly probes: { readonly ended: number, readonly home: number, readonly lost: number, readonly loss: number, readonly loss_ci95: readonly [number, number], readonly rate: number, readonly lasted_s: number }
  /** Of probes that came home; null: none did. */
  readonly round_trip_s: Quantiles | null
  readonly predicted_s: Quantiles
  /**
   * Measured: by so much the median exceeds that of a network without links, for each link of a round trip. It is what the
   * prediction takes for the links' delay, so that the distance is one of shapes.
   */
  readonly link_s: number
  readonly ks: { readonly distance: number, readonly p: number, readonly n: number } | null
  /** Which departures from what is prescribed are seen; empty: none. */
  readonly departs: readonly string[]
  readonly tolerance: { readonly delay_s: number, readonly loss: number }
  readonly layers: readonly LayerEstimate[]
  readonly nodes: readonly NodeEstimate[]
}

export interface Analysed { readonly summary: ProbeSummary, readonly scenario: Scenario, readonly predicted: readonly number[] }

/** A fifth of what a mix is to take, and a packet of a hundred. */
const TOLERATED = { delay: 0.2, loss: 0.01, least: 0.002 }

export interface AnalyseOptions {
  /** One way through the network; null: as the directory's parameters say. */
  readonly scenario: Scenario | null
  readonly progress?: (part: number) => void
}

export function analyse (suite: Suite, probed: Probed, { scenario: given, progress }: AnalyseOptions): Analysed {
  const { parameters, trips, layers, rate } = probed
  const { pathLength, meanDelay, cover, strategy } = parameters
  const links = 2 * pathLength
  const took = trips.flatMap(({ took_s: took }) => took ?? []).sort((a, b) => a - b)
  const lost = trips.length - took.length
  const widths = layers.slice(0, -1).map(({ nodes }) => Math.max(1, nodes.length))
  const at = (delay: number, loss: number): Scenario => scenarioOf({ parameters, widths }, { delay, loss })
  const unlinked = predict(suite, given ?? at(0, 0), cover, rate, progress)
  // With the links that a scenario names, nothing is left to be measured.
  const link = given !== null || took.length === 0 ? 0 : Math.max(0, (quantileOf(took, 0.5) - quantileOf(unlinked, 0.5)) / links)
  const predicted = unlinked.map(seconds => seconds + link * links)
  const tolerance = toleranceOf(strategy.kind === 'poisson' ? meanDelay / 1000 : 'interval' in strategy ? strategy.interval / 2000 : 0)
  const { nodes, layers: estimated } = estimateNodes(trips.map(({ there, back, took_s: seconds }) => ({ visits: [...there, ...back], seconds })), layers, tolerance)
  const ks = took.length === 0 ? null : { ...ksTwoSamples(took, predicted), n: took.length }
  return {
    predicted, scenario: given ?? at(link, 1 - (1 - lost / Math.max(1, trips.length)) ** (1 / links)),
    summary: {
      network: probed.network, epoch: probed.epoch, documents: probed.documents,
      probes: { ended: trips.length, home: took.length, lost, ...lossOf(lost, trips.length), rate, lasted_s: Math.max(0, ...trips.map(({ sent_s: sent }) => sent)) },
      round_trip_s: took.length === 0 ? null : quantilesOf(took), predicted_s: quantilesOf(predicted), link_s: link, ks,
      departs: [
        ...ks !== null && ks.p < ALPHA ? [`round trips are not distributed as prescribed: distance ${ks.distance.toFixed(3)}, p = ${ks.p.toExponential(1)}`] : [],
        ...nodes.filter(({ slow }) => slow).map(({ node, layer, excess_s: excess }) => `${short(node)} (${layer}) is slow: ${ms(excess?.mean)} a visit more than the others of its layer, ${ms(excess?.low)} to ${ms(excess?.high)}`),
        ...nodes.filter(({ lossy }) => lossy).map(({ node, layer, loss }) => `${short(node)} (${layer}) loses packets: ${percent(loss.mean)} of them, ${percent(loss.low)} to ${percent(loss.high)}`),
        ...estimated.filter(({ p }) => p !== null && p < ALPHA / estimated.length).map(({ layer, range_s: range }) => `the nodes of ${layer} are not equally fast: they differ by up to ${ms(range ?? undefined)} a visit`)
      ],
      tolerance: { delay_s: tolerance.delay, loss: tolerance.loss }, layers: estimated, nodes
    }
  }
}

/** All begin alike. */
export function short (peer: string): string {
  return `…${peer.slice(-8)}`
}

export function toleranceOf (mean_s: number): Tolerance {
  return { delay: Math.max(TOLERATED.least, TOLERATED.delay * mean_s), loss: TOLERATED.loss }
}

function quantilesOf (sorted: readonly number[]): Quantiles {
  const { mean, deviation, n } = estimate(sorted)
  const of = (p: number): number => quantileOf(sorted, p)
  return { mean, deviation, p05: of(0.05), p50: of(0.5), p90: of(0.9), p99: of(0.99), n }
}

/** Wilson's interval (1927). */
function lossOf (lost: number, n: number): { readonly loss: number, readonly loss_ci95: readonly [number, number] } {
  if (n === 0) return { loss: 0, loss_ci95: [0, 1] }
  const [p, z] = [lost / n, 1.96]
  const middle = (p + z ** 2 / (2 * n)) / (1 + z ** 2 / n)
  const half = z * Math.sqrt(p * (1 - p) / n + z ** 2 / (4 * n ** 2)) / (1 + z ** 2 / n)
  return { loss: p, loss_ci95: [Math.max(0, middle - half), Math.min(1, middle + half)] }
}

function ms (seconds: number | undefined): string {
  return seconds === undefined ? '–' : `${(seconds * 1000).toFixed(1)} ms`
}

function percent (part: number): string {
  return `${(100 * part).toFixed(1)} %`
}
