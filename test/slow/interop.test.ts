/**
 * The mix layer against a node of LIBP2P-MIX that shares nothing with it, in Go on go-libp2p (test/interop), over TCP: each
 * relays for the other, answers the other, asks the other; and what one sends amiss costs it its packet, or its stream,
 * and nobody else anything.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Stream } from '@libp2p/interface'
import { lpStream } from '@libp2p/utils'
import { multiaddr } from '@multiformats/multiaddr'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import { concat, fromHex, toHex, utf8 } from '@mixmint/core/kit/bytes'
import { lengthPrefixed, type MixInit, type MixPoolEntry } from '@mixmint/mixnet'
import { entryBlock } from '@mixmint/mixnet/pool/entry'
import { parseEntry } from '@mixmint/mixnet/service/mix-pool'
import { dataCapacity, encodeMessage } from '@mixmint/mixnet/sphinx/message'
import { wrap } from '@mixmint/mixnet/sphinx/wrap'
import { MIX_PROTOCOL } from '@mixmint/mixnet/wire/packets'
import { seededRng } from '../doubles/rng.ts'
import { buildGo, GoNode } from '../interop/go-node.ts'
import { randomVectors } from '../interop/random-vectors.ts'
import { mixedNode, plainNode, type MixedNode } from '../mixnet/service-nodes.ts'

const VECTORS = fileURLToPath(new URL('../vectors/lip99-sphinx.json', import.meta.url))
const ECHO = '/interop/echo/1'
const GREET = '/interop/greet/1'
const MEAN_DELAY = 2
/** Return paths that go with a request of ours; all of them are used. */
const COPIES = 2

const folder = mkdtempSync(join(tmpdir(), 'mixmint-interop-'))
const built = await buildGo(folder)
if ('lacking' in built) process.stderr.write(`tests against another implementation are left out: ${built.lacking}\n`)
const chance = seededRng('interop')
const program = 'program' in built ? built.program : ''

afterAll(() => { rmSync(folder, { recursive: true, force: true }) })

/** Resolves when it holds; the test's own timeout is the limit. */
async function until (condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!await condition()) await new Promise(resolve => setTimeout(resolve, 5))
}

async function ours (pathLength: number, init: MixInit = {}, listen?: string[]): Promise<MixedNode> {
  return await mixedNode({ framing: 'plain', parameters: { pathLength, meanDelay: MEAN_DELAY }, relay: true, ...init }, listen === undefined ? {} : { listen })
}

/** One of ours that answers; it counts how often it was asked. */
async function server (pathLength: number): Promise<MixedNode & { asked: () => number }> {
  let asked = 0
  const node = await ours(pathLength, { serve: { [GREET]: lengthPrefixed({ max: 4000 }) } })
  await node.handle(GREET, async stream => {
    asked += 1
    const lp = lpStream(stream)
    await lp.write(concat(utf8('hello '), (await lp.read()).subarray()))
    await stream.close()
  })
  return Object.assign(node, { asked: () => asked })
}

function introduce (to: MixedNode, ...others: Array<MixedNode | GoNode>): void {
  for (const other of others) to.services.mix.pool.add(other instanceof GoNode ? other.entry : other.services.mix.describe())
}

/** One of ours asks a node by its peer id. */
async function ask (node: MixedNode, peer: string, protocol: string, content: Uint8Array): Promise<Uint8Array> {
  const lp = lpStream(await node.services.mix.dialProtocol(peer, protocol))
  await lp.write(content)
  return (await lp.read()).subarray().slice()
}

async function counts (nodes: readonly GoNode[], what: string): Promise<number[]> {
  return await Promise.all(nodes.map(async node => await node.count(what)))
}


/** A message of fewer than 128 bytes as lpStream writes it, in hexadecimal. */
const framed = (text: string): string => toHex(Uint8Array.of(utf8(text).length, ...utf8(text)))

/** A packet as it stands on a stream: behind its length, an unsigned varint of two bytes from 128 on. */
const frame = (packet: Uint8Array): Uint8Array => concat(Uint8Array.from(packet.length < 128 ? [packet.length] : [packet.length & 0x7f | 0x80, packet.length >> 7]), packet)

const entryOf = (node: MixedNode): MixPoolEntry => node.services.mix.describe()

const dropped = (node: MixedNode): Readonly<Record<string, number>> => node.services.mix.status().packets?.mix.dropped ?? {}

/** A stream of somebody who may say anything on it. */
async function rawStream (to: MixPoolEntry): Promise<Stream> {
  const node = await plainNode()
  return await node.dialProtocol(to.addresses.map(address => multiaddr(`${address}/p2p/${to.peer}`)), MIX_PROTOCOL)
}

/** One that asks for an echo and has no way back in it. */
async function packetOver (nodes: readonly MixPoolEntry[]): Promise<Uint8Array> {
  const hops = nodes.map((entry, i) => ({ publicKey: fromHex(entry.mixKey), address: entryBlock(parseEntry(entry)), delay: i < nodes.length - 1 ? MEAN_DELAY : 0 }))
  const message = encodeMessage(3968, { codec: ECHO, surbs: [], data: utf8('nothing'), sequence: 0 })
  return wrap(await defaultSuite(), chance.bytes(32), hops, new Uint8Array(94), message)
}

describe.skipIf(program === '')('with nodes in Go', { timeout: 120_000 }, () => {
  let go: GoNode[]

  beforeAll(async () => { go = await Promise.all([1, 2, 3, 4].map(async () => await GoNode.start(program))) })
  afterAll(async () => { await Promise.all(go.map(async node => { await node.stop() })) })

  test('the vectors hold in Go', () => {
    expect(execFileSync(program, ['-vectors', VECTORS], { encoding: 'utf8' })).toBe('3 vectors hold\n')
  })

  test('packets and SURBs over any path are made and peeled to the same bytes', async () => {
    const file = join(folder, 'vectors.json')
    writeFileSync(file, JSON.stringify(randomVectors(await defaultSuite(), chance, 100)))
    expect(execFileSync(program, ['-vectors', file], { encoding: 'utf8' })).toBe('100 vectors hold\n')
  })

  describe.each([3, 4, 5])('paths of %i hops', length => {
    test('ours asks ours through Go, there and back', async () => {
      const relays = go.slice(0, length - 1)
      const [asker, answerer] = [await ours(length), await server(length)]
      introduce(asker, answerer, ...relays)
      introduce(answerer, asker, ...relays)
      const before = await counts(relays, 'forwarded')
      expect(await ask(asker, answerer.peerId.toString(), GREET, utf8('go'))).toEqual(utf8('hello go'))
      // There is no other way than over all of them: once there, and back for each return path.
      await until(async () => (await counts(relays, 'forwarded')).every((count, i) => count === before[i] + 1 + COPIES))
      expect(answerer.asked()).toBe(1)
      for (const node of [asker, answerer]) expect(node.services.mix.status().packets?.mix).toMatchObject({ forwarded: 0, dropped: {} })
    })

    test('ours asks Go through ours and Go', async () => {
      const [asker, relay] = [await ours(length), await ours(length)]
      const [answerer, ...relays] = go.slice(0, length - 1)
      introduce(asker, relay, ...go.slice(0, length - 1))
      introduce(relay, asker, ...go)
      const before = await counts([answerer, ...relays], 'answered')
      const forwarded = await counts(relays, 'forwarded')
      for (const text of ['once', 'and once more']) expect(await ask(asker, answerer.entry.peer, ECHO, utf8(text))).toEqual(utf8(text))
      expect(await counts([answerer, ...relays], 'answered')).toEqual([before[0] + 2, ...before.slice(1)])
      // Of two requests each Go relay has seen each, and the one answer that Go gives to it.
      await until(async () => (await counts(relays, 'forwarded')).every((count, i) => count === forwarded[i] + 4))
      expect(relay.services.mix.status().packets?.mix).toMatchObject({ forwarded: 4, dropped: {} })
    })

    test('Go asks ours through ours, and through Go and ours', async () => {
      const relays = await Promise.all(Array.from({ length: length - 1 }, async () => await ours(length)))
      const answerer = await server(length)
      for (const node of [...relays, answerer]) introduce(node, ...relays, answerer, ...go)
      const [asker, other] = go
      const ways = [relays.map(entryOf), [entryOf(relays[0]), other.entry, ...relays.slice(2).map(entryOf)]]
      for (const [i, way] of ways.entries()) {
        const question = { there: [...way, entryOf(answerer)], back: way.toReversed(), protocol: GREET, content: framed('ours'), delay: MEAN_DELAY }
        expect(await asker.ask(question)).toBe(framed('hello ours'))
        expect(answerer.asked()).toBe(i + 1)
      }
      // Every packet came back, so none was dropped on its way.
      expect(relays.map(node => node.services.mix.status().packets?.mix.forwarded)).toEqual([4, ...relays.slice(1).map((_, i) => i === 0 ? 2 : 4)])
      for (const node of [...relays, answerer]) expect(dropped(node)).toEqual({})
    })
  })

  test('one of ours without an address asks through Go, attached to ours, and to Go', async () => {
    const answerer = await server(4)
    const entry = await ours(4, { relay: { clients: true } })
    introduce(answerer, entry, ...go)
    introduce(entry, answerer, ...go)
    for (const pool of [[entryOf(entry), entryOf(answerer), go[0].entry, go[1].entry], [{ ...go[2].entry, clients: true }, entryOf(answerer), go[0].entry, go[1].entry]]) {
      const client = await ours(4, { relay: false, pool }, [])
      expect(await ask(client, answerer.peerId.toString(), GREET, utf8('whoever'))).toEqual(utf8('hello whoever'))
      expect(client.services.mix.status().entry).toBe(pool[0].peer)
    }
  })

  test('requests of all lengths come whole, up to as many bytes as a packet holds, and so do answers', async () => {
    const [asker, answerer] = [await ours(3), await server(3)]
    introduce(asker, answerer, go[0], go[1], go[2])
    introduce(answerer, asker, go[0], go[1], go[2])
    const lengths = [1, 126, 127, 128, 129, 2000, ...[0, 1, 2, 3].map(less => dataCapacity(3968, GREET, 1) - 2 - less)]
    for (const length of lengths) {
      const content = chance.bytes(length)
      expect(await ask(asker, answerer.peerId.toString(), GREET, content)).toEqual(concat(utf8('hello '), content))
      expect(await ask(asker, go[2].entry.peer, ECHO, content)).toEqual(content)
    }
  })

  test('many requests at one time, both ways over the same streams', async () => {
    const [asker, answerer] = [await ours(3), await server(3)]
    introduce(asker, answerer, go[0], go[1])
    introduce(answerer, asker, ...go)
    const accepted = await counts(go, 'accepted')
    const way = [go[1].entry, go[2].entry]
    const texts = Array.from({ length: 40 }, (_, i) => `number ${i}`)
    await Promise.all(texts.flatMap(text => [
      ask(asker, answerer.peerId.toString(), GREET, utf8(text)).then(reply => { expect(reply).toEqual(utf8(`hello ${text}`)) }),
      go[3].ask({ there: [...way, entryOf(answerer)], back: way, protocol: GREET, content: framed(text), delay: MEAN_DELAY }).then(reply => { expect(reply).toBe(framed(`hello ${text}`)) })
    ]))
    expect(answerer.asked()).toBe(80)
    // Of each neighbour one stream, however much goes over it; there are four, of whom two may have had theirs before.
    expect((await counts(go, 'accepted')).every((count, i) => count - accepted[i] <= 4)).toBe(true)
  })

  test('a packet that comes again is dropped, by ours and by Go', async () => {
    const [relay, answerer] = [await ours(3), await server(3)]
    introduce(relay, answerer, ...go)
    introduce(answerer, relay, ...go)
    const way = [entryOf(relay), go[1].entry]
    expect(await go[0].ask({ there: [...way, entryOf(answerer)], back: way, protocol: GREET, content: framed('twice'), delay: MEAN_DELAY, copies: 2 })).toBe(framed('hello twice'))
    await until(() => dropped(relay).replay === 1)
    expect(answerer.asked()).toBe(1)

    const [first, second, last] = go
    const before = [await first.count('dropped-replay'), await second.count('received'), await last.count('dropped-protocol')]
    const packet = await packetOver([first, second, last].map(({ entry }) => entry))
    const stream = await rawStream(first.entry)
    stream.send(concat(frame(packet), frame(packet)))
    await until(async () => await first.count('dropped-replay') === before[0] + 1)
    // It had no way back in it, so the last hop had nothing to do with it but to count it.
    await until(async () => await last.count('dropped-protocol') === before[2] + 1)
    expect(await second.count('received')).toBe(before[1] + 1)
  })

  test('garbage from Go costs it the packet, or with a wrong length its stream; others are not disturbed', async () => {
    const [relay, answerer, asker] = [await ours(3), await server(3), await ours(3)]
    const [hostile, beside] = go
    for (const node of [relay, answerer, asker]) introduce(node, relay, answerer, asker, beside)
    introduce(relay, hostile)
    const way = [entryOf(relay), beside.entry]
    const question = { there: [...way, entryOf(answerer)], back: way, protocol: GREET, content: framed('still'), delay: MEAN_DELAY }
    await hostile.ask(question)
    await ask(asker, answerer.peerId.toString(), GREET, utf8('before'))
    const opened = await hostile.count('opened')
    const ended = await hostile.count('ended')
    const endedBeside = await beside.count('ended')

    await hostile.garbage(entryOf(relay), 4608)
    expect(await hostile.ask(question)).toBe(framed('hello still'))
    expect(Object.values(dropped(relay))).toEqual([1])
    expect(await hostile.count('opened')).toBe(opened)

    await hostile.garbage(entryOf(relay), 100)
    await until(async () => await hostile.count('ended') === ended + 1)
    expect(await hostile.ask(question)).toBe(framed('hello still'))
    expect(await hostile.count('opened')).toBe(opened + 1)

    expect(await ask(asker, answerer.peerId.toString(), GREET, utf8('after'))).toEqual(utf8('hello after'))
    expect(await beside.count('ended')).toBe(endedBeside)
    expect(Object.values(dropped(relay))).toEqual([1])
  })

  test('garbage to Go is dropped, or ends the stream that it came on; ours goes on', async () => {
    const [asker, answerer] = [await ours(3), await server(3)]
    const [first, second, third] = go
    introduce(asker, answerer, first, second)
    introduce(answerer, asker, first, second)
    await ask(asker, answerer.peerId.toString(), GREET, utf8('before'))
    const stream = await rawStream(first.entry)
    const before = [await first.count('dropped-gamma'), await third.count('received'), await first.count('broken')]
    const garbage = chance.bytes(4608)
    garbage[31] &= 0x7f // a point, and nothing else that is right
    stream.send(concat(frame(garbage), frame(await packetOver([first, third, second].map(({ entry }) => entry)))))
    await until(async () => await third.count('received') === before[1] + 1)
    expect(await first.count('dropped-gamma')).toBe(before[0] + 1)
    expect(stream.status).toBe('open')
    stream.send(frame(chance.bytes(100)))
    await until(() => stream.status !== 'open')
    expect(await ask(asker, answerer.peerId.toString(), GREET, utf8('after'))).toEqual(utf8('hello after'))
    expect(await first.count('broken')).toBe(before[2] + 1)
  })

  test('a neighbour may open a stream for each of its packets, and many at one time', async () => {
    const spendthrift = await GoNode.start(program, ['-habits', 'one-each'])
    try {
      const [relay, answerer] = [await ours(3), await server(3)]
      introduce(relay, answerer, spendthrift, ...go)
      introduce(answerer, relay, spendthrift, ...go)
      const way = [entryOf(relay), go[1].entry]
      const replies = await Promise.all(Array.from({ length: 24 }, async (_, i) =>
        await spendthrift.ask({ there: [...way, entryOf(answerer)], back: way, protocol: GREET, content: framed(`${i}`), delay: MEAN_DELAY })))
      expect(replies).toEqual(replies.map((_, i) => framed(`hello ${i}`)))
      expect(await spendthrift.count('opened')).toBe(24)
    } finally {
      await spendthrift.stop()
    }
  })

  test('a neighbour may close its end of a stream on which it has nothing to say', async () => {
    const relays = await Promise.all([1, 2].map(async () => await GoNode.start(program, ['-habits', 'half-close'])))
    try {
      const [asker, answerer] = [await ours(3), await server(3)]
      introduce(asker, answerer, ...relays)
      introduce(answerer, asker, ...relays)
      for (const text of ['one', 'two', 'three']) expect(await ask(asker, answerer.peerId.toString(), GREET, utf8(text))).toEqual(utf8(`hello ${text}`))
    } finally {
      await Promise.all(relays.map(async node => { await node.stop() }))
    }
  })
})
