/** What was told the last so many times, for whoever looks at a node's page: no more than was told then, and in memory only. */
import type { Millis } from '@mixmint/core/kit/ports'
import type { Figure, Histogram, Series } from '../pages/node-state.ts'
import type { Labels } from './labels.ts'
import type { HistogramReading } from './readings.ts'

/** An hour at the usual period. */
const LONGEST = 121

export interface TakenFigure { readonly name: string, readonly type: 'counter' | 'gauge', readonly help: string, readonly values: ReadonlyArray<{ readonly labels: Labels, readonly value: number }> }
interface TakenHistogram extends HistogramReading { readonly name: string, readonly help: string }

interface Take { readonly time: Millis, readonly figures: readonly TakenFigure[], readonly histograms: readonly TakenHistogram[] }

export class History {
  readonly #takes: Take[] = []

  add (take: Take): void {
    // A clock that was set back: what was taken by another time is not comparable.
    if ((this.#takes.at(-1)?.time ?? 0) >= take.time) this.#takes.length = 0
    this.#takes.push(take)
    if (this.#takes.length > LONGEST) this.#takes.shift()
  }

  told (): { readonly times: Millis[], readonly figures: Figure[], readonly histograms: Histogram[] } {
    const figures = new Map<string, { of: TakenFigure, series: Map<string, { labels: Labels, values: Array<number | null> }> }>()
    const histograms = new Map<string, { of: TakenHistogram, takes: Array<Histogram['takes'][number]> }>()
    const none = (): null[] => this.#takes.map(() => null)
    this.#takes.forEach((take, at) => {
      for (const of of take.figures) {
        const figure = figures.get(of.name) ?? { of, series: new Map() }
        figures.set(of.name, figure)
        for (const { labels, value } of of.values) {
          const key = JSON.stringify(labels)
          const series = figure.series.get(key) ?? { labels, values: none() }
          figure.series.set(key, series)
          series.values[at] = value
        }
      }
      for (const of of take.histograms) {
        const histogram = histograms.get(of.name) ?? { of, takes: none() }
        histograms.set(of.name, histogram)
        histogram.takes[at] = { counts: of.buckets.map(({ count }, i) => count - (of.buckets[i - 1]?.count ?? 0)), sum: of.sum }
      }
    })
    return {
      times: this.#takes.map(({ time }) => time),
      figures: [...figures.values()].map(({ of: { name, type, help }, series }) => ({ name, type, help, series: [...series.values()] satisfies Series[] })),
      histograms: [...histograms.values()].map(({ of: { name, help, buckets }, takes }) => ({ name, help, bounds: buckets.map(({ le }) => le).filter(Number.isFinite), takes }))
    }
  }
}
