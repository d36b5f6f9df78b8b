/**
 * Chance from a seed, behind the port that the engines draw from: xoroshiro128+ (Blackman and Vigna; pure-rand). Each part of
 * a simulation has a stream of its own, by name: what one part draws does not shift what another does, so that two
 * scenarios that differ in one thing can be compared with the same clients.
 */
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'
import type { Rng } from '@mixmint/core/kit/ports'

/** Long enough for whatever samplers ask for. */
const LONGEST = 64

/**
 * The bytes are overwritten by the next call: samplers read them at once, and a copy for each of a hundred million draws would
 * cost more than the draws. Not for keys.
 */
export function seededRng (seed: number, stream: string): Rng {
  const generator = xoroshiro128plus(hash(seed, stream))
  const views = Array.from({ length: LONGEST + 1 }, (_, length) => new Uint8Array(length))
  return {
    bytes: length => {
      const bytes = views[length]
      for (let at = 0; at < length; at += 4) {
        const word = generator.next()
        bytes[at] = word >>> 24
        bytes[at + 1] = word >>> 16
        bytes[at + 2] = word >>> 8
        bytes[at + 3] = word
      }
      return bytes
    }
  }
}

/** FNV-1a over the name, from the seed, and the finalizer of MurmurHash3: near seeds give far streams. */
function hash (seed: number, stream: string): number {
  let h = (0x811c9dc5 ^ Math.imul(seed, 0x9e3779b1) ^ Math.floor(seed / 2 ** 32)) | 0
  for (let i = 0; i < stream.length; i++) h = Math.imul(h ^ stream.charCodeAt(i), 0x01000193)
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return h ^ (h >>> 16)
}
