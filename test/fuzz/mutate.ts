/** Hostile bytes made of good ones: what parsers are most often wrong about. */
import { decode, encode } from 'cborg'
import { concat } from '@mixmint/core/kit/bytes'
import type { Chance } from './chance.ts'

const INTERESTING = [0, 1, 2, 7, 8, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x1_0000, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff]

type Mutator = (bytes: Uint8Array, chance: Chance, other: Uint8Array) => Uint8Array

const MUTATORS: readonly Mutator[] = [
  // One bit, or some.
  (bytes, chance) => edited(bytes, out => {
    for (let n = chance.often(0.5) ? 1 : chance.between(2, 8); n > 0 && out.length > 0; n--) out[chance.below(out.length)] ^= 1 << chance.below(8)
  }),
  // One byte, of those that mean something somewhere.
  (bytes, chance) => edited(bytes, out => { if (out.length > 0) out[chance.below(out.length)] = chance.pick(INTERESTING) }),
  // A number of two or four bytes: lengths and counts that lie, by little or by much.
  (bytes, chance) => edited(bytes, out => {
    const size = chance.pick([2, 4])
    if (out.length < size) return
    const at = chance.below(out.length - size + 1)
    const view = new DataView(out.buffer)
    const old = size === 2 ? view.getUint16(at) : view.getUint32(at)
    const value = chance.often(0.5) ? old + chance.between(-2, 2) : chance.pick(INTERESTING)
    if (size === 2) view.setUint16(at, value & 0xffff)
    else view.setUint32(at, value >>> 0)
  }),
  // Shorter, longer.
  (bytes, chance) => bytes.slice(0, chance.below(bytes.length + 1)),
  (bytes, chance) => bytes.slice(chance.below(bytes.length + 1)),
  (bytes, chance) => concat(bytes, chance.often(0.5) ? chance.bytes(chance.between(1, 8)) : new Uint8Array(chance.between(1, 64))),
  // A part taken out, doubled, overwritten with zeros or from elsewhere.
  (bytes, chance) => {
    const [from, to] = range(bytes, chance)
    return concat(bytes.subarray(0, from), bytes.subarray(to))
  },
  (bytes, chance) => {
    const [from, to] = range(bytes, chance)
    return concat(bytes.subarray(0, to), bytes.subarray(from))
  },
  (bytes, chance) => edited(bytes, out => { out.fill(chance.pick([0, 0xff]), ...range(bytes, chance)) }),
  (bytes, chance, other) => {
    const [from, to] = range(other, chance)
    const at = chance.below(bytes.length + 1)
    return concat(bytes.subarray(0, at), other.subarray(from, to), bytes.subarray(chance.often(0.5) ? at : Math.min(bytes.length, at + to - from)))
  },
  // The head of one and the tail of another.
  (bytes, chance, other) => {
    const at = chance.below(Math.min(bytes.length, other.length) + 1)
    return concat(bytes.subarray(0, at), other.subarray(at))
  },
  // Well-formed CBOR of another value.
  (bytes, chance) => {
    try {
      return encode(changed(decode(bytes, { useMaps: true }), chance))
    } catch {
      return bytes
    }
  }
]

/** One of the samples, changed a few times; sometimes chance alone. */
export function mutated (samples: readonly Uint8Array[], chance: Chance): Uint8Array {
  if (chance.often(0.02)) return chance.bytes(chance.below(300))
  let bytes = chance.pick(samples)
  for (let n = chance.pick([1, 1, 1, 2, 3, 6]); n > 0; n--) bytes = chance.pick(MUTATORS)(bytes, chance, chance.pick(samples))
  return bytes
}

function edited (bytes: Uint8Array, edit: (out: Uint8Array) => void): Uint8Array {
  const out = bytes.slice()
  edit(out)
  return out
}

function range (bytes: Uint8Array, chance: Chance): [from: number, to: number] {
  const from = chance.below(bytes.length + 1)
  return [from, Math.min(bytes.length, from + (chance.often(0.7) ? chance.below(17) : chance.below(bytes.length + 1)))]
}

const VALUES: readonly unknown[] = [
  0, 1, 23, 24, 255, 256, 65_535, 65_536, 2 ** 32, 2 ** 53 - 1, -1, 1.5, true, false, null, '', 'x', 'x'.repeat(300), '\u0000', '\ud7ff🦔', [], new Map(), new Uint8Array(0),
  new Uint8Array(32), new Uint8Array(33).fill(0xff), new Map([['kind', 'poisson']]), '/ip4/0.0.0.0/tcp/0', '/ip4/1.2.3.4/tcp/65536', '/p2p/x', '/ip4/1.2.3.4/tcp/1/p2p-circuit'
]

/** The same value with something changed somewhere in it. */
export function changed (value: unknown, chance: Chance): unknown {
  if (value instanceof Map && value.size > 0 && chance.often(0.9)) {
    const entries = [...value as Map<unknown, unknown>]
    const at = chance.below(entries.length)
    switch (chance.below(8)) {
      case 0: entries.splice(at, 1); break
      case 1: entries.push([chance.pick(['x', 0, entries[at][0]]), chance.pick(VALUES)]); break
      case 2: entries[at] = [chance.pick(['kind', 'x', '']), entries[at][1]]; break
      default: entries[at] = [entries[at][0], changed(entries[at][1], chance)]
    }
    return new Map(entries)
  }
  if (Array.isArray(value) && value.length > 0 && chance.often(0.9)) {
    const list: unknown[] = [...value as unknown[]]
    const at = chance.below(list.length)
    switch (chance.below(6)) {
      case 0: list.splice(at, 1); break
      case 1: list.push(list[at]); break
      case 2: list.reverse(); break
      default: list[at] = changed(list[at], chance)
    }
    return list
  }
  if (value instanceof Uint8Array && chance.often(0.7)) return chance.pick(MUTATORS.slice(0, 9))(value, chance, value)
  if (typeof value === 'number' && chance.often(0.7)) return chance.often(0.5) ? Math.max(0, value + chance.between(-2, 2)) : chance.pick(INTERESTING)
  if (typeof value === 'string' && chance.often(0.5)) return value.slice(0, chance.below(value.length + 1)) + chance.pick(['', '/', ' ', '0', 'ä', '-'])
  return chance.pick(VALUES)
}
