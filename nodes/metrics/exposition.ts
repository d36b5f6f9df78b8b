/**
 * The metrics of a daemon as Prometheus reads them. They are taken at whole multiples of a period of the wall clock, on
 * all nodes at the same moments, and told as they were then until the next: however often somebody asks, he learns nothing
 * that is finer (decision 56).
 */
import { readdirSync, statfsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { collectDefaultMetrics, Counter, Gauge, Registry, type Metric } from 'prom-client'
import type { Clock, Log, Millis } from '@mixmint/core/kit/ports'
import { asMixmintError } from '@mixmint/core/kit/saga'
import { Alarm } from '@mixmint/mixnet/wire/alarm'
import type { Counters } from '../observe.ts'
import { VERSION } from '../program.ts'
import type { Role as RoleName } from '../settings.ts'
import { COUNTERS, countersOf } from './counter-table.ts'
import { FIGURES, type FigureRow } from './figure-table.ts'
import { combinations, type Labels } from './labels.ts'
import type { Readiness } from './readiness.ts'
import { History, type TakenFigure } from './history.ts'
import { coarse, HISTOGRAMS, histogramOf, type HistogramName, type HistogramReading, type Reading, type Told } from './readings.ts'

const PREFIX = 'mixmint_'
/** Gauges that prom-client names like counters. */
const MISNAMED = ['nodejs_active_handles_total', 'nodejs_active_requests_total', 'nodejs_active_resources_total']
/** Of the process, what its page shows. */
const OF_PROCESS = [
  'process_cpu_seconds_total', 'process_resident_memory_bytes', 'process_start_time_seconds', 'process_open_fds', 'process_max_fds', 'nodejs_eventloop_lag_p99_seconds'
]

export interface ExpositionOptions {
  readonly role: RoleName
  readonly suite: string
  /** The node's folder. */
  readonly dir: string
  readonly clock: Clock
  readonly log: Log
  readonly counters: Counters
  readonly readiness: Readiness
  /** Of the role, once it has begun. */
  readonly told: () => Promise<Told | null>
  /** Taken anew at multiples of this, ms. */
  readonly every: Millis
}

export class Exposition {
  readonly contentType: string
  readonly #options: ExpositionOptions
  readonly #registry = new Registry()
  readonly #counters: ReadonlyMap<string, Counter>
  /** Series of counters that were told before. */
  readonly #begun = new Set<string>()
  /** What counters of the role were last, by series. */
  readonly #counted = new Map<string, Reading>()
  readonly #alarm: Alarm
  readonly #histograms = new Map<HistogramName, HistogramReading>()
  readonly #history = new History()
  #text = ''
  #next: Millis = 0
  #taking: Promise<void> | null = null

  private constructor (options: ExpositionOptions) {
    this.#options = options
    this.contentType = this.#registry.contentType
    collectDefaultMetrics({ register: this.#registry })
    for (const name of MISNAMED) this.#registry.removeSingleMetric(name)
    this.#counters = new Map(countersOf(options.role).map(name => [name, new Counter({
      name: `${PREFIX}${name}_total`, help: COUNTERS[name].help, labelNames: Object.keys(COUNTERS[name].labels ?? {}), registers: [this.#registry]
    })]))
    this.#alarm = new Alarm(options.clock, () => {
      // A timer may ring a little early.
      if (options.clock.now() < this.#next) this.#alarm.set(this.#next)
      else void this.#take()
    })
  }

  /** The first are taken at once. */
  static async start (options: ExpositionOptions): Promise<Exposition> {
    const exposition = new Exposition(options)
    await exposition.#take()
    return exposition
  }

  /** In Prometheus' text format, as of the last multiple of the period. */
  get text (): string {
    return this.#text
  }

  /** What was told until now, for the node's page. */
  get history (): ReturnType<History['told']> {
    return this.#history.told()
  }

  /** When it is taken anew, ms from now. */
  get next (): Millis {
    return Math.max(0, this.#next - this.#options.clock.now())
  }

  async stop (): Promise<void> {
    this.#alarm.clear()
    await this.#taking
    this.#alarm.clear()
  }

  async #take (): Promise<void> {
    await (this.#taking ??= this.#read()
      .catch((error: unknown) => { this.#options.log.error('the metrics were not taken', { code: asMixmintError(error).code }) })
      .finally(() => {
        this.#taking = null
        const { clock, every } = this.#options
        this.#next = (Math.floor(clock.now() / every) + 1) * every
        this.#alarm.set(this.#next)
      }))
  }

  async #read (): Promise<void> {
    const { told, readiness, counters } = this.#options
    const state = await readiness.check()
    // What a role cannot tell for the time being, it does not: the rest says why.
    const { readings, ...histograms } = await told().catch((error: unknown) => {
      this.#options.log.warn('the role has no figures to tell', { code: asMixmintError(error).code })
      return null
    }) ?? { readings: [] }
    for (const [name, counter] of this.#counters) this.#count(name, counter, counters.of(name))
    const figures = this.#figures([...this.#own(), ['ready', state.missing.length === 0 ? 1 : 0], ['store_writable', state.writable ? 1 : 0], ...readings])
    for (const name of Object.keys(HISTOGRAMS) as HistogramName[]) {
      const of = histograms[name]
      if (of !== undefined) this.#show(name, histogramOf(name, of, this.#histograms.get(name)))
    }
    this.#text = await this.#registry.metrics() + await figures.metrics()
    this.#history.add({
      time: this.#options.clock.now(),
      figures: [...await figures.getMetricsAsJSON(), ...await Promise.all([...this.#counters.values()].map(async counter => await counter.get()))].map(taken).concat(OF_PROCESS.flatMap(name => inText(this.#text, name))),
      histograms: [...this.#histograms].map(([name, reading]) => ({ name: PREFIX + HISTOGRAMS[name].name, help: HISTOGRAMS[name].help, ...reading }))
    })
  }

  #count (name: string, counter: Counter, series: ReturnType<Counters['of']>): void {
    const { labels: rules = {}, people = false } = COUNTERS[name]
    counter.reset()
    // From zero on, so that the first one shows as an increase.
    for (const labels of combinations(rules)) {
      this.#begun.add(seriesOf(name, labels))
      counter.inc(labels, 0)
    }
    for (const { labels, count } of series) {
      const told = people ? coarse(count) : count
      if (told > 0) counter.inc(labels, this.#fromZero(name, labels, told))
    }
  }

  /** A series that nobody could know of before is told as 0 once: what comes into being at 1 and stays shows no increase. */
  #fromZero (name: string, labels: Labels, value: number): number {
    const series = seriesOf(name, labels)
    const begun = this.#begun.has(series)
    this.#begun.add(series)
    return begun ? value : 0
  }

  /** What is not told this time is not there; but counters stay at what they were: one that is away reads as one that began anew. */
  #figures (readings: readonly Reading[]): Registry {
    const registry = new Registry()
    const metrics = new Map<string, Gauge | Counter>()
    for (const reading of readings) if (FIGURES[reading[0]].type === 'counter') this.#counted.set(seriesOf(reading[0], reading[2]), reading)
    for (const [name, value, labels = {}] of [...readings.filter(([name]) => FIGURES[name].type === 'gauge'), ...this.#counted.values()]) {
      const { type, help, labels: rules = {}, people }: FigureRow = FIGURES[name]
      const metric = metrics.get(name) ?? new (type === 'gauge' ? Gauge : Counter)({ name: PREFIX + name, help, labelNames: Object.keys(rules), registers: [registry] })
      metrics.set(name, metric)
      const told = people === true ? coarse(value) : value
      metric.inc(labels, type === 'counter' && Object.keys(rules).length > 0 ? this.#fromZero(name, labels, told) : told)
    }
    return registry
  }

  #show (of: HistogramName, histogram: HistogramReading): void {
    if (!this.#histograms.has(of)) {
      const { help } = HISTOGRAMS[of]
      const name = PREFIX + HISTOGRAMS[of].name
      const now = (): HistogramReading | undefined => this.#histograms.get(of)
      this.#registry.registerMetric({
        name,
        get: async () => ({
          name, help, type: 'histogram', aggregator: 'sum',
          values: [
            ...now()?.buckets.map(({ le, count }) => ({ metricName: `${name}_bucket`, labels: { le: le === Infinity ? '+Inf' : String(le) }, value: count })) ?? [],
            { metricName: `${name}_sum`, labels: {}, value: now()?.sum ?? 0 },
            { metricName: `${name}_count`, labels: {}, value: now()?.count ?? 0 }
          ]
        })
      } as unknown as Metric)
    }
    this.#histograms.set(of, histogram)
  }

  #own (): Reading[] {
    const { role, suite, dir } = this.#options
    const { bavail, blocks, bsize } = statfsSync(dir)
    return [
      ['build_info', 1, { version: VERSION, role, suite }],
      ['store_size_bytes', sizeOf(join(dir, 'store'))],
      ['disk_free_bytes', bavail * bsize], ['disk_size_bytes', blocks * bsize]
    ]
  }
}

function taken ({ name, help, type, values }: { readonly name: string, readonly help: string, readonly type: unknown, readonly values: ReadonlyArray<{ readonly labels: Partial<Record<string, string | number>>, readonly value: number }> }): TakenFigure {
  return {
    name, help, type: String(type) === 'counter' ? 'counter' : 'gauge',
    values: values.map(({ labels, value }) => ({ labels: Object.fromEntries(Object.entries(labels).map(([key, word]) => [key, String(word)])), value }))
  }
}

/** A figure of the process as it stands in what was told: to ask for it again would begin some of them anew. */
function inText (text: string, name: string): TakenFigure[] {
  const [, help, type, value] = new RegExp(`^# HELP ${name} (.*)\\n# TYPE ${name} (.*)\\n${name} (.*)$`, 'm').exec(text) ?? []
  return value === undefined || !Number.isFinite(Number(value)) ? [] : [{ name, help, type: type === 'counter' ? 'counter' : 'gauge', values: [{ labels: {}, value: Number(value) }] }]
}

function seriesOf (name: string, labels: Labels = {}): string {
  return JSON.stringify([name, ...Object.entries(labels).sort(([a], [b]) => a < b ? -1 : 1)])
}

/** What the files of a folder take on the disk, bytes: a store's file has holes. */
function sizeOf (folder: string): number {
  return readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).blocks * 512, 0)
}
