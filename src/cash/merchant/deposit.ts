/** Turning tokens in: in batches, a result per token, repeatable and resumable; and the sums for the books. */
import { toHex } from '../../kit/bytes.ts'
import { encode } from '../../kit/codec.ts'
import { MixmintError } from '../../kit/errors.ts'
import type { Entry, Op } from '../../kit/ports.ts'
import { batch, eachEntry, scan, type Saga } from '../../kit/saga.ts'
import { total } from '../contract.ts'
import type { BankReply, DepositResult } from '../messages.ts'
import { errorOf } from '../refusal.ts'
import { stored } from '../stored.ts'
import { dueAmount, OPEN, refusals, SEALED, serialIn, takeUpRejected, type Kind } from './due.ts'
import { CREDITED, creditedAt, LOST, REPAY, SETTLED, UNSETTLED } from './keys.ts'
import type { AskBank, Deposited, Merchant } from './parts.ts'
import { Credited, Lost, Repay, Settled, Unsettled } from './records.ts'

export interface DepositOptions {
  readonly limit?: number
  readonly again?: boolean
  readonly onResult?: (result: DepositResult & { readonly amount: number }) => void
}

/**
 * Deposit accepted tokens, open ones first, of each kind those that end first first. What has no result stays due: call again.
 * @param options.limit at most this many; default all that are due
 * @param options.again take up those that the bank has refused before, too
 * @param options.onResult told of each token, when its result is on disk
 * @throws the bank's refusal of a whole request, and those of asking it; what was recorded before stays
 */
export function * deposit (merchant: Merchant, { limit = Number.MAX_SAFE_INTEGER, again = false, onResult = () => {} }: DepositOptions = {}): Saga<Deposited, AskBank> {
  if (again) yield * takeUpRejected()
  const sum: Deposited = { credited: 0, already: 0, refused: 0, amount: 0 }
  const left = yield * depositKind(merchant, OPEN, limit, sum, onResult)
  yield * depositKind(merchant, SEALED, left, sum, onResult)
  return sum
}

type OnResult = NonNullable<DepositOptions['onResult']>

/** @returns how many of the limit are left */
function * depositKind<R> (merchant: Merchant, kind: Kind<R>, limit: number, sum: Deposited, onResult: OnResult): Saga<number, AskBank> {
  let left = limit
  for (let after: Uint8Array | undefined; left > 0;) {
    const page = yield * scan({ prefix: kind.due, after, limit: Math.min(kind.most, left) })
    if (page.length === 0) break
    yield * depositPage(merchant, kind, page, sum, onResult)
    after = page[page.length - 1].key
    left -= page.length
  }
  return left
}

function * depositPage<R> (merchant: Merchant, kind: Kind<R>, page: readonly Entry[], sum: Deposited, onResult: OnResult): Saga<void, AskBank> {
  const due = page.map(entry => ({ entry, record: stored(kind.record, entry.value), serial: serialIn(entry.key) }))
  const reply: BankReply = yield { do: 'ask-bank', request: kind.request(due.map(({ record }) => record)) }
  if (reply.is === 'refused') throw errorOf(reply)
  if (reply.is !== 'deposited') throw new MixmintError('bad-reply', 'peer', 'the bank answered something else than was asked')
  const results = new Map(reply.results.map(result => [toHex(result.serial), result]))
  const time = yield * merchant.clock.now()
  const known = due.flatMap(({ entry, record, serial }) => {
    const result = results.get(toHex(serial))
    if (result === undefined) return []
    const { state, code } = result
    const amount = kind.amountOf(record)
    // They fail when it was recorded before.
    const ops: Op[] = [
      { op: 'swap', key: entry.key, was: entry.value, value: null },
      state === 'refused' ? kind.reject(serial, record, code, time) : { op: 'insert', key: creditedAt(serial), value: encode(Credited, { amount, state, time }) }
    ]
    return [{ result, amount, ops }]
  })
  // All at once; if another deposit that ran meanwhile has recorded some of them, those that are left one by one.
  const isAlone = (yield * batch(known.flatMap(({ ops }) => ops))).done
  for (const { result, amount, ops } of known) {
    if (!isAlone && !(yield * batch(ops)).done) continue
    sum[result.state] += 1
    if (result.state !== 'refused') sum.amount += amount
    merchant.meter.count('token_deposit', { state: result.state })
    onResult({ ...result, amount })
  }
}

/** All in the unit's smallest coin. accepted = deposited + settled + pending + refused; in the account are deposited + settled − repaid. */
export interface Takings {
  /** Of every paid order. */
  readonly accepted: number
  /** Tokens that the bank has credited. */
  readonly deposited: number
  /** Contracts of coins that the bank has settled. */
  readonly settled: number
  /** Tokens to be deposited, and contracts to be settled. */
  readonly pending: number
  /** Losses: tokens that the bank has refused, contracts that became void before they were settled, and what was delivered on trust in vain. */
  readonly refused: number
  /** Given back to payers. */
  readonly repaid: number
}

export function * takings (): Saga<Takings> {
  const sums = { deposited: 0, unsettled: 0, settled: 0, void: 0, lost: 0, repaid: 0 }
  const add = (name: keyof typeof sums, value: number): void => { sums[name] = total([{ value }], sums[name]) }
  yield * eachEntry(CREDITED, ({ value }) => { add('deposited', stored(Credited, value).amount) })
  yield * eachEntry(UNSETTLED, ({ value }) => { add('unsettled', stored(Unsettled, value).contract.amount) })
  yield * eachEntry(LOST, ({ value }) => { add('lost', stored(Lost, value).amount) })
  yield * eachEntry(REPAY, ({ value }) => {
    const { amount, signatures } = stored(Repay, value)
    if (signatures.length > 0) add('repaid', amount)
  })
  yield * eachEntry(SETTLED, ({ value }) => {
    const { amount, settlement } = stored(Settled, value)
    add(settlement.outcome.outcome.state === 'settled' ? 'settled' : 'void', amount)
  })
  const refused = total((yield * refusals()).map(({ amount }) => ({ value: amount }))) + sums.void + sums.lost
  const pending = (yield * dueAmount()) + sums.unsettled
  return { accepted: sums.deposited + sums.settled + pending + refused, deposited: sums.deposited, settled: sums.settled, pending, refused, repaid: sums.repaid }
}
