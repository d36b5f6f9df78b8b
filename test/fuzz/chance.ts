/** Fast reproducible chance: xoshiro128** (Blackman and Vigna, ACM TOMS 47, 2021), seeded by a hash of a name. */
import { createHash } from 'node:crypto'
import type { Rng } from '@mixmint/core/kit/ports'

export class Chance implements Rng {
  readonly #state: Uint32Array

  constructor (seed: string) {
    this.#state = new Uint32Array(new Uint8Array(createHash('sha256').update(seed).digest()).buffer, 0, 4)
  }

  next (): number {
    const s = this.#state
    const result = Math.imul(rotate(Math.imul(s[1], 5), 7), 9) >>> 0
    const t = s[1] << 9
    s[2] ^= s[0]
    s[3] ^= s[1]
    s[1] ^= s[2]
    s[0] ^= s[3]
    s[2] ^= t
    s[3] = rotate(s[3], 11)
    return result
  }

  /** From 0 to n − 1. */
  below (n: number): number {
    return this.next() % n
  }

  /** From a to b. */
  between (a: number, b: number): number {
    return a + this.below(b - a + 1)
  }

  /** True with this probability. */
  often (probability: number): boolean {
    return this.next() < probability * 2 ** 32
  }

  pick<T> (list: readonly T[]): T {
    return list[this.below(list.length)]
  }

  bytes (length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.next() & 0xff)
  }
}

function rotate (x: number, k: number): number {
  return x << k | x >>> (32 - k)
}
