/**
 * The merchant's store, key by key. No prefix begins another. What was paid, and by what, is written once, with
 * insert-if-absent, in one batch with the end of the order's being open.
 *
 * | key | value (records.ts, formats.ts) | says |
 * |---|---|---|
 * | `number` | u64 | how many orders there have been |
 * | `invoice` ‖ H(invoice) | SignedInvoice | we asked for this |
 * | `open` ‖ H(invoice) | OpenOrder | not paid yet; gone in the batch that writes `paid` |
 * | `paid` ‖ H(invoice) | PaidOrder | paid, and by which token or contract |
 * | `serial` ‖ serial | H(invoice) | the token with this serial was accepted, for this order |
 * | `due` ‖ u64 depositUntil ‖ serial | Presentation | accepted and to be deposited, the most urgent first |
 * | `credited` ‖ serial | Credited | the bank has credited it |
 * | `rejected` ‖ serial | Rejected | the bank has refused it |
 * | `sealed-due` ‖ u64 depositUntil ‖ serial | SealedDue | as `due`, of sealed tokens |
 * | `sealed-rejected` ‖ serial | SealedRejected | as `rejected` |
 * | `sealed-keys` ‖ hash | SignedSealedKeys | cash/sealed-keys.ts |
 * | `votes` ‖ D ‖ coinId | Input | votes gathered for a contract that was short |
 * | `unsettled` ‖ D | Unsettled | paid by this contract, the bank has not settled it yet |
 * | `settled` ‖ D | Settled | the bank's answer |
 * | `proof` ‖ coinId | DoubleSpendProofFile | somebody tried to pay with a coin spent elsewhere |
 * | `steady-clock` | | cash/steady-clock.ts |
 */
import { concat, u64, utf8 } from '../../kit/bytes.ts'

const prefixed = (prefix: Uint8Array) => (...parts: Uint8Array[]): Uint8Array => concat(prefix, ...parts)

export const NUMBER = utf8('number')
export const INVOICES = utf8('invoice')
export const DUE = utf8('due')
export const CREDITED = utf8('credited')
export const REJECTED = utf8('rejected')
export const SEALED_DUE = utf8('sealed-due')
export const SEALED_REJECTED = utf8('sealed-rejected')
export const UNSETTLED = utf8('unsettled')
export const SETTLED = utf8('settled')
export const PROOFS = utf8('proof')

export const invoiceAt = prefixed(INVOICES)
export const openAt = prefixed(utf8('open'))
export const paidAt = prefixed(utf8('paid'))
export const serialAt = prefixed(utf8('serial'))
export const creditedAt = prefixed(CREDITED)
export const rejectedAt = prefixed(REJECTED)
export const sealedRejectedAt = prefixed(SEALED_REJECTED)
/** @param contract D @param coin coinId */
export const votesAt: (contract: Uint8Array, coin: Uint8Array) => Uint8Array = prefixed(utf8('votes'))
export const unsettledAt = prefixed(UNSETTLED)
export const settledAt = prefixed(SETTLED)
export const proofAt = prefixed(PROOFS)

export function dueAt (depositUntil: number, serial: Uint8Array): Uint8Array {
  return concat(DUE, u64(depositUntil), serial)
}

export function sealedDueAt (depositUntil: number, serial: Uint8Array): Uint8Array {
  return concat(SEALED_DUE, u64(depositUntil), serial)
}
