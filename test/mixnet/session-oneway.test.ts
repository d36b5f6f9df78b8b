/** Requests that want no reply: there is no way back in them, in either way of putting requests into packets. */
import { describe, expect, it } from 'vitest'
import { toHex } from '@mixmint/core/kit/bytes'
import type { RequesterEffect, SessionParameters } from '@mixmint/mixnet/session/engines'
import { PlainRequester } from '@mixmint/mixnet/session/plain'
import { dataCapacity, decodeMessage } from '@mixmint/mixnet/sphinx/message'
import { CountingMeter } from '../doubles/meter.ts'
import { seededRng } from '../doubles/rng.ts'
import { content, expectNothingHeld, isAnswered, network } from './session-material.ts'
import { native as suite, pathOf, walk } from './sphinx-material.ts'

const NOTHING = new Uint8Array(0)

describe('in fragments', () => {
  it.each([0, 1, 3000, 20_000])('%i bytes arrive, and nothing comes back', size => {
    const net = network()
    const call = net.request(content(size), { replySize: null })
    net.run(net.now + 2000)
    expect([...net.runs]).toEqual([[toHex(suite.sha256(content(size))), 1]])
    expect(isAnswered(net, call, NOTHING)).toBe(true)
    expect(net.repliesSent).toEqual([])
    net.run()
    expectNothingHeld(net)
    expect(net.meter.of('request_retransmitted')).toBe(0)
  })

  it('it is over when its packets have left, and not before', () => {
    const net = network()
    const call = net.request(content(100_000), { replySize: null })
    expect(net.outcomes.has(call)).toBe(false)
    net.run()
    expect(isAnswered(net, call, NOTHING)).toBe(true)
    expect([...net.runs]).toEqual([[toHex(suite.sha256(content(100_000))), 1]])
  })

  it('not-sent: no gateway took it; no path', () => {
    const untaken = network({ requester: {} })
    const call = untaken.request(content(10), { replySize: null })
    untaken.ask({ is: 'unsent', call })
    untaken.run()
    expect(untaken.outcomes.get(call)).toMatchObject({ error: { code: 'not-sent' } })
    const pathless = network({ requester: { paths: { forward: () => null, back: () => null } } })
    const other = pathless.request(content(10), { replySize: null })
    pathless.run()
    expect(pathless.outcomes.get(other)).toMatchObject({ error: { code: 'not-sent' } })
  })

  it('it needs no SURBs of the network, nor a path back', () => {
    const parameters = { ...network().parameters, surbsPerPacket: 0 }
    const net = network({ requester: { parameters: () => parameters } })
    net.requester = net.newRequester({ paths: { ...net.paths, back: () => { throw new Error('asked for a way back') } }, parameters: () => parameters })
    const call = net.request(content(10), { replySize: null })
    net.run()
    expect(isAnswered(net, call, NOTHING)).toBe(true)
    expect([...net.runs]).toEqual([[toHex(suite.sha256(content(10))), 1]])
  })
})

describe('plain', () => {
  const there = pathOf(3, 1)
  const parameters: SessionParameters = {
    strategy: { kind: 'poisson' }, cover: { send: 0, echoes: 0, pace: 0, loop: 0 }, pathLength: 3, packetSize: 4608, meanDelay: 10, requestLimit: 1 << 18, surbsPerPacket: 0, answerKept: 1000
  }
  const requester = new PlainRequester({
    suite, meter: new CountingMeter(), callLimit: 3, parameters: () => parameters,
    paths: { forward: () => ({ hops: there.hops, expires: Infinity }), back: () => { throw new Error('asked for a way back') } }
  })
  const rng = seededRng('one way')
  const start = (call: number, bytes: Uint8Array): RequesterEffect[] =>
    requester.step({ is: 'start', call, target: { service: 'x', destination: null }, protocol: '/test/1', content: bytes, deadline: 5000, replySize: null }, 0, rng)

  it('a packet without SURBs leaves, and then it is over', () => {
    const room = dataCapacity(3968, '/test/1', 0)
    const [sent] = start(0, content(room))
    if (sent.do !== 'send') throw new Error('nothing was sent')
    const end = walk(suite, there.keys, sent.packet).at(-1)
    if (end?.kind !== 'exit') throw new Error('not at its end')
    expect(decodeMessage(end.message)).toMatchObject({ codec: '/test/1', surbs: [], data: content(room) })
    expect(requester.due).toBe(0)
    expect(requester.step({ is: 'timer' }, 0, rng)).toEqual([{ do: 'resolve', call: 0, content: NOTHING }])
    expect(requester.held).toEqual({ calls: 0, surbs: 0 })
    expect(start(1, content(room + 1))).toMatchObject([{ do: 'reject', error: { code: 'request-too-long' } }])
  })

  it('not-sent when the link does not take it', () => {
    start(2, content(1))
    expect(requester.step({ is: 'unsent', call: 2 }, 0, rng)).toMatchObject([{ do: 'reject', call: 2, error: { code: 'not-sent' } }])
    expect(requester.step({ is: 'timer' }, 0, rng)).toEqual([])
  })
})
