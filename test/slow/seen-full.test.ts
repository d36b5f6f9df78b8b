/**
 * Nodes that may keep few tags, over TCP between processes: once full, they refuse what is new and forget nothing, over a
 * kill neither; with the next key they take packets again.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { epochEnd, epochStart } from '@mixmint/mixnet/directory/epoch'
import { startNetwork } from '../../nodes/cli/up.ts'
import { Stage } from '../../nodes/demo/stage.ts'
import { createNetwork, SMALL_NETWORK, type NetworkPlan } from '../../nodes/layout.ts'
import { WalletSession } from '../../nodes/wallet-session.ts'
import { suite } from '../mixnet/mix-material.ts'
import { Probe, until, type Fate } from './probe.ts'

const LIMIT = 60
/** Long enough for a busy machine to do everything under one key, and to come back after a kill. */
const SCHEDULE = { epochLength: 30_000, epochGrace: 20_000 }
const PLAN: NetworkPlan = {
  ...SMALL_NETWORK, authorities: 1, gateways: 1, mixesPerLayer: 1, centers: 1, ring: { replicas: 1, faults: 0, quorum: 1 },
  // Nothing but what the test sends: so many tags, and no more.
  parameters: { ...SCHEDULE, clockSkew: 2_000, replayLimit: LIMIT, cover: { send: 0, echoes: 0, pace: 0, loop: 0 } }
}
const FULL = 'gateway-1'

let stage: Stage
let probe: Probe

beforeAll(async () => {
  const dir = mkdtempSync(join(tmpdir(), 'mixmint-seen-full-'))
  await createNetwork(suite, dir, PLAN)
  stage = new Stage(dir, PLAN)
  await startNetwork(stage.supervisor, PLAN, true)
  await stage.command('wallet', 'init')
  probe = await Probe.start(stage, SCHEDULE)
})

afterAll(async () => {
  await probe.stop()
  await stage.stop()
  rmSync(stage.dir, { recursive: true, force: true })
})

function counted ({ delivered, dropped }: Fate): number {
  return delivered + Object.values(dropped).reduce((sum, count) => sum + count, 0)
}

/** Send these, and wait until each has been taken or dropped. @returns what became of them */
async function fateOf (packets: readonly Uint8Array[]): Promise<Fate> {
  const before = await probe.fate(FULL)
  for (const packet of packets) await probe.send(packet)
  await until(async () => counted(await probe.fate(FULL)) >= counted(before) + packets.length)
  const { delivered, dropped } = await probe.fate(FULL)
  const more = Object.entries(dropped).map(([reason, count]) => [reason, count - (before.dropped[reason] ?? 0)] as const)
  return { delivered: delivered - before.delivered, dropped: Object.fromEntries(more.filter(([, count]) => count > 0)) }
}

test('a gateway whose tags are full sheds what is new, refuses what it has seen, and takes packets again with the next key', async () => {
  const epoch = probe.epoch + 1
  await until(async () => Date.now() >= epochStart(SCHEDULE, epoch) && await probe.document(epoch).then(() => true, () => false))
  const packets = async (count: number, of: number): Promise<Uint8Array[]> => await Promise.all(Array.from({ length: count }, async () => await probe.packet(FULL, of)))

  const early = await packets(LIMIT, epoch)
  expect(await fateOf(early)).toEqual({ delivered: LIMIT, dropped: {} })
  const late = await packets(30, epoch)
  expect(await fateOf(late)).toEqual({ delivered: 0, dropped: { 'replay-full': 30 } })
  // The first, one in the middle, the last that found room: seen, all of them; and what was shed is shed again.
  expect(await fateOf([early[0], early[LIMIT / 2], early[LIMIT - 1], late[0]])).toEqual({ delivered: 0, dropped: { replay: 3, 'replay-full': 1 } })

  await stage.supervisor.kill(FULL)
  await stage.supervisor.start(FULL)
  expect(await fateOf([early[1], early[LIMIT - 2], late[1]])).toEqual({ delivered: 0, dropped: { replay: 2, 'replay-full': 1 } })

  await until(async () => Date.now() >= epochStart(SCHEDULE, epoch + 1) + 200 && await probe.document(epoch + 1).then(() => true, () => false))
  expect(await fateOf([...await packets(5, epoch + 1), early[2], late[2]])).toEqual({ delivered: 5, dropped: { replay: 1, 'replay-full': 1 } })
  expect(Date.now(), 'all of this has to be over within the grace').toBeLessThan(epochEnd(SCHEDULE, epoch))
})

test('a wallet that asks while the network is full is answered when there are new keys', async () => {
  const wallet = await WalletSession.open(stage.dir, join(stage.dir, 'wallet'))
  try {
    // Well before the wallet would give up.
    const full = probe.epoch
    await until(() => Date.now() > epochStart(SCHEDULE, full + 1) - 10_000)
    const rest = await Promise.all(Array.from({ length: LIMIT }, async () => await probe.packet(FULL, full)))
    const { dropped } = await fateOf(rest)
    const [{ payee }] = wallet.merchants()
    expect(await wallet.askMerchant(payee, { op: 'catalogue' })).toMatchObject({ is: 'catalogue' })
    expect(dropped['replay-full']).toBeGreaterThan(0)
    expect(Date.now()).toBeGreaterThanOrEqual(epochStart(SCHEDULE, full + 1))
  } finally {
    await wallet.close()
  }
})
