/** How long to wait before a packet counts as lost: quantiles of the law of its delays. */
import type { Millis, Rng } from '@mixmint/core/kit/ports'
import { exponential } from '@mixmint/core/kit/samplers'
import type { Cover } from '../directory/formats.ts'
import { delayQuantile, erlangQuantile, type MixingParameters } from './delay-law.ts'

/** What `base` may grow to, in times; how much of a wait is added at most, in waits. */
const MOST_SLACK = 16
const MOST_JITTER = 2

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
  const { there, back, both } = coverDelays(parameters.cover)
  return {
    spread: Math.ceil(oneWay + there),
    oneWay: Math.ceil(oneWay + back + base / 2),
    roundTrip: Math.ceil(delayQuantile(parameters, 2 * delaying, 0.999) + both + base)
  }
}

const PER_MILLE = 1000

/**
 * What cover adds, at its 0.99 quantile: a packet waits for its slot; an answer one `pace` and its turn at the service, and again at the
 * gateway, where echoes wait, too: in a queue whose server is busy a share of its time, times are longer by that share of
 * what is left (M/M/1).
 */
function coverDelays ({ send, echoes, pace }: Cover): { there: Millis, back: Millis, both: Millis } {
  const busy = send === 0 ? 0 : echoes / PER_MILLE * pace / send
  const paced = pace / (1 - busy)
  return {
    there: erlangQuantile(1, send, 0.99),
    back: pace + erlangQuantile(2, paced, 0.99),
    both: pace + erlangQuantile((send > 0 ? 1 : 0) + (pace > 0 ? 2 : 0), Math.max(send, paced), 0.99)
  }
}

/** By the parameters that the directory prescribes at each time, and the `base` of each time; computed when they change. */
export function timingsOf (parameters: () => MixingParameters, base: () => Millis): () => Timing {
  let known: MixingParameters | undefined
  let knownBase: Millis | undefined
  let timing: Timing
  return () => {
    const [current, currentBase] = [parameters(), base()]
    if (current !== known || currentBase !== knownBase) timing = timingOf(current, currentBase)
    known = current
    knownBase = currentBase
    return timing
  }
}

/**
 * How much longer links, queues and services take than was foreseen. A word about a flight that comes after the next had
 * left, for want of it, shows that the wait was too short. Since words name the flight that they are about, none is taken
 * for the answer to a later one (Karn and Partridge, SIGCOMM 1987; Ludwig and Katz, "The Eifel algorithm", CCR 2000).
 */
export class Slack {
  #factor = 1

  of (base: Millis): Millis {
    return base * this.#factor
  }

  /** A word came, late or not. */
  word (late: boolean): void {
    this.#factor = late ? Math.min(MOST_SLACK, this.#factor * 1.5) : Math.max(1, this.#factor * 0.95)
  }
}

/**
 * A longer time: by a half on average, drawn from the exponential law, which of all of one mean is the hardest to
 * foresee. So that whoever holds a wallet's packets up cannot tell its requests by when they come again.
 */
export function jittered (ms: Millis, rng: Rng): Millis {
  for (;;) {
    const more = exponential(rng, 1 / 2)
    if (more <= MOST_JITTER) return Math.round(ms * (1 + more))
  }
}
