/**
 * A limit of rates, for each link and for all together (GCRA, the leaky bucket as a meter: ITU-T I.371, annex A). A link
 * over its limit is held back and loses nothing; one that is held back without a pause for too long is refused.
 *
 * The limit of all is fair by itself: a link that is held back has one packet waiting and is read no further, so the
 * packets that pass are taken one from each link in turn, however much one of them would send.
 */
import type { Millis } from '@mixmint/core/kit/ports'
import type { Cover } from '../directory/formats.ts'
import type { LinkId } from '../mixing/engine.ts'
import type { Admit } from './admit.ts'

/** `burst` at once, and `perSecond` in the long run. */
export interface Rate {
  /** Packets a second in the long run. */
  readonly perSecond: number
  /** Packets at once. */
  readonly burst: number
}

/** Sums of fractions of a ms are no more precise. */
const ROUNDING: Millis = 0.001

export class Bucket {
  /** When everything that was taken is paid for. */
  #paid: Millis = -Infinity

  /** How long until one more may be taken, ms. */
  wait (rate: Rate, now: Millis): Millis {
    const wait = this.#paid - now - (rate.burst - 1) * 1000 / rate.perSecond
    return wait < ROUNDING ? 0 : wait
  }

  take (rate: Rate, now: Millis): void {
    this.#paid = Math.max(this.#paid, now) + 1000 / rate.perSecond
  }

  /** Nothing is owed: as if nothing had ever been taken. */
  isFull (now: Millis): boolean {
    return this.#paid <= now
  }
}

/** What a `RateLimit` allows. */
export interface RateLimits {
  /** Of one link. */
  readonly each: Rate
  /** Of all links together. */
  readonly all: Rate
  /** A link that would send more than its rate for so long is refused, ms. */
  readonly patience: Millis
}

interface Link { readonly bucket: Bucket, heldSince: Millis | null }

/** An `Admit` that holds back whoever is over the rate, and refuses whoever stays so. */
export class RateLimit implements Admit {
  readonly #limits: () => RateLimits
  readonly #links = new Map<LinkId, Link>()
  readonly #all = new Bucket()

  /** @param limits asked at each packet: they may change with the directory's document */
  constructor (limits: () => RateLimits) {
    this.#limits = limits
  }

  admit = (from: LinkId, now: Millis): Millis | 'refuse' => {
    const { each, all, patience } = this.#limits()
    const link = this.#of(from)
    if (link.bucket.isFull(now)) link.heldSince = null
    const own = link.bucket.wait(each, now)
    if (own > 0) link.heldSince ??= now
    if (link.heldSince !== null && now - link.heldSince > patience) return 'refuse'
    const wait = Math.max(own, this.#all.wait(all, now))
    link.bucket.take(each, now)
    this.#all.take(all, now)
    return wait
  }

  forget = (from: LinkId): void => {
    this.#links.delete(from)
  }

  /** Links remembered. */
  get size (): number {
    return this.#links.size
  }

  #of (from: LinkId): Link {
    let link = this.#links.get(from)
    if (link === undefined) {
      link = { bucket: new Bucket(), heldSince: null }
      this.#links.set(from, link)
    }
    return link
  }
}

/** Of a wallet whose packets leave as they are made: a request of the greatest length, and some others, at once. */
const UNPACED: Rate = { perSecond: 100, burst: 512 }
/** A wallet with cover traffic sends at a mean rate that all share; chance and a line that was down make it more for a while. */
const GENEROUS = 8
const LEAST: Rate = { perSecond: 4, burst: 128 }

/** What a gateway takes from all its wallets together, packets a second: some 20 % of a processor for the first hop of each. */
export const ALL_WALLETS = 2000
/** Whoever would send more than its rate for so long has nothing to do here. */
const PATIENCE: Millis = 60_000

/** What wallets may send, by the cover that the directory prescribes. @param all packets a second of all together, at least 1 */
export function walletLimits ({ send }: Pick<Cover, 'send'>, all: number = ALL_WALLETS): RateLimits {
  const perSecond = send === 0 ? UNPACED.perSecond : Math.max(LEAST.perSecond, GENEROUS * 1000 / send)
  const burst = send === 0 ? UNPACED.burst : Math.max(LEAST.burst, 4 * perSecond)
  return { each: { perSecond, burst }, all: { perSecond: all, burst: 2 * all }, patience: PATIENCE }
}
