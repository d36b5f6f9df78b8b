/**
 * Unobservability of senders (Pfitzmann and Hansen's word; Loopix, USENIX Security 2017, §2.3, "sender unobservability"): does what
 * leaves a client tell whether it wrote anything? Of some clients, in windows of one length, the packets that left are
 * counted, and set beside those of windows in which nothing was written.
 *
 *   auc               the chance that a window in which was written shows more packets than one in which was not; 0.5: they do not tell
 *   total_variation   of the two distributions of the count: what an observer of one window gains at most over a guess.
 *                     Two samples of one law are not the same either: `by_chance` is what as many windows give at random
 *   gaps_ks           Kolmogorov and Smirnov's distance of the times between packets, where there are some
 */
import type { Millis, Rng } from '@mixmint/core/kit/ports'
import { shuffle } from '@mixmint/core/kit/samplers'
import { roc } from './roc.ts'
import { ksTwoSamples } from './statistics.ts'

export interface Unobservability {
  readonly window_s: number
  /** Windows in which something was written, and in which nothing was. */
  readonly busy: number
  readonly idle: number
  readonly auc: number
  readonly ci95: readonly [number, number]
  readonly total_variation: number
  readonly by_chance: number
  readonly gaps_ks: { readonly distance: number, readonly p: number } | null
}

/** All clients are alike: so many of them are enough, and a million cost no more. */
const WATCHED = 256
/** Windows and gaps kept at most, of each kind. */
const MOST = 100_000
const SHUFFLES = 20

export class Activity {
  readonly #clients: number
  readonly #window: Millis
  readonly #begin: Millis
  readonly #wrote: Uint8Array
  readonly #sent: Int32Array
  readonly #last: Float64Array
  /** Gaps of the window under way, by client. */
  readonly #gapsNow: number[][]
  #number = 0
  readonly #counts: { readonly busy: number[], readonly idle: number[] } = { busy: [], idle: [] }
  readonly #gaps: { readonly busy: number[], readonly idle: number[] } = { busy: [], idle: [] }

  /** @param begin of the first window */
  constructor (clients: number, window: Millis, begin: Millis) {
    this.#clients = Math.min(clients, WATCHED)
    this.#window = window
    this.#begin = begin
    this.#wrote = new Uint8Array(this.#clients)
    this.#sent = new Int32Array(this.#clients)
    this.#last = new Float64Array(this.#clients).fill(-Infinity)
    this.#gapsNow = Array.from({ length: this.#clients }, () => [])
  }

  written (client: number, now: Millis): void {
    this.#pass(now)
    if (client < this.#clients && now >= this.#begin) this.#wrote[client] = 1
  }

  sent (client: number, now: Millis): void {
    this.#pass(now)
    if (client >= this.#clients || now < this.#begin) return
    this.#sent[client] += 1
    this.#gapsNow[client].push(now - this.#last[client])
    this.#last[client] = now
  }

  /** Null: there are not two windows of both kinds. @param now the window under way is over only then */
  figures (now: Millis, rng: Rng): Unobservability | null {
    this.#pass(now)
    const { busy, idle } = this.#counts
    if (busy.length < 2 || idle.length < 2) return null
    const { auc, ci95 } = roc(busy, idle)
    const all = [...busy, ...idle]
    let byChance = 0
    for (let i = 0; i < SHUFFLES; i++) {
      shuffle(rng, all)
      byChance += totalVariation(all.slice(0, busy.length), all.slice(busy.length)) / SHUFFLES
    }
    const hasGaps = this.#gaps.busy.length > 1 && this.#gaps.idle.length > 1
    return {
      window_s: this.#window / 1000, busy: busy.length, idle: idle.length, auc, ci95, total_variation: totalVariation(busy, idle), by_chance: byChance,
      gaps_ks: hasGaps ? ksTwoSamples(this.#gaps.busy, this.#gaps.idle) : null
    }
  }

  /** Windows that are over by now. */
  #pass (now: Millis): void {
    for (; now >= this.#begin + (this.#number + 1) * this.#window; this.#number++) {
      for (let client = 0; client < this.#clients; client++) {
        const kind = this.#wrote[client] === 1 ? 'busy' : 'idle'
        if (this.#counts[kind].length < MOST) this.#counts[kind].push(this.#sent[client])
        for (const gap of this.#gapsNow[client]) if (gap < Infinity && this.#gaps[kind].length < MOST) this.#gaps[kind].push(gap)
        this.#gapsNow[client].length = 0
      }
      this.#wrote.fill(0)
      this.#sent.fill(0)
    }
  }
}

/** Of two samples of whole numbers: half the sum over all numbers of how their parts differ. */
function totalVariation (a: readonly number[], b: readonly number[]): number {
  const differences = new Map<number, number>()
  for (const value of a) differences.set(value, (differences.get(value) ?? 0) + b.length)
  for (const value of b) differences.set(value, (differences.get(value) ?? 0) - a.length)
  return [...differences.values()].reduce((sum, difference) => sum + Math.abs(difference), 0) / 2 / a.length / b.length
}
