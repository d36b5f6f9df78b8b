/** The purse: the coins that the wallet owns, and which of them can be spent. */
import { encode } from '../../kit/codec.ts'
import { MixmintError } from '../../kit/errors.ts'
import type { Millis, Op } from '../../kit/ports.ts'
import { get, scanAll, type Saga } from '../../kit/saga.ts'
import type { Ed25519KeyPair } from '../../crypto/suite.ts'
import { coinId } from '../coin.ts'
import { total } from '../contract.ts'
import { coinSecrets } from '../derive.ts'
import type { Coin } from '../formats.ts'
import { signSpend } from '../spend.ts'
import { stored } from '../stored.ts'
import { coinAt, COINS, secretAt, spentAt } from './keys.ts'
import { batchOf, noteAnswered, type Fresh } from './outputs.ts'
import type { Wallet } from './parts.ts'
import { OwnedCoin, type Place, type Promised } from './records.ts'

/** A coin in the purse, and the bytes of its record. */
export interface Kept extends OwnedCoin {
  readonly id: Uint8Array
  readonly value: number
  readonly bytes: Uint8Array
}

/** All that are not known to be spent, in order of coinId. */
export function * ownCoins (): Saga<Kept[]> {
  return (yield * scanAll(COINS)).map(({ key, value: bytes }) => {
    const owned = stored(OwnedCoin, bytes)
    return { ...owned, id: key.slice(COINS.length), value: owned.coin.value, bytes }
  })
}

/** May this coin be promised to a contract until settleBy? Wallets stop a margin before spendUntil (DESIGN §5.8). */
export function isUsable (wallet: Wallet, { state, coin }: Kept, now: Millis, settleBy: Millis): boolean {
  if (state !== 'available') return false
  const registry = wallet.registry()
  const { margin, voidGrace } = registry.parameters
  const known = registry.find(coin.keyset)
  return known !== undefined && now + margin < known.keyset.spendUntil && settleBy + voidGrace + margin < known.keyset.redeemUntil
}

/** Is the time over in which a certificate for this coin counts, by any honest clock? Then nothing but a refund moves it. */
export function isLapsed (wallet: Wallet, { keyset }: Coin, now: Millis): boolean {
  const registry = wallet.registry()
  const known = registry.find(keyset)
  return known !== undefined && now - registry.parameters.clockSkew >= known.keyset.redeemUntil
}

/** A coin that a restore found and knows too little of: left over, by nothing that is known. */
export function isAdrift (bytes: Uint8Array): boolean {
  const { state, operation } = stored(OwnedCoin, bytes)
  return state === 'left' && operation === 0
}

/** When a coin ends; 0 when the directory lists its keyset no more. */
export function spendUntil (wallet: Wallet, { coin }: Kept): Millis {
  return wallet.registry().find(coin.keyset)?.keyset.spendUntil ?? 0
}

export function insufficient (wanted: number, coins: readonly Kept[], usable: readonly Kept[]): MixmintError {
  const given = total(coins.filter(({ state }) => state === 'given'))
  const locked = total(coins.filter(({ state }) => state !== 'available')) - given
  const ended = total(coins.filter(({ state }) => state === 'available')) - total(usable)
  return new MixmintError('insufficient-funds', 'caller', [
    `${wanted} wanted, and ${total(usable)} can be spent now`,
    ...locked > 0 ? [`${locked} more belong to operations under way: \`recover\` completes them`] : [],
    ...given > 0 ? [`${given} more are given away: \`take-back\` brings back what was not received`] : [],
    ...ended > 0 ? [`${ended} more are too near their end to be spent`] : [],
    'else withdraw more, or pay a smaller amount'
  ].join('; '))
}

/** The key of a coin that derives from our seed. */
export function derivedKey ({ suite, seed }: Wallet, { keyset, value }: Coin, place: Place | null): Ed25519KeyPair {
  if (place === null) throw new MixmintError('internal', 'us', 'a coin that came in a bundle derives from no seed of ours')
  return coinSecrets(suite, seed, { keyset, value, ...place }).key
}

/** The key of any coin here: it derives from our seed, or came with the coin in a bundle. */
export function * keyOf (wallet: Wallet, { coin, place }: Pick<OwnedCoin, 'coin' | 'place'>): Saga<Ed25519KeyPair> {
  if (place !== null) return derivedKey(wallet, coin, place)
  const secret = yield * get(secretAt(coinId(wallet.suite, coin)))
  if (secret === null) throw new MixmintError('store-damaged', 'operator', 'the key of a coin that was received is missing in the store: restore it from a copy')
  return wallet.suite.ed25519KeyPair(secret)
}

/** Sign a coin that derives from our seed over to a contract. The same coin and contract make the same bytes. @param contract D */
export function promise (wallet: Wallet, { coin, place }: OwnedCoin, contract: Uint8Array): Promised {
  return { input: signSpend(wallet.suite, derivedKey(wallet, coin, place), coin, contract), place, active: true }
}

/** The steps that lock coins for an operation; they fail when one was taken meanwhile. */
export function lock (coins: readonly Kept[], state: 'promised' | 'reclaiming' | 'refunding' | 'given', operation: number): Op[] {
  return coins.map(({ id, coin, place, bytes }) => ({ op: 'swap', key: coinAt(id), was: bytes, value: encode(OwnedCoin, { coin, place, state, operation }) }))
}

/**
 * The steps that put fresh coins into the purse; not those that are known: a restore has found them before the answer came, and they
 * may be spent by now.
 */
export function * putIn (wallet: Wallet, fresh: readonly Fresh[]): Saga<Op[]> {
  const ops: Op[] = []
  for (const { coin, place } of fresh) {
    const id = coinId(wallet.suite, coin)
    const known = (yield * get(coinAt(id))) ?? (yield * get(spentAt(id)))
    if (known === null) ops.push({ op: 'insert', key: coinAt(id), value: encode(OwnedCoin, { coin, place, state: 'available', operation: 0 }) })
    ops.push(noteAnswered(place.generation, batchOf(place)))
  }
  return ops
}

/** The steps that mark a coin of an operation as spent, or as not spent: left over by it, or as it was before. */
export function mark (wallet: Wallet, { coin, place }: Pick<OwnedCoin, 'coin' | 'place'>, state: 'available' | 'given' | 'promised' | 'left' | 'spent', operation: number): Op[] {
  const id = coinId(wallet.suite, coin)
  const value = encode(OwnedCoin, { coin, place, state, operation })
  return state === 'spent'
    ? [{ op: 'delete', key: coinAt(id) }, { op: 'put', key: spentAt(id), value }]
    : [{ op: 'delete', key: spentAt(id) }, { op: 'put', key: coinAt(id), value }]
}
