/**
 * In which order handshakes with those who come in are begun. A handshake costs milliseconds of public-key cryptography
 * and, where the other side says no more, a place for seconds; whoever comes has shown nothing yet but a network address.
 * So those of one address (`groupOf`) have a rate, and all together have one; whoever comes too early waits, and is not
 * refused before there is no place to wait. Next is whose address has been served the longest time ago, or never: in a storm
 * from a few hundred addresses somebody from another one does not stand in line behind it.
 *
 *   comes ─▶ waits ─ its turn ─▶ under way ─▶ leaves (done, broken off, timed out)
 *     └ refused        └ gives way ──┘
 *
 * Preferred addresses, those of the network's own nodes, have rates of their own and stand in no line of strangers.
 */
import type { Millis } from '@mixmint/core/kit/ports'
import { giveWay } from './give-way.ts'
import { Bucket, type Rate } from './rate-limit.ts'

export interface TurnstileLimits {
  /** Handshakes begun with those of one address, with those of one preferred address, and with all who are not preferred. */
  readonly each: Rate
  readonly preferred: Rate
  readonly all: Rate
  /** Those of one address who wait or are under way, and all such who are not preferred. */
  readonly pendingEach: number
  readonly pending: number
}

/** Whoever has been here for less than this is not made to give way by one of its own crowd: an honest handshake is done by then. */
const YOUNG: Millis = 1000
/** Addresses remembered. At the rates of `all` more than a minute goes by before one of them is forgotten. */
const REMEMBERED = 8192

interface Pending<T> { readonly who: T, readonly group: string, readonly preferred: boolean, since: Millis, waits: boolean }
interface Group { readonly bucket: Bucket, served: Millis }

export class Turnstile<T> {
  readonly #limits: TurnstileLimits
  readonly #all = new Bucket()
  readonly #pending = new Map<T, Pending<T>>()
  /** In the order in which they were served. */
  readonly #groups = new Map<string, Group>()

  constructor (limits: TurnstileLimits) {
    this.#limits = limits
  }

  /** Those who wait or are under way. */
  get size (): number {
    return this.#pending.size
  }

  /** Who is to go for it: whoever comes, another, or nobody (null). Afterwards `next` is to be asked. */
  come (who: T, group: string, preferred: boolean, now: Millis): T | null {
    const crowd = this.#crowd(group, preferred)
    const gone = crowd === null
      ? null
      : giveWay(crowd.map(each => ({ who: each.who, group: each.group, engaged: now - each.since < YOUNG, heard: each.since })), group) ?? who
    if (gone === who) return who
    if (gone !== null) this.#pending.delete(gone)
    this.#pending.set(who, { who, group, preferred, since: now, waits: true })
    return gone
  }

  /** It is done, or gone. False: it had left before, or was made to go. */
  leave (who: T): boolean {
    return this.#pending.delete(who)
  }

  /** Whose handshakes begin now, and after how many ms at least to ask again (Infinity: when somebody has come). */
  next (now: Millis): { readonly begin: readonly T[], readonly wait: Millis } {
    const begin: T[] = []
    for (;;) {
      let first: Pending<T> | null = null
      let wait = Infinity
      const all = this.#all.wait(this.#limits.all, now)
      for (const each of this.#pending.values()) {
        if (!each.waits) continue
        // Its own wait may be longer; in a storm it is not worth the look.
        const ms = all > 0 && !each.preferred ? all : this.#wait(each, now)
        wait = Math.min(wait, ms)
        if (ms === 0 && (first === null || this.#goesBefore(each, first))) first = each
      }
      if (first === null) return { begin, wait }
      this.#begin(first, now)
      begin.push(first.who)
    }
  }

  /** Of whom one must go before another of this address can come; null: there is a place. */
  #crowd (group: string, preferred: boolean): Array<Pending<T>> | null {
    const { pendingEach, pending } = this.#limits
    let [own, strangers] = [0, 0]
    for (const each of this.#pending.values()) {
      if (each.group === group) own += 1
      if (!each.preferred) strangers += 1
    }
    if (own >= pendingEach) return [...this.#pending.values()].filter(each => each.group === group)
    return preferred || strangers < pending ? null : [...this.#pending.values()].filter(each => !each.preferred)
  }

  #rate ({ preferred }: Pending<T>): Rate {
    return preferred ? this.#limits.preferred : this.#limits.each
  }

  #wait (each: Pending<T>, now: Millis): Millis {
    return this.#groups.get(each.group)?.bucket.wait(this.#rate(each), now) ?? 0
  }

  #goesBefore (a: Pending<T>, b: Pending<T>): boolean {
    const [servedA, servedB] = [a, b].map(({ group }) => this.#groups.get(group)?.served ?? -Infinity)
    return servedA === servedB ? a.since < b.since : servedA < servedB
  }

  #begin (each: Pending<T>, now: Millis): void {
    const group = this.#groups.get(each.group) ?? { bucket: new Bucket(), served: now }
    group.bucket.take(this.#rate(each), now)
    group.served = now
    this.#groups.delete(each.group)
    this.#groups.set(each.group, group)
    for (const oldest of this.#groups.keys()) {
      if (this.#groups.size <= REMEMBERED) break
      this.#groups.delete(oldest)
    }
    if (!each.preferred) this.#all.take(this.#limits.all, now)
    each.waits = false
    each.since = now
  }
}
