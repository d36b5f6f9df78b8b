/** Goodness of fit, for tests of samplers with fixed seeds. */

/**
 * Kolmogorov and Smirnov's distance between a sample and a distribution function, times √n: above 1.63 with probability
 * 0.01 if the sample is from that distribution (n large).
 */
export function kolmogorovSmirnov (sample: readonly number[], cdf: (x: number) => number): number {
  const sorted = [...sample].sort((a, b) => a - b)
  const n = sorted.length
  let distance = 0
  sorted.forEach((x, i) => { distance = Math.max(distance, Math.abs(cdf(x) - i / n), Math.abs((i + 1) / n - cdf(x))) })
  return distance * Math.sqrt(n)
}

export const KS_LIMIT = 1.63
