/** The streams of `/mix/1.0.0` on which neighbours send to us: one for each, of which the newest counts. */
import type { Stream } from '@libp2p/interface'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { LinkId } from '../mixing/engine.ts'
import { readFrames, type FrameLimits } from './frames.ts'

interface Inbound { readonly stream: Stream, readonly done: Promise<void> }

export class InboundStreams {
  readonly #streams = new Map<LinkId, Inbound>()

  get size (): number {
    return this.#streams.size
  }

  has (from: LinkId): boolean {
    return this.#streams.has(from)
  }

  /**
   * Read packets until the neighbour closes its end, in the place of its earlier stream if there is one. Resolves when
   * that was in good order; rejects as readFrames does.
   */
  async read (from: LinkId, stream: Stream, limits: FrameLimits, onPacket: (packet: Uint8Array) => void | Promise<void>): Promise<void> {
    this.abort(from, new MixmintError('stream-replaced', 'peer', 'a newer stream of the same peer takes its place'))
    const reading = readFrames(stream, limits, onPacket).then(async () => { await stream.close() })
    this.#streams.set(from, { stream, done: reading.catch(() => {}) })
    try {
      await reading
    } finally {
      if (this.#streams.get(from)?.stream === stream) this.#streams.delete(from)
    }
  }

  abort (from: LinkId, reason: Error): void {
    this.#streams.get(from)?.stream.abort(reason)
  }

  /**
   * Ask all neighbours to end their streams, which loses nothing, as they keep what they have not sent yet. When the
   * signal fires first, the streams are broken off.
   */
  async end (signal: AbortSignal): Promise<void> {
    const all = [...this.#streams.values()]
    signal.addEventListener('abort', () => { for (const { stream } of all) stream.abort(stopped()) }, { once: true })
    await Promise.all(all.map(async ({ stream, done }) => {
      if (signal.aborted) stream.abort(stopped())
      await stream.close({ signal }).catch(() => {})
      await done
    }))
  }
}

function stopped (): MixmintError {
  return new MixmintError('stopping', 'us', 'this node is stopping', { retry: true })
}
