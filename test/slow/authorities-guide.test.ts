/**
 * docs/authorities.md, followed from the first key on, with processes: founding, replacing one, a lost disk, a wrong clock, a
 * proof. Each command and each file of that page is used, and what it says of them is checked.
 */
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { equal, toHex } from '@mixmint/core/kit/bytes'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import { DirectoryClient } from '@mixmint/mixnet/directory/client'
import { signers, trustAt, trustOf } from '@mixmint/mixnet/directory/document'
import type { SignedDocument } from '@mixmint/mixnet/directory/formats'
import { signStatement } from '@mixmint/mixnet/directory/statement'
import { askOver, fetchDocument } from '@mixmint/mixnet/wire/directory'
import { parseTarget } from '@mixmint/mixnet/wire/peers'
import { RpcClient } from '@mixmint/mixnet/wire/rpc-client'
import { armor } from '../../nodes/armor.ts'
import { systemClock } from '../../nodes/clock.ts'
import { readNetwork } from '../../nodes/config.ts'
import { callControl, type JsonObject } from '../../nodes/control.ts'
import { createHost, type Host } from '../../nodes/host.ts'
import { freshIdentity } from '../../nodes/identity.ts'
import { freePorts } from '../../nodes/layout.ts'
import { makeNode } from '../../nodes/node-folder.ts'
import { Counters } from '../../nodes/observe.ts'
import { PROGRAM } from '../../nodes/program.ts'
import { loadOrCreateSeed } from '../../nodes/secrets.ts'
import { Supervisor } from '../../nodes/supervisor.ts'

const GUIDE = readFileSync(fileURLToPath(new URL('../../docs/authorities.md', import.meta.url)), 'utf8')
const COMMANDS = new Set([...GUIDE.matchAll(/`(mixmint [^`]+)`|\$ (mixmint .*)$/gm)].map(([, inline, block]) => inline ?? block))
const FILES = [...GUIDE.matchAll(/^ *```toml\n(.*?)^ *```$/gms)].map(([, text]) => text)

const EPOCH = 8_000
/** What is otherwise in a network of a minute on one machine. */
const HERE: ReadonlyArray<readonly [string, string]> = [
  ['epochLength = 1200000', `epochLength = ${EPOCH}\npathLength = 3`], ['epochGrace = 240000', 'epochGrace = 4000'], ['clockSkew = 30000', 'clockSkew = 2000']
]
const FOUNDERS = ['a-1', 'a-2', 'a-3', 'a-4']

const suite = await defaultSuite()
const ran = new Set<string>()
/** The public keys, by name. */
const keys = new Map<string, Uint8Array>()
/** The entries of network.toml, by name. */
const entries = new Map<string, string>()
let root: string
let ports: number[]
let admitted = ''
let supervisor: Supervisor
let host: Host
let rpc: RpcClient

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'mixmint-guide-'))
  ports = await freePorts(10)
  supervisor = new Supervisor(root)
  host = await createHost({ privateKey: await freshIdentity(), role: 'wallet', listen: [], meter: new Counters() })
  rpc = new RpcClient({ node: host.node, meter: new Counters() })
})

afterAll(async () => {
  rpc.close()
  await host.stop()
  await supervisor.stopAll()
  rmSync(root, { recursive: true, force: true })
})

/** A command as the guide writes it, with something for each word in capitals. @returns what it prints */
async function mixmint (command: string, values: Readonly<Record<string, string>>): Promise<string> {
  ran.add(command)
  const words = command.split(' ').slice(1).map(word => values[word] ?? word)
  expect(words.filter(word => /^[A-Z]+$/.test(word))).toEqual([])
  const { stdout } = await promisify(execFile)(process.execPath, [PROGRAM, ...words], { timeout: 90_000 })
  return stdout.trim()
}

/** As `mixmint run --dir DIR`, in the background until it is stopped. */
async function run (name: string): Promise<void> {
  ran.add('mixmint run --dir DIR')
  await supervisor.start(name)
}

async function restart (name: string): Promise<void> {
  await supervisor.stop(name)
  await run(name)
}

async function found (name: string): Promise<void> {
  const port = ports.pop() as number
  const told = await mixmint('mixmint init authority --dir DIR --address ADDRESS --yes', { DIR: join(root, name), ADDRESS: '127.0.0.1' })
  writeFileSync(join(root, name, 'config.toml'), `role = "authority"\nlisten = "/ip4/127.0.0.1/tcp/${port}"\n`)
  const entry = await mixmint('mixmint directory entry --dir DIR', { DIR: join(root, name) })
  expect(told).toContain(entry.split('\n')[1])
  entries.set(name, entry)
  keys.set(name, suite.ed25519KeyPair(loadOrCreateSeed(join(root, name, 'authority.key'))).publicKey)
  expect(entry).toContain(`key = "${toHex(keys.get(name) as Uint8Array)}"`)
  configure(name, port)
}

/** As the guide has it, with what is otherwise here. */
function configure (name: string, port: number): void {
  const text = FILES.find(file => file.includes('role = "authority"')) as string
  const own = HERE.reduce((said, [there, instead]) => {
    expect(said).toContain(there)
    return said.replace(there, instead)
  }, text.slice(0, text.indexOf('[[authority.admit]]')))
  expect(own).toContain('listen = "/ip4/0.0.0.0/tcp/4001"')
  writeFileSync(join(root, name, 'config.toml'), `${own.replace('/ip4/0.0.0.0/tcp/4001', `/ip4/127.0.0.1/tcp/${port}`)}\n${admitted}\n`)
}

/** @param terms lines to be added to entries */
function writeNetwork (terms: Readonly<Record<string, string>> = {}): void {
  writeFileSync(join(root, 'network.toml'), `network = "guide"\n${[...entries].map(([name, entry]) => `${entry}\n${terms[name] ?? ''}\n`).join('')}`)
}

const epochNow = (): number => Math.floor(Date.now() / EPOCH)

async function until (isSo: () => Promise<boolean>): Promise<void> {
  while (!await isSo()) await new Promise(resolve => setTimeout(resolve, 100))
}

/** The document of an epoch, from whichever of these has it first. */
async function documentOf (epoch: number, from: readonly string[]): Promise<SignedDocument> {
  const { authorities } = readNetwork(join(root, 'network.toml'))
  const targets = authorities.filter(({ key }) => from.some(name => equal(keys.get(name) as Uint8Array, key))).map(({ address }) => parseTarget(address))
  for (;;) {
    for (const target of targets) {
      const found = await fetchDocument(askOver(rpc, target), epoch, systemClock, AbortSignal.timeout(3_000)).catch(() => null)
      if (found !== null) return found.signed
    }
    if (epochNow() > epoch + 3) throw new Error(`there was no document of epoch ${epoch}`)
    await new Promise(resolve => setTimeout(resolve, 100))
  }
}

function signersOf (signed: SignedDocument): string[] {
  const by = signers(suite, signed, [...keys.values()])
  return [...keys].filter(([, key]) => by.some(each => equal(each, key))).map(([name]) => name)
}

const status = async (name: string): Promise<JsonObject> => await callControl(join(root, name), 'status') as JsonObject

test('a network is founded by what its operators hand to each other', async () => {
  for (const [name, role] of [['gateway', 'gateway'], ['mix', 'mix']]) {
    const place = `/ip4/127.0.0.1/tcp/${ports.pop() as number}`
    const entry = role === 'mix' ? {} : { entry: [`/ip4/127.0.0.1/tcp/${ports.pop() as number}`] }
    makeNode(suite, join(root, name), role as 'gateway' | 'mix', { listen: place, ...entry }, null)
    admitted += `${await mixmint('mixmint directory entry --dir DIR', { DIR: join(root, name) })}\n`
  }
  for (const name of FOUNDERS) await found(name)
  writeNetwork()
  await Promise.all([...FOUNDERS, 'gateway', 'mix'].map(run))
  const shown = await mixmint('mixmint directory show --net NET', { NET: root })
  expect(shown).toMatch(/^network guide, epoch \d+, .* signed by [34] of 4 authorities/)
  expect(shown.split('\n').slice(2)).toHaveLength(2)
  const said = await mixmint('mixmint status --dir DIR', { DIR: join(root, 'a-1') })
  expect(said).toMatch(/^clock +right$/m)
  expect(said).toMatch(/^signatures +[34]$/m)
})

test('one is replaced: all have the file beforehand, change over at the epoch, and nobody misses a document', async () => {
  await found('a-5')
  const change = epochNow() + 9
  writeNetwork({ 'a-1': `until = ${change}`, 'a-5': `from = ${change}` })
  for (const name of [...FOUNDERS, 'gateway', 'mix']) await restart(name)
  await run('a-5')
  expect(epochNow()).toBeLessThan(change - 1) // else this machine was too slow for what is to be seen
  const { network, authorities } = readNetwork(join(root, 'network.toml'))
  const trust = trustOf(network, authorities)
  const reader = new DirectoryClient(suite, trust)
  for (let epoch = epochNow() + 1; epoch <= change + 1; epoch++) {
    const inOffice = epoch < change ? FOUNDERS : ['a-2', 'a-3', 'a-4', 'a-5']
    const signed = await documentOf(epoch, inOffice)
    expect(trustAt(trust, epoch).authorities).toHaveLength(4)
    expect(reader.accept(signed, Date.now())).toBe(true)
    const by = signersOf(signed)
    expect(by.filter(name => !inOffice.includes(name))).toEqual([])
    expect(by.length).toBeGreaterThanOrEqual(3)
    expect(signed.document.nodes).toHaveLength(2)
  }
  await supervisor.stop('a-1')
  // One of the old ones is gone for good; of the new four one more may be dead.
  await supervisor.stop('a-2')
  expect(signersOf(await documentOf(epochNow() + 2, ['a-3', 'a-4', 'a-5']))).toEqual(['a-3', 'a-4', 'a-5'])
  await run('a-2')
  const shown = await mixmint('mixmint directory show --net NET', { NET: root })
  expect(shown).toMatch(/ of 4 authorities/)
  for (const name of ['gateway', 'mix']) expect((await status(name)).epoch).toBeGreaterThanOrEqual(epochNow() - 1)
})

test('one that lost its disk is silent of the epochs of which it may have spoken, and then signs again', async () => {
  const name = 'a-2'
  // Well before the document of the next epoch is made, so that it is certain what it has not said.
  await until(async () => Date.now() % EPOCH < 0.3 * EPOCH)
  await supervisor.kill(name)
  const lost = epochNow()
  rmSync(join(root, name, 'store'), { recursive: true })
  const setting = FILES.find(text => text.includes('signsFrom')) as string
  const line = (/^ *(signsFrom = )\d+/m.exec(setting) as RegExpExecArray)[1]
  const file = join(root, name, 'config.toml')
  writeFileSync(file, readFileSync(file, 'utf8').replace('[authority]\n', `[authority]\n${line}${lost + 2}\n`))
  await run(name)
  const others = ['a-3', 'a-4', 'a-5']
  expect(signersOf(await documentOf(lost + 1, others))).not.toContain(name)
  // Now without another: there is no document but with it.
  await supervisor.stop('a-3')
  const epoch = Math.max(lost + 2, epochNow() + 1)
  expect(signersOf(await documentOf(epoch, ['a-4', 'a-5']))).toEqual([name, 'a-4', 'a-5'])
  await run('a-3')
  for (const each of [name, ...others]) expect((await callControl(join(root, each), 'evidence') as { proofs: string[] }).proofs).toEqual([])
})

test('one whose clock is off beyond the skew says so, holds up nobody, and takes part again when it is right', async () => {
  const name = 'a-4'
  await supervisor.stop(name)
  const options = process.env.NODE_OPTIONS
  const ahead = 'const now = Date.now; Date.now = () => now() + 3500'
  process.env.NODE_OPTIONS = `--import=data:text/javascript,${encodeURIComponent(ahead)}`
  try {
    await run(name)
  } finally {
    if (options === undefined) delete process.env.NODE_OPTIONS
    else process.env.NODE_OPTIONS = options
  }
  await until(async () => (await status(name)).clock === 'ahead')
  expect(await mixmint('mixmint status --dir DIR', { DIR: join(root, name) })).toMatch(/^clock +ahead$/m)
  const log = readFileSync(join(root, name, 'log.jsonl'), 'utf8')
  expect(log).toMatch(/"code":"clock-skewed".*this machine's clock is [34] s ahead of the clocks of most other authorities: set it/)
  await documentOf(epochNow() + 1, ['a-2', 'a-3', 'a-5'])
  await restart(name)
  await until(async () => {
    const { clock, authorities } = await status(name)
    return clock === 'right' && (authorities as unknown[]).length > 2
  })
})

test('proofs are printed, and checked with nothing else', async () => {
  expect(await mixmint('mixmint directory evidence --dir DIR', { DIR: join(root, 'a-3') })).toBe('')
  const key = suite.ed25519KeyPair(loadOrCreateSeed(join(root, 'a-1', 'authority.key')))
  const say = (value: number): ReturnType<typeof signStatement> =>
    signStatement(suite, key, { network: 'guide', epoch: 7, what: 'prevote', round: 0, value: new Uint8Array(32).fill(value) })
  const file = join(root, 'proofs')
  writeFileSync(file, armor('equivocation', { first: say(1), second: say(2) }))
  expect(await mixmint('mixmint proof verify FILE', { FILE: file }))
    .toBe(`VALID: the directory authority ${toHex(key.publicKey)} of the network guide signed two different things as its prevote for epoch 7`)
  writeFileSync(file, armor('equivocation', { first: say(1), second: say(1) }))
  await expect(mixmint('mixmint proof verify FILE', { FILE: file })).rejects.toMatchObject({ stderr: expect.stringContaining('proof-not-contradictory') })
})

test('every command of the guide was run', () => {
  expect(COMMANDS.size).toBeGreaterThan(5)
  expect([...COMMANDS].filter(command => !ran.has(command))).toEqual([])
})
