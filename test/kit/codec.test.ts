import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { concat, fromHex, toHex, utf8 } from '@mixmint/core/kit/bytes'
import { bool, bytes, decode, encode, list, maybeBytes, nullable, oneOf, record, tagged, text, uint, variants, type Codec } from '@mixmint/core/kit/codec'
import { codeOf } from '../doubles/code.ts'

const Sample = record({ b: uint(1000), a: bytes(2), list: list(text(4), 3), maybe: nullable(bool) })
const sample = { b: 500, a: Uint8Array.of(1, 2), list: ['x', 'yz'], maybe: null }
/** {"a": h'0102', "b": 500, "list": ["x", "yz"], "maybe": null}, by hand from RFC 8949. */
const SAMPLE = 'a4' + '6161' + '420102' + '6162' + '1901f4' + '646c697374' + '82' + '6178' + '62797a' + '656d61796265' + 'f6'

const refuse = (codec: Codec<unknown>, hex: string): void => {
  expect(codeOf(() => decode(codec, fromHex(hex))), hex).toBe('bad-encoding')
}
const Int = uint() as Codec<unknown>
const Any = list(uint(), 8) as Codec<unknown>

describe('what encode writes', () => {
  test('is deterministic CBOR, keys in bytewise order of their encoding', () => {
    expect(toHex(encode(Sample, sample))).toBe(SAMPLE)
    expect(decode(Sample, fromHex(SAMPLE))).toEqual(sample)
  })

  test('does not depend on the order of a value\'s own fields', () => {
    expect(toHex(encode(Sample, { maybe: null, list: sample.list, a: sample.a, b: 500 }))).toBe(SAMPLE)
  })

  test('comes back the same', () => {
    fc.assert(fc.property(
      fc.nat(1000), fc.uint8Array({ minLength: 2, maxLength: 2 }), fc.array(fc.string({ maxLength: 2 }), { maxLength: 3 }), fc.option(fc.boolean()),
      (b, a, list, maybe) => { expect(decode(Sample, encode(Sample, { b, a, list, maybe }))).toEqual({ b, a, list, maybe }) }))
  })
})

describe('other encodings of the same value are refused', () => {
  test.each([
    ['an integer in a longer form, 1 byte', Int, '1801'],
    ['an integer in a longer form, 2 bytes', Int, '190001'],
    ['an integer in a longer form, 4 bytes', Int, '1a00000001'],
    ['an integer in a longer form, 8 bytes', Int, '1b0000000000000001'],
    ['a float that is a whole number', Int, 'f93c00'],
    ['a float of 4 bytes', Int, 'fa3f800000'],
    ['a float of 8 bytes', Int, 'fb3ff0000000000000'],
    ['a tagged bignum', Int, 'c24101'],
    ['a tag around the value', Int, 'd9d9f701'],
    ['a list of indefinite length', Any, '9f01ff'],
    ['a list with a longer length', Any, '980101'],
    ['bytes of indefinite length', bytes(2) as Codec<unknown>, '5f41014102ff'],
    ['bytes with a longer length', bytes(2) as Codec<unknown>, '58020102'],
    ['text of indefinite length', text(8) as Codec<unknown>, '7f61616162ff'],
    ['text with a longer length', text(8) as Codec<unknown>, '780161'],
    ['text that is not UTF-8', text(8) as Codec<unknown>, '61ff'],
    ['text with an overlong character', text(8) as Codec<unknown>, '62c080'],
    ['trailing bytes', Int, '0100'],
    ['a second value', Int, '0101'],
    ['false as a simple value of 2 bytes', bool as Codec<unknown>, 'f814'],
    ['a map of indefinite length', Sample as Codec<unknown>, 'bf' + SAMPLE.slice(2) + 'ff'],
    ['a map with a longer length', Sample as Codec<unknown>, 'b804' + SAMPLE.slice(2)]
  ])('%s', (_, codec, hex) => { refuse(codec, hex) })

  test('keys out of order', () => {
    refuse(Sample as Codec<unknown>, 'a4' + '6162' + '1901f4' + '6161' + '420102' + SAMPLE.slice(2 + 4 + 6 + 4 + 6))
  })

  test('a key that is there twice', () => {
    refuse(Sample as Codec<unknown>, 'a5' + '6161' + '420102' + SAMPLE.slice(2))
    refuse(Sample as Codec<unknown>, 'a4' + '6161' + '420102' + '6161' + '420102' + SAMPLE.slice(2 + 4 + 6 + 4 + 6))
  })
})

describe('values of another shape are refused', () => {
  test.each([
    ['nothing at all', Int, ''],
    ['a cut integer', Int, '19ff'],
    ['an integer above the bound', uint(10) as Codec<unknown>, '0b'],
    ['2^53', Int, '1b0020000000000000'],
    ['2^64 − 1', Int, '1bffffffffffffffff'],
    ['a negative integer', Int, '20'],
    ['a fraction', Int, 'f93e00'],
    ['not a number', Int, 'f97e00'],
    ['infinity', Int, 'f97c00'],
    ['undefined', nullable(uint()) as Codec<unknown>, 'f7'],
    ['text where bytes belong', bytes({ max: 9 }) as Codec<unknown>, '6161'],
    ['bytes where text belongs', text(9) as Codec<unknown>, '4161'],
    ['too few bytes', bytes({ min: 2, max: 3 }) as Codec<unknown>, '4101'],
    ['too many bytes', bytes({ min: 2, max: 3 }) as Codec<unknown>, '4401020304'],
    ['bytes of half an optional key', maybeBytes(4) as Codec<unknown>, '420102'],
    ['text too long', text(1) as Codec<unknown>, '626161'],
    ['an unknown word', oneOf('pay', 'token') as Codec<unknown>, '6161'],
    ['a number for a truth', bool as Codec<unknown>, '01'],
    ['a list too long', list(uint(), 1) as Codec<unknown>, '820101'],
    ['a list too short', list(uint(), 2, 1) as Codec<unknown>, '80'],
    ['a list where a map belongs', Sample as Codec<unknown>, '80'],
    ['a map where a list belongs', Any, 'a0'],
    ['a missing key', Sample as Codec<unknown>, 'a3' + SAMPLE.slice(2 + 4 + 6)],
    ['an unknown key', Sample as Codec<unknown>, 'a5' + '6161' + '420102' + '6162' + '1901f4' + '6163' + '00' + SAMPLE.slice(22)],
    ['an unknown key in place of one', record({ a: uint() }) as Codec<unknown>, 'a1' + '6162' + '01'],
    ['a key that is a number', record({ 1: uint() }) as Codec<unknown>, 'a1' + '01' + '01']
  ])('%s', (_, codec, hex) => { refuse(codec, hex) })

  test('a longer encoding than allowed', () => {
    expect(codeOf(() => decode(bytes({ max: 100 }), encode(bytes({ max: 100 }), new Uint8Array(100)), 50))).toBe('bad-encoding')
  })

  test('the error names the place', () => {
    const Outer = record({ inner: list(record({ n: uint(1) }), 4) })
    expect(() => decode(Outer, encode(Outer, { inner: [{ n: 1 }, { n: 2 }] }))).toThrow('inner[1].n')
  })
})

describe('hostile encodings', () => {
  test('100,000 levels deep', () => {
    for (const level of [0x81, 0xc1]) {
      expect(codeOf(() => decode(Any, concat(new Uint8Array(100_000).fill(level), Uint8Array.of(0))))).toBe('bad-encoding')
    }
    const maps = concat(...Array.from({ length: 100_000 }, () => Uint8Array.of(0xa1, 0x61, 0x61)), Uint8Array.of(0))
    expect(codeOf(() => decode(Sample, maps))).toBe('bad-encoding')
  })

  test('giant lengths cost neither memory nor time', () => {
    for (const major of ['5', '7', '9', 'b']) {
      for (const length of ['a7fffffff', 'affffffff', 'b00001fffffffffff', 'b001fffffffffffff', 'bffffffffffffffff']) {
        const start = performance.now()
        refuse(Any, major + length + '00')
        expect(performance.now() - start).toBeLessThan(200)
      }
    }
  })

  test('keys that name parts of every object', () => {
    for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
      const key = toHex(encode(text(32), name))
      refuse(record({ a: uint() }) as Codec<unknown>, 'a1' + key + '01')
      refuse(Sample as Codec<unknown>, 'a1' + key + 'a0')
      refuse(variants('op', { ping: record({}) }) as Codec<unknown>, 'a1' + '626f70' + key)
    }
    expect(({} as Record<string, unknown>).a).toBeUndefined()
  })

  test('no bytes whatever throw anything but bad-encoding, and whatever is accepted is what encode writes', () => {
    const valid = fromHex(SAMPLE)
    const mutated = fc.tuple(fc.nat(valid.length - 1), fc.integer({ min: 1, max: 255 }), fc.nat(valid.length)).map(([at, flip, cut]) => {
      const copy = valid.slice(0, Math.max(cut, at + 1))
      copy[at] ^= flip
      return copy
    })
    fc.assert(fc.property(fc.oneof(mutated, fc.uint8Array({ maxLength: 40 })), input => {
      let value
      try {
        value = decode(Sample, input)
      } catch (error) {
        expect((error as { code: string }).code).toBe('bad-encoding')
        return
      }
      expect(toHex(encode(Sample, value))).toBe(toHex(input))
    }), { numRuns: 2000 })
  })
})

describe('variants', () => {
  const Message = variants('op', { ping: record({ n: uint() }), stop: record({}) })

  test('are told apart by their tag', () => {
    expect(decode(Message, encode(Message, { op: 'ping', n: 7 }))).toEqual({ op: 'ping', n: 7 })
    expect(decode(Message, encode(Message, { op: 'stop' }))).toEqual({ op: 'stop' })
  })

  test('with no tag, an unknown tag or the fields of another are refused', () => {
    const Loose = variants('op', { ping: record({}), stop: record({ n: uint() }), other: record({}) })
    for (const value of [{ op: 'ping' }, { op: 'stop', n: 1 }, { op: 'other' }] as const) {
      expect(codeOf(() => decode(Message, encode(Loose, value)))).toBe('bad-encoding')
    }
    refuse(Message as Codec<unknown>, 'a0')
    refuse(Message as Codec<unknown>, '01')
  })
})

test('tagged bytes begin with the domain', () => {
  expect(tagged('coin', Uint8Array.of(9))).toEqual(concat(utf8('mixmint/coin/1'), Uint8Array.of(9)))
})
