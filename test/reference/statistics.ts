/**
 * Goodness of fit, for tests of samplers with fixed seeds. Each gives a p-value: how often samples from the law in question
 * would fit it no better. A test that asserts p > 0.001 at a fixed seed fails for good or never.
 */

/** Kolmogorov and Smirnov's test: are these samples from the continuous distribution with this function? */
export function ksOneSample (samples: readonly number[], cdf: (x: number) => number): number {
  const n = samples.length
  let distance = 0
  samples.toSorted((a, b) => a - b).forEach((x, i) => {
    distance = Math.max(distance, cdf(x) - i / n, (i + 1) / n - cdf(x))
  })
  return kolmogorovTail(distance, n)
}

/** Are both from one continuous distribution, whichever? */
export function ksTwoSample (a: readonly number[], b: readonly number[]): number {
  const [x, y] = [a, b].map(samples => samples.toSorted((one, other) => one - other))
  let distance = 0
  for (let i = 0, j = 0; i < x.length && j < y.length;) {
    const next = Math.min(x[i], y[j])
    while (i < x.length && x[i] === next) i++
    while (j < y.length && y[j] === next) j++
    distance = Math.max(distance, Math.abs(i / x.length - j / y.length))
  }
  return kolmogorovTail(distance, x.length * y.length / (x.length + y.length))
}

/**
 * Pearson's test: do these counts of exclusive outcomes fit their expected numbers, which have the same sum? For a good
 * approximation each expected number should be 5 at least.
 */
export function chiSquare (observed: readonly number[], expected: readonly number[]): number {
  const statistic = observed.reduce((sum, count, i) => sum + (count - expected[i]) ** 2 / expected[i], 0)
  return upperGamma((observed.length - 1) / 2, statistic / 2)
}

/** P(D > distance) for n samples: Kolmogorov's series, with Stephens' correction for small n (JRSS B 32, 1970). */
function kolmogorovTail (distance: number, n: number): number {
  const x = (Math.sqrt(n) + 0.12 + 0.11 / Math.sqrt(n)) * distance
  if (x < 0.2) return 1 // where the series converges too slowly, and its sum is 1 to twelve digits
  let sum = 0
  for (let j = 1; j <= 100; j++) sum += (j % 2 === 1 ? 2 : -2) * Math.exp(-2 * (j * x) ** 2)
  return Math.min(1, Math.max(0, sum))
}

/** Q(a, x) = Γ(a, x) / Γ(a): by its series below a + 1, by its continued fraction (Lentz) above (Abramowitz and Stegun, 6.5.29, 6.5.31). */
function upperGamma (a: number, x: number): number {
  if (x <= 0) return 1
  const front = Math.exp(a * Math.log(x) - x - lnGamma(a))
  if (x < a + 1) {
    let term = 1 / a
    let sum = term
    for (let i = 1; term > sum * 1e-15; i++) {
      term *= x / (a + i)
      sum += term
    }
    return 1 - front * sum
  }
  let b = x + 1 - a
  let c = 1e300
  let d = 1 / b
  let fraction = d
  for (let i = 1; i < 10_000; i++) {
    const numerator = -i * (i - a)
    b += 2
    d = 1 / (numerator * d + b)
    c = b + numerator / c
    fraction *= c * d
    if (Math.abs(c * d - 1) < 1e-14) break
  }
  return front * fraction
}

/** By Stirling's series, shifted to where it is precise. */
function lnGamma (x: number): number {
  let shift = 0
  let y = x
  for (; y < 10; y++) shift += Math.log(y)
  return (y - 0.5) * Math.log(y) - y + Math.log(2 * Math.PI) / 2 + 1 / (12 * y) - 1 / (360 * y ** 3) + 1 / (1260 * y ** 5) - shift
}
