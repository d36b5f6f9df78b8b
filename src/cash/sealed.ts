/**
 * Sealed tokens: checks made out to one payee that the bank has signed without seeing (DESIGN §6). Amount, unit and dates are
 * those of the key that verifies; payee, till, owner and nonce are hidden in the message until it is turned in.
 */
import { equal, u64 } from '../kit/bytes.ts'
import { bytes, encode, maybeBytes, record, tagged, type Of } from '../kit/codec.ts'
import { MixmintError } from '../kit/errors.ts'
import type { Millis } from '../kit/ports.ts'
import type { Ed25519KeyPair, Suite } from '../crypto/suite.ts'
import { SealedTurnedIn, type SealedPresentation, type SealedToken, type SignedSealedTurnedIn } from './formats.ts'
import type { KnownSealedKeys } from './sealed-keys.ts'
import { checkTill, type Till } from './till.ts'

/** What the bank never sees before the deposit. */
const Hidden = record({ payee: bytes(32), till: maybeBytes(32), ownerKey: bytes(32), nonce: bytes(32) })

/** What the bank signs: tag ‖ hash of the keys ‖ u64 value ‖ the hidden fields. */
export function sealedMessage ({ keys, value, payee, till, ownerKey, nonce }: Omit<SealedToken, 'signature'>): Uint8Array {
  return tagged('sealed-token', keys, u64(value), encode<Of<typeof Hidden>>(Hidden, { payee, till, ownerKey, nonce }))
}

/** The token's name in every table of tokens turned in: H of its message. 32 bytes. */
export function sealedSerial (suite: Suite, token: Omit<SealedToken, 'signature'>): Uint8Array {
  return suite.sha256(sealedMessage(token))
}

/** @throws unknown-denomination, bad-token (peer) */
export function verifySealed (suite: Suite, known: KnownSealedKeys, token: SealedToken): void {
  if (!suite.rsaVerifyPss(known.keyFor(token.value), sealedMessage(token), token.signature, 0)) {
    throw new MixmintError('bad-token', 'peer', 'the token is not signed by its bank')
  }
}

/** What a token is handed over for: tells nobody who does not know the invoice which order it is. 32 bytes. */
export function sealedOrder (suite: Suite, invoice: Uint8Array, serial: Uint8Array): Uint8Array {
  return suite.sha256(tagged('sealed-order', invoice, serial))
}

export function presentSealed (suite: Suite, owner: Ed25519KeyPair, token: SealedToken, invoice: Uint8Array): SealedPresentation {
  const serial = sealedSerial(suite, token)
  const order = sealedOrder(suite, invoice, serial)
  return { token, order, ownerSignature: suite.ed25519Sign(owner, tagged('sealed-present', serial, order)) }
}

/** Is it handed over by its owner, for the order it names? @throws bad-presentation (peer) */
export function verifySealedPresentation (suite: Suite, serial: Uint8Array, { token, order, ownerSignature }: SealedPresentation): void {
  if (!suite.ed25519Verify(token.ownerKey, tagged('sealed-present', serial, order), ownerSignature)) {
    throw new MixmintError('bad-presentation', 'peer', 'the token\'s owner has not signed it over to this order')
  }
}

export function signSealedTurnedIn (suite: Suite, bank: Ed25519KeyPair, word: SealedTurnedIn): SignedSealedTurnedIn {
  return { word, signature: suite.ed25519Sign(bank, tagged('sealed-turned-in', encode(SealedTurnedIn, word))) }
}

/** Is this the word of this bank? @throws bad-outcome (peer) */
export function verifySealedTurnedIn (suite: Suite, bank: Uint8Array, { word, signature }: SignedSealedTurnedIn): void {
  if (!suite.ed25519Verify(bank, tagged('sealed-turned-in', encode(SealedTurnedIn, word)), signature)) {
    throw new MixmintError('bad-outcome', 'peer', 'this is not the bank\'s word on this token')
  }
}

/**
 * May this payee, at this till, take the token now?
 * @throws wrong-payee, wrong-unit, token-not-yet-valid, token-expired, and those of checkTill (peer)
 */
export function checkSealed (token: SealedToken, { keys }: KnownSealedKeys, want: { payee: Uint8Array, till: Till, unit: string }, now: Millis, clockSkew: Millis): void {
  if (!equal(token.payee, want.payee)) throw new MixmintError('wrong-payee', 'peer', 'the token is made out to another payee')
  checkTill(token.till, want.till)
  if (keys.unit !== want.unit) throw new MixmintError('wrong-unit', 'peer', 'the token is in another unit')
  if (now + clockSkew < keys.notBefore) throw new MixmintError('token-not-yet-valid', 'peer', 'the token is not valid yet')
  if (now - clockSkew >= keys.notAfter) throw new MixmintError('token-expired', 'peer', 'the token is no longer valid')
  if (now + clockSkew >= keys.depositUntil) throw new MixmintError('token-expired', 'peer', 'the token could not be turned in any more')
}
