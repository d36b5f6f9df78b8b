/** What every bench gives and how it measures: rows; medians of rounds; two things measured in turn. */

export interface Row {
  readonly name: string
  /** To the sum of its own primitives, measured in the same run; null for an absolute figure. */
  readonly ratio: number | null
  readonly value: number
  readonly unit: string
  readonly goal: string | null
  readonly met: boolean | null
}

/** A row with a goal for its ratio. */
export function goal (name: string, ratio: number, value: number, unit: string, goal: number): Row {
  return { name, ratio, value, unit, goal: `≤ ${goal}`, met: ratio <= goal }
}

/** A row with a goal for an absolute figure: no more than this. */
export function limit (name: string, value: number, unit: string, most: number): Row {
  return { name, ratio: null, value, unit, goal: `≤ ${most}`, met: value <= most }
}

/** The other way round: no less. */
export function atLeast (name: string, value: number, unit: string, least: number): Row {
  return { name, ratio: null, value, unit, goal: `≥ ${least}`, met: value >= least }
}

/** A row for orientation. */
export function figure (name: string, value: number, unit: string): Row {
  return { name, ratio: null, value, unit, goal: null, met: null }
}

export function quantile (values: readonly number[], p: number): number {
  return values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * p))]
}

export function median (values: readonly number[]): number {
  return quantile(values, 0.5)
}

/** Microseconds of one of `count` calls, one after the other. */
export function time (count: number, call: (i: number) => unknown): number {
  const started = performance.now()
  for (let i = 0; i < count; i++) call(i)
  return (performance.now() - started) * 1000 / count
}

/** Microseconds of one of `count` calls, `inFlight` of them under way at any time. */
export async function timeInFlight (count: number, inFlight: number, call: (i: number) => Promise<unknown>): Promise<number> {
  let next = 0
  const one = async (): Promise<void> => { while (next < count) await call(next++) }
  const started = performance.now()
  await Promise.all(Array.from({ length: inFlight }, one))
  return (performance.now() - started) * 1000 / count
}

/** Microseconds of one call: the median of nine rounds of about 20 ms, after one that is not counted. */
export function measure (call: () => unknown): number {
  const once = Math.max(time(3, call), 0.1)
  const count = Math.max(1, Math.min(5000, Math.round(20_000 / once)))
  time(count, call)
  return median(Array.from({ length: 9 }, () => time(count, call)))
}

/** Both in turn, in short rounds, so that a busy machine is busy for both: medians, and the median of the rounds' ratios. */
export function compareWith (call: () => unknown, base: () => unknown): { ratio: number, call: number, base: number } {
  for (let i = 0; i < 5; i++) { time(100, base); time(100, call) }
  const rounds = Array.from({ length: 80 }, () => ({ base: time(40, base), call: time(40, call) }))
  return { ratio: median(rounds.map(round => round.call / round.base)), call: median(rounds.map(round => round.call)), base: median(rounds.map(round => round.base)) }
}
