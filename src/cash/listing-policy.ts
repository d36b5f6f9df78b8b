/**
 * What an authority asks of a bank's listing before it vouches for it (DESIGN §3): one issuing keyset of a unit at a time,
 * one token key a day (for sealed tokens: one set of keys, in which each value has one), and nothing taken back that
 * somebody may hold money under. So no customer can be given a key of his own, today or between two documents.
 */
import { equal, toHex } from '../kit/bytes.ts'
import { encode, type Codec } from '../kit/codec.ts'
import { isMixmintError } from '../kit/errors.ts'
import type { Millis } from '../kit/ports.ts'
import type { Suite } from '../crypto/suite.ts'
import { DayKey, Revocation, Ring, SealedDay, SignedDayKey, SignedKeyset, type BankListing } from './formats.ts'
import { verifyRevocations } from './center-proof.ts'
import { dayOf, keysetId, verifyDayKey, verifyKeyset } from './keyset.ts'
import { RingMap } from './ring.ts'

/** Keys of days are listed within so many days of now: a bank that lists more fills the disks of all who keep what it signs. */
export const DAYS_LISTED = 16

/** What is listed otherwise of a bank. */
export interface ListedBefore {
  /** What its other peers list. */
  readonly beside: readonly BankListing[]
  /** What was listed for it before, by all its peers together; undefined: nothing. */
  readonly previous: BankListing | undefined
  /** By the authority's clock. */
  readonly now: Millis
}

/** @returns null, or for people why the listing is refused */
export function checkListing (suite: Suite, network: string, body: BankListing, { beside, previous, now }: ListedBefore): string | null {
  try {
    return unverified(suite, network, body) ?? untimely(body, now) ?? ambiguous(body) ??
      (beside.length === 0 ? null : ambiguous(together([body, ...beside]))) ?? (previous === undefined ? null : takenBack(suite, body, previous, now))
  } catch (error) {
    if (isMixmintError(error)) return error.message
    throw error
  }
}

/** @throws bad-ring, bad-keyset, bad-day-key, and those of verifyRevocations (peer) */
function unverified (suite: Suite, network: string, body: BankListing): string | null {
  const { bank, keysets, rings, dayKeys } = body
  const maps = rings.map(ring => new RingMap(suite, ring))
  const listed = new Set(maps.map(({ id }) => toHex(id)))
  for (const signed of keysets) {
    verifyKeyset(suite, network, bank, signed)
    if (!listed.has(toHex(signed.keyset.ringId))) return 'a keyset names a ring that is not listed'
  }
  for (const signed of dayKeys) verifyDayKey(suite, network, bank, signed)
  verifyRevocations(suite, network, body, maps)
  return null
}

/** What several peers of one bank list, as one listing: what they say alike stands in it once. @param listings at least one */
export function together (listings: readonly BankListing[]): BankListing {
  const once = <T>(codec: Codec<T>, all: readonly T[]): T[] => [...new Map(all.map(each => [toHex(encode(codec, each)), each])).values()]
  return {
    bank: listings[0].bank,
    keysets: once(SignedKeyset, listings.flatMap(({ keysets }) => keysets)), rings: once(Ring, listings.flatMap(({ rings }) => rings)),
    dayKeys: once(SignedDayKey, listings.flatMap(({ dayKeys }) => dayKeys)), sealedDays: once(SealedDay, listings.flatMap(({ sealedDays }) => sealedDays)),
    revocations: once(Revocation, listings.flatMap(({ revocations }) => revocations))
  }
}

function untimely ({ dayKeys, sealedDays }: BankListing, now: Millis): string | null {
  const far = [...dayKeys.map(({ dayKey }) => dayKey.day), ...sealedDays.map(({ day }) => day)].find(day => Math.abs(day - dayOf(now)) > DAYS_LISTED)
  return far === undefined ? null : `a key for tokens is of day ${far}, more than ${DAYS_LISTED} days from now`
}

function ambiguous ({ keysets, dayKeys, sealedDays, revocations }: BankListing): string | null {
  for (const [i, { keyset: one }] of keysets.entries()) {
    for (const { keyset: other } of keysets.slice(i + 1)) {
      if (one.unit === other.unit && one.issueFrom < other.issueUntil && other.issueFrom < one.issueUntil) {
        return `two keysets of the unit ${one.unit} issue at the same time`
      }
    }
  }
  if (new Set(dayKeys.map(({ dayKey }) => dayKey.day)).size !== dayKeys.length) return 'a day has two token keys'
  if (new Set(sealedDays.map(({ unit, day }) => `${day} ${unit}`)).size !== sealedDays.length) return 'a day has two sets of keys for sealed tokens'
  if (new Set(revocations.map(({ voteKey }) => toHex(voteKey))).size !== revocations.length) return 'a vote key is revoked twice'
  return null
}

function takenBack (suite: Suite, body: BankListing, previous: BankListing, now: Millis): string | null {
  const ids = new Set(body.keysets.map(({ keyset }) => toHex(keysetId(suite, keyset))))
  for (const { keyset } of previous.keysets) {
    if (now < keyset.refundUntil && !ids.has(toHex(keysetId(suite, keyset)))) return 'a keyset is missing whose coins can still be refunded'
  }
  const days = new Map(body.dayKeys.map(({ dayKey }) => [dayKey.day, dayKey]))
  for (const { dayKey: before } of previous.dayKeys) {
    const after = days.get(before.day)
    if (after === undefined) {
      if (now < before.validUntil) return `the token key of day ${before.day} is missing, which is still valid`
    } else if (!equal(encode(DayKey, after), encode(DayKey, before))) {
      return `the token key of day ${before.day} was replaced`
    }
  }
  for (const before of previous.sealedDays) {
    const after = body.sealedDays.find(({ unit, day }) => unit === before.unit && day === before.day)
    if (after === undefined) {
      if (now < before.notAfter) return `the keys for sealed tokens of day ${before.day} are missing, which are still valid`
    } else if (!equal(after.keys, before.keys) || after.notAfter !== before.notAfter) {
      return `the keys for sealed tokens of day ${before.day} were replaced`
    }
  }
  const revoked = new Map(body.revocations.map(({ voteKey, from }) => [toHex(voteKey), from]))
  const inUse = new Set(body.rings.flatMap(({ centers }) => centers.map(({ voteKey }) => toHex(voteKey))))
  for (const { voteKey, from } of previous.revocations) {
    if (inUse.has(toHex(voteKey)) && revoked.get(toHex(voteKey)) !== from) return 'the revocation of a vote key was taken back, or its date changed'
  }
  return null
}
