/**
 * Packets by when they are due, in columns: a heap as in kit/heap.ts, without an object for each packet and a call for each
 * comparison, since most of what a mix does between two packets is to sort them. Of those due at the same time the first to
 * come is the first to leave.
 */
import type { Millis } from '@mixmint/core/kit/ports'

export class DueHeap<T> {
  readonly #due: Millis[] = []
  readonly #order: number[] = []
  readonly #packets: T[] = []
  #next = 0

  get size (): number {
    return this.#due.length
  }

  /** Of the first. Undefined: there is none. */
  get firstDue (): Millis | undefined {
    return this.#due.length === 0 ? undefined : this.#due[0]
  }

  push (due: Millis, packet: T): void {
    const [times, orders, packets] = [this.#due, this.#order, this.#packets]
    let at = times.length
    times.push(due)
    orders.push(0)
    packets.push(packet)
    while (at > 0) {
      const parent = (at - 1) >> 1
      // Whatever is there came before.
      if (times[parent] <= due) break
      times[at] = times[parent]
      orders[at] = orders[parent]
      packets[at] = packets[parent]
      at = parent
    }
    times[at] = due
    orders[at] = this.#next++
    packets[at] = packet
  }

  /** Take the first out; there is one. */
  pop (): T {
    const [times, orders, packets] = [this.#due, this.#order, this.#packets]
    const first = packets[0]
    const due = times.pop() as Millis
    const order = orders.pop() as number
    const packet = packets.pop() as T
    const size = times.length
    if (size === 0) return first
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= size) break
      const other = child + 1
      if (other < size && (times[other] < times[child] || (times[other] === times[child] && orders[other] < orders[child]))) child = other
      if (times[child] > due || (times[child] === due && orders[child] > order)) break
      times[at] = times[child]
      orders[at] = orders[child]
      packets[at] = packets[child]
      at = child
    }
    times[at] = due
    orders[at] = order
    packets[at] = packet
    return first
  }

  /** All, in the order in which they would leave. */
  sorted (): Array<{ readonly due: Millis, readonly packet: T }> {
    return this.#packets.map((packet, i) => ({ due: this.#due[i], order: this.#order[i], packet }))
      .sort((a, b) => a.due - b.due || a.order - b.order)
      .map(({ due, packet }) => ({ due, packet }))
  }
}
