/**
 * Wallet, bank, centers and merchant, real processes on a small network, are killed (kill −9) at durable steps of withdraw, exchange,
 * token, accept, deposit and vote, before the step is on disk or right after it. They start again, and everything that was begun
 * is completed: no unit is lost, none is there twice. Some of the steps, by a seed; all of them with MIXMINT_LONG=1.
 */
import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { shuffle } from '@mixmint/core/kit/samplers'
import { startNetwork } from '../../nodes/cli/up.ts'
import type { JsonObject } from '../../nodes/control.ts'
import { Stage } from '../../nodes/demo/stage.ts'
import { createNetwork, SMALL_NETWORK, type NetworkPlan } from '../../nodes/layout.ts'
import { PROGRAM } from '../../nodes/program.ts'
import { seededRng } from '../doubles/rng.ts'
import { suite } from '../mixnet/mix-material.ts'
import { until } from './probe.ts'

const PLAN: NetworkPlan = { ...SMALL_NETWORK, authorities: 1, gateways: 1, mixesPerLayer: 1, centers: 4, denominations: 8 }
const CREDITED = 5000
const SEED = process.env.SEED ?? '1'
const LONG = process.env.MIXMINT_LONG === '1'
const PRELOAD = fileURLToPath(new URL('preload/store-deaths.ts', import.meta.url))

/** Who dies, at the first write to which table, and the command of the wallet (or of the merchant) in which that happens. */
const STEPS: ReadonlyArray<{ readonly victim: string, readonly table: string, readonly command: readonly string[] }> = [
  { victim: 'wallet', table: 'open', command: ['wallet', 'withdraw', '50'] },
  { victim: 'wallet', table: 'coin', command: ['wallet', 'withdraw', '50'] },
  { victim: 'bank', table: 'withdrawal', command: ['wallet', 'withdraw', '50'] },
  { victim: 'wallet', table: 'open', command: ['wallet', 'exchange', '2', '1'] },
  { victim: 'wallet', table: 'done', command: ['wallet', 'exchange', '2', '1'] },
  { victim: 'bank', table: 'contract', command: ['wallet', 'exchange', '2', '1'] },
  { victim: 'bank', table: 'token', command: ['wallet', 'buy', 'song', '--with', 'token'] },
  { victim: 'wallet', table: 'token', command: ['wallet', 'buy', 'song', '--with', 'token'] },
  { victim: 'merchant', table: 'serial', command: ['wallet', 'buy', 'song', '--with', 'token'] },
  { victim: 'bank', table: 'contract', command: ['wallet', 'buy', 'song', '--with', 'sealed'] },
  { victim: 'wallet', table: 'sealed-token', command: ['wallet', 'buy', 'song', '--with', 'sealed'] },
  { victim: 'wallet', table: 'sealed-payment', command: ['wallet', 'buy', 'song', '--with', 'sealed'] },
  { victim: 'merchant', table: 'sealed-paid', command: ['wallet', 'buy', 'song', '--with', 'sealed'] },
  { victim: 'merchant', table: 'unsettled', command: ['wallet', 'buy', 'song', '--with', 'coins'] },
  { victim: 'center-1', table: 'spend', command: ['wallet', 'buy', 'song', '--with', 'coins'] },
  { victim: 'center-2', table: 'spend', command: ['wallet', 'exchange', '2', '1'] },
  { victim: 'bank', table: 'deposit', command: ['merchant', 'deposit'] },
  { victim: 'merchant', table: 'credited', command: ['merchant', 'deposit'] }
]
/** Of each kind of victim at least one, if it is not all. */
const MOST = 5

let stage: Stage

function orderFor (name: string): string {
  return join(stage.dir, `${name}.dies-at`)
}

/** A command of the wallet in a process that may die; results in null then. */
async function mortal (...words: readonly string[]): Promise<JsonObject | null> {
  const [group, ...rest] = words
  const env = { ...process.env, NODE_OPTIONS: `--import=${PRELOAD}`, MIXMINT_DIES_AT: orderFor(group === 'wallet' ? 'wallet' : 'nobody') }
  return await new Promise((resolve, reject) => {
    execFile(process.execPath, [PROGRAM, group, '--net', stage.dir, ...rest, '--json'], { env, timeout: 120_000 }, (error, stdout) => {
      if (stdout.trim() !== '') resolve(JSON.parse(stdout) as JsonObject)
      else if (error?.signal === 'SIGKILL') resolve(null)
      else reject(error ?? new Error('no output'))
    })
  })
}

beforeAll(async () => {
  const dir = mkdtempSync(join(tmpdir(), 'mixmint-deaths-'))
  await createNetwork(suite, dir, PLAN)
  stage = new Stage(dir, PLAN, name => /^(bank|merchant|center)/.test(name) ? ['env', `NODE_OPTIONS=--import=${PRELOAD}`, `MIXMINT_DIES_AT=${join(dir, `${name}.dies-at`)}`] : [])
  await startNetwork(stage.supervisor, PLAN, true)
  await stage.command('wallet', 'init')
  const { account } = await stage.command('wallet', 'account')
  await stage.command('bank', 'credit', String(account), String(CREDITED), '--reference', 'deaths')
  await stage.command('wallet', 'withdraw', '1500')
}, 300_000)

afterAll(async () => {
  await stage.stop()
  rmSync(stage.dir, { recursive: true, force: true })
}, 300_000)

test('whoever dies, and when: what was begun is completed, and every unit is somewhere once', async () => {
  const chance = seededRng(`money deaths ${SEED}`)
  const all = STEPS.flatMap(step => ['before', 'after'].map(when => ({ ...step, when })))
  const kinds = new Set<string>()
  const chosen = LONG ? all : shuffle(chance, all).filter(({ victim }) => {
    const kind = victim.split('-')[0]
    return kinds.size < MOST && !kinds.has(kind) && kinds.add(kind).size > 0
  })
  expect(chosen.length).toBeGreaterThanOrEqual(4)
  for (const { victim, table, when, command } of chosen) {
    const name = `${victim} ${when} ${table} in ${command.join(' ')}`
    // For a deposit there has to be something to turn in.
    if (command[0] === 'merchant') expect((await stage.command('wallet', 'buy', 'song', '--with', 'token')).error, name).toBeUndefined()
    const fallen = stage.fallen.length
    writeFileSync(orderFor(victim), `${when} ${table}`)
    const asked = mortal(...command)
    // It died, and nothing else did. Where a service did, it is there again while its asker still waits.
    if (victim === 'wallet') expect(await asked, name).toBe(null)
    else {
      await until(() => stage.fallen.length > fallen)
      expect(stage.fallen.slice(fallen), name).toEqual([victim])
      await stage.supervisor.start(victim)
      await asked
    }
    expect(existsSync(orderFor(victim)), name).toBe(false)
    await until(async () => {
      await stage.attempt('wallet', 'recover')
      return ((await stage.command('wallet', 'pending')).entries as unknown[]).length === 0
    })
    await until(async () => (await stage.attempt('merchant', 'deposit')).error === undefined)
    await expectEveryUnit(name)
  }
}, 1_800_000)

/** The bank's books balance, and what they say is outstanding is in the wallet. */
async function expectEveryUnit (name: string): Promise<void> {
  const books = await stage.command('bank', 'books')
  expect(books, name).toMatchObject({ balanced: true, credited: CREDITED })
  const { coins, tokens } = await worth()
  expect(coins, name).toBe(books.outstanding)
  expect(tokens, name).toBe(books.tokens)
  const { payee } = await stage.command('merchant', 'payee')
  const { balance } = await stage.command('bank', 'balance', String(payee))
  const takings = await stage.command('merchant', 'takings')
  expect(balance, name).toBe(takings.accepted)
}

async function worth (): Promise<{ coins: number, tokens: number }> {
  const { available, promised, leftOver, ended, tokens } = await stage.command('wallet', 'balance') as unknown as Record<'available' | 'promised' | 'leftOver' | 'ended' | 'tokens', number>
  return { coins: available + promised + leftOver + ended, tokens }
}
