/** How long to wait before a packet counts as lost: quantiles of the law of its delays. */
import type { Millis, Rng } from '@mixmint/core/kit/ports'
import { unit } from '@mixmint/core/kit/samplers'
import { delayQuantile, type MixingParameters } from './delay-law.ts'

export interface Timing {
  /** Of the packets of one flight, all that will come have come within this time of the first, ms. */
  readonly spread: Millis
  /** Forth and back, ms, with everything that is not mixing. */
  readonly roundTrip: Millis
  /** Back only. */
  readonly oneWay: Millis
}

/** @param base what links, queues and the service itself take, ms */
export function timingOf (parameters: MixingParameters, base: Millis): Timing {
  const delaying = parameters.pathLength - 1
  const oneWay = delayQuantile(parameters, delaying, 0.99)
  return {
    spread: Math.ceil(oneWay),
    oneWay: Math.ceil(oneWay + base / 2),
    roundTrip: Math.ceil(delayQuantile(parameters, 2 * delaying, 0.999) + base)
  }
}

/** By the parameters that the directory prescribes at each time; computed when they change. */
export function timingsOf (parameters: () => MixingParameters, base: Millis): () => Timing {
  let known: MixingParameters | undefined
  let timing: Timing
  return () => {
    const current = parameters()
    if (current !== known) timing = timingOf(current, base)
    known = current
    return timing
  }
}

/** A time drawn between `ms` and half as much again, so that retransmissions of two requests do not beat together. */
export function jittered (ms: Millis, rng: Rng): Millis {
  return Math.round(ms * (1 + unit(rng) / 2))
}
