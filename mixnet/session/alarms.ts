/** One alarm per key. Moving an alarm to a later time costs nothing: the queue is looked at again when the earlier time comes. */
import { Heap } from '@mixmint/core/kit/heap'
import type { Millis } from '@mixmint/core/kit/ports'

export class Alarms<K> {
  readonly #at = new Map<K, Millis>()
  readonly #queued = new Map<K, Millis>()
  readonly #heap = new Heap<{ readonly at: Millis, readonly key: K }>((a, b) => a.at < b.at)

  set (key: K, at: Millis): void {
    this.#at.set(key, at)
    if (at >= (this.#queued.get(key) ?? Infinity)) return
    this.#queued.set(key, at)
    this.#heap.push({ at, key })
  }

  delete (key: K): void {
    this.#at.delete(key)
  }

  /** When to call `ring` next, or null. May be too early, never too late. */
  next (): Millis | null {
    if (this.#at.size === 0) return null
    return this.#heap.peek()?.at ?? null
  }

  /** The keys whose time has come; their alarms are gone. */
  ring (now: Millis): K[] {
    const rung: K[] = []
    for (let first = this.#heap.peek(); first !== undefined && first.at <= now; first = this.#heap.peek()) {
      this.#heap.pop()
      if (this.#queued.get(first.key) !== first.at) continue
      this.#queued.delete(first.key)
      const at = this.#at.get(first.key)
      if (at === undefined) continue
      if (at > now) {
        this.set(first.key, at)
      } else {
        this.#at.delete(first.key)
        rung.push(first.key)
      }
    }
    return rung
  }
}
