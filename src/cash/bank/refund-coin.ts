/**
 * Coins without a certificate, because of conflicting spends or of keepers that are lost, and coins that nobody spent in time: they
 * come back between redeemUntil and refundUntil of their keyset, when certificates for it no longer count (DESIGN §5.7).
 */
import { encode } from '../../kit/codec.ts'
import { MixmintError } from '../../kit/errors.ts'
import type { Saga } from '../../kit/saga.ts'
import { coinId, verifyCoin } from '../coin.ts'
import type { BankReply, BankRequest } from '../messages.ts'
import { refundCoinMessage } from '../reclaim.ts'
import { checkFresh, giveBack, givenBack } from './give-back.ts'
import { checkCoinOurs } from './inputs.ts'
import { mustBeKnown } from './loss.ts'
import { redeemEnd, refundEnd } from './outages.ts'
import { parts, type Bank, type BankEffect } from './parts.ts'
import { claimOn } from './reclaim.ts'
import { Spent } from './records.ts'

/**
 * The same answer to every retry of the same refund; a second, other one of the coin is refused. Whatever redeems a coin inserts
 * the same key: settlement, reclaim and refund.
 * @throws coin-spent, closed-after-loss, refund-too-early (retry), refund-too-late, bad-coin-signature, unknown-keyset, wrong-bank, wrong-unit, output-used,
 *   and those of verifyCoin, checkFresh (peer)
 */
export function * refundCoin (bank: Bank, { coin, promisedTo, outputs, signature }: BankRequest & { op: 'refund-coin' }): Saga<BankReply, BankEffect> {
  const { suite } = bank
  const name = coinId(suite, coin)
  const message = refundCoinMessage(suite, name, promisedTo, outputs)
  const claim = claimOn(name, suite.sha256(message))
  const before = yield * givenBack(claim)
  if (before !== null) return before

  yield * mustBeKnown(bank, { of: [coin, ...outputs] })
  const registry = bank.registry()
  const known = checkCoinOurs(bank, registry, coin)
  const { keyset } = known
  const time = yield * bank.clock.now()
  if (time < (yield * redeemEnd(bank, keyset, time))) {
    throw new MixmintError('refund-too-early', 'peer', 'certificates for coins of this keyset still count: ask again after its redeemUntil', { retry: true })
  }
  if (time >= (yield * refundEnd(bank, keyset, time))) {
    throw new MixmintError('refund-too-late', 'peer', 'the time for refunds of coins of this keyset is over')
  }
  if (!suite.ed25519Verify(coin.publicKey, message, signature)) {
    throw new MixmintError('bad-coin-signature', 'peer', 'the request is not signed by the coin\'s key')
  }
  verifyCoin(suite, known, coin)
  const hashes = checkFresh(bank, registry, outputs, coin.value, time)
  return yield * giveBack(claim, outputs, hashes, {
    clash: 'coin', value: encode(Spent, { by: 'refund', contract: promisedTo }), ids: { outputs: name, journal: name }, time,
    entry: { kind: 'reclaim', amount: 0, redeemed: parts([coin]) }
  })
}
