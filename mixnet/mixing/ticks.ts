/** The beat of timed mixes: ticks at the multiples of an interval, on a clock that only runs forward. */
import type { Millis } from '@mixmint/core/kit/ports'

export class Ticks {
  readonly #interval: Millis
  #next: Millis = 0

  constructor (interval: Millis) {
    this.#interval = interval
  }

  /** The first tick that has not been passed. */
  get next (): Millis {
    return this.#next
  }

  /** Has a tick come, or several, since the last time? They are then passed. */
  pass (now: Millis): boolean {
    if (now < this.#next) return false
    this.#next += this.#interval * (Math.floor((now - this.#next) / this.#interval) + 1)
    return true
  }
}
