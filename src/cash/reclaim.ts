/**
 * What the owner of a coin or token signs to undo a purchase (DESIGN §5.6, §5.7, §6), each under a tag of its own, so that a
 * certificate and an opening, or a presentation, alone move nothing and no signature serves for another act.
 */
import { encode, list, tagged } from '../kit/codec.ts'
import type { Suite } from '../crypto/suite.ts'
import { MAX_OUTPUTS, Output } from './formats.ts'

const Outputs = list(Output, MAX_OUTPUTS, 1)

/** "Let this contract be void", by a coin that is certified for it. */
export function voidMessage (coin: Uint8Array, contract: Uint8Array): Uint8Array {
  return tagged('void', coin, contract)
}

/** "This coin, which the contract did not take, for these outputs": coinId ‖ D ‖ H(outputs). */
export function reclaimMessage (suite: Suite, coin: Uint8Array, contract: Uint8Array, outputs: readonly Output[]): Uint8Array {
  return tagged('reclaim', coin, contract, outputsHash(suite, outputs))
}

/** "This coin, which has no certificate, for these outputs": coinId ‖ D ‖ H(outputs). @param contract D, or empty for a coin promised to none */
export function refundCoinMessage (suite: Suite, coin: Uint8Array, contract: Uint8Array, outputs: readonly Output[]): Uint8Array {
  return tagged('refund-coin', coin, contract, outputsHash(suite, outputs))
}

/** "This token, which nobody turned in, for these outputs", by its owner key: H(token) ‖ H(outputs). */
export function refundMessage (suite: Suite, token: Uint8Array, outputs: readonly Output[]): Uint8Array {
  return tagged('refund', token, outputsHash(suite, outputs))
}

/** "What the payee gives back of this order, for these outputs", by a key that paid: H(invoice) ‖ H(outputs). */
export function repayMessage (suite: Suite, invoice: Uint8Array, outputs: readonly Output[]): Uint8Array {
  return tagged('repay', invoice, outputsHash(suite, outputs))
}

function outputsHash (suite: Suite, outputs: readonly Output[]): Uint8Array {
  return suite.sha256(tagged('outputs', encode(Outputs, [...outputs])))
}
