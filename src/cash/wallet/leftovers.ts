/**
 * Coins that a contract left over (it was settled with others, or is void) come back as fresh ones (DESIGN §5.7). Each is
 * an operation of its own: its outputs are on disk before they are sent, and the same ones are asked for until answered.
 */
import { equal } from '../../kit/bytes.ts'
import { isMixmintError, MixmintError } from '../../kit/errors.ts'
import type { Op } from '../../kit/ports.ts'
import { batch, get, now, type Saga } from '../../kit/saga.ts'
import { coinId, coinMessage } from '../coin.ts'
import { contractId } from '../contract.ts'
import type { Coin } from '../formats.ts'
import type { BankReply } from '../messages.ts'
import { reclaimMessage } from '../reclaim.ts'
import { stored } from '../stored.ts'
import { spentAt } from './keys.ts'
import { contractOperation, finish, start, type Begun } from './operations.ts'
import { isRefusedForGood, issuingKeyset, makeOutputs, reserve, splitOf, unblind } from './outputs.ts'
import { askBank, badReply, type Wallet, type WalletEffect } from './parts.ts'
import { isLapsed, keyOf, lock, mark, ownCoins, putIn, type Kept } from './purse.ts'
import { OwnedCoin, type ReclaimOperation } from './records.ts'

type Reclaiming = Begun<ReclaimOperation>

/** Begin an operation for every coin that is left over. */
export function * beginReclaims (wallet: Wallet): Saga<void> {
  const time = yield * now()
  for (const kept of yield * ownCoins()) if (kept.state === 'left' && !isLapsed(wallet, kept.coin, time)) yield * beginReclaim(wallet, kept)
}

function * beginReclaim (wallet: Wallet, kept: Kept): Saga<void> {
  const started = yield * now()
  const { record: { contract, coins } } = yield * contractOperation(kept.operation)
  const promised = coins.find(({ input }) => equal(coinMessageOf(input.spend.coin), coinMessageOf(kept.coin)))
  if (promised === undefined) throw new MixmintError('store-damaged', 'operator', 'a coin in the store was left over by a contract that never had it: restore the wallet from its words')
  const known = issuingKeyset(wallet, started)
  const values = splitOf(known, kept.value)
  const { sequence, places } = yield * reserve(values)
  const { op } = start<ReclaimOperation>(sequence, {
    kind: 'reclaim', started, state: 'open', contract, from: kept.operation, input: promised.input, place: kept.place,
    outputs: makeOutputs(wallet, known, values, places), places
  })
  // If the coin is not left over any more, another run has begun to reclaim it.
  yield * batch([...lock([kept], 'reclaiming', sequence), op])
}

function coinMessageOf ({ keyset, value, publicKey }: OwnedCoin['coin']): Uint8Array {
  return coinMessage(keyset, value, publicKey)
}

/**
 * Ask the bank for it. Results in the ended operation: `done`, or `spent` when the contract took this coin after all.
 * @throws coins-unavailable (retry), and the bank's refusals; the operation stays open, except where its keyset has
 *   stopped issuing: then the coin is left over again, for fresh outputs
 */
export function * reclaimOne (wallet: Wallet, begun: Reclaiming): Saga<Reclaiming, WalletEffect> {
  const { suite } = wallet
  const { contract, input, place, outputs, places, from } = begun.record
  const { coin } = input.spend
  const key = yield * keyOf(wallet, { coin, place })
  const signature = suite.ed25519Sign(key, reclaimMessage(suite, coinId(suite, coin), contractId(suite, contract), outputs))
  let reply: Exclude<BankReply, { is: 'refused' }>
  try {
    reply = yield * askBank('mixnet', { op: 'reclaim', contract, input, outputs, signature })
  } catch (error) {
    if (isMixmintError(error, 'coin-spent')) return yield * wasSpent(wallet, begun)
    const time = yield * now()
    // When its keyset has ended, it is left over for a refund (frozen.ts).
    const hasEnded = isMixmintError(error, 'keyset-ended') && isLapsed(wallet, coin, time)
    if (hasEnded || isRefusedForGood(wallet, outputs, error, time)) yield * finish(begun, { ...begun.record, state: 'refused' }, mark(wallet, { coin, place }, 'left', from))
    throw error
  }
  if (reply.is === 'short') {
    throw new MixmintError('coins-unavailable', 'peer', 'a coin that was left over finds no certificate yet, because too few of its keepers answer: try `recover` when they are back', { retry: true })
  }
  if (reply.is !== 'signatures') throw badReply('bank')
  const fresh = unblind(wallet, outputs, places, reply.signatures)
  wallet.meter.count('wallet_reclaimed')
  return yield * finish(begun, { ...begun.record, state: 'done' }, [...putIn(wallet, fresh), ...mark(wallet, { coin, place }, 'spent', begun.sequence)])
}

function * wasSpent (wallet: Wallet, begun: Reclaiming): Saga<Reclaiming> {
  const { from, input: { spend: { coin } }, place } = begun.record
  return yield * finish(begun, { ...begun.record, state: 'spent' }, [...yield * doubtful(wallet, from, coin), ...mark(wallet, { coin, place }, 'spent', begun.sequence)])
}

/**
 * The contract of operation `from` has taken this coin. If the coin had been replaced, some of those that were thought spent are not:
 * the steps that have them asked for too. (What it takes sums to what it is worth, and so do the active coins alone.)
 */
export function * doubtful (wallet: Wallet, from: number, coin: Coin): Saga<Op[]> {
  if (from === 0) return []
  const { record: { coins } } = yield * contractOperation(from)
  const self = coinId(wallet.suite, coin)
  const wasActive = coins.some(promised => promised.active && equal(coinId(wallet.suite, promised.input.spend.coin), self))
  const ops: Op[] = []
  for (const { input, place, active } of wasActive ? [] : coins) {
    const value = yield * get(spentAt(coinId(wallet.suite, input.spend.coin)))
    if (active && value !== null && stored(OwnedCoin, value).operation === from) ops.push(...mark(wallet, { coin: input.spend.coin, place }, 'left', from))
  }
  return ops
}
