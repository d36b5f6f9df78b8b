import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { concat, utf8 } from '@mixmint/core/kit/bytes'
import { bareCapacity, dataCapacity, decodeBare, decodeMessage, encodeBare, encodeMessage } from '@mixmint/mixnet/sphinx/message'
import { bytesFrom, bytesOf } from './sphinx-material.ts'

const codecs = fc.oneof(fc.string({ unit: 'binary', maxLength: 40 }), fc.integer({ min: 100, max: 300 }).map(n => 'c'.repeat(n)))
const sizes = fc.oneof(fc.constantFrom(48, 860, 1408, 3968, 7552, 32128, 64896), fc.integer({ min: 48, max: 64896 }))

/** A message of this data, padded as the format wants. */
function padded (data: Uint8Array): Uint8Array {
  const padding = 3962 - data.length
  return concat(new Uint8Array([padding >> 8, padding & 255]), new Uint8Array(padding), data, new Uint8Array(4))
}

describe('a message', () => {
  test('comes back as it was, whatever fits', () => {
    fc.assert(fc.property(sizes, codecs, fc.integer({ min: 0, max: 5 }), fc.nat(), fc.nat(0xffffffff), (size, codec, count, seed, sequence) => {
      const capacity = dataCapacity(size, codec, count)
      fc.pre(capacity >= 0)
      const data = bytesFrom(seed, 'data', seed % (capacity + 1))
      const surbs = Array.from({ length: count }, (_, i) => bytesFrom(i, 'surb', 734))
      const encoded = encodeMessage(size, { codec, surbs, data, sequence })
      expect(encoded).toHaveLength(size)
      expect(decodeMessage(encoded)).toEqual({ codec, surbs, data, sequence })
    }), { numRuns: 100 })
  })

  test('has this layout', () => {
    const surb = bytesOf('surb', 734)
    const encoded = encodeMessage(3968, { codec: '/a/1', surbs: [surb], data: utf8('hello'), sequence: 0x01020304 })
    const data = concat(new Uint8Array([4]), utf8('/a/1'), new Uint8Array([1]), surb, utf8('hello'))
    expect(encoded).toEqual(concat(new Uint8Array([0x0c, 0x91]), new Uint8Array(0x0c91), data, new Uint8Array([1, 2, 3, 4])))
    expect(0x0c91).toBe(3962 - data.length)
  })

  test('takes exactly its capacity', () => {
    for (const [size, codec, surbs] of [[3968, '', 0], [3968, '/mixmint/request/1.0.0', 5], [1000, 'c'.repeat(127), 1], [64896, 'c'.repeat(128), 1], [48, '', 0]] as const) {
      const capacity = dataCapacity(size, codec, surbs)
      const message = { codec, surbs: Array.from({ length: surbs }, () => bytesOf('surb', 734)), sequence: 1 }
      expect(decodeMessage(encodeMessage(size, { ...message, data: new Uint8Array(capacity) }))?.data).toHaveLength(capacity)
      expect(() => encodeMessage(size, { ...message, data: new Uint8Array(capacity + 1) })).toThrow(expect.objectContaining({ code: 'bad-message', fault: 'caller' }))
    }
    expect(dataCapacity(3968, '/mixmint/request/1.0.0', 6)).toBeLessThan(0)
    expect(dataCapacity(3968, '', 0)).toBe(3960)
  })

  test('is refused by the encoder when malformed', () => {
    const bad = expect.objectContaining({ code: 'bad-message' })
    const fine = { codec: 'x', surbs: [], data: new Uint8Array(1), sequence: 0 }
    expect(() => encodeMessage(3968, { ...fine, surbs: [new Uint8Array(733)] })).toThrow(bad)
    for (const sequence of [-1, 2 ** 32, 0.5, NaN]) expect(() => encodeMessage(3968, { ...fine, sequence })).toThrow(bad)
  })
})

describe('a bare reply', () => {
  test('comes back as it was, whatever fits', () => {
    fc.assert(fc.property(sizes, fc.nat(), fc.nat(0xffffffff), (size, seed, sequence) => {
      const capacity = bareCapacity(size)
      const data = bytesFrom(seed, 'data', seed % (capacity + 1))
      const encoded = encodeBare(size, data, sequence)
      expect(encoded).toHaveLength(size)
      expect(decodeBare(encoded)).toEqual(data)
      expect(decodeBare(encodeBare(size, new Uint8Array(capacity), 0))).toHaveLength(capacity)
      expect(() => encodeBare(size, new Uint8Array(capacity + 1), 0)).toThrow(expect.objectContaining({ code: 'bad-message', fault: 'caller' }))
    }), { numRuns: 50 })
  })

  test('has this layout', () => {
    expect(encodeBare(20, utf8('hello'), 0x01020304)).toEqual(Uint8Array.of(0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, ...utf8('hello'), 1, 2, 3, 4))
  })

  test('is none when it is too short, has a codec, or padding that is not zero', () => {
    for (let length = 0; length < 7; length++) expect(decodeBare(new Uint8Array(length))).toBeNull()
    expect(decodeBare(new Uint8Array(7))).toEqual(new Uint8Array(0))
    expect(decodeBare(encodeMessage(48, { codec: 'x', surbs: [], data: new Uint8Array(1), sequence: 0 }))).toBeNull()
    expect(decodeBare(Uint8Array.of(0, 1, 1, 0, 0, 0, 0, 0))).toBeNull()
    expect(decodeBare(Uint8Array.of(0, 9, 0, 0, 0, 0, 0, 0))).toBeNull()
  })
})

describe('decoding answers null', () => {
  const good = encodeMessage(3968, { codec: 'x', surbs: [], data: new Uint8Array(9), sequence: 0 })

  test('for what is too short to be one', () => {
    for (let length = 0; length < 8; length++) expect(decodeMessage(new Uint8Array(length))).toBeNull()
    expect(decodeMessage(new Uint8Array(8))).toEqual({ codec: '', surbs: [], data: new Uint8Array(0), sequence: 0 })
    expect(decodeMessage(good)).not.toBeNull()
  })

  test('for padding that is not zero, anywhere', () => {
    const padding = good[0] * 256 + good[1]
    for (let at = 2; at < 2 + padding; at++) {
      const bent = good.slice()
      bent[at] = 1
      expect(decodeMessage(bent)).toBeNull()
    }
  })

  test('for padding that leaves no room', () => {
    for (const padding of [3961, 3962, 3963, 3966, 65535]) {
      const all = new Uint8Array(3968)
      all.set([padding >> 8, padding & 255])
      expect(decodeMessage(all)).toBeNull()
    }
  })

  test.each([
    ['a codec longer than the data', [5, 65, 65]],
    ['no SURB count', [2, 65, 65]],
    ['a codec length that is cut off', [0x80]],
    ['a codec length in a longer form than needed', [0x81, 0x00, 65, 0, 0, 0, 0]],
    ['a codec length of three bytes', [0x80, 0x80, 0x01, 65, 0, 0, 0]],
    ['a codec that is not UTF-8', [1, 0xff, 0]],
    ['a codec in an overlong form', [2, 0xc0, 0x80, 0]],
    ['more SURBs than bytes', [1, 65, 1, 0, 0]],
    ['255 SURBs', [1, 65, 255, ...new Array<number>(3900).fill(0)]]
  ])('for %s', (_, data) => {
    expect(decodeMessage(padded(new Uint8Array(data)))).toBeNull()
  })

  test('or a message that encodes to the same bytes', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 3962 }), data => {
      const message = padded(data)
      const decoded = decodeMessage(message)
      if (decoded !== null) expect(encodeMessage(3968, decoded)).toEqual(message)
    }), { numRuns: 300 })
    fc.assert(fc.property(fc.nat(), seed => { decodeMessage(bytesFrom(seed, 'garbage', 3968)) }), { numRuns: 200 })
  })
})
