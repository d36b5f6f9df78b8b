/**
 * A town: a bank with its centers (bank-desk.ts), shops and people, each an engine on a store of its own, who ask each
 * other through codecs. What holds for every wallet is checked at each request it sends: an output is asked for in one
 * operation only, a coin is signed over to one contract only, and what is sent is on disk.
 *
 * const town = new Town()
 * const shop = town.shop('bakery')
 * const ann = await town.person('ann', 100)
 * await ann.run(ann.engine.payWithCoins(await shop.run(shop.engine.invoice('bread', 5))))
 */
import { expect } from 'vitest'
import { equal, toHex, utf8 } from '@mixmint/core/kit/bytes'
import { decode, encode } from '@mixmint/core/kit/codec'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Store } from '@mixmint/core/kit/ports'
import { drive, type Saga } from '@mixmint/core/kit/saga'
import type { Ed25519KeyPair } from '@mixmint/core/crypto/suite'
import type { AskCenter } from '@mixmint/core/cash/certify'
import { coinId } from '@mixmint/core/cash/coin'
import { contractId, invoiceHash } from '@mixmint/core/cash/contract'
import type { Contract} from '@mixmint/core/cash/formats'
import { Withdrawal, type Input, type Output, type SignedInvoice } from '@mixmint/core/cash/formats'
import type { BankReply, BankRequest} from '@mixmint/core/cash/messages'
import { MerchantReply, MerchantRequest } from '@mixmint/core/cash/messages'
import { MerchantEngine } from '@mixmint/core/cash/merchant/engine'
import type { AskBank as ShopAsksBank, MerchantOptions } from '@mixmint/core/cash/merchant/parts'
import { sealedSerial } from '@mixmint/core/cash/sealed'
import { stored } from '@mixmint/core/cash/stored'
import { WalletEngine } from '@mixmint/core/cash/wallet/engine'
import type { AskBank, AskMerchant, Wallet } from '@mixmint/core/cash/wallet/parts'
import { Operation } from '@mixmint/core/cash/wallet/records'
import { BankDesk } from './bank-desk.ts'
import { keyNamed, NETWORK, suite, UNIT, type EconomyOptions } from './economy.ts'
import { copyOf, MemoryStore } from './memory-store.ts'

const NONE = new Uint8Array(0)

type Asking = AskCenter | ShopAsksBank | AskBank | AskMerchant

/** Somebody with a store, whose sagas run until their machine stops. */
class Machine {
  readonly town: Town
  store: Store = new MemoryStore()
  /** How far its clock is ahead, ms. */
  skew = 0
  /** Called before each effect, and after each, with its name: to count, to step in between, or to stop for ever. */
  before: (effect: string) => Promise<void> | void = () => {}
  after: (effect: string) => Promise<void> | void = () => {}

  constructor (town: Town) {
    this.town = town
  }

  /** Its power fails: what was not synced is gone, and what was under way says nothing more. */
  protected losePower (): void {
    if (this.store instanceof MemoryStore) this.store = this.store.crash()
  }

  async run<T> (saga: Saga<T, Asking>, hooks: Pick<Machine, 'before' | 'after'> = this): Promise<T> {
    const around = async <R>(name: string, effect: () => Promise<R> | R): Promise<R> => {
      await hooks.before(name)
      const result = await effect()
      await hooks.after(name)
      return result
    }
    const { clock, rng } = this.town.desk.economy
    return await drive<T, Asking>(saga, {
      clock: { now: () => clock.now() + this.skew }, rng, wait: clock.wait,
      store: {
        get: async key => await around('get', () => this.store.get(key)),
        scan: async range => await around('scan', () => this.store.scan(range)),
        batch: async ops => await around('batch', () => this.store.batch(ops)),
        close: async () => {}
      }
    }, async effect => await around(effect.do, () => this.perform(effect)))
  }

  /** Runs it until the given effect (counted from 0), before or after which the machine stops. True if it came to its end. */
  async runUntil (saga: Saga<unknown, Asking>, effect: number, when: 'before' | 'after'): Promise<boolean> {
    let begun = 0
    let ended = 0
    let stopped = false
    const { promise: stop, resolve } = Promise.withResolvers<boolean>()
    const halt = async (here: boolean): Promise<void> => {
      if (here) { stopped = true; resolve(false) }
      if (stopped) await new Promise(() => {})
    }
    // Whatever ran beside it stops with it, for ever.
    return await Promise.race([this.run(saga, {
      before: async () => { await halt(when === 'before' && begun++ === effect) },
      after: async () => { await halt(when === 'after' && ended++ === effect) }
    }).then(() => true), stop])
  }

  protected async perform (_effect: Asking): Promise<unknown> {
    throw new Error('nobody to ask')
  }

  /** The code of the error that a saga fails with, or `fine`. */
  async codeOf (saga: Saga<unknown, Asking>): Promise<string> {
    try {
      await this.run(saga)
      return 'fine'
    } catch (error) {
      if (error instanceof MixmintError) return error.code
      throw error
    }
  }
}

export class Shop extends Machine {
  readonly key: Ed25519KeyPair
  readonly options: MerchantOptions
  engine: MerchantEngine
  down = false

  constructor (town: Town, name: string, options: Partial<MerchantOptions>) {
    super(town)
    this.key = keyNamed(`shop ${name}`)
    this.options = {
      suite, key: this.key, till: { name: NONE, alone: true }, bank: town.desk.economy.bank.publicKey, unit: UNIT, network: NETWORK,
      catalogue: () => [{ item: 'bread', price: 5 }, { item: 'cake', price: 20 }], registry: () => town.desk.registry, meter: town.desk.economy.meter, ...options
    }
    this.engine = new MerchantEngine(this.options)
  }

  /** A new engine on what the store holds after a loss of power. */
  restart (): void {
    this.losePower()
    this.engine = new MerchantEngine(this.options)
  }

  async ask (request: MerchantRequest): Promise<MerchantReply> {
    const reply = await this.run(this.engine.handle(decode(MerchantRequest, encode(MerchantRequest, request))))
    return decode(MerchantReply, encode(MerchantReply, reply))
  }

  /** `is` of the reply, or the code of the refusal. */
  async replyTo (request: MerchantRequest): Promise<string> {
    const reply = await this.ask(request)
    return reply.is === 'refused' ? reply.code : reply.is
  }

  async invoice (amount: number, order = 'something'): Promise<SignedInvoice> {
    return await this.run(this.engine.invoice(order, amount))
  }

  protected override async perform (effect: Asking): Promise<unknown> {
    if (effect.do === 'ask-center') return await this.town.desk.economy.askCenter(effect)
    if (effect.do === 'ask-bank') return await this.town.askBank(effect.request)
    throw new Error('a shop asks centers and the bank')
  }
}

export class Person extends Machine {
  readonly seed: Uint8Array
  engine: WalletEngine
  /** Changes what the bank, or a merchant, answers. */
  bend: (reply: BankReply | MerchantReply, request: BankRequest | MerchantRequest) => BankReply | MerchantReply = reply => reply
  /** Requests sent, by `direct`, `mixnet` or `merchant` and operation. */
  readonly sent: string[] = []
  readonly requests: Array<BankRequest | MerchantRequest> = []

  constructor (town: Town, name: string, options: Partial<Wallet> = {}) {
    super(town)
    this.seed = suite.hkdfSha256(utf8(name), NONE, NONE, 64)
    this.engine = new WalletEngine({
      suite, seed: this.seed, network: NETWORK, bank: town.desk.economy.bank.publicKey, unit: UNIT,
      registry: () => town.desk.registry, meter: town.desk.economy.meter, ...options
    })
  }

  async available (): Promise<number> {
    return (await this.run(this.engine.balance())).available
  }

  /** Everything it owns, wherever it is. */
  async worth (): Promise<number> {
    const { available, given, promised, leftOver, ended, tokens } = await this.run(this.engine.balance())
    return available + given + promised + leftOver + ended + tokens
  }

  protected override async perform (effect: Asking): Promise<unknown> {
    if (effect.do === 'ask-bank' && 'via' in effect) {
      this.sent.push(`${effect.via} ${effect.request.op}`)
      this.requests.push(effect.request)
      await this.#check(effect.request)
      return this.bend(await this.town.askBank(effect.request), effect.request)
    }
    if (effect.do === 'ask-merchant') {
      this.sent.push(`merchant ${effect.request.op}`)
      this.requests.push(effect.request)
      await this.#check(effect.request)
      const shop = this.town.shops.find(({ key }) => equal(key.publicKey, effect.payee))
      if (shop === undefined || shop.down) throw new MixmintError('overdue', 'peer', 'the shop is closed', { retry: true })
      return this.bend(await shop.ask(effect.request), effect.request)
    }
    throw new Error('a wallet asks the bank and merchants')
  }

  async #check (request: BankRequest | MerchantRequest): Promise<void> {
    const open = await this.#operations('open')
    switch (request.op) {
      case 'withdraw':
        this.town.claimOutputs(request.withdrawal.outputs, toHex(encode(Withdrawal, request.withdrawal)))
        expect([...open, ...await this.#operations('done')].some(one => one.kind === 'withdraw' && equal(encode(Withdrawal, one.withdrawal), encode(Withdrawal, request.withdrawal)))).toBe(true)
        break
      case 'settle': case 'pay': {
        const id = contractId(suite, request.contract)
        this.town.claimOutputs(request.contract.outputs, toHex(id))
        this.town.claimCoins(request.inputs, this.engine.account)
        if (request.op === 'pay') this.town.claimInvoice(request.contract)
        const begun = open.find(one => one.kind === 'contract' && equal(contractId(suite, one.contract), id))
        const onDisk = begun?.kind === 'contract' ? begun.coins.map(({ input }) => toHex(input.spend.signature)) : []
        for (const { spend } of request.inputs) expect(onDisk).toContain(toHex(spend.signature))
        break
      }
      case 'reclaim': {
        const coin = coinId(suite, request.input.spend.coin)
        this.town.claimOutputs(request.outputs, toHex(coin))
        expect(open.some(one => one.kind === 'reclaim' && equal(coinId(suite, one.input.spend.coin), coin) && equal(one.outputs[0].blinded, request.outputs[0].blinded))).toBe(true)
        break
      }
      case 'repay':
        this.town.claimOutputs(request.outputs, `repay ${toHex(request.invoice)}`)
        expect(open.some(one => one.kind === 'repay' && equal(one.outputs[0].blinded, request.outputs[0].blinded))).toBe(true)
        break
      case 'refund-coin': {
        const coin = coinId(suite, request.coin)
        this.town.claimOutputs(request.outputs, toHex(coin))
        expect(open.some(one => one.kind === 'refund-coin' && equal(coinId(suite, one.coin), coin) && equal(one.outputs[0].blinded, request.outputs[0].blinded))).toBe(true)
        break
      }
      case 'refund':
        this.town.claimOutputs(request.outputs, toHex(request.token.token.serial))
        expect(open.some(one => one.kind === 'refund' && equal(one.was.token.token.serial, request.token.token.serial) && equal(one.outputs[0].blinded, request.outputs[0].blinded))).toBe(true)
        break
      case 'sealed-refund': {
        const serial = toHex(sealedSerial(suite, request.token))
        this.town.claimOutputs(request.outputs, serial)
        expect(open.some(one => one.kind === 'sealed-refund' && toHex(sealedSerial(suite, one.was.token)) === serial && equal(one.outputs[0].blinded, request.outputs[0].blinded))).toBe(true)
        break
      }
      case 'sealed-present': {
        const held = await drive(this.engine.sealedTokens(), this.town.desk.economy.ports(this.store), async () => {})
        for (const { token } of request.payment.presentations) {
          expect(held.some(one => equal(one.token.nonce, token.nonce) && one.state !== 'held' && equal(one.invoice, request.payment.invoice))).toBe(true)
        }
        break
      }
      case 'present': {
        const held = (await drive(this.engine.tokens(), this.town.desk.economy.ports(this.store), async () => {})).map(({ presentation }) => presentation === null ? '' : toHex(presentation.ownerSignature))
        expect(held).toContain(toHex(request.presentation.ownerSignature))
      }
    }
  }

  async #operations (which: 'open' | 'done'): Promise<Operation[]> {
    return (await this.store.scan({ prefix: utf8(which), limit: 1000 })).map(({ value }) => stored(Operation, value))
  }
}

export class Town {
  readonly desk: BankDesk
  readonly shops: Shop[] = []
  bankDown = false
  /** Which operation each output belongs to, which contract each coin, which contract each invoice. */
  readonly #outputs = new Map<string, string>()
  readonly #coins = new Map<string, string>()
  readonly #invoices = new Map<string, string>()
  /** For a town with a second copy of a wallet, whose owner cheats. */
  honest = true

  constructor (options: EconomyOptions = {}) {
    this.desk = new BankDesk(options)
  }

  shop (name = 'bakery', options: Partial<MerchantOptions> = {}): Shop {
    const shop = new Shop(this, name, options)
    this.shops.push(shop)
    return shop
  }

  /** A shop that has the keys of sealed tokens, and somebody with 60 in coins. */
  static async withSealed (): Promise<{ town: Town, shop: Shop, ann: Person }> {
    const town = new Town()
    const shop = town.shop()
    const ann = await town.person('ann', 60)
    await shop.run(shop.engine.fetchSealedKeys())
    return { town, shop, ann }
  }

  /** With this much in coins, withdrawn from an account. */
  async person (name: string, amount = 0, options: Partial<Wallet> = {}): Promise<Person> {
    const person = new Person(this, name, options)
    if (amount > 0) {
      await this.desk.run(this.desk.engine.credit(person.engine.account, amount, `for ${name}`))
      await person.run(person.engine.withdraw(amount))
    }
    return person
  }

  async askBank (request: BankRequest): Promise<BankReply> {
    if (this.bankDown) throw new MixmintError('overdue', 'peer', 'the bank is closed', { retry: true })
    return await this.desk.ask(request)
  }

  /**
   * From now on the bank's replies are what `bend` makes of them: it asks the bank, or does not.
   * @returns what has the bank as it was before
   */
  bendBank (bend: (request: BankRequest, ask: (request: BankRequest) => Promise<BankReply>) => Promise<BankReply>): () => void {
    const before = this.askBank
    this.askBank = async request => await bend(request, async asked => await before.call(this, asked))
    return () => { this.askBank = before }
  }

  /** Stop, or start again, everything but shops and people. */
  network (up: boolean): void {
    this.bankDown = !up
    for (const center of this.desk.economy.centers) center.down = !up
  }

  async accountOf (shop: Shop): Promise<number> {
    return await this.desk.run(this.desk.engine.balance(shop.key.publicKey))
  }

  /**
   * Every unit is somewhere: the bank's books balance, and what they say is outstanding is in these wallets, or in tokens
   * that these shops have yet to deposit.
   */
  async expectBooks (people: readonly Person[], undeposited = 0): Promise<void> {
    await this.desk.expectBalanced()
    const books = await this.desk.run(this.desk.engine.books())
    let worth = 0
    for (const person of people) {
      expect(await person.run(person.engine.pending())).toEqual([])
      worth += await person.worth()
    }
    expect(books.outstanding + books.tokens).toBe(worth + undeposited)
    for (const shop of this.shops) {
      const { accepted, deposited, settled, pending, refused, repaid } = await shop.run(shop.engine.takings())
      expect(accepted).toBe(deposited + settled + pending + refused)
      expect(await this.accountOf(shop)).toBe(deposited + settled - repaid)
    }
  }

  /** All stores and claims as they are now; what it returns puts them back, with new engines, as often as one likes. */
  async snapshot (people: readonly Person[]): Promise<() => Promise<void>> {
    const { desk, shops } = this
    const machines: Array<{ store: Store }> = [desk, ...desk.economy.centers, ...shops, ...people]
    const stores = await Promise.all(machines.map(({ store }) => copyOf(store)))
    const tables = [this.#outputs, this.#coins, this.#invoices]
    const claims = tables.map(table => [...table])
    const time = desk.economy.clock.now()
    return async () => {
      for (const [i, machine] of machines.entries()) machine.store = await copyOf(stores[i])
      for (const [i, table] of tables.entries()) {
        table.clear()
        for (const [key, value] of claims[i]) table.set(key, value)
      }
      desk.economy.clock.set(time)
      desk.restart()
      this.network(true)
      for (const center of desk.economy.centers) desk.economy.restart(center)
      for (const shop of shops) shop.restart()
    }
  }

  claimOutputs (outputs: readonly Output[], operation: string): void {
    for (const { blinded } of outputs) this.#claim(this.#outputs, toHex(blinded), operation)
  }

  /** @param who has them: of coins handed over, their giver may sign them over too */
  claimCoins (inputs: readonly Input[], who: Uint8Array): void {
    for (const { spend } of inputs) this.#claim(this.#coins, `${toHex(who)} ${toHex(coinId(suite, spend.coin))}`, toHex(spend.d))
  }

  claimInvoice (contract: Contract): void {
    this.#claim(this.#invoices, toHex(contract.invoice), toHex(contractId(suite, contract)))
  }

  #claim (table: Map<string, string>, key: string, value: string): void {
    if (!this.honest) return
    expect(table.get(key) ?? value).toBe(value)
    table.set(key, value)
  }
}

export function hashOf ({ invoice }: SignedInvoice): Uint8Array {
  return invoiceHash(suite, invoice)
}
