/** What the wallet has done and has: for people, and for the books. */
import { equal } from '../../kit/bytes.ts'
import type { Millis } from '../../kit/ports.ts'
import { now, type Saga } from '../../kit/saga.ts'
import type { Suite } from '../../crypto/suite.ts'
import { contractId, total } from '../contract.ts'
import { doneOperations, openOperations, type Begun } from './operations.ts'
import type { Wallet } from './parts.ts'
import { isUsable, ownCoins } from './purse.ts'
import { ageing } from './refresh.ts'
import { sealedTokens } from './sealed.ts'
import { lostMachine } from './secure.ts'
import { sealedIn } from './sealed-outputs.ts'
import { tokens } from './tokens.ts'

export interface HistoryEntry {
  readonly sequence: number
  readonly kind: 'withdraw' | 'exchange' | 'token' | 'sealed' | 'pay' | 'reclaim' | 'refund' | 'give' | 'receive' | 'take-back' | 'secure' | 'repay'
  /** `open`, `paid` (by the payee's word; change outstanding), `done`, `void`, `refused`, `spent` (nothing to reclaim or refund), `lost` (a coin of a bundle, or of a
   * machine that was lost, that somebody else has had). */
  readonly state: 'open' | 'paid' | 'done' | 'void' | 'refused' | 'spent' | 'lost'
  /** In the unit's smallest coin: what was withdrawn, paid, exchanged, reclaimed or refunded. */
  readonly amount: number
  readonly started: Millis
  /** Of a payment: the order, as the invoice names it; of what was given: its memo; else ''. */
  readonly order: string
  /** D, or null where there is none. */
  readonly contract: Uint8Array | null
}

export function entryOf (suite: Suite, { sequence, record }: Begun): HistoryEntry {
  const { started } = record
  switch (record.kind) {
    case 'withdraw':
      return { sequence, kind: 'withdraw', state: record.state, amount: total(record.withdrawal.outputs), started, order: '', contract: null }
    case 'reclaim':
      return { sequence, kind: 'reclaim', state: record.state, amount: total(record.outputs), started, order: '', contract: contractId(suite, record.contract) }
    case 'refund-coin':
      return { sequence, kind: 'refund', state: record.state, amount: total(record.outputs), started, order: '', contract: record.promisedTo.length === 0 ? null : record.promisedTo }
    case 'refund':
    case 'sealed-refund':
      return { sequence, kind: 'refund', state: record.state, amount: total(record.outputs), started, order: '', contract: null }
    case 'repay':
      return { sequence, kind: 'repay', state: record.state, amount: total(record.outputs), started, order: record.invoice.invoice.order, contract: null }
    case 'give':
      return { sequence, kind: 'give', state: record.state, amount: record.bundle.amount, started, order: record.bundle.memo, contract: null }
    case 'contract': {
      const { contract, state, paid, invoice, claim, coins } = record
      return {
        sequence, kind: claim.length === 0 ? contract.kind : coins[0].place === null ? 'receive' : equal(claim, lostMachine(suite)) ? 'secure' : 'take-back', state: state === 'settled' ? 'done' : state === 'open' && paid !== null ? 'paid' : state,
        amount: contract.kind === 'exchange' ? total(contract.outputs) : total(sealedIn(record), contract.amount), started,
        order: invoice?.invoice.order ?? '', contract: contractId(suite, contract)
      }
    }
  }
}

/** Everything, in the order in which it was begun. */
export function * history (wallet: Wallet): Saga<HistoryEntry[]> {
  const all = [...yield * doneOperations(), ...yield * openOperations()]
  return all.sort((a, b) => a.sequence - b.sequence).map(begun => entryOf(wallet.suite, begun))
}

/** In the unit's smallest coin. */
export interface Balance {
  /** Coins that can be spent now. */
  readonly available: number
  /** Coins given away, of which it is not known whether they were received. */
  readonly given: number
  /** Coins promised to contracts that are not decided yet. */
  readonly promised: number
  /** Coins that a decided contract left over, to be reclaimed, and those that are being refunded. */
  readonly leftOver: number
  /** Of these, coins of keysets that issue no more: `refresh` exchanges them before they end. */
  readonly ageing: number
  /** Coins too near their end to be spent. */
  readonly ended: number
  /** Tokens bought and not presented, and those on their way back. */
  readonly tokens: number
}

export function * balance (wallet: Wallet): Saga<Balance> {
  const time = yield * now()
  const coins = yield * ownCoins()
  const sumOf = (...states: string[]): number => total(coins.filter(({ state }) => states.includes(state)))
  const available = total(coins.filter(coin => isUsable(wallet, coin, time, time)))
  const isHeld = ({ state }: { state: string }): boolean => state === 'held' || state === 'refunding'
  const sealed = (yield * sealedTokens()).filter(isHeld)
  const held = (yield * tokens()).filter(isHeld)
  return {
    available, ageing: total((yield * ageing(wallet)).map(({ coin }) => coin)), given: sumOf('given'), promised: sumOf('promised'),
    leftOver: sumOf('left', 'reclaiming', 'refunding'), ended: sumOf('available') - available,
    tokens: total([...held.map(({ token }) => ({ value: token.token.amount })), ...sealed])
  }
}
