/**
 * Receipts: a payment that anyone can check, with nothing but the receipt itself (DESIGN §5). Whether payee and bank are the
 * ones that one knows under other names, the reader decides.
 */
import { compare, equal } from '../kit/bytes.ts'
import { list, record, variants, type Of } from '../kit/codec.ts'
import { MixmintError } from '../kit/errors.ts'
import type { Millis } from '../kit/ports.ts'
import type { Suite } from '../crypto/suite.ts'
import { contractId, invoiceHash, total, verifyInvoice, verifyOutcome } from './contract.ts'
import { Contract, MAX_SEALED, Presentation, SignedInvoice, SignedOutcome, SignedPaid, SignedSealedTurnedIn, SignedTurnedIn, type Invoice } from './formats.ts'
import { sealedOrder, verifySealedTurnedIn } from './sealed.ts'
import { verifyPaid, verifyPresentation, verifyTurnedIn } from './token.ts'

export const Receipt = variants('by', {
  /** The bank has settled this contract, which pays this invoice: the payee has the money, whatever it says. */
  bank: record({ invoice: SignedInvoice, contract: Contract, outcome: SignedOutcome }),
  /** The bank has credited this token, which its owner signed over to this invoice, to the payee, who turned it in for it. */
  token: record({ invoice: SignedInvoice, presentation: Presentation, word: SignedTurnedIn }),
  /** The same of sealed tokens, a word on each, in the order of their serials. They may make less than the order's amount: see Proven. */
  sealed: record({ invoice: SignedInvoice, words: list(SignedSealedTurnedIn, MAX_SEALED, 1) }),
  /** The payee says that the invoice is paid; for tokens, and until the bank has settled. */
  payee: record({ invoice: SignedInvoice, paid: SignedPaid })
})
export type Receipt = Of<typeof Receipt>

/** What a receipt proves. */
export interface Proven {
  readonly by: Receipt['by']
  readonly invoice: Invoice
  /** What the payee has had for it by this: below the invoice's amount where it has turned in only some of the sealed tokens. Then the order is not paid. */
  readonly had: number
  /** When it was settled, or accepted, by the clock of whoever signed. */
  readonly time: Millis
}

/** @throws bad-invoice, bad-presentation, wrong-token, wrong-contract, bad-outcome, not-settled, bad-receipt (peer) */
export function verifyReceipt (suite: Suite, receipt: Receipt): Proven {
  const { invoice } = receipt.invoice
  verifyInvoice(suite, receipt.invoice)
  if (receipt.by === 'payee') {
    verifyPaid(suite, invoice.payee, receipt.paid)
    if (!equal(receipt.paid.paid.invoice, invoiceHash(suite, invoice))) throw new MixmintError('bad-receipt', 'peer', 'the payee signed for another invoice')
    return { by: 'payee', invoice, had: invoice.amount, time: receipt.paid.paid.time }
  }
  if (receipt.by === 'sealed') return provenBySealed(suite, invoice, receipt.words)
  if (receipt.by === 'token') {
    const { presentation, word } = receipt
    const { token } = presentation.token
    verifyPresentation(suite, presentation)
    const pays = equal(presentation.invoice, invoiceHash(suite, invoice)) && token.network === invoice.network && equal(token.bank, invoice.bank) &&
      equal(token.payee, invoice.payee) && token.amount === invoice.amount && token.unit === invoice.unit
    if (!pays) throw new MixmintError('wrong-token', 'peer', 'the token does not pay this invoice')
    verifyTurnedIn(suite, token, word)
    checkTurnedIn(word.word.state, word.word.invoice, presentation.invoice)
    return { by: 'token', invoice, had: invoice.amount, time: word.word.time }
  }
  const { contract, outcome: signed } = receipt
  const pays = contract.kind === 'pay' && equal(contract.invoice, invoiceHash(suite, invoice)) && contract.network === invoice.network &&
    equal(contract.bank, invoice.bank) && equal(contract.payee, invoice.payee) && contract.amount === invoice.amount && contract.unit === invoice.unit
  if (!pays) throw new MixmintError('wrong-contract', 'peer', 'the contract does not pay this invoice')
  verifyOutcome(suite, contract.bank, signed)
  if (!equal(signed.outcome.contract, contractId(suite, contract))) throw new MixmintError('bad-outcome', 'peer', 'the bank\'s word is about another contract')
  if (signed.outcome.state !== 'settled') throw new MixmintError('not-settled', 'peer', `the bank says that the contract is ${signed.outcome.state}, not settled`)
  return { by: 'bank', invoice, had: invoice.amount, time: signed.outcome.time }
}

/** @param shownFor what the bank wrote down of the order that the token was turned in for @throws not-settled (peer) */
function checkTurnedIn (state: SignedTurnedIn['word']['state'], shownFor: Uint8Array, wanted: Uint8Array): void {
  if (state !== 'credited') throw new MixmintError('not-settled', 'peer', `the bank says that the token is ${state}, not credited to its payee`)
  if (shownFor.length === 0) throw new MixmintError('not-settled', 'peer', 'the bank has credited the token to its payee when it did not write down yet for which order')
  if (!equal(shownFor, wanted)) throw new MixmintError('not-settled', 'peer', 'the payee has turned the token in for another order')
}

function provenBySealed (suite: Suite, invoice: Invoice, words: readonly SignedSealedTurnedIn[]): Proven {
  const id = invoiceHash(suite, invoice)
  for (const [i, signed] of words.entries()) {
    const { word } = signed
    if (i > 0 && compare(words[i - 1].word.token, word.token) >= 0) throw new MixmintError('bad-receipt', 'peer', 'a token is in the receipt twice, or not in its place')
    verifySealedTurnedIn(suite, invoice.bank, signed)
    if (word.network !== invoice.network || word.unit !== invoice.unit || !equal(word.payee, invoice.payee)) throw new MixmintError('wrong-token', 'peer', 'the token does not pay this invoice')
    checkTurnedIn(word.state, word.order, sealedOrder(suite, id, word.token))
  }
  const all = words.map(({ word }) => word)
  return { by: 'sealed', invoice, had: total(all), time: Math.max(...all.map(({ time }) => time)) }
}
