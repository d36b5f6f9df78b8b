/**
 * Epochs (DESIGN §3): epoch e lasts from e · epochLength to (e + 1) · epochLength, in Unix milliseconds, so that everyone
 * who knows the length agrees on the number.
 *
 *        nodes republish        document of e + 1        everyone fetches it,
 *        for e + 1              is made                  each at a time of its own
 *   |────▒▒▒▒▒▒▒▒▒▒▒▒▒──────────┼────────────────────────▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒|····|
 *   start of e                  lead before e + 1                 start of e + 1, grace
 *
 * The document of the next epoch is held until its epoch begins, so that all change over together.
 */
import type { Millis } from '@mixmint/core/kit/ports'
import type { Parameters } from './formats.ts'

/** What one needs to know to tell epochs. */
export type Schedule = Pick<Parameters, 'epochLength' | 'epochGrace'>

export function epochAt (schedule: Schedule, now: Millis): number {
  return Math.floor(now / schedule.epochLength)
}

export function epochStart (schedule: Schedule, epoch: number): Millis {
  return epoch * schedule.epochLength
}

/** How long before an epoch its document is made, in ms. */
export function lead (schedule: Schedule): number {
  return Math.floor(schedule.epochLength / 8)
}

/** When the keys and the document of an epoch end to be accepted. */
export function epochEnd (schedule: Schedule, epoch: number): Millis {
  return epochStart(schedule, epoch + 1) + schedule.epochGrace
}
