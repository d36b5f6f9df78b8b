/** The one timer of an engine: rings when the engine's next event is due. */
import type { Clock, Millis } from '@mixmint/core/kit/ports'

/** The longest delay of setTimeout. */
const LONGEST = 2 ** 31 - 1

export class Alarm {
  readonly #clock: Clock
  readonly #ring: () => void
  #timer: NodeJS.Timeout | undefined
  #at: Millis | null = null

  constructor (clock: Clock, ring: () => void) {
    this.#clock = clock
    this.#ring = ring
  }

  /** Ring at this time and no other; null: not at all. May ring early when the time is weeks away. */
  set (at: Millis | null): void {
    if (at === this.#at) return
    this.clear()
    this.#at = at
    if (at === null) return
    this.#timer = setTimeout(() => {
      this.#at = null
      this.#ring()
    }, Math.min(LONGEST, Math.max(0, Math.ceil(at - this.#clock.now()))))
  }

  clear (): void {
    clearTimeout(this.#timer)
    this.#at = null
  }
}

export async function pause (ms: Millis): Promise<void> {
  await new Promise<void>(resolve => { setTimeout(resolve, ms) })
}
