/** `mixmint init`: the folder of a node of each role, and what its operator hands to others. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parse } from 'smol-toml'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { fromHex, toHex } from '@mixmint/core/kit/bytes'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import { parseTarget } from '@mixmint/mixnet/wire/peers'
import { readNode } from '../../nodes/config.ts'
import { initNode, type InitOptions, type Made } from '../../nodes/init.ts'
import { entryOfNode } from '../../nodes/node-folder.ts'
import { isLocked, Passphrase } from '../../nodes/passphrase.ts'
import { ROLES } from '../../nodes/settings.ts'

const suite = await defaultSuite()
let root: string
let network: string

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'mixmint-init-'))
  network = join(root, 'given.toml')
  writeFileSync(network, `network = "n"\n[[authority]]\nkey = "${'ab'.repeat(32)}"\naddress = "/ip4/127.0.0.1/tcp/1/p2p/x"\n`)
})
afterEach(() => { rmSync(root, { recursive: true, force: true }) })

const init = async (role: InitOptions['role'], more: Partial<InitOptions> = {}, passphrase: Passphrase | null = null): Promise<Made> =>
  await initNode(suite, { dir: join(root, role), role, address: '192.0.2.1', port: 4001, network, settings: role === 'merchant' ? { 'merchant.bank': 'cd'.repeat(32) } : {}, ...more }, passphrase)

const KEYS = { authority: ['authority.key'], gateway: [], mix: [], bank: ['bank.key'], center: ['vote.key'], merchant: ['payee.key'] }

test.each(ROLES)('a %s has its keys and its configuration for its owner only, and runs from them', async role => {
  const { dir, next } = await init(role)
  expect(readdirSync(dir).sort()).toEqual(['config.toml', 'identity.key', 'network.toml', ...KEYS[role]].sort())
  expect(statSync(dir).mode & 0o777).toBe(0o700)
  for (const file of ['config.toml', 'identity.key', ...KEYS[role]]) expect(statSync(join(dir, file)).mode & 0o777).toBe(0o600)
  const config = readNode(dir)
  // The address is of no interface here: a port is forwarded, or it is a mistake that `doctor` tells of.
  expect(config).toMatchObject({ role, network: { network: 'n' }, listen: '/ip4/0.0.0.0/tcp/4001', announce: ['/ip4/192.0.2.1/tcp/4001'] })
  expect(config.announceEntry).toHaveLength(config.entry.length)
  expect(next.at(-1)).toContain(`mixmint run --dir ${dir}`)
  const before = readFileSync(join(dir, 'identity.key'), 'utf8')
  await expect(init(role)).rejects.toMatchObject({ code: 'folder-not-empty' })
  expect(readFileSync(join(dir, 'identity.key'), 'utf8')).toBe(before)
})

test('what is handed to others is public, the same whenever it is asked for, and of the keys in the folder', async () => {
  const authority = await init('authority')
  const { authority: [{ key, address }] } = parse(authority.entry) as { authority: Array<{ key: string, address: string }> }
  const [secret, identity] = ['authority.key', 'identity.key'].map(file => readFileSync(join(authority.dir, file), 'utf8').trim())
  expect(key).toBe(toHex(suite.ed25519KeyPair(fromHex(secret)).publicKey))
  expect(parseTarget(address).addresses).toEqual(['/ip4/192.0.2.1/tcp/4001'])
  expect(entryOfNode(suite, authority.dir, null).toml).toBe(authority.entry)
  for (const text of [secret, identity]) expect(JSON.stringify(authority)).not.toContain(text)

  const admitted = (made: Made): unknown => (parse(made.entry) as { authority: { admit: unknown[] } }).authority.admit
  expect(admitted(await init('mix'))).toEqual([{ peer: expect.stringMatching(/^16Uiu2/), role: 'mix' }])
  const bank = await init('bank')
  expect(admitted(bank)).toEqual([{ peer: expect.stringMatching(/^16Uiu2/), role: 'service', kind: 'bank' }])
  expect(bank.bankKey).toBe(toHex(suite.ed25519KeyPair(fromHex(readFileSync(join(bank.dir, 'bank.key'), 'utf8').trim())).publicKey))
  expect(JSON.parse((await init('center')).ringEntry ?? '')).toEqual({ id: expect.stringMatching(/^[0-9a-f]{64}$/), voteKey: expect.stringMatching(/^[0-9a-f]{64}$/), weight: 1 })
})

test('an address of this machine is listened on, a name is announced, and what is neither is refused before anything is made', async () => {
  await init('gateway', { address: '127.0.0.9', port: 5001 })
  expect(readNode(join(root, 'gateway'))).toMatchObject({
    listen: '/ip4/127.0.0.9/tcp/5001', announce: [], entry: ['/ip4/127.0.0.9/tcp/5002', '/ip4/127.0.0.9/tcp/5003/ws'], announceEntry: []
  })
  await init('mix', { address: 'mix.example.org' })
  expect(readNode(join(root, 'mix'))).toMatchObject({ listen: '/ip4/0.0.0.0/tcp/4001', announce: ['/dns4/mix.example.org/tcp/4001'] })
  await init('center', { address: '2001:db8::1' })
  expect(readNode(join(root, 'center'))).toMatchObject({ listen: '/ip6/::/tcp/4001', announce: ['/ip6/2001:db8::1/tcp/4001'], announceEntry: ['/ip6/2001:db8::1/tcp/4002'] })
  await expect(init('bank', { address: 'my bank' })).rejects.toMatchObject({ code: 'bad-argument' })
  expect(readdirSync(root)).not.toContain('bank')
})

test.each([
  ['merchant', { 'merchant.bank': 'abc' }, /merchant\.bank: a key of 64/],
  ['mix', { log: 'loud' }, /log: one of/],
  ['gateway', { entry: [] }, /entry: where wallets attach/],
  ['bank', { 'bank.keysetDays': 0 }, /bank\.keysetDays/]
] as const)('what a start of a %s would refuse is refused before anything is made: %j', async (role, settings, why) => {
  await expect(init(role, { settings })).rejects.toMatchObject({ code: 'bad-config', fault: 'operator', message: expect.stringMatching(why) })
  expect(existsSync(join(root, role))).toBe(false)
})

test('a folder that was made before is closed to others if it is empty; one that has something in it has to be closed by its owner; a file is none', async () => {
  for (const name of ['empty', 'full']) mkdirSync(join(root, name), { mode: 0o755 })
  writeFileSync(join(root, 'full', 'mine'), '')
  const { dir } = await init('mix', { dir: join(root, 'empty') })
  expect(statSync(dir).mode & 0o777).toBe(0o700)
  await expect(init('mix', { dir: join(root, 'full') })).rejects.toMatchObject({ code: 'folder-open', fault: 'operator', message: expect.stringContaining(`chmod 700 ${join(root, 'full')}`) })
  expect(readdirSync(join(root, 'full'))).toEqual(['mine'])
  await expect(init('mix', { dir: network })).rejects.toMatchObject({ code: 'cannot-make-folder', message: expect.stringContaining('there is a file of that name') })
})

test('an authority that does not say where it is reached has no entry', async () => {
  const { dir } = await init('authority', { address: '127.0.0.1' })
  writeFileSync(join(dir, 'config.toml'), 'role = "authority"\nlisten = "/ip4/0.0.0.0/tcp/4001"\n')
  expect(() => entryOfNode(suite, dir, null)).toThrow(expect.objectContaining({ code: 'bad-config', message: expect.stringContaining('announce') }))
})

test('with a passphrase, keys are locked from the first byte on', async () => {
  const { dir, bankKey } = await init('bank', {}, new Passphrase('four words by lot'))
  for (const file of ['bank.key', 'identity.key']) expect(isLocked(readFileSync(join(dir, file), 'utf8'))).toBe(true)
  expect(entryOfNode(suite, dir, new Passphrase('four words by lot')).toml).toContain('16Uiu2')
  expect(bankKey).toMatch(/^[0-9a-f]{64}$/)
})
