/** Tokens that nobody turned in come back to their owner as coins, from refundAfter on (DESIGN §6). */
import { encode } from '../../kit/codec.ts'
import { MixmintError } from '../../kit/errors.ts'
import type { Millis } from '../../kit/ports.ts'
import type { Saga } from '../../kit/saga.ts'
import type { Output } from '../formats.ts'
import type { BankReply, BankRequest } from '../messages.ts'
import { refundMessage } from '../reclaim.ts'
import { tokenHash } from '../token.ts'
import { checkFresh, giveBack, givenBack, type Claim } from './give-back.ts'
import { isIssued, notIssued } from './issued.ts'
import { depositAt, refundedAt } from './keys.ts'
import { mustBeKnown } from './loss.ts'
import { putOff } from './outages.ts'
import { checkOurs, type Bank, type BankEffect } from './parts.ts'
import { Deposited } from './records.ts'

/** A token, open or sealed, that its owner asks back. */
export interface AskedBack {
  readonly serial: Uint8Array
  /** Names it in what its owner signs: of an open one its hash, of a sealed one the serial. */
  readonly hash: Uint8Array
  readonly ownerKey: Uint8Array
  readonly amount: number
  /** Whether it may come back at all, and when; asked once it is known that nobody has had the money. Throws what the bank refuses with. */
  readonly examine: () => Saga<{ readonly notBefore: Millis, readonly refundAfter: Millis }>
}

/**
 * The same answer to every retry of the same refund; a second, other one of the token is refused. Deposit and refund
 * insert the same key: whoever comes first has it.
 * @throws token-spent, refund-too-early (retry), bad-owner-signature, output-used, and those of `examine` and checkFresh (peer)
 */
export function * refundToken (bank: Bank, { serial, hash, ownerKey, amount, examine }: AskedBack, outputs: readonly Output[], signature: Uint8Array): Saga<BankReply, BankEffect> {
  const { suite } = bank
  const message = refundMessage(suite, hash, outputs)
  const claim: Claim = {
    goneAt: depositAt(serial), answerAt: refundedAt(serial), request: suite.sha256(message),
    gone: () => new MixmintError('token-spent', 'peer', 'the token was turned in, or refunded to other coins, before')
  }
  const before = yield * givenBack(claim)
  if (before !== null) return before

  const { notBefore, refundAfter } = yield * examine()
  if (!suite.ed25519Verify(ownerKey, message, signature)) throw new MixmintError('bad-owner-signature', 'peer', 'the request is not signed by the token\'s owner')
  const time = yield * bank.clock.now()
  if (time < (yield * putOff(bank, notBefore, refundAfter, time))) {
    throw new MixmintError('refund-too-early', 'peer', 'its payee may still turn this token in: ask again after its refundAfter, or later if the bank was down', { retry: true })
  }
  const hashes = checkFresh(bank, bank.registry(), outputs, amount, time)
  return yield * giveBack(claim, outputs, hashes, {
    clash: 'deposit', value: encode(Deposited, { token: hash, time, invoice: new Uint8Array(0) }), ids: { outputs: hash, journal: serial }, time,
    entry: { kind: 'refund', amount, redeemed: [] }
  })
}

/** See refundToken. @throws also token-not-issued, closed-after-loss, wrong-network, wrong-bank, wrong-unit (peer) */
export function * refund (bank: Bank, { token: { token }, outputs, signature }: BankRequest & { op: 'refund' }): Saga<BankReply, BankEffect> {
  const hash = tokenHash(bank.suite, token)
  return yield * refundToken(bank, {
    serial: token.serial, hash, ownerKey: token.ownerKey, amount: token.amount,
    * examine () {
      checkOurs(bank, token)
      yield * mustBeKnown(bank, { of: outputs, day: token.day })
      // What was issued is known by itself: the day key may be gone by now.
      if (!(yield * isIssued(token.serial, hash))) throw notIssued()
      return token
    }
  }, outputs, signature)
}
