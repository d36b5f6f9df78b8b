/** Putting fragments together again. Holds what has come, never what a header merely claims. */
import { concat, equal } from '@mixmint/core/kit/bytes'
import { fragmentCount } from './fragment.ts'

/** What a fragment costs in memory beside its bytes. */
export const FRAGMENT_OVERHEAD = 128

export class Assembly {
  readonly total: number
  readonly chunk: number
  readonly count: number
  readonly #parts = new Map<number, Uint8Array>()
  #bytes = 0

  /** @param total and @param chunk in bytes, as a parsed part claims them */
  constructor (total: number, chunk: number) {
    this.total = total
    this.chunk = chunk
    this.count = fragmentCount(total, chunk)
  }

  /** Bytes of memory held, about. */
  get bytes (): number { return this.#bytes }

  get complete (): boolean { return this.#parts.size === this.count }

  /** Take a copy of a fragment. A second one under the same index changes nothing: `conflict` if it differs. */
  add (index: number, data: Uint8Array): 'new' | 'duplicate' | 'conflict' {
    const known = this.#parts.get(index)
    if (known !== undefined) return equal(known, data) ? 'duplicate' : 'conflict'
    this.#parts.set(index, data.slice())
    this.#bytes += data.length + FRAGMENT_OVERHEAD
    return 'new'
  }

  /** Ascending. */
  missing (): number[] {
    const out: number[] = []
    for (let i = 0; i < this.count; i++) if (!this.#parts.has(i)) out.push(i)
    return out
  }

  /** The whole content; to be called when complete. */
  join (): Uint8Array {
    return concat(...Array.from({ length: this.count }, (_, i) => this.#parts.get(i) as Uint8Array))
  }
}
