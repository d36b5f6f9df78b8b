/**
 * The bank's keys on disk: its identity, its blind-signing keys (one file a keyset), its day keys (derived from the
 * identity's secret and the day, so that there is no file to lose between days).
 */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fromHex, toHex, u32 } from '@mixmint/core/kit/bytes'
import { decode, encode, tagged } from '@mixmint/core/kit/codec'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Ed25519KeyPair, RsaPrivateKey, Suite } from '@mixmint/core/crypto/suite'
import { SignedKeyset, type Keyset, type Ring, type SignedDayKey } from '@mixmint/core/cash/formats'
import { dayOf, keysetId, signDayKey, signKeyset, verifyKeyset } from '@mixmint/core/cash/keyset'
import { ringId } from '@mixmint/core/cash/ring'
import { generateRsa } from './rsa-keys.ts'
import { createSecret, loadOrCreateSeed, readSecret } from './secrets.ts'

const DAY = 86_400_000
/** Day keys stand in the directory this many days ahead. */
const DAYS_AHEAD = 7

interface HeldKeyset {
  readonly id: Uint8Array
  readonly signed: SignedKeyset
  /** By value. */
  readonly keys: ReadonlyMap<number, RsaPrivateKey>
}

export class BankKeys {
  readonly identity: Ed25519KeyPair
  readonly #suite: Suite
  readonly #network: string
  readonly #dir: string
  #keysets: HeldKeyset[]

  private constructor (suite: Suite, network: string, dir: string, identity: Ed25519KeyPair, keysets: HeldKeyset[]) {
    this.#suite = suite
    this.#network = network
    this.#dir = dir
    this.identity = identity
    this.#keysets = keysets
  }

  /** @throws key-file-open, key-file-broken (operator) */
  static open (suite: Suite, network: string, dir: string): BankKeys {
    const identity = suite.ed25519KeyPair(loadOrCreateSeed(join(dir, 'bank.key')))
    const files = readdirSync(dir).filter(name => /^keyset-[0-9a-f]+\.json$/.test(name)).sort()
    return new BankKeys(suite, network, dir, identity, files.map(name => readKeyset(suite, network, identity.publicKey, join(dir, name))))
  }

  /** Every keyset that has not reached refundUntil. */
  keysets (now: number): SignedKeyset[] {
    return this.#keysets.filter(k => now < k.signed.keyset.refundUntil).map(k => k.signed)
  }

  /**
   * Make sure that a keyset issues now: if none does, generate keys of 2048 bits for the values 1, 2, 4 … and write them
   * to disk before anybody hears of them.
   */
  async ensureIssuing (terms: { unit: string, denominations: number, days: number, ring: Ring, now: number }): Promise<void> {
    const { unit, now, days } = terms
    if (this.#keysets.some(({ signed: { keyset } }) => keyset.unit === unit && keyset.issueFrom <= now && now < keyset.issueUntil)) return
    const generated = await Promise.all(Array.from({ length: terms.denominations }, async (_, i) => {
      return { value: 2 ** i, ...await generateRsa() }
    }))
    // Not before the one before it has ended: authorities list no two that issue at one time.
    const ended = this.#keysets.filter(k => k.signed.keyset.unit === unit && k.signed.keyset.issueUntil <= now).map(k => k.signed.keyset.issueUntil)
    const keyset: Keyset = {
      network: this.#network, bank: this.identity.publicKey, unit,
      denominations: generated.map(({ value, n }) => ({ value, key: n })),
      issueFrom: Math.max(now - 60_000, ...ended), issueUntil: now + days * DAY, spendUntil: now + 2 * days * DAY, redeemUntil: now + 3 * days * DAY,
      refundUntil: now + 4 * days * DAY, ringId: ringId(this.#suite, terms.ring)
    }
    const signed = signKeyset(this.#suite, this.identity, keyset)
    const id = keysetId(this.#suite, keyset)
    createSecret(join(this.#dir, `keyset-${toHex(id).slice(0, 16)}.json`), `${JSON.stringify({
      signed: toHex(encode(SignedKeyset, signed)), keys: generated.map(({ pkcs8 }) => toHex(pkcs8))
    })}\n`)
    this.#keysets.push(held(this.#suite, id, signed, generated.map(({ pkcs8 }) => pkcs8)))
  }

  /** The blind signature of one output. @throws unknown-keyset, unknown-denomination, bad-output (peer), signing-fault (us) */
  blindSign (keyset: Uint8Array, value: number, blinded: Uint8Array): Uint8Array {
    const name = toHex(keyset)
    const found = this.#keysets.find(k => toHex(k.id) === name)
    if (found === undefined) throw new MixmintError('unknown-keyset', 'peer', 'this bank holds no such keyset')
    const key = found.keys.get(value)
    if (key === undefined) throw new MixmintError('unknown-denomination', 'peer', `the keyset has no coins of ${value}`)
    const signature = this.#suite.rsaBlindSign(key, blinded)
    if (signature === null) throw new MixmintError('bad-output', 'peer', 'a blinded message is not below its key\'s modulus')
    return signature
  }

  dayKey (day: number): Ed25519KeyPair {
    return this.#suite.ed25519KeyPair(this.#suite.hkdfSha256(this.identity.secret, new Uint8Array(0), tagged('derive-day-key', u32(day)), 32))
  }

  /** Yesterday's to next week's. */
  dayKeys (now: number): SignedDayKey[] {
    return Array.from({ length: DAYS_AHEAD + 2 }, (_, i) => {
      const day = dayOf(now) - 1 + i
      return signDayKey(this.#suite, this.identity, {
        network: this.#network, bank: this.identity.publicKey, day, key: this.dayKey(day).publicKey, validFrom: day * DAY, validUntil: (day + 1) * DAY
      })
    })
  }
}

function held (suite: Suite, id: Uint8Array, signed: SignedKeyset, pkcs8: readonly Uint8Array[]): HeldKeyset {
  return { id, signed, keys: new Map(signed.keyset.denominations.map(({ value }, i) => [value, suite.rsaImportPrivate(pkcs8[i])])) }
}

function readKeyset (suite: Suite, network: string, bank: Uint8Array, file: string): HeldKeyset {
  try {
    const { signed: hex, keys } = JSON.parse(readSecret(file) ?? '') as { signed: string, keys: string[] }
    const signed = decode(SignedKeyset, fromHex(hex))
    return held(suite, verifyKeyset(suite, network, bank, signed), signed, keys.map(fromHex))
  } catch (error) {
    if (error instanceof MixmintError && error.code === 'key-file-open') throw error
    throw new MixmintError('key-file-broken', 'operator', `${file} does not hold a keyset of this bank: restore it from a backup`, { cause: error })
  }
}
