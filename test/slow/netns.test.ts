/**
 * The network with an address for every node: packets dropped, nodes cut off, the network parted, frames delayed so that
 * they overtake each other. What is bought arrives, what cannot be bought is said so and costs nothing.
 */
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import { callControl, type JsonObject } from '../../nodes/control.ts'
import { startNetwork } from '../../nodes/cli/up.ts'
import { createNetwork, nodeNames, SMALL_NETWORK, type NetworkPlan } from '../../nodes/layout.ts'
import { PROGRAM } from '../../nodes/program.ts'
import { Supervisor } from '../../nodes/supervisor.ts'
import { lacking, NamespaceLab } from './netns/lab.ts'

const PLAN: NetworkPlan = { ...SMALL_NETWORK, centers: 1, ring: { replicas: 1, faults: 0, quorum: 1 } }
/** Whose frames are delayed by 5 to 25 ms each way. */
const DELAYED = ['gateway-2', 'mix-2-2']
const missing = lacking()
if (missing !== null) process.stderr.write(`tests in network namespaces are left out: this machine lacks ${missing}\n`)

describe.skipIf(missing !== null)('a network in namespaces', () => {
  const dir = mkdtempSync(join(tmpdir(), 'mixmint-netns-'))
  const { authority, mixnet, money } = nodeNames(PLAN)
  const nodes = [...authority, ...mixnet, ...money]
  let lab: NamespaceLab
  let supervisor: Supervisor

  beforeAll(async () => {
    lab = new NamespaceLab()
    for (const name of [...nodes, 'wallet']) {
      if (DELAYED.includes(name)) await lab.addDelayed(name, 5, 25)
      else lab.add(name)
    }
    await createNetwork(await defaultSuite(), dir, PLAN)
    giveAddresses()
    supervisor = new Supervisor(dir, () => {}, name => lab.within(name))
    await startNetwork(supervisor, PLAN, true)
    await wallet('init')
    const { account } = await wallet('account')
    await callControl(join(dir, 'bank'), 'credit', { account: String(account), amount: 5000, reference: 'test' })
    await wallet('withdraw', '4000')
  })

  afterAll(async () => {
    await supervisor.stopAll()
    await lab.close()
    rmSync(dir, { recursive: true, force: true })
  })

  /** Each node listens on its own address, and all others are told so. */
  function giveAddresses (): void {
    const hosts = new Map<string, string>()
    for (const name of nodes) {
      const file = join(dir, name, 'config.toml')
      const text = readFileSync(file, 'utf8')
      for (const [, port] of text.matchAll(/127\.0\.0\.1\/tcp\/(\d+)/g)) hosts.set(port, lab.address(name))
      writeFileSync(file, text.replaceAll('127.0.0.1', lab.address(name)))
    }
    const file = join(dir, 'network.toml')
    writeFileSync(file, readFileSync(file, 'utf8').replaceAll(/127\.0\.0\.1\/tcp\/(\d+)/g, (_all, port: string) => `${hosts.get(port)}/tcp/${port}`))
  }

  async function wallet (...args: string[]): Promise<JsonObject> {
    const [program, ...words] = [...lab.within('wallet'), process.execPath, PROGRAM, 'wallet', '--net', dir, ...args, '--json']
    const out = await new Promise<string>((resolve, reject) => {
      execFile(program, words, { timeout: 120_000 }, (error, stdout, stderr) => {
        if (stdout.trim() === '') reject(new Error(`${args.join(' ')}: ${stderr.trim() === '' ? String(error) : stderr}`))
        else resolve(stdout)
      })
    })
    return JSON.parse(out) as JsonObject
  }

  async function received (name: string): Promise<number> {
    return Number((await callControl(join(dir, name), 'status') as JsonObject).received)
  }

  async function buy (item: string, by: 'coins' | 'token'): Promise<void> {
    const started = performance.now()
    const bought = await wallet('buy', item, '--with', by)
    expect(bought.error).toBeUndefined()
    expect(bought.paid).toBe(true)
    process.stderr.write(`${item} bought with ${by === 'coins' ? 'coins' : 'a token'} in ${((performance.now() - started) / 1000).toFixed(1)} s\n`)
  }

  test('carries a purchase, though the frames of some nodes overtake each other', async () => {
    await buy('song', 'coins')
    await buy('song', 'token')
  })

  test('carries a purchase while one packet in twenty is lost', async () => {
    lab.drop(5)
    await buy('song', 'coins')
    await buy('song', 'token')
    lab.heal()
  })

  test('goes round a mix that is cut off, which takes part again once it is back', async () => {
    lab.cut('mix-2-1')
    await buy('song', 'coins')
    await buy('song', 'token')
    lab.heal()
    const before = await received('mix-2-1')
    for (let i = 0; i < 10 && await received('mix-2-1') === before; i++) await buy('song', 'token')
    expect(await received('mix-2-1')).toBeGreaterThan(before)
  })

  test('parted, a purchase fails with a reason and costs nothing; healed, it succeeds', async () => {
    const { invoice } = await wallet('order', 'song')
    const before = await wallet('balance')
    lab.part(['wallet', ...mixnet], money)
    const failed = await wallet('pay', String(invoice), '--with', 'coins')
    expect((failed.error as JsonObject).code).toMatch(/^(lost|overdue|not-sent|unreachable|merchant-unreachable)$/)
    lab.heal()
    await wallet('recover')
    const paid = await wallet('pay', String(invoice), '--with', 'coins')
    expect(paid.error).toBeUndefined()
    const after = await wallet('balance')
    expect(Number(after.available) + Number(after.promised)).toBe(Number(before.available) - 99)
  })
})
