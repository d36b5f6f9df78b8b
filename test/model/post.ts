/** The network between machines: messages are lost, doubled, late, out of order; who asks waits for so long and no longer. */
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Millis } from '@mixmint/core/kit/ports'
import type { Machine, Outcome } from './machine.ts'
import type { Schedule } from './schedule.ts'

/** Probabilities. */
export interface Faults {
  /** Of each message, there or back. */
  readonly loss: number
  readonly duplicate: number
  /** It comes when nobody waits for it any more. */
  readonly late: number
}

export const NO_FAULTS: Faults = { loss: 0, duplicate: 0, late: 0 }

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- of any kind
type AnyMachine = Machine<any>

const LATE: readonly [Millis, Millis] = [1_000, 30 * 3_600_000]

export class Post {
  faults: Faults
  readonly #schedule: Schedule
  readonly #speed: readonly [Millis, Millis]

  /** @param speed how long a message takes, ms: at least, at most */
  constructor (schedule: Schedule, faults: Faults, speed: readonly [Millis, Millis]) {
    this.#speed = speed
    this.#schedule = schedule
    this.faults = faults
  }

  /**
   * Ask, and hear the first answer that comes in time, or an error that says that nothing did.
   * @param answer what `to` does when the request arrives, each time it does
   */
  ask<T> (from: AnyMachine, to: AnyMachine, patience: Millis, answer: (reply: (value: T) => void) => void, done: (outcome: Outcome<T>) => void): void {
    const life = from.life
    let isOver = false
    const end = (outcome: Outcome<T>): void => {
      if (isOver || from.life !== life) return
      isOver = true
      done(outcome)
    }
    this.#deliver(from, to, () => {
      answer(value => { this.#deliver(to, from, () => { end({ value }) }) })
    })
    this.#schedule.after(patience, () => { end({ error: new MixmintError('lost', 'peer', 'nothing was heard before the deadline', { retry: true }) }) })
  }

  #deliver (from: AnyMachine, to: AnyMachine, arrive: () => void): void {
    const { loss, duplicate, late } = this.faults
    if (from.isCutOff || this.#schedule.chance(loss)) return
    for (let copies = this.#schedule.chance(duplicate) ? 2 : 1; copies > 0; copies--) {
      const [least, most] = this.#schedule.chance(late) ? LATE : this.#speed
      this.#schedule.after(this.#schedule.between(least, most), () => { if (to.isUp && !to.isCutOff) arrive() })
    }
  }
}
