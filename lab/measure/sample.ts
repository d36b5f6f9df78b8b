/** A sample of a stream, every value as likely to be in it as any other (Vitter 1985, algorithm R). */
import type { Rng } from '@mixmint/core/kit/ports'
import { below } from '@mixmint/core/kit/samplers'

export class Sample {
  readonly values: number[] = []
  readonly #most: number
  readonly #rng: Rng
  #seen = 0

  constructor (most: number, rng: Rng) {
    this.#most = most
    this.#rng = rng
  }

  add (value: number): void {
    this.#seen += 1
    if (this.values.length < this.#most) {
      this.values.push(value)
      return
    }
    const place = below(this.#rng, this.#seen)
    if (place < this.#most) this.values[place] = value
  }
}
