/**
 * The books: every unit that came in is in an account, in a token or in a coin, or has left (DESIGN §5; double entry,
 * ledger.ts). They are summed up from the journal, and the accounts are held against it, while the bank is at work.
 */
import { compare, fromHex, toHex } from '../../kit/bytes.ts'
import type { Millis } from '../../kit/ports.ts'
import { eachEntry, get, type Saga } from '../../kit/saga.ts'
import { stored } from '../stored.ts'
import { accountAt, ACCOUNTS, JOURNAL } from './keys.ts'
import { isEven } from './ledger.ts'
import type { Bank } from './parts.ts'
import { Account, JournalEntry, type Posting } from './records.ts'

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
  /** In the order of their ids. */
  readonly keysets: readonly KeysetBooks[]
  /** Coins of all keysets. */
  readonly issued: number
  readonly redeemed: number
  readonly outstanding: number
  /** Came in through the operator. */
  readonly credited: number
  /** Left through the operator. */
  readonly paidOut: number
  /** In all accounts, by the journal. */
  readonly accounts: number
  /** In tokens issued, and neither deposited nor refunded. */
  readonly tokens: number
  /** Movements of the journal. */
  readonly movements: number
  /** Nothing is wrong: credited = paid out + accounts + tokens + outstanding, and no entry of `faults`. */
  readonly balanced: boolean
  /** What is wrong, for people. */
  readonly faults: readonly string[]
}

const PAGE = 1024
/** Readings before a fault is believed: one page may show a coin redeemed whose issue came in behind the page before. */
const READINGS = 3

export function * books (bank: Bank): Saga<Books> {
  const time = yield * bank.clock.now()
  for (let reading = 1; ; reading++) {
    const accounts = yield * readAccounts()
    const journal = new Journal(accounts)
    yield * eachEntry(JOURNAL, ({ value }) => { journal.post(stored(JournalEntry, value)) }, { page: PAGE })
    let orphans = 0
    for (const [name, nth] of journal.late) {
      const now = yield * get(accountAt(fromHex(name)))
      if (now === null || stored(Account, now).movements < nth) orphans += 1
    }
    const found = journal.close(bank.unit, time, orphans)
    if (found.balanced || reading === READINGS) return found
  }
}

/** By name, what each holds and how many movements made that. */
function * readAccounts (): Saga<Map<string, Account>> {
  const accounts = new Map<string, Account>()
  yield * eachEntry(ACCOUNTS, ({ key, value }) => { accounts.set(toHex(key.subarray(ACCOUNTS.length)), stored(Account, value)) }, { page: PAGE })
  return accounts
}

/**
 * The journal, read after the accounts: all movements that an account's record has seen were written with it, and are
 * found. Those that came later are told by their number, and left out of what the account is held against.
 */
class Journal {
  readonly #accounts: ReadonlyMap<string, Account>
  readonly #keysets = new Map<string, { readonly keyset: Uint8Array, issued: number, redeemed: number }>()
  /** By account, what the movements that its record has seen come to. */
  readonly #due = new Map<string, number>()
  /** By account, the last of the movements that its record had not seen: by now it has. */
  readonly late = new Map<string, number>()
  readonly #sums = { credited: 0, paidOut: 0, accounts: 0, tokens: 0 }
  #movements = 0
  /** Entries whose two sides differ. */
  #uneven = 0

  constructor (accounts: ReadonlyMap<string, Account>) {
    this.#accounts = accounts
  }

  post ({ postings }: JournalEntry): void {
    this.#movements += 1
    if (!isEven(postings)) this.#uneven += 1
    for (const posting of postings) this.#add(posting)
  }

  #add ({ ledger, of, debit, credit, nth }: Posting): void {
    switch (ledger) {
      case 'paid-in': this.#sums.credited += debit - credit; break
      case 'paid-out': this.#sums.paidOut += credit - debit; break
      case 'tokens': this.#sums.tokens += credit - debit; break
      case 'coins': {
        const found = this.#keysets.get(toHex(of)) ?? { keyset: of, issued: 0, redeemed: 0 }
        found.issued += credit
        found.redeemed += debit
        this.#keysets.set(toHex(of), found)
        break
      }
      case 'account': {
        this.#sums.accounts += credit - debit
        const name = toHex(of)
        if (nth <= (this.#accounts.get(name)?.movements ?? 0)) this.#due.set(name, (this.#due.get(name) ?? 0) + credit - debit)
        else this.late.set(name, Math.max(nth, this.late.get(name) ?? 0))
      }
    }
  }

  /** @param orphans accounts whose records have not seen all of their movements */
  close (unit: string, time: Millis, orphans: number): Books {
    const keysets = [...this.#keysets.values()].map(one => ({ ...one, outstanding: one.issued - one.redeemed })).sort((a, b) => compare(a.keyset, b.keyset))
    const issued = keysets.reduce((sum, one) => sum + one.issued, 0)
    const redeemed = keysets.reduce((sum, one) => sum + one.redeemed, 0)
    const outstanding = issued - redeemed
    const { credited, paidOut, accounts, tokens } = this.#sums
    const accounted = paidOut + accounts + tokens + outstanding
    const wrong = [...this.#accounts].filter(([name, { balance }]) => balance !== (this.#due.get(name) ?? 0)).length + orphans
    const faults: string[] = []
    if (this.#uneven > 0) faults.push(`${this.#uneven} movements of the journal do not balance`)
    if (wrong > 0) faults.push(`${wrong} accounts do not hold what their movements come to`)
    if (keysets.some(one => one.outstanding < 0)) faults.push('more coins of a keyset were redeemed than issued: its key is in other hands')
    if (tokens < 0) faults.push('more tokens were deposited and refunded than issued')
    if (credited !== accounted) faults.push(`${credited} came in, ${accounted} is accounted for`)
    return {
      unit, time, keysets, issued, redeemed, outstanding, credited, paidOut, accounts, tokens, movements: this.#movements, balanced: faults.length === 0, faults
    }
  }
}
