/**
 * The bank's keys of sealed tokens on disk: one file a day (cash/sealed-keys.ts). The private halves are removed when nothing is
 * signed with them any more; the public ones stay, for tokens may be turned in until they are refunded.
 *
 * A day has one set for ever: the one that our listing in the directory named first. A bank that has lost it lists it still,
 * makes no other, and sells no sealed tokens of that day.
 */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fromHex, toHex } from '@mixmint/core/kit/bytes'
import { decode, encode } from '@mixmint/core/kit/codec'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Millis } from '@mixmint/core/kit/ports'
import type { Ed25519KeyPair, Suite } from '@mixmint/core/crypto/suite'
import { SealedDay, SignedSealedKeys } from '@mixmint/core/cash/formats'
import { DAY, dayOf } from '@mixmint/core/cash/keyset'
import { sealedDayOf, signSealedKeys, verifySealedKeys, type KnownSealedKeys } from '@mixmint/core/cash/sealed-keys'
import { checked } from './bank-keys.ts'
import type { KeyShelf } from './key-shelf.ts'
import { LostKeys } from './lost-keys.ts'
import type { Passphrase } from './passphrase.ts'
import { generateRsa } from './rsa-keys.ts'
import { createSecret, readSecret, removeSecret } from './secrets.ts'
import type { Signer, SigningKey } from './signing-pool.ts'

/** From the end of their day on, tokens are valid, can be turned in, and are refunded: as with open tokens, and alike for all. */
const VALID: Millis = DAY
const DEPOSIT: Millis = 7 * DAY
const REFUND: Millis = 8 * DAY

interface Held extends KnownSealedKeys {
  /** By value; null when the day's tokens are no longer issued. */
  readonly privateKeys: ReadonlyMap<number, SigningKey> | null
}

/** A day's keys as the bank's processes share them. */
interface Shared { readonly signed: string, readonly keys: readonly string[] }

interface Place {
  readonly network: string
  readonly unit: string
  readonly dir: string
  /** Where several processes of one bank agree on the keys of a day. */
  readonly shelf: KeyShelf | null
  /** Locks the private halves. */
  readonly passphrase: Passphrase | null
}

export class BankSealedKeys {
  readonly #suite: Suite
  readonly #signer: Signer
  readonly #network: string
  readonly #unit: string
  readonly #shelf: KeyShelf | null
  readonly #dir: string
  readonly #identity: Ed25519KeyPair
  readonly #passphrase: Passphrase | null
  readonly #held = new Map<string, Held>()
  /** What the directory lists for us, or has listed, by day. */
  readonly #listed = new Map<number, SealedDay>()
  /** Of those, what we do not hold. */
  readonly #lost: LostKeys<SealedDay>

  /** @throws key-file-open, key-file-broken, and those of readSecret (operator) */
  constructor (suite: Suite, signer: Signer, identity: Ed25519KeyPair, { network, unit, dir, shelf, passphrase }: Place) {
    this.#suite = suite
    this.#signer = signer
    this.#network = network
    this.#unit = unit
    this.#shelf = shelf
    this.#dir = dir
    this.#identity = identity
    this.#passphrase = passphrase
    for (const name of readdirSync(dir).filter(name => /^sealed-[0-9]+-[0-9a-f]+\.json$/.test(name)).sort()) this.#read(join(dir, name))
    this.#lost = new LostKeys(dir, 'sealed', SealedDay)
    for (const each of this.#lost.read()) if (each.unit === unit) this.#listed.set(each.day, each)
  }

  find (id: Uint8Array): KnownSealedKeys | undefined {
    return this.#held.get(toHex(id))
  }

  /**
   * Our own listing, as the directory has it: no other keys are made for its days, also when it names them no more (we were down for
   * longer than it lists anybody). What we do not hold of it is on disk when this returns.
   */
  follow (listed: readonly SealedDay[]): void {
    for (const each of listed) {
      if (each.unit !== this.#unit || this.#listed.has(each.day)) continue
      if (!this.#held.has(toHex(each.keys))) this.#lost.keep(each.keys, each)
      this.#listed.set(each.day, each)
    }
  }

  /** What other processes of this bank have made for these days, where they share a store. @throws those of KeyShelf and Store */
  async learn (from: number, until: number, now: Millis): Promise<void> {
    if (this.#shelf === null) return
    for (let day = from; day <= until; day++) {
      if (this.#has(day)) continue
      const found = await this.#shelf.read(this.#slotOf(day))
      if (found !== null) this.#keep(JSON.parse(found) as Shared, now)
    }
  }

  /**
   * As the directory lists them: those whose tokens are, or will be, valid; a day longer, for an authority's clock may be behind.
   * Of a day that it lists already, what it lists.
   */
  days (now: Millis): SealedDay[] {
    const held = [...this.#held.values()].filter(({ keys: { unit, day } }) => unit === this.#unit && !this.#listed.has(day)).map(sealedDayOf)
    return [...this.#listed.values(), ...held].filter(({ notAfter }) => now < notAfter + DAY).sort((a, b) => a.day - b.day)
  }

  /** Days of which the directory lists keys that we do not hold: nothing can be signed for them. */
  lost (now: Millis): number[] {
    return [...this.#listed.values()].filter(({ keys, notAfter }) => now < notAfter && !this.#held.has(toHex(keys))).map(({ day }) => day).sort((a, b) => a - b)
  }

  /** Are there keys for this day, ours or listed? */
  isTaken (day: number): boolean {
    return this.#listed.has(day) || this.#has(day)
  }

  /** The first day from today on, of so many, that has no keys; null if all have. */
  missing (now: Millis, days: number): number | null {
    const today = dayOf(now)
    for (let day = today; day <= today + days; day++) if (!this.isTaken(day)) return day
    return null
  }

  /**
   * Make keys for the values 1, 2, 4 … of a day, on disk before anybody hears of them. Nothing, where there are some meanwhile: a day that
   * lists two sets is refused by every authority.
   * @param pause awaited before each of them, for generating one takes a core for a tenth of a second; without: all at once
   */
  async make (day: number, denominations: number, pause?: () => Promise<void>): Promise<void> {
    let before: Promise<unknown> = Promise.resolve()
    const generated = await Promise.all(Array.from({ length: denominations }, async (_, i) => {
      const turn = pause === undefined ? generateRsa() : before.then(pause).then(generateRsa)
      before = turn
      return { value: 2 ** i, ...await turn }
    }))
    // Bought in the last minute of its day, a token is valid as long as any other.
    const end = (day + 1) * DAY
    const signed = signSealedKeys(this.#suite, this.#identity, {
      network: this.#network, bank: this.#identity.publicKey, unit: this.#unit, day, denominations: generated.map(({ value, n }) => ({ value, key: n })),
      notBefore: day * DAY, notAfter: end + VALID, depositUntil: end + DEPOSIT, refundAfter: end + REFUND
    })
    const mine: Shared = { signed: toHex(encode(SignedSealedKeys, signed)), keys: generated.map(({ pkcs8 }) => toHex(pkcs8)) }
    if (this.isTaken(day)) return
    this.#keep(this.#shelf === null ? mine : JSON.parse(await this.#shelf.claim(this.#slotOf(day), JSON.stringify(mine))) as Shared, day * DAY)
  }

  /** Forget the private halves that sign nothing any more: on disk, and in the memory of whoever signs; and what is listed no more. */
  retire (now: Millis): void {
    for (const [day, { keys, notAfter }] of this.#listed) {
      if (now < notAfter + DAY) continue
      this.#lost.forget(keys)
      this.#listed.delete(day)
    }
    for (const [name, held] of this.#held) {
      if (held.privateKeys === null || now < held.keys.notAfter) continue
      for (const key of held.privateKeys.values()) this.#signer.drop(key)
      removeSecret(keysFile(join(this.#dir, `sealed-${held.keys.day}-${name.slice(0, 16)}.json`)))
      this.#held.set(name, { ...held, privateKeys: null })
    }
  }

  /** @returns null where the set is not of sealed tokens. @throws unknown-denomination, token-expired, bad-output (peer), and those of Signer */
  async blindSign (id: Uint8Array, value: number, blinded: Uint8Array): Promise<Uint8Array | null> {
    const held = this.#held.get(toHex(id))
    if (held === undefined) return null
    if (held.privateKeys === null) throw new MixmintError('token-expired', 'peer', 'sealed tokens of that day are no longer issued')
    const key = held.privateKeys.get(value)
    if (key === undefined) throw new MixmintError('unknown-denomination', 'peer', `that day has no sealed tokens of ${value}`)
    const signature = await this.#signer.sign(key, blinded)
    if (signature === null) throw new MixmintError('bad-output', 'peer', 'a blinded message is not below its key\'s modulus')
    return signature
  }

  #has (day: number): boolean {
    return [...this.#held.values()].some(({ keys }) => keys.unit === this.#unit && keys.day === day)
  }

  #slotOf (day: number): string {
    return `sealed/${this.#unit}/${day}`
  }

  /** In files, the private halves only while something is signed with them, and in memory. */
  #keep ({ signed, keys }: Shared, now: Millis): void {
    const known = verifySealedKeys(this.#suite, this.#network, this.#identity.publicKey, decode(SignedSealedKeys, fromHex(signed)))
    const file = join(this.#dir, `sealed-${known.keys.day}-${toHex(known.id).slice(0, 16)}.json`)
    if (now < known.keys.notAfter) createSecret(keysFile(file), `${JSON.stringify(keys)}\n`, this.#passphrase)
    createSecret(file, `${JSON.stringify({ signed })}\n`)
    this.#read(file)
  }

  #read (file: string): void {
    try {
      const { signed: hex } = JSON.parse(readSecret(file) ?? '') as { signed: string }
      const known = verifySealedKeys(this.#suite, this.#network, this.#identity.publicKey, decode(SignedSealedKeys, fromHex(hex)))
      const secrets = readSecret(keysFile(file), this.#passphrase)
      const pkcs8 = secrets === null ? null : (JSON.parse(secrets) as string[]).map(fromHex)
      const privateKeys = pkcs8 === null ? null : new Map(known.keys.denominations.map(({ value }, i) => [value, checked(this.#suite, this.#signer, pkcs8[i])]))
      this.#held.set(toHex(known.id), { ...known, privateKeys })
    } catch (error) {
      if (error instanceof MixmintError && error.fault === 'operator') throw error
      throw new MixmintError('key-file-broken', 'operator', `${file} does not hold keys of sealed tokens of this bank: restore it from a backup`, { cause: error })
    }
  }
}

function keysFile (file: string): string {
  return file.replace(/\.json$/, '.keys')
}
