/** What a hostile client may say to a responder. */
import fc from 'fast-check'
import { beforeEach, describe, expect, it } from 'vitest'
import { toHex } from '@mixmint/core/kit/bytes'
import { MixmintError } from '@mixmint/core/kit/errors'
import { bindingOf, readReply, writeRequest, type ReplyPart, type RequestPart } from '@mixmint/mixnet/session/fragment'
import type { ResponderEffect } from '@mixmint/mixnet/session/engines'
import { Responder } from '@mixmint/mixnet/session/responder'
import { decodeMessage, encodeMessage } from '@mixmint/mixnet/sphinx/message'
import { createSurb, openReply, type SurbSecrets } from '@mixmint/mixnet/sphinx/surb'
import { CountingMeter } from '../doubles/meter.ts'
import { seededRng } from '../doubles/rng.ts'
import { bytesFrom, native as suite, pathOf, walk } from './sphinx-material.ts'

const PROTOCOL = '/test/1'
const PARAMETERS = { pathLength: 3, packetSize: 4608, strategy: { kind: 'poisson' as const }, cover: { send: 0, echoes: 0, pace: 0, loop: 0 }, meanDelay: 10, requestLimit: 20_000, surbsPerPacket: 5, answerKept: 1000 }
const MEMORY = 200_000
const rng = seededRng('hostile')

/** One who speaks to a responder by hand. */
class Prober {
  readonly meter = new CountingMeter()
  readonly #path = pathOf(3)
  readonly #surbs: SurbSecrets[] = []
  readonly responder: Responder

  now = 0
  readonly runs: string[] = []

  constructor ({ requestsLimit = 50 }: { requestsLimit?: number } = {}) {
    this.responder = new Responder({
      suite, meter: this.meter, knows: protocol => protocol === PROTOCOL || protocol === '/test/2', parameters: () => PARAMETERS, gatherFor: 500,
      memoryLimit: MEMORY, requestsLimit, runLimit: 4
    })
  }

  surb (): Uint8Array {
    const { surb, secrets } = createSurb(suite, rng.bytes(32), this.#path.hops, rng.bytes(16), rng.bytes(16))
    this.#surbs.push(secrets)
    return surb
  }

  say (part: Partial<RequestPart> & { content: Uint8Array }, surbs: readonly Uint8Array[] = [this.surb()], protocol = PROTOCOL): ReplyPart[] {
    const { content, ...rest } = part
    const whole: RequestPart = {
      id: rest.id ?? bytesFrom(0, 'id', 16), binding: rest.binding ?? bindingOf(suite, rest.id ?? bytesFrom(0, 'id', 16), protocol, content),
      total: content.length, chunk: 1000, index: 0, flight: 0, wants: [], data: content.subarray(0, 1000), ...rest
    }
    return this.deliver(encodeMessage(3968, { codec: protocol, surbs, data: writeRequest(whole), sequence: 0 }))
  }

  deliver (message: Uint8Array): ReplyPart[] {
    return this.read(this.responder.step({ is: 'delivered', message, destination: null }, this.now))
  }

  answer (run: string, content: Uint8Array): ReplyPart[] {
    return this.read(this.responder.step({ is: 'answered', run, content }, this.now))
  }

  wait (ms: number): ReplyPart[] {
    this.now += ms
    return this.read(this.responder.step({ is: 'timer' }, this.now))
  }

  read (effects: readonly ResponderEffect[]): ReplyPart[] {
    return effects.flatMap(effect => {
      if (effect.do === 'run') {
        this.runs.push(effect.run)
        return []
      }
      const end = walk(suite, this.#path.keys, effect.packet).at(-1)
      if (end?.kind !== 'reply') throw new Error('the reply did not arrive')
      const i = this.#surbs.findIndex(({ id }) => toHex(id) === toHex(end.surbId))
      const message = openReply(suite, this.#surbs.splice(i, 1)[0], end.payload)
      const part = message === null ? null : readReply(decodeMessage(message)?.data ?? new Uint8Array(0))
      if (part === null) throw new Error('the reply is none')
      return [part]
    })
  }
}

let prober: Prober
beforeEach(() => { prober = new Prober() })

const content = (length: number, seed = 0): Uint8Array => bytesFrom(seed, 'content', length)

describe('a responder', () => {
  it('two contents under one id get an answer each, and their fragments never meet', () => {
    const a = content(1500, 1)
    const b = content(1500, 2)
    prober.say({ content: a, index: 0 })
    prober.say({ content: b, index: 1, data: b.subarray(1000) })
    expect(prober.runs).toEqual([])
    prober.say({ content: a, index: 1, data: a.subarray(1000) })
    prober.say({ content: b, index: 0 })
    expect(new Set(prober.runs).size).toBe(2)
    const [first] = prober.answer(prober.runs[0], Uint8Array.of(1))
    const [second] = prober.answer(prober.runs[1], Uint8Array.of(2))
    expect([first, second].map(part => part.kind === 'answer' ? [...part.data] : [])).toEqual([[1], [2]])
  })

  it('whoever knows an id but not the content gets nothing of the answer', () => {
    const mine = content(100, 1)
    prober.say({ content: mine })
    prober.answer(prober.runs[0], Uint8Array.of(42))
    const theirs = prober.say({ content: content(100, 2), wants: [0], flight: 1 })
    expect(theirs).toEqual([])
    expect(prober.runs.length).toBe(2)
  })

  it('content that is not what its binding says is not run', () => {
    const mine = content(1500)
    const id = bytesFrom(0, 'id', 16)
    prober.say({ content: mine, index: 0, data: content(1000, 9) })
    prober.say({ content: mine, index: 1, data: mine.subarray(1000) })
    prober.say({ content: mine.subarray(0, 100), binding: bindingOf(suite, id, '/test/2', mine.subarray(0, 100)) })
    expect(prober.runs).toEqual([])
    expect(prober.meter.of('responder_dropped', { reason: 'bad-content' })).toBe(2)
  })

  it('a second fragment under one index, and another cut of the same request, change nothing', () => {
    const mine = content(1500)
    prober.say({ content: mine, index: 0 })
    prober.say({ content: mine, index: 0, data: content(1000, 9) })
    prober.say({ content: mine, index: 0, chunk: 1100, data: mine.subarray(0, 1100) })
    prober.say({ content: mine, index: 1, total: 1600, data: content(600, 9) })
    prober.say({ content: mine, index: 1, data: mine.subarray(1000), binding: bindingOf(suite, bytesFrom(0, 'id', 16), PROTOCOL, mine) }, [], '/test/2')
    expect(prober.meter.of('responder_dropped', { reason: 'conflict' })).toBe(4)
    expect(prober.runs).toEqual([])
    prober.say({ content: mine, index: 1, data: mine.subarray(1000) })
    expect(prober.runs.length).toBe(1)
  })

  it('runs a request once, while it runs and while its answer is kept, and then again', () => {
    const mine = content(100)
    prober.say({ content: mine })
    prober.say({ content: mine })
    prober.say({ content: mine, flight: 1 })
    expect(prober.runs.length).toBe(1)
    expect(prober.answer(prober.runs[0], content(10)).length).toBe(1)
    prober.now += PARAMETERS.answerKept - 1
    expect(prober.say({ content: mine, flight: 2, wants: [0] }).map(({ kind }) => kind)).toEqual(['answer'])
    expect(prober.runs.length).toBe(1)
    prober.wait(1)
    expect(prober.responder.held).toEqual({ requests: 0, running: 0, bytes: 0 })
    prober.say({ content: mine, flight: 3, wants: [0] })
    expect(prober.runs.length).toBe(2)
  })

  it('answers what is wanted again and nothing else, and keeps to the SURBs it has', () => {
    const mine = content(100)
    prober.say({ content: mine })
    const first = prober.answer(prober.runs[0], content(15_000))
    expect(first.map(part => part.kind === 'answer' ? [part.index, part.unsent, part.held] : [])).toEqual([[0, 3, 0]])
    const more = prober.say({ content: mine, index: null, data: new Uint8Array(0) }, [prober.surb(), prober.surb()])
    expect(more.map(part => part.kind === 'answer' ? [part.index, part.unsent] : [])).toEqual([[1, 1], [2, 1]])
    const again = prober.say({ content: mine, index: null, data: new Uint8Array(0), wants: [1, 1, 77] }, [prober.surb(), prober.surb(), prober.surb()])
    expect(again.map(part => part.kind === 'answer' ? part.index : null)).toEqual([1, 3])
  })

  it('says once after a while what is missing, once per part that comes', () => {
    const mine = content(3500)
    expect(prober.say({ content: mine, index: 0 }, [prober.surb(), prober.surb()])).toEqual([])
    expect(prober.wait(200).map(part => part.kind === 'gathering' ? part.missing : [])).toEqual([[1, 2, 3]])
    expect(prober.wait(200)).toEqual([])
    prober.say({ content: mine, index: 2, flight: 3, data: mine.subarray(2000, 3000) }, [])
    expect(prober.wait(200).map(part => part.kind === 'gathering' ? [part.flight, ...part.missing] : [])).toEqual([[3, 1, 3]])
    prober.wait(500)
    expect(prober.responder.held).toEqual({ requests: 0, running: 0, bytes: 0 })
  })

  it('uses no SURB twice, even if it comes twice', () => {
    const surb = prober.surb()
    const mine = content(100)
    prober.say({ content: mine }, [surb, surb])
    expect(prober.answer(prober.runs[0], content(10)).length).toBe(1)
    expect(prober.say({ content: mine, wants: [0], flight: 1 }, [surb])).toEqual([])
    expect(prober.meter.of('responder_dropped', { reason: 'surb' })).toBe(2)
  })

  it('refuses what is too large from its first part, by its claim, and holds nothing of it', () => {
    const [reply] = prober.say({ content: content(1000), total: 20_001 })
    expect(reply.kind === 'refused' && reply.refusal.code).toBe('too-large')
    expect(prober.say({ content: content(1000), total: 20_001 }, [])).toEqual([])
    expect(prober.responder.held.requests).toBe(0)
  })

  it('full of first parts lets the oldest of them go: who never completes anything keeps nobody out', () => {
    for (let i = 0; i < 50; i++) prober.say({ content: content(1500, i) }, [])
    expect(prober.responder.held.requests).toBe(50)
    const mine = content(1500, 99)
    expect(prober.say({ content: mine })).toEqual([])
    for (let i = 100; i < 149; i++) prober.say({ content: content(1500, i) }, [])
    prober.say({ content: mine, index: 1, data: mine.subarray(1000) })
    expect(prober.runs.length).toBe(1)
    expect(prober.responder.held.requests).toBe(50)
    prober.wait(500)
    expect(prober.responder.held.requests).toBe(1)
  })

  it('is busy when all it can hold are requests at work', () => {
    const small = new Prober({ requestsLimit: 4 })
    for (let i = 0; i < 4; i++) small.say({ content: content(100, i) }, [])
    expect(small.runs.length).toBe(4)
    const [reply] = small.say({ content: content(1500, 99) })
    expect(reply.kind === 'refused' && [reply.refusal.code, reply.refusal.retry]).toEqual(['busy', true])
  })

  it('that had too much to do when a request came does not carry it out when it comes again', () => {
    for (let i = 0; i < 5; i++) prober.say({ content: content(100, i) })
    expect(prober.runs.length).toBe(4)
    for (const run of prober.runs) prober.answer(run, content(1))
    const again = prober.say({ content: content(100, 4), flight: 1, wants: [0] })
    expect(again.map(part => part.kind === 'refused' && part.refusal.code)).toEqual(['busy'])
    expect(prober.runs.length).toBe(4)
    prober.wait(PARAMETERS.answerKept)
    expect(prober.responder.held).toEqual({ requests: 0, running: 0, bytes: 0 })
  })

  it('stays within its memory, whatever is sent', () => {
    for (let i = 0; i < 400; i++) {
      const mine = content(20_000, i % 40)
      prober.say({ content: mine, index: i % 20, data: mine.subarray((i % 20) * 1000, (i % 20 + 1) * 1000) }, Array.from({ length: i % 3 }, () => prober.surb()))
      expect(prober.responder.held.bytes).toBeLessThanOrEqual(MEMORY)
    }
    expect(prober.meter.of('responder_evicted')).toBeGreaterThan(0)
    prober.wait(10_000)
    expect(prober.responder.held.bytes).toBe(0)
    expect(prober.responder.due).toBeNull()
  })

  it('never throws, whatever is delivered', () => {
    const surb = prober.surb()
    const hostile = fc.oneof(
      fc.uint8Array({ minLength: 3968, maxLength: 3968 }),
      fc.uint8Array({ maxLength: 300 }),
      fc.record({ codec: fc.constantFrom(PROTOCOL, '', 'x'.repeat(3000)), surbs: fc.array(fc.constantFrom(surb, new Uint8Array(734), new Uint8Array(734).fill(1)), { maxLength: 1 }), data: fc.uint8Array({ maxLength: 150 }), version: fc.boolean() })
        .map(({ version, ...rest }) => {
          if (version && rest.data.length > 0) rest.data[0] = 1
          return encodeMessage(3968, { ...rest, sequence: 0 })
        }),
      fc.record({ total: fc.nat(0xffffffff), chunk: fc.nat(0xffff), index: fc.option(fc.nat(0xffff)), flight: fc.nat(0xffff), wants: fc.array(fc.nat(0xffff), { maxLength: 40 }), length: fc.nat(100) })
        .map(({ length, ...rest }) => encodeMessage(3968, {
          codec: PROTOCOL, surbs: [surb, new Uint8Array(734).fill(2)], sequence: 1,
          data: writeRequest({ ...rest, id: new Uint8Array(16), binding: new Uint8Array(32), data: new Uint8Array(length) })
        })))
    fc.assert(fc.property(hostile, fc.nat(50), (message, ms) => {
      prober.now += ms
      prober.responder.step({ is: 'delivered', message, destination: null }, prober.now)
      prober.responder.step({ is: 'timer' }, prober.now)
      expect(prober.responder.held.bytes).toBeLessThanOrEqual(MEMORY)
    }), { numRuns: 1000 })
    for (const event of ['answered', 'failed'] as const) {
      prober.responder.step(event === 'answered' ? { is: event, run: 'none', content: new Uint8Array(1) } : { is: event, run: 'none', error: new MixmintError('x', 'us', 'x') }, prober.now)
    }
  })
})
