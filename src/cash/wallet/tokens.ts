/** Tokens: buying them, presenting them at a till or over the mixnet (DESIGN §6). One token, one order. */
import { equal, NONE } from '../../kit/bytes.ts'
import { encode } from '../../kit/codec.ts'
import { MixmintError } from '../../kit/errors.ts'
import type { Op } from '../../kit/ports.ts'
import { batch, get, now, scanAll, type Saga } from '../../kit/saga.ts'
import { contractId, invoiceHash } from '../contract.ts'
import { tokenOwnerKey } from '../derive.ts'
import type { Presentation, SignedInvoice, SignedPaid, SignedToken } from '../formats.ts'
import { stored } from '../stored.ts'
import type { Till } from '../till.ts'
import { checkToken, present, serialFor } from '../token.ts'
import { begin, claimInvoice, coarse, invoiceInUse, latestSettleBy } from './contracts.ts'
import { invoiceAt, refusedOrderAt, tokenAt, TOKENS } from './keys.ts'
import { busy } from './operations.ts'
import { askMerchant, badReply, Unanswered, type Wallet, type WalletEffect } from './parts.ts'
import { checkInvoice, useOf } from './payments.ts'
import { HeldToken, InvoiceUse, RefusedOrder } from './records.ts'
import { checkReceipt, settleWithBank } from './settle.ts'

/**
 * Buy a token made out to a payee, over the mixnet, with change.
 * @param till the till that alone may take it, or empty for any of the payee's
 * @throws bad-argument, insufficient-funds (caller), and those of settleWithBank: then `recover` completes it
 */
export function * buyToken (wallet: Wallet, payee: Uint8Array, amount: number, till: Uint8Array = NONE): Saga<SignedToken, WalletEffect> {
  if (!Number.isSafeInteger(amount) || amount < 1) throw new MixmintError('bad-argument', 'caller', 'a whole amount above zero wanted, in the smallest coin')
  if (payee.length !== 32 || (till.length !== 0 && till.length !== 32)) throw new MixmintError('bad-argument', 'caller', 'payees and tills are named by 32 bytes')
  const time = yield * now()
  const { tokenValid, tokenDeposit, tokenRefund } = wallet.registry().parameters
  const notBefore = coarse(time)
  const terms = { till, notBefore, notAfter: notBefore + tokenValid, depositUntil: notBefore + tokenDeposit, refundAfter: notBefore + tokenRefund, memoHash: NONE }
  const begun = yield * begin(wallet, { kind: 'token', payee, amount, settleBy: latestSettleBy(wallet, time), values: [], invoice: null, terms })
  const { record } = yield * settleWithBank(wallet, begun)
  if (record.state !== 'settled') throw new MixmintError('payment-void', 'peer', 'the bank has voided this purchase: `recover` brings the coins back')
  return (yield * readToken(serialFor(wallet.suite, contractId(wallet.suite, record.contract)))).token
}

/** Every token that was bought. */
export function * tokens (): Saga<HeldToken[]> {
  return (yield * scanAll(TOKENS)).map(({ value }) => stored(HeldToken, value))
}

interface Found extends HeldToken { readonly bytes: Uint8Array }

/** @throws unknown-token (caller) */
function * readToken (serial: Uint8Array): Saga<Found> {
  const bytes = yield * get(tokenAt(serial))
  if (bytes === null) throw new MixmintError('unknown-token', 'caller', 'the wallet has no such token: see `tokens`')
  return { ...stored(HeldToken, bytes), bytes }
}

/**
 * A token signed over to an order, to be shown at a till; durable before it is given out. The same order again: the same.
 * @throws unknown-token, token-used, invoice-in-use (caller); wrong-payee, wrong-till, till-not-named, wrong-amount, wrong-unit, token-expired, and
 *   those of checkInvoice (peer)
 */
export function * presentToken (wallet: Wallet, serial: Uint8Array, signed: SignedInvoice): Saga<Presentation> {
  return (yield * signOver(wallet, serial, signed, 'presented')).presentation
}

type Presented = HeldToken & { readonly presentation: Presentation, readonly bytes: Uint8Array }

function * signOver (wallet: Wallet, serial: Uint8Array, signed: SignedInvoice, state: 'presented' | 'sent'): Saga<Presented> {
  checkInvoice(wallet, signed)
  const invoice = invoiceHash(wallet.suite, signed.invoice)
  const held = yield * readToken(serial)
  if (held.state === 'refunding' || held.state === 'refunded') throw new MixmintError('token-used', 'caller', 'this token was asked back from the bank: use another one')
  if (held.presentation !== null) {
    if (equal(held.presentation.invoice, invoice)) return { ...held, presentation: held.presentation }
    throw new MixmintError('token-used', 'caller', 'this token was presented for another order already: use another one')
  }
  const { token } = held.token
  const { payee, amount, unit } = signed.invoice
  checkToken(token, { payee, till: tillOf(signed, token.till), amount, unit }, yield * now(), 0)
  const { was, by } = yield * useOf(invoice)
  if (by !== null) throw invoiceInUse()
  const presentation = present(wallet.suite, tokenOwnerKey(wallet.suite, wallet.seed, held.nonce), held.token, invoice)
  const next: HeldToken = { token: held.token, nonce: held.nonce, state, invoice: signed, presentation, paid: null }
  const { bytes, ops } = rewriteToken(held, next)
  const result = yield * batch([...ops, claimInvoice(invoice, was, { operation: 0, serial })])
  if (!result.done) throw result.at === 0 ? busy() : invoiceInUse()
  return { ...next, presentation, bytes }
}

/** The step that changes a token; it fails when it was changed meanwhile. */
export function changeToken (was: HeldToken, next: HeldToken): Op {
  return { op: 'swap', key: tokenAt(was.token.token.serial), was: encode(HeldToken, was), value: encode(HeldToken, next) }
}

function rewriteToken ({ bytes: was, token: { token: { serial } } }: Found, next: HeldToken): { bytes: Uint8Array, ops: Op[] } {
  const bytes = encode(HeldToken, next)
  return { bytes, ops: [{ op: 'swap', key: tokenAt(serial), was, value: bytes }] }
}

/**
 * Pay an invoice with a token that fits it, over the mixnet. The same invoice again goes on with the same token.
 * @throws no-token, invoice-in-use (caller); bad-receipt, the payee's refusal (then the token is free again)
 */
export function * payWithToken (wallet: Wallet, signed: SignedInvoice): Saga<SignedPaid, WalletEffect> {
  checkInvoice(wallet, signed)
  const { by } = yield * useOf(invoiceHash(wallet.suite, signed.invoice))
  const serial = by === null ? yield * fitting(signed) : by.serial
  // Also by sealed tokens, of which one stands there.
  if (serial.length === 0 || (yield * get(tokenAt(serial))) === null) throw invoiceInUse()
  const presented = yield * signOver(wallet, serial, signed, 'sent')
  return presented.paid ?? (yield * send(wallet, presented))
}

/** Which till the token for an invoice has to be good at. Of an invoice that asks for none, only the payee knows whose it is. */
function tillOf ({ invoice: { till } }: SignedInvoice, named: Uint8Array): Till {
  return till.length > 0 ? { name: till, alone: true } : { name: named, alone: false }
}

/** May tokens for this invoice name this till? */
export function fitsTill ({ invoice }: SignedInvoice, till: Uint8Array): boolean {
  return invoice.till.length === 0 || equal(invoice.till, till)
}

/** Of those that fit, what names no till goes first where none is asked for: it could be another's. */
export function byTill (a: Uint8Array, b: Uint8Array): number {
  return a.length - b.length
}

/** Tokens that pay this invoice, the best first. */
export function * fittingTokens (signed: SignedInvoice): Saga<HeldToken[]> {
  const { payee, amount, unit } = signed.invoice
  const time = yield * now()
  return (yield * tokens())
    .filter(({ state, token: { token } }) => state === 'held' && equal(token.payee, payee) && fitsTill(signed, token.till) && token.amount === amount && token.unit === unit && time < token.notAfter)
    .sort(({ token: { token: a } }, { token: { token: b } }) => byTill(a.till, b.till) || a.notAfter - b.notAfter)
}

function * fitting (signed: SignedInvoice): Saga<Uint8Array> {
  const { amount } = signed.invoice
  const fits = yield * fittingTokens(signed)
  if (fits.length === 0) throw new MixmintError('no-token', 'caller', `the wallet has no valid token of ${amount} made out to this payee, and to its till if it asks for that: buy one first, or pay with coins`)
  return fits[0].token.token.serial
}

/** Bring a presentation to its payee, and keep the receipt. */
function * send (wallet: Wallet, presented: Presented): Saga<SignedPaid, WalletEffect> {
  const { presentation } = presented
  const signed = presented.invoice as SignedInvoice
  let paid: SignedPaid
  try {
    const reply = yield * askMerchant(signed.invoice.payee, { op: 'present', presentation })
    if (reply.is !== 'paid') throw badReply('merchant')
    checkReceipt(wallet, signed, 'token', reply.signed)
    paid = reply.signed
  } catch (error) {
    if (isRefusal(error)) yield * release(presented)
    throw error
  }
  const { ops } = rewriteToken(presented, { token: presented.token, nonce: presented.nonce, state: 'spent', invoice: signed, presentation, paid })
  if (!(yield * batch(ops)).done) throw busy()
  return paid
}

/** The payee finds fault with this presentation, and not that it took the token before. */
export function isRefusal (error: unknown): boolean {
  return error instanceof MixmintError && !(error instanceof Unanswered) && error.fault === 'caller' && !error.retry &&
    error.code !== 'token-already-accepted' && error.code !== 'operation-busy'
}

/**
 * The token and the invoice are free again: nobody but this payee could use the presentation, and it can accept the token once. What it was
 * given is kept: should it turn the token in all the same, the bank's word on that is to be had (receipts.ts).
 */
function * release (presented: Presented): Saga<void> {
  const { presentation, nonce, token } = presented
  const refused: RefusedOrder = { invoice: presented.invoice as SignedInvoice, presentation, serials: [] }
  const { ops } = rewriteToken(presented, { token, nonce, state: 'held', invoice: null, presentation: null, paid: null })
  const use = encode(InvoiceUse, { operation: 0, serial: token.token.serial })
  yield * batch([...ops, { op: 'swap', key: invoiceAt(presentation.invoice), was: use, value: null }, keepRefused(presentation.invoice, refused)])
}

export function keepRefused (invoice: Uint8Array, refused: RefusedOrder): Op {
  return { op: 'put', key: refusedOrderAt(invoice), value: encode(RefusedOrder, refused) }
}

/** Tokens that were sent and have no receipt yet, to be sent again. */
export function * sentTokens (): Saga<SignedInvoice[]> {
  return (yield * tokens()).filter(({ state }) => state === 'sent').map(({ invoice }) => invoice as SignedInvoice)
}
