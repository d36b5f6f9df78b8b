/** Checking what banks said of their coins, with nothing but what they said. */
import type { Statement } from '@mixmint/core/cash/formats'
import { compareStatements, verifyStatement } from '@mixmint/core/cash/statement'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import { unarmorAs } from './armor.ts'

/**
 * @param texts statements of one bank
 * @throws bad-text, wrong-kind (caller), bad-encoding, those of verifyStatement and compareStatements. Whether the bank is
 *   yours, the caller decides.
 */
export async function verifyStatementTexts (texts: readonly string[]): Promise<Statement[]> {
  const suite = await defaultSuite()
  const all = texts.map(text => unarmorAs('statement', text))
  for (const [i, one] of all.entries()) {
    verifyStatement(suite, one)
    for (const before of all.slice(0, i)) compareStatements(before, one)
  }
  return all.map(({ statement }) => statement)
}
