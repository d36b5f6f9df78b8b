/** A node's own part in the directory: its mix keys over the epochs, and its descriptor at every authority. */
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Log, Millis } from '@mixmint/core/kit/ports'
import { asMixmintError, drive, type BasePorts, type Saga } from '@mixmint/core/kit/saga'
import { unit } from '@mixmint/core/kit/samplers'
import type { Suite } from '@mixmint/core/crypto/suite'
import { peerIdOf, signDescriptor, verifyDescriptor } from '../directory/descriptor.ts'
import { isInOffice, quorum, tolerated, type Term } from '../directory/document.ts'
import { epochAt, epochStart, type Schedule } from '../directory/epoch.ts'
import type { Descriptor, SignedDescriptor } from '../directory/formats.ts'
import { MixKeys, type KeptKey, type KeyEffect, type MixKeyStore, type Rotation } from '../directory/keys.ts'
import { publishDescriptor, recallServices, type Ask } from './directory.ts'
import { Backoff, Loop } from './loop.ts'

/**
 * What services of a kind said last, by the authorities' registers, also of those that the directory lists no more: for who has to know
 * what he said himself, and may have forgotten it. A quorum of them is heard: of whatever another quorum has taken, an honest one tells.
 * @param isWanted the others are let go at once
 * @throws directory-unavailable (operator) while fewer than a quorum answer
 */
export type Recall = (kind: string, isWanted: (descriptor: Descriptor) => boolean) => Promise<Descriptor[]>

export interface NodePart {
  /** The 32 raw bytes of the libp2p identity key (secp256k1). */
  readonly secret: Uint8Array
  /** Asked before each publication; the signal is aborted when the node stops. */
  readonly describe: (signal: AbortSignal, recall: Recall) => Promise<Pick<Descriptor, 'role' | 'kind' | 'addresses' | 'entry' | 'body'>>
  /** Where its mix keys are kept; null: it is not reached through the mixnet, and has none. */
  readonly mixKeys: MixKeyStore | null
  /** Every authority that is in office in an epoch. */
  readonly publishTo: (epoch: number) => readonly Ask[]
  /** First with all keys there are, then at each change; before these keys are published. */
  readonly onKeys?: (rotation: Rotation) => void
  /** So many authorities have taken the descriptor that it will be listed. */
  readonly onPublished?: () => void
}

/** `publishTo` of a network in which authorities come and go. */
export function whoIsInOffice (authorities: ReadonlyArray<{ readonly ask: Ask } & Term>): NodePart['publishTo'] {
  return epoch => authorities.flatMap(({ ask, from, until }) => isInOffice({ from, until }, epoch) ? ask : [])
}

export interface NodePublisherOptions {
  readonly suite: Suite
  readonly network: string
  readonly ports: BasePorts
  readonly log: Log
  readonly node: NodePart
  readonly schedule: (signal: AbortSignal) => Promise<Schedule>
}

/** Beyond the time that a request may take by itself. */
const PUBLISH_TIMEOUT = 15_000
/** Between failed publications, in ms. */
const SHORTEST = 50
const LONGEST = 5_000
/** When all but a few authorities have a descriptor, those are tried again so often. They hear of it from the others, too. */
const REST = 5_000

/** The descriptor that is being published, how many are to have it, the authorities that have it, and those that have not answered yet. */
interface Round { readonly signed: SignedDescriptor, readonly authorities: number, readonly taken: Set<Ask>, readonly pending: Set<Ask> }

export class NodePublisher {
  readonly #options: NodePublisherOptions
  readonly #publishing: Loop
  /** Apart from publishing: what a node has to say of itself may keep it waiting. */
  readonly #rotating: Loop
  readonly #backoff = new Backoff(SHORTEST, LONGEST)
  readonly #keyBackoff = new Backoff(SHORTEST, LONGEST)
  #kept: readonly KeptKey[] = []
  #keys: MixKeys | null = null
  /** Of the rotation that is going on: when to rotate again. */
  #rotation: Promise<Millis> | null = null
  /** Some key could not be made the last time. */
  #keyMissing = false
  /** The word of the authorities that a time had come, and when, on a clock that nobody sets, they gave it. */
  #reached: { readonly time: Millis, readonly heard: Millis } | null = null
  #publishAt: Millis = 0
  #wanted = false
  #round: Round | null = null
  #restAt: Millis = 0
  /** The date of the newest descriptor that some authority has taken. */
  #lastTaken: Millis = 0

  constructor (options: NodePublisherOptions) {
    this.#options = options
    this.#rotating = new Loop({
      clock: options.ports.clock,
      step: async signal => {
        const wasMissing = this.#keyMissing
        const next = await this.#rotate(await options.schedule(signal))
        if (wasMissing && !this.#keyMissing) this.republish()
        return next
      },
      failed: error => {
        const { code, message } = asMixmintError(error)
        options.log.warn('mix keys were not made or not destroyed; trying again', { code, message })
        return options.ports.clock.now() + this.#keyBackoff.failed(unit(options.ports.rng))
      }
    })
    this.#publishing = new Loop({
      clock: options.ports.clock,
      step: async signal => await this.#step(signal),
      failed: error => {
        const { code, message } = asMixmintError(error)
        options.log.warn('this node could not be published in the directory; trying again', { code, message })
        return options.ports.clock.now() + this.#backoff.failed(unit(options.ports.rng))
      }
    })
  }

  /** @throws what the store of mix keys refuses with: without them the node would lose what comes to it */
  async start (): Promise<void> {
    this.#kept = await this.#options.node.mixKeys?.load() ?? []
    this.#rotating.start()
    this.#publishing.start()
  }

  async stop (): Promise<void> {
    await Promise.all([this.#rotating.stop(), this.#publishing.stop()])
    await this.#rotation?.catch(() => {}) // whoever waited for it has told
  }

  republish (): void {
    this.#wanted = true
    this.#round = null
    this.#publishing.poke()
  }

  async #step (signal: AbortSignal): Promise<Millis> {
    const { clock, rng } = this.#options.ports
    const schedule = await this.#options.schedule(signal)
    const next = epochStart(schedule, epochAt(schedule, clock.now()) + 1)
    const spread = schedule.epochLength / 4
    // Or the clock was ahead when this time was chosen.
    if (clock.now() >= this.#publishAt || this.#publishAt > next + spread + 1) {
      this.#wanted = true
      this.#round = null
      // In the first quarter of the next epoch, well before the document after it is made; not all nodes at once.
      this.#publishAt = Math.ceil(next + unit(rng) * spread)
    }
    if (this.#wanted) {
      this.#wanted = false // `republish` may want it again meanwhile
      try {
        await this.#publish(schedule, signal)
      } catch (error) {
        this.#wanted = true
        throw error
      }
      this.#backoff.succeeded()
      this.#restAt = clock.now() + REST
    } else if (this.#round !== null && this.#round.pending.size > 0 && clock.now() >= this.#restAt) {
      await this.#send(this.#round, signal)
      this.#restAt = clock.now() + REST
    }
    return Math.min(this.#publishAt, (this.#round?.pending.size ?? 0) > 0 ? this.#restAt : Infinity)
  }

  /** Returns when to rotate again. @throws what the key of this epoch could not be made for */
  async #rotate (schedule: Schedule): Promise<Millis> {
    this.#rotation ??= this.#rotateNow(schedule).finally(() => { this.#rotation = null })
    return await this.#rotation
  }

  async #rotateNow (schedule: Schedule): Promise<Millis> {
    const { suite, node, log, ports: { clock, rng } } = this.#options
    if (node.mixKeys === null) return Infinity
    this.#keys ??= new MixKeys(suite, schedule, this.#kept)
    const { time, heard } = this.#reached ?? { time: -Infinity, heard: 0 }
    const rotation = await this.#drive(this.#keys.rotate(time + performance.now() - heard), node.mixKeys)
    const { added, destroyed, failure, next } = rotation
    if (added.length > 0 || destroyed.length > 0) node.onKeys?.(rotation)
    if (failure === null) {
      this.#keyBackoff.succeeded()
      this.#keyMissing = false
      return next
    }
    this.#keyMissing = true
    const { code, message } = asMixmintError(failure)
    log.error(message, { code })
    if (!this.#keys.published(clock.now()).some(({ epoch }) => epoch === epochAt(schedule, clock.now()))) throw failure
    return Math.min(next, clock.now() + this.#keyBackoff.failed(unit(rng)))
  }

  /** Until a quorum has it. @throws what an authority that did not take it refused with */
  async #publish (schedule: Schedule, signal: AbortSignal): Promise<void> {
    const { node, log, ports: { clock } } = this.#options
    const round = this.#round ?? this.#begin(await this.#sign(schedule, signal), epochAt(schedule, clock.now()))
    this.#round = round
    const failures = await this.#send(round, signal)
    if (round.taken.size < quorum(round.authorities)) {
      // Not one that failed to get there, but one that was refused: the next try is with a fresh one.
      if (failures.some(({ retry }) => !retry) && this.#round === round) this.#round = null
      throw failures.find(({ retry }) => !retry) ?? failures[0]
    }
    for (const { code, message } of failures) log.warn('an authority did not take this node\'s descriptor, but a quorum did', { code, message })
    node.onPublished?.()
  }

  /** For those who make this epoch's document, and those who make the next one. */
  #begin (signed: SignedDescriptor, epoch: number): Round {
    const { publishTo } = this.#options.node
    const pending = new Set([...publishTo(epoch), ...publishTo(epoch + 1)])
    return { signed, authorities: pending.size, taken: new Set(), pending }
  }

  /** To those who have not answered. @returns why some have not taken it */
  async #send ({ signed, authorities, taken, pending }: Round, signal: AbortSignal): Promise<MixmintError[]> {
    const results = await Promise.all([...pending].map(async ask => {
      try {
        await publishDescriptor(ask, signed, AbortSignal.any([signal, AbortSignal.timeout(PUBLISH_TIMEOUT)]))
        pending.delete(ask)
        taken.add(ask)
        this.#taken(signed.descriptor.published, taken.size > tolerated(authorities))
        return null
      } catch (error) {
        const failure = asMixmintError(error)
        if (!failure.retry) pending.delete(ask)
        return failure
      }
    }))
    return results.filter(failure => failure !== null)
  }

  /**
   * An authority takes no descriptor of a date that its own clock has not reached, within the network's clock skew: so
   * once more of them have taken it than may lie, that date has come.
   */
  #taken (date: Millis, isSure: boolean): void {
    this.#lastTaken = Math.max(this.#lastTaken, date)
    if (!isSure) return
    this.#reached = { time: date, heard: performance.now() }
    // What was waiting for the authorities' word can go.
    this.#rotating.poke()
  }

  async #sign (schedule: Schedule, signal: AbortSignal): Promise<SignedDescriptor> {
    const { network, node, ports: { clock } } = this.#options
    const described = await node.describe(signal, async (kind, isWanted) => await this.#recall(schedule, kind, isWanted, signal))
    // An epoch may have begun meanwhile.
    await this.#rotate(schedule)
    const now = clock.now()
    return signDescriptor(node.secret, {
      ...described, network, peer: peerIdOf(node.secret), mixKeys: this.#keys?.published(now) ?? [], published: Math.max(now, this.#lastTaken + 1)
    })
  }

  async #recall (schedule: Schedule, kind: string, isWanted: (descriptor: Descriptor) => boolean, stopped: AbortSignal): Promise<Descriptor[]> {
    const { suite, network, node, ports: { clock } } = this.#options
    const authorities = node.publishTo(epochAt(schedule, clock.now()))
    const signal = AbortSignal.any([stopped, AbortSignal.timeout(PUBLISH_TIMEOUT)])
    const failures: MixmintError[] = []
    const heard = await Promise.all(authorities.map(async ask => {
      try {
        const wanted: Descriptor[] = []
        for await (const signed of recallServices(ask, kind, signal)) {
          if (!isWanted(signed.descriptor)) continue
          verifyDescriptor(suite, signed, { network, earliest: -Infinity, latest: Infinity })
          wanted.push(signed.descriptor)
        }
        return wanted
      } catch (error) {
        failures.push(asMixmintError(error))
        return []
      }
    }))
    const answered = authorities.length - failures.length
    if (answered >= quorum(authorities.length)) return heard.flat()
    const why = failures.map(({ code, message }) => `${code}: ${message}`)[0]
    throw new MixmintError('directory-unavailable', 'operator',
      `${answered} of ${authorities.length} authorities said what was published before, and ${quorum(authorities.length)} must (${why})`, { retry: true })
  }

  async #drive<T> (saga: Saga<T, KeyEffect>, store: MixKeyStore): Promise<T> {
    return await drive(saga, this.#options.ports, async effect => {
      if (effect.do === 'keep-key') await store.keep(effect.key)
      else await store.destroy(effect.epoch)
    })
  }
}
