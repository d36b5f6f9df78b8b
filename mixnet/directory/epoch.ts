/**
 * Epochs (DESIGN §3): epoch e lasts from e · epochLength to (e + 1) · epochLength, in Unix milliseconds, so that everyone
 * who knows the length agrees on the number.
 *
 *        nodes republish        authorities vote         everyone fetches it,
 *        for e + 1              and agree on e + 1       each at a time of its own
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
export function lead (schedule: Pick<Schedule, 'epochLength'>): number {
  return Math.floor(schedule.epochLength / 8)
}

/** From its own vote on, an authority waits this long for the votes of all: clocks differ by the skew. Then a quorum will do. */
export function votingWindow (parameters: Pick<Parameters, 'epochLength' | 'clockSkew'>): number {
  return Math.min(Math.floor(lead(parameters) / 4), parameters.clockSkew + 2_000)
}

/** How long authorities wait in the first round of their agreement; in later ones for as many times this. */
export function patience (schedule: Pick<Schedule, 'epochLength'>): number {
  return Math.min(5_000, Math.max(200, Math.floor(lead(schedule) / 16)))
}

/** When the keys and the document of an epoch end to be accepted. */
export function epochEnd (schedule: Schedule, epoch: number): Millis {
  return epochStart(schedule, epoch + 1) + schedule.epochGrace
}
