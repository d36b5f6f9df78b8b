/** Tokens that nobody turned in come back to their owner as coins, from refundAfter on (DESIGN §6). */
import { equal } from '../../kit/bytes.ts'
import { encode } from '../../kit/codec.ts'
import { MixmintError } from '../../kit/errors.ts'
import { get, type Saga } from '../../kit/saga.ts'
import type { BankReply, BankRequest } from '../messages.ts'
import { refundMessage } from '../reclaim.ts'
import { stored } from '../stored.ts'
import { tokenHash } from '../token.ts'
import { checkFresh, giveBack, givenBack, type Claim } from './give-back.ts'
import { depositAt, refundedAt, tokenAt } from './keys.ts'
import { mustBeKnown } from './loss.ts'
import { putOff } from './outages.ts'
import { checkOurs, type Bank, type BankEffect } from './parts.ts'
import { Deposited, IssuedToken } from './records.ts'

/**
 * The same answer to every retry of the same refund; a second, other one of the token is refused. Deposit and refund
 * insert the same key: whoever comes first has it.
 * @throws token-spent, token-not-issued, refund-too-early (retry), bad-owner-signature, output-used, wrong-network, wrong-bank,
 *   wrong-unit, and those of checkFresh (peer)
 */
export function * refund (bank: Bank, { token: { token }, outputs, signature }: BankRequest & { op: 'refund' }): Saga<BankReply, BankEffect> {
  const { suite } = bank
  const { serial } = token
  const hash = tokenHash(suite, token)
  const message = refundMessage(suite, hash, outputs)
  const claim: Claim = {
    goneAt: depositAt(serial), answerAt: refundedAt(serial), request: suite.sha256(message),
    gone: () => new MixmintError('token-spent', 'peer', 'the token was turned in, or refunded to other coins, before')
  }
  const before = yield * givenBack(claim)
  if (before !== null) return before

  checkOurs(bank, token)
  yield * mustBeKnown(bank, { of: outputs, day: token.day })
  const issued = yield * get(tokenAt(serial))
  // What was issued is known by itself: the day key may be gone by now.
  if (issued === null || !equal(stored(IssuedToken, issued).token, hash)) throw new MixmintError('token-not-issued', 'peer', 'the bank has not issued this token')
  if (!suite.ed25519Verify(token.ownerKey, message, signature)) throw new MixmintError('bad-owner-signature', 'peer', 'the request is not signed by the token\'s owner')
  const time = yield * bank.clock.now()
  if (time < (yield * putOff(bank, token.notBefore, token.refundAfter, time))) {
    throw new MixmintError('refund-too-early', 'peer', 'its payee may still turn this token in: ask again after its refundAfter, or later if the bank was down', { retry: true })
  }
  const hashes = checkFresh(bank, bank.registry(), outputs, token.amount, time)
  return yield * giveBack(claim, outputs, hashes, {
    clash: 'deposit', value: encode(Deposited, { token: hash, time }), ids: { outputs: hash, journal: serial }, time,
    entry: { kind: 'refund', amount: token.amount, redeemed: [] }
  })
}
