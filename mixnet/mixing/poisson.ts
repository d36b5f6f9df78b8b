/**
 * Poisson mixing (Danezis, "The traffic analysis of continuous-time mixes", PET 2004; Piotrowska et al., "The Loopix
 * anonymity system", USENIX Security 2017): each packet waits for a time of its own, exponentially distributed, so that
 * of the packets inside a mix the next to leave is any of them with the same probability, however long it has been there.
 */
import type { Millis, Rng } from '@mixmint/core/kit/ports'
import { exponential } from '@mixmint/core/kit/samplers'
import { DueHeap } from './due-heap.ts'

/** Nothing waits longer than the 1 − 10⁻¹² quantile; a shorter cut would tell the oldest packets apart. */
const LONGEST_IN_MEANS = -Math.log(1e-12)

/** The longest delay that is ever drawn, in ms. */
export function longestDelay (mean: Millis): Millis {
  return mean * LONGEST_IN_MEANS
}

/** How long this packet waits, in ms (not rounded). A draw beyond the longest delay is drawn again. */
export function poissonDelay (rng: Rng, mean: Millis): Millis {
  for (;;) {
    const delay = exponential(rng, mean)
    if (delay <= longestDelay(mean)) return delay
  }
}

export class PoissonMix<T extends { readonly mean: Millis }> {
  readonly #queue = new DueHeap<T>()

  get size (): number {
    return this.#queue.size
  }

  add (packet: T, now: Millis, rng: Rng): void {
    this.#queue.push(now + poissonDelay(rng, packet.mean), packet)
  }

  due (): Millis | undefined {
    return this.#queue.firstDue
  }

  leave (now: Millis): T[] {
    const left: T[] = []
    for (let due = this.#queue.firstDue; due !== undefined && due <= now; due = this.#queue.firstDue) left.push(this.#queue.pop())
    return left
  }

  /** None waits for another. */
  drain (): T[] {
    return []
  }

  waiting (): Array<{ readonly due: Millis, readonly packet: T }> {
    return this.#queue.sorted()
  }
}
