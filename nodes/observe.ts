/**
 * What a daemon says of itself: structured log lines on standard error, counters in memory. Both hold constants and small
 * numbers only; nothing that names a coin, a token, a wallet, a packet or a path.
 */
import { pino } from 'pino'
import type { Log, Meter } from '@mixmint/core/kit/ports'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { JsonObject } from './control.ts'
import { COUNTERS } from './metrics/counter-table.ts'
import { isAllowed, MOST_SERIES, OTHER, type Labels } from './metrics/labels.ts'

/** @param level of pino; it can be changed later */
export function createLog (role: string, level: string): Log & { readonly setLevel: (level: string) => void } {
  const sink = pino({ level, base: { role }, timestamp: pino.stdTimeFunctions.isoTime }, pino.destination({ dest: 2, sync: true }))
  return {
    info: (message, fields) => { sink.info(fields ?? {}, message) },
    warn: (message, fields) => { sink.warn(fields ?? {}, message) },
    error: (message, fields) => { sink.error(fields ?? {}, message) },
    setLevel: level => { sink.level = level }
  }
}

/** Counters of the table (metrics/counter-table.ts). Their labels are held to it, so that no peer's word becomes a series of its own. */
export class Counters implements Meter {
  readonly #counts = new Map<string, Map<string, { readonly labels: Labels, count: number }>>()

  /** @throws unknown-counter (us) under MIXMINT_STRICT, for a name or label that the table does not have */
  count (name: string, labels: Labels = {}, by = 1): void {
    const rules = COUNTERS[name]?.labels ?? {}
    if (COUNTERS[name] === undefined || Object.keys(labels).sort().join() !== Object.keys(rules).sort().join()) {
      if (process.env.MIXMINT_STRICT === '1') throw new MixmintError('unknown-counter', 'us', `the table of counters has no ${name} with the labels ${Object.keys(labels).join(', ')}`)
      this.count('undeclared')
      return
    }
    const series = this.#counts.get(name) ?? new Map<string, { readonly labels: Labels, count: number }>()
    this.#counts.set(name, series)
    const allowed = Object.fromEntries(Object.entries(labels).map(([label, value]) => [label, isAllowed(rules[label], value) ? value : OTHER]))
    const key = fullName(name, allowed)
    const isRoom = series.has(key) || series.size < MOST_SERIES
    const kept = isRoom ? allowed : Object.fromEntries(Object.keys(labels).map(label => [label, OTHER]))
    const found = series.get(isRoom ? key : fullName(name, kept))
    if (found === undefined) series.set(fullName(name, kept), { labels: kept, count: by })
    else found.count += by
  }

  all (): Record<string, number> {
    return Object.fromEntries([...this.#counts.values()].flatMap(series => [...series].map(([key, { count }]) => [key, count] as const)).sort(([a], [b]) => a < b ? -1 : 1))
  }

  /** What was counted under a name. */
  of (name: string): ReadonlyArray<{ readonly labels: Labels, readonly count: number }> {
    return [...this.#counts.get(name)?.values() ?? []]
  }
}

function fullName (name: string, labels: Labels): string {
  return [name, ...Object.entries(labels).map(([key, value]) => `${key}=${value}`)].join(' ')
}

/** What a status says, in the flat fields of a log line: `links.sent`. */
export function flat (value: JsonObject, prefix = ''): Record<string, string | number | boolean> {
  return Object.fromEntries(Object.entries(value).flatMap(([key, item]): Array<[string, string | number | boolean]> => {
    if (item === null || Array.isArray(item)) return []
    return typeof item === 'object' ? Object.entries(flat(item as JsonObject, `${prefix}${key}.`)) : [[prefix + key, item]]
  }))
}
