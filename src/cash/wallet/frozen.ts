/**
 * Coins that nobody can certify any more: frozen by conflicting spends or by keepers that are lost, or never spent in time. Once
 * their keyset's redeemUntil is past the bank refunds them without a certificate (DESIGN §5.7). Each is an operation of
 * its own, as with coins that are left over (leftovers.ts).
 */
import { NONE } from '../../kit/bytes.ts'
import { isMixmintError } from '../../kit/errors.ts'
import type { Millis, Op } from '../../kit/ports.ts'
import { batch, get, now, type Saga } from '../../kit/saga.ts'
import { coinId } from '../coin.ts'
import { contractId } from '../contract.ts'
import type { BankReply } from '../messages.ts'
import { refundCoinMessage } from '../reclaim.ts'
import { stored } from '../stored.ts'
import { spentAt } from './keys.ts'
import { doubtful } from './leftovers.ts'
import { contractOperation, finish, isOpen, operation, start, type Begun } from './operations.ts'
import { isRefusedForGood, issuingKeyset, makeOutputs, reserve, splitOf, unblind } from './outputs.ts'
import { askBank, badReply, type Wallet, type WalletEffect } from './parts.ts'
import { isLapsed, keyOf, lock, mark, ownCoins, putIn, type Kept } from './purse.ts'
import { OwnedCoin, type CoinRefundOperation, type ContractOperation } from './records.ts'

type Refunding = Begun<CoinRefundOperation>

/**
 * Begin an operation for every coin that has lapsed, those too that are promised to an open contract, or were given away and not
 * received: nothing can take them any more. (If it has, the bank says so.)
 */
export function * beginCoinRefunds (wallet: Wallet): Saga<void> {
  const time = yield * now()
  for (const kept of yield * ownCoins()) {
    if (['available', 'given', 'promised', 'left'].includes(kept.state) && isLapsed(wallet, kept.coin, time)) yield * beginCoinRefund(wallet, kept, time)
  }
}

function * beginCoinRefund (wallet: Wallet, kept: Kept, started: Millis): Saga<void> {
  const { coin, place } = kept
  const from = kept.operation
  const promisedTo = from === 0 || kept.state === 'given' ? NONE : contractId(wallet.suite, (yield * contractOperation(from)).record.contract)
  const known = issuingKeyset(wallet, started)
  const values = splitOf(known, coin.value)
  const { sequence, places } = yield * reserve(values)
  const { op } = start<CoinRefundOperation>(sequence, {
    kind: 'refund-coin', started, state: 'open', coin, place, promisedTo, from, outputs: makeOutputs(wallet, known, values, places), places
  })
  // If the coin has changed, another run has begun to ask for it, or its contract was decided.
  yield * batch([...lock([kept], 'refunding', sequence), op])
}

/**
 * Ask the bank for it. Results in the ended operation: `done`; `spent` when the coin was redeemed before, by its contract or by a
 * copy of this wallet; `refused` when it came too late.
 * @throws the bank's refusals; the operation stays open, except where its keyset has stopped issuing: then the coin is as it was
 */
export function * refundCoinOne (wallet: Wallet, begun: Refunding): Saga<Refunding, WalletEffect> {
  const { suite } = wallet
  const { record, sequence } = begun
  const { coin, place, promisedTo, outputs, places, from } = record
  const gone = mark(wallet, { coin, place }, 'spent', sequence)
  const key = yield * keyOf(wallet, { coin, place })
  const signature = suite.ed25519Sign(key, refundCoinMessage(suite, coinId(suite, coin), promisedTo, outputs))
  let reply: Exclude<BankReply, { is: 'refused' }>
  try {
    reply = yield * askBank('mixnet', { op: 'refund-coin', coin, promisedTo, outputs, signature })
  } catch (error) {
    if (isMixmintError(error, 'coin-spent')) return yield * finish(begun, { ...record, state: 'spent' }, [...(yield * wasGiven(from)) ? [] : yield * doubtful(wallet, from, coin), ...gone])
    if (isMixmintError(error, 'refund-too-late')) return yield * finish(begun, { ...record, state: 'refused' }, gone)
    if (isRefusedForGood(wallet, outputs, error, yield * now())) yield * finish(begun, { ...record, state: 'refused' }, yield * asItWas(wallet, record))
    throw error
  }
  if (reply.is !== 'signatures') throw badReply('bank')
  const fresh = unblind(wallet, outputs, places, reply.signatures)
  wallet.meter.count('wallet_coin_refunded')
  return yield * finish(begun, { ...record, state: 'done' }, [...yield * putIn(wallet, fresh), ...gone])
}

function * asItWas (wallet: Wallet, { coin, place, from }: CoinRefundOperation): Saga<Op[]> {
  if (yield * wasGiven(from)) return mark(wallet, { coin, place }, 'given', from)
  const state = from === 0 ? 'available' : isOpen(yield * contractOperation(from)) ? 'promised' : 'left'
  return mark(wallet, { coin, place }, state, from)
}

/** Was the coin in a bundle when its refund began? */
function * wasGiven (from: number): Saga<boolean> {
  return from !== 0 && (yield * operation(from)).record.kind === 'give'
}

/** Has every coin that was ever promised to this contract left it by a refund? Then nothing can settle it any more. */
export function * isBereft (wallet: Wallet, { coins }: ContractOperation): Saga<boolean> {
  for (const { input } of coins) {
    const value = yield * get(spentAt(coinId(wallet.suite, input.spend.coin)))
    if (value === null || (yield * operation(stored(OwnedCoin, value).operation)).record.kind !== 'refund-coin') return false
  }
  return true
}
