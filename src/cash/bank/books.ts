/** The books: every unit that came in is in an account, in a token or in a coin (DESIGN §5; double entry, records.ts). */
import { toHex } from '../../kit/bytes.ts'
import { MixmintError } from '../../kit/errors.ts'
import type { Entry, Millis } from '../../kit/ports.ts'
import { scan, type Saga } from '../../kit/saga.ts'
import { total } from '../contract.ts'
import { stored } from '../stored.ts'
import { ACCOUNTS, JOURNAL } from './keys.ts'
import type { Bank } from './parts.ts'
import { Account, JournalEntry, type Part } from './records.ts'

export interface KeysetBooks {
  readonly keyset: Uint8Array
  readonly issued: number
  readonly redeemed: number
  /** issued − redeemed: in wallets, or lost. */
  readonly outstanding: number
}

export interface Books {
  readonly unit: string
  readonly time: Millis
  readonly keysets: readonly KeysetBooks[]
  /** Coins of all keysets. */
  readonly issued: number
  readonly redeemed: number
  readonly outstanding: number
  /** Came in through the operator. */
  readonly credited: number
  /** In all accounts, by their records. */
  readonly accounts: number
  /** In tokens issued, and neither deposited nor refunded. */
  readonly tokens: number
  /** Movements of the journal. */
  readonly movements: number
  /** Nothing is wrong: credited = accounts + tokens + outstanding, and no entry of `faults`. */
  readonly balanced: boolean
  /** What is wrong, for people. */
  readonly faults: readonly string[]
}

const PAGE = 1024
const ATTEMPTS = 8

/** @throws books-busy (operator, retry) when the bank was at work all the time and no two readings fit together */
export function * books (bank: Bank): Saga<Books> {
  const time = yield * bank.clock.now()
  let journal = yield * readJournal()
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const accounts = yield * readAccounts()
    if (accounts === journal.accounts) return close(bank, time, journal, accounts)
    // Money moved between the two readings, or the records are wrong: only if nothing moved is it the records.
    const again = yield * readJournal()
    if (again.movements === journal.movements) return close(bank, time, again, accounts)
    journal = again
  }
  throw new MixmintError('books-busy', 'operator', 'money moved while the books were read: try again when the bank is quieter', { retry: true })
}

interface Journal {
  readonly keysets: Map<string, { keyset: Uint8Array, issued: number, redeemed: number }>
  movements: number
  credited: number
  /** What the accounts must hold. */
  accounts: number
  tokens: number
  /** Entries whose two sides differ. */
  uneven: number
}

function * readJournal (): Saga<Journal> {
  const journal: Journal = { keysets: new Map(), movements: 0, credited: 0, accounts: 0, tokens: 0, uneven: 0 }
  yield * eachPage(JOURNAL, entries => { for (const { value } of entries) post(journal, stored(JournalEntry, value)) })
  return journal
}

function * readAccounts (): Saga<number> {
  let sum = 0
  yield * eachPage(ACCOUNTS, entries => { sum = total(entries.map(({ value }) => ({ value: stored(Account, value).balance })), sum) })
  return sum
}

function * eachPage (prefix: Uint8Array, visit: (entries: readonly Entry[]) => void): Saga<void> {
  let after: Uint8Array | undefined
  for (;;) {
    const entries: Entry[] = yield * scan({ prefix, after, limit: PAGE })
    visit(entries)
    if (entries.length < PAGE) return
    after = entries[entries.length - 1].key
  }
}

function post (journal: Journal, { kind, amount, issued, redeemed }: JournalEntry): void {
  journal.movements += 1
  for (const { keyset, amount } of issued) side(journal, keyset).issued += amount
  for (const { keyset, amount } of redeemed) side(journal, keyset).redeemed += amount
  const coins = sum(issued) - sum(redeemed)
  switch (kind) {
    case 'credit': journal.credited += amount; journal.accounts += amount; break
    case 'withdraw': journal.accounts -= amount; break
    case 'pay': journal.accounts += amount; break
    case 'token':
    case 'sealed': journal.tokens += amount; break
    case 'deposit': journal.tokens -= amount; journal.accounts += amount; break
    case 'refund': journal.tokens -= amount; break
    case 'exchange':
    case 'reclaim':
  }
  const due = kind === 'withdraw' || kind === 'refund' ? amount : kind === 'pay' || kind === 'token' || kind === 'sealed' ? -amount : 0
  if (coins !== due) journal.uneven += 1
}

function side (journal: Journal, keyset: Uint8Array): { issued: number, redeemed: number } {
  const name = toHex(keyset)
  const found = journal.keysets.get(name) ?? { keyset, issued: 0, redeemed: 0 }
  journal.keysets.set(name, found)
  return found
}

function sum (parts: readonly Part[]): number {
  return total(parts.map(({ amount }) => ({ value: amount })))
}

function close (bank: Bank, time: Millis, journal: Journal, accounts: number): Books {
  const keysets = [...journal.keysets.values()].map(one => ({ ...one, outstanding: one.issued - one.redeemed }))
  const issued = keysets.reduce((sum, one) => sum + one.issued, 0)
  const redeemed = keysets.reduce((sum, one) => sum + one.redeemed, 0)
  const outstanding = issued - redeemed
  const { credited, tokens, movements } = journal
  const faults: string[] = []
  if (journal.uneven > 0) faults.push(`${journal.uneven} movements of the journal do not balance`)
  if (accounts !== journal.accounts) faults.push(`the accounts hold ${accounts}, by the journal it should be ${journal.accounts}`)
  if (keysets.some(one => one.outstanding < 0)) faults.push('more coins of a keyset were redeemed than issued: its key is in other hands')
  if (tokens < 0) faults.push('more tokens were deposited and refunded than issued')
  if (credited !== accounts + tokens + outstanding) faults.push(`${credited} came in, ${accounts + tokens + outstanding} is accounted for`)
  return { unit: bank.unit, time, keysets, issued, redeemed, outstanding, credited, accounts, tokens, movements, balanced: faults.length === 0, faults }
}
