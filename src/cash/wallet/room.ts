/**
 * Room for batches of outputs (DESIGN §4, restore). A restore looks so far beyond what it finds, and no wallet derives further; but answers
 * may stay away for good: keepers are lost, withdrawals refused. Then the wallet goes on under another generation, announced as a
 * restored one's is, and nothing is hidden from a restore.
 */
import { u64 } from '../../kit/bytes.ts'
import { batch, get, scan, type Saga } from '../../kit/saga.ts'
import { stored } from '../stored.ts'
import { announceByAccount, announceGeneration, drawGeneration } from './generations.ts'
import { answeredAt, answeredIn, batchAt, GENERATION, NEXT_GENERATION, numberIn, SPENT } from './keys.ts'
import { GAP, generationNow } from './outputs.ts'
import type { Wallet, WalletEffect } from './parts.ts'
import { ownCoins } from './purse.ts'
import { OwnedCoin } from './records.ts'
import { isRestoring, type Found } from './restore-state.ts'

/** How many spent coins are looked at for one that can vouch: each may do so once. */
const VOUCHERS = 64

/** How many batches can be reserved that no copy tells of. */
export function * room (): Saga<number> {
  const generation = yield * generationNow()
  const value = yield * get(batchAt(generation))
  const last = value === null ? 0 : numberIn(value)
  const answered = yield * scan({ prefix: answeredIn(generation), after: answeredAt(generation, Math.max(0, last - GAP)), limit: GAP })
  const found = answered.length === 0 ? Math.min(0, GAP - last) : numberIn(answered[answered.length - 1].key)
  return Math.max(0, found + GAP - last)
}

/**
 * See that there is room for so many batches. What is drawn is on disk before it is announced, so that a crash does not announce
 * another.
 * @throws what the bank refuses an announcement with, or that it did not answer
 */
export function * makeRoom (wallet: Wallet, wanted: number): Saga<void, WalletEffect> {
  if ((yield * room()) >= wanted || (yield * isRestoring())) return
  const before = yield * get(NEXT_GENERATION)
  const next = before === null ? yield * drawGeneration() : numberIn(before)
  if (before === null && !(yield * batch([{ op: 'swap', key: NEXT_GENERATION, was: null, value: u64(next) }])).done) return yield * makeRoom(wallet, wanted)
  const pause = function * (): Saga<void> {}
  if (!(yield * announceGeneration(wallet, next, yield * vouchers(wallet), pause))) yield * announceByAccount(wallet, next)
  wallet.meter.count('wallet_generation_begun')
  // If it is not there any more, another run has begun with it.
  yield * batch([{ op: 'swap', key: NEXT_GENERATION, was: u64(next), value: null }, { op: 'put', key: GENERATION, value: u64(next) }])
}

/** Coins that can vouch, of keysets that the bank still knows. */
function * vouchers (wallet: Wallet): Saga<Found[]> {
  const spent = (yield * scan({ prefix: SPENT, limit: VOUCHERS })).map(({ value }) => stored(OwnedCoin, value))
  return [...spent, ...yield * ownCoins()].flatMap(({ coin, place, state }): Found[] =>
    place === null || wallet.registry().find(coin.keyset) === undefined ? [] : [{ coin, place, state: state === 'spent' ? 'spent' : 'free' }])
}
