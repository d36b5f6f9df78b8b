/**
 * The bank's store, key by key. No prefix begins another. Every value but the accounts', their standings', their credits' and the clocks'
 * is written once, with insert-if-absent, in one batch with all that belongs to the same movement.
 *
 * | key | value (records.ts) | says |
 * |---|---|---|
 * | `account` ‖ account key | Account | what the account holds; changed by swap |
 * | `credit` ‖ H(reference) | Credited | the operator's deposit under this reference was made |
 * | `paid-out` ‖ H(reference) | PaidOut | the operator paid this out under this reference |
 * | `standing` ‖ account key | Standing | the account is open by name, frozen or closed; changed by swap |
 * | `all-credits` | AllCredits | what came in through the operator, in all; changed by swap |
 * | `loss` | | cash/loss.ts |
 * | `withdrawal` ‖ withdrawal id | Signatures | the answer to this withdrawal |
 * | `contract` ‖ D | Settlement | the contract is decided, settled or void, and this is the answer |
 * | `invoice` ‖ H(invoice) | D | a contract settled this invoice |
 * | `spent` ‖ coinId | Spent | the coin is redeemed, and for what |
 * | `certificate` ‖ coinId | Certificate | the spend that it was redeemed for, and the votes for it |
 * | `revocation` ‖ vote key | Revocation | this center is convicted, or has given up the key |
 * | `output` ‖ H(output) | SignedOutput | this blinded message is signed, by which movement, and the signature |
 * | `reclaimed` ‖ coinId | GivenBack | the answer to the reclaim or refund of this coin |
 * | `token` ‖ serial | IssuedToken | this very token was issued |
 * | `deposit` ‖ serial | Deposited | the token was credited to its payee, or refunded to its owner |
 * | `refunded` ‖ serial | GivenBack | the answer to the refund of this token |
 * | `copy` ‖ coinId | bytes | the encrypted copy of a contract that the owner of this coin filed |
 * | `announced` ‖ handle | bytes | an encrypted derivation generation of some wallet |
 * | `announcer` ‖ coinId or account | u64 | announcements that it vouched for; changed by swap |
 * | `journal` ‖ u64 time ‖ id | JournalEntry | one movement of money, for the books |
 * | `alive` | Alive | when the bank last said that it is at work; changed by swap |
 * | `outage` ‖ u64 end | Outage | the bank was down until then |
 * | `steady-clock` | | cash/steady-clock.ts |
 */
import { concat, u64, utf8 } from '../../kit/bytes.ts'

const prefixed = (prefix: string): (id: Uint8Array) => Uint8Array => {
  const first = utf8(prefix)
  return id => concat(first, id)
}

export const ACCOUNTS = utf8('account')
export const JOURNAL = utf8('journal')

export const REVOCATIONS = utf8('revocation')

export const ALL_CREDITS = utf8('all-credits')

export const ALIVE = utf8('alive')
export const OUTAGES = utf8('outage')

export const accountAt = prefixed('account')
export const creditAt = prefixed('credit')
export const paidOutAt = prefixed('paid-out')
export const standingAt = prefixed('standing')
export const withdrawalAt = prefixed('withdrawal')
export const contractAt = prefixed('contract')
export const invoiceAt = prefixed('invoice')
export const spentAt = prefixed('spent')
export const certificateAt = prefixed('certificate')
export const revocationAt = prefixed('revocation')
export const outputAt = prefixed('output')
export const copyAt = prefixed('copy')
export const announcedAt = prefixed('announced')
export const announcerAt = prefixed('announcer')
export const reclaimedAt = prefixed('reclaimed')
export const tokenAt = prefixed('token')
export const depositAt = prefixed('deposit')
export const refundedAt = prefixed('refunded')

/** @param id of the movement: no two movements of one time share it */
export function journalAt (time: number, id: Uint8Array): Uint8Array {
  return concat(JOURNAL, u64(time), id)
}
