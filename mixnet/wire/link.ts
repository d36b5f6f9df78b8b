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

export class PacketLink {
  readonly #options: LinkOptions
  readonly #queue: Array<{ readonly packet: Uint8Array, readonly since: Millis }> = []
  #stream: Stream | undefined
  #writer: FrameWriter | undefined
  #opening = false
  #retry: NodeJS.Timeout | undefined
  #failures = 0
  #openedAt: Millis = 0
  #kept = false
  #over = false

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
    if (this.#over || this.#queue.length >= this.#options.queue) return false
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
    this.#failures = 0
    this.#open()
  }

  /** Keep the stream open also when there is nothing to send. */
  keep (): void {
    this.#kept = true
    if (this.#writer === undefined) this.#open()
  }

  /** Send what waits, if the stream is open, and end. What is left when the signal fires is dropped. */
  async close (signal: AbortSignal): Promise<void> {
    clearTimeout(this.#retry)
    this.#kept = false
    await this.#writer?.close(signal)
    this.end()
  }

  /** Drop what waits, and break off the stream: the link is over. */
  end (): void {
    if (this.#over) return
    this.#over = true
    clearTimeout(this.#retry)
    this.#stream?.abort(new MixmintError('link-over', 'us', 'this link is not needed any more'))
    const left = this.#queue.splice(0).length
    if (left > 0) this.#options.onDropped(left)
    this.#options.onOver()
  }

  #open (): void {
    if (this.#opening || this.#over || this.#retry !== undefined) return
    this.#opening = true
    this.#options.open().then(stream => { this.#opened(stream) }, () => { this.#failed() })
  }

  #opened (stream: Stream): void {
    this.#opening = false
    if (this.#over || stream.status !== 'open') {
      stream.abort(new MixmintError('stream-lost', 'peer', 'the stream is not needed any more'))
      this.#failed()
      return
    }
    this.#openedAt = performance.now()
    const writer = new FrameWriter(stream, () => {
      const next = this.#queue.shift()
      if (next !== undefined) this.#options.onSent()
      return next?.packet
    }, this.#options.stall)
    this.#writer = writer
    this.#stream = stream
    stream.addEventListener('message', () => {
      stream.abort(new MixmintError('frame-malformed', 'peer', 'the receiver of packets has nothing to say on their stream'))
    })
    stream.addEventListener('close', () => { this.#closed(writer) })
    // The receiver wants no more on this stream: what libp2p holds already still goes out, the rest waits for the next.
    stream.addEventListener('remoteCloseWrite', () => {
      this.#closed(writer)
      stream.close().catch(() => {})
    })
    if (stream.remoteWriteStatus === 'closed') this.#closed(writer)
    writer.kick()
  }

  #closed (writer: FrameWriter): void {
    if (this.#writer !== writer) return
    this.#writer = this.#stream = undefined
    if (performance.now() - this.#openedAt >= WORKED) this.#failures = 0
    this.#again()
  }

  #failed (): void {
    this.#opening = false
    if (this.#over) return
    const { hold, onDropped, onFailed } = this.#options
    onFailed?.()
    const oldest = performance.now() - hold
    const fresh = this.#queue.findIndex(({ since }) => since > oldest)
    const stale = this.#queue.splice(0, fresh === -1 ? this.#queue.length : fresh)
    if (stale.length > 0) onDropped(stale.length)
    this.#again()
  }

  #again (): void {
    if (this.#over) return
    if (this.#queue.length === 0 && !this.#kept) {
      this.end()
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
}
