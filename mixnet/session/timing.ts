/**
 * How long to wait before a packet counts as lost. Each hop but the last delays by Exp(mean), so k hops take a Gamma
 * (Erlang) distributed time of shape k; P(T ≤ t) = 1 − e^(−t/mean) · Σ_{i<k} (t/mean)^i / i!.
 */
import type { Rng } from '@mixmint/core/kit/ports'
import { unit } from '@mixmint/core/kit/samplers'

export interface Timing {
  /** Of the packets of one flight, all that will come have come within this time of the first, ms. */
  readonly spread: number
  /** Forth and back, ms, with everything that is not mixing. */
  readonly roundTrip: number
  /** Back only. */
  readonly oneWay: number
}

/**
 * @param pathLength hops of every path, the destination (which does not delay) included
 * @param meanDelay of one hop, ms
 * @param base what links, queues and the service itself take, ms
 */
export function timingOf (pathLength: number, meanDelay: number, base: number): Timing {
  const delaying = pathLength - 1
  return {
    spread: Math.ceil(erlangQuantile(delaying, meanDelay, 0.99)),
    oneWay: Math.ceil(erlangQuantile(delaying, meanDelay, 0.99) + base / 2),
    roundTrip: Math.ceil(erlangQuantile(2 * delaying, meanDelay, 0.999) + base)
  }
}

/** The time before which a sum of k exponential times of this mean has passed with probability p < 1. */
export function erlangQuantile (k: number, mean: number, p: number): number {
  let low = 0
  let high = 1
  while (erlangCdf(k, high) < p) high *= 2
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2
    if (erlangCdf(k, middle) < p) low = middle
    else high = middle
  }
  return high * mean
}

function erlangCdf (k: number, x: number): number {
  let term = Math.exp(-x)
  let sum = 0
  for (let i = 0; i < k; i++) {
    sum += term
    term *= x / (i + 1)
  }
  return 1 - sum
}

/** A time drawn between `ms` and half as much again, so that retransmissions of two requests do not beat together. */
export function jittered (ms: number, rng: Rng): number {
  return Math.round(ms * (1 + unit(rng) / 2))
}
