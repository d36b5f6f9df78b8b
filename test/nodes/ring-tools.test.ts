/** `mixmint ring` on files, and a center's vote keys. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { toHex } from '@mixmint/core/kit/bytes'
import { centerProofFile, verifyRetirement } from '@mixmint/core/cash/center-proof'
import { coinId } from '@mixmint/core/cash/coin'
import { signVote } from '@mixmint/core/cash/spend'
import { armor, unarmorAs } from '../../nodes/armor.ts'
import { bankListing, checkNewRing } from '../../nodes/bank-listing.ts'
import { BankKeys } from '../../nodes/bank-keys.ts'
import { verifyProofText } from '../../nodes/proof.ts'
import { makeNode } from '../../nodes/node-folder.ts'
import { readRing, writeRing } from '../../nodes/ring-file.ts'
import { locateCoin, ringBalance, ringEntryOf, ringOfEntries, ringRetire, showRings } from '../../nodes/ring-tools.ts'
import { voteKeys } from '../../nodes/vote-keys.ts'
import { codeOf } from '../doubles/code.ts'
import { createEconomy, DAY, NETWORK, START, suite } from '../doubles/economy.ts'
import { signer } from '../doubles/signer.ts'

const economy = createEconomy()
const { ring, known } = economy
let dir: string
beforeEach(() => { dir = mkdtempSync(join(tmpdir(), 'mixmint-ring-')) })
afterEach(() => { rmSync(dir, { recursive: true }) })

test('a ring file is shown, balanced and searched', async () => {
  const file = join(dir, 'ring.json')
  writeRing(file, ring)
  const source = { net: '', file }
  const [shown] = await showRings(source)
  expect(shown).toMatchObject({ id: toHex(known.ring.id), replicas: 4, faults: 1, quorum: 3 })
  expect(shown.centers.map(({ id }) => id)).toEqual(ring.centers.map(({ id }) => toHex(id)))
  const [balance] = await ringBalance(source)
  expect(balance.centers.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(4, 6)
  expect(balance.least).toBeLessThan(1)
  expect(balance.most).toBeGreaterThan(1)
  const owned = economy.mint(8)
  const [located] = await locateCoin(source, coinId(suite, owned.coin), owned.coin.signature)
  expect(located.keepers).toEqual(economy.keepersOf(owned).map(({ id }) => toHex(id)))
})

test('a center gets a new vote key, keeps the old one, and can give that up', async () => {
  makeNode(suite, dir, 'center', { listen: '/ip4/127.0.0.1/tcp/1' }, null)
  const first = await ringEntryOf(dir, 1, false)
  expect(await ringEntryOf(dir, 1, false)).toEqual(first)
  const second = await ringEntryOf(dir, 3, true)
  expect(second).toMatchObject({ id: first.id, weight: 3 })
  expect(second.voteKey).not.toBe(first.voteKey)
  expect(voteKeys(suite, dir, null).map(({ publicKey }) => toHex(publicKey))).toEqual([second.voteKey, first.voteKey])
  const retirement = unarmorAs('retirement', await ringRetire(dir, NETWORK, first.voteKey))
  verifyRetirement(suite, NETWORK, retirement)
  expect(toHex(retirement.voteKey)).toBe(first.voteKey)
  await expect(ringRetire(dir, NETWORK, '00'.repeat(32))).rejects.toMatchObject({ code: 'no-vote-key' })
})

test('a ring file is made of what the operators of centers hand over', async () => {
  const entries = []
  for (let i = 1; i <= 4; i++) {
    makeNode(suite, join(dir, `c${i}`), 'center', { listen: '/ip4/127.0.0.1/tcp/1' }, null)
    entries.push({ where: `c${i}`, text: `${JSON.stringify(await ringEntryOf(join(dir, `c${i}`), i, false))}\n` })
  }
  const terms = { replicas: 4, faults: 1, quorum: 3, virtualNodesPerWeight: 512 }
  const file = join(dir, 'ring.json')
  writeFileSync(file, await ringOfEntries(entries, terms))
  expect(readRing(file)).toMatchObject({ ...terms, centers: [1, 2, 3, 4].map(weight => ({ weight })) })
  await expect(ringOfEntries(entries.slice(1), terms)).rejects.toMatchObject({ code: 'bad-ring' })
  expect(() => readRing(join(dir, 'none.json'))).toThrow(expect.objectContaining({ code: 'bad-ring-file', message: expect.stringContaining('mixmint ring make --out') }))
  await expect(ringOfEntries([{ where: 'x', text: 'hello' }], terms)).rejects.toMatchObject({ code: 'bad-ring-file' })
  makeNode(suite, join(dir, 'mix'), 'mix', { listen: '/ip4/127.0.0.1/tcp/1' }, null)
  await expect(ringEntryOf(join(dir, 'mix'), 1, false)).rejects.toMatchObject({ code: 'wrong-role' })
})

test('a proof against a center is a text that `proof verify` takes; one changed bit and it does not', async () => {
  const owned = economy.mint(8)
  const [keeper] = economy.keepersOf(owned)
  const coin = coinId(suite, owned.coin)
  const [first, second] = [1, 2].map(i => {
    const d = suite.sha256(Uint8Array.of(i))
    return { d, signature: signVote(suite, keeper.voteKey, keeper.id, known.ring.id, coin, d).signature }
  })
  const file = centerProofFile({ is: 'twice', ring: known.ring.id, center: keeper.id, coin, first, second }, known)
  expect(await verifyProofText(armor('center', file))).toMatchObject({ kind: 'center-fault', fault: 'twice', center: keeper.id, voteKey: keeper.voteKey.publicKey })
  const bent = armor('center', { ...file, fault: { ...file.fault, center: economy.centers.find(other => other !== keeper)?.id ?? keeper.id } })
  await expect(verifyProofText(bent)).rejects.toMatchObject({ code: 'bad-proof' })
})

test('a listing carries what is revoked in its rings, with the ring that the proof is about, and no new keyset takes such a key', async () => {
  const periods = { issue: 10 * DAY, spend: 10 * DAY, redeem: 10 * DAY, refund: 10 * DAY, ahead: 3 * DAY }
  let current = ring
  const keys = BankKeys.open(suite, NETWORK, dir, ring, signer())
  const revocation = { voteKey: ring.centers[0].voteKey, from: START, why: { is: 'fault' as const, fault: {
    is: 'twice' as const, ring: known.ring.id, center: ring.centers[0].id, coin: new Uint8Array(32),
    first: { d: new Uint8Array(32), signature: new Uint8Array(64) }, second: { d: new Uint8Array(32), signature: new Uint8Array(64) }
  } } }
  const prepare = async (now: number): Promise<void> => { await keys.prepare({ unit: 'cent', denominations: 1, periods, ring: () => checkNewRing(current, [revocation]) }, now) }
  expect(codeOf(() => checkNewRing(ring, [revocation]))).toBe('ring-revoked-key')
  await keys.prepare({ unit: 'cent', denominations: 1, periods, ring: () => current }, START)
  await expect(prepare(START + 8 * DAY)).rejects.toMatchObject({ code: 'ring-revoked-key' })
  expect(bankListing(keys, [revocation], START).revocations.length).toBe(1)

  current = { ...ring, centers: ring.centers.slice(1) }
  await prepare(START + 8 * DAY)
  // The old ring's coins have ended, and nobody needs the revocation any more.
  const late = bankListing(keys, [revocation], START + 60 * DAY)
  expect(late.revocations).toEqual([])
  expect(late.rings.length).toBe(0)

  // While the key stands in a ring that is listed, the one that the proof is about stays.
  const both = BankKeys.open(suite, NETWORK, join(dir, 'other'), ring, signer())
  await both.prepare({ unit: 'cent', denominations: 1, periods, ring: () => ring }, START)
  const second = { ...ring, virtualNodesPerWeight: 65 }
  await both.prepare({ unit: 'cent', denominations: 1, periods, ring: () => second }, START + 8 * DAY)
  expect(bankListing(both, [revocation], START + 45 * DAY).rings.length).toBe(2)
  expect(bankListing(both, [], START + 45 * DAY).rings.length).toBe(1)

  // By one keyset, however many it has judged.
  const many = BankKeys.open(suite, NETWORK, join(dir, 'many'), ring, signer())
  for (const day of [0, 8, 18]) await many.prepare({ unit: 'cent', denominations: 1, periods, ring: () => ring }, START + day * DAY)
  await many.prepare({ unit: 'cent', denominations: 1, periods, ring: () => second }, START + 28 * DAY)
  expect(many.keysets(START + 65 * DAY).length).toBe(1)
  expect(bankListing(many, [revocation], START + 65 * DAY).keysets.map(({ keyset }) => keyset.issueFrom)).toEqual([2, 3].map(i => many.keysets(0)[i].keyset.issueFrom))
})
