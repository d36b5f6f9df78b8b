/**
 * The entry of a node that has no address of its own: the node that it dials and stays connected to, by which its packets
 * leave and the replies come. It keeps to one for as long as that answers: many entries would each learn when it is there.
 *
 *   choose ── dial ──► attached ── the connection ends ──► dial the same again ── fails ──► choose another
 */
import type { Connection } from '@libp2p/interface'
import type { ConnectionManager } from '@libp2p/interface-internal'
import { equal, toHex } from '@mixmint/core/kit/bytes'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Meter, Millis, Rng } from '@mixmint/core/kit/ports'
import { shuffle, unit } from '@mixmint/core/kit/samplers'
import type { LinkId } from '../mixing/engine.ts'
import { Backoff } from '../wire/loop.ts'
import type { Neighbourhood } from '../wire/packets.ts'
import { dialable, type Target } from '../wire/peers.ts'

export interface AttachmentOptions {
  readonly connections: Pick<ConnectionManager, 'openConnection'>
  /** Where one could attach, as known now. */
  readonly candidates: () => readonly Target[]
  /** This is the entry from now on. */
  readonly onAttached: (entry: Uint8Array) => void
  readonly rng: Rng
  readonly meter: Meter
}

const DIAL_PATIENCE: Millis = 5_000
/** An entry that lets go sooner than this did not really take us. */
const TAKEN: Millis = 5_000
/** Between two rounds in which no entry answered. */
const SHORTEST: Millis = 100
const LONGEST: Millis = 10_000

export class Attachment {
  readonly #options: AttachmentOptions
  readonly #stop = new AbortController()
  readonly #backoff = new Backoff(SHORTEST, LONGEST)
  #entry: Target | null = null
  /** It let go of us at once. */
  #avoid: Target | null = null
  #connection: Connection | null = null
  #waiting: Array<() => void> = []
  #running: Promise<void> = Promise.resolve()
  #wake: () => void = () => {}

  constructor (options: AttachmentOptions) {
    this.#options = options
  }

  /** The peer id of the entry, 39 bytes; null before there was one. */
  get entry (): Uint8Array | null {
    return this.#entry?.peer ?? null
  }

  /** For the wire of a node that speaks with its entry only. */
  readonly neighbourhood: Neighbourhood = {
    addresses: peer => this.#isEntry(peer) ? this.#entry?.addresses ?? [] : [],
    accepts: peer => this.#isEntry(peer)
  }

  get up (): boolean {
    return this.#connection?.status === 'open'
  }

  start (): void {
    this.#running = this.#run()
  }

  async stop (): Promise<void> {
    this.#stop.abort()
    this.#wake()
    await this.#running
  }

  /** There may be other candidates now. */
  poke (): void {
    this.#wake()
  }

  /** Resolves when attached. @throws no-entry (operator, retry) when the signal fires */
  async ready (signal: AbortSignal): Promise<void> {
    if (this.up) return
    await new Promise<void>((resolve, reject) => {
      const attached = (): void => {
        signal.removeEventListener('abort', failed)
        resolve()
      }
      const failed = (): void => {
        this.#waiting = this.#waiting.filter(waiting => waiting !== attached)
        reject(new MixmintError('no-entry', 'operator', this.#options.candidates().length === 0
          ? 'no node is known that takes clients: name one in `entry`, or add one to the pool'
          : 'no entry of the mix network answers: is this machine connected, and are they running?', { retry: true }))
      }
      this.#waiting.push(attached)
      signal.addEventListener('abort', failed, { once: true })
      if (signal.aborted) failed()
    })
  }

  #isEntry (peer: LinkId): boolean {
    return this.#entry !== null && toHex(this.#entry.peer) === peer
  }

  async #run (): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted) {
      const connection = await this.#attach()
      const since = performance.now()
      if (connection !== null) {
        await this.#ended(connection)
        this.#options.meter.count('entry_lost')
      }
      if (connection !== null && performance.now() - since >= TAKEN) {
        this.#backoff.succeeded()
      } else {
        this.#avoid = this.#entry
        await this.#sleep(this.#backoff.failed(unit(this.#options.rng)))
      }
    }
  }

  /** The entry there was, if it did well, else any other. */
  async #attach (): Promise<Connection | null> {
    const { candidates, connections, onAttached, rng } = this.#options
    const rank = ({ peer }: Target): number => this.#avoid !== null && equal(peer, this.#avoid.peer) ? 2 : this.#entry !== null && equal(peer, this.#entry.peer) ? 0 : 1
    for (const candidate of shuffle(rng, [...candidates()]).sort((a, b) => rank(a) - rank(b))) {
      try {
        const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(DIAL_PATIENCE)])
        const connection = await connections.openConnection(dialable(candidate), { signal })
        this.#entry = candidate
        this.#connection = connection
        onAttached(candidate.peer)
        for (const resolve of this.#waiting.splice(0)) resolve()
        return connection
      } catch {
        if (this.#stop.signal.aborted) return null
        this.#options.meter.count('entry_failed')
      }
    }
    return null
  }

  async #ended (connection: Connection): Promise<void> {
    await new Promise<void>(resolve => {
      connection.addEventListener('close', () => { resolve() }, { once: true })
      this.#stop.signal.addEventListener('abort', () => { resolve() }, { once: true })
      if (connection.status !== 'open' || this.#stop.signal.aborted) resolve()
    })
  }

  async #sleep (ms: Millis): Promise<void> {
    if (this.#stop.signal.aborted) return
    await new Promise<void>(resolve => {
      const timer = setTimeout(resolve, ms)
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
}
