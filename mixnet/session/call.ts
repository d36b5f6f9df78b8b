/** A request under way, as its requester remembers it, and how it may fail. */
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Millis } from '@mixmint/core/kit/ports'
import type { Assembly } from './assembly.ts'
import type { Path } from './engines.ts'
import type { Refusal } from './fragment.ts'
import type { Packable } from './packing.ts'

export interface Call extends Packable {
  readonly deadline: Millis
  /** Else it is over when its packets have left. */
  readonly wantsReply: boolean
  /** Fragments of the request that are not known to have arrived. */
  missing: number[]
  /** The answer, one assembly per run of the handler that we hear from. */
  readonly answers: Map<string, Assembly>
  /** Fragments expected in the answer, or once known their true number. */
  expected: number
  flight: number
  /** The flight that left after a silence, to ask how things stand; −1: the service has told, or was not asked. */
  asked: number
  /** SURBs put into packets so far. */
  given: number
  packets: number
  unsent: number
  /** When the latest packet left, and how long to wait for a word once all that is planned has. */
  sentAt: Millis
  wait: Millis
  /** While nothing has come home since: the latest flight's paths there, and back for the SURB that is used first. */
  tried: Tried
  /** The paths of the first flight, when nothing came home of it: it was lost, or the service is at work. */
  suspect: readonly Path[]
  heard: boolean
  /** Timeouts since the last progress (doubles the wait), and since anything was heard (more copies). */
  tries: number
  silent: number
}

export interface Tried { readonly there: readonly Path[], readonly back: Path | null }
export const NOTHING_TRIED: Tried = { there: [], back: null }

const MOST_DOUBLINGS = 5
/** A service at work is asked more often: an answer that was lost would be missed for long. */
const MOST_DOUBLINGS_RUNNING = 2

/** By how much longer to wait after silences. The first is not yet taken for congestion: packets do get lost. */
export function backoff ({ tries, missing }: Call): number {
  return 2 ** Math.min(Math.max(0, tries - 1), missing.length > 0 ? MOST_DOUBLINGS : MOST_DOUBLINGS_RUNNING)
}

export function tooLong (length: number, limit: number): MixmintError {
  return new MixmintError('request-too-long', 'caller', `a request has at most ${limit} bytes, this one has ${length}; nothing was sent`)
}

export function unanswerable (): MixmintError {
  return new MixmintError('bad-argument', 'caller', 'no answer can come back: the protocol name is too long, or the network allows no SURBs')
}

export function aborted (): MixmintError {
  return new MixmintError('aborted', 'caller', 'the request was aborted; if it had been sent, it may still be carried out')
}

export function refused ({ code, fault, retry, message }: Refusal): MixmintError {
  const cause = new MixmintError(code, fault, message, { retry })
  return new MixmintError('refused', 'peer', `the service refused the request (${code}): ${message}`, { retry, cause })
}

export function notSent (why: string): MixmintError {
  return new MixmintError('not-sent', 'peer', `the request was not sent: ${why}; nothing has happened, try again later`, { retry: true })
}

export function atDeadline (call: Call): MixmintError {
  if (call.packets === call.unsent) return notSent('its turn did not come before its deadline')
  return call.heard
    ? new MixmintError('overdue', 'peer', 'the service got the request, or a part of it, but did not answer before the deadline; it may yet be carried out', { retry: true })
    : new MixmintError('lost', 'peer', 'nothing was heard from the service before the deadline; the request may or may not have reached it', { retry: true })
}
