/** Exact tests, of counts as small as loops are. Logarithms throughout: the tails that matter are far below 10⁻⁷. */

/** A sum whose terms fall this far is complete. */
const NEGLIGIBLE = 1e-15

/** ln n!, exact to rounding; grown as it is asked for. */
const logFactorials = [0]

function logFactorial (n: number): number {
  for (let i = logFactorials.length; i <= n; i++) logFactorials.push(logFactorials[i - 1] + Math.log(i))
  return logFactorials[n]
}

function logChoose (n: number, k: number): number {
  return logFactorial(n) - logFactorial(k) - logFactorial(n - k)
}

/** The chance of at least `k` hits in `n` independent trials of chance `p`, 0 < p < 1. */
export function binomialTail (k: number, n: number, p: number): number {
  let sum = 0
  for (let i = k; i <= n; i++) {
    const term = Math.exp(logChoose(n, i) + i * Math.log(p) + (n - i) * Math.log(1 - p))
    sum += term
    // Beyond the mean each term is less than the one before.
    if (i > n * p && term < sum * NEGLIGIBLE) break
  }
  return Math.min(1, sum)
}

/**
 * Fisher's exact test, one-sided: `hits` of `n` here and `otherHits` of `m` there. The chance that here, if both had the
 * same rate, at least so many of all hits would have fallen.
 */
export function fisherTail (hits: number, n: number, otherHits: number, m: number): number {
  const all = hits + otherHits
  let sum = 0
  for (let i = Math.max(hits, all - m); i <= Math.min(n, all); i++) {
    const term = Math.exp(logChoose(n, i) + logChoose(m, all - i) - logChoose(n + m, all))
    sum += term
    if (i > n * all / (n + m) && term < sum * NEGLIGIBLE) break
  }
  return Math.min(1, sum)
}
