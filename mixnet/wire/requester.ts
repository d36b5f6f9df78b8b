/**
 * Anonymous requests from a wallet: the Requester engine with a real clock and timers, over the wallet's own MixNode,
 * which is the last hop of every reply. `onReply` is to be that node's hook of the same name.
 */
import { toHex } from '@mixmint/core/kit/bytes'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Clock, Meter, Millis, Rng } from '@mixmint/core/kit/ports'
import type { Suite } from '@mixmint/core/crypto/suite'
import type { Paths, RequesterEffect, RequesterEngine, RequesterEvent, Session, SessionParameters } from '../session/engines.ts'
import { PlainRequester } from '../session/plain.ts'
import { Requester } from '../session/requester.ts'
import { destinationBlock, type PacketAddress } from '../sphinx/address.ts'
import { Alarm } from './alarm.ts'
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
  readonly limits?: Partial<RequesterLimits>
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

interface Waiting { readonly resolve: (content: Uint8Array) => void, readonly reject: (error: Error) => void }

export class MixnetRequester {
  readonly #options: MixnetRequesterOptions
  readonly #limits: RequesterLimits
  readonly #engine: RequesterEngine
  readonly #waiting = new Map<number, Waiting>()
  readonly #alarm: Alarm
  #parameters: SessionParameters | null = null
  #calls = 0
  #closed = false

  constructor (options: MixnetRequesterOptions) {
    this.#options = options
    this.#limits = { ...LIMITS, ...options.limits }
    this.#alarm = new Alarm(options.clock, () => { this.#step({ is: 'timer' }) })
    const config = {
      suite: options.suite,
      meter: options.meter,
      parameters: () => this.#known(),
      base: this.#limits.base,
      callLimit: this.#limits.calls,
      surbLimit: this.#limits.surbs,
      paths: options.paths
    }
    this.#engine = options.session === 'plain' ? new PlainRequester(config) : new Requester(config)
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
    this.#step({ is: 'reply', surbId, payload })
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
    this.#alarm.set(this.#engine.due)
  }

  #perform (effect: RequesterEffect): void {
    switch (effect.do) {
      case 'send':
        if (this.#options.sendPacket(effect.firstHop, effect.packet) !== 'queued') this.#step({ is: 'unsent', call: effect.call })
        break
      case 'resolve': this.#waiting.get(effect.call)?.resolve(effect.content); break
      case 'reject': this.#waiting.get(effect.call)?.reject(effect.error); break
    }
  }

  /** What is prescribed, or was last. */
  #known (): SessionParameters {
    this.#parameters = this.#options.parameters() ?? this.#parameters
    if (this.#parameters === null) throw new MixmintError('internal', 'us', 'the requester was used before the network was known')
    return this.#parameters
  }
}
