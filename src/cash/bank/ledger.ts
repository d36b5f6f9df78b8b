/**
 * Double entry (DESIGN §5): every movement is written as postings to ledgers, and takes from one exactly what it gives to
 * others. To the bank, what was paid in is what it has; accounts, coins and tokens are what it owes.
 *
 *   paid-in     debit: money came in through the operator      account    credit: the account holds more
 *   paid-out    credit: money left through the operator        coins      credit: issued, debit: redeemed; by keyset
 *                                                              tokens     credit: issued, debit: deposited or refunded
 */
import { MixmintError } from '../../kit/errors.ts'
import { total } from '../contract.ts'
import type { JournalEntry, Part, Posting } from './records.ts'

/** What moved: `amount` from one ledger to another (see FLOWS), and coins, by keyset. */
export interface Movement {
  readonly kind: JournalEntry['kind']
  readonly amount: number
  readonly issued: readonly Part[]
  readonly redeemed: readonly Part[]
}

/** The account that takes part in a movement, and the how many-th of its movements this is. */
export interface AccountSide {
  readonly account: Uint8Array
  readonly nth: number
}

/** From where to where the amount of each kind goes. What goes from or to coins stands in the parts. */
const FLOWS: Record<JournalEntry['kind'], { readonly from: Posting['ledger'], readonly to: Posting['ledger'] }> = {
  credit: { from: 'paid-in', to: 'account' },
  'pay-out': { from: 'account', to: 'paid-out' },
  withdraw: { from: 'account', to: 'coins' },
  pay: { from: 'coins', to: 'account' },
  token: { from: 'coins', to: 'tokens' },
  sealed: { from: 'coins', to: 'tokens' },
  exchange: { from: 'coins', to: 'coins' },
  reclaim: { from: 'coins', to: 'coins' },
  deposit: { from: 'tokens', to: 'account' },
  refund: { from: 'tokens', to: 'coins' }
}

/** @throws internal (us) when the two sides differ: nothing of the kind may be written */
export function postings ({ kind, amount, issued, redeemed }: Movement, side?: AccountSide): Posting[] {
  const { from, to } = FLOWS[kind]
  const post = (ledger: Posting['ledger'], sums: { debit: number } | { credit: number }): Posting[] => {
    if (ledger === 'coins') return []
    const of = ledger === 'account' ? side : { account: new Uint8Array(0), nth: 0 }
    if (of === undefined) throw new MixmintError('internal', 'us', `a ${kind} without an account`)
    return [{ ledger, of: of.account, debit: 0, credit: 0, nth: of.nth, ...sums }]
  }
  const made = [
    ...post(from, { debit: amount }),
    ...redeemed.map(({ keyset, amount }): Posting => ({ ledger: 'coins', of: keyset, debit: amount, credit: 0, nth: 0 })),
    ...issued.map(({ keyset, amount }): Posting => ({ ledger: 'coins', of: keyset, debit: 0, credit: amount, nth: 0 })),
    ...post(to, { credit: amount })
  ]
  if (!isEven(made)) throw new MixmintError('internal', 'us', `a ${kind} whose debits are not its credits`)
  return made
}

/** Do debits and credits have the same sum? */
export function isEven (made: readonly Posting[]): boolean {
  return total(made.map(({ debit }) => ({ value: debit }))) === total(made.map(({ credit }) => ({ value: credit })))
}
