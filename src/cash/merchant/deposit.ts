/** Turning tokens in: in batches, a result per token, repeatable and resumable; and the sums for the books. */
import { toHex } from '../../kit/bytes.ts'
import { encode } from '../../kit/codec.ts'
import { MixmintError } from '../../kit/errors.ts'
import type { Entry } from '../../kit/ports.ts'
import { batch, gather, scan, scanAll, type Saga } from '../../kit/saga.ts'
import { total } from '../contract.ts'
import { Presentation } from '../formats.ts'
import type { BankReply, DepositResult } from '../messages.ts'
import { errorOf } from '../refusal.ts'
import { stored } from '../stored.ts'
import { CREDITED, creditedAt, DUE, dueAt, REJECTED, rejectedAt, SETTLED, UNSETTLED } from './keys.ts'
import type { AskBank, Deposited, Merchant } from './parts.ts'
import { Credited, Rejected, Settled, Unsettled } from './records.ts'
import { depositSealed, sealedTakings, takeUpRejectedSealed } from './sealed-deposit.ts'

/** The most tokens in one request to the bank. */
const BATCH = 1024

/**
 * Deposit accepted tokens, those that end first first. What has no result stays due: call again.
 * @param options.limit at most this many; default all that are due
 * @param options.again take up those that the bank has refused before, too
 * @throws the bank's refusal of a whole request, and those of asking it; what was recorded before stays
 */
export function * deposit (merchant: Merchant, { limit = Number.MAX_SAFE_INTEGER, again = false }: { limit?: number, again?: boolean } = {}): Saga<Deposited, AskBank> {
  if (again) {
    yield * takeUpRejected()
    yield * takeUpRejectedSealed()
  }
  const sum: Deposited = { credited: 0, already: 0, refused: 0, amount: 0 }
  let after: Uint8Array | undefined
  for (let left = limit; left > 0;) {
    const page = yield * scan({ prefix: DUE, after, limit: Math.min(BATCH, left) })
    if (page.length === 0) break
    yield * depositPage(merchant, page, sum)
    after = page[page.length - 1].key
    left -= page.length
  }
  yield * depositSealed(merchant, sum, limit - sum.credited - sum.already - sum.refused)
  return sum
}

function * depositPage (merchant: Merchant, page: readonly Entry[], sum: Deposited): Saga<void, AskBank> {
  const presentations = page.map(({ value }) => stored(Presentation, value))
  const reply: BankReply = yield { do: 'ask-bank', request: { op: 'deposit', presentations } }
  if (reply.is === 'refused') throw errorOf(reply)
  if (reply.is !== 'deposited') throw new MixmintError('bad-reply', 'peer', 'the bank answered something else than was asked')
  const results = new Map(reply.results.map(result => [toHex(result.serial), result]))
  const recorded = yield * gather(page.map((due, i) => {
    const result = results.get(toHex(presentations[i].token.token.serial))
    return result === undefined ? nothing() : record(merchant, due, presentations[i], result, sum)
  }))
  for (const one of recorded) if (one.state === 'failed') throw one.error
}

function * nothing (): Saga<void> {}

function * record (merchant: Merchant, due: Entry, presentation: Presentation, { state, code }: DepositResult, sum: Deposited): Saga<void> {
  const { serial, amount } = presentation.token.token
  const time = yield * merchant.clock.now()
  const result = yield * batch([
    { op: 'swap', key: due.key, was: due.value, value: null },
    state === 'refused'
      ? { op: 'insert', key: rejectedAt(serial), value: encode(Rejected, { presentation, code, time }) }
      : { op: 'insert', key: creditedAt(serial), value: encode(Credited, { amount, state, time }) }
  ])
  // Another deposit that ran meanwhile has recorded it.
  if (!result.done) return
  sum[state] += 1
  if (state !== 'refused') sum.amount += amount
  merchant.meter.count('token_deposit', { state })
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

/** All in the unit's smallest coin. accepted = deposited + settled + pending + refused. */
export interface Takings {
  /** Of every paid order. */
  readonly accepted: number
  /** Tokens that the bank has credited. */
  readonly deposited: number
  /** Contracts of coins that the bank has settled. */
  readonly settled: number
  /** Tokens to be deposited, and contracts to be settled. */
  readonly pending: number
  /** Tokens that the bank has refused, and contracts that became void before they were settled. */
  readonly refused: number
}

export function * takings (): Saga<Takings> {
  const due = total((yield * scanAll(DUE)).map(({ value }) => ({ value: stored(Presentation, value).token.token.amount })))
  const deposited = total((yield * scanAll(CREDITED)).map(({ value }) => ({ value: stored(Credited, value).amount })))
  const rejected = total((yield * scanAll(REJECTED)).map(({ value }) => ({ value: stored(Rejected, value).presentation.token.token.amount })))
  const unsettled = total((yield * scanAll(UNSETTLED)).map(({ value }) => ({ value: stored(Unsettled, value).contract.amount })))
  const decided = (yield * scanAll(SETTLED)).map(({ value }) => stored(Settled, value))
  const sumOf = (state: string): number =>
    total(decided.filter(({ settlement }) => settlement.outcome.outcome.state === state).map(({ amount }) => ({ value: amount })))
  const settled = sumOf('settled')
  const sealed = yield * sealedTakings()
  const refused = rejected + sealed.rejected + sumOf('void')
  const pending = due + sealed.due + unsettled
  return { accepted: deposited + settled + pending + refused, deposited, settled, pending, refused }
}
