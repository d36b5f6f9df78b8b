/**
 * The mix keys of a mixer, one an epoch, each with the tags seen under it: what opens packets, refuses those that come
 * again, and knows which mean delays the documents of these epochs prescribe.
 */
import { wipe } from '@mixmint/core/kit/bytes'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Millis, Rng } from '@mixmint/core/kit/ports'
import type { Suite } from '@mixmint/core/crypto/suite'
import { peel, type Peeled } from '../sphinx/peel.ts'
import { SeenTags } from '../sphinx/replay.ts'

/** The mix key of one epoch. It opens packets while from ≤ now < until (the epoch and the grace on both sides). */
export interface EpochKey {
  readonly epoch: number
  /** X25519, 32 bytes; copied. */
  readonly privateKey: Uint8Array
  readonly from: Millis
  readonly until: Millis
  /** Tags seen under this key before a restart, 32 bytes each. */
  readonly seen?: Iterable<Uint8Array>
}

/**
 * The mean delay, ms, that every packet must ask for. Where nobody prescribes one, any from 1 up to `most`, and each packet
 * has its own: it then tells the mix something of its sender.
 */
export type MeanDelay = Millis | { readonly most: Millis }

/** What a document says about keys. */
interface Prescription {
  readonly meanDelay: MeanDelay
  readonly replayLimit: number
}

interface LiveKey {
  readonly epoch: number
  readonly secret: Uint8Array
  readonly from: Millis
  readonly until: Millis
  readonly seen: SeenTags
  readonly see: (tag: Uint8Array) => 'new' | 'seen' | 'full'
  /** The mean delay in the document of this epoch, once that has begun. */
  meanDelay: MeanDelay | undefined
}

export class KeyRing {
  readonly #suite: Suite
  #now: Prescription
  /** In the order in which they are tried. */
  #keys: LiveKey[] = []
  #epoch = 0
  #tagged = 0

  constructor (suite: Suite, prescription: Prescription) {
    this.#suite = suite
    this.#now = prescription
  }

  /** In the order in which they are tried. */
  get epochs (): number[] {
    return this.#keys.map(({ epoch }) => epoch)
  }

  /** Tags seen so far, under all keys there were; not those from before a restart. */
  get tagged (): number {
    return this.#tagged
  }

  /** Installing an epoch again changes nothing. @throws bad-argument (caller), and what `seen` throws: then nothing is installed */
  install (key: EpochKey, rng: Rng): void {
    const { epoch, privateKey, from, until } = key
    if (this.#keys.some(live => live.epoch === epoch)) return
    if (privateKey.length !== 32 || !(from < until)) {
      throw new MixmintError('bad-argument', 'caller', 'a mix key has 32 bytes, and a date from which it is valid before the one until which it is')
    }
    const { meanDelay, replayLimit } = this.#now
    const seen = new SeenTags(replayLimit, rng.bytes(16))
    for (const tag of key.seen ?? []) seen.restore(tag)
    const see: LiveKey['see'] = tag => {
      const result = seen.see(tag)
      if (result === 'new') this.#tagged += 1
      return result
    }
    this.#keys.push({ epoch, secret: privateKey.slice(), from, until, seen, see, meanDelay: epoch === this.#epoch ? meanDelay : undefined })
    this.#sort()
  }

  /** Destroy the key of this epoch and its seen tags. */
  retire (epoch: number): void {
    for (const { secret } of this.#keys.filter(key => key.epoch === epoch)) wipe(secret)
    this.#keys = this.#keys.filter(key => key.epoch !== epoch)
  }

  /** The epoch that is now current, and what its document says. */
  turn (epoch: number, prescription: Prescription): void {
    this.#epoch = epoch
    this.#now = prescription
    for (const key of this.#keys) {
      if (key.epoch === epoch) key.meanDelay = prescription.meanDelay
      key.seen.limit = prescription.replayLimit
    }
    this.#sort()
  }

  /** May packets ask for this mean, by the document in force, or by an earlier one, which some may go by while its key lives? */
  mayAsk (mean: Millis, now: Millis): boolean {
    return allows(this.#now.meanDelay, mean) || this.#keys.some(({ meanDelay, until }) => meanDelay !== undefined && allows(meanDelay, mean) && now < until)
  }

  /** The first key whose MAC fits decides; a packet that fits none was garbled, or is for an epoch long gone. */
  peel (packet: Uint8Array, now: Millis): Peeled | { readonly kind: 'drop', readonly reason: 'no-key' } {
    let tried = false
    for (const { secret, from, until, see } of this.#keys) {
      if (now < from || now >= until) continue
      tried = true
      const peeled = peel(this.#suite, secret, packet, see)
      if (peeled.kind !== 'drop' || peeled.reason !== 'mac') return peeled
    }
    return { kind: 'drop', reason: tried ? 'mac' : 'no-key' }
  }

  /** How many tags are kept for the key of this epoch; 0 without such a key. */
  seenCount (epoch: number): number {
    return this.#keys.find(key => key.epoch === epoch)?.seen.size ?? 0
  }

  /** The tags from number `from` on: in the order they came, copies. */
  seenSince (epoch: number, from: number): Iterable<Uint8Array> {
    return this.#keys.find(key => key.epoch === epoch)?.seen.since(from) ?? []
  }

  /** The current epoch, then those nearest to it, the later one first. */
  #sort (): void {
    const distance = ({ epoch }: LiveKey): number => Math.abs(epoch - this.#epoch - 0.25)
    this.#keys.sort((a, b) => distance(a) - distance(b))
  }
}

/** A mean of 0 marks the last hop. */
function allows (prescribed: MeanDelay, mean: Millis): boolean {
  return typeof prescribed === 'number' ? mean === prescribed : mean >= 1 && mean <= prescribed.most
}
