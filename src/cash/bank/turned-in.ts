/** What became of an open token: the bank's signed word, for a payer whose payee denies it (DESIGN §6). It changes nothing. */
import { NONE } from '../../kit/bytes.ts'
import type { Saga } from '../../kit/saga.ts'
import type { TurnedIn } from '../formats.ts'
import type { BankReply, BankRequest } from '../messages.ts'
import { signTurnedIn, tokenHash, verifyPresentation } from '../token.ts'
import { goneOf, isIssued, notIssued } from './issued.ts'
import { mustBeKnown } from './loss.ts'
import { checkOurs, type Bank } from './parts.ts'

/** @throws token-not-issued, bad-presentation, closed-after-loss, wrong-network, wrong-bank, wrong-unit (peer) */
export function * turnedIn (bank: Bank, { presentation }: BankRequest & { op: 'turned-in' }): Saga<BankReply> {
  const { suite } = bank
  const { token } = presentation.token
  checkOurs(bank, token)
  verifyPresentation(suite, presentation)
  const hash = tokenHash(suite, token)
  const word = (state: TurnedIn['state'], time: number, invoice: Uint8Array = NONE): BankReply =>
    ({ is: 'turned-in', ...signTurnedIn(suite, bank.bank, { token: hash, state, invoice, time }) })
  const gone = yield * goneOf(token.serial, hash)
  if (gone !== null) return word(gone.is, gone.time, gone.shownFor)
  yield * mustBeKnown(bank, { day: token.day })
  if (!(yield * isIssued(token.serial, hash))) throw notIssued()
  return word('open', yield * bank.clock.now())
}
