import fc from 'fast-check'
import { expect, it } from 'vitest'
import { concat } from '@mixmint/core/kit/bytes'
import { exactly, lengthPrefixed, ReplyGatherer, untilEnd, type ReplyRule } from '@mixmint/mixnet/service/reply-rule'

const LIMIT = 4096

/** The reply that a rule takes of these bytes in these pieces. */
function gather (rule: ReplyRule, bytes: Uint8Array, cuts: readonly number[], limit = LIMIT): { reply: Uint8Array, whole: boolean } {
  const gatherer = new ReplyGatherer(rule, limit)
  const at = [...new Set([0, ...cuts.map(cut => cut % (bytes.length + 1)), bytes.length])].sort((a, b) => a - b)
  let whole = false
  for (let i = 0; i + 1 < at.length && !whole; i++) whole = gatherer.take(bytes.subarray(at[i], at[i + 1]))
  return { reply: gatherer.end(), whole }
}

/** Of less than 2^14. */
function varint (value: number): Uint8Array {
  return value < 0x80 ? Uint8Array.of(value) : Uint8Array.of(value & 0x7f | 0x80, value >> 7)
}

const cut = fc.array(fc.nat(3000), { maxLength: 6 })
const some = fc.uint8Array({ minLength: 1, maxLength: 2000 })

it('a reply of a fixed length, whatever comes after it', () => {
  fc.assert(fc.property(some, fc.uint8Array({ maxLength: 20 }), cut, (reply, more, cuts) => {
    expect(gather(exactly(reply.length), concat(reply, more), cuts)).toEqual({ reply, whole: true })
  }))
})

it('one message with its length before it, whatever comes after it', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 2000 }), fc.uint8Array({ maxLength: 20 }), cut, (message, more, cuts) => {
    const reply = concat(varint(message.length), message)
    expect(gather(lengthPrefixed({ max: 2000 }), concat(reply, more), cuts)).toEqual({ reply, whole: true })
  }))
})

it('everything until the end', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 2000 }), cut, (reply, cuts) => {
    expect(gather(untilEnd({ max: 2000 }), reply, cuts)).toEqual({ reply, whole: false })
  }))
})

it('a reply that is cut is none', () => {
  for (const [rule, bytes] of [[exactly(3), [1, 2]], [exactly(1), []], [lengthPrefixed({ max: 9 }), [3, 1, 2]], [lengthPrefixed({ max: 9 }), []], [lengthPrefixed({ max: 999 }), [0x81]]] as const) {
    expect(() => gather(rule, Uint8Array.from(bytes), [])).toThrow(expect.objectContaining({ code: 'reply-cut', retry: true }))
  }
})

it('nothing longer than the rule, or than can be carried, is gathered', () => {
  const long = (call: () => unknown): void => { expect(call).toThrow(expect.objectContaining({ code: 'reply-too-long' })) }
  long(() => gather(untilEnd({ max: 10 }), new Uint8Array(11), [3]))
  long(() => gather(untilEnd({ max: 100 }), new Uint8Array(11), [3], 10))
  long(() => gather(exactly(11), new Uint8Array(11), [], 10))
  long(() => gather(lengthPrefixed({ max: 10 }), Uint8Array.of(11), []))
  long(() => gather(lengthPrefixed({ max: 100 }), Uint8Array.of(10), [], 10))
  expect(gather(lengthPrefixed({ max: 10 }), new Uint8Array([9, ...new Uint8Array(9)]), [], 10).whole).toBe(true)
  expect(gather(untilEnd({ max: 10 }), new Uint8Array(10), []).reply).toHaveLength(10)
})

it('a length of more than four bytes is none', () => {
  expect(() => gather(lengthPrefixed({ max: 2 ** 40 }), Uint8Array.of(0x80, 0x80, 0x80, 0x80, 1), [1, 2, 3])).toThrow(expect.objectContaining({ code: 'reply-malformed' }))
})

it('rules have lengths', () => {
  for (const bad of [0, -1, 1.5, NaN, Infinity]) {
    for (const rule of [() => exactly(bad), () => lengthPrefixed({ max: bad }), () => untilEnd({ max: bad })]) {
      expect(rule).toThrow(expect.objectContaining({ code: 'bad-argument' }))
    }
  }
})
