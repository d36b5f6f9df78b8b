/**
 * What banks have signed about their own keys, remembered by everybody who reads it: authorities, nodes, wallets. A bank that
 * shows one customer another keyset than the rest, or another token key for a day, has signed two descriptors where there may
 * be one, and the two are a proof that anyone can check (DESIGN §3). A saga engine that remembers nothing but in its store:
 *
 *   store   archive/keyset/<bank 32><id 32>        SignedKeyset, the first time it was seen
 *           archive/day/<bank 32><u64 day>         SignedDayKey, likewise
 *           archive/conflict/<bank 32><hash 32>    BankConflict
 */
import { compare, concat, equal, u64, utf8 } from '../kit/bytes.ts'
import { encode } from '../kit/codec.ts'
import { isMixmintError, MixmintError } from '../kit/errors.ts'
import type { Meter } from '../kit/ports.ts'
import { batch, get, scanAll, type Saga } from '../kit/saga.ts'
import type { Suite } from '../crypto/suite.ts'
import { BankConflict, DayKey, SignedDayKey, SignedKeyset, type BankListing } from './formats.ts'
import { keysetId, verifyDayKey, verifyKeyset } from './keyset.ts'
import { stored } from './stored.ts'

const KEYSETS = utf8('archive/keyset/')
const DAYS = utf8('archive/day/')
const CONFLICTS = utf8('archive/conflict/')
/** Of each bank; one that goes on lying cannot fill the disk. */
const KEPT = 16
const MOST_KEYSETS = 512

/** Do these two contradict each other? They issue at one time, or are for one day, and are not the same. */
function contradict (suite: Suite, conflict: BankConflict): boolean {
  if (conflict.is === 'dayKeys') {
    const [one, other] = [conflict.first.dayKey, conflict.second.dayKey]
    return one.network === other.network && equal(one.bank, other.bank) && one.day === other.day && !equal(encode(DayKey, one), encode(DayKey, other))
  }
  const [one, other] = [conflict.first.keyset, conflict.second.keyset]
  return one.network === other.network && equal(one.bank, other.bank) && one.unit === other.unit &&
    one.issueFrom < other.issueUntil && other.issueFrom < one.issueUntil && !equal(keysetId(suite, one), keysetId(suite, other))
}

/**
 * With nothing but the proof; whether that bank is yours, the caller decides.
 * @returns the bank's key
 * @throws bad-proof, bad-keyset, bad-day-key (peer)
 */
export function verifyBankConflict (suite: Suite, conflict: BankConflict): Uint8Array {
  if (!contradict(suite, conflict)) throw new MixmintError('bad-proof', 'peer', 'this proves nothing against a bank: what it signed can stand side by side')
  if (conflict.is === 'keysets') {
    const { network, bank } = conflict.first.keyset
    for (const signed of [conflict.first, conflict.second]) verifyKeyset(suite, network, bank, signed)
    return bank
  }
  const { network, bank } = conflict.first.dayKey
  for (const signed of [conflict.first, conflict.second]) verifyDayKey(suite, network, bank, signed)
  return bank
}

/** Take up what a listing has signed, whether or not anybody accepts it. Results in the conflicts that are news. */
export function * archive (suite: Suite, meter: Meter, { keysets, dayKeys }: BankListing): Saga<BankConflict[]> {
  const found: BankConflict[] = []
  for (const signed of keysets) {
    if (!holds(() => { verifyKeyset(suite, signed.keyset.network, signed.keyset.bank, signed) })) continue
    const { bank } = signed.keyset
    const key = concat(KEYSETS, bank, keysetId(suite, signed.keyset))
    if ((yield * get(key)) !== null) continue
    const known = (yield * scanAll(concat(KEYSETS, bank))).map(({ value }) => stored(SignedKeyset, value))
    found.push(...yield * keep(suite, bank, known.map(first => ({ is: 'keysets', first, second: signed }))))
    if (known.length < MOST_KEYSETS) yield * batch([{ op: 'put', key, value: encode(SignedKeyset, signed) }])
  }
  for (const signed of dayKeys) {
    if (!holds(() => { verifyDayKey(suite, signed.dayKey.network, signed.dayKey.bank, signed) })) continue
    const { bank, day } = signed.dayKey
    const result = yield * batch([{ op: 'insert', key: concat(DAYS, bank, u64(day)), value: encode(SignedDayKey, signed) }])
    if (!result.done && result.found !== null) found.push(...yield * keep(suite, bank, [{ is: 'dayKeys', first: stored(SignedDayKey, result.found), second: signed }]))
  }
  for (const { is } of found) meter.count('bank_conflict', { is })
  return found
}

/** Every proof that is kept. */
export function * bankConflicts (): Saga<BankConflict[]> {
  return (yield * scanAll(CONFLICTS)).map(({ value }) => stored(BankConflict, value))
}

function * keep (suite: Suite, bank: Uint8Array, candidates: readonly BankConflict[]): Saga<BankConflict[]> {
  const news: BankConflict[] = []
  for (const conflict of candidates.filter(each => contradict(suite, each))) {
    if ((yield * scanAll(concat(CONFLICTS, bank))).length >= KEPT) break
    const halves = conflict.is === 'keysets' ? [encode(SignedKeyset, conflict.first), encode(SignedKeyset, conflict.second)] : [encode(SignedDayKey, conflict.first), encode(SignedDayKey, conflict.second)]
    // Of the same two, in whichever order they were seen, one proof.
    const name = suite.sha256(...halves.sort(compare))
    const { done } = yield * batch([{ op: 'insert', key: concat(CONFLICTS, bank, name), value: encode<BankConflict>(BankConflict, conflict) }])
    if (done) news.push(conflict)
  }
  return news
}

function holds (check: () => void): boolean {
  try {
    check()
    return true
  } catch (error) {
    if (isMixmintError(error)) return false
    throw error
  }
}
