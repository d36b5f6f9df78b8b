/**
 * The threshold-or-timed pool mix (Serjantov, Dingledine, Syverson, "From a trickle to a flood: active attacks on several
 * mix types", Information Hiding 2002, §5): at each tick, one every `interval`, and whenever `threshold` packets are in, all
 * leave in random order but a pool chosen at random, which waits on. So a packet hides among those of earlier and later
 * flushes, too, and somebody who floods the mix does not know when the packet that he is after has left.
 *
 * Of n packets inside at a flush k = min(pool, ⌊n / 2⌋) stay: every set of k with the same probability, however long each
 * has been there. A packet therefore stays with probability k / n ≤ 1/2, and is inside after j flushes with at most 2⁻ʲ:
 * nothing starves, a sole packet leaves at the next tick, and the wait is at most that of a geometric number of ticks. The
 * price is the pool of a quiet mix, which is smaller than `pool`.
 */
import type { Millis, Rng } from '@mixmint/core/kit/ports'
import { shuffle } from '@mixmint/core/kit/samplers'
import { Ticks } from './ticks.ts'

export class PoolMix<T> {
  readonly #threshold: number
  readonly #pool: number
  readonly #ticks: Ticks
  #inside: T[] = []

  constructor ({ interval, threshold, pool }: { readonly interval: Millis, readonly threshold: number, readonly pool: number }) {
    this.#threshold = threshold
    this.#pool = pool
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
    const ticked = this.#ticks.pass(now, rng)
    return ticked || this.#inside.length >= this.#threshold ? this.#flush(Math.min(this.#pool, this.#inside.length >> 1), rng) : []
  }

  /** No pool is left behind: the last packets hide only among each other. */
  drain (rng: Rng): T[] {
    return this.#flush(0, rng)
  }

  /** Of those that stay it is not known when they leave: at the next tick at the earliest. */
  waiting (): Array<{ packet: T, due: undefined }> {
    return this.#inside.map(packet => ({ packet, due: undefined }))
  }

  #flush (kept: number, rng: Rng): T[] {
    const all = shuffle(rng, this.#inside)
    this.#inside = all.slice(0, kept)
    return kept === 0 ? all : all.slice(kept)
  }
}
