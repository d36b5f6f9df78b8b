/**
 * The port of whoever decides whether a packet from a stranger is worked on. It is asked before any cryptography, so its
 * own price must be next to nothing. A limit of rates is one (rate-limit.ts).
 *
 * What a packet costs here is time, the one price that needs nothing of the sender but to wait: it is taken by not reading
 * on. One that wants another price (tokens, say) takes it elsewhere, on a protocol of its own, and lets those pass at once
 * who have paid, while others wait or are refused.
 */
import type { Millis } from '@mixmint/core/kit/ports'
import type { LinkId } from '../mixing/engine.ts'

/** Decides, packet by packet and before any cryptography, what a gateway takes from its clients. */
export interface Admit {
  /**
   * For one packet: after how many ms it is to be worked on, during which nothing more is read from this link, so that
   * its sender is held back and nothing is lost; 0: at once. `refuse`: neither it nor any other, the link is to be ended.
   * @param now ms of a clock that never steps back
   */
  readonly admit: (from: LinkId, now: Millis) => Millis | 'refuse'
  /** The link is over: nothing of it is to be remembered. */
  readonly forget: (from: LinkId) => void
}
