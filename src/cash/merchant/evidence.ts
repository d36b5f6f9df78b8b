/** Centers that convicted themselves here: that goes to the bank, which has the directory revoke the center's vote key. */
import { toHex } from '../../kit/bytes.ts'
import { encode } from '../../kit/codec.ts'
import { isMixmintError } from '../../kit/errors.ts'
import { batch, scan, scanAll, type Saga } from '../../kit/saga.ts'
import { centerProofFile } from '../center-proof.ts'
import { CenterFault, CenterProofFile, Input } from '../formats.ts'
import type { BankReply } from '../messages.ts'
import { stored } from '../stored.ts'
import { CONTESTS, LIARS, liarAt, UNACCUSED, unaccusedAt } from './keys.ts'
import type { AskBank, Merchant } from './parts.ts'

/** Anybody who spends coins twice makes contests: so many are told in one pass, and the others in later ones. */
const CONTESTS_AT_ONCE = 64

/** The vote keys that nobody need count here: those revoked in the directory, and those that we can convict ourselves. */
export function * distrusted (merchant: Merchant): Saga<(voteKey: Uint8Array) => boolean> {
  const registry = merchant.registry()
  const time = yield * merchant.clock.now()
  const liars = new Set((yield * scanAll(LIARS)).map(({ key }) => toHex(key.slice(LIARS.length))))
  return voteKey => liars.has(toHex(voteKey)) || registry.isRevoked(voteKey, time)
}

/** Keep the first fault of each vote key, durably, before anybody is told of it. */
export function * keepFaults (merchant: Merchant, faults: readonly CenterFault[]): Saga<void> {
  for (const fault of faults) {
    const found = merchant.registry().keysets().find(({ id, ring }) => toHex(ring.id) === toHex(fault.ring) && (fault.is === 'twice' || toHex(id) === toHex(fault.coin.keyset)))
    const voteKey = found?.ring.center(fault.center)?.voteKey
    if (found === undefined || voteKey === undefined) continue
    const { done } = yield * batch([
      { op: 'insert', key: liarAt(voteKey), value: encode(CenterProofFile, centerProofFile(fault, found)) },
      { op: 'insert', key: unaccusedAt(voteKey), value: encode<CenterFault>(CenterFault, fault) }
    ])
    if (done) merchant.meter.count('center_convicted', { fault: fault.is, center: toHex(fault.center).slice(0, 16) })
  }
}

/** Tell the bank what convicts centers, or may do so beside what it has. What it refuses for good is not said again. */
export function * accuse (): Saga<void, AskBank> {
  const accusations = (yield * scanAll(UNACCUSED)).map(({ key, value }) => ({ key, request: { op: 'accuse' as const, fault: stored(CenterFault, value) } }))
  const contests = (yield * scan({ prefix: CONTESTS, limit: CONTESTS_AT_ONCE })).map(({ key, value }) => ({ key, request: { op: 'contest' as const, input: stored(Input, value) } }))
  for (const { key, request } of [...accusations, ...contests]) {
    let reply: BankReply
    try {
      reply = yield { do: 'ask-bank', request }
    } catch (error) {
      if (isMixmintError(error) && error.fault === 'peer') return
      throw error
    }
    if (reply.is === 'accused' || (reply.is === 'refused' && !reply.retry)) yield * batch([{ op: 'delete', key }])
  }
}

/** Files that anybody can check: encoded CenterProofFile. */
export function * convictions (): Saga<CenterProofFile[]> {
  return (yield * scanAll(LIARS)).map(({ value }) => stored(CenterProofFile, value))
}
