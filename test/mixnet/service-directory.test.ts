/** The service where a directory governs: a whole network of nodes over TCP, which an authority brings together. */
import { generateKeyPair } from '@libp2p/crypto/keys'
import type { Secp256k1PrivateKey } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { lpStream } from '@libp2p/utils'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { toHex, utf8 } from '@mixmint/core/kit/bytes'
import type { Log } from '@mixmint/core/kit/ports'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import { Authority } from '@mixmint/mixnet/directory/authority'
import type { Admission } from '@mixmint/mixnet/directory/register'
import { serveDirectory } from '@mixmint/mixnet/wire/directory'
import { AuthorityServer } from '@mixmint/mixnet/wire/directory-authority'
import type { DirectoryInit, MixInit } from '@mixmint/mixnet/service/init'
import { exactly } from '@mixmint/mixnet/service/reply-rule'
import { freshIdentity } from '../../nodes/identity.ts'
import { authorityKeys, NETWORK, PARAMETERS } from '../doubles/directory.ts'
import { MemoryStore } from '../doubles/memory-store.ts'
import { CountingMeter } from '../doubles/meter.ts'
import { seededRng } from '../doubles/rng.ts'
import { mixedNode, plainNode, type MixedNode } from './service-nodes.ts'

const GREET = '/greet/1'
const PING = '/ipfs/ping/1.0.0'
const suite = await defaultSuite()
const quiet: Log = { info: () => {}, warn: () => {}, error: () => {} }
const clock = { now: (): number => Date.now() }

interface Member { readonly key: Secp256k1PrivateKey, readonly admission: Omit<Admission, 'peer'>, readonly init: MixInit }

let directory: DirectoryInit
let members: MixedNode[]
let client: MixedNode
let authority: AuthorityServer

async function member (role: Admission['role'], kind: string, init: MixInit): Promise<Member> {
  return { key: await freshIdentity(), admission: { role, kind }, init }
}

beforeAll(async () => {
  const planned = await Promise.all([
    member('gateway', '', { relay: { clients: true } }), member('gateway', '', { relay: { clients: true } }),
    ...[1, 2, 3, 4, 5].map(async () => await member('mix', '', { relay: true })),
    member('service', 'greeter', { serve: [GREET] }),
    member('service', 'exit', { exit: { protocols: { [PING]: exactly(32) }, privateAddresses: true } })
  ])
  const [key] = authorityKeys(suite, 1)
  const trust = { network: NETWORK, authorities: [key.publicKey] }
  const admitted = planned.map(({ key, admission }) => ({ peer: peerIdFromPrivateKey(key).toMultihash().bytes, ...admission }))
  authority = new AuthorityServer({
    authority: new Authority(suite, { key, trust, parameters: { ...PARAMETERS, meanDelay: 2, cover: { send: 20, echoes: 200, pace: 20, loop: 500 } }, admitted, bootstrapWait: 600_000, checkService: () => null }, new CountingMeter(), quiet),
    ports: { clock, store: new MemoryStore(), rng: seededRng('authority'), wait: async () => {} }, log: quiet, meter: new CountingMeter(), askOther: () => null
  })
  await authority.start()
  const at = await plainNode()
  await serveDirectory({
    handle: async (protocol, handler, options) => { await at.handle(protocol, handler, options) }, unhandle: async protocol => { await at.unhandle(protocol) },
    getConnections: peer => at.getConnections(peer), dialProtocol: async (addresses, protocol, options) => await at.dialProtocol(addresses, protocol, options)
  }, authority.answer, { meter: new CountingMeter() })
  directory = { network: NETWORK, authorities: [{ key: toHex(key.publicKey), address: at.getMultiaddrs()[0].toString() }] }
  members = await Promise.all(planned.map(async ({ key, admission: { kind }, init }) =>
    await mixedNode({ ...init, directory: { ...directory, ...(kind === '' ? {} : { kind }) } }, { privateKey: key })))
  await members[7].handle(GREET, async stream => {
    const lp = lpStream(stream)
    await lp.write(utf8(`hello ${new TextDecoder().decode((await lp.read()).subarray())}`))
    await stream.close()
  })
  client = await mixedNode({ directory }, { listen: [] })
  await client.services.mix.ready(AbortSignal.timeout(30_000))
})

afterAll(async () => { await authority.stop() })

it('a client attaches to a gateway, and asks a service', async () => {
  const lp = lpStream(await client.services.mix.dialProtocol(members[7].peerId, GREET))
  await lp.write(utf8('world'))
  expect((await lp.read()).subarray()).toEqual(utf8('hello world'))
  expect(members.slice(0, 2).map(({ peerId }) => peerId.toString())).toContain(client.services.mix.status().entry)
})

it('and through an exit that the directory lists, a node that knows nothing of mixing', async () => {
  const unaware = await plainNode('Ed25519')
  await unaware.handle(PING, async stream => {
    for await (const part of stream) stream.send(part)
    await stream.close()
  })
  const stream = await client.services.mix.dialProtocol(unaware.getMultiaddrs(), PING)
  stream.send(new Uint8Array(32).fill(3))
  const parts: Uint8Array[] = []
  for await (const part of stream) parts.push(part.subarray())
  expect(parts).toEqual([new Uint8Array(32).fill(3)])
  await expect(client.services.mix.dialProtocol(unaware.getMultiaddrs(), '/other/1')).rejects.toMatchObject({ code: 'no-exit' })
})

it('the pool is what the directory lists, and cannot be changed', () => {
  const { pool } = client.services.mix
  const entries = pool.entries()
  expect(entries.map(({ peer }) => peer).sort()).toEqual(members.map(({ peerId }) => peerId.toString()).sort())
  expect(entries.filter(({ clients }) => clients)).toHaveLength(2)
  expect(entries.filter(({ exits }) => exits?.includes(PING)).map(({ peer }) => peer)).toEqual([members[8].peerId.toString()])
  expect(() => { pool.add(entries[0]) }).toThrow(expect.objectContaining({ code: 'pool-governed' }))
  expect(() => pool.remove(entries[0].peer)).toThrow(expect.objectContaining({ code: 'pool-governed' }))
})

it('nodes send loops, which come home', async () => {
  await expect.poll(() => members.slice(0, 8).every(({ services }) => (services.mix.status().loops?.returned ?? 0) > 0), { timeout: 20_000 }).toBe(true)
})

it('whoever stands in the directory does not ask, nor has it an entry to hand around', async () => {
  for (const node of [members[0], members[2], members[7]]) {
    await expect(node.services.mix.dialProtocol(members[8].peerId, GREET)).rejects.toMatchObject({ code: 'not-a-client' })
    expect(() => node.services.mix.describe()).toThrow(expect.objectContaining({ code: 'not-a-relay' }))
  }
  await expect(client.services.mix.dialProtocol(members[2].peerId, GREET)).rejects.toMatchObject({ code: 'unknown-destination' })
})

it('without its authorities a node starts, and says so to whoever asks', async () => {
  const key = await generateKeyPair('secp256k1')
  const nowhere = { ...directory, authorities: [{ ...directory.authorities[0], address: `/ip4/127.0.0.1/tcp/9/p2p/${peerIdFromPrivateKey(key).toString()}` }] }
  const lonely = await mixedNode({ directory: nowhere }, { listen: [] })
  await expect(lonely.services.mix.dialProtocol(members[7].peerId, GREET, { patience: 100 })).rejects.toMatchObject({ code: 'not-sent', retry: true })
  expect(lonely.services.mix.status()).toEqual({ entry: null, packets: null, loops: null, echoes: null })
})
