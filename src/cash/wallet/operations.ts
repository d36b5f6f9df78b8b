/** Operations: what was begun, durable before anything of it is sent, and moved to the history in the batch that ends it. */
import { encode } from '../../kit/codec.ts'
import { MixmintError } from '../../kit/errors.ts'
import type { Op } from '../../kit/ports.ts'
import { batch, get, scanAll, type Saga } from '../../kit/saga.ts'
import { stored } from '../stored.ts'
import { DONE, doneAt, numberIn, OPEN, openAt } from './keys.ts'
import { Operation, type ContractOperation } from './records.ts'

/** An operation, and the bytes of its record. */
export interface Begun<O extends Operation = Operation> {
  readonly sequence: number
  readonly record: O
  readonly bytes: Uint8Array
}

export function isOpen ({ record }: Begun): boolean {
  return record.state === 'open'
}

/** In the order in which they were begun. */
export function * openOperations (): Saga<Begun[]> {
  return yield * listed(OPEN)
}

export function * doneOperations (): Saga<Begun[]> {
  return yield * listed(DONE)
}

function * listed (prefix: Uint8Array): Saga<Begun[]> {
  return (yield * scanAll(prefix)).map(({ key, value }) => ({ sequence: numberIn(key), record: stored(Operation, value), bytes: value }))
}

/** @throws unknown-operation (caller) */
export function * operation (sequence: number): Saga<Begun> {
  const bytes = (yield * get(openAt(sequence))) ?? (yield * get(doneAt(sequence)))
  if (bytes === null) throw new MixmintError('unknown-operation', 'caller', 'the wallet has no operation of this number: see `history`')
  return { sequence, record: stored(Operation, bytes), bytes }
}

/** @throws unknown-operation (caller) */
export function * contractOperation (sequence: number): Saga<Begun<ContractOperation>> {
  const begun = yield * operation(sequence)
  if (!isContract(begun)) throw new MixmintError('unknown-operation', 'caller', 'this operation has no contract: see `history`')
  return begun
}

export function isContract (begun: Begun): begun is Begun<ContractOperation> {
  return begun.record.kind === 'contract'
}

export interface Start<O extends Operation> {
  readonly begun: Begun<O>
  readonly op: Op
}

/** The step that begins an operation. */
export function start<O extends Operation> (sequence: number, record: O): Start<O> {
  const bytes = encode<Operation>(Operation, record)
  return { begun: { sequence, record, bytes }, op: { op: 'insert', key: openAt(sequence), value: bytes } }
}

/** The step that rewrites an open operation; it fails when somebody else has. */
export function rewrite<O extends Operation> ({ sequence, bytes: was }: Begun<O>, record: O): Start<O> {
  const bytes = encode<Operation>(Operation, record)
  return { begun: { sequence, record, bytes }, op: { op: 'swap', key: openAt(sequence), was, value: bytes } }
}

/**
 * End an operation, with all that comes of it in one batch. If another run has ended it, this one's results are the same
 * and dropped.
 * @throws operation-busy (caller, retry) when it was rewritten meanwhile
 */
export function * finish<O extends Operation> ({ sequence, bytes: was }: Begun<O>, record: O, ops: readonly Op[]): Saga<Begun<O>> {
  const bytes = encode<Operation>(Operation, record)
  const result = yield * batch([
    { op: 'swap', key: openAt(sequence), was, value: null },
    { op: 'insert', key: doneAt(sequence), value: bytes },
    ...ops
  ])
  if (result.done) return { sequence, record, bytes }
  const now = yield * operation(sequence)
  if (isOpen(now)) throw busy()
  return now as Begun<O>
}

export function busy (): MixmintError {
  return new MixmintError('operation-busy', 'caller', 'the same operation is being carried on elsewhere in this wallet: try again', { retry: true })
}
