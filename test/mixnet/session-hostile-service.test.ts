/** What a hostile service may say to a requester, and what it can make it do. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { concat } from '@mixmint/core/kit/bytes'
import { readRequest, writeReply, type ReplyPart, type RequestPart } from '@mixmint/mixnet/session/fragment'
import type { RequesterEffect } from '@mixmint/mixnet/session/engines'
import { Requester } from '@mixmint/mixnet/session/requester'
import { timingOf } from '@mixmint/mixnet/session/timing'
import { decodeMessage, encodeMessage } from '@mixmint/mixnet/sphinx/message'
import { peel } from '@mixmint/mixnet/sphinx/peel'
import { useSurb } from '@mixmint/mixnet/sphinx/surb'
import { CountingMeter } from '../doubles/meter.ts'
import { seededRng } from '../doubles/rng.ts'
import { bytesFrom, native as suite, pathOf, walk } from './sphinx-material.ts'

const PROTOCOL = '/test/1'
const PARAMETERS = { pathLength: 3, packetSize: 4608, strategy: { kind: 'poisson' as const }, cover: { send: 0, echoes: 0, pace: 0, loop: 0 }, meanDelay: 10, requestLimit: 20_000, surbsPerPacket: 5, answerKept: 1000 }
const rng = seededRng('hostile')

const content = (length: number, seed = 0): Uint8Array => bytesFrom(seed, 'content', length)

/** A service by hand: it reads what a requester sent, and says whatever it likes through the SURBs. */
class Impostor {
  readonly meter = new CountingMeter()
  readonly there = pathOf(3, 1)
  readonly back = pathOf(3, 2)
  readonly surbs: Uint8Array[] = []
  readonly parts: RequestPart[] = []
  readonly ended: RequesterEffect[] = []
  /** SURBs that came, used or not. */
  given = 0
  now = 0
  readonly requester = new Requester({
    suite, meter: this.meter, slotted: () => false, base: 100, callLimit: 10, surbLimit: 300, parameters: () => PARAMETERS,
    paths: { forward: () => ({ hops: this.there.hops, expires: Infinity }), back: () => ({ hops: this.back.hops, expires: Infinity }) }
  })

  start (bytes: Uint8Array, replySize = 0, call = 0): void {
    this.take(this.requester.step({ is: 'start', call, target: { service: '', destination: null }, protocol: PROTOCOL, content: bytes, deadline: this.now + 10_000, replySize }, this.now, rng))
  }

  take (effects: readonly RequesterEffect[]): void {
    for (const effect of effects) {
      if (effect.do !== 'send') {
        this.ended.push(effect)
        continue
      }
      const end = walk(suite, this.there.keys, effect.packet).at(-1)
      const message = end?.kind === 'exit' ? decodeMessage(end.message) : null
      const part = message === null ? null : readRequest(message.data)
      if (message === null || part === null) throw new Error('not a request')
      this.surbs.push(...message.surbs)
      this.given += message.surbs.length
      this.parts.push(part)
    }
  }

  /** Time passes, until packets no longer leave by themselves. */
  pass (ms: number): void {
    const end = this.now + ms
    for (let due = this.requester.due; due !== null && due <= end; due = this.requester.due) {
      this.now = Math.max(this.now, due)
      this.take(this.requester.step({ is: 'timer' }, this.now, rng))
    }
    this.now = end
  }

  /** Until all packets that wait have left. */
  settle (): void {
    while ((this.requester.due ?? Infinity) < this.now + 100) this.pass(1)
  }

  /** @returns how many packets the requester sent in answer, and within 30 ms of it */
  say (data: Uint8Array, codec = PROTOCOL, surb = this.surbs.shift()): number {
    const before = this.parts.length
    this.#speak(data, codec, surb)
    this.pass(30)
    return this.parts.length - before
  }

  #speak (data: Uint8Array, codec: string, surb: Uint8Array | undefined): void {
    if (surb === undefined) throw new Error('no SURB')
    const reply = useSurb(suite, surb, encodeMessage(3968, { codec, surbs: [], data, sequence: 0 }))
    const end = reply === null ? null : walk(suite, this.back.keys, reply.packet).at(-1)
    if (end?.kind !== 'reply') throw new Error('not a reply')
    this.take(this.requester.step({ is: 'reply', surbId: end.surbId, payload: end.payload }, this.now, rng))
  }
}

describe('a requester', () => {
  const tally = { flight: 0, seen: 0, held: 0, unsent: 0 }
  const answerPart = (bytes: Uint8Array, index: number, changes: Partial<ReplyPart> = {}): Uint8Array => writeReply({
    ...tally, kind: 'answer', answer: suite.sha256(concat(new TextEncoder().encode('mixmint/answer/1'), bytes)).subarray(0, 16), total: bytes.length, chunk: 3000, index,
    data: bytes.subarray(index * 3000, (index + 1) * 3000), ...changes
  } as ReplyPart)

  it('takes a reply once through each SURB, and only under the protocol it asked for', () => {
    const net = new Impostor()
    net.start(content(10), 20_000)
    const [surb] = net.surbs
    net.say(answerPart(content(6000), 0), '/test/2')
    expect(net.meter.of('request_reply_dropped', { reason: 'bad-reply' })).toBe(1)
    net.say(answerPart(content(6000), 0), PROTOCOL, surb)
    expect(net.meter.of('request_reply_dropped', { reason: 'unknown-surb' })).toBe(1)
    expect(net.ended).toEqual([])
  })

  it('takes no answer whose whole is not what its fragments said', () => {
    const net = new Impostor()
    net.start(content(10), 20_000)
    const good = content(6000)
    net.say(answerPart(good, 0))
    net.say(answerPart(good, 1, { data: content(3000, 5) } as Partial<ReplyPart>))
    expect(net.ended).toEqual([])
    net.say(answerPart(good, 0))
    net.say(answerPart(good, 1))
    expect(net.ended).toEqual([{ do: 'resolve', call: 0, content: good }])
    expect(net.requester.held).toEqual({ calls: 0, surbs: 0 })
  })

  it('sends no more SURBs than the answer can have fragments, whatever the service says', () => {
    const net = new Impostor()
    net.start(content(10))
    const sent = net.say(answerPart(content(9000), 0, { unsent: 0xffff, seen: 0xffff }))
    expect(sent).toBeLessThanOrEqual(1)
    expect(net.say(answerPart(content(9000), 0, { unsent: 0xffff }))).toBe(0)
  })

  it('takes no fragment of the same answer in another cut', () => {
    const net = new Impostor()
    net.start(content(10), 20_000)
    const good = content(6000)
    net.say(answerPart(good, 0))
    net.say(answerPart(good, 1, { chunk: 3100, data: content(2900, 5) } as Partial<ReplyPart>))
    net.say(answerPart(good, 1, { total: 5000, data: content(2000, 5) } as Partial<ReplyPart>))
    expect(net.meter.of('request_reply_dropped', { reason: 'conflict' })).toBe(2)
    net.say(answerPart(good, 1))
    expect(net.ended).toEqual([{ do: 'resolve', call: 0, content: good }])
  })

  it('takes no answer longer than the network allows', () => {
    const net = new Impostor()
    net.start(content(10))
    net.say(answerPart(content(20_001), 0))
    expect(net.meter.of('request_reply_dropped', { reason: 'answer-too-large' })).toBe(1)
  })

  it('sends a flight again only when it has had the time to arrive, once, and when it brought the request on', () => {
    const net = new Impostor()
    net.start(content(9000), 20_000)
    const count = Math.ceil(9000 / net.parts[0].chunk)
    const status = (flight: number, missing: number[], of = count): Uint8Array => writeReply({ ...tally, flight, kind: 'gathering', count: of, missing })
    net.settle()
    expect(net.say(status(0, [0, 1]))).toBe(0)
    net.pass(100)
    expect(net.say(status(0, [0, 1]))).toBeGreaterThan(0)
    net.pass(100)
    expect(net.say(status(0, [0]))).toBe(0)
    expect(net.say(status(7, [0]))).toBe(0)
    expect(net.say(status(1, [0], count + 1))).toBe(0)
    expect(net.say(status(1, [0, 1]))).toBe(0)
    expect(net.say(status(1, [0]))).toBeGreaterThan(0)
    expect(net.meter.of('request_reply_dropped', { reason: 'too-soon' })).toBe(1)
    expect(net.meter.of('request_reply_dropped', { reason: 'no-progress' })).toBe(1)
  })

  it('that was silent for long hears of a service that has lost what it had', () => {
    const net = new Impostor()
    net.start(content(9000), 20_000)
    const count = Math.ceil(9000 / net.parts[0].chunk)
    const all = Array.from({ length: count }, (_, i) => i)
    net.pass(100)
    net.say(writeReply({ ...tally, kind: 'gathering', count, missing: [0] }))
    net.pass(2000)
    const { flight } = net.parts[net.parts.length - 1]
    expect(flight).toBeGreaterThan(1)
    net.pass(100)
    expect(net.say(writeReply({ ...tally, flight, kind: 'gathering', count, missing: all }))).toBeGreaterThan(0)
  })

  it.each([
    // A flight of seven, and little more after each of the silences, which grow.
    { kind: 'gathering', packets: 65, surbs: 80 },
    { kind: 'running', packets: 40, surbs: 100 },
    // As many as the answer has fragments in each round trip of 230 ms: an honest service could need that, if all got lost.
    { kind: 'answer', packets: 350, surbs: 350 }
  ] as const)('is not made to flood the network by $kind words', ({ kind, packets, surbs }) => {
    const net = new Impostor()
    net.start(content(18_000), 20_000)
    const count = Math.ceil(18_000 / net.parts[0].chunk)
    let words = 0
    for (; net.now < 9_000; net.pass(5)) {
      if (net.surbs.length === 0) continue
      const { flight } = net.parts[net.parts.length - 1]
      const claims = { flight, seen: 0xffff, held: 0, unsent: 0xffff }
      const all = Array.from({ length: count }, (_, i) => i)
      net.say(kind === 'gathering'
        ? writeReply({ ...claims, kind, count, missing: all })
        : kind === 'running'
          ? writeReply({ ...claims, kind })
          : answerPart(content(20_000, words), words % 7, claims))
      words += 1
    }
    net.now = 10_000
    net.take(net.requester.step({ is: 'timer' }, net.now, rng))
    expect(net.ended.length).toBe(1)
    expect(net.parts.length).toBeLessThan(packets)
    expect(net.given).toBeLessThan(surbs)
    expect(net.requester.held).toEqual({ calls: 0, surbs: 0 })
  })

  it('makes no SURBs again that are on the way, but does when they must have been lost', () => {
    const net = new Impostor()
    net.start(content(10))
    net.settle()
    const whole = content(18_000)
    const given = net.given
    expect(net.say(answerPart(whole, 0, { seen: given, unsent: 3 }))).toBeGreaterThan(0)
    net.settle()
    expect(net.say(answerPart(whole, 1, { seen: given, unsent: 3 }))).toBe(0)
    // Its round trip is over, and the service has still not seen them; nor did the requester's own patience end.
    const { roundTrip } = timingOf(PARAMETERS, 100)
    const before = net.parts.length
    net.pass(roundTrip - 20)
    expect(net.parts.length).toBe(before)
    expect(net.say(answerPart(whole, 2, { seen: given, unsent: 3 }))).toBeGreaterThan(0)
  })

  it('waits longer when words keep coming after it has asked again', () => {
    const net = new Impostor()
    const patience = (call: number): number => {
      net.start(content(10), 0, call)
      net.settle()
      const [start, before] = [net.now, net.parts.length]
      while (net.parts.length === before) net.pass(10)
      return net.now - start
    }
    const times = Array.from({ length: 24 }, (_, call) => {
      const time = patience(call)
      net.settle()
      net.say(answerPart(content(10, call), 0, { flight: 0 }), PROTOCOL, net.surbs.splice(0).at(0))
      return time
    })
    const mean = (some: readonly number[]): number => some.reduce((a, b) => a + b, 0) / some.length
    expect(net.ended.length).toBe(24)
    expect(mean(times.slice(16))).toBeGreaterThan(2 * mean(times.slice(0, 4)))
  })

  it('never throws, whatever comes, and lets everything go at its deadline', () => {
    fc.assert(fc.property(fc.array(fc.oneof(
      fc.uint8Array({ maxLength: 100 }),
      fc.record({ flight: fc.nat(3), seen: fc.nat(0xffff), held: fc.nat(0xffff), unsent: fc.nat(0xffff), count: fc.integer({ min: 1, max: 10 }), running: fc.boolean() }).map(({ count, running, ...t }) =>
        writeReply(running ? { ...t, kind: 'running' } : { ...t, kind: 'gathering', count, missing: [0, count - 1] })),
      fc.record({ unsent: fc.nat(0xffff), seen: fc.nat(100), seed: fc.nat(3), index: fc.nat(2) }).map(({ seed, index, ...t }) => answerPart(content(9000, seed), index, t))
    ), { maxLength: 6 }), words => {
      const net = new Impostor()
      net.start(content(5000))
      for (const word of words) {
        net.now += 40
        if (net.surbs.length > 0) net.say(word)
        net.take(net.requester.step({ is: 'reply', surbId: bytesFrom(0, 'no SURB', 16), payload: new Uint8Array(3984) }, net.now, rng))
        net.take(net.requester.step({ is: 'timer' }, net.now, rng))
        expect(net.requester.held.surbs).toBeLessThanOrEqual(300)
      }
      net.now = 10_000
      while (net.requester.due !== null) net.take(net.requester.step({ is: 'timer' }, net.now, rng))
      expect(net.ended.length).toBe(1)
      expect(net.requester.held).toEqual({ calls: 0, surbs: 0 })
    }), { numRuns: 30 })
  })

  it('a reply that was changed on the way opens nothing', () => {
    const net = new Impostor()
    net.start(content(10))
    const reply = useSurb(suite, net.surbs[0], encodeMessage(3968, { codec: PROTOCOL, surbs: [], data: answerPart(content(10), 0), sequence: 0 }))
    const packet = reply?.packet ?? new Uint8Array(0)
    packet[4000] ^= 1
    const end = net.back.keys.reduce<Uint8Array | { surbId: Uint8Array, payload: Uint8Array }>((at, key) => {
      const peeled = peel(suite, key, at as Uint8Array)
      return peeled.kind === 'forward' ? peeled.packet : peeled.kind === 'reply' ? peeled : new Uint8Array(0)
    }, packet) as { surbId: Uint8Array, payload: Uint8Array }
    net.take(net.requester.step({ is: 'reply', ...end }, 0, rng))
    expect(net.meter.of('request_reply_dropped', { reason: 'changed' })).toBe(1)
    expect(net.ended).toEqual([])
  })
})
