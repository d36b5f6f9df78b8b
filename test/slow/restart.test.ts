/**
 * Restarts of real processes under traffic: every node of the network in turn, neighbours together, and all of the mixnet
 * at one time. What each process says at its end adds up: no packet that one has sent was not received, and none was dropped.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import { startNetwork } from '../../nodes/cli/up.ts'
import { Stage } from '../../nodes/demo/stage.ts'
import { createNetwork, nodeNames, SMALL_NETWORK, type NetworkPlan } from '../../nodes/layout.ts'
import { WalletSession } from '../../nodes/wallet-session.ts'

/** One way through the network, so that every packet passes every mix. */
const PLAN: NetworkPlan = { ...SMALL_NETWORK, authorities: 1, gateways: 1, mixesPerLayer: 1, centers: 4 }
const MIXNET = nodeNames(PLAN).mixnet
const [GATEWAY, ...MIXES] = MIXNET
const SPEAKERS = [...MIXNET, 'bank', 'merchant']
/** Requests of the wallet under way at one time. */
const AT_ONCE = 4

let stage: Stage
let wallet: WalletSession

beforeAll(async () => {
  const dir = mkdtempSync(join(tmpdir(), 'mixmint-restart-'))
  await createNetwork(await defaultSuite(), dir, PLAN)
  stage = new Stage(dir, PLAN)
  await startNetwork(stage.supervisor, PLAN, true)
  await stage.command('wallet', 'init')
  wallet = await WalletSession.open(dir, join(dir, 'wallet'))
})

afterAll(async () => {
  await stage.stop()
  rmSync(stage.dir, { recursive: true, force: true })
})

/** Asks for the catalogue without end, until `during` is over. @returns how often it was answered; an unanswered one throws */
async function underTraffic (during: () => Promise<void>): Promise<number> {
  const [{ payee }] = wallet.merchants()
  let answered = 0
  let over = false
  const asking = Array.from({ length: AT_ONCE }, async () => {
    while (!over) {
      expect(await wallet.askMerchant(payee, { op: 'catalogue' })).toMatchObject({ is: 'catalogue' })
      answered += 1
    }
  })
  const happened = during().finally(() => { over = true })
  await Promise.all([happened, ...asking])
  return answered
}

async function restart (name: string): Promise<void> {
  await stage.supervisor.stop(name)
  await stage.supervisor.start(name)
}

/** Of every process of a node that has ended in good order, what it last said. */
function ends (name: string): Array<Record<string, number>> {
  return stage.log(name).filter(({ msg }) => msg === 'stopped') as Array<Record<string, number>>
}

function sum (name: string, ...fields: string[]): number {
  return ends(name).reduce((total, end) => total + fields.reduce((part, field) => part + (end[field] ?? 0), 0), 0)
}

describe('nodes that are told to stop, and come back', () => {
  test('each mix in turn, the gateway, the services: every request is answered', async () => {
    for (const name of [...MIXES, GATEWAY, 'merchant', 'bank']) expect(await underTraffic(async () => { await restart(name) })).toBeGreaterThan(0)
  })

  test('two neighbours, and the whole mixnet', async () => {
    await underTraffic(async () => { await Promise.all(MIXES.slice(0, 2).map(restart)) })
    await underTraffic(async () => { await Promise.all(MIXNET.map(restart)) })
  })

  test('no packet was lost: what was sent was received, and nothing was dropped', async () => {
    await wallet.close()
    // In the order of the way there, so that each finds the next one.
    for (const name of SPEAKERS) await stage.supervisor.stop(name)
    expect(stage.fallen).toEqual([])
    const total = (...fields: string[]): number => SPEAKERS.reduce((all, name) => all + sum(name, ...fields), 0)
    expect(total('links.sent')).toBeGreaterThan(1000)
    expect(total('links.received')).toBe(total('links.sent'))
    expect(total('links.dropped.link-full', 'links.dropped.no-link')).toBe(0)
    expect(total('counters.mix_stop_dropped', 'counters.mix_handover_failed', 'counters.mix_hook_failed')).toBe(0)
    const dropped = SPEAKERS.flatMap(name => ends(name).flatMap(end => Object.entries(end).filter(([field, count]) => field.startsWith('dropped.') && count > 0)))
    expect(dropped).toEqual([])
    // The last end is that of a wallet that has gone.
    for (const end of ends(GATEWAY).slice(0, -1)) {
      expect([end['wallets.dropped.link-full'], end['wallets.dropped.no-link'], end['wallets.dropped.wallet-gone']]).toEqual([0, 0, 0])
    }
  })
})

test('mixes that are killed lose what is inside, and requests are answered all the same', async () => {
  for (const name of SPEAKERS) await stage.supervisor.start(name)
  wallet = await WalletSession.open(stage.dir, join(stage.dir, 'wallet'))
  for (const name of [...MIXES, GATEWAY]) {
    expect(await underTraffic(async () => {
      await stage.supervisor.kill(name)
      await stage.supervisor.start(name)
    })).toBeGreaterThan(0)
  }
  await wallet.close()
})
