/**
 * Taking a token, with no network (DESIGN §6): the bank's signature, payee, till, amount and dates, the owner's signature
 * over this order; then the serial, if absent, and the order's end in one durable batch; only then "paid".
 */
import { equal } from '../../kit/bytes.ts'
import { encode } from '../../kit/codec.ts'
import { MixmintError } from '../../kit/errors.ts'
import type { Millis } from '../../kit/ports.ts'
import { batch, get, type Saga } from '../../kit/saga.ts'
import { Presentation, type DayKey, type SignedPaid, type Token } from '../formats.ts'
import { dayOf } from '../keyset.ts'
import { lossTime } from '../loss.ts'
import { checkToken, verifyPresentation, verifyToken } from '../token.ts'
import { dueAt, serialAt } from './keys.ts'
import { checkNotExpired, closing, isPaidBy, paidOtherwise, standing } from './orders.ts'
import type { Merchant } from './parts.ts'

export interface Accepted {
  readonly signed: SignedPaid
  /** This very payment was accepted before: do not deliver again. */
  readonly repeat: boolean
}

/** Can we tell whether a token of that time has paid here? @throws token-before-restore (peer) */
export function * checkRemembered ({ registry }: Merchant, notBefore: Millis): Saga<void> {
  const loss = yield * lossTime()
  if (loss > 0 && notBefore <= loss + registry().parameters.clockSkew) {
    throw new MixmintError('token-before-restore', 'peer', 'the shop has lost its records of that time, and cannot tell whether this token has paid already: have it refunded, and buy another')
  }
}

/**
 * @throws bad-presentation, bad-token, wrong-network, wrong-bank, unknown-day-key, day-key-not-valid, wrong-payee, wrong-till, till-not-named, wrong-unit,
 *   wrong-amount, token-not-yet-valid, token-expired, unknown-invoice, invoice-expired, invoice-paid,
 *   token-already-accepted, token-before-restore (peer)
 */
export function * acceptToken (merchant: Merchant, presentation: Presentation): Saga<Accepted> {
  const { suite } = merchant
  const { token: { token }, invoice } = presentation
  const registry = merchant.registry()
  if (!equal(token.bank, merchant.bank)) throw new MixmintError('wrong-bank', 'peer', 'the token is of another bank')
  verifyPresentation(suite, presentation)
  verifyToken(suite, registry, presentation.token)
  checkDayKey(token, registry.dayKey(token.bank, token.day))
  const time = yield * merchant.clock.now()
  for (;;) {
    const order = yield * standing(invoice)
    if (order.is === 'paid') {
      if (isPaidBy(order, 'token', token.serial)) return { signed: order.signed, repeat: true }
      throw (yield * get(serialAt(token.serial))) === null ? paidOtherwise() : alreadyAccepted()
    }
    const { amount, settleBy } = order.record
    checkToken(token, { payee: merchant.key.publicKey, till: merchant.till, amount, unit: merchant.unit }, time, registry.parameters.clockSkew)
    checkNotExpired(settleBy, time)
    yield * checkRemembered(merchant, token.notBefore)
    if (time + registry.parameters.clockSkew >= token.depositUntil) throw new MixmintError('token-expired', 'peer', 'the token could not be turned in any more')
    const { signed, ops } = closing(merchant, order, { invoice, how: 'token', time }, token.serial, token.ownerKey)
    const result = yield * batch([
      ...ops,
      { op: 'insert', key: serialAt(token.serial), value: invoice },
      { op: 'insert', key: dueAt(token.depositUntil, token.serial), value: encode(Presentation, presentation) }
    ])
    if (result.done) return { signed, repeat: false }
    // Either somebody paid this order meanwhile, and it stands otherwise now, or the serial is there.
    if (result.at >= ops.length) throw alreadyAccepted()
  }
}

/** Who steals the key of one day is to make no tokens of another. @throws day-key-not-valid (peer) */
function checkDayKey (token: Token, { validFrom, validUntil }: DayKey): void {
  if (token.day !== dayOf(token.notBefore) || token.notBefore < validFrom || token.notBefore >= validUntil) {
    throw new MixmintError('day-key-not-valid', 'peer', 'the token is signed with the key of another day than it begins')
  }
}

export function alreadyAccepted (): MixmintError {
  return new MixmintError('token-already-accepted', 'peer', 'this token has already paid for another order; nothing was taken')
}
