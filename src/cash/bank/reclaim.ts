/** Coins that a decided contract did not take come back as fresh ones (DESIGN §5.7). */
import { encode } from '../../kit/codec.ts'
import { MixmintError } from '../../kit/errors.ts'
import type { Saga } from '../../kit/saga.ts'
import { coinId } from '../coin.ts'
import { contractId } from '../contract.ts'
import type { BankReply, BankRequest } from '../messages.ts'
import { reclaimMessage } from '../reclaim.ts'
import { certificateStep } from './accusations.ts'
import { decisionOn } from './decision.ts'
import { checkFresh, giveBack, givenBack, type Claim } from './give-back.ts'
import { checkInput, judge } from './inputs.ts'
import { reclaimedAt, spentAt } from './keys.ts'
import { mustBeKnown } from './loss.ts'
import { checkOurs, parts, type Bank, type BankEffect } from './parts.ts'
import { Spent } from './records.ts'

/** Of a coin: reclaimed or refunded. @param request H(what its owner signed) */
export function claimOn (coin: Uint8Array, request: Uint8Array): Claim {
  return { goneAt: spentAt(coin), answerAt: reclaimedAt(coin), request, gone: () => new MixmintError('coin-spent', 'peer', 'the coin is redeemed already') }
}

/**
 * The same answer to every retry of the same reclaim; a second, other one of the coin is refused. `short`, with nothing
 * taken, when the coin has no certificate for the contract.
 * @throws coin-spent, contract-open (retry), bad-coin-signature, output-used, wrong-network, wrong-bank,
 *   wrong-unit, and those of checkInput, checkFresh (peer)
 */
export function * reclaim (bank: Bank, { contract, input, outputs, signature }: BankRequest & { op: 'reclaim' }): Saga<BankReply, BankEffect> {
  const { suite } = bank
  const { coin } = input.spend
  const id = contractId(suite, contract)
  const name = coinId(suite, coin)
  const message = reclaimMessage(suite, name, id, outputs)
  const claim = claimOn(name, suite.sha256(message))
  const before = yield * givenBack(claim)
  if (before !== null) return before

  checkOurs(bank, contract)
  yield * mustBeKnown(bank, { inputs: [input], of: outputs })
  if ((yield * decisionOn(id)) === null) {
    throw new MixmintError('contract-open', 'peer', 'the contract is open: its coins come back when it is void, or settled without them', { retry: true })
  }
  const registry = bank.registry()
  const time = yield * bank.clock.now()
  yield * checkInput(bank, registry, id, input, time)
  if (!suite.ed25519Verify(coin.publicKey, message, signature)) {
    throw new MixmintError('bad-coin-signature', 'peer', 'the request is not signed by the coin\'s key')
  }
  const hashes = checkFresh(bank, registry, outputs, coin.value, time)
  const { states, inputs: [certified] } = yield * judge(bank, registry, [input], [''])
  if (states[0].state !== 'certified') return { is: 'short', inputs: states }
  return yield * giveBack(claim, outputs, hashes, {
    clash: 'coin', value: encode(Spent, { by: 'reclaim', contract: id }), more: [certificateStep(bank, certified)], ids: { outputs: name, journal: name }, time,
    entry: { kind: 'reclaim', amount: 0, redeemed: parts([coin]) }
  })
}
