/**
 * The bank's keys on disk: its identity, its blind-signing keys (one file a keyset), the rings that its keysets name (a
 * file each), its day keys (derived from the identity's secret and the day, so that there is no file to lose between days).
 */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { equal, fromHex, toHex, u32 } from '@mixmint/core/kit/bytes'
import { decode, encode, record, tagged, type Of } from '@mixmint/core/kit/codec'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Millis } from '@mixmint/core/kit/ports'
import type { Ed25519KeyPair, Suite } from '@mixmint/core/crypto/suite'
import { Ring, SignedKeyset, type BankListing, type Keyset, type SignedDayKey } from '@mixmint/core/cash/formats'
import { DAY, dayOf, signDayKey, signKeyset, verifyKeyset } from '@mixmint/core/cash/keyset'
import { ringId, RingMap } from '@mixmint/core/cash/ring'
import { nextKeyset, type Periods } from '@mixmint/core/cash/schedule'
import type { KeyShelf } from './key-shelf.ts'
import { LostKeys } from './lost-keys.ts'
import type { Passphrase } from './passphrase.ts'
import { parseRing, readRing, ringText } from './ring-file.ts'
import { generateRsa } from './rsa-keys.ts'
import { createSecret, loadOrCreateSeed, readSecret } from './secrets.ts'
import type { Signer, SigningKey } from './signing-pool.ts'

/** Day keys stand in the directory this many days ahead. */
const DAYS_AHEAD = 7
/** And so many days back: until a token of that day has been used, or refunded. */
const DAYS_BACK = 9
/** A keyset is listed so much longer than it must be: an authority whose clock is behind ours misses it otherwise. */
const LISTED_ON: Millis = DAY

interface HeldKeyset {
  readonly id: Uint8Array
  readonly signed: SignedKeyset
  /** By value; null where the directory lists it for us and its file was lost. */
  readonly keys: ReadonlyMap<number, SigningKey> | null
}

/** A keyset as the directory lists it. */
const Listed = record({ signed: SignedKeyset, ring: Ring })

/** What keysets the bank makes. */
export interface KeysetTerms {
  readonly unit: string
  /** How many values: 1, 2, 4 … */
  readonly denominations: number
  readonly periods: Periods
  /** Who judges the coins of a keyset that is made now. */
  readonly ring: () => Ring
}

export class BankKeys {
  readonly identity: Ed25519KeyPair
  readonly #suite: Suite
  readonly #signer: Signer
  readonly #network: string
  readonly #dir: string
  #keysets: HeldKeyset[]
  /** By id in hexadecimal. */
  readonly #rings: Map<string, Ring>
  /** One at a time: two keysets for one time would be a proof against us. */
  #making: Promise<void> = Promise.resolve()
  #shelf: KeyShelf | null = null
  readonly #passphrase: Passphrase | null
  /** By unit, what the slots hold that are known to be taken: ids in hexadecimal. */
  readonly #slots = new Map<string, string[]>()
  /** What is listed for us and not held. */
  readonly #lost: LostKeys<Of<typeof Listed>>

  private constructor (suite: Suite, signer: Signer, network: string, dir: string, identity: Ed25519KeyPair, keysets: HeldKeyset[], rings: Map<string, Ring>, passphrase: Passphrase | null) {
    this.#suite = suite
    this.#signer = signer
    this.#network = network
    this.#dir = dir
    this.identity = identity
    this.#keysets = keysets
    this.#rings = rings
    this.#passphrase = passphrase
    this.#lost = new LostKeys(dir, 'keyset', Listed)
    for (const { signed, ring } of this.#lost.read()) this.#followOne(signed, ring)
  }

  /**
   * @param signer makes the signatures
   * @param ring the one for keysets to come; those made before have theirs in files of their own
   * @throws slow-suite, key-file-open, key-file-broken, bad-ring-file, ring-missing (operator)
   */
  static open (suite: Suite, network: string, dir: string, ring: Ring, signer: Signer, passphrase: Passphrase | null = null): BankKeys {
    // Big integers of JavaScript take more or less time by what the key and the message are, and strangers choose messages.
    if (suite.name !== 'native') throw new MixmintError('slow-suite', 'operator', 'without its native cryptography a bank would give its keys away by how long it signs: install sodium-native for this machine')
    const identity = suite.ed25519KeyPair(loadOrCreateSeed(join(dir, 'bank.key'), passphrase))
    const files = readdirSync(dir).sort()
    const keysets = files.filter(name => /^keyset-[0-9a-f]+\.json$/.test(name)).map(name => readKeyset(suite, signer, network, identity.publicKey, join(dir, name), passphrase))
    const kept = files.filter(name => /^ring-[0-9a-f]+\.json$/.test(name)).map(name => readRing(join(dir, name)))
    const rings = new Map([...kept, ring].map(each => [toHex(ringId(suite, each)), each]))
    const orphan = keysets.find(({ signed: { keyset } }) => !rings.has(toHex(keyset.ringId)))
    if (orphan !== undefined) {
      const name = toHex(orphan.signed.keyset.ringId)
      throw new MixmintError('ring-missing', 'operator', `the keyset ${toHex(orphan.id).slice(0, 16)} is judged by the ring ${name}, and no file in ${dir} holds that: put it back as ring-${name.slice(0, 16)}.json`)
    }
    return new BankKeys(suite, signer, network, dir, identity, keysets, rings, passphrase)
  }

  /** From now on keysets are made together with the other processes of this bank. */
  share (shelf: KeyShelf): void {
    this.#shelf = shelf
  }

  /**
   * Every keyset that has not reached refundUntil, in the order in which they issue.
   * @param kept those that are listed for longer, ids in hexadecimal
   */
  keysets (now: Millis, kept: ReadonlySet<string> = new Set()): SignedKeyset[] {
    return this.#keysets
      .filter(({ id, signed: { keyset } }) => now < keyset.refundUntil + LISTED_ON || kept.has(toHex(id)))
      .map(({ signed }) => signed).sort((a, b) => a.keyset.issueFrom - b.keyset.issueFrom)
  }

  /** Those that are listed and cannot sign: their files were lost. Ids in hexadecimal. */
  lost (now: Millis): string[] {
    return this.#keysets.filter(({ signed: { keyset }, keys }) => keys === null && now < keyset.issueUntil).map(({ id }) => toHex(id))
  }

  /** The last keyset that a ring judges, its id in hexadecimal. */
  newestOf (ring: Uint8Array): string | undefined {
    const judged = this.#keysets.filter(({ signed: { keyset } }) => equal(keyset.ringId, ring))
    const newest = judged.sort((a, b) => b.signed.keyset.issueFrom - a.signed.keyset.issueFrom).at(0)
    return newest === undefined ? undefined : toHex(newest.id)
  }

  /** The rings that these name. */
  rings (now: Millis, kept: ReadonlySet<string> = new Set()): Ring[] {
    const named = new Set(this.keysets(now, kept).map(({ keyset }) => toHex(keyset.ringId)))
    return [...this.#rings].filter(([id]) => named.has(id)).map(([, ring]) => ring)
  }

  /**
   * Make what keysets are due (cash/schedule.ts), with keys of 2048 bits, and write each to disk before anybody hears of it.
   * @param listed our own listings in the directory: what stands there and is not held is lost, stays listed, and nothing is made for its time
   * @throws bad-ring (peer), or whatever `ring` throws: there is no ring for them
   */
  async prepare (terms: KeysetTerms, now: Millis, listed: readonly BankListing[] = []): Promise<void> {
    const made = this.#making.then(async () => {
      await this.#learn(terms.unit)
      for (const listing of listed) this.#follow(listing)
      for (let left = MOST_AT_ONCE; left > 0 && await this.#makeNext(terms, now); left--);
    })
    this.#making = made.catch(() => {})
    await made
  }

  /** @returns whether there was one to make */
  async #makeNext ({ unit, denominations, periods, ring }: KeysetTerms, now: Millis): Promise<boolean> {
    const dates = nextKeyset(this.#keysets.map(({ signed: { keyset } }) => keyset).filter(keyset => keyset.unit === unit), periods, now)
    if (dates === null) return false
    const { ring: chosen, id: judgedBy } = new RingMap(this.#suite, ring())
    const generated = await Promise.all(Array.from({ length: denominations }, async (_, i) => {
      return { value: 2 ** i, ...await generateRsa() }
    }))
    const keyset: Keyset = {
      network: this.#network, bank: this.identity.publicKey, unit, denominations: generated.map(({ value, n }) => ({ value, key: n })), ...dates, ringId: judgedBy
    }
    const signed = signKeyset(this.#suite, this.identity, keyset)
    const made: Shared = { ring: ringText(chosen), keyset: JSON.stringify({ signed: toHex(encode(SignedKeyset, signed)), keys: generated.map(({ pkcs8 }) => toHex(pkcs8)) }) }
    this.#keep(await this.#claim(unit, made))
    return true
  }

  /** @returns the keyset that comes next to those held: this one, or another process's */
  async #claim (unit: string, made: Shared): Promise<Shared> {
    if (this.#shelf === null) return made
    const there = JSON.parse(await this.#shelf.claim(this.#nextSlot(unit), JSON.stringify(made))) as Shared
    this.#slotsOf(unit).push(toHex(this.#signedIn(there).id))
    return there
  }

  /**
   * Keysets that other processes have made, and to the shelf those that it does not hold yet. One that was put back from a backup may come
   * after later ones: the number of a slot says nothing of when its keyset issues.
   * @throws keysets-differ (operator)
   */
  async #learn (unit: string): Promise<void> {
    if (this.#shelf === null) return
    for (let next = await this.#shelf.read(this.#nextSlot(unit)); next !== null; next = await this.#shelf.read(this.#nextSlot(unit))) {
      const there = JSON.parse(next) as Shared
      this.#mustAgree(unit, there)
      this.#slotsOf(unit).push(toHex(this.#signedIn(there).id))
      this.#keep(there)
    }
    for (const { id, signed: { keyset } } of this.#heldOf(unit).sort((a, b) => a.signed.keyset.issueFrom - b.signed.keyset.issueFrom)) {
      const mine: Shared = { ring: ringText(this.#rings.get(toHex(keyset.ringId)) as Ring), keyset: (readSecret(this.#fileOf(id), this.#passphrase) ?? '').trim() }
      while (!this.#slotsOf(unit).includes(toHex(id))) {
        const there = await this.#claim(unit, mine)
        this.#mustAgree(unit, there)
        this.#keep(there)
      }
    }
  }

  /** Two keysets for one time would be a proof against us. */
  #mustAgree (unit: string, there: Shared): void {
    const { id, signed: { keyset } } = this.#signedIn(there)
    const other = this.#heldOf(unit).find(held => !equal(held.id, id) && held.signed.keyset.issueFrom < keyset.issueUntil && keyset.issueFrom < held.signed.keyset.issueUntil)
    if (other === undefined) return
    throw new MixmintError('keysets-differ', 'operator', `the keyset ${toHex(other.id).slice(0, 16)} in ${this.#dir} is not the one that the bank's other processes have: start this process with bank.key alone`)
  }

  #signedIn ({ keyset }: Shared): { id: Uint8Array, signed: SignedKeyset } {
    return signedIn(this.#suite, this.#network, this.identity.publicKey, keyset)
  }

  #slotsOf (unit: string): string[] {
    const slots = this.#slots.get(unit) ?? []
    this.#slots.set(unit, slots)
    return slots
  }

  /** The first that is not known to be taken. */
  #nextSlot (unit: string): string {
    return slotOf(unit, this.#slotsOf(unit).length)
  }

  #heldOf (unit: string): HeldKeyset[] {
    return this.#keysets.filter(({ signed: { keyset }, keys }) => keyset.unit === unit && keys !== null)
  }

  /** @throws bad-keyset (peer), where a listing under our name is not ours */
  #follow ({ keysets, rings }: BankListing): void {
    for (const ring of rings) this.#rings.set(toHex(ringId(this.#suite, ring)), ring)
    for (const signed of keysets) {
      const ring = this.#rings.get(toHex(signed.keyset.ringId))
      if (ring === undefined) throw new MixmintError('bad-keyset', 'peer', 'a keyset names a ring that is not listed')
      const id = this.#followOne(signed, ring)
      if (this.#keysets.some(held => equal(held.id, id) && held.keys === null)) this.#lost.keep(id, { signed, ring })
    }
  }

  /** @returns its id */
  #followOne (signed: SignedKeyset, ring: Ring): Uint8Array {
    const id = verifyKeyset(this.#suite, this.#network, this.identity.publicKey, signed)
    this.#rings.set(toHex(ringId(this.#suite, ring)), ring)
    if (!this.#keysets.some(held => equal(held.id, id))) this.#keysets.push({ id, signed, keys: null })
    return id
  }

  #fileOf (id: Uint8Array): string {
    return join(this.#dir, `keyset-${toHex(id).slice(0, 16)}.json`)
  }

  /** In files, and in memory, if it is not there. */
  #keep (made: Shared): void {
    const { ring: text, keyset } = made
    const { id: name } = this.#signedIn(made)
    if (this.#keysets.some(({ id, keys }) => keys !== null && equal(id, name))) return
    const ring = parseRing(text, 'the store of the money')
    const judgedBy = toHex(ringId(this.#suite, ring))
    const read = parseKeyset(this.#suite, this.#signer, this.#network, this.identity.publicKey, keyset)
    createSecret(join(this.#dir, `ring-${judgedBy.slice(0, 16)}.json`), text)
    createSecret(this.#fileOf(read.id), `${keyset}\n`, this.#passphrase)
    this.#rings.set(judgedBy, ring)
    this.#keysets = [...this.#keysets.filter(({ id }) => !equal(id, read.id)), read]
  }

  /** The blind signature of one output. @throws unknown-keyset, unknown-denomination, bad-output (peer), and those of Signer */
  async blindSign (keyset: Uint8Array, value: number, blinded: Uint8Array): Promise<Uint8Array> {
    const name = toHex(keyset)
    const found = this.#keysets.find(k => toHex(k.id) === name)
    if (found === undefined) throw new MixmintError('unknown-keyset', 'peer', 'this bank holds no such keyset')
    if (found.keys === null) throw new MixmintError('keyset-lost', 'operator', 'the bank has lost the keys of this keyset: put its file back from a backup')
    const key = found.keys.get(value)
    if (key === undefined) throw new MixmintError('unknown-denomination', 'peer', `the keyset has no coins of ${value}`)
    const signature = await this.#signer.sign(key, blinded)
    if (signature === null) throw new MixmintError('bad-output', 'peer', 'a blinded message is not below its key\'s modulus')
    return signature
  }

  dayKey (day: number): Ed25519KeyPair {
    return this.#suite.ed25519KeyPair(this.#suite.hkdfSha256(this.identity.secret, new Uint8Array(0), tagged('derive-day-key', u32(day)), 32))
  }

  /** From those whose tokens can still be used or refunded to next week's. */
  dayKeys (now: Millis): SignedDayKey[] {
    return Array.from({ length: DAYS_BACK + DAYS_AHEAD + 1 }, (_, i) => {
      const day = dayOf(now) - DAYS_BACK + i
      return signDayKey(this.#suite, this.identity, {
        network: this.#network, bank: this.identity.publicKey, day, key: this.dayKey(day).publicKey, validFrom: day * DAY, validUntil: (day + 1) * DAY
      })
    })
  }
}

/** A keyset as its file holds it, and its ring. */
interface Shared { readonly ring: string, readonly keyset: string }

/** Keysets of one unit follow each other. */
function slotOf (unit: string, nth: number): string {
  return `keyset/${unit}/${nth}`
}

/** Keysets made in one go, where they last for less than they are made ahead. */
const MOST_AT_ONCE = 8

function held (suite: Suite, signer: Signer, id: Uint8Array, signed: SignedKeyset, pkcs8: readonly Uint8Array[]): HeldKeyset {
  return { id, signed, keys: new Map(signed.keyset.denominations.map(({ value }, i) => [value, checked(suite, signer, pkcs8[i])])) }
}

/** @throws bad-argument (caller) when it is no key */
export function checked (suite: Suite, signer: Signer, pkcs8: Uint8Array): SigningKey {
  suite.rsaImportPrivate(pkcs8)
  return signer.hold(pkcs8)
}

function readKeyset (suite: Suite, signer: Signer, network: string, bank: Uint8Array, file: string, passphrase: Passphrase | null): HeldKeyset {
  try {
    return parseKeyset(suite, signer, network, bank, readSecret(file, passphrase) ?? '')
  } catch (error) {
    if (error instanceof MixmintError && error.fault === 'operator') throw error
    throw new MixmintError('key-file-broken', 'operator', `${file} does not hold a keyset of this bank: restore it from a backup`, { cause: error })
  }
}

function parseKeyset (suite: Suite, signer: Signer, network: string, bank: Uint8Array, text: string): HeldKeyset {
  const { id, signed } = signedIn(suite, network, bank, text)
  return held(suite, signer, id, signed, (JSON.parse(text) as { keys: string[] }).keys.map(fromHex))
}

/** What everybody may know of a keyset's file. */
function signedIn (suite: Suite, network: string, bank: Uint8Array, text: string): { id: Uint8Array, signed: SignedKeyset } {
  const signed = decode(SignedKeyset, fromHex((JSON.parse(text) as { signed: string }).signed))
  return { id: verifyKeyset(suite, network, bank, signed), signed }
}
