/** The keys of sealed tokens that a wallet or a merchant has from the bank (sealed-keys.ts), and what it holds against a bank that shows others. */
import { concat, equal, toHex, utf8 } from '../kit/bytes.ts'
import { encode } from '../kit/codec.ts'
import { MixmintError } from '../kit/errors.ts'
import type { Meter, Millis, Op } from '../kit/ports.ts'
import { batch, get, scanAll, type Saga } from '../kit/saga.ts'
import type { Suite } from '../crypto/suite.ts'
import { archiveSealed } from './bank-archive.ts'
import { SignedSealedKeys } from './formats.ts'
import type { Registry } from './registry.ts'
import { sealedKeysHash, verifySealedKeys, type KnownSealedKeys } from './sealed-keys.ts'
import { stored } from './stored.ts'

const KEPT = utf8('sealed-keys')

/**
 * The sets of keys that a wallet or a merchant has fetched, in its store under `sealed-keys` ‖ hash: only such as a directory
 * document listed when they came. One for each store.
 */
export class SealedKeyring {
  readonly #suite: Suite
  readonly #meter: Meter
  readonly #network: string
  readonly #bank: Uint8Array
  readonly #unit: string
  readonly #known = new Map<string, KnownSealedKeys>()

  constructor ({ suite, meter, network, bank, unit }: { suite: Suite, meter: Meter, network: string, bank: Uint8Array, unit: string }) {
    this.#suite = suite
    this.#meter = meter
    this.#network = network
    this.#bank = bank
    this.#unit = unit
  }

  /** @returns null where they were never fetched */
  * find (id: Uint8Array): Saga<KnownSealedKeys | null> {
    const name = toHex(id)
    const before = this.#known.get(name)
    if (before !== undefined) return before
    const value = yield * get(concat(KEPT, id))
    if (value === null) return null
    const known = verifySealedKeys(this.#suite, this.#network, this.#bank, stored(SignedSealedKeys, value))
    this.#known.set(name, known)
    return known
  }

  /** Hashes that the document lists and that were not fetched, the earliest day first. */
  * missing (registry: Registry): Saga<Uint8Array[]> {
    const missing: Uint8Array[] = []
    for (const { keys } of registry.sealedDays(this.#bank, this.#unit).sort((a, b) => a.day - b.day)) {
      if ((yield * this.find(keys)) === null) missing.push(keys)
    }
    return missing
  }

  /**
   * Keep what the bank sent, as far as the document lists it.
   * @throws bad-sealed-keys (peer): then nothing is kept but, as evidence, what the bank signed and does not list
   */
  * keep (registry: Registry, sets: readonly SignedSealedKeys[]): Saga<void> {
    const ops: Op[] = []
    const fresh: KnownSealedKeys[] = []
    for (const signed of sets) {
      const known = verifySealedKeys(this.#suite, this.#network, this.#bank, signed)
      const listed = registry.sealedDay(this.#bank, this.#unit, known.keys.day)
      const isListed = equal(listed.keys, known.id) && listed.notAfter === known.keys.notAfter
      // Of another unit there is nothing here to hold it against, and there may be any number of them.
      if (known.keys.unit !== this.#unit) throw new MixmintError('bad-sealed-keys', 'peer', 'the bank sent keys for sealed tokens of another unit than was asked for')
      yield * archiveSealed(this.#suite, this.#meter, signed, isListed ? 'itself' : (yield * this.find(listed.keys))?.signed ?? null)
      if (!isListed) throw new MixmintError('bad-sealed-keys', 'peer', 'the bank sent other keys for sealed tokens than the directory lists; they are kept as evidence')
      ops.push({ op: 'put', key: concat(KEPT, known.id), value: encode(SignedSealedKeys, signed) })
      fresh.push(known)
    }
    if (ops.length > 0) yield * batch(ops)
    for (const known of fresh) this.#known.set(toHex(known.id), known)
  }

  /**
   * Keep the set that has this hash, which this wallet knows from having used it, whatever the document lists by now.
   * @throws unknown-sealed-keys, bad-sealed-keys (peer)
   */
  * recall (id: Uint8Array, sets: readonly SignedSealedKeys[]): Saga<void> {
    const signed = sets.find(({ keys }) => equal(sealedKeysHash(this.#suite, keys), id))
    if (signed === undefined) throw new MixmintError('unknown-sealed-keys', 'peer', 'the bank did not send the keys of these sealed tokens')
    verifySealedKeys(this.#suite, this.#network, this.#bank, signed)
    yield * batch([{ op: 'put', key: concat(KEPT, id), value: encode(SignedSealedKeys, signed) }])
  }

  /** Remove those of which every token is refundable since this time: nobody takes them any more. */
  * prune (time: Millis): Saga<void> {
    for (const { key, value } of yield * scanAll(KEPT)) {
      const { keys } = stored(SignedSealedKeys, value)
      if (keys.refundAfter > time) continue
      yield * batch([{ op: 'delete', key }])
      this.#known.delete(toHex(key.slice(KEPT.length)))
    }
  }
}
