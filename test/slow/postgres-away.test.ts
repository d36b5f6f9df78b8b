/**
 * PostgreSQL goes away under a bank and a merchant at work, for longer than they wait for it: who asks is refused by a code that says
 * to try again, both say that they are not ready, neither ends, and when the server is back all goes on, and nothing is lost.
 */
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { toHex } from '@mixmint/core/kit/bytes'
import { isMixmintError, type MixmintError } from '@mixmint/core/kit/errors'
import { startNetwork } from '../../nodes/cli/up.ts'
import { sleep } from '../../nodes/clock.ts'
import { Stage } from '../../nodes/demo/stage.ts'
import { createNetwork, freePorts, SMALL_NETWORK, type NetworkPlan } from '../../nodes/layout.ts'
import type { SignedInvoice } from '@mixmint/core/cash/formats'
import { errorOf } from '@mixmint/core/cash/refusal'
import { createWallet } from '../../nodes/wallet-folder.ts'
import { WalletSession } from '../../nodes/wallet-session.ts'
import { noPostgres, PostgresServer } from '../doubles/postgres.ts'
import { suite } from '../mixnet/mix-material.ts'
import { until } from './probe.ts'

const PLAN: NetworkPlan = { ...SMALL_NETWORK, authorities: 1, gateways: 1, mixesPerLayer: 1, centers: 4, denominations: 10 }
const ROLES = ['bank', 'merchant'] as const
const MONEY = 4000
const PRICE = 99
const LONG = 240_000
const why = noPostgres()
const root = mkdtempSync(join(tmpdir(), 'mixmint-pgaway-'))
let server: PostgresServer
let stage: Stage
let session: WalletSession
const ports = new Map<string, number>()

beforeAll(async () => {
  if (why !== null) return
  server = await PostgresServer.start()
  await createNetwork(suite, root, PLAN)
  const free = await freePorts(ROLES.length)
  for (const [i, role] of ROLES.entries()) {
    ports.set(role, free[i])
    writeFileSync(join(root, role, 'postgres.url'), `${server.url(await server.schema())}\n`, { mode: 0o600 })
    const config = join(root, role, 'config.toml')
    writeFileSync(config, readFileSync(config, 'utf8').replace(`[${role}]\n`, `[${role}]\npostgres = "postgres.url"\n${role === 'bank' ? 'sealedDays = 0\n' : ''}`))
    appendFileSync(config, `\n[metrics]\nlisten = "${free[i]}"\nevery = 1\n`)
  }
  stage = new Stage(root, PLAN)
  await startNetwork(stage.supervisor, PLAN, true)
  const dir = join(root, 'wallet-1')
  mkdirSync(dir, { mode: 0o700 })
  createWallet(dir)
  session = await WalletSession.open(root, dir)
  await stage.control('bank', 'credit', { account: toHex(session.engine.account), amount: MONEY, reference: 'all' })
}, LONG)

afterAll(async () => {
  await session?.close()
  if (why === null) await stage.stop()
  await server?.remove()
  rmSync(root, { recursive: true, force: true })
}, LONG)

const refusals: MixmintError[] = []

/** Once; a refusal is kept, and says that the same may be tried again: what was begun is gone on with by `recover`. */
async function attempt (act: () => Promise<unknown>): Promise<boolean> {
  try {
    await act()
    return true
  } catch (error) {
    if (!isMixmintError(error) || !error.retry) throw error
    refusals.push(error)
    await sleep(100)
    return false
  }
}

async function recover (): Promise<void> {
  for (const { error } of await session.run(session.engine.recover())) if (error !== null) refusals.push(error)
}

async function get (role: string, path: string): Promise<{ status: number, text: string }> {
  const answer = await fetch(`http://127.0.0.1:${ports.get(role)}${path}`)
  return { status: answer.status, text: await answer.text() }
}

async function counted (role: string, counter: string, outcome: string): Promise<number> {
  return Object.entries((await stage.status(role)).counters as Record<string, number>)
    .filter(([name]) => name.startsWith(counter) && name.includes(outcome)).reduce((sum, [, count]) => sum + count, 0)
}

if (why !== null) test.skip(`PostgreSQL goes away: ${why}`, () => {})
else {
  test('who asks is told to try again, nobody ends, and all goes on when it is back', async () => {
    const { payee } = session.merchant(undefined, toHex)
    const pids = ROLES.map(role => stage.supervisor.pid(role))
    await session.run(session.engine.withdraw(MONEY / 2))
    let isOver = false
    let bought = 0
    const buying = (async () => {
      while (!isOver) {
        let signed: SignedInvoice | null = null
        await attempt(async () => {
          const reply = await session.askMerchant(payee, { op: 'order', item: 'song' })
          if (reply.is === 'refused') throw errorOf(reply)
          if (reply.is !== 'invoice') throw new Error(`the order was answered with ${reply.is}`)
          signed = reply.signed
        })
        if (signed === null) continue
        const { invoice } = signed as SignedInvoice
        const done = bought % 2 === 1
          ? await attempt(async () => await session.run(session.engine.buyToken(payee, invoice.amount))) && await attempt(async () => await session.run(session.engine.payWithToken(signed as unknown as SignedInvoice)))
          : await attempt(async () => await session.run(session.engine.payWithCoins(signed as unknown as SignedInvoice)))
        if (done) bought += 1
        else await recover()
      }
    })()
    const failed = buying.then(() => { throw new Error('nobody buys any more') })
    failed.catch(() => {}) // where it matters it is waited for
    const buys = async (condition: () => boolean): Promise<void> => { await Promise.race([until(condition), failed]) }
    await buys(() => bought > 1)

    await server.stop('crash')
    await expect(session.run(session.engine.accountBalance())).rejects.toMatchObject({ code: 'store-unreachable', retry: true })
    for (const role of ROLES) {
      expect(await get(role, '/healthz'), role).toMatchObject({ status: 200 })
      await until(async () => (await get(role, '/readyz')).text.includes('store-unreachable'))
      await until(async () => /^mixmint_store_writable 0$/m.test((await get(role, '/metrics')).text))
    }
    expect(await counted('bank', 'bank_request', 'store-unreachable')).toBeGreaterThan(0)
    await expect(stage.control('bank', 'books')).rejects.toMatchObject({ code: 'store-unreachable' })

    await server.run()
    const before = bought
    await buys(() => bought > before + 1)
    isOver = true
    await buying
    for (const role of ROLES) {
      await until(async () => (await get(role, '/readyz')).status === 200)
      await until(async () => /^mixmint_store_writable 1$/m.test((await get(role, '/metrics')).text))
    }
    expect(refusals.map(({ code }) => code)).toContain('store-unreachable')
    expect(stage.fallen).toEqual([])
    expect(ROLES.map(role => stage.supervisor.pid(role))).toEqual(pids)

    await recover()
    await stage.command('merchant', 'deposit')
    const { available, tokens, promised, leftOver } = await session.run(session.engine.balance())
    expect({ promised, leftOver }).toEqual({ promised: 0, leftOver: 0 })
    expect(await stage.command('bank', 'audit')).toMatchObject({ balanced: true, credited: MONEY, outstanding: available, tokens, accounts: MONEY - available - tokens })
    const takings = await stage.command('merchant', 'takings') as { pending: number, refused: number, accepted: number }
    expect(takings).toMatchObject({ pending: 0, refused: 0 })
    expect(takings.accepted).toBeGreaterThanOrEqual(bought * PRICE)
    expect(available + tokens + takings.accepted).toBe(MONEY / 2)
  }, LONG)
}
