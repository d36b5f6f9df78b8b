/** How far a restore has come, on disk after each answer, so that it goes on where it was after a crash (restore.ts). */
import { bool, bytes, list, nullable, oneOf, record, uint, type Of } from '../../kit/codec.ts'
import { get, type Saga } from '../../kit/saga.ts'
import { Coin, MAX_SEALED, SignedOutcome, SignedToken } from '../formats.ts'
import { stored } from '../stored.ts'
import { RESTORING } from './keys.ts'
import { Place } from './records.ts'

/** `generation` is drawn for what comes after; `generations` are those of before, as far as they are known. */
export const Restoring = record({
  state: oneOf('running', 'done'), generation: uint(2 ** 32 - 1), generations: list(uint(2 ** 32 - 1), 4096), announced: bool
})
export type Restoring = Of<typeof Restoring>

/**
 * A coin whose signature the bank has given again: `found`, not looked at yet; `free`, as far as the bank and n − f keepers know;
 * `spent`, redeemed at the bank; `recorded`, a keeper has a spend of it, or a copy says that there may be one.
 */
export const Found = record({ coin: Coin, place: Place, state: oneOf('found', 'free', 'spent', 'recorded') })
export type Found = Of<typeof Found>

/**
 * A copy, still encrypted, under the coin that it was filed under; and the bank's word on its contract, once that was heard: `sealed` are
 * the signatures of its sealed tokens, if it was settled.
 */
export const Copied = record({
  coin: bytes(32), box: bytes({ max: 1 << 17 }), outcome: nullable(SignedOutcome), token: nullable(SignedToken), sealed: list(bytes(256), MAX_SEALED)
})
export type Copied = Of<typeof Copied>

/** Null: there never was a restore here. */
export function * restoring (): Saga<Restoring | null> {
  const value = yield * get(RESTORING)
  return value === null ? null : stored(Restoring, value)
}

export function * isRestoring (): Saga<boolean> {
  return (yield * restoring())?.state === 'running'
}
