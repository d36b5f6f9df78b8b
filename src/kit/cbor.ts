/**
 * Writing deterministic CBOR (RFC 8949 §4.2.1): shortest heads, definite lengths, keys in the bytewise order of their
 * encodings. Only what codecs are made of: unsigned integers, bytes, text, true, false, null, lists, maps by text.
 * Reading, where the hostile bytes are, is cborg's; its writer, which sorts the fields of each record anew, took a third
 * of the time of accepting a token, and now is the twin that this one is tested against.
 */
import { MixmintError } from './errors.ts'

const [BYTES, TEXT, LIST, MAP] = [2 << 5, 3 << 5, 4 << 5, 5 << 5]
const [FALSE, TRUE, NULL] = [0xf4, 0xf5, 0xf6]
const encoder = new TextEncoder()

/** Grows as needed; every result is a copy. */
let room = new Uint8Array(4096)
let at = 0

/** @throws bad-argument (caller) for a value of any other kind */
export function encodeCbor (value: unknown): Uint8Array {
  at = 0
  write(value)
  return room.slice(0, at)
}

function write (value: unknown): void {
  if (typeof value === 'number') {
    if (!Number.isSafeInteger(value) || value < 0) throw unknown()
    head(0, value)
  } else if (value instanceof Uint8Array) {
    head(BYTES, value.length)
    push(value)
  } else if (typeof value === 'string') {
    writeText(value)
  } else if (value instanceof Map) {
    head(MAP, value.size)
    for (const [key, item] of inOrder(value)) {
      write(key)
      write(item)
    }
  } else if (Array.isArray(value)) {
    head(LIST, value.length)
    for (const item of value) write(item)
  } else if (value === null || value === true || value === false) {
    reserve(1)
    room[at++] = value === null ? NULL : value ? TRUE : FALSE
  } else {
    throw unknown()
  }
}

/** Short ASCII, as field names are, letter by letter: TextEncoder takes longer to call than that. */
function writeText (text: string): void {
  const start = at
  if (text.length < 24) {
    reserve(24)
    room[at++] = TEXT | text.length
    let all = 0
    for (let i = 0; i < text.length; i++) {
      const letter = text.charCodeAt(i)
      all |= letter
      room[at++] = letter
    }
    if (all < 0x80) return
    at = start
  }
  const bytes = encoder.encode(text)
  head(TEXT, bytes.length)
  push(bytes)
}

/** Codecs give their keys in order: then the map itself is what is walked. */
function inOrder (map: Map<unknown, unknown>): Iterable<[unknown, unknown]> {
  let last: string | null = null
  let isSorted = true
  for (const key of map.keys()) {
    if (typeof key !== 'string') throw unknown()
    if (last !== null && compareKeys(last, key) > 0) isSorted = false
    last = key
  }
  return isSorted ? map : [...map as Map<string, unknown>].sort(([a], [b]) => compareKeys(a, b))
}

/** The order of two keys: a shorter text has a smaller head. Exact for ASCII; field names are. */
export function compareKeys (a: string, b: string): number {
  return a.length - b.length || (a < b ? -1 : 1)
}

/** The initial byte and the shortest form of the argument. */
function head (major: number, n: number): void {
  reserve(9)
  if (n < 24) {
    room[at++] = major | n
    return
  }
  const size = n < 0x100 ? 1 : n < 0x1_0000 ? 2 : n < 0x1_0000_0000 ? 4 : 8
  room[at] = major | 24 + Math.log2(size)
  for (let i = size, rest = n; i > 0; i--) {
    room[at + i] = rest % 256
    rest = Math.floor(rest / 256)
  }
  at += 1 + size
}

function push (bytes: Uint8Array): void {
  reserve(bytes.length)
  room.set(bytes, at)
  at += bytes.length
}

function reserve (length: number): void {
  if (at + length <= room.length) return
  const larger = new Uint8Array(Math.max(2 * room.length, at + length))
  larger.set(room.subarray(0, at))
  room = larger
}

function unknown (): MixmintError {
  return new MixmintError('bad-argument', 'caller', 'only unsigned integers, bytes, text, true, false, null, lists and maps by text can be encoded')
}
