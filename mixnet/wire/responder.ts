/**
 * Anonymous requests at a service: the Responder engine with a real clock, timers and handlers, over the service's own
 * MixNode, which is the last hop of every request. `onDeliver` is to be that node's hook of the same name.
 */
import { isMixmintError, MixmintError } from '@mixmint/core/kit/errors'
import type { Clock, Meter, Millis, Rng } from '@mixmint/core/kit/ports'
import type { Suite } from '@mixmint/core/crypto/suite'
import { isCover } from '../cover/message.ts'
import { earliest } from '../cover/process.ts'
import { ServiceCover, type ServiceCoverEvent } from '../cover/service.ts'
import type { ResponderEffect, ResponderEngine, ResponderEvent, Session, SessionParameters } from '../session/engines.ts'
import { PlainResponder } from '../session/plain.ts'
import { Responder, type ResponderConfig } from '../session/responder.ts'
import { parseAddress, type PacketAddress } from '../sphinx/address.ts'
import { decodeMessage } from '../sphinx/message.ts'
import { Alarm } from './alarm.ts'
import type { SendResult } from './packets.ts'

/**
 * May run more than once for one request, though not at the same time: after a restart, or when the answer had to give
 * way to others. A MixmintError that it throws is sent to the requester; of any other only that it happened.
 */
export type MixnetHandler = (content: Uint8Array) => Promise<Uint8Array>

/** Protocols that are not known one by one when the responder is made. */
export interface Answering {
  readonly knows: (protocol: string) => boolean
  /** As a `MixnetHandler`. */
  readonly answer: (protocol: string, content: Uint8Array) => Promise<Uint8Array>
}

/** Requests that are passed on to nodes which know nothing of mixing (LIP-99 §7.3.2). */
export interface Exit {
  /** Is this protocol asked of this destination? */
  readonly carries: (protocol: string, destination: PacketAddress) => boolean
  /** Ask. A MixmintError that it throws is sent to the requester; of any other only that it happened. */
  readonly ask: (destination: PacketAddress, protocol: string, content: Uint8Array) => Promise<Uint8Array>
}

export interface MixnetResponderOptions {
  readonly suite: Suite
  readonly clock: Clock
  readonly rng: Rng
  readonly meter: Meter
  /** What the network prescribes now, or null while that is not known: then nothing is answered. */
  readonly parameters: () => SessionParameters | null
  /** How requests are put into packets: all of the network in one way. By default in fragments. */
  readonly session?: Session
  /** May replies be given to this first hop of a SURB? A stranger's SURB must not make us talk to whomever it names. */
  readonly mayReplyTo: (firstHop: PacketAddress) => boolean
  /** What is answered beside the protocols that `handle` names. */
  readonly answering?: Answering
  /** Where this node is an exit: what it asks of others, and how. */
  readonly exit?: Exit
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
  /** Echoes answered in a second, and packets of answers that wait for their time. */
  readonly echoes: number
  readonly spaced: number
}

const LIMITS: ResponderLimits = { memory: 1 << 28, requests: 1 << 16, running: 256, gatherFor: 120_000, echoes: 1000, spaced: 1 << 14 }

export class MixnetResponder {
  readonly #options: MixnetResponderOptions
  readonly #handlers = new Map<string, MixnetHandler>()
  readonly #engine: ResponderEngine
  readonly #cover: ServiceCover
  readonly #alarm: Alarm
  readonly #atWork = new Set<Promise<void>>()
  #parameters: SessionParameters | null = null
  #closed = false

  constructor (options: MixnetResponderOptions) {
    this.#options = options
    const limits = { ...LIMITS, ...options.limits }
    this.#alarm = new Alarm(options.clock, () => {
      this.#stepCover({ is: 'timer' })
      this.#step({ is: 'timer' })
    })
    this.#cover = new ServiceCover({
      suite: options.suite,
      meter: options.meter,
      parameters: () => ({ pace: this.#known().cover.pace, packetSize: this.#known().packetSize }),
      echoLimit: limits.echoes,
      queueLimit: limits.spaced
    })
    const config: ResponderConfig = {
      suite: options.suite,
      meter: options.meter,
      knows: (protocol, destination) => destination === null ? this.#handlers.has(protocol) || options.answering?.knows(protocol) === true : options.exit?.carries(protocol, destination) ?? false,
      parameters: () => this.#known(),
      gatherFor: limits.gatherFor,
      memoryLimit: limits.memory,
      requestsLimit: limits.requests,
      runLimit: limits.running
    }
    this.#engine = options.session === 'plain' ? new PlainResponder(config) : new Responder(config)
  }

  /** Answer this protocol from now on. */
  handle (protocol: string, handler: MixnetHandler): void {
    this.#handlers.set(protocol, handler)
  }

  /** The hook for `MixNode.onDeliver`, and with a destination for `onExit`. */
  readonly onDeliver = (message: Uint8Array, destination: PacketAddress | null = null): void => {
    if (this.#closed || (this.#options.parameters() ?? this.#parameters) === null) {
      this.#options.meter.count('responder_dropped', { reason: this.#closed ? 'closed' : 'no-directory' })
      return
    }
    const decoded = destination === null ? decodeMessage(message) : null
    if (decoded !== null && isCover(decoded)) this.#stepCover({ is: 'cover', message: decoded })
    else this.#step({ is: 'delivered', message, destination })
  }

  /** What is held now. */
  get held (): { requests: number, running: number, bytes: number } {
    return this.#engine.held
  }

  /**
   * Resolves when the handlers that are at work have ended and their answers are sent, or the signal fires. From now on
   * nothing that is sent waits for its time.
   */
  async settle (signal: AbortSignal): Promise<void> {
    this.#stepCover({ is: 'drain' })
    await Promise.race([
      Promise.all(this.#atWork),
      new Promise<void>(resolve => {
        if (signal.aborted) resolve()
        signal.addEventListener('abort', () => { resolve() }, { once: true })
      })
    ])
  }

  /** Answer nothing any more; handlers at work run to their end, unheard. */
  close (): void {
    this.#closed = true
    this.#alarm.clear()
  }

  /** @param asked when what asks for an answer came */
  #step (event: ResponderEvent, asked: Millis = this.#options.clock.now()): void {
    if (this.#closed) return
    const effects = this.#engine.step(event, this.#options.clock.now())
    const packets = effects.filter(effect => effect.do === 'send')
    if (packets.length > 0) this.#stepCover({ is: 'answer', packets, asked })
    for (const effect of effects) if (effect.do === 'run') this.#run(effect)
    this.#arm()
  }

  #stepCover (event: ServiceCoverEvent): void {
    if (this.#closed) return
    for (const { firstHop, packet } of this.#cover.step(event, this.#options.clock.now(), this.#options.rng)) this.#send(firstHop, packet)
    this.#arm()
  }

  #arm (): void {
    this.#alarm.set(earliest(this.#engine.due, this.#cover.due))
  }

  #run ({ run, protocol, content, destination }: ResponderEffect & { do: 'run' }): void {
    const asked = this.#options.clock.now()
    const done = this.#answer(protocol, content, destination).then(
      answer => { this.#step({ is: 'answered', run, content: answer }, asked) },
      (error: unknown) => { this.#step({ is: 'failed', run, error: this.#refusalOf(error) }, asked) }
    ).finally(() => { this.#atWork.delete(done) })
    this.#atWork.add(done)
  }

  async #answer (protocol: string, content: Uint8Array, destination: PacketAddress | null): Promise<Uint8Array> {
    const { exit, answering } = this.#options
    const handler = this.#handlers.get(protocol)
    if (destination !== null && exit !== undefined) return await exit.ask(destination, protocol, content)
    if (destination === null && handler !== undefined) return await handler(content)
    if (destination === null && answering !== undefined) return await answering.answer(protocol, content)
    throw new MixmintError('unknown-protocol', 'caller', 'this service does not speak this protocol')
  }

  #refusalOf (error: unknown): MixmintError {
    if (isMixmintError(error)) return error
    this.#options.meter.count('responder_handler_failed')
    return new MixmintError('internal', 'us', 'the service failed on this request; its operator has to look', { cause: error })
  }

  #send (firstHop: Uint8Array, packet: Uint8Array): void {
    const address = parseAddress(firstHop)
    if (address === null || !this.#options.mayReplyTo(address)) {
      this.#options.meter.count('responder_dropped', { reason: 'first-hop' })
      return
    }
    const result = this.#options.sendPacket(firstHop, packet)
    if (result !== 'queued') this.#options.meter.count('responder_dropped', { reason: result })
  }

  /** What is prescribed, or was last. */
  #known (): SessionParameters {
    this.#parameters = this.#options.parameters() ?? this.#parameters
    if (this.#parameters === null) throw new MixmintError('internal', 'us', 'the responder was used before the network was known')
    return this.#parameters
  }
}
