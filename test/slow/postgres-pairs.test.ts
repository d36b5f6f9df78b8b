/**
 * Two processes of one bank and two of one merchant, each pair on one PostgreSQL: the directory lists all four, wallets buy at
 * any of them, one of each is killed while they do, and not a unit is lost or made.
 */
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { toHex } from '@mixmint/core/kit/bytes'
import { isMixmintError } from '@mixmint/core/kit/errors'
import { Stage } from '../../nodes/demo/stage.ts'
import { loadOrCreateIdentity } from '../../nodes/identity.ts'
import { createNetwork, freePorts, nodeNames, SMALL_NETWORK, type NetworkPlan } from '../../nodes/layout.ts'
import { loadOrCreateSeed } from '../../nodes/secrets.ts'
import { createWallet } from '../../nodes/wallet-folder.ts'
import { WalletSession } from '../../nodes/wallet-session.ts'
import { noPostgres, PostgresServer } from '../doubles/postgres.ts'
import { suite } from '../mixnet/mix-material.ts'
import { until } from './probe.ts'

const PLAN: NetworkPlan = { ...SMALL_NETWORK, authorities: 1, gateways: 1, mixesPerLayer: 1, centers: 4, denominations: 10 }
const WALLETS = 3
const EACH = 400
const PURCHASES = 3
const PRICE = 99
const LONG = 240_000
const why = noPostgres()
const root = mkdtempSync(join(tmpdir(), 'mixmint-pairs-'))
let server: PostgresServer | null = null
let bankSchema = ''
let stage: Stage
const sessions: WalletSession[] = []

/** Another process of this node: a folder, an identity and addresses of its own, and its key. */
async function twin (name: string, key: string): Promise<void> {
  const [from, to] = [join(root, name), join(root, `${name}-2`)]
  mkdirSync(to, { mode: 0o700 })
  for (const file of [key, 'postgres.url', ...name === 'bank' ? ['ring.json'] : []]) copyFileSync(join(from, file), join(to, file))
  const ports = await freePorts(3)
  writeFileSync(join(to, 'config.toml'), readFileSync(join(from, 'config.toml'), 'utf8').replaceAll(/^#.*\n|\/tcp\/\d+/gm, found => found.startsWith('#') ? '' : `/tcp/${ports.pop()}`))
  const peer = peerIdFromPrivateKey(loadOrCreateIdentity(join(to, 'identity.key'))).toString()
  const authority = join(root, 'authority-1', 'config.toml')
  writeFileSync(authority, `${readFileSync(authority, 'utf8')}\n[[authority.admit]]\npeer = "${peer}"\nrole = "service"\nkind = "${name}"\n`)
}

beforeAll(async () => {
  if (why !== null) return
  server = await PostgresServer.start()
  await createNetwork(suite, root, PLAN)
  for (const [name, key] of [['bank', 'bank.key'], ['merchant', 'payee.key']]) {
    if (name === 'merchant') loadOrCreateSeed(join(root, name, key))
    const schema = await server.schema()
    if (name === 'bank') bankSchema = schema
    writeFileSync(join(root, name, 'postgres.url'), `${server.url(schema)}\n`, { mode: 0o600 })
    const config = join(root, name, 'config.toml')
    writeFileSync(config, readFileSync(config, 'utf8').replace(`[${name}]\n`, `[${name}]\npostgres = "postgres.url"\n${name === 'bank' ? 'sealedDays = 0\n' : ''}`))
    await twin(name, key)
  }
  stage = new Stage(root, PLAN)
  const { authority, mixnet, money } = nodeNames(PLAN)
  for (const name of authority) await stage.supervisor.start(name)
  await Promise.all([...mixnet, ...money, 'bank-2', 'merchant-2'].map(async name => { await stage.supervisor.start(name) }))
}, LONG)

afterAll(async () => {
  for (const session of sessions) await session.close()
  if (why === null) await stage.stop()
  await server?.remove()
  rmSync(root, { recursive: true, force: true })
}, LONG)

async function shopper (n: number): Promise<WalletSession> {
  const dir = join(root, `wallet-${n}`)
  mkdirSync(dir, { mode: 0o700 })
  createWallet(dir)
  const session = await WalletSession.open(root, dir)
  sessions.push(session)
  // The operator at either process.
  await stage.control(n % 2 === 0 ? 'bank' : 'bank-2', 'credit', { account: toHex(session.engine.account), amount: EACH, reference: `wallet ${n}` })
  return session
}

/** Until it is done: what was cut off goes on. */
async function insist (act: () => Promise<unknown>): Promise<void> {
  for (;;) {
    try {
      await act()
      return
    } catch (error) {
      if (!isMixmintError(error) || !error.retry) throw error
    }
  }
}

if (why !== null) test.skip(`pairs of processes on one PostgreSQL: ${why}`, () => {})
else {
  test('one of each is killed while wallets buy, and nothing is lost', async () => {
    const { nodes } = await stage.command('directory', 'show', '--net', root) as unknown as { nodes: Array<{ role: string }> }
    for (const kind of ['bank', 'merchant']) expect(nodes.filter(({ role }) => role === kind)).toHaveLength(2)

    const shoppers = await Promise.all(Array.from({ length: WALLETS }, async (_, n) => await shopper(n)))
    let bought = 0
    const shopping = Promise.all(shoppers.map(async (session, n) => {
      await insist(async () => await session.run(session.engine.withdraw(EACH)))
      const { payee } = session.merchant(undefined, toHex)
      for (let i = 0; i < PURCHASES; i++) {
        let reply = await session.askMerchant(payee, { op: 'order', item: 'song' })
        await insist(async () => {
          if (reply.is !== 'invoice') reply = await session.askMerchant(payee, { op: 'order', item: 'song' })
          if (reply.is !== 'invoice') throw new Error(`the order was answered with ${reply.is}`)
          const { signed } = reply
          if ((i + n) % 2 === 0) await session.run(session.engine.payWithCoins(signed))
          else {
            await session.run(session.engine.buyToken(payee, signed.invoice.amount))
            await session.run(session.engine.payWithToken(signed))
          }
        })
        bought += 1
      }
    }))
    shopping.catch(() => {}) // it is awaited below
    const served = async (name: string): Promise<number> => Object.entries((await stage.status(name)).counters as Record<string, number>)
      .filter(([counter]) => counter.startsWith('service_requests')).reduce((sum, [, count]) => sum + count, 0)
    // Both of each are at work when one of each dies.
    await until(async () => bought >= WALLETS && await served('bank-2') > 3 && await served('bank') > 3 && await served('merchant-2') > 0)
    await Promise.all([stage.supervisor.kill('bank-2'), stage.supervisor.kill('merchant-2')])
    await shopping
    for (const session of shoppers) await session.run(session.engine.recover())

    await stage.command('merchant', 'deposit')
    const books = await stage.command('bank', 'audit')
    const balances = await Promise.all(shoppers.map(async session => await session.run(session.engine.balance())))
    const sum = (list: readonly number[]): number => list.reduce((all, each) => all + each, 0)
    expect(books).toMatchObject({ balanced: true, credited: WALLETS * EACH, accounts: WALLETS * PURCHASES * PRICE, outstanding: sum(balances.map(({ available }) => available)), tokens: sum(balances.map(({ tokens }) => tokens)) })
    expect(balances.map(({ promised, leftOver }) => promised + leftOver)).toEqual(balances.map(() => 0))
    expect((await stage.command('merchant', 'takings'))).toMatchObject({ pending: 0, refused: 0 })

    // A standby takes over that has not heard of the last hour: the bank ends, and does not start on it until its operator has said so.
    await server?.sql("UPDATE mixmint_entries SET value = int8send(('x' || encode(value, 'hex'))::bit(64)::bigint - 3600000) WHERE key = 'steady-clock'", bankSchema)
    await until(() => stage.fallen.includes('bank'))
    expect(stage.log('bank').some(({ code }) => code === 'store-older')).toBe(true)
    await expect(stage.supervisor.start('bank')).rejects.toMatchObject({ code: 'node-failed' })
    const config = join(root, 'bank', 'config.toml')
    writeFileSync(config, readFileSync(config, 'utf8').replace('[bank]\n', `[bank]\nrestoredAt = "${new Date(Date.now() - 1000).toISOString()}"\n`))
    await stage.supervisor.start('bank')
  }, LONG)
}
