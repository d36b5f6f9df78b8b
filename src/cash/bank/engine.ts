/**
 * The engine of a bank (DESIGN §4–6). Everything that moves value may be asked any number of times, in any order, across
 * crashes, and has the same answer: each movement is one batch, and its answer is part of it.
 */
import type { Saga } from '../../kit/saga.ts'
import type { BankReply, BankRequest } from '../messages.ts'
import { refusal } from '../refusal.ts'
import { SteadyClock } from '../steady-clock.ts'
import { balance, credit, withdraw } from './account.ts'
import { books, type Books } from './books.ts'
import { outcome, voidContract } from './decision.ts'
import { deposit } from './deposit.ts'
import { balanceOf, type Bank, type BankEffect, type BankOptions } from './parts.ts'
import { reclaim } from './reclaim.ts'
import { refund } from './refund.ts'
import { sealedDeposit, sealedKeys, sealedRefund } from './sealed.ts'
import { settle } from './settle.ts'

/** One for each (bank, unit) and its store; it remembers nothing that the store does not hold. */
export class BankEngine {
  readonly #bank: Bank

  constructor (options: BankOptions) {
    this.#bank = { ...options, clock: new SteadyClock(options.meter) }
  }

  /**
   * Answer a request; never throws. What each operation refuses, under which code, stands at its function. Counts
   * `bank_request` by operation and outcome: the kind of the reply, or the code of the refusal.
   */
  * handle (request: BankRequest): Saga<BankReply, BankEffect> {
    let reply: BankReply
    try {
      reply = yield * this.#perform(request)
    } catch (error) {
      reply = refusal(error)
    }
    this.#bank.meter.count('bank_request', { op: request.op, outcome: reply.is === 'refused' ? reply.code : reply.is })
    return reply
  }

  /** For the operator: credit an account, once for each reference. Results in its balance. See account.ts. */
  * credit (account: Uint8Array, amount: number, reference: string): Saga<number> {
    return yield * credit(this.#bank, account, amount, reference)
  }

  /** For the operator. */
  * balance (account: Uint8Array): Saga<number> {
    return yield * balanceOf(account)
  }

  /** For the operator. See books.ts. */
  * books (): Saga<Books> {
    return yield * books(this.#bank)
  }

  #perform (request: BankRequest): Saga<BankReply, BankEffect> {
    switch (request.op) {
      case 'balance': return balance(this.#bank, request)
      case 'withdraw': return withdraw(this.#bank, request)
      case 'settle': return settle(this.#bank, request)
      case 'outcome': return outcome(this.#bank, request)
      case 'void': return voidContract(this.#bank, request)
      case 'reclaim': return reclaim(this.#bank, request)
      case 'deposit': return deposit(this.#bank, request)
      case 'refund': return refund(this.#bank, request)
      case 'sealed-keys': return sealedKeys(this.#bank, request)
      case 'sealed-deposit': return sealedDeposit(this.#bank, request)
      case 'sealed-refund': return sealedRefund(this.#bank, request)
    }
  }
}
