/**
 * What banks have signed about their own keys, remembered by everybody who reads it: authorities, nodes, wallets. A bank that
 * shows one customer another keyset than the rest, or another token key for a day, has signed two descriptors where there may
 * be one, and the two are a proof that anyone can check (DESIGN §3). A saga engine that remembers nothing but in its store:
 *
 *   store   archive/bank/<bank 32>                 empty: something was seen of it
 *           archive/keyset/<bank 32><id 32>        SignedKeyset, the first time it was seen
 *           archive/day/<bank 32><u64 day>         SignedDayKey, likewise, until that day is long past
 *           archive/sealed/<bank 32><u64 day><unit>   SignedSealedKeys that the directory does not list, the first of them
 *           archive/conflict/<bank 32><hash 32>    BankConflict
 */
import { compare, concat, equal, u64, utf8 } from '../kit/bytes.ts'
import { encode } from '../kit/codec.ts'
import { isMixmintError, MixmintError } from '../kit/errors.ts'
import type { Meter } from '../kit/ports.ts'
import { batch, eachEntry, get, now, scanAll, type Saga } from '../kit/saga.ts'
import type { Suite } from '../crypto/suite.ts'
import { BankConflict, DayKey, SignedDayKey, SignedKeyset, SignedSealedKeys, type BankListing } from './formats.ts'
import { dayOf, keysetId, verifyDayKey, verifyKeyset } from './keyset.ts'
import { DAYS_LISTED } from './listing-policy.ts'
import { sealedKeysHash, verifySealedKeys } from './sealed-keys.ts'
import { stored } from './stored.ts'

const BANKS = utf8('archive/bank/')
const KEYSETS = utf8('archive/keyset/')
const DAYS = utf8('archive/day/')
const SEALED = utf8('archive/sealed/')
const CONFLICTS = utf8('archive/conflict/')
/** Of each bank; one that goes on lying cannot fill the disk. */
const KEPT = 16
const MOST_KEYSETS = 512
const MOST_BANKS = 64

/** Do these two contradict each other? They issue at one time, or are for one day, and are not the same. */
function contradict (suite: Suite, conflict: BankConflict): boolean {
  const [first, second] = signedIn(conflict)
  if (first.network !== second.network || !equal(first.bank, second.bank)) return false
  switch (conflict.is) {
    case 'dayKeys': return first.day === second.day && !equal(encode(DayKey, conflict.first.dayKey), encode(DayKey, conflict.second.dayKey))
    case 'sealedKeys': {
      const [one, other] = [conflict.first.keys, conflict.second.keys]
      return one.day === other.day && one.unit === other.unit && !equal(sealedKeysHash(suite, one), sealedKeysHash(suite, other))
    }
    case 'keysets': {
      const [one, other] = [conflict.first.keyset, conflict.second.keyset]
      return one.unit === other.unit && one.issueFrom < other.issueUntil && other.issueFrom < one.issueUntil && !equal(keysetId(suite, one), keysetId(suite, other))
    }
  }
}

/** Of which network, bank and day the two are; keysets are of no day. */
function signedIn (conflict: BankConflict): ReadonlyArray<{ readonly network: string, readonly bank: Uint8Array, readonly day?: number }> {
  switch (conflict.is) {
    case 'dayKeys': return [conflict.first.dayKey, conflict.second.dayKey]
    case 'sealedKeys': return [conflict.first.keys, conflict.second.keys]
    case 'keysets': return [conflict.first.keyset, conflict.second.keyset]
  }
}

/**
 * With nothing but the proof; whether that bank is yours, the caller decides.
 * @returns the bank's key, and its network
 * @throws bad-proof, bad-keyset, bad-day-key, bad-sealed-keys (peer)
 */
export function verifyBankConflict (suite: Suite, conflict: BankConflict): { readonly bank: Uint8Array, readonly network: string } {
  if (!contradict(suite, conflict)) throw new MixmintError('bad-proof', 'peer', 'this proves nothing against a bank: what it signed can stand side by side')
  const [{ network, bank }] = signedIn(conflict)
  switch (conflict.is) {
    case 'dayKeys': for (const signed of [conflict.first, conflict.second]) verifyDayKey(suite, network, bank, signed)
      break
    case 'sealedKeys': for (const signed of [conflict.first, conflict.second]) verifySealedKeys(suite, network, bank, signed)
      break
    case 'keysets': for (const signed of [conflict.first, conflict.second]) verifyKeyset(suite, network, bank, signed)
  }
  return { bank, network }
}

/**
 * Take up what a listing has signed of this network and its bank, whether or not anybody accepts it. What is kept of a bank is
 * bounded, by its number or by time: keys of days far from now are not. Results in the conflicts that are news.
 */
export function * archive (suite: Suite, network: string, meter: Meter, { bank, keysets, dayKeys }: BankListing): Saga<BankConflict[]> {
  const found: BankConflict[] = []
  if (!(yield * hasRoom(meter, bank))) return found
  const today = dayOf(yield * now())
  for (const signed of keysets) {
    if (!holds(() => { verifyKeyset(suite, network, bank, signed) })) continue
    const key = concat(KEYSETS, bank, keysetId(suite, signed.keyset))
    if ((yield * get(key)) !== null) continue
    const known = (yield * scanAll(concat(KEYSETS, bank))).map(({ value }) => stored(SignedKeyset, value))
    found.push(...yield * keep(suite, bank, known.map(first => ({ is: 'keysets', first, second: signed }))))
    if (known.length < MOST_KEYSETS) yield * batch([{ op: 'put', key, value: encode(SignedKeyset, signed) }])
  }
  for (const signed of dayKeys) {
    const { day } = signed.dayKey
    if (Math.abs(day - today) > DAYS_LISTED || !holds(() => { verifyDayKey(suite, network, bank, signed) })) continue
    const result = yield * batch([{ op: 'insert', key: concat(DAYS, bank, u64(day)), value: encode(SignedDayKey, signed) }])
    if (result.done) yield * forgetDays(concat(DAYS, bank), today)
    if (!result.done && result.found !== null) found.push(...yield * keep(suite, bank, [{ is: 'dayKeys', first: stored(SignedDayKey, result.found), second: signed }]))
  }
  for (const { is } of found) meter.count('bank_conflict', { is })
  return found
}

/**
 * Take up a set of keys of sealed tokens that the bank has shown. (The directory lists a hash; so it is who fetches sets that finds two.)
 * @param shown verified
 * @param listed the set of that day and unit that the directory lists: this one, or another that was fetched; null: it was not
 */
export function * archiveSealed (suite: Suite, meter: Meter, shown: SignedSealedKeys, listed: SignedSealedKeys | 'itself' | null): Saga<void> {
  const { bank, day, unit } = shown.keys
  const key = concat(SEALED, bank, u64(day), utf8(unit))
  const found = yield * get(key)
  const others = [...found === null ? [] : [stored(SignedSealedKeys, found)], ...listed === null || listed === 'itself' ? [] : [listed]]
  const news = yield * keep(suite, bank, others.map(first => ({ is: 'sealedKeys', first, second: shown })))
  for (const { is } of news) meter.count('bank_conflict', { is })
  if (found !== null || listed === 'itself' || Math.abs(day - dayOf(yield * now())) > DAYS_LISTED || !(yield * hasRoom(meter, bank))) return
  yield * batch([{ op: 'insert', key, value: encode(SignedSealedKeys, shown) }])
  yield * forgetDays(concat(SEALED, bank), dayOf(yield * now()))
}

/** Those of which nothing is taken up any more. @param prefix of keys that go on with their day */
function * forgetDays (prefix: Uint8Array, today: number): Saga<void> {
  yield * eachEntry(prefix, function * ({ key }) {
    if (Number(new DataView(key.buffer, key.byteOffset + prefix.length).getBigUint64(0)) >= today - DAYS_LISTED) return 'enough'
    yield * batch([{ op: 'delete', key }])
  })
}

/** Is it one of the banks that are kept, or can it become one? What is not kept is counted. */
function * hasRoom (meter: Meter, bank: Uint8Array): Saga<boolean> {
  if (yield * isArchived(bank)) return true
  if ((yield * scanAll(BANKS)).length >= MOST_BANKS) {
    meter.count('bank_not_archived')
    return false
  }
  yield * batch([{ op: 'put', key: concat(BANKS, bank), value: new Uint8Array(0) }])
  return true
}

/** Is what this bank signs kept here? Not where there were too many others before it. */
export function * isArchived (bank: Uint8Array): Saga<boolean> {
  return (yield * get(concat(BANKS, bank))) !== null
}

/** Every proof that is kept. */
export function * bankConflicts (): Saga<BankConflict[]> {
  return (yield * scanAll(CONFLICTS)).map(({ value }) => stored(BankConflict, value))
}

function * keep (suite: Suite, bank: Uint8Array, candidates: readonly BankConflict[]): Saga<BankConflict[]> {
  const news: BankConflict[] = []
  for (const conflict of candidates.filter(each => contradict(suite, each))) {
    if ((yield * scanAll(concat(CONFLICTS, bank))).length >= KEPT) break
    // Of the same two, in whichever order they were seen, one proof.
    const name = suite.sha256(...halves(conflict).sort(compare))
    const { done } = yield * batch([{ op: 'insert', key: concat(CONFLICTS, bank, name), value: encode<BankConflict>(BankConflict, conflict) }])
    if (done) news.push(conflict)
  }
  return news
}

function halves (conflict: BankConflict): [Uint8Array, Uint8Array] {
  switch (conflict.is) {
    case 'dayKeys': return [encode(SignedDayKey, conflict.first), encode(SignedDayKey, conflict.second)]
    case 'sealedKeys': return [encode(SignedSealedKeys, conflict.first), encode(SignedSealedKeys, conflict.second)]
    case 'keysets': return [encode(SignedKeyset, conflict.first), encode(SignedKeyset, conflict.second)]
  }
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
