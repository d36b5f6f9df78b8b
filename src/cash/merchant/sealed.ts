/**
 * Taking sealed tokens, with no network (DESIGN §6): as open ones (tokens.ts), but several may pay one order, and what the bank
 * says of them stands in the keys of their day, which were fetched before (cash/sealed-keys.ts).
 */
import { compare, concat, equal } from '../../kit/bytes.ts'
import { encode, tagged } from '../../kit/codec.ts'
import { isMixmintError, MixmintError } from '../../kit/errors.ts'
import type { Op } from '../../kit/ports.ts'
import { batch, get, type Saga } from '../../kit/saga.ts'
import type { Suite } from '../../crypto/suite.ts'
import { total } from '../contract.ts'
import type { SealedPayment, SealedPresentation } from '../formats.ts'
import { MAX_SEALED_KEYS, type BankReply } from '../messages.ts'
import { errorOf } from '../refusal.ts'
import type { KnownSealedKeys } from '../sealed-keys.ts'
import { checkSealed, sealedOrder, sealedSerial, verifySealed, verifySealedPresentation } from '../sealed.ts'
import { sealedDueAt, sealedPaidAt, serialAt } from './keys.ts'
import { checkNotExpired, closing, isPaidBy, paidOtherwise, standing } from './orders.ts'
import type { AskBank, Merchant } from './parts.ts'
import { SealedDue, SealedPaid } from './records.ts'
import { alreadyAccepted, checkRemembered, type Accepted } from './tokens.ts'

interface Shown {
  readonly presentation: SealedPresentation
  readonly serial: Uint8Array
  readonly known: KnownSealedKeys
}

/**
 * As acceptKnown; keys that the directory lists and that were not fetched yet are fetched, if the bank answers.
 * @throws those of acceptKnown (peer)
 */
export function * acceptSealed (merchant: Merchant, payment: SealedPayment): Saga<Accepted, AskBank> {
  try {
    return yield * acceptKnown(merchant, payment)
  } catch (error) {
    if (!isMixmintError(error, 'unknown-sealed-keys')) throw error
    try {
      yield * fetchSealedKeys(merchant)
    } catch (fetching) {
      if (!isMixmintError(fetching)) throw fetching
      throw error
    }
    return yield * acceptKnown(merchant, payment)
  }
}

/**
 * All of the tokens are taken, or none.
 * @throws unknown-sealed-keys, unknown-denomination, bad-token, bad-presentation, duplicate-token, wrong-payee, wrong-till,
 *   till-not-named, wrong-unit, wrong-amount, token-not-yet-valid, token-expired, unknown-invoice, invoice-expired, invoice-paid,
 *   token-already-accepted, token-before-restore (peer)
 */
function * acceptKnown (merchant: Merchant, { invoice, presentations }: SealedPayment): Saga<Accepted> {
  const { suite } = merchant
  const shown: Shown[] = []
  for (const presentation of presentations) shown.push(yield * examine(merchant, invoice, presentation))
  const serials = shown.map(({ serial }) => serial).sort(compare)
  for (const [i, serial] of serials.entries()) {
    if (i > 0 && equal(serials[i - 1], serial)) throw new MixmintError('duplicate-token', 'peer', 'a token is there twice')
  }
  const by = paymentName(suite, serials)
  const { clockSkew } = merchant.registry().parameters
  const time = yield * merchant.clock.now()
  for (;;) {
    const order = yield * standing(invoice)
    if (order.is === 'paid') {
      if (isPaidBy(order, 'sealed', by)) return { signed: order.signed, repeat: true }
      for (const serial of serials) if ((yield * get(serialAt(serial))) !== null) throw alreadyAccepted()
      throw paidOtherwise()
    }
    const { amount, settleBy } = order.record
    const want = { payee: merchant.key.publicKey, till: merchant.till, unit: merchant.unit }
    for (const { presentation: { token }, known } of shown) {
      checkSealed(token, known, want, time, clockSkew)
      yield * checkRemembered(merchant, known.keys.notBefore)
    }
    if (total(presentations.map(({ token }) => token)) !== amount) throw new MixmintError('wrong-amount', 'peer', 'the tokens do not add up to the amount of this order')
    checkNotExpired(settleBy, time)
    const { signed, ops } = closing(merchant, order, { invoice, how: 'sealed', time }, by, presentations[0].token.ownerKey)
    const result = yield * batch([
      ...ops,
      { op: 'put', key: sealedPaidAt(invoice), value: encode(SealedPaid, { serials }) },
      ...shown.flatMap(({ presentation, serial, known: { keys: { depositUntil } } }): Op[] => [
        { op: 'insert', key: serialAt(serial), value: invoice },
        { op: 'insert', key: sealedDueAt(depositUntil, serial), value: encode(SealedDue, { presentation, depositUntil }) }
      ])
    ])
    if (result.done) return { signed, repeat: false }
    // Either somebody paid this order meanwhile, and it stands otherwise now, or a serial is there.
    if (result.at >= ops.length) throw alreadyAccepted()
  }
}

function * examine (merchant: Merchant, invoice: Uint8Array, presentation: SealedPresentation): Saga<Shown> {
  const { suite } = merchant
  const { token, order } = presentation
  const known = yield * merchant.sealedKeys.find(token.keys)
  if (known === null) throw new MixmintError('unknown-sealed-keys', 'peer', 'this till does not know the keys of the token\'s day')
  verifySealed(suite, known, token)
  const serial = sealedSerial(suite, token)
  if (!equal(order, sealedOrder(suite, invoice, serial))) throw new MixmintError('bad-presentation', 'peer', 'the token was signed over to another order')
  verifySealedPresentation(suite, serial, presentation)
  return { presentation, serial, known }
}

/** Names a set of tokens. @param serials in rising order */
function paymentName (suite: Suite, serials: readonly Uint8Array[]): Uint8Array {
  return suite.sha256(tagged('sealed-payment', concat(...serials)))
}

/**
 * Fetch the keys that the directory lists and that this merchant does not have: a week of them, so that it can do without a
 * network. Call it after a start, and now and then. @returns how many came
 * @throws bad-sealed-keys, bad-reply, and those of asking the bank (peer)
 */
export function * fetchSealedKeys (merchant: Merchant): Saga<number, AskBank> {
  let fetched = 0
  const missing = yield * merchant.sealedKeys.missing(merchant.registry())
  // Each is asked for once: a bank that sends others, or none, is not asked for ever.
  for (let at = 0; at < missing.length; at += MAX_SEALED_KEYS) {
    const hashes = missing.slice(at, at + MAX_SEALED_KEYS)
    const reply: BankReply = yield { do: 'ask-bank', request: { op: 'sealed-keys', hashes } }
    if (reply.is === 'refused') throw errorOf(reply)
    if (reply.is !== 'sealed-keys') throw new MixmintError('bad-reply', 'peer', 'the bank answered something else than was asked')
    yield * merchant.sealedKeys.keep(merchant.registry(), reply.keys)
    fetched += reply.keys.length
  }
  yield * merchant.sealedKeys.prune(yield * merchant.clock.now())
  return fetched
}
