import { expect, test } from 'vitest'
import type { BankListing, DayKey, Keyset } from '@mixmint/core/cash/formats'
import { signDayKey, signKeyset } from '@mixmint/core/cash/keyset'
import { checkListing, together } from '@mixmint/core/cash/listing-policy'
import { createEconomy, DAY, HOUR, keyNamed, NETWORK, START, suite } from '../doubles/economy.ts'

const { listing: all, bank, signedKeyset, ring } = createEconomy()
/** A week ahead. */
const listing = { ...all, sealedDays: all.sealedDays.slice(0, 8) }
const keyset = (changes: Partial<Keyset>): BankListing['keysets'][number] => signKeyset(suite, bank, { ...signedKeyset.keyset, ...changes })
const dayKey = (changes: Partial<DayKey>): BankListing['dayKeys'][number] => signDayKey(suite, bank, { ...listing.dayKeys[0].dayKey, ...changes })
const check = (body: Partial<BankListing>, previous?: BankListing, now = START): string | null => checkListing(suite, NETWORK, { ...listing, ...body }, { beside: [], previous, now })

test('a listing in order is accepted, first and again', () => {
  expect(check({})).toBeNull()
  expect(check({}, listing)).toBeNull()
})

test('what does not verify is refused', () => {
  expect(check({ keysets: [{ ...signedKeyset, signature: new Uint8Array(64) }] })).toContain('signature')
  expect(check({ dayKeys: [{ ...listing.dayKeys[0], signature: new Uint8Array(64) }] })).toContain('signature')
  expect(check({ bank: keyNamed('other').publicKey })).toContain('another bank')
  expect(checkListing(suite, 'other', listing, { beside: [], previous: undefined, now: START })).toContain('another network')
  expect(check({ rings: [] })).toContain('ring')
  expect(check({ rings: [{ ...ring, quorum: 2 }] })).toContain('quorum')
})

test('one keyset of a unit issues at a time', () => {
  const { issueUntil, spendUntil } = signedKeyset.keyset
  expect(check({ keysets: [signedKeyset, keyset({ issueFrom: issueUntil - 1, issueUntil: issueUntil + DAY })] })).toContain('same time')
  expect(check({ keysets: [keyset({ issueFrom: START, issueUntil: START + 1 }), signedKeyset] })).toContain('same time')
  expect(check({ keysets: [signedKeyset, signedKeyset] })).toContain('same time')
  const next = keyset({ issueFrom: issueUntil, issueUntil: spendUntil - 1 })
  expect(check({ keysets: [signedKeyset, next] })).toBeNull()
  expect(check({ keysets: [next, signedKeyset] })).toBeNull()
  expect(check({ keysets: [signedKeyset, keyset({ unit: 'USD-cent' })] })).toBeNull()
})

test('a day has one token key', () => {
  const [first] = listing.dayKeys
  expect(check({ dayKeys: [first, dayKey({ key: keyNamed('mark').publicKey })] })).toContain('two token keys')
  expect(check({ dayKeys: [first, first] })).toContain('two token keys')
})

test('a keyset stays until its refundUntil', () => {
  const { refundUntil } = signedKeyset.keyset
  const none = { dayKeys: [], sealedDays: [] }
  const next = keyset({ issueFrom: refundUntil, issueUntil: refundUntil + 1, spendUntil: refundUntil + 2, redeemUntil: refundUntil + 3, refundUntil: refundUntil + 4 })
  expect(check({ keysets: [next], ...none }, listing, refundUntil - 1)).toContain('missing')
  expect(check({ keysets: [next], ...none }, { ...listing, ...none }, refundUntil)).toBeNull()
  expect(check({ keysets: [keyset({ refundUntil: refundUntil + 1 })] }, listing)).toContain('missing')
})

test('a day key, once listed, is not replaced, and not dropped before it ends', () => {
  const [first, ...rest] = listing.dayKeys
  expect(check({ dayKeys: [dayKey({ key: keyNamed('mark').publicKey }), ...rest] }, listing)).toContain('replaced')
  expect(check({ dayKeys: [dayKey({ validUntil: first.dayKey.validUntil + HOUR }), ...rest] }, listing)).toContain('replaced')
  expect(check({ dayKeys: rest }, listing, first.dayKey.validUntil - 1)).toContain('missing')
  expect(check({ dayKeys: rest }, listing, first.dayKey.validUntil)).toBeNull()
})

test('keys of days far away are not listed', () => {
  const [day] = listing.sealedDays
  for (const off of [-17, 17]) {
    expect(check({ dayKeys: [dayKey({ day: listing.dayKeys[0].dayKey.day + off })] })).toContain('16 days')
    expect(check({ sealedDays: [{ ...day, day: day.day + off }] })).toContain('16 days')
  }
  expect(check({ dayKeys: [dayKey({ day: listing.dayKeys[0].dayKey.day + 16 })], sealedDays: [{ ...day, day: day.day - 16 }] })).toBeNull()
})

test('several peers of a bank list what can stand side by side, and each of them all that any has listed', () => {
  const beside = (changes: Partial<BankListing>, body: Partial<BankListing> = {}): string | null =>
    checkListing(suite, NETWORK, { ...listing, ...body }, { beside: [{ ...listing, ...changes }], previous: undefined, now: START })
  const [first, ...rest] = listing.dayKeys
  const [sealed] = listing.sealedDays
  const next = keyset({ issueFrom: signedKeyset.keyset.issueUntil, issueUntil: signedKeyset.keyset.spendUntil - 1 })
  expect(beside({})).toBeNull()
  expect(beside({ keysets: [signedKeyset, next], dayKeys: rest, sealedDays: [] })).toBeNull()
  expect(beside({ keysets: [keyset({ refundUntil: signedKeyset.keyset.refundUntil + 1 })] })).toContain('same time')
  expect(beside({ dayKeys: [dayKey({ key: keyNamed('mark').publicKey }), ...rest] })).toContain('two token keys')
  expect(beside({ sealedDays: [{ ...sealed, keys: first.dayKey.key }] })).toContain('two sets')
  expect(check({}, together([listing, { ...listing, keysets: [signedKeyset, next] }]))).toContain('missing')
  expect(check({ keysets: [signedKeyset, next] }, together([listing, { ...listing, keysets: [signedKeyset, next] }]))).toBeNull()
})
