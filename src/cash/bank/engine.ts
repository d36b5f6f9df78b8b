/**
 * The engine of a bank (DESIGN §4–6). Everything that moves value may be asked any number of times, in any order, across
 * crashes, and has the same answer: each movement is one batch, and its answer is part of it.
 */
import { MixmintError } from '../../kit/errors.ts'
import type { Millis } from '../../kit/ports.ts'
import type { Saga } from '../../kit/saga.ts'
import type { BankListing, CenterProofFile, Retirement, Revocation, SignedKeyset, SignedStatement } from '../formats.ts'
import { declareLoss } from '../loss.ts'
import type { BankReply, BankRequest } from '../messages.ts'
import { refusal } from '../refusal.ts'
import { signStatement } from '../statement.ts'
import { SteadyClock } from '../steady-clock.ts'
import { accuse, adopt, centerProofs, contest, revocations, takeRetirement } from './accusations.ts'
import { balance, withdraw } from './account.ts'
import { books, type Books } from './books.ts'
import { Chains } from './chains.ts'
import { outcome, voidContract } from './decision.ts'
import { deposit } from './deposit.ts'
import { close, credit, freeze, open, payOut, thaw } from './operator.ts'
import { beat, refundEnd } from './outages.ts'
import { balanceOf, type Bank, type BankEffect, type BankOptions } from './parts.ts'
import { reclaim } from './reclaim.ts'
import type { Standing } from './records.ts'
import { refund } from './refund.ts'
import { sealedDeposit, sealedKeys, sealedRefund, sealedTurnedIn } from './sealed.ts'
import { refundCoin } from './refund-coin.ts'
import { announce, announced, file, look, restore } from './restore.ts'
import { settle } from './settle.ts'
import { standingOf } from './standing.ts'
import { turnedIn } from './turned-in.ts'

/** One for each (bank, unit) and its store; it remembers nothing that the store does not hold. */
export class BankEngine {
  readonly #bank: Bank

  constructor (options: BankOptions) {
    this.#bank = { ...options, clock: new SteadyClock(options.meter), chains: new Chains() }
  }

  /** The latest time that the store was seen to know: one that knows less is an older one. */
  get seen (): Millis {
    return this.#bank.clock.seen
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

  /** The bank is at work: for the daemon to say before the first request, and every BEAT. What is missing was an outage (outages.ts). */
  * beat (): Saga<void> {
    yield * beat(this.#bank)
  }

  /** The keysets whose coins can still be refunded, outages counted: they have to stay in the directory. */
  * refundable (keysets: readonly SignedKeyset[]): Saga<SignedKeyset[]> {
    const now = yield * this.#bank.clock.now()
    const left: SignedKeyset[] = []
    for (const signed of keysets) if (now < (yield * refundEnd(this.#bank, signed.keyset, now))) left.push(signed)
    return left
  }

  /** For the operator: credit an account, once for each reference. Results in its balance. See operator.ts. */
  * credit (account: Uint8Array, amount: number, reference: string): Saga<number> {
    return yield * credit(this.#bank, account, amount, reference)
  }

  /** For the operator. */
  * balance (account: Uint8Array): Saga<number> {
    return yield * balanceOf(account)
  }

  /** For the operator: money has left an account, once for each reference. Results in its balance. See operator.ts. */
  * payOut (account: Uint8Array, amount: number, reference: string): Saga<number> {
    return yield * payOut(this.#bank, account, amount, reference)
  }

  /** For the operator. See operator.ts. */
  * stand (change: 'open' | 'freeze' | 'thaw' | 'close', account: Uint8Array, note: string): Saga<Standing> {
    return yield * { open, freeze, thaw, close }[change](this.#bank, account, note)
  }

  /** For the operator: how an account stands, or null where nothing was ever said of it. */
  * standing (account: Uint8Array): Saga<Standing | null> {
    return (yield * standingOf(account)).standing
  }

  /** For the operator: the store is one of before; see loss.ts. */
  * declareLoss (time: Millis): Saga<void> {
    yield * declareLoss(time)
  }

  /** For the operator: what was issued and redeemed, signed. @throws books-unbalanced (operator): then nothing is signed */
  * statement (): Saga<SignedStatement> {
    const { unit, time, keysets, faults } = yield * books(this.#bank)
    if (faults.length > 0) throw new MixmintError('books-unbalanced', 'operator', `the books do not balance, and no statement is made of them: ${faults.join('; ')}`)
    const { suite, bank, network } = this.#bank
    return signStatement(suite, bank, { network, bank: bank.publicKey, unit, time, keysets: keysets.map(({ keyset, issued, redeemed }) => ({ keyset, issued, redeemed })) })
  }

  /** For the operator. See books.ts. */
  * books (): Saga<Books> {
    return yield * books(this.#bank)
  }

  /** For the operator: a center gave up a vote key of its own. */
  * takeRetirement (retirement: Retirement): Saga<void> {
    yield * takeRetirement(this.#bank, retirement)
  }

  /** Our own listing, as the directory has it: what it revokes, we revoke. See accusations.ts. */
  * adopt (listing: BankListing): Saga<void> {
    yield * adopt(this.#bank, listing)
  }

  /** For the directory: the vote keys that are revoked, and why. */
  * revocations (): Saga<Revocation[]> {
    return yield * revocations()
  }

  /** What convicts centers, for anybody to check. */
  * centerProofs (): Saga<CenterProofFile[]> {
    return yield * centerProofs(this.#bank)
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
      case 'turned-in': return turnedIn(this.#bank, request)
      case 'refund': return refund(this.#bank, request)
      case 'sealed-keys': return sealedKeys(this.#bank, request)
      case 'sealed-deposit': return sealedDeposit(this.#bank, request)
      case 'sealed-turned-in': return sealedTurnedIn(this.#bank, request)
      case 'sealed-refund': return sealedRefund(this.#bank, request)
      case 'restore': return restore(this.#bank, request)
      case 'file': return file(this.#bank, request)
      case 'look': return look(this.#bank, request)
      case 'announce': return announce(this.#bank, request)
      case 'announced': return announced(request)
      case 'refund-coin': return refundCoin(this.#bank, request)
      case 'accuse': return accuse(this.#bank, request)
      case 'contest': return contest(this.#bank, request)
    }
  }
}
