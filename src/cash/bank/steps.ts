/** A batch of the bank as named steps. */
import type { Op } from '../../kit/ports.ts'
import { batch, type Saga } from '../../kit/saga.ts'
import type { AccountSide } from './ledger.ts'

/** A step of a batch, with a name for what stands in the way when its condition fails. */
export interface Step {
  readonly clash: 'account' | 'announced' | 'coin' | 'contract' | 'credit' | 'deposit' | 'invoice' | 'journal' | 'output' | 'token' | 'withdrawal'
  readonly op: Op
}

/** A step on an account. */
export interface AccountStep extends Step, AccountSide {}

/** All or nothing. Results in null when done, else in the first step whose condition failed. */
export function * commit (steps: readonly Step[]): Saga<Step | null> {
  const result = yield * batch(steps.map(step => step.op))
  return result.done ? null : steps[result.at]
}

export function insert (clash: Step['clash'], key: Uint8Array, value: Uint8Array): Step {
  return { clash, op: { op: 'insert', key, value } }
}
