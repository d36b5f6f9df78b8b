/** Checking a double-spend proof with nothing but itself: it carries the keyset that the bank signed. */
import { coinId } from '@mixmint/core/cash/coin'
import { verifyKeyset } from '@mixmint/core/cash/keyset'
import { coinKeys } from '@mixmint/core/cash/registry'
import { verifyDoubleSpend } from '@mixmint/core/cash/spend'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import { unarmorAs } from './armor.ts'

export interface ProvenDoubleSpend {
  readonly coin: Uint8Array
  readonly value: number
  readonly unit: string
  readonly bank: Uint8Array
}

/**
 * @throws bad-text, wrong-kind (caller), bad-encoding; bad-keyset when the keyset is not signed by the bank it names; those
 *   of verifyDoubleSpend (peer). Whether that bank is yours, the caller decides.
 */
export async function verifyProofText (text: string): Promise<ProvenDoubleSpend> {
  const suite = await defaultSuite()
  const { proof, keyset: signed } = unarmorAs('proof', text)
  const { keyset } = signed
  const id = verifyKeyset(suite, keyset.network, keyset.bank, signed)
  verifyDoubleSpend(suite, coinKeys(id, keyset), proof)
  return { coin: coinId(suite, proof.first.coin), value: proof.first.coin.value, unit: keyset.unit, bank: keyset.bank }
}
