/**
 * What a daemon says of itself: structured log lines on standard error, counters in memory. Both hold constants and small
 * numbers only; nothing that names a coin, a token, a wallet, a packet or a path.
 */
import { pino } from 'pino'
import type { Log, Meter } from '@mixmint/core/kit/ports'
import type { JsonObject } from './control.ts'

export function createLog (role: string, level: string): Log {
  const sink = pino({ level, base: { role }, timestamp: pino.stdTimeFunctions.isoTime }, pino.destination({ dest: 2, sync: true }))
  return {
    info: (message, fields) => { sink.info(fields ?? {}, message) },
    warn: (message, fields) => { sink.warn(fields ?? {}, message) },
    error: (message, fields) => { sink.error(fields ?? {}, message) }
  }
}

export class Counters implements Meter {
  readonly #counts = new Map<string, number>()

  count (name: string, labels: Readonly<Record<string, string>> = {}, by = 1): void {
    const full = [name, ...Object.entries(labels).map(([key, value]) => `${key}=${value}`)].join(' ')
    this.#counts.set(full, (this.#counts.get(full) ?? 0) + by)
  }

  all (): Record<string, number> {
    return Object.fromEntries([...this.#counts].sort(([a], [b]) => a < b ? -1 : 1))
  }
}

/** What a status says, in the flat fields of a log line: `links.sent`. */
export function flat (value: JsonObject, prefix = ''): Record<string, string | number | boolean> {
  return Object.fromEntries(Object.entries(value).flatMap(([key, item]): Array<[string, string | number | boolean]> => {
    if (item === null || Array.isArray(item)) return []
    return typeof item === 'object' ? Object.entries(flat(item as JsonObject, `${prefix}${key}.`)) : [[prefix + key, item]]
  }))
}
