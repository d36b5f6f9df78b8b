/** What pages make of figures that were taken again and again. Without I/O: daemons' processes and browsers use it. */
import type { Figure, Histogram, NodeState, Series } from './node-state.ts'

/** Rates are over about this time: what is told in steps of 16 would jump otherwise, ms. */
const WINDOW = 30_000

export type Values = ReadonlyArray<number | null>

/**
 * By how much a counter grew a second, over the time of WINDOW before each moment, or since the moment before where that is longer ago. Null:
 * it was not told, or never before. A counter that fell began anew: then from zero.
 */
export function rates (times: readonly number[], values: Values): Array<number | null> {
  return times.map((time, i) => {
    const now = values[i]
    if (i === 0 || now === null) return null
    let from = i - 1
    while (from > 0 && times[from - 1] >= time - WINDOW && values[from - 1] !== null) from--
    if (values[from] === null) return null
    let grown = 0
    for (let at = from + 1; at <= i; at++) {
      const [before, after] = [values[at - 1], values[at]]
      if (before !== null && after !== null) grown += after >= before ? after - before : after
    }
    return grown / ((time - times[from]) / 1000)
  })
}

/** At each moment the sum of those that were told; null: none was. */
export function sum (all: readonly Values[]): Array<number | null> {
  const longest = Math.max(0, ...all.map(({ length }) => length))
  return Array.from({ length: longest }, (_, i) => {
    const told = all.map(values => values[i] ?? null).filter(value => value !== null)
    return told.length === 0 ? null : told.reduce((a, b) => a + b, 0)
  })
}

export function last (values: Values): number | null {
  return values.at(-1) ?? null
}

type Labels = Readonly<Record<string, string>>

export function figure (state: NodeState, name: string): Figure | undefined {
  return state.figures.find(each => each.name === name)
}

/** Series of a figure whose labels are these, or more. */
export function seriesOf (state: NodeState, name: string, labels: Labels = {}): readonly Series[] {
  return figure(state, name)?.series.filter(series => Object.entries(labels).every(([key, value]) => series.labels[key] === value)) ?? []
}

/** Of all its series together. */
export function totalOf (state: NodeState, name: string, labels: Labels = {}): Array<number | null> {
  return sum(seriesOf(state, name, labels).map(({ values }) => values))
}

/** Rates are summed, not counts: a series that comes into being later is no jump. */
export function rateOf (state: NodeState, name: string, labels: Labels = {}): Array<number | null> {
  return sum(seriesOf(state, name, labels).map(({ values }) => rates(state.times, values)))
}

/** What fell into each bucket from one moment (its index) until now; what was not told until then, was nothing. Null: it is not told now. */
export function grownSince ({ takes }: Histogram, from: number): { readonly counts: number[], readonly sum: number } | null {
  const now = takes.at(-1) ?? null
  const before = takes.slice(0, from + 1).findLast(take => take !== null) ?? null
  return now === null ? null : { counts: now.counts.map((count, i) => Math.max(0, count - (before?.counts[i] ?? 0))), sum: Math.max(0, now.sum - (before?.sum ?? 0)) }
}

/** The value below which a part of all lies, between the bounds of its bucket as if they were spread evenly there. Null: there is none. */
export function quantile (bounds: readonly number[], counts: readonly number[], part: number): number | null {
  const total = counts.reduce((a, b) => a + b, 0)
  if (total === 0) return null
  let below = 0
  for (const [i, count] of counts.entries()) {
    if (count > 0 && below + count >= part * total) {
      const low = i === 0 ? 0 : bounds[i - 1]
      return i === bounds.length ? low : low + (bounds[i] - low) * (part * total - below) / count
    }
    below += count
  }
  return bounds.at(-1) ?? null
}
