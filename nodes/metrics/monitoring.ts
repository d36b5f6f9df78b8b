/**
 * How a daemon is watched: its metrics and its page over HTTP, where [metrics] says so, and the same for the owner of its
 * folder over the control socket. Whoever has no monitoring does not load what makes metrics.
 */
import type { Millis } from '@mixmint/core/kit/ports'
import type { MetricsConfig } from '../config.ts'
import type { HttpServer } from '../http.ts'
import type { NodeState } from '../pages/node-state.ts'
import type { Exposition, ExpositionOptions } from './exposition.ts'

/** Of who is asked over its control socket only: that of a network on one machine. */
const EVERY: Millis = 5_000

export class Monitoring {
  readonly #options: Omit<ExpositionOptions, 'every'>
  readonly #node: Omit<NodeState['node'], 'role' | 'suite'>
  readonly #listen: MetricsConfig | null
  #exposition: Promise<Exposition> | null = null
  #server: HttpServer | null = null

  /** @param listen null: not over HTTP */
  constructor (options: Omit<ExpositionOptions, 'every'>, node: Omit<NodeState['node'], 'role' | 'suite'>, listen: MetricsConfig | null) {
    this.#options = options
    this.#node = node
    this.#listen = listen
  }

  /** While the node starts, too: what keeps it from being ready is asked most then. @throws metrics-listen (operator) */
  async start (): Promise<void> {
    if (this.#listen === null) return
    const { serveMetrics } = await import('./server.ts')
    const exposition = await this.#take()
    this.#server = await serveMetrics({
      metrics: () => ({ type: exposition.contentType, text: exposition.text }), readiness: this.#options.readiness, state: async () => await this.state()
    }, this.#listen)
  }

  /** What the node's page shows: as blunt as the metrics (decision 56). */
  async state (): Promise<NodeState> {
    const { role, suite, readiness } = this.#options
    const [{ missing }, { history, next }] = await Promise.all([readiness.check(), this.#take()])
    return { node: { role, suite, ...this.#node }, missing, every: this.#every, next, ...history }
  }

  async stop (): Promise<void> {
    await this.#server?.close()
    await (await this.#exposition)?.stop()
  }

  get #every (): Millis {
    return this.#listen?.every ?? EVERY
  }

  async #take (): Promise<Exposition> {
    return await (this.#exposition ??= import('./exposition.ts').then(async ({ Exposition }) => await Exposition.start({ ...this.#options, every: this.#every })))
  }
}
