/**
 * Poisson mixing (Danezis, "The traffic analysis of continuous-time mixes", PET 2004; Piotrowska et al., "The Loopix
 * anonymity system", USENIX Security 2017): each packet waits for a time of its own, exponentially distributed, so that
 * of the packets inside a mix the next to leave is any of them with the same probability, however long it has been there.
 */
import { Heap } from '@mixmint/core/kit/heap'
import type { Millis, Rng } from '@mixmint/core/kit/ports'
import { exponential } from '@mixmint/core/kit/samplers'

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

interface Drawn<T> { readonly due: Millis, readonly order: number, readonly packet: T }

export class PoissonMix<T extends { readonly mean: Millis }> {
  readonly #queue = new Heap<Drawn<T>>(isBefore)
  #order = 0

  get size (): number {
    return this.#queue.size
  }

  add (packet: T, now: Millis, rng: Rng): void {
    this.#queue.push({ due: now + poissonDelay(rng, packet.mean), order: this.#order++, packet })
  }

  due (): Millis | undefined {
    return this.#queue.peek()?.due
  }

  leave (now: Millis): T[] {
    const left: T[] = []
    for (let first = this.#queue.peek(); first !== undefined && first.due <= now; first = this.#queue.peek()) {
      this.#queue.pop()
      left.push(first.packet)
    }
    return left
  }

  /** None waits for another. */
  drain (): T[] {
    return []
  }

  waiting (): Array<Drawn<T>> {
    return [...this.#queue].sort((a, b) => isBefore(a, b) ? -1 : 1)
  }
}

function isBefore (a: Drawn<unknown>, b: Drawn<unknown>): boolean {
  return a.due < b.due || (a.due === b.due && a.order < b.order)
}
