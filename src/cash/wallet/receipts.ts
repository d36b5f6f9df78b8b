/** Receipts for what this wallet has paid (cash/receipt.ts), the bank's word before the payee's; and what to show of a payee who denies. */
import { compare, equal } from '../../kit/bytes.ts'
import { MixmintError } from '../../kit/errors.ts'
import type { Millis } from '../../kit/ports.ts'
import { now, scanAll, type Saga } from '../../kit/saga.ts'
import { invoiceHash } from '../contract.ts'
import type { Presentation, SealedPresentation, SignedInvoice, SignedSealedTurnedIn } from '../formats.ts'
import { verifyReceipt, type Receipt } from '../receipt.ts'
import { sealedSerial, verifySealedTurnedIn } from '../sealed.ts'
import { stored } from '../stored.ts'
import { inAnyOrder, pauseAbout } from './apart.ts'
import { REFUSED_ORDERS } from './keys.ts'
import { doneOperations, isContract, openOperations } from './operations.ts'
import { askBank, badReply, type Wallet, type WalletEffect } from './parts.ts'
import { RefusedOrder } from './records.ts'
import { kept } from './sealed-outputs.ts'
import { sealedPayments, shownFor } from './sealed-payments.ts'
import { tokens } from './tokens.ts'

/** One for each invoice that is paid, as far as this wallet knows. */
export function * receipts (): Saga<Receipt[]> {
  const found: Receipt[] = []
  for (const { record } of [...yield * doneOperations(), ...yield * openOperations()].filter(isContract)) {
    const { invoice, contract, outcome, paid } = record
    if (invoice === null) continue
    if (outcome?.outcome.state === 'settled') found.push({ by: 'bank', invoice, contract, outcome })
    else if (paid !== null && record.state !== 'void') found.push({ by: 'payee', invoice, paid })
  }
  for (const { invoice, paid } of yield * tokens()) if (invoice !== null && paid !== null) found.push({ by: 'payee', invoice, paid })
  for (const { invoice, paid } of yield * sealedPayments()) if (paid !== null) found.push({ by: 'payee', invoice, paid })
  return found
}

/** For each order that a token, or sealed ones, were signed over to: what it is to be paid with now, before what its payee has refused. */
function * shownOrders (): Saga<RefusedOrder[]> {
  const open = (yield * tokens()).flatMap(({ invoice, presentation }) => invoice === null || presentation === null ? [] : [{ invoice, presentation, serials: [] }])
  const sealed = (yield * sealedPayments()).map(({ invoice, serials }) => ({ invoice, presentation: null, serials }))
  return [...open, ...sealed, ...(yield * scanAll(REFUSED_ORDERS)).map(({ value }) => stored(RefusedOrder, value))]
}

/** Every order that a token, or sealed ones, were signed over to. */
export function * tokenOrders (): Saga<SignedInvoice[]> {
  const all = (yield * shownOrders()).map(({ invoice }) => invoice)
  return all.filter((signed, i) => all.findIndex(other => equal(other.signature, signed.signature)) === i)
}

export interface AskingReceipt {
  /** The mean time between two questions about sealed tokens of one order. Default 0. */
  readonly pace?: Millis
  readonly onProgress?: (progress: { readonly done: number, readonly total: number }) => void
}

/**
 * The bank's word that what was signed over to this invoice was turned in for it, whatever its payee says. Over the mixnet; what it shows the bank
 * the deposit has shown it too, but for this: who asks about several sealed tokens in a short time tells that they have paid one order.
 * @param invoice H(invoice)
 * @throws not-paid (caller): no token of this wallet was signed over to it; not-settled (peer; retry: its payee may still turn it in); bad-outcome
 */
export function * askTokenReceipt (wallet: Wallet, invoice: Uint8Array, options: AskingReceipt = {}): Saga<Receipt, WalletEffect> {
  const shown = (yield * shownOrders()).find(one => equal(invoiceHash(wallet.suite, one.invoice.invoice), invoice))
  if (shown === undefined) throw new MixmintError('not-paid', 'caller', 'no token of this wallet was signed over to this order')
  const { invoice: signed, presentation, serials } = shown
  const receipt = presentation === null
    ? yield * askSealed(wallet, signed, yield * shownFor(wallet, invoice, serials), options)
    : yield * askOpen(signed, presentation)
  verifyReceipt(wallet.suite, receipt)
  return receipt
}

function * askOpen (invoice: SignedInvoice, presentation: Presentation): Saga<Receipt, WalletEffect> {
  const reply = yield * askBank('mixnet', { op: 'turned-in', presentation })
  if (reply.is !== 'turned-in') throw badReply('bank')
  return { by: 'token', invoice, presentation, word: { word: reply.word, signature: reply.signature } }
}

/**
 * Of each token by itself. While the payee may still turn one in, that one is the last that is asked about: the bank has not seen the others yet. After that time
 * a payee that keeps one back, so that the order does not count as paid, has had the others, and the receipt says so.
 */
function * askSealed (wallet: Wallet, invoice: SignedInvoice, presentations: readonly SealedPresentation[], { pace = 0, onProgress = () => {} }: AskingReceipt): Saga<Receipt, WalletEffect> {
  const { suite } = wallet
  const words: SignedSealedTurnedIn[] = []
  for (const [i, presentation] of (yield * inAnyOrder(presentations)).entries()) {
    onProgress({ done: i, total: presentations.length })
    if (i > 0) yield * pauseAbout(pace)
    const reply = yield * askBank('apart', { op: 'sealed-turned-in', presentation })
    if (reply.is !== 'sealed-turned-in') throw badReply('bank')
    const { word, signature } = reply
    verifySealedTurnedIn(suite, wallet.bank, { word, signature })
    if (!equal(word.token, sealedSerial(suite, presentation.token))) throw new MixmintError('bad-outcome', 'peer', 'the bank\'s word is about another token')
    if (word.state === 'credited') words.push({ word, signature })
    else yield * checkTimeIsOver(wallet, presentation, word.state)
  }
  const turnedIn = words.filter(({ word }) => presentations.some(({ order }) => equal(word.order, order)))
  // Where none was for this order, verifying says what they were for.
  const telling = turnedIn.length > 0 ? turnedIn : words
  if (telling.length === 0) throw new MixmintError('not-settled', 'peer', 'the bank has credited none of these tokens to their payee: `recover --presented` asks them back')
  return { by: 'sealed', invoice, words: telling.sort((a, b) => compare(a.word.token, b.word.token)) }
}

/** @throws not-settled (peer, retry) */
function * checkTimeIsOver (wallet: Wallet, { token }: SealedPresentation, state: 'open' | 'refunded'): Saga<void> {
  const { keys: { depositUntil } } = yield * kept(wallet, token.keys)
  if (state === 'refunded' || (yield * now()) >= depositUntil + wallet.registry().parameters.clockSkew) return
  throw new MixmintError('not-settled', 'peer', `the payee has not turned in all that was signed over to this order, and may do so until ${new Date(depositUntil).toISOString()}: ask again then`, { retry: true })
}
