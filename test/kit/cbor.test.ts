import { encode as twin, rfc8949EncodeOptions } from 'cborg'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { toHex } from '@mixmint/core/kit/bytes'
import { encodeCbor } from '@mixmint/core/kit/cbor'
import { codeOf } from '../doubles/code.ts'

const same = (value: unknown): void => { expect(toHex(encodeCbor(value))).toBe(toHex(twin(value, rfc8949EncodeOptions))) }

describe('writes what cborg writes', () => {
  test('of integers, at every length of their heads', () => {
    for (const edge of [0, 23, 24, 0xff, 0x100, 0xffff, 0x1_0000, 0xffff_ffff, 0x1_0000_0000, 2 ** 40, Number.MAX_SAFE_INTEGER]) {
      same(edge)
      if (edge > 0) same(edge - 1)
    }
  })

  test('of bytes, texts and lists, at every length of their heads', () => {
    for (const length of [0, 1, 23, 24, 255, 256, 65535, 65536, 1 << 20]) {
      same(new Uint8Array(length).fill(length))
      same('x'.repeat(length))
      if (length < 1 << 17) same(new Array(length).fill(1))
    }
  })

  test('of text beyond ASCII', () => { for (const text of ['é', 'ÿ'.repeat(12), '€ 5', '💶', 'a\u0000b', '\ud800']) same(text) })

  test('of maps, in whatever order they come', () => {
    same(new Map([['b', 1], ['a', 2], ['aa', 3], ['', 4], ['x'.repeat(30), 5], ['x'.repeat(24), 6], ['y'.repeat(23), 7]]))
    same(new Map())
  })

  test('of anything', () => {
    const key = fc.string({ maxLength: 30 })
    const { value } = fc.letrec<{ value: unknown }>(tie => ({
      value: fc.oneof(
        { maxDepth: 4 },
        fc.maxSafeNat(), fc.boolean(), fc.constant(null), fc.uint8Array({ maxLength: 300 }), fc.string({ unit: 'grapheme' }),
        fc.array(tie('value'), { maxLength: 6 }), fc.array(fc.tuple(key, tie('value')), { maxLength: 6 }).map(entries => new Map(entries)))
    }))
    fc.assert(fc.property(value, same), { numRuns: 500 })
  })
})

test('results are the caller\'s own', () => {
  const first = encodeCbor('first')
  const copy = first.slice()
  encodeCbor('other')
  expect(first).toEqual(copy)
  expect(first.buffer.byteLength).toBe(first.length)
})

test('an error leaves nothing behind', () => {
  expect(codeOf(() => encodeCbor([1, 2, -3]))).toBe('bad-argument')
  same([1])
})

test.each([[-1], [1.5], [2 ** 53], [NaN], [undefined], [1n], [{ a: 1 }], [new Map([[1, 2]])], [() => 1]])('%s is no value of ours', value => {
  expect(codeOf(() => encodeCbor([value]))).toBe('bad-argument')
})
