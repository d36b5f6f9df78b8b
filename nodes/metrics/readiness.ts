/** Does a node do its work? Asked by /readyz and by the metrics; looked at once a second at most, however many ask. */
import { utf8 } from '@mixmint/core/kit/bytes'
import type { Clock, Millis, Store } from '@mixmint/core/kit/ports'
import { asMixmintError } from '@mixmint/core/kit/saga'

export interface State {
  /** Codes of what is missing, or wrong; empty: ready. */
  readonly missing: readonly string[]
  readonly writable: boolean
}

/** What it needs of a role. */
interface Worker {
  readonly missing: () => readonly string[]
  /** Where its money is, if not in the node's own store. */
  readonly money?: Store
}

const FRESH: Millis = 1000
const KEY = utf8('probe')
/** A store that does not answer within this is none, ms. */
const PATIENCE: Millis = 5_000

export class Readiness {
  readonly #clock: Clock
  readonly #store: Store
  readonly #worker: () => Worker | null
  readonly #wait: (ms: Millis) => Promise<void>
  #last: { readonly at: Millis, readonly state: Promise<State> } | null = null
  #stopping = false

  /** @param worker null while the role starts */
  constructor (ports: { readonly clock: Clock, readonly store: Store, readonly wait: (ms: Millis) => Promise<void> }, worker: () => Worker | null) {
    this.#clock = ports.clock
    this.#store = ports.store
    this.#wait = ports.wait
    this.#worker = worker
  }

  /** From now on not ready. */
  stop (): void {
    this.#stopping = true
    this.#last = null
  }

  async check (): Promise<State> {
    const now = this.#clock.now()
    if (this.#last === null || Math.abs(now - this.#last.at) >= FRESH) this.#last = { at: now, state: this.#look(now) }
    return await this.#last.state
  }

  async #look (now: Millis): Promise<State> {
    const worker = this.#worker()
    const stores = [this.#store, ...worker?.money === undefined || worker.money === this.#store ? [] : [worker.money]]
    const faults = (await Promise.all(stores.map(async store => await this.#try(store, now)))).filter(fault => fault !== null)
    const state = this.#stopping ? ['stopping'] : worker === null ? ['starting'] : worker.missing()
    return { missing: [...state, ...new Set(faults)], writable: faults.length === 0 }
  }

  /** A change of nothing: why it was not made, or null. */
  async #try (store: Store, now: Millis): Promise<string | null> {
    const done = store.batch([{ op: 'put', key: KEY, value: utf8(String(now)) }]).then(() => null, (error: unknown) => asMixmintError(error).code)
    return await Promise.race([done, this.#wait(PATIENCE).then(() => 'store-silent')])
  }
}
