/**
 * The timed mix (Serjantov, Dingledine, Syverson, "From a trickle to a flood: active attacks on several mix types",
 * Information Hiding 2002, §4.2): at each tick, one every `interval`, all that are in leave, in random order. A packet that
 * comes at any time waits uniformly between 0 and `interval`; it hides among those that came in the same interval, however
 * few. Ticks keep their beat whatever the traffic, so that they tell nothing of it.
 */
import type { Millis, Rng } from '@mixmint/core/kit/ports'
import { shuffle } from '@mixmint/core/kit/samplers'
import { Ticks } from './ticks.ts'

export class TimedMix<T> {
  readonly #ticks: Ticks
  #inside: T[] = []

  constructor (interval: Millis) {
    this.#ticks = new Ticks(interval)
  }

  get size (): number {
    return this.#inside.length
  }

  add (packet: T): void {
    this.#inside.push(packet)
  }

  due (): Millis | undefined {
    return this.#inside.length === 0 ? undefined : this.#ticks.next
  }

  leave (now: Millis, rng: Rng): T[] {
    return this.#ticks.pass(now, rng) ? this.drain(rng) : []
  }

  /** The packets hide among those of a part of an interval. */
  drain (rng: Rng): T[] {
    const left = shuffle(rng, this.#inside)
    this.#inside = []
    return left
  }

  waiting (): Array<{ packet: T, due: Millis | undefined }> {
    return this.#inside.map(packet => ({ packet, due: this.#ticks.next }))
  }
}
