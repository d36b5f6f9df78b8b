/** The answering side of rpc.ts. */
import type { Connection, Stream } from '@libp2p/interface'
import { MixmintError, isMixmintError } from '@mixmint/core/kit/errors'
import type { Meter, Millis } from '@mixmint/core/kit/ports'
import type { Admit } from '../abuse/admit.ts'
import { giveWay } from '../abuse/give-way.ts'
import type { LinkId } from '../mixing/engine.ts'
import { pause } from './alarm.ts'
import { FrameWriter, readFrames } from './frames.ts'
import { groupOf, linkIdOf, peerBytes } from './peers.ts'
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
  /** A stream on which nothing was ever asked is ended after so long; one on which nothing is asked any more. */
  readonly proof: Millis
  readonly silence: Millis
  readonly stall: Millis
}

const LIMITS: RpcServerLimits = {
  maxRequest: 1 << 20, maxReply: 1 << 20, maxInFlight: 256, streamsPerPeer: 4, streams: 1024, proof: 20_000, silence: 120_000, stall: 30_000
}

export interface RpcServer {
  /** Take no more requests and end all streams; those in work are not answered. */
  readonly close: () => Promise<void>
}

export interface RpcServerOptions {
  readonly meter: Meter
  readonly limits?: Partial<RpcServerLimits>
  /** Asked for each request, with its peer as the link. */
  readonly admit?: Admit
}

interface Seat { readonly peer: LinkId, readonly group: string, readonly session: Session }

/** Answer requests on this protocol. When all streams are taken, one of the most crowded network address may give way. */
export async function serveRpc (node: StreamHost, protocol: string, handler: RpcHandler, options: RpcServerOptions): Promise<RpcServer> {
  const { meter, admit } = options
  const limits = { ...LIMITS, ...options.limits }
  const streams = new Map<Stream, Seat>()

  const hasRoom = (peer: LinkId, group: string): boolean => {
    const seats = [...streams.entries()]
    if (seats.filter(([, seat]) => seat.peer === peer).length >= limits.streamsPerPeer) return false
    if (seats.length < limits.streams) return true
    const displaced = giveWay(seats.map(([who, { group, session }]) => ({ who, group, engaged: session.engaged, heard: session.heard })), group)
    if (displaced === null) return false
    meter.count('rpc_streams_displaced', { protocol })
    displaced.abort(new MixmintError('displaced', 'us', 'another asker takes this place', { retry: true }))
    streams.delete(displaced)
    return true
  }
  const onStream = (stream: Stream, connection: Connection): void => {
    const peer = linkIdOf(connection.remotePeer)
    const group = groupOf(connection.remoteAddr)
    if (!hasRoom(peer, group)) {
      meter.count('rpc_streams_refused', { protocol })
      stream.abort(new MixmintError('streams-full', 'us', 'as many streams as we serve are open', { retry: true }))
      return
    }
    const session = new Session(stream, {
      limits, meter,
      answer: async body => await handler(peerBytes(connection.remotePeer), protocol, body),
      wait: now => admit?.admit(peer, now) ?? 0
    })
    streams.set(stream, { peer, group, session })
    session.run().catch((error: unknown) => {
      meter.count('rpc_streams_broken', { protocol, reason: isMixmintError(error) ? error.code : 'internal' })
    }).finally(() => {
      streams.delete(stream)
      if (![...streams.values()].some(other => other.peer === peer)) admit?.forget(peer)
    })
  }
  await node.handle(protocol, onStream, { maxInboundStreams: limits.streamsPerPeer, maxOutboundStreams: limits.streamsPerPeer })
  return {
    close: async () => {
      await node.unhandle(protocol)
      for (const stream of streams.keys()) stream.abort(new MixmintError('stopping', 'us', 'this node is stopping', { retry: true }))
    }
  }
}

interface SessionOptions {
  readonly limits: RpcServerLimits
  readonly meter: Meter
  readonly answer: (body: Uint8Array) => Promise<Uint8Array>
  /** As Admit. */
  readonly wait: (now: Millis) => Millis | 'refuse'
}

/** One stream of one asker. */
class Session {
  readonly #stream: Stream
  readonly #options: SessionOptions
  readonly #replies: Uint8Array[] = []
  readonly #writer: FrameWriter
  #inFlight = 0
  #asked = false
  #heard = performance.now()
  #room: (() => void) | undefined

  constructor (stream: Stream, options: SessionOptions) {
    this.#stream = stream
    this.#options = options
    this.#writer = new FrameWriter(stream, () => this.#nextReply(), options.limits.stall)
  }

  /** Is an answer owed? */
  get engaged (): boolean {
    return this.#inFlight > 0
  }

  get heard (): Millis {
    return this.#heard
  }

  async run (): Promise<void> {
    const { maxRequest, proof, silence, stall } = this.#options.limits
    const wake = (): void => { this.#room?.() }
    const hasAsked = (): boolean => this.#asked
    this.#stream.addEventListener('close', wake)
    await readFrames(this.#stream, { min: HEADER_SIZE, max: HEADER_SIZE + maxRequest, stall, get silence () { return hasAsked() ? silence : proof } },
      frame => this.#onFrame(frame), () => this.#inFlight > 0)
    // The asker has closed its end: it still gets the answers to what it asked.
    while (this.#inFlight > 0 && this.#stream.status === 'open') await this.#answered()
    await this.#stream.close()
  }

  #onFrame (frame: Uint8Array): void | Promise<void> {
    const { id, kind, body } = parseRpcFrame(frame)
    if (kind !== REQUEST) throw new MixmintError('frame-malformed', 'peer', 'only requests are expected on this side of the stream')
    this.#asked = true
    this.#heard = performance.now()
    const ms = this.#options.wait(this.#heard)
    if (ms === 'refuse') throw new MixmintError('flood', 'peer', 'this peer asks more than anybody has to ask')
    if (ms === 0) return this.#begin(id, body)
    return pause(ms).then(() => this.#begin(id, body))
  }

  #begin (id: number, body: Uint8Array): void | Promise<void> {
    this.#inFlight += 1
    this.#work(id, body).catch((error: unknown) => { this.#stream.abort(error as Error) })
    if (this.#inFlight >= this.#options.limits.maxInFlight) return this.#answered()
  }

  async #work (id: number, body: Uint8Array): Promise<void> {
    let reply: Uint8Array
    try {
      const answer = await this.#options.answer(body)
      if (answer.length > this.#options.limits.maxReply) throw new MixmintError('reply-too-long', 'us', 'the reply is longer than this protocol allows')
      reply = rpcFrame(id, REPLY, answer)
    } catch (error) {
      if (!isMixmintError(error)) this.#options.meter.count('rpc_handler_failed', { protocol: this.#stream.protocol })
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
