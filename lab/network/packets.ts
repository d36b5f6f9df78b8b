/**
 * Packets under way, by slot: a packet is a number, and what is known of it stands in columns. A slot is used again when its
 * packet has come to its end, so that memory grows with what is in flight and not with what has passed. The objects that
 * mixes hold are made once a slot.
 */
import type { Millis } from '@mixmint/core/kit/ports'

/** What a mix holds, see `Waiting` of mixnet/mixing/strategy.ts. */
export interface Held { readonly mean: Millis, readonly slot: number }

export const PACKET = { message: 0, drop: 1, loop: 2 } as const

export class Packets {
  readonly hops: number
  readonly #mean: Millis
  readonly #held: Held[] = []
  readonly #free: number[] = []
  readonly #grown: (capacity: number) => void
  /** hops columns a packet: the mixes of its path, by number. */
  path: Int32Array
  /** How many of them it has reached. */
  at: Uint8Array
  /** Mixes on its path. */
  length: Uint8Array
  kind: Uint8Array
  sender: Int32Array
  receiver: Int32Array
  /** When its message was written, and when it left its sender, ms. */
  written: Float64Array
  sent: Float64Array

  /**
   * @param hops mixes on a path at most
   * @param mean the delay that packets ask for at each mix, ms
   * @param grown is told when there is room for more slots
   */
  constructor (hops: number, mean: Millis, grown: (capacity: number) => void) {
    this.hops = hops
    this.#mean = mean
    this.#grown = grown
    this.path = new Int32Array(0)
    this.at = new Uint8Array(0)
    this.length = new Uint8Array(0)
    this.kind = new Uint8Array(0)
    this.sender = new Int32Array(0)
    this.receiver = new Int32Array(0)
    this.written = new Float64Array(0)
    this.sent = new Float64Array(0)
    this.#grow(1024)
  }

  /** A free slot; its columns hold what they did. */
  take (): number {
    if (this.#free.length === 0) this.#grow(2 * this.#held.length)
    return this.#free.pop() as number
  }

  give (slot: number): void {
    this.#free.push(slot)
  }

  held (slot: number): Held {
    return this.#held[slot]
  }

  #grow (capacity: number): void {
    for (let slot = this.#held.length; slot < capacity; slot++) this.#held.push({ mean: this.#mean, slot })
    for (let slot = capacity - 1; slot >= this.at.length; slot--) this.#free.push(slot)
    const wider = <T extends Int32Array | Uint8Array | Float64Array>(column: T, width = 1): T => {
      const grown = new (column.constructor as new (length: number) => T)(capacity * width)
      grown.set(column)
      return grown
    }
    this.path = wider(this.path, this.hops)
    this.at = wider(this.at)
    this.length = wider(this.length)
    this.kind = wider(this.kind)
    this.sender = wider(this.sender)
    this.receiver = wider(this.receiver)
    this.written = wider(this.written)
    this.sent = wider(this.sent)
    this.#grown(capacity)
  }
}
