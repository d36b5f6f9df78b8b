/**
 * The mixer: what a mix, a gateway and the last hop of a path (a service, a wallet) do with packets. A plain engine:
 * (event, now, rng) → effects, over private state; no socket, no timer, no clock of its own. DESIGN §2, §8. When a packet
 * leaves is up to the strategy (strategy.ts).
 *
 *   packet ─ peel ─┬─ exit, reply ────────────────────────────────▶ deliver, exit, reply (delivered)
 *                  ├─ forward ─ delay? topology? room? ─ strategy ─▶ forward, to-wallet  (forwarded)
 *                  └─ anything else ───────────────────────────────▶ dropped, by reason
 *
 * received = forwarded + delivered + dropped + queued, always.
 */
import { equal, toHex, wipe } from '@mixmint/core/kit/bytes'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Millis, Rng } from '@mixmint/core/kit/ports'
import type { Suite } from '@mixmint/core/crypto/suite'
import { isHere, nodeOf, parseAddress, type PacketAddress } from '../sphinx/address.ts'
import { peel, type DropReason as PeelDropReason, type Peeled } from '../sphinx/peel.ts'
import { SeenTags } from '../sphinx/replay.ts'
import type { Strategy } from '../directory/formats.ts'
import { strategyOf, type MixStrategy } from './strategy.ts'

/** A neighbour: its 39-byte peer id in lower-case hexadecimal. */
export type LinkId = string

/**
 * The mean delay, ms, that every packet must ask for. Where nobody prescribes one, any from 1 up to `most`, and each packet
 * has its own: it then tells the mix something of its sender.
 */
export type MeanDelay = Millis | { readonly most: Millis }

/** What the directory prescribes to a mixer. */
export interface MixParameters {
  readonly strategy: Strategy
  /** What packets must ask for at this hop. */
  readonly meanDelay: MeanDelay
  /** Bytes of every packet. */
  readonly packetSize: number
  /** Packets waiting at most. */
  readonly queueLimit: number
  /** Seen tags kept at most for one key, up to 2^30. */
  readonly replayLimit: number
}

/** Who may send where: the next layer, as the directory has it now; in a network without one, the nodes of the pool. */
export interface Topology {
  /** May a packet that came over the link `from` go on to the node `to`, which is named as one behind the circuit relay `relay` (null: as one of its own address)? */
  readonly mayForward: (from: LinkId, to: LinkId, relay: LinkId | null) => boolean
  /** May a packet that came over the link `from` go to `wallet`, attached here? Only at gateways, and to no listed node. */
  readonly mayReachWallet: (from: LinkId, wallet: LinkId) => boolean
}

/** The mix key of one epoch. It opens packets while from ≤ now < until (the epoch and the grace on both sides). */
export interface EpochKey {
  readonly epoch: number
  /** X25519, 32 bytes; copied. */
  readonly privateKey: Uint8Array
  readonly from: Millis
  readonly until: Millis
  /** Where this epoch's document prescribes another mean than `parameters.meanDelay`. */
  readonly meanDelay?: MeanDelay
  /** Tags seen under this key before a restart, 32 bytes each. */
  readonly seen?: Iterable<Uint8Array>
}

export type MixEvent =
  | { readonly kind: 'packet', readonly from: LinkId, readonly packet: Uint8Array }
  /** Some packet may be due. */
  | { readonly kind: 'timer' }
  /** This key may be used from its date on. Installing an epoch again changes nothing. */
  | { readonly kind: 'install', readonly key: EpochKey }
  /** Destroy the key of this epoch and its seen tags. */
  | { readonly kind: 'retire', readonly epoch: number }
  /** The epoch that is now current: its key is tried first. */
  | { readonly kind: 'epoch', readonly epoch: number }
  /** Take no more packets; those inside leave when they are due, or at once if they wait for others to come. */
  | { readonly kind: 'drain' }
  /** Drop everything that waits. */
  | { readonly kind: 'abandon' }

export type MixEffect =
  | { readonly kind: 'forward', readonly to: PacketAddress, readonly packet: Uint8Array }
  /** For a wallet (39-byte peer id), on the connection that it opened to us. */
  | { readonly kind: 'to-wallet', readonly wallet: Uint8Array, readonly packet: Uint8Array }
  /** A path ended here: a message, still padded. */
  | { readonly kind: 'deliver', readonly message: Uint8Array }
  /** A path ended here with a message, still padded, for a node that knows nothing of mixing: as an exit we are to ask it. */
  | { readonly kind: 'exit', readonly destination: PacketAddress, readonly message: Uint8Array }
  /** The path of one of our SURBs ended here: its id, 16 bytes, and the payload. */
  | { readonly kind: 'reply', readonly surbId: Uint8Array, readonly payload: Uint8Array }

export type MixDropReason = PeelDropReason
  /** No key is valid now. */
  | 'no-key'
  /** Another mean delay than is prescribed, or allowed. */
  | 'delay'
  /** The next hop is not an address. */
  | 'address'
  /** The next hop may not be reached from here. */
  | 'topology'
  /** To a destination that this node is no exit for. */
  | 'exit-refused'
  | 'queue-full'
  /** Came after draining had begun. */
  | 'draining'
  /** Was waiting when everything was abandoned. */
  | 'abandoned'

export interface MixCounts {
  readonly received: number
  readonly forwarded: number
  readonly delivered: number
  readonly queued: number
  readonly dropped: Readonly<Partial<Record<MixDropReason, number>>>
}

/** What waits, with the time still to wait and in the order of leaving where these are known; and the counts. */
export interface MixSnapshot {
  readonly counts: MixCounts
  readonly waiting: ReadonlyArray<{ readonly wait: Millis | undefined, readonly effect: MixEffect }>
  readonly epochs: readonly number[]
}

/** How late, in ms, an honest timer of a busy machine may come. */
const LATEST_TIMER: Millis = 1000

/** Times of day leave fractions of a ms no more precise: at the deadline that it was told, the caller finds something due. */
const ROUNDING: Millis = 0.001

interface Waiting { readonly mean: Millis, readonly effect: MixEffect }
interface LiveKey { readonly key: EpochKey, readonly meanDelay: MeanDelay, readonly seen: SeenTags, readonly see: (tag: Uint8Array) => 'new' | 'seen' | 'full' }

export interface MixEngineOptions {
  readonly suite: Suite
  /** Our own peer id, 39 bytes: packets for a wallet name us as its gateway. */
  readonly self: Uint8Array
  readonly parameters: MixParameters
  readonly topology: Topology
  /** Where this node is an exit: may it ask this node, which is another than itself? Without it, it is no exit. */
  readonly exits?: (destination: PacketAddress) => boolean
}

export class MixEngine {
  readonly #options: MixEngineOptions
  #strategy: MixStrategy<Waiting>
  readonly #dropped: Partial<Record<MixDropReason, number>> = {}
  /** In the order in which they are tried. */
  #keys: LiveKey[] = []
  #epoch = 0
  #received = 0
  #forwarded = 0
  #delivered = 0
  #draining = false
  /** Time in here only runs forward: see `#pass`. */
  #elapsed: Millis = 0
  #lastNow: Millis | undefined

  constructor (options: MixEngineOptions) {
    this.#options = options
    this.#strategy = strategyOf(options.parameters.strategy)
  }

  /** Never throws on a packet, whatever it holds. To be called with `timer` no later than at `nextDeadline()`. */
  handle (event: MixEvent, now: Millis, rng: Rng): MixEffect[] {
    this.#pass(now)
    const effects: MixEffect[] = []
    this.#release(effects, rng)
    switch (event.kind) {
      case 'packet': {
        const effect = this.#take(event.from, event.packet, now, rng)
        if (effect !== undefined) effects.push(effect)
        this.#release(effects, rng)
        break
      }
      case 'timer': break
      case 'install': this.#install(event.key, rng); break
      case 'retire': this.#retire(event.epoch); break
      case 'epoch':
        this.#epoch = event.epoch
        this.#sortKeys()
        break
      case 'drain':
        this.#draining = true
        this.#forward(this.#strategy.drain(rng), effects)
        break
      case 'abandon':
        for (let i = 0; i < this.#strategy.size; i++) this.#drop('abandoned')
        this.#strategy = strategyOf(this.#options.parameters.strategy)
        break
    }
    return effects
  }

  /** When, on the caller's clock, `timer` will have something to do. Undefined: not before another packet. */
  nextDeadline (): Millis | undefined {
    const due = this.#strategy.due()
    return due === undefined ? undefined : (this.#lastNow ?? 0) + due - this.#elapsed
  }

  /** Bytes of every packet of this network. */
  get packetSize (): number {
    return this.#options.parameters.packetSize
  }

  counts (): MixCounts {
    return {
      received: this.#received, forwarded: this.#forwarded, delivered: this.#delivered, queued: this.#strategy.size,
      dropped: { ...this.#dropped }
    }
  }

  snapshot (): MixSnapshot {
    const waiting = this.#strategy.waiting()
      .map(({ due, packet: { effect } }) => ({ wait: due === undefined ? undefined : due - this.#elapsed, effect }))
    return { counts: this.counts(), waiting, epochs: this.#keys.map(({ key }) => key.epoch) }
  }

  /** How many tags were seen under the key of this epoch; 0 without such a key. */
  seenCount (epoch: number): number {
    return this.#keys.find(({ key }) => key.epoch === epoch)?.seen.size ?? 0
  }

  /** The tags from number `from` on, to be kept over a restart: in the order they came, copies. */
  seenSince (epoch: number, from: number): Iterable<Uint8Array> {
    return this.#keys.find(({ key }) => key.epoch === epoch)?.seen.since(from) ?? []
  }

  /**
   * Add up what passes on the caller's clock. When that steps back, nothing has passed. When far more has passed than
   * until the next deadline, of which the caller knew, then the clock has stepped forward or the machine has slept:
   * what waits goes on waiting, for if all of it left at once, it would not be mixed.
   */
  #pass (now: Millis): void {
    const passed = Math.max(0, now - (this.#lastNow ?? now))
    const due = this.#strategy.due()
    this.#elapsed += due === undefined ? passed : Math.min(passed, Math.max(0, due - this.#elapsed) + LATEST_TIMER)
    this.#lastNow = now
  }

  #release (effects: MixEffect[], rng: Rng): void {
    this.#forward(this.#strategy.leave(this.#elapsed + ROUNDING, rng), effects)
  }

  #forward (left: readonly Waiting[], effects: MixEffect[]): void {
    this.#forwarded += left.length
    for (const { effect } of left) effects.push(effect)
  }

  #take (from: LinkId, packet: Uint8Array, now: Millis, rng: Rng): MixEffect | undefined {
    this.#received += 1
    if (this.#draining) return this.#drop('draining')
    if (packet.length !== this.packetSize) return this.#drop('size')
    const [peeled, meanDelay] = this.#peel(packet, now)
    switch (peeled.kind) {
      case 'drop': return this.#drop(peeled.reason)
      case 'exit': return this.#exit(peeled.destination, peeled.message)
      case 'reply':
        this.#delivered += 1
        return { kind: 'reply', surbId: peeled.surbId, payload: peeled.payload }
      case 'forward': {
        if (typeof meanDelay === 'number' ? peeled.delay !== meanDelay : peeled.delay < 1 || peeled.delay > meanDelay.most) return this.#drop('delay')
        const effect = this.#route(from, peeled.next, peeled.packet)
        if (typeof effect === 'string') return this.#drop(effect)
        if (this.#strategy.size >= this.#options.parameters.queueLimit) return this.#drop('queue-full')
        this.#strategy.add({ mean: peeled.delay, effect }, this.#elapsed, rng)
        return undefined
      }
    }
  }

  #exit (block: Uint8Array, message: Uint8Array): MixEffect | undefined {
    if (isHere(block)) {
      this.#delivered += 1
      return { kind: 'deliver', message }
    }
    const { self, exits } = this.#options
    const destination = parseAddress(block)
    if (destination === null) return this.#drop('address')
    if (equal(nodeOf(destination), self) || exits?.(destination) !== true) return this.#drop('exit-refused')
    this.#delivered += 1
    return { kind: 'exit', destination, message }
  }

  /** The first key whose MAC fits decides; a packet that fits none was garbled, or is for an epoch long gone. */
  #peel (packet: Uint8Array, now: Millis): [peeled: Peeled | { kind: 'drop', reason: 'no-key' }, meanDelay: MeanDelay] {
    let tried = false
    for (const { key, meanDelay, see } of this.#keys) {
      if (now < key.from || now >= key.until) continue
      tried = true
      const peeled = peel(this.#options.suite, key.privateKey, packet, see)
      if (peeled.kind !== 'drop' || peeled.reason !== 'mac') return [peeled, meanDelay]
    }
    return [{ kind: 'drop', reason: tried ? 'mac' : 'no-key' }, 0]
  }

  #route (from: LinkId, next: Uint8Array, packet: Uint8Array): MixEffect | 'address' | 'topology' {
    const { self, topology } = this.#options
    const to = parseAddress(next)
    if (to === null) return 'address'
    if (to.client !== null && equal(to.peer, self)) {
      return topology.mayReachWallet(from, toHex(to.client)) ? { kind: 'to-wallet', wallet: to.client, packet } : 'topology'
    }
    return topology.mayForward(from, toHex(nodeOf(to)), to.client === null ? null : toHex(to.peer)) ? { kind: 'forward', to, packet } : 'topology'
  }

  #drop (reason: MixDropReason): undefined {
    this.#dropped[reason] = (this.#dropped[reason] ?? 0) + 1
    return undefined
  }

  #install (key: EpochKey, rng: Rng): void {
    if (this.#keys.some(live => live.key.epoch === key.epoch)) return
    if (key.privateKey.length !== 32 || !(key.from < key.until)) {
      throw new MixmintError('bad-argument', 'caller', 'a mix key has 32 bytes, and a date from which it is valid before the one until which it is')
    }
    const { parameters } = this.#options
    const seen = new SeenTags(parameters.replayLimit, rng.bytes(16))
    for (const tag of key.seen ?? []) seen.see(tag)
    this.#keys.push({
      key: { ...key, privateKey: key.privateKey.slice(), seen: undefined },
      meanDelay: key.meanDelay ?? parameters.meanDelay,
      seen,
      see: tag => seen.see(tag)
    })
    this.#sortKeys()
  }

  #retire (epoch: number): void {
    for (const { key } of this.#keys) if (key.epoch === epoch) wipe(key.privateKey)
    this.#keys = this.#keys.filter(({ key }) => key.epoch !== epoch)
  }

  /** The current epoch, then those nearest to it, the later one first. */
  #sortKeys (): void {
    const distance = ({ key }: LiveKey): number => Math.abs(key.epoch - this.#epoch - 0.25)
    this.#keys.sort((a, b) => distance(a) - distance(b))
  }
}
