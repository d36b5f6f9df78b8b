import { afterEach, describe, expect, test } from 'vitest'
import { concat, u32, utf8 } from '@mixmint/core/kit/bytes'
import { MixmintError, isMixmintError } from '@mixmint/core/kit/errors'
import { RateLimit } from '@mixmint/mixnet/abuse/rate-limit'
import { dialable } from '@mixmint/mixnet/wire/peers'
import { REFUSAL, REPLY, encodeRefusal, rpcFrame } from '@mixmint/mixnet/wire/rpc'
import { RpcClient, type RpcClientLimits } from '@mixmint/mixnet/wire/rpc-client'
import { serveRpc, type RpcHandler, type RpcServer, type RpcServerLimits } from '@mixmint/mixnet/wire/rpc-server'
import type { Host } from '../../nodes/host.ts'
import { CountingMeter } from '../doubles/meter.ts'
import { closed, rawStream, startHost, stopHost, targetOf, until } from './hosts.ts'

const PROTOCOL = '/test/rpc/1.0.0'
const clients: RpcClient[] = []

afterEach(() => {
  for (const client of clients.splice(0)) client.close()
})

interface World { server: Host, caller: Host, client: RpcClient, meter: CountingMeter, service: RpcServer, ask: (body: Uint8Array, options?: Parameters<RpcClient['request']>[3]) => Promise<Uint8Array> }

async function world (handler: RpcHandler, limits: { server?: Partial<RpcServerLimits>, client?: Partial<RpcClientLimits> } = {}): Promise<World> {
  const [server, caller] = await Promise.all([startHost(), startHost({ role: 'wallet', listen: [] })])
  const meter = new CountingMeter()
  const service = await serveRpc(server.node, PROTOCOL, handler, { meter, limits: limits.server })
  const client = clientOf(caller, limits.client)
  const target = targetOf(server)
  return { server, caller, client, meter, service, ask: async (body, options) => await client.request(target, PROTOCOL, body, options) }
}

function clientOf (caller: Host, limits?: Partial<RpcClientLimits>): RpcClient {
  const client = new RpcClient({ node: caller.node, meter: new CountingMeter(), limits })
  clients.push(client)
  return client
}

/** The code of what a promise was rejected with. */
async function codeOf (promise: Promise<unknown>): Promise<string> {
  return await promise.then(() => 'a reply', (error: unknown) => isMixmintError(error) ? error.code : String(error))
}

const echo: RpcHandler = async (_from, _protocol, body) => body
const never: RpcHandler = async () => await new Promise(() => {})

describe('requests', () => {
  test('are answered to whoever asked, who is known', async () => {
    const { ask, caller } = await world(async (from, protocol, body) => concat(from, utf8(protocol), body))
    expect(await ask(utf8('hello'))).toEqual(concat(caller.peer, utf8(PROTOCOL), utf8('hello')))
  })

  test('two thousand, 64 in flight, go over one stream and each gets its own reply', async () => {
    const { ask, server } = await world(async (_from, _protocol, body) => {
      if (body[3] % 7 === 0) await new Promise(resolve => setImmediate(resolve))
      return concat(body, body)
    })
    let next = 0
    await Promise.all(Array.from({ length: 64 }, async () => {
      while (next < 2000) {
        const body = u32(next++)
        expect(await ask(body)).toEqual(concat(body, body))
      }
    }))
    expect(server.node.getConnections().flatMap(({ streams }) => streams).filter(({ protocol }) => protocol === PROTOCOL)).toHaveLength(1)
  })

  test('large ones and their replies arrive whole, and do not hold up the small ones', async () => {
    const { ask } = await world(echo)
    const large = new Uint8Array(1 << 20).map((_, i) => i * 31)
    const [a, b] = await Promise.all([ask(large), ask(u32(1))])
    expect(Buffer.compare(a, large)).toBe(0)
    expect(b).toEqual(u32(1))
  })

  test('a slow one does not hold up the others', async () => {
    let finish = (): void => {}
    const slow = new Promise<void>(resolve => { finish = resolve })
    const { ask } = await world(async (_from, _protocol, body) => { if (body[3] === 0) await slow; return body })
    const first = ask(u32(0))
    expect(await ask(u32(1))).toEqual(u32(1))
    finish()
    expect(await first).toEqual(u32(0))
  })

  test('work again after the peer has restarted', async () => {
    const { ask, service, server, caller, meter } = await world(echo)
    await ask(u32(1))
    await service.close()
    await until(() => caller.node.getConnections().every(({ streams }) => streams.every(({ protocol }) => protocol !== PROTOCOL)))
    expect(await codeOf(ask(u32(2)))).toBe('not-sent')
    await serveRpc(server.node, PROTOCOL, echo, { meter })
    expect(await ask(u32(3))).toEqual(u32(3))
  })

  test('an idle stream is ended, and the next request opens another', async () => {
    const { ask, server } = await world(echo, { client: { idle: 50 } })
    const open = (): number => server.node.getConnections().flatMap(({ streams }) => streams).filter(({ protocol }) => protocol === PROTOCOL).length
    await ask(u32(1))
    expect(open()).toBe(1)
    await until(() => open() === 0)
    expect(await ask(u32(2))).toEqual(u32(2))
  })

  test('a long wait for a reply is not silence', async () => {
    const { ask } = await world(async (_from, _protocol, body) => {
      await new Promise(resolve => setTimeout(resolve, 200))
      return body
    }, { client: { idle: 40 }, server: { silence: 40 } })
    expect(await ask(u32(1))).toEqual(u32(1))
  })
})

describe('every way to fail has its name', () => {
  test('not-sent: nobody there', async () => {
    const { client, server } = await world(echo)
    const target = targetOf(server)
    await stopHost(server)
    const error = await client.request(target, PROTOCOL, u32(1)).catch((reason: unknown) => reason as MixmintError)
    expect(error).toMatchObject({ code: 'not-sent', retry: true })
  })

  test('not-sent: another peer at that address, or no such protocol', async () => {
    const { client, server, caller } = await world(echo)
    expect(await codeOf(client.request({ peer: caller.peer, addresses: server.addresses() }, PROTOCOL, u32(1)))).toBe('not-sent')
    const other = await startHost()
    expect(await codeOf(client.request({ peer: other.peer, addresses: server.addresses() }, PROTOCOL, u32(1)))).toBe('not-sent')
    expect(await codeOf(client.request(targetOf(server), '/test/nothing/1.0.0', u32(1)))).toBe('not-sent')
  })

  test('not-sent: too many in flight', async () => {
    const { ask } = await world(never, { client: { maxInFlight: 2, timeout: 1000 } })
    const [one, two, three] = [ask(u32(1)), ask(u32(2)), ask(u32(3))].map(codeOf)
    expect(await three).toBe('not-sent')
    expect([await one, await two]).toEqual(['overdue', 'overdue'])
  })

  test('overdue: no reply in time; its late reply is nobody else\'s', async () => {
    let finish = (): void => {}
    const slow = new Promise<void>(resolve => { finish = resolve })
    const { ask } = await world(async (_from, _protocol, body) => { if (body[3] === 0) await slow; return body })
    await ask(u32(9))
    expect(await codeOf(ask(u32(0), { timeout: 100 }))).toBe('overdue')
    finish()
    for (let i = 1; i < 20; i++) expect(await ask(u32(i))).toEqual(u32(i))
  })

  test('lost: the peer goes away while it works', async () => {
    let asked = false
    const { ask, server } = await world(async () => { asked = true; return await new Promise(() => {}) })
    const code = codeOf(ask(u32(1)))
    await until(() => asked)
    await stopHost(server)
    expect(await code).toBe('lost')
  })

  test('refused: with the peer\'s own error as the cause', async () => {
    const { ask } = await world(async () => { throw new MixmintError('coin-spent', 'caller', 'spent before', { retry: true }) })
    const error = await ask(u32(1)).catch((reason: unknown) => reason as MixmintError)
    expect(error).toMatchObject({ code: 'refused', fault: 'peer', retry: true, cause: { code: 'coin-spent', fault: 'caller', message: 'spent before' } })
  })

  test('refused: a defect of the peer says nothing of what is inside', async () => {
    const { ask, meter } = await world(async () => { throw new Error('secret 1234') })
    const error = await ask(u32(1)).catch((reason: unknown) => reason as MixmintError)
    expect(error).toMatchObject({ code: 'refused', cause: { code: 'internal' } })
    expect(JSON.stringify([String(error), String((error as MixmintError).cause)])).not.toContain('1234')
    expect(meter.of('rpc_handler_failed', { protocol: PROTOCOL })).toBe(1)
  })

  test('refused: a reply that is too long, and a refusal longer than any text', async () => {
    const { ask } = await world(async (_from, _protocol, body) => {
      if (body[3] === 1) return new Uint8Array(101)
      throw new MixmintError('x'.repeat(100), 'us', '語'.repeat(2000))
    }, { server: { maxReply: 100 }, client: { maxReply: 100 } })
    expect(await ask(u32(1)).catch((reason: unknown) => (reason as MixmintError).cause)).toMatchObject({ code: 'reply-too-long' })
    expect(await ask(u32(2)).catch((reason: unknown) => (reason as MixmintError).cause)).toMatchObject({ code: 'x'.repeat(64) })
  })

  test('aborted: by the caller, before or after it left', async () => {
    let asked = 0
    const { ask } = await world(async () => { asked += 1; return await new Promise(() => {}) })
    expect(await codeOf(ask(u32(1), { signal: AbortSignal.abort() }))).toBe('aborted')
    const controller = new AbortController()
    const code = codeOf(ask(u32(2), { signal: controller.signal }))
    await until(() => asked === 1)
    controller.abort()
    expect(await code).toBe('aborted')
    expect(asked).toBe(1)
  })

  test('request-too-long, bad-address, bad-peer-id', async () => {
    const { client, server, ask } = await world(echo, { client: { maxRequest: 10 } })
    expect(await codeOf(ask(new Uint8Array(11)))).toBe('request-too-long')
    expect(await codeOf(client.request({ peer: server.peer, addresses: ['nowhere'] }, PROTOCOL, u32(1)))).toBe('bad-address')
    expect(await codeOf(client.request({ peer: server.peer.slice(1), addresses: [] }, PROTOCOL, u32(1)))).toBe('bad-peer-id')
  })

  test('closing the client ends what is in flight', async () => {
    let asked = false
    const { ask, client } = await world(async () => { asked = true; return await new Promise(() => {}) })
    const code = codeOf(ask(u32(1)))
    await until(() => asked)
    client.close()
    expect(await code).toBe('lost')
    expect(await codeOf(ask(u32(2)))).toBe('not-sent')
  })
})

describe('hostile callers', () => {
  test('malformed and oversized frames end the stream, counted by reason', async () => {
    const { server, meter } = await world(echo, { server: { maxRequest: 1000 } })
    const evil = await startHost()
    for (const [reason, bytes] of [
      ['frame-size', Uint8Array.of(0x82, 0x10)], ['frame-size', Uint8Array.of(4, 0, 0, 0, 0)],
      ['frame-malformed', Uint8Array.of(5, 0, 0, 0, 1, REPLY)], ['frame-malformed', Uint8Array.of(5, 0, 0, 0, 1, 9)]
    ] as const) {
      const before = meter.of('rpc_streams_broken', { protocol: PROTOCOL, reason })
      const stream = await rawStream(evil, server, PROTOCOL)
      stream.send(bytes)
      await closed(stream)
      await until(() => meter.of('rpc_streams_broken', { protocol: PROTOCOL, reason }) === before + 1)
    }
  })

  test('more streams than the limit are refused: of one peer, and of all while answers are owed', async () => {
    let asked = 0
    const { server, meter } = await world(async () => { asked += 1; return await new Promise(() => {}) }, { server: { streamsPerPeer: 2, streams: 3 } })
    const [one, two] = [await startHost(), await startHost()]
    const streams = [one, one, two].map(async host => {
      const stream = await rawStream(host, server, PROTOCOL)
      stream.send(concat(Uint8Array.of(6), rpcFrame(1, 0, Uint8Array.of(1))))
      return stream
    })
    await until(() => asked === 3)
    await closed(await rawStream(one, server, PROTOCOL)) // by libp2p, which knows this limit
    await closed(await rawStream(two, server, PROTOCOL))
    expect(meter.of('rpc_streams_refused', { protocol: PROTOCOL })).toBe(1)
    expect(meter.of('rpc_streams_displaced', { protocol: PROTOCOL })).toBe(0)
    expect((await Promise.all(streams)).map(({ status }) => status)).toEqual(['open', 'open', 'open'])
  })

  test('streams on which nothing is asked give way, the longest silent first', async () => {
    const { server, meter, ask } = await world(echo, { server: { streamsPerPeer: 3, streams: 3 } })
    const evil = await startHost()
    const silent = [await rawStream(evil, server, PROTOCOL), await rawStream(evil, server, PROTOCOL), await rawStream(evil, server, PROTOCOL)]
    expect(await ask(u32(7))).toEqual(u32(7))
    expect(meter.of('rpc_streams_displaced', { protocol: PROTOCOL })).toBe(1)
    await closed(silent[0])
    expect(silent.slice(1).map(({ status }) => status)).toEqual(['open', 'open'])
  })

  test('one that asks too much is held back, and loses nothing; if that does not end, it loses its stream', async () => {
    const limits = { each: { perSecond: 100, burst: 10 }, all: { perSecond: 1e6, burst: 1e6 }, patience: 400 }
    const [server, evil, honest] = [await startHost(), await startHost(), await startHost()]
    const meter = new CountingMeter()
    const admit = new RateLimit(() => limits)
    await serveRpc(server.node, PROTOCOL, echo, { meter, admit })
    const [flooding, modest] = [clientOf(evil), clientOf(honest)]
    const started = performance.now()
    const flood = (count: number): Array<Promise<unknown>> => Array.from({ length: count }, async (_, i) => await flooding.request(targetOf(server), PROTOCOL, u32(i)))
    const first = Promise.all(flood(30))
    expect(await modest.request(targetOf(server), PROTOCOL, u32(1))).toEqual(u32(1))
    await first
    expect(performance.now() - started).toBeGreaterThan(190)
    expect((await Promise.allSettled(flood(100))).some(({ status }) => status === 'rejected')).toBe(true)
    expect(meter.of('rpc_streams_broken', { protocol: PROTOCOL, reason: 'flood' })).toBe(1)
    modest.close()
    await until(() => admit.size === 0)
  })

  test('one that says nothing loses its stream, sooner when it never has', async () => {
    const { server, meter, ask } = await world(echo, { server: { proof: 50, silence: 20_000 } })
    expect(await ask(u32(1))).toEqual(u32(1))
    await closed(await rawStream(await startHost(), server, PROTOCOL))
    expect(meter.of('rpc_streams_broken', { protocol: PROTOCOL, reason: 'peer-silent' })).toBe(1)
    expect(await ask(u32(2))).toEqual(u32(2))
    expect(meter.of('rpc_streams_broken', { protocol: PROTOCOL, reason: 'peer-silent' })).toBe(1)
  })

  test('one that says nothing any more loses its stream', async () => {
    const { meter, ask } = await world(echo, { server: { silence: 50 } })
    await ask(u32(1))
    await until(() => meter.of('rpc_streams_broken', { protocol: PROTOCOL, reason: 'peer-silent' }) === 1)
  })

  test('one that asks and asks keeps no more than the limit in work', async () => {
    let working = 0
    const { server } = await world(async () => { working += 1; return await new Promise(() => {}) }, { server: { maxInFlight: 5 } })
    const stream = await rawStream(await startHost(), server, PROTOCOL)
    for (let i = 0; i < 1000; i++) stream.send(Uint8Array.of(5, ...u32(i), 0))
    await until(() => working >= 5)
    await new Promise(resolve => setTimeout(resolve, 50))
    expect(working).toBe(5)
  })

  test('one that does not read its replies does not make them pile up', async () => {
    let worked = 0
    const { server, meter } = await world(async () => { worked += 1; return new Uint8Array(100_000) }, { server: { maxInFlight: 8, stall: 200 } })
    const evil = await startHost()
    const stream = await rawStream(evil, server, PROTOCOL)
    stream.pause()
    for (let i = 0; i < 1000; i++) stream.send(Uint8Array.of(5, ...u32(i), 0))
    await closed(stream)
    expect(worked).toBeLessThan(60)
    await until(() => meter.of('rpc_streams_broken', { protocol: PROTOCOL, reason: 'stream-lost' }) === 1)
  })

  test('one that ends its side still gets the answers to what it asked', async () => {
    const { server } = await world(async (_from, _protocol, body) => { await new Promise(resolve => setTimeout(resolve, 30)); return body })
    const stream = await (await startHost()).node.dialProtocol(dialable(targetOf(server)), PROTOCOL)
    const got: number[] = []
    stream.addEventListener('message', ({ data }) => { got.push(...data.subarray()) })
    stream.send(Uint8Array.of(6, 0, 0, 0, 3, 0, 77))
    await stream.close()
    await until(() => stream.status === 'closed')
    expect(got).toEqual([6, 0, 0, 0, 3, REPLY, 77])
  })
})

describe('hostile servers', () => {
  async function answering (make: (id: Uint8Array) => Uint8Array): Promise<{ code: string, client: RpcClient }> {
    const [evil, caller] = [await startHost(), await startHost()]
    await evil.node.handle(PROTOCOL, stream => {
      stream.addEventListener('message', ({ data }) => { stream.send(make(data.subarray(1, 5))) })
    })
    const client = clientOf(caller, { maxReply: 5000 })
    return { code: await codeOf(client.request(targetOf(evil), PROTOCOL, u32(1), { timeout: 1000 })), client }
  }
  const framed = (frame: Uint8Array): Uint8Array => concat(Uint8Array.of(frame.length), frame)

  test('replies to nothing that was asked are ignored', async () => {
    expect((await answering(() => framed(rpcFrame(12_345, REPLY, u32(1))))).code).toBe('overdue')
  })

  test.each([
    ['an oversized frame', () => Uint8Array.of(0xff, 0xff, 0xff, 0x01)],
    ['a request', (id: Uint8Array) => framed(concat(id, Uint8Array.of(0)))],
    ['a refusal that is none', (id: Uint8Array) => framed(concat(id, Uint8Array.of(REFUSAL, 1, 2, 3)))]
  ])('%s loses the request and ends the stream', async (_name, make) => {
    expect((await answering(make)).code).toBe('lost')
  })

  test('a proper refusal is one', async () => {
    const refusal = encodeRefusal(new MixmintError('no', 'us', 'no'))
    expect((await answering(id => framed(concat(id, Uint8Array.of(REFUSAL), refusal)))).code).toBe('refused')
  })
})
