/** Receipts for what this wallet has paid (cash/receipt.ts), the bank's word before the payee's. */
import type { Saga } from '../../kit/saga.ts'
import type { Receipt } from '../receipt.ts'
import { doneOperations, isContract, openOperations } from './operations.ts'
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
