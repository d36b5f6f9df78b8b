/**
 * Coins that somebody else may have too, because they were on a machine that is lost: given away in a bundle and not received
 * yet, or found by whoever has that machine. Each is exchanged by itself, so that what this wallet shows is its own alone; who comes
 * first has it (docs/decisions/0064-coins-of-a-lost-machine.md).
 */
import { tagged } from '../../kit/codec.ts'
import { MixmintError } from '../../kit/errors.ts'
import type { Millis } from '../../kit/ports.ts'
import { get, now, random, wait, type Saga } from '../../kit/saga.ts'
import type { Suite } from '../../crypto/suite.ts'
import type { Handed } from '../bundle.ts'
import { stored } from '../stored.ts'
import { beginClaims } from './claims.ts'
import { latestSettleBy } from './contracts.ts'
import { sums, type Handover } from './handover.ts'
import { coinAt } from './keys.ts'
import { contractOperation } from './operations.ts'
import type { Wallet, WalletEffect } from './parts.ts'
import { derivedKey, isUsable, ownCoins, type Kept } from './purse.ts'
import { OwnedCoin } from './records.ts'
import { resume } from './recover.ts'
import { restoring } from './restore-state.ts'
import { makeRoom } from './room.ts'

export interface SecureOptions {
  /** Between two coins a random time of up to so many ms passes. Default 0. */
  readonly pause?: Millis
  readonly onProgress?: (progress: { readonly done: number, readonly total: number }) => void
}

/** What stands for a bundle in the claims on such coins: 32 bytes. */
export function lostMachine (suite: Suite): Uint8Array {
  return suite.sha256(tagged('lost-machine'))
}

/**
 * Exchange those that can be spent, one after the other, over the mixnet; where it was interrupted, the same call goes on. Fails with
 * nobody's refusal or silence: those are in the result, and `recover` goes on with what was begun.
 */
export function * secure (wallet: Wallet, { pause = 0, onProgress = () => {} }: SecureOptions = {}): Saga<Handover, WalletEffect> {
  const coins = yield * unsecured(wallet)
  const begun: Handed[] = []
  const errors: MixmintError[] = []
  for (const [i, kept] of coins.entries()) {
    onProgress({ done: i, total: coins.length })
    if (i > 0 && pause > 0) yield * wait(pause * (yield * random(1))[0] / 256)
    const { id, coin, place, bytes } = kept
    const handed = { id, coin, key: derivedKey(wallet, coin, place) }
    try {
      yield * makeRoom(wallet, 1)
      // Something else has begun with it meanwhile.
      if (!(yield * beginClaims(wallet, lostMachine(wallet.suite), [{ ...handed, place, was: bytes }]))) continue
      begun.push(handed)
      const { operation } = stored(OwnedCoin, yield * get(coinAt(id)))
      yield * resume(wallet, yield * contractOperation(operation))
    } catch (error) {
      if (!(error instanceof MixmintError) || error.fault === 'operator' || error.fault === 'us') throw error
      errors.push(error)
    }
  }
  onProgress({ done: coins.length, total: coins.length })
  return { ...yield * sums(lostMachine(wallet.suite), begun), errors }
}

/** Coins that can be spent and derive under a generation from before this wallet was restored. */
function * unsecured (wallet: Wallet): Saga<Kept[]> {
  const state = yield * restoring()
  if (state?.state !== 'done') return []
  const before = new Set(state.generations)
  const time = yield * now()
  const settleBy = latestSettleBy(wallet, time)
  return (yield * ownCoins()).filter(coin => coin.place !== null && before.has(coin.place.generation) && isUsable(wallet, coin, time, settleBy))
}
