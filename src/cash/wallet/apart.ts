/**
 * Questions of one wallet that the bank is not to join: each in a session of its own (`apart`, parts.ts), in random order, after
 * a time that is exponential.
 */
import type { Millis, Rng } from '../../kit/ports.ts'
import { exponential, shuffle } from '../../kit/samplers.ts'
import { random, wait, type Saga } from '../../kit/saga.ts'

export function * pauseAbout (mean: Millis): Saga<void> {
  yield * wait(Math.round(exponential(rngOf(yield * random(7)), mean)))
}

export function * inAnyOrder<T> (items: readonly T[]): Saga<T[]> {
  return shuffle(rngOf(yield * random(4 * 64 + 8 * items.length)), [...items])
}

/** Chance that was drawn before, used up byte by byte; stretched by going round, should a sampler throw draws away. */
function rngOf (bytes: Uint8Array): Rng {
  let at = 0
  return {
    bytes: length => Uint8Array.from({ length }, () => bytes[at++ % bytes.length])
  }
}
