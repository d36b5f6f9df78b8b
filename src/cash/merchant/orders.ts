/** Orders: what is sold, invoices, and whether they are paid. */
import { equal, u64 } from '../../kit/bytes.ts'
import { encode } from '../../kit/codec.ts'
import { MixmintError } from '../../kit/errors.ts'
import type { Millis, Op } from '../../kit/ports.ts'
import { batch, eachEntry, get, random, type Saga } from '../../kit/saga.ts'
import { invoiceHash, signInvoice } from '../contract.ts'
import { SignedInvoice, type Invoice, type Paid, type SignedPaid } from '../formats.ts'
import { stored } from '../stored.ts'
import { signPaid } from '../token.ts'
import { creditedAt, endsAt, invoiceAt, NUMBER, numberIn, openAt, ORDERED, orderedAt, paidAt, sealedPaidAt, settledAt, soldAt } from './keys.ts'
import type { Merchant } from './parts.ts'
import { OpenOrder, PaidOrder, SealedPaid, Settled } from './records.ts'

/** @throws unknown-item (peer) */
export function * order (merchant: Merchant, item: string): Saga<SignedInvoice> {
  const found = merchant.catalogue().find(entry => entry.item === item)
  if (found === undefined) throw new MixmintError('unknown-item', 'peer', 'this is not in the catalogue: ask for the catalogue, and order by the names in it')
  return yield * makeInvoice(merchant, found.price, number => `#${number} ${item}`)
}

/**
 * An invoice under a fresh order number, durable before it is given out.
 * @param lifetime how long it can be paid, ms; at the most, and by default, as long as the network allows
 * @throws bad-argument (caller)
 */
export function * makeInvoice (merchant: Merchant, amount: number, nameOf: (number: number) => string, lifetime = merchant.invoiceLifetime): Saga<SignedInvoice> {
  if (!Number.isSafeInteger(amount) || amount < 1) throw new MixmintError('bad-argument', 'caller', 'a whole amount above zero wanted, in the smallest coin')
  const { suite, key, till, network, bank, unit } = merchant
  const nonce = yield * random(32)
  const { settleMaximum, margin } = merchant.registry().parameters
  if (lifetime !== undefined && lifetime <= margin) throw new MixmintError('bad-argument', 'caller', `an invoice is open for longer than ${margin / 1000} s, which payers and payees keep clear of its end`)
  const settleBy = (yield * merchant.clock.now()) + Math.min(lifetime ?? settleMaximum, settleMaximum)
  for (;;) {
    const was = yield * get(NUMBER)
    const number = was === null ? 1 : numberIn(was) + 1
    const order = nameOf(number)
    if (order.length > 128) throw new MixmintError('bad-argument', 'caller', 'the name of the order is too long: at most 100 characters wanted')
    const invoice: Invoice = { network, bank, payee: key.publicKey, till: till.alone ? till.name : new Uint8Array(0), order, amount, unit, settleBy, nonce }
    const signed = signInvoice(suite, key, invoice)
    const hash = invoiceHash(suite, invoice)
    const result = yield * batch([
      { op: 'swap', key: NUMBER, was, value: u64(number) },
      { op: 'insert', key: orderedAt(number), value: hash },
      { op: 'insert', key: endsAt(settleBy, hash), value: u64(number) },
      { op: 'insert', key: invoiceAt(hash), value: encode(SignedInvoice, signed) },
      { op: 'insert', key: openAt(hash), value: encode(OpenOrder, { amount, settleBy }) }
    ])
    if (result.done) return signed
  }
}

/** An order that may still be paid, as its record and as the bytes of it. */
export interface Open {
  readonly is: 'open'
  readonly record: OpenOrder
  readonly bytes: Uint8Array
}

export interface AlreadyPaid extends PaidOrder {
  readonly is: 'paid'
}

/** How the order of this invoice stands. @throws unknown-invoice (peer) */
export function * standing (invoice: Uint8Array): Saga<Open | AlreadyPaid> {
  const bytes = yield * get(openAt(invoice))
  if (bytes !== null) return { is: 'open', record: stored(OpenOrder, bytes), bytes }
  const paid = yield * get(paidAt(invoice))
  if (paid === null) throw unknownInvoice()
  return { is: 'paid', ...stored(PaidOrder, paid) }
}

/** H(invoice) of the order of this number. @throws unknown-order (caller) */
export function * orderNumbered (number: number): Saga<Uint8Array> {
  const invoice = yield * get(orderedAt(number))
  if (invoice === null) throw new MixmintError('unknown-order', 'caller', 'there is no order of this number, or nobody paid it and it is forgotten')
  return invoice
}

function unknownInvoice (): MixmintError {
  return new MixmintError('unknown-invoice', 'peer', 'we have not given out this invoice: order again')
}

/** The order was paid, and not by this: a second payment is refused, never swallowed. */
export function paidOtherwise (): MixmintError {
  return new MixmintError('invoice-paid', 'peer', 'this order is paid already, by other means; nothing was taken')
}

/** @throws invoice-expired (peer) */
export function checkNotExpired (settleBy: Millis, now: Millis): void {
  if (now >= settleBy) throw new MixmintError('invoice-expired', 'peer', 'the time to pay this invoice is over: order again')
}

/** The receipt, and the steps that close the order with it: they fail when it is no longer open. */
export function closing (merchant: Merchant, { bytes, record: { amount } }: Open, paid: Paid, by: Uint8Array, payer: Uint8Array): { signed: SignedPaid, ops: Op[] } {
  const signed = signPaid(merchant.suite, merchant.key, paid)
  return {
    signed,
    ops: [
      { op: 'swap', key: openAt(paid.invoice), was: bytes, value: null },
      { op: 'insert', key: paidAt(paid.invoice), value: encode(PaidOrder, { signed, by, payer }) },
      { op: 'insert', key: soldAt(paid.time, paid.invoice), value: u64(amount) }
    ]
  }
}

export function isPaidBy (paid: AlreadyPaid, how: Paid['how'], by: Uint8Array): boolean {
  return paid.signed.paid.how === how && equal(paid.by, by)
}

/** One order, for the operator's list. */
export interface OrderLine {
  readonly order: string
  readonly amount: number
  readonly settleBy: Millis
  /** H(invoice). */
  readonly invoice: Uint8Array
  readonly paid: Paid['how'] | null
  /** When it was paid; 0 if it was not. */
  readonly time: Millis
  /** Nothing can undo it: a token that was accepted, or coins that the bank has settled. */
  readonly settled: boolean
}

/** @throws unknown-invoice (peer) */
export function * lineOf (invoice: Uint8Array): Saga<OrderLine> {
  const value = yield * get(invoiceAt(invoice))
  if (value === null) throw unknownInvoice()
  const { invoice: { order, amount, settleBy } } = stored(SignedInvoice, value)
  const state = yield * standing(invoice)
  if (state.is === 'open') return { order, amount, settleBy, invoice, paid: null, time: 0, settled: false }
  const { signed: { paid: { how, time } }, by } = state
  return { order, amount, settleBy, invoice, paid: how, time, settled: how !== 'coins' || (yield * isSettled(by)) }
}

/** Did the bank decide this contract for us? What is decided otherwise is void. @param contract D */
function * isSettled (contract: Uint8Array): Saga<boolean> {
  const value = yield * get(settledAt(contract))
  return value !== null && stored(Settled, value).settlement.outcome.outcome.state === 'settled'
}

/** Has the money of a paid order come: are its coins settled, its tokens credited? @throws unknown-invoice (peer) */
export function * hasCome (invoice: Uint8Array): Saga<boolean> {
  const state = yield * standing(invoice)
  if (state.is === 'open') return false
  switch (state.signed.paid.how) {
    case 'coins': return yield * isSettled(state.by)
    case 'token': return (yield * get(creditedAt(state.by))) !== null
    case 'sealed': {
      const value = yield * get(sealedPaidAt(invoice))
      if (value === null) return false
      for (const serial of stored(SealedPaid, value).serials) if ((yield * get(creditedAt(serial))) === null) return false
      return true
    }
  }
}

/** The latest orders, by number. @param last at most so many */
export function * orders (last = Number.MAX_SAFE_INTEGER): Saga<OrderLine[]> {
  const was = yield * get(NUMBER)
  const count = was === null ? 0 : numberIn(was)
  const lines: OrderLine[] = []
  yield * eachEntry(ORDERED, function * ({ value }) { lines.push(yield * lineOf(value)) }, { after: orderedAt(Math.max(0, count - last)) })
  return lines
}
