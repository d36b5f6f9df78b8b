/** Engines with one `due` and one `timer` event, on a virtual clock: each is woken exactly when it asked to be. */
import type { Millis } from '@mixmint/core/kit/ports'

export interface Timed { readonly due: Millis | null }

export class EngineClock {
  now: Millis

  constructor (start: Millis = 1_000_000) {
    this.now = start
  }

  /** Until this time, with nothing but timers. `late`: how long after it was due the timer comes, ms. */
  run (until: Millis, engine: Timed, timer: (now: Millis) => void, late: () => number = () => 0): void {
    for (let due = engine.due; due !== null; due = engine.due) {
      const at = Math.max(this.now, due + late())
      if (at > until) break
      this.now = at
      timer(at)
    }
    this.now = until
  }
}
