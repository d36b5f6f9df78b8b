/** When a bank makes its next keyset, and how long each serves (DESIGN §4). */
import type { Millis } from '../kit/ports.ts'
import type { Keyset } from './formats.ts'

/** How long each part of a keyset's life is. */
export interface Periods {
  /** It signs coins. */
  readonly issue: Millis
  /** After that its coins can still be spent: time for wallets to exchange them for those of the next one. */
  readonly spend: Millis
  /** After that certificates for them still count. */
  readonly redeem: Millis
  /** After that a coin without a certificate can be asked back. */
  readonly refund: Millis
  /** It stands in the directory so long before it issues, so that nobody meets a keyset he has not heard of. */
  readonly ahead: Millis
}

export type KeysetDates = Pick<Keyset, 'issueFrom' | 'issueUntil' | 'spendUntil' | 'redeemUntil' | 'refundUntil'>

/** A first keyset issues at once, also for those whose clocks are behind. */
const HEAD_START: Millis = 60_000

/**
 * The dates of the keyset to make now, or null while there is none to make. It begins when the last one ends: authorities
 * list no two of a unit that issue at one time, and nobody is without one to issue. After a pause (the bank was down for
 * longer than `ahead`) it begins at once.
 * @param before the keysets of the same bank and unit
 */
export function nextKeyset (before: ReadonlyArray<Pick<Keyset, 'issueUntil'>>, { issue, spend, redeem, refund, ahead }: Periods, now: Millis): KeysetDates | null {
  const last = Math.max(0, ...before.map(({ issueUntil }) => issueUntil))
  if (now + ahead < last) return null
  const issueFrom = Math.max(last, now - HEAD_START)
  const issueUntil = issueFrom + issue
  const spendUntil = issueUntil + spend
  const redeemUntil = spendUntil + redeem
  return { issueFrom, issueUntil, spendUntil, redeemUntil, refundUntil: redeemUntil + refund }
}
