/**
 * An upgrade, as docs/operating.md has it: a network that the version before founded and used is upgraded host by host. While half of
 * its nodes are of either version, wallets of either pay with coins, tokens and sealed tokens, have receipts and get money back; at the
 * end the books hold all of it.
 * What the version before is: docs/decisions/0062.
 */
import { execFileSync } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { callControl, type JsonObject } from '../../nodes/control.ts'
import { Supervisor } from '../../nodes/supervisor.ts'
import { Hosts } from './pages/hosts.ts'
import { enlarged, readPage } from './pages/page.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const PROGRAMS = join(ROOT, 'test', 'fixtures', 'programs')
const NETWORK = `127.${randomInt(1, 255)}.${randomInt(1, 255)}.`
const ENVIRONMENT = { MIXMINT_PROFILE: 'demo', MIXMINT_PARAMETERS: '{ epochLength = 60000, epochGrace = 30000 }', MIXMINT_DENOMINATIONS: '11', MIXMINT_SEALED_DAYS: '1' }
const FIRST_PURCHASE = '4. The first purchase'
const { addresses, blocks } = enlarged(readPage('founding.md'), { gw: 2 })
const [UPGRADE] = readPage('operating.md').blocks
/** Upgraded first: a quorum of the authorities, before all others, as the page has it; then, of every kind, some. */
const HALF = ['auth1', 'auth2', 'auth3', 'gw1', 'mix1', 'mix3', 'center1', 'center3', 'bank1']
const REST = [...addresses.keys()].filter(host => !HALF.includes(host) && host !== 'me')

let root: string
let supervisor: Supervisor
let hosts: Hosts

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'mixmint-mixed-'))
  const before = join(root, 'before')
  mkdirSync(before)
  const tarball = readdirSync(PROGRAMS).filter(name => name.endsWith('.tgz')).sort().at(-1) ?? ''
  execFileSync('tar', ['xzf', join(PROGRAMS, tarball), '-C', before])
  // What a build leaves to npm.
  symlinkSync(join(ROOT, 'node_modules'), join(root, 'node_modules'))
  const environment = ['env', ...Object.entries(ENVIRONMENT).map(([name, value]) => `${name}=${value}`)]
  supervisor = new Supervisor(root, () => {}, name => [...environment, ...hosts.runner(name.split('/')[0])])
  const moved = new Map([...addresses].map(([host, address]) => [host, address.replace('192.0.2.', NETWORK)]))
  hosts = new Hosts({
    root, environment: ENVIRONMENT, addresses: new Map([...moved, ['you', `${NETWORK}98`]]), program: join(before, 'package', 'bin', 'mixmint.js'),
    services: {
      start: async (host, role) => { await supervisor.start(join(host, role)) },
      stop: async (host, role) => { await supervisor.stop(join(host, role)) },
      reload: () => { throw new Error('nothing is reloaded here') }
    }
  })
})

afterAll(async () => {
  hosts.close()
  await supervisor.stopAll()
  rmSync(root, { recursive: true, force: true })
})

const at = async (host: string, ...commands: string[]): Promise<string> => await hosts.run({ section: '', hosts: [host], commands: commands.join('\n') })
const status = async (host: string, role: string): Promise<JsonObject> => await callControl(join(root, host, role), 'status') as JsonObject

/** Each kind of payment, from a wallet of each version: `me` is of the one before, until it is upgraded; `you` of this one. */
async function everybodyPays (): Promise<void> {
  for (const host of ['me', 'you']) {
    expect(await at(host, 'mixmint wallet --net . buy coffee --with coins')).toContain('PAID 320 cent with coins')
    expect(await at(host, 'mixmint wallet --net . buy song --with token')).toContain('PAID 99 cent with a token')
    expect(await at(host, 'mixmint wallet --net . buy song --with sealed')).toContain('PAID 99 cent with sealed tokens')
  }
  await at('shop1', 'mixmint merchant --dir merchant deposit')
}

/** A song is paid with coins; what its receipt says is seen by the other wallet; then the shop gives the money back. */
async function everybodyGetsMoneyBack (): Promise<void> {
  for (const [host, other] of [['me', 'you'], ['you', 'me']]) {
    const number = /#(\d+) song/.exec(await at(host, 'mixmint wallet --net . buy song --with coins'))?.[1]
    await at(host, `mixmint wallet --net . receipt '#${number}' > receipt`, `cp receipt ../${other}/of-${host}`)
    await at(other, `mixmint receipt verify of-${host}`)
    await at('shop1', `mixmint merchant --dir merchant refund ${number}`)
    expect(await at(host, `mixmint wallet --net . refund '#${number}'`)).toContain('99 cent came back')
  }
}

async function upgrade (names: readonly string[]): Promise<void> {
  for (const host of names) expect(await hosts.run({ ...UPGRADE, hosts: [host] })).toMatch(/, serving; /)
}

test('a network of the version before is founded, and paid on', async () => {
  await hosts.follow(blocks.filter(({ section }) => section !== FIRST_PURCHASE).map(block => ({ ...block, commands: block.commands.replaceAll('192.0.2.', NETWORK) })))
  cpSync(join(root, 'me', 'network.toml'), join(root, 'you', 'network.toml'))
  await at('you', 'npm install -g mixmint-NEW.tgz')
  for (const host of ['me', 'you']) await at(host, 'mixmint wallet --net . init', 'mixmint wallet --net . account > account', `cp account ../bank1/${host}.account`)
  for (const host of ['me', 'you']) {
    await at('bank1', `mixmint bank --dir bank credit "$(cat ${host}.account)" 3000 --reference ${host}`)
    await at(host, 'mixmint wallet --net . withdraw 2000')
  }
  await everybodyPays()
})

test('half of its nodes are upgraded while it runs, and wallets of either version pay', async () => {
  await upgrade(HALF)
  await everybodyPays()
  await everybodyGetsMoneyBack()
  // What one version gives from hand to hand, the other takes.
  await at('me', 'mixmint wallet --net . give 100 --out given', 'cp given ../you/')
  expect(await at('you', 'mixmint wallet --net . receive given --json')).toContain('"amount":100')
})

test('the rest is upgraded; the stores are of this version, and nothing was lost', async () => {
  await upgrade(REST)
  await at('me', 'npm install -g mixmint-NEW.tgz')
  await everybodyPays()
  await at('bank1', 'mixmint bank --dir bank audit')
  const books = JSON.parse(await at('bank1', 'mixmint bank --dir bank books --json')) as JsonObject
  const purses = await Promise.all(['me', 'you'].map(async host => JSON.parse(await at(host, 'mixmint wallet --net . balance --json')) as JsonObject))
  expect(books).toMatchObject({ balanced: true, credited: 6000, outstanding: purses.reduce((sum, { available }) => sum + Number(available), 0) })
  const takings = JSON.parse(await at('shop1', 'mixmint merchant --dir merchant takings --json')) as JsonObject
  expect(takings).toMatchObject({ accepted: 3 * 2 * (320 + 99 + 99) + 2 * 99, pending: 0 })
  for (const [host, role] of [['auth1', 'authority'], ['mix2', 'mix'], ['center4', 'center'], ['shop1', 'merchant']]) expect((await status(host, role)).state).toBe('serving')
  const lines = supervisor.names().flatMap(name => readFileSync(join(root, name, 'log.jsonl'), 'utf8').split('\n'))
  expect(lines.filter(line => /"level":[56]0/.test(line))).toEqual([])
})
