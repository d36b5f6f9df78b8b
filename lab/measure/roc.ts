/** How well a number tells two kinds apart (Hanley and McNeil 1982; the interval by DeLong, DeLong, Clarke-Pearson 1988). */

export interface Roc {
  /** The chance that one of the first kind has a higher number than one of the second, ties counted half; 0.5: it tells nothing. */
  readonly auc: number
  /** It is in here with 95 %; a point, of few as well as of many, where the kinds are quite apart. */
  readonly ci95: readonly [number, number]
}

/** @param positives,negatives at least two of each; numbers that are high for the first kind if they tell something */
export function roc (positives: readonly number[], negatives: readonly number[]): Roc {
  const [high, low] = [positives, negatives].map(values => values.toSorted((a, b) => a - b))
  const above = positives.map(value => beneath(low, value))
  const under = negatives.map(value => 1 - beneath(high, value))
  const auc = mean(above)
  const error = 1.96 * Math.sqrt(variance(above) / above.length + variance(under) / under.length)
  return { auc, ci95: [Math.max(0, auc - error), Math.min(1, auc + error)] }
}

/** The part of the first kind that is found where no more than this part of the second is taken for it. */
export function foundAt (falsePositives: number, positives: readonly number[], negatives: readonly number[]): number {
  const sorted = negatives.toSorted((a, b) => b - a)
  const bound = sorted[Math.floor(falsePositives * sorted.length)]
  return positives.filter(value => value > bound).length / positives.length
}

/** The part of sorted values that is below this one, with half of those that are equal. */
function beneath (sorted: readonly number[], value: number): number {
  const count = (isBefore: (other: number) => boolean): number => {
    let [from, to] = [0, sorted.length]
    while (from < to) {
      const middle = (from + to) >> 1
      if (isBefore(sorted[middle])) from = middle + 1
      else to = middle
    }
    return from
  }
  return (count(other => other < value) + count(other => other <= value)) / 2 / sorted.length
}

function mean (values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

function variance (values: readonly number[]): number {
  const middle = mean(values)
  return values.reduce((sum, value) => sum + (value - middle) ** 2, 0) / (values.length - 1)
}
