/**
 * How long a packet is on its way through k mixes, under the strategy in force, for those who wait for it. Times on links
 * and in queues are not in it.
 *
 *   poisson      the sum of k exponential times, Gamma (Erlang): P(T ≤ t) = 1 − e^(−t/mean) · Σ_{i<k} (t/mean)^i / i!
 *   timed        a path meets each mix at any time between two ticks (ticks.ts): k times uniform over an interval, Irwin and Hall's
 *                law: P(T ≤ t · interval) = Σ_{j≤t} (−1)^j · C(k, j) · (t − j)^k / k!
 *   pool         besides, a packet is kept at each tick with probability 1/2 at most (pool.ts), so the ticks for which it
 *                stays number at most a sum of k geometric ones, negative binomial: P(M = m) = C(m + k − 1, m) / 2^(m + k)
 *   threshold    at each mix at most batch − 1 packets have to come. Nobody here knows the traffic; but nodes send loops, and
 *                where a layer has no more nodes than send loops through it (mixes no more than there are nodes in other
 *                layers, gateways no more than mixes), each of them gets one packet per mean time `cover.loop` at least.
 *                So an upper bound (Chernoff's, of the Erlang law), mostly far too high: a lost packet is missed late.
 */
import type { Millis } from '@mixmint/core/kit/ports'
import type { Cover, Strategy } from '../directory/formats.ts'

/** As in the directory's `Parameters`. */
export interface MixingParameters {
  /** Hops of every path, the destination (which does not delay) included. */
  readonly pathLength: number
  readonly strategy: Strategy
  /** Of one hop, ms, under poisson. */
  readonly meanDelay: Millis
  readonly cover: Cover
}

/** The time, ms, within which a packet has passed k mixes with probability p at least; 0 < p < 1. */
export function delayQuantile ({ strategy, meanDelay, cover }: MixingParameters, k: number, p: number): Millis {
  switch (strategy.kind) {
    case 'poisson': return erlangQuantile(k, meanDelay, p)
    case 'timed': return strategy.interval * quantile(x => irwinHall(k, x), p)
    case 'pool': return strategy.interval * quantile(x => withPool(k, x), p)
    case 'threshold': return cover.loop * quantile(x => erlangBound(k * (strategy.batch - 1), x), p)
  }
}

/** The time before which a sum of k exponential times of this mean has passed with probability p < 1. */
export function erlangQuantile (k: number, mean: Millis, p: number): Millis {
  return k === 0 || mean === 0 ? 0 : mean * quantile(x => erlang(k, x), p)
}

/** Where a distribution function on the positive numbers reaches p. */
function quantile (cdf: (x: number) => number, p: number): number {
  let low = 0
  let high = 1
  while (cdf(high) < p) high *= 2
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2
    if (cdf(middle) < p) low = middle
    else high = middle
  }
  return high
}

function erlang (k: number, x: number): number {
  let term = Math.exp(-x)
  let sum = 0
  for (let i = 0; i < k; i++) {
    sum += term
    term *= x / (i + 1)
  }
  return 1 - sum
}

/** P(T > x) ≤ e^(k − x) · (x / k)^k for x ≥ k. */
function erlangBound (k: number, x: number): number {
  return x <= k ? 0 : 1 - Math.exp(k - x + k * Math.log(x / k))
}

function irwinHall (k: number, x: number): number {
  if (x >= k) return 1
  let sum = 0
  let sign = 1 / factorial(k)
  for (let j = 0; j < x; j++) {
    sum += sign * (x - j) ** k
    sign *= -(k - j) / (j + 1)
  }
  return sum
}

function withPool (k: number, x: number): number {
  let sum = 0
  let weight = 2 ** -k
  for (let m = 0; m < x; m++) {
    sum += weight * irwinHall(k, x - m)
    weight *= (m + k) / (m + 1) / 2
  }
  return sum
}

function factorial (k: number): number {
  return k <= 1 ? 1 : k * factorial(k - 1)
}
