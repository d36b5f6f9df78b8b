/** Paying an invoice with coins: one contract for it, until that is void. */
import { equal } from '../../kit/bytes.ts'
import { MixmintError } from '../../kit/errors.ts'
import type { Millis } from '../../kit/ports.ts'
import { get, now, type Saga } from '../../kit/saga.ts'
import { invoiceHash, verifyInvoice } from '../contract.ts'
import type { SignedInvoice, SignedPaid } from '../formats.ts'
import { stored } from '../stored.ts'
import { begin, invoiceInUse, latestSettleBy } from './contracts.ts'
import { invoiceAt } from './keys.ts'
import { contractOperation, isOpen, type Begun } from './operations.ts'
import type { Wallet, WalletEffect } from './parts.ts'
import { resume } from './recover.ts'
import { InvoiceUse, type ContractOperation } from './records.ts'
import { collect, isPaid } from './settle.ts'

export interface Payment {
  /** The payee's receipt; null when only the bank's word is there that the contract is settled. */
  readonly receipt: SignedPaid | null
  readonly sequence: number
  /** The bank has settled and the change is in the purse; else `fetchChange` later. */
  readonly settled: boolean
}

/** What is paying an invoice, if anything is that is not void; and what the store holds on it. */
export function * useOf (invoice: Uint8Array): Saga<{ was: Uint8Array | null, by: InvoiceUse | null, contract: Begun<ContractOperation> | null }> {
  const was = yield * get(invoiceAt(invoice))
  if (was === null) return { was, by: null, contract: null }
  const by = stored(InvoiceUse, was)
  if (by.serial.length > 0) return { was, by, contract: null }
  const contract = yield * contractOperation(by.operation)
  return contract.record.state === 'void' ? { was, by: null, contract: null } : { was, by, contract }
}

/** @throws bad-invoice, wrong-network, wrong-bank, wrong-unit (peer) */
export function checkInvoice (wallet: Wallet, signed: SignedInvoice): void {
  verifyInvoice(wallet.suite, signed)
  const { network, bank, unit } = signed.invoice
  if (network !== wallet.network) throw new MixmintError('wrong-network', 'peer', 'the invoice belongs to another network')
  if (!equal(bank, wallet.bank)) throw new MixmintError('wrong-bank', 'peer', 'the invoice asks for money of another bank')
  if (unit !== wallet.unit) throw new MixmintError('wrong-unit', 'peer', 'the invoice is in another unit than this wallet\'s money')
}

/** @throws invoice-expired (peer) */
function checkInTime (wallet: Wallet, { invoice: { settleBy } }: SignedInvoice, now: Millis): void {
  if (now + wallet.registry().parameters.margin >= settleBy) {
    throw new MixmintError('invoice-expired', 'peer', 'too little time is left to pay this invoice: order again')
  }
}

/**
 * Pay, or carry on paying: the same invoice again goes on with the same contract.
 * @param waived see copies.ts
 * @throws those of checkInvoice, begin and collect; invoice-expired (peer), invoice-in-use (caller)
 */
export function * payWithCoins (wallet: Wallet, signed: SignedInvoice, waived: boolean): Saga<Payment, WalletEffect> {
  checkInvoice(wallet, signed)
  const { was, by, contract } = yield * useOf(invoiceHash(wallet.suite, signed.invoice))
  if (contract !== null) return paymentOf(isPaid(contract) ? contract : yield * resume(wallet, contract))
  if (by !== null) throw invoiceInUse()
  const time = yield * now()
  checkInTime(wallet, signed, time)
  const { amount, payee } = signed.invoice
  const settleBy = Math.min(signed.invoice.settleBy, latestSettleBy(wallet, time))
  const begun = yield * begin(wallet, { kind: 'pay', payee, amount, settleBy, values: [], invoice: { signed, was }, terms: null, waived })
  return paymentOf(yield * collect(wallet, begun))
}

/** @throws payment-void, payment-open */
function paymentOf (begun: Begun<ContractOperation>): Payment {
  if (!isPaid(begun)) {
    throw begun.record.state === 'void'
      ? new MixmintError('payment-void', 'caller', 'the payment came too late and is void: its coins come back by `recover`; order again')
      : new MixmintError('payment-open', 'peer', 'neither the payee nor the bank has taken this payment yet: try `recover` later', { retry: true })
  }
  return { receipt: begun.record.paid, sequence: begun.sequence, settled: !isOpen(begun) }
}
