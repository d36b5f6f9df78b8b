/**
 * The beat of timed mixes, on a clock that only runs forward: one tick every interval, the first at a random time within one.
 * Were the ticks of all mixes at the same times, a packet would come to each just after one, and its way would be as long
 * as it can be.
 */
import type { Millis, Rng } from '@mixmint/core/kit/ports'
import { unit } from '@mixmint/core/kit/samplers'

export class Ticks {
  readonly #interval: Millis
  #next: Millis | undefined

  constructor (interval: Millis) {
    this.#interval = interval
  }

  /** The first tick that has not been passed; undefined before `pass` was called. */
  get next (): Millis | undefined {
    return this.#next
  }

  /** Has a tick come, or several, since the last time? They are then passed. */
  pass (now: Millis, rng: Rng): boolean {
    this.#next ??= now + this.#interval * unit(rng)
    if (now < this.#next) return false
    this.#next += this.#interval * (Math.floor((now - this.#next) / this.#interval) + 1)
    return true
  }
}
