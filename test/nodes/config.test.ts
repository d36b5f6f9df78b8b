/** Configuration: what is right is read, what is not is named. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { decode, encode } from '@mixmint/core/kit/codec'
import { Parameters } from '@mixmint/mixnet/directory/formats'
import { readNetwork, readNode } from '../../nodes/config.ts'
import { readSources, strangeVariables, type Given } from '../../nodes/config-sources.ts'
import { configText } from '../../nodes/config-text.ts'
import { networkParameters } from '../../nodes/parameters.ts'
import { ROLES, type Role } from '../../nodes/settings.ts'

const NETWORK = `network = "n"\n[[authority]]\nkey = "${'ab'.repeat(32)}"\naddress = "/ip4/127.0.0.1/tcp/1/p2p/x"\n`
let root: string
let dir: string

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'mixmint-config-'))
  dir = join(root, 'node')
  mkdirSync(dir)
  writeFileSync(join(root, 'network.toml'), NETWORK)
})
afterEach(() => { rmSync(root, { recursive: true, force: true }) })

function node (content: string): ReturnType<typeof readNode> {
  writeFileSync(join(dir, 'config.toml'), content)
  return readNode(dir)
}

test('a node is what its file says, with the network beside it', () => {
  const config = node('role = "bank"\nlisten = "/ip4/127.0.0.1/tcp/4000"\n[bank]\nunit = "EUR-cent"\ndenominations = 12\n')
  expect(config).toMatchObject({ role: 'bank', listen: '/ip4/127.0.0.1/tcp/4000', unit: 'EUR-cent', denominations: 12, network: { network: 'n' } })
  expect(config.network.authorities[0].key).toHaveLength(32)
})

test('money is in the folder\'s own store, or in the PostgreSQL that a secret file names', () => {
  const bank = (settings: string): string => node(`role = "bank"\nlisten = "x"\n[bank]\n${settings}`).postgresFile
  expect([bank(''), bank('postgres = "postgres.url"\n')]).toEqual(['', join(dir, 'postgres.url')])
})

test('what a bank has lost, it is told by a date', () => {
  const bank = (settings: string): number => node(`role = "bank"\nlisten = "x"\n[bank]\n${settings}`).restoredAt
  expect([bank(''), bank('restoredAt = "2026-03-01T12:00:00Z"\n')]).toEqual([0, Date.UTC(2026, 2, 1, 12)])
  expect(() => bank('restoredAt = "yesterday"\n')).toThrow(expect.objectContaining({ code: 'bad-config', message: expect.stringContaining('restoredAt') }))
})

test('metrics are asked on loopback unless it says otherwise, and nowhere without a word of them', () => {
  const metrics = (settings: string): ReturnType<typeof readNode>['metrics'] => node(`role = "mix"\nlisten = "x"\n${settings}`).metrics
  expect(metrics('')).toBeNull()
  expect(metrics('[metrics]\nlisten = "9464"\n')).toEqual({ host: '127.0.0.1', port: 9464, hosts: [], every: 30_000 })
  expect(metrics('[metrics]\nlisten = "[2001:db8::7]:9464"\nhosts = ["Mix.example"]\nevery = 60\n')).toEqual({ host: '2001:db8::7', port: 9464, hosts: ['mix.example'], every: 60_000 })
  for (const [settings, names] of [['', 'listen'], ['listen = "here"', 'metrics.listen'], ['listen = "1:99999"', 'metrics.listen'], ['listen = "1"\nevery = 0', 'metrics.every'], ['listen = "1"\nhost = []', 'did you mean hosts']]) {
    expect(() => metrics(`[metrics]\n${settings}\n`), settings).toThrow(expect.objectContaining({ code: 'bad-config', message: expect.stringContaining(names) }))
  }
})

test('where wallets come in is a list, of which a gateway has need', () => {
  const entry = ['/ip4/127.0.0.1/tcp/4001', '/ip4/127.0.0.1/tcp/4002/ws']
  expect(node(`role = "gateway"\nlisten = "x"\nentry = ${JSON.stringify(entry)}\n`).entry).toEqual(entry)
  expect(node('role = "merchant"\nlisten = "x"\n[merchant]\nbank = "' + 'ab'.repeat(32) + '"\n').entry).toEqual([])
})

const authority = (settings: string): ReturnType<typeof readNode> => node(`role = "authority"\nlisten = "x"\n[authority]\n${settings}`)

test('an authority takes its parameters from a profile, and what differs from its own table', () => {
  expect(authority('').parameters).toEqual(networkParameters('default'))
  expect(authority('profile = "demo"\n').parameters).toEqual(networkParameters('demo'))
  const { parameters } = authority('profile = "demo"\n[authority.parameters]\nepochLength = 8000\nepochGrace = 6000\nmeanDelay = 9\ncover = { send = 700 }\nstrategy = { kind = "timed", interval = 20 }\n')
  const demo = networkParameters('demo')
  expect(parameters).toEqual({ ...demo, epochLength: 8000, epochGrace: 6000, meanDelay: 9, cover: { ...demo.cover, send: 700 }, strategy: { kind: 'timed', interval: 20 } })
  // As they stand in the document.
  expect(decode(Parameters, encode(Parameters, parameters))).toEqual(parameters)
})

test('authorities are in office from one epoch until another, or always', () => {
  writeFileSync(join(root, 'network.toml'), `${NETWORK}until = 12\n[[authority]]\nkey = "${'cd'.repeat(32)}"\naddress = "x"\nfrom = 12\n`)
  const { authorities } = readNetwork(join(root, 'network.toml'))
  expect(authorities.map(({ from, until }) => [from, until])).toEqual([[0, 12], [12, Infinity]])
  expect(authority('signsFrom = 14\n').signsFrom).toBe(14)
  expect(authority('').signsFrom).toBe(0)
})

test('a gateway takes so many packets of wallets, by default 2000 a second', () => {
  const gateway = (settings: string): number => node(`role = "gateway"\nlisten = "x"\nentry = ["x"]\n${settings}`).walletPackets
  expect([gateway(''), gateway('[gateway]\nwalletPackets = 500\n')]).toEqual([2000, 500])
  expect(() => gateway('[gateway]\nwalletPackets = 0\n')).toThrow(expect.objectContaining({ code: 'bad-config', message: expect.stringContaining('walletPackets') }))
})

describe('a flag comes before a variable, before the file, before the default', () => {
  const FILE = 'role = "gateway"\nlisten = "file"\nentry = ["x"]\n[gateway]\nwalletPackets = 1\n'
  const read = (given: Given): ReturnType<typeof readNode> => {
    node(FILE)
    return readNode(dir, given)
  }
  test('and each is told apart', () => {
    const given = { set: ['listen=flag', 'entry=["y", "z"]'], environment: { MIXMINT_LISTEN: 'variable', MIXMINT_WALLET_PACKETS: '2', MIXMINT_SIGNERS: 'of another role' } }
    expect(read(given)).toMatchObject({ listen: 'flag', entry: ['y', 'z'], walletPackets: 2, drainLimit: 60_000 })
    expect(Object.fromEntries(readSources(join(dir, 'config.toml'), given).origins)).toMatchObject({
      role: 'file', network: 'default', listen: 'flag', entry: 'flag', 'gateway.walletPackets': 'environment', 'gateway.drainLimit': 'default'
    })
    expect(read({})).toMatchObject({ listen: 'file', walletPackets: 1 })
    expect(read({ set: ['gateway.walletPackets=3'], environment: { MIXMINT_WALLET_PACKETS: '2' } }).walletPackets).toBe(3)
  })

  test.each([
    [{ set: ['walletPacket=2'] }, 'bad-argument', /walletPacket: no setting of a gateway; did you mean walletPackets\?/],
    [{ set: ['gateway.drainlimit=2'] }, 'bad-argument', /did you mean gateway\.drainLimit\?/],
    [{ set: ['bank.unit=cent'] }, 'bad-argument', /no setting of a gateway/],
    [{ set: ['role=mix'] }, 'bad-argument', /no setting/],
    [{ set: ['listen'] }, 'bad-argument', /NAME=VALUE is wanted/],
    [{ environment: { MIXMINT_WALLET_PACKETS: 'many' } }, 'bad-config', /MIXMINT_WALLET_PACKETS: a value as in TOML/],
    [{ environment: { MIXMINT_WALLET_PACKETS: '"2"' } }, 'bad-config', /config\.toml with MIXMINT_WALLET_PACKETS: walletPackets: a whole number/],
    [{ set: ['log=loud'] }, 'bad-config', /with --set log: log: one of trace/]
  ])('what is wrong is named by where it stands: %j', (given, code, message) => {
    expect(() => read(given)).toThrow(expect.objectContaining({ code, message: expect.stringMatching(message) }))
  })

  test('a variable that is no setting is told', () => {
    expect(strangeVariables({ MIXMINT_LISTN: 'x', MIXMINT_NET: 'x', MIXMINT_LOG: 'x', PATH: 'x' })).toEqual(['MIXMINT_LISTN is no setting, and is not heeded; did you mean MIXMINT_LISTEN?'])
  })
})

describe('what init writes', () => {
  const NEEDED: Partial<Record<Role, Record<string, unknown>>> = { gateway: { entry: ['x'] }, merchant: { 'merchant.bank': 'ab'.repeat(32) } }
  test.each(ROLES)('is read; its comments, too, once they are none any more: %s', role => {
    const values = { role, listen: '/ip4/127.0.0.1/tcp/1', ...NEEDED[role] }
    const config = node(configText(role, values))
    expect(config).toMatchObject({ role, listen: '/ip4/127.0.0.1/tcp/1' })
    const bare = Object.entries(values).filter(([name]) => !name.includes('.')).map(([name, value]) => `${name} = ${JSON.stringify(value)}\n`).join('')
    expect(config).toEqual(node(`${bare}${role === 'merchant' ? `[merchant]\nbank = "${'ab'.repeat(32)}"\n` : ''}`))
    const uncommented = configText(role, values).replace(/^# (?=[a-zA-Z]+ = |\[\[)/gm, '')
    expect(uncommented).not.toBe(configText(role, values))
    const all = readSources((node(uncommented), join(dir, 'config.toml')))
    expect([...all.origins].filter(([, origin]) => origin === 'default')).toEqual([])
  })
})

describe('refused, and the message names', () => {
  test.each([
    ['a profile that is none', 'profile = "fast"', /authority\.profile: one of default, demo/],
    ['a parameter that is none', '[authority.parameters]\nepochLenght = 8000', /unknown key authority\.parameters\.epochLenght; did you mean epochLength/],
    ['what comes with the profile', '[authority.parameters]\nservices = "x"', /unknown key authority\.parameters\.services/],
    ['a parameter of another kind', '[authority.parameters]\nmeanDelay = "long"', /authority\.parameters: meanDelay: an unsigned integer/],
    ['a part of one that is none', '[authority.parameters]\ncover = { sent = 1 }', /authority\.parameters: cover: a map with just the keys/],
    ['a strategy that is none', '[authority.parameters]\nstrategy = { kind = "fast" }', /authority\.parameters: strategy: .*kind is one of poisson/],
    ['parameters that do not go together', '[authority.parameters]\nepochGrace = 9999999', /clockSkew ≤ epochGrace ≤ epochLength/],
    ['parameters that are no table', 'parameters = 7', /a table \[authority\.parameters\] is wanted/]
  ])('of an authority: %s', (_what, settings, message) => {
    expect(() => authority(`${settings}\n`)).toThrow(expect.objectContaining({ code: 'bad-config', fault: 'operator', message: expect.stringMatching(message) }))
  })

  test.each([
    ['that ends before it begins', ['from = 9\nuntil = 9'], /authority\.until: it comes after from/],
    ['that leave an epoch to nobody', ['until = 7', 'from = 8'], /nobody is in office in epoch 7/],
    ['after which there is nobody', ['until = 7'], /nobody is in office in epoch 7/],
    ['that are no epochs', ['from = -1'], /from: a whole number/]
  ])('terms of authorities %s', (_what, terms, message) => {
    const entries = terms.map((lines, i) => `[[authority]]\nkey = "${`a${i}`.repeat(32)}"\naddress = "x"\n${lines}\n`)
    writeFileSync(join(root, 'network.toml'), `network = "n"\n${entries.join('')}`)
    expect(() => readNetwork(join(root, 'network.toml'))).toThrow(expect.objectContaining({ code: 'bad-config', message: expect.stringMatching(message) }))
  })

  test('an authority that is listed twice', () => {
    writeFileSync(join(root, 'network.toml'), `${NETWORK}${NETWORK.slice(NETWORK.indexOf('[['))}`)
    expect(() => readNetwork(join(root, 'network.toml'))).toThrow(expect.objectContaining({ code: 'bad-config', message: expect.stringContaining('twice') }))
  })

  test.each([
    ['a misspelt key, with the nearest', 'role = "mix"\nlistn = "x"\n', /listn; did you mean listen/],
    ['a misspelt key of the role', 'role = "bank"\nlisten = "x"\n[bank]\nunits = "c"\n', /bank\.units; did you mean unit/],
    ['a key far from all', 'role = "mix"\nlisten = "x"\ncolour = 1\n', /colour; known: /],
    ['a key of another role', 'role = "mix"\nlisten = "x"\n[bank]\nunit = "c"\n', /unknown key bank/],
    ['a role that is none', 'role = "boss"\nlisten = "x"\n', /role: one of authority/],
    ['a missing key', 'role = "mix"\n', /listen: a text is wanted/],
    ['a number that is a text', 'role = "bank"\nlisten = "x"\n[bank]\ndenominations = "many"\n', /denominations: a whole number/],
    ['more keysets at a time than a listing may have', 'role = "bank"\nlisten = "x"\n[bank]\ndenominations = 1\nkeysetDays = 1\nrefundDays = 60\n', /keysetDays: with these periods 65 keysets/],
    ['more keys than a listing has room for', 'role = "bank"\nlisten = "x"\n[bank]\nkeysetDays = 1\nrefundDays = 30\n', /keysetDays: with these periods 35 keysets/],
    ['a key that is not hexadecimal', 'role = "merchant"\nlisten = "x"\n[merchant]\nbank = "nobody"\n', /merchant\.bank: a key of 64/],
    ['a gateway without an entry', 'role = "gateway"\nlisten = "x"\n', /entry: where wallets attach is wanted/],
    ['a mix with an entry', 'role = "mix"\nlisten = "x"\nentry = ["y"]\n', /entry: wallets do not come to a mix/],
    ['an authority with an entry', 'role = "authority"\nlisten = "x"\nentry = ["y"]\n', /entry: wallets do not come to an authority by another way/],
    ['an entry that is no list', 'role = "gateway"\nlisten = "x"\nentry = "y"\n', /entry: a list of texts/],
    ['a file that is not TOML', 'role = ', /not TOML/]
  ])('%s', (_what, content, message) => {
    expect(() => node(content)).toThrow(expect.objectContaining({ code: 'bad-config', fault: 'operator', message: expect.stringMatching(message) }))
  })

  test('no authority', () => {
    writeFileSync(join(root, 'network.toml'), 'network = "n"\n')
    expect(() => readNetwork(join(root, 'network.toml'))).toThrow(expect.objectContaining({ code: 'bad-config' }))
  })

  test('a node\'s own mistakes, before its network is there', () => {
    rmSync(join(root, 'network.toml'))
    expect(() => node('role = "merchant"\nlisten = "x"\n[merchant]\nbank = "abc"\n')).toThrow(expect.objectContaining({ message: expect.stringContaining('merchant.bank') }))
  })

  test('files that are not there', () => {
    expect(() => readNode(join(root, 'none'))).toThrow(expect.objectContaining({ code: 'no-such-node', fault: 'operator' }))
    expect(() => readNetwork(join(root, 'none.toml'))).toThrow(expect.objectContaining({ code: 'no-such-network', fault: 'operator' }))
  })
})
