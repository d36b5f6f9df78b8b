/**
 * The simulated network: clients, links and mixes on a virtual clock. When packets leave a mix is up to the objects that a
 * daemon uses (mixnet/mixing/departures.ts and the strategies), when clients and loops send, to those of mixnet/cover, and
 * paths are drawn as mixnet/directory/way.ts does. Nothing is encrypted: a packet is a number (packets.ts).
 *
 *   write ─ cover? ─ sent ─▶ link ─▶ mix: departures ─▶ link ─▶ … ─▶ link ─▶ received
 *                                └ lost     └ queue-full, down
 */
import type { Millis, Rng } from '@mixmint/core/kit/ports'
import { below, exponential, unit } from '@mixmint/core/kit/samplers'
import { Departures } from '@mixmint/mixnet/mixing/departures'
import type { Agenda } from '../kernel/agenda.ts'
import { Deadlines } from '../kernel/deadlines.ts'
import { seededRng } from '../kernel/rng.ts'
import type { Shares } from '../measure/shares.ts'
import { perMix, strategyOf } from '../scenario/read.ts'
import type { Scenario } from '../scenario/schema.ts'
import { poisson, writers, type Source } from './clients.ts'
import { linksOf, type Links } from './links.ts'
import { PACKET, Packets, type Held } from './packets.ts'
import { planOf, type Plan } from './plan.ts'

export type Drop = 'link' | 'queue-full' | 'mix-down' | 'adversary'

/** What is told of packets as they go. Slots are good until the call returns. */
export interface Watcher {
  /** A message was written; it may wait at its client before it is sent. */
  written?: (client: number, now: Millis) => void
  sent?: (slot: number, now: Millis) => void
  /** An active adversary: does he keep it from this mix? */
  blocks?: (slot: number, mix: number, now: Millis) => boolean
  /** Came to a mix that takes it. */
  entered?: (slot: number, mix: number, now: Millis) => void
  left?: (slot: number, mix: number, now: Millis) => void
  received?: (slot: number, now: Millis) => void
  dropped?: (slot: number, why: Drop, now: Millis) => void
}

const NOT_LOST = 2

export class Network {
  readonly plan: Plan
  readonly packets: Packets
  now: Millis = 0
  /** Packets that came to mixes. */
  hops = 0
  readonly #scenario: Scenario
  readonly #rng: { readonly mixes: Rng, readonly paths: Rng, readonly loss: Rng, readonly churn: Rng }
  readonly #mixes: ReadonlyArray<Departures<Held>>
  readonly #deadlines: Deadlines
  readonly #links: Links
  readonly #onLinks: Agenda
  readonly #sources: Source[]
  readonly #watcher: Watcher
  readonly #shares: Shares | null
  readonly #loss: number
  readonly #isDown: Uint8Array
  /** Messages that wait at a client for its next tick, when there is cover: their receivers and when they were written. */
  readonly #written = new Map<number, Array<{ readonly receiver: number, readonly at: Millis }>>()

  /**
   * @param shares makes what follows targets, for a number of cells; null: no targets
   */
  constructor (scenario: Scenario, watcher: Watcher, shares: ((cells: number) => Shares) | null) {
    const { clients, cover, churn, run: { seed }, link } = scenario
    const stream = (name: string): Rng => seededRng(seed, name)
    this.#scenario = scenario
    this.#watcher = watcher
    this.#rng = { mixes: stream('mixes'), paths: stream('paths'), loss: stream('loss'), churn: stream('churn') }
    this.plan = planOf(scenario, stream('plan'))
    this.#shares = shares === null ? null : shares(this.plan.cellCount)
    this.packets = new Packets(scenario.topology.layers, perMix(scenario), capacity => { this.#shares?.resize(capacity) })
    this.#mixes = Array.from({ length: this.plan.mixes }, () => new Departures<Held>(strategyOf(scenario)))
    this.#deadlines = new Deadlines(this.plan.mixes)
    this.#links = linksOf(scenario, this.plan.mixes + (link.kind === 'matrix' ? clients.count : 0), stream('links'))
    this.#onLinks = this.#links.agenda()
    this.#loss = link.loss > 0 ? link.loss : NOT_LOST
    this.#isDown = new Uint8Array(this.plan.mixes)
    const receivers = stream('receivers')
    const hasCover = cover.send_s > 0
    this.#sources = [writers(scenario, stream('clients'), (client, receiver, now) => {
      const to = receiver ?? below(receivers, clients.count)
      watcher.written?.(client, now)
      if (hasCover) this.#wait(client, to, now)
      else this.send(PACKET.message, client, to, now)
    })]
    if (hasCover) {
      const ticks = stream('cover')
      this.#sources.push(poisson(() => cover.send_s * 1000 / clients.count, ticks, now => { this.#tick(below(ticks, clients.count), ticks, now) }))
    }
    if (cover.loop_s > 0) {
      const ticks = stream('loops')
      this.#sources.push(poisson(() => cover.loop_s * 1000 / this.plan.mixes, ticks, now => { this.#loop(below(ticks, this.plan.mixes), now) }))
    }
    if (churn.up_s > 0) this.#sources.push(this.#churn(churn.up_s * 1000, churn.down_s * 1000))
    // Strategies that tick begin at a random time within an interval.
    this.#mixes.forEach(mix => { mix.pass(0, this.#rng.mixes) })
  }

  /** Also called at these times. */
  attend (source: Source): void {
    this.#sources.push(source)
  }

  /** How many packets wait in a mix. */
  waitingAt (mix: number): number {
    return this.#mixes[mix].size
  }

  get mixes (): number {
    return this.plan.mixes
  }

  /** So many events, or until this time. @returns false: nothing is left to happen until then */
  advance (events: number, until: Millis): boolean {
    const deadlines = this.#deadlines
    const links = this.#onLinks
    const sources = this.#sources
    for (let left = events; left > 0; left--) {
      let source = 0
      let at = sources[0].due
      for (let i = 1; i < sources.length; i++) {
        const due = sources[i].due
        if (due < at) {
          at = due
          source = i
        }
      }
      const arrives = links.firstAt
      const leaves = deadlines.firstAt
      if (arrives <= at && arrives <= leaves) {
        if (arrives > until) return this.#reach(until)
        this.now = arrives
        this.#arrive(links.take(), arrives)
      } else if (leaves <= at) {
        if (leaves > until) return this.#reach(until)
        this.now = leaves
        this.#pass(deadlines.first, leaves)
      } else {
        if (at > until) return this.#reach(until)
        this.now = at
        sources[source].tick(at)
      }
    }
    return true
  }

  #reach (until: Millis): false {
    if (until < Infinity) this.now = until
    return false
  }

  /** A packet leaves its sender: a client, over a link. */
  send (kind: number, sender: number, receiver: number, now: Millis, written: Millis = now): void {
    const slot = this.packets.take()
    const { packets } = this
    packets.length[slot] = this.plan.draw(packets.path, slot * packets.hops, this.#rng.paths)
    this.#begin(slot, kind, sender, receiver, now, written)
    this.#forward(slot, this.plan.mixes + sender, now)
  }

  #begin (slot: number, kind: number, sender: number, receiver: number, now: Millis, written: Millis): void {
    const { packets } = this
    packets.at[slot] = 0
    packets.kind[slot] = kind
    packets.sender[slot] = sender
    packets.receiver[slot] = receiver
    packets.sent[slot] = now
    packets.written[slot] = written
    this.#shares?.begin(slot)
    this.#watcher.sent?.(slot, now)
  }

  #loop (mix: number, now: Millis): void {
    if (this.#isDown[mix] === 1) return
    const slot = this.packets.take()
    const { packets } = this
    packets.length[slot] = this.plan.drawLoop(mix, packets.path, slot * packets.hops, this.#rng.paths)
    this.#begin(slot, PACKET.loop, mix, mix, now, now)
    this.#forward(slot, mix, now)
  }

  #wait (client: number, receiver: number, now: Millis): void {
    const waiting = this.#written.get(client)
    if (waiting === undefined) this.#written.set(client, [{ receiver, at: now }])
    else waiting.push({ receiver, at: now })
  }

  #tick (client: number, rng: Rng, now: Millis): void {
    const waiting = this.#written.get(client)
    const first = waiting?.shift()
    if (first === undefined) return this.send(PACKET.drop, client, below(rng, this.#scenario.clients.count), now)
    if (waiting?.length === 0) this.#written.delete(client)
    this.send(PACKET.message, client, first.receiver, now, first.at)
  }

  /** On to the next mix of its path, or to its receiver. */
  #forward (slot: number, from: number, now: Millis): void {
    const { packets } = this
    const at = packets.at[slot]
    const to = at < packets.length[slot] ? packets.path[slot * packets.hops + at] : this.#endOf(slot)
    if (this.#loss !== NOT_LOST && unit(this.#rng.loss) <= this.#loss) return this.#drop(slot, 'link', now)
    this.#onLinks.put(now + this.#links.delay(from, to), slot)
  }

  #endOf (slot: number): number {
    const { packets } = this
    return packets.kind[slot] === PACKET.loop ? packets.receiver[slot] : this.plan.mixes + packets.receiver[slot]
  }

  #arrive (slot: number, now: Millis): void {
    const { packets } = this
    const at = packets.at[slot]
    if (at === packets.length[slot]) return this.#receive(slot, now)
    const mix = packets.path[slot * packets.hops + at]
    const departures = this.#mixes[mix]
    this.hops += 1
    if (this.#watcher.blocks?.(slot, mix, now) === true) return this.#drop(slot, 'adversary', now)
    if (this.#isDown[mix] === 1) return this.#drop(slot, 'mix-down', now)
    this.#leave(mix, departures.pass(now, this.#rng.mixes), now)
    if (departures.size >= this.#scenario.mix.queue_limit) return this.#drop(slot, 'queue-full', now)
    packets.at[slot] = at + 1
    const cell = this.plan.cells[mix]
    if (this.#shares !== null && cell >= 0) this.#shares.enter(cell, slot)
    this.#watcher.entered?.(slot, mix, now)
    this.#leave(mix, departures.add(packets.held(slot), this.#rng.mixes), now)
    this.#deadlines.set(mix, departures.nextDeadline() ?? Infinity)
  }

  #pass (mix: number, now: Millis): void {
    const departures = this.#mixes[mix]
    this.#leave(mix, departures.pass(now, this.#rng.mixes), now)
    this.#deadlines.set(mix, departures.nextDeadline() ?? Infinity)
  }

  #leave (mix: number, leaving: readonly Held[], now: Millis): void {
    for (let i = 0; i < leaving.length; i++) {
      const { slot } = leaving[i]
      const cell = this.plan.cells[mix]
      if (this.#shares !== null && cell >= 0 && !this.#staysIn(cell, slot)) this.#shares.leave(slot)
      this.#watcher.left?.(slot, mix, now)
      this.#forward(slot, mix, now)
    }
  }

  /** Is the next mix of its path in the same cell, so that the observer does not see the link between? */
  #staysIn (cell: number, slot: number): boolean {
    const { packets, plan } = this
    const at = packets.at[slot]
    return cell >= plan.mixes && at < packets.length[slot] && plan.cells[packets.path[slot * packets.hops + at]] === cell
  }

  #receive (slot: number, now: Millis): void {
    // Whoever sent a loop alone knows that it is one: that it ended, the observer is told.
    if (this.packets.kind[slot] === PACKET.loop) this.#shares?.lost(slot)
    else this.#shares?.received(slot)
    this.#watcher.received?.(slot, now)
    this.packets.give(slot)
  }

  #drop (slot: number, why: Drop, now: Millis): void {
    this.#shares?.lost(slot)
    this.#watcher.dropped?.(slot, why, now)
    this.packets.give(slot)
  }

  /** Mixes that stop, and lose what is in them, and run again. */
  #churn (up: Millis, down: Millis): Source {
    const rng = this.#rng.churn
    const changes = new Deadlines(this.plan.mixes)
    for (let mix = 0; mix < this.plan.mixes; mix++) changes.set(mix, exponential(rng, up))
    return {
      get due () { return changes.firstAt },
      tick: now => {
        const mix = changes.first
        const isDown = 1 - this.#isDown[mix]
        this.#isDown[mix] = isDown
        changes.set(mix, now + exponential(rng, isDown === 1 ? down : up))
        if (isDown === 1) this.#crash(mix, now)
      }
    }
  }

  #crash (mix: number, now: Millis): void {
    const departures = this.#mixes[mix]
    for (const { packet: { slot } } of departures.waiting()) this.#drop(slot, 'mix-down', now)
    departures.clear()
    departures.pass(now, this.#rng.mixes)
    this.#deadlines.set(mix, departures.nextDeadline() ?? Infinity)
  }
}
