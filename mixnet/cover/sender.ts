/**
 * Between a wallet and the link to its gateway (Loopix §4.1.1): packets leave at the times of a Poisson process of mean
 * `cover.send`, a real one if one waits, else a *drop packet* for a random service, over a path of its own. So the link
 * tells neither when there is something to say nor how much. Some of the drop packets are *echoes*: they bring a SURB,
 * and the service answers; so packets for the wallet are no sign of a request either, and what does not come home is
 * counted as lost (docs/decisions/0011-wallets-loop-through-services.md). An engine: `step(event, now, rng)` → effects.
 *
 * Every slot gives, with chance `echoes`, a right to one reply. An echo uses one, and so does a reply to a request; what the
 * slots of requests give is used by echoes later. So a wallet is sent as many replies, and a service's line carries as
 * many, whether or not there are requests, as long as these bring no more than echoes would
 * (docs/decisions/0025-one-budget-of-replies.md).
 *
 *   slot ──► packet ──► queue ──┐ (full: unsent)
 *                               ├─ tick ──► send
 *   drop packet ────────────────┘
 *
 * Both are made ahead, after the tick before and in a turn of their own: making a packet takes milliseconds, which must not
 * show in the time at which one leaves.
 */
import { toHex } from '@mixmint/core/kit/bytes'
import type { Meter, Millis, Rng } from '@mixmint/core/kit/ports'
import { below } from '@mixmint/core/kit/samplers'
import type { Suite } from '@mixmint/core/crypto/suite'
import type { Path } from '../session/engines.ts'
import type { LinkId } from '../mixing/engine.ts'
import { ADDRESS_SIZE, geometryOf, KEY_SIZE, SURB_ID_SIZE, SURB_KEY_SIZE } from '../sphinx/layout.ts'
import { decodeMessage } from '../sphinx/message.ts'
import { createSurb, openReply, type SurbSecrets } from '../sphinx/surb.ts'
import { wrap } from '../sphinx/wrap.ts'
import { wipeSecrets } from '../session/surbs.ts'
import { LossMonitor, type LossEffect, type LossFigures } from './loss.ts'
import { isCover, readCover, writeCover } from './message.ts'
import { attempt, nodesOf } from './path.ts'
import { earliest, PoissonProcess } from './process.ts'

/** Where cover goes; null when there is no path now. A fresh one at each call. */
export interface CoverPaths {
  /** To a random service. */
  readonly forward: (now: Millis, rng: Rng) => Path | null
  /** From a mix to this wallet, the last hop. */
  readonly back: (now: Millis, rng: Rng) => Path | null
}

export interface CoverSenderConfig {
  readonly suite: Suite
  readonly meter: Meter
  /** What the directory prescribes now: see `Cover`. send 0: packets leave at once, and there is no cover. */
  readonly parameters: () => { readonly send: Millis, readonly echoes: number, readonly packetSize: number }
  readonly paths: CoverPaths
  /** Can the link take a packet now? While it cannot, ticks pass and nothing leaves. */
  readonly ready: () => boolean
  /** Packets waiting at most. */
  readonly queueLimit: number
  /** An echo is lost if it is not home after so many ms. */
  readonly homeWithin: () => Millis
}

export type CoverSenderEvent =
  /** `owner`: whoever is told when it cannot be sent. */
  | { readonly is: 'packet', readonly owner: number, readonly firstHop: Uint8Array, readonly packet: Uint8Array }
  /** A reply for which `awaits` was true. */
  | { readonly is: 'reply', readonly surbId: Uint8Array, readonly payload: Uint8Array }
  /** A reply to a request came. */
  | { readonly is: 'answered' }
  /** Also when another document may be in force. */
  | { readonly is: 'timer' }

export type CoverSenderEffect =
  /** `firstHop`: an address block; owner null: cover. */
  | { readonly do: 'send', readonly owner: number | null, readonly firstHop: Uint8Array, readonly packet: Uint8Array }
  | { readonly do: 'unsent', readonly owner: number }
  /** There is room for the next packet of a request; `packet` with it now, if there is one. */
  | { readonly do: 'slot' }
  | LossEffect

interface Outgoing { readonly owner: number, readonly firstHop: Uint8Array, readonly packet: Uint8Array }
interface Echo { readonly secrets: SurbSecrets, readonly nodes: readonly LinkId[] }
interface DropPacket { readonly firstHop: Uint8Array, readonly packet: Uint8Array, readonly expires: Millis, readonly echo: Echo | null }

const DESTINATION_IS_LAST_HOP = new Uint8Array(ADDRESS_SIZE)
const PER_MILLE = 1000
/** Beyond it nothing is made up for: echoes are to go on. */
const MOST_RIGHTS = 256

export class CoverSender {
  readonly #config: CoverSenderConfig
  readonly #process: PoissonProcess
  readonly #loss = new LossMonitor()
  readonly #echoes = new Map<string, SurbSecrets>()
  readonly #queue: Outgoing[] = []
  /** Replies that the slots so far have given a right to, and that did not come; negative: that came without. */
  #rights = 0
  #next: DropPacket | null = null
  /** When the next packets are to be made. */
  #makeAt: Millis | null = null

  constructor (config: CoverSenderConfig) {
    this.#config = config
    this.#process = new PoissonProcess(() => config.parameters().send)
  }

  /** When the next `timer` event is wanted, or null. */
  get due (): Millis | null {
    return earliest(this.#process.due, this.#makeAt, this.#loss.due)
  }

  /** Packets that wait. */
  get waiting (): number {
    return this.#queue.length
  }

  /** Is a reply through this SURB for us? */
  awaits (surbId: Uint8Array): boolean {
    return this.#echoes.has(toHex(surbId))
  }

  step (event: CoverSenderEvent, now: Millis, rng: Rng): CoverSenderEffect[] {
    const effects: CoverSenderEffect[] = [...this.#pass(now), ...this.#ticks(now, rng)]
    switch (event.is) {
      case 'packet': effects.push(...this.#take(event)); break
      case 'reply': effects.push(...this.#reply(event.surbId, event.payload, now)); break
      case 'answered': if (this.#process.due !== null) this.#grant(-1); break
      case 'timer':
        // What was due leaves first.
        if (effects.length === 0) effects.push(...this.#prepare(now, rng))
        break
    }
    return effects
  }

  figures (): LossFigures {
    return this.#loss.figures()
  }

  #take ({ owner, firstHop, packet }: Outgoing): CoverSenderEffect[] {
    const { parameters, queueLimit } = this.#config
    if (parameters().send === 0) return [{ do: 'send', owner, firstHop, packet }]
    if (this.#queue.length >= queueLimit) {
      this.#config.meter.count('cover_unsent', { reason: 'queue-full' })
      return [{ do: 'unsent', owner }]
    }
    this.#queue.push({ owner, firstHop, packet })
    return []
  }

  #ticks (now: Millis, rng: Rng): CoverSenderEffect[] {
    const effects: CoverSenderEffect[] = []
    const before = this.#process.due
    for (let ticks = this.#process.ticks(now, rng); ticks > 0; ticks--) effects.push(...this.#tick(now, rng))
    if (this.#process.due !== before) this.#makeAt = this.#process.due === null ? null : now
    if (this.#process.due === null) effects.push(...this.#queue.splice(0).map(packet => ({ do: 'send' as const, ...packet })))
    return effects
  }

  #prepare (now: Millis, rng: Rng): CoverSenderEffect[] {
    if (this.#makeAt === null || this.#makeAt > now) return []
    this.#makeAt = null
    if (this.#next === null) this.#make(now, rng)
    return this.#queue.length === 0 ? [{ do: 'slot' }] : []
  }

  #tick (now: Millis, rng: Rng): CoverSenderEffect[] {
    if (!this.#config.ready()) {
      this.#config.meter.count('cover_unsent', { reason: 'link' })
      return []
    }
    const real = this.#queue.shift()
    if (real !== undefined) {
      if (below(rng, PER_MILLE) < this.#config.parameters().echoes) this.#grant(1)
      return [{ do: 'send', ...real }]
    }
    if (this.#next === null || this.#next.expires <= now) this.#make(now, rng)
    if (this.#next === null) return []
    const { firstHop, packet, echo } = this.#next
    this.#next = null
    if (echo !== null) {
      const name = toHex(echo.secrets.id)
      this.#echoes.set(name, echo.secrets)
      this.#loss.sent(name, echo.nodes, this.#config.homeWithin(), now)
    }
    this.#config.meter.count('cover_sent', { kind: echo === null ? 'drop' : 'echo' })
    return [{ do: 'send', owner: null, firstHop, packet }]
  }

  /** Where there is no path now there may be one at the tick. */
  #make (now: Millis, rng: Rng): void {
    this.#next = attempt(this.#config.meter, () => this.#dropPacket(now, rng))
  }

  #dropPacket (now: Millis, rng: Rng): DropPacket | null {
    const { suite, parameters, paths } = this.#config
    const { echoes, packetSize } = parameters()
    const there = paths.forward(now, rng)
    const back = this.#isEcho(echoes, rng) ? paths.back(now, rng) : null
    if (there === null) return null
    const reply = back === null
      ? null
      : createSurb(suite, rng.bytes(KEY_SIZE), back.hops, rng.bytes(SURB_ID_SIZE), rng.bytes(SURB_KEY_SIZE))
    const message = writeCover(geometryOf(packetSize).messageSize, reply === null ? { is: 'drop' } : { is: 'echo', surb: reply.surb })
    return {
      firstHop: there.hops[0].address,
      packet: wrap(suite, rng.bytes(KEY_SIZE), there.hops, DESTINATION_IS_LAST_HOP, message),
      expires: Math.min(there.expires, back?.expires ?? Infinity),
      // We ourselves are the last hop back.
      echo: reply === null ? null : { secrets: reply.secrets, nodes: nodesOf([...there.hops, ...back?.hops.slice(0, -1) ?? []]) }
    }
  }

  /** With chance `echoes`, with half of it or half as much again while replies to requests are to be made up for. */
  #isEcho (echoes: number, rng: Rng): boolean {
    const draw = 2 * below(rng, PER_MILLE)
    const usual = draw < 2 * echoes
    const chosen = draw < (2 + Math.sign(this.#rights)) * echoes
    if (usual !== chosen) this.#grant(usual ? 1 : -1)
    return chosen
  }

  #grant (rights: number): void {
    this.#rights = Math.max(-MOST_RIGHTS, Math.min(MOST_RIGHTS, this.#rights + rights))
  }

  #reply (surbId: Uint8Array, payload: Uint8Array, now: Millis): CoverSenderEffect[] {
    const name = toHex(surbId)
    const secrets = this.#echoes.get(name)
    if (secrets === undefined) return []
    const message = openReply(this.#config.suite, secrets, payload)
    const decoded = message === null ? null : decodeMessage(message)
    if (decoded === null || !isCover(decoded) || readCover(decoded)?.is !== 'answer') {
      // Changed on the way: as good as lost, which it will be when its time is over.
      this.#config.meter.count('cover_dropped', { reason: 'changed' })
      return []
    }
    const effects = this.#loss.home(name, now)
    this.#prune()
    return effects
  }

  #pass (now: Millis): LossEffect[] {
    const effects = this.#loss.pass(now)
    this.#prune()
    return effects
  }

  /** Secrets of echoes that are home or lost. */
  #prune (): void {
    for (const [name, secrets] of this.#echoes) {
      if (this.#loss.isPending(name)) continue
      wipeSecrets(secrets)
      this.#echoes.delete(name)
    }
  }
}
