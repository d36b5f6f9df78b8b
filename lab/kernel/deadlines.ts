/**
 * The next deadline of each of n things, and which is the first: a binary heap that knows where each thing stands (Sedgewick
 * and Wayne, Algorithms, §2.4, index priority queue), as a mix whose next packet leaves at another time than before moves
 * within it. At equal times the lower number comes first, so that a run can be repeated.
 */
export class Deadlines {
  readonly #at: Float64Array
  /** Things in heap order, and the place of each. */
  readonly #heap: Int32Array
  readonly #place: Int32Array

  /** @param n things, numbered from 0; none has a deadline yet */
  constructor (n: number) {
    this.#at = new Float64Array(n).fill(Infinity)
    this.#heap = Int32Array.from({ length: n }, (_, i) => i)
    this.#place = this.#heap.slice()
  }

  /** The time of the first, Infinity where there is none. */
  get firstAt (): number {
    return this.#heap.length === 0 ? Infinity : this.#at[this.#heap[0]]
  }

  get first (): number {
    return this.#heap[0]
  }

  /** @param at Infinity: none */
  set (thing: number, at: number): void {
    const before = this.#at[thing]
    if (at === before) return
    this.#at[thing] = at
    if (at < before) this.#rise(thing)
    else this.#sink(thing)
  }

  #isBefore (a: number, b: number): boolean {
    const at = this.#at
    return at[a] < at[b] || (at[a] === at[b] && a < b)
  }

  #rise (thing: number): void {
    const heap = this.#heap
    const place = this.#place
    let at = place[thing]
    while (at > 0) {
      const parent = (at - 1) >> 1
      const above = heap[parent]
      if (!this.#isBefore(thing, above)) break
      heap[at] = above
      place[above] = at
      at = parent
    }
    heap[at] = thing
    place[thing] = at
  }

  #sink (thing: number): void {
    const heap = this.#heap
    const place = this.#place
    let at = place[thing]
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && this.#isBefore(heap[child + 1], heap[child])) child += 1
      const below = heap[child]
      if (!this.#isBefore(below, thing)) break
      heap[at] = below
      place[below] = at
      at = child
    }
    heap[at] = thing
    place[thing] = at
  }
}
