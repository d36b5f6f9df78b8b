/** Both ends of plain requests by hand: what is in the packets, and what happens when things go wrong. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { concat, utf8 } from '@mixmint/core/kit/bytes'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Path, Paths, RequesterEffect, ResponderEffect, SessionParameters } from '@mixmint/mixnet/session/engines'
import { PlainRequester, PlainResponder } from '@mixmint/mixnet/session/plain'
import { encodeMessage } from '@mixmint/mixnet/sphinx/message'
import { createSurb } from '@mixmint/mixnet/sphinx/surb'
import { CountingMeter } from '../doubles/meter.ts'
import { seededRng } from '../doubles/rng.ts'
import { twinReply } from '../reference/sphinx.ts'
import { bytesFrom, bytesOf, flipped, native as suite, pathOf, walk } from './sphinx-material.ts'

const PROTOCOL = '/test/1'
const rng = seededRng('plain')
const PARAMETERS: SessionParameters = {
  strategy: { kind: 'poisson' }, cover: { send: 0, echoes: 0, pace: 0, loop: 0 }, pathLength: 3, packetSize: 4608, meanDelay: 10, requestLimit: 1 << 18, surbsPerPacket: 4, answerKept: 1000
}
const there = pathOf(3, 1)
const back = pathOf(3, 2)
const UNAWARE = bytesOf('an address block', 94)

class Asking {
  readonly meter = new CountingMeter()
  readonly learned: boolean[] = []
  readonly ended: RequesterEffect[] = []
  readonly packets: Uint8Array[] = []
  readonly requester: PlainRequester

  constructor (changes: Partial<Paths> = {}, parameters: Partial<SessionParameters> = {}) {
    this.requester = new PlainRequester({
      suite, meter: this.meter, callLimit: 3, parameters: () => ({ ...PARAMETERS, ...parameters }),
      paths: {
        forward: () => ({ hops: there.hops, expires: Infinity }), back: () => ({ hops: back.hops, expires: Infinity }),
        learned: (_: Path, arrived: boolean) => { this.learned.push(arrived) }, ...changes
      }
    })
  }

  take (effects: readonly RequesterEffect[]): void {
    for (const effect of effects) {
      if (effect.do === 'send') this.packets.push(effect.packet)
      else this.ended.push(effect)
    }
  }

  start (call: number, content: Uint8Array, { deadline = 5000, destination = null as Uint8Array | null, protocol = PROTOCOL } = {}): void {
    this.take(this.requester.step({ is: 'start', call, target: { service: 'x', destination }, protocol, content, deadline, replySize: 0 }, 0, rng))
  }

  /** The message of a packet at the end of its path. */
  message (packet: Uint8Array): { message: Uint8Array, destination: Uint8Array, surbs: Uint8Array[] } {
    const end = walk(suite, there.keys, packet).at(-1)
    if (end?.kind !== 'exit') throw new Error('not at its end')
    const { message, destination } = end
    const at = 2 + (message[0] << 8 | message[1]) + 1 + PROTOCOL.length
    return { message, destination, surbs: Array.from({ length: message[at] }, (_, i) => message.subarray(at + 1 + i * 734, at + 1 + (i + 1) * 734)) }
  }

  /** What a foreign service says through a SURB: this message, padded already. */
  reply (surb: Uint8Array, message: Uint8Array, change: (payload: Uint8Array) => Uint8Array = payload => payload): void {
    const end = walk(suite, back.keys, twinReply(surb, message)).at(-1)
    if (end?.kind !== 'reply') throw new Error('not a reply')
    this.take(this.requester.step({ is: 'reply', surbId: end.surbId, payload: change(end.payload) }, 100, rng))
  }

  errors (): string[] {
    return this.ended.map(effect => effect.do === 'reject' ? effect.error.code : effect.do)
  }
}

/** As the reference implementation writes it: padding length, padding, data, any sequence number. */
function framed (data: Uint8Array): Uint8Array {
  const padding = 3962 - data.length
  return concat(Uint8Array.of(padding >> 8, padding & 255), new Uint8Array(padding), data, Uint8Array.of(9, 8, 7, 6))
}

describe('who asks', () => {
  it('sends one packet: codec, SURBs, bytes', () => {
    const asking = new Asking()
    asking.start(0, utf8('hello'), { destination: UNAWARE })
    expect(asking.packets).toHaveLength(1)
    const { message, destination, surbs } = asking.message(asking.packets[0])
    const data = concat(Uint8Array.of(PROTOCOL.length), utf8(PROTOCOL), Uint8Array.of(2), ...surbs, utf8('hello'))
    expect(destination).toEqual(UNAWARE)
    expect(message.subarray(0, -4)).toEqual(framed(data).subarray(0, -4))
    expect(surbs.map(surb => surb.subarray(0, 94))).toEqual([back.hops[0].address, back.hops[0].address])
    expect(surbs[0]).not.toEqual(surbs[1])
    asking.start(1, new Uint8Array(0))
    expect(asking.message(asking.packets[1]).destination).toEqual(new Uint8Array(94))
  })

  it('takes the first answer that comes, and forgets the SURBs of the others', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 3961 }), fc.boolean(), (answer, second) => {
      const asking = new Asking()
      asking.start(0, utf8('hello'))
      const { surbs } = asking.message(asking.packets[0])
      const message = framed(concat(Uint8Array.of(0), answer))
      asking.reply(surbs[second ? 1 : 0], message)
      expect(asking.ended).toEqual([{ do: 'resolve', call: 0, content: answer }])
      expect(asking.learned).toEqual([true, true])
      expect(asking.requester.held).toEqual({ calls: 0, surbs: 0 })
      expect(asking.requester.due).toBeNull()
      asking.reply(surbs[second ? 0 : 1], message)
      expect(asking.ended).toHaveLength(1)
      expect(asking.meter.of('request_reply_dropped', { reason: 'unknown-surb' })).toBe(1)
    }), { numRuns: 20 })
  })

  it('drops what is no answer, and waits for the other copy', () => {
    const asking = new Asking()
    asking.start(0, utf8('hello'))
    asking.start(1, utf8('hello'))
    const [one, two] = asking.packets.map(packet => asking.message(packet).surbs)
    asking.reply(one[0], framed(Uint8Array.of(0, 1)), payload => flipped(payload, 30_000))
    asking.reply(two[0], framed(Uint8Array.of(1, 65, 1)))
    for (const surbs of [one, two]) asking.reply(surbs[0], framed(Uint8Array.of(0, 1)))
    expect(asking.meter.of('request_reply_dropped', { reason: 'unknown-surb' })).toBe(2)
    expect(asking.ended).toEqual([])
    expect([asking.meter.of('request_reply_dropped', { reason: 'changed' }), asking.meter.of('request_reply_dropped', { reason: 'bad-reply' })]).toEqual([1, 1])
    for (const surbs of [one, two]) asking.reply(surbs[1], framed(Uint8Array.of(0, 1)))
    expect(asking.errors()).toEqual(['resolve', 'resolve'])
  })

  it('fits as many SURBs as the network allows and the bytes leave room for, up to two', () => {
    const surbs = (length: number, parameters: Partial<SessionParameters> = {}): number => {
      const asking = new Asking({}, parameters)
      asking.start(0, new Uint8Array(length))
      return asking.packets.map(packet => asking.message(packet).surbs.length)[0] ?? 0
    }
    // 3962 bytes of data, less 9 for codec and SURB count.
    expect([0, 3953 - 2 * 734, 3954 - 2 * 734, 3953 - 734, 3954 - 734].map(length => surbs(length))).toEqual([2, 2, 1, 1, 0])
    expect(surbs(0, { surbsPerPacket: 1 })).toBe(1)
  })

  it('is told at once what cannot be sent', () => {
    const asking = new Asking()
    asking.start(0, new Uint8Array(3954 - 734))
    asking.start(1, new Uint8Array(0), { protocol: 'x'.repeat(3300) })
    asking.start(2, new Uint8Array(0), { deadline: 0 })
    for (const call of [3, 4, 5, 6]) asking.start(call, new Uint8Array(0))
    expect(asking.errors()).toEqual(['request-too-long', 'bad-argument', 'not-sent', 'not-sent'])
    expect(asking.packets).toHaveLength(3)
    for (const call of [3, 4, 5]) asking.take(asking.requester.step({ is: call === 3 ? 'unsent' : 'cancel', call }, 0, rng))
    expect(asking.errors().slice(4)).toEqual(['not-sent', 'aborted', 'aborted'])
    expect(asking.requester.held).toEqual({ calls: 0, surbs: 0 })
    for (const paths of [{ forward: () => null }, { back: () => null }, { back: () => ({ hops: back.hops, expires: 0 }) }]) {
      const lost = new Asking(paths)
      lost.start(0, new Uint8Array(0))
      expect(lost.errors()).toEqual(['not-sent'])
      expect(lost.requester.held).toEqual({ calls: 0, surbs: 0 })
    }
    const low = new Asking({ forward: () => ({ hops: there.hops.map((hop, i) => i === 1 ? { ...hop, publicKey: new Uint8Array(32) } : hop), expires: Infinity }) })
    low.start(0, new Uint8Array(0))
    expect(low.errors()).toEqual(['not-sent'])
    expect(low.meter.of('request_bad_path')).toBe(1)
    expect(low.requester.held).toEqual({ calls: 0, surbs: 0 })
  })

  it('hears at the deadline that it was lost, and nothing after it', () => {
    const asking = new Asking()
    asking.start(0, utf8('hello'), { deadline: 3000 })
    expect(asking.requester.due).toBe(3000)
    asking.take(asking.requester.step({ is: 'timer' }, 2999, rng))
    expect(asking.ended).toEqual([])
    asking.take(asking.requester.step({ is: 'timer' }, 3000, rng))
    expect(asking.ended).toMatchObject([{ do: 'reject', error: { code: 'lost', fault: 'peer', retry: true } }])
    expect(asking.learned).toEqual([false, false])
    asking.reply(asking.message(asking.packets[0]).surbs[0], framed(Uint8Array.of(0)))
    expect(asking.ended).toHaveLength(1)
    for (const is of ['cancel', 'unsent'] as const) expect(asking.requester.step({ is, call: 0 }, 4000, rng)).toEqual([])
  })
})

describe('who answers', () => {
  const setUp = (knows = (protocol: string): boolean => protocol === PROTOCOL): { responder: PlainResponder, meter: CountingMeter, deliver: (message: Uint8Array) => ResponderEffect[] } => {
    const meter = new CountingMeter()
    const responder = new PlainResponder({ suite, meter, knows, parameters: () => PARAMETERS, runLimit: 2 })
    return { responder, meter, deliver: message => responder.step({ is: 'delivered', message, destination: null }) }
  }
  const surbs = (count: number): Uint8Array[] => Array.from({ length: count }, (_, i) => createSurb(suite, bytesFrom(i, 'e', 32), back.hops, bytesFrom(i, 'id', 16), bytesFrom(i, 'k', 16)).surb)

  it('runs what a foreign sender asked, and answers through its SURBs with bytes', () => {
    const { responder, deliver } = setUp()
    const given = surbs(2)
    const data = concat(Uint8Array.of(PROTOCOL.length), utf8(PROTOCOL), Uint8Array.of(2), ...given, utf8('hello'))
    const [run] = deliver(framed(data))
    expect(run).toMatchObject({ do: 'run', protocol: PROTOCOL, content: utf8('hello'), destination: null })
    expect(run.do === 'run' && run.content.buffer.byteLength).toBe(5)
    expect(responder.held).toEqual({ requests: 1, running: 1, bytes: 3968 + 5 })
    const sent = responder.step({ is: 'answered', run: run.do === 'run' ? run.run : '', content: utf8('world') })
    const padding = 3962 - 6
    const message = concat(Uint8Array.of(padding >> 8, padding & 255), new Uint8Array(padding), Uint8Array.of(0), utf8('world'), new Uint8Array(4))
    expect(sent).toEqual(given.map(surb => ({ do: 'send', firstHop: back.hops[0].address, packet: twinReply(surb, message) })))
    expect(responder.held).toEqual({ requests: 0, running: 0, bytes: 0 })
  })

  it('says nothing when it failed, when the answer is too long, and to those who brought no SURB', () => {
    const { responder, meter, deliver } = setUp()
    const ask = (count: number): string => {
      const [run] = deliver(encodeMessage(3968, { codec: PROTOCOL, surbs: surbs(count), data: new Uint8Array(1), sequence: 1 }))
      return run.do === 'run' ? run.run : ''
    }
    expect(responder.step({ is: 'failed', run: ask(1), error: new MixmintError('full', 'us', 'x') })).toEqual([])
    expect(responder.step({ is: 'answered', run: ask(1), content: new Uint8Array(3962) })).toEqual([])
    expect(responder.step({ is: 'answered', run: ask(0), content: new Uint8Array(1) })).toEqual([])
    expect(responder.step({ is: 'answered', run: ask(1), content: new Uint8Array(3961) })).toHaveLength(1)
    expect(meter.of('responder_refused', { code: 'full' })).toBe(1)
    expect(meter.of('responder_dropped', { reason: 'answer-too-large' })).toBe(1)
    for (const event of [{ is: 'answered', run: '0', content: new Uint8Array(1) }, { is: 'failed', run: '0', error: new MixmintError('x', 'us', 'x') }] as const) {
      expect(responder.step(event)).toEqual([])
    }
    expect(meter.of('responder_dropped', { reason: 'unknown-run' })).toBe(2)
    expect(responder.held.requests).toBe(0)
  })

  it('takes so many at one time, and so many SURBs of each', () => {
    const { responder, meter, deliver } = setUp()
    const message = encodeMessage(3968, { codec: PROTOCOL, surbs: surbs(5), data: new Uint8Array(1), sequence: 1 })
    const [run, , busy] = [deliver(message), deliver(message), deliver(message)]
    expect(busy).toEqual([])
    expect(meter.of('responder_dropped', { reason: 'busy' })).toBe(1)
    expect(responder.step({ is: 'answered', run: run[0].do === 'run' ? run[0].run : '', content: new Uint8Array(1) })).toHaveLength(4)
    expect(deliver(message)).toHaveLength(1)
  })

  it('drops what it does not know or cannot read, and never throws', () => {
    const { meter, deliver, responder } = setUp()
    deliver(encodeMessage(3968, { codec: '/test/2', surbs: surbs(1), data: new Uint8Array(1), sequence: 1 }))
    deliver(new Uint8Array(3))
    responder.step({ is: 'delivered', message: encodeMessage(3968, { codec: '/test/2', surbs: [], data: new Uint8Array(1), sequence: 1 }), destination: { multiaddr: '/ip4/192.0.2.1/tcp/1', peer: new Uint8Array(39), client: null } })
    for (const reason of ['unknown-protocol', 'bad-message', 'exit-refused']) expect(meter.of('responder_dropped', { reason })).toBe(1)
    const any = setUp(() => true)
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), data => {
      const length = Math.min(3962, data.length)
      for (const effect of any.deliver(framed(data.subarray(0, length)))) {
        if (effect.do === 'run') any.responder.step({ is: 'answered', run: effect.run, content: data })
      }
      expect(any.responder.held.requests).toBe(0)
    }), { numRuns: 500 })
    const [run] = any.deliver(encodeMessage(3968, { codec: '', surbs: [new Uint8Array(734)], data: new Uint8Array(1), sequence: 1 }))
    expect(any.responder.step({ is: 'answered', run: run.do === 'run' ? run.run : '', content: new Uint8Array(1) })).toEqual([])
    expect(any.meter.of('responder_dropped', { reason: 'surb' })).toBeGreaterThan(0)
  })
})
