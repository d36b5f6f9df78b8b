/**
 * What leaves, and when: parts wait in the outbox, and each is made into a packet when its time has come: as the window
 * says, or, where the session sends cover, when a slot of that is free. Building one takes milliseconds, most of them for
 * its SURBs, so a long request is never built as a whole.
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
  readonly #slotted: () => boolean
  readonly #outbox = new Outbox<C>()

  /** @param slotted do packets leave in slots only? */
  constructor (packer: Packer, slotted: () => boolean) {
    this.#packer = packer
    this.#slotted = slotted
  }

  /** When `release` will have something to do; null: not before more is put. */
  get due (): Millis | null {
    return this.#outbox.isEmpty || this.#slotted() ? null : this.window.next
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

  /** @param slots free now */
  release (slots: number, timing: Timing, now: Millis, rng: Rng): Left<C>[] {
    const slotted = this.#slotted()
    const left: Left<C>[] = []
    for (let free = slotted ? slots : TURN; free > 0 && (slotted || this.window.opens(now) <= now);) {
      const next = this.#outbox.next()
      if (next === null) break
      const packed = this.#packer.pack(next.call, next.part, now, rng)
      left.push({ call: next.call, packed, isLast: !this.#outbox.has(next.call) })
      if (packed === null) continue
      if (!slotted) this.window.take(now, timing, rng)
      free -= 1
    }
    return left
  }
}
