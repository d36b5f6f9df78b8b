import { describe, expect, test } from 'vitest'
import type { Stream } from '@libp2p/interface'
import { concat } from '@mixmint/core/kit/bytes'
import { isMixmintError } from '@mixmint/core/kit/errors'
import { FrameWriter, readFrames, type FrameLimits } from '@mixmint/mixnet/wire/frames'
import { closed, rawStream, startHost, until } from './hosts.ts'

const PROTOCOL = '/test/frames/1.0.0'
const LIMITS: FrameLimits = { min: 1, max: 300_000, silence: 20_000, stall: 20_000 }

interface Reader { frames: Uint8Array[], stream: Stream, outcome: Promise<string> }

/** A stream between two hosts, read at the far end. */
async function pair (limits: Partial<FrameLimits> = {}, onFrame?: (frame: Uint8Array) => void | Promise<void>): Promise<{ out: Stream, reader: Promise<Reader> }> {
  const [a, b] = await Promise.all([startHost({ listen: [] }), startHost()])
  const { promise, resolve } = Promise.withResolvers<Reader>()
  await b.node.handle(PROTOCOL, stream => {
    const frames: Uint8Array[] = []
    const outcome = readFrames(stream, { ...LIMITS, ...limits }, frame => { frames.push(frame); return onFrame?.(frame) })
      .then(() => 'end', (error: unknown) => isMixmintError(error) ? error.code : String(error))
    resolve({ frames, stream, outcome })
  })
  return { out: await rawStream(a, b, PROTOCOL), reader: promise }
}

function writerOf (stream: Stream, frames: Uint8Array[], stall = 20_000): FrameWriter {
  return new FrameWriter(stream, () => frames.shift(), stall)
}

function numbered (i: number, size: number): Uint8Array {
  const frame = new Uint8Array(size).fill(i & 0xff)
  new DataView(frame.buffer).setUint16(0, i)
  return frame
}

describe('frames', () => {
  test('arrive whole, in order, whatever their sizes, and the end is an end', async () => {
    const { out, reader } = await pair()
    const sizes = [2, 127, 128, 129, 4608, 16_383, 16_384, 61_440, 300_000, 2]
    const queue = sizes.map((size, i) => numbered(i, size))
    const writer = writerOf(out, queue)
    writer.kick()
    await writer.close(AbortSignal.timeout(5000))
    const { frames, outcome } = await reader
    expect(await outcome).toBe('end')
    expect(frames.map(frame => frame.length)).toEqual(sizes)
    frames.forEach((frame, i) => { expect(Buffer.compare(frame, numbered(i, sizes[i]))).toBe(0) })
  })

  test.each([false, true])('arrive whole when they come byte by byte (lent: %s)', async lent => {
    const { out, reader } = await pair({ lent })
    const bytes = concat(Uint8Array.of(0x81, 0x01), new Uint8Array(129).fill(5), Uint8Array.of(1, 9))
    for (let i = 0; i < bytes.length; i++) {
      out.send(bytes.slice(i, i + 1))
      if (i % 20 === 0) await new Promise(resolve => setImmediate(resolve))
    }
    await out.close()
    const { frames, outcome } = await reader
    expect(await outcome).toBe('end')
    expect(frames).toEqual([new Uint8Array(129).fill(5), Uint8Array.of(9)])
  })

  test('arrive whole when 150,000 single bytes gathered while the reader was busy', async () => {
    let release = (): void => {}
    const gate = new Promise<void>(resolve => { release = resolve })
    const { out, reader } = await pair({}, async () => { await gate })
    const size = 150_000
    out.send(concat(Uint8Array.of(1, 1), Uint8Array.of(0xf0, 0x93, 0x09)))
    const { frames, stream } = await reader
    await until(() => frames.length === 1 && stream.readStatus === 'paused')
    // Each a message of the muxer by itself.
    for (let i = 0; i < size; i++) {
      out.send(Uint8Array.of(7))
      if (i % 1000 === 0) await new Promise(resolve => setImmediate(resolve))
    }
    await until(() => stream.readBufferLength === size)
    release()
    await until(() => frames.length === 2)
    expect(Buffer.compare(frames[1], new Uint8Array(size).fill(7))).toBe(0)
  })

  test('what gathers byte by byte while the reader is busy is kept in one piece, in order', async () => {
    let release = (): void => {}
    const gate = new Promise<void>(resolve => { release = resolve })
    const { out, reader } = await pair({}, async () => { await gate })
    out.send(concat(Uint8Array.of(1, 1), Uint8Array.of(0xa0, 0x9c, 0x01))) // 20,000 are to come
    const { frames, stream } = await reader
    await until(() => frames.length === 1 && stream.readStatus === 'paused')
    const pieces = (): number => [...(stream as unknown as { readBuffer: Iterable<Uint8Array> }).readBuffer].length
    const sent: number[] = []
    let most = 0
    for (const half of [1, 2]) {
      for (let i = 0; i < 10_000; i++) {
        sent.push(i * half % 251)
        out.send(Uint8Array.of(i * half % 251))
        if (i % 500 === 0) await new Promise(resolve => setImmediate(resolve))
      }
      await until(() => stream.readBufferLength === 10_000 * half)
      most = Math.max(most, pieces())
      await until(() => pieces() === 1)
    }
    expect(most).toBeGreaterThan(1)
    expect(stream.readBufferLength).toBe(20_000)
    release()
    await until(() => frames.length === 2)
    expect(Buffer.compare(frames[1], Uint8Array.from(sent))).toBe(0)
  })

  test('many small ones leave in few messages', async () => {
    const { out, reader } = await pair()
    let sends = 0
    const send = out.send.bind(out)
    out.send = data => { sends += 1; return send(data) }
    writerOf(out, Array.from({ length: 1000 }, (_, i) => numbered(i, 100))).kick()
    const { frames } = await reader
    await until(() => frames.length === 1000)
    expect(sends).toBeLessThan(5)
  })

  test('a slow reader holds the writer back: nothing is lost, ended, or piled up', async () => {
    let release = (): void => {}
    const gate = new Promise<void>(resolve => { release = resolve })
    const { out, reader } = await pair({}, async () => { await gate })
    const total = 4000
    const queue = Array.from({ length: total }, (_, i) => numbered(i, 4608))
    const writer = writerOf(out, queue)
    writer.kick()
    const { frames, stream, outcome } = await reader
    // It settles: more time lets no more out.
    let before = -1
    while (before !== queue.length) {
      before = queue.length
      await new Promise(resolve => setTimeout(resolve, 150))
    }
    expect(frames).toHaveLength(1)
    expect((total - queue.length) * 4608).toBeLessThan(2 * 1024 * 1024)
    expect(out.writeBufferLength).toBeLessThan(100_000)
    expect(stream.readBufferLength).toBeLessThan(1024 * 1024)
    expect([out.status, stream.status]).toEqual(['open', 'open'])

    release()
    await writer.close(AbortSignal.timeout(20_000))
    expect(await outcome).toBe('end')
    expect(frames.map(frame => new DataView(frame.buffer).getUint16(0))).toEqual(Array.from({ length: total }, (_, i) => i))
  })

  test('what is only lent holds as long as it is read, whole in a message or in pieces of several', async () => {
    const seen: number[] = []
    const { out, reader } = await pair({ min: 4608, max: 4608, lent: true }, frame => {
      seen.push(frame.length === 4608 && Buffer.compare(frame, numbered(seen.length, 4608)) === 0 ? seen.length : -1)
    })
    const queue = Array.from({ length: 100 }, (_, i) => numbered(i, 4608))
    const writer = writerOf(out, queue)
    writer.kick()
    await writer.close(AbortSignal.timeout(5000))
    expect(await (await reader).outcome).toBe('end')
    expect(seen).toEqual(Array.from({ length: 100 }, (_, i) => i))
  })

  test('of hundreds that come in one turn only a few are worked on before others have theirs', async () => {
    // As a socket's buffer is read, many messages one after the other; while the stream is paused, it keeps them.
    const kept: Uint8Array[] = []
    const source = new EventTarget()
    const tell = (data: Uint8Array): void => { source.dispatchEvent(Object.assign(new Event('message'), { data })) }
    const stream = Object.assign(source, {
      readStatus: 'readable', status: 'open', readableEnded: false, readBufferLength: 0, abort: () => {},
      pause: () => { stream.readStatus = 'paused' },
      resume: () => {
        stream.readStatus = 'readable'
        for (const data of kept.splice(0)) tell(data)
      }
    })
    let [inTurn, got] = [0, 0]
    const turns: number[] = []
    const reading = readFrames(stream as unknown as Stream, LIMITS, () => { inTurn += 1; got += 1 })
    const message = concat(...Array.from({ length: 5 }, () => concat(Uint8Array.of(2), Uint8Array.of(7, 7))))
    for (let i = 0; i < 40; i++) {
      if (stream.readStatus === 'paused') kept.push(message)
      else tell(message)
    }
    for (;;) {
      turns.push(inTurn)
      inTurn = 0
      if (got === 200) break
      await new Promise(resolve => setImmediate(resolve))
    }
    expect(Math.max(...turns)).toBeLessThanOrEqual(8)
    stream.status = 'closed'
    source.dispatchEvent(new Event('close'))
    await reading
  })

  test('what a reader throws ends the stream', async () => {
    const { out, reader } = await pair({}, () => { throw new Error('enough') })
    out.send(Uint8Array.of(1, 1))
    expect(await (await reader).outcome).toContain('enough')
    await closed(out)
  })
})

describe('bad frames end the stream and are named', () => {
  test.each([
    ['too long', 'frame-size', {}, [0x81, 0xa8, 0x12]],
    ['longer than memory', 'frame-size', {}, [0xff, 0xff, 0xff, 0x7f]],
    ['too short', 'frame-size', { min: 5 }, [0x04, 1, 2, 3, 4]],
    ['an empty one', 'frame-size', {}, [0x00]],
    ['a length of five bytes', 'frame-malformed', {}, [0x81, 0x80, 0x80, 0x80, 0x00]],
    ['a length with a needless byte', 'frame-malformed', {}, [0x81, 0x00]]
  ] as const)('%s', async (_name, code, limits, bytes) => {
    const { out, reader } = await pair(limits)
    out.send(Uint8Array.of(1, 7).subarray(0, 'min' in limits ? 0 : 2))
    out.send(Uint8Array.from(bytes))
    const { outcome, frames } = await reader
    expect(await outcome).toBe(code)
    expect(frames).toHaveLength('min' in limits ? 0 : 1)
    await closed(out)
  })

  test('one that is cut off', async () => {
    const { out, reader } = await pair()
    out.send(Uint8Array.of(9, 1, 2, 3))
    await out.close()
    expect(await (await reader).outcome).toBe('frame-cut')
  })

  test('a stream that is broken off', async () => {
    const { out, reader } = await pair()
    out.send(Uint8Array.of(9, 1, 2, 3))
    const { outcome } = await reader
    out.abort(new Error('gone'))
    expect(await outcome).toBe('stream-lost')
  })
})

describe('peers that are too slow', () => {
  test('one that says nothing', async () => {
    const { out, reader } = await pair({ silence: 60 })
    expect(await (await reader).outcome).toBe('peer-silent')
    await closed(out)
  })

  test('one that never finishes a frame, though it drips bytes', async () => {
    const { out, reader } = await pair({ stall: 150 })
    out.send(Uint8Array.of(200, 1))
    const drip = setInterval(() => { if (out.writeStatus === 'writable') out.send(Uint8Array.of(1)) }, 10)
    expect(await (await reader).outcome).toBe('peer-silent')
    clearInterval(drip)
  })

  test('one that does not read', async () => {
    const { out, reader } = await pair({}, async () => { await new Promise<void>(() => {}) })
    writerOf(out, Array.from({ length: 1000 }, () => new Uint8Array(4608)), 100).kick()
    const { outcome } = await reader
    await closed(out)
    void outcome
    expect(out.status).toBe('aborted')
  })
})
