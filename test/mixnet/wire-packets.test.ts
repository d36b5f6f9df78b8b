import { afterEach, describe, expect, test } from 'vitest'
import { generateKeyPair } from '@libp2p/crypto/keys'
import type { Connection, Stream, StreamHandler } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { concat, toHex } from '@mixmint/core/kit/bytes'
import { dialable } from '@mixmint/mixnet/wire/peers'
import { MIX_PROTOCOL, PacketLinks, type LinkLimits, type Neighbourhood } from '@mixmint/mixnet/wire/packets'
import { freshIdentity } from '../../nodes/identity.ts'
import type { Host } from '../../nodes/host.ts'
import { CountingMeter } from '../doubles/meter.ts'
import { seededRng } from '../doubles/rng.ts'
import { closed, rawStream, startHost, stopHost, targetOf, until } from './hosts.ts'

interface End { host: Host, links: PacketLinks, meter: CountingMeter, id: string, got: Array<{ from: string, number: number }>, gate: Promise<void> | undefined }

/** Where nodes listen, for all of a test. */
const book = new Map<string, string[]>()
const ends: End[] = []

afterEach(async () => {
  await Promise.all(ends.splice(0).map(async ({ links }) => { await links.stop(AbortSignal.timeout(50)) }))
  book.clear()
})

async function startEnd (options: { host?: Host, limits?: Partial<LinkLimits>, listed?: boolean, accepts?: Neighbourhood['accepts'], kind?: Neighbourhood['kind'], packetSize?: number } = {}): Promise<End> {
  const host = options.host ?? await startHost()
  const id = toHex(host.peer)
  if (options.listed !== false) book.set(id, host.addresses())
  const meter = new CountingMeter()
  const end: End = {
    host, meter, id, got: [], gate: undefined,
    links: new PacketLinks({
      packetSize: options.packetSize ?? 4608,
      node: host.node,
      neighbourhood: { addresses: peer => book.get(peer) ?? [], accepts: options.accepts ?? (() => true), kind: options.kind },
      onPacket: (from, packet) => {
        end.got.push({ from, number: new DataView(packet.buffer, packet.byteOffset).getUint32(100) })
        return end.gate
      },
      rng: seededRng(id),
      meter,
      limits: { backoff: { first: 20, most: 100 }, ...options.limits }
    })
  }
  await end.links.start()
  ends.push(end)
  return end
}

function packet (number: number): Uint8Array {
  const bytes = new Uint8Array(4608).fill(number & 0xff)
  new DataView(bytes.buffer).setUint32(100, number)
  return bytes
}

const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i)
const numbers = (end: End): number[] => end.got.map(({ number }) => number)
const streams = (end: End): number => end.host.node.getConnections().flatMap(({ streams }) => streams).filter(({ protocol }) => protocol === MIX_PROTOCOL).length

describe('between two nodes', () => {
  test('what was sent is told by what the neighbours are now', async () => {
    const [b, c] = [await startEnd(), await startEnd()]
    let layer = 2
    const a = await startEnd({ kind: peer => peer === b.id ? `layer-${layer}` : 'gateway' })
    for (let i = 0; i < 3; i++) a.links.send(b.id, packet(i))
    a.links.send(c.id, packet(0))
    await until(() => b.got.length === 3 && c.got.length === 1)
    layer = 3
    a.links.send(b.id, packet(3))
    await until(() => b.got.length === 4)
    expect(a.links.counts()).toMatchObject({ sent: 5, sentTo: { 'layer-2': 3, 'layer-3': 1, gateway: 1 }, up: 2 })
    await stopHost(c.host)
    await until(() => a.links.counts().up === 1)
  })

  test('ten thousand packets arrive, in order, on one stream', async () => {
    const [a, b] = [await startEnd(), await startEnd()]
    for (let sent = 0; sent < 10_000;) {
      if (a.links.send(b.id, packet(sent)) === 'queued') sent += 1
      if (a.links.counts().queued >= 4000) await new Promise(resolve => setImmediate(resolve))
    }
    await until(() => b.got.length === 10_000)
    expect(numbers(b)).toEqual(upTo(10_000))
    expect(b.got.every(({ from }) => from === a.id)).toBe(true)
    expect(streams(b)).toBe(1)
    expect(a.links.counts()).toEqual({ received: 0, sent: 10_000, sentTo: {}, up: 1, queued: 0, unsent: 0, dropped: { 'link-full': 0, 'no-link': 0 } })
    expect(b.links.counts().received).toBe(10_000)
  })

  test('each direction has a stream of its own, over one connection', async () => {
    const [a, b] = [await startEnd(), await startEnd()]
    a.links.send(b.id, packet(1))
    await until(() => b.got.length === 1)
    b.links.send(a.id, packet(2))
    await until(() => a.got.length === 1)
    expect(streams(a)).toBe(2)
    expect(a.host.node.getConnections()).toHaveLength(1)
  })

  test('a receiver that does not keep up fills the queue and no more; what was queued arrives', async () => {
    const [a, b] = [await startEnd({ limits: { queue: 100 } }), await startEnd()]
    let open = (): void => {}
    b.gate = new Promise(resolve => { open = resolve })
    let sent = 0
    for (let refused = 0; refused < 20;) {
      if (a.links.send(b.id, packet(sent)) === 'queued') sent += 1
      else {
        refused += 1
        await new Promise(resolve => setTimeout(resolve, 10))
      }
    }
    expect(a.links.counts()).toMatchObject({ queued: 100 })
    expect(a.links.counts().dropped['link-full']).toBeGreaterThanOrEqual(20)
    expect(sent).toBeLessThan(600)
    b.gate = undefined
    open()
    await until(() => b.got.length === sent)
    expect(numbers(b)).toEqual(upTo(sent))
  })

  test('after a restart of the receiver the link comes back, and what was sent meanwhile arrives', async () => {
    const privateKey = await freshIdentity()
    const a = await startEnd()
    const first = await startEnd({ host: await startHost({ privateKey }) })
    const listen = first.host.addresses()
    a.links.send(first.id, packet(0))
    await until(() => first.got.length === 1)
    await stopHost(first.host)
    await until(() => !a.links.isUp(first.id))
    for (let i = 1; i <= 50; i++) expect(a.links.send(first.id, packet(i))).toBe('queued')
    const second = await startEnd({ host: await startHost({ privateKey, listen }) })
    await until(() => second.got.length === 50)
    expect(numbers(second)).toEqual(upTo(51).slice(1))
    expect(a.links.counts()).toMatchObject({ sent: 51, dropped: { 'no-link': 0 } })
  })

  test('a receiver that stops in good order loses nothing', async () => {
    const privateKey = await freshIdentity()
    const a = await startEnd()
    const first = await startEnd({ host: await startHost({ privateKey }) })
    let open = (): void => {}
    first.gate = new Promise(resolve => { open = resolve })
    for (let i = 0; i < 500; i++) a.links.send(first.id, packet(i))
    // Some are here, some on the way, some in the hands of the sender's libp2p, and some in its queue.
    await until(() => first.got.length === 1 && a.links.counts().sent > 60)
    const refusing = first.links.refuse(AbortSignal.timeout(5000))
    await until(() => !a.links.isUp(first.id))
    expect(a.links.counts().sent).toBeLessThan(400)
    first.gate = undefined
    open()
    await refusing
    expect(first.got).toHaveLength(a.links.counts().sent)
    const listen = first.host.addresses()
    await stopHost(first.host)
    const second = await startEnd({ host: await startHost({ privateKey, listen }) })
    await until(() => first.got.length + second.got.length === 500)
    expect([...numbers(first), ...numbers(second)].sort((x, y) => x - y)).toEqual(upTo(500))
  })

  test('a node that cannot be reached gets nothing, and its packets do not wait for ever', async () => {
    const a = await startEnd({ limits: { hold: 50, queue: 10 } })
    const gone = await startHost()
    const id = toHex(gone.peer)
    book.set(id, gone.addresses())
    await stopHost(gone)
    for (let i = 0; i < 12; i++) a.links.send(id, packet(i))
    await until(() => a.links.counts().dropped['no-link'] === 10)
    expect(a.links.counts()).toEqual({ received: 0, sent: 0, sentTo: {}, up: 0, queued: 0, unsent: 0, dropped: { 'link-full': 2, 'no-link': 10 } })
  })

  test('a receiver that closes its end of every stream at once, having nothing to say there, gets all packets, in order', async () => {
    const a = await startEnd()
    const other = await startHost()
    book.set(toHex(other.peer), other.addresses())
    const got: Uint8Array[] = []
    await other.node.handle(MIX_PROTOCOL, async stream => {
      stream.addEventListener('message', ({ data }) => { got.push(data.subarray().slice()) })
      await stream.close()
    })
    for (const number of upTo(50)) a.links.send(toHex(other.peer), packet(number))
    await until(() => got.reduce((sum, { length }) => sum + length, 0) === 50 * (2 + 4608))
    expect(concat(...got)).toEqual(concat(...upTo(50).flatMap(number => [Uint8Array.of(0x80, 0x24), packet(number)])))
    expect(a.links.counts()).toMatchObject({ sent: 50, queued: 0, dropped: { 'no-link': 0 } })
  })

  test('a peer without an address is no neighbour, connected or not; nor is a name that is no peer id', async () => {
    const [a, b] = [await startEnd(), await startEnd({ listed: false })]
    b.links.keep(a.id)
    await until(() => b.links.isUp(a.id))
    expect(a.links.send(b.id, packet(1))).toBe('no-link')
    expect(a.links.send('00'.repeat(39), packet(1))).toBe('no-link')
    expect(a.links.counts()).toMatchObject({ queued: 0, dropped: { 'no-link': 2 } })
  })

  test('a link that is kept is opened without anything to send, and again when it breaks', async () => {
    const [a, b] = [await startEnd(), await startEnd()]
    a.links.keep(b.id)
    await until(() => a.links.isUp(b.id))
    for (const connection of b.host.node.getConnections()) connection.abort(new Error('cable'))
    await until(() => !a.links.isUp(b.id))
    await until(() => a.links.isUp(b.id))
  })
})

describe('hostile peers', () => {
  test('a packet of another size ends the stream, and is counted', async () => {
    const b = await startEnd()
    const evil = await startHost()
    for (const length of [4607, 4609, 0, 1]) {
      const stream = await rawStream(evil, b.host, MIX_PROTOCOL)
      const bytes = new Uint8Array(length + 2)
      bytes.set([length & 0x7f | 0x80, length >> 7])
      stream.send(length < 128 ? Uint8Array.of(length, ...new Uint8Array(length)) : bytes)
      await closed(stream)
    }
    await until(() => b.meter.of('mix_streams_broken', { reason: 'frame-size' }) === 4)
    expect(b.got).toEqual([])
  })

  test('a packet of the size of another network, likewise', async () => {
    const b = await startEnd({ packetSize: 2048 })
    const a = await startEnd()
    a.links.send(b.id, packet(1))
    await until(() => b.meter.of('mix_streams_broken', { reason: 'frame-size' }) > 0)
    expect(b.got).toEqual([])
    a.links.send(b.id, packet(2).subarray(0, 2048))
    await until(() => b.got.length === 1)
  })

  test('a peer that may not send is refused', async () => {
    const b = await startEnd({ accepts: peer => book.has(peer) })
    const stranger = await startEnd({ listed: false })
    stranger.links.send(b.id, packet(1))
    await until(() => b.meter.of('mix_streams_refused', { reason: 'stranger' }) > 0)
    expect(b.got).toEqual([])
  })

  test('a peer with another kind of identity is refused', async () => {
    const host = await startHost()
    const { promise, resolve } = Promise.withResolvers<StreamHandler>()
    host.node.handle = async (_protocol, handler) => { resolve(handler) }
    const b = await startEnd({ host })
    let error: unknown
    const stream = { abort: (reason: Error) => { error = reason } } as unknown as Stream
    const remotePeer = peerIdFromPrivateKey(await generateKeyPair('Ed25519'))
    await (await promise)(stream, { remotePeer } as unknown as Connection)
    expect(error).toMatchObject({ code: 'stranger' })
    expect(b.meter.of('mix_streams_refused', { reason: 'stranger' })).toBe(1)
  })

  test('more neighbours than the limit are refused; of more streams of one the oldest gives way', async () => {
    const b = await startEnd({ limits: { inbound: 1, streams: 2 } })
    const [one, two] = [await startHost(), await startHost()]
    const first = await rawStream(one, b.host, MIX_PROTOCOL)
    const others = [await rawStream(one, b.host, MIX_PROTOCOL)]
    expect(first.status).toBe('open')
    others.push(await rawStream(one, b.host, MIX_PROTOCOL))
    await closed(first)
    await closed(await rawStream(two, b.host, MIX_PROTOCOL))
    expect(b.meter.of('mix_streams_refused', { reason: 'links-full' })).toBe(1)
    // What comes on either is taken, and as long as one is left the neighbour has its place.
    for (const [i, stream] of others.entries()) stream.send(concat(Uint8Array.of(0x80, 0x24), packet(i)))
    await until(() => b.got.length === 2)
    await others[1].close()
    await closed(await rawStream(two, b.host, MIX_PROTOCOL))
    expect(others[0].status).toBe('open')
    await others[0].close()
    await until(() => streams(b) === 0)
    const later = await rawStream(two, b.host, MIX_PROTOCOL)
    later.send(concat(Uint8Array.of(0x80, 0x24), packet(2)))
    await until(() => b.got.length === 3)
  })

  test('a neighbour that opens a stream for each of its packets, all at one time, loses none', async () => {
    const b = await startEnd()
    const one = await startHost()
    // Of streams that come with a connection libp2p itself takes ten.
    await (await rawStream(one, b.host, MIX_PROTOCOL)).close()
    await until(() => streams(b) === 0)
    const opened = await Promise.all(upTo(32).map(async () => await rawStream(one, b.host, MIX_PROTOCOL)))
    for (const [i, stream] of opened.entries()) {
      stream.send(concat(Uint8Array.of(0x80, 0x24), packet(i)))
      void stream.close()
    }
    await until(() => b.got.length === 32)
    expect(numbers(b).sort((x, y) => x - y)).toEqual(upTo(32))
    await until(() => streams(b) === 0)
    expect(b.meter.of('mix_streams_broken', { reason: 'stream-replaced' })).toBe(0)
  })

  test('a peer that connects and says nothing loses its stream, then its connection', async () => {
    const b = await startEnd({ host: await startHost({ idle: 80 }), limits: { silence: 80, stall: 80 } })
    let opened = 0
    b.host.node.addEventListener('connection:open', () => { opened += 1 })
    const silent = await startHost()
    const mute = await startHost()
    await silent.node.dial(dialable(targetOf(b.host)))
    const stream = await rawStream(mute, b.host, MIX_PROTOCOL)
    await until(() => opened === 2)
    await closed(stream)
    expect(b.meter.of('mix_streams_broken', { reason: 'peer-silent' })).toBe(1)
    await until(() => b.host.node.getConnections().length === 0)
  })

  test('a receiver that talks back is left', async () => {
    const a = await startEnd()
    const evil = await startHost()
    book.set(toHex(evil.peer), evil.addresses())
    const statuses: Array<() => string> = []
    await evil.node.handle(MIX_PROTOCOL, stream => {
      statuses.push(() => stream.status)
      stream.addEventListener('message', () => { stream.send(Uint8Array.of(1)) })
    })
    a.links.send(toHex(evil.peer), packet(1))
    await until(() => statuses.length > 0 && statuses[0]() === 'reset')
    await until(() => !a.links.isUp(toHex(evil.peer)))
  })
})
