/**
 * How values are distributed, in bounded memory: bins whose bounds grow by 1/256, so that a quantile is right to 0.2 % (as
 * HdrHistogram, with logarithms for its shifts). Mean and extremes are exact.
 */
const GROWTH = 1 + 1 / 256
const LOG_GROWTH = Math.log(GROWTH)
/** Smaller values count as this. */
const LEAST = 1e-6
/** Up to 10^7. */
const BINS = Math.ceil(Math.log(1e13) / LOG_GROWTH)

export class Histogram {
  readonly #bins = new Float64Array(BINS)
  count = 0
  #sum = 0
  #squares = 0
  #most = 0
  #least = Infinity

  add (value: number): void {
    const bin = value <= LEAST ? 0 : Math.min(BINS - 1, 1 + Math.floor(Math.log(value / LEAST) / LOG_GROWTH))
    this.#bins[bin] += 1
    this.count += 1
    this.#sum += value
    this.#squares += value * value
    if (value > this.#most) this.#most = value
    if (value < this.#least) this.#least = value
  }

  get mean (): number {
    return this.#sum / this.count
  }

  get deviation (): number {
    return Math.sqrt(Math.max(0, this.#squares / this.count - this.mean ** 2))
  }

  get most (): number {
    return this.#most
  }

  get least (): number {
    return this.#least
  }

  /** The value that a part p of all do not exceed; NaN without values. */
  quantile (p: number): number {
    if (this.count === 0) return NaN
    let left = p * this.count
    for (let bin = 0; bin < BINS; bin++) {
      left -= this.#bins[bin]
      if (left <= 0 && this.#bins[bin] > 0) return Math.min(this.#most, Math.max(this.#least, LEAST * GROWTH ** (bin - 0.5)))
    }
    return this.#most
  }

  /** Bins that are not empty: upper bound, and how many. */
  bins (): Array<readonly [number, number]> {
    const filled: Array<readonly [number, number]> = []
    this.#bins.forEach((count, bin) => { if (count > 0) filled.push([LEAST * GROWTH ** bin, count]) })
    return filled
  }
}
