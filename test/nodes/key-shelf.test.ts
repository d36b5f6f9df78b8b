/** Keysets of a bank of two processes: one is made for each time, whoever is first, and both hold it. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { copyFile, mkdir, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { toHex, utf8 } from '@mixmint/core/kit/bytes'
import type { BankListing } from '@mixmint/core/cash/formats'
import { keysetId } from '@mixmint/core/cash/keyset'
import { BankKeys, type KeysetTerms } from '../../nodes/bank-keys.ts'
import { KeyShelf } from '../../nodes/key-shelf.ts'
import { createEconomy, DAY, NETWORK, START, suite } from '../doubles/economy.ts'
import { MemoryStore } from '../doubles/memory-store.ts'
import { signer } from '../doubles/signer.ts'

const { ring } = createEconomy()
const terms: KeysetTerms = { unit: 'cent', denominations: 1, ring: () => ring, periods: { issue: 10 * DAY, spend: 10 * DAY, redeem: 10 * DAY, refund: 10 * DAY, ahead: 3 * DAY } }
let root: string
let store: MemoryStore
beforeEach(() => { root = mkdtempSync(join(tmpdir(), 'mixmint-shelf-')); store = new MemoryStore() })
afterEach(() => { rmSync(root, { recursive: true }) })

async function processIn (name: string): Promise<BankKeys> {
  const dir = join(root, name)
  await mkdir(dir, { recursive: true, mode: 0o700 })
  await writeFile(join(dir, 'bank.key'), `${'ab'.repeat(32)}\n`, { mode: 0o600 })
  const keys = BankKeys.open(suite, NETWORK, dir, ring, signer())
  keys.share(new KeyShelf(suite, keys.identity.secret, store))
  return keys
}
const idsOf = (keys: BankKeys, now: number): string[] => keys.keysets(now).map(({ keyset }) => toHex(keysetId(suite, keyset)))

test('of two that make one at the same time one wins, and both sign with it', async () => {
  const [one, two] = [await processIn('one'), await processIn('two')]
  for (const now of [START, START + 8 * DAY, START + 18 * DAY]) {
    await Promise.all([one.prepare(terms, now), two.prepare(terms, now)])
    // Who lost learns of what else was made when it looks again.
    await Promise.all([one.prepare(terms, now), two.prepare(terms, now)])
    expect(idsOf(one, now)).toEqual(idsOf(two, now))
  }
  expect(idsOf(one, START).length).toBe(3)
  const blinded = new Uint8Array(256).fill(1)
  for (const { keyset } of one.keysets(START)) {
    const id = keysetId(suite, keyset)
    expect(await two.blindSign(id, 1, blinded)).toEqual(await one.blindSign(id, 1, blinded))
  }
  const files = (name: string): string[] => readdirSync(join(root, name)).filter(file => file !== 'bank.key').sort()
  expect(files('one')).toEqual(files('two'))
})

test('a process that comes later, or has lost its files, has them from the store; nobody reads them there without the bank\'s key', async () => {
  const one = await processIn('one')
  await one.prepare(terms, START)
  const later = await processIn('later')
  await later.prepare(terms, START)
  expect(idsOf(later, START)).toEqual(idsOf(one, START))
  const [file] = readdirSync(join(root, 'one')).filter(name => name.startsWith('keyset-'))
  const key = (JSON.parse(readFileSync(join(root, 'one', file), 'utf8')) as { keys: string[] }).keys[0]
  for (const { value } of await store.scan({ prefix: new Uint8Array(0), limit: 100 })) {
    const held = Buffer.from(value)
    expect(held.includes(Buffer.from(key.slice(0, 64), 'hex')) || held.includes(key.slice(0, 64))).toBe(false)
  }
  await expect(new KeyShelf(suite, utf8('another'.padEnd(32)), store).read('keyset/cent/0')).rejects.toMatchObject({ code: 'key-shelf-broken', fault: 'operator' })
})

test('keysets that were made before the store was shared are put there; others under the same number are refused', async () => {
  const alone = BankKeys.open(suite, NETWORK, join(root, (await mkdir(join(root, 'alone'), { mode: 0o700 }), 'alone')), ring, signer())
  await alone.prepare(terms, START)
  const dir = join(root, 'one')
  await mkdir(dir, { mode: 0o700 })
  for (const file of readdirSync(join(root, 'alone'))) await copyFile(join(root, 'alone', file), join(dir, file))
  const one = BankKeys.open(suite, NETWORK, dir, ring, signer())
  one.share(new KeyShelf(suite, one.identity.secret, store))
  await one.prepare(terms, START)
  expect(idsOf(one, START)).toEqual(idsOf(alone, START))

  // The same bank, whose folder made a keyset of its own meanwhile.
  const other = join(root, 'other')
  await mkdir(other, { mode: 0o700 })
  await copyFile(join(dir, 'bank.key'), join(other, 'bank.key'))
  const apart = BankKeys.open(suite, NETWORK, other, ring, signer())
  await apart.prepare(terms, START)
  apart.share(new KeyShelf(suite, apart.identity.secret, store))
  await expect(apart.prepare(terms, START)).rejects.toMatchObject({ code: 'keysets-differ', fault: 'operator' })
})

test('a lost keyset that is put back, after a later one was made, stands on the shelf behind it, and every process has both', async () => {
  const before = await processIn('bank')
  await before.prepare(terms, START)
  const [file] = readdirSync(join(root, 'bank')).filter(name => name.startsWith('keyset-'))
  const listed: BankListing = { bank: before.identity.publicKey, keysets: before.keysets(START), rings: before.rings(START), dayKeys: [], sealedDays: [], revocations: [] }
  // Folder and store are gone.
  store = new MemoryStore()
  const later = START + 8 * DAY
  await (await processIn('anew')).prepare(terms, later, [listed])
  await copyFile(join(root, 'bank', file), join(root, 'anew', file))
  const whole = await processIn('anew')
  await whole.prepare(terms, later)
  await whole.prepare(terms, later)
  expect([whole.lost(later), idsOf(whole, later).length]).toEqual([[], 2])
  const other = await processIn('other')
  await other.prepare(terms, later)
  expect(idsOf(other, later)).toEqual(idsOf(whole, later))
  await Promise.all([whole.prepare(terms, later + 10 * DAY), other.prepare(terms, later + 10 * DAY)])
  await whole.prepare(terms, later + 10 * DAY)
  expect([idsOf(whole, later).length, idsOf(other, later)]).toEqual([3, idsOf(whole, later)])
})
