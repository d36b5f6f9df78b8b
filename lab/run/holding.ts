/**
 * The active observer of a scenario: the n − 1 attack (Serjantov, Dingledine, Syverson, IH 2002) on one target after the other. He
 * owns no mix and can keep packets from any. For a time he lets nothing into a mix at which paths begin, so that it empties; then
 * one message, whose sender he sees, and nothing else until all that may be it has left. What he kept from the mix is lost.
 */
import type { Millis, Rng } from '@mixmint/core/kit/ports'
import { drawFrom } from '@mixmint/mixnet/directory/way'

export class Holding {
  readonly #hold: Millis
  readonly #rng: Rng
  #mix = -1
  #from: Millis = 0
  #hasTarget = false

  /** @param hold how long nothing is let in before a target */
  constructor (hold: Millis, rng: Rng) {
    this.#hold = hold
    this.#rng = rng
  }

  get isIdle (): boolean {
    return this.#mix < 0
  }

  /** @param entries the mixes at which paths begin */
  begin (entries: readonly number[], now: Millis): void {
    this.#mix = drawFrom(entries, this.#rng)
    this.#from = now + this.#hold
    this.#hasTarget = false
  }

  /** @param isMessage one that comes from its sender: it may be a target */
  decide (mix: number, isMessage: boolean, now: Millis): 'passes' | 'kept' | 'target' {
    if (mix !== this.#mix) return 'passes'
    if (this.#hasTarget || now < this.#from || !isMessage) return 'kept'
    this.#hasTarget = true
    return 'target'
  }

  /** Something has left this mix, or was lost there. @param rest what is still inside */
  left (mix: number, rest: number): void {
    if (mix === this.#mix && this.#hasTarget && rest === 0) this.#mix = -1
  }

  /** Nobody is to be a target any more; one that is inside still is. */
  stop (): void {
    if (!this.#hasTarget) this.#mix = -1
  }
}
