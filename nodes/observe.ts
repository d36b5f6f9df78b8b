/**
 * What a daemon says of itself: structured log lines on standard error, counters in memory. Both hold constants and small
 * numbers only; nothing that names a coin, a token, a wallet, a packet or a path.
 */
import { pino } from 'pino'
import type { Log, Meter } from '@mixmint/core/kit/ports'

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
