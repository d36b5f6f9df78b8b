/** The asker's stream, under clients of js-libp2p as they are. */
import { ping } from '@libp2p/ping'
import { byteStream, lpStream, pbStream } from '@libp2p/utils'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { concat, toHex, utf8 } from '@mixmint/core/kit/bytes'
import type { MixStream } from '@mixmint/mixnet/service/stream'
import { failure, LIMIT, straight } from './service-material.ts'

const ECHO = '/echo/1'
type PingComponents = Parameters<ReturnType<typeof ping>>[0]

/** Timers that were set before have rung. */
async function turn (): Promise<void> {
  await new Promise(resolve => setTimeout(resolve))
}

/** Everything that can be read of a stream. */
async function readAll (stream: MixStream): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  for await (const part of stream) parts.push(part.subarray())
  return concat(...parts)
}

it('the ping client and its handler speak over it', async () => {
  const { open, handlers, requests } = straight()
  const components = {
    registrar: { handle: async (protocol: string, handler: never) => { handlers.set(protocol, handler) }, unhandle: async () => {} },
    connectionManager: { openStream: async (_peer: unknown, protocol: string) => open(protocol) }
  } as unknown as PingComponents
  const service = ping()(components) as ReturnType<ReturnType<typeof ping>> & { start: () => Promise<void> }
  await service.start()
  expect(await service.ping([])).toBeGreaterThanOrEqual(0)
  expect(requests.map(({ length }) => length)).toEqual([32])
})

it('an lpStream client that writes, reads and never closes', async () => {
  const { open } = straight({
    [ECHO]: async stream => {
      const lp = lpStream(stream)
      const [a, b] = [await lp.read(), await lp.read()]
      await lp.write(b)
      await lp.write(a)
      await stream.close()
    }
  })
  const stream = open(ECHO)
  const lp = lpStream(stream)
  await lp.write(utf8('one'))
  await lp.write(utf8('two'))
  expect((await lp.read()).subarray()).toEqual(utf8('two'))
  expect((await lp.read()).subarray()).toEqual(utf8('one'))
  await expect(lp.read()).rejects.toThrow('EOF')
  await stream.close()
  expect(stream.status).toBe('closed')
})

it('a byteStream client that closes its end first, and takes the reply apart', async () => {
  const { open } = straight({ [ECHO]: async stream => { for await (const part of stream) stream.send(part); await stream.close() } })
  const stream = open(ECHO)
  const bytes = byteStream(stream)
  await bytes.write(utf8('abcdef'))
  await stream.close()
  expect((await bytes.read({ bytes: 2 })).subarray()).toEqual(utf8('ab'))
  expect((await bytes.read())?.subarray()).toEqual(utf8('cdef'))
  expect(await bytes.read()).toBeNull()
})

it('a pbStream client', async () => {
  const codec = { encode: (text: string) => utf8(text), decode: (bytes: Uint8Array | { subarray: () => Uint8Array }) => new TextDecoder().decode(bytes.subarray()) }
  const { open } = straight({
    [ECHO]: async stream => {
      const pb = pbStream(stream).pb(codec)
      await pb.write((await pb.read()).toUpperCase())
      await stream.close()
    }
  })
  const pb = pbStream(open(ECHO)).pb(codec)
  await pb.write('loud')
  expect(await pb.read()).toBe('LOUD')
})

it('whatever is written in one go is one request, and comes back whole, also to who reads late or paused', async () => {
  await fc.assert(fc.asyncProperty(
    fc.array(fc.uint8Array({ minLength: 1, maxLength: 2000 }), { minLength: 1, maxLength: 8 }), fc.boolean(), fc.constantFrom('now', 'late', 'paused'),
    async (parts, closes, reads) => {
      const { open, requests } = straight({ [ECHO]: async stream => { for await (const part of stream) stream.send(part); await stream.close() } })
      const stream = open(ECHO)
      const whole = concat(...parts)
      if (reads === 'paused') stream.pause()
      const early = reads === 'now' ? readAll(stream) : null
      for (const part of parts) {
        stream.send(part)
        await Promise.resolve()
      }
      if (closes) await stream.close()
      if (reads !== 'now') await expect.poll(() => stream.readBufferLength).toBe(whole.length)
      const late = early ?? readAll(stream)
      if (reads === 'paused') stream.resume()
      expect(toHex(await late)).toBe(toHex(whole))
      expect(requests).toEqual([whole])
      expect(stream.failure).toBeUndefined()
    }), { numRuns: 30 })
})

it('writing after the request has left is refused', async () => {
  const { open, requests } = straight({ [ECHO]: async stream => { await stream.close() } })
  const stream = open(ECHO)
  stream.send(utf8('first'))
  await readAll(stream)
  expect(() => stream.send(utf8('second'))).toThrow(expect.objectContaining({ code: 'request-left', fault: 'caller' }))
  await expect(lpStream(stream).write(utf8('second'))).rejects.toMatchObject({ code: 'request-left' })
  expect(requests).toEqual([utf8('first')])
})

it('a client that computes between two writes names how long, or leaves by closing', async () => {
  const { open, requests } = straight({ [ECHO]: async stream => { await stream.close() } })
  const slow = async (stream: MixStream): Promise<void> => {
    stream.send(utf8('a'))
    await turn()
    stream.send(utf8('b'))
  }
  await expect(slow(open(ECHO))).rejects.toMatchObject({ code: 'request-left' })
  for (const changes of [{ quiet: 200 }, { leave: 'close' as const }]) {
    const stream = open(ECHO, changes)
    await slow(stream)
    await stream.close()
    await readAll(stream)
  }
  expect(requests).toEqual([utf8('a'), utf8('ab'), utf8('ab')])
})

it('nothing leaves of a stream that was only opened, but for one that says so', async () => {
  const { open, requests } = straight({ [ECHO]: async stream => { stream.send(utf8('hello')); await stream.close() } })
  const silent = open(ECHO)
  const greeted = open(ECHO, { leave: 'open' })
  expect(await readAll(greeted)).toEqual(utf8('hello'))
  expect(requests).toEqual([new Uint8Array(0)])
  const closed = open(ECHO)
  await closed.close()
  expect(await readAll(closed)).toEqual(utf8('hello'))
  silent.abort(new Error('no use'))
  expect(requests).toHaveLength(2)
})

it('fire and forget: the end comes when the request has left', async () => {
  const { open } = straight()
  const stream = open(ECHO, { exchange: async () => null })
  stream.send(utf8('x'))
  expect(await readAll(stream)).toEqual(new Uint8Array(0))
  await stream.close()
  expect(stream.status).toBe('closed')
})

it('how an exchange failed reaches whoever reads, and stays to be seen', async () => {
  for (const code of ['not-sent', 'refused', 'overdue', 'lost']) {
    const { open } = straight()
    const stream = open(ECHO, { exchange: async () => { throw failure(code) } })
    const lp = lpStream(stream)
    await lp.write(utf8('x'))
    await expect(lp.read()).rejects.toMatchObject({ code })
    expect(stream.failure).toMatchObject({ code })
    expect(stream.status).toBe('aborted')
    expect(() => stream.send(utf8('y'))).toThrow(expect.objectContaining({ code: 'request-left' }))
  }
  const iterated = straight().open(ECHO, { exchange: async () => { throw new Error('a defect') } })
  iterated.send(utf8('x'))
  await expect(readAll(iterated)).rejects.toMatchObject({ code: 'internal' })
})

it('a client that aborts stops the exchange; what comes later changes nothing', async () => {
  const { open } = straight()
  const reply = Promise.withResolvers<Uint8Array>()
  let stopped: AbortSignal | undefined
  const stream = open(ECHO, { exchange: async (_request, signal) => { stopped = signal; return await reply.promise } })
  stream.send(utf8('x'))
  await expect.poll(() => stopped).toBeDefined()
  const reading = readAll(stream)
  stream.abort(new Error('changed my mind'))
  await expect(reading).rejects.toThrow('changed my mind')
  expect(stopped?.aborted).toBe(true)
  reply.resolve(utf8('too late'))
  await reply.promise
  expect(stream.readBufferLength).toBe(0)
  expect(stream.failure).toBeUndefined()
})

it('a client that aborts before it has written anything asks nothing', async () => {
  const { open, requests } = straight({ [ECHO]: async stream => { await stream.close() } })
  const stream = open(ECHO)
  stream.send(utf8('x'))
  stream.abort(new Error('never mind'))
  await stream.close()
  await turn()
  expect(requests).toEqual([])
})

it('a client that wants no reply closes its reading end; the request goes all the same', async () => {
  const { open, requests } = straight({ [ECHO]: async stream => { stream.send(utf8('unheard')); await stream.close() } })
  const stream = open(ECHO)
  stream.send(utf8('x'))
  await stream.closeRead()
  await stream.close()
  await expect.poll(() => stream.status).toBe('closed')
  expect(requests).toEqual([utf8('x')])
  expect(stream.readBufferLength).toBe(0)
})

it('a request that is too long is refused as it is written, and nothing leaves', async () => {
  const { open, requests } = straight()
  const stream = open(ECHO)
  stream.send(new Uint8Array(LIMIT))
  expect(() => stream.send(new Uint8Array(1))).toThrow(expect.objectContaining({ code: 'request-too-long' }))
  expect(stream.status).toBe('aborted')
  await turn()
  expect(requests).toEqual([])
})
