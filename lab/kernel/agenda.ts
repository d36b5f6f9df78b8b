/**
 * What happens at which time, each a number that the caller knows the meaning of: what is on a link, who sends next. Two
 * queues of one contract. At equal times what was put in first comes out first, so that a run can be repeated.
 */
import { DueHeap } from '@mixmint/mixnet/mixing/due-heap'

export interface Agenda {
  readonly size: number
  /** The time of the first, Infinity where there is none. */
  readonly firstAt: number
  put: (at: number, what: number) => void
  /** Take the first out. */
  take: () => number
}

const FIRST_SIZE = 1024

/** For times that are put in in rising order, as on links of one constant delay: a ring. */
export class RisingAgenda implements Agenda {
  #at = new Float64Array(FIRST_SIZE)
  #what = new Int32Array(FIRST_SIZE)
  #head = 0
  size = 0

  get firstAt (): number {
    return this.size === 0 ? Infinity : this.#at[this.#head]
  }

  put (at: number, what: number): void {
    if (this.size === this.#at.length) this.#grow()
    const place = (this.#head + this.size) & (this.#at.length - 1)
    this.#at[place] = at
    this.#what[place] = what
    this.size += 1
  }

  take (): number {
    const what = this.#what[this.#head]
    this.#head = (this.#head + 1) & (this.#at.length - 1)
    this.size -= 1
    return what
  }

  #grow (): void {
    const [at, what] = [new Float64Array(2 * this.#at.length), new Int32Array(2 * this.#at.length)]
    at.set(this.#at.subarray(this.#head))
    at.set(this.#at.subarray(0, this.#head), this.#at.length - this.#head)
    what.set(this.#what.subarray(this.#head))
    what.set(this.#what.subarray(0, this.#head), this.#what.length - this.#head)
    this.#at = at
    this.#what = what
    this.#head = 0
  }
}

/** For any times: the heap of the production's Poisson mix, which keeps the order of what is equal. */
export class AnyAgenda implements Agenda {
  readonly #heap = new DueHeap<number>()

  get size (): number {
    return this.#heap.size
  }

  get firstAt (): number {
    return this.#heap.firstDue ?? Infinity
  }

  put (at: number, what: number): void {
    this.#heap.push(at, what)
  }

  take (): number {
    return this.#heap.pop()
  }
}
