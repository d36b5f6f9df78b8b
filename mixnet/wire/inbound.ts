/**
 * The streams of `/mix/1.0.0` on which neighbours send to us: one for each, or some, where other implementations open
 * another for every packet (LIP-99 §7.1). To stop in good order is half of a handshake whose other half is in link.ts:
 *
 *   receiver   closes its end ─────────────▶                    ─ reads to the end ─ closed
 *   sender                      keeps what it has not sent, sends what libp2p has of it, closes its end
 *
 * A sender that stops begins with its half, and the receiver answers when it has read everything. Neither loses a packet or
 * sends one twice, for the stream tells each where the other stopped. Of a stream that was broken off (a crash, a cable)
 * what was last sent is of an unknown fate.
 */
import type { Stream } from '@libp2p/interface'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Millis } from '@mixmint/core/kit/ports'
import type { LinkId } from '../mixing/engine.ts'
import { readFrames, type FrameLimits } from './frames.ts'
import type { StreamHost } from './stream-host.ts'

/** While a stream is being negotiated, look again after so long. */
const LOOK: Millis = 5

interface Inbound { readonly from: LinkId, readonly stream: Stream, readonly done: Promise<void> }

export class InboundStreams {
  readonly #host: StreamHost
  readonly #protocol: string
  readonly #most: number
  /** By neighbour, in the order in which they came. */
  readonly #open = new Map<LinkId, Inbound[]>()
  readonly #reading = new Set<Inbound>()
  #refusing = false
  #refused = false

  /** @param most of one neighbour, beside those that are ending */
  constructor (host: StreamHost, protocol: string, most: number) {
    this.#host = host
    this.#protocol = protocol
    this.#most = most
  }

  /** Neighbours. */
  get size (): number {
    return this.#open.size
  }

  has (from: LinkId): boolean {
    return this.#open.has(from)
  }

  /**
   * Read packets until the neighbour closes its end. Where it has too many streams, this one takes the place of the oldest,
   * which may be dead. Resolves when it ended in good order; rejects as readFrames does.
   * @param quiet a neighbour that has been silent for so long is asked to close its end, by which no packet is lost
   */
  async read (from: LinkId, stream: Stream, limits: FrameLimits, onPacket: (packet: Uint8Array) => void | Promise<void>, quiet: Millis = Infinity): Promise<void> {
    const before = this.#open.get(from) ?? []
    // One that is ending has only its last packets to say.
    const staying = before.filter(({ stream }) => !isEnding(stream))
    if (staying.length >= this.#most) staying[0].stream.abort(new MixmintError('stream-replaced', 'peer', 'a newer stream of the same peer takes its place'))
    const silence = watch(quiet, () => { endPolitely(stream) })
    const reading = readFrames(stream, limits, packet => {
      silence.broken()
      return onPacket(packet)
    }).then(async () => { await stream.close() })
    const inbound: Inbound = { from, stream, done: reading.catch(() => {}) }
    this.#open.set(from, [...before, inbound])
    this.#reading.add(inbound)
    if (this.#refusing) endPolitely(stream)
    try {
      await reading
    } finally {
      silence.end()
      this.#reading.delete(inbound)
      const left = this.#open.get(from)?.filter(other => other !== inbound) ?? []
      if (left.length > 0) this.#open.set(from, left)
      else this.#open.delete(from)
    }
  }

  /**
   * Take no more packets: neighbours are asked to end their streams, which loses nothing, as they keep what they have not
   * sent yet. When the signal fires first, the streams are broken off.
   */
  async refuse (signal: AbortSignal): Promise<void> {
    if (this.#refused) return
    this.#refusing = true
    const given = new Promise<void>(resolve => { signal.addEventListener('abort', () => { resolve() }, { once: true }) })
    while (!signal.aborted && (this.#reading.size > 0 || this.#isAgreed())) {
      for (const { stream } of this.#reading) endPolitely(stream)
      const ended = Promise.all([...this.#reading].map(async ({ done }) => { await done }))
      await Promise.race([given, this.#reading.size > 0 ? ended : later()])
    }
    // In the same turn in which no stream was coming: this takes effect before it returns.
    this.#refused = true
    const unhandled = this.#host.unhandle(this.#protocol)
    for (const { stream } of this.#reading) stream.abort(new MixmintError('stopping', 'us', 'this node is stopping', { retry: true }))
    await unhandled
  }

  /**
   * Is there a stream whose other end may have been told that we speak the protocol, and which has not been given to us
   * yet? To stop now would break it off, with packets on it.
   */
  #isAgreed (): boolean {
    return this.#host.getConnections().some(({ streams }) => streams.some(stream => stream.direction === 'inbound' && stream.status === 'open' &&
      (stream.protocol === '' || stream.protocol === this.#protocol)))
  }
}

function isEnding (stream: Stream): boolean {
  return stream.writeStatus !== 'writable' || stream.remoteWriteStatus !== 'writable'
}

function endPolitely (stream: Stream): void {
  stream.close().catch(() => {}) // it broke: its reader knows
}

/** Calls once when it has been quiet for so long. Infinity: never. */
function watch (quiet: Millis, call: () => void): { broken: () => void, end: () => void } {
  if (quiet === Infinity) return { broken: () => {}, end: () => {} }
  let heard = performance.now()
  let timer: NodeJS.Timeout | undefined
  const look = (): void => {
    const left = heard + quiet - performance.now()
    if (left > 0) timer = setTimeout(look, left)
    else call()
  }
  look()
  return { broken: () => { heard = performance.now() }, end: () => { clearTimeout(timer) } }
}

async function later (): Promise<void> {
  await new Promise<void>(resolve => { setTimeout(resolve, LOOK) })
}
