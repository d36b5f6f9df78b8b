/** Laws that simulations are held against, and how far from them they are. */

/** The mean of values, and the interval that holds the true one with 95 % (normal approximation; `n` independent values). */
export interface Estimate { readonly mean: number, readonly low: number, readonly high: number, readonly deviation: number, readonly n: number }

export function estimate (values: readonly number[]): Estimate {
  const n = values.length
  const mean = values.reduce((sum, value) => sum + value, 0) / n
  const deviation = n < 2 ? NaN : Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (n - 1))
  const half = 1.96 * deviation / Math.sqrt(n)
  return { mean, low: mean - half, high: mean + half, deviation, n }
}

export function quantileOf (sorted: readonly number[], p: number): number {
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(p * sorted.length) - 1))]
}

/** The distribution function of the sum of k exponential times of this mean (Erlang, a Gamma law of whole shape). */
export function erlangCdf (k: number, mean: number, x: number): number {
  if (x <= 0) return 0
  const y = x / mean
  let term = Math.exp(-y)
  let sum = term
  for (let i = 1; i < k; i++) {
    term *= y / i
    sum += term
  }
  return 1 - sum
}

/** Where a rising distribution function reaches p. */
export function quantileBy (cdf: (x: number) => number, p: number, least = 0): number {
  let high = Math.max(1e-9, Math.abs(least) * 2)
  while (cdf(high) < p) high *= 2
  let low = least
  for (let i = 0; i < 100 && high - low > 1e-12 * high; i++) {
    const middle = (low + high) / 2
    if (cdf(middle) < p) low = middle
    else high = middle
  }
  return (low + high) / 2
}

/** Kolmogorov and Smirnov: the greatest distance of the sample's distribution from this one, and the chance of a greater one. */
export function ksTest (sample: readonly number[], cdf: (x: number) => number): { readonly distance: number, readonly p: number } {
  const sorted = sample.toSorted((a, b) => a - b)
  const n = sorted.length
  let distance = 0
  sorted.forEach((x, i) => {
    const f = cdf(x)
    distance = Math.max(distance, f - i / n, (i + 1) / n - f)
  })
  return { distance, p: kolmogorov(distance * (Math.sqrt(n) + 0.12 + 0.11 / Math.sqrt(n))) }
}

/** Of two samples: the greatest distance of their distributions, and the chance of a greater one if they are of one law. */
export function ksTwoSamples (a: readonly number[], b: readonly number[]): { readonly distance: number, readonly p: number } {
  const [x, y] = [a, b].map(values => values.toSorted((first, second) => first - second))
  let [i, j, distance] = [0, 0, 0]
  while (i < x.length && j < y.length) {
    const at = Math.min(x[i], y[j])
    while (i < x.length && x[i] <= at) i++
    while (j < y.length && y[j] <= at) j++
    distance = Math.max(distance, Math.abs(i / x.length - j / y.length))
  }
  const n = x.length * y.length / (x.length + y.length)
  return { distance, p: kolmogorov(distance * (Math.sqrt(n) + 0.12 + 0.11 / Math.sqrt(n))) }
}

/** Stephens' approximation brings finite samples to the limiting law, 2 Σ (−1)^(j−1) exp(−2 j² λ²). */
function kolmogorov (lambda: number): number {
  if (lambda < 0.2) return 1
  let sum = 0
  for (let j = 1; j <= 100; j++) sum += (j % 2 === 1 ? 2 : -2) * Math.exp(-2 * (j * lambda) ** 2)
  return Math.min(1, Math.max(0, sum))
}
