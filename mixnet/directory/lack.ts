/** What keeps an authority from voting: said when it changes, and every minute. */
import type { Log, Millis } from '@mixmint/core/kit/ports'

const REMIND: Millis = 60_000

export class Lack {
  /** Of what there is too little among the nodes that have published, for people; '' where there is enough. */
  what = ''
  #said: Millis = 0
  readonly #log: Log

  constructor (log: Log) {
    this.#log = log
  }

  /** @returns whether there is enough */
  take (what: string, now: Millis): boolean {
    if (what !== '' && (what !== this.what || now >= this.#said + REMIND)) {
      this.#said = now
      this.#log.warn(`waits for nodes: a path through those that have published lacks ${what}`, { code: 'no-path' })
    }
    this.what = what
    return what === ''
  }
}
