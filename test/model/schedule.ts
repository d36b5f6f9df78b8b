/** Virtual time: what is to happen, in its order; and chance from a seed that one history owns. */
import { Heap } from '@mixmint/core/kit/heap'
import type { Millis, Rng } from '@mixmint/core/kit/ports'
import { unit } from '@mixmint/core/kit/samplers'
import { seededRng } from '../doubles/rng.ts'

/** So many events in one history are no history any more: something goes round and round. */
const MOST = 200_000

export class Schedule {
  readonly rng: Rng
  now: Millis
  /** How many things have happened. */
  happened = 0
  readonly #queue = new Heap<{ at: Millis, turn: number, act: () => void }>((a, b) => a.at < b.at || (a.at === b.at && a.turn < b.turn))
  #turn = 0

  constructor (seed: string | number, start: Millis) {
    this.rng = seededRng(seed)
    this.now = start
  }

  after (ms: Millis, act: () => void): void {
    this.#queue.push({ at: this.now + ms, turn: this.#turn++, act })
  }

  /** Until this time, or until nothing is to happen any more. */
  run (until: Millis = Infinity): void {
    for (let first = this.#queue.peek(); first !== undefined && first.at <= until; first = this.#queue.peek()) {
      this.#queue.pop()
      this.now = first.at
      this.happened += 1
      if (this.happened > MOST) throw new Error('it never comes to rest')
      first.act()
    }
    if (until !== Infinity) this.now = until
  }

  /** True with this probability. */
  chance (probability: number): boolean {
    return unit(this.rng) <= probability
  }

  /** Between these two. */
  between (least: Millis, most: Millis): Millis {
    return Math.floor(least + (most - least) * unit(this.rng))
  }
}
