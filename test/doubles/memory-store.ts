/** A store in memory, for tests: ordered, atomic, and gone with the process. */
import { compare, equal, fromHex, toHex } from '@mixmint/core/kit/bytes'
import type { BatchResult, Entry, Op, Range, Store } from '@mixmint/core/kit/ports'

export class MemoryStore implements Store {
  readonly #entries = new Map<string, Uint8Array>()

  get size (): number { return this.#entries.size }

  async get (key: Uint8Array): Promise<Uint8Array | null> {
    return this.#entries.get(toHex(key))?.slice() ?? null
  }

  async scan ({ prefix, after, limit }: Range): Promise<Entry[]> {
    return [...this.#entries]
      .map(([name, value]) => ({ key: fromHex(name), value: value.slice() }))
      .filter(({ key }) => equal(key.subarray(0, prefix.length), prefix) && (after === undefined || compare(key, after) > 0))
      .sort((a, b) => compare(a.key, b.key))
      .slice(0, limit)
  }

  async batch (ops: readonly Op[]): Promise<BatchResult> {
    const next = new Map<string, Uint8Array | null>()
    for (const [at, op] of ops.entries()) {
      const name = toHex(op.key)
      const planned = next.get(name)
      const found = planned === undefined ? this.#entries.get(name) ?? null : planned
      const fits = op.op === 'insert' ? found === null
        : op.op === 'swap' ? (op.was === null ? found === null : found !== null && equal(found, op.was))
          : true
      if (!fits) return { done: false, at, found: found?.slice() ?? null }
      next.set(name, op.op === 'delete' ? null : op.value?.slice() ?? null)
    }
    for (const [name, value] of next) {
      if (value === null) this.#entries.delete(name)
      else this.#entries.set(name, value)
    }
    return { done: true }
  }

  async close (): Promise<void> {}
}
