/**
 * Taking coins (DESIGN §5): the contract says what the invoice says, the coins sum to it exactly, their keepers certify
 * every one, or the merchant trusts those that find no certificate (trust.ts). Only then, durably, "paid". Votes are kept when it
 * is not enough, so that other coins can fill the gap.
 */
import { equal } from '../../kit/bytes.ts'
import { encode } from '../../kit/codec.ts'
import { MixmintError } from '../../kit/errors.ts'
import type { Millis } from '../../kit/ports.ts'
import { batch, get, type Saga } from '../../kit/saga.ts'
import { certify, type Collected } from '../certify.ts'
import { coinId } from '../coin.ts'
import { checkContract, checkContractDates, contractId, total, worth } from '../contract.ts'
import { Input, type Contract } from '../formats.ts'
import type { MerchantReply } from '../messages.ts'
import { verifyOpening } from '../spend.ts'
import { stored } from '../stored.ts'
import { distrusted, keepFaults } from './evidence.ts'
import { unsettledAt, votesAt } from './keys.ts'
import { checkNotExpired, closing, isPaidBy, paidOtherwise, standing } from './orders.ts'
import type { Merchant, MerchantEffect } from './parts.ts'
import { keepDoubleSpend } from './proofs.ts'
import { Unsettled, type OpenOrder } from './records.ts'
import { settleShortly } from './settle.ts'
import { mayTrust, onTrust, taking } from './trust.ts'

/** What came of coins. `repeat`: the very same payment was taken before, so that nobody delivers twice. */
export interface Taken {
  readonly reply: MerchantReply
  readonly repeat: boolean
}

/**
 * Answers `paid` (with the settlement, if the bank settles at once) or `short`; the same to every retry.
 * @throws unknown-invoice, invoice-expired, invoice-paid, wrong-payee, wrong-bank, wrong-unit, wrong-amount,
 *   settle-by-too-late, settle-by-too-soon, wrong-sum, bad-opening, keyset-ends-too-soon, and those of
 *   checkContract and checkContractDates (peer)
 */
export function * pay (merchant: Merchant, contract: Contract, inputs: readonly Input[]): Saga<Taken, MerchantEffect> {
  const id = contractId(merchant.suite, contract)
  const order = yield * standing(contract.invoice)
  if (order.is === 'paid') return yield * paidBefore(merchant, contract, id)

  checkNotExpired(order.record.settleBy, yield * merchant.clock.now())
  checkTerms(merchant, contract, order.record, yield * merchant.clock.now())
  checkInputs(merchant, contract, id, inputs)
  const { suite, meter } = merchant
  const collected = yield * certify({ suite, registry: merchant.registry(), meter, isDistrusted: yield * distrusted(merchant), hearAll: mayTrust(merchant, contract) }, yield * withVotes(merchant, contract.invoice, id, inputs))
  yield * keepFaults(merchant, collected.faults)
  const isCertified = collected.states.every(({ state }) => state === 'certified')
  if (!isCertified) yield * remember(merchant, contract.invoice, id, collected)
  const trusted = isCertified ? [] : yield * onTrust(merchant, id, contract, collected.inputs, collected.states)
  if (trusted === null) return { reply: { is: 'short', inputs: collected.states }, repeat: false }

  // Nobody but this batch may end the order: whoever pays second, with a token or other coins, is refused.
  const { signed, ops } = closing(merchant, order, { invoice: contract.invoice, how: 'coins', time: yield * merchant.clock.now() }, id, inputs[0].spend.coin.publicKey)
  const unsettled: Unsettled = { invoice: contract.invoice, contract, inputs: collected.inputs }
  const result = yield * batch([
    ...ops, { op: 'insert', key: unsettledAt(id), value: encode(Unsettled, unsettled) },
    ...isCertified ? taking(merchant, id, collected.inputs) : trusted
  ])
  // Something else was put at risk at that moment: the limits are to be looked at again.
  if (!result.done && result.at > ops.length) return { reply: { is: 'short', inputs: collected.states }, repeat: false }
  if (!result.done) return yield * paidBefore(merchant, contract, id)
  if (!isCertified) merchant.meter.count('coins_on_trust')
  return { reply: { is: 'paid', signed, settlement: isCertified ? yield * settleShortly(merchant, id) : null }, repeat: false }
}

function * paidBefore (merchant: Merchant, contract: Contract, id: Uint8Array): Saga<Taken, MerchantEffect> {
  const order = yield * standing(contract.invoice)
  if (order.is !== 'paid' || !isPaidBy(order, 'coins', id)) throw paidOtherwise()
  return { reply: { is: 'paid', signed: order.signed, settlement: yield * settleShortly(merchant, id) }, repeat: true }
}

function checkTerms (merchant: Merchant, contract: Contract, order: OpenOrder, now: Millis): void {
  const registry = merchant.registry()
  if (!equal(contract.payee, merchant.key.publicKey)) throw new MixmintError('wrong-payee', 'peer', 'the contract is made out to another payee')
  if (!equal(contract.bank, merchant.bank)) throw new MixmintError('wrong-bank', 'peer', 'the contract is with another bank')
  if (contract.unit !== merchant.unit) throw new MixmintError('wrong-unit', 'peer', 'the contract is in another unit')
  if (contract.amount !== order.amount) throw new MixmintError('wrong-amount', 'peer', 'the contract is not for the amount of its invoice')
  if (contract.settleBy > order.settleBy) throw new MixmintError('settle-by-too-late', 'peer', 'the contract may be settled later than its invoice says')
  // It names our invoice, which by these rules only a contract of kind pay does.
  checkContract(merchant.suite, registry, contract)
  checkContractDates(registry, contract, now)
  if (now + registry.parameters.margin >= contract.settleBy) {
    throw new MixmintError('settle-by-too-soon', 'peer', 'too little time is left to settle this contract: order again')
  }
}

/** What the collector does not check: that these coins are for this contract, and enough; signatures it does. */
function checkInputs (merchant: Merchant, contract: Contract, id: Uint8Array, inputs: readonly Input[]): void {
  const registry = merchant.registry()
  const { voidGrace, margin } = registry.parameters
  for (const input of inputs) {
    const { keyset } = registry.keyset(input.spend.coin.keyset)
    if (!equal(keyset.bank, contract.bank)) throw new MixmintError('wrong-bank', 'peer', 'a coin is of another bank')
    if (keyset.unit !== contract.unit) throw new MixmintError('wrong-unit', 'peer', 'a coin is in another unit')
    if (contract.settleBy + voidGrace + margin >= keyset.redeemUntil) {
      throw new MixmintError('keyset-ends-too-soon', 'peer', 'a coin could end before the contract is decided')
    }
    verifyOpening(merchant.suite, id, input)
  }
  if (total(inputs.map(input => input.spend.coin)) !== worth(contract)) {
    throw new MixmintError('wrong-sum', 'peer', 'the coins do not sum to the amount and the change of the contract')
  }
}

/** The inputs with the votes that earlier tries for this contract have gathered. */
function * withVotes (merchant: Merchant, invoice: Uint8Array, contract: Uint8Array, inputs: readonly Input[]): Saga<Input[]> {
  const result: Input[] = []
  for (const input of inputs) {
    const value = yield * get(votesAt(invoice, contract, coinId(merchant.suite, input.spend.coin)))
    result.push(value === null ? input : { ...input, votes: [...stored(Input, value).votes, ...input.votes] })
  }
  return result
}

/** Keep the votes of a contract that is short, and for the operator a proof of each double spend. */
function * remember (merchant: Merchant, invoice: Uint8Array, contract: Uint8Array, { inputs, states }: Collected): Saga<void> {
  const kept = inputs.flatMap((input, i) => input.votes.length > 0 ? [{ op: 'put' as const, key: votesAt(invoice, contract, states[i].coin), value: encode(Input, input) }] : [])
  if (kept.length > 0) yield * batch(kept)
  for (const [i, input] of inputs.entries()) {
    const { first } = states[i]
    if (first !== null) yield * keepDoubleSpend(merchant, first, input)
  }
}
