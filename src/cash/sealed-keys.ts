/**
 * The keys of sealed tokens (DESIGN §6): one set a day, one RSA key a value. The directory lists a set by its hash, a week
 * ahead, so that all clients share it; the set itself comes from the bank, and whoever has it keeps it (decision 45).
 */
import { concat, equal, toHex, utf8 } from '../kit/bytes.ts'
import { encode, tagged } from '../kit/codec.ts'
import { MixmintError } from '../kit/errors.ts'
import type { Millis, Op } from '../kit/ports.ts'
import { batch, get, scanAll, type Saga } from '../kit/saga.ts'
import type { Ed25519KeyPair, Suite } from '../crypto/suite.ts'
import { SealedKeys, SignedSealedKeys, type SealedDay } from './formats.ts'
import { denominationFault } from './keyset.ts'
import { MAX_SEALED_KEYS } from './messages.ts'
import { coinKeys, type CoinKeys } from './known-keyset.ts'
import type { Registry } from './registry.ts'
import { stored } from './stored.ts'

/** What verifies the sealed tokens of a day. */
export interface KnownSealedKeys extends CoinKeys {
  readonly keys: SealedKeys
  /** As the bank signed them. */
  readonly signed: SignedSealedKeys
}

/** H of the tagged encoding: commits to values, keys, unit and dates. 32 bytes. */
export function sealedKeysHash (suite: Suite, keys: SealedKeys): Uint8Array {
  return suite.sha256(tagged('sealed-keys', encode(SealedKeys, keys)))
}

export function signSealedKeys (suite: Suite, bank: Ed25519KeyPair, keys: SealedKeys): SignedSealedKeys {
  return { keys, signature: suite.ed25519Sign(bank, tagged('sealed-keys', encode(SealedKeys, keys))) }
}

/** @throws bad-sealed-keys (peer): of another network or bank, values, keys or dates out of order, or not signed by the bank */
export function verifySealedKeys (suite: Suite, network: string, bank: Uint8Array, signed: SignedSealedKeys): KnownSealedKeys {
  const { keys, signature } = signed
  const bad = (why: string): MixmintError => new MixmintError('bad-sealed-keys', 'peer', `keys of sealed tokens refused: ${why}`)
  if (keys.network !== network) throw bad('they belong to another network')
  if (!equal(keys.bank, bank)) throw bad('they name another bank')
  const { notBefore, notAfter, depositUntil, refundAfter } = keys
  if (!(notBefore < notAfter && notAfter < depositUntil && depositUntil < refundAfter)) throw bad('the dates are not in order')
  const fault = denominationFault(keys.denominations)
  if (fault !== null) throw bad(fault)
  if (!suite.ed25519Verify(bank, tagged('sealed-keys', encode(SealedKeys, keys)), signature)) throw bad('the signature is not the bank\'s')
  const id = sealedKeysHash(suite, keys)
  return { ...coinKeys(id, keys), keys, signed }
}

/** As the directory lists them. */
export function sealedDayOf ({ id, keys: { unit, day, notAfter } }: KnownSealedKeys): SealedDay {
  return { unit, day, keys: id, notAfter }
}

const KEPT = utf8('sealed-keys')

/**
 * The sets of keys that a wallet or a merchant has fetched, in its store under `sealed-keys` ‖ hash: only such as a directory
 * document listed when they came. One for each store.
 */
export class SealedKeyring {
  readonly #suite: Suite
  readonly #network: string
  readonly #bank: Uint8Array
  readonly #unit: string
  readonly #known = new Map<string, KnownSealedKeys>()

  constructor ({ suite, network, bank, unit }: { suite: Suite, network: string, bank: Uint8Array, unit: string }) {
    this.#suite = suite
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

  /** Hashes that the document lists and that were not fetched, the earliest day first; as many as one answer may bring. */
  * missing (registry: Registry): Saga<Uint8Array[]> {
    const missing: Uint8Array[] = []
    for (const { keys } of registry.sealedDays(this.#bank, this.#unit).sort((a, b) => a.day - b.day)) {
      if (missing.length < MAX_SEALED_KEYS && (yield * this.find(keys)) === null) missing.push(keys)
    }
    return missing
  }

  /** Keep what the bank sent, as far as the document lists it. @throws bad-sealed-keys (peer): then nothing is kept */
  * keep (registry: Registry, sets: readonly SignedSealedKeys[]): Saga<void> {
    const ops: Op[] = []
    const fresh: KnownSealedKeys[] = []
    for (const signed of sets) {
      const known = verifySealedKeys(this.#suite, this.#network, this.#bank, signed)
      const listed = registry.sealedDay(this.#bank, this.#unit, known.keys.day)
      if (!equal(listed.keys, known.id) || listed.notAfter !== known.keys.notAfter || known.keys.unit !== this.#unit) {
        throw new MixmintError('bad-sealed-keys', 'peer', 'the bank sent other keys for sealed tokens than the directory lists; keep the answer as evidence')
      }
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
