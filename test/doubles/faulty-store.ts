/** A store under the test's hand: each operation asks `before` first, which may wait, fail, or never come back. */
import type { BatchResult, Entry, Op, Range, Store } from '@mixmint/core/kit/ports'

export interface Hooks {
  /** Called before an operation is carried out; what it throws, the operation throws, having changed nothing. */
  readonly before?: (operation: 'get' | 'scan' | 'batch') => Promise<void>
  /** Called when it has been carried out, before its caller is told. */
  readonly after?: (operation: 'get' | 'scan' | 'batch') => Promise<void>
}

export class FaultyStore implements Store {
  readonly inner: Store
  hooks: Hooks

  constructor (inner: Store, hooks: Hooks = {}) {
    this.inner = inner
    this.hooks = hooks
  }

  async get (key: Uint8Array): Promise<Uint8Array | null> {
    return await this.#around('get', async () => await this.inner.get(key))
  }

  async scan (range: Range): Promise<Entry[]> {
    return await this.#around('scan', async () => await this.inner.scan(range))
  }

  async batch (ops: readonly Op[]): Promise<BatchResult> {
    return await this.#around('batch', async () => await this.inner.batch(ops))
  }

  async close (): Promise<void> {
    await this.inner.close()
  }

  async #around<T> (operation: 'get' | 'scan' | 'batch', carryOut: () => Promise<T>): Promise<T> {
    await this.hooks.before?.(operation)
    const result = await carryOut()
    await this.hooks.after?.(operation)
    return result
  }
}
