/**
 * Mix keys over epochs of seconds, in real processes under traffic: made, published, used, refused when their grace is
 * over, and destroyed where they lay; and that this holds for nodes that are killed at every step of it.
 */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { equal, toHex } from '@mixmint/core/kit/bytes'
import { shuffle } from '@mixmint/core/kit/samplers'
import { epochAt, epochEnd, epochStart } from '@mixmint/mixnet/directory/epoch'
import { DirectoryView, type DirectoryNode } from '@mixmint/mixnet/directory/view'
import { MixEngine } from '@mixmint/mixnet/mixing/engine'
import { addressBlock } from '@mixmint/mixnet/sphinx/address'
import { wrap, type Hop } from '@mixmint/mixnet/sphinx/wrap'
import { askOver, fetchDocument, type Ask } from '@mixmint/mixnet/wire/directory'
import { MixNode } from '@mixmint/mixnet/wire/mix-node'
import { parseTarget, peerBytes } from '@mixmint/mixnet/wire/peers'
import { RpcClient } from '@mixmint/mixnet/wire/rpc-client'
import { startNetwork } from '../../nodes/cli/up.ts'
import { systemClock, systemRng } from '../../nodes/clock.ts'
import { readNetwork } from '../../nodes/config.ts'
import { Stage } from '../../nodes/demo/stage.ts'
import { createHost, type Host } from '../../nodes/host.ts'
import { freshIdentity, loadOrCreateIdentity } from '../../nodes/identity.ts'
import { createNetwork, nodeNames, SMALL_NETWORK, type NetworkPlan } from '../../nodes/layout.ts'
import { Counters } from '../../nodes/observe.ts'
import { WalletSession } from '../../nodes/wallet-session.ts'
import { seededRng } from '../doubles/rng.ts'
import { HERE, suite } from '../mixnet/mix-material.ts'
import { KeyWatch } from './key-watch.ts'

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
let host: Host
let rpc: RpcClient
let authority: Ask
let answered = 0
let over = false
let traffic: Promise<unknown>
/** Of every epoch since the beginning. */
const documents = new Map<number, DirectoryView>()
let collecting: Promise<void>

beforeAll(async () => {
  const dir = mkdtempSync(join(tmpdir(), 'mixmint-rotation-'))
  await createNetwork(suite, dir, PLAN)
  const preload = fileURLToPath(new URL('preload/deaths.ts', import.meta.url))
  stage = new Stage(dir, PLAN, name => ['env', `NODE_OPTIONS=--import=${preload}`, `MIXMINT_DIES_AT=${orderFor(dir, name)}`])
  keys = new KeyWatch(dir, HOLDERS, SCHEDULE)
  await startNetwork(stage.supervisor, PLAN, true)
  host = await createHost({ privateKey: await freshIdentity(), role: 'wallet', listen: [], meter: new Counters() })
  rpc = new RpcClient({ node: host.node, meter: new Counters() })
  authority = askOver(rpc, parseTarget(readNetwork(join(dir, 'network.toml')).authorities[0].address))
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
      await document(epochAt(SCHEDULE, Date.now())).catch(() => {})
      await wait(300)
    }
  })()
}, LONG)

afterAll(async () => {
  over = true
  keys.stop()
  await Promise.allSettled([traffic, collecting])
  await wallet.close()
  rpc.close()
  await host.stop()
  await stage.stop()
  rmSync(stage.dir, { recursive: true, force: true })
}, LONG)

function orderFor (dir: string, name: string): string {
  return join(dir, `${name}.dies-at`)
}

async function wait (ms: number): Promise<void> {
  await new Promise(resolve => setTimeout(resolve, ms))
}

async function until (condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!await condition()) await wait(20)
}

/** @throws what the authority refuses with while there is none */
async function document (epoch: number): Promise<DirectoryView> {
  const known = documents.get(epoch)
  if (known !== undefined) return known
  const view = new DirectoryView((await fetchDocument(authority, epoch, systemClock, AbortSignal.timeout(5_000))).signed)
  documents.set(epoch, view)
  return view
}

function listed (view: DirectoryView, name: string): DirectoryNode {
  const peer = peerBytes(peerIdFromPrivateKey(loadOrCreateIdentity(join(stage.dir, name, 'identity.key'))))
  return view.byPeer(peer) as DirectoryNode
}

function keyOf (view: DirectoryView, name: string, epoch: number): Uint8Array {
  return listed(view, name).mixKeys.find(key => key.epoch === epoch)?.key as Uint8Array
}

/** What the node says of packets that ended at it: taken, or dropped, by reason. */
async function fate (name: string): Promise<{ delivered: number, dropped: Record<string, number> }> {
  const { delivered, dropped } = await stage.status(name)
  return { delivered: Number(delivered), dropped: dropped as Record<string, number> }
}

test('packets under the key of the epoch before are taken in its grace, and after it refused, and counted under a reason', async () => {
  const entry = await createHost({ privateKey: await freshIdentity(), role: 'wallet', listen: [], meter: new Counters() })
  const view = await document(epochAt(SCHEDULE, Date.now()))
  const gateway = listed(view, MIXNET[0])
  const engine = new MixEngine({ suite, self: entry.peer, parameters: view.parameters, topology: { mayForward: () => false, mayReachWallet: () => false } })
  const sender = new MixNode({
    node: entry.node, engine, neighbourhood: { addresses: () => gateway.entry, accepts: () => true }, clock: systemClock, rng: systemRng, meter: new Counters(), padded: true
  })
  /** Over the gateway to this node of the mixnet, which is the last: under its key of `epoch`, and the others' of now. */
  const send = async (to: string, epoch: number): Promise<void> => {
    const now = epochAt(SCHEDULE, Date.now())
    const path = MIXNET.slice(0, MIXNET.indexOf(to) + 1)
    const hops: Hop[] = []
    for (const name of path) {
      const of = name === to ? epoch : now
      const { addresses: [address], peer } = listed(await document(of), name)
      hops.push({ publicKey: keyOf(await document(of), name, of), address: addressBlock(address, peer), delay: name === to ? 0 : view.parameters.meanDelay })
    }
    sender.sendPacket(gateway.peer, wrap(suite, systemRng.bytes(32), hops, HERE, new Uint8Array(3968)))
  }
  try {
    for (const name of MIXNET) {
      // A busy machine may be too late for the grace: then in the next epoch.
      for (let isTaken = false; !isTaken;) {
        const epoch = epochAt(SCHEDULE, Date.now()) + 1
        await until(() => Date.now() >= epochStart(SCHEDULE, epoch) + 200)
        const before = await fate(name)
        await send(name, epoch - 1)
        await until(async () => (await fate(name)).delivered > before.delivered || Date.now() > epochEnd(SCHEDULE, epoch - 1))
        isTaken = Date.now() <= epochEnd(SCHEDULE, epoch - 1)
        if (isTaken) expect((await fate(name)).dropped).toEqual(before.dropped)
      }
      const last = epochAt(SCHEDULE, Date.now()) - 1
      await until(() => Date.now() > epochEnd(SCHEDULE, last))
      const before = await fate(name)
      await send(name, last)
      await until(async () => Object.keys((await fate(name)).dropped).length > 0)
      expect(await fate(name)).toEqual({ delivered: before.delivered, dropped: { mac: 1 } })
    }
  } finally {
    await sender.stop(100)
    await entry.stop()
  }
}, LONG)

test('killed after any step of making keys and of destroying them, a node has the keys that it should have', async () => {
  const chance = seededRng('rotation')
  const [makes, destroys] = [shuffle(chance, MAKING), shuffle(chance, DESTROYING)]
  const deaths = makes.flatMap((step, i) => [step, ...destroys.slice(i, i + 1)])
  const victims = deaths.flatMap(() => shuffle(chance, MIXNET)).slice(0, deaths.length)
  for (const [i, step] of deaths.entries()) {
    const victim = victims[i]
    const fallen = stage.fallen.length
    writeFileSync(orderFor(stage.dir, victim), step)
    await until(() => stage.fallen.length > fallen)
    expect(stage.fallen.slice(fallen), step).toEqual([victim])
    expect(existsSync(orderFor(stage.dir, victim))).toBe(false)
    await stage.supervisor.start(victim)
    await until(() => keys.isRight(victim))
    expect(keys.violations, step).toEqual([])
  }
  expect(stage.fallen).toHaveLength(MAKING.length + DESTROYING.length)
}, LONG)

test('in all of this every request was answered', async () => {
  // An epoch more, without a death.
  const last = epochAt(SCHEDULE, Date.now()) + 1
  await until(async () => await document(last).then(() => true, () => false))
  await until(() => Date.now() > epochEnd(SCHEDULE, last))
  await until(() => HOLDERS.every(name => keys.isRight(name)))
  over = true
  await traffic
  await collecting
  expect(answered).toBeGreaterThan(documents.size)
}, LONG)

test('every epoch had a document, in which each node has a key of its own for it, the one on its disk', () => {
  const epochs = [...documents.keys()].sort((a, b) => a - b)
  expect(epochs).toEqual(Array.from({ length: epochs.length }, (_, i) => epochs[0] + i))
  expect(epochs.length).toBeGreaterThan(8)
  for (const name of HOLDERS) {
    const published = epochs.map(epoch => keyOf(documents.get(epoch) as DirectoryView, name, epoch))
    expect(new Set(published.map(toHex)).size).toBe(epochs.length)
    for (const [i, epoch] of epochs.entries()) {
      expect(equal(published[i], suite.x25519Base(keys.secret(name, epoch) as Uint8Array)), `${name}, ${epoch}`).toBe(true)
      // The document before said the same, so that those who have only that one find it, too.
      if (i > 0) expect(equal(keyOf(documents.get(epoch - 1) as DirectoryView, name, epoch), published[i])).toBe(true)
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
