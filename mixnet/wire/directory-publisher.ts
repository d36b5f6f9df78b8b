/** A node's own part in the directory: its mix keys over the epochs, and its descriptor at every authority. */
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Log, Millis } from '@mixmint/core/kit/ports'
import { asMixmintError, drive, type BasePorts, type Saga } from '@mixmint/core/kit/saga'
import { unit } from '@mixmint/core/kit/samplers'
import type { Suite } from '@mixmint/core/crypto/suite'
import { peerIdOf, signDescriptor } from '../directory/descriptor.ts'
import { epochAt, epochStart, type Schedule } from '../directory/epoch.ts'
import type { Descriptor, SignedDescriptor } from '../directory/formats.ts'
import { MixKeys, type MixKey, type Rotation } from '../directory/keys.ts'
import { publishDescriptor, type Ask } from './directory.ts'
import { Backoff, Loop } from './loop.ts'

export interface NodePart {
  /** The 32 raw bytes of the libp2p identity key (secp256k1). */
  readonly secret: Uint8Array
  /** Asked before each publication. */
  readonly describe: () => Promise<Pick<Descriptor, 'role' | 'kind' | 'addresses' | 'entry' | 'body'>>
  /** Is it reached through the mixnet, and so has mix keys? */
  readonly mixKeys: boolean
  /** Every authority. */
  readonly publishTo: readonly Ask[]
  /** First with all keys there are as `made`, then at each change; before these keys are published. */
  readonly onKeys?: (rotation: Rotation) => void
  /** All authorities have taken the descriptor. */
  readonly onPublished?: () => void
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

export class NodePublisher {
  readonly #options: NodePublisherOptions
  readonly #loop: Loop
  readonly #backoff = new Backoff(SHORTEST, LONGEST)
  #keys: MixKeys | null = null
  #publishAt: Millis = 0
  #wanted = false
  /**
   * The descriptor that is being published, and the authorities that have not taken it yet. All get the same bytes, for
   * else they would make different documents.
   */
  #round: { readonly signed: SignedDescriptor, readonly pending: Set<Ask> } | null = null
  #lastPublished: Millis = 0

  constructor (options: NodePublisherOptions) {
    this.#options = options
    this.#loop = new Loop({
      clock: options.ports.clock,
      step: async signal => await this.#step(signal),
      failed: error => {
        const { code, message } = asMixmintError(error)
        options.log.warn('this node could not be published in the directory; trying again', { code, message })
        return options.ports.clock.now() + this.#backoff.failed(unit(options.ports.rng))
      }
    })
  }

  start (): void {
    this.#loop.start()
  }

  async stop (): Promise<void> {
    await this.#loop.stop()
  }

  republish (): void {
    this.#wanted = true
    this.#round = null
    this.#loop.poke()
  }

  async #step (signal: AbortSignal): Promise<Millis> {
    const { clock, rng } = this.#options.ports
    const schedule = await this.#options.schedule(signal)
    const rotateAt = await this.#rotate(schedule)
    if (clock.now() >= this.#publishAt) {
      this.#wanted = true
      this.#round = null
      // In the first quarter of the next epoch, well before the document after it is made; not all nodes at once.
      const next = epochStart(schedule, epochAt(schedule, clock.now()) + 1)
      this.#publishAt = Math.ceil(next + unit(rng) * schedule.epochLength / 4)
    }
    if (this.#wanted) {
      this.#wanted = false // `republish` may want it again meanwhile
      try {
        await this.#publish(signal)
      } catch (error) {
        this.#wanted = true
        throw error
      }
      this.#backoff.succeeded()
    }
    return Math.min(rotateAt, this.#publishAt)
  }

  /** Returns when to rotate again. */
  async #rotate (schedule: Schedule): Promise<Millis> {
    const { suite, node } = this.#options
    if (!node.mixKeys) return Infinity
    let loaded: readonly MixKey[] = []
    if (this.#keys === null) {
      const keys = new MixKeys(suite, schedule)
      await this.#drive(keys.open())
      loaded = keys.all
      this.#keys = keys
    }
    const { made, destroyed, next } = await this.#drive(this.#keys.rotate())
    const gone = new Set(destroyed.map(({ epoch }) => epoch))
    const rotation = { made: [...loaded.filter(({ epoch }) => !gone.has(epoch)), ...made], destroyed, next }
    if (rotation.made.length > 0 || destroyed.length > 0) node.onKeys?.(rotation)
    return next
  }

  /** @throws what an authority that did not take it refused with */
  async #publish (signal: AbortSignal): Promise<void> {
    const round = this.#round ?? { signed: await this.#sign(), pending: new Set(this.#options.node.publishTo) }
    this.#round = round
    const results = await Promise.allSettled([...round.pending].map(async ask => {
      await publishDescriptor(ask, round.signed, AbortSignal.any([signal, AbortSignal.timeout(PUBLISH_TIMEOUT)]))
      round.pending.delete(ask)
    }))
    for (const result of results) {
      if (result.status === 'fulfilled') continue
      // Not one that failed to get there, but one that was refused: the next try is with a fresh one.
      if (!asMixmintError(result.reason).retry && this.#round === round) this.#round = null
      throw result.reason
    }
    this.#options.node.onPublished?.()
  }

  async #sign (): Promise<SignedDescriptor> {
    const { network, node, ports: { clock } } = this.#options
    const described = await node.describe()
    const now = clock.now()
    this.#lastPublished = Math.max(now, this.#lastPublished + 1)
    return signDescriptor(node.secret, {
      ...described, network, peer: peerIdOf(node.secret), mixKeys: this.#keys?.published(now) ?? [], published: this.#lastPublished
    })
  }

  async #drive<T> (saga: Saga<T>): Promise<T> {
    return await drive(saga, this.#options.ports, async () => {
      throw new MixmintError('internal', 'us', 'this saga has no effects of its own')
    })
  }
}
