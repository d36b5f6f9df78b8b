/**
 * Beginning a contract: coins are chosen and locked, change made up, everything on disk in one batch, before the first
 * byte of it is sent.
 */
import { NONE } from '../../kit/bytes.ts'
import { encode } from '../../kit/codec.ts'
import { MixmintError } from '../../kit/errors.ts'
import type { Millis, Op } from '../../kit/ports.ts'
import { batch, now, type Saga } from '../../kit/saga.ts'
import { contractId, invoiceHash, total } from '../contract.ts'
import { contractNonce, tokenOwnerKey } from '../derive.ts'
import type { KnownSealedKeys } from '../sealed-keys.ts'
import type { Contract, Input, SignedInvoice, TokenTerms } from '../formats.ts'
import { invoiceAt } from './keys.ts'
import { busy, start, type Begun } from './operations.ts'
import { issuingKeyset, makeOutputs, reserve, valuesOf } from './outputs.ts'
import type { Wallet } from './parts.ts'
import { insufficient, isUsable, lock, ownCoins, promise, spendUntil, type Kept } from './purse.ts'
import { InvoiceUse, type ContractOperation } from './records.ts'
import { makeSealed } from './sealed-outputs.ts'
import { select, split } from './selection.ts'

/** What to begin. */
export interface Plan {
  readonly kind: Contract['kind']
  /** Empty for an exchange. */
  readonly payee: Uint8Array
  readonly amount: number
  readonly settleBy: Millis
  /** Values wanted as fresh coins, besides the change. */
  readonly values: readonly number[]
  /** For pay: the invoice, and what the store holds on its use (null, or the bytes of one that is void). */
  readonly invoice: { readonly signed: SignedInvoice, readonly was: Uint8Array | null } | null
  /** For pay: send it, too, while the bank cannot keep a copy (copies.ts). */
  readonly waived?: boolean
  /** For token. */
  readonly terms: Omit<TokenTerms, 'ownerKey'> | null
  /** For sealed: the day's keys, and the values wanted. */
  readonly sealed?: { readonly known: KnownSealedKeys, readonly values: readonly number[], readonly payee: Uint8Array, readonly till: Uint8Array }
  /** These very coins, worth what is bought; without: whichever fit. */
  readonly coins?: readonly Kept[]
}

/** Coarse, so that the times in a contract do not tell one wallet's clock from another's. */
export function coarse (time: Millis): Millis {
  return time - time % 1000
}

/** The latest time by which a contract begun now may be settled. */
export function latestSettleBy (wallet: Wallet, now: Millis): Millis {
  return coarse(now + wallet.registry().parameters.settleMaximum)
}

/**
 * Results in the open operation, durable, its coins locked.
 * @throws insufficient-funds, unpayable-amount, too-many-coins, invoice-in-use, operation-busy (the plan's coins are taken;
 *   caller); no-keyset (peer)
 */
export function * begin (wallet: Wallet, plan: Plan): Saga<Begun<ContractOperation>> {
  for (;;) {
    const started = yield * now()
    const known = issuingKeyset(wallet, started, plan.settleBy)
    const { sealed } = plan
    const wanted = [...plan.values, ...sealed?.values ?? []]
    const chosen = plan.coins === undefined
      ? yield * choose(wallet, total(wanted.map(value => ({ value })), plan.amount), plan.settleBy)
      : { coins: plan.coins, change: 0 }
    // In order of value, so that the place of an output does not tell change from what was wanted.
    const values = [...plan.values, ...split(chosen.change, valuesOf(known))].sort((a, b) => a - b)
    const { sequence, generation, places } = yield * reserve([...values, ...sealed?.values ?? []], plan.waived !== true)
    const nonce = contractNonce(wallet.suite, wallet.seed, generation, sequence)
    const contract: Contract = {
      network: wallet.network, bank: wallet.bank, kind: plan.kind, payee: plan.payee, amount: plan.amount, unit: wallet.unit,
      invoice: plan.invoice === null ? NONE : invoiceHash(wallet.suite, plan.invoice.signed.invoice), nonce, settleBy: plan.settleBy,
      token: plan.terms === null ? null : { ...plan.terms, ownerKey: tokenOwnerKey(wallet.suite, wallet.seed, nonce).publicKey },
      outputs: [
        ...makeOutputs(wallet, known, values, places),
        ...sealed === undefined ? [] : makeSealed(wallet, sealed.known, sealed.values, places.slice(values.length), sealed)
      ]
    }
    const id = contractId(wallet.suite, contract)
    const { begun, op } = start<ContractOperation>(sequence, {
      kind: 'contract', started, state: 'open', contract, places, coins: chosen.coins.map(coin => promise(wallet, coin, id)),
      invoice: plan.invoice?.signed ?? null, paid: null, outcome: null, claim: NONE, filed: 0, waived: plan.waived === true,
      sealed: sealed === undefined ? null : { keys: sealed.known.id, payee: sealed.payee, till: sealed.till }
    })
    const claim = plan.invoice === null ? [] : [claimInvoice(contract.invoice, plan.invoice.was, { operation: sequence, serial: NONE })]
    const result = yield * batch([...claim, op, ...lock(chosen.coins, 'promised', sequence)])
    if (result.done) return begun
    if (result.at < claim.length) throw invoiceInUse()
    if (plan.coins !== undefined) throw busy()
    // Another operation has taken one of the coins: choose again. The counters stay unused.
  }
}

/** The step by which an invoice is ours to pay in one way; it fails when another way was begun meanwhile. */
export function claimInvoice (invoice: Uint8Array, was: Uint8Array | null, use: InvoiceUse): Op {
  return { op: 'swap', key: invoiceAt(invoice), was, value: encode(InvoiceUse, use) }
}

export function invoiceInUse (): MixmintError {
  return new MixmintError('invoice-in-use', 'caller', 'this invoice is being paid in another way already; one invoice is paid once: see `pending`, and let `recover` end it')
}

/**
 * The coins that a contract for this sum would be begun with now.
 * @throws insufficient-funds (caller)
 */
export function * choose (wallet: Wallet, sum: number, settleBy: Millis): Saga<{ coins: Kept[], change: number }> {
  const time = yield * now()
  const coins = yield * ownCoins()
  // Of coins of one value, those that end first.
  const usable = coins.filter(coin => isUsable(wallet, coin, time, settleBy)).sort((a, b) => spendUntil(wallet, a) - spendUntil(wallet, b))
  const chosen = select(usable, sum)
  if (chosen !== null) return chosen
  if (total(usable) < sum) throw insufficient(sum, coins, usable)
  throw new MixmintError('too-many-coins', 'caller', 'this would take too many small coins at once: exchange some of them into larger ones first')
}

/** The inputs to show now. */
export function activeInputs ({ record }: Begun<ContractOperation>): Input[] {
  return record.coins.filter(({ active }) => active).map(({ input }) => input)
}
