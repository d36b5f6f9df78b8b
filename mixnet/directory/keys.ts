/**
 * A node's mix keys (DESIGN §3): an X25519 key pair for each epoch, made ahead, kept until the epoch's grace is over, then
 * destroyed, so that packets recorded before cannot be peeled by whoever takes the node later. A saga engine.
 *
 *   store   directory/mix-key/<u64 epoch>    the 32 secret bytes; so a restart loses no packet
 */
import { concat, u64, utf8, wipe } from '@mixmint/core/kit/bytes'
import type { Millis } from '@mixmint/core/kit/ports'
import { batch, now as clock, random, scanAll, type Saga } from '@mixmint/core/kit/saga'
import type { Suite } from '@mixmint/core/crypto/suite'
import { epochAt, epochEnd, epochStart, type Schedule } from './epoch.ts'

/**
 * Keys are made so many epochs ahead: what is published now goes into the next document, which lists keys of its own
 * epoch and the one after.
 */
const AHEAD = 2
const KEYS = utf8('directory/mix-key/')

export interface MixKey {
  readonly epoch: number
  /** 32 bytes; zeros once the key is destroyed. */
  readonly secret: Uint8Array
  /** 32 bytes. */
  readonly publicKey: Uint8Array
  /** Packets may come under it from here to there: the epoch and the grace on both sides. */
  readonly from: Millis
  readonly until: Millis
}

export interface Rotation {
  readonly made: readonly MixKey[]
  /** Their secrets are zeros by now; whatever was kept for a key (seen tags) can go. */
  readonly destroyed: readonly MixKey[]
  /** When to rotate again. */
  readonly next: Millis
}

export class MixKeys {
  readonly #suite: Suite
  readonly #schedule: Schedule
  #keys: MixKey[] = []

  constructor (suite: Suite, schedule: Schedule) {
    this.#suite = suite
    this.#schedule = schedule
  }

  /** All that are not destroyed, by rising epoch. */
  get all (): readonly MixKey[] {
    return this.#keys
  }

  /** Load what the store holds. Once, before anything else; then `rotate`. */
  * open (): Saga<void> {
    const entries = yield * scanAll(KEYS)
    this.#keys = entries.map(({ key, value }) => this.#pair(Number(new DataView(key.buffer, key.byteOffset + KEYS.length).getBigUint64(0)), value.slice()))
  }

  /** Make the keys that are missing, durably before they are shown; destroy those whose grace is over. */
  * rotate (): Saga<Rotation> {
    const now = yield * clock()
    const epoch = epochAt(this.#schedule, now)
    const made: MixKey[] = []
    for (let each = epoch; each <= epoch + AHEAD; each++) {
      if (this.#keys.some(key => key.epoch === each)) continue
      const secret = yield * random(32)
      yield * batch([{ op: 'insert', key: storeKey(each), value: secret }])
      made.push(this.#pair(each, secret))
    }
    this.#keys = [...this.#keys, ...made].sort((a, b) => a.epoch - b.epoch)
    const destroyed = yield * this.#destroy(now)
    return { made, destroyed, next: Math.min(this.#keys[0].until + 1, epochStart(this.#schedule, epoch + 1)) }
  }

  /** What to put into a descriptor: keys of the current and later epochs. */
  published (now: Millis): Array<{ epoch: number, key: Uint8Array }> {
    return this.#keys.filter(({ epoch }) => epoch >= epochAt(this.#schedule, now)).map(({ epoch, publicKey }) => ({ epoch, key: publicKey }))
  }

  * #destroy (now: Millis): Saga<MixKey[]> {
    const over = this.#keys.filter(({ until }) => now > until)
    if (over.length === 0) return []
    // Zeros first, for stores that write in place; then not even they.
    yield * batch(over.map(({ epoch }) => ({ op: 'put', key: storeKey(epoch), value: new Uint8Array(32) })))
    yield * batch(over.map(({ epoch }) => ({ op: 'delete', key: storeKey(epoch) })))
    wipe(...over.map(({ secret }) => secret))
    this.#keys = this.#keys.filter(key => !over.includes(key))
    return over
  }

  #pair (epoch: number, secret: Uint8Array): MixKey {
    return {
      epoch,
      secret,
      publicKey: this.#suite.x25519Base(secret),
      from: epochStart(this.#schedule, epoch) - this.#schedule.epochGrace,
      until: epochEnd(this.#schedule, epoch)
    }
  }
}

function storeKey (epoch: number): Uint8Array {
  return concat(KEYS, u64(epoch))
}
