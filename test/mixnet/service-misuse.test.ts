/** The service in the hands of whoever errs, hurries or means ill. */
import { getEventListeners } from 'node:events'
import { byteStream, lpStream } from '@libp2p/utils'
import { beforeAll, expect, it } from 'vitest'
import { utf8 } from '@mixmint/core/kit/bytes'
import type { MixDialOptions } from '@mixmint/mixnet/service/api'
import type { Destination } from '@mixmint/mixnet/service/destination'
import { checkInit } from '@mixmint/mixnet/service/init'
import type { MixPoolEntry } from '@mixmint/mixnet/service/mix-pool'
import { exactly } from '@mixmint/mixnet/service/reply-rule'
import type { MixStream } from '@mixmint/mixnet/service/stream'
import { FAST, introduce, mixedNetwork, mixedNode, plainNode, stopNode, type MixedNode } from './service-nodes.ts'

const GREET = '/greet/1'
const NEVER = '/never/1'

let nodes: MixedNode[]
let client: MixedNode

async function guest (init = {}): Promise<MixedNode> {
  const node: MixedNode = await mixedNode({ parameters: FAST, ...init }, { listen: [] })
  introduce(node, nodes)
  return node
}

beforeAll(async () => {
  nodes = await mixedNetwork(5, [{}, { relay: true, serve: protocol => protocol === GREET || protocol === NEVER }])
  await nodes[1].handle(GREET, async stream => {
    const lp = lpStream(stream)
    await lp.write(utf8(`hello ${new TextDecoder().decode((await lp.read()).subarray())}`))
    await stream.close()
  })
  await nodes[1].handle(NEVER, () => {})
  client = await guest()
})

async function greet (from: MixedNode, options?: MixDialOptions): Promise<string> {
  const stream = await from.services.mix.dialProtocol(nodes[1].peerId, GREET, options)
  const lp = lpStream(stream)
  await lp.write(utf8('you'))
  const heard = new TextDecoder().decode((await lp.read()).subarray())
  await stream.close()
  return heard
}

async function asking (from: MixedNode): Promise<MixStream> {
  const stream = await from.services.mix.dialProtocol(nodes[1].peerId, NEVER)
  stream.send(utf8('x'))
  return stream
}

it.each([[undefined], [null], [5], [{}], [[]], [[5]], [['/ip4/1.2.3.4/tcp/1']]])('%j is no destination', async to => {
  await expect(client.services.mix.dialProtocol(to as unknown as Destination, GREET)).rejects.toMatchObject({ code: 'bad-destination' })
})

it.each<[string, unknown, object]>([
  ['no protocol', '', {}], ['several', [GREET, NEVER], {}], ['patience', GREET, { patience: 0 }], ['patience', GREET, { patience: Infinity }],
  ['quiet', GREET, { quiet: -1 }], ['replySize', GREET, { replySize: 1.5 }], ['leave', GREET, { leave: 'now' }]
])('what an exchange is told is checked before anything leaves: %s', async (_what, protocol, options) => {
  await expect(client.services.mix.dialProtocol(nodes[1].peerId, protocol as string, options)).rejects.toMatchObject({ code: 'bad-argument', fault: 'caller' })
})

it('limits that no timer can count are refused', () => {
  expect(() => checkInit({ limits: { patience: 2 ** 31 } })).toThrow(expect.objectContaining({ code: 'bad-init' }))
})

it('options of libp2p that a mix cannot heed are left alone', async () => {
  expect(await greet(client, { runOnLimitedConnection: true, negotiateFully: false } as MixDialOptions)).toBe('hello you')
})

it('the method may be handed on by itself', async () => {
  const { dialProtocol } = client.services.mix
  const stream = await dialProtocol(nodes[1].peerId, GREET)
  stream.abort(new Error('only looking'))
})

it('the entry of a client, which knows who it is, is neither asked nor its exit', async () => {
  const exit = { protocols: { [GREET]: exactly(1) }, privateAddresses: true }
  const node: MixedNode = await mixedNode({ parameters: FAST, relay: { clients: true }, serve: [GREET], exit })
  const other: MixedNode = await mixedNode({ parameters: FAST, relay: true, exit })
  const own: MixedNode = await mixedNode({ parameters: FAST, entry: [node.getMultiaddrs()[0].toString()] }, { listen: [] })
  const outside = await plainNode()
  await outside.handle(GREET, async stream => { stream.send(Uint8Array.of(1)); await stream.close() })
  const { mix } = own.services
  for (const each of [...nodes, node, own]) introduce(each, [...nodes, node])
  await expect(mix.dialProtocol(node.peerId, GREET)).rejects.toMatchObject({ code: 'bad-destination' })
  await expect(mix.dialProtocol(outside.getMultiaddrs(), GREET)).rejects.toMatchObject({ code: 'no-exit' })
  for (const each of [...nodes, node, own, other]) introduce(each, [...nodes, node, other])
  for (let i = 0; i < 6; i++) {
    const stream = await mix.dialProtocol(outside.getMultiaddrs(), GREET)
    stream.send(utf8('x'))
    expect((await byteStream(stream).read())?.subarray()).toEqual(Uint8Array.of(1))
  }
  for (const each of [...nodes, client]) for (const gone of [node, other]) each.services.mix.pool.remove(gone.peerId)
})

it('a signal that has fired asks nothing; one that lives on is not held', async () => {
  await expect(client.services.mix.dialProtocol(nodes[1].peerId, GREET, { signal: AbortSignal.abort('no') })).rejects.toMatchObject({ code: 'aborted', cause: 'no' })
  const { signal } = new AbortController()
  expect(await greet(client, { signal })).toBe('hello you')
  await expect.poll(() => getEventListeners(signal, 'abort')).toEqual([])
})

it('more exchanges than the limit: what is too much is not sent, and the others are answered', async () => {
  const narrow = await guest({ limits: { exchanges: 2 } })
  const all = await Promise.allSettled([1, 2, 3].map(async () => await greet(narrow)))
  expect(all.filter(({ status }) => status === 'fulfilled')).toHaveLength(2)
  expect(all.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { code: 'not-sent', retry: true } })
  expect(await greet(narrow)).toBe('hello you')
})

it('whoever waits for an entry while the node stops is told at once', async () => {
  const lonely: MixedNode = await mixedNode({ parameters: FAST }, { listen: [] })
  const waiting = [lonely.services.mix.dialProtocol(nodes[1].peerId, GREET), lonely.services.mix.ready()].map(async promise => await promise.catch((error: unknown) => error))
  await stopNode(lonely)
  expect(await Promise.all(waiting)).toEqual([1, 2].map(() => expect.objectContaining({ code: 'not-started', retry: true })))
})

it('streams that are open when the node stops end with that, asked or not; after a start it asks again', async () => {
  const node = await guest()
  const idle = await node.services.mix.dialProtocol(nodes[1].peerId, NEVER)
  const asked = await asking(node)
  const reading = lpStream(asked).read()
  const heard = reading.catch((error: unknown) => error)
  await stopNode(node)
  expect(await heard).toMatchObject({ code: 'stopping' })
  for (const stream of [idle, asked]) expect(stream).toMatchObject({ status: 'aborted', failure: { code: 'stopping' } })
  await node.start()
  expect(await greet(node)).toBe('hello you')
  await stopNode(node)
})

it('two stops at one time, and one while others ask', async () => {
  const node = await guest()
  const asked = [1, 2, 3].map(async () => await greet(node).catch((error: unknown) => (error as { code: string }).code))
  await Promise.all([stopNode(node), node.stop()])
  for (const outcome of await Promise.all(asked)) expect(['hello you', 'stopping', 'not-started', 'aborted']).toContain(outcome)
})

it('a predicate that throws, or promises, serves nothing and breaks nothing', async () => {
  for (const serve of [() => { throw new Error('a defect') }, (async () => true) as unknown as () => boolean]) {
    const node: MixedNode = await mixedNode({ parameters: FAST, relay: true, serve })
    await node.handle(GREET, async stream => { await stream.close() })
    for (const other of [...nodes, client, node]) introduce(other, [...nodes, node])
    const stream = await client.services.mix.dialProtocol(node.peerId, GREET)
    stream.send(utf8('x'))
    await expect(lpStream(stream).read()).rejects.toMatchObject({ code: 'refused', cause: { code: 'unknown-protocol' } })
    for (const other of [...nodes, client]) other.services.mix.pool.remove(node.peerId)
    await stopNode(node)
  }
})

it('entries are read as bytes of a stranger', () => {
  const { pool } = client.services.mix
  const entry = nodes[2].services.mix.describe()
  const before = pool.entries()
  for (const wrong of [
    null, 5, {}, { ...entry, addresses: 'x' }, { ...entry, addresses: [5] }, { ...entry, addresses: [] }, { ...entry, mixKey: 5 }, { ...entry, mixKey: '00' },
    { ...entry, mixKey: '00'.repeat(32) }, { ...entry, peer: 5 }, { ...entry, exits: 'ab' }, { ...entry, exits: Array.from({ length: 257 }, () => GREET) },
    { ...entry, exits: ['x'.repeat(1025)] }, { ...entry, clients: 'yes' }
  ]) expect(() => { pool.add(wrong as unknown as MixPoolEntry) }).toThrow(expect.objectContaining({ code: 'bad-pool-entry' }))
  expect(() => pool.remove('nobody')).toThrow(expect.objectContaining({ code: 'bad-pool-entry' }))
  expect(pool.entries()).toEqual(before)
})
