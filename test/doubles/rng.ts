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
