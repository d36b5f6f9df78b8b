/** Settlement with the bank: at once where it answers, else later; what is paid stays on the list until it is decided. */
import { equal } from '../../kit/bytes.ts'
import { encode } from '../../kit/codec.ts'
import { MixmintError } from '../../kit/errors.ts'
import { asMixmintError, batch, eachEntry, gather, get, wait, type Saga } from '../../kit/saga.ts'
import { settleMessage } from '../bank-requests.ts'
import { coinId } from '../coin.ts'
import type { BankReply, Settlement } from '../messages.ts'
import { errorOf } from '../refusal.ts'
import { checkSettlement } from '../settlement.ts'
import { stored } from '../stored.ts'
import { certify } from '../certify.ts'
import type { InputState } from '../messages.ts'
import { accuse, keepFaults } from './evidence.ts'
import { lostAt, settledAt, UNSETTLED, unsettledAt } from './keys.ts'
import type { Merchant, MerchantEffect } from './parts.ts'
import { keepIfProven } from './proofs.ts'
import { Lost, Settled, Unsettled } from './records.ts'
import { isAtRisk, settledRisk } from './trust.ts'

/**
 * The bank's settlement of a contract that has paid, if it is there or comes within a keeper's time; whatever comes later
 * is recorded too.
 */
export function * settleShortly (merchant: Merchant, contract: Uint8Array): Saga<Settlement | null, MerchantEffect> {
  const before = yield * settlementOf(contract)
  if (before !== null) return before
  const patience = merchant.registry().parameters.keeperTimeout
  const [asked] = yield * gather<Settlement | null, MerchantEffect>([attempt(merchant, contract), none(patience)], results => results.some(result => result.state !== 'running'))
  if (asked.state === 'failed') throw asked.error
  return asked.state === 'done' ? asked.value : null
}

function * none (ms: number): Saga<null> {
  yield * wait(ms)
  return null
}

export function * settlementOf (contract: Uint8Array): Saga<Settlement | null> {
  const value = yield * get(settledAt(contract))
  return value === null ? null : stored(Settled, value).settlement
}

/** One try; counts `settle_try` by outcome: settled, void, short, or the code of what went wrong. */
function * attempt (merchant: Merchant, contract: Uint8Array): Saga<Settlement | null, MerchantEffect> {
  try {
    const settlement = yield * settle(merchant, contract)
    merchant.meter.count('settle_try', { outcome: settlement.outcome.outcome.state })
    return settlement
  } catch (error) {
    const { code, fault } = asMixmintError(error)
    if (fault !== 'peer' && fault !== 'caller') throw error
    merchant.meter.count('settle_try', { outcome: code })
    return null
  }
}

function * settle (merchant: Merchant, id: Uint8Array): Saga<Settlement, MerchantEffect> {
  const { suite, key } = merchant
  let was = yield * get(unsettledAt(id))
  if (was === null) {
    const before = yield * settlementOf(id)
    if (before === null) throw new MixmintError('unknown-contract', 'caller', 'no order was paid by this contract, or it is lost')
    return before
  }
  const atRisk = yield * isAtRisk(id)
  if (atRisk) was = yield * completed(merchant, id, was)
  const { contract, inputs } = stored(Unsettled, was)
  const payeeSignature = suite.ed25519Sign(key, settleMessage(id))
  let reply: BankReply = yield { do: 'ask-bank', request: { op: 'settle', contract, inputs, payeeSignature } }
  // We came too late. That is not believed without the bank's signature on it.
  if (reply.is === 'refused' && reply.code === 'contract-void') reply = yield { do: 'ask-bank', request: { op: 'outcome', contract } }
  if (reply.is === 'refused') throw errorOf(reply)
  if (reply.is === 'short') {
    for (const input of inputs) {
      const first = reply.inputs.find(({ coin }) => equal(coin, coinId(suite, input.spend.coin)))?.first ?? null
      if (first !== null) yield * keepIfProven(merchant, first, input)
    }
    if (atRisk) yield * writeOff(merchant, id, was, reply.inputs)
    throw new MixmintError('short', 'peer', atRisk ? 'the keepers of coins that were taken on trust are not back' : 'the bank misses certificates that we have', { retry: true })
  }
  if (reply.is !== 'settlement' && reply.is !== 'outcome') throw new MixmintError('bad-reply', 'peer', 'the bank answered something else than was asked')
  const { outcome, signatures, token } = reply
  const settlement = { outcome, signatures, token }
  if (checkSettlement(suite, contract, settlement, id).state === 'open') throw new MixmintError('bad-reply', 'peer', 'the bank left the contract open')
  for (;;) {
    const result = yield * batch([
      { op: 'swap', key: unsettledAt(id), was, value: null },
      { op: 'insert', key: settledAt(id), value: encode(Settled, { amount: contract.amount, settlement }) },
      ...yield * settledRisk(id)
    ])
    // Another run has recorded it, or else something that is at risk has changed: then once more.
    if (result.done || result.at < 2) return settlement
  }
}

/**
 * Ask the keepers for what was taken on trust, and keep their votes: certified, it can be settled however late it is. The votes of
 * all, as at the bank: with those of revoked keys it settles what would else be lost.
 */
function * completed (merchant: Merchant, id: Uint8Array, was: Uint8Array): Saga<Uint8Array, MerchantEffect> {
  const unsettled = stored(Unsettled, was)
  const { suite, meter } = merchant
  const { inputs, states, faults } = yield * certify({ suite, registry: merchant.registry(), meter, hearAll: true }, unsettled.inputs)
  yield * keepFaults(merchant, faults)
  const value = encode(Unsettled, { ...unsettled, inputs })
  if (!equal(value, was) && !(yield * batch([{ op: 'swap', key: unsettledAt(id), was, value }])).done) {
    throw new MixmintError('busy', 'caller', 'this payment is being settled already', { retry: true })
  }
  yield * writeOff(merchant, id, value, states)
  return value
}

/**
 * A coin that was taken on trust is spent elsewhere: once its contract could be void, it is lost, for nobody waits for it then.
 * @throws lost (peer)
 */
function * writeOff (merchant: Merchant, id: Uint8Array, was: Uint8Array, states: readonly InputState[]): Saga<void> {
  const bad = states.find(({ state, code }) => state === 'conflict' || code === 'coin-spent')
  if (bad === undefined) return
  const time = yield * merchant.clock.now()
  const { contract, invoice } = stored(Unsettled, was)
  if (time < contract.settleBy + merchant.registry().parameters.voidGrace) return
  const lost: Lost = { invoice, amount: contract.amount, code: bad.state === 'conflict' ? 'double-spend' : bad.code, time }
  for (;;) {
    const result = yield * batch([
      { op: 'swap', key: unsettledAt(id), was, value: null },
      { op: 'insert', key: lostAt(id), value: encode(Lost, lost) },
      ...yield * settledRisk(id)
    ])
    if (result.done) merchant.meter.count('trust_lost')
    if (result.done || result.at < 2) throw new MixmintError('lost', 'peer', 'a coin that was taken on trust is spent elsewhere: this payment is lost')
  }
}

/**
 * Try every contract that waits for its settlement once. Call it now and then, and after a start.
 * @returns how many were decided, and how many still wait
 */
export function * settlePending (merchant: Merchant): Saga<{ settled: number, pending: number }, MerchantEffect> {
  const sums = { settled: 0, pending: 0 }
  yield * eachEntry(UNSETTLED, function * ({ key }): Saga<void, MerchantEffect> {
    const settlement = yield * attempt(merchant, key.slice(UNSETTLED.length))
    sums[settlement === null ? 'pending' : 'settled'] += 1
  }, { page: 16 })
  // What is owed to us goes before what convicts others.
  yield * accuse()
  return sums
}
