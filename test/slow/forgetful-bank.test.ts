/**
 * A bank that was away until the directory names it no more, and has lost keys that were listed: the authorities tell it, so it makes no
 * others, which would be refused, and a proof against it.
 */
import { mkdtempSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import { startNetwork } from '../../nodes/cli/up.ts'
import { Stage } from '../../nodes/demo/stage.ts'
import { createNetwork, SMALL_NETWORK, type NetworkPlan } from '../../nodes/layout.ts'
import { Probe, until } from './probe.ts'

const SCHEDULE = { epochLength: 8_000, epochGrace: 4_000 }
const PLAN: NetworkPlan = {
  ...SMALL_NETWORK, authorities: 1, gateways: 1, mixesPerLayer: 1, centers: 4, parameters: { ...SCHEDULE, clockSkew: 2_000, cover: { loop: 0 } }
}

let stage: Stage
let probe: Probe
let away: string

beforeAll(async () => {
  const dir = mkdtempSync(join(tmpdir(), 'mixmint-forgetful-'))
  away = join(dir, 'away')
  mkdirSync(away)
  await createNetwork(await defaultSuite(), dir, PLAN)
  stage = new Stage(dir, PLAN)
  await startNetwork(stage.supervisor, PLAN, true)
  probe = await Probe.start(stage, SCHEDULE)
})

afterAll(async () => {
  await probe.stop()
  await stage.stop()
  rmSync(stage.dir, { recursive: true, force: true })
})

const keyFiles = (): string[] => readdirSync(join(stage.dir, 'bank')).filter(name => /^(keyset|sealed)-/.test(name)).sort()

async function lists (epoch: number): Promise<boolean> {
  return (await probe.document(epoch)).services('bank').length > 0
}

test('it lists what it has lost, makes no other, and is admitted; with its files put back it has lost nothing', async () => {
  await stage.supervisor.stop('bank')
  const lost = keyFiles()
  for (const name of lost) renameSync(join(stage.dir, 'bank', name), join(away, name))
  let epoch = probe.epoch
  await until(async () => {
    epoch = probe.epoch
    return await lists(epoch).then(listed => !listed, () => false) // not there yet
  })
  expect(readdirSync(join(stage.dir, 'bank')).filter(name => name.startsWith('lost-'))).toEqual([])

  await stage.supervisor.start('bank')
  // Of keysets its store knows, too.
  const status = await stage.status('bank')
  expect([status.lostKeysets, Number(status.lostSealedDays) > 0]).toEqual([0, true])
  expect(keyFiles().filter(name => name.startsWith('keyset-'))).toEqual(lost.filter(name => name.startsWith('keyset-')))
  const days = (names: readonly string[]): string[] => [...new Set(names.filter(name => name.startsWith('sealed-')).map(name => name.split('-')[1]))]
  expect(days(keyFiles()).filter(day => days(lost).includes(day))).toEqual([])
  const { counters } = await stage.status('authority-1')
  expect(Object.keys(counters as object).filter(name => name.startsWith('directory_refused') && name.includes('bank-listing'))).toEqual([])
  expect(await stage.attempt('bank', 'proofs')).toEqual({ proofs: [] })

  await stage.supervisor.stop('bank')
  for (const name of lost.filter(name => name.startsWith('sealed-'))) renameSync(join(away, name), join(stage.dir, 'bank', name))
  await stage.supervisor.start('bank')
  expect(await stage.status('bank')).toMatchObject({ lostKeysets: 0, lostSealedDays: 0 })
})
