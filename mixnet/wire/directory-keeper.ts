/**
 * Keeps a node or wallet up to date with the directory: fetches and verifies documents from several sources, changes over
 * when an epoch begins; for a node also makes and destroys its mix keys, and publishes its descriptor each epoch.
 */
import { concat, u64, utf8 } from '@mixmint/core/kit/bytes'
import { encode } from '@mixmint/core/kit/codec'
import { asMixmintError, drive, scanAll, type BasePorts } from '@mixmint/core/kit/saga'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Log, Meter, Millis } from '@mixmint/core/kit/ports'
import { shuffle, unit } from '@mixmint/core/kit/samplers'
import type { Suite } from '@mixmint/core/crypto/suite'
import { DirectoryClient } from '../directory/client.ts'
import { decodeDocument, tolerated, type Trust } from '../directory/document.ts'
import { lead, type Schedule } from '../directory/epoch.ts'
import { Evidence } from '../directory/evidence.ts'
import { SignedDocument } from '../directory/formats.ts'
import type { DirectoryView } from '../directory/view.ts'
import { fetchDocument, fetchSchedule, type Ask } from './directory.ts'
import { NodePublisher, type NodePart } from './directory-publisher.ts'
import { Backoff, Loop } from './loop.ts'
import { agreed, firstSuccess } from './sources.ts'

export interface KeeperOptions {
  readonly suite: Suite
  readonly trust: Trust
  /** The store keeps documents over restarts; a wallet session may give one in memory. */
  readonly ports: BasePorts
  readonly log: Log
  readonly meter: Meter
  /** Authorities and mirrors, asked in random order until one has what is wanted. Each speaks for itself alone. */
  readonly sources: readonly Ask[]
  /** For those who stand in the directory themselves. */
  readonly node?: NodePart
  /** The document to use from now on. */
  readonly onDocument?: (view: DirectoryView) => void
}

const SEEN = utf8('directory/seen/')
/** Stored documents, the newest ones. */
const STORED = 4
/** Beyond the time that a request may take by itself, in ms. */
const FETCH_TIMEOUT = 15_000
/** When a source has not answered for so long, the next is asked as well, in ms. */
const PATIENCE = 2_000
/** Between failed fetches, in ms: while there is no document, and while there still is one. */
const EAGER = { shortest: 50, longest: 1_000 }
const CALM = { shortest: 500, longest: 30_000 }
/** When there is nothing to change over to, look again after this long, in ms. */
const IDLE = 60_000

export class DirectoryKeeper {
  readonly client: DirectoryClient
  /** Proofs against authorities that signed two documents of one epoch, over restarts. */
  readonly evidence: Evidence
  readonly #options: KeeperOptions
  readonly #fetching: Loop
  readonly #changing: Loop
  readonly #publisher: NodePublisher | null
  readonly #eager = new Backoff(EAGER.shortest, EAGER.longest)
  readonly #calm = new Backoff(CALM.shortest, CALM.longest)
  #shown: DirectoryView | null = null
  #waiting: Array<(view: DirectoryView) => void> = []
  /** Told when sources have been asked, whatever they said. */
  readonly #asked = new Set<() => void>()
  #lastError: MixmintError | null = null
  #clockAhead: Millis = 0
  /** The epoch whose document is used beyond its time, as was said in the log. */
  #late = -1

  constructor (options: KeeperOptions) {
    const { suite, trust, ports, log, meter, node } = options
    this.#options = options
    this.client = new DirectoryClient(suite, trust)
    this.evidence = new Evidence(suite, trust, meter)
    this.#fetching = new Loop({
      clock: ports.clock,
      step: async signal => {
        const next = await this.#fetch(signal)
        this.#wasAsked()
        return next
      },
      failed: error => {
        const next = this.#fetchFailed(asMixmintError(error))
        this.#wasAsked()
        return next
      }
    })
    this.#changing = new Loop({
      clock: ports.clock,
      step: async () => this.#change(),
      failed: error => {
        log.error('the new document of the directory was not taken up', { code: asMixmintError(error).code })
        return ports.clock.now() + EAGER.longest
      }
    })
    this.#publisher = node === undefined
      ? null
      : new NodePublisher({ suite, network: trust.network, ports, log, node, schedule: async signal => await this.#schedule(signal) })
  }

  /** Load what is stored, then begin. @throws what the store of mix keys refuses with */
  async start (): Promise<void> {
    const { clock } = this.#options.ports
    await drive(this.evidence.open(), this.#options.ports, noEffects)
    for (const { value } of await drive(scanAll(SEEN), this.#options.ports, noEffects)) {
      try {
        this.client.accept(decodeDocument(value), clock.now())
      } catch {
        // Expired, or of other authorities: fetched anew.
      }
    }
    await this.#publisher?.start()
    this.#changing.start()
    this.#fetching.start()
  }

  async stop (): Promise<void> {
    await Promise.all([this.#fetching.stop(), this.#changing.stop(), this.#publisher?.stop()])
  }

  /** The document in force, or null. */
  view (): DirectoryView | null {
    return this.client.view(this.#options.ports.clock.now())
  }

  /** How far our clock is ahead of that of the source which answered last, ms; 0 while that may be the time that its answer took. */
  get clockAhead (): Millis {
    return this.#clockAhead
  }

  /** As `DirectoryClient.live`. */
  live (): DirectoryView[] {
    return this.client.live(this.#options.ports.clock.now())
  }

  /**
   * The first document. For a node, not necessarily one that lists it.
   * @throws `unavailable`, when the signal is aborted
   */
  async ready (signal: AbortSignal): Promise<DirectoryView> {
    const view = this.view()
    if (view !== null) return view
    return await new Promise((resolve, reject) => {
      const done = (taken: DirectoryView): void => {
        signal.removeEventListener('abort', failed)
        resolve(taken)
      }
      const failed = (): void => {
        this.#waiting = this.#waiting.filter(waiting => waiting !== done)
        reject(this.unavailable)
      }
      this.#waiting.push(done)
      signal.addEventListener('abort', failed, { once: true })
      if (signal.aborted) failed()
    })
  }

  /**
   * The newest document there is, for a node that must not contradict what it has published before, also if it has forgotten that: in
   * the grace of the last one, or where none is in force, sources are asked first.
   * @returns null where they say that there is none yet
   * @throws `unavailable`, when nobody could say; aborted (caller)
   */
  async latest (signal: AbortSignal): Promise<DirectoryView | null> {
    const now = this.#options.ports.clock.now()
    if (now >= (this.view()?.signed.document.validUntil ?? 0)) {
      await new Promise<void>((resolve, reject) => {
        const told = (): void => {
          signal.removeEventListener('abort', given)
          resolve()
        }
        const given = (): void => {
          this.#asked.delete(told)
          reject(new MixmintError('aborted', 'caller', 'given up by its caller'))
        }
        this.#asked.add(told)
        signal.addEventListener('abort', given, { once: true })
        if (signal.aborted) given()
        this.#fetching.poke()
      })
    }
    if (this.view() === null && this.#lastError?.code !== 'document-unavailable') throw this.unavailable
    return this.client.newest
  }

  /** Why no document is in force: what most sources said, or directory-unavailable (operator), which says since when. */
  get unavailable (): MixmintError {
    const { newest } = this.client
    if (newest === null || this.#lastError?.code === 'clock-skewed') {
      return this.#lastError ?? new MixmintError('directory-unavailable', 'operator', 'no authority or mirror of the directory answered; are they running?', { retry: true })
    }
    const ended = new Date(newest.signed.document.validUntil + newest.parameters.epochGrace).toISOString()
    const why = this.#lastError === null ? '' : ` (${this.#lastError.code}: ${this.#lastError.message})`
    return new MixmintError('directory-unavailable', 'operator',
      `the last document of the directory, of epoch ${newest.epoch}, was good until ${ended}, and no newer one could be fetched${why}`, { retry: true })
  }

  /** Publish the node's descriptor anew, because what it says about itself has changed. */
  republish (): void {
    this.#publisher?.republish()
  }

  /** Try each source until one gives a newer document. Returns when to fetch the one after. */
  async #fetch (signal: AbortSignal): Promise<Millis> {
    const { ports, meter, sources } = this.#options
    const { newest } = this.client
    // From the store: whoever asked at each start would tell when it is used, and hear that there is nothing newer.
    if (newest !== null && this.view() !== null && ports.clock.now() < newest.signed.document.validUntil - lead(newest.parameters)) {
      return this.client.nextFetch(ports.clock.now(), ports.rng)
    }
    // With none in force the one that is, by the others' clocks: so a clock that was set back is told.
    const wanted = newest !== null && this.view() !== null && ports.clock.now() < newest.signed.document.validUntil ? newest.epoch + 1 : null
    await firstSuccess(shuffle(ports.rng, [...sources]).map(ask => async over => {
      try {
        const { signed, source } = await fetchDocument(ask, wanted, ports.clock, AbortSignal.any([over, AbortSignal.timeout(FETCH_TIMEOUT)]))
        const now = ports.clock.now()
        this.#clockAhead = source.time > now ? now - source.time : Math.max(0, source.asked - source.time)
        if (!this.client.accept(signed, ports.clock.now(), source)) throw new MixmintError('document-unavailable', 'peer', 'no source has a newer document yet', { retry: true })
        await this.#remember(signed)
      } catch (error) {
        if (!over.aborted) meter.count('directory_fetch_failed', { code: asMixmintError(error).code })
        await this.#keepProofs()
        throw error
      }
    }), PATIENCE, signal)
    this.#lastError = null
    this.#eager.succeeded()
    this.#calm.succeeded()
    this.#changing.poke()
    return this.client.nextFetch(ports.clock.now(), ports.rng)
  }

  #wasAsked (): void {
    const asked = [...this.#asked]
    this.#asked.clear()
    for (const tell of asked) tell()
  }

  #fetchFailed (error: MixmintError): Millis {
    const { ports: { clock, rng }, log } = this.#options
    this.#lastError = error
    const { newest } = this.client
    const isLost = this.view() === null
    const wait = (isLost ? this.#eager : this.#calm).failed(unit(rng))
    if (error.code !== 'document-unavailable') log.warn('the directory\'s document could not be fetched', { code: error.code, message: error.message })
    // Where epochs are short, there is less time to wait.
    return clock.now() + (newest === null || isLost ? wait : Math.min(wait, Math.max(EAGER.shortest, lead(newest.parameters) / 4)))
  }

  /** Show the document that is in force now, if it is another one. Returns when the next comes into force. */
  #change (): Millis {
    const { ports: { clock }, log, onDocument } = this.#options
    const now = clock.now()
    const view = this.client.view(now)
    if (view === null) {
      if (this.#shown !== null) {
        log.error(this.unavailable.message, { code: 'directory-unavailable', epoch: this.#shown.epoch })
        this.#shown = null
        this.#fetching.poke()
      }
    } else if (view !== this.#shown) {
      onDocument?.(view) // where that fails, it is tried again
      this.#shown = view
      for (const resolve of this.#waiting.splice(0)) resolve(view)
    }
    const end = view?.signed.document.validUntil ?? Infinity
    if (view !== null && now >= end && this.#late < view.epoch) {
      this.#late = view.epoch
      log.warn('no newer document of the directory could be fetched: the last one serves out its grace', { code: 'directory-late', epoch: view.epoch })
    }
    return Math.min(this.client.nextChange(now) ?? now + IDLE, now < end ? end : Infinity)
  }

  async #remember (signed: SignedDocument): Promise<void> {
    const { store } = this.#options.ports
    const { epoch } = signed.document
    await store.batch([
      { op: 'put', key: concat(SEEN, u64(epoch)), value: encode(SignedDocument, signed) },
      { op: 'delete', key: concat(SEEN, u64(Math.max(0, epoch - STORED))) }
    ])
  }

  /** From the document in force; before there is one, what more sources say than may lie. */
  async #schedule (signal: AbortSignal): Promise<Schedule> {
    const view = this.view()
    if (view !== null) return view.parameters
    const { sources, ports, trust } = this.#options
    const count = Math.min(sources.length, tolerated(trust.authorities.length) + 1)
    return await agreed(sources.map(async ask => await fetchSchedule(ask, ports.clock, AbortSignal.any([signal, AbortSignal.timeout(FETCH_TIMEOUT)]))), count,
      ({ epochLength, epochGrace }) => `${epochLength} ${epochGrace}`)
  }

  async #keepProofs (): Promise<void> {
    for (const proof of this.client.takeProofs()) {
      if (!await drive(this.evidence.add(proof), this.#options.ports, noEffects)) continue
      this.#options.log.error('an authority signed two documents of one epoch; the proof is kept', { code: 'authority-equivocation', epoch: proof.first.statement.epoch })
    }
  }
}

/** For sagas that have no effects of their own. */
async function noEffects (): Promise<never> {
  throw new MixmintError('internal', 'us', 'this saga has no effects of its own')
}
