/**
 * Coins of a keyset that issues no more are exchanged for fresh ones before they end. Each by itself, and at a time of its
 * own in the first half of what is left to it: so the bank sees single coins come in, spread evenly, whoever owns them,
 * and no sum that would tell a wallet. Where a wallet was away for longer, all that are overdue follow at once.
 */
import { NONE } from '../../kit/bytes.ts'
import { MixmintError } from '../../kit/errors.ts'
import type { Millis } from '../../kit/ports.ts'
import { now, random, wait, type Saga } from '../../kit/saga.ts'
import { refreshPoint } from '../derive.ts'
import { begin, latestSettleBy } from './contracts.ts'
import type { Begun } from './operations.ts'
import { issuingKeyset, valuesOf } from './outputs.ts'
import type { Wallet, WalletEffect } from './parts.ts'
import { isUsable, ownCoins, type Kept } from './purse.ts'
import type { ContractOperation } from './records.ts'
import { split } from './selection.ts'
import { settleWithBank } from './settle.ts'

export interface RefreshOptions {
  /** At most so many coins now, unless they are in the last quarter of their time. Default: all that are due. */
  readonly most?: number
  /** Also those whose time has not come. */
  readonly early?: boolean
  /** Between two coins a random time of up to so many ms passes. Default 0. */
  readonly pause?: Millis
}

/** One coin's refresh: its operation, and what went wrong. */
export interface Refreshed {
  readonly begun: Begun<ContractOperation> | null
  readonly error: MixmintError | null
}

/** Of the coins that can be spent, those of keysets that issue no more: when each is to be refreshed, the most urgent first. */
export function * ageing (wallet: Wallet): Saga<Array<{ coin: Kept, due: Millis, urgent: Millis }>> {
  const { suite, seed } = wallet
  const registry = wallet.registry()
  const time = yield * now()
  return (yield * ownCoins()).flatMap(coin => {
    const known = registry.find(coin.coin.keyset)
    if (known === undefined || !isUsable(wallet, coin, time, latestSettleBy(wallet, time))) return []
    const { issueUntil, spendUntil } = known.keyset
    if (time < issueUntil) return []
    const left = spendUntil - issueUntil
    return [{ coin, due: issueUntil + refreshPoint(suite, seed, coin.id) * left / 2, urgent: issueUntil + left * 3 / 4 }]
  }).sort((a, b) => a.urgent - b.urgent || a.due - b.due)
}

/**
 * Refresh the coins whose time has come. Results in what became of each; one whose refresh does not come to its end is
 * promised to it, and `recover` goes on with that.
 * @throws no-keyset (peer, retry); what fails on this machine
 */
export function * refresh (wallet: Wallet, { most = Infinity, early = false, pause = 0 }: RefreshOptions = {}): Saga<Refreshed[], WalletEffect> {
  const time = yield * now()
  const due = (yield * ageing(wallet)).filter(coin => early || time >= coin.due)
  const results: Refreshed[] = []
  for (const [i, { coin, urgent }] of due.entries()) {
    if (i >= most && time < urgent) continue
    if (i > 0 && pause > 0) yield * wait(pause * (yield * random(1))[0] / 256)
    results.push(yield * refreshOne(wallet, coin))
  }
  return results
}

function * refreshOne (wallet: Wallet, coin: Kept): Saga<Refreshed, WalletEffect> {
  const time = yield * now()
  const values = sameOr(coin.value, valuesOf(issuingKeyset(wallet, time, latestSettleBy(wallet, time))))
  let begun: Begun<ContractOperation> | null = null
  try {
    begun = yield * begin(wallet, { kind: 'exchange', payee: NONE, amount: 0, settleBy: latestSettleBy(wallet, time), values, invoice: null, terms: null, coins: [coin] })
    const ended = yield * settleWithBank(wallet, begun)
    wallet.meter.count('wallet_refreshed')
    return { begun: ended, error: null }
  } catch (error) {
    if (!(error instanceof MixmintError) || error.fault === 'operator' || error.fault === 'us') throw error
    return { begun, error }
  }
}

/** The same value again; where the new keyset has none, what makes it. */
function sameOr (value: number, values: readonly number[]): number[] {
  return values.includes(value) ? [value] : split(value, values)
}
