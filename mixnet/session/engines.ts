/**
 * What sessions are to those who drive them: the engines of the two ends of an anonymous request, whichever way they put
 * requests into packets, and what they need from outside. `step(event, now)` → effects; `timer` is wanted at `due`.
 */
import type { MixmintError } from '@mixmint/core/kit/errors'
import type { Millis, Rng } from '@mixmint/core/kit/ports'
import type { PacketAddress } from '../sphinx/address.ts'
import type { Hop } from '../sphinx/header.ts'
import type { MixingParameters } from './delay-law.ts'

/**
 * How requests are put into packets. Fragments: of any length, with retransmission and words of refusal (requester.ts,
 * responder.ts). Plain: one packet each, as any implementation of LIP-99 understands it (plain.ts).
 */
export type Session = 'fragments' | 'plain'

/** A path and until when all mix keys on it live. */
export interface Path { readonly hops: readonly Hop[], readonly expires: Millis }

/** Whom a request is for. */
export interface Target {
  /** The last hop: its name, as the paths know it (a peer id in hexadecimal). */
  readonly service: string
  /** Null: the last hop answers. Else the last hop is an exit, which asks the node at this address block (94 bytes). */
  readonly destination: Uint8Array | null
}

/** Where paths come from; null when there is none now. A fresh one at each call. */
export interface Paths {
  /** From this requester to the last hop. */
  forward (target: Target, now: Millis, rng: Rng): Path | null
  /** From a neighbour of the target's last hop to this requester, the last hop. */
  back (target: Target, now: Millis, rng: Rng): Path | null
  /**
   * A packet came home over this path; or none did in the time that all but a few take, so that it was lost on its way or
   * its answer was. For those who keep to nodes that serve well.
   */
  learned? (path: Path, arrived: boolean, now: Millis): void
}

/** As in the directory's `Parameters`. */
export interface SessionParameters extends MixingParameters {
  readonly packetSize: number
  readonly requestLimit: number
  readonly surbsPerPacket: number
  readonly answerKept: Millis
}

export type RequesterEvent =
  /** `call` is the caller's number for it, never used before; replySize a guess, in bytes, or null: no reply is wanted, and there is no way back in it. */
  | { readonly is: 'start', readonly call: number, readonly target: Target, readonly protocol: string, readonly content: Uint8Array, readonly deadline: Millis, readonly replySize: number | null }
  /** A SURB of ours came home. */
  | { readonly is: 'reply', readonly surbId: Uint8Array, readonly payload: Uint8Array }
  /** A packet of this call could not be handed to its first hop. */
  | { readonly is: 'unsent', readonly call: number }
  | { readonly is: 'cancel', readonly call: number }
  | { readonly is: 'timer' }
  /** One packet may leave, at a time that nothing but chance has set. */
  | { readonly is: 'slot' }

export type RequesterEffect =
  /** `firstHop`: the address block of a neighbour. */
  | { readonly do: 'send', readonly call: number, readonly firstHop: Uint8Array, readonly packet: Uint8Array }
  /** With the reply; where none is wanted, with nothing, once all packets have left. */
  | { readonly do: 'resolve', readonly call: number, readonly content: Uint8Array }
  | { readonly do: 'reject', readonly call: number, readonly error: MixmintError }

export interface RequesterEngine {
  step (event: RequesterEvent, now: Millis, rng: Rng): RequesterEffect[]
  /** When the next `timer` event is wanted, or null. */
  readonly due: Millis | null
  /** What is held now; all zero when no call is under way. */
  readonly held: { readonly calls: number, readonly surbs: number }
}

export type ResponderEvent =
  /** A path ended here with this message; destination: null for this node, else whom this node, as an exit, is to ask. */
  | { readonly is: 'delivered', readonly message: Uint8Array, readonly destination: PacketAddress | null }
  /** The handler of this run is done, well or not. */
  | { readonly is: 'answered', readonly run: string, readonly content: Uint8Array }
  | { readonly is: 'failed', readonly run: string, readonly error: MixmintError }
  | { readonly is: 'timer' }

export type ResponderEffect =
  | { readonly do: 'run', readonly run: string, readonly protocol: string, readonly content: Uint8Array, readonly destination: PacketAddress | null }
  /** `firstHop`: an address block that the requester chose; to be used only if it is of a node that replies may be given to. */
  | { readonly do: 'send', readonly firstHop: Uint8Array, readonly packet: Uint8Array }

export interface ResponderEngine {
  step (event: ResponderEvent, now: Millis): ResponderEffect[]
  /** When the next `timer` event is wanted, or null. */
  readonly due: Millis | null
  /** What is held now. */
  readonly held: { readonly requests: number, readonly running: number, readonly bytes: number }
}
