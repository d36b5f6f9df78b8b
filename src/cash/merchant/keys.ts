/**
 * The merchant's store, key by key. No prefix begins another. What was paid, and by what, is written once, with
 * insert-if-absent, in one batch with the end of the order's being open.
 *
 * | key | value (records.ts, formats.ts) | says |
 * |---|---|---|
 * | `number` | u64 | how many orders there have been |
 * | `invoice` ‖ H(invoice) | SignedInvoice | we asked for this |
 * | `ordered` ‖ u64 number | H(invoice) | the order of that number |
 * | `ends` ‖ u64 settleBy ‖ H(invoice) | u64 number | to be looked at when it is over: orders that nobody paid are forgotten then |
 * | `open` ‖ H(invoice) | OpenOrder | not paid yet; gone in the batch that writes `paid` |
 * | `paid` ‖ H(invoice) | PaidOrder | paid, and by which token or contract |
 * | `sold` ‖ u64 time ‖ H(invoice) | u64 amount | when it was paid, for the takings of a day |
 * | `serial` ‖ serial | H(invoice) | the token with this serial was accepted, for this order |
 * | `due` ‖ u64 depositUntil ‖ serial | Presentation | accepted and to be deposited, the most urgent first |
 * | `credited` ‖ serial | Credited | the bank has credited it |
 * | `rejected` ‖ serial | Rejected | the bank has refused it |
 * | `sealed-due` ‖ u64 depositUntil ‖ serial | SealedDue | as `due`, of sealed tokens |
 * | `sealed-rejected` ‖ serial | SealedRejected | as `rejected` |
 * | `sealed-paid` ‖ H(invoice) | SealedPaid | the sealed tokens that paid this order |
 * | `sealed-keys` ‖ hash | SignedSealedKeys | cash/sealed-keyring.ts |
 * | `votes` ‖ H(invoice) ‖ D ‖ coinId | Input | votes gathered for a contract that was short |
 * | `unsettled` ‖ D | Unsettled | paid by this contract, the bank has not settled it yet |
 * | `settled` ‖ D | Settled | the bank's answer |
 * | `risk` ‖ D | Risk | delivered on trust: not all its coins were certified when it was paid |
 * | `exposure` | Exposure | the sums of all that is at risk |
 * | `taken` ‖ coinId | D | a coin that paid here, kept by who takes coins on trust |
 * | `repay` ‖ H(invoice) | Repay | what is given back of an order that was paid |
 * | `lost` ‖ D | Lost | delivered on trust, and never to be settled |
 * | `proof` ‖ u64 number | Proof | somebody tried to pay with a coin spent elsewhere; the latest of them (proofs.ts) |
 * | `proven` ‖ coinId | u64 number | the proof about this coin |
 * | `count-of-proofs` | u64 | how many proofs there have been |
 * | `keyset` ‖ hash | SignedKeyset | what verifies the coins of proofs |
 * | `liar` ‖ vote key | CenterProofFile | a center has convicted itself here |
 * | `unaccused` ‖ vote key | CenterFault | the bank has not been told of it yet |
 * | `contest` ‖ coinId | Input | votes for a coin that was spent before; the bank has not compared them yet |
 * | `loss` | | cash/loss.ts |
 * | `steady-clock` | | cash/steady-clock.ts |
 */
import { concat, NONE, u64, utf8 } from '../../kit/bytes.ts'

const VOTES = utf8('votes')

const prefixed = (prefix: Uint8Array) => (...parts: Uint8Array[]): Uint8Array => concat(prefix, ...parts)

export const NUMBER = utf8('number')
export const INVOICES = utf8('invoice')
export const ORDERED = utf8('ordered')
export const ENDS = utf8('ends')
export const SOLD = utf8('sold')
export const EXPOSURE = utf8('exposure')
export const LOST = utf8('lost')
export const REPAY = utf8('repay')
export const DUE = utf8('due')
export const CREDITED = utf8('credited')
export const REJECTED = utf8('rejected')
export const SEALED_DUE = utf8('sealed-due')
export const SEALED_REJECTED = utf8('sealed-rejected')
export const UNSETTLED = utf8('unsettled')
export const SETTLED = utf8('settled')
export const PROOFS = utf8('proof')
export const PROVEN_COUNT = utf8('count-of-proofs')
export const LIARS = utf8('liar')
export const UNACCUSED = utf8('unaccused')
export const CONTESTS = utf8('contest')

export const invoiceAt = prefixed(INVOICES)
export const openAt = prefixed(utf8('open'))
export const paidAt = prefixed(utf8('paid'))
export const serialAt = prefixed(utf8('serial'))
export const creditedAt = prefixed(CREDITED)
export const rejectedAt = prefixed(REJECTED)
export const sealedRejectedAt = prefixed(SEALED_REJECTED)
/** @param invoice H(invoice) @param contract D @param coin coinId; both may be left out for the prefix */
export const votesAt: (invoice: Uint8Array, contract?: Uint8Array, coin?: Uint8Array) => Uint8Array =
  (invoice, contract = NONE, coin = NONE) => concat(VOTES, invoice, contract, coin)
/** @param contract D */
export const riskAt = prefixed(utf8('risk'))
export const takenAt = prefixed(utf8('taken'))
export const lostAt = prefixed(LOST)
export const sealedPaidAt = prefixed(utf8('sealed-paid'))
export const repayAt = prefixed(REPAY)
export const unsettledAt = prefixed(UNSETTLED)
export const settledAt = prefixed(SETTLED)
export const provenAt = prefixed(utf8('proven'))
export const provenKeysetAt = prefixed(utf8('keyset'))
export const liarAt = prefixed(LIARS)
export const unaccusedAt = prefixed(UNACCUSED)
export const contestAt = prefixed(CONTESTS)

export function orderedAt (number: number): Uint8Array {
  return concat(ORDERED, u64(number))
}

export function endsAt (settleBy: number, invoice: Uint8Array): Uint8Array {
  return concat(ENDS, u64(settleBy), invoice)
}

export function soldAt (time: number, invoice: Uint8Array = NONE): Uint8Array {
  return concat(SOLD, u64(time), invoice)
}

/** The time in a key of `ends` or `sold`, or the whole value of a number. */
export function numberIn (bytes: Uint8Array, prefix: Uint8Array = NONE): number {
  return Number(new DataView(bytes.buffer, bytes.byteOffset + prefix.length).getBigUint64(0))
}

export function proofAt (number: number): Uint8Array {
  return concat(PROOFS, u64(number))
}

export function dueAt (depositUntil: number, serial: Uint8Array): Uint8Array {
  return concat(DUE, u64(depositUntil), serial)
}

export function sealedDueAt (depositUntil: number, serial: Uint8Array): Uint8Array {
  return concat(SEALED_DUE, u64(depositUntil), serial)
}
