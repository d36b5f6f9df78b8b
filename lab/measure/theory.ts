/**
 * What closed forms say of a scenario, where there is one: of a path's latency, and of what a single mix holds. Null where
 * none is known here.
 */
import { layersAround } from '@mixmint/mixnet/directory/way'
import type { Scenario } from '../scenario/schema.ts'
import { perMix, rateOf, widths } from '../scenario/read.ts'
import { normalCdf, sumCdf, type Term } from './convolution.ts'
import { erlangCdf, quantileBy } from './statistics.ts'

/** A day of so many intervals is the same all through one. */
const STEADY = 100
/** On a grid: how much of a law may be beyond it, and the widest log-normal law that it is fine enough for. */
const REST = 1e-6
const WIDEST = 0.8
/** λe/μ from which on Danezis' form is near enough. */
const MANY = 10

export interface LatencyLaw {
  /** In seconds. */
  readonly mean: number
  /** Of the whole latency; null: only its mean is known. */
  readonly cdf: ((seconds: number) => number) | null
}

/** Does the arrival of packets at the first mixes follow a Poisson process? With cover it does whatever clients do. */
function isPoisson ({ cover, clients }: Scenario): boolean {
  return cover.send_s > 0 || clients.behaviour === 'poisson'
}

/** Packets a second that leave clients, cover included; 0 where a file says when. */
function packetRate (scenario: Scenario): number {
  const { cover, clients } = scenario
  return cover.send_s > 0 ? clients.count / cover.send_s : rateOf(scenario) * clients.count
}

/** Packets a second that come to a mix of this layer, loops included, those that links lose not. */
export function mixRate (scenario: Scenario, layer: number): number {
  const { cover, topology: { kind, layers }, link } = scenario
  const all = widths(scenario)
  const mixes = all.reduce((sum, width) => sum + width, 0)
  /** After so many links. */
  const left = (links: number): number => (1 - link.loss) ** links
  const loops = cover.loop_s > 0 ? 1 / cover.loop_s : 0
  if (kind === 'free-route') {
    let visits = 0
    for (let hop = 1; hop <= layers; hop++) visits += packetRate(scenario) * left(hop) + (hop < layers ? mixes * loops * left(hop) : 0)
    return visits / mixes
  }
  // A loop passes every layer but its own, those behind it first.
  const ofLoops = all.reduce((sum, width, from) => sum + (from === layer ? 0 : width * loops * left(layersAround(from, layers - 1).indexOf(layer) + 1)), 0)
  return (packetRate(scenario) * left(layer + 1) + ofLoops) / all[layer]
}

/**
 * The latency of a message from when it leaves its sender. Of Poisson mixes: an Erlang law, after the links. A threshold mix:
 * it holds 0 to b − 1 packets, each number for as long as any other, so that a packet waits for (b − 1)/2λ on the mean
 * (Little); where all that leaves one mix goes to the same next one, the batch stays together, and waits nowhere else. A
 * timed mix: uniform over its interval, so T/2. A pool mix that is never full, of interval T and pool k: T/2 + k/λ. These two are
 * laws of a single layer: mixes keep their beats, so that from one to the next the time to its tick is fixed for the pair.
 */
export function latencyLaw (scenario: Scenario): LatencyLaw | null {
  const { topology: { layers }, link, strategy, churn, clients, mix } = scenario
  if (link.kind === 'matrix' || churn.up_s > 0) return null
  const links = (layers + 1) * link.delay_s
  switch (strategy.kind) {
    case 'poisson': {
      const mean = perMix(scenario) / 1000
      return { mean: links + layers * mean, cdf: link.kind === 'constant' ? x => erlangCdf(layers, mean, x - links) : overLinks(scenario, mean) }
    }
    case 'threshold': {
      const wait = mix.queue_limit < strategy.batch || !isPoisson(scenario) ? null : thresholdWait(scenario)
      return wait === null ? null : { mean: links + wait, cdf: null }
    }
    case 'timed': {
      const isEven = isPoisson(scenario) || clients.behaviour === 'bursty' || (clients.behaviour === 'diurnal' && clients.period_s > STEADY * strategy.interval_s)
      if (layers > 1 || !isEven || isOverfull(scenario, mixRate(scenario, 0) * strategy.interval_s)) return null
      // Those of a burst come to one tick, and are no sample of the law.
      const hasLaw = link.kind === 'constant' && isPoisson(scenario)
      return { mean: links + strategy.interval_s / 2, cdf: hasLaw ? x => Math.min(1, Math.max(0, (x - links) / strategy.interval_s)) : null }
    }
    case 'pool': {
      if (layers > 1 || !isPoisson(scenario)) return null
      const wait = strategy.interval_s / 2 + strategy.pool / mixRate(scenario, 0)
      // Fuller, or emptier than its pool, it has another law.
      const inside = mixRate(scenario, 0) * strategy.interval_s + strategy.pool
      return inside > strategy.threshold / 2 || inside < 2.5 * strategy.pool || isOverfull(scenario, inside) ? null : { mean: links + wait, cdf: null }
    }
  }
}

/** Of Poisson mixes with links whose delays differ: on a grid; null where the tail is too long for one. */
function overLinks ({ topology: { layers }, link }: Scenario, mean: number): LatencyLaw['cdf'] {
  const mixes: Term = { cdf: x => erlangCdf(layers, mean, x), most: quantileBy(x => erlangCdf(layers, mean, x), 1 - REST) }
  const one = linkOf(link)
  return one === null ? null : sumCdf([mixes, ...Array.from({ length: layers + 1 }, () => one)])
}

function linkOf ({ kind, delay_s: delay, spread_s: spread, sigma }: Scenario['link']): Term | null {
  if (kind === 'uniform') return { cdf: x => spread === 0 ? Number(x >= delay) : Math.min(1, Math.max(0, (x - delay + spread) / (2 * spread))), most: delay + spread }
  if (kind !== 'log-normal' || sigma > WIDEST || sigma === 0 || delay === 0) return null
  const mu = Math.log(delay) - sigma ** 2 / 2
  const cdf = (x: number): number => x <= 0 ? 0 : normalCdf((Math.log(x) - mu) / sigma)
  return { cdf, most: quantileBy(cdf, 1 - REST) }
}

/** In a mix that flushes at ticks: do so many, on the mean at a tick, find no room now and then? Late ones do first. */
function isOverfull ({ mix, clients, cover }: Scenario, inside: number): boolean {
  const atMost = clients.behaviour === 'diurnal' && cover.send_s === 0 ? inside * (1 + clients.swing) : inside
  return atMost + 6 * Math.sqrt(atMost) > mix.queue_limit
}

/** Seconds, over all layers; null: batches go on together, and something gets between them. */
function thresholdWait (scenario: Scenario): number | null {
  const { topology: { kind, layers }, link, strategy, cover } = scenario
  if (kind === 'free-route' && layers > 1) return null // what has left a mix does not come back to it: not any number is as frequent
  const all = widths(scenario)
  let wait = 0
  for (let layer = 0; layer < layers; layer++) {
    const isTogether = layer > 0 && (kind === 'cascade' || all[layer] === 1)
    if (!isTogether) wait += (strategy.batch - 1) / (2 * mixRate(scenario, layer))
    else if (link.kind !== 'constant' || link.loss > 0 || cover.loop_s > 0) return null
  }
  return wait
}

/**
 * Danezis 2004: the anonymity that one mix of the first layer gives, log2 of λe/μ bits; null where it is no Poisson mix, where
 * what comes to it is no Poisson process, or is kept from it, or where μ ≪ λe does not hold.
 */
export function mixEntropy (scenario: Scenario): number | null {
  if (scenario.strategy.kind !== 'poisson' || !isPoisson(scenario) || scenario.adversary.observer === 'active') return null
  const candidates = mixRate(scenario, 0) * Math.E * perMix(scenario) / 1000
  return candidates < MANY ? null : Math.log2(candidates)
}
