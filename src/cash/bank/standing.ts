/**
 * How accounts stand with the operator. A frozen or closed account pays out nothing, neither as coins nor otherwise; what
 * others pay into it still comes in, for a settlement or deposit that were refused would take from payers who have done
 * nothing. It is looked at in the very batch that takes from the account, so that no payment slips past a freeze.
 */
import { MixmintError } from '../../kit/errors.ts'
import { get, type Saga } from '../../kit/saga.ts'
import { lossTime } from '../loss.ts'
import { stored } from '../stored.ts'
import { standingAt } from './keys.ts'
import { Standing } from './records.ts'
import type { Step } from './steps.ts'

/** As the store has it, and what that says; null: nothing was ever said, and the account is open. */
export interface Stood { readonly bytes: Uint8Array | null, readonly standing: Standing | null }

/** After a loss of data every account is frozen until the operator has said otherwise since. */
export function * standingOf (account: Uint8Array): Saga<Stood> {
  const bytes = yield * get(standingAt(account))
  const said = bytes === null ? null : stored(Standing, bytes)
  const loss = yield * lossTime()
  const isCurrent = said === null ? loss === 0 : said.time > loss || said.state !== 'open'
  return { bytes, standing: isCurrent ? said : { state: 'frozen', note: 'the bank has lost data', time: loss } }
}

/** @throws account-frozen, account-closed (peer) */
export function * mustBeOpen (account: Uint8Array): Saga<Stood> {
  const stood = yield * standingOf(account)
  if (stood.standing?.state === 'frozen') throw new MixmintError('account-frozen', 'peer', 'the account is frozen: it takes money and gives none; ask the bank\'s operator', { retry: true })
  if (stood.standing?.state === 'closed') throw closed()
  return stood
}

export function closed (): MixmintError {
  return new MixmintError('account-closed', 'peer', 'the account is closed; the bank\'s operator can open it again')
}

/** The condition that the account stands as it was read; it clashes as the account does. */
export function standingStep (account: Uint8Array, { bytes }: Stood, value = bytes): Step {
  return { clash: 'account', op: { op: 'swap', key: standingAt(account), was: bytes, value } }
}
