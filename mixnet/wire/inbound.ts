/**
 * The streams of `/mix/1.0.0` on which neighbours send to us: one for each, of which the newest counts. To stop in good order
 * is half of a handshake whose other half is in link.ts:
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
  readonly #newest = new Map<LinkId, Inbound>()
  readonly #reading = new Set<Inbound>()
  #refused = false

  constructor (host: StreamHost, protocol: string) {
    this.#host = host
    this.#protocol = protocol
  }

  get size (): number {
    return this.#newest.size
  }

  has (from: LinkId): boolean {
    return this.#newest.has(from)
  }

  /**
   * Read packets until the neighbour closes its end, in the place of its earlier stream if there is one. Resolves when
   * that was in good order; rejects as readFrames does.
   * @param quiet a neighbour that has been silent for so long is asked to close its end, by which no packet is lost
   */
  async read (from: LinkId, stream: Stream, limits: FrameLimits, onPacket: (packet: Uint8Array) => void | Promise<void>, quiet: Millis = Infinity): Promise<void> {
    const before = this.#newest.get(from)?.stream
    // One that is ending has only its last packets to say.
    if (before !== undefined && !isEnding(before)) this.abort(from, new MixmintError('stream-replaced', 'peer', 'a newer stream of the same peer takes its place'))
    const silence = watch(quiet, () => { endPolitely(stream) })
    const reading = readFrames(stream, limits, packet => {
      silence.broken()
      return onPacket(packet)
    }).then(async () => { await stream.close() })
    const inbound: Inbound = { from, stream, done: reading.catch(() => {}) }
    this.#newest.set(from, inbound)
    this.#reading.add(inbound)
    try {
      await reading
    } finally {
      silence.end()
      this.#reading.delete(inbound)
      if (this.#newest.get(from) === inbound) this.#newest.delete(from)
    }
  }

  abort (from: LinkId, reason: Error): void {
    this.#newest.get(from)?.stream.abort(reason)
  }

  /**
   * Take no more packets: neighbours are asked to end their streams, which loses nothing, as they keep what they have not
   * sent yet. When the signal fires first, the streams are broken off.
   */
  async refuse (signal: AbortSignal): Promise<void> {
    if (this.#refused) return
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
