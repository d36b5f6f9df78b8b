/**
 * When packets leave a mix: one strategy for the whole network, chosen by the directory. A strategy holds the packets that
 * wait and says which leave; the engine counts them and carries the time. Each file of a strategy says what it promises.
 * What all promise: a packet that came in leaves once; of packets that are inside together, any order of leaving is equally
 * likely, whenever each of them came.
 *
 *   poisson      each packet after a time of its own            no bursts; what an observer learns falls off smoothly
 *   threshold    all, when so many are in                       exact batches; stands still without traffic
 *   timed        all, at each tick                              bounded delay; few packets, few to hide among
 *   pool         most, at each tick or when so many are in      a packet may stay for many ticks, so batches overlap
 */
import { equal } from '@mixmint/core/kit/bytes'
import { encode } from '@mixmint/core/kit/codec'
import type { Millis, Rng } from '@mixmint/core/kit/ports'
import { Strategy } from '../directory/formats.ts'
import { longestDelay, PoissonMix } from './poisson.ts'
import { PoolMix } from './pool.ts'
import { ThresholdMix } from './threshold.ts'
import { TimedMix } from './timed.ts'

/** A packet that waits: with the mean delay that it asked for, ms. */
export interface Waiting { readonly mean: Millis }

/** Times are on a clock that only runs forward. `leave` is called, with the same time, before a packet is added and after. */
export interface MixStrategy<T extends Waiting> {
  /** How many packets wait. */
  readonly size: number
  add: (packet: T, now: Millis, rng: Rng) => void
  /** When `leave` will have something to do; undefined: not before another packet. */
  due: () => Millis | undefined
  /** Those that leave by now, in the order of leaving. */
  leave: (now: Millis, rng: Rng) => T[]
  /** No more packets will come: those that would wait for others leave, in random order. Others leave in their time. */
  drain: (rng: Rng) => T[]
  /** All that wait, in the order of leaving as far as it is known, and when each will leave if that is known. */
  waiting: () => ReadonlyArray<{ readonly packet: T, readonly due: Millis | undefined }>
}

export function strategyOf<T extends Waiting> (strategy: Strategy): MixStrategy<T> {
  switch (strategy.kind) {
    case 'poisson': return new PoissonMix()
    case 'threshold': return new ThresholdMix(strategy.batch)
    case 'timed': return new TimedMix(strategy.interval)
    case 'pool': return new PoolMix(strategy)
  }
}

export function isSame (a: Strategy, b: Strategy): boolean {
  return equal(encode(Strategy, a), encode(Strategy, b))
}

/** After `drain` the last packet leaves within this time, ms. @param mean the longest mean delay that packets may ask for */
export function drainTime (strategy: Strategy, mean: Millis): Millis {
  return strategy.kind === 'poisson' ? longestDelay(mean) : 0
}
