/** The bank's answer about a contract, checked by whoever asked (DESIGN §5.5, §5.6). */
import { equal } from '../kit/bytes.ts'
import { MixmintError } from '../kit/errors.ts'
import type { Suite } from '../crypto/suite.ts'
import { contractId, verifyOutcome } from './contract.ts'
import type { Contract, Outcome } from './formats.ts'
import type { Settlement } from './messages.ts'

/**
 * Is this the bank's word on this very contract, with an answer for each of its outputs? What the answers are worth (blind
 * signatures, a token) their owner checks.
 * @param id the contract's id, where the caller has computed it
 * @throws bad-outcome, wrong-contract, bad-settlement (peer)
 */
export function checkSettlement (suite: Suite, contract: Contract, { outcome: signed, signatures, token }: Settlement, id: Uint8Array = contractId(suite, contract)): Outcome {
  verifyOutcome(suite, contract.bank, signed)
  const { outcome } = signed
  if (!equal(outcome.contract, id)) throw new MixmintError('wrong-contract', 'peer', 'the bank answered about another contract')
  if (outcome.state === 'settled' && (signatures.length !== contract.outputs.length || (token !== null) !== (contract.kind === 'token'))) {
    throw new MixmintError('bad-settlement', 'peer', 'the bank settled the contract but did not answer for what it buys; keep the answer as evidence and ask again')
  }
  return outcome
}
