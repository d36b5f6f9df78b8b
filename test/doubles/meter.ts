/** Counters that a test can read: `of('name', { label: 'value' })`. */
import type { Meter } from '@mixmint/core/kit/ports'

export class CountingMeter implements Meter {
  readonly #counts = new Map<string, number>()

  count = (name: string, labels: Readonly<Record<string, string>> = {}, by = 1): void => {
    const key = keyOf(name, labels)
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + by)
  }

  of (name: string, labels: Readonly<Record<string, string>> = {}): number {
    return this.#counts.get(keyOf(name, labels)) ?? 0
  }
}

function keyOf (name: string, labels: Readonly<Record<string, string>>): string {
  return JSON.stringify([name, ...Object.entries(labels).sort(([a], [b]) => a < b ? -1 : 1)])
}
