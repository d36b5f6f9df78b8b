/**
 * One direction of the conversation with one neighbour: a queue of packets, and the one long-lived stream that they
 * leave on. The stream is opened when it is needed and opened again when it breaks, after a growing, random time.
 */
import type { Stream } from '@libp2p/interface'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Millis, Rng } from '@mixmint/core/kit/ports'
import { unit } from '@mixmint/core/kit/samplers'
import { FrameWriter } from './frames.ts'

export interface LinkOptions {
  readonly open: () => Promise<Stream>
  /** Packets waiting at most. */
  readonly queue: number
  /** A packet that has waited so long for the stream to be opened is dropped. */
  readonly hold: Millis
  /** A stream that takes nothing for so long is broken off. */
  readonly stall: Millis
  /** Wait before the first and at most before any attempt. */
  readonly backoff: { readonly first: Millis, readonly most: Millis }
  readonly rng: Rng
  readonly onSent: () => void
  /** The stream could not be opened. */
  readonly onFailed?: () => void
  /** Packets that were taken and will not leave. */
  readonly onDropped: (count: number) => void
  /** The link is over; it takes no more packets. */
  readonly onOver: () => void
}

/** A stream that lasted this long worked: the next attempt starts with the shortest wait again. */
const WORKED: Millis = 10_000
/**
 * Some implementations close their end of every stream on which they only receive. To ours that says "no more", so that
 * on a stream which is closed before anything was sent so many packets still go: whoever stops reads them, too.
 */
const FAREWELL = 8
/** Between such streams the wait has doubled so often at most. */
const LITTLE = 2
/** Without an answer to our goodbye, what we sent has been read by then or will not be: some implementations give none. */
const GOODBYE: Millis = 5_000

export class PacketLink {
  readonly #options: LinkOptions
  readonly #queue: Array<{ readonly packet: Uint8Array, readonly since: Millis }> = []
  /** Those that are not closed at both ends yet; one at most takes packets, through the writer. */
  readonly #streams = new Set<Stream>()
  #writer: FrameWriter | undefined
  #opening: Promise<void> | undefined
  #closing = false
  #retry: NodeJS.Timeout | undefined
  #failures = 0
  #openedAt: Millis = 0
  #kept = false
  #isOver = false

  constructor (options: LinkOptions) {
    this.#options = options
  }

  /** Is the stream open? */
  get up (): boolean {
    return this.#writer !== undefined
  }

  get queued (): number {
    return this.#queue.length
  }

  /** False when the queue is full. Never waits. */
  offer (packet: Uint8Array): boolean {
    if (this.#isOver || this.#queue.length >= this.#options.queue) return false
    this.#queue.push({ packet, since: performance.now() })
    if (this.#writer !== undefined) this.#writer.kick()
    else this.#open()
    return true
  }

  /** Drop the packet that has waited longest. The caller knows; it is not told of it. */
  shed (): void {
    this.#queue.shift()
  }

  /** There is a new way to the neighbour: if anything waits, open the stream now. */
  wake (): void {
    if (this.#retry === undefined) return
    clearTimeout(this.#retry)
    this.#retry = undefined
    this.#open()
  }

  /** Keep the stream open also when there is nothing to send. */
  keep (): void {
    this.#kept = true
    if (this.#writer === undefined) this.#open()
  }

  /**
   * Send what waits, if the neighbour can be reached, and end when it has read it, or the signal fires. (Of a stream that
   * the neighbour has ended itself only when it has all been handed to the connection, which has to be closed in order.)
   * @returns what could not leave
   */
  async close (signal: AbortSignal): Promise<Uint8Array[]> {
    this.#closing = true
    clearTimeout(this.#retry)
    this.#retry = undefined
    await Promise.race([this.#opening, fired(signal)])
    // One more try, if the neighbour was away: it may just have come back.
    if (this.#queue.length > 0 && this.#writer === undefined) this.#open()
    await Promise.race([this.#opening, fired(signal)])
    await this.#writer?.close(signal)
    const patience = AbortSignal.any([signal, AbortSignal.timeout(GOODBYE)])
    await Promise.all([...this.#streams].map(async stream => { await closed(stream, patience) }))
    const left = this.#queue.splice(0)
    this.#over()
    return left.map(({ packet }) => packet)
  }

  /** Drop what waits, and break off the streams: the link is over. */
  end (): void {
    if (this.#isOver) return
    for (const stream of this.#streams) stream.abort(new MixmintError('link-over', 'us', 'this link is not needed any more'))
    const left = this.#queue.splice(0).length
    if (left > 0) this.#options.onDropped(left)
    this.#over()
  }

  #open (): void {
    if (this.#opening !== undefined || this.#isOver || this.#retry !== undefined) return
    this.#opening = this.#options.open().then(stream => { this.#opened(stream) }, () => { this.#failed() })
  }

  #opened (stream: Stream): void {
    this.#opening = undefined
    if (this.#isOver || stream.status !== 'open') {
      stream.abort(new MixmintError('stream-lost', 'peer', 'the stream is not needed any more'))
      this.#failed()
      return
    }
    this.#openedAt = performance.now()
    const { stall, onSent } = this.#options
    let [sent, most] = [0, Infinity]
    const writer = new FrameWriter(stream, () => {
      const next = sent < most ? this.#queue.shift() : undefined
      if (next === undefined) return undefined
      sent += 1
      onSent()
      return next.packet
    }, stall)
    this.#writer = writer
    this.#streams.add(stream)
    stream.addEventListener('message', () => {
      stream.abort(new MixmintError('frame-malformed', 'peer', 'the receiver of packets has nothing to say on their stream'))
    })
    stream.addEventListener('close', () => {
      this.#streams.delete(stream)
      this.#closed(writer)
      this.#rest()
    })
    // The receiver wants no more on this stream: what libp2p holds already still goes out, the rest waits for the next.
    const refused = (): void => {
      const signal = AbortSignal.timeout(stall)
      const isUsed = sent > 0
      most = isUsed ? sent : FAREWELL
      // Who has this habit is not away; but who stops needs a moment without streams.
      this.#failures = Math.min(this.#failures, LITTLE)
      if (!isUsed) void writer.close(signal)
      this.#closed(writer)
      stream.close({ signal }).catch((error: unknown) => { stream.abort(error as Error) })
    }
    stream.addEventListener('remoteCloseWrite', refused)
    if (stream.remoteWriteStatus === 'closed') refused()
    else writer.kick()
  }

  #closed (writer: FrameWriter): void {
    if (this.#writer !== writer) return
    this.#writer = undefined
    if (performance.now() - this.#openedAt >= WORKED) this.#failures = 0
    this.#again()
  }

  #failed (): void {
    this.#opening = undefined
    if (this.#isOver) return
    const { hold, onDropped, onFailed } = this.#options
    onFailed?.()
    const oldest = performance.now() - hold
    const fresh = this.#queue.findIndex(({ since }) => since > oldest)
    const stale = this.#queue.splice(0, fresh === -1 ? this.#queue.length : fresh)
    if (stale.length > 0) onDropped(stale.length)
    this.#again()
  }

  #again (): void {
    if (this.#isOver || this.#closing) return
    if (this.#queue.length === 0 && !this.#kept) {
      this.#rest()
      return
    }
    const { first, most } = this.#options.backoff
    const longest = Math.min(most, first * 2 ** this.#failures)
    this.#failures += 1
    clearTimeout(this.#retry)
    this.#retry = setTimeout(() => {
      this.#retry = undefined
      this.#open()
    }, longest * (1 + unit(this.#options.rng)) / 2)
  }

  /** Nothing to send, and nothing on its way: this link is not needed before there is. */
  #rest (): void {
    const busy = this.#closing || this.#kept || this.#queue.length > 0 || this.#streams.size > 0 || this.#opening !== undefined || this.#retry !== undefined
    if (!busy) this.#over()
  }

  #over (): void {
    if (this.#isOver) return
    this.#isOver = true
    clearTimeout(this.#retry)
    this.#options.onOver()
  }
}

/** At both ends, or broken, or the signal has fired. A receiver closes its end when it has read everything, or to stop us. */
async function closed (stream: Stream, signal: AbortSignal): Promise<void> {
  if (stream.status !== 'open') return
  await Promise.race([
    new Promise<void>(resolve => { stream.addEventListener('close', () => { resolve() }, { once: true }) }),
    fired(signal)
  ])
}

async function fired (signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  await new Promise<void>(resolve => { signal.addEventListener('abort', () => { resolve() }, { once: true }) })
}
