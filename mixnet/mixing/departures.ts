/**
 * What waits in a mix, and when it leaves: a strategy, and the time that it goes by. What packets are is of no matter here:
 * the engine has them peeled and on their way, a simulation has numbers, and both leave by the same rules. Time in here only
 * runs forward, whatever the caller's clock does: see `pass`.
 */
import type { Millis, Rng } from '@mixmint/core/kit/ports'
import type { Strategy } from '../directory/formats.ts'
import { isSame, strategyOf, type MixStrategy, type Waiting } from './strategy.ts'

/** How late, in ms, an honest timer of a busy machine may come. */
const LATEST_TIMER: Millis = 1000

/** Times of day leave fractions of a ms no more precise: at the deadline that it was told, the caller finds something due. */
const ROUNDING: Millis = 0.001

export class Departures<T extends Waiting> {
  #kind: Strategy
  #strategy: MixStrategy<T>
  #elapsed: Millis = 0
  #lastNow: Millis | undefined

  constructor (strategy: Strategy) {
    this.#kind = strategy
    this.#strategy = strategyOf(strategy)
  }

  /** Time as it runs in here, from 0, as of the last `pass`. */
  get elapsed (): Millis {
    return this.#elapsed
  }

  /** How many packets wait. */
  get size (): number {
    return this.#strategy.size
  }

  /** When, on the caller's clock, `pass` will have something to give. Undefined: not before another packet. */
  nextDeadline (): Millis | undefined {
    const due = this.#strategy.due()
    return due === undefined ? undefined : (this.#lastNow ?? 0) + due - this.#elapsed
  }

  /**
   * Add up what passes on the caller's clock. When that steps back, nothing has passed. When far more has passed than
   * until the next deadline, of which the caller knew, then the clock has stepped forward or the machine has slept:
   * what waits goes on waiting, for if all of it left at once, it would not be mixed.
   * @returns those that leave, in the order of leaving
   */
  pass (now: Millis, rng: Rng): readonly T[] {
    const passed = Math.max(0, now - (this.#lastNow ?? now))
    const due = this.#strategy.due()
    this.#elapsed += due === undefined ? passed : Math.min(passed, Math.max(0, due - this.#elapsed) + LATEST_TIMER)
    this.#lastNow = now
    return this.#leave(rng)
  }

  /** A packet comes, at the time of the last `pass`. @returns those that leave because of it, and perhaps itself */
  add (packet: T, rng: Rng): readonly T[] {
    this.#strategy.add(packet, this.#elapsed, rng)
    return this.#leave(rng)
  }

  /** No more packets will come: those that would wait for others leave, in random order. Others leave in their time. */
  drain (rng: Rng): readonly T[] {
    return this.#strategy.drain(rng)
  }

  /** What waits goes over to another strategy as if it had just come. @returns those that leave because of it */
  change (strategy: Strategy, rng: Rng): readonly T[] {
    if (isSame(this.#kind, strategy)) return []
    const waiting = this.#strategy.waiting()
    this.#kind = strategy
    this.#strategy = strategyOf(strategy)
    for (const { packet } of waiting) this.#strategy.add(packet, this.#elapsed, rng)
    return this.#leave(rng)
  }

  /** What waits is forgotten. */
  clear (): void {
    this.#strategy = strategyOf(this.#kind)
  }

  /** All that wait, in the order of leaving as far as it is known, and in how many ms each will leave if that is known. */
  waiting (): ReadonlyArray<{ readonly wait: Millis | undefined, readonly packet: T }> {
    return this.#strategy.waiting().map(({ due, packet }) => ({ wait: due === undefined ? undefined : due - this.#elapsed, packet }))
  }

  #leave (rng: Rng): readonly T[] {
    return this.#strategy.leave(this.#elapsed + ROUNDING, rng)
  }
}
