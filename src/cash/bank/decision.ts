/** Decided contracts: one record on D, written once, is both the decision and its answer (DESIGN §5.6). */
import { encode } from '../../kit/codec.ts'
import { MixmintError } from '../../kit/errors.ts'
import { get, type Saga } from '../../kit/saga.ts'
import { contractId, signOutcome } from '../contract.ts'
import type { Outcome } from '../formats.ts'
import { Settlement, type BankReply, type BankRequest } from '../messages.ts'
import { voidMessage } from '../reclaim.ts'
import { coinId } from '../coin.ts'
import { stored } from '../stored.ts'
import { checkInput, judge } from './inputs.ts'
import { contractAt } from './keys.ts'
import { mustBeKnown } from './loss.ts'
import { putOff } from './outages.ts'
import { checkOurs, type Bank, type BankEffect } from './parts.ts'
import { commit, insert, type Step } from './steps.ts'

/** The decision on a contract, or null while it is open. @param contract D */
export function * decisionOn (contract: Uint8Array): Saga<Settlement | null> {
  const value = yield * get(contractAt(contract))
  return value === null ? null : stored(Settlement, value)
}

export function decide (contract: Uint8Array, settlement: Settlement): Step {
  return insert('contract', contractAt(contract), encode(Settlement, settlement))
}

/** The bank's word alone: for a contract that is open or void. */
export function word (bank: Bank, contract: Uint8Array, state: Outcome['state'], time: number): Settlement {
  return { outcome: signOutcome(bank.suite, bank.bank, { contract, state, time }), signatures: [], token: null }
}

/** The state of a contract of this bank, to whoever shows it. @throws wrong-network, wrong-bank, wrong-unit, closed-after-loss (peer) */
export function * outcome (bank: Bank, { contract }: BankRequest & { op: 'outcome' }): Saga<BankReply> {
  const id = contractId(bank.suite, contract)
  checkOurs(bank, contract)
  const time = yield * bank.clock.now()
  const decision = yield * decisionOn(id)
  if (decision === null) yield * mustBeKnown(bank, { undecided: contract })
  return { is: 'outcome', ...decision ?? word(bank, id, 'open', time) }
}

/**
 * Void an open contract, on the word of a coin certified for it. Results in the decision, whichever it is: if the
 * contract was settled first, in that. A contract that breaks the rules can be voided too, or its coins would be stuck.
 * @throws closed-after-loss, wrong-network, wrong-bank, wrong-unit, void-too-early, bad-coin-signature, and those of checkInput (peer)
 */
export function * voidContract (bank: Bank, { contract, input, signature }: BankRequest & { op: 'void' }): Saga<BankReply, BankEffect> {
  const { suite } = bank
  const id = contractId(suite, contract)
  const before = yield * decisionOn(id)
  if (before !== null) return { is: 'outcome', ...before }

  checkOurs(bank, contract)
  yield * mustBeKnown(bank, { inputs: [input], undecided: contract })
  const registry = bank.registry()
  const time = yield * bank.clock.now()
  if (time < (yield * putOff(bank, contract.settleBy, contract.settleBy + registry.parameters.voidGrace, time))) {
    throw new MixmintError('void-too-early', 'peer', 'the payee may still settle this contract: ask again when settleBy and the grace are past, in which the time does not count when the bank was down', { retry: true })
  }
  yield * checkInput(bank, registry, id, input, time)
  const { coin } = input.spend
  if (!suite.ed25519Verify(coin.publicKey, voidMessage(coinId(suite, coin), id), signature)) {
    throw new MixmintError('bad-coin-signature', 'peer', 'the request is not signed by the coin\'s key')
  }
  const { states } = yield * judge(bank, registry, [input], [''])
  if (states[0].state !== 'certified') return { is: 'short', inputs: states }

  const settlement = word(bank, id, 'void', time)
  const clash = yield * commit([decide(id, settlement)])
  return { is: 'outcome', ...(clash === null ? settlement : yield * mustBeDecided(id)) }
}

/** After a clash on D. */
export function * mustBeDecided (contract: Uint8Array): Saga<Settlement> {
  const decision = yield * decisionOn(contract)
  if (decision === null) throw new MixmintError('internal', 'us', 'a decided contract has no decision')
  return decision
}
