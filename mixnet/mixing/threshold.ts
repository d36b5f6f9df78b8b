/**
 * The threshold mix (Chaum, "Untraceable electronic mail, return addresses, and digital pseudonyms", CACM 24(2), 1981):
 * when `batch` packets are in, all leave, in random order. Each hides among batch − 1 others, whatever the load; how long it
 * waits is up to the traffic, and without any it waits for ever. So the directory allows it only with cover traffic.
 */
import type { Rng } from '@mixmint/core/kit/ports'
import { shuffle } from '@mixmint/core/kit/samplers'

export class ThresholdMix<T> {
  readonly #batch: number
  #inside: T[] = []

  constructor (batch: number) {
    this.#batch = batch
  }

  get size (): number {
    return this.#inside.length
  }

  add (packet: T): void {
    this.#inside.push(packet)
  }

  due (): undefined {
    return undefined
  }

  leave (_now: number, rng: Rng): T[] {
    return this.#inside.length < this.#batch ? [] : this.drain(rng)
  }

  /** The last batch hides its packets only among as many as there are. */
  drain (rng: Rng): T[] {
    const left = shuffle(rng, this.#inside)
    this.#inside = []
    return left
  }

  waiting (): Array<{ packet: T, due: undefined }> {
    return this.#inside.map(packet => ({ packet, due: undefined }))
  }
}
