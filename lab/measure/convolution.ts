/** Laws of sums of independent times, on a grid: for those of which no closed form of the sum is known, though of each term. */

export interface Term {
  /** Its distribution function. */
  readonly cdf: (x: number) => number
  /** Nearly nothing of it is beyond. */
  readonly most: number
}

/** Points of the grid. The functions below are right to some 10^-4 where the terms are no finer than it. */
const POINTS = 4096

/** The distribution function of the sum of these, none of which is below 0. */
export function sumCdf (terms: readonly Term[]): (x: number) => number {
  const step = terms.reduce((sum, { most }) => sum + most, 0) / POINTS
  const below = new Float64Array(POINTS)
  let sum = 0
  terms.map(({ cdf }) => masses(cdf, step)).reduce(convolve).forEach((mass, i) => { below[i] = sum += mass })
  // What is at a point is spread evenly around it.
  return x => {
    const place = x / step - 0.5
    const i = Math.floor(place)
    if (i < -1) return 0
    if (i >= POINTS - 1) return below[POINTS - 1]
    const before = i < 0 ? 0 : below[i]
    return before + (below[i + 1] - before) * (place - i)
  }
}

function masses (cdf: (x: number) => number, step: number): Float64Array {
  return Float64Array.from({ length: POINTS }, (_, i) => cdf((i + 0.5) * step) - (i === 0 ? 0 : cdf((i - 0.5) * step)))
}

function convolve (a: Float64Array, b: Float64Array): Float64Array {
  const sum = new Float64Array(POINTS)
  for (let i = 0; i < POINTS; i++) {
    const mass = a[i]
    if (mass < 1e-12) continue
    for (let j = 0; i + j < POINTS; j++) sum[i + j] += mass * b[j]
  }
  return sum
}

/** Of the standard normal law (Abramowitz and Stegun, 26.2.17; right to 10^-7). */
export function normalCdf (x: number): number {
  const t = 1 / (1 + 0.2316419 * Math.abs(x))
  const tail = Math.exp(-x * x / 2) / Math.sqrt(2 * Math.PI) * t * (0.319381530 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))))
  return x >= 0 ? 1 - tail : tail
}
