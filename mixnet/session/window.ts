/**
 * How fast the packets of a session may leave. A packet has left the network after the time of one way, arrived or lost,
 * so `size` packets in flight are a rate: size / oneWay. Distances between packets are exponential: what leaves while
 * there is something to send is a Poisson process, in which the packets of several requests, and retransmissions among
 * them, look alike.
 *
 * The size grows by one for each packet of which word came, so it doubles in a round trip of full use, and is halved, once a round
 * trip at most, when nearly all that is asked ends in silence. Mixes are expected to lose packets (TCP would halve at
 * the first): congestion is when nearly nothing comes through. docs/decisions/0023-windows.md
 */
import type { Millis, Rng } from '@mixmint/core/kit/ports'
import { exponential } from '@mixmint/core/kit/samplers'
import type { Timing } from './timing.ts'

const FIRST = 32
const LEAST = 4
const MOST = 256
/** Of the latest words and silences each counts so much more than the one before; below this share of words it is congestion. */
const WEIGHT = 1 / 16
const CONGESTED = 1 / 4
/** Between two packets, on average, at least: a gateway holds back who sends it more than 100 packets a second. */
const FASTEST: Millis = 12
/** How far a late timer may be made up for. */
const CATCH_UP: Millis = 20

export class Window {
  #size = FIRST
  #heard = 1
  #next: Millis = -Infinity
  #last: Millis = -Infinity
  #halvedAt: Millis = -Infinity

  /** Packets in flight, about. */
  get size (): number { return this.#size }

  /** When the next packet may leave, if clocks run forward. */
  get next (): Millis { return this.#next }

  /** When the next packet may leave. */
  opens (now: Millis): Millis {
    // A clock that was set back must not close it for as long.
    if (now < this.#last) this.#next = now
    this.#last = now
    return this.#next
  }

  /** A packet leaves. */
  take (now: Millis, { oneWay }: Timing, rng: Rng): void {
    this.#next = Math.max(this.opens(now), now - CATCH_UP) + exponential(rng, Math.max(FASTEST, oneWay / this.#size))
  }

  /** A word came, about so many packets that arrived. */
  word (arrived: number): void {
    this.#heard += WEIGHT * (1 - this.#heard)
    this.#size = Math.min(MOST, this.#size + arrived)
  }

  /** None came in time. */
  silence (now: Millis, { roundTrip }: Timing): void {
    this.#heard -= WEIGHT * this.#heard
    if (this.#heard >= CONGESTED || Math.abs(now - this.#halvedAt) < roundTrip) return
    this.#halvedAt = now
    this.#size = Math.max(LEAST, Math.floor(this.#size / 2))
  }
}
