import { describe, expect, it } from 'vitest'
import { concat } from '@mixmint/core/kit/bytes'
import { isMixmintError, MixmintError } from '@mixmint/core/kit/errors'
import type { Strategy } from '@mixmint/mixnet/directory/formats'
import { bucket } from '@mixmint/mixnet/session/flight'
import { type MixNetwork, PROTOCOL } from '../doubles/mix-network.ts'
import { content, expectNothingHeld, isAnswered, LIMIT, network } from './session-material.ts'

function errorOf (net: MixNetwork, call: number): MixmintError {
  const outcome = net.outcomes.get(call)
  if (outcome === undefined || !('error' in outcome)) throw new Error('no error')
  return outcome.error
}

describe('whatever the strategy', () => {
  const strategies: Array<[Strategy, number]> = [
    [{ kind: 'poisson' }, 0], [{ kind: 'timed', interval: 200 }, 0], [{ kind: 'pool', interval: 200, threshold: 10, pool: 3 }, 0], [{ kind: 'threshold', batch: 5 }, 40]
  ]
  it.each(strategies)('requests are answered under %o, and hardly one is sent again', (strategy, loop) => {
    const net = network({ strategy, cover: { loop } })
    const calls = Array.from({ length: 40 }, (_, i) => net.request(content(300, i), { replySize: 300 }))
    net.run()
    for (const [i, call] of calls.entries()) expect(isAnswered(net, call, content(300, i))).toBe(true)
    expect(net.packetsSent).toBeLessThanOrEqual(41)
    expectNothingHeld(net)
  })

  it.each(strategies)('losses are made up for under %o', (strategy, loop) => {
    const net = network({ strategy, cover: { loop }, loss: 0.05 })
    const calls = Array.from({ length: 10 }, (_, i) => net.request(content(9000, i), { replySize: 9000 }))
    net.run()
    for (const [i, call] of calls.entries()) expect(isAnswered(net, call, content(9000, i))).toBe(true)
    expectNothingHeld(net)
  })
})

describe('on links that lose nothing', () => {
  it.each([0, 1, 100, 2400, 3000, 3800, 3941, 4000, 20_000, 100_001, LIMIT])('a request of %i bytes is answered with as many', size => {
    const net = network()
    const hinted = net.request(content(size), { replySize: size })
    const unhinted = net.request(concat(content(size, 1)))
    net.run()
    expect(isAnswered(net, hinted, content(size))).toBe(true)
    expect(isAnswered(net, unhinted, content(size, 1))).toBe(true)
    expect([...net.runs.values()]).toEqual(size === 0 ? [2] : [1, 1])
    expectNothingHeld(net)
  })

  it.each([[1572, 3, 20_000], [2048, 4, 60_000], [8192, 5, LIMIT], [32_768, 5, LIMIT], [65_536, 3, LIMIT]])('in packets of %i bytes, on paths of %i hops', (packetSize, pathLength, size) => {
    const net = network({ packetSize, pathLength })
    net.intercept = (_, packet) => { if (packet.length !== packetSize) throw new Error('another size'); return false }
    const calls = [0, 700, size].map(length => net.request(content(length), { replySize: length }))
    net.run()
    for (const [i, length] of [0, 700, size].entries()) expect(isAnswered(net, calls[i], content(length))).toBe(true)
    expectNothingHeld(net)
  })

  it('a small request is one packet and a small answer another', () => {
    const net = network()
    for (let i = 0; i < 50; i++) net.request(content(200, i), { replySize: 500 })
    net.run()
    expect(net.outcomes.size).toBe(50)
    expect(net.packetsSent).toBe(50)
    expect(net.repliesSent.length).toBe(50)
  })

  it.each([0, 3000, 5000, 12_000, 50_000, LIMIT])('the number of packets of a first flight of %i bytes is a bucket', size => {
    const net = network()
    net.request(content(size), { replySize: size / 2 })
    expect(net.packetsSent).toBe(bucket(net.packetsSent))
  })

  it('an answer longer than was guessed costs one flight of SURBs, not one for each fragment', () => {
    const answer = content(80_000)
    const net = network({ handler: () => ({ answer, after: 0 }) })
    const call = net.request(content(10))
    net.run()
    expect(isAnswered(net, call, answer)).toBe(true)
    expect(net.packetsSent).toBeLessThan(12)
    expectNothingHeld(net)
  })
})

it('what was asked is what the bytes were when it was asked', () => {
  const net = network()
  let first = true
  net.intercept = from => from === 'wallet' && first
  const bytes = content(100)
  const call = net.request(bytes)
  bytes.fill(0)
  first = false
  net.run()
  expect(isAnswered(net, call, content(100))).toBe(true)
})

describe('on links that duplicate and reorder', () => {
  it('nothing is run twice, answered twice or mixed up', () => {
    const net = network({ duplicates: 0.3, echoes: 0.3, loss: 0.01 })
    const sizes = [0, 10, 200, 3900, 9000, 30_000]
    const calls = sizes.map((size, i) => net.request(content(size, i)))
    net.run()
    calls.forEach((call, i) => { expect(isAnswered(net, call, content(sizes[i], i))).toBe(true) })
    expect([...net.runs.values()]).toEqual(sizes.map(() => 1))
    expect(net.meter.of('node_dropped', { reason: 'replay' })).toBeGreaterThan(0)
    expect(net.meter.of('request_reply_dropped', { reason: 'unknown-surb' })).toBeGreaterThan(0)
    expectNothingHeld(net)
  })
})

describe('how a request fails', () => {
  it('lost: nothing is heard', () => {
    const net = network()
    net.intercept = from => from === 'mix'
    const call = net.request(content(10), { deadline: 5000 })
    const start = net.now
    net.run(start + 4999)
    expect(net.outcomes.size).toBe(0)
    net.run()
    expect(errorOf(net, call).code).toBe('lost')
    expectNothingHeld(net)
  })

  it('overdue: the service is at work on it', () => {
    const net = network({ handler: answer => ({ answer, after: 20_000 }) })
    const call = net.request(content(10), { deadline: 10_000 })
    net.run()
    expect(errorOf(net, call).code).toBe('overdue')
    expect([...net.runs.values()]).toEqual([1])
    expectNothingHeld(net)
  })

  it('a slow handler is waited for, and run once', () => {
    const net = network({ loss: 0.05, handler: answer => ({ answer, after: 20_000 }) })
    const calls = Array.from({ length: 5 }, (_, i) => net.request(content(10, i)))
    net.run()
    calls.forEach((call, i) => { expect(isAnswered(net, call, content(10, i))).toBe(true) })
    expect([...net.runs.values()]).toEqual([1, 1, 1, 1, 1])
    expectNothingHeld(net)
  })

  it('refused: with the reason of the service', () => {
    const net = network({
      responder: { parameters: () => ({ ...network().parameters, requestLimit: 5000 }) },
      handler: () => ({ answer: new MixmintError('store-full', 'operator', 'no room', { retry: true }), after: 0 })
    })
    const failed = net.request(content(10))
    const large = net.request(content(6000))
    const unknown = net.request(content(10), { protocol: '/test/other/1.0.0' })
    net.run()
    const causes = [failed, large, unknown].map(call => {
      const error = errorOf(net, call)
      expect(error.code).toBe('refused')
      return isMixmintError(error.cause) ? [error.cause.code, error.cause.fault, error.retry] : []
    })
    expect(causes).toEqual([['store-full', 'operator', true], ['too-large', 'caller', false], ['unknown-protocol', 'caller', false]])
    expectNothingHeld(net)
  })

  it('refused: a service that is full says busy, and does what it took on', () => {
    const net = network({ responder: { runLimit: 1 }, handler: answer => ({ answer, after: 500 }) })
    const calls = Array.from({ length: 4 }, (_, i) => net.request(content(10, i)))
    net.run()
    const busy = calls.filter(call => 'error' in (net.outcomes.get(call) ?? {}))
    expect(busy.length).toBe(3)
    for (const call of busy) expect([errorOf(net, call).code, errorOf(net, call).retry, (errorOf(net, call).cause as MixmintError).code]).toEqual(['refused', true, 'busy'])
    expectNothingHeld(net)
  })

  it('refused: an answer that is too large to be sent', () => {
    const net = network({ responder: { parameters: () => ({ ...network().parameters, requestLimit: 1000 }) }, handler: () => ({ answer: content(1001), after: 0 }) })
    const call = net.request(content(10))
    net.run()
    expect((errorOf(net, call).cause as MixmintError).code).toBe('answer-too-large')
    expectNothingHeld(net)
  })

  it('not-sent: no path, no gateway, too many at once, a deadline that has passed', () => {
    const pathless = network({ requester: { paths: { forward: () => null, back: () => null }, callLimit: 1 } })
    expect(errorOf(pathless, pathless.request(content(10))).code).toBe('not-sent')
    expectNothingHeld(pathless)

    const net = network({ requester: { callLimit: 1 } })
    const first = net.request(content(5000))
    expect(errorOf(net, net.request(content(10))).code).toBe('not-sent')
    expect(net.outcomes.has(first)).toBe(false)
    net.ask({ is: 'unsent', call: first })
    expect([errorOf(net, first).code, errorOf(net, first).retry]).toEqual(['not-sent', true])
    expect(errorOf(net, net.request(content(10), { deadline: 0 })).code).toBe('not-sent')
    net.run()
    expect(net.requester.held).toEqual({ calls: 0, surbs: 0 })
  })

  it('when one packet was taken by the gateway and another not, it may have been sent', () => {
    const net = network()
    net.intercept = from => from === 'mix'
    const call = net.request(content(5000), { deadline: 3000 })
    while (net.packetsSent < 2) net.run(net.now + 10)
    net.ask({ is: 'unsent', call })
    net.run()
    expect(errorOf(net, call).code).toBe('lost')
  })

  it('what cannot be asked is the caller’s error, and nothing is sent', () => {
    const net = network()
    const large = net.request(content(LIMIT + 1))
    const long = net.request(content(10), { protocol: 'x'.repeat(3500) })
    expect([errorOf(net, large), errorOf(net, long)].map(({ code, fault }) => [code, fault])).toEqual([['request-too-long', 'caller'], ['bad-argument', 'caller']])
    expect(net.packetsSent).toBe(0)
    expectNothingHeld(net)
  })

  it('aborted: everything is let go at once, and late replies are nobody’s', () => {
    const net = network()
    const calls = [net.request(content(20_000)), net.request(content(10))]
    net.run(net.now + 300)
    for (const call of calls) net.ask({ is: 'cancel', call })
    expect(net.requester.held).toEqual({ calls: 0, surbs: 0 })
    net.run()
    for (const call of calls) expect(errorOf(net, call).code).toBe('aborted')
    expect(net.meter.of('request_reply_dropped', { reason: 'unknown-surb' })).toBeGreaterThan(0)
    expectNothingHeld(net)
  })
})

describe('the answer is kept', () => {
  it('when it was lost on the way, it comes again without another run', () => {
    const net = network()
    let lost = 0
    net.intercept = from => from === 'service' && lost++ < 3
    const call = net.request(content(5000), { deadline: 30_000 })
    net.run()
    expect(lost).toBeGreaterThan(3)
    expect(isAnswered(net, call, content(5000))).toBe(true)
    expect([...net.runs.values()]).toEqual([1])
    expectNothingHeld(net)
  })

  it('a service that was restarted runs it again, and answers of two runs are not joined', () => {
    let run = 0
    const net = network({ handler: () => ({ answer: content(9000, ++run), after: 0 }) })
    let answers = 0
    net.intercept = from => from === 'service' && ++answers > 1 && answers < 6
    const call = net.request(content(10), { replySize: 9000, deadline: 60_000 })
    while (answers === 0) net.run(net.now + 10)
    net.responder = net.newResponder()
    net.run()
    expect(run).toBe(2)
    expect(isAnswered(net, call, content(9000, 2))).toBe(true)
    expectNothingHeld(net)
  })

  it('while there is room: the oldest gives way first', () => {
    const net = network({ responder: { memoryLimit: 150_000 }, handler: () => ({ answer: content(60_000), after: 0 }) })
    for (let i = 0; i < 3; i++) {
      net.request(content(10, i), { replySize: 60_000 })
      net.run(net.now + 5000)
    }
    expect(net.outcomes.size).toBe(3)
    expect(net.responder.held.requests).toBeLessThan(3)
    expect(net.responder.held.bytes).toBeLessThan(150_000)
    expect(net.meter.of('responder_evicted')).toBeGreaterThan(0)
    net.run()
    expectNothingHeld(net)
  })
})

describe('SURBs', () => {
  it('open nothing after the mix keys they were made for have expired', () => {
    const net: MixNetwork = network()
    const { forward, back } = net.paths
    net.requester = net.newRequester({ paths: { forward, back: () => ({ ...back(), expires: net.now + 50 }) } })
    const call = net.request(content(10), { deadline: 5000 })
    net.run()
    expect(errorOf(net, call).code).toBe('lost')
    expect(net.repliesSent.length).toBeGreaterThan(0)
    expectNothingHeld(net)
  })

  it('are bounded in number', () => {
    const net = network({ requester: { surbLimit: 20 } })
    const calls = [net.request(content(10), { replySize: 200_000 }), net.request(content(10, 1)), net.request(content(10, 2))]
    let most = 0
    for (; net.outcomes.size < calls.length; net.run(net.now + 10)) most = Math.max(most, net.requester.held.surbs)
    expect(most).toBe(20)
    net.run()
    expect(net.outcomes.size).toBe(calls.length)
    expectNothingHeld(net)
  })
})

it('speaks to the handler of the protocol that was asked for', () => {
  const net = network({ responder: { knows: protocol => protocol === `${PROTOCOL}/other` } })
  const call = net.request(content(10), { protocol: `${PROTOCOL}/other` })
  net.run()
  expect(isAnswered(net, call, content(10))).toBe(true)
})
