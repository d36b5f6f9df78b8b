/**
 * What an authority puts its name to (DESIGN §3). Whatever authorities say to each other or to readers is one short signed
 * statement about something that is named by its hash; so two that contradict each other are small, and convict their
 * author before anybody, without the things themselves.
 *
 *   what        round       value
 *   vote        revision    H(vote): the nodes that this authority would list (vote.ts)
 *   proposal    round       H(proposal): votes, and the document that they make (agreement.ts)
 *   prevote     round       H(document); empty: none that was proposed in time and may be
 *   precommit   round       H(document) that a quorum prevoted for; empty: none
 *   document    0           H(document): the signature that readers count (document.ts)
 *
 *   signature   Ed25519 by the authority key over tagged('directory-statement', statement)
 */
import { equal } from '@mixmint/core/kit/bytes'
import { bytes, encode, maybeBytes, oneOf, record, tagged, text, uint, type Of } from '@mixmint/core/kit/codec'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Ed25519KeyPair, Suite } from '@mixmint/core/crypto/suite'

export const Statement = record({
  network: text(64),
  epoch: uint(),
  what: oneOf('vote', 'proposal', 'prevote', 'precommit', 'document'),
  round: uint(),
  value: maybeBytes(32)
})
export type Statement = Of<typeof Statement>
export const SignedStatement = record({ statement: Statement, authority: bytes(32), signature: bytes(64) })
export type SignedStatement = Of<typeof SignedStatement>

/** Two statements of one authority of which an honest one makes only one. */
export const EquivocationProof = record({ first: SignedStatement, second: SignedStatement })
export type EquivocationProof = Of<typeof EquivocationProof>

export function signStatement (suite: Suite, key: Ed25519KeyPair, statement: Statement): SignedStatement {
  return { statement, authority: key.publicKey, signature: suite.ed25519Sign(key, message(statement)) }
}

/** Does the signature hold? Whose authority it is, the caller looks. */
export function isSigned (suite: Suite, { statement, authority, signature }: SignedStatement): boolean {
  return suite.ed25519Verify(authority, message(statement), signature)
}

/** Do these two say different things in one place? Whether they are signed is another question. */
export function contradict (a: SignedStatement, b: SignedStatement): boolean {
  const [one, other] = [a.statement, b.statement]
  return equal(a.authority, b.authority) && one.network === other.network && one.epoch === other.epoch &&
    one.what === other.what && one.round === other.round && !equal(one.value, other.value)
}

/**
 * Whoever is named by `proof.first.authority` lied, or lets others use its key, or runs on a disk that was set back.
 * @throws proof-not-contradictory, proof-signature (peer)
 */
export function verifyEquivocation (suite: Suite, { first, second }: EquivocationProof): void {
  if (!contradict(first, second)) throw new MixmintError('proof-not-contradictory', 'peer', 'the two statements do not contradict each other')
  if (!isSigned(suite, first) || !isSigned(suite, second)) {
    throw new MixmintError('proof-signature', 'peer', 'a statement is not signed by the authority that it names')
  }
}

function message (statement: Statement): Uint8Array {
  return tagged('directory-statement', encode(Statement, statement))
}
