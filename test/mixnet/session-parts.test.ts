import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { pureSuite } from '@mixmint/core/crypto/pure'
import { Alarms } from '@mixmint/mixnet/session/alarms'
import { Assembly } from '@mixmint/mixnet/session/assembly'
import { answerChunk, bucket, carriesRequests, fits, plan, planFirst } from '@mixmint/mixnet/session/flight'
import {
  bindingOf, fragmentCount, fragmentLength, fragmentOf, MIN_ANSWER_CHUNK, MIN_REQUEST_CHUNK, readReply, readRequest, REQUEST_HEADER, writeReply, writeRequest,
  type ReplyPart, type RequestPart
} from '@mixmint/mixnet/session/fragment'
import { dataCapacity } from '@mixmint/mixnet/sphinx/message'

const bytesOf = (length: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ minLength: length, maxLength: length })
const u16 = fc.integer({ min: 0, max: 0xffff })

/** A total, a chunk and one of the fragments. */
const cut = (minChunk: number): fc.Arbitrary<{ total: number, chunk: number, index: number, data: Uint8Array }> =>
  fc.record({ total: fc.integer({ min: 0, max: 1 << 18 }), chunk: fc.integer({ min: minChunk, max: 3900 }), pick: fc.nat() }).chain(({ total, chunk, pick }) => {
    const index = pick % fragmentCount(total, chunk)
    return bytesOf(fragmentLength(total, chunk, index)).map(data => ({ total, chunk, index, data }))
  })

const requestPart: fc.Arbitrary<RequestPart> = fc.tuple(
  cut(MIN_REQUEST_CHUNK), fc.boolean(), bytesOf(16), bytesOf(32), u16, fc.array(u16, { maxLength: 32 })
).map(([{ total, chunk, index, data }, onlySurbs, id, binding, flight, wants]) =>
  ({ id, binding, total, chunk, index: onlySurbs ? null : index, flight, wants, data: onlySurbs ? new Uint8Array(0) : data }))

const tally = fc.record({ flight: u16, seen: u16, held: u16, unsent: u16 })
const replyPart: fc.Arbitrary<ReplyPart> = fc.oneof(
  fc.tuple(tally, bytesOf(16), cut(MIN_ANSWER_CHUNK)).map(([t, answer, fragment]) => ({ ...t, kind: 'answer' as const, answer, ...fragment })),
  fc.tuple(tally, fc.integer({ min: 1, max: 4096 }), fc.array(fc.nat(), { minLength: 1 })).map(([t, count, some]) =>
    ({ ...t, kind: 'gathering' as const, count, missing: [...new Set(some.map(i => i % count))].sort((a, b) => a - b) })),
  tally.map(t => ({ ...t, kind: 'running' as const })),
  fc.tuple(tally, fc.string({ maxLength: 64 }), fc.constantFrom('caller' as const, 'us' as const), fc.boolean(), fc.string({ maxLength: 512 })).map(([t, code, fault, retry, message]) =>
    ({ ...t, kind: 'refused' as const, refusal: { code, fault, retry, message } })))

describe('parts', () => {
  it('are read as they were written', () => {
    fc.assert(fc.property(requestPart, part => { expect(readRequest(writeRequest(part))).toEqual(part) }))
    fc.assert(fc.property(replyPart, part => { expect(readReply(writeReply(part))).toEqual(part) }))
  })

  it('what is read was written so: no second encoding is taken', () => {
    const spoiled = <T>(arbitrary: fc.Arbitrary<T>, write: (part: T) => Uint8Array): fc.Arbitrary<Uint8Array> =>
      fc.tuple(arbitrary.map(write), fc.nat(), fc.integer({ min: 0, max: 255 }), fc.integer({ min: -3, max: 3 })).map(([bytes, at, value, longer]) => {
        const out = new Uint8Array(Math.max(0, bytes.length + longer))
        out.set(bytes.subarray(0, out.length))
        if (out.length > 0) out[at % Math.min(out.length, 70)] = value
        return out
      })
    fc.assert(fc.property(spoiled(requestPart, writeRequest), bytes => {
      const part = readRequest(bytes)
      if (part !== null) expect(writeRequest(part)).toEqual(bytes)
    }), { numRuns: 1000 })
    fc.assert(fc.property(spoiled(replyPart, writeReply), bytes => {
      const part = readReply(bytes)
      if (part !== null) expect(writeReply(part)).toEqual(bytes)
    }), { numRuns: 1000 })
  })

  it('random bytes never throw', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), bytes => {
      if (bytes.length > 0) bytes[0] = 1
      readRequest(bytes)
      for (const kind of [0, 1, 2, 3, 4]) {
        if (bytes.length > 1) bytes[1] = kind
        readReply(bytes)
      }
    }), { numRuns: 2000 })
  })

  it('a length that does not match its claim, an index beyond the count and a tiny chunk are refused', () => {
    const part: RequestPart = { id: new Uint8Array(16), binding: new Uint8Array(32), total: 250, chunk: 100, index: 2, flight: 0, wants: [], data: new Uint8Array(50) }
    expect(readRequest(writeRequest(part))).not.toBeNull()
    const bad: Array<Partial<RequestPart>> = [
      { data: new Uint8Array(51) }, { data: new Uint8Array(49) }, { index: 3 }, { index: 1 }, { index: null }, { chunk: 63 }, { chunk: 0 }, { total: 0xffffffff }
    ]
    for (const change of bad) expect(readRequest(writeRequest({ ...part, ...change })), JSON.stringify(change)).toBeNull()
    const answer: ReplyPart = { flight: 0, seen: 0, held: 0, unsent: 0, kind: 'answer', answer: new Uint8Array(16), total: 5000, chunk: 3000, index: 1, data: new Uint8Array(2000) }
    expect(readReply(writeReply(answer))).not.toBeNull()
    for (const change of [{ index: 2 }, { chunk: 511 }, { total: 5001 }, { data: new Uint8Array(1999) }]) expect(readReply(writeReply({ ...answer, ...change }))).toBeNull()
    const status: ReplyPart = { flight: 0, seen: 0, held: 0, unsent: 0, kind: 'gathering', count: 9, missing: [8] }
    const beyond = writeReply(status)
    beyond[beyond.length - 1] = 0x40
    expect(readReply(beyond)).toBeNull()
  })

  it('a binding is another for every change of id, protocol or content, however they are cut', () => {
    const id = new Uint8Array(16)
    const names = [bindingOf(pureSuite, id, 'ab', Uint8Array.of(99)), bindingOf(pureSuite, id, 'abc', new Uint8Array(0)), bindingOf(pureSuite, id, 'a', Uint8Array.of(98, 99)),
      bindingOf(pureSuite, id.fill(1), 'ab', Uint8Array.of(99))]
    expect(new Set(names.map(name => name.join())).size).toBe(4)
  })
})

describe('assembly', () => {
  it('joins fragments in any order, with duplicates, and holds to the first of two', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 2000 }), fc.integer({ min: 64, max: 500 }), fc.infiniteStream(fc.nat()), (content, chunk, picks) => {
      const assembly = new Assembly(content.length, chunk)
      for (let i = 0; !assembly.complete; i++) {
        const missing = assembly.missing()
        const index = i % 3 === 0 ? missing[0] : (picks.next().value ?? 0) % assembly.count
        expect(assembly.add(index, fragmentOf(content, chunk, index))).toBe(missing.includes(index) ? 'new' : 'duplicate')
        if (content.length > 0) expect(assembly.add(index, fragmentOf(content, chunk, index).map(x => x ^ 1))).toBe('conflict')
      }
      expect(assembly.join()).toEqual(content)
    }))
  })

  it('holds nothing for what is only claimed', () => {
    expect(new Assembly(1 << 20, 64).bytes).toBe(0)
  })
})

describe('flights', () => {
  const protocols = ['/a', '/mixmint/merchant/1.0.0', 'x'.repeat(150)]

  it('carry every fragment and every SURB, and fit into their packets', () => {
    fc.assert(fc.property(fc.constantFrom(932, 1408, 3968, 7552, 32128), fc.constantFrom(...protocols), fc.integer({ min: 0, max: 1 << 18 }), fc.integer({ min: 1, max: 100 }), fc.integer({ min: 1, max: 5 }), (size, protocol, total, surbs, most) => {
      fc.pre(fits(size, protocol))
      const { chunk, parts } = planFirst(size, protocol, total, surbs, most)
      const indices = new Set(parts.map(({ index }) => index).filter(index => index !== null))
      expect(indices.size).toBe(fragmentCount(total, chunk))
      expect(parts.reduce((sum, part) => sum + part.surbs, 0)).toBe(surbs)
      expect(parts.length).toBe(bucket(parts.length))
      for (const part of parts) {
        const length = part.index === null ? 0 : fragmentLength(total, chunk, part.index)
        expect(part.surbs).toBeLessThanOrEqual(most)
        expect(REQUEST_HEADER + 2 * part.wants.length + length).toBeLessThanOrEqual(dataCapacity(size, protocol, part.surbs))
      }
    }))
  })

  it('bring a SURB for every want', () => {
    const wants = Array.from({ length: 23 }, (_, i) => i * 3)
    const parts = plan(3968, '/a', 1000, 1000, [0], wants.length, wants, 5)
    expect(parts.flatMap(part => [...part.wants])).toEqual(wants)
    for (const part of parts) expect(part.wants.length).toBe(part.surbs)
  })

  it('are of few sizes', () => {
    expect([1, 2, 3, 4, 5, 6, 7, 9, 13, 17, 25, 68].map(bucket)).toEqual([1, 2, 3, 4, 6, 6, 8, 12, 16, 24, 32, 96])
  })

  it('cannot be made for protocols with endless names', () => {
    expect(fits(3968, 'x'.repeat(3094))).toBe(true)
    expect(fits(3968, 'x'.repeat(3104))).toBe(false)
    expect(answerChunk(3968, 'x'.repeat(3094))).toBeGreaterThanOrEqual(MIN_ANSWER_CHUNK)
  })

  it('need packets of some size, the larger the longer the contents', () => {
    expect([1571, 1572, 65536, 65537, 640, 0].map(size => carriesRequests(size, 1))).toEqual([false, true, true, false, false, false])
    expect([1572, 2048, 4608].map(size => carriesRequests(size, 1 << 20))).toEqual([false, false, true])
    expect(carriesRequests(1572, 512 * 826)).toBe(true)
    expect(carriesRequests(1572, 512 * 826 + 1)).toBe(false)
  })
})

describe('alarms', () => {
  it('ring as a plain table of times would, and are never announced too late', () => {
    const operation = fc.oneof(
      fc.record({ op: fc.constant('set' as const), key: fc.nat(4), at: fc.nat(100) }),
      fc.record({ op: fc.constant('delete' as const), key: fc.nat(4), at: fc.constant(0) }),
      fc.record({ op: fc.constant('ring' as const), key: fc.constant(0), at: fc.nat(100) }))
    fc.assert(fc.property(fc.array(operation, { maxLength: 60 }), operations => {
      const alarms = new Alarms<number>()
      const table = new Map<number, number>()
      for (const { op, key, at } of operations) {
        if (op === 'set') { alarms.set(key, at); table.set(key, at) }
        if (op === 'delete') { alarms.delete(key); table.delete(key) }
        if (op === 'ring') {
          const due = [...table].filter(([, time]) => time <= at).map(([name]) => name)
          for (const name of due) table.delete(name)
          expect(alarms.ring(at).sort()).toEqual(due.sort())
        }
        const first = Math.min(...table.values())
        if (table.size === 0) expect(alarms.next()).toBeNull()
        else expect(alarms.next()).toBeLessThanOrEqual(first)
      }
    }))
  })
})
