/**
 * Yamux with the bounds that libp2p's leaves out. Its receiver gathers a frame whole before it looks whether the sender's
 * window has room for that, and a frame may claim 4 GiB; and what it says itself (to pings, to streams above the limit, to
 * closed ones) is kept without a limit for a peer that does not read. Either ends a process for want of memory. And it tells
 * the sender of every frame that was read, which costs both sides as much as a small packet does.
 */
import type { StreamMuxer } from '@libp2p/interface'
import { yamux } from '@libp2p/yamux'
import { MixmintError } from '@mixmint/core/kit/errors'

export interface MuxerLimits {
  /** Streams of one connection in each direction. */
  readonly streams: number
  /** Bytes that a peer may send ahead on one stream, and so in one frame. */
  readonly window: number
  /** Bytes that wait on one stream until the peer takes them. */
  readonly streamBuffer: number
  /** The same for a whole connection, over what the system holds. */
  readonly connectionBuffer: number
}

/** Bytes before the data of a frame. */
const HEADER = 12
/** What may have been read without the sender being told: so much less than a window, the least of which has four times as much, that none waits. */
const UNTOLD = 64 * 1024
/** States of a stream in which it has nothing else to say by an update of its window. */
const [SYN_SENT, ESTABLISHED] = [1, 3]
/** A frame that comes in more pieces is joined, again and again: a piece of one byte costs a hundred. */
const PIECES = 256

/** What the muxer has, whatever its type says. */
interface Internals {
  readonly decoder?: { readonly buffer?: Gathered }
  onData?: (data: unknown) => void
  _newStream?: (...args: unknown[]) => Partial<StreamInternals>
}
interface StreamInternals {
  readonly state: number
  readonly recvWindow: number
  readonly recvWindowCapacity: number
  sendWindowUpdate: () => void
}
/** Of a frame that is not whole yet. */
interface Gathered {
  readonly byteLength: number
  readonly slice: () => Uint8Array
  readonly consume: (bytes: number) => void
  readonly append: (bytes: Uint8Array) => void
}

/** @throws muxer-internals (us), for each connection, when the library's inside has changed */
export function limitedYamux (limits: MuxerLimits): ReturnType<typeof yamux> {
  const { streams, window, streamBuffer, connectionBuffer } = limits
  const make = yamux({
    maxInboundStreams: streams, maxOutboundStreams: streams,
    streamOptions: { maxStreamWindowSize: window, maxReadBufferLength: 2 * window, maxWriteBufferLength: streamBuffer }
  })
  return () => {
    const factory = make()
    const createStreamMuxer = factory.createStreamMuxer.bind(factory)
    factory.createStreamMuxer = connection => {
      (connection as { maxWriteBufferLength?: number }).maxWriteBufferLength = connectionBuffer
      const muxer = createStreamMuxer(connection)
      limitFrames(muxer, window)
      tellSeldom(muxer)
      return muxer
    }
    return factory
  }
}

function limitFrames (muxer: StreamMuxer, longest: number): void {
  const internals = muxer as unknown as Internals
  const gathered = internals.decoder?.buffer
  const onData = internals.onData?.bind(muxer)
  if (onData === undefined || gathered === undefined) throw changedInside()
  let pieces = 0
  internals.onData = data => {
    onData(data)
    if (gathered.byteLength === 0) {
      pieces = 0
      return
    }
    // What it throws ends the connection, as whatever is wrong with a frame does.
    if (gathered.byteLength > HEADER + longest) throw new MixmintError('frame-size', 'peer', 'a frame is longer than the window')
    pieces += 1
    if (pieces % PIECES === 0) {
      const joined = gathered.slice()
      gathered.consume(joined.length)
      gathered.append(joined)
    }
  }
}

function tellSeldom (muxer: StreamMuxer): void {
  const internals = muxer as unknown as Internals
  const newStream = internals._newStream?.bind(muxer)
  if (newStream === undefined) throw changedInside()
  internals._newStream = (...args) => {
    const stream = newStream(...args)
    const update = stream.sendWindowUpdate?.bind(stream)
    const { state, recvWindow, recvWindowCapacity } = stream
    if (update === undefined || state === undefined || recvWindow === undefined || recvWindowCapacity === undefined) throw changedInside()
    const own = stream as StreamInternals
    own.sendWindowUpdate = () => {
      const isOnly = own.state === ESTABLISHED || own.state === SYN_SENT
      if (!isOnly || own.recvWindow - own.recvWindowCapacity >= UNTOLD) update()
    }
    return stream
  }
}

function changedInside (): MixmintError {
  return new MixmintError('muxer-internals', 'us', 'the Yamux of libp2p has changed inside: its limits must be set another way')
}
