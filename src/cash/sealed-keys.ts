/**
 * The keys of sealed tokens (DESIGN §6): one set a day, one RSA key a value. The directory lists a set by its hash, a week
 * ahead, so that all clients share it; the set itself comes from the bank, and whoever has it keeps it (decision 45).
 */
import { equal } from '../kit/bytes.ts'
import { encode, tagged } from '../kit/codec.ts'
import { MixmintError } from '../kit/errors.ts'
import type { Ed25519KeyPair, Suite } from '../crypto/suite.ts'
import { SealedKeys, type SealedDay, type SignedSealedKeys } from './formats.ts'
import { denominationFault } from './keyset.ts'
import { coinKeys, type CoinKeys } from './known-keyset.ts'

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
