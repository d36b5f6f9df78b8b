/**
 * Disks that are full, under a mix, a directory authority, a bank and a merchant, in a network of processes: what cannot be written is not
 * done either, it is said and counted, and all goes on when there is room.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { equal } from '@mixmint/core/kit/bytes'
import { epochStart } from '@mixmint/mixnet/directory/epoch'
import type { JsonObject } from '../../nodes/control.ts'
import { Stage } from '../../nodes/demo/stage.ts'
import { createNetwork, nodeNames, SMALL_NETWORK, type NetworkPlan } from '../../nodes/layout.ts'
import { WalletSession } from '../../nodes/wallet-session.ts'
import { suite } from '../mixnet/mix-material.ts'
import { Probe, until } from './probe.ts'
import { hasSmallDisks, SmallDisks } from './small-disk.ts'

const SCHEDULE = { epochLength: 10_000, epochGrace: 5_000 }
const PLAN: NetworkPlan = {
  ...SMALL_NETWORK, gateways: 1, mixesPerLayer: 1, centers: 1, ring: { replicas: 1, faults: 0, quorum: 1 },
  parameters: { ...SCHEDULE, clockSkew: 2_000 }
}
const NAMES = nodeNames(PLAN)
const [AUTHORITY] = NAMES.authority
const MIX = 'mix-2-1'
if (!hasSmallDisks) process.stderr.write('tests on full disks are left out: this machine gives no mount namespaces\n')

describe.skipIf(!hasSmallDisks)('a network on small disks', () => {
  const dir = mkdtempSync(join(tmpdir(), 'mixmint-disk-full-'))
  const [store, keys, seen, bank, merchant] = [join(dir, AUTHORITY, 'store'), join(dir, MIX, 'mix-keys'), join(dir, MIX, 'seen'), join(dir, 'bank', 'store'), join(dir, 'merchant', 'store')]
  let disks: SmallDisks
  let stage: Stage
  let probe: Probe
  /** What the authority was heard to say in each place. */
  const said = new Map<string, Set<string>>()

  beforeAll(async () => {
    await createNetwork(suite, dir, PLAN)
    disks = await SmallDisks.mount({ [store]: 1024, [keys]: 64, [seen]: 256, [bank]: 4096, [merchant]: 1024 })
    stage = new Stage(dir, PLAN, name => [AUTHORITY, MIX, 'bank', 'merchant'].includes(name) ? disks.within : [])
    await Promise.all(NAMES.authority.map(async name => { await stage.supervisor.start(name) }))
    disks.fill(store)
    await Promise.all([...NAMES.mixnet, ...NAMES.money].map(async name => { await stage.supervisor.start(name) }))
    await stage.command('wallet', 'init')
    probe = await Probe.start(stage, SCHEDULE)
  })

  afterAll(async () => {
    await probe.stop()
    await stage.stop()
    disks.unmount()
    rmSync(dir, { recursive: true, force: true })
  })

  async function hear (): Promise<void> {
    for (const epoch of [probe.epoch, probe.epoch + 1]) {
      for (const { place, value } of await probe.saidBy(0, epoch)) said.set(place, (said.get(place) ?? new Set()).add(value))
    }
  }

  async function counter (name: string, of: string): Promise<number> {
    return Number((((await stage.status(name)).counters) as Record<string, number>)[of] ?? 0)
  }

  /** Has it signed the document of this epoch, as the others have it? */
  async function isSigned (epoch: number): Promise<boolean> {
    probe.documents.delete(epoch) // signatures are added
    const { signed } = await probe.document(epoch, 1)
    return signed.signatures.some(({ authority }) => equal(authority, probe.authorityKeys[0]))
  }

  test('an authority without room signs no document, says and counts it; killed and given room, it takes part, and contradicts nothing it said', async () => {
    const first = probe.epoch
    await until(async () => { await hear(); return Date.now() >= epochStart(SCHEDULE, first + 3) })
    // Three that have much else to do may have been late for one.
    for (const epoch of [first, first + 1, first + 2]) expect(await isSigned(epoch).catch(() => false)).toBe(false)
    expect(await counter(AUTHORITY, 'directory_authority_failed reason=store-full')).toBeGreaterThan(0)
    expect(await counter(AUTHORITY, 'directory_refused code=store-full')).toBeGreaterThan(0)
    expect(stage.log(AUTHORITY)).toContainEqual(expect.objectContaining({ level: 50, code: 'store-full' }))
    await stage.supervisor.kill(AUTHORITY)
    disks.makeRoom(store)
    await stage.supervisor.start(AUTHORITY)
    // It is as the others are, in more than one epoch. In any of them it may be late: then their document is valid, and has no signature of its own.
    const signed = new Set<number>()
    await until(async () => {
      await hear()
      const { epoch } = probe
      if (await isSigned(epoch).catch(() => false)) signed.add(epoch)
      return signed.size > 1
    })
    expect([...said].filter(([, values]) => values.size > 1)).toEqual([])
    expect([...said.keys()].some(place => place.includes('document'))).toBe(true)
    for (const name of NAMES.authority) expect((await stage.control(name, 'evidence')).proofs).toEqual([])
  })

  test('a mix without room for keys goes on with those it has, and makes the others as soon as there is room', async () => {
    // Keys that are destroyed leave room for others: until that is taken, too.
    await until(() => {
      disks.fill(keys)
      return stage.log(MIX).some(({ code }) => code === 'mix-key-failed')
    })
    const wallet = await WalletSession.open(dir, join(dir, 'wallet'))
    try {
      const [{ payee }] = wallet.merchants()
      expect(await wallet.askMerchant(payee, { op: 'catalogue' })).toMatchObject({ is: 'catalogue' })
    } finally {
      await wallet.close()
    }
    disks.makeRoom(keys)
    const epoch = probe.epoch
    await until(async () => await probe.document(epoch + 2, 1).then(() => true, () => false))
    for (const each of [epoch + 1, epoch + 2]) {
      await probe.document(each, 1)
      expect(await probe.keyOf(MIX, each)).toHaveLength(32)
    }
  })

  test('a mix without room for tags hands nothing on, sheds, counts it, and goes on when there is room', async () => {
    const wallet = await WalletSession.open(dir, join(dir, 'wallet'))
    try {
      const [{ payee }] = wallet.merchants()
      let over = false
      let answered = 0
      const traffic = Promise.all(Array.from({ length: 3 }, async () => {
        for (; !over; answered++) expect(await wallet.askMerchant(payee, { op: 'catalogue' })).toMatchObject({ is: 'catalogue' })
      }))
      traffic.catch(() => {}) // it is awaited below
      await until(() => answered > 3)
      disks.fill(seen)
      await until(async () => await counter(MIX, 'mix_shed reason=seen-log') > 0)
      expect(await counter(MIX, 'mix_seen_log_failed')).toBeGreaterThan(0)
      const forwarded = async (): Promise<number> => Number((await stage.status(MIX)).forwarded)
      const shed = async (): Promise<number> => await counter(MIX, 'mix_shed reason=seen-log')
      // A tag that fits into the last page of its file is on the disk, and its packet leaves, in its time. Then nothing does.
      let before = -1
      await until(async () => {
        before = await forwarded()
        const first = await shed()
        await until(async () => await shed() > first + 10)
        return await forwarded() === before
      })
      disks.makeRoom(seen)
      await until(async () => await forwarded() > before)
      over = true
      await traffic
    } finally {
      await wallet.close()
    }
  })

  test.each([['bank', bank], ['merchant', merchant]])('a %s without room moves no money, says why, and nothing that was begun is lost when there is room', async (name, folder) => {
    const { account } = await stage.command('wallet', 'account')
    await stage.command('bank', 'credit', String(account), '3000', '--reference', name)
    await stage.command('wallet', 'withdraw', '2500')
    const before = await stage.command('bank', 'books')
    disks.fill(folder)
    // Free pages within the store's file take something still.
    const refused: JsonObject[] = []
    await until(async () => {
      const { error } = await stage.attempt('wallet', 'buy', 'song', '--with', 'coins')
      if (error !== undefined) refused.push(error as JsonObject)
      return refused.length > 0
    })
    expect(refused[0]).toMatchObject({ code: 'store-full' })
    disks.makeRoom(folder)
    await stage.command('wallet', 'recover')
    expect(await stage.command('wallet', 'buy', 'song', '--with', 'coins')).toMatchObject({ paid: true })
    await stage.control('merchant', 'settle')
    // Change of what the shop settled is fetched, and coins that were left over are.
    await until(async () => {
      await stage.attempt('wallet', 'recover')
      const { promised, leftOver } = await stage.command('wallet', 'balance')
      return promised === 0 && leftOver === 0
    })
    const [books, purse, { payee }] = [await stage.command('bank', 'audit'), await stage.command('wallet', 'balance'), await stage.command('merchant', 'payee')]
    expect(books).toMatchObject({ balanced: true, credited: before.credited, outstanding: purse.available })
    const { balance } = await stage.command('bank', 'balance', String(payee))
    expect(Number(balance) % 99).toBe(0)
    expect(Object.keys((await stage.status(name)).counters as JsonObject).filter(counter => counter.includes('store-full'))).not.toEqual([])
    expect(stage.log(name).filter(({ level, code }) => Number(level) >= 50 && code !== 'store-full')).toEqual([])
  })

  test('nobody ended for it', () => {
    expect(stage.fallen).toEqual([])
  })
})
