/**
 * Coins from person to person: giving them away as a bundle, receiving one by exchanging it at once, and taking back what
 * nobody received (docs/decisions/0037-coins-from-person-to-person.md).
 */
import { equal } from '../../kit/bytes.ts'
import { MixmintError } from '../../kit/errors.ts'
import type { Millis } from '../../kit/ports.ts'
import { batch, gather, get, now, type Saga } from '../../kit/saga.ts'
import { bundleId, checkBundle, handedCoins, handOver, type Handed } from '../bundle.ts'
import { total } from '../contract.ts'
import { MAX_HANDED, type CoinBundle } from '../formats.ts'
import { stored } from '../stored.ts'
import { beginClaims, fateOf, type Claim, type Fate } from './claims.ts'
import { coarse, latestSettleBy } from './contracts.ts'
import { coinAt, spentAt } from './keys.ts'
import { finish, isContract, isOpen, openOperations, operation, start, type Begun } from './operations.ts'
import { issuingKeyset, reserve, valuesOf } from './outputs.ts'
import type { Wallet, WalletEffect } from './parts.ts'
import { derivedKey, insufficient, isLapsed, isUsable, lock, ownCoins, type Kept } from './purse.ts'
import { resume } from './recover.ts'
import { OwnedCoin, ROUNDS, type GiveOperation } from './records.ts'
import { makeRoom } from './room.ts'
import { exactly, fewest, select } from './selection.ts'
import { exchange } from './settle.ts'

/** Claims that are begun, and under way, at one time: of more a restore might not find the outputs. */
const AT_ONCE = 8

/** How the coins of a bundle stand, in the unit's smallest coin. */
export interface Handover {
  /** In our purse now: received, or taken back. */
  readonly ours: number
  /** Somebody else has had them. */
  readonly theirs: number
  /** Under way, or given and not asked for. */
  readonly open: number
  /** Why what is under way is not over. */
  readonly errors: readonly MixmintError[]
}

/** A bundle that we gave. */
export interface Given extends Handover {
  readonly sequence: number
  readonly bundle: CoinBundle
  readonly started: Millis
}

/**
 * Make a bundle of exactly this amount; where the coins do not make it, some are exchanged first, over the mixnet. Results in
 * the open operation: the bundle is on disk before anybody sees it, and its coins are locked.
 * @param until before then its receiver has to have begun; ms
 * @throws bad-argument, insufficient-funds, unpayable-amount, too-many-coins (caller), no-keyset (peer), and those of exchange
 */
export function * give (wallet: Wallet, amount: number, memo: string, until: Millis): Saga<Begun<GiveOperation>, WalletEffect> {
  if (!Number.isSafeInteger(amount) || amount < 1) throw new MixmintError('bad-argument', 'caller', 'a whole amount above zero wanted, in the smallest coin')
  if (memo.length > 128) throw new MixmintError('bad-argument', 'caller', 'the memo is too long: at most 128 characters wanted')
  if (until <= (yield * now())) throw new MixmintError('bad-argument', 'caller', 'whoever receives it needs some time: a moment in the future is wanted')
  for (let exchanges = 0; ;) {
    const started = yield * now()
    // Before the coins are looked at: coins that we could have now, if need be, last until then.
    const values = valuesOf(issuingKeyset(wallet, started, until))
    const coins = yield * ownCoins()
    const usable = coins.filter(coin => lasts(wallet, coin, started, until))
    const chosen = exactly(usable, amount)
    if (chosen !== null && chosen.length <= MAX_HANDED) {
      const begun = yield * beginGive(wallet, chosen, { network: wallet.network, bank: wallet.bank, unit: wallet.unit, amount, memo, until: coarse(until) })
      if (begun !== null) return begun
      continue
    }
    const wanted = fewest(amount, values)
    if (wanted.length > MAX_HANDED) throw new MixmintError('too-many-coins', 'caller', `this would take more than ${MAX_HANDED} coins: give it in smaller parts`)
    if (select(usable, amount) === null || exchanges++ >= ROUNDS) throw insufficient(amount, coins, usable)
    yield * exchange(wallet, wanted)
  }
}

/** Whoever receives it has until `until` to begin, and then as long as any contract. */
function lasts (wallet: Wallet, coin: Kept, now: Millis, until: Millis): boolean {
  const registry = wallet.registry()
  const { margin, settleMaximum } = registry.parameters
  return isUsable(wallet, coin, now, until + settleMaximum) && until + margin < registry.keyset(coin.coin.keyset).keyset.spendUntil
}

/** Null when one of the coins was taken meanwhile. */
function * beginGive (wallet: Wallet, chosen: readonly Kept[], fields: Omit<CoinBundle, 'coins'>): Saga<Begun<GiveOperation> | null> {
  const started = yield * now()
  const { sequence } = yield * reserve([])
  const bundle: CoinBundle = { ...fields, coins: chosen.map(({ coin, place }) => handOver(coin, derivedKey(wallet, coin, place))) }
  const { begun, op } = start<GiveOperation>(sequence, { kind: 'give', started, state: 'open', bundle })
  return (yield * batch([op, ...lock(chosen, 'given', sequence)])).done ? begun : null
}

/**
 * Receive a bundle: claim all its coins at once, and carry on with those that were claimed before. The same one again: the same.
 * @param late begin although its giver may take it back already
 * @throws those of checkBundle (peer); own-bundle, bundle-late (caller); bundle-ended, no-keyset (peer)
 */
export function * receive (wallet: Wallet, bundle: CoinBundle, late = false): Saga<Handover, WalletEffect> {
  const handed = checkBundle(wallet.suite, wallet.registry(), wallet, bundle)
  const id = bundleId(wallet.suite, bundle)
  for (;;) {
    const fresh = yield * notBegun(handed)
    if (fresh.length === 0) break
    const time = yield * now()
    checkDates(wallet, fresh, bundle, time, late)
    const some = fresh.slice(0, AT_ONCE)
    yield * makeRoom(wallet, some.length)
    const isBegun = yield * beginClaims(wallet, id, some.map(one => ({ ...one, place: null, was: null })))
    if (isBegun && fresh.length > some.length) yield * carryOut(wallet, id, handed)
  }
  return yield * carryOut(wallet, id, handed)
}

/** Those that this wallet has never seen. @throws own-bundle (caller) */
function * notBegun (handed: readonly Handed[]): Saga<Handed[]> {
  const fresh: Handed[] = []
  for (const one of handed) {
    const known = (yield * get(coinAt(one.id))) ?? (yield * get(spentAt(one.id)))
    if (known === null) fresh.push(one)
    else if (stored(OwnedCoin, known).place !== null) throw new MixmintError('own-bundle', 'caller', 'these coins were this wallet\'s own: what you gave, and nobody received, comes back by `take-back`')
  }
  return fresh
}

function checkDates (wallet: Wallet, handed: readonly Handed[], { until }: CoinBundle, time: Millis, late: boolean): void {
  const registry = wallet.registry()
  const { margin, voidGrace } = registry.parameters
  const settleBy = latestSettleBy(wallet, time)
  for (const { coin } of handed) {
    const { spendUntil, redeemUntil } = registry.keyset(coin.keyset).keyset
    if (time + margin >= spendUntil || settleBy + voidGrace + margin >= redeemUntil) {
      throw new MixmintError('bundle-ended', 'peer', 'coins of this bundle are too near their end to be exchanged: whoever gave it can still ask for a refund of them')
    }
  }
  if (!late && time >= until) {
    throw new MixmintError('bundle-late', 'caller', 'its giver may be taking these coins back by now, and if both try at once, they may be nobody\'s for a long time: ask for a fresh bundle, or agree with the giver and add `--late`')
  }
}

/** From when on no honest receiver is still at it. */
function takeBackFrom ({ bundle: { until } }: GiveOperation, wallet: Wallet): Millis {
  const { settleMaximum, voidGrace, clockSkew } = wallet.registry().parameters
  return until + settleMaximum + voidGrace + clockSkew
}

/**
 * Take back what was not received, and carry on with what was begun.
 * @param early not wait until nobody who honestly received it can be at it
 * @throws unknown-operation, too-early (caller), no-keyset (peer)
 */
export function * takeBack (wallet: Wallet, sequence: number, early = false): Saga<Given, WalletEffect> {
  const begun = yield * giveOperation(sequence)
  const { bundle } = begun.record
  const id = bundleId(wallet.suite, bundle)
  const handed = handedCoins(wallet.suite, bundle)
  if (isOpen(begun)) {
    const time = yield * now()
    // Of those that can be exchanged no more the refund is waited for (frozen.ts).
    const claims = (yield * stillGiven(handed)).filter(({ coin }) => !isLapsed(wallet, coin, time))
    const from = takeBackFrom(begun.record, wallet)
    if (claims.length > 0 && !early && time < from) {
      throw new MixmintError('too-early', 'caller', `somebody may be receiving these coins until ${new Date(from).toISOString()}, and if both try at once, they may be nobody's for a long time: wait, or agree with whoever has them and add \`--now\``)
    }
    for (let at = 0; at < claims.length; at += AT_ONCE) {
      const some = claims.slice(at, at + AT_ONCE)
      yield * makeRoom(wallet, some.length)
      yield * beginClaims(wallet, id, some)
      if (at + AT_ONCE < claims.length) yield * carryOut(wallet, id, handed)
    }
  }
  return { sequence, bundle, started: begun.record.started, ...yield * endGive(begun, yield * carryOut(wallet, id, handed)) }
}

/** What `recover` does with a bundle: take it back once that is safe; end it when all is known. */
export function * resumeGive (wallet: Wallet, begun: Begun<GiveOperation>): Saga<Begun, WalletEffect> {
  const isDue = (yield * now()) >= takeBackFrom(begun.record, wallet)
  const handed = handedCoins(wallet.suite, begun.record.bundle)
  const isBegun = (yield * stillGiven(handed)).length < handed.length
  if (isDue || isBegun) yield * takeBack(wallet, begun.sequence, true)
  return yield * operation(begun.sequence)
}

/** @throws unknown-operation (caller) */
function * giveOperation (sequence: number): Saga<Begun<GiveOperation>> {
  const begun = yield * operation(sequence)
  if (begun.record.kind !== 'give') throw new MixmintError('unknown-operation', 'caller', 'under this number nothing was given: see `given`')
  return { ...begun, record: begun.record }
}

function * stillGiven (handed: readonly Handed[]): Saga<Claim[]> {
  const claims: Claim[] = []
  for (const one of handed) {
    const was = yield * get(coinAt(one.id))
    if (was === null) continue
    const { state, place } = stored(OwnedCoin, was)
    if (state === 'given') claims.push({ ...one, place, was })
  }
  return claims
}

function * endGive (begun: Begun<GiveOperation>, handover: Handover): Saga<Handover> {
  if (handover.open === 0 && isOpen(begun)) yield * finish(begun, { ...begun.record, state: 'done' }, [])
  return handover
}

/** Carry on with every claim on this bundle that is open. Fails with nobody's refusal or silence: those are in the result. */
function * carryOut (wallet: Wallet, bundle: Uint8Array, handed: readonly Handed[]): Saga<Handover, WalletEffect> {
  const open = (yield * openOperations()).filter(isContract).filter(({ record: { claim } }) => equal(claim, bundle))
  const errors: MixmintError[] = []
  for (let at = 0; at < open.length; at += AT_ONCE) {
    for (const result of yield * gather(open.slice(at, at + AT_ONCE).map(begun => resume(wallet, begun)))) {
      if (result.state !== 'failed') continue
      const { error } = result
      if (!(error instanceof MixmintError) || error.fault === 'operator' || error.fault === 'us') throw error
      errors.push(error)
    }
  }
  return { ...yield * sums(bundle, handed), errors }
}

/** @param bundle its id, as in the claims */
export function * sums (bundle: Uint8Array, handed: readonly Handed[]): Saga<Omit<Handover, 'errors'>> {
  const fates: Array<{ fate: Fate, value: number }> = []
  for (const { id, coin } of handed) fates.push({ fate: yield * fateOf(bundle, id), value: coin.value })
  const sumOf = (...of: Fate[]): number => total(fates.filter(({ fate }) => of.includes(fate)))
  return { ours: sumOf('ours'), theirs: sumOf('theirs'), open: sumOf('given', 'open', 'unknown') }
}

/** How a bundle that we gave stands, as far as this wallet knows. @throws unknown-operation (caller) */
export function * given (wallet: Wallet, sequence: number): Saga<Given> {
  const { record: { bundle, started } } = yield * giveOperation(sequence)
  return { sequence, bundle, started, ...yield * sums(bundleId(wallet.suite, bundle), handedCoins(wallet.suite, bundle)), errors: [] }
}
