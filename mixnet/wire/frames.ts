/**
 * Frames on a libp2p stream: each an unsigned varint (multiformats/unsigned-varint, at most 4 bytes, shortest form)
 * with the length, then that many bytes.
 *
 *   ┌ length 1…4 ┬ body ────────────┬ length ┬ body ─┬ …
 *
 * Reading holds the sender back: while frames are worked on, the stream is paused, so that no more than one receive
 * window of unread bytes gathers here, and then the sender waits. (js-libp2p's own helpers either never pause or end the
 * stream when a buffer is full.) Writing pulls frames from a queue of its owner, many to one `send`, only while the
 * stream takes them: a message costs libp2p a fixed price of encryption and system calls, whatever its length.
 */
import type { Stream } from '@libp2p/interface'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Millis } from '@mixmint/core/kit/ports'
import { nextTurn } from './turn.ts'

export interface FrameLimits {
  /** Bytes of the shortest and the longest acceptable body. */
  readonly min: number
  readonly max: number
  /** No frame for so long, while we are ready to read and owe nothing: the stream is ended. */
  readonly silence: Millis
  /** A frame that has begun must be whole within this time. */
  readonly stall: Millis
  /** Frames are only lent, where this is true: they hold until `onFrame` has returned, and what it returned has settled. */
  readonly lent?: boolean
}

const LENGTH_BYTES = 4
/** Frames are joined up to about this size for one `send`: just under what one noise message holds. */
const BATCH_BYTES = 60 * 1024
/**
 * After so many frames let timers, other streams and the disk have their turn. Also when they come one message after the other:
 * what a socket holds, Node reads in one turn, and that may be hundreds of packets.
 */
const TURN = 8
/** While we pause, what gathers is joined this often. */
const JOIN_EVERY: Millis = 200
/** What is set aside for a body before its bytes arrive; from there it doubles, so that a length alone costs nothing. */
const FIRST_BODY_BYTES = 8192

/**
 * Read frames until the other side has closed its end. A frame is handed over as a fresh array, unless it is only lent; when
 * `onFrame` returns a promise, nothing more is read before it has settled.
 *
 * Resolves at a clean end. Otherwise the stream is aborted and it rejects: frame-size, frame-malformed, frame-cut,
 * peer-silent, stream-lost (all peer), or with what `onFrame` threw.
 * @param owing while true, silence between frames is no fault: an answer is still to come, from us or from them
 */
export async function readFrames (
  stream: Stream, limits: FrameLimits, onFrame: (frame: Uint8Array) => void | Promise<void>, owing: () => boolean = () => false
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const assembler = new Assembler(limits)
  const waiting: Uint8Array[] = []
  let busy = false
  let settled = false
  /** Frames since the latest turn. */
  let inTurn = 0
  let timer: NodeJS.Timeout | undefined

  const finish = (error?: Error): void => {
    if (settled) return
    settled = true
    clearTimeout(timer)
    stream.removeEventListener('message', onMessage)
    stream.removeEventListener('end', onEnd)
    stream.removeEventListener('close', onEnd)
    if (error === undefined) {
      resolve()
    } else {
      stream.abort(error)
      reject(error)
    }
  }
  /** Silence counts only while it is the peer's turn. */
  const watch = (): void => {
    clearTimeout(timer)
    const partial = assembler.partial
    timer = setTimeout(() => {
      if (!partial && owing()) watch()
      else finish(new MixmintError('peer-silent', 'peer', partial ? 'a frame was begun and not finished in time' : 'nothing was said for too long'))
    }, partial ? limits.stall : limits.silence)
  }
  const ended = (): boolean => stream.readableEnded || stream.status === 'closed' || stream.status === 'aborted' || stream.status === 'reset'

  const pump = async (): Promise<void> => {
    busy = true
    const wasPartial = assembler.partial
    let whole = false
    for (;;) {
      quietly(() => { stream.pause() })
      for (const chunk of waiting.splice(0)) {
        for (const frame of assembler.take(chunk)) {
          clearTimeout(timer)
          const done = onFrame(frame)
          if (done !== undefined) await joining(stream, done)
          whole = true
          if (++inTurn === TURN) {
            inTurn = 0
            await turn()
          }
          if (settled) return
        }
      }
      // May dispatch what gathered in the stream, and so fill `waiting`, before it returns.
      quietly(() => { stream.resume() })
      if (waiting.length === 0) break
    }
    busy = false
    if (ended()) onEnd()
    // The clock of an unfinished frame is not wound up again by each of its bytes.
    else if (whole || !wasPartial) watch()
  }
  const onMessage = (event: { data: Uint8Array | Iterable<Uint8Array> }): void => {
    if (event.data instanceof Uint8Array) waiting.push(event.data)
    // One by one: what gathered while we paused may be more pieces than one call takes arguments.
    else for (const chunk of event.data) waiting.push(chunk)
    if (!busy) pump().catch((error: unknown) => { finish(error as Error) })
  }
  const onEnd = (): void => {
    if (busy || settled) return
    if (waiting.length > 0 || (stream.readBufferLength > 0 && stream.readStatus === 'paused')) {
      pump().catch((error: unknown) => { finish(error as Error) })
    } else if (stream.status === 'reset' || stream.status === 'aborted') {
      finish(new MixmintError('stream-lost', 'peer', 'the stream was broken off', { retry: true }))
    } else if (assembler.partial) {
      finish(new MixmintError('frame-cut', 'peer', 'the stream ended inside a frame', { retry: true }))
    } else {
      finish()
    }
  }

  watch()
  stream.addEventListener('message', onMessage)
  stream.addEventListener('end', onEnd)
  stream.addEventListener('close', onEnd)
  if (ended() && stream.readBufferLength === 0) onEnd()
  return await promise
}

/** Cuts a flow of chunks into frames. */
class Assembler {
  readonly #limits: FrameLimits
  #length = 0
  #lengthBytes = 0
  #body: Uint8Array | undefined
  #filled = 0

  constructor (limits: FrameLimits) {
    this.#limits = limits
  }

  /** Is a frame begun and not finished? */
  get partial (): boolean {
    return this.#lengthBytes > 0
  }

  /** @throws frame-size, frame-malformed (peer) */
  * take (chunk: Uint8Array): Generator<Uint8Array> {
    let at = 0
    while (at < chunk.length) {
      if (this.#body === undefined) {
        if (!this.#takeLength(chunk[at++])) continue
        if (this.#limits.lent === true && chunk.length - at >= this.#length) {
          const frame = chunk.subarray(at, at += this.#length)
          this.#length = this.#lengthBytes = 0
          yield frame
          continue
        }
        this.#body = new Uint8Array(Math.min(this.#length, Math.max(FIRST_BODY_BYTES, chunk.length - at)))
      }
      const part = chunk.subarray(at, at + this.#length - this.#filled)
      this.#append(part)
      at += part.length
      if (this.#filled < this.#length) continue
      const frame = this.#body
      this.#body = undefined
      this.#length = this.#lengthBytes = this.#filled = 0
      yield frame
    }
  }

  /** True when the length is complete. */
  #takeLength (byte: number): boolean {
    this.#length += (byte & 0x7f) * 2 ** (7 * this.#lengthBytes)
    this.#lengthBytes += 1
    const last = byte < 0x80
    if (last ? byte === 0 && this.#lengthBytes > 1 : this.#lengthBytes === LENGTH_BYTES) {
      throw new MixmintError('frame-malformed', 'peer', 'a length must be an unsigned varint in its shortest form, of at most 4 bytes')
    }
    const { min, max } = this.#limits
    if (this.#length > max || (last && this.#length < min)) {
      throw new MixmintError('frame-size', 'peer', min === max ? `frames have ${max} bytes here` : `frames have ${min} to ${max} bytes here`)
    }
    return last
  }

  #append (part: Uint8Array): void {
    let body = this.#body as Uint8Array
    const needed = this.#filled + part.length
    if (needed > body.length) {
      const larger = new Uint8Array(Math.min(this.#length, Math.max(needed, 2 * body.length)))
      larger.set(body.subarray(0, this.#filled))
      this.#body = body = larger
    }
    body.set(part, this.#filled)
    this.#filled = needed
  }
}

/**
 * Writes the frames of a queue that its owner keeps. `kick` after adding to the queue; frames are taken out of it by
 * `next` only when the stream can take them, so the owner's bound on its queue bounds the memory.
 */
export class FrameWriter {
  readonly #stream: Stream
  readonly #next: () => Uint8Array | undefined
  readonly #stall: Millis
  #scheduled = false
  #stalled: NodeJS.Timeout | undefined
  #closing: { signal: AbortSignal, done: () => void } | undefined

  /** @param stall a stream that takes nothing for so long, though there is something to send, is aborted (peer-stalled) */
  constructor (stream: Stream, next: () => Uint8Array | undefined, stall: Millis) {
    this.#stream = stream
    this.#next = next
    this.#stall = stall
    // The stream's own listener came first and has queued the sending of what it holds itself; we go after that.
    stream.addEventListener('drain', () => { queueMicrotask(() => { this.#flush() }) })
    stream.addEventListener('close', () => {
      clearTimeout(this.#stalled)
      this.#closing?.done()
    })
  }

  /** There is something in the queue. Everything that is added in the same turn of the event loop leaves together. */
  kick (): void {
    if (this.#scheduled) return
    this.#scheduled = true
    nextTurn(() => {
      this.#scheduled = false
      this.#flush()
    })
  }

  /** Send what is queued, then close our end. Resolves also when the stream breaks or the signal fires first. */
  async close (signal: AbortSignal): Promise<void> {
    if (this.#stream.writeStatus !== 'writable' || signal.aborted) return
    const { promise, resolve } = Promise.withResolvers<void>()
    signal.addEventListener('abort', () => { resolve() }, { once: true })
    this.#closing = { signal, done: resolve }
    this.#flush()
    await promise
  }

  #flush (): void {
    const stream = this.#stream
    while (stream.writeStatus === 'writable') {
      if (stream.writableNeedsDrain) {
        this.#stalled ??= setTimeout(() => {
          stream.abort(new MixmintError('peer-stalled', 'peer', 'the peer does not read what it is sent', { retry: true }))
        }, this.#stall)
        return
      }
      clearTimeout(this.#stalled)
      this.#stalled = undefined
      const batch = this.#batch()
      if (batch === undefined) {
        const closing = this.#closing
        if (closing !== undefined) stream.close({ signal: closing.signal }).catch(() => {}).finally(closing.done)
        return
      }
      try {
        stream.send(batch)
      } catch (error) {
        stream.abort(error as Error)
      }
    }
  }

  #batch (): Uint8Array | undefined {
    const frames: Uint8Array[] = []
    let size = 0
    while (size < BATCH_BYTES) {
      const frame = this.#next()
      if (frame === undefined) break
      frames.push(frame)
      size += lengthSize(frame.length) + frame.length
    }
    if (frames.length === 0) return undefined
    const batch = new Uint8Array(size)
    let at = 0
    for (const frame of frames) {
      at = writeLength(batch, at, frame.length)
      batch.set(frame, at)
      at += frame.length
    }
    return batch
  }
}

function lengthSize (length: number): number {
  let size = 1
  for (let rest = length >>> 7; rest > 0; rest >>>= 7) size += 1
  return size
}

function writeLength (into: Uint8Array, at: number, length: number): number {
  let rest = length
  for (; rest >= 0x80; rest >>>= 7) into[at++] = rest & 0x7f | 0x80
  into[at++] = rest
  return at
}

/** Libp2p's buffer of what came while a stream is paused: a protected field, for there is no other way to it. */
interface Gathered { readonly byteLength: number, subarray: () => Uint8Array, consume: (bytes: number) => void, append: (bytes: Uint8Array) => void }

/** A sender may cut a window into single bytes, each kept at the price of a hundred: until `done` has settled, they are joined. */
async function joining (stream: Stream, done: Promise<void>): Promise<void> {
  let joined = 0
  const timer = setInterval(() => {
    const gathered = (stream as Stream & { readonly readBuffer?: Gathered }).readBuffer
    if (gathered === undefined || gathered.byteLength === joined) return
    const whole = gathered.subarray()
    joined = whole.length
    gathered.consume(joined)
    gathered.append(whole)
  }, JOIN_EVERY)
  try {
    await done
  } finally {
    clearInterval(timer)
  }
}

async function turn (): Promise<void> {
  await new Promise<void>(resolve => { nextTurn(resolve) })
}

/** Pausing and resuming throw once the other side has closed its end, when neither matters any more. */
function quietly (change: () => void): void {
  try {
    change()
  } catch {
    // Nothing more will be read.
  }
}
