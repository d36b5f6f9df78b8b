/**
 * Mix keys over epochs of seconds, in real processes under traffic: made, published, used, refused when their grace is
 * over, and destroyed where they lay; and that this holds for nodes that are killed at every step of it.
 */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { toHex } from '@mixmint/core/kit/bytes'
import { shuffle } from '@mixmint/core/kit/samplers'
import { epochEnd, epochStart } from '@mixmint/mixnet/directory/epoch'
import { startNetwork } from '../../nodes/cli/up.ts'
import { Stage } from '../../nodes/demo/stage.ts'
import { createNetwork, nodeNames, SMALL_NETWORK, type NetworkPlan } from '../../nodes/layout.ts'
import { WalletSession } from '../../nodes/wallet-session.ts'
import { seededRng } from '../doubles/rng.ts'
import { suite } from '../mixnet/mix-material.ts'
import { KeyWatch } from './key-watch.ts'
import { Probe, until } from './probe.ts'

const SCHEDULE = { epochLength: 10_000, epochGrace: 5_000 }
const PLAN: NetworkPlan = {
  ...SMALL_NETWORK, authorities: 1, gateways: 1, mixesPerLayer: 1, centers: 4,
  // No loops: what is delivered at a mix is then the test's own.
  parameters: { ...SCHEDULE, clockSkew: 2_000, cover: { loop: 0 } }
}
const MIXNET = nodeNames(PLAN).mixnet
const HOLDERS = [...MIXNET, 'bank', 'merchant']
/** Every step of making a key and its file of seen tags, and of destroying both, after which a node may be dead. */
const MAKING = ['create .new', 'write .new', 'sync .new', 'rename .new', 'create .tags.new', 'rename .tags.new']
const DESTROYING = ['rename .key', 'write .dead', 'datasync .dead', 'remove .dead', 'remove .tags']
const LONG = 600_000

let stage: Stage
let wallet: WalletSession
let keys: KeyWatch
let probe: Probe
let answered = 0
let over = false
let traffic: Promise<unknown>
let collecting: Promise<void>
/** Who was dead, from this epoch to that. */
const deaths: Array<{ readonly name: string, readonly from: number, readonly to: number }> = []

beforeAll(async () => {
  const dir = mkdtempSync(join(tmpdir(), 'mixmint-rotation-'))
  await createNetwork(suite, dir, PLAN)
  const preload = fileURLToPath(new URL('preload/deaths.ts', import.meta.url))
  stage = new Stage(dir, PLAN, name => ['env', `NODE_OPTIONS=--import=${preload}`, `MIXMINT_DIES_AT=${orderFor(dir, name)}`])
  keys = new KeyWatch(dir, HOLDERS, SCHEDULE)
  await startNetwork(stage.supervisor, PLAN, true)
  probe = await Probe.start(stage, SCHEDULE)
  await stage.command('wallet', 'init')
  wallet = await WalletSession.open(dir, join(dir, 'wallet'))
  const [{ payee }] = wallet.merchants()
  traffic = Promise.all(Array.from({ length: 3 }, async () => {
    while (!over) {
      expect(await wallet.askMerchant(payee, { op: 'catalogue' })).toMatchObject({ is: 'catalogue' })
      answered += 1
    }
  }))
  traffic.catch(() => {}) // it is awaited at the end
  collecting = (async () => {
    while (!over) {
      await probe.document(probe.epoch).catch(() => {}) // not there yet
      await new Promise(resolve => setTimeout(resolve, 300))
    }
  })()
}, LONG)

afterAll(async () => {
  over = true
  keys.stop()
  await Promise.allSettled([traffic, collecting])
  await wallet.close()
  await probe.stop()
  await stage.stop()
  rmSync(stage.dir, { recursive: true, force: true })
}, LONG)

function orderFor (dir: string, name: string): string {
  return join(dir, `${name}.dies-at`)
}

test('packets under the key of the epoch before are taken in its grace, and after it refused, and counted under a reason', async () => {
  for (const name of MIXNET) {
    // A busy machine may be too late for the grace: then in the next epoch.
    for (let isTaken = false; !isTaken;) {
      const epoch = probe.epoch + 1
      await until(() => Date.now() >= epochStart(SCHEDULE, epoch) + 200)
      await until(async () => await probe.document(epoch).then(() => true, () => false))
      const before = await probe.fate(name)
      await probe.send(await probe.packet(name, epoch - 1))
      await until(async () => (await probe.fate(name)).delivered > before.delivered || Date.now() > epochEnd(SCHEDULE, epoch - 1))
      isTaken = Date.now() <= epochEnd(SCHEDULE, epoch - 1)
      if (isTaken) expect((await probe.fate(name)).dropped).toEqual(before.dropped)
    }
    const last = probe.epoch - 1
    await until(() => Date.now() > epochEnd(SCHEDULE, last))
    const before = await probe.fate(name)
    await probe.send(await probe.packet(name, last))
    await until(async () => Object.keys((await probe.fate(name)).dropped).length > 0)
    expect(await probe.fate(name)).toEqual({ delivered: before.delivered, dropped: { mac: 1 } })
  }
}, LONG)

test('killed after any step of making keys and of destroying them, a node has the keys that it should have', async () => {
  const chance = seededRng('rotation')
  const [makes, destroys] = [shuffle(chance, MAKING), shuffle(chance, DESTROYING)]
  const steps = makes.flatMap((step, i) => [step, ...destroys.slice(i, i + 1)])
  const victims = steps.flatMap(() => shuffle(chance, MIXNET)).slice(0, steps.length)
  for (const [i, step] of steps.entries()) {
    const victim = victims[i]
    const fallen = stage.fallen.length
    writeFileSync(orderFor(stage.dir, victim), step)
    await until(() => stage.fallen.length > fallen)
    const from = probe.epoch
    expect(stage.fallen.slice(fallen), step).toEqual([victim])
    expect(existsSync(orderFor(stage.dir, victim))).toBe(false)
    await stage.supervisor.start(victim)
    await until(() => keys.isRight(victim))
    deaths.push({ name: victim, from, to: probe.epoch })
    expect(keys.violations, step).toEqual([])
  }
  expect(stage.fallen).toHaveLength(MAKING.length + DESTROYING.length)
}, LONG)

test('in all of this every request was answered', async () => {
  // An epoch more, without a death.
  const last = probe.epoch + 1
  await until(() => Date.now() > epochEnd(SCHEDULE, last))
  await until(() => HOLDERS.every(name => keys.isRight(name)))
  over = true
  await traffic
  await collecting
  expect(answered).toBeGreaterThan(probe.documents.size)
}, LONG)

test('every epoch had a document, in which each node has a key of its own for it, the one on its disk', async () => {
  const epochs = [...probe.documents.keys()].sort((a, b) => a - b)
  expect(epochs).toEqual(Array.from({ length: epochs.length }, (_, i) => epochs[0] + i))
  expect(epochs.length).toBeGreaterThan(8)
  for (const name of HOLDERS) {
    const published = await Promise.all(epochs.map(async epoch => await probe.keyOf(name, epoch)))
    expect(new Set(published.map(key => toHex(key as Uint8Array))).size).toBe(epochs.length)
    for (const [i, epoch] of epochs.entries()) {
      expect(published[i], `${name}, ${epoch}`).toEqual(suite.x25519Base(keys.secret(name, epoch) as Uint8Array))
      // The document before said the same, so that those who have only that one find it, too: unless the node was dead in the
      // epoch in which that one was made, and did not come back in time for it.
      if (i === 0) continue
      const before = await probe.keyOf(name, epoch, epoch - 1)
      const wasDead = deaths.some(death => death.name === name && death.from <= epoch - 2 && epoch - 2 <= death.to)
      if (before !== undefined || !wasDead) expect(before, `${name}, ${epoch} in the document before`).toEqual(published[i])
    }
  }
})

test('of the keys whose time is over nothing is left: no file, no tags, and other bytes where they lay', () => {
  const gone = keys.gone()
  expect(gone.length).toBeGreaterThan(8 * HOLDERS.length)
  expect(gone.filter(({ node, epoch }) => keys.isLegible(node, epoch))).toEqual([])
  for (const { node, epoch } of gone) expect(keys.tags(node)).not.toContain(epoch)
  expect(keys.violations).toEqual([])
})

test('no authority has refused a descriptor', async () => {
  const { counters } = await stage.status('authority-1')
  expect(Object.keys(counters as object).filter(name => name.startsWith('directory_refused') && name.includes('descriptor'))).toEqual([])
})
