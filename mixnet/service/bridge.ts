/**
 * The answering end of an exchange: gives a request that came over the mix to the handler that the node has for its
 * protocol (`node.handle`), as a stream on a connection, and takes what the handler writes as the reply. The handler is
 * the ordinary one; it sees the request, then the end of the stream, and a peer without a name.
 *
 * The reply is whole when the handler closes its end, or by the rule that the protocol is served under; it is bounded in
 * bytes and time. Only protocols that the operator serves are reached, and of those not the ones behind middleware:
 * that decides by who asks, and here nobody can tell.
 */
import type { ComponentLogger, Logger } from '@libp2p/interface'
import type { Registrar } from '@libp2p/interface-internal'
import type { Uint8ArrayList } from 'uint8arraylist'
import { isMixmintError, MixmintError } from '@mixmint/core/kit/errors'
import type { Clock, Meter, Millis } from '@mixmint/core/kit/ports'
import { AnsweringConnection } from './connection.ts'
import { OneMessageStream } from './one-message.ts'
import { ReplyGatherer, untilEnd, type ReplyRule } from './reply-rule.ts'

/** Protocols that may be reached over the mix: some by name, with the rule of their reply where it is not the handler's closing; or by a predicate. */
export type Served = ReadonlyMap<string, ReplyRule | null> | ((protocol: string) => boolean)

export interface BridgeOptions {
  readonly registrar: Pick<Registrar, 'getHandler' | 'getMiddleware'>
  readonly logger: ComponentLogger
  readonly clock: Clock
  readonly meter: Meter
  readonly served: Served
  /** A handler must be done within this time. */
  readonly patience: Millis
}

export class HandlerBridge {
  readonly #options: BridgeOptions
  #opened = 0

  constructor (options: BridgeOptions) {
    this.#options = options
  }

  /** Is this protocol served? */
  knows (protocol: string): boolean {
    const { served, meter } = this.#options
    if (typeof served !== 'function') return served.has(protocol)
    try {
      // What is not said (a promise of it, say) is not served.
      return served(protocol) === true
    } catch {
      meter.count('mix_served_refused', { reason: 'predicate' })
      return false
    }
  }

  /**
   * @param replyLimit bytes that a reply may have
   * @returns what the handler answered
   * @throws for the asker to hear: unknown-protocol, handler-failed, handler-overdue, reply-too-long, reply-cut, reply-malformed
   */
  async answer (protocol: string, request: Uint8Array, replyLimit: number): Promise<Uint8Array> {
    const { logger, clock, patience } = this.#options
    const handler = this.#handlerOf(protocol)
    const id = `mix-${this.#opened++}`
    const log = logger.forComponent('mixmint:mixnet:served')
    const connection = new AnsweringConnection({ id, log, opened: clock.now(), limits: { bytes: replyLimit, seconds: Math.ceil(patience / 1000) } })
    const stream = new ServedStream(id, protocol, log, new ReplyGatherer(this.#ruleOf(protocol, replyLimit), replyLimit))
    connection.streams = [stream]
    const timer = setTimeout(() => {
      stream.abort(new MixmintError('handler-overdue', 'us', 'the handler of this protocol did not answer in time', { retry: true }))
    }, patience)
    try {
      Promise.resolve(handler(stream, connection)).catch((error: unknown) => { stream.abort(error as Error) })
      stream.ask(request)
      return await stream.reply
    } catch (error) {
      throw this.#refusal(error)
    } finally {
      clearTimeout(timer)
      stream.finish()
    }
  }

  #handlerOf (protocol: string): (stream: ServedStream, connection: AnsweringConnection) => void | Promise<void> {
    const { registrar, meter } = this.#options
    if (!this.knows(protocol)) throw unknownProtocol()
    if (registrar.getMiddleware(protocol).length > 0) {
      meter.count('mix_served_refused', { reason: 'middleware' })
      throw unknownProtocol()
    }
    try {
      return registrar.getHandler(protocol).handler
    } catch {
      meter.count('mix_served_refused', { reason: 'no-handler' })
      throw unknownProtocol()
    }
  }

  #ruleOf (protocol: string, limit: number): ReplyRule {
    const { served } = this.#options
    return (typeof served === 'function' ? null : served.get(protocol)) ?? untilEnd({ max: limit })
  }

  /** What went wrong inside a handler is not for the asker. */
  #refusal (error: unknown): MixmintError {
    const known = isMixmintError(error)
    this.#options.meter.count('mix_served_failed', { code: known ? error.code : 'handler-failed' })
    return known ? error : new MixmintError('handler-failed', 'us', 'the handler of this protocol broke off', { retry: true })
  }
}

function unknownProtocol (): MixmintError {
  return new MixmintError('unknown-protocol', 'caller', 'this protocol is not reached over the mix here')
}

/** What the handler reads and writes. */
class ServedStream extends OneMessageStream {
  readonly #gatherer: ReplyGatherer
  readonly #reply = Promise.withResolvers<Uint8Array>()

  constructor (id: string, protocol: string, log: Logger, gatherer: ReplyGatherer) {
    super({ id, protocol, log, direction: 'inbound' })
    this.#gatherer = gatherer
    this.#reply.promise.catch(() => {}) // heard by whoever waits for `reply`, if it still does
  }

  /** When it is whole. Rejects with what the stream was aborted with. */
  get reply (): Promise<Uint8Array> {
    return this.#reply.promise
  }

  ask (request: Uint8Array): void {
    this.say(request)
  }

  /** Nothing more is wanted of the handler. */
  finish (): void {
    if (this.status === 'open') this.onTransportClosed()
  }

  override sendData (data: Uint8ArrayList): { sentBytes: number, canSendMore: boolean } {
    if (this.#gatherer.take(data.subarray())) this.#reply.resolve(this.#gatherer.end())
    return { sentBytes: data.byteLength, canSendMore: true }
  }

  override async sendCloseWrite (): Promise<void> {
    try {
      this.#reply.resolve(this.#gatherer.end())
    } catch (error) {
      this.#reply.reject(error)
    }
  }

  override sendReset (error: Error): void {
    this.#reply.reject(error)
  }
}
