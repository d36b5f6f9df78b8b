/** Receipts for what this wallet has paid (cash/receipt.ts), the bank's word before the payee's; and what to show of a payee who denies. */
import { equal } from '../../kit/bytes.ts'
import { MixmintError } from '../../kit/errors.ts'
import type { Saga } from '../../kit/saga.ts'
import { invoiceHash } from '../contract.ts'
import { verifyReceipt, type Receipt } from '../receipt.ts'
import { doneOperations, isContract, openOperations } from './operations.ts'
import { askBank, badReply, type Wallet, type WalletEffect } from './parts.ts'
import { sealedPayments } from './sealed-payments.ts'
import { tokens } from './tokens.ts'

/** One for each invoice that is paid, as far as this wallet knows. */
export function * receipts (): Saga<Receipt[]> {
  const found: Receipt[] = []
  for (const { record } of [...yield * doneOperations(), ...yield * openOperations()].filter(isContract)) {
    const { invoice, contract, outcome, paid } = record
    if (invoice === null) continue
    if (outcome?.outcome.state === 'settled') found.push({ by: 'bank', invoice, contract, outcome })
    else if (paid !== null && record.state !== 'void') found.push({ by: 'payee', invoice, paid })
  }
  for (const { invoice, paid } of yield * tokens()) if (invoice !== null && paid !== null) found.push({ by: 'payee', invoice, paid })
  for (const { invoice, paid } of yield * sealedPayments()) if (paid !== null) found.push({ by: 'payee', invoice, paid })
  return found
}

/**
 * The bank's word that a token was turned in for this invoice, whatever its payee says. Over the mixnet; it shows the bank nothing that the
 * deposit did not.
 * @param invoice H(invoice)
 * @throws not-paid (caller): no open token of this wallet was signed over to it; not-settled (peer): it was not turned in for it yet; bad-outcome
 */
export function * askTokenReceipt (wallet: Wallet, invoice: Uint8Array): Saga<Receipt & { by: 'token' }, WalletEffect> {
  const held = (yield * tokens()).find(one => one.invoice !== null && equal(invoiceHash(wallet.suite, one.invoice.invoice), invoice))
  if (held === undefined || held.invoice === null || held.presentation === null) throw new MixmintError('not-paid', 'caller', 'no token of this wallet was signed over to this order')
  const reply = yield * askBank('mixnet', { op: 'turned-in', presentation: held.presentation })
  if (reply.is !== 'turned-in') throw badReply('bank')
  const receipt = { by: 'token' as const, invoice: held.invoice, presentation: held.presentation, word: { word: reply.word, signature: reply.signature } }
  verifyReceipt(wallet.suite, receipt)
  return receipt
}
