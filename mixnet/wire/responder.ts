/**
 * Anonymous requests at a service: the Responder engine with a real clock, timers and handlers, over the service's own
 * MixNode, which is the last hop of every request. `onDeliver` is to be that node's hook of the same name.
 */
import { isMixmintError, MixmintError } from '@mixmint/core/kit/errors'
import type { Clock, Meter, Millis } from '@mixmint/core/kit/ports'
import type { Suite } from '@mixmint/core/crypto/suite'
import type { DirectoryView } from '../directory/view.ts'
import { Responder, type ResponderEffect, type ResponderEvent } from '../session/responder.ts'
import { parseAddress } from '../sphinx/address.ts'
import { Alarm } from './alarm.ts'
import type { SendResult } from './packets.ts'

/**
 * May run more than once for one request, though not at the same time: after a restart, or when the answer had to give
 * way to others. A MixmintError that it throws is sent to the requester; of any other only that it happened.
 */
export type MixnetHandler = (content: Uint8Array) => Promise<Uint8Array>

export interface MixnetResponderOptions {
  readonly suite: Suite
  readonly clock: Clock
  readonly meter: Meter
  /** The document in force, or null while there is none: then nothing is answered. */
  readonly view: () => DirectoryView | null
  /** `MixNode.sendPacket`. */
  readonly sendPacket: (to: Uint8Array, packet: Uint8Array) => SendResult
  readonly limits?: Partial<ResponderLimits>
}

export interface ResponderLimits {
  /** Most bytes held for all requests, most requests remembered, most handlers at work at one time. */
  readonly memory: number
  readonly requests: number
  readonly running: number
  /** An incomplete request is forgotten after so long without a new part of it. */
  readonly gatherFor: Millis
}

const LIMITS: ResponderLimits = { memory: 1 << 28, requests: 1 << 16, running: 256, gatherFor: 120_000 }

/** Where return paths begin. */
const FIRST_MIX_LAYER = 1

export class MixnetResponder {
  readonly #options: MixnetResponderOptions
  readonly #handlers = new Map<string, MixnetHandler>()
  readonly #engine: Responder
  readonly #alarm: Alarm
  #view: DirectoryView | null = null
  #closed = false

  constructor (options: MixnetResponderOptions) {
    this.#options = options
    const limits = { ...LIMITS, ...options.limits }
    this.#alarm = new Alarm(options.clock, () => { this.#step({ is: 'timer' }) })
    this.#engine = new Responder({
      suite: options.suite,
      meter: options.meter,
      knows: protocol => this.#handlers.has(protocol),
      parameters: () => this.#known().parameters,
      gatherFor: limits.gatherFor,
      memoryLimit: limits.memory,
      requestsLimit: limits.requests,
      runLimit: limits.running
    })
  }

  /** Answer this protocol from now on. */
  handle (protocol: string, handler: MixnetHandler): void {
    this.#handlers.set(protocol, handler)
  }

  /** The hook for `MixNode.onDeliver`. */
  readonly onDeliver = (message: Uint8Array): void => {
    if (this.#closed || (this.#options.view() ?? this.#view) === null) {
      this.#options.meter.count('responder_dropped', { reason: this.#closed ? 'closed' : 'no-directory' })
      return
    }
    this.#step({ is: 'delivered', message })
  }

  /** What is held now. */
  get held (): { requests: number, running: number, bytes: number } {
    return this.#engine.held
  }

  /** Answer nothing any more; handlers at work run to their end, unheard. */
  close (): void {
    this.#closed = true
    this.#alarm.clear()
  }

  #step (event: ResponderEvent): void {
    if (this.#closed) return
    for (const effect of this.#engine.step(event, this.#options.clock.now())) this.#perform(effect)
    this.#alarm.set(this.#engine.due)
  }

  #perform (effect: ResponderEffect): void {
    if (effect.do === 'send') {
      this.#send(effect.firstHop, effect.packet)
      return
    }
    const { run, protocol, content } = effect
    this.#answer(protocol, content).then(
      answer => { this.#step({ is: 'answered', run, content: answer }) },
      (error: unknown) => { this.#step({ is: 'failed', run, error: this.#refusalOf(error) }) })
  }

  async #answer (protocol: string, content: Uint8Array): Promise<Uint8Array> {
    const handler = this.#handlers.get(protocol)
    if (handler === undefined) throw new MixmintError('unknown-protocol', 'caller', 'this service does not speak this protocol')
    return await handler(content)
  }

  #refusalOf (error: unknown): MixmintError {
    if (isMixmintError(error)) return error
    this.#options.meter.count('responder_handler_failed')
    return new MixmintError('internal', 'us', 'the service failed on this request; its operator has to look', { cause: error })
  }

  /** Only to mixes where return paths begin: a stranger's SURB must not make us talk to whomever it names. */
  #send (firstHop: Uint8Array, packet: Uint8Array): void {
    const address = parseAddress(firstHop)
    const known = address !== null && address.client === null && this.#known().byPeer(address.peer)?.layer === FIRST_MIX_LAYER
    if (!known) {
      this.#options.meter.count('responder_dropped', { reason: 'first-hop' })
      return
    }
    const result = this.#options.sendPacket(address.peer, packet)
    if (result !== 'queued') this.#options.meter.count('responder_dropped', { reason: result })
  }

  /** The document in force, or the last one there was. */
  #known (): DirectoryView {
    this.#view = this.#options.view() ?? this.#view
    if (this.#view === null) throw new MixmintError('internal', 'us', 'the responder was used before there was a directory document')
    return this.#view
  }
}
