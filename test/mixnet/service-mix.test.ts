/** The service in whole nodes over TCP: both modes, and how exchanges fail. */
import { ping } from '@libp2p/ping'
import type { Libp2p, Stream } from '@libp2p/interface'
import { byteStream, lpStream } from '@libp2p/utils'
import { beforeAll, describe, expect, it } from 'vitest'
import { concat, utf8 } from '@mixmint/core/kit/bytes'
import { isAnonymous } from '@mixmint/mixnet/service/connection'
import { exactly, lengthPrefixed } from '@mixmint/mixnet/service/reply-rule'
import { FAST, introduce, mixedNetwork, mixedNode, plainNode, type MixedNode } from './service-nodes.ts'

const GREET = '/greet/1'
const SINK = '/sink/1'
const HOSTILE = '/hostile/1'
const PING = '/ipfs/ping/1.0.0'
const ASK = '/ask/1'
const LIMIT = 1 << 14
const NOBODY = '12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN'

let nodes: MixedNode[]
let server: MixedNode
let exit: MixedNode
let client: MixedNode
let unaware: Libp2p
const sunk: Uint8Array[] = []

async function greet (stream: Stream): Promise<void> {
  const lp = lpStream(stream)
  await lp.write(utf8(`hello ${new TextDecoder().decode((await lp.read()).subarray())}`))
  await stream.close()
}

/** Ten nodes: an entry, a server, an exit, six others, and a client without an address. Besides, one that knows nothing of mixing. */
beforeAll(async () => {
  const parameters = { ...FAST, requestLimit: LIMIT }
  nodes = await mixedNetwork(9, [
    { parameters, relay: { clients: true } },
    { parameters, relay: true, serve: { [GREET]: lengthPrefixed({ max: 1000 }), [SINK]: exactly(1), [HOSTILE]: lengthPrefixed({ max: 1 << 20 }) }, limits: { handlerPatience: 500 } },
    { parameters, relay: true, exit: { protocols: { [PING]: exactly(32), [ASK]: lengthPrefixed({ max: 1000 }) }, privateAddresses: true, patience: 1000 } },
    ...Array.from({ length: 6 }, () => ({ parameters, relay: true }))
  ])
  ;[, server, exit] = nodes
  client = await mixedNode({ parameters }, { listen: [] })
  introduce(client, nodes)
  await server.handle(GREET, greet)
  await server.handle('/private/1', greet)
  await server.handle(SINK, async stream => {
    const bytes = byteStream(stream)
    for (let part = await bytes.read(); part !== null; part = await bytes.read()) sunk.push(part.subarray())
  })
  await server.handle(HOSTILE, stream => { stream.send(new Uint8Array(2 * LIMIT).fill(0xff).fill(0x7f, 2, 3)) })
  unaware = await plainNode('Ed25519')
  await unaware.handle(PING, async stream => {
    for await (const part of stream) stream.send(part)
    await stream.close()
  })
  await unaware.handle(ASK, async stream => {
    const lp = lpStream(stream)
    const length = new TextDecoder().decode((await lp.read()).subarray())
    if (length === 'nothing') return
    await lp.write(new Uint8Array(Number(length)))
  })
})

async function ask (from: MixedNode, protocol: string, text: string, to: Parameters<MixedNode['services']['mix']['dialProtocol']>[0] = server.peerId): Promise<string> {
  const lp = lpStream(await from.services.mix.dialProtocol(to, protocol))
  await lp.write(utf8(text))
  return new TextDecoder().decode((await lp.read()).subarray())
}

describe('to a node at the end of the path', () => {
  it('its handler answers somebody without a name, who speaks with an entry and with nobody else', async () => {
    const seen: boolean[] = []
    await server.unhandle(GREET)
    await server.handle(GREET, async (stream, connection) => {
      seen.push(isAnonymous(connection))
      await greet(stream)
    })
    expect(await ask(client, GREET, 'world')).toBe('hello world')
    expect(seen).toEqual([true])
    expect(client.getPeers().map(String)).toEqual([nodes[0].peerId.toString()])
    expect(client.services.mix.status().entry).toBe(nodes[0].peerId.toString())
  })

  it('relays ask, too, without an entry; by address as by name', async () => {
    expect(await ask(nodes[5], GREET, 'relay')).toBe('hello relay')
    expect(nodes[5].services.mix.status().entry).toBeNull()
    expect(await ask(client, GREET, 'address', server.getMultiaddrs())).toBe('hello address')
    expect(await ask(client, GREET, 'text', server.getMultiaddrs()[0].toString())).toBe('hello text')
  })

  it('many exchanges at a time, each with its own reply', async () => {
    const names = Array.from({ length: 12 }, (_, i) => `number ${i}`)
    expect(await Promise.all(names.map(async name => await ask(client, GREET, name)))).toEqual(names.map(name => `hello ${name}`))
  })

  it('a message without a reply arrives, and the stream ends when it has left', async () => {
    const stream = await client.services.mix.dialProtocol(server.peerId, SINK, { expectReply: false })
    stream.send(new Uint8Array(9000).fill(5))
    await stream.close()
    for await (const part of stream) throw new Error(`a reply of ${part.byteLength} bytes`)
    await expect.poll(() => concat(...sunk)).toEqual(new Uint8Array(9000).fill(5))
  })

  it('refused: what is not served, what has no handler, what says too much', async () => {
    for (const [protocol, code] of [['/private/1', 'unknown-protocol'], ['/none/1', 'unknown-protocol'], [HOSTILE, 'reply-too-long']]) {
      await expect(ask(client, protocol, 'x')).rejects.toMatchObject({ code: 'refused', cause: { code } })
    }
  })
})

describe('through an exit', () => {
  it('the ping client reaches a node that knows nothing of mixing, and sees the exit only', async () => {
    const pinger = client.services.mix.client(ping())
    expect(await pinger.ping(unaware.getMultiaddrs(), { signal: AbortSignal.timeout(20_000) })).toBeGreaterThan(0)
    expect(unaware.getPeers().map(String)).toEqual([exit.peerId.toString()])
  })

  it('refused: what the destination says too much, too late, or not at all', async () => {
    const to = unaware.getMultiaddrs()
    expect(await ask(client, ASK, '900', to)).toHaveLength(900)
    await expect(ask(client, ASK, '1001', to)).rejects.toMatchObject({ code: 'refused', cause: { code: 'reply-too-long' } })
    await expect(ask(client, ASK, 'nothing', to)).rejects.toMatchObject({ code: 'refused', cause: { code: 'exit-overdue' } })
    await expect(ask(client, ASK, '1', `/ip4/127.0.0.1/tcp/9/p2p/${NOBODY}`)).rejects.toMatchObject({ code: 'refused', retry: true, cause: { code: 'exit-unreachable' } })
  })

  it('only where there is one for the protocol; a node that is none drops what it should ask', async () => {
    const to = unaware.getMultiaddrs()
    await expect(ask(client, GREET, 'x', to)).rejects.toMatchObject({ code: 'no-exit' })
    const stream = await client.services.mix.dialProtocol(to, PING, { exit: server.peerId, patience: 1000 })
    stream.send(new Uint8Array(32))
    await expect.poll(() => stream.failure?.code, { timeout: 5000 }).toBe('lost')
    expect(server.services.mix.status().packets?.mix.dropped['exit-refused']).toBeGreaterThan(0)
  })
})

describe('what cannot be asked', () => {
  it.each([['', 'bad-destination'], ['/ip4/1.2.3.4/tcp/1', 'bad-destination'], [NOBODY, 'unknown-destination'],
    [`/dns4/example.org/tcp/1/p2p/${NOBODY}`, 'unknown-destination']])('"%s": %s', async (to, code) => {
    await expect(client.services.mix.dialProtocol(to, GREET)).rejects.toMatchObject({ code })
  })

  it('the node itself, or before it has started', async () => {
    await expect(server.services.mix.dialProtocol(server.peerId, GREET)).rejects.toMatchObject({ code: 'bad-destination' })
    const other = await mixedNode({ parameters: FAST }, { listen: [] })
    await other.stop()
    await expect(other.services.mix.dialProtocol(server.peerId, GREET)).rejects.toMatchObject({ code: 'not-started' })
  })

  it('without an entry: no-entry when the patience is over, aborted when the signal fires', async () => {
    const lonely = await mixedNode({ parameters: FAST }, { listen: [] })
    introduce(lonely, nodes.slice(1))
    await expect(lonely.services.mix.dialProtocol(server.peerId, GREET, { patience: 50 })).rejects.toMatchObject({ code: 'no-entry', retry: true })
    await expect(lonely.services.mix.dialProtocol(server.peerId, GREET, { signal: AbortSignal.timeout(20) })).rejects.toMatchObject({ code: 'aborted' })
    const waiting = ask(lonely, GREET, 'late')
    introduce(lonely, nodes)
    expect(await waiting).toBe('hello late')
  })

  it('a signal breaks an exchange off at any time', async () => {
    for (const writes of [false, true]) {
      const controller = new AbortController()
      const stream = await client.services.mix.dialProtocol(server.peerId, SINK, { signal: controller.signal, leave: 'close' })
      const lp = byteStream(stream)
      if (writes) {
        stream.send(new Uint8Array(3))
        await stream.close()
      }
      const reading = lp.read()
      controller.abort()
      await expect(reading).rejects.toMatchObject({ code: 'aborted', fault: 'caller' })
      expect(stream.failure).toMatchObject({ code: 'aborted' })
    }
  })

  it('lost: nothing was heard of a node that is not there; overdue: it was heard, and did not answer', async () => {
    const stream = await client.services.mix.dialProtocol(server.peerId, SINK, { patience: 400 })
    stream.send(new Uint8Array(1))
    await expect.poll(() => stream.failure?.code, { timeout: 5000 }).toMatch(/lost|overdue/)
  })
})
