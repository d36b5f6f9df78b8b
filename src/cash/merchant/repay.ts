/**
 * Giving money back for an order that was paid: coins out of the merchant's account, for outputs that the payer blinded, and signed
 * with a key that paid (docs/decisions/0038-repaid-as-a-withdrawal.md). Nobody learns who it is.
 */
import { equal } from '../../kit/bytes.ts'
import { encode } from '../../kit/codec.ts'
import { MixmintError } from '../../kit/errors.ts'
import type { Millis } from '../../kit/ports.ts'
import { batch, get, random, type Saga } from '../../kit/saga.ts'
import { withdrawMessage } from '../bank-requests.ts'
import { checkOutputs, total, withdrawalId } from '../contract.ts'
import { Withdrawal, type Output } from '../formats.ts'
import type { BankReply, MerchantRequest } from '../messages.ts'
import { repayMessage } from '../reclaim.ts'
import { errorOf } from '../refusal.ts'
import { stored } from '../stored.ts'
import { repayAt } from './keys.ts'
import { hasCome, lineOf, orderNumbered, standing, type OrderLine } from './orders.ts'
import type { AskBank, Merchant } from './parts.ts'
import { Repay } from './records.ts'

/**
 * Promise to give back this much of an order, once; durable when it returns. The same again changes nothing.
 * @param amount default all of it
 * @throws unknown-order, not-paid, not-settled, bad-argument, already-repaid (caller)
 */
export function * promiseRepay (number: number, amount?: number): Saga<OrderLine> {
  const invoice = yield * orderNumbered(number)
  const line = yield * lineOf(invoice)
  if (line.paid === null) throw new MixmintError('not-paid', 'caller', 'nobody has paid this order')
  if (!(yield * hasCome(invoice))) throw new MixmintError('not-settled', 'caller', 'the bank has not settled this payment, or credited its token, yet: what is not here cannot be given back', { retry: true })
  const sum = amount ?? line.amount
  if (!Number.isSafeInteger(sum) || sum < 1 || sum > line.amount) throw new MixmintError('bad-argument', 'caller', `an amount from 1 to ${line.amount} is wanted`)
  const result = yield * batch([{ op: 'insert', key: repayAt(invoice), value: encode(Repay, { amount: sum, withdrawal: null, signatures: [] }) }])
  if (!result.done && stored(Repay, result.found as Uint8Array).amount !== sum) throw new MixmintError('already-repaid', 'caller', 'another amount was given back of this order before; it is given back once')
  return line
}

/** @throws unknown-invoice, nothing-repaid (peer) */
export function * repayable (invoice: Uint8Array): Saga<{ amount: number, payer: Uint8Array }> {
  const { payer } = yield * paidOrder(invoice)
  return { amount: stored(Repay, yield * promised(invoice)).amount, payer }
}

function * paidOrder (invoice: Uint8Array): Saga<{ payer: Uint8Array }> {
  const order = yield * standing(invoice)
  if (order.is === 'open') throw nothingRepaid()
  return order
}

function * promised (invoice: Uint8Array): Saga<Uint8Array> {
  const value = yield * get(repayAt(invoice))
  if (value === null) throw nothingRepaid()
  return value
}

function nothingRepaid (): MixmintError {
  return new MixmintError('nothing-repaid', 'peer', 'nothing is given back of this order: ask the merchant first')
}

/**
 * The bank's signatures on these outputs: the same answer to every retry.
 * @throws unknown-invoice, nothing-repaid, bad-payer-signature, wrong-sum, repaid-before, repay-fresh (these outputs were not
 *   signed and never will be), those of checkOutputs (peer); repay-unfunded (operator, retry), and those of asking the bank
 */
export function * repay (merchant: Merchant, { invoice, outputs, signature }: MerchantRequest & { op: 'repay' }): Saga<Uint8Array[], AskBank> {
  const { suite } = merchant
  const { payer } = yield * paidOrder(invoice)
  if (!suite.ed25519Verify(payer, repayMessage(suite, invoice, outputs), signature)) {
    throw new MixmintError('bad-payer-signature', 'peer', 'the request is not signed by the key that paid this order')
  }
  for (;;) {
    const was = yield * promised(invoice)
    const record = stored(Repay, was)
    if (record.withdrawal !== null) return yield * answer(merchant, invoice, was, { ...record, withdrawal: record.withdrawal }, outputs)
    checkOutputs(suite, merchant.registry(), merchant.bank, merchant.unit, outputs)
    if (yield * haveEnded(merchant, outputs, 0)) throw freshWanted()
    if (total(outputs) !== record.amount) throw new MixmintError('wrong-sum', 'peer', 'the outputs do not add up to what is given back')
    const { network, bank, unit, key } = merchant
    const withdrawal: Withdrawal = { network, bank, account: key.publicKey, unit, nonce: yield * random(32), outputs: [...outputs] }
    yield * batch([{ op: 'swap', key: repayAt(invoice), was, value: encode(Repay, { ...record, withdrawal }) }])
  }
}

function * answer (merchant: Merchant, invoice: Uint8Array, was: Uint8Array, record: Repay & { withdrawal: Withdrawal }, outputs: readonly Output[]): Saga<Uint8Array[], AskBank> {
  const { suite, key } = merchant
  const { withdrawal } = record
  if (!equal(encode(Withdrawal, withdrawal), encode(Withdrawal, { ...withdrawal, outputs: [...outputs] }))) {
    throw new MixmintError('repaid-before', 'peer', 'what is given back of this order goes to other coins already')
  }
  if (record.signatures.length > 0) return record.signatures
  const reply: BankReply = yield { do: 'ask-bank', request: { op: 'withdraw', withdrawal, signature: suite.ed25519Sign(key, withdrawMessage(withdrawalId(suite, withdrawal))) } }
  if (reply.is === 'refused') {
    if (reply.code === 'insufficient-funds') throw new MixmintError('repay-unfunded', 'operator', 'our account does not hold what we give back: turn in what was accepted', { retry: true })
    // The bank has not made it, and never will (or has lost what it knew of it, and those coins are worth nothing): other outputs may take
    // its place. Not at once, for it may be making it for another run of the same, which began in time.
    if (!['keyset-not-issuing', 'closed-after-loss'].includes(reply.code) || !(yield * haveEnded(merchant, outputs, merchant.registry().parameters.margin))) throw errorOf(reply)
    const isFree = (yield * batch([{ op: 'swap', key: repayAt(invoice), was, value: encode(Repay, { ...record, withdrawal: null }) }])).done
    throw isFree ? freshWanted() : errorOf(reply)
  }
  if (reply.is !== 'signatures' || reply.signatures.length !== outputs.length) throw new MixmintError('bad-reply', 'operator', 'the bank answered something else than was asked', { retry: true })
  const { signatures } = reply
  // Another run that came first has written the same answer.
  if ((yield * batch([{ op: 'swap', key: repayAt(invoice), was, value: encode(Repay, { ...record, signatures }) }])).done) merchant.meter.count('order_repaid')
  return signatures
}

/** Has the bank stopped by anybody's clock, this long ago, to make coins of one of their keysets? */
function * haveEnded (merchant: Merchant, outputs: readonly Output[], ago: Millis): Saga<boolean> {
  const time = yield * merchant.clock.now()
  const registry = merchant.registry()
  return outputs.some(({ keyset }) => time - 2 * registry.parameters.clockSkew >= registry.keyset(keyset).keyset.issueUntil + ago)
}

function freshWanted (): MixmintError {
  return new MixmintError('repay-fresh', 'peer', 'the bank does not make coins of this keyset any more: ask again, for fresh ones')
}
