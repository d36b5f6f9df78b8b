/** `mixmint doctor`: each thing that can be amiss is found, and what to do is said. */
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { toHex } from '@mixmint/core/kit/bytes'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import { formatTarget, type Target } from '@mixmint/mixnet/wire/peers'
import { RpcClient } from '@mixmint/mixnet/wire/rpc-client'
import { askDialBack, serveDialBack } from '../../nodes/dial-back.ts'
import { examine } from '../../nodes/doctor/doctor.ts'
import type { Finding } from '../../nodes/doctor/finding.ts'
import { machineFindings } from '../../nodes/doctor/machine.ts'
import { clockFinding, outsideFinding } from '../../nodes/doctor/network.ts'
import { initNode } from '../../nodes/init.ts'
import { freePorts } from '../../nodes/layout.ts'
import { entryOfNode, publicKeyOf } from '../../nodes/node-folder.ts'
import { ringEntryOf } from '../../nodes/ring-tools.ts'
import { openLmdb } from '../../nodes/store/lmdb.ts'
import { codeOf } from '../doubles/code.ts'
import { CountingMeter } from '../doubles/meter.ts'
import { startHost, targetOf } from '../mixnet/hosts.ts'

const suite = await defaultSuite()
let root: string
let dir: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'mixmint-doctor-'))
  dir = join(root, 'node')
})
afterEach(() => { rmSync(root, { recursive: true, force: true }) })

/** A mix of a network whose one authority is not there. */
async function mix (address = '127.0.0.1'): Promise<number> {
  const [port, dead] = await freePorts(2)
  const network = join(root, 'network.toml')
  const stranger = await startHost()
  writeFileSync(network, `network = "n"\n[[authority]]\nkey = "${'ab'.repeat(32)}"\naddress = "${formatTarget({ peer: stranger.peer, addresses: [`/ip4/127.0.0.1/tcp/${dead}`] })}"\n`)
  await initNode(suite, { dir, role: 'mix', address, port, network, settings: {} }, null)
  return port
}

const look = async (environment: Record<string, string> = {}): Promise<Map<string, Finding>> => new Map((await examine(dir, { environment }, () => {})).map(finding => [finding.check, finding]))

test('a node that is well, of a network that is not there', async () => {
  await mix()
  const found = await look()
  expect([...found.values()].filter(({ state }) => state === 'fail').map(({ check }) => check)).toEqual(['authorities'])
  expect(found.get('authorities')?.advice).toContain('network.toml')
  expect([...found.keys()]).toEqual(['configuration', 'daemon', 'node', 'files', 'disk', 'memory', 'folder', 'keys', 'store', 'listen', 'addresses', 'authorities'])
  expect(found.get('store')?.what).toContain('none yet')
})

test('an authority before its first start is well, where it is the only one, and where the other founders have not started', async () => {
  const [port, dead] = await freePorts(2)
  const network = join(dir, 'network.toml')
  const { entry } = await initNode(suite, { dir, role: 'authority', address: '127.0.0.1', port, network: '', settings: {} }, null)
  const other = `[[authority]]\nkey = "${'ab'.repeat(32)}"\naddress = "${formatTarget({ peer: (await startHost()).peer, addresses: [`/ip4/127.0.0.1/tcp/${dead}`] })}"\n`
  for (const [others, finding] of [['', { state: 'ok', what: 'this is the only one' }], [other, { state: 'warn', what: 'none of the others answers' }]] as const) {
    writeFileSync(network, `network = "n"\n${others}${entry}\n`)
    const found = await look()
    expect(found.get('authorities')).toMatchObject(finding)
    expect([...found.values()].filter(({ state }) => state === 'fail')).toEqual([])
  }
})

test('what is amiss with the folder, the ports, the addresses and the environment', async () => {
  const port = await mix('192.0.2.1')
  chmodSync(dir, 0o755)
  chmodSync(join(dir, 'identity.key'), 0o644)
  const taken = createServer().listen(port, '0.0.0.0')
  const store = await openLmdb(join(dir, 'store'))
  await store.batch([{ op: 'put', key: new Uint8Array(1), value: new Uint8Array(1) }])
  await store.close()
  try {
    const found = await look({ MIXMINT_LISTN: 'x' })
    expect(found.get('environment')).toMatchObject({ state: 'warn', what: expect.stringContaining('MIXMINT_LISTEN') })
    expect(found.get('folder')).toMatchObject({ state: 'fail', advice: `chmod 700 ${dir}` })
    expect(found.get('keys')).toMatchObject({ state: 'fail', what: expect.stringContaining('identity.key'), advice: expect.stringContaining('chmod 600') })
    expect(found.get('listen')).toMatchObject({ state: 'fail', what: expect.stringContaining('EADDRINUSE') })
    expect(found.get('addresses')).toMatchObject({ state: 'ok', what: expect.stringContaining('192.0.2.1') })
    expect(found.get('store')).toMatchObject({ state: 'ok', what: expect.stringContaining('is read') })
  } finally {
    taken.close()
  }
})

test('a key that is not there is missed, and not made, by whoever only looks', async () => {
  await mix()
  const center = join(root, 'center')
  await initNode(suite, { dir: center, role: 'center', address: '127.0.0.1', port: 4001, network: join(root, 'network.toml'), settings: {} }, null)
  for (const file of ['vote.key', 'identity.key']) {
    rmSync(join(center, file))
    expect((await examine(center, { environment: {} }, () => {})).find(({ check }) => check === 'keys')).toMatchObject({ state: 'fail', what: expect.stringContaining(file), advice: expect.stringContaining('backup') })
    await expect(ringEntryOf(center, 1, false)).rejects.toMatchObject({ code: 'no-key-file', fault: 'operator', message: expect.stringContaining(file) })
    expect(codeOf(() => { entryOfNode(suite, center, null) })).toBe('no-key-file')
    expect(codeOf(() => { publicKeyOf(suite, center, 'center', null) })).toBe('no-key-file')
    expect(existsSync(join(center, file))).toBe(false)
  }
})

test('without a configuration that can be read, that is all there is', async () => {
  expect([...await look()]).toEqual([['configuration', expect.objectContaining({ state: 'fail', what: expect.stringContaining('no-such-node'), advice: expect.stringContaining('mixmint init') })]])
  await mix()
  writeFileSync(join(dir, 'config.toml'), 'role = "mix"\nlistne = "x"\n')
  expect((await look()).get('configuration')).toMatchObject({ state: 'fail', what: expect.stringContaining('config.toml'), advice: expect.stringContaining('did you mean listen') })
})

test('a machine is judged by what a node needs', () => {
  const well = { node: '22.18.0', files: { soft: 65_536, hard: 65_536 }, disk: { free: 50e9, total: 100e9 }, memory: { available: 2e9, total: 4e9 }, cores: 2 }
  const states = (change: Partial<typeof well> | { files: null }): string => machineFindings({ ...well, ...change }).map(({ state }) => state).join(' ')
  expect(states({})).toBe('ok ok ok ok')
  expect(states({ node: '22.17.9', files: { soft: 256, hard: 256 }, disk: { free: 1e6, total: 1e9 }, memory: { available: 1e7, total: 1e9 } })).toBe('fail fail fail fail')
  expect(states({ node: '24.0.0', files: { soft: 1024, hard: 4096 }, disk: { free: 1e9, total: 1e9 }, memory: { available: 2e8, total: 1e9 } })).toBe('ok warn warn warn')
  expect(states({ files: null })).toBe('ok warn ok ok')
})

test('a clock is right within half of what the network allows', () => {
  expect(clockFinding([100, -100, 4000], 5000)).toMatchObject({ state: 'ok', what: '0.1 s ahead of the authorities; 5.0 s are allowed' })
  expect(clockFinding([-3000], 5000)).toMatchObject({ state: 'warn', what: expect.stringContaining('3.0 s behind') })
  expect(clockFinding([6000, 6000, 0], 5000).state).toBe('fail')
})

describe('ports from outside in', () => {
  test('an authority tries the ports of nodes that it knows, at the address that they come from', async () => {
    const node = await startHost()
    const stranger = await startHost()
    const meter = new CountingMeter()
    const authority = await startHost({ role: 'authority' })
    await serveDialBack(authority.node, peer => peer === toHex(node.peer), meter)
    const [closed] = await freePorts(1)
    const [own] = node.addresses()
    const addresses = [own, own.replace('/ip4/127.0.0.1/', '/dns4/localhost/'), `/ip4/127.0.0.1/tcp/${closed}`, '/ip4/192.0.2.1/tcp/4001', 'nonsense']
    const ask = async (host: typeof node, targets: Target[] = [targetOf(authority)]): Promise<Awaited<ReturnType<typeof askDialBack>>> => {
      const rpc = new RpcClient({ node: host.node, meter })
      try {
        return await askDialBack(rpc, targets, addresses)
      } finally {
        rpc.close()
      }
    }
    const seen = await ask(node)
    expect(seen).toEqual({ from: '127.0.0.1', outcomes: addresses.map((address, i) => ({ address, outcome: ['reached', 'reached', 'unreached', 'elsewhere', 'elsewhere'][i] })) })
    expect(outsideFinding(seen)).toMatchObject({ state: 'fail', what: expect.stringContaining(String(closed)) })
    const unknown = await ask(stranger)
    expect(new Set(unknown.outcomes.map(({ outcome }) => outcome))).toEqual(new Set(['unknown-node']))
    expect(outsideFinding(unknown)).toMatchObject({ state: 'warn', advice: expect.stringContaining('entry') })
    // One that does not know the protocol is passed over.
    expect((await ask(node, [targetOf(stranger), targetOf(authority)])).from).toBe('127.0.0.1')
    const nobody = await ask(node, [{ peer: (await startHost()).peer, addresses: [`/ip4/127.0.0.1/tcp/${closed}`] }])
    expect(outsideFinding(nobody)).toMatchObject({ state: 'warn', advice: expect.stringContaining('nc -vz') })
    expect(outsideFinding({ from: '198.51.100.7', outcomes: [{ address: 'x', outcome: 'elsewhere' }] })).toMatchObject({ state: 'warn', advice: expect.stringContaining('198.51.100.7') })
    expect(outsideFinding({ from: '198.51.100.7', outcomes: [{ address: 'x', outcome: 'reached' }] }).state).toBe('ok')
  })
})
