/** Draws from distributions, out of a port of random bytes. */
import type { Rng } from './ports.ts'

/** Uniform in the half-open interval (0, 1], a multiple of 2^-53: never zero, so that its logarithm is finite. */
export function unit (rng: Rng): number {
  const bytes = rng.bytes(7)
  let value = bytes[0] & 0x1f
  for (let i = 1; i < 7; i++) value = value * 256 + bytes[i]
  return (value + 1) / 2 ** 53
}

/** Exponential with this mean, by inversion (Devroye, Non-Uniform Random Variate Generation, §II.2). */
export function exponential (rng: Rng, mean: number): number {
  return -mean * Math.log(unit(rng))
}

/** A whole number from 0 to n − 1, each equally likely: draws that would favour some are thrown away. n up to 2^32. */
export function below (rng: Rng, n: number): number {
  const fair = 2 ** 32 - 2 ** 32 % n
  for (;;) {
    const bytes = rng.bytes(4)
    const value = bytes[0] * 2 ** 24 + (bytes[1] << 16 | bytes[2] << 8 | bytes[3])
    if (value < fair) return value % n
  }
}

/** In place, every order equally likely (Fisher and Yates; Durstenfeld; Knuth, TAOCP 2, §3.4.2, algorithm P). Returns `items`. */
export function shuffle<T> (rng: Rng, items: T[]): T[] {
  for (let i = items.length - 1; i > 0; i--) {
    const j = below(rng, i + 1)
    const other = items[j]
    items[j] = items[i]
    items[i] = other
  }
  return items
}
