/** The audit of a bank's books, for its log and its metrics: at the start and then every hour, since it reads the whole journal. */
import { toHex } from '@mixmint/core/kit/bytes'
import type { Log, Millis } from '@mixmint/core/kit/ports'
import { asMixmintError } from '@mixmint/core/kit/saga'
import type { Books } from '@mixmint/core/cash/bank/books'
import type { Reading } from '../metrics/readings.ts'

const EVERY = 3_600_000

export class BooksWatch {
  readonly #audit: () => Promise<Books>
  readonly #started: Millis
  readonly #log: Log
  readonly #timer: NodeJS.Timeout
  #last: Books | null = null
  #auditing: Promise<void> = Promise.resolve()

  constructor (audit: () => Promise<Books>, started: Millis, log: Log) {
    this.#audit = audit
    this.#started = started
    this.#log = log
    this.#timer = setInterval(() => { this.#begin() }, EVERY)
    this.#begin()
  }

  /** Of the last audit. Before the first one has ended, the start stands in for its time, so that one that never ends is noticed. */
  readings (): Reading[] {
    const books = this.#last
    if (books === null) return [['bank_books_timestamp_seconds', this.#started / 1000]]
    return [
      ['bank_books_balanced', books.balanced ? 1 : 0], ['bank_books_faults', books.faults.length], ['bank_books_timestamp_seconds', books.time / 1000],
      ['bank_money_units', books.credited, { where: 'credited' }], ['bank_money_units', books.paidOut, { where: 'paid-out' }],
      ['bank_money_units', books.accounts, { where: 'accounts' }], ['bank_money_units', books.tokens, { where: 'tokens' }],
      ['bank_money_units', books.outstanding, { where: 'coins' }],
      ...books.keysets.flatMap(({ keyset, ...sums }) => (['issued', 'redeemed', 'outstanding'] as const).map((is): Reading =>
        ['bank_keyset_units', sums[is], { keyset: toHex(keyset).slice(0, 16), is }]))
    ]
  }

  /** None is begun any more; resolves when none is under way. */
  async stop (): Promise<void> {
    clearInterval(this.#timer)
    await this.#auditing
  }

  /** One after the other. */
  #begin (): void {
    this.#auditing = this.#auditing.then(async () => {
      try {
        this.#last = await this.#audit()
        if (!this.#last.balanced) this.#log.error('the books do not balance: see `mixmint bank books`, and docs/incidents.md', { code: 'books-unbalanced', faults: this.#last.faults.length })
      } catch (error) {
        this.#log.warn('the books could not be audited', { code: asMixmintError(error).code })
      }
    })
  }
}
