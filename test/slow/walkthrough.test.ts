/**
 * docs/founding.md and docs/joining.md, run literally: each host of their tables is a folder with a loopback address of its own,
 * and every block of commands is run by a shell on the hosts that it names. The epochs are shorter, by variables that the pages
 * would not need.
 */
import { randomInt } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Supervisor } from '../../nodes/supervisor.ts'
import { Hosts } from './pages/hosts.ts'
import { readPage, type Page } from './pages/page.ts'

/** 192.0.2.x is 127.a.b.x here: all of it is loopback, and each run has its own. */
const NETWORK = `127.${randomInt(1, 255)}.${randomInt(1, 255)}.`
const ENVIRONMENT = {
  MIXMINT_PROFILE: 'demo', MIXMINT_PARAMETERS: '{ epochLength = 16000, epochGrace = 8000 }', MIXMINT_DENOMINATIONS: '11', MIXMINT_SEALED_DAYS: '0'
}

function here (name: string): Page {
  const { addresses, blocks } = readPage(name)
  const moved = (text: string): string => text.replaceAll('192.0.2.', NETWORK)
  return {
    addresses: new Map([...addresses].map(([host, address]) => [host, moved(address)])),
    blocks: blocks.map(block => ({ ...block, commands: moved(block.commands) }))
  }
}

const FOUNDING = here('founding.md')
const JOINING = here('joining.md')
let root: string
let supervisor: Supervisor
let hosts: Hosts

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'mixmint-walk-'))
  supervisor = new Supervisor(root, () => {}, () => ['env', ...Object.entries(ENVIRONMENT).map(([name, value]) => `${name}=${value}`)])
  hosts = new Hosts({
    root, environment: ENVIRONMENT, addresses: new Map([...FOUNDING.addresses, ...JOINING.addresses]),
    services: {
      start: async (host, role) => { await supervisor.start(join(host, role)) },
      stop: async (host, role) => { await supervisor.stop(join(host, role)) },
      reload: (host, role) => { process.kill(supervisor.pid(join(host, role)), 'SIGHUP') }
    }
  })
})

afterAll(async () => {
  hosts.close()
  await supervisor.stopAll()
  rmSync(root, { recursive: true, force: true })
})

test('a network is founded on several hosts, and the first coffee bought', async () => {
  expect(FOUNDING.blocks.length).toBeGreaterThan(15)
  const printed = await hosts.follow(FOUNDING.blocks)
  expect(printed).toContain('PAID 320 cent with coins: #1 coffee')
  expect(printed).toMatch(/network example, epoch \d+, until \S+, signed by [34] of 4 authorities/)
  expect(printed).toMatch(/\d+ ok, 0 to look at, 0 wrong/)
  expect(printed).toMatch(/^ok +outside +an authority reaches/m)
  expect(printed).toMatch(/^coins +480 /m)
  expect(printed).toContain('balanced: yes')
  const lines = supervisor.names().flatMap(name => readFileSync(join(root, name, 'log.jsonl'), 'utf8').split('\n'))
  expect(lines.filter(line => /"level":[56]0/.test(line))).toEqual([])
})

test('a mix joins it, without a restart of anybody', async () => {
  const before = supervisor.names().map(name => ({ name, pid: supervisor.pid(name) }))
  const printed = await hosts.follow(JOINING.blocks)
  expect(printed).toMatch(/\d+ ok, 0 to look at, 0 wrong/)
  expect(printed).toMatch(/^mix, serving; /m)
  const shown = printed.slice(printed.lastIndexOf('network example'))
  expect(shown.match(/^\d+ +mix +16Uiu2/gm)).toHaveLength(4)
  for (const { name, pid } of before) expect(supervisor.pid(name), name).toBe(pid)
})
