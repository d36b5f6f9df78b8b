/**
 * What a party knows of the money of its network: verified keysets with their rings, and day keys. Made anew from each
 * directory document; nothing outside it is accepted, so that a bank cannot mark a customer with a key of its own (DESIGN §3).
 */
import { toHex } from '../kit/bytes.ts'
import { MixmintError } from '../kit/errors.ts'
import type { Millis } from '../kit/ports.ts'
import type { Suite } from '../crypto/suite.ts'
import type { BankListing, DayKey, MoneyParameters, Ring, SealedDay } from './formats.ts'
import { verifyRevocation } from './center-proof.ts'
import { verifyDayKey, verifyKeyset } from './keyset.ts'
import { coinKeys, type KnownKeyset } from './known-keyset.ts'
import { RingMap } from './ring.ts'

export class Registry {
  readonly network: string
  readonly parameters: MoneyParameters
  readonly #keysets = new Map<string, KnownKeyset>()
  readonly #dayKeys = new Map<string, DayKey>()
  readonly #sealedDays = new Map<string, SealedDay>()
  readonly #banks = new Set<string>()
  /** Revoked vote keys in hexadecimal, and from when. */
  readonly #revoked = new Map<string, Millis>()

  /**
   * @param listings of banks, as the directory carries them
   * @throws bad-keyset, bad-day-key, bad-ring, bad-revocation, bad-proof (peer) when a listing does not verify or belongs elsewhere
   */
  constructor (suite: Suite, network: string, parameters: MoneyParameters, listings: readonly BankListing[]) {
    this.network = network
    this.parameters = parameters
    for (const listing of listings) {
      this.#banks.add(toHex(listing.bank))
      const rings = new Map(listing.rings.map((ring: Ring) => {
        const map = new RingMap(suite, ring)
        return [toHex(map.id), map] as const
      }))
      for (const signed of listing.keysets) {
        const id = verifyKeyset(suite, network, listing.bank, signed)
        const ring = rings.get(toHex(signed.keyset.ringId))
        if (ring === undefined) throw new MixmintError('bad-keyset', 'peer', 'a keyset names a ring that its bank does not list')
        this.#keysets.set(toHex(id), { ...coinKeys(id, signed.keyset), keyset: signed.keyset, signed, ring })
      }
      for (const signed of listing.dayKeys) {
        verifyDayKey(suite, network, listing.bank, signed)
        this.#dayKeys.set(dayName(listing.bank, signed.dayKey.day), signed.dayKey)
      }
      for (const sealed of listing.sealedDays) this.#sealedDays.set(`${dayName(listing.bank, sealed.day)}/${sealed.unit}`, sealed)
      for (const revocation of listing.revocations) {
        verifyRevocation(suite, network, revocation, [...rings.values()], id => {
          const known = this.find(id)
          return known === undefined ? undefined : { keys: known, ringId: known.ring.id }
        })
        this.#revoked.set(toHex(revocation.voteKey), revocation.from)
      }
    }
  }

  find (id: Uint8Array): KnownKeyset | undefined {
    return this.#keysets.get(toHex(id))
  }

  /** @throws unknown-keyset (peer) */
  keyset (id: Uint8Array): KnownKeyset {
    const found = this.find(id)
    if (found === undefined) {
      throw new MixmintError('unknown-keyset', 'peer', 'no keyset with this id stands in the directory document')
    }
    return found
  }

  keysets (): KnownKeyset[] {
    return [...this.#keysets.values()]
  }

  /** The keysets of a bank and unit that issue at this moment, the one with the latest end first. */
  issuing (bank: Uint8Array, unit: string, now: number): KnownKeyset[] {
    const name = toHex(bank)
    return this.keysets()
      .filter(k => toHex(k.keyset.bank) === name && k.keyset.unit === unit && k.keyset.issueFrom <= now && now < k.keyset.issueUntil)
      .sort((a, b) => b.keyset.issueUntil - a.keyset.issueUntil)
  }

  /** @throws unknown-day-key (peer) */
  dayKey (bank: Uint8Array, day: number): DayKey {
    const found = this.#dayKeys.get(dayName(bank, day))
    if (found === undefined) {
      throw new MixmintError('unknown-day-key', 'peer', 'no token key of this bank for that day stands in the directory document')
    }
    return found
  }

  /** Which sealed tokens this bank issues on that day. @throws unknown-sealed-keys (peer) */
  sealedDay (bank: Uint8Array, unit: string, day: number): SealedDay {
    const found = this.#sealedDays.get(`${dayName(bank, day)}/${unit}`)
    if (found === undefined) {
      throw new MixmintError('unknown-sealed-keys', 'peer', 'no keys for sealed tokens of this bank for that day stand in the directory document')
    }
    return found
  }

  /** Those of all days that the document lists. */
  sealedDays (bank: Uint8Array, unit: string): SealedDay[] {
    const prefix = `${toHex(bank)}/`
    return [...this.#sealedDays].filter(([name, sealed]) => name.startsWith(prefix) && sealed.unit === unit).map(([, sealed]) => sealed)
  }

  /** Is this vote key revoked at this time? Payees do not count its votes; the bank does, so that nobody is robbed (DESIGN §5.4). */
  isRevoked (voteKey: Uint8Array, now: Millis): boolean {
    const from = this.#revoked.get(toHex(voteKey))
    return from !== undefined && now >= from
  }

  hasBank (bank: Uint8Array): boolean {
    return this.#banks.has(toHex(bank))
  }
}

function dayName (bank: Uint8Array, day: number): string {
  return `${toHex(bank)}/${day}`
}
