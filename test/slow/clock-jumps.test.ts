/**
 * The clock of one process jumps by an hour, ahead and back, and is set right: a mix, which destroys no key before its time
 * for it, and a directory authority, which signs nothing for epochs that are not there, and is one of them again afterwards.
 */
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { equal } from '@mixmint/core/kit/bytes'
import { epochEnd, epochStart } from '@mixmint/mixnet/directory/epoch'
import { startNetwork } from '../../nodes/cli/up.ts'
import { Stage } from '../../nodes/demo/stage.ts'
import { createNetwork, nodeNames, SMALL_NETWORK, type NetworkPlan } from '../../nodes/layout.ts'
import { WalletSession } from '../../nodes/wallet-session.ts'
import { suite } from '../mixnet/mix-material.ts'
import { KeyWatch } from './key-watch.ts'
import { Probe, until } from './probe.ts'

const HOUR = 3_600_000
const SCHEDULE = { epochLength: 10_000, epochGrace: 5_000 }
const PLAN: NetworkPlan = {
  ...SMALL_NETWORK, gateways: 1, mixesPerLayer: 1, centers: 1, ring: { replicas: 1, faults: 0, quorum: 1 },
  parameters: { ...SCHEDULE, clockSkew: 2_000 }
}
const NAMES = nodeNames(PLAN)
const MIX = 'mix-2-1'
const [AUTHORITY] = NAMES.authority

let stage: Stage
let probe: Probe
let keys: KeyWatch

beforeAll(async () => {
  const dir = mkdtempSync(join(tmpdir(), 'mixmint-clock-'))
  await createNetwork(suite, dir, PLAN)
  const preload = fileURLToPath(new URL('preload/clock.ts', import.meta.url))
  stage = new Stage(dir, PLAN, name => ['env', `NODE_OPTIONS=--import=${preload}`, `MIXMINT_CLOCK_OFF=${join(dir, `${name}.clock`)}`])
  keys = new KeyWatch(dir, [MIX], SCHEDULE)
  await startNetwork(stage.supervisor, PLAN, true)
  await stage.command('wallet', 'init')
  probe = await Probe.start(stage, SCHEDULE)
})

afterAll(async () => {
  keys.stop()
  await probe.stop()
  await stage.stop()
  rmSync(stage.dir, { recursive: true, force: true })
})

/** Whole at once: the process may look at any time. */
function setOff (name: string, ms: number): void {
  const file = join(stage.dir, `${name}.clock`)
  writeFileSync(`${file}.new`, String(ms))
  renameSync(`${file}.new`, file)
}

async function counter (name: string, of: string): Promise<number> {
  return Number((((await stage.status(name)).counters) as Record<string, number>)[of] ?? 0)
}

function hasLogged (name: string, code: string, from: number): boolean {
  return stage.log(name).slice(from).some(line => line.code === code)
}

async function ask (): Promise<void> {
  const wallet = await WalletSession.open(stage.dir, join(stage.dir, 'wallet'))
  try {
    const [{ payee }] = wallet.merchants()
    expect(await wallet.askMerchant(payee, { op: 'catalogue' })).toMatchObject({ is: 'catalogue' })
  } finally {
    await wallet.close()
  }
}

/** Until the document of an epoch that is still to come is there, as this authority has it. */
async function documentAfter (authority: number): Promise<number> {
  const epoch = probe.epoch + 2
  await until(async () => await probe.document(epoch, authority).then(() => true, () => false))
  return epoch
}

test.each([['ahead', HOUR], ['behind', -HOUR]])('a mix whose clock goes an hour %s says so, destroys keys in their time and no sooner, and once it is right goes on', async (_, off) => {
  const [lines, skewed] = [stage.log(MIX).length, await counter(MIX, 'directory_fetch_failed code=clock-skewed')]
  const before = probe.epoch
  setOff(MIX, off)
  await until(() => hasLogged(MIX, 'clock-skewed', lines))
  await until(async () => await counter(MIX, 'directory_fetch_failed code=clock-skewed') > skewed)
  // By the clock that nobody sets, the time of a key is over meanwhile.
  await until(() => Date.now() > epochEnd(SCHEDULE, before))
  setOff(MIX, 0)
  const epoch = await documentAfter(1)
  await until(() => Date.now() > epochStart(SCHEDULE, epoch))
  expect(await probe.keyOf(MIX, epoch)).toEqual(suite.x25519Base(keys.secret(MIX, epoch) as Uint8Array))
  await ask()
  await until(() => keys.hasDue(MIX))
  expect(keys.violations).toEqual([])
})

test('a mix that is killed while its clock is an hour ahead, and started, has lost no key for it', async () => {
  const lines = stage.log(MIX).length
  setOff(MIX, HOUR)
  await until(() => hasLogged(MIX, 'clock-skewed', lines))
  await stage.supervisor.kill(MIX)
  const again = stage.log(MIX).length
  const starting = stage.supervisor.start(MIX).catch(() => {}) // it does not serve at such a time
  await until(() => hasLogged(MIX, 'clock-skewed', again))
  await stage.supervisor.kill(MIX)
  await starting
  setOff(MIX, 0)
  await stage.supervisor.start(MIX)
  await ask()
  await until(() => keys.hasDue(MIX))
  expect(keys.violations).toEqual([])
})

test.each([['ahead', HOUR], ['behind', -HOUR]])('an authority whose clock goes an hour %s says so, signs nothing twice, and once it is right signs with the others', async (which, off) => {
  const said = new Map<string, Set<string>>()
  const hear = async (): Promise<void> => {
    const now = probe.epoch
    for (const epoch of [now, now + 1, Math.floor((Date.now() + off) / SCHEDULE.epochLength)]) {
      for (const { place, value } of await probe.saidBy(0, epoch)) said.set(place, (said.get(place) ?? new Set()).add(value))
    }
  }
  const lines = stage.log(AUTHORITY).length
  setOff(AUTHORITY, off)
  await until(async () => { await hear(); return hasLogged(AUTHORITY, 'clock-skewed', lines) })
  expect((await stage.status(AUTHORITY)).clock).toBe(which)
  expect(await counter(AUTHORITY, `directory_clock_wrong reason=${which}`)).toBeGreaterThan(0)
  // Over some epochs, by either clock.
  const later = probe.epoch + 3
  await until(async () => { await hear(); return Date.now() > epochStart(SCHEDULE, later) })
  setOff(AUTHORITY, 0)
  const isSigned = async (epoch: number): Promise<boolean> => {
    probe.documents.delete(epoch) // signatures are added
    const { signed } = await probe.document(epoch, 1)
    return signed.signatures.some(({ authority }) => equal(authority, probe.authorityKeys[0]))
  }
  await until(async () => { await hear(); return await isSigned(probe.epoch).catch(() => false) })
  expect((await stage.status(AUTHORITY)).clock).toBe('right')
  expect([...said].filter(([, values]) => values.size > 1)).toEqual([])
  for (const name of NAMES.authority) expect((await stage.control(name, 'evidence')).proofs).toEqual([])
})

test('nobody ended for it', () => {
  expect(stage.fallen).toEqual([])
})
