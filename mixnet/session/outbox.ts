/**
 * Parts that wait to be made into packets, one at a time. Calls take turns, so that a short one does not wait for a long
 * one. The parts of a call leave in a random order: a gateway that drops every third packet must not be recognized by a
 * service that misses every third fragment.
 */
import type { Rng } from '@mixmint/core/kit/ports'
import { below } from '@mixmint/core/kit/samplers'
import type { PartPlan } from './flight.ts'

export class Outbox<C> {
  /** In the order of their turns; none is empty. */
  readonly #waiting = new Map<C, PartPlan[]>()

  get isEmpty (): boolean { return this.#waiting.size === 0 }

  has (call: C): boolean {
    return this.#waiting.has(call)
  }

  /** SURBs that will leave with what waits. */
  surbsOf (call: C): number {
    return (this.#waiting.get(call) ?? []).reduce((sum, { surbs }) => sum + surbs, 0)
  }

  put (call: C, parts: readonly PartPlan[], rng: Rng): void {
    if (parts.length === 0) return
    const all = [...this.#waiting.get(call) ?? [], ...parts]
    for (let i = all.length - 1; i > 0; i--) {
      const j = below(rng, i + 1)
      const swapped = all[i]
      all[i] = all[j]
      all[j] = swapped
    }
    this.#waiting.set(call, all)
  }

  /** A part of the call whose turn it is; null: nothing waits. */
  next (): { call: C, part: PartPlan } | null {
    for (const [call, parts] of this.#waiting) {
      const part = parts.pop()
      this.#waiting.delete(call)
      if (parts.length > 0) this.#waiting.set(call, parts)
      if (part !== undefined) return { call, part }
    }
    return null
  }

  drop (call: C): void {
    this.#waiting.delete(call)
  }
}
