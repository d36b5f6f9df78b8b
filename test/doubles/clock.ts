/** Time under the test's hand. */
import type { Clock, Millis } from '@mixmint/core/kit/ports'

export class VirtualClock implements Clock {
  #now: Millis
  #waiting: Array<{ at: Millis, wake: () => void }> = []

  constructor (start: Millis) {
    this.#now = start
  }

  now = (): Millis => this.#now

  /** Also backwards, as a bad clock does; then nobody wakes. */
  set (time: Millis): void {
    this.#now = time
    const due = this.#waiting.filter(({ at }) => at <= time).sort((a, b) => a.at - b.at)
    this.#waiting = this.#waiting.filter(({ at }) => at > time)
    for (const { wake } of due) wake()
  }

  advance (ms: number): void {
    this.set(this.#now + ms)
  }

  /** Resolves once the clock has been set this far ahead. */
  wait = async (ms: number): Promise<void> => {
    if (ms <= 0) return
    await new Promise<void>(resolve => { this.#waiting.push({ at: this.#now + ms, wake: resolve }) })
  }
}
