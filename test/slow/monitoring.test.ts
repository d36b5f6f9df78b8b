/**
 * A network as its operators watch it: a real Prometheus scrapes every process, with the alert rules and the queries of the
 * dashboards that ops/ has; and nothing that any node wrote or told holds a coin, a wallet or a packet.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { toHex, utf8 } from '@mixmint/core/kit/bytes'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import { startNetwork } from '../../nodes/cli/up.ts'
import { Stage } from '../../nodes/demo/stage.ts'
import { createNetwork, freePorts, nodeNames, SMALL_NETWORK } from '../../nodes/layout.ts'
import { openLmdb } from '../../nodes/store/lmdb.ts'
import { until } from './probe.ts'

const hasPrometheus = ['prometheus', 'promtool'].every(program => spawnSync(program, ['--version']).status === 0)
if (!hasPrometheus) process.stderr.write('left out: there is no prometheus and promtool here\n')

const PLAN = { ...SMALL_NETWORK, authorities: 1, gateways: 1, mixesPerLayer: 1, centers: 4, denominations: 10 }
const ROLES = ['authority', 'gateway', 'mix', 'center', 'bank', 'merchant']

test.skipIf(!hasPrometheus)('each alert fires where it has to, and nowhere else', () => {
  const { status, stdout, stderr } = spawnSync('promtool', ['test', 'rules', 'ops/alerts.test.yml'], { encoding: 'utf8' })
  expect({ status, stderr }, stdout).toEqual({ status: 0, stderr: '' })
})

describe.skipIf(!hasPrometheus)('a network that is watched', () => {
  let stage: Stage
  let prometheus: ChildProcess
  let server: string
  const names = Object.values(nodeNames(PLAN)).flat()
  const ports = new Map<string, number>()
  /** What must not be found in anything that a node wrote or told, in hexadecimal or as the program writes it. */
  const secrets = new Set<string>()
  const told: string[] = []

  const scrape = async (name: string, path = '/metrics'): Promise<string> => await (await fetch(`http://127.0.0.1:${ports.get(name)}${path}`)).text()
  const ask = async (path: string, parameters: Record<string, string> = {}): Promise<Json> => {
    const answer = await (await fetch(`${server}/api/v1/${path}?${new URLSearchParams(parameters).toString()}`)).json() as { status: string, data: Json, error?: string }
    expect(answer.error ?? answer.status, JSON.stringify(parameters)).toBe('success')
    return answer.data
  }
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- what Prometheus answers
  type Json = any

  beforeAll(async () => {
    const dir = mkdtempSync(join(tmpdir(), 'mixmint-test-'))
    await createNetwork(await defaultSuite(), dir, PLAN)
    const free = await freePorts(names.length + 1)
    names.forEach((name, i) => {
      ports.set(name, free[i])
      appendFileSync(join(dir, name, 'config.toml'), `\n[metrics]\nlisten = "${free[i]}"\nevery = 1\n`)
    })
    stage = new Stage(dir, PLAN)
    await startNetwork(stage.supervisor, PLAN, true)
    writeFileSync(join(dir, 'prometheus.yml'), JSON.stringify({
      global: { scrape_interval: '1s', evaluation_interval: '1s' }, rule_files: [resolve('ops/alerts.yml')],
      scrape_configs: [{ job_name: 'mixmint', static_configs: [{ targets: names.map(name => `127.0.0.1:${ports.get(name)}`) }] }]
    }))
    const port = free[names.length]
    server = `http://127.0.0.1:${port}`
    prometheus = spawn('prometheus', [`--config.file=${join(dir, 'prometheus.yml')}`, `--storage.tsdb.path=${join(dir, 'prometheus')}`, `--web.listen-address=127.0.0.1:${port}`], { stdio: 'ignore' })

    const session = (result: Record<string, unknown>): Record<string, unknown> => {
      secrets.add(String(result.session))
      return result
    }
    session(await stage.command('wallet', 'init'))
    const { account } = session(await stage.command('wallet', 'account'))
    secrets.add(String(account))
    await stage.command('bank', 'credit', String(account), '900', '--reference', 'test')
    session(await stage.command('wallet', 'withdraw', '700'))
    for (const { coin } of session(await stage.command('wallet', 'coins')).coins as Array<{ coin: string }>) secrets.add(coin)
    const bought = session(await stage.command('wallet', 'buy', 'newspaper', '--with', 'token'))
    if (typeof bought.serial === 'string') secrets.add(bought.serial)
    session(await stage.command('wallet', 'buy', 'song', '--with', 'coins'))
    for (const { serial } of session(await stage.command('wallet', 'tokens')).tokens as Array<{ serial: string }>) secrets.add(serial)
    await stage.command('merchant', 'deposit')
  })

  afterAll(async () => {
    prometheus?.kill('SIGKILL')
    if (prometheus !== undefined && prometheus.exitCode === null) await once(prometheus, 'exit')
    await stage?.stop()
    if (stage !== undefined) rmSync(stage.dir, { recursive: true, force: true })
  })

  test('tells what keeps the conventions, and that it is ready', async () => {
    for (const role of ROLES) {
      const name = names.find(each => each.startsWith(role)) ?? ''
      const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], { input: await scrape(name), encoding: 'utf8' })
      expect({ status, said: stdout + stderr }, name).toEqual({ status: 0, said: '' })
      expect(await scrape(name, '/readyz'), name).toBe('ready\n')
    }
  })

  test('is scraped, and every query of the dashboards has an answer', async () => {
    await until(async () => (await ask('query', { query: 'count(up{job="mixmint"} == 1)' })).result[0]?.value[1] === String(names.length))
    await until(async () => Number((await ask('query', { query: 'min(count_over_time(mixmint_ready[1m]))' })).result[0]?.value[1]) >= 3)
    await until(async () => (await ask('query', { query: 'mixmint_bank_books_balanced == 1' })).result.length === 1)
    for (const role of ROLES) {
      const { panels } = JSON.parse(readFileSync(`ops/dashboards/${role}.json`, 'utf8')) as { panels: Array<{ title: string, targets: Array<{ expr: string }> }> }
      // A node's own instances, as the dashboard's variable has them.
      const instances = (await ask('query', { query: `mixmint_build_info{role="${role}"}` })).result.map(({ metric }: Json) => metric.instance)
      expect(instances).toHaveLength(names.filter(name => name.startsWith(role)).length)
      await Promise.all(panels.flatMap(({ title, targets }) => targets.map(async ({ expr }) => {
        const query = expr.replaceAll('$instance', instances.join('|')).replaceAll('$__rate_interval', '1m')
        const { result } = await ask('query', { query })
        // What has words for labels is there once it has happened often enough.
        if (!/sum by \([^)]*(reason|code|outcome|kind|fault|center)/.test(expr)) expect(result.length, `${role}: ${title}: ${query}`).toBeGreaterThan(0)
      })))
    }
  })

  test('loads every alert rule, and of this network none says that it is attacked or broken', async () => {
    const rules = async (): Promise<Json[]> => (await ask('rules')).groups.flatMap(({ rules }: Json) => rules)
    await until(async () => (await rules()).every(({ health }: Json) => health !== 'unknown'))
    const all = await rules()
    expect(all).toHaveLength([...readFileSync('ops/alerts.yml', 'utf8').matchAll(/- alert:/g)].length)
    expect(all.filter(({ health }: Json) => health !== 'ok')).toEqual([])
    const ofMachine = ['MixmintDiskNearlyFull', 'MixmintFileDescriptors', 'MixmintEventLoopLag']
    expect(all.filter(({ state, name }: Json) => state === 'firing' && !ofMachine.includes(name)).map(({ name }: Json) => name)).toEqual([])
  })

  test('restores its bank from a backup that was taken while it worked: closed for what it may have forgotten, and otherwise as it was', async () => {
    told.push(await scrape('bank'), JSON.stringify(await stage.status('bank')))
    const books = await stage.command('bank', 'books')
    const { store } = await stage.command('backup', join(stage.dir, 'backup'), '--dir', join(stage.dir, 'bank'))
    expect(store).toBe(true)
    await stage.supervisor.kill('bank')
    renameSync(join(stage.dir, 'bank'), join(stage.dir, 'lost'))
    const { notes } = await stage.command('restore', join(stage.dir, 'backup'), '--dir', join(stage.dir, 'bank'))
    expect(notes).toEqual([expect.stringContaining('restoredAt')])
    await stage.supervisor.start('bank')
    const after = await stage.command('bank', 'books')
    expect(after).toMatchObject({ balanced: true, credited: books.credited, accounts: books.accounts, issued: books.issued })
    const { account } = await stage.command('wallet', 'account')
    expect(await stage.command('bank', 'balance', String(account))).toMatchObject({ state: 'frozen', balance: 200 })
    await stage.command('bank', 'thaw', String(account), '--note', 'as its owner has it')
    expect((await stage.attempt('wallet', 'withdraw', '5')).error).toMatchObject({ code: 'closed-after-loss' })
    // Without the line that says what was lost it does not start.
    await stage.supervisor.stop('bank')
    const file = join(stage.dir, 'bank', 'config.toml')
    const config = readFileSync(file, 'utf8')
    writeFileSync(file, config.replace(/^restoredAt.*\n/m, ''))
    writeFileSync(join(stage.dir, 'bank', 'store.mark'), `${new Date(Date.now() + 60_000).toISOString()}\n`)
    await expect(stage.supervisor.start('bank')).rejects.toMatchObject({ code: 'node-failed' })
    expect(stage.log('bank').at(-1)).toMatchObject({ code: 'store-older' })
  })

  test('writes and tells nothing of a coin, a token, a wallet or a packet', async () => {
    for (const name of names.filter(each => each !== 'bank')) told.push(await scrape(name), JSON.stringify(await stage.status(name)))
    await stage.stop()
    told.push(stage.logs(), ...readdirSync(stage.dir, { recursive: true, encoding: 'utf8' }))
    const bytes = new Set<string>()
    for (const name of names) {
      const seen = join(stage.dir, name, 'seen')
      for (const file of name.startsWith('gateway') || name.startsWith('mix') || name === 'bank' ? readdirSync(seen) : []) {
        const records = readFileSync(join(seen, file)).subarray(32)
        for (let at = 0; at < records.length; at += 36) bytes.add(records.toString('hex', at, at + 32))
      }
    }
    expect(bytes.size).toBeGreaterThan(100)
    // The coins, by their ids: under them centers keep spends.
    const before = bytes.size
    for (const name of stage.centers) {
      const store = await openLmdb(join(stage.dir, name, 'store'))
      for (const { key } of await store.scan({ prefix: utf8('spend'), limit: 10_000 })) bytes.add(toHex(key.subarray(-32)))
      await store.close()
    }
    expect(bytes.size).toBeGreaterThan(before)
    for (const secret of secrets) if (/^[0-9a-f]{32,}$/.test(secret)) bytes.add(secret)
    const text = told.join('\n')
    const words = [...secrets].filter(secret => !/^[0-9a-f]+$/.test(secret))
    expect(words.length).toBeGreaterThan(0)
    for (const word of words) expect(text).not.toContain(word)
    // Any twelve digits of one of them, wherever they stand; two that are none of each other are alike once in many millions of runs of this.
    const parts = (hex: string): string[] => Array.from({ length: hex.length - 11 }, (_, i) => hex.slice(i, i + 12))
    const known = new Set([...bytes].flatMap(parts))
    const runs = new Set([...text.matchAll(/[0-9a-f]{12,}/g)].map(([run]) => run))
    expect([...runs].filter(run => parts(run).some(part => known.has(part)))).toEqual([])
  })
})
