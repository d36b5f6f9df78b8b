/** What the bank knows of an open token: whether it issued this very one, and what has become of its serial. */
import { equal } from '../../kit/bytes.ts'
import { MixmintError } from '../../kit/errors.ts'
import { get, type Saga } from '../../kit/saga.ts'
import { stored } from '../stored.ts'
import { depositAt, refundedAt, tokenAt } from './keys.ts'
import { Deposited, IssuedToken } from './records.ts'

/** What became of a token, and when: `credited` to its payee, or `refunded` to its owner. `shownFor`: `invoice` in its record. */
export interface Gone {
  readonly is: 'credited' | 'refunded'
  readonly time: number
  readonly shownFor: Uint8Array
}

/** @param hash of this very token: another under the same serial was not issued */
export function * isIssued (serial: Uint8Array, hash: Uint8Array): Saga<boolean> {
  const value = yield * get(tokenAt(serial))
  return value !== null && equal(stored(IssuedToken, value).token, hash)
}

/** Null: nobody has had its money. Of sealed tokens, too: their hash is their serial. */
export function * goneOf (serial: Uint8Array, hash: Uint8Array): Saga<Gone | null> {
  const value = yield * get(depositAt(serial))
  const gone = value === null ? null : stored(Deposited, value)
  if (gone === null || !equal(gone.token, hash)) return null
  return { is: (yield * get(refundedAt(serial))) === null ? 'credited' : 'refunded', time: gone.time, shownFor: gone.invoice }
}

export function notIssued (): MixmintError {
  return new MixmintError('token-not-issued', 'peer', 'the bank has not issued this token')
}
