/**
 * A store in memory, for tests: ordered, atomic, and as forgetful as a machine: what is asked lies in a buffer, unseen and
 * unanswered, until a sync a moment later; a loss of power (`crash`) takes all that was not synced. The tests of engines
 * restart them over such a loss. Under the test's hand: a disk that takes its time (`hold`, `release`), or fails (`failBatch`).
 */
import { compare, equal, fromHex, toHex } from '@mixmint/core/kit/bytes'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { BatchResult, Entry, Op, Range, Store } from '@mixmint/core/kit/ports'
import { copyOp } from '../../nodes/store/batch.ts'

export class MemoryStore implements Store {
  #entries = new Map<string, Uint8Array>()
  #state: 'open' | 'closed' | 'without power' = 'open'
  /** What is not synced, in order. */
  #buffer: Array<() => void> = []
  #held = false
  #failures: Array<{ inBatches: number, code: 'store-full' | 'store-failed', carriedOut: boolean }> = []

  get size (): number { return this.#entries.size }

  async get (key: Uint8Array): Promise<Uint8Array | null> {
    await this.#check([key])
    return this.#entries.get(toHex(key))?.slice() ?? null
  }

  async scan ({ prefix, after, limit }: Range): Promise<Entry[]> {
    await this.#check([])
    return [...this.#entries]
      .map(([name, value]) => ({ key: fromHex(name), value: value.slice() }))
      .filter(({ key }) => equal(key.subarray(0, prefix.length), prefix) && (after === undefined || compare(key, after) > 0))
      .sort((a, b) => compare(a.key, b.key))
      .slice(0, limit)
  }

  async batch (ops: readonly Op[]): Promise<BatchResult> {
    const copies = ops.map(copyOp)
    await this.#check(ops.map(op => op.key), ops.map(op => op.op === 'delete' ? null : op.value))
    return await new Promise<BatchResult>((resolve, reject) => {
      if (this.#buffer.length === 0) queueMicrotask(() => { if (!this.#held) this.#sync() })
      this.#buffer.push(() => {
        try {
          resolve(this.#carryOut(copies))
        } catch (error) {
          reject(error)
        }
      })
    })
  }

  async close (): Promise<void> {
    this.release()
    if (this.#state === 'open') this.#state = 'closed'
  }

  /** From now on batches wait for the disk: nothing of them is seen, and their promises do not settle, until `release`. */
  hold (): void {
    this.#held = true
  }

  /** Carry out the first `count` batches that wait, all by default; with all, later ones wait no more. */
  release (count = Infinity): void {
    this.#sync(count)
    if (count === Infinity) this.#held = false
  }

  /** How many batches wait. */
  get waiting (): number { return this.#buffer.length }

  /**
   * The power fails: whatever was not synced is lost and never answered, nor is anything asked of this store afterwards.
   * @returns the store as the next start finds it
   */
  crash (): MemoryStore {
    const next = new MemoryStore()
    next.#entries = new Map(this.#entries)
    this.#state = 'without power'
    this.#buffer = []
    return next
  }

  /**
   * The nth batch from now (1: the next) fails; one that `store-failed` may have been carried out all the same.
   */
  failBatch (nth: number, code: 'store-full' | 'store-failed', { carriedOut = false } = {}): void {
    this.#failures.push({ inBatches: nth, code, carriedOut })
  }

  #sync (count = Infinity): void {
    for (const carryOut of this.#buffer.splice(0, count)) carryOut()
  }

  #carryOut (ops: readonly Op[]): BatchResult {
    for (const failure of this.#failures) failure.inBatches--
    const failing = this.#failures.find(failure => failure.inBatches === 0)
    this.#failures = this.#failures.filter(failure => failure.inBatches > 0)
    if (failing !== undefined) {
      if (failing.carriedOut) this.#apply(ops)
      throw new MixmintError(failing.code, 'operator', `the test made this store fail: ${failing.code}`)
    }
    return this.#apply(ops)
  }

  #apply (ops: readonly Op[]): BatchResult {
    const next = new Map<string, Uint8Array | null>()
    for (const [at, op] of ops.entries()) {
      const name = toHex(op.key)
      const planned = next.get(name)
      const found = planned === undefined ? this.#entries.get(name) ?? null : planned
      const fits = op.op === 'insert' ? found === null
        : op.op === 'swap' ? (op.was === null ? found === null : found !== null && equal(found, op.was))
          : true
      if (!fits) return { done: false, at, found: found?.slice() ?? null }
      next.set(name, op.op === 'delete' ? null : op.value)
    }
    for (const [name, value] of next) {
      if (value === null) this.#entries.delete(name)
      else this.#entries.set(name, value)
    }
    return { done: true }
  }

  /** Is the store open, and are these sizes allowed? Without power nothing is ever answered. */
  async #check (keys: readonly Uint8Array[], values: ReadonlyArray<Uint8Array | null> = []): Promise<void> {
    if (this.#state === 'without power') await new Promise(() => {})
    if (this.#state === 'closed') throw new MixmintError('store-closed', 'caller', 'the store has been closed; open it again')
    if (keys.some(key => key.length < 1 || key.length > 255)) throw new MixmintError('bad-argument', 'caller', 'a key of 1 to 255 bytes wanted')
    if (values.some(value => value !== null && value.length > 1 << 20)) throw new MixmintError('bad-argument', 'caller', 'a value of at most 1 MiB wanted')
  }
}

/** A store with the same content. */
export async function copyOf (store: Store): Promise<MemoryStore> {
  const copy = new MemoryStore()
  const entries = await store.scan({ prefix: new Uint8Array(0), limit: Number.MAX_SAFE_INTEGER })
  await copy.batch(entries.map(({ key, value }) => ({ op: 'put', key, value })))
  return copy
}
