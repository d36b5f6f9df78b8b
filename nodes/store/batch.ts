/** What the stores of this program share: the limits of the port, and how a batch is judged and comes to its changes. */
import { equal } from '@mixmint/core/kit/bytes'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { BatchResult, Op } from '@mixmint/core/kit/ports'

const MAX_KEY = 255
const MAX_VALUE = 1 << 20
/** Of one transaction, so that the thread of JavaScript is not held long, nor much undone when the disk is full. */
const MAX_GROUP_OPS = 4096
const MAX_GROUP_BYTES = 1 << 24

/** A batch that waits for its transaction. */
export interface Waiting {
  readonly ops: readonly Op[]
  readonly bytes: number
  readonly resolve: (result: BatchResult) => void
  readonly reject: (error: unknown) => void
}

/** @throws bad-argument (caller) */
export function checkKey (key: Uint8Array): void {
  if (key.length < 1 || key.length > MAX_KEY) throw new MixmintError('bad-argument', 'caller', `a key of 1 to ${MAX_KEY} bytes wanted, this has ${key.length}`)
}

/** @returns the bytes of its keys and values @throws bad-argument (caller) */
function checkBatch (ops: readonly Op[]): number {
  let bytes = 0
  for (const op of ops) {
    checkKey(op.key)
    const value = op.op === 'delete' ? null : op.value
    if (value !== null && value.length > MAX_VALUE) throw new MixmintError('bad-argument', 'caller', `a value of at most ${MAX_VALUE} bytes wanted, this has ${value.length}`)
    bytes += op.key.length + (value?.length ?? 0)
  }
  return bytes
}

/** Because the caller may use its arrays again before the transaction reads them. */
export function copyOp (op: Op): Op {
  const key = op.key.slice()
  switch (op.op) {
    case 'insert':
    case 'put': return { op: op.op, key, value: op.value.slice() }
    case 'swap': return { op: 'swap', key, was: op.was?.slice() ?? null, value: op.value?.slice() ?? null }
    case 'delete': return { op: 'delete', key }
  }
}

/** Batches that wait for a transaction. */
export class Queue {
  readonly waiting: Waiting[] = []
  readonly #work: () => Promise<void>
  /** Resolves when nothing waits any more; null when nothing does. */
  #working: Promise<void> | null = null

  /** @param work carries out some of those that wait, at least one; never rejects. Called again while any wait */
  constructor (work: () => Promise<void>) {
    this.#work = work
  }

  /** @throws those of checkBatch, and what `work` rejects it with */
  async add (ops: readonly Op[]): Promise<BatchResult> {
    const bytes = checkBatch(ops)
    if (ops.length === 0) return { done: true }
    return await new Promise<BatchResult>((resolve, reject) => {
      this.waiting.push({ ops: ops.map(copyOp), bytes, resolve, reject })
      this.#working ??= this.#drain()
    })
  }

  /** Resolves when none waits. */
  async ended (): Promise<void> {
    await this.#working
  }

  async #drain (): Promise<void> {
    while (this.waiting.length > 0) await this.#work()
    this.#working = null
  }
}

/** Take from those that wait as many as one transaction carries, at least one. */
export function takeGroup (waiting: Waiting[]): Waiting[] {
  let [count, ops, bytes] = [0, 0, 0]
  for (const next of waiting) {
    ops += next.ops.length
    bytes += next.bytes
    if (count > 0 && (ops > MAX_GROUP_OPS || bytes > MAX_GROUP_BYTES)) break
    count += 1
  }
  return waiting.splice(0, count)
}

/** A key by name, for a Map. */
export function nameOf (key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.length).toString('latin1')
}

/** What keys shall hold; null: nothing. */
export type Changes = Map<string, { readonly key: Uint8Array, readonly value: Uint8Array | null }>

/**
 * Check every condition, each step seeing those before it.
 * @param read what a key holds before this batch
 * @returns with no changes unless all conditions hold
 */
export function judge (ops: readonly Op[], read: (key: Uint8Array, name: string) => Uint8Array | null): { result: BatchResult, changes: Changes } {
  const changes: Changes = new Map()
  for (const [at, op] of ops.entries()) {
    const name = nameOf(op.key)
    if (op.op === 'insert' || op.op === 'swap') {
      const planned = changes.get(name)
      const found = planned === undefined ? read(op.key, name) : planned.value
      const was = op.op === 'insert' ? null : op.was
      if (was === null ? found !== null : found === null || !equal(found, was)) {
        return { result: { done: false, at, found: found?.slice() ?? null }, changes: new Map() }
      }
    }
    changes.set(name, { key: op.key, value: op.op === 'delete' ? null : op.value })
  }
  return { result: { done: true }, changes }
}
