/** A bank that signs two descriptors for one time, or one day, is convicted by whoever has seen both. */
import { beforeEach, describe, expect, test } from 'vitest'
import { drive, type Saga } from '@mixmint/core/kit/saga'
import { archive, bankConflicts, verifyBankConflict } from '@mixmint/core/cash/bank-archive'
import type { BankConflict, BankListing, DayKey, Keyset } from '@mixmint/core/cash/formats'
import { signDayKey, signKeyset } from '@mixmint/core/cash/keyset'
import { armor } from '../../nodes/armor.ts'
import { verifyProofText } from '../../nodes/proof.ts'
import { codeOf } from '../doubles/code.ts'
import { createEconomy, DAY, keyNamed, never, suite } from '../doubles/economy.ts'
import { MemoryStore } from '../doubles/memory-store.ts'

const economy = createEconomy()
const { bank, listing, signedKeyset } = economy
const keyset = (changes: Partial<Keyset>, by = bank): BankListing['keysets'][number] => signKeyset(suite, by, { ...signedKeyset.keyset, ...changes })
const dayKey = (changes: Partial<DayKey>, by = bank): BankListing['dayKeys'][number] => signDayKey(suite, by, { ...listing.dayKeys[0].dayKey, ...changes })

let store: MemoryStore
beforeEach(() => { store = new MemoryStore() })
const run = async <T>(saga: Saga<T>): Promise<T> => await drive(saga, economy.ports(store), never)
const see = async (changes: Partial<BankListing>): Promise<BankConflict[]> => await run(archive(suite, economy.meter, { ...listing, keysets: [], dayKeys: [], ...changes }))

test('what follows one another, again and again, is no conflict', async () => {
  const { issueUntil, spendUntil } = signedKeyset.keyset
  const next = keyset({ issueFrom: issueUntil, issueUntil: spendUntil - 1 })
  for (let i = 0; i < 2; i++) {
    expect(await see({ keysets: [signedKeyset], dayKeys: listing.dayKeys })).toEqual([])
    expect(await see({ keysets: [signedKeyset, next, keyset({ unit: 'USD-cent' })], dayKeys: listing.dayKeys })).toEqual([])
  }
  expect(await run(bankConflicts())).toEqual([])
})

test('a keyset shown to one customer convicts its bank, in two listings as in one, once', async () => {
  const marked = keyset({ denominations: signedKeyset.keyset.denominations.slice(1) })
  await see({ keysets: [signedKeyset] })
  const [conflict] = await see({ keysets: [marked] })
  expect(verifyBankConflict(suite, conflict)).toEqual(bank.publicKey)
  expect(await see({ keysets: [signedKeyset, marked] })).toEqual([])
  store = new MemoryStore()
  expect((await see({ keysets: [marked, signedKeyset] })).length).toBe(1)
  expect(await verifyProofText(armor('bank', conflict))).toMatchObject({ kind: 'bank-conflict', conflict: 'keysets', bank: bank.publicKey })
})

test('so do two keys of one day, and a keyset that overlaps by a millisecond', async () => {
  await see({ dayKeys: [listing.dayKeys[0]] })
  const [conflict] = await see({ dayKeys: [dayKey({ key: keyNamed('mark').publicKey })] })
  expect(verifyBankConflict(suite, conflict)).toEqual(bank.publicKey)
  await see({ keysets: [signedKeyset] })
  expect((await see({ keysets: [keyset({ issueFrom: signedKeyset.keyset.issueUntil - 1, issueUntil: signedKeyset.keyset.issueUntil + DAY })] })).length).toBe(1)
  expect((await run(bankConflicts())).length).toBe(2)
})

test('what the bank has not signed convicts nobody', async () => {
  await see({ keysets: [signedKeyset] })
  expect(await see({ keysets: [{ ...keyset({ unit: 'EUR-cent', refundUntil: signedKeyset.keyset.refundUntil + 1 }), signature: new Uint8Array(64) }] })).toEqual([])
  expect(await see({ keysets: [keyset({ bank: keyNamed('other').publicKey }, keyNamed('other'))] })).toEqual([])
})

test('one that goes on and on does not fill the disk', async () => {
  for (let i = 0; i < 30; i++) await see({ keysets: [keyset({ refundUntil: signedKeyset.keyset.refundUntil + i })] })
  expect((await run(bankConflicts())).length).toBe(16)
})

describe('is refused as a proof', () => {
  const other = keyset({ refundUntil: signedKeyset.keyset.refundUntil + 1 })
  test.each<[string, BankConflict]>([
    ['one keyset twice', { is: 'keysets', first: signedKeyset, second: signedKeyset }],
    ['keysets of two units', { is: 'keysets', first: signedKeyset, second: keyset({ unit: 'USD-cent' }) }],
    ['keysets that follow one another', { is: 'keysets', first: signedKeyset, second: keyset({ issueFrom: signedKeyset.keyset.issueUntil, issueUntil: signedKeyset.keyset.issueUntil + 1 }) }],
    ['a keyset that another signed', { is: 'keysets', first: signedKeyset, second: { ...other, signature: signedKeyset.signature } }],
    ['keysets of two networks', { is: 'keysets', first: signedKeyset, second: keyset({ network: 'other' }) }],
    ['keys of two days', { is: 'dayKeys', first: listing.dayKeys[0], second: listing.dayKeys[1] }],
    ['a day key that another signed', { is: 'dayKeys', first: listing.dayKeys[0], second: dayKey({ key: keyNamed('mark').publicKey }, keyNamed('other')) }]
  ])('%s', (_, conflict) => { expect(['bad-proof', 'bad-keyset', 'bad-day-key']).toContain(codeOf(() => { verifyBankConflict(suite, conflict) })) })
})
