/**
 * The asker's end of one exchange over the mix, as a libp2p stream, so that a client of a request/response protocol runs
 * over it unchanged.
 *
 *   written ──► gathered ──► leaves as one request ──► … mixing … ──► the reply, readable ──► end of stream
 *
 * When the request leaves (`leave`):
 *   quiet   when the client closes its end, or has written something and then nothing for a turn of the event loop (or
 *           for `quiet` ms): then it waits for the reply. What is written in one go, with only promises in between, leaves
 *           together; who computes or reads files between two writes names a time, or takes `close`
 *   close   only when the client closes its end
 *   open    at once, empty: for protocols in which only the other side speaks
 *
 * One stream is one exchange: whatever is written after the request has left is refused. How the exchange ended, if it
 * did not end well, is the error of the stream's `close` event, and stays in `failure`, since reading after the end tells
 * of the end only.
 */
import type { Logger } from '@libp2p/interface'
import type { Uint8ArrayList } from 'uint8arraylist'
import { concat } from '@mixmint/core/kit/bytes'
import { MixmintError } from '@mixmint/core/kit/errors'
import { asMixmintError } from '@mixmint/core/kit/saga'
import type { Millis } from '@mixmint/core/kit/ports'
import { OneMessageStream } from './one-message.ts'

/** When the request of a stream leaves: `quiet`, when nothing more is written for a while; `close`, when the client closes its end; `open`, at once and empty. */
export type Leave = 'quiet' | 'close' | 'open'

export interface MixStreamOptions {
  /** Unlike that of any other stream of this node. */
  readonly id: string
  readonly protocol: string
  readonly log: Logger
  readonly leave: Leave
  /** With leave quiet: nothing more is written for so long. */
  readonly quiet: Millis
  /** Bytes of the longest request. */
  readonly requestLimit: number
  /**
   * Sends the request. Resolves to the reply, or to null when it has left and none is wanted. The signal fires when the
   * client breaks the stream off.
   */
  readonly exchange: (request: Uint8Array, signal: AbortSignal) => Promise<Uint8Array | null>
}

/**
 * A libp2p stream that is one exchange: what is written leaves as one request, what is read is its reply, then the end.
 * How the exchange failed, if it did, is the error of the `close` event, and stays in `failure`.
 */
export class MixStream extends OneMessageStream {
  readonly #options: MixStreamOptions
  readonly #stop = new AbortController()
  readonly #written: Uint8Array[] = []
  #size = 0
  #timer: ReturnType<typeof setTimeout> | undefined
  #left = false
  #failure: MixmintError | undefined

  constructor (options: MixStreamOptions) {
    const { id, protocol, log } = options
    super({ id, protocol, log, direction: 'outbound' })
    this.#options = options
    // Not before whoever opens it holds it.
    if (options.leave === 'open') this.#timer = setTimeout(() => { this.#leave() })
  }

  /** How the exchange failed, if it did: not-sent, refused, overdue, lost or aborted. */
  get failure (): MixmintError | undefined {
    return this.#failure
  }

  /**
   * Add to the request.
   * @throws request-left (caller): it has left already; request-too-long (caller); StreamStateError when the stream is closed
   */
  override send (data: Uint8Array | Uint8ArrayList): boolean {
    if (this.#left) {
      throw new MixmintError('request-left', 'caller', 'the request has left, and one stream carries one: write it in one go, or open the stream with leave: \'close\'; for another request open another stream')
    }
    return super.send(data)
  }

  override sendData (data: Uint8ArrayList): { sentBytes: number, canSendMore: boolean } {
    const { requestLimit, leave, quiet } = this.#options
    const sentBytes = data.byteLength
    if (this.#size + sentBytes > requestLimit) {
      throw new MixmintError('request-too-long', 'caller', `a request has at most ${requestLimit} bytes; nothing was sent`)
    }
    this.#written.push(data.slice())
    this.#size += sentBytes
    if (leave === 'quiet') {
      clearTimeout(this.#timer)
      this.#timer = setTimeout(() => { this.#leave() }, quiet)
    }
    return { sentBytes, canSendMore: true }
  }

  override async sendCloseWrite (): Promise<void> {
    this.#leave()
  }

  override sendReset (): void {
    clearTimeout(this.#timer)
    this.#left = true
    this.#stop.abort()
  }

  /** End the stream with this error. */
  fail (error: unknown): void {
    if (this.status !== 'open') return
    this.#failure = asMixmintError(error)
    this.abort(this.#failure)
  }

  #leave (): void {
    if (this.#left) return
    clearTimeout(this.#timer)
    this.#left = true
    const request = concat(...this.#written.splice(0))
    this.#options.exchange(request, this.#stop.signal).then(reply => { this.say(reply) }, (error: unknown) => { this.fail(error) })
  }
}
