/**
 * Turning sealed tokens in. Those of one day have one date, and so go in the order of their serials, which is chance: the bank
 * does not see which of them have paid one order.
 */
import { toHex } from '../../kit/bytes.ts'
import { encode } from '../../kit/codec.ts'
import { MixmintError } from '../../kit/errors.ts'
import type { Entry } from '../../kit/ports.ts'
import { batch, gather, scan, scanAll, type Saga } from '../../kit/saga.ts'
import { total } from '../contract.ts'
import type { BankReply, DepositResult } from '../messages.ts'
import { errorOf } from '../refusal.ts'
import { stored } from '../stored.ts'
import { creditedAt, SEALED_DUE, SEALED_REJECTED, sealedDueAt, sealedRejectedAt } from './keys.ts'
import type { AskBank, Deposited, Merchant } from './parts.ts'
import { Credited, SealedDue, SealedRejected } from './records.ts'

/** The most tokens in one request to the bank: about 600 bytes each. */
const BATCH = 512

/**
 * As deposit (deposit.ts), and added to its sums.
 * @param limit at most this many
 * @throws the bank's refusal of a whole request, and those of asking it; what was recorded before stays
 */
export function * depositSealed (merchant: Merchant, sum: Deposited, limit: number): Saga<void, AskBank> {
  let after: Uint8Array | undefined
  for (let left = limit; left > 0;) {
    const page = yield * scan({ prefix: SEALED_DUE, after, limit: Math.min(BATCH, left) })
    if (page.length === 0) return
    yield * depositPage(merchant, page, sum)
    after = page[page.length - 1].key
    left -= page.length
  }
}

function * depositPage (merchant: Merchant, page: readonly Entry[], sum: Deposited): Saga<void, AskBank> {
  const due = page.map(entry => ({ entry, record: stored(SealedDue, entry.value), serial: entry.key.slice(-32) }))
  const reply: BankReply = yield { do: 'ask-bank', request: { op: 'sealed-deposit', presentations: due.map(({ record }) => record.presentation) } }
  if (reply.is === 'refused') throw errorOf(reply)
  if (reply.is !== 'deposited') throw new MixmintError('bad-reply', 'peer', 'the bank answered something else than was asked')
  const results = new Map(reply.results.map(result => [toHex(result.serial), result]))
  const recorded = yield * gather(due.flatMap(one => {
    const result = results.get(toHex(one.serial))
    return result === undefined ? [] : [record(merchant, one, result, sum)]
  }))
  for (const one of recorded) if (one.state === 'failed') throw one.error
}

function * record (merchant: Merchant, { entry, record, serial }: { entry: Entry, record: SealedDue, serial: Uint8Array }, { state, code }: DepositResult, sum: Deposited): Saga<void> {
  const time = yield * merchant.clock.now()
  const amount = record.presentation.token.value
  const result = yield * batch([
    { op: 'swap', key: entry.key, was: entry.value, value: null },
    state === 'refused'
      ? { op: 'insert', key: sealedRejectedAt(serial), value: encode(SealedRejected, { due: record, code, time }) }
      : { op: 'insert', key: creditedAt(serial), value: encode(Credited, { amount, state, time }) }
  ])
  // Another deposit that ran meanwhile has recorded it.
  if (!result.done) return
  sum[state] += 1
  if (state !== 'refused') sum.amount += amount
  merchant.meter.count('token_deposit', { state })
}

/** Those that the bank has refused are due again. */
export function * takeUpRejectedSealed (): Saga<void> {
  for (const { key, value } of yield * scanAll(SEALED_REJECTED)) {
    const { due } = stored(SealedRejected, value)
    yield * batch([
      { op: 'swap', key, was: value, value: null },
      { op: 'insert', key: sealedDueAt(due.depositUntil, key.slice(SEALED_REJECTED.length)), value: encode(SealedDue, due) }
    ])
  }
}

/** What sealed tokens are due, and what was refused, in the unit's smallest coin. */
export function * sealedTakings (): Saga<{ due: number, rejected: number }> {
  return {
    due: total((yield * scanAll(SEALED_DUE)).map(({ value }) => stored(SealedDue, value).presentation.token)),
    rejected: total((yield * scanAll(SEALED_REJECTED)).map(({ value }) => stored(SealedRejected, value).due.presentation.token))
  }
}
