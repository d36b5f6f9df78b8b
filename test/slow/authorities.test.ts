/**
 * Four directory authorities as processes, over lines that can be cut, with epochs of seconds: one is killed, one lies with
 * its own key, the honest are parted. Readers who take whatever any of them gives hold one document an epoch.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { randomBytes } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { equal, fromHex, toHex } from '@mixmint/core/kit/bytes'
import { decode, encode } from '@mixmint/core/kit/codec'
import { isMixmintError } from '@mixmint/core/kit/errors'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import { DirectoryClient } from '@mixmint/mixnet/directory/client'
import { Document, type SignedDocument } from '@mixmint/mixnet/directory/formats'
import { DIRECTORY_PROTOCOL, DirectoryReply, DirectoryRequest } from '@mixmint/mixnet/directory/messages'
import { signStatement, type SignedStatement } from '@mixmint/mixnet/directory/statement'
import { askDirectory, askOver, fetchDocument, type Ask } from '@mixmint/mixnet/wire/directory'
import { parseTarget, type Target } from '@mixmint/mixnet/wire/peers'
import { RpcClient } from '@mixmint/mixnet/wire/rpc-client'
import { serveRpc } from '@mixmint/mixnet/wire/rpc-server'
import { startNetwork } from '../../nodes/cli/up.ts'
import { systemClock } from '../../nodes/clock.ts'
import { readNetwork } from '../../nodes/config.ts'
import { Stage } from '../../nodes/demo/stage.ts'
import { createHost, type Host } from '../../nodes/host.ts'
import { freshIdentity, loadOrCreateIdentity } from '../../nodes/identity.ts'
import { createNetwork, nodeNames, SMALL_NETWORK, type NetworkPlan } from '../../nodes/layout.ts'
import { Counters } from '../../nodes/observe.ts'
import { loadOrCreateSeed } from '../../nodes/secrets.ts'
import { Forwarder } from '../doubles/forwarder.ts'

const EPOCH = 8_000
const PLAN: NetworkPlan = {
  ...SMALL_NETWORK, gateways: 1, mixesPerLayer: 1, centers: 4,
  parameters: { epochLength: EPOCH, epochGrace: 4_000, clockSkew: 2_000 }
}
const NAMES = nodeNames(PLAN).authority
const QUORUM = 3

const suite = await defaultSuite()
let stage: Stage
let host: Host
let rpc: RpcClient
let targets: Target[]
/** The line on which authority i reaches authority j. */
const lines = new Map<string, Forwarder>()
/** Every document that anybody ever gave, by epoch and its bytes. */
const given = new Map<number, Map<string, SignedDocument>>()
/** What each authority was heard to say in each place, document signatures that are no quorum among it. */
const said = new Map<string, Set<string>>()

beforeAll(async () => {
  const dir = mkdtempSync(join(tmpdir(), 'mixmint-authorities-'))
  await createNetwork(suite, dir, PLAN)
  const text = readFileSync(join(dir, 'network.toml'), 'utf8')
  const { authorities } = readNetwork(join(dir, 'network.toml'))
  targets = authorities.map(({ address }) => parseTarget(address))
  for (const [i, name] of NAMES.entries()) {
    let own = text
    for (const [j, { addresses: [address] }] of targets.entries()) {
      if (i === j) continue
      const line = await Forwarder.start(address)
      lines.set(`${i} ${j}`, line)
      own = own.replace(address, line.address)
    }
    writeFileSync(join(dir, name, 'network.toml'), own)
    const config = join(dir, name, 'config.toml')
    writeFileSync(config, `network = "network.toml"\n${readFileSync(config, 'utf8')}`)
  }
  stage = new Stage(dir, PLAN)
  await startNetwork(stage.supervisor, PLAN, true)
  host = await createHost({ privateKey: await freshIdentity(), role: 'wallet', listen: [], meter: new Counters() })
  rpc = new RpcClient({ node: host.node, meter: new Counters() })
})

afterAll(async () => {
  rpc.close()
  await host.stop()
  await stage.stop()
  await Promise.all([...lines.values()].map(async line => { await line.stop() }))
  rmSync(stage.dir, { recursive: true, force: true })
})

function ask (i: number): Ask {
  return askOver(rpc, targets[i])
}

/** What this authority gives for an epoch, by default the one in force; null: nothing. */
async function get (i: number, epoch: number | null = null): Promise<SignedDocument | null> {
  try {
    const { signed } = await fetchDocument(ask(i), epoch, systemClock, AbortSignal.timeout(3_000))
    const { document } = signed
    const ofEpoch = given.get(document.epoch) ?? new Map<string, SignedDocument>()
    given.set(document.epoch, ofEpoch.set(toHex(encode(Document, document)), signed))
    return signed
  } catch (error) {
    if (isMixmintError(error)) return null
    throw error
  }
}

/** It answers, and has no such document. */
async function hasNone (i: number, epoch: number): Promise<void> {
  await expect(fetchDocument(ask(i), epoch, systemClock, AbortSignal.timeout(5_000))).rejects.toMatchObject({ code: 'document-unavailable' })
}

/** Note what this authority shows of the agreement on an epoch. */
async function hear (i: number, epoch: number): Promise<void> {
  const reply = await askDirectory(ask(i), { op: 'agreement', epoch }, AbortSignal.timeout(5_000)).catch(() => null)
  if (reply?.is !== 'agreement') return
  const note = (authority: Uint8Array, place: string, value: Uint8Array): void => {
    const key = `${toHex(authority)} ${epoch} ${place}`
    said.set(key, (said.get(key) ?? new Set()).add(toHex(value)))
  }
  const statements: readonly SignedStatement[] = [...reply.statements, ...reply.proposals.map(({ signed }) => signed)]
  for (const { authority, statement: { what, round, value } } of statements) note(authority, `${what} ${round}`, value)
  for (const { authority } of reply.document?.signatures ?? []) note(authority, 'document', reply.document?.hash as Uint8Array)
}

function epochNow (): number {
  return Math.floor(Date.now() / EPOCH)
}

/** Until each of these gives the document of an epoch that was still to come; with `ahead` 2 of one whose document was, too. */
async function goOn (authorities: readonly number[], ahead = 1): Promise<number> {
  const epoch = epochNow() + ahead
  for (const i of authorities) {
    while (await get(i, epoch) === null) {
      // Of an epoch that is over, one that came late to it may never hear.
      if (epochNow() > epoch) return await goOn(authorities, ahead)
      await hear(i, epoch)
      await new Promise(resolve => setTimeout(resolve, 100))
    }
    await hear(i, epoch)
  }
  return epoch
}

/** No packet passes between these two groups, either way. */
function part (some: readonly number[], others: readonly number[]): void {
  for (const [i, j] of some.flatMap(i => others.flatMap(j => [[i, j], [j, i]]))) {
    const line = lines.get(`${i} ${j}`) as Forwarder
    line.frozen = true
    line.cut()
  }
}

function heal (): void {
  for (const line of lines.values()) {
    if (!line.frozen) continue
    line.frozen = false
    line.cut()
  }
}

async function convicted (name: string): Promise<string[]> {
  return (await stage.control(name, 'evidence')).proofs as string[]
}

test('all four sign one document an epoch', async () => {
  const epoch = await goOn([0, 1, 2, 3])
  const client = new DirectoryClient(suite, trust())
  for (const i of [0, 1, 2, 3]) {
    const signed = await get(i, epoch) as SignedDocument
    expect(signed.signatures.length).toBeGreaterThanOrEqual(QUORUM)
    client.accept(signed, Date.now())
  }
  expect(client.newest?.epoch).toBe(epoch)
  expect(client.newest?.services('bank')).toHaveLength(1)
})

test('with one dead the others go on; killed at any time, it comes back and says nothing twice', async () => {
  await stage.supervisor.kill(NAMES[0])
  await goOn([1, 2, 3])
  await stage.supervisor.start(NAMES[0])
  for (const name of [NAMES[1], NAMES[0], NAMES[2], NAMES[0]]) {
    await new Promise(resolve => setTimeout(resolve, randomBytes(1)[0] * 8)) // a moment that nobody chose
    await stage.supervisor.kill(name)
    await stage.supervisor.start(name)
  }
  await goOn([0, 1, 2, 3])
  for (const name of NAMES) expect(await convicted(name)).toEqual([])
})

test('parted two by two they sign nothing, and readers keep what they have until it ends; healed, they go on', async () => {
  const client = new DirectoryClient(suite, trust())
  await goOn([0, 1, 2, 3])
  part([0, 1], [2, 3])
  // Of the next epoch there may be a document already; of the one after there is none.
  const without = epochNow() + 2
  const last = await new Promise<SignedDocument | null>(resolve => {
    const look = async (): Promise<void> => {
      const signed = await get(0, epochNow())
      if (signed !== null) resolve(signed)
      else setTimeout(() => { void look() }, 100)
    }
    void look()
  }) as SignedDocument
  client.accept(last, Date.now())
  while (Date.now() < (without + 0.9) * EPOCH) {
    for (const i of [0, 1, 2, 3]) {
      await hasNone(i, without)
      await hear(i, without)
    }
    await new Promise(resolve => setTimeout(resolve, 500))
  }
  while (client.view(Date.now()) !== null) await new Promise(resolve => setTimeout(resolve, 200))
  expect(() => { client.accept(last, Date.now()) }).toThrow(expect.objectContaining({ code: 'document-expired' }))
  // A node without a document in force stops in good order all the same.
  await stage.supervisor.stop('mix-1-1')
  expect(stage.log('mix-1-1').at(-1)).toMatchObject({ msg: 'stopped' })
  heal()
  await Promise.all([stage.supervisor.start('mix-1-1'), goOn([0, 1, 2, 3])])
})

test('one that is cut off from the others holds up nobody, and hears of what they signed when it is back', async () => {
  part([3], [0, 1, 2])
  const epoch = await goOn([0, 1, 2], 2)
  await hasNone(3, epoch)
  heal()
  await goOn([0, 1, 2, 3])
})

test('one that says something else to each is convicted by what the others tell each other, and nothing else comes of it', async () => {
  const liar = 3
  const dir = join(stage.dir, NAMES[liar])
  await stage.supervisor.stop(NAMES[liar])
  const key = suite.ed25519KeyPair(loadOrCreateSeed(join(dir, 'authority.key')))
  const own = `/ip4/${targets[liar].addresses[0].split('/').slice(2).join('/')}`
  const face = await createHost({ privateKey: loadOrCreateIdentity(join(dir, 'identity.key')), role: 'node', isKnown: () => true, listen: [own], meter: new Counters() })
  const { network } = readNetwork(join(dir, 'network.toml'))
  try {
    await serveRpc(face.node, DIRECTORY_PROTOCOL, async (from, _protocol, body) => {
      const request = decode(DirectoryRequest, body)
      if (request.op !== 'agreement') return encode(DirectoryReply, { is: 'refused', code: 'document-unavailable', fault: 'peer', retry: true, message: 'not now' })
      // What an honest one makes of an epoch, and a word of its own to each asker, in each round.
      const seen = await askDirectory(ask(0), request, AbortSignal.timeout(2_000)).catch(() => null)
      if (seen?.is !== 'agreement') return encode(DirectoryReply, { is: 'refused', code: 'document-unavailable', fault: 'peer', retry: true, message: 'not now' })
      const statements = [0, 1, 2].flatMap(round => (['prevote', 'precommit'] as const).map(what =>
        signStatement(suite, key, { network, epoch: request.epoch, what, round, value: suite.sha256(from) })))
      return encode(DirectoryReply, { ...seen, time: Date.now(), statements, proposals: [], lock: null, decision: null, document: null, proofs: [] })
    }, { meter: new Counters() })
    await goOn([0, 1, 2], 2)
    const honest = NAMES.filter((_, i) => i !== liar)
    while ((await Promise.all(honest.map(convicted))).some(proofs => proofs.length === 0)) await new Promise(resolve => setTimeout(resolve, 200))
    for (const name of honest) {
      const file = join(stage.dir, `${name}.proofs`)
      writeFileSync(file, (await convicted(name)).join('\n'))
      const { valid, proofs } = await stage.command('proof', 'verify', file) as { valid: boolean, proofs: Array<{ authority: string }> }
      expect(valid).toBe(true)
      expect(proofs.every(({ authority }) => equal(fromHex(authority), key.publicKey))).toBe(true)
    }
  } finally {
    await face.stop()
  }
})

test('in all of this nobody gave two documents of one epoch, and no honest one signed two', async () => {
  expect(given.size).toBeGreaterThan(6)
  for (const documents of given.values()) expect(documents.size).toBe(1)
  const liar = toHex(trust().authorities[3])
  const places = [...said].filter(([place]) => !place.startsWith(liar))
  for (const what of ['vote', 'proposal', 'prevote', 'precommit', 'document']) expect(places.filter(([place]) => place.split(' ')[2] === what).length).toBeGreaterThan(3)
  expect(places.filter(([, values]) => values.size > 1)).toEqual([])
  const view = await stage.control('mix-1-1', 'status')
  expect(view.epoch).toBeGreaterThanOrEqual(epochNow() - 1)
  expect(stage.fallen).toEqual([])
})

function trust (): { network: string, authorities: Uint8Array[] } {
  const { network, authorities } = readNetwork(join(stage.dir, 'network.toml'))
  return { network, authorities: authorities.map(({ key }) => key) }
}
