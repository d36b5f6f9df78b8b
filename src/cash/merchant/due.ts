/**
 * Tokens that were accepted and are to be turned in, of both kinds; what differs between them is here. Sealed ones of a day have one
 * date, and so go in the order of their serials, which is chance: the bank does not see which of them have paid one order.
 */
import { encode, type Codec, type Of } from '../../kit/codec.ts'
import type { Millis, Op } from '../../kit/ports.ts'
import { batch, eachEntry, type Saga } from '../../kit/saga.ts'
import { total } from '../contract.ts'
import { Presentation } from '../formats.ts'
import { MAX_PRESENTATIONS, type BankRequest } from '../messages.ts'
import { stored } from '../stored.ts'
import { DUE, dueAt, REJECTED, rejectedAt, SEALED_DUE, SEALED_REJECTED, sealedDueAt, sealedRejectedAt } from './keys.ts'
import { Rejected, SealedDue, SealedRejected } from './records.ts'

const SERIAL = 32

/** A kind of token; `R` is the record of one that is due. */
export interface Kind<R> {
  readonly how: 'token' | 'sealed'
  readonly due: Uint8Array
  readonly rejected: Uint8Array
  readonly record: Codec<R>
  /** The most in one request to the bank. */
  readonly most: number
  readonly amountOf: (record: R) => number
  readonly request: (records: readonly R[]) => BankRequest
  readonly dueAgain: (serial: Uint8Array, record: R) => Op
  readonly reject: (serial: Uint8Array, record: R, code: string, time: Millis) => Op
  readonly rejection: (value: Uint8Array) => { readonly record: R, readonly code: string, readonly time: Millis }
}

export const OPEN: Kind<Of<typeof Presentation>> = {
  how: 'token', due: DUE, rejected: REJECTED, record: Presentation, most: MAX_PRESENTATIONS,
  amountOf: ({ token: { token } }) => token.amount,
  request: presentations => ({ op: 'deposit', presentations: [...presentations] }),
  dueAgain: (serial, record) => ({ op: 'insert', key: dueAt(record.token.token.depositUntil, serial), value: encode(Presentation, record) }),
  reject: (serial, presentation, code, time) => ({ op: 'insert', key: rejectedAt(serial), value: encode(Rejected, { presentation, code, time }) }),
  rejection: value => {
    const { presentation, code, time } = stored(Rejected, value)
    return { record: presentation, code, time }
  }
}

/** About 600 bytes each: half as many are as long. */
export const SEALED: Kind<SealedDue> = {
  how: 'sealed', due: SEALED_DUE, rejected: SEALED_REJECTED, record: SealedDue, most: MAX_PRESENTATIONS / 2,
  amountOf: ({ presentation: { token } }) => token.value,
  request: records => ({ op: 'sealed-deposit', presentations: records.map(({ presentation }) => presentation) }),
  dueAgain: (serial, record) => ({ op: 'insert', key: sealedDueAt(record.depositUntil, serial), value: encode(SealedDue, record) }),
  reject: (serial, due, code, time) => ({ op: 'insert', key: sealedRejectedAt(serial), value: encode(SealedRejected, { due, code, time }) }),
  rejection: value => {
    const { due, code, time } = stored(SealedRejected, value)
    return { record: due, code, time }
  }
}

/** The serial at the end of a key. */
export function serialIn (key: Uint8Array): Uint8Array {
  return key.slice(-SERIAL)
}

/** One that the bank has refused. */
interface Refused {
  readonly how: Kind<unknown>['how']
  readonly amount: number
  readonly code: string
  readonly time: Millis
}

/** In no order. */
export function * refusals (): Saga<Refused[]> {
  return [...yield * refusalsOf(OPEN), ...yield * refusalsOf(SEALED)]
}

function * refusalsOf<R> (kind: Kind<R>): Saga<Refused[]> {
  const found: Refused[] = []
  yield * eachEntry(kind.rejected, ({ value }) => {
    const { record, code, time } = kind.rejection(value)
    found.push({ how: kind.how, amount: kind.amountOf(record), code, time })
  })
  return found
}

/** How many are due. Of a hundred thousand, asked for now and then: their records are not looked into. */
export function * dueCount (): Saga<number> {
  let count = 0
  for (const { due } of [OPEN, SEALED]) yield * eachEntry(due, () => { count += 1 }, { page: 1024 })
  return count
}

/** What is due, in the unit's smallest coin. */
export function * dueAmount (): Saga<number> {
  return total([{ value: yield * amountDue(OPEN) }, { value: yield * amountDue(SEALED) }])
}

function * amountDue<R> (kind: Kind<R>): Saga<number> {
  let sum = 0
  yield * eachEntry(kind.due, ({ value }) => { sum = total([{ value: kind.amountOf(stored(kind.record, value)) }], sum) })
  return sum
}

/** Those that the bank has refused are due again. */
export function * takeUpRejected (): Saga<void> {
  yield * takeUp(OPEN)
  yield * takeUp(SEALED)
}

function * takeUp<R> (kind: Kind<R>): Saga<void> {
  yield * eachEntry(kind.rejected, function * ({ key, value }) {
    yield * batch([{ op: 'swap', key, was: value, value: null }, kind.dueAgain(serialIn(key), kind.rejection(value).record)])
  })
}
