/**
 * The wallet's store, key by key. No prefix begins another. Numbers in keys are big-endian, so that a scan runs in order.
 *
 * | key | value (records.ts) | says |
 * |---|---|---|
 * | `generation` | u64 | under which outputs are derived now; absent: 0 |
 * | `next-generation` | u64 | is being announced, to come after that |
 * | `batch` ‖ u32 generation | u64 | batches of outputs derived so far; only ever rises |
 * | `answered` ‖ u32 generation ‖ u64 batch | | a restore finds this batch: its outputs are signed, or a copy of its contract is filed |
 * | `sequence` | u64 | operations begun so far |
 * | `open` ‖ u64 sequence | Operation | begun, its answer is not in the purse yet |
 * | `done` ‖ u64 sequence | Operation | over; for the history, and for the coins it left over |
 * | `coin` ‖ coinId | OwnedCoin | a coin of ours that is not known to be spent |
 * | `spent` ‖ coinId | OwnedCoin | one that is, and in which operation |
 * | `secret` ‖ coinId | 32 bytes | the key of a coin that came in a bundle |
 * | `invoice` ‖ H(invoice) | InvoiceUse | what pays this invoice; nothing else does unless that is void |
 * | `doubt` ‖ u64 sequence | 1 | this withdrawal was refused, and could still come true (account.ts) |
 * | `token` ‖ serial | HeldToken | a token that we bought |
 * | `sealed-token` ‖ serial | HeldSealed | a sealed one |
 * | `sealed-payment` ‖ H(invoice) | SealedPaying | sealed tokens that pay this invoice |
 * | `refused-order` ‖ H(invoice) | RefusedOrder | what was signed over to this order, with which its payee found fault |
 * | `sealed-keys` ‖ hash | SignedSealedKeys | cash/sealed-keyring.ts |
 * | `restoring` | Restoring (restore-state.ts) | a restore is under way, or is over |
 * | `restore-asked` ‖ u32 generation ‖ u64 batch | u8 | the bank was asked for this batch, and has answered: 1 well, 2 with something that is no signature |
 * | `restore-found` ‖ coinId | Found | what a restore knows of a coin |
 * | `restore-copy` ‖ D | Copied | and of a contract |
 */
import { concat, u32, u64, utf8 } from '../../kit/bytes.ts'

export const SEQUENCE = utf8('sequence')
export const OPEN = utf8('open')
export const DONE = utf8('done')
export const COINS = utf8('coin')
export const TOKENS = utf8('token')
export const SEALED_TOKENS = utf8('sealed-token')
export const SEALED_PAYMENTS = utf8('sealed-payment')
export const REFUSED_ORDERS = utf8('refused-order')
export const DOUBTS = utf8('doubt')

export const GENERATION = utf8('generation')
export const NEXT_GENERATION = utf8('next-generation')

export const RESTORING = utf8('restoring')
export const ASKED = utf8('restore-asked')
export const FOUND = utf8('restore-found')
export const COPIED = utf8('restore-copy')

const BATCHES = utf8('batch')
const ANSWERED = utf8('answered')
export const SPENT = utf8('spent')
const SECRETS = utf8('secret')
const INVOICES = utf8('invoice')

export function batchAt (generation: number): Uint8Array {
  return concat(BATCHES, u32(generation))
}

export function answeredIn (generation: number): Uint8Array {
  return concat(ANSWERED, u32(generation))
}

export function answeredAt (generation: number, batch: number): Uint8Array {
  return concat(ANSWERED, u32(generation), u64(batch))
}

export function openAt (sequence: number): Uint8Array {
  return concat(OPEN, u64(sequence))
}

export function doneAt (sequence: number): Uint8Array {
  return concat(DONE, u64(sequence))
}

export function doubtAt (sequence: number): Uint8Array {
  return concat(DOUBTS, u64(sequence))
}

/** The number at the end of a key of `open` or `done`, or the value of a counter. */
export function numberIn (bytes: Uint8Array): number {
  return Number(new DataView(bytes.buffer, bytes.byteOffset + bytes.length - 8).getBigUint64(0))
}

export function coinAt (coin: Uint8Array): Uint8Array {
  return concat(COINS, coin)
}

export function spentAt (coin: Uint8Array): Uint8Array {
  return concat(SPENT, coin)
}

export function secretAt (coin: Uint8Array): Uint8Array {
  return concat(SECRETS, coin)
}

export function invoiceAt (invoice: Uint8Array): Uint8Array {
  return concat(INVOICES, invoice)
}

export function tokenAt (serial: Uint8Array): Uint8Array {
  return concat(TOKENS, serial)
}

export function sealedTokenAt (serial: Uint8Array): Uint8Array {
  return concat(SEALED_TOKENS, serial)
}

export function sealedPaymentAt (invoice: Uint8Array): Uint8Array {
  return concat(SEALED_PAYMENTS, invoice)
}

export function refusedOrderAt (invoice: Uint8Array): Uint8Array {
  return concat(REFUSED_ORDERS, invoice)
}

export function askedAt (generation: number, batch: number): Uint8Array {
  return concat(ASKED, u32(generation), u64(batch))
}

export function foundAt (coin: Uint8Array): Uint8Array {
  return concat(FOUND, coin)
}

export function copiedAt (contract: Uint8Array): Uint8Array {
  return concat(COPIED, contract)
}
