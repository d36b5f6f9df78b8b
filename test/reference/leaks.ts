/**
 * What bytes tell to somebody who may not read them. Each test gives a p-value: how often bytes that tell nothing would
 * look as telling. Samples are rows of equal length; independent, and in no order that matters.
 */
import { binomialTail } from '@mixmint/mixnet/cover/statistics'
import { chiSquare } from './statistics.ts'

type Rows = readonly Uint8Array[]

/** Of each bit of a row, how often it is set. */
function bitCounts (rows: Rows): Uint32Array {
  const counts = new Uint32Array(8 * rows[0].length)
  for (const row of rows) row.forEach((byte, i) => { for (let bit = 0; bit < 8; bit++) counts[8 * i + bit] += byte >> bit & 1 })
  return counts
}

/** Is each bit as often set as not? The sum over all bits finds many weak biases, the greatest a single strong one. */
export function biasedBits (rows: Rows): { readonly sum: number, readonly greatest: number } {
  const n = rows.length
  const squares = Array.from(bitCounts(rows), count => (2 * count - n) ** 2 / n)
  const k = squares.length
  // Wilson and Hilferty's cube root makes a normal variate of the sum.
  const z = (Math.cbrt(squares.reduce((a, b) => a + b, 0) / k) - (1 - 2 / (9 * k))) / Math.sqrt(2 / (9 * k))
  return { sum: normalTail(z), greatest: Math.min(1, k * 2 * normalTail(Math.sqrt(Math.max(...squares)))) }
}

/** Is each value of each byte equally frequent? Of all positions the worst, corrected for their number. Five rows a value at least. */
export function unevenBytes (rows: Rows): number {
  const expected = Array.from({ length: 256 }, () => rows.length / 256)
  let least = 1
  for (let i = 0; i < rows[0].length; i++) {
    const counts = Array.from({ length: 256 }, () => 0)
    for (const row of rows) counts[row[i]] += 1
    least = Math.min(least, chiSquare(counts, expected))
  }
  return Math.min(1, least * rows[0].length)
}

/**
 * Can the two be told apart? A naive Bayes classifier over the bits learns from the first half of each and guesses the
 * rest. p-value of guessing right so often by chance.
 */
export function toldApart (a: Rows, b: Rows): number {
  const half = Math.min(a.length, b.length) >> 1
  const [ones, others] = [a, b].map(rows => bitCounts(rows.slice(0, half)))
  const weights = Float64Array.from(ones, (count, i) => Math.log((count + 1) / (others[i] + 1)))
  const lack = Float64Array.from(ones, (count, i) => Math.log((half - count + 1) / (half - others[i] + 1)))
  const score = (row: Uint8Array): number => {
    let sum = 0
    row.forEach((byte, i) => { for (let bit = 0; bit < 8; bit++) sum += (byte >> bit & 1) === 1 ? weights[8 * i + bit] : lack[8 * i + bit] })
    return sum
  }
  const right = a.slice(half, 2 * half).filter(row => score(row) > 0).length + b.slice(half, 2 * half).filter(row => score(row) <= 0).length
  return binomialTail(right, 2 * half, 0.5)
}

/** Are rows of the two that belong together more alike than any others? p-value of so small a distance by chance. */
export function linked (a: Rows, b: Rows): number {
  let agreeing = 0
  let bits = 0
  a.forEach((row, i) => {
    row.forEach((byte, at) => {
      for (let rest = byte ^ b[i][at] ^ 0xff; rest > 0; rest &= rest - 1) agreeing += 1
      bits += 8
    })
  })
  return 2 * normalTail(Math.abs(2 * agreeing - bits) / Math.sqrt(bits))
}

/** P(Z > z), to seven digits (Abramowitz and Stegun, 26.2.17). */
function normalTail (z: number): number {
  if (z < 0) return 1 - normalTail(-z)
  const t = 1 / (1 + 0.2316419 * z)
  const polynomial = t * (0.319381530 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))))
  return Math.exp(-z * z / 2) / Math.sqrt(2 * Math.PI) * polynomial
}
