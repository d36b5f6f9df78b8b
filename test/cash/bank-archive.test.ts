/** A bank that signs two descriptors for one time, or one day, is convicted by whoever has seen both. */
import { beforeEach, describe, expect, test } from 'vitest'
import { utf8 } from '@mixmint/core/kit/bytes'
import { drive, type Saga } from '@mixmint/core/kit/saga'
import { archive, archiveSealed, bankConflicts, isArchived, verifyBankConflict } from '@mixmint/core/cash/bank-archive'
import type { BankConflict, BankListing, DayKey, Keyset, SealedKeys, SignedSealedKeys } from '@mixmint/core/cash/formats'
import { signDayKey, signKeyset } from '@mixmint/core/cash/keyset'
import { SealedKeyring } from '@mixmint/core/cash/sealed-keyring'
import { armor } from '../../nodes/armor.ts'
import { verifyProofText } from '../../nodes/proof.ts'
import { codeOf } from '../doubles/code.ts'
import { createEconomy, DAY, keyNamed, NETWORK, never, sealedKeysOfDay, suite } from '../doubles/economy.ts'
import { MemoryStore } from '../doubles/memory-store.ts'

const economy = createEconomy()
const { bank, listing, signedKeyset } = economy
const keyset = (changes: Partial<Keyset>, by = bank): BankListing['keysets'][number] => signKeyset(suite, by, { ...signedKeyset.keyset, ...changes })
const dayKey = (changes: Partial<DayKey>, by = bank): BankListing['dayKeys'][number] => signDayKey(suite, by, { ...listing.dayKeys[0].dayKey, ...changes })

let store: MemoryStore
beforeEach(() => { store = new MemoryStore() })
const run = async <T>(saga: Saga<T>): Promise<T> => await drive(saga, economy.ports(store), never)
const see = async (changes: Partial<BankListing>): Promise<BankConflict[]> => await run(archive(suite, NETWORK, economy.meter, { ...listing, keysets: [], dayKeys: [], ...changes }))

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
  expect(verifyBankConflict(suite, conflict)).toEqual({ bank: bank.publicKey, network: NETWORK })
  expect(await see({ keysets: [signedKeyset, marked] })).toEqual([])
  store = new MemoryStore()
  expect((await see({ keysets: [marked, signedKeyset] })).length).toBe(1)
  expect(await verifyProofText(armor('bank', conflict))).toMatchObject({ kind: 'bank-conflict', conflict: 'keysets', bank: bank.publicKey })
})

test('so do two keys of one day, and a keyset that overlaps by a millisecond', async () => {
  await see({ dayKeys: [listing.dayKeys[0]] })
  const [conflict] = await see({ dayKeys: [dayKey({ key: keyNamed('mark').publicKey })] })
  expect(verifyBankConflict(suite, conflict)).toEqual({ bank: bank.publicKey, network: NETWORK })
  await see({ keysets: [signedKeyset] })
  expect((await see({ keysets: [keyset({ issueFrom: signedKeyset.keyset.issueUntil - 1, issueUntil: signedKeyset.keyset.issueUntil + DAY })] })).length).toBe(1)
  expect((await run(bankConflicts())).length).toBe(2)
})

test('so do two sets of keys for sealed tokens of one day, whichever was seen first, and whether or not the listed one was', async () => {
  const set = (changes: Partial<SealedKeys> = {}): SignedSealedKeys => sealedKeysOfDay(bank, economy.parameters, economy.sealed(0).keys.day, changes).signed
  const [right, mark] = [set(), set({ depositUntil: economy.sealed(0).keys.depositUntil + 1 })]
  const other = { ...mark, keys: { ...mark.keys, depositUntil: mark.keys.depositUntil + 1 } }
  const seeSet = async ({ shown, listed }: { shown: SignedSealedKeys, listed: SignedSealedKeys | 'itself' | null }): Promise<void> => { await run(archiveSealed(suite, economy.meter, shown, listed)) }
  const [good, marked] = [{ shown: right, listed: 'itself' as const }, { shown: mark, listed: null }]
  for (const [first, second] of [[good, { shown: mark, listed: right }], [marked, good], [marked, { shown: set({ refundAfter: mark.keys.refundAfter + 1 }), listed: null }]]) {
    store = new MemoryStore()
    await seeSet(first)
    expect(await run(bankConflicts())).toEqual([])
    for (let i = 0; i < 2; i++) await seeSet(second)
    const [conflict, ...more] = await run(bankConflicts())
    expect(more).toEqual([])
    expect(await verifyProofText(armor('bank', conflict))).toMatchObject({ kind: 'bank-conflict', conflict: 'sealedKeys', bank: bank.publicKey, network: NETWORK })
  }
  // One after another convicts nobody, nor does what is not signed, of another unit or day.
  for (const second of [right, sealedKeysOfDay(bank, economy.parameters, right.keys.day + 1).signed, set({ unit: 'USD-cent' }), other]) {
    expect(['bad-proof', 'bad-sealed-keys']).toContain(codeOf(() => { verifyBankConflict(suite, { is: 'sealedKeys', first: right, second }) }))
  }
  store = new MemoryStore()
  await seeSet({ shown: sealedKeysOfDay(bank, economy.parameters, right.keys.day + 17).signed, listed: null })
  expect(store.size).toBe(0)
})

test('what the bank has not signed convicts nobody', async () => {
  await see({ keysets: [signedKeyset] })
  expect(await see({ keysets: [{ ...keyset({ unit: 'EUR-cent', refundUntil: signedKeyset.keyset.refundUntil + 1 }), signature: new Uint8Array(64) }] })).toEqual([])
  expect(await see({ keysets: [keyset({ bank: keyNamed('other').publicKey }, keyNamed('other'))] })).toEqual([])
})

test('what is of another network, another bank or a day far away is not kept, nor more banks than there is room for', async () => {
  const sized = async (): Promise<number> => (await store.scan({ prefix: utf8('archive/'), limit: 10_000 })).length
  await see({ keysets: [signedKeyset], dayKeys: listing.dayKeys })
  const before = await sized()
  const other = keyNamed('other')
  await see({ keysets: [keyset({ network: 'other' }), keyset({ bank: other.publicKey }, other)] })
  const days = [-17, 17, 100].map(off => dayKey({ day: listing.dayKeys[0].dayKey.day + off }))
  await see({ dayKeys: [...days, dayKey({ network: 'other' }), dayKey({ bank: other.publicKey }, other)] })
  expect(await sized()).toBe(before)
  for (let i = 0; i < 80; i++) {
    const { publicKey, ...rest } = keyNamed(`bank ${i}`)
    await see({ bank: publicKey, dayKeys: [dayKey({ bank: publicKey }, { publicKey, ...rest })] })
  }
  // Each with its mark; 63 beside the first.
  expect(await sized()).toBe(before + 2 * 63)
  expect(economy.meter.of('bank_not_archived')).toBe(17)
  expect(await run(isArchived(keyNamed('bank 62').publicKey))).toBe(true)
  expect(await run(isArchived(keyNamed('bank 63').publicKey))).toBe(false)
})

test('keys of days long past are forgotten, and those of other days kept', async () => {
  const start = economy.clock.now()
  const today = listing.dayKeys[0].dayKey.day
  const kept = async (what: string): Promise<number> => (await store.scan({ prefix: utf8(`archive/${what}/`), limit: 10_000 })).length
  for (let i = 0; i < 60; i++) {
    economy.clock.set(start + i * DAY)
    await see({ dayKeys: [dayKey({ day: today + i })] })
    await run(archiveSealed(suite, economy.meter, sealedKeysOfDay(bank, economy.parameters, today + i).signed, null))
  }
  expect([await kept('day'), await kept('sealed')]).toEqual([17, 17])
  // A second one of a day that is kept convicts still.
  expect(await see({ dayKeys: [dayKey({ day: today + 44, key: keyNamed('mark').publicKey })] })).toHaveLength(1)
  economy.clock.set(start)
})

test('sets of keys of other units than a wallet\'s, of which there may be any number, are refused and not kept', async () => {
  const ring = new SealedKeyring({ suite, meter: economy.meter, network: NETWORK, bank: bank.publicKey, unit: economy.sealed(0).keys.unit })
  const { day } = economy.sealed(0).keys
  for (let i = 0; i < 5; i++) {
    await expect(run(ring.keep(economy.registry, [sealedKeysOfDay(bank, economy.parameters, day, { unit: `unit ${i}` }).signed]))).rejects.toMatchObject({ code: 'bad-sealed-keys' })
  }
  expect(store.size).toBe(0)
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
