/**
 * The mixer: what a mix, a gateway and the last hop of a path (a service, a wallet) do with packets. A plain engine:
 * (event, now, rng) → effects, over private state; no socket, no timer, no clock of its own. DESIGN §2, §8. When a packet
 * leaves is up to the strategy (strategy.ts, departures.ts); then it waits, if it must, until a crash cannot make its tag unseen.
 *
 *   packet ─ peel ─┬─ exit, reply ────────────────────────────────┬─ recorded? ─┬─▶ deliver, exit, reply  (delivered)
 *                  ├─ forward ─ delay? topology? room? ─ strategy ─┘             └─▶ forward, to-wallet    (forwarded)
 *                  └─ anything else ────────────────────────────────────────────────▶ dropped, by reason
 *
 * received = forwarded + delivered + dropped + queued, always.
 */
import { equal, toHex } from '@mixmint/core/kit/bytes'
import type { Millis, Rng } from '@mixmint/core/kit/ports'
import type { Suite } from '@mixmint/core/crypto/suite'
import { isHere, nodeOf, parseAddress, parseDestination, type PacketAddress } from '../sphinx/address.ts'
import type { DropReason as PeelDropReason } from '../sphinx/peel.ts'
import type { Strategy } from '../directory/formats.ts'
import { KeyRing, type EpochKey, type MeanDelay } from './keyring.ts'
import { Buckets, DELAY_BOUNDS, QUEUE_BOUNDS, type BucketFigures } from './buckets.ts'
import { Departures } from './departures.ts'
import { drainTime } from './strategy.ts'

/** A neighbour: its 39-byte peer id in lower-case hexadecimal. */
export type LinkId = string

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

export type MixEvent =
  | { readonly kind: 'packet', readonly from: LinkId, readonly packet: Uint8Array }
  /** Some packet may be due. */
  | { readonly kind: 'timer' }
  /** This key may be used from its date on. Installing an epoch again changes nothing. */
  | { readonly kind: 'install', readonly key: EpochKey }
  /** Destroy the key of this epoch and its seen tags. */
  | { readonly kind: 'retire', readonly epoch: number }
  /**
   * The epoch that is now current, and what its document prescribes. Its key is tried first. What waits under another
   * strategy goes over to this one as if it had just come.
   */
  | { readonly kind: 'epoch', readonly epoch: number, readonly parameters: MixParameters }
  /**
   * Of the tags counted by `tagged`, the first so many outlive a crash: the packets that brought them may go on. From the
   * first such event on packets wait for theirs; before, tags are nobody's to keep.
   */
  | { readonly kind: 'recorded', readonly tags: number }
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

/** `tags`: how many tags there were when it came, its own the last. `came`: when, as `Departures.elapsed` has it. */
interface Waiting { readonly mean: Millis, readonly tags: number, readonly came: Millis, readonly effect: MixEffect }

export interface MixEngineOptions {
  readonly suite: Suite
  /** Our own peer id, 39 bytes: packets for a wallet name us as its gateway. */
  readonly self: Uint8Array
  /** Until the first `epoch` event. The packet size is for good. */
  readonly parameters: MixParameters
  readonly topology: Topology
  /** Where this node is an exit: may it ask this node, which is another than itself? Without it, it is no exit. */
  readonly exits?: (destination: PacketAddress) => boolean
}

export class MixEngine {
  readonly #options: MixEngineOptions
  readonly #keys: KeyRing
  #parameters: MixParameters
  readonly #departures: Departures<Waiting>
  /** What leaves, in this order, as soon as its tag is recorded. One that may not leave yet holds up those after it: their order stays random. */
  readonly #leaving: Waiting[] = []
  readonly #dropped: Partial<Record<MixDropReason, number>> = {}
  readonly #delays = new Buckets(DELAY_BOUNDS)
  readonly #queues = new Buckets(QUEUE_BOUNDS)
  #received = 0
  #forwarded = 0
  #delivered = 0
  #recorded = Infinity
  #draining = false

  constructor (options: MixEngineOptions) {
    this.#options = options
    this.#keys = new KeyRing(options.suite, options.parameters)
    this.#parameters = options.parameters
    this.#departures = new Departures(options.parameters.strategy)
  }

  /** Never throws on a packet, whatever it holds. To be called with `timer` no later than at `nextDeadline()`. */
  handle (event: MixEvent, now: Millis, rng: Rng): MixEffect[] {
    this.#leave(this.#departures.pass(now, rng))
    switch (event.kind) {
      case 'packet': this.#take(event.from, event.packet, now, rng); break
      case 'timer': break
      case 'install': this.#keys.install(event.key, rng); break
      case 'retire': this.#keys.retire(event.epoch); break
      case 'epoch': this.#prescribe(event.epoch, event.parameters, rng); break
      case 'recorded': this.#recorded = event.tags; break
      case 'drain':
        this.#draining = true
        this.#leave(this.#departures.drain(rng))
        break
      case 'abandon': this.#abandon(); break
    }
    return this.#release()
  }

  /** When, on the caller's clock, `timer` will have something to do. Undefined: not before another packet. */
  nextDeadline (): Millis | undefined {
    return this.#departures.nextDeadline()
  }

  /** Bytes of every packet of this network. */
  get packetSize (): number {
    return this.#options.parameters.packetSize
  }

  /** Packets that have not left yet. */
  get queued (): number {
    return this.#departures.size + this.#leaving.length
  }

  /** Tags seen so far, under all keys, those from before a restart not counted. */
  get tagged (): number {
    return this.#keys.tagged
  }

  /** After `drain` the last packet leaves within this time, ms. */
  get drainTime (): Millis {
    const { strategy, meanDelay } = this.#options.parameters
    return drainTime(strategy, typeof meanDelay === 'number' ? meanDelay : meanDelay.most)
  }

  counts (): MixCounts {
    return {
      received: this.#received, forwarded: this.#forwarded, delivered: this.#delivered, queued: this.queued,
      dropped: { ...this.#dropped }
    }
  }

  /** How long packets that were forwarded had been here. */
  delays (): BucketFigures {
    return this.#delays.figures()
  }

  /** How many packets waited here whenever one came that was to go on. */
  queues (): BucketFigures {
    return this.#queues.figures()
  }

  /** How full the tags of the fullest key are, and how many keys there are. */
  seen (): { readonly keys: number, readonly fullest: number, readonly limit: number } {
    const { epochs } = this.#keys
    return { keys: epochs.length, fullest: Math.max(0, ...epochs.map(epoch => this.#keys.seenCount(epoch))), limit: this.#parameters.replayLimit }
  }

  snapshot (): MixSnapshot {
    const leaving = this.#leaving.map(({ effect }) => ({ wait: 0, effect }))
    const waiting = this.#departures.waiting().map(({ wait, packet: { effect } }) => ({ wait, effect }))
    return { counts: this.counts(), waiting: [...leaving, ...waiting], epochs: this.#keys.epochs }
  }

  /** How many tags were seen under the key of this epoch; 0 without such a key. */
  seenCount (epoch: number): number {
    return this.#keys.seenCount(epoch)
  }

  /** The tags from number `from` on, to be kept over a restart: in the order they came, copies. */
  seenSince (epoch: number, from: number): Iterable<Uint8Array> {
    return this.#keys.seenSince(epoch, from)
  }

  #leave (packets: readonly Waiting[]): void {
    for (const packet of packets) this.#leaving.push(packet)
  }

  #release (): MixEffect[] {
    const effects: MixEffect[] = []
    for (const { tags, came, effect } of this.#leaving) {
      if (tags > this.#recorded) break
      effects.push(effect)
      if (isForwarded(effect)) {
        this.#forwarded += 1
        this.#delays.add(this.#departures.elapsed - came)
      } else {
        this.#delivered += 1
      }
    }
    if (effects.length > 0) this.#leaving.splice(0, effects.length)
    return effects
  }

  #take (from: LinkId, packet: Uint8Array, now: Millis, rng: Rng): void {
    this.#received += 1
    const taken = this.#draining ? 'draining' : packet.length !== this.packetSize ? 'size' : this.#open(from, packet, now)
    if (typeof taken === 'string') return this.#drop(taken)
    const { queueLimit } = this.#parameters
    const waiting = { ...taken, tags: this.tagged, came: this.#departures.elapsed }
    if (isForwarded(taken.effect)) {
      this.#queues.add(this.queued)
      if (this.queued >= queueLimit) this.#drop('queue-full')
      else this.#leave(this.#departures.add(waiting, rng))
    } else if (this.#leaving.length >= queueLimit) { // of these, few wait, and only for their tags to be recorded
      this.#drop('queue-full')
    } else {
      this.#leaving.push(waiting)
    }
  }

  /** What is to become of it, and its mean delay; or why nothing is. */
  #open (from: LinkId, packet: Uint8Array, now: Millis): Omit<Waiting, 'tags' | 'came'> | MixDropReason {
    const peeled = this.#keys.peel(packet, now)
    switch (peeled.kind) {
      case 'drop': return peeled.reason
      case 'reply': return { mean: 0, effect: { kind: 'reply', surbId: peeled.surbId, payload: peeled.payload } }
      case 'exit': {
        const effect = this.#exit(peeled.destination, peeled.message)
        return typeof effect === 'string' ? effect : { mean: 0, effect }
      }
      case 'forward': {
        if (!this.#keys.mayAsk(peeled.delay, now)) return 'delay'
        const effect = this.#route(from, peeled.next, peeled.packet)
        return typeof effect === 'string' ? effect : { mean: peeled.delay, effect }
      }
    }
  }

  #exit (block: Uint8Array, message: Uint8Array): MixEffect | 'address' | 'exit-refused' {
    if (isHere(block)) return { kind: 'deliver', message }
    const { self, exits } = this.#options
    const destination = parseDestination(block)
    if (destination === null) return 'address'
    return equal(nodeOf(destination), self) || exits?.(destination) !== true ? 'exit-refused' : { kind: 'exit', destination, message }
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

  #drop (reason: MixDropReason): void {
    this.#dropped[reason] = (this.#dropped[reason] ?? 0) + 1
  }

  #abandon (): void {
    for (let left = this.queued; left > 0; left--) this.#drop('abandoned')
    this.#leaving.length = 0
    this.#departures.clear()
  }

  #prescribe (epoch: number, parameters: MixParameters, rng: Rng): void {
    this.#keys.turn(epoch, parameters)
    this.#parameters = parameters
    this.#leave(this.#departures.change(parameters.strategy, rng))
    if (this.#draining) this.#leave(this.#departures.drain(rng))
  }
}

function isForwarded ({ kind }: MixEffect): boolean {
  return kind === 'forward' || kind === 'to-wallet'
}
