/**
 * A clock that never runs back, not even across a restart: dates that have passed stay passed, whatever somebody does to
 * the machine's clock. The bank's promises of grace and the closing of keysets rest on it (DESIGN §5.6).
 */
import { u64, utf8 } from '../kit/bytes.ts'
import { MixmintError } from '../kit/errors.ts'
import type { Meter, Millis } from '../kit/ports.ts'
import { batch, get, now, type Saga } from '../kit/saga.ts'

/** Written when this far ahead of what the store holds, so that a crash takes the clock back by no more than this. */
export const CLOCK_STEP: Millis = 1000

const KEY = utf8('steady-clock')

/** One for each store; processes that share a store share its time. */
export class SteadyClock {
  readonly #meter: Meter
  #latest: Millis = 0
  /** What the store is known to hold: undefined before it was first read, null when it holds nothing. */
  #stored: Uint8Array | null | undefined
  /** The store forgot what it knew: then no time is told any more. */
  #isOlder = false

  constructor (meter: Meter) {
    this.#meter = meter
  }

  /**
   * The later of the wall clock and every time this clock has told; what it tells is durable up to CLOCK_STEP.
   * @throws store-older (operator), from when the store was found put back under it
   * Counts `clock_behind` whenever the wall clock is more than a step behind.
   */
  * now (): Saga<Millis> {
    this.#mustBeSame()
    const wall = yield * now()
    if (this.#stored === undefined) this.#learn(yield * get(KEY))
    if (wall + CLOCK_STEP < this.#latest) this.#meter.count('clock_behind')
    this.#latest = Math.max(this.#latest, wall)
    const told = this.#latest
    while (told - millis(this.#stored) > CLOCK_STEP) {
      // Conditional, so that of several writers none can put an earlier time over a later one.
      const value = u64(told)
      const was = this.#stored ?? null
      const result = yield * batch([{ op: 'swap', key: KEY, was, value }])
      if (!result.done && millis(result.found) < millis(was)) this.#isOlder = true
      this.#mustBeSame()
      this.#learn(result.done ? value : result.found)
    }
    return told
  }

  /** The latest time that the store was seen to know. */
  get seen (): Millis {
    return millis(this.#stored)
  }

  #mustBeSame (): void {
    if (this.#isOlder) throw new MixmintError('store-older', 'operator', 'the store was put back to an earlier time while we worked: what it has forgotten might be done twice; stop, and start again with the right one')
  }

  #learn (stored: Uint8Array | null): void {
    this.#stored = stored
    this.#latest = Math.max(this.#latest, millis(stored))
  }
}

/** The latest time that the store knows; 0 where no clock was ever written. */
export function * knownTime (): Saga<Millis> {
  return millis(yield * get(KEY))
}

function millis (stored: Uint8Array | null | undefined): Millis {
  if (stored === null || stored === undefined) return 0
  return Number(new DataView(stored.buffer, stored.byteOffset).getBigUint64(0))
}
