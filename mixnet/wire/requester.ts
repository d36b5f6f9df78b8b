/**
 * Anonymous requests from a wallet: the Requester engine with a real clock and timers, over the wallet's own MixNode,
 * which is the last hop of every reply. `onReply` is to be that node's hook of the same name. Where cover is sent, the
 * CoverSender stands between the engine and the node, from when this is made until it is closed: it says when a packet
 * leaves, and sends another when there is none.
 */
import { toHex } from '@mixmint/core/kit/bytes'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Clock, Meter, Millis, Rng } from '@mixmint/core/kit/ports'
import type { Suite } from '@mixmint/core/crypto/suite'
import { earliest } from '../cover/process.ts'
import { CoverSender, type CoverPaths, type CoverSenderEffect, type CoverSenderEvent } from '../cover/sender.ts'
import type { Paths, RequesterEffect, RequesterEngine, RequesterEvent, Session, SessionParameters } from '../session/engines.ts'
import { PlainRequester } from '../session/plain.ts'
import { Requester } from '../session/requester.ts'
import { timingsOf } from '../session/timing.ts'
import { destinationBlock, type PacketAddress } from '../sphinx/address.ts'
import { Alarm } from './alarm.ts'
import { namedFigures, type LoopFigures } from './loss-figures.ts'
import type { SendResult } from './packets.ts'

export interface MixnetRequesterOptions {
  readonly suite: Suite
  readonly clock: Clock
  readonly rng: Rng
  readonly meter: Meter
  /** What the network prescribes now, or null while that is not known: then nothing is sent. */
  readonly parameters: () => SessionParameters | null
  /** How requests are put into packets: all of the network in one way. By default in fragments. */
  readonly session?: Session
  /** Paths to services, and back to the node that `sendPacket` belongs to. */
  readonly paths: Paths
  /** `MixNode.sendPacket`. */
  readonly sendPacket: (to: Uint8Array, packet: Uint8Array) => SendResult
  /** For a wallet. Without it nothing but requests is sent, whatever the network prescribes. */
  readonly cover?: SessionCover
  readonly limits?: Partial<RequesterLimits>
}

export interface SessionCover {
  readonly paths: CoverPaths
  /** Can the link to the gateway take a packet now? */
  readonly ready: () => boolean
}

export interface RequesterLimits {
  /** Requests at one time, and SURBs out for all of them. */
  readonly calls: number
  readonly surbs: number
  /** What links, queues and services take beside the mixing. */
  readonly base: Millis
  /** For a request that names no deadline. */
  readonly patience: Millis
}

/** Packets that wait for their tick. Of requests in fragments it is one, made when there is room. */
const QUEUE = 256
/** What links and queues take of an echo's time, beside the mixing and the cover. */
const ECHO_SLACK: Millis = 2000

const LIMITS: RequesterLimits = { calls: 256, surbs: 8192, base: 500, patience: 60_000 }

export interface MixnetRequestOptions {
  readonly signal?: AbortSignal
  /** Unix milliseconds. */
  readonly deadline?: Millis
  /** The node that `service`, as an exit, is to ask; without it, `service` answers itself. */
  readonly destination?: PacketAddress
  /**
   * A guess at the length of the answer, bytes: with it, the SURBs for a long one leave with the request. Null: no answer
   * is wanted, nor is there a way for one; the request then resolves to nothing, once it has left.
   */
  readonly replySize?: number | null
}

const NO_PATHS: CoverPaths = { forward: () => null, back: () => null }

interface Waiting { readonly resolve: (content: Uint8Array) => void, readonly reject: (error: Error) => void }

export class MixnetRequester {
  readonly #options: MixnetRequesterOptions
  readonly #limits: RequesterLimits
  readonly #engine: RequesterEngine
  readonly #cover: CoverSender
  readonly #waiting = new Map<number, Waiting>()
  readonly #alarm: Alarm
  #parameters: SessionParameters | null = null
  #calls = 0
  #closed = false

  constructor (options: MixnetRequesterOptions) {
    this.#options = options
    this.#limits = { ...LIMITS, ...options.limits }
    this.#alarm = new Alarm(options.clock, () => {
      this.#stepCover({ is: 'timer' })
      this.#step({ is: 'timer' })
    })
    const timing = timingsOf(() => this.#known(), () => ECHO_SLACK)
    this.#cover = new CoverSender({
      suite: options.suite,
      meter: options.meter,
      parameters: () => this.#covering(),
      paths: options.cover?.paths ?? NO_PATHS,
      ready: () => options.cover?.ready() ?? false,
      queueLimit: QUEUE,
      homeWithin: () => timing().roundTrip
    })
    const config = {
      suite: options.suite,
      meter: options.meter,
      parameters: () => this.#known(),
      slotted: () => this.#covering().send > 0,
      base: this.#limits.base,
      callLimit: this.#limits.calls,
      surbLimit: this.#limits.surbs,
      paths: options.paths
    }
    this.#engine = options.session === 'plain' ? new PlainRequester(config) : new Requester(config)
    this.onDocument()
  }

  /** What the network prescribes may have changed. */
  onDocument (): void {
    this.#stepCover({ is: 'timer' })
  }

  /**
   * @param service its peer id, 39 bytes: the last hop of the paths there
   * @returns what the service's handler of this protocol answered
   * @throws not-sent: no packet left this machine. refused: by the service; the cause is its own error. overdue: it was
   *   heard, but did not answer before the deadline; lost: it was not heard; after both, as after aborted (the signal
   *   fired), the request may have been carried out. request-too-long, bad-argument, bad-address (caller)
   */
  async request (service: Uint8Array, protocol: string, content: Uint8Array, options: MixnetRequestOptions = {}): Promise<Uint8Array> {
    const { signal, deadline = this.#options.clock.now() + this.#limits.patience, replySize = 0, destination } = options
    if (signal?.aborted === true) throw new MixmintError('aborted', 'caller', 'the request was aborted before it was sent', { cause: signal.reason })
    if (this.#closed || this.#options.parameters() === null) {
      throw new MixmintError('not-sent', 'peer', `the request was not sent: ${this.#closed ? 'this session is closed' : 'the network is not known yet'}`, { retry: true })
    }
    const target = { service: toHex(service), destination: destination === undefined ? null : destinationBlock(destination) }
    const call = this.#calls++
    const abort = (): void => { this.#step({ is: 'cancel', call }) }
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>()
    this.#waiting.set(call, { resolve, reject })
    signal?.addEventListener('abort', abort, { once: true })
    try {
      this.#step({ is: 'start', call, target, protocol, content, deadline, replySize })
      return await promise
    } finally {
      signal?.removeEventListener('abort', abort)
      this.#waiting.delete(call)
    }
  }

  /** The hook for `MixNode.onReply`. */
  readonly onReply = (surbId: Uint8Array, payload: Uint8Array): void => {
    if (this.#cover.awaits(surbId)) {
      this.#stepCover({ is: 'reply', surbId, payload })
    } else {
      this.#stepCover({ is: 'answered' })
      this.#step({ is: 'reply', surbId, payload })
    }
  }

  /** What became of the echoes. For whoever runs this session only: they say nothing of what it asked, but that it was there. */
  echoes (): LoopFigures {
    return namedFigures(this.#cover.figures())
  }

  /** What is held now. */
  get held (): { calls: number, surbs: number } {
    return this.#engine.held
  }

  /** Abort what is under way; nothing can be asked any more. */
  close (): void {
    this.#closed = true
    for (const call of [...this.#waiting.keys()]) this.#step({ is: 'cancel', call })
    this.#alarm.clear()
  }

  #step (event: RequesterEvent): void {
    for (const effect of this.#engine.step(event, this.#options.clock.now(), this.#options.rng)) this.#perform(effect)
    // The first packet of what was asked just now can be made before the next tick.
    if (event.is !== 'slot' && this.#covering().send > 0 && this.#cover.waiting === 0) this.#step({ is: 'slot' })
    this.#arm()
  }

  #stepCover (event: CoverSenderEvent): void {
    for (const effect of this.#cover.step(event, this.#options.clock.now(), this.#options.rng)) this.#performCover(effect)
    this.#arm()
  }

  #arm (): void {
    if (!this.#closed) this.#alarm.set(earliest(this.#engine.due, this.#cover.due))
  }

  #perform (effect: RequesterEffect): void {
    switch (effect.do) {
      case 'send': this.#stepCover({ is: 'packet', owner: effect.call, firstHop: effect.firstHop, packet: effect.packet }); break
      case 'resolve': this.#waiting.get(effect.call)?.resolve(effect.content); break
      case 'reject': this.#waiting.get(effect.call)?.reject(effect.error); break
    }
  }

  #performCover (effect: CoverSenderEffect): void {
    switch (effect.do) {
      case 'send': {
        const result = this.#options.sendPacket(effect.firstHop, effect.packet)
        if (result === 'queued') break
        if (effect.owner === null) this.#options.meter.count('cover_unsent', { reason: result })
        else this.#step({ is: 'unsent', call: effect.owner })
        break
      }
      case 'unsent': this.#step({ is: 'unsent', call: effect.owner }); break
      case 'slot': this.#step({ is: 'slot' }); break
      // A wallet writes no log of where its packets go.
      case 'alarm':
      case 'clear': this.#options.meter.count('echo_alarms', { is: effect.do }); break
    }
  }

  /** Cover as it is prescribed, or was last; none before, or for whoever sends none. */
  #covering (): { send: Millis, echoes: number, packetSize: number } {
    this.#parameters = this.#options.parameters() ?? this.#parameters
    return this.#options.cover === undefined || this.#parameters === null
      ? { send: 0, echoes: 0, packetSize: 0 }
      : { ...this.#parameters.cover, packetSize: this.#parameters.packetSize }
  }

  /** What is prescribed, or was last. */
  #known (): SessionParameters {
    this.#parameters = this.#options.parameters() ?? this.#parameters
    if (this.#parameters === null) throw new MixmintError('internal', 'us', 'the requester was used before the network was known')
    return this.#parameters
  }
}
