/** Chance from a seed: SHA-256 in counter mode, so that a failing test can be run again. */
import { createHash } from 'node:crypto'
import type { Rng } from '@mixmint/core/kit/ports'

export function seededRng (seed: string | number): Rng {
  let counter = 0
  let pool = new Uint8Array(0)
  return {
    bytes: length => {
      const out = new Uint8Array(length)
      for (let at = 0; at < length;) {
        if (pool.length === 0) pool = new Uint8Array(createHash('sha256').update(`${seed}/${counter++}`).digest())
        const part = pool.subarray(0, length - at)
        out.set(part, at)
        at += part.length
        pool = pool.subarray(part.length)
      }
      return out
    }
  }
}

/** Whole numbers below another, by a small generator (Mulberry32): so that thousands of histories cost little. */
export function randomOf (seed: number): (below: number) => number {
  let state = seed >>> 0
  return below => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) % below
  }
}
