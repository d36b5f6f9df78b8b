/**
 * A node's mix keys (DESIGN §3): an X25519 key pair for each epoch, made ahead, kept until the epoch's grace is over, then
 * destroyed, so that packets recorded before cannot be peeled by whoever takes the node later. A saga engine; the keys are
 * on a disk behind `MixKeyStore`.
 *
 *   made ── published ── its epoch ── grace ──┬─ opens nothing any more (the mixer looks at `until`)
 *                                             └─ destroyed, once it is certain what time it is: decision 21
 */
import { wipe } from '@mixmint/core/kit/bytes'
import type { Millis } from '@mixmint/core/kit/ports'
import { now as clock, random, type Saga } from '@mixmint/core/kit/saga'
import type { Suite } from '@mixmint/core/crypto/suite'
import { epochAt, epochEnd, epochStart, type Schedule } from './epoch.ts'

/**
 * Keys are made so many epochs ahead: what is published now goes into the next document, which lists keys of its own
 * epoch and the one after.
 */
const AHEAD = 2

/** The secret of an epoch, 32 bytes. */
export interface KeptKey { readonly epoch: number, readonly secret: Uint8Array }

/** Where mix keys outlive a restart, each apart from the others, so that it can be destroyed for good. */
export interface MixKeyStore {
  readonly load: () => Promise<readonly KeptKey[]>
  /** Resolves when the key survives a loss of power; when it rejects, the key is not to be used. The secret is copied. */
  readonly keep: (key: KeptKey) => Promise<void>
  /** Resolves when nothing is left of the key of this epoch, or nothing was there. */
  readonly destroy: (epoch: number) => Promise<void>
}

/** What a `MixKeyStore` is asked for. */
export type KeyEffect =
  | { readonly do: 'keep-key', readonly key: KeptKey }
  | { readonly do: 'destroy-key', readonly epoch: number }

export interface MixKey {
  readonly epoch: number
  /** 32 bytes; zeros once the key is destroyed. */
  readonly secret: Uint8Array
  /** 32 bytes. */
  readonly publicKey: Uint8Array
  /** Packets may come under it from here to there: the epoch and the grace on both sides. */
  readonly from: Millis
  readonly until: Millis
  /** Made by this process: nothing has come under it before. */
  readonly isNew: boolean
}

export interface Rotation {
  /** To be used from now on: at first those that were kept, then those that were made. */
  readonly added: readonly MixKey[]
  /** Their secrets are zeros by now; whatever was kept for a key (seen tags) can go. */
  readonly destroyed: readonly MixKey[]
  /** What the store refused with, or null: some key could not be made, or not be destroyed on the disk. It is tried again next time. */
  readonly failure: unknown
  /** When to rotate again. */
  readonly next: Millis
}

export class MixKeys {
  readonly #suite: Suite
  readonly #schedule: Schedule
  #keys: MixKey[]
  /** Not shown in a `Rotation` yet. */
  #fresh: readonly MixKey[]
  /** Epochs whose keys are gone from here, and may still be on the disk. */
  readonly #doomed = new Set<number>()

  /** @param kept what the store holds */
  constructor (suite: Suite, schedule: Schedule, kept: readonly KeptKey[]) {
    this.#suite = suite
    this.#schedule = schedule
    this.#keys = kept.map(key => this.#pair(key, false))
    this.#fresh = this.#keys
  }

  /** All that are not destroyed, by rising epoch. */
  get all (): readonly MixKey[] {
    return this.#keys
  }

  /**
   * Make the keys that are missing, durably before they are shown; destroy those whose grace is over.
   * @param reached a time that has certainly come, whatever the clock says; −Infinity: nothing is certain. A clock that
   *   is set forward would destroy keys that packets still come under, for good.
   */
  * rotate (reached: Millis): Saga<Rotation, KeyEffect> {
    const now = yield * clock()
    const epoch = epochAt(this.#schedule, now)
    // First those that go: this needs no room on the disk.
    const { destroyed, failure } = yield * this.#destroy(Math.min(now, reached))
    const notMade = yield * this.#make(epoch)
    const added = this.#fresh
    this.#fresh = []
    const oldest = this.#keys.at(0)?.until ?? Infinity
    return {
      added, destroyed, failure: notMade ?? failure,
      next: Math.min(epochStart(this.#schedule, epoch + 1), Math.max(oldest, now + oldest - reached) + 1)
    }
  }

  /** What to put into a descriptor: keys of the current and later epochs. */
  published (now: Millis): Array<{ epoch: number, key: Uint8Array }> {
    const current = epochAt(this.#schedule, now)
    return this.#keys.filter(({ epoch }) => epoch >= current && epoch <= current + AHEAD).map(({ epoch, publicKey }) => ({ epoch, key: publicKey }))
  }

  * #make (epoch: number): Saga<unknown, KeyEffect> {
    for (let each = epoch; each <= epoch + AHEAD; each++) {
      if (this.#doomed.has(each) || this.#keys.some(key => key.epoch === each)) continue
      const secret: Uint8Array = yield * random(32)
      try {
        yield { do: 'keep-key', key: { epoch: each, secret } }
      } catch (error) {
        wipe(secret)
        return error
      }
      const key = this.#pair({ epoch: each, secret }, true)
      this.#keys = [...this.#keys, key].sort((a, b) => a.epoch - b.epoch)
      this.#fresh = [...this.#fresh, key]
    }
    return null
  }

  * #destroy (certain: Millis): Saga<Pick<Rotation, 'destroyed' | 'failure'>, KeyEffect> {
    const destroyed = this.#keys.filter(({ until }) => certain > until)
    this.#keys = this.#keys.filter(key => !destroyed.includes(key))
    this.#fresh = this.#fresh.filter(key => !destroyed.includes(key))
    for (const { epoch, secret } of destroyed) {
      wipe(secret)
      this.#doomed.add(epoch)
    }
    let failure: unknown = null
    for (const epoch of this.#doomed) {
      try {
        yield { do: 'destroy-key', epoch }
        this.#doomed.delete(epoch)
      } catch (error) {
        failure = error
      }
    }
    return { destroyed, failure }
  }

  #pair ({ epoch, secret }: KeptKey, isNew: boolean): MixKey {
    return {
      epoch,
      secret,
      publicKey: this.#suite.x25519Base(secret),
      from: epochStart(this.#schedule, epoch) - this.#schedule.epochGrace,
      until: epochEnd(this.#schedule, epoch),
      isNew
    }
  }
}
