/** The keys of sealed tokens of a bank that has lost some: a day has one set, whatever the bank has forgotten. */
import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { BankListing } from '@mixmint/core/cash/formats'
import { dayOf } from '@mixmint/core/cash/keyset'
import { checkListing } from '@mixmint/core/cash/listing-policy'
import { KeyShelf } from '../../nodes/key-shelf.ts'
import { BankSealedKeys } from '../../nodes/sealed-keys.ts'
import { createEconomy, DAY, NETWORK, START, suite } from '../doubles/economy.ts'
import { MemoryStore } from '../doubles/memory-store.ts'
import { signer } from '../doubles/signer.ts'

const { bank, listing } = createEconomy()
const TODAY = dayOf(START)
const BLINDED = new Uint8Array(256).fill(1)
let root: string
beforeEach(() => { root = mkdtempSync(join(tmpdir(), 'mixmint-sealed-')) })
afterEach(() => { rmSync(root, { recursive: true }) })

const open = (dir: string, store: MemoryStore | null = null): BankSealedKeys => new BankSealedKeys(suite, signer(), bank, {
  network: NETWORK, unit: 'cent', dir, shelf: store === null ? null : new KeyShelf(suite, bank.secret, store), passphrase: null
})
const folder = (name: string): string => {
  const dir = join(root, name)
  cpSync(mkdtempSync(join(root, 'new-')), dir, { recursive: true })
  return dir
}
/** As the daemon does it. */
const make = async (keys: BankSealedKeys, now: number, days: number): Promise<void> => {
  for (let day = keys.missing(now, days); day !== null; day = keys.missing(now, days)) await keys.make(day, 1)
}
const listed = (keys: BankSealedKeys, now: number): BankListing => ({ ...listing, keysets: [], rings: [], dayKeys: [], sealedDays: keys.days(now) })

test('a folder from an old copy lists what was listed, word for word, and makes other keys for none of those days', async () => {
  const dir = folder('bank')
  const keys = open(dir)
  await make(keys, START, 1)
  cpSync(dir, join(root, 'copy'), { recursive: true })
  const later = START + 2 * DAY
  await make(keys, later, 1)
  const before = listed(keys, later)
  expect(before.sealedDays.map(({ day }) => day - TODAY)).toEqual([0, 1, 2, 3])

  const restored = open(join(root, 'copy'))
  restored.follow(before.sealedDays)
  expect(restored.lost(later)).toEqual([TODAY + 2, TODAY + 3])
  await make(restored, later, 2)
  await restored.make(TODAY + 3, 1)
  expect(readdirSync(join(root, 'copy')).filter(name => name.startsWith(`sealed-${TODAY + 3}-`))).toEqual([])
  const after = listed(restored, later)
  expect(after.sealedDays.slice(0, 4)).toEqual(before.sealedDays)
  expect(after.sealedDays.map(({ day }) => day - TODAY)).toEqual([0, 1, 2, 3, 4])
  expect(checkListing(suite, NETWORK, after, { beside: [], previous: before, now: later })).toBeNull()
  expect(await restored.blindSign(before.sealedDays[2].keys, 1, BLINDED)).toBeNull()
  expect(await restored.blindSign(after.sealedDays[4].keys, 1, BLINDED)).toHaveLength(256)

  // What it was told stays: when it drops out of the directory, and when it starts while the directory does not name it.
  restored.follow([])
  for (const one of [restored, open(join(root, 'copy'))]) expect([one.days(later), one.lost(later)]).toEqual([after.sealedDays, [TODAY + 2, TODAY + 3]])

  // It had made others before it knew: what stands in the directory counts, and it stands there until it has ended.
  const hasty = open(folder('hasty'))
  await hasty.make(TODAY + 2, 1)
  hasty.follow(before.sealedDays)
  expect(hasty.days(later)).toEqual(before.sealedDays)
  expect(hasty.days(START + 100 * DAY)).toEqual([])
  const noted = (): number => readdirSync(join(root, 'hasty')).filter(name => name.startsWith('lost-')).length
  expect(noted()).toBe(4)
  hasty.retire(START + 100 * DAY)
  expect(noted()).toBe(0)

  // Put back, they sign again.
  cpSync(dir, join(root, 'copy'), { recursive: true })
  const whole = open(join(root, 'copy'))
  whole.follow(before.sealedDays)
  expect(whole.lost(later)).toEqual([])
  expect(await whole.blindSign(before.sealedDays[2].keys, 1, BLINDED)).toHaveLength(256)
})

test('a process in a fresh folder has the sets of the others from the store they share, those of the past too', async () => {
  const store = new MemoryStore()
  const one = open(folder('one'), store)
  await make(one, START, 1)
  const later = START + 9 * DAY
  await make(one, later, 1)
  const two = open(folder('two'), store)
  await two.learn(TODAY, TODAY + 10, later)
  expect(two.days(START)).toEqual(one.days(START))
  for (const { keys } of one.days(START)) expect(two.find(keys)?.keys).toEqual(one.find(keys)?.keys)
  expect(await two.blindSign(one.days(later)[0].keys, 1, BLINDED)).toHaveLength(256)
  // Of days that have ended nobody needs the private halves.
  const files = readdirSync(join(root, 'two'))
  expect([files.filter(name => name.endsWith('.json')).length, files.filter(name => name.endsWith('.keys')).length]).toEqual([4, 2])
  await expect(two.blindSign(one.days(START)[0].keys, 1, BLINDED)).rejects.toMatchObject({ code: 'token-expired' })
})

test('keys whose day is over are forgotten by whoever signs, too', async () => {
  const kept = signer()
  const dropped: number[] = []
  const keys = new BankSealedKeys(suite, { ...kept, drop: key => { dropped.push(key.number); kept.drop(key) } }, bank, { network: NETWORK, unit: 'cent', dir: folder('bank'), shelf: null, passphrase: null })
  await make(keys, START, 1)
  keys.retire(START)
  expect(dropped).toEqual([])
  keys.retire(START + 2 * DAY)
  expect(dropped).toEqual([0])
})

test('asked for one day from two sides at once, it makes one set', async () => {
  const keys = open(folder('bank'))
  await Promise.all([keys.make(TODAY, 1), keys.make(TODAY, 1)])
  expect(keys.days(START)).toHaveLength(1)
})
