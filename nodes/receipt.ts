/** Checking a receipt with nothing but itself. */
import { defaultSuite } from '@mixmint/core/crypto/choose'
import { verifyReceipt, type Proven } from '@mixmint/core/cash/receipt'
import { unarmorAs } from './armor.ts'

/** @throws bad-text, wrong-kind (caller), bad-encoding, and those of verifyReceipt (peer) */
export async function verifyReceiptText (text: string): Promise<Proven> {
  return verifyReceipt(await defaultSuite(), unarmorAs('receipt', text))
}
