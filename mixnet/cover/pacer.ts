/**
 * What a gateway sends down to its wallets (Loopix §4.2): to each that is attached packets leave at the times of a Poisson
 * process of mean `cover.pace`, one that waits for it or, where none does, padding of the same size. So the line of a
 * wallet does not tell when it is answered. An engine: `step(event, now, rng)` → effects.
 *
 *   attach ──► attached ──► detach ──► away: its packets are kept ──► attach again: they go on; or gone: they are dropped
 *
 * Whoever attaches and says nothing is not padded for long: padding hides nothing where no cover comes from the other end,
 * and a gateway that sends much for little could be made to flood itself.
 *
 * The processes of all wallets together are one, of n times the rate, each of whose ticks is for any of them: so many
 * wallets cost one timer, and one that comes or goes does not disturb the others.
 */
import type { Meter, Millis, Rng } from '@mixmint/core/kit/ports'
import { below } from '@mixmint/core/kit/samplers'
import type { LinkId } from '../mixing/engine.ts'
import { PoissonProcess } from './process.ts'

export interface PacerConfig {
  readonly meter: Meter
  /** What the directory prescribes now: see `Cover`. pace 0: packets leave as they come, and there is no padding. */
  readonly cover: () => { readonly send: Millis, readonly pace: Millis }
  /** Can the link to this wallet take a packet now? While it cannot, ticks pass and nothing leaves. */
  readonly ready: (wallet: LinkId) => boolean
  /** Packets kept at most: for one wallet; and for all, beyond which the longest queue gives way. */
  readonly queueLimit: number
  readonly totalLimit: number
}

export type PacerEvent =
  /** A wallet is here: it has sent a packet, or come back. */
  | { readonly is: 'attach', readonly wallet: LinkId }
  /** The connection is gone; the wallet may come back. */
  | { readonly is: 'detach', readonly wallet: LinkId }
  /** It will not come back. */
  | { readonly is: 'gone', readonly wallet: LinkId }
  | { readonly is: 'packet', readonly wallet: LinkId, readonly packet: Uint8Array }
  /** Also when another document may be in force. */
  | { readonly is: 'timer' }
  /** The gateway stops: what waits leaves now, and what comes from now on at once. */
  | { readonly is: 'drain' }

export type PacerEffect =
  /** Null: padding. */
  { readonly do: 'send', readonly wallet: LinkId, readonly packet: Uint8Array | null }

/** A wallet that sends cover is silent for so many means with a chance of 10⁻¹³. */
const SILENT_MEANS = 30

/**
 * link-full: too many packets wait, for this wallet or for all. no-link: it is not here, nor away. wallet-gone: the packet
 * was waiting for it.
 */
export type PacerDropReason = 'link-full' | 'no-link' | 'wallet-gone'

/** sent + dropped + queued + unsent = all packets that came. */
export interface PacerCounts {
  readonly queued: number
  /** Given back by `takeWaiting`. */
  readonly unsent: number
  readonly dropped: Readonly<Record<PacerDropReason, number>>
}

export class Pacer {
  readonly #config: PacerConfig
  readonly #process: PoissonProcess
  /** Attached wallets in any order, and the place of each. */
  readonly #attached: LinkId[] = []
  readonly #places = new Map<LinkId, number>()
  /** When each of them was last heard. */
  readonly #heard = new Map<LinkId, Millis>()
  /** Of those that are attached or away. */
  readonly #queues = new Map<LinkId, Uint8Array[]>()
  #queued = 0
  #unsent = 0
  #draining = false
  readonly #dropped = { 'link-full': 0, 'no-link': 0, 'wallet-gone': 0 }

  constructor (config: PacerConfig) {
    this.#config = config
    this.#process = new PoissonProcess(() => this.#attached.length === 0 ? 0 : this.#pace / this.#attached.length)
  }

  /** When the next `timer` event is wanted, or null. */
  get due (): Millis | null {
    return this.#process.due
  }

  counts (): PacerCounts {
    return { queued: this.#queued, unsent: this.#unsent, dropped: { ...this.#dropped } }
  }

  get #pace (): Millis {
    return this.#draining ? 0 : this.#config.cover().pace
  }

  /** What waits for wallets that are away, in the order in which it came; from now on it is the caller's. */
  takeWaiting (): Array<{ readonly wallet: LinkId, readonly packet: Uint8Array }> {
    const waiting = [...this.#queues].flatMap(([wallet, queue]) => queue.splice(0).map(packet => ({ wallet, packet })))
    this.#queued -= waiting.length
    this.#unsent += waiting.length
    return waiting
  }

  /** Is it attached, or away? */
  knows (wallet: LinkId): boolean {
    return this.#queues.has(wallet)
  }

  step (event: PacerEvent, now: Millis, rng: Rng): PacerEffect[] {
    const effects = this.#ticks(now, rng)
    switch (event.is) {
      case 'attach': this.#attach(event.wallet, now); break
      case 'detach': this.#detach(event.wallet); break
      case 'gone': this.#forget(event.wallet); break
      case 'packet': this.#take(event.wallet, event.packet); break
      case 'timer': break
      case 'drain': this.#draining = true; break
    }
    // The number of wallets may have changed the rate.
    effects.push(...this.#ticks(now, rng))
    if (this.#pace === 0) effects.push(...this.#flush())
    return effects
  }

  #ticks (now: Millis, rng: Rng): PacerEffect[] {
    const effects: PacerEffect[] = []
    for (let ticks = this.#process.ticks(now, rng); ticks > 0; ticks--) {
      const wallet = this.#attached[below(rng, this.#attached.length)]
      if (!this.#config.ready(wallet)) {
        this.#config.meter.count('cover_unpaced', { reason: 'link' })
        continue
      }
      const packet = this.#shift(wallet) ?? null
      if (packet === null && this.#isSilent(wallet, now)) continue
      this.#config.meter.count('cover_paced', { kind: packet === null ? 'padding' : 'packet' })
      effects.push({ do: 'send', wallet, packet })
    }
    return effects
  }

  /** Without pacing: all that waits for wallets that are here. */
  #flush (): PacerEffect[] {
    const effects: PacerEffect[] = []
    for (const wallet of this.#queued === 0 ? [] : this.#attached) {
      for (let packet = this.#shift(wallet); packet !== undefined; packet = this.#shift(wallet)) effects.push({ do: 'send', wallet, packet })
    }
    return effects
  }

  #isSilent (wallet: LinkId, now: Millis): boolean {
    const { send } = this.#config.cover()
    return send > 0 && now - (this.#heard.get(wallet) ?? now) > SILENT_MEANS * send
  }

  #attach (wallet: LinkId, now: Millis): void {
    this.#heard.set(wallet, now)
    if (this.#places.has(wallet)) return
    this.#places.set(wallet, this.#attached.length)
    this.#attached.push(wallet)
    if (!this.#queues.has(wallet)) this.#queues.set(wallet, [])
  }

  #detach (wallet: LinkId): void {
    const place = this.#places.get(wallet)
    if (place === undefined) return
    this.#places.delete(wallet)
    this.#heard.delete(wallet)
    const last = this.#attached.pop() as LinkId
    if (last === wallet) return
    this.#attached[place] = last
    this.#places.set(last, place)
  }

  #forget (wallet: LinkId): void {
    this.#detach(wallet)
    const left = this.#queues.get(wallet)?.length ?? 0
    this.#queues.delete(wallet)
    this.#queued -= left
    this.#drop('wallet-gone', left)
  }

  #take (wallet: LinkId, packet: Uint8Array): void {
    const queue = this.#queues.get(wallet)
    if (queue === undefined) {
      this.#drop('no-link', 1)
    } else if (queue.length >= this.#config.queueLimit || !this.#hasRoom(queue)) {
      this.#drop('link-full', 1)
    } else {
      queue.push(packet)
      this.#queued += 1
    }
  }

  /** Whoever does not fetch what is sent to it loses it, and not the others. */
  #hasRoom (queue: readonly Uint8Array[]): boolean {
    if (this.#queued < this.#config.totalLimit) return true
    let longest = queue
    let whose: LinkId | null = null
    for (const [wallet, other] of this.#queues) {
      if (other.length <= longest.length) continue
      longest = other
      whose = wallet
    }
    if (whose === null) return false
    this.#shift(whose)
    this.#drop('link-full', 1)
    return true
  }

  #shift (wallet: LinkId): Uint8Array | undefined {
    const packet = this.#queues.get(wallet)?.shift()
    if (packet !== undefined) this.#queued -= 1
    return packet
  }

  #drop (reason: PacerDropReason, count: number): void {
    if (count === 0) return
    this.#dropped[reason] += count
    this.#config.meter.count('cover_wallet_dropped', { reason }, count)
  }
}
