/**
 * Anonymous requests from a wallet: the Requester engine with a real clock and timers, over the wallet's own MixNode,
 * which is the last hop of every reply. `onReply` is to be that node's hook of the same name.
 */
import { toHex, fromHex } from '@mixmint/core/kit/bytes'
import { isMixmintError, MixmintError } from '@mixmint/core/kit/errors'
import type { Clock, Meter, Millis, Rng } from '@mixmint/core/kit/ports'
import type { Suite } from '@mixmint/core/crypto/suite'
import { choosePath, chooseReturnPath } from '../directory/route.ts'
import type { DirectoryView } from '../directory/view.ts'
import { Requester, type Path, type RequesterEffect, type RequesterEvent } from '../session/requester.ts'
import { Alarm } from './alarm.ts'
import type { SendResult } from './packets.ts'

export interface MixnetRequesterOptions {
  readonly suite: Suite
  readonly clock: Clock
  readonly rng: Rng
  readonly meter: Meter
  /** The document in force, or null while there is none. */
  readonly view: () => DirectoryView | null
  /** The gateway that this session is attached to: its peer id, 39 bytes. */
  readonly gateway: Uint8Array
  /** Who the gateway knows us as, for this session only: peer id 39 bytes, X25519 public key 32 bytes. */
  readonly peer: Uint8Array
  readonly mixKey: Uint8Array
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
  /** A guess at the length of the answer, bytes: with it, the SURBs for a long one leave with the request. */
  readonly replySize?: number
}

interface Waiting { readonly resolve: (content: Uint8Array) => void, readonly reject: (error: Error) => void }

export class MixnetRequester {
  readonly #options: MixnetRequesterOptions
  readonly #limits: RequesterLimits
  readonly #engine: Requester
  readonly #waiting = new Map<number, Waiting>()
  readonly #alarm: Alarm
  #view: DirectoryView | null = null
  #calls = 0
  #closed = false

  constructor (options: MixnetRequesterOptions) {
    this.#options = options
    this.#limits = { ...LIMITS, ...options.limits }
    this.#alarm = new Alarm(options.clock, () => { this.#step({ is: 'timer' }) })
    this.#engine = new Requester({
      suite: options.suite,
      meter: options.meter,
      parameters: () => this.#known().parameters,
      base: this.#limits.base,
      callLimit: this.#limits.calls,
      surbLimit: this.#limits.surbs,
      paths: {
        forward: (service, now, rng) => this.#path(now, view => choosePath(view, rng, now, { from: options.gateway, to: fromHex(service) })),
        back: (now, rng) => this.#path(now, view => chooseReturnPath(view, rng, now, { gateway: options.gateway, walletPeer: options.peer, walletKey: options.mixKey }))
      }
    })
  }

  /**
   * @param service its peer id, 39 bytes
   * @returns what the service's handler of this protocol answered
   * @throws not-sent: no packet left this machine. refused: by the service; the cause is its own error. overdue: it was
   *   heard, but did not answer before the deadline; lost: it was not heard; after both, as after aborted (the signal
   *   fired), the request may have been carried out. request-too-long, bad-argument (caller)
   */
  async request (service: Uint8Array, protocol: string, content: Uint8Array, options: MixnetRequestOptions = {}): Promise<Uint8Array> {
    const { signal, deadline = this.#options.clock.now() + this.#limits.patience, replySize = 0 } = options
    if (signal?.aborted === true) throw new MixmintError('aborted', 'caller', 'the request was aborted before it was sent', { cause: signal.reason })
    if (this.#closed || this.#options.view() === null) {
      throw new MixmintError('not-sent', 'peer', `the request was not sent: ${this.#closed ? 'this session is closed' : 'there is no directory document yet'}`, { retry: true })
    }
    const call = this.#calls++
    const abort = (): void => { this.#step({ is: 'cancel', call }) }
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>()
    this.#waiting.set(call, { resolve, reject })
    signal?.addEventListener('abort', abort, { once: true })
    try {
      this.#step({ is: 'start', call, service: toHex(service), protocol, content, deadline, replySize })
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

  /** The document in force, or the last one there was. */
  #known (): DirectoryView {
    this.#view = this.#options.view() ?? this.#view
    if (this.#view === null) throw new MixmintError('internal', 'us', 'the requester was used before there was a directory document')
    return this.#view
  }

  #path (now: Millis, choose: (view: DirectoryView) => Path): Path | null {
    const view = this.#options.view()
    if (view === null || !view.isInForce(now)) return null
    try {
      return choose(view)
    } catch (error) {
      // The network has no such path at this time, or none that can be written down; a later draw or document may.
      if (isMixmintError(error)) {
        this.#options.meter.count('request_no_path', { code: error.code })
        return null
      }
      throw error
    }
  }
}
