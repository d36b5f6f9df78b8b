/** Links that stop and come back: every packet arrives once, wherever it was. */
import { mkdtempSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Secp256k1PrivateKey, Stream } from '@libp2p/interface'
import { toHex } from '@mixmint/core/kit/bytes'
import { HandoverFile } from '@mixmint/mixnet/wire/handover'
import { MIX_PROTOCOL, PacketLinks, type LinkLimits } from '@mixmint/mixnet/wire/packets'
import { freshIdentity } from '../../nodes/identity.ts'
import type { Host } from '../../nodes/host.ts'
import { CountingMeter } from '../doubles/meter.ts'
import { seededRng } from '../doubles/rng.ts'
import { rawStream, startHost, stopHost, until } from './hosts.ts'

interface End { host: Host, links: PacketLinks, meter: CountingMeter, id: string, got: number[], gate: Promise<void> | undefined }

const SIZE = 4608
const book = new Map<string, string[]>()
const ends = new Set<End>()

afterEach(async () => {
  await Promise.all([...ends].map(async ({ links }) => { await links.stop(AbortSignal.timeout(50)) }))
  ends.clear()
  book.clear()
})

async function startEnd (options: { privateKey?: Secp256k1PrivateKey, listen?: string[], limits?: Partial<LinkLimits> } = {}): Promise<End> {
  const { limits, ...rest } = options
  const host = await startHost(rest)
  const id = toHex(host.peer)
  book.set(id, host.addresses())
  const meter = new CountingMeter()
  const end: End = {
    host, meter, id, got: [], gate: undefined,
    links: new PacketLinks({
      node: host.node, packetSize: SIZE, rng: seededRng(id), meter,
      neighbourhood: { addresses: peer => book.get(peer) ?? [], accepts: () => true },
      onPacket: (_, packet) => {
        end.got.push(new DataView(packet.buffer, packet.byteOffset).getUint32(100))
        return end.gate
      },
      limits: { backoff: { first: 10, most: 50 }, ...limits }
    })
  }
  await end.links.start()
  ends.add(end)
  return end
}

function packet (number: number): Uint8Array {
  const bytes = new Uint8Array(SIZE).fill(number & 0xff)
  new DataView(bytes.buffer).setUint32(100, number)
  return bytes
}

const upTo = (n: number, from = 0): number[] => Array.from({ length: n - from }, (_, i) => i + from)
const sendAll = (from: End, to: End, numbers: readonly number[]): void => { for (const i of numbers) expect(from.links.send(to.id, packet(i))).toBe('queued') }
const numberOf = ({ packet }: { packet: Uint8Array }): number => new DataView(packet.buffer).getUint32(100)
const soon = (): AbortSignal => AbortSignal.timeout(5000)

function gateFor (end: End): () => void {
  let open = (): void => {}
  end.gate = new Promise(resolve => { open = resolve })
  return () => {
    end.gate = undefined
    open()
  }
}

/** Streams that are agreed upon, and have not been handed to this end yet, stay there until the gate is opened. */
function holdNegotiation (host: Host): { held: () => number, open: () => void } {
  const merge = host.node.peerStore.merge.bind(host.node.peerStore)
  let held = 0
  let open = (): void => {}
  const gate = new Promise<void>(resolve => { open = resolve })
  host.node.peerStore.merge = async (...args) => {
    if (args[1].protocols?.includes(MIX_PROTOCOL) === true) {
      held += 1
      await gate
    }
    return await merge(...args)
  }
  return { held: () => held, open }
}

describe('a receiver that stops', () => {
  test('takes what comes on a stream that it had agreed to before', async () => {
    const [a, b] = [await startEnd(), await startEnd()]
    const negotiation = holdNegotiation(b.host)
    sendAll(a, b, upTo(20))
    // To the sender the stream is open, and it has sent everything on it; the receiver has not been given it.
    await until(() => a.links.counts().sent === 20 && negotiation.held() === 1)
    const refused = b.links.refuse(soon())
    negotiation.open()
    await refused
    expect(b.got).toEqual(upTo(20))
    sendAll(a, b, [20])
    await until(() => b.meter.of('mix_streams_broken') === 0 && !a.links.isUp(b.id))
    expect(a.links.counts()).toMatchObject({ sent: 20, queued: 1 })
  })

  test('takes what comes on a stream that it is just agreeing to', async () => {
    const [a, b] = [await startEnd(), await startEnd()]
    const connection = await a.host.node.dial(b.host.node.getMultiaddrs())
    const { muxer } = connection as unknown as { muxer: { createStream: () => Promise<Stream> } }
    const open = async (): Promise<Stream> => {
      const stream = await muxer.createStream()
      stream.addEventListener('message', () => {})
      stream.addEventListener('remoteCloseWrite', () => { stream.close().catch(() => {}) })
      stream.send(line('/multistream/1.0.0'))
      return stream
    }
    const line = (text: string): Uint8Array => Uint8Array.of(text.length + 1, ...new TextEncoder().encode(`${text}\n`))
    const negotiating = (): boolean => b.host.node.getConnections().some(({ streams }) => streams.some(({ protocol }) => protocol === ''))
    const stream = await open()
    await until(negotiating)
    const refused = b.links.refuse(soon())
    stream.send(line(MIX_PROTOCOL))
    stream.send(new Uint8Array([0x80, 0x24, ...packet(7)]))
    await refused
    expect([b.got, b.meter.of('mix_streams_broken')]).toEqual([[7], 0])
    // After that it agrees to nothing, and waits for nobody.
    await open()
    await until(negotiating)
    const began = performance.now()
    await b.links.stop(soon())
    expect(performance.now() - began).toBeLessThan(2000)
  })

  test('ends a stream before the sender has it in hand: a few packets come on it and are taken, the rest is kept', async () => {
    const [a, b] = [await startEnd(), await startEnd()]
    const negotiation = holdNegotiation(a.host)
    sendAll(a, b, upTo(20))
    await until(() => negotiation.held() === 1 && b.host.node.getConnections().some(({ streams }) => streams.some(({ protocol }) => protocol === MIX_PROTOCOL)))
    const refused = b.links.refuse(soon())
    const [stream] = a.host.node.getConnections()[0].streams
    await until(() => stream.remoteWriteStatus === 'closed')
    negotiation.open()
    await refused
    expect(b.got).toEqual(upTo(8))
    expect(a.links.counts()).toMatchObject({ sent: 8, queued: 12 })
    expect(b.meter.of('mix_streams_broken')).toBe(0)
  })

  test('asks a neighbour that comes meanwhile to end its stream at once, whoever else takes his time', async () => {
    const [a, b] = [await startEnd(), await startEnd()]
    const mute = await rawStream(await startHost(), b.host, MIX_PROTOCOL)
    mute.send(new Uint8Array([0x80, 0x24, ...packet(7)]))
    await until(() => b.got.length === 1)
    const stopping = new AbortController()
    const refused = b.links.refuse(stopping.signal)
    await until(() => mute.remoteWriteStatus === 'closed')
    sendAll(a, b, upTo(20))
    await until(() => b.got.length > 1 && a.host.node.getConnections().every(({ streams }) => streams.every(({ protocol }) => protocol !== MIX_PROTOCOL)))
    expect(mute.status).toBe('open')
    stopping.abort()
    await refused
    expect(b.got).toEqual([7, ...upTo(b.got.length - 1)])
  })

  test('does not wait for a peer that never ends its stream', async () => {
    const b = await startEnd()
    const mute = await startHost()
    const stream = await rawStream(mute, b.host, MIX_PROTOCOL)
    stream.send(new Uint8Array([0x80, 0x24, ...packet(7)]))
    await until(() => b.got.length === 1)
    await b.links.refuse(AbortSignal.timeout(100))
    await until(() => stream.status === 'reset')
  })
})

describe('a sender that stops', () => {
  test('is gone only when the receiver has read everything', async () => {
    const [a, b] = [await startEnd(), await startEnd()]
    const open = gateFor(b)
    sendAll(a, b, upTo(300))
    await until(() => b.got.length === 1)
    let stopped = false
    const stopping = a.links.stop(soon()).then(left => {
      stopped = true
      return left
    })
    await new Promise(resolve => setTimeout(resolve, 50))
    expect([stopped, b.got.length]).toEqual([false, 1])
    open()
    expect(await stopping).toEqual([])
    expect(b.got).toEqual(upTo(300))
    expect(b.meter.of('mix_streams_broken')).toBe(0)
  })

  test('loses nothing that was on its way on a stream that the receiver had ended', async () => {
    const [a, b] = [await startEnd(), await startEnd()]
    const open = gateFor(b)
    sendAll(a, b, upTo(300))
    await until(() => b.got.length === 1)
    const refused = b.links.refuse(soon())
    await until(() => !a.links.isUp(b.id))
    const stopping = a.links.stop(soon())
    open()
    const left = await stopping
    await stopHost(a.host)
    await refused
    expect(b.got.length).toBe(a.links.counts().sent)
    expect([...b.got, ...left.map(numberOf)].sort((x, y) => x - y)).toEqual(upTo(300))
    expect(a.links.counts()).toMatchObject({ queued: 0, unsent: left.length, dropped: { 'no-link': 0 } })
  })

  test('gives back what is for a neighbour that is away', async () => {
    const [a, b] = [await startEnd(), await startEnd()]
    await b.links.stop(soon())
    await stopHost(b.host)
    sendAll(a, b, upTo(5))
    const left = await a.links.stop(soon())
    expect(left.map(numberOf)).toEqual(upTo(5))
    expect(left.every(({ to }) => to === b.id)).toBe(true)
    expect(a.links.counts()).toMatchObject({ sent: 0, queued: 0, unsent: 5, dropped: { 'no-link': 0 } })
  })

  test('tries once more to reach a neighbour that it would not have tried again yet', async () => {
    const privateKey = await freshIdentity()
    const [a, before] = [await startEnd({ limits: { backoff: { first: 3_600_000, most: 3_600_000 } } }), await startEnd({ privateKey })]
    const listen = before.host.addresses()
    await stopHost(before.host)
    sendAll(a, before, upTo(5))
    const after = await startEnd({ privateKey, listen })
    expect(await a.links.stop(soon())).toEqual([])
    expect(after.got).toEqual(upTo(5))
  })

  test('does not wait for long for a receiver that reads nothing, or does not say goodbye', async () => {
    const a = await startEnd()
    const deaf = await startHost()
    book.set(toHex(deaf.peer), deaf.addresses())
    const streams: Stream[] = []
    await deaf.node.handle(MIX_PROTOCOL, stream => { streams.push(stream) })
    a.links.send(toHex(deaf.peer), packet(1))
    await until(() => a.links.counts().sent === 1)
    expect(await a.links.stop(AbortSignal.timeout(100))).toEqual([])
  })
})

describe('a link', () => {
  test('goes through any number of restarts of either side, and all packets arrive once', async () => {
    const keys = [await freshIdentity(), await freshIdentity()]
    let [a, b] = [await startEnd({ privateKey: keys[0] }), await startEnd({ privateKey: keys[1] })]
    const listen = [a.host.addresses(), b.host.addresses()]
    const got: number[] = []
    let next = 0
    const feeding = setInterval(() => { if (ends.has(a)) for (let i = 0; i < 8; i++) if (a.links.send(b.id, packet(next)) === 'queued') next += 1 }, 2)
    for (let round = 0; round < 4; round++) {
      const before = next
      await until(() => next > before + 50 && b.got.length > 0)
      if (round % 2 === 0) {
        await b.links.refuse(soon())
        await b.links.stop(soon())
        got.push(...b.got)
        ends.delete(b)
        await stopHost(b.host)
        b = await startEnd({ privateKey: keys[1], listen: listen[1] })
      } else {
        ends.delete(a)
        const left = await a.links.stop(soon())
        await stopHost(a.host)
        a = await startEnd({ privateKey: keys[0], listen: listen[0] })
        for (const { to, packet } of left) a.links.send(to, packet)
      }
    }
    clearInterval(feeding)
    await until(() => got.length + b.got.length >= next)
    expect([...got, ...b.got].sort((x, y) => x - y)).toEqual(upTo(next))
  })

  test('that was silent for too long is ended without a loss, and opened again when there is something to say', async () => {
    const [a, b] = [await startEnd(), await startEnd({ limits: { silence: 30 } })]
    for (let i = 0; i < 5; i++) {
      sendAll(a, b, [i])
      await until(() => b.got.length === i + 1 && !a.links.isUp(b.id))
    }
    expect(b.got).toEqual(upTo(5))
    expect(b.meter.of('mix_streams_broken')).toBe(0)
  })

  test('on which something is said is not silent', async () => {
    const [a, b] = [await startEnd(), await startEnd({ limits: { silence: 700 } })]
    const began = performance.now()
    const streams = new Set<string>()
    for (let i = 0; performance.now() < began + 1000; i++) {
      sendAll(a, b, [i])
      await until(() => b.got.length === i + 1)
      for (const { streams: open } of b.host.node.getConnections()) for (const { id } of open) streams.add(id)
    }
    expect(streams.size).toBe(1)
  })

  test('a stream that is ending is not broken off by the one that follows it', async () => {
    const [a, b] = [await startEnd(), await startEnd({ limits: { silence: 50 } })]
    sendAll(a, b, upTo(100))
    await until(() => b.got.length === 100)
    const open = gateFor(b)
    sendAll(a, b, upTo(300, 100))
    // Unread packets hold the sender back, the receiver hears nothing new, and says goodbye.
    await until(() => b.got.length === 101 && !a.links.isUp(b.id))
    await until(() => a.links.isUp(b.id))
    open()
    await until(() => b.got.length === 300)
    expect([...b.got].sort((x, y) => x - y)).toEqual(upTo(300))
    expect(b.meter.of('mix_streams_broken')).toBe(0)
  })
})

describe('what is handed over to the next process', () => {
  let dir: string
  beforeEach(() => { dir = mkdtempSync(join(tmpdir(), 'mixmint-handover-')) })
  afterEach(() => { rmSync(dir, { recursive: true, force: true }) })
  const left = upTo(5).map(i => ({ to: (i % 2 === 0 ? 'ab' : 'cd').repeat(39), packet: packet(i) }))

  test('comes back in order, once', () => {
    const file = new HandoverFile(join(dir, 'handover'), SIZE)
    expect(file.take(1000, 500)).toEqual([])
    file.save(left, 1000)
    expect(statSync(join(dir, 'handover')).mode & 0o777).toBe(0o600)
    expect(new HandoverFile(join(dir, 'handover'), SIZE).take(1400, 500)).toEqual(left)
    expect(readdirSync(dir)).toEqual([])
    expect(file.take(1400, 500)).toEqual([])
  })

  test('is forgotten when it is old, or of the future', () => {
    const file = new HandoverFile(join(dir, 'handover'), SIZE)
    for (const now of [1501, 499]) {
      file.save(left, 1000)
      expect(file.take(now, 500)).toEqual([])
      expect(readdirSync(dir)).toEqual([])
    }
  })

  test('of a file that was cut short, as much as is whole', () => {
    const file = new HandoverFile(join(dir, 'handover'), SIZE)
    for (const [size, packets] of [[8 + 3 * (39 + SIZE) + 17, 3], [8, 0], [7, 0], [0, 0]]) {
      file.save(left, 1000)
      truncateSync(join(dir, 'handover'), size)
      expect(file.take(1000, 500)).toEqual(left.slice(0, packets))
    }
  })

  test('that cannot be written leaves nothing behind', () => {
    writeFileSync(join(dir, 'file'), '')
    expect(() => { new HandoverFile(join(dir, 'file', 'handover'), SIZE).save(left, 1000) }).toThrow('ENOTDIR')
    expect(readdirSync(dir)).toEqual(['file'])
  })
})
