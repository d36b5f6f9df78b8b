/**
 * The drill of docs/backup.md for a node of each kind but the bank (monitoring.test.ts), in a network of processes: backed up while it
 * works, killed, its folder lost, restored in its place. It serves again, what may not come back is not there, and people pay.
 */
import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startNetwork } from '../../nodes/cli/up.ts'
import { readNode } from '../../nodes/config.ts'
import type { JsonObject } from '../../nodes/control.ts'
import { Stage } from '../../nodes/demo/stage.ts'
import { createNetwork, nodeNames, SMALL_NETWORK, type NetworkPlan } from '../../nodes/layout.ts'
import { suite } from '../mixnet/mix-material.ts'
import { until } from './probe.ts'

const EPOCH = 16_000
const PLAN: NetworkPlan = { ...SMALL_NETWORK, gateways: 1, mixesPerLayer: 1, centers: 4, denominations: 10, parameters: { epochLength: EPOCH, epochGrace: EPOCH / 2, clockSkew: 2_000 } }
const SONG = 99

let stage: Stage

beforeAll(async () => {
  const dir = mkdtempSync(join(tmpdir(), 'mixmint-drill-'))
  await createNetwork(suite, dir, PLAN)
  stage = new Stage(dir, PLAN)
  await startNetwork(stage.supervisor, PLAN, true)
  await stage.command('wallet', 'init')
  const { account } = await stage.command('wallet', 'account')
  await stage.command('bank', 'credit', String(account), '900', '--reference', 'test')
  await stage.command('wallet', 'withdraw', '800')
  await buy()
})

afterAll(async () => {
  await stage.stop()
  rmSync(stage.dir, { recursive: true, force: true })
})

async function buy (): Promise<void> {
  expect(await stage.command('wallet', 'buy', 'song', '--with', 'coins')).toMatchObject({ paid: true })
}

/** @returns what is not in it, and the folder as it was */
async function loseAndRestore (name: string): Promise<{ left: readonly string[], store: boolean, lost: string, dir: string }> {
  const [dir, backup, lost] = [name, `${name}.backup`, `${name}.lost`].map(each => join(stage.dir, each))
  const { left, store } = await stage.command('backup', backup, '--dir', dir) as { left: string[], store: boolean }
  await stage.supervisor.kill(name)
  renameSync(dir, lost)
  await stage.command('restore', backup, '--dir', dir)
  await stage.supervisor.start(name)
  expect(await stage.status(name)).toMatchObject({ state: 'serving' })
  expect(readFileSync(join(dir, 'identity.key'), 'utf8')).toBe(readFileSync(join(lost, 'identity.key'), 'utf8'))
  return { left, store, lost, dir }
}

test('a merchant has its orders and what it took', async () => {
  const before = await stage.command('merchant', 'takings')
  expect(before).toMatchObject({ accepted: SONG })
  const { store, dir } = await loseAndRestore('merchant')
  expect(store).toBe(true)
  expect(readNode(dir).restoredAt).toBeGreaterThan(Date.now() - 600_000)
  expect(await stage.command('merchant', 'takings')).toEqual(before)
  await buy()
})

test('a center has a new vote key, and none of the votes; coins are paid with the keepers that are left', async () => {
  const { left, store, lost, dir } = await loseAndRestore('center-1')
  expect({ left, store }).toEqual({ left: ['vote.key'], store: false })
  expect(readFileSync(join(dir, 'vote.key'), 'utf8')).not.toBe(readFileSync(join(lost, 'vote.key'), 'utf8'))
  await buy()
})

test('a gateway and a mix have no key of the past, an authority is silent about all that it may have spoken of; then all work with the others', async () => {
  for (const name of ['gateway-1', 'mix-2-1']) {
    const { lost, dir } = await loseAndRestore(name)
    const keys = (folder: string): string[] => readdirSync(join(folder, 'mix-keys')).map(file => readFileSync(join(folder, 'mix-keys', file), 'utf8'))
    expect(keys(lost).length).toBeGreaterThan(0)
    expect(keys(dir).filter(key => keys(lost).includes(key))).toEqual([])
  }
  // The document of the next epoch may have been made before; that of the one after has their keys.
  const epoch = Math.floor(Date.now() / EPOCH) + 2
  const { dir, store } = await loseAndRestore('authority-1')
  const { signsFrom } = readNode(dir)
  expect({ store, isAhead: signsFrom >= epoch }).toEqual({ store: false, isAhead: true })
  await until(async () => {
    const { epoch, signatures } = await stage.status('authority-2')
    return Number(epoch) >= signsFrom && signatures === 4
  })
  for (const name of nodeNames(PLAN).authority) expect((await stage.control(name, 'evidence')).proofs).toEqual([])
  await until(async () => Number((await stage.attempt('directory', 'show', '--net', stage.dir)).epoch ?? -1) >= epoch)
  await buy()
})

test('the books hold all of it', async () => {
  const { accepted } = await stage.command('merchant', 'takings')
  const { available } = await stage.command('wallet', 'balance')
  expect(await stage.command('bank', 'audit')).toMatchObject({ balanced: true, credited: 900, outstanding: available } satisfies JsonObject)
  expect(Number(accepted) + Number(available)).toBe(800)
  expect(stage.fallen).toEqual([])
})
