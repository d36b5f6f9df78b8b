/**
 * A Poisson process: ticks whose distances are independent and exponential, so that the times of past ticks tell nothing
 * of those to come (Piotrowska et al., "The Loopix anonymity system", USENIX Security 2017, §4.1).
 *
 * Because an exponential time that has not passed yet is as long as a fresh one, the process may be started over at any
 * moment that does not depend on its ticks without being disturbed. That is what happens when the mean changes, when the
 * clock steps, and when the machine has slept: there is no burst of what was missed. A timer that is merely late loses
 * no tick: the times do not drift, however busy the machine is.
 */
import type { Millis, Rng } from '@mixmint/core/kit/ports'
import { exponential } from '@mixmint/core/kit/samplers'

/** How late an honest timer of a busy machine may come. Beyond it the process starts over. */
export const LATEST_TIMER: Millis = 1000

export class PoissonProcess {
  readonly #mean: () => Millis
  #drawnWith: Millis = 0
  #next: Millis | null = null
  #seen: Millis = -Infinity

  /** @param mean between two ticks, ms; 0: no ticks. Asked each time, as it may change. */
  constructor (mean: () => Millis) {
    this.#mean = mean
  }

  /** When the next tick comes; null: no ticks. After the mean has changed, only once `ticks` was called. */
  get due (): Millis | null {
    return this.#next
  }

  /** How many ticks have come since the last call. To be called when one is due, and when the mean may have changed. */
  ticks (now: Millis, rng: Rng): number {
    const mean = this.#mean()
    const stepped = now < this.#seen || now > (this.#next ?? now) + LATEST_TIMER
    this.#seen = now
    if (this.#next === null || mean !== this.#drawnWith || stepped) {
      this.#drawnWith = mean
      this.#next = mean > 0 ? now + exponential(rng, mean) : null
      return 0
    }
    let count = 0
    for (; this.#next <= now; count++) this.#next += exponential(rng, mean)
    return count
  }
}

/** The first of these times, or null. */
export function earliest (...times: ReadonlyArray<Millis | null>): Millis | null {
  return times.reduce((first, time) => first === null || (time !== null && time < first) ? time : first, null)
}
