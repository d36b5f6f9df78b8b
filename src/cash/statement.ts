/**
 * The bank's statement of what it issued and redeemed, by keyset: signed, so that anyone may hold it against what the bank
 * says later, or to somebody else. What is issued and redeemed only grows.
 */
import { compare, equal, toHex } from '../kit/bytes.ts'
import { encode, tagged } from '../kit/codec.ts'
import { MixmintError } from '../kit/errors.ts'
import type { Ed25519KeyPair, Suite } from '../crypto/suite.ts'
import { Statement, type SignedStatement } from './formats.ts'

export function signStatement (suite: Suite, bank: Ed25519KeyPair, statement: Statement): SignedStatement {
  return { statement, signature: suite.ed25519Sign(bank, tagged('statement', encode(Statement, statement))) }
}

/**
 * Is it the bank's, and does it make sense by itself?
 * @throws bad-statement-signature; overdrawn, when more of a keyset was redeemed than issued; bad-statement, when keysets
 *   are not in their order (peer)
 */
export function verifyStatement (suite: Suite, { statement, signature }: SignedStatement): void {
  if (!suite.ed25519Verify(statement.bank, tagged('statement', encode(Statement, statement)), signature)) {
    throw new MixmintError('bad-statement-signature', 'peer', 'the statement is not signed by the bank that it names')
  }
  if (statement.keysets.some(({ keyset }, i) => i > 0 && compare(statement.keysets[i - 1].keyset, keyset) >= 0)) {
    throw new MixmintError('bad-statement', 'peer', 'the keysets of the statement are not in their order')
  }
  const overdrawn = statement.keysets.find(({ issued, redeemed }) => redeemed > issued)
  if (overdrawn !== undefined) {
    throw new MixmintError('overdrawn', 'peer', `the bank says that it redeemed more than it issued of the keyset ${toHex(overdrawn.keyset).slice(0, 16)}: somebody else has its key`)
  }
}

/**
 * Do two statements of one bank fit together? Of every keyset the later one has issued and redeemed no less.
 * @throws statements-of-two (caller), when they are not of the same bank, network and unit; statements-contradict (peer)
 */
export function compareStatements ({ statement: one }: SignedStatement, { statement: two }: SignedStatement): void {
  if (!equal(one.bank, two.bank) || one.network !== two.network || one.unit !== two.unit) {
    throw new MixmintError('statements-of-two', 'caller', 'the statements are not of the same bank, network and unit')
  }
  const [earlier, later] = one.time <= two.time ? [one, two] : [two, one]
  const of = new Map(later.keysets.map(each => [toHex(each.keyset), each]))
  for (const { keyset, issued, redeemed } of earlier.keysets) {
    const then = of.get(toHex(keyset))
    const less = then === undefined || then.issued < issued || then.redeemed < redeemed
    const differs = one.time === two.time && (then?.issued !== issued || then.redeemed !== redeemed)
    if (less || differs || (one.time === two.time && one.keysets.length !== two.keysets.length)) {
      throw new MixmintError('statements-contradict', 'peer', `the bank's two statements contradict each other on the keyset ${toHex(keyset).slice(0, 16)}: what it has issued and redeemed can only grow`)
    }
  }
}
