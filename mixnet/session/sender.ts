/**
 * What leaves, and when: parts wait in the outbox, and each is made into a packet when its time has come. Building one
 * takes milliseconds, most of them for its SURBs, so a long request is never built as a whole.
 */
import type { Millis, Rng } from '@mixmint/core/kit/ports'
import type { PartPlan } from './flight.ts'
import { Outbox } from './outbox.ts'
import type { Packable, Packed, Packer } from './packing.ts'
import type { Timing } from './timing.ts'
import { Window } from './window.ts'

/** A part whose turn it was. `packed` null: there was no path for it. `isLast`: nothing of this call waits any more. */
export interface Left<C> { readonly call: C, readonly packed: Packed | null, readonly isLast: boolean }

/** Most packets built in one step: other work of this thread waits no longer. */
const TURN = 4

export class Sender<C extends Packable> {
  readonly window = new Window()
  readonly #packer: Packer
  readonly #outbox = new Outbox<C>()

  constructor (packer: Packer) {
    this.#packer = packer
  }

  /** When `release` will have something to do; null: not before more is put. */
  get due (): Millis | null {
    return this.#outbox.isEmpty ? null : this.window.next
  }

  put (call: C, parts: readonly PartPlan[], rng: Rng): void {
    this.#outbox.put(call, parts, rng)
  }

  /** Does something of this call wait? */
  holds (call: C): boolean {
    return this.#outbox.has(call)
  }

  /** SURBs that will leave with what waits. */
  surbsOf (call: C): number {
    return this.#outbox.surbsOf(call)
  }

  drop (call: C): void {
    this.#outbox.drop(call)
  }

  release (timing: Timing, now: Millis, rng: Rng): Left<C>[] {
    const left: Left<C>[] = []
    for (let free = TURN; free > 0 && this.window.opens(now) <= now;) {
      const next = this.#outbox.next()
      if (next === null) break
      const packed = this.#packer.pack(next.call, next.part, now, rng)
      left.push({ call: next.call, packed, isLast: !this.#outbox.has(next.call) })
      if (packed === null) continue
      this.window.take(now, timing, rng)
      free -= 1
    }
    return left
  }
}
