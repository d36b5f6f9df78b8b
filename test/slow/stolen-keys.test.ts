/**
 * Keys in other hands, as docs/incidents.md has it, in a network of processes: a mix's and a center's. What the thief has is worth
 * nothing after the commands of that page, and the network goes on. A bank's: test/cash/stolen-keys.test.ts.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startNetwork } from '../../nodes/cli/up.ts'
import { Stage } from '../../nodes/demo/stage.ts'
import { createNetwork, SMALL_NETWORK, type NetworkPlan } from '../../nodes/layout.ts'
import { suite } from '../mixnet/mix-material.ts'
import { Probe, until } from './probe.ts'

const SCHEDULE = { epochLength: 16_000, epochGrace: 8_000 }
const PLAN: NetworkPlan = {
  ...SMALL_NETWORK, authorities: 1, gateways: 1, mixesPerLayer: 1, centers: 4,
  // No loops: what is delivered at a mix is then the test's own.
  parameters: { ...SCHEDULE, clockSkew: 2_000, cover: { loop: 0 } }
}
const MIX = 'mix-2-1'
const CENTER = 'center-2'

let stage: Stage
let probe: Probe

beforeAll(async () => {
  const dir = mkdtempSync(join(tmpdir(), 'mixmint-stolen-'))
  await createNetwork(suite, dir, PLAN)
  stage = new Stage(dir, PLAN)
  await startNetwork(stage.supervisor, PLAN, true)
  probe = await Probe.start(stage, SCHEDULE)
  await stage.command('wallet', 'init')
  const { account } = await stage.command('wallet', 'account')
  await stage.command('bank', 'credit', String(account), '1000', '--reference', 'test')
  await stage.command('wallet', 'withdraw', '800')
})

afterAll(async () => {
  await probe.stop()
  await stage.stop()
  rmSync(stage.dir, { recursive: true, force: true })
})

test('a mix key: packets of its epoch are opened by nobody any more, and the next document has keys that the thief has not', async () => {
  const isThere = async (epoch: number): Promise<boolean> => await probe.document(epoch).then(() => true, () => false)
  const epoch = probe.epoch
  await until(async () => await isThere(epoch))
  const stolen = await Promise.all([epoch, epoch + 1].map(async each => await probe.keyOf(MIX, each, epoch)))
  expect(stolen[0]).toBeDefined()
  await stage.supervisor.stop(MIX)
  await stage.command('keys', 'rotate', 'mix', '--dir', join(stage.dir, MIX))
  await stage.supervisor.start(MIX)
  // Whoever still goes by the document of before makes packets that it cannot open.
  await probe.send(await probe.packet(MIX, epoch))
  await until(async () => Object.keys((await probe.fate(MIX)).dropped).length > 0)
  expect(await probe.fate(MIX)).toMatchObject({ delivered: 0 })
  // A busy machine may be too late for an epoch: then in the next.
  await until(async () => {
    const now = probe.epoch
    if (now < epoch + 2 || !await isThere(now)) return false
    const fresh = await probe.keyOf(MIX, now)
    if (fresh === undefined) return false
    expect(stolen).not.toContainEqual(fresh)
    await probe.send(await probe.packet(MIX, now))
    await until(async () => (await probe.fate(MIX)).delivered > 0 || probe.epoch > now)
    return (await probe.fate(MIX)).delivered > 0
  })
  expect(await stage.command('wallet', 'buy', 'song', '--with', 'coins')).toMatchObject({ paid: true })
})

test('a center\'s vote key: it is counted no more, and coins stay payable with the others', async () => {
  const dir = join(stage.dir, CENTER)
  const { voteKey: before } = await stage.command('ring', 'entry', '--dir', dir)
  await stage.supervisor.stop(CENTER)
  await stage.command('keys', 'rotate', 'vote', '--dir', dir)
  const word = join(stage.dir, 'word.txt')
  writeFileSync(word, String((await stage.command('ring', 'retire', '--dir', dir, '--key', String(before), '--net', stage.dir)).retirement))
  await stage.command('bank', 'revoke', word)
  const { voteKey: after } = await stage.command('ring', 'entry', '--dir', dir)
  expect(after).not.toBe(before)
  await stage.supervisor.start(CENTER)
  // Payees count by what the directory says.
  await until(async () => JSON.stringify(await stage.command('ring', 'show', '--net', stage.dir)).includes('"revoked":true'))
  expect(await stage.command('wallet', 'buy', 'song', '--with', 'coins')).toMatchObject({ paid: true })
})
