/** Turning tokens in: in batches, a result per token, repeatable and resumable; and the sums for the books. */
import { toHex } from '../../kit/bytes.ts'
import { encode } from '../../kit/codec.ts'
import { MixmintError } from '../../kit/errors.ts'
import type { Entry, Op } from '../../kit/ports.ts'
import { batch, scan, scanAll, type Saga } from '../../kit/saga.ts'
import { total } from '../contract.ts'
import { Presentation } from '../formats.ts'
import type { BankReply, DepositResult } from '../messages.ts'
import { errorOf } from '../refusal.ts'
import { stored } from '../stored.ts'
import { CREDITED, creditedAt, DUE, dueAt, LOST, REJECTED, rejectedAt, REPAY, SETTLED, UNSETTLED } from './keys.ts'
import type { AskBank, Deposited, Merchant } from './parts.ts'
import { Credited, Lost, Rejected, Repay, Settled, Unsettled } from './records.ts'
import { depositSealed, sealedTakings, takeUpRejectedSealed } from './sealed-deposit.ts'

/** The most tokens in one request to the bank. */
export const BATCH = 1024

export interface DepositOptions {
  readonly limit?: number
  readonly again?: boolean
  readonly onResult?: (result: DepositResult & { readonly amount: number }) => void
}

/**
 * Deposit accepted tokens, those that end first first. What has no result stays due: call again.
 * @param options.limit at most this many; default all that are due
 * @param options.again take up those that the bank has refused before, too
 * @param options.onResult told of each token, when its result is on disk
 * @throws the bank's refusal of a whole request, and those of asking it; what was recorded before stays
 */
export function * deposit (merchant: Merchant, { limit = Number.MAX_SAFE_INTEGER, again = false, onResult = () => {} }: DepositOptions = {}): Saga<Deposited, AskBank> {
  if (again) {
    yield * takeUpRejected()
    yield * takeUpRejectedSealed()
  }
  const sum: Deposited = { credited: 0, already: 0, refused: 0, amount: 0 }
  let after: Uint8Array | undefined
  for (let left = limit; left > 0;) {
    const page = yield * scan({ prefix: DUE, after, limit: Math.min(BATCH, left) })
    if (page.length === 0) break
    yield * depositPage(merchant, page, sum, onResult)
    after = page[page.length - 1].key
    left -= page.length
  }
  yield * depositSealed(merchant, sum, limit - sum.credited - sum.already - sum.refused)
  return sum
}

function * depositPage (merchant: Merchant, page: readonly Entry[], sum: Deposited, onResult: NonNullable<DepositOptions['onResult']>): Saga<void, AskBank> {
  const presentations = page.map(({ value }) => stored(Presentation, value))
  const reply: BankReply = yield { do: 'ask-bank', request: { op: 'deposit', presentations } }
  if (reply.is === 'refused') throw errorOf(reply)
  if (reply.is !== 'deposited') throw new MixmintError('bad-reply', 'peer', 'the bank answered something else than was asked')
  const results = new Map(reply.results.map(result => [toHex(result.serial), result]))
  const time = yield * merchant.clock.now()
  const known = page.flatMap((due, i) => {
    const result = results.get(toHex(presentations[i].token.token.serial))
    return result === undefined ? [] : [{ result, amount: presentations[i].token.token.amount, ops: recording(due, presentations[i], result, time) }]
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

/** The steps that record a result; they fail when it was recorded before. */
function recording (due: Entry, presentation: Presentation, { state, code }: DepositResult, time: number): Op[] {
  const { serial, amount } = presentation.token.token
  return [
    { op: 'swap', key: due.key, was: due.value, value: null },
    state === 'refused'
      ? { op: 'insert', key: rejectedAt(serial), value: encode(Rejected, { presentation, code, time }) }
      : { op: 'insert', key: creditedAt(serial), value: encode(Credited, { amount, state, time }) }
  ]
}

function * takeUpRejected (): Saga<void> {
  for (const { key, value } of yield * scanAll(REJECTED)) {
    const { presentation } = stored(Rejected, value)
    const { depositUntil, serial } = presentation.token.token
    yield * batch([
      { op: 'swap', key, was: value, value: null },
      { op: 'insert', key: dueAt(depositUntil, serial), value: encode(Presentation, presentation) }
    ])
  }
}

/** How many accepted tokens are to be deposited. */
export function * dueCount (): Saga<number> {
  let count = 0
  yield * eachPage(DUE, page => { count += page.length })
  return count
}

function * eachPage (prefix: Uint8Array, visit: (page: readonly Entry[]) => void): Saga<void> {
  for (let after: Uint8Array | undefined; ;) {
    const page: Entry[] = yield * scan({ prefix, after, limit: BATCH })
    visit(page)
    if (page.length < BATCH) return
    after = page[page.length - 1].key
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
  const sums = { due: 0, deposited: 0, rejected: 0, unsettled: 0, settled: 0, void: 0, lost: 0, repaid: 0 }
  const add = (name: keyof typeof sums, value: number): void => { sums[name] = total([{ value }], sums[name]) }
  yield * eachPage(DUE, page => { for (const { value } of page) add('due', stored(Presentation, value).token.token.amount) })
  yield * eachPage(CREDITED, page => { for (const { value } of page) add('deposited', stored(Credited, value).amount) })
  yield * eachPage(REJECTED, page => { for (const { value } of page) add('rejected', stored(Rejected, value).presentation.token.token.amount) })
  yield * eachPage(UNSETTLED, page => { for (const { value } of page) add('unsettled', stored(Unsettled, value).contract.amount) })
  yield * eachPage(LOST, page => { for (const { value } of page) add('lost', stored(Lost, value).amount) })
  yield * eachPage(REPAY, page => {
    for (const { value } of page) {
      const { amount, signatures } = stored(Repay, value)
      if (signatures.length > 0) add('repaid', amount)
    }
  })
  yield * eachPage(SETTLED, page => {
    for (const { value } of page) {
      const { amount, settlement } = stored(Settled, value)
      add(settlement.outcome.outcome.state === 'settled' ? 'settled' : 'void', amount)
    }
  })
  const sealed = yield * sealedTakings()
  const refused = sums.rejected + sealed.rejected + sums.void + sums.lost
  const pending = sums.due + sealed.due + sums.unsettled
  return { accepted: sums.deposited + sums.settled + pending + refused, deposited: sums.deposited, settled: sums.settled, pending, refused, repaid: sums.repaid }
}
