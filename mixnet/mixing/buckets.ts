/** How many values fell where: for those who run a mix. Sums over many packets, and of none of them alone. */
import type { Millis } from '@mixmint/core/kit/ports'

/** How long packets stayed: upper bounds, ms, each included. */
export const DELAY_BOUNDS: readonly Millis[] = [10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000]
/** How many packets one found waiting that came: likewise. */
export const QUEUE_BOUNDS: readonly number[] = [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 2_048, 4_096]

export interface BucketFigures {
  /** By bound, how many were no greater; not cumulated, and the last for all that were greater than every bound. */
  readonly counts: readonly number[]
  /** Of all values. */
  readonly sum: number
}

export class Buckets {
  readonly #bounds: readonly number[]
  readonly #counts: number[]
  #sum = 0

  /** @param bounds in rising order */
  constructor (bounds: readonly number[]) {
    this.#bounds = bounds
    this.#counts = [...bounds, Infinity].map(() => 0)
  }

  add (value: number): void {
    const at = this.#bounds.findIndex(bound => value <= bound)
    this.#counts[at < 0 ? this.#bounds.length : at] += 1
    this.#sum += value
  }

  figures (): BucketFigures {
    return { counts: [...this.#counts], sum: this.#sum }
  }
}
