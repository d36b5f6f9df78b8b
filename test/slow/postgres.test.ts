/**
 * PostgreSQL between processes: its log is on disk before a store tells (strace), and a network whose bank and merchant
 * keep their money there, the bank with locked keys, pays over a crash of the server, and balances.
 */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { utf8 } from '@mixmint/core/kit/bytes'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { sleep } from '../../nodes/clock.ts'
import { startNetwork } from '../../nodes/cli/up.ts'
import { Stage } from '../../nodes/demo/stage.ts'
import { createNetwork, SMALL_NETWORK } from '../../nodes/layout.ts'
import { openPostgres } from '../../nodes/store/postgres.ts'
import { noPostgres, PostgresServer } from '../doubles/postgres.ts'

const why = noPostgres()
const hasStrace = spawnSync('strace', ['-V']).status === 0
const root = mkdtempSync(join(tmpdir(), 'mixmint-pgslow-'))
let server: PostgresServer
beforeAll(async () => { if (why === null) server = await PostgresServer.start() })
afterAll(async () => {
  await server?.remove()
  rmSync(root, { recursive: true, force: true })
})

if (why !== null) test.skip(`PostgreSQL between processes: ${why}`, () => {})

describe.skipIf(why !== null)('PostgreSQL', () => {
  test.skipIf(!hasStrace)('flushes its log before it answers a commit, and the store tells nobody before', async () => {
    const store = await openPostgres(server.url(await server.schema()))
    const trace = join(root, 'trace')
    const [{ pid }] = await server.sql("SELECT pid FROM pg_stat_activity WHERE application_name = 'mixmint' ORDER BY backend_start LIMIT 1")
    const strace = spawn('strace', ['-qq', '-y', '-p', String(pid), '-e', 'trace=fdatasync,fsync,pwrite64,write,sendto', '-s', '64', '-o', trace], { stdio: ['ignore', 'ignore', 'pipe'] })
    // It says nothing when it is attached: the tracer of the process shows that.
    while (!/TracerPid:\t[1-9]/.test(readFileSync(`/proc/${String(pid)}/status`, 'utf8'))) await sleep(20)
    for (let i = 0; i < 5; i++) await store.batch([{ op: 'insert', key: utf8(`k${i}`), value: utf8('v') }])
    const ended = once(strace, 'exit')
    strace.kill('SIGINT')
    await ended
    await store.close()
    const events = readFileSync(trace, 'utf8').split('\n').flatMap(line =>
      /^f(data)?sync\(\d+<[^>]*pg_wal/.test(line) ? ['sync'] : /^sendto\(/.test(line) && line.includes('COMMIT') ? ['told'] : [])
    expect(events.filter(event => event === 'told').length).toBe(5)
    // Each answer to a commit comes right after a flush.
    for (const [i, event] of events.entries()) if (event === 'told') expect(events[i - 1], events.join(' ')).toBe('sync')
  })

  test('a network whose money is in PostgreSQL, with locked keys', async () => {
    const dir = join(root, 'net')
    await createNetwork(await defaultSuite(), dir, SMALL_NETWORK)
    const passphrase = join(root, 'passphrase')
    writeFileSync(passphrase, 'correct horse battery staple\n', { mode: 0o600 })
    process.env.MIXMINT_PASSPHRASE_FILE = passphrase
    for (const node of ['bank', 'merchant']) {
      writeFileSync(join(dir, node, 'postgres.url'), `${server.url(await server.schema())}\n`, { mode: 0o600 })
      const config = join(dir, node, 'config.toml')
      writeFileSync(config, readFileSync(config, 'utf8').replace(`[${node}]\n`, `[${node}]\npostgres = "postgres.url"\n`))
    }
    const stage = new Stage(dir, SMALL_NETWORK)
    try {
      await stage.command('keys', 'lock', '--dir', join(dir, 'bank'))
      await startNetwork(stage.supervisor, SMALL_NETWORK, true)
      await stage.command('wallet', 'init')
      const { account } = await stage.command('wallet', 'account')
      await stage.command('bank', 'credit', String(account), '4000', '--reference', 'test')
      await stage.command('wallet', 'withdraw', '2000')
      await server.stop('crash')
      await server.run()
      await stage.command('wallet', 'buy', 'coffee', '--with', 'token')
      await stage.command('merchant', 'deposit')
      expect(await stage.command('bank', 'audit')).toMatchObject({ balanced: true, credited: 4000, accounts: 2320, tokens: 0, outstanding: 1680 })
      const { statement } = await stage.command('bank', 'statement')
      writeFileSync(join(root, 'statement'), `${String(statement)}\n`)
      expect(await stage.command('statement', 'verify', join(root, 'statement'))).toMatchObject({ valid: true })
      await stage.command('bank', 'freeze', String(account), '--note', 'test')
      expect((await stage.attempt('wallet', 'withdraw', '100')).error).toMatchObject({ code: 'account-frozen' })
    } finally {
      delete process.env.MIXMINT_PASSPHRASE_FILE
      await stage.stop()
    }
  })
})
