/** Handlers of the node, reached over the mix. */
import { createHash } from 'node:crypto'
import { isConnection, type Connection, type Stream } from '@libp2p/interface'
import { byteStream } from '@libp2p/utils'
import { expect, it } from 'vitest'
import { utf8 } from '@mixmint/core/kit/bytes'
import { MixmintError } from '@mixmint/core/kit/errors'
import { ANONYMOUS, isAnonymous } from '@mixmint/mixnet/service/connection'
import { exactly, lengthPrefixed } from '@mixmint/mixnet/service/reply-rule'
import { LIMIT, straight } from './service-material.ts'

const P = '/p/1'
const NOTHING = new Uint8Array(0)

it('a handler reads the request to its end, from nobody whom it could ask back', async () => {
  let seen: { stream: Stream, connection: Connection } | undefined
  const { bridge } = straight({
    [P]: async (stream, connection) => {
      seen = { stream, connection }
      expect(connection.status).toBe('open')
      const bytes = byteStream(stream)
      expect((await bytes.read())?.subarray()).toEqual(utf8('question'))
      expect(await bytes.read()).toBeNull()
      await bytes.write(utf8('answer'))
      await stream.close()
    }
  })
  expect(await bridge.answer(P, utf8('question'), LIMIT)).toEqual(utf8('answer'))
  if (seen === undefined) throw new Error('the handler was not asked')
  const { stream, connection } = seen
  expect(stream).toMatchObject({ protocol: P, direction: 'inbound', status: 'closed' })
  expect(connection).toMatchObject({ direction: 'inbound', streams: [stream], limits: { bytes: BigInt(LIMIT), seconds: 5 }, status: 'closed' })
  expect(isConnection(connection)).toBe(true)
  expect(isAnonymous(connection)).toBe(true)
  await expect(connection.newStream(P)).rejects.toMatchObject({ code: 'anonymous' })
})

it('nobody has the key of the placeholder', () => {
  const hash = createHash('sha256').update('mixmint/anonymous/1').digest()
  expect(ANONYMOUS.toMultihash().bytes).toEqual(Uint8Array.of(0x12, 32, ...hash))
  expect(ANONYMOUS.publicKey).toBeUndefined()
})

it('the reply of a protocol with a rule is whole without the handler closing its end', async () => {
  const after: string[] = []
  const { bridge } = straight({
    '/fixed': async stream => {
      stream.send(new Uint8Array(40))
      await new Promise(resolve => { stream.addEventListener('close', resolve) })
      after.push(stream.status)
    },
    '/message': stream => { stream.send(Uint8Array.of(2, 7)); stream.send(Uint8Array.of(7, 9)) }
  }, new Map([['/fixed', exactly(32)], ['/message', lengthPrefixed({ max: 10 })]]))
  expect(await bridge.answer('/fixed', NOTHING, LIMIT)).toHaveLength(32)
  expect(await bridge.answer('/message', NOTHING, LIMIT)).toEqual(Uint8Array.of(2, 7, 7))
  expect(after).toEqual(['closed'])
})

it('only what is served is reached, and nothing behind middleware', async () => {
  const answer = async (stream: Stream): Promise<void> => { await stream.close() }
  const { bridge, middleware, meter } = straight({ [P]: answer, '/private': answer }, new Map([[P, null], ['/gone', null]]))
  expect([bridge.knows(P), bridge.knows('/private')]).toEqual([true, false])
  expect(await bridge.answer(P, NOTHING, LIMIT)).toEqual(NOTHING)
  for (const protocol of ['/private', '/gone']) await expect(bridge.answer(protocol, NOTHING, LIMIT)).rejects.toMatchObject({ code: 'unknown-protocol' })
  middleware.set(P, [() => {}])
  await expect(bridge.answer(P, NOTHING, LIMIT)).rejects.toMatchObject({ code: 'unknown-protocol' })
  expect(meter.of('mix_served_refused', { reason: 'middleware' })).toBe(1)
  expect(meter.of('mix_served_refused', { reason: 'no-handler' })).toBe(1)
})

it('a reply is bounded in bytes', async () => {
  const failed = Promise.withResolvers<unknown>()
  const { bridge } = straight({
    [P]: async stream => {
      try {
        for (;;) stream.send(new Uint8Array(1000))
      } catch (error) {
        failed.resolve(error)
      }
    }
  })
  await expect(bridge.answer(P, NOTHING, 4500)).rejects.toMatchObject({ code: 'reply-too-long' })
  expect(await failed.promise).toMatchObject({ code: 'reply-too-long' })
})

it('a reply is bounded in time', async () => {
  const { bridge, meter } = straight({ [P]: stream => { stream.send(utf8('and…')) } }, undefined, 20)
  await expect(bridge.answer(P, NOTHING, LIMIT)).rejects.toMatchObject({ code: 'handler-overdue', retry: true })
  expect(meter.of('mix_served_failed', { code: 'handler-overdue' })).toBe(1)
})

it('of a handler that breaks off, only that it did is told, or what it says itself', async () => {
  const { bridge } = straight({
    '/throws': () => { throw new Error('the secret is 42') },
    '/rejects': async () => { throw new Error('the secret is 42') },
    '/aborts': stream => { stream.abort(new Error('the secret is 42')) },
    '/refuses': async () => { throw new MixmintError('no-room', 'operator', 'full', { retry: true }) },
    '/cuts': async stream => { stream.send(Uint8Array.of(1)); await stream.close() }
  }, new Map([['/throws', null], ['/rejects', null], ['/aborts', null], ['/refuses', null], ['/cuts', exactly(2)]]))
  for (const protocol of ['/throws', '/rejects', '/aborts']) {
    const error: unknown = await bridge.answer(protocol, NOTHING, LIMIT).catch((e: unknown) => e)
    expect(error).toMatchObject({ code: 'handler-failed' })
    expect(String(error)).not.toContain('42')
  }
  await expect(bridge.answer('/refuses', NOTHING, LIMIT)).rejects.toMatchObject({ code: 'no-room' })
  await expect(bridge.answer('/cuts', NOTHING, LIMIT)).rejects.toMatchObject({ code: 'reply-cut' })
})

it('a handler may close or abort the connection instead of the stream', async () => {
  const { bridge } = straight({
    '/close': async (stream, connection) => { stream.send(utf8('x')); await connection.close() },
    '/abort': (_stream, connection) => { connection.abort(new Error('no')) }
  })
  expect(await bridge.answer('/close', NOTHING, LIMIT)).toEqual(utf8('x'))
  await expect(bridge.answer('/abort', NOTHING, LIMIT)).rejects.toMatchObject({ code: 'handler-failed' })
})
