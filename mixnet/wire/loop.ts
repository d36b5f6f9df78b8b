/** A step that is run again and again, each time when it asked for it, or sooner when poked. */
import type { Clock, Millis } from '@mixmint/core/kit/ports'

/** Timers do not run while the machine sleeps, nor follow a clock that is set: the time of day is looked at this often. */
const LOOK: Millis = 10_000

export interface LoopOptions {
  readonly clock: Clock
  /** Resolves to the time of the next run. `signal` is aborted by `stop`. */
  readonly step: (signal: AbortSignal) => Promise<Millis>
  /** After a step that failed: the time of the next run. */
  readonly failed: (error: unknown) => Millis
}

export class Loop {
  readonly #options: LoopOptions
  readonly #stop = new AbortController()
  #poked = false
  #wake: () => void = () => {}
  #running: Promise<void> = Promise.resolve()

  constructor (options: LoopOptions) {
    this.#options = options
  }

  start (): void {
    this.#running = this.#run()
  }

  /** Run the step now; if it is running, once more after it. */
  poke (): void {
    this.#poked = true
    this.#wake()
  }

  /** Resolves when the running step has ended. */
  async stop (): Promise<void> {
    this.#stop.abort()
    this.#wake()
    await this.#running
  }

  async #run (): Promise<void> {
    const { clock, step, failed } = this.#options
    const { signal } = this.#stop
    while (!signal.aborted) {
      this.#poked = false
      let next: Millis
      try {
        next = await step(signal)
      } catch (error) {
        next = signal.aborted ? 0 : failed(error)
      }
      // By whichever is there first, timers or the clock: one that was ahead may be set back by days.
      for (let left = Math.max(next - clock.now(), 1); left > 0 && !signal.aborted && !this.#poked;) {
        const slice = Math.min(left, LOOK)
        await this.#sleep(slice)
        left = Math.min(left - slice, next - clock.now())
      }
    }
  }

  async #sleep (ms: number): Promise<void> {
    await new Promise<void>(resolve => {
      const timer = setTimeout(resolve, Math.max(ms, 1))
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
    this.#wake = () => {}
  }
}

/** Waiting times between failures: doubled each time up to the longest, with half of each left to chance. */
export class Backoff {
  readonly #shortest: number
  readonly #longest: number
  #failures = 0

  /** In ms. */
  constructor (shortest: number, longest: number) {
    this.#shortest = shortest
    this.#longest = longest
  }

  succeeded (): void {
    this.#failures = 0
  }

  /** @param chance from 0 to 1 */
  failed (chance: number): number {
    const whole = Math.min(this.#longest, this.#shortest * 2 ** Math.min(this.#failures++, 30))
    return whole / 2 + chance * whole / 2
  }
}
