/**
 * Round trips through a running network, as a wallet's echoes (mixnet/cover/sender.ts): to a service over one path, back
 * through a SURB over another. A probe takes the place of a packet that would leave anyway, at a tick of the production's
 * `CoverSender`, which sends drop packets at the others: what leaves, and when, is what any wallet sends; only the service,
 * which answers, learns that it was an echo, as of every other. An engine: `step(event, now, rng)` → effects.
 */
import { toHex } from '@mixmint/core/kit/bytes'
import type { Meter, Millis, Rng } from '@mixmint/core/kit/ports'
import { unit } from '@mixmint/core/kit/samplers'
import type { Suite } from '@mixmint/core/crypto/suite'
import { readCover, writeCover } from '@mixmint/mixnet/cover/message'
import { attempt, nodesOf } from '@mixmint/mixnet/cover/path'
import { earliest, PoissonProcess } from '@mixmint/mixnet/cover/process'
import { CoverSender, type CoverPaths, type CoverSenderEffect, type CoverSenderEvent } from '@mixmint/mixnet/cover/sender'
import type { LinkId } from '@mixmint/mixnet/mixing/engine'
import { ADDRESS_SIZE, geometryOf, KEY_SIZE, SURB_ID_SIZE, SURB_KEY_SIZE } from '@mixmint/mixnet/sphinx/layout'
import { decodeMessage } from '@mixmint/mixnet/sphinx/message'
import { createSurb, openReply, type SurbSecrets } from '@mixmint/mixnet/sphinx/surb'
import { wrap } from '@mixmint/mixnet/sphinx/wrap'

/** What became of a probe. */
export interface Outcome {
  /** When it left, Unix ms. */
  readonly sent: Millis
  /** Nodes that delay it, in order; the service after those on the way there. */
  readonly there: readonly LinkId[]
  readonly back: readonly LinkId[]
  /** From when it left until it was home, ms; null: it did not come in time. */
  readonly took: Millis | null
}

export interface ProberConfig {
  readonly suite: Suite
  readonly meter: Meter
  /** What the directory prescribes now: `send` is `cover.send`; 0: packets leave as they are made. */
  readonly parameters: () => { readonly send: Millis, readonly packetSize: number }
  /** Paths of drop packets, and those of probes. */
  readonly paths: CoverPaths
  readonly probePaths: CoverPaths
  /** Probes a second, on the mean. */
  readonly rate: number
  /** So many, then only drop packets. */
  readonly count: number
  /** Can the link take a packet now? */
  readonly ready: () => boolean
  /** It is lost if it is not home after so many ms. */
  readonly homeWithin: () => Millis
  readonly done: (outcome: Outcome) => void
}

export type ProberEvent =
  | { readonly is: 'timer' }
  /** What came on a SURB of this identity. */
  | { readonly is: 'reply', readonly surbId: Uint8Array, readonly payload: Uint8Array }
  /** The link did not take it. */
  | { readonly is: 'unsent', readonly probe: number }

/** `probe` null: a drop packet. */
export interface ProberEffect { readonly do: 'send', readonly probe: number | null, readonly firstHop: Uint8Array, readonly packet: Uint8Array }

interface Made { readonly secrets: SurbSecrets, readonly there: readonly LinkId[], readonly back: readonly LinkId[] }
interface Pending extends Made { readonly sent: Millis, readonly until: Millis }

const SECOND = 1000
const DESTINATION_IS_LAST_HOP = new Uint8Array(ADDRESS_SIZE)
/** More are never made ahead: one, at the slot before its tick. */
const QUEUE = 4

export class Prober {
  readonly #config: ProberConfig
  readonly #cover: CoverSender
  /** Where no cover is prescribed. */
  readonly #alone: PoissonProcess
  readonly #made = new Map<number, Made>()
  readonly #pending = new Map<number, Pending>()
  readonly #bySurb = new Map<string, number>()
  #next = 0
  #ended = 0

  constructor (config: ProberConfig) {
    this.#config = config
    this.#alone = new PoissonProcess(() => config.parameters().send === 0 ? SECOND / config.rate : 0)
    this.#cover = new CoverSender({
      suite: config.suite, meter: config.meter, paths: config.paths, ready: config.ready, queueLimit: QUEUE, homeWithin: config.homeWithin,
      // Its own echoes are the probes.
      parameters: () => ({ ...config.parameters(), echoes: 0 })
    })
  }

  /** Probes that are home or lost. */
  get ended (): number {
    return this.#ended
  }

  /** When the next `timer` event is wanted, or null. */
  get due (): Millis | null {
    let first: Millis | null = null
    for (const { until } of this.#pending.values()) first = earliest(first, until)
    return earliest(this.#cover.due, this.#alone.due, first)
  }

  step (event: ProberEvent, now: Millis, rng: Rng): ProberEffect[] {
    this.#expire(now)
    switch (event.is) {
      case 'timer': return [...this.#tick(now, rng), ...this.#through({ is: 'timer' }, now, rng)]
      case 'reply':
        this.#reply(event.surbId, event.payload, now)
        return []
      case 'unsent':
        this.#forget(event.probe)
        return []
    }
  }

  #tick (now: Millis, rng: Rng): ProberEffect[] {
    const effects: ProberEffect[] = []
    for (let ticks = this.#alone.ticks(now, rng); ticks > 0; ticks--) effects.push(...this.#probe(now, rng))
    return effects
  }

  #through (event: CoverSenderEvent, now: Millis, rng: Rng): ProberEffect[] {
    return this.#cover.step(event, now, rng).flatMap(effect => this.#perform(effect, now, rng))
  }

  #perform (effect: CoverSenderEffect, now: Millis, rng: Rng): ProberEffect[] {
    switch (effect.do) {
      case 'send':
        if (effect.owner !== null) this.#leave(effect.owner, now)
        return [{ do: 'send', probe: effect.owner, firstHop: effect.firstHop, packet: effect.packet }]
      // The packet of the next tick: a probe, with this chance.
      case 'slot': return unit(rng) < this.#config.rate * this.#config.parameters().send / SECOND ? this.#probe(now, rng) : []
      case 'unsent': return this.step({ is: 'unsent', probe: effect.owner }, now, rng) as []
      case 'alarm':
      case 'clear': return []
    }
  }

  /** Where there is no path now, there may be one at the next tick. */
  #probe (now: Millis, rng: Rng): ProberEffect[] {
    if (this.#made.size + this.#pending.size + this.#ended >= this.#config.count) return []
    const { suite, parameters, probePaths, meter } = this.#config
    const made = attempt(meter, () => {
      const [there, back] = [probePaths.forward(now, rng), probePaths.back(now, rng)]
      if (there === null || back === null) return null
      const { surb, secrets } = createSurb(suite, rng.bytes(KEY_SIZE), back.hops, rng.bytes(SURB_ID_SIZE), rng.bytes(SURB_KEY_SIZE))
      const message = writeCover(geometryOf(parameters().packetSize).messageSize, { is: 'echo', surb })
      const packet = wrap(suite, rng.bytes(KEY_SIZE), there.hops, DESTINATION_IS_LAST_HOP, message)
      // We ourselves are the last hop back.
      return { secrets, there: nodesOf(there.hops), back: nodesOf(back.hops.slice(0, -1)), firstHop: there.hops[0].address, packet }
    })
    if (made === null) return []
    const probe = this.#next++
    this.#made.set(probe, made)
    return this.#through({ is: 'packet', owner: probe, firstHop: made.firstHop, packet: made.packet }, now, rng)
  }

  #leave (probe: number, now: Millis): void {
    const made = this.#made.get(probe) as Made
    this.#made.delete(probe)
    this.#pending.set(probe, { ...made, sent: now, until: now + this.#config.homeWithin() })
    this.#bySurb.set(toHex(made.secrets.id), probe)
  }

  #reply (surbId: Uint8Array, payload: Uint8Array, now: Millis): void {
    const probe = this.#bySurb.get(toHex(surbId))
    const pending = probe === undefined ? undefined : this.#pending.get(probe)
    if (probe === undefined || pending === undefined) return
    const message = openReply(this.#config.suite, pending.secrets, payload)
    const decoded = message === null ? null : decodeMessage(message)
    // Changed on the way: as good as lost, which it will be when its time is over.
    if (decoded !== null && readCover(decoded)?.is === 'answer') this.#end(probe, pending, now - pending.sent)
  }

  #expire (now: Millis): void {
    for (const [probe, pending] of [...this.#pending]) if (pending.until <= now) this.#end(probe, pending, null)
  }

  #end (probe: number, { sent, there, back }: Pending, took: Millis | null): void {
    this.#forget(probe)
    this.#ended += 1
    this.#config.done({ sent, there, back, took })
  }

  #forget (probe: number): void {
    const known = this.#pending.get(probe) ?? this.#made.get(probe)
    if (known !== undefined) this.#bySurb.delete(toHex(known.secrets.id))
    this.#pending.delete(probe)
    this.#made.delete(probe)
  }
}
