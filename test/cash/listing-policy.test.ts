import { expect, test } from 'vitest'
import type { BankListing, DayKey, Keyset } from '@mixmint/core/cash/formats'
import { signDayKey, signKeyset } from '@mixmint/core/cash/keyset'
import { checkListing } from '@mixmint/core/cash/listing-policy'
import { createEconomy, DAY, HOUR, keyNamed, NETWORK, START, suite } from '../doubles/economy.ts'

const { listing, bank, signedKeyset, ring } = createEconomy()
const keyset = (changes: Partial<Keyset>): BankListing['keysets'][number] => signKeyset(suite, bank, { ...signedKeyset.keyset, ...changes })
const dayKey = (changes: Partial<DayKey>): BankListing['dayKeys'][number] => signDayKey(suite, bank, { ...listing.dayKeys[0].dayKey, ...changes })
const check = (body: Partial<BankListing>, previous?: BankListing, now = START): string | null => checkListing(suite, NETWORK, { ...listing, ...body }, previous, now)

test('a listing in order is accepted, first and again', () => {
  expect(check({})).toBeNull()
  expect(check({}, listing)).toBeNull()
})

test('what does not verify is refused', () => {
  expect(check({ keysets: [{ ...signedKeyset, signature: new Uint8Array(64) }] })).toContain('signature')
  expect(check({ dayKeys: [{ ...listing.dayKeys[0], signature: new Uint8Array(64) }] })).toContain('signature')
  expect(check({ bank: keyNamed('other').publicKey })).toContain('another bank')
  expect(checkListing(suite, 'other', listing, undefined, START)).toContain('another network')
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
  const next = keyset({ issueFrom: refundUntil, issueUntil: refundUntil + 1, spendUntil: refundUntil + 2, redeemUntil: refundUntil + 3, refundUntil: refundUntil + 4 })
  expect(check({ keysets: [next] }, listing, refundUntil - 1)).toContain('missing')
  expect(check({ keysets: [next] }, listing, refundUntil)).toBeNull()
  expect(check({ keysets: [keyset({ refundUntil: refundUntil + 1 })] }, listing)).toContain('missing')
})

test('a day key, once listed, is not replaced, and not dropped before it ends', () => {
  const [first, ...rest] = listing.dayKeys
  expect(check({ dayKeys: [dayKey({ key: keyNamed('mark').publicKey }), ...rest] }, listing)).toContain('replaced')
  expect(check({ dayKeys: [dayKey({ validUntil: first.dayKey.validUntil + HOUR }), ...rest] }, listing)).toContain('replaced')
  expect(check({ dayKeys: rest }, listing, first.dayKey.validUntil - 1)).toContain('missing')
  expect(check({ dayKeys: rest }, listing, first.dayKey.validUntil)).toBeNull()
})

test('a listing does not go over to another bank', () => {
  const other = keyNamed('other')
  const theirs = { bank: other.publicKey, keysets: [], rings: [], dayKeys: [], sealedDays: [], revocations: [] }
  expect(checkListing(suite, NETWORK, theirs, { ...theirs, bank: bank.publicKey }, START)).toContain('another key')
})
