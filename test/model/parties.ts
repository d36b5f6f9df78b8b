/** The machines of an economy: centers, one bank, shops, people with wallets; each the production engine on a disk. */
import { equal, toHex, utf8 } from '@mixmint/core/kit/bytes'
import { decode, encode } from '@mixmint/core/kit/codec'
import { isMixmintError, MixmintError } from '@mixmint/core/kit/errors'
import type { Millis } from '@mixmint/core/kit/ports'
import type { Saga } from '@mixmint/core/kit/saga'
import type { Ed25519KeyPair } from '@mixmint/core/crypto/suite'
import { BankEngine } from '@mixmint/core/cash/bank/engine'
import type { BankEffect } from '@mixmint/core/cash/bank/parts'
import { bundleId, handedCoins } from '@mixmint/core/cash/bundle'
import { CenterEngine } from '@mixmint/core/cash/center'
import type { AskCenter } from '@mixmint/core/cash/certify'
import { contractId } from '@mixmint/core/cash/contract'
import { SignedInvoice, type CoinBundle, type Spend } from '@mixmint/core/cash/formats'
import { BankRequest, CenterRequest, MerchantReply, MerchantRequest, type BankReply, type CenterReply } from '@mixmint/core/cash/messages'
import { invoiceAt, paidAt, serialAt } from '@mixmint/core/cash/merchant/keys'
import { MerchantEngine } from '@mixmint/core/cash/merchant/engine'
import type { MerchantEffect, Trust } from '@mixmint/core/cash/merchant/parts'
import { stored } from '@mixmint/core/cash/stored'
import { WalletEngine } from '@mixmint/core/cash/wallet/engine'
import { DONE, OPEN } from '@mixmint/core/cash/wallet/keys'
import type { WalletEffect } from '@mixmint/core/cash/wallet/parts'
import { Operation } from '@mixmint/core/cash/wallet/records'
import { keyNamed, NETWORK, suite as plain, UNIT, type Economy } from '../doubles/economy.ts'
import { remembering } from '../doubles/remembering.ts'
import { Disk } from './disk.ts'
import { Machine, type Outcome } from './machine.ts'
import type { Post } from './post.ts'
import type { Schedule } from './schedule.ts'

const suite = remembering(plain)

const NONE = new Uint8Array(0)
/** How long a wallet waits for an answer over the mixnet, and a shop for its bank. */
const PATIENCE: Millis = 30_000
/** The mean time between two questions of a restore. */
const PACE: Millis = 100

type Done = (outcome: Outcome<unknown>) => void
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- of any kind
export type AnyMachine = Machine<any>

/** Who is told what parties say and do (laws.ts). */
export interface Witness {
  /** A center, honest or not, gives out its vote for this spend. */
  readonly voted: (center: Uint8Array, spend: Spend) => void
  readonly bankWrote: () => void
  readonly shopWrote: (shop: Shop) => void
  readonly bankSaid: (request: BankRequest, reply: BankReply) => void
  readonly refused: (who: string, refusal: { readonly code: string, readonly fault: string, readonly message: string }) => void
  readonly walletSends: (person: Person, request: BankRequest | MerchantRequest) => void
}

/** What a party finds around it (world.ts). */
export interface Surroundings {
  readonly economy: Economy
  readonly schedule: Schedule
  readonly post: Post
  readonly laws: Witness
  readonly shops: readonly Shop[]
  readonly askCenter: (from: AnyMachine, ask: AskCenter, done: Done) => void
  readonly askBank: (from: AnyMachine, request: BankRequest, patience: Millis, done: Done) => void
  readonly blindSign: (value: number, blinded: Uint8Array) => Uint8Array | null
  /** Run it; if it fails by a fault of its own, the law is broken. */
  readonly expect: <T, E extends { readonly do: string }>(machine: Machine<E>, saga: Saga<T, E>, then?: (value: T) => void) => void
  readonly fault: (what: string, error: unknown) => never
}

/** A center that does not do what it promised. */
export type Liar = (center: Center, request: CenterRequest, tell: (value: CenterReply) => void) => void

export class Center extends Machine<never> {
  readonly world: Surroundings
  readonly id: Uint8Array
  readonly voteKey: Ed25519KeyPair
  readonly liar: Liar | null
  #engine: CenterEngine

  constructor (world: Surroundings, index: number, liar: Liar | null) {
    super(`center ${index}`, world.schedule)
    const { id, voteKey } = world.economy.centers[index]
    this.world = world
    this.id = id
    this.voteKey = voteKey
    this.liar = liar
    this.#engine = this.#newEngine()
  }

  answer (request: CenterRequest, reply: (value: CenterReply) => void): void {
    if (this.liar !== null) {
      this.liar(this, request, lie => { this.#tell(request, lie, reply) })
      return
    }
    this.honestly(request, told => { this.#tell(request, told, reply) })
  }

  honestly (request: CenterRequest, told: (value: CenterReply) => void): void {
    this.run(this.#engine.handle(decode(CenterRequest, encode(CenterRequest, request))), outcome => {
      if ('error' in outcome) this.world.fault(`${this.name} threw`, outcome.error)
      else told(outcome.value)
    })
  }

  protected boot (): void {
    this.#engine = this.#newEngine()
  }

  protected perform (): void {
    throw new Error('a center asks nobody')
  }

  #tell (request: CenterRequest, value: CenterReply, reply: (value: CenterReply) => void): void {
    if (value.is === 'vote' && request.op === 'spend') this.world.laws.voted(this.id, request.spend)
    if (value.is === 'refused') this.world.laws.refused(this.name, value)
    reply(value)
  }

  #newEngine (): CenterEngine {
    const { registry, meter } = this.world.economy
    return new CenterEngine({ suite, id: this.id, voteKeys: [this.voteKey], registry: () => registry, meter })
  }
}

export class Bank extends Machine<BankEffect> {
  readonly world: Surroundings
  engine: BankEngine

  constructor (world: Surroundings) {
    super('bank', world.schedule)
    this.world = world
    this.engine = this.newEngine()
    this.onWritten = () => { world.laws.bankWrote() }
  }

  answer (request: BankRequest, reply: (value: BankReply) => void): void {
    this.run(this.engine.handle(decode(BankRequest, encode(BankRequest, request))), outcome => {
      if ('error' in outcome) {
        this.world.fault('the bank threw', outcome.error)
        return
      }
      this.world.laws.bankSaid(request, outcome.value)
      reply(outcome.value)
    })
  }

  newEngine (): BankEngine {
    const { bank, registry, dayKey, sealedKeys, meter } = this.world.economy
    return new BankEngine({ suite, network: NETWORK, bank, unit: UNIT, registry: () => registry, dayKey: () => dayKey, sealedKeys, meter })
  }

  protected boot (): void {
    this.engine = this.newEngine()
  }

  protected perform (effect: BankEffect, done: Done): void {
    if (effect.do === 'ask-center') {
      this.world.askCenter(this, effect, done)
      return
    }
    const life = this.life
    this.schedule.after(1, () => {
      if (this.life === life) done({ value: this.world.blindSign(effect.value, effect.blinded) })
    })
  }
}

export class Shop extends Machine<MerchantEffect> {
  readonly world: Surroundings
  readonly key: Ed25519KeyPair
  /** What it takes coins for that find no certificate for the time being; null: nothing. */
  readonly trust: Trust | null
  engine: MerchantEngine

  constructor (world: Surroundings, name: string, trust: Trust | null = null) {
    super(name, world.schedule)
    this.world = world
    this.key = keyNamed(name)
    this.trust = trust
    this.onWritten = () => { world.laws.shopWrote(this) }
    this.engine = this.#newEngine()
  }

  answer (request: MerchantRequest, reply: (value: MerchantReply) => void): void {
    this.run(this.engine.handle(decode(MerchantRequest, encode(MerchantRequest, request))), outcome => {
      if ('error' in outcome) {
        this.world.fault(`${this.name} threw`, outcome.error)
        return
      }
      if (outcome.value.is === 'refused') this.world.laws.refused(this.name, outcome.value)
      reply(outcome.value)
    })
  }

  /** Has it taken the token of this serial? */
  hasAccepted (serial: Uint8Array): boolean {
    return this.disk.get(serialAt(serial)) !== null
  }

  /** What it has signed receipts for, by the invoices. */
  sold (): number {
    const receipts = this.disk.scan({ prefix: paidAt(), limit: Infinity }).map(({ key }) => key.slice(paidAt().length))
    return receipts.reduce((sum, invoice) => {
      const record = this.disk.get(invoiceAt(invoice))
      if (record === null) throw new Error(`${this.name} was paid for what it never asked`)
      return sum + stored(SignedInvoice, record).invoice.amount
    }, 0)
  }

  protected boot (): void {
    this.engine = this.#newEngine()
    this.world.expect(this, this.engine.settlePending())
    this.world.expect(this, this.engine.fetchSealedKeys())
  }

  protected perform (effect: MerchantEffect, done: Done): void {
    if (effect.do === 'ask-center') this.world.askCenter(this, effect, done)
    else this.world.askBank(this, effect.request, PATIENCE, done)
  }

  #newEngine (): MerchantEngine {
    const { bank, registry, meter } = this.world.economy
    return new MerchantEngine({ suite, key: this.key, till: { name: NONE, alone: true }, bank: bank.publicKey, unit: UNIT, network: NETWORK, catalogue: () => [], registry: () => registry, meter, ...this.trust === null ? {} : { trust: this.trust } })
  }
}

export class Person extends Machine<WalletEffect> {
  readonly world: Surroundings
  /** Whose seed it is: a copy of somebody's wallet has the same. */
  readonly owner: string
  /** Which of its machines this is: all before were lost. */
  machine = 0
  /** The contracts that were on the disks of these. */
  readonly inherited = new Set<string>()
  /** It exchanges what a restore has found. */
  secures = false
  /** It has made a bundle of coins for somebody. */
  hasGiven = false
  /** The coins of such bundles, as far as it can know: by coin, the bundle. */
  readonly given = new Map<string, Uint8Array>()
  engine: WalletEngine
  #isRestoring = false

  constructor (world: Surroundings, name: string, owner = name) {
    super(name, world.schedule)
    this.world = world
    this.owner = owner
    this.engine = this.#newEngine()
  }

  /** The machine is gone, with its disk: the words are on a new one. */
  lose (): void {
    this.stop()
    for (const { value } of [OPEN, DONE].flatMap(prefix => this.disk.scan({ prefix, limit: Infinity }))) {
      const operation = stored(Operation, value)
      if (operation.kind === 'contract') this.inherited.add(toHex(contractId(suite, operation.contract)))
    }
    this.disk = new Disk()
    this.machine += 1
    this.given.clear()
    this.#isRestoring = true
    this.look(this.engine.expectRestore())
    this.start()
  }

  get wasLost (): boolean { return this.machine > 0 }

  /** In the midst of what it does: before or after the effect that is so many away. */
  loseAt (effect: number, when: 'before' | 'after'): void {
    this.failAt(effect, when, () => { this.lose() })
  }

  gave (bundle: CoinBundle): void {
    this.hasGiven = true
    for (const { id } of handedCoins(suite, bundle)) this.given.set(toHex(id), bundleId(suite, bundle))
  }

  /** Once more: for what arrived at the bank after it was asked. */
  restore (): void {
    this.#isRestoring = true
    this.world.expect(this, this.engine.restore({ pace: PACE }), () => {
      this.#isRestoring = false
      if (this.secures) this.world.expect(this, this.engine.secure())
    })
  }

  protected boot (): void {
    this.engine = this.#newEngine()
    if (this.#isRestoring) this.restore()
    else this.world.expect(this, this.engine.recover())
  }

  protected perform (effect: WalletEffect, done: Done): void {
    this.world.laws.walletSends(this, effect.request)
    if (effect.do === 'ask-bank') {
      // Whoever copied a wallet does not let the bank keep copies of what it signs: they would stop it.
      if (effect.request.op === 'file' && this.name !== this.owner) {
        const life = this.life
        this.schedule.after(1, () => { if (this.life === life) done({ value: { is: 'filed' } }) })
        return
      }
      this.world.askBank(this, effect.request, PATIENCE, done)
      return
    }
    const shop = this.world.shops.find(({ key }) => equal(key.publicKey, effect.payee))
    if (shop === undefined) throw new Error('no such shop')
    this.world.post.ask<MerchantReply>(this, shop, PATIENCE, reply => { shop.answer(effect.request, reply) }, outcome => {
      done('error' in outcome ? outcome : { value: decode(MerchantReply, encode(MerchantReply, outcome.value)) })
    })
  }

  #newEngine (): WalletEngine {
    const { bank, registry, meter } = this.world.economy
    return new WalletEngine({
      suite, seed: suite.hkdfSha256(utf8(this.owner), NONE, NONE, 64), network: NETWORK, bank: bank.publicKey, unit: UNIT, registry: () => registry, meter
    })
  }
}

/** Is this how an operation may end when machines and networks fail, or is it a defect? */
export function isDefect (error: unknown): boolean {
  if (!(error instanceof MixmintError)) return true
  return error.fault === 'us' || isMixmintError(error, 'store-damaged')
}
