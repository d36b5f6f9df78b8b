/**
 * The asking side of rpc.ts. Every request ends in one of these ways, so that its caller knows what may have happened:
 *
 *   reply
 *   not-sent   it never left: no connection, too many in flight; nothing was done
 *   overdue    it left, and no reply came in time; it may have been carried out
 *   lost       it left, and the stream broke before the reply; it may have been carried out
 *   refused    the peer answered with an error, which is the cause
 *   aborted    the caller's signal fired; if it had left, it may have been carried out
 */
import type { Stream } from '@libp2p/interface'
import { toHex } from '@mixmint/core/kit/bytes'
import { MixmintError, isMixmintError } from '@mixmint/core/kit/errors'
import type { Meter, Millis } from '@mixmint/core/kit/ports'
import { FrameWriter, readFrames } from './frames.ts'
import { dialable, type Target } from './peers.ts'
import { HEADER_SIZE, REFUSAL, REFUSAL_SIZE, REPLY, REQUEST, decodeRefusal, parseRpcFrame, rpcFrame } from './rpc.ts'
import type { StreamHost } from './stream-host.ts'

export interface RpcClientLimits {
  readonly maxRequest: number
  readonly maxReply: number
  /** Requests to one peer on one protocol at a time; more are refused as not-sent. */
  readonly maxInFlight: number
  /** For a request that names no other. */
  readonly timeout: Millis
  readonly dialTimeout: Millis
  /** A stream that is not needed for so long is ended. */
  readonly idle: Millis
  readonly stall: Millis
}

const LIMITS: RpcClientLimits = {
  maxRequest: 1 << 20, maxReply: 1 << 20, maxInFlight: 1024, timeout: 10_000, dialTimeout: 5_000, idle: 60_000, stall: 30_000
}

export interface RequestOptions {
  readonly signal?: AbortSignal
  /** Ms for everything: connecting, sending, waiting for the reply. */
  readonly timeout?: Millis
}

export class RpcClient {
  readonly #node: StreamHost
  readonly #meter: Meter
  readonly #limits: RpcClientLimits
  readonly #channels = new Map<string, Channel>()
  #closed = false

  constructor (options: { node: StreamHost, meter: Meter, limits?: Partial<RpcClientLimits> }) {
    this.#node = options.node
    this.#meter = options.meter
    this.#limits = { ...LIMITS, ...options.limits }
  }

  /** @throws not-sent, overdue, lost, refused (peer), aborted, request-too-long, bad-address, bad-peer-id (caller) */
  async request (to: Target, protocol: string, body: Uint8Array, { signal, timeout = this.#limits.timeout }: RequestOptions = {}): Promise<Uint8Array> {
    if (body.length > this.#limits.maxRequest) {
      throw new MixmintError('request-too-long', 'caller', `at most ${this.#limits.maxRequest} bytes can be asked`)
    }
    if (signal?.aborted === true) throw aborted()
    if (this.#closed) throw notSent('this node is stopping')
    return await this.#channel(to, protocol).request(body, timeout, signal)
  }

  /** End all streams. Requests in flight are lost. */
  close (): void {
    this.#closed = true
    for (const channel of this.#channels.values()) channel.end(new MixmintError('stopping', 'us', 'this node is stopping'))
  }

  #channel (to: Target, protocol: string): Channel {
    const name = `${toHex(to.peer)} ${protocol}`
    let channel = this.#channels.get(name)
    if (channel === undefined) {
      const addresses = dialable(to)
      const open = async (): Promise<Stream> =>
        await this.#node.dialProtocol(addresses, protocol, { signal: AbortSignal.timeout(this.#limits.dialTimeout) })
      channel = new Channel(open, this.#limits, reason => {
        this.#channels.delete(name)
        this.#meter.count('rpc_channels_closed', { protocol, reason })
      })
      this.#channels.set(name, channel)
    }
    return channel
  }
}

interface Pending {
  sent: boolean
  readonly resolve: (reply: Uint8Array) => void
  readonly reject: (error: MixmintError) => void
}

/** The requests to one peer on one protocol, and their stream. It ends with its stream; the next request begins another. */
class Channel {
  readonly #limits: RpcClientLimits
  readonly #onEnd: (reason: string) => void
  readonly #pending = new Map<number, Pending>()
  #queue: Array<{ readonly id: number, readonly frame: Uint8Array }> = []
  #nextId = 0
  #stream: Stream | undefined
  #writer: FrameWriter | undefined
  #ended = false

  constructor (open: () => Promise<Stream>, limits: RpcClientLimits, onEnd: (reason: string) => void) {
    this.#limits = limits
    this.#onEnd = onEnd
    open().then(async stream => { await this.#run(stream) }).then(
      () => { this.end(new MixmintError('stream-lost', 'peer', 'the peer has closed the stream')) },
      (error: unknown) => { this.end(error) })
  }

  async request (body: Uint8Array, timeout: Millis, signal: AbortSignal | undefined): Promise<Uint8Array> {
    if (this.#pending.size >= this.#limits.maxInFlight) throw notSent('too many requests to this peer are in flight')
    const id = this.#nextId
    this.#nextId = (id + 1) % 2 ** 32
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>()
    const pending: Pending = { sent: false, resolve, reject }
    const timer = setTimeout(() => {
      reject(pending.sent ? new MixmintError('overdue', 'peer', 'no reply came in time', { retry: true }) : notSent('the peer could not be reached in time'))
    }, timeout)
    const onAbort = (): void => { reject(aborted()) }
    signal?.addEventListener('abort', onAbort, { once: true })
    this.#pending.set(id, pending)
    this.#queue.push({ id, frame: rpcFrame(id, REQUEST, body) })
    this.#writer?.kick()
    try {
      return await promise
    } finally {
      clearTimeout(timer)
      signal?.removeEventListener('abort', onAbort)
      this.#pending.delete(id)
    }
  }

  end (cause: unknown): void {
    if (this.#ended) return
    this.#ended = true
    this.#onEnd(isMixmintError(cause) ? cause.code : 'unreachable')
    this.#queue = []
    this.#stream?.abort(cause instanceof Error ? cause : new Error('the stream is not needed any more'))
    for (const { sent, reject } of this.#pending.values()) {
      reject(sent
        ? new MixmintError('lost', 'peer', 'the connection broke before the reply came', { retry: true, cause })
        : notSent('the peer cannot be reached', cause))
    }
  }

  async #run (stream: Stream): Promise<void> {
    if (this.#ended) {
      stream.abort(new MixmintError('stopping', 'us', 'this node is stopping'))
      return
    }
    this.#stream = stream
    const { maxReply, idle, stall } = this.#limits
    this.#writer = new FrameWriter(stream, () => this.#next(), stall)
    this.#writer.kick()
    await readFrames(stream, { min: HEADER_SIZE, max: HEADER_SIZE + Math.max(maxReply, REFUSAL_SIZE), silence: idle, stall },
      frame => { this.#onFrame(frame) }, () => this.#pending.size > 0)
  }

  /** The next request that somebody still waits for. */
  #next (): Uint8Array | undefined {
    for (;;) {
      const next = this.#queue.shift()
      if (next === undefined) return undefined
      const pending = this.#pending.get(next.id)
      if (pending === undefined) continue
      pending.sent = true
      return next.frame
    }
  }

  #onFrame (frame: Uint8Array): void {
    const { id, kind, body } = parseRpcFrame(frame)
    if (kind !== REPLY && kind !== REFUSAL) throw new MixmintError('frame-malformed', 'peer', 'only replies are expected on this side of the stream')
    const refusal = kind === REFUSAL ? decodeRefusal(body) : undefined
    const pending = this.#pending.get(id)
    // Nobody waits for it any more: its request is overdue or was aborted.
    if (pending === undefined) return
    if (refusal === undefined) pending.resolve(body)
    else pending.reject(new MixmintError('refused', 'peer', `the peer refused (${refusal.code}): ${refusal.message}`, { retry: refusal.retry, cause: refusal }))
  }
}

function notSent (why: string, cause?: unknown): MixmintError {
  return new MixmintError('not-sent', 'peer', `not sent: ${why}`, { retry: true, cause })
}

function aborted (): MixmintError {
  return new MixmintError('aborted', 'caller', 'the request was given up by its caller')
}
