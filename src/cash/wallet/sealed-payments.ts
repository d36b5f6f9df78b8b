/** Paying with sealed tokens: several of them for one order, over the mixnet or at a till (DESIGN §6). */
import { equal } from '../../kit/bytes.ts'
import { encode } from '../../kit/codec.ts'
import { MixmintError } from '../../kit/errors.ts'
import type { Op } from '../../kit/ports.ts'
import { batch, get, now, scanAll, type Saga } from '../../kit/saga.ts'
import { invoiceHash } from '../contract.ts'
import { sealedSecrets } from '../derive.ts'
import { MAX_SEALED, type SealedPayment, type SealedPresentation, type SignedInvoice, type SignedPaid } from '../formats.ts'
import { presentSealed as signOver } from '../sealed.ts'
import { stored } from '../stored.ts'
import { claimInvoice, invoiceInUse } from './contracts.ts'
import { invoiceAt, SEALED_PAYMENTS, sealedPaymentAt } from './keys.ts'
import { busy } from './operations.ts'
import { askMerchant, badReply, type Wallet, type WalletEffect } from './parts.ts'
import { checkInvoice, useOf } from './payments.ts'
import { InvoiceUse, SealedPaying, type HeldSealed } from './records.ts'
import { changeSealed, sealedTokens, type KeptSealed } from './sealed.ts'
import { kept } from './sealed-outputs.ts'
import { exactly } from './selection.ts'
import { checkReceipt } from './settle.ts'
import { byTill, fitsTill, isRefusal, keepRefused } from './tokens.ts'

/** A payment under way, with its tokens as they stand. */
interface Paying {
  readonly record: SealedPaying
  readonly bytes: Uint8Array
  readonly tokens: readonly KeptSealed[]
  readonly payment: SealedPayment
}

/**
 * Sealed tokens signed over to an order, to be shown at a till; durable before they are given out. The same order again: the
 * same. @throws no-token, invoice-in-use (caller), and those of checkInvoice (peer)
 */
export function * presentSealed (wallet: Wallet, signed: SignedInvoice): Saga<SealedPayment> {
  return (yield * paying(wallet, signed, 'presented')).payment
}

/**
 * Pay an invoice with sealed tokens that add up to it, over the mixnet. The same invoice again goes on with the same tokens.
 * @throws no-token, invoice-in-use, token-used (caller); bad-receipt, the payee's refusal (then the tokens are free again)
 */
export function * payWithSealed (wallet: Wallet, signed: SignedInvoice): Saga<SignedPaid, WalletEffect> {
  const begun = yield * paying(wallet, signed, 'sent')
  if (begun.record.paid !== null) return begun.record.paid
  let paid: SignedPaid
  try {
    const reply = yield * askMerchant(signed.invoice.payee, { op: 'sealed-present', payment: begun.payment })
    if (reply.is !== 'paid') throw badReply('merchant')
    checkReceipt(wallet, signed, 'sealed', reply.signed)
    paid = reply.signed
  } catch (error) {
    if (isRefusal(error)) yield * release(begun)
    throw error
  }
  const spent = begun.tokens.map(token => changeSealed(token, { ...heldOf(token), state: 'spent' }))
  if (!(yield * batch([rewrite(begun, { ...begun.record, paid }), ...spent])).done) throw busy()
  return paid
}

/** The payment of this invoice: the one under way, or a fresh one. */
function * paying (wallet: Wallet, signed: SignedInvoice, how: SealedPaying['how']): Saga<Paying> {
  checkInvoice(wallet, signed)
  const invoice = invoiceHash(wallet.suite, signed.invoice)
  const bytes = yield * get(sealedPaymentAt(invoice))
  if (bytes !== null) {
    const record = stored(SealedPaying, bytes)
    const all = yield * sealedTokens()
    const tokens = record.serials.map(serial => found(all, serial))
    if (record.paid === null && tokens.some(isAskedBack)) throw new MixmintError('token-used', 'caller', 'tokens that were to pay this order were asked back from the bank: order again')
    return { record, bytes, tokens, payment: { invoice, presentations: tokens.map(token => shown(wallet, token, invoice)) } }
  }
  const { was, by } = yield * useOf(invoice)
  if (by !== null) throw invoiceInUse()
  const chosen = yield * fitting(wallet, signed)
  const record: SealedPaying = { invoice: signed, serials: chosen.map(({ serial }) => serial), how, paid: null }
  const result = yield * batch([
    { op: 'insert', key: sealedPaymentAt(invoice), value: encode(SealedPaying, record) },
    claimInvoice(invoice, was, useBy(record)),
    ...chosen.map(token => changeSealed(token, { ...heldOf(token), state: how, invoice }))
  ])
  if (!result.done) throw result.at === 1 ? invoiceInUse() : busy()
  return yield * paying(wallet, signed, how)
}

function isAskedBack ({ state }: KeptSealed): boolean {
  return state === 'refunding' || state === 'refunded'
}

/** In the record of an invoice's use the first of its tokens stands for all. */
function useBy ({ serials: [serial] }: SealedPaying): InvoiceUse {
  return { operation: 0, serial }
}

function found (all: readonly KeptSealed[], serial: Uint8Array): KeptSealed {
  const token = all.find(one => equal(one.serial, serial))
  if (token === undefined) throw new MixmintError('store-damaged', 'operator', 'a sealed token that pays an order is not in the store: restore the wallet from its words')
  return token
}

/** The same bytes whenever it is asked for: Ed25519 signatures are deterministic. */
function shown (wallet: Wallet, { token, place }: KeptSealed, invoice: Uint8Array): SealedPresentation {
  const { owner } = sealedSecrets(wallet.suite, wallet.seed, { keyset: token.keys, value: token.value, ...place })
  return signOver(wallet.suite, owner, token, invoice)
}

/** Tokens that add up to an invoice, those that end first first. @throws no-token (caller) */
function * fitting (wallet: Wallet, signed: SignedInvoice): Saga<KeptSealed[]> {
  const { payee, amount } = signed.invoice
  const time = yield * now()
  const fit: Array<{ token: KeptSealed, value: number, notAfter: number }> = []
  for (const token of yield * sealedTokens()) {
    if (token.state !== 'held' || !equal(token.token.payee, payee) || !fitsTill(signed, token.token.till)) continue
    const { keys: { notBefore, notAfter } } = yield * kept(wallet, token.token.keys)
    if (notBefore <= time && time < notAfter) fit.push({ token, value: token.value, notAfter })
  }
  const chosen = exactly(fit.sort((a, b) => byTill(a.token.token.till, b.token.token.till) || a.notAfter - b.notAfter), amount)
  if (chosen === null || chosen.length > MAX_SEALED) {
    throw new MixmintError('no-token', 'caller', `the wallet has no valid sealed tokens that make ${amount}, made out to this payee: buy some first, or pay otherwise`)
  }
  return chosen.map(({ token }) => token)
}

function heldOf ({ token, place, operation, state, invoice }: KeptSealed): HeldSealed {
  return { token, place, operation, state, invoice }
}

function rewrite ({ bytes: was, payment: { invoice } }: Paying, record: SealedPaying): Op {
  return { op: 'swap', key: sealedPaymentAt(invoice), was, value: encode(SealedPaying, record) }
}

/** The payee found fault with the payment: tokens and invoice are free again. See `release` in tokens.ts for why they may be. */
function * release ({ record, bytes, tokens, payment: { invoice } }: Paying): Saga<void> {
  yield * batch([
    { op: 'swap', key: sealedPaymentAt(invoice), was: bytes, value: null },
    { op: 'swap', key: invoiceAt(invoice), was: encode(InvoiceUse, useBy(record)), value: null },
    keepRefused(invoice, { invoice: record.invoice, presentation: null, serials: record.serials }),
    ...tokens.filter(({ state }) => state === record.how).map(token => changeSealed(token, { ...heldOf(token), state: 'held', invoice: new Uint8Array(0) }))
  ])
}

/** What was signed over to an order, whatever became of these tokens since. @param invoice H(invoice) */
export function * shownFor (wallet: Wallet, invoice: Uint8Array, serials: readonly Uint8Array[]): Saga<SealedPresentation[]> {
  const all = yield * sealedTokens()
  return serials.map(serial => shown(wallet, found(all, serial), invoice))
}

/** Payments that were sent and have no receipt yet, to be sent again. */
export function * sentSealed (): Saga<SignedInvoice[]> {
  const all = yield * sealedTokens()
  return (yield * sealedPayments())
    .filter(({ how, paid, serials }) => how === 'sent' && paid === null && !serials.some(serial => isAskedBack(found(all, serial)))).map(({ invoice }) => invoice)
}

/** Every order that sealed tokens pay. */
export function * sealedPayments (): Saga<SealedPaying[]> {
  return (yield * scanAll(SEALED_PAYMENTS)).map(({ value }) => stored(SealedPaying, value))
}
