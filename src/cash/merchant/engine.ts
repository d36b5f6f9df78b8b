/** The engine of a merchant: takes orders, tokens and coins; turns them in at the bank (DESIGN §5, §6). */
import { decode } from '../../kit/codec.ts'
import { MixmintError } from '../../kit/errors.ts'
import type { Saga } from '../../kit/saga.ts'
import { Presentation, type CenterProofFile, type Contract, type Input, type SealedPayment, type SignedInvoice } from '../formats.ts'
import type { MerchantReply, MerchantRequest } from '../messages.ts'
import { declareLoss } from '../loss.ts'
import { refusal } from '../refusal.ts'
import { SealedKeyring } from '../sealed-keyring.ts'
import { SteadyClock } from '../steady-clock.ts'
import { pay, type Taken } from './coins.ts'
import { prune, sold } from './days.ts'
import { deposit, takings, type DepositOptions, type Takings } from './deposit.ts'
import { dueCount } from './due.ts'
import { convictions } from './evidence.ts'
import { lineOf, makeInvoice, order, orders, standing, type OrderLine } from './orders.ts'
import type { AskBank, Deposited, Merchant, MerchantEffect, MerchantOptions } from './parts.ts'
import { proofOf, proofs, type KeptProof } from './proofs.ts'
import { promiseRepay, repay, repayable } from './repay.ts'
import { acceptSealed, fetchSealedKeys } from './sealed.ts'
import { settlementOf, settlePending } from './settle.ts'
import { acceptToken, type Accepted } from './tokens.ts'
import { exposure, losses, type Loss } from './trust.ts'

/** One engine for each store; it remembers nothing that the store does not hold, but the time. */
export class MerchantEngine {
  readonly #merchant: Merchant

  constructor (options: MerchantOptions) {
    this.#merchant = { ...options, clock: new SteadyClock(options.meter), sealedKeys: new SealedKeyring(options) }
  }

  /** The latest time that the store was seen to know: one that knows less is an older one. */
  get seen (): number {
    return this.#merchant.clock.seen
  }

  /** The operator's word that data of before `time` may be missing from the store: tokens that may have paid then are refused, for good. @throws bad-argument (caller) */
  * declareLoss (time: number): Saga<void> {
    yield * declareLoss(time)
  }

  /** Answer a request; never throws. Counts `merchant_request` by operation and outcome. */
  * handle (request: MerchantRequest): Saga<MerchantReply, MerchantEffect> {
    let reply: MerchantReply
    try {
      reply = yield * this.#answer(request)
    } catch (error) {
      reply = refusal(error)
    }
    this.#merchant.meter.count('merchant_request', { op: request.op, outcome: reply.is === 'refused' ? reply.code : reply.is })
    return reply
  }

  * #answer (request: MerchantRequest): Saga<MerchantReply, MerchantEffect> {
    const merchant = this.#merchant
    switch (request.op) {
      case 'catalogue': return { is: 'catalogue', items: merchant.catalogue().map(({ item, price }) => ({ item, price, unit: merchant.unit })) }
      case 'order': return { is: 'invoice', signed: yield * order(merchant, request.item) }
      case 'pay': return (yield * pay(merchant, request.contract, request.inputs)).reply
      case 'present': return { is: 'paid', signed: (yield * acceptToken(merchant, request.presentation)).signed, settlement: null }
      case 'sealed-present': return { is: 'paid', signed: (yield * acceptSealed(merchant, request.payment)).signed, settlement: null }
      case 'repayable': return { is: 'repayable', ...yield * repayable(request.invoice) }
      case 'repay': return { is: 'repaid', signatures: yield * repay(merchant, request) }
      case 'status': {
        const state = yield * standing(request.invoice)
        return state.is === 'open' ? { is: 'unpaid' } : { is: 'paid', signed: state.signed, settlement: yield * settlementOf(state.by) }
      }
    }
  }

  /**
   * The operator's own invoice, for whatever is not in the catalogue.
   * @param order what it is for, in at most 100 characters; the order number is put before it
   * @param lifetime how long it can be paid, ms
   * @throws bad-argument (caller)
   */
  * invoice (order: string, amount: number, lifetime?: number): Saga<SignedInvoice> {
    return yield * makeInvoice(this.#merchant, amount, number => `#${number} ${order}`, lifetime)
  }

  /**
   * The till: take a token, presented as an object or as the bytes of a payment file (an encoded Presentation). With no
   * network. Tells a repeated payment apart, so that nobody delivers twice.
   * @throws bad-encoding, and those of acceptToken (peer)
   */
  * accept (payment: Presentation | Uint8Array): Saga<Accepted> {
    return yield * this.#counted(acceptToken(this.#merchant, payment instanceof Uint8Array ? decode(Presentation, payment) : payment))
  }

  /** The till: take sealed tokens, with no network where the keys of their day are there. Tells a repeated payment apart. @throws those of acceptSealed (peer) */
  * acceptSealed (payment: SealedPayment): Saga<Accepted, AskBank> {
    return yield * this.#counted(acceptSealed(this.#merchant, payment))
  }

  /** Counts `till_token` by outcome. */
  * #counted<E> (accept: Saga<Accepted, E>): Saga<Accepted, E> {
    let outcome = 'accepted'
    try {
      const accepted = yield * accept
      if (accepted.repeat) outcome = 'repeat'
      return accepted
    } catch (error) {
      outcome = error instanceof MixmintError ? error.code : 'internal'
      throw error
    } finally {
      this.#merchant.meter.count('till_token', { outcome })
    }
  }

  /** See sealed.ts: fetch the keys of sealed tokens, while there is a network. Call after a start, and now and then. */
  * fetchSealedKeys (): Saga<number, AskBank> {
    return yield * fetchSealedKeys(this.#merchant)
  }

  /** The till: take coins that were handed over. Tells a repeated payment apart. @throws those of pay (peer) */
  * acceptCoins (contract: Contract, inputs: readonly Input[]): Saga<Taken, MerchantEffect> {
    let outcome = 'paid'
    try {
      const taken = yield * pay(this.#merchant, contract, inputs)
      outcome = taken.repeat ? 'repeat' : taken.reply.is
      return taken
    } catch (error) {
      outcome = error instanceof MixmintError ? error.code : 'internal'
      throw error
    } finally {
      this.#merchant.meter.count('till_coins', { outcome })
    }
  }

  /** See settle.ts: settle what was paid while the bank did not answer. Call now and then, and after a start. */
  * settlePending (): Saga<{ settled: number, pending: number }, MerchantEffect> {
    return yield * settlePending(this.#merchant)
  }

  /** See deposit.ts. */
  * deposit (options: DepositOptions = {}): Saga<Deposited, AskBank> {
    return yield * deposit(this.#merchant, options)
  }

  /** The sums for the books. */
  * takings (): Saga<Takings> {
    return yield * takings()
  }

  /** Give back an order, or this much of it: its payer asks for it, and has it as coins. See repay.ts. */
  * repay (number: number, amount?: number): Saga<OrderLine> {
    return yield * promiseRepay(number, amount)
  }

  /** How many accepted tokens are to be deposited. */
  * due (): Saga<number> {
    return yield * dueCount()
  }

  /** The latest orders, by number; default all. */
  * orders (last?: number): Saga<OrderLine[]> {
    return yield * orders(last)
  }

  /** What was paid from one time to another. See days.ts. */
  * sold (from: number, until: number): Saga<OrderLine[]> {
    return yield * sold(from, until)
  }

  /** Forget orders that nobody paid in time. See days.ts. */
  * prune (): Saga<number> {
    return yield * prune(this.#merchant)
  }

  /** What is at risk for coins that were taken on trust. */
  * atRisk (): Saga<number> {
    return yield * exposure()
  }

  /** What is at risk for coins that were taken on trust, and everything that was delivered in vain. See trust.ts. */
  * risks (): Saga<{ atRisk: number, losses: Loss[] }> {
    return { atRisk: yield * exposure(), losses: yield * losses() }
  }

  /** The order of one invoice. @throws unknown-invoice (peer) */
  * orderOf (invoice: Uint8Array): Saga<OrderLine> {
    return yield * lineOf(invoice)
  }

  /** Double spends that were tried here, the newest first. @param before only those with a lower number */
  * proofs (last: number, before?: number): Saga<KeptProof[]> {
    return yield * proofs(last, before)
  }

  /** That of one coin, by its coinId, if there is one. */
  * proofOf (coin: Uint8Array): Saga<KeptProof | null> {
    return yield * proofOf(coin)
  }

  /** What convicts centers, for anybody to check. */
  * convictions (): Saga<CenterProofFile[]> {
    return yield * convictions()
  }
}
