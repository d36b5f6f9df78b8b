/**
 * Codecs: deterministic CBOR (RFC 8949 §4.2.1), parsed once, at the door, into types.
 *
 * A codec describes the one accepted shape of a value. Decoding refuses whatever this library would not itself have
 * written: indefinite lengths, long integer forms, unsorted or repeated keys, unknown or missing fields, trailing
 * bytes, floats, tags. So equal values have equal bytes, and a hash or signature covers exactly one encoding.
 */
import { decode as cborDecode } from 'cborg'
import { concat, equal, utf8 } from './bytes.ts'
import { compareKeys, encodeCbor } from './cbor.ts'
import { MixmintError } from './errors.ts'

export interface Codec<T> {
  /** The value in the terms of CBOR: number, string, Uint8Array, boolean, null, array, Map. */
  readonly out: (value: T) => unknown
  /** @throws bad-encoding (peer), naming the place, when the shape is not this codec's */
  readonly parse: (raw: unknown, at: string) => T
}

export type Of<C> = C extends Codec<infer T> ? T : never

function bad (at: string, wanted: string, cause?: unknown): MixmintError {
  return new MixmintError('bad-encoding', 'peer', `${at === '' ? 'value' : at}: ${wanted}`, { cause })
}

/** Bytes of one length, or of a length within bounds (inclusive). */
export function bytes (length: number | { min?: number, max: number }): Codec<Uint8Array> {
  const min = typeof length === 'number' ? length : length.min ?? 0
  const max = typeof length === 'number' ? length : length.max
  return {
    out: value => value,
    parse: (raw, at) => {
      if (!(raw instanceof Uint8Array) || raw.length < min || raw.length > max) {
        throw bad(at, min === max ? `${min} bytes wanted` : `${min} to ${max} bytes wanted`)
      }
      return raw
    }
  }
}

/** Empty, or exactly this many bytes: the encoding of an optional key or hash. */
export function maybeBytes (length: number): Codec<Uint8Array> {
  const any = bytes({ max: length })
  return {
    out: any.out,
    parse: (raw, at) => {
      const value = any.parse(raw, at)
      if (value.length !== 0 && value.length !== length) throw bad(at, `0 or ${length} bytes wanted`)
      return value
    }
  }
}

/** An unsigned integer, at most `max` (default 2^53 − 1). */
export function uint (max: number = Number.MAX_SAFE_INTEGER): Codec<number> {
  return {
    out: value => value,
    parse: (raw, at) => {
      if (typeof raw !== 'number' || !Number.isSafeInteger(raw) || raw < 0 || raw > max) {
        throw bad(at, `an unsigned integer up to ${max} wanted`)
      }
      return raw
    }
  }
}

/** Text of at most `max` UTF-16 units. */
export function text (max: number): Codec<string> {
  return {
    out: value => value,
    parse: (raw, at) => {
      if (typeof raw !== 'string' || raw.length > max) throw bad(at, `text of at most ${max} characters wanted`)
      return raw
    }
  }
}

export const bool: Codec<boolean> = {
  out: value => value,
  parse: (raw, at) => {
    if (typeof raw !== 'boolean') throw bad(at, 'true or false wanted')
    return raw
  }
}

/** One of these words. */
export function oneOf<const W extends readonly string[]> (...words: W): Codec<W[number]> {
  return {
    out: value => value,
    parse: (raw, at) => {
      if (typeof raw !== 'string' || !words.includes(raw)) throw bad(at, `one of ${words.join(', ')} wanted`)
      return raw
    }
  }
}

export function list<T> (of: Codec<T>, max: number, min = 0): Codec<T[]> {
  return {
    out: value => value.map(of.out),
    parse: (raw, at) => {
      if (!Array.isArray(raw) || raw.length < min || raw.length > max) throw bad(at, `a list of ${min} to ${max} wanted`)
      return raw.map((item, i) => of.parse(item, `${at}[${i}]`))
    }
  }
}

export function nullable<T> (of: Codec<T>): Codec<T | null> {
  return {
    out: value => value === null ? null : of.out(value),
    parse: (raw, at) => raw === null ? null : of.parse(raw, at)
  }
}

/** Any value, as CBOR has it, its maps as Maps: to read what another version wrote, field by field. */
export const anything: Codec<unknown> = { parse: raw => raw, out: value => value }

export type Fields = Record<string, Codec<unknown>>
export type RecordOf<F extends Record<string, unknown>> = { [K in keyof F]: F[K] extends Codec<infer T> ? T : never }

/** A map with exactly these text keys. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- a codec is invariant in its type
export function record<F extends Record<string, Codec<any>>> (fields: F): Codec<RecordOf<F>> & { fields: F } {
  // In the order of writing, so that nothing is left to sort then.
  const names = Object.keys(fields).sort(compareKeys)
  return {
    fields,
    out: value => {
      const map = new Map<string, unknown>()
      for (const name of names) map.set(name, fields[name].out(value[name]))
      return map
    },
    parse: (raw, at) => {
      if (!(raw instanceof Map)) throw bad(at, 'a map wanted')
      if (raw.size !== names.length) throw bad(at, `a map with just the keys ${names.join(', ')} wanted`)
      const value: Record<string, unknown> = {}
      for (const name of names) {
        if (!raw.has(name)) throw bad(at, `the key ${name} is missing`)
        value[name] = fields[name].parse(raw.get(name), at === '' ? name : `${at}.${name}`)
      }
      return value as RecordOf<F>
    }
  }
}

/**
 * One of several records, told apart by the text under the key `tag`, which is itself a field of the value:
 * `variants('op', { ping: record({…}) })` has values `{ op: 'ping', … }`.
 */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- as above
export function variants<K extends string, V extends Record<string, Codec<any>>> (tag: K, cases: V):
Codec<{ [N in keyof V & string]: { [T in K]: N } & Of<V[N]> }[keyof V & string]> {
  return {
    out: value => {
      const name = (value as Record<string, string>)[tag]
      return new Map([[tag, name], ...(cases[name].out(value) as Map<string, unknown>)])
    },
    parse: (raw, at) => {
      const name: unknown = raw instanceof Map ? raw.get(tag) : undefined
      if (typeof name !== 'string' || !Object.hasOwn(cases, name)) {
        throw bad(at, `a map whose ${tag} is one of ${Object.keys(cases).join(', ')} wanted`)
      }
      const rest = new Map(raw as Map<string, unknown>)
      rest.delete(tag)
      return { [tag]: name, ...cases[name].parse(rest, at) }
    }
  }
}

export function encode<T> (codec: Codec<T>, value: T): Uint8Array {
  return encodeCbor(codec.out(value))
}

/**
 * @param max the longest accepted encoding, in bytes
 * @throws bad-encoding (peer) for anything that `encode` of the same codec does not produce
 */
export function decode<T> (codec: Codec<T>, encoded: Uint8Array, max: number = 1 << 20): T {
  if (encoded.length > max) throw bad('', `at most ${max} bytes wanted, these are ${encoded.length}`)
  let value: T
  let again: Uint8Array
  try {
    value = codec.parse(cborDecode(encoded, STRICT), '')
    again = encode(codec, value)
  } catch (error) {
    if (error instanceof MixmintError) throw error
    throw bad('', 'deterministic CBOR wanted', error)
  }
  if (!equal(again, encoded)) throw bad('', 'deterministic CBOR wanted; these bytes are another encoding of the value')
  return value
}

const STRICT = {
  strict: true, useMaps: true, rejectDuplicateMapKeys: true, allowIndefinite: false, allowUndefined: false,
  allowBigInt: false, allowInfinity: false, allowNaN: false, tags: {}
}

/** There are a few dozen tags, each used for everything of its kind. */
const tags = new Map<string, Uint8Array>()

/** The bytes that are hashed or signed: the domain tag `mixmint/<what>/1`, then the parts. @param what a constant */
export function tagged (what: string, ...parts: readonly Uint8Array[]): Uint8Array {
  let tag = tags.get(what)
  if (tag === undefined) {
    tag = utf8(`mixmint/${what}/1`)
    tags.set(what, tag)
  }
  return concat(tag, ...parts)
}
