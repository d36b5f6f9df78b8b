/**
 * A bank at work in a small economy: its engine on a store, with keys that sign and centers that answer. Requests and
 * replies go through their codecs, as they would on the wire.
 */
import { expect } from 'vitest'
import { decode, encode } from '@mixmint/core/kit/codec'
import type { Store } from '@mixmint/core/kit/ports'
import { drive, type BasePorts, type Saga } from '@mixmint/core/kit/saga'
import type { Ed25519KeyPair } from '@mixmint/core/crypto/suite'
import { BankEngine } from '@mixmint/core/cash/bank/engine'
import { ALIVE } from '@mixmint/core/cash/bank/keys'
import type { BankEffect } from '@mixmint/core/cash/bank/parts'
import { Alive } from '@mixmint/core/cash/bank/records'
import { settleMessage, withdrawMessage } from '@mixmint/core/cash/bank-requests'
import { certify } from '@mixmint/core/cash/certify'
import { coinId } from '@mixmint/core/cash/coin'
import { contractId, invoiceHash, withdrawalId } from '@mixmint/core/cash/contract'
import type { Contract, Input, Output, Presentation, SealedPresentation, TokenTerms, Withdrawal } from '@mixmint/core/cash/formats'
import { BankReply, BankRequest, type Settlement } from '@mixmint/core/cash/messages'
import { reclaimMessage, refundCoinMessage, voidMessage } from '@mixmint/core/cash/reclaim'
import type { Registry } from '@mixmint/core/cash/registry'
import { presentSealed } from '@mixmint/core/cash/sealed'
import { signSpend } from '@mixmint/core/cash/spend'
import { present } from '@mixmint/core/cash/token'
import { createEconomy, DAY, keyNamed, NETWORK, suite, UNIT, type Economy, type EconomyOptions, type OwnedCoin } from './economy.ts'
import { MemoryStore } from './memory-store.ts'

export const OWNER = keyNamed('owner')
type Op<K extends BankRequest['op']> = BankRequest & { op: K }

export class BankDesk {
  readonly economy: Economy
  store: Store = new MemoryStore()
  registry: Registry
  dayKey: (day: number) => Ed25519KeyPair | undefined
  engine: BankEngine
  /** How far its clock is ahead, ms. */
  skew = 0
  /** How often a blind signature was made. */
  signed = 0
  /** Called before each effect of the bank's own sagas: to count them, to step in between, or to stop for ever. */
  before: () => Promise<void> | void = () => {}
  /** Called after each. */
  after: () => Promise<void> | void = () => {}

  constructor (options: EconomyOptions = {}) {
    this.economy = createEconomy(options)
    this.registry = this.economy.registry
    this.dayKey = () => this.economy.dayKey
    this.engine = this.restart()
  }

  /** A new engine on what the store holds after a loss of power: what the one before had not synced is gone, and it says nothing more. */
  restart (): BankEngine {
    if (this.store instanceof MemoryStore) this.store = this.store.crash()
    this.engine = new BankEngine({
      suite, network: NETWORK, bank: this.economy.bank, unit: UNIT, registry: () => this.registry, dayKey: day => this.dayKey(day), sealedKeys: this.economy.sealedKeys,
      meter: this.economy.meter
    })
    return this.engine
  }

  async run<T> (saga: Saga<T, BankEffect>): Promise<T> {
    const around = async <R>(effect: () => Promise<R> | R): Promise<R> => {
      await this.before()
      const result = await effect()
      await this.after()
      return result
    }
    const { clock, rng } = this.economy
    const store = this.store
    const ports: BasePorts = {
      clock: { now: () => clock.now() + this.skew }, rng, wait: async ms => await around(() => clock.wait(ms)),
      store: {
        get: async key => await around(() => store.get(key)),
        scan: async range => await around(() => store.scan(range)),
        batch: async ops => await around(() => store.batch(ops)),
        close: async () => {}
      }
    }
    return await drive(saga, ports, async effect => await around(() => this.#perform(effect)))
  }

  async #perform (effect: BankEffect): Promise<unknown> {
    if (effect.do === 'ask-center') return await this.economy.askCenter(effect)
    this.signed += 1
    return suite.rsaBlindSign(this.economy.rsaKeyFor(effect.value), effect.blinded)
  }

  async ask (request: BankRequest): Promise<BankReply> {
    const reply = await this.run(this.engine.handle(decode(BankRequest, encode(BankRequest, request))))
    return decode(BankReply, encode(BankReply, reply))
  }

  /** `is` of the reply, or the code of the refusal. */
  async codeOf (request: BankRequest): Promise<string> {
    const reply = await this.ask(request)
    return reply.is === 'refused' ? reply.code : reply.is
  }

  /** The state of each input, or its code when it was refused. */
  async statesOf (request: BankRequest): Promise<string[]> {
    const reply = await this.ask(request)
    if (reply.is !== 'short') throw new Error(`short wanted, the reply is ${reply.is === 'refused' ? reply.code : reply.is}`)
    return reply.inputs.map(({ state, code }) => state === 'refused' ? code : state)
  }

  /** The clock goes on to then, and the bank was at work all the while: as if it had said so again and again. */
  async workUntil (time: number): Promise<void> {
    this.economy.clock.set(time)
    await this.store.batch([{ op: 'put', key: ALIVE, value: encode(Alive, { time }) }])
  }

  async credit (amount: number, account = this.economy.account, reference = `${amount} ${this.economy.rng.bytes(4).join()}`): Promise<number> {
    return await this.run(this.engine.credit(account.publicKey, amount, reference))
  }

  async balance (account = this.economy.account): Promise<number> {
    return await this.run(this.engine.balance(account.publicKey))
  }

  /** Every unit is accounted for. */
  async expectBalanced (): Promise<void> {
    const books = await this.run(this.engine.books())
    expect(books.faults).toEqual([])
    expect(books.balanced).toBe(true)
    expect(books.credited).toBe(books.paidOut + books.accounts + books.tokens + books.outstanding)
  }

  /** Coins paid for from a credited account. */
  async coins (...values: number[]): Promise<OwnedCoin[]> {
    await this.credit(values.reduce((a, b) => a + b))
    const made = values.map(value => this.economy.output(value))
    const reply = await this.ask(this.withdrawal(made.map(({ output }) => output)))
    if (reply.is !== 'signatures') throw new Error(`no coins: ${JSON.stringify(reply)}`)
    return made.map(({ finish }, i) => finish(reply.signatures[i]))
  }

  withdrawal (outputs: Output[], changes: Partial<Withdrawal> = {}, key = this.economy.account): Op<'withdraw'> {
    const withdrawal: Withdrawal = {
      network: NETWORK, bank: this.economy.bank.publicKey, account: key.publicKey, unit: UNIT, nonce: this.economy.rng.bytes(32), outputs, ...changes
    }
    return { op: 'withdraw', withdrawal, signature: suite.ed25519Sign(key, withdrawMessage(withdrawalId(suite, withdrawal))) }
  }

  outputs (...values: number[]): Output[] {
    return values.map(value => this.economy.output(value).output)
  }

  exchange (...values: number[]): Contract {
    return this.economy.contract({ outputs: this.outputs(...values) })
  }

  pay (amount: number, change: number[] = [], changes: Partial<Contract> = {}): Contract {
    const { economy } = this
    const payee = economy.payee.publicKey
    return economy.contract({ kind: 'pay', payee, amount, invoice: invoiceHash(suite, economy.invoice({ amount })), outputs: this.outputs(...change), ...changes })
  }

  terms (changes: Partial<TokenTerms> = {}): TokenTerms {
    const now = this.economy.clock.now()
    return {
      till: new Uint8Array(0), ownerKey: OWNER.publicKey, notBefore: now, notAfter: now + DAY, depositUntil: now + 7 * DAY,
      refundAfter: now + 8 * DAY, memoHash: new Uint8Array(0), ...changes
    }
  }

  tokenContract (amount: number, change: number[] = [], terms: Partial<TokenTerms> = {}): Contract {
    return this.economy.contract({ kind: 'token', payee: this.economy.payee.publicKey, amount, token: this.terms(terms), outputs: this.outputs(...change) })
  }

  /** Without votes: the bank asks the keepers. */
  settle (contract: Contract, coins: OwnedCoin[], payee = this.economy.payee): Op<'settle'> {
    const id = contractId(suite, contract)
    return {
      op: 'settle', contract, inputs: coins.map(({ coin, key }) => signSpend(suite, key, coin, id)),
      payeeSignature: contract.kind === 'pay' ? suite.ed25519Sign(payee, settleMessage(id)) : new Uint8Array(0)
    }
  }

  /** Spends of these coins to this contract, with their certificates. */
  async certified (contract: Contract, coins: OwnedCoin[]): Promise<Input[]> {
    const id = contractId(suite, contract)
    const { inputs, states } = await this.economy.run(certify({ suite, registry: this.registry, meter: this.economy.meter }, coins.map(({ coin, key }) => signSpend(suite, key, coin, id))))
    for (const { state } of states) expect(state).toBe('certified')
    return inputs
  }

  async settled (contract: Contract, coins: OwnedCoin[]): Promise<Settlement> {
    const reply = await this.ask(this.settle(contract, coins))
    if (reply.is !== 'settlement') throw new Error(`not settled: ${JSON.stringify(reply)}`)
    return reply
  }

  /** After settleBy and grace. */
  voiding (contract: Contract, { coin, key }: OwnedCoin): Op<'void'> {
    const id = contractId(suite, contract)
    return { op: 'void', contract, input: signSpend(suite, key, coin, id), signature: suite.ed25519Sign(key, voidMessage(coinId(suite, coin), id)) }
  }

  reclaiming (contract: Contract, { coin, key }: OwnedCoin, outputs: Output[]): Op<'reclaim'> {
    const id = contractId(suite, contract)
    return {
      op: 'reclaim', contract, input: signSpend(suite, key, coin, id), outputs,
      signature: suite.ed25519Sign(key, reclaimMessage(suite, coinId(suite, coin), id, outputs))
    }
  }

  refundingCoin ({ coin, key }: OwnedCoin, outputs: Output[], promisedTo: Uint8Array = new Uint8Array(0)): Op<'refund-coin'> {
    return { op: 'refund-coin', coin, promisedTo, outputs, signature: suite.ed25519Sign(key, refundCoinMessage(suite, coinId(suite, coin), promisedTo, outputs)) }
  }

  toVoidTime (contract: Contract): void {
    this.economy.clock.set(contract.settleBy + this.economy.parameters.voidGrace)
  }

  /** A token made out to the payee, bought with fresh coins and signed over to an order. */
  async presentation (amount = 8, terms: Partial<TokenTerms> = {}): Promise<Presentation> {
    const { token } = await this.settled(this.tokenContract(amount, [], terms), await this.coins(amount))
    if (token === null) throw new Error('no token')
    return present(suite, OWNER, token, this.economy.rng.bytes(32))
  }

  /** What buys a sealed token of this value, and coins of the others. */
  sealedContract (value: number, change: number[] = []): Contract {
    return this.economy.contract({ kind: 'sealed', outputs: [...this.outputs(...change), this.economy.sealedOutput(value, OWNER.publicKey).output] })
  }

  /** A sealed token that the owner has signed over to some order. */
  async sealedPresentation (value = 8): Promise<SealedPresentation> {
    const { output, finish } = this.economy.sealedOutput(value, OWNER.publicKey)
    const { signatures } = await this.settled(this.economy.contract({ kind: 'sealed', outputs: [output] }), await this.coins(value))
    return presentSealed(suite, OWNER, finish(signatures[0]), this.economy.rng.bytes(32))
  }
}
