/** Keysets and day keys: ids, signatures, and which dates allow what (DESIGN §4, §6). */
import { equal } from '../kit/bytes.ts'
import { encode, tagged } from '../kit/codec.ts'
import { MixmintError } from '../kit/errors.ts'
import type { Ed25519KeyPair, Suite } from '../crypto/suite.ts'
import { DayKey, Keyset, type SignedDayKey, type SignedKeyset } from './formats.ts'

/** H of the tagged encoding: commits to unit, denominations, dates and ring. 32 bytes. */
export function keysetId (suite: Suite, keyset: Keyset): Uint8Array {
  return suite.sha256(tagged('keyset', encode(Keyset, keyset)))
}

export function signKeyset (suite: Suite, bank: Ed25519KeyPair, keyset: Keyset): SignedKeyset {
  return { keyset, signature: suite.ed25519Sign(bank, tagged('keyset', encode(Keyset, keyset))) }
}

/**
 * @returns the keyset's id
 * @throws bad-keyset (peer): another network or bank, dates out of order, values that are no distinct rising powers of
 *   two, keys that are not odd 2048-bit numbers, or a signature that is not the bank's
 */
export function verifyKeyset (suite: Suite, network: string, bank: Uint8Array, { keyset, signature }: SignedKeyset): Uint8Array {
  const bad = (why: string): MixmintError => new MixmintError('bad-keyset', 'peer', `keyset refused: ${why}`)
  if (keyset.network !== network) throw bad('it belongs to another network')
  if (!equal(keyset.bank, bank)) throw bad('it names another bank')
  const dates = [keyset.issueFrom, keyset.issueUntil, keyset.spendUntil, keyset.redeemUntil, keyset.refundUntil]
  for (let i = 1; i < dates.length; i++) if (dates[i - 1] >= dates[i]) throw bad('its five dates are not in rising order')
  const fault = denominationFault(keyset.denominations)
  if (fault !== null) throw bad(fault)
  if (!suite.ed25519Verify(bank, tagged('keyset', encode(Keyset, keyset)), signature)) throw bad('the signature is not its bank\'s')
  return keysetId(suite, keyset)
}

/** What is wrong with these values and keys, or null: rising powers of two, so each value once, and odd moduli of 2048 bits. */
export function denominationFault (denominations: Keyset['denominations']): string | null {
  let last = 0
  for (const { value, key } of denominations) {
    if (value <= last || !isPowerOfTwo(value)) return 'its values are not rising powers of two'
    if (key[0] < 0x80 || key[255] % 2 === 0) return 'a key is not an odd number of 2048 bits'
    last = value
  }
  return null
}

/** What can be done with a keyset and its coins at a time; each state ends where the next begins. */
export type KeysetState = 'to come' | 'issuing' | 'spendable' | 'redeemable' | 'refundable' | 'ended'

export function stateOf ({ issueFrom, issueUntil, spendUntil, redeemUntil, refundUntil }: Keyset, now: number): KeysetState {
  if (now < issueFrom) return 'to come'
  if (now < issueUntil) return 'issuing'
  if (now < spendUntil) return 'spendable'
  if (now < redeemUntil) return 'redeemable'
  return now < refundUntil ? 'refundable' : 'ended'
}

export function isPowerOfTwo (value: number): boolean {
  // Math.log2 rounds: that of 2^53 − 1 is 53.
  return value >= 1 && 2 ** Math.round(Math.log2(value)) === value
}

export function signDayKey (suite: Suite, bank: Ed25519KeyPair, dayKey: DayKey): SignedDayKey {
  return { dayKey, signature: suite.ed25519Sign(bank, tagged('day-key', encode(DayKey, dayKey))) }
}

/** @throws bad-day-key (peer) */
export function verifyDayKey (suite: Suite, network: string, bank: Uint8Array, { dayKey, signature }: SignedDayKey): void {
  const bad = (why: string): MixmintError => new MixmintError('bad-day-key', 'peer', `day key refused: ${why}`)
  if (dayKey.network !== network) throw bad('it belongs to another network')
  if (!equal(dayKey.bank, bank)) throw bad('it names another bank')
  if (dayKey.validFrom >= dayKey.validUntil) throw bad('its dates are not in order')
  if (!suite.ed25519Verify(bank, tagged('day-key', encode(DayKey, dayKey)), signature)) throw bad('the signature is not its bank\'s')
}

/** ms. */
export const DAY = 86_400_000

/** The UTC day number of a time. */
export function dayOf (time: number): number {
  return Math.floor(time / DAY)
}
