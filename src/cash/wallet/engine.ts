/**
 * The engine of a wallet (DESIGN §4–6). Whatever it begins is on disk before the first byte of it is sent, and a crash or
 * a lost answer is followed by the very same, never by another.
 */
import { MixmintError } from '../../kit/errors.ts'
import { now, type Saga } from '../../kit/saga.ts'
import { total } from '../contract.ts'
import type { CoinBundle, Presentation, SealedPayment, SignedInvoice, SignedPaid, SignedToken } from '../formats.ts'
import { SealedKeyring } from '../sealed-keyring.ts'
import { accountBalance, accountOf, doubtful, resolveDoubt, sendWithdrawal, withdraw } from './account.ts'
import { askOutcome } from './conclude.ts'
import { choose, latestSettleBy } from './contracts.ts'
import { beginCoinRefunds, refundCoinOne } from './frozen.ts'
import { balance, entryOf, history, type Balance, type HistoryEntry } from './history.ts'
import { give, given, receive, resumeGive, takeBack, type Given, type Handover } from './handover.ts'
import { beginReclaims, reclaimOne } from './leftovers.ts'
import { contractOperation, doneOperations, isContract, isOpen, openOperations, operation, type Begun } from './operations.ts'
import type { Wallet, WalletEffect, WalletOptions } from './parts.ts'
import { payWithCoins, type Payment } from './payments.ts'
import { ownCoins, type Kept } from './purse.ts'
import type { HeldToken } from './records.ts'
import { resume } from './recover.ts'
import { refresh, type RefreshOptions } from './refresh.ts'
import { beginRefunds, beginSealedRefunds, refundOne, sealedRefundOne } from './refunds.ts'
import { buySealed, sealedTokens, type KeptSealed } from './sealed.ts'
import { payWithSealed, presentSealed, sentSealed } from './sealed-payments.ts'
import { expectRestore, restore, type RestoreOptions } from './restore.ts'
import type { Restored } from './restore-finish.ts'
import type { Receipt } from '../receipt.ts'
import { askTokenReceipt, receipts, tokenOrders, type AskingReceipt } from './receipts.ts'
import { collectRepay, repayOne } from './repay.ts'
import { makeRoom } from './room.ts'
import { secure, type SecureOptions } from './secure.ts'
import { exchange } from './settle.ts'
import { buyToken, fittingTokens, payWithToken, presentToken, sentTokens, tokens } from './tokens.ts'

/** What became of one operation that `recover` or `reclaim` took up. */
export interface Recovered {
  /** Null for a token that was sent again, and where nothing could be begun. */
  readonly entry: HistoryEntry | null
  /** Why it is not over yet, or null. */
  readonly error: MixmintError | null
}

/** So often more is begun at the most, each time as much as a restore would find. */
const ROUNDS_BACK = 16

/** One engine for each store; it remembers nothing that the store does not hold. */
export class WalletEngine {
  readonly #wallet: Wallet

  constructor (options: WalletOptions) {
    this.#wallet = { ...options, sealedKeys: new SealedKeyring(options) }
  }

  /** The key that names the wallet's account: 32 bytes, for the operator to credit. */
  get account (): Uint8Array {
    return accountOf(this.#wallet)
  }

  /** What the account at the bank holds. Asked directly. */
  * accountBalance (): Saga<number, WalletEffect> {
    return yield * accountBalance(this.#wallet)
  }

  /** Coins out of the account. Asked directly. See account.ts. */
  * withdraw (amount: number): Saga<HistoryEntry, WalletEffect> {
    return this.#entry(yield * withdraw(this.#wallet, amount))
  }

  * balance (): Saga<Balance> {
    return yield * balance(this.#wallet)
  }

  /** The coins in the purse, whatever their state. */
  * coins (): Saga<Kept[]> {
    return yield * ownCoins()
  }

  /** The coins that a payment of this amount would be begun with now, and the change. @throws insufficient-funds (caller) */
  * plan (amount: number): Saga<{ coins: Kept[], change: number }> {
    return yield * choose(this.#wallet, amount, latestSettleBy(this.#wallet, yield * now()))
  }

  /** Coins of these values in place of others, over the mixnet. */
  * exchange (values: readonly number[]): Saga<HistoryEntry, WalletEffect> {
    if (values.length === 0) throw new MixmintError('bad-argument', 'caller', 'at least one value wanted')
    return this.#entry(yield * exchange(this.#wallet, values))
  }

  /** Coins to hand to somebody: a bundle that is on disk before it is shown. See handover.ts. */
  * give (amount: number, { memo = '', until }: { memo?: string, until: number }): Saga<Given, WalletEffect> {
    const { sequence } = yield * give(this.#wallet, amount, memo, until)
    return yield * given(this.#wallet, sequence)
  }

  /** What was given, and how it stands as far as this wallet knows. */
  * given (): Saga<Given[]> {
    const all = [...yield * doneOperations(), ...yield * openOperations()].filter(({ record }) => record.kind === 'give')
    const list: Given[] = []
    for (const { sequence } of all.sort((a, b) => a.sequence - b.sequence)) list.push(yield * given(this.#wallet, sequence))
    return list
  }

  /** Over the mixnet, at once. See handover.ts. */
  * receive (bundle: CoinBundle, options: { late?: boolean } = {}): Saga<Handover, WalletEffect> {
    return yield * receive(this.#wallet, bundle, options.late)
  }

  /** What was given under this number and not received. See handover.ts. */
  * takeBack (sequence: number, options: { early?: boolean } = {}): Saga<Given, WalletEffect> {
    return yield * takeBack(this.#wallet, sequence, options.early)
  }

  /** Coins that end are exchanged for fresh ones, each at its own time: call it whenever the wallet runs. See refresh.ts. */
  * refresh (options: RefreshOptions = {}): Saga<Recovered[], WalletEffect> {
    const results = yield * refresh(this.#wallet, options)
    return results.map(({ begun, error }) => ({ entry: begun === null ? null : this.#entry(begun), error }))
  }

  /** See tokens.ts. */
  * buyToken (payee: Uint8Array, amount: number, options: { till?: Uint8Array } = {}): Saga<SignedToken, WalletEffect> {
    return yield * buyToken(this.#wallet, payee, amount, options.till)
  }

  /** Every token that was bought, and how it stands. */
  * tokens (): Saga<HeldToken[]> {
    return yield * tokens()
  }

  /** Those that would pay this invoice, the best first. */
  * fittingTokens (invoice: SignedInvoice): Saga<HeldToken[]> {
    return yield * fittingTokens(invoice)
  }

  /** For a till: the payment file is the encoded Presentation. See tokens.ts. */
  * presentToken (serial: Uint8Array, invoice: SignedInvoice): Saga<Presentation> {
    return yield * presentToken(this.#wallet, serial, invoice)
  }

  /** Over the mixnet, with a token that fits. See tokens.ts. */
  * payWithToken (invoice: SignedInvoice): Saga<SignedPaid, WalletEffect> {
    return yield * payWithToken(this.#wallet, invoice)
  }

  /** Tokens that the bank signs without seeing to whom they are made out. See sealed.ts. */
  * buySealed (payee: Uint8Array, amount: number, options: { till?: Uint8Array } = {}): Saga<KeptSealed[], WalletEffect> {
    return yield * buySealed(this.#wallet, payee, amount, options.till)
  }

  /** Every sealed token that was bought, and how it stands. */
  * sealedTokens (): Saga<KeptSealed[]> {
    return yield * sealedTokens()
  }

  /** For a till. See sealed-payments.ts. */
  * presentSealed (invoice: SignedInvoice): Saga<SealedPayment> {
    return yield * presentSealed(this.#wallet, invoice)
  }

  /** Over the mixnet, with sealed tokens that add up to it. See sealed-payments.ts. */
  * payWithSealed (invoice: SignedInvoice): Saga<SignedPaid, WalletEffect> {
    return yield * payWithSealed(this.#wallet, invoice)
  }

  /** Over the mixnet. See payments.ts. @param options.waived pay, too, while the bank does not answer: see copies.ts */
  * payWithCoins (invoice: SignedInvoice, options: { waived?: boolean } = {}): Saga<Payment, WalletEffect> {
    return yield * payWithCoins(this.#wallet, invoice, options.waived === true)
  }

  /** What the payee of an order gives back of it. See repay.ts. */
  * collectRepay (invoice: SignedInvoice): Saga<HistoryEntry, WalletEffect> {
    return this.#entry(yield * collectRepay(this.#wallet, invoice))
  }

  /** What the bank says of the token, or the sealed ones, that were to pay this invoice, given by its hash: for a dispute. See receipts.ts. */
  * askTokenReceipt (invoice: Uint8Array, options?: AskingReceipt): Saga<Receipt, WalletEffect> {
    return yield * askTokenReceipt(this.#wallet, invoice, options)
  }

  /** Every order that tokens of this wallet were signed over to, whether or not its payee says that it is paid. */
  * tokenOrders (): Saga<SignedInvoice[]> {
    return yield * tokenOrders()
  }

  /** For what was paid: see receipts.ts. */
  * receipts (): Saga<Receipt[]> {
    return yield * receipts()
  }

  /** Ask the bank how the contract of an operation stands, and take in what it brings. */
  * outcome (sequence: number): Saga<HistoryEntry, WalletEffect> {
    const begun = yield * contractOperation(sequence)
    return this.#entry(isOpen(begun) ? yield * askOutcome(this.#wallet, begun) : begun)
  }

  /** Take in the change of payments whose payee has signed for them, where the bank has settled meanwhile. */
  * fetchChange (): Saga<Recovered[], WalletEffect> {
    const results: Recovered[] = []
    for (const begun of yield * openOperations()) {
      if (isContract(begun) && begun.record.paid !== null) results.push(yield * this.#attempt(begun, askOutcome(this.#wallet, begun)))
    }
    return results
  }

  /**
   * Coins that decided contracts left over come back as fresh ones; so do those that can be certified no more, and tokens that nobody turned in, those too that were
   * handed over at a till (`recover` leaves these).
   * @returns what came back in all, and how each try went
   */
  * reclaim (): Saga<{ amount: number, results: Recovered[] }, WalletEffect> {
    return yield * this.#takeBack(true)
  }

  * #takeBack (presented: boolean): Saga<{ amount: number, results: Recovered[] }, WalletEffect> {
    const results: Recovered[] = []
    // A second round when the first one found that other coins than thought are left over; more where there was no room for all.
    for (let [round, before, full] = [0, -1, false]; round < (full ? ROUNDS_BACK : 2) && before < results.length; round++) {
      before = results.length
      full = false
      for (const begin of [beginReclaims, beginCoinRefunds, beginRefunds, beginSealedRefunds]) {
        let [begun, isFull] = [yield * this.#attempt(null, begin(this.#wallet, presented)), false]
        // Only what has something to begin, and no room for it, takes another generation (decision 50).
        if (begun.error?.code === 'too-many-unanswered') {
          const made = yield * this.#attempt(null, makeRoom(this.#wallet, 1))
          if (made.error === null) begun = yield * this.#attempt(null, begin(this.#wallet, presented))
          isFull = made.error === null && begun.error?.code === 'too-many-unanswered'
        }
        if (begun.error !== null && !isFull) results.push(begun)
        full ||= isFull
      }
      const tried = results.map(({ entry }) => entry?.sequence)
      for (const begun of yield * openOperations()) {
        if (tried.includes(begun.sequence)) continue
        if (begun.record.kind === 'reclaim') results.push(yield * this.#attempt(begun, reclaimOne(this.#wallet, { ...begun, record: begun.record })))
        if (begun.record.kind === 'refund-coin') results.push(yield * this.#attempt(begun, refundCoinOne(this.#wallet, { ...begun, record: begun.record })))
        if (begun.record.kind === 'refund') results.push(yield * this.#attempt(begun, refundOne(this.#wallet, { ...begun, record: begun.record })))
        if (begun.record.kind === 'sealed-refund') results.push(yield * this.#attempt(begun, sealedRefundOne(this.#wallet, { ...begun, record: begun.record })))
      }
    }
    const back = results.flatMap(({ entry }) => entry?.state === 'done' ? [{ value: entry.amount }] : [])
    return { amount: total(back), results }
  }

  /** In the order in which it was begun. */
  * history (): Saga<HistoryEntry[]> {
    return yield * history(this.#wallet)
  }

  /** What was begun and is not over. */
  * pending (): Saga<HistoryEntry[]> {
    return (yield * openOperations()).map(begun => this.#entry(begun))
  }

  /**
   * Carry on with everything that was begun, and reclaim what is left over. Fails with nobody's refusal or silence:
   * those are in the results.
   * @param presented ask back tokens that were handed over at a till, too: that tells the bank that they are of one wallet
   */
  * recover (presented = false): Saga<Recovered[], WalletEffect> {
    const results: Recovered[] = []
    // What brings coins comes before what needs them.
    const order = (begun: Begun): number => ['withdraw', 'repay', 'exchange', 'receive', 'take-back', 'secure', 'give', 'token', 'sealed', 'pay', 'reclaim', 'refund'].indexOf(this.#entry(begun).kind)
    for (const begun of (yield * openOperations()).sort((a, b) => order(a) - order(b))) {
      if (isContract(begun)) results.push(yield * this.#attempt(begun, resume(this.#wallet, begun)))
      else if (begun.record.kind === 'repay') results.push(yield * this.#attempt(begun, repayOne(this.#wallet, { ...begun, record: begun.record })))
      else if (begun.record.kind === 'give') results.push(yield * this.#attempt(begun, resumeGive(this.#wallet, { ...begun, record: begun.record })))
      else if (begun.record.kind === 'withdraw') results.push(yield * this.#attempt(begun, sendWithdrawal(this.#wallet, { ...begun, record: begun.record })))
    }
    for (const begun of yield * doubtful(this.#wallet)) {
      const { entry, error } = yield * this.#attempt(begun, resolveDoubt(this.#wallet, begun))
      if (error !== null || entry?.state === 'done') results.push({ entry, error })
    }
    for (const invoice of yield * sentTokens()) results.push(yield * this.#attempt(null, payWithToken(this.#wallet, invoice)))
    for (const invoice of yield * sentSealed()) results.push(yield * this.#attempt(null, payWithSealed(this.#wallet, invoice)))
    return [...results, ...(yield * this.#takeBack(presented)).results]
  }

  /** From now on nothing is derived here before a restore has come to its end: for a machine that was given the words of another. */
  * expectRestore (): Saga<void> {
    yield * expectRestore()
  }

  /**
   * The wallet of these words, on a new machine: see restore.ts. Then everything that was in flight is carried on with.
   * @throws restore-incomplete (peer, retry); the same call goes on
   */
  * restore (options: RestoreOptions): Saga<{ restored: Restored, recovered: Recovered[] }, WalletEffect> {
    const restored = yield * restore(this.#wallet, options)
    return { restored, recovered: yield * this.recover() }
  }

  /** After a restore: coins that somebody else may have too are exchanged for fresh ones. See secure.ts. */
  * secure (options: SecureOptions = {}): Saga<Handover, WalletEffect> {
    return yield * secure(this.#wallet, options)
  }

  #entry (begun: Begun): HistoryEntry {
    return entryOf(this.#wallet.suite, begun)
  }

  * #attempt (before: Begun | null, saga: Saga<unknown, WalletEffect>): Saga<Recovered, WalletEffect> {
    let error: MixmintError | null = null
    try {
      yield * saga
    } catch (caught) {
      if (!(caught instanceof MixmintError) || caught.fault === 'operator' || caught.fault === 'us') throw caught
      error = caught
    }
    return { entry: before === null ? null : this.#entry(yield * operation(before.sequence)), error }
  }
}
