/** The bank's keysets on disk: made ahead, one after another, each with the ring that was right when it was made. */
import { mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { toHex } from '@mixmint/core/kit/bytes'
import type { BankListing, Ring } from '@mixmint/core/cash/formats'
import { keysetId } from '@mixmint/core/cash/keyset'
import { checkListing } from '@mixmint/core/cash/listing-policy'
import { ringId } from '@mixmint/core/cash/ring'
import { BankKeys, type KeysetTerms } from '../../nodes/bank-keys.ts'
import { ringText } from '../../nodes/ring-file.ts'
import { createEconomy, DAY, NETWORK, START, suite } from '../doubles/economy.ts'
import { signer } from '../doubles/signer.ts'

const old = createEconomy().ring
/** The first center is replaced by another. */
const changed: Ring = { ...old, centers: [{ id: suite.sha256(Uint8Array.of(9)), voteKey: suite.sha256(Uint8Array.of(8)), weight: 1 }, ...old.centers.slice(1)] }
let dir: string
let ring: Ring
beforeEach(() => { dir = mkdtempSync(join(tmpdir(), 'mixmint-bank-')); ring = old })
afterEach(() => { rmSync(dir, { recursive: true }) })

const terms: KeysetTerms = {
  unit: 'cent', denominations: 1, ring: () => ring, periods: { issue: 10 * DAY, spend: 10 * DAY, redeem: 10 * DAY, refund: 10 * DAY, ahead: 3 * DAY }
}
const open = (): BankKeys => BankKeys.open(suite, NETWORK, dir, ring, signer())
const listing = (keys: BankKeys, now: number): BankListing => ({ bank: keys.identity.publicKey, keysets: keys.keysets(now), rings: keys.rings(now), dayKeys: keys.dayKeys(now), sealedDays: [], revocations: [] })

test('over months each listing stands beside the one before; a change of ring comes with the next keyset, and old rings stay', async () => {
  let keys = open()
  let previous: BankListing | undefined
  for (let day = 0; day <= 60; day += 2) {
    const now = START + day * DAY
    if (day === 14) ring = changed
    // Restarted now and then: nothing is kept but on disk.
    if (day % 6 === 0) keys = open()
    await keys.prepare(terms, now)
    const body = listing(keys, now)
    expect(checkListing(suite, NETWORK, body, { beside: [], previous, now })).toBeNull()
    previous = body
    expect(body.keysets.filter(({ keyset }) => keyset.issueFrom <= now && now < keyset.issueUntil).length).toBe(1)
    // Each keyset was listed before it issues.
    if (day % 10 >= 8) expect(body.keysets.some(({ keyset }) => now < keyset.issueFrom)).toBe(true)
    const judged = body.keysets.map(({ keyset }) => toHex(keyset.ringId))
    if (day === 14) expect(new Set(judged)).toEqual(new Set([toHex(ringId(suite, old))]))
    if (day === 20) expect(new Set(judged)).toEqual(new Set([ringId(suite, old), ringId(suite, changed)].map(toHex)))
    if (day === 60) expect(body.rings.map(each => toHex(ringId(suite, each)))).toContain(toHex(ringId(suite, changed)))
  }
})

test('asked from two sides at once, it makes one keyset', async () => {
  const keys = open()
  await Promise.all([keys.prepare(terms, START), keys.prepare(terms, START)])
  expect(keys.keysets(START).length).toBe(1)
})

test('a ring that is none stops nothing but the keyset it was for', async () => {
  const keys = open()
  await keys.prepare(terms, START)
  ring = { ...old, quorum: 2 }
  await expect(keys.prepare(terms, START + 8 * DAY)).rejects.toMatchObject({ code: 'bad-ring' })
  expect(keys.keysets(START + 8 * DAY).length).toBe(1)
  ring = old
  await keys.prepare(terms, START + 8 * DAY)
  expect(keys.keysets(START + 8 * DAY).length).toBe(2)
})

test('a keyset without its ring is not opened: its coins could not be judged', async () => {
  const keys = open()
  await keys.prepare(terms, START)
  const [file] = readdirSync(dir).filter(name => name.startsWith('ring-'))
  rmSync(join(dir, file))
  ring = changed
  expect(() => open()).toThrow(expect.objectContaining({ code: 'ring-missing' }))
  ring = old
  expect(toHex(keysetId(suite, open().keysets(START)[0].keyset))).toBe(toHex(keysetId(suite, keys.keysets(START)[0].keyset)))
})

test('the key of a day is listed a week ahead, and until its tokens are refunded', () => {
  const days = open().dayKeys(START).map(({ dayKey }) => dayKey.day - Math.floor(START / DAY))
  expect(Math.min(...days)).toBe(-9)
  expect(Math.max(...days)).toBe(7)
})

test('a bank that has lost a listed keyset lists it still, makes none for its time, and goes on with the next; put back, it signs', async () => {
  let keys = open()
  await keys.prepare(terms, START)
  const before = listing(keys, START)
  const [lost] = readdirSync(dir).filter(name => name.startsWith('keyset-'))
  renameSync(join(dir, lost), join(dir, 'away'))
  for (const name of readdirSync(dir).filter(name => name.startsWith('ring-'))) rmSync(join(dir, name))
  ring = changed
  keys = open()
  const now = START + 8 * DAY
  await keys.prepare(terms, now, [before])
  const after = listing(keys, now)
  expect(after.keysets.map(({ keyset }) => keyset.issueFrom)).toEqual([before.keysets[0].keyset.issueFrom, before.keysets[0].keyset.issueUntil])
  expect(checkListing(suite, NETWORK, after, { beside: [], previous: before, now })).toBeNull()
  const id = keysetId(suite, before.keysets[0].keyset)
  expect(keys.lost(now)).toEqual([toHex(id)])
  await expect(keys.blindSign(id, 1, new Uint8Array(256).fill(1))).rejects.toMatchObject({ code: 'keyset-lost', fault: 'operator' })
  // Down until the directory named it no more, it remembers.
  keys = open()
  await keys.prepare(terms, now, [])
  expect([keys.lost(now), listing(keys, now).keysets]).toEqual([[toHex(id)], after.keysets])
  renameSync(join(dir, 'away'), join(dir, lost))
  writeFileSync(join(dir, `ring-${toHex(before.keysets[0].keyset.ringId).slice(0, 16)}.json`), ringText(old), { mode: 0o600 })
  keys = open()
  await keys.prepare(terms, now, [after])
  expect(keys.lost(now)).toEqual([])
  expect(listing(keys, now).keysets).toEqual(after.keysets)
  expect(await keys.blindSign(id, 1, new Uint8Array(256).fill(1))).toHaveLength(256)
})
