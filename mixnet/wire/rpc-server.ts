/** The answering side of rpc.ts. */
import type { Connection, Stream } from '@libp2p/interface'
import { MixmintError, isMixmintError } from '@mixmint/core/kit/errors'
import type { Meter, Millis } from '@mixmint/core/kit/ports'
import { FrameWriter, readFrames } from './frames.ts'
import { linkIdOf, peerBytes } from './peers.ts'
import { HEADER_SIZE, REFUSAL, REPLY, REQUEST, encodeRefusal, parseRpcFrame, rpcFrame } from './rpc.ts'
import type { StreamHost } from './stream-host.ts'

/** @param from the peer id of whoever asks, bytes (39 for secp256k1). A MixmintError that it throws is sent to the asker. */
export type RpcHandler = (from: Uint8Array, protocol: string, body: Uint8Array) => Promise<Uint8Array>

export interface RpcServerLimits {
  /** Bytes of the longest request and reply. */
  readonly maxRequest: number
  readonly maxReply: number
  /** Requests of one stream in work, or answered and not yet taken: beyond that, no more are read from it. */
  readonly maxInFlight: number
  /** Streams of one peer, and of all. */
  readonly streamsPerPeer: number
  readonly streams: number
  /** A stream with nothing asked for so long is ended. */
  readonly silence: Millis
  readonly stall: Millis
}

const LIMITS: RpcServerLimits = {
  maxRequest: 1 << 20, maxReply: 1 << 20, maxInFlight: 256, streamsPerPeer: 4, streams: 1024, silence: 120_000, stall: 30_000
}

export interface RpcServer {
  /** Take no more requests and end all streams; those in work are not answered. */
  readonly close: () => Promise<void>
}

/** Answer requests on this protocol. */
export async function serveRpc (
  node: StreamHost, protocol: string, handler: RpcHandler, options: { meter: Meter, limits?: Partial<RpcServerLimits> }
): Promise<RpcServer> {
  const limits = { ...LIMITS, ...options.limits }
  const streams = new Map<Stream, string>()

  const onStream = (stream: Stream, connection: Connection): void => {
    const peer = linkIdOf(connection.remotePeer)
    const same = [...streams.values()].filter(other => other === peer).length
    if (streams.size >= limits.streams || same >= limits.streamsPerPeer) {
      options.meter.count('rpc_streams_refused', { protocol })
      stream.abort(new MixmintError('streams-full', 'us', 'as many streams as we serve are open', { retry: true }))
      return
    }
    streams.set(stream, peer)
    const session = new Session(stream, limits, async body => await handler(peerBytes(connection.remotePeer), protocol, body), options.meter)
    session.run().catch((error: unknown) => {
      options.meter.count('rpc_streams_broken', { protocol, reason: isMixmintError(error) ? error.code : 'internal' })
    }).finally(() => { streams.delete(stream) })
  }
  await node.handle(protocol, onStream, { maxInboundStreams: limits.streamsPerPeer, maxOutboundStreams: limits.streamsPerPeer })
  return {
    close: async () => {
      await node.unhandle(protocol)
      for (const stream of streams.keys()) stream.abort(new MixmintError('stopping', 'us', 'this node is stopping', { retry: true }))
    }
  }
}

/** One stream of one asker. */
class Session {
  readonly #stream: Stream
  readonly #limits: RpcServerLimits
  readonly #answer: (body: Uint8Array) => Promise<Uint8Array>
  readonly #meter: Meter
  readonly #replies: Uint8Array[] = []
  readonly #writer: FrameWriter
  #inFlight = 0
  #room: (() => void) | undefined

  constructor (stream: Stream, limits: RpcServerLimits, answer: (body: Uint8Array) => Promise<Uint8Array>, meter: Meter) {
    this.#stream = stream
    this.#limits = limits
    this.#answer = answer
    this.#meter = meter
    this.#writer = new FrameWriter(stream, () => this.#nextReply(), limits.stall)
  }

  async run (): Promise<void> {
    const { maxRequest, silence, stall } = this.#limits
    const wake = (): void => { this.#room?.() }
    this.#stream.addEventListener('close', wake)
    await readFrames(this.#stream, { min: HEADER_SIZE, max: HEADER_SIZE + maxRequest, silence, stall },
      frame => this.#onFrame(frame), () => this.#inFlight > 0)
    // The asker has closed its end: it still gets the answers to what it asked.
    while (this.#inFlight > 0 && this.#stream.status === 'open') await this.#answered()
    await this.#stream.close()
  }

  #onFrame (frame: Uint8Array): void | Promise<void> {
    const { id, kind, body } = parseRpcFrame(frame)
    if (kind !== REQUEST) throw new MixmintError('frame-malformed', 'peer', 'only requests are expected on this side of the stream')
    this.#inFlight += 1
    this.#work(id, body).catch((error: unknown) => { this.#stream.abort(error as Error) })
    if (this.#inFlight >= this.#limits.maxInFlight) return this.#answered()
  }

  async #work (id: number, body: Uint8Array): Promise<void> {
    let reply: Uint8Array
    try {
      const answer = await this.#answer(body)
      if (answer.length > this.#limits.maxReply) throw new MixmintError('reply-too-long', 'us', 'the reply is longer than this protocol allows')
      reply = rpcFrame(id, REPLY, answer)
    } catch (error) {
      if (!isMixmintError(error)) this.#meter.count('rpc_handler_failed', { protocol: this.#stream.protocol })
      reply = rpcFrame(id, REFUSAL, encodeRefusal(isMixmintError(error) ? error : internal()))
    }
    this.#replies.push(reply)
    this.#writer.kick()
  }

  #nextReply (): Uint8Array | undefined {
    const reply = this.#replies.shift()
    if (reply !== undefined) {
      this.#inFlight -= 1
      this.#room?.()
    }
    return reply
  }

  /** Until a reply has left, or the stream is closed. */
  async #answered (): Promise<void> {
    if (this.#stream.status !== 'open') return
    await new Promise<void>(resolve => { this.#room = resolve })
  }
}

/** What went wrong inside is for our own log, not for the asker. */
function internal (): MixmintError {
  return new MixmintError('internal', 'us', 'the request could not be carried out because of a defect or a fault of this node', { retry: true })
}
