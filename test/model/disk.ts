/** The disk of a machine: an ordered map whose batches are atomic. What was not written when its machine stopped is not there. */
import { MixmintError } from '@mixmint/core/kit/errors'
import type { BatchResult, Entry, Op, Range } from '@mixmint/core/kit/ports'

export class Disk {
  #entries = new Map<string, Uint8Array>()

  get (key: Uint8Array): Uint8Array | null {
    return this.#entries.get(nameOf(key))?.slice() ?? null
  }

  scan ({ prefix, after, limit }: Range): Entry[] {
    const begin = nameOf(prefix)
    const past = after === undefined ? null : nameOf(after)
    const names = [...this.#entries.keys()].filter(name => name.startsWith(begin) && (past === null || name > past)).sort()
    return names.slice(0, limit).map(name => ({ key: keyOf(name), value: this.#valueOf(name) }))
  }

  batch (ops: readonly Op[]): BatchResult {
    for (const { key } of ops) if (key.length < 1 || key.length > 255) throw new MixmintError('bad-argument', 'caller', 'a key of 1 to 255 bytes wanted')
    const next = new Map<string, Uint8Array | null>()
    for (const [at, op] of ops.entries()) {
      const name = nameOf(op.key)
      const found = next.has(name) ? next.get(name) ?? null : this.#entries.get(name) ?? null
      const fits = op.op === 'insert' ? found === null : op.op !== 'swap' || same(op.was, found)
      if (!fits) return { done: false, at, found: found?.slice() ?? null }
      next.set(name, op.op === 'delete' ? null : op.value?.slice() ?? null)
    }
    for (const [name, value] of next) {
      if (value === null) this.#entries.delete(name)
      else this.#entries.set(name, value)
    }
    return { done: true }
  }

  copy (): Disk {
    const copy = new Disk()
    copy.#entries = new Map(this.#entries)
    return copy
  }

  #valueOf (name: string): Uint8Array {
    return (this.#entries.get(name) as Uint8Array).slice()
  }
}

/** In the order of the bytes. */
function nameOf (key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.length).toString('latin1')
}

function keyOf (name: string): Uint8Array {
  return new Uint8Array(Buffer.from(name, 'latin1'))
}

function same (a: Uint8Array | null, b: Uint8Array | null): boolean {
  return a === null || b === null ? a === b : Buffer.compare(a, b) === 0
}
