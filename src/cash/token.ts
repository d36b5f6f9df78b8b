/** Open tokens: digital cashier's checks, made out to one payee, accepted with no network (DESIGN §6). */
import { equal } from '../kit/bytes.ts'
import { encode, tagged } from '../kit/codec.ts'
import { MixmintError } from '../kit/errors.ts'
import type { Ed25519KeyPair, Suite } from '../crypto/suite.ts'
import { Paid, Token, TurnedIn, type Presentation, type SignedPaid, type SignedToken, type SignedTurnedIn } from './formats.ts'
import type { Registry } from './registry.ts'
import { checkTill, type Till } from './till.ts'

/** The serial of the token of a contract: H(tag ‖ D), so that a retry names the same token. 32 bytes. */
export function serialFor (suite: Suite, contract: Uint8Array): Uint8Array {
  return suite.sha256(tagged('serial', contract))
}

export function tokenHash (suite: Suite, token: Token): Uint8Array {
  return suite.sha256(tagged('token', encode(Token, token)))
}

export function signToken (suite: Suite, dayKey: Ed25519KeyPair, token: Token): SignedToken {
  return { token, signature: suite.ed25519Sign(dayKey, tagged('token', encode(Token, token))) }
}

/** The bank's signature, by the day key that the directory lists. @throws wrong-network, unknown-day-key, bad-token (peer) */
export function verifyToken (suite: Suite, registry: Registry, signed: SignedToken): void {
  const { token } = signed
  if (token.network !== registry.network) throw new MixmintError('wrong-network', 'peer', 'the token belongs to another network')
  verifyTokenSignature(suite, registry.dayKey(token.bank, token.day).key, signed)
}

/** @throws bad-token (peer) */
export function verifyTokenSignature (suite: Suite, dayKey: Uint8Array, { token, signature }: SignedToken): void {
  if (!suite.ed25519Verify(dayKey, tagged('token', encode(Token, token)), signature)) {
    throw new MixmintError('bad-token', 'peer', 'the token is not signed by its bank')
  }
}

export function present (suite: Suite, owner: Ed25519KeyPair, token: SignedToken, invoice: Uint8Array): Presentation {
  return { token, invoice, ownerSignature: suite.ed25519Sign(owner, presentationMessage(suite, token.token, invoice)) }
}

/** Is it handed over by its owner, for the order it names? @throws bad-presentation (peer) */
export function verifyPresentation (suite: Suite, { token: { token }, invoice, ownerSignature }: Presentation): void {
  if (!suite.ed25519Verify(token.ownerKey, presentationMessage(suite, token, invoice), ownerSignature)) {
    throw new MixmintError('bad-presentation', 'peer', 'the token\'s owner has not signed it over to this order')
  }
}

function presentationMessage (suite: Suite, token: Token, invoice: Uint8Array): Uint8Array {
  return tagged('present', tokenHash(suite, token), invoice)
}

/**
 * May this payee, at this till, take the token for this amount now?
 * @throws wrong-payee, wrong-amount, wrong-unit, token-not-yet-valid, token-expired, and those of checkTill (peer)
 */
export function checkToken (token: Token, want: { payee: Uint8Array, till: Till, amount: number, unit: string }, now: number, clockSkew: number): void {
  if (!equal(token.payee, want.payee)) throw new MixmintError('wrong-payee', 'peer', 'the token is made out to another payee')
  checkTill(token.till, want.till)
  if (token.unit !== want.unit) throw new MixmintError('wrong-unit', 'peer', 'the token is in another unit')
  if (token.amount !== want.amount) throw new MixmintError('wrong-amount', 'peer', 'the token is not for the amount of this order')
  if (now + clockSkew < token.notBefore) throw new MixmintError('token-not-yet-valid', 'peer', 'the token is not valid yet')
  if (now - clockSkew >= token.notAfter) throw new MixmintError('token-expired', 'peer', 'the token is no longer valid')
}

export function signTurnedIn (suite: Suite, bank: Ed25519KeyPair, word: TurnedIn): SignedTurnedIn {
  return { word, signature: suite.ed25519Sign(bank, tagged('turned-in', encode(TurnedIn, word))) }
}

/** The bank's word on this very token. @throws bad-outcome (peer) */
export function verifyTurnedIn (suite: Suite, token: Token, { word, signature }: SignedTurnedIn): void {
  if (!equal(word.token, tokenHash(suite, token)) || !suite.ed25519Verify(token.bank, tagged('turned-in', encode(TurnedIn, word)), signature)) {
    throw new MixmintError('bad-outcome', 'peer', 'this is not the bank\'s word on this token')
  }
}

export function signPaid (suite: Suite, payee: Ed25519KeyPair, paid: Paid): SignedPaid {
  return { paid, signature: suite.ed25519Sign(payee, tagged('paid', encode(Paid, paid))) }
}

/** @throws bad-receipt (peer) */
export function verifyPaid (suite: Suite, payee: Uint8Array, { paid, signature }: SignedPaid): void {
  if (!suite.ed25519Verify(payee, tagged('paid', encode(Paid, paid)), signature)) {
    throw new MixmintError('bad-receipt', 'peer', 'the receipt is not signed by the payee')
  }
}
