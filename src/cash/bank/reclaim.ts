/** Coins that a decided contract did not take come back as fresh ones (DESIGN §5.7). */
import { equal } from '../../kit/bytes.ts'
import { encode } from '../../kit/codec.ts'
import { MixmintError } from '../../kit/errors.ts'
import { get, type Saga } from '../../kit/saga.ts'
import { coinId } from '../coin.ts'
import { checkOutputDates, checkOutputs, contractId, total } from '../contract.ts'
import type { BankReply, BankRequest } from '../messages.ts'
import { reclaimMessage } from '../reclaim.ts'
import { stored } from '../stored.ts'
import { decisionOn } from './decision.ts'
import { checkInput, inputStates } from './inputs.ts'
import { reclaimedAt, spentAt } from './keys.ts'
import { checkOurs, commit, insert, journalStep, outputSteps, outputUsed, parts, signOutputs, type Bank, type BankEffect } from './parts.ts'
import { Reclaimed, Spent } from './records.ts'

/**
 * The same answer to every retry of the same reclaim; a second, other one of the coin is refused. `short`, with nothing
 * taken, when the coin has no certificate for the contract.
 * @throws coin-spent, contract-open (retry), wrong-sum, bad-coin-signature, output-used, wrong-network, wrong-bank,
 *   wrong-unit, and those of checkInput, checkOutputs, checkOutputDates (peer)
 */
export function * reclaim (bank: Bank, { contract, input, outputs, signature }: BankRequest & { op: 'reclaim' }): Saga<BankReply, BankEffect> {
  const { suite } = bank
  const { coin } = input.spend
  const id = contractId(suite, contract)
  const name = coinId(suite, coin)
  const message = reclaimMessage(suite, name, id, outputs)
  const request = suite.sha256(message)
  const before = yield * answered(name, request)
  if (before !== null) return before

  checkOurs(bank, contract)
  if ((yield * decisionOn(id)) === null) {
    throw new MixmintError('contract-open', 'peer', 'the contract is open: its coins come back when it is void, or settled without them', { retry: true })
  }
  const registry = bank.registry()
  const time = yield * bank.clock.now()
  checkInput(bank, registry, id, input, time)
  if (!suite.ed25519Verify(coin.publicKey, message, signature)) {
    throw new MixmintError('bad-coin-signature', 'peer', 'the request is not signed by the coin\'s key')
  }
  const hashes = checkOutputs(suite, registry, bank.bank.publicKey, bank.unit, outputs)
  checkOutputDates(registry, outputs, time)
  if (total(outputs) !== coin.value) throw new MixmintError('wrong-sum', 'peer', 'the outputs do not add up to exactly the value of the coin')
  const states = yield * inputStates(bank, registry, [input], [''])
  if (states[0].state !== 'certified') return { is: 'short', inputs: states }

  const signatures = yield * signOutputs(outputs)
  const clash = yield * commit([
    insert('coin', spentAt(name), encode(Spent, { by: 'reclaim', contract: id })),
    insert('coin', reclaimedAt(name), encode(Reclaimed, { request, signatures })),
    ...outputSteps(hashes, signatures, name),
    journalStep(time, name, { kind: 'reclaim', amount: 0, issued: parts(outputs), redeemed: parts([coin]) })
  ])
  if (clash === null) return { is: 'signatures', signatures }
  if (clash.clash === 'output') throw outputUsed()
  const meanwhile = yield * answered(name, request)
  if (meanwhile === null) throw new MixmintError('internal', 'us', 'a coin clashed that is not spent')
  return meanwhile
}

/** The answer given to this very request, or null while the coin is not redeemed. @throws coin-spent (peer) */
function * answered (coin: Uint8Array, request: Uint8Array): Saga<BankReply | null> {
  if ((yield * get(spentAt(coin))) === null) return null
  const value = yield * get(reclaimedAt(coin))
  const reclaimed = value === null ? null : stored(Reclaimed, value)
  if (reclaimed === null || !equal(reclaimed.request, request)) {
    throw new MixmintError('coin-spent', 'peer', 'the coin is redeemed already')
  }
  return { is: 'signatures', signatures: reclaimed.signatures }
}
