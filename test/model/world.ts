/**
 * An economy of production engines on machines that fail: one bank, six centers of which five are in a ring and four keep
 * each coin (one may lie), two shops, three people; keysets follow one another, and once the ring changes. Everything that happens comes from a history and its seed.
 */
import { equal, toHex, utf8 } from '@mixmint/core/kit/bytes'
import { decode, encode } from '@mixmint/core/kit/codec'
import type { MixmintError } from '@mixmint/core/kit/errors'
import type { Millis } from '@mixmint/core/kit/ports'
import type { Saga } from '@mixmint/core/kit/saga'
import type { AskCenter } from '@mixmint/core/cash/certify'
import { invoiceHash } from '@mixmint/core/cash/contract'
import type { SignedInvoice } from '@mixmint/core/cash/formats'
import { BankReply, CenterReply, type BankRequest } from '@mixmint/core/cash/messages'
import { verifyReceipt } from '@mixmint/core/cash/receipt'
import { createEconomy, keyNamed, rsaKeys, START, suite } from '../doubles/economy.ts'
import { Laws } from './laws.ts'
import { LIARS, type LiarName } from './liars.ts'
import type { Machine, Outcome } from './machine.ts'
import { Bank, Center, isDefect, Person, Shop, type AnyMachine, type Surroundings } from './parties.ts'
import { NO_FAULTS, Post, type Faults } from './post.ts'
import { Schedule } from './schedule.ts'

export const CENTERS = 6
export const SHOPS = 2
export const PEOPLE = 3

export interface Setting {
  readonly seed: number
  readonly faults: Faults
  /** How long a message takes, ms: at least, at most. */
  readonly speed: readonly [Millis, Millis]
  /** At most one of them, for f is 1: more than that may break the law. */
  readonly liars: ReadonlyArray<{ readonly center: number, readonly kind: LiarName }>
  /** More lie than may: coins may be certified twice. All other laws hold, and who did it is convicted. */
  readonly beyond: boolean
  /** It goes on until the coins of all keysets but the last have ended. */
  readonly long: boolean
}

/** A law was broken: why, and when. */
export class Broken extends Error {}

/** Tokens come to their end within a history. */
const HOUR: Millis = 3_600_000
const DAY: Millis = 24 * HOUR
const ids = Array.from({ length: CENTERS }, (_, i) => ({ id: suite.sha256(utf8(`center ${i}`)), voteKey: keyNamed(`vote key ${i}`).publicKey, weight: 1 }))
/** Two changes of the keyset within the longer histories; with the first of them, one center takes the place of another. */
const CHANGES: readonly [Millis, Millis] = [START + 3 * DAY, START + 7 * DAY]
const dates = { redeemUntil: START + 200 * DAY, refundUntil: START + 300 * DAY }
/** From when on certificates for coins of the first two keysets, and of the third, count no more. */
const THAWS: readonly Millis[] = [dates.redeemUntil, START + 350 * DAY]
const SPENT_UNTIL = START + 60 * DAY
const economy = createEconomy({
  seed: 'model', centers: CENTERS, parameters: { tokenValid: 6 * HOUR, tokenDeposit: 12 * HOUR, tokenRefund: 13 * HOUR },
  ring: { centers: ids.slice(0, CENTERS - 1) },
  keyset: { issueUntil: CHANGES[0], spendUntil: SPENT_UNTIL, ...dates },
  later: [
    { keyset: { issueFrom: CHANGES[0], issueUntil: CHANGES[1], spendUntil: SPENT_UNTIL, ...dates }, ring: { centers: ids.slice(1) } },
    { keyset: { issueFrom: CHANGES[1], issueUntil: START + 250 * DAY, spendUntil: START + 300 * DAY, redeemUntil: THAWS[1], refundUntil: START + 450 * DAY }, ring: { centers: ids.slice(1) } },
    { keyset: { issueFrom: START + 250 * DAY, issueUntil: START + 450 * DAY, spendUntil: START + 500 * DAY, redeemUntil: START + 550 * DAY, refundUntil: START + 600 * DAY }, ring: { centers: ids.slice(1) } }
  ]
})
const signed = new Map<string, Uint8Array>()

const NONE = new Uint8Array(0)
/** One of the shops takes coins on trust. */
const TRUST = { perOrder: 25, total: 60, perKeyset: 60 }

type Done = (outcome: Outcome<unknown>) => void

export class World implements Surroundings {
  readonly economy = economy
  readonly setting: Setting
  readonly schedule: Schedule
  readonly post: Post
  readonly laws: Laws
  readonly bank: Bank
  readonly centers: readonly Center[]
  readonly shops: readonly Shop[]
  readonly people: readonly Person[]
  /** Those who have a copy of somebody's wallet. */
  readonly thieves: Person[] = []
  /** By the operator, in all. */
  credited = 0
  /** What became of what people and shops tried, by code. */
  readonly outcomes = new Map<string, number>()

  /** @param before a world that this one goes on with */
  constructor (setting: Setting, before: World | null = null) {
    const { seed, faults, speed, liars } = setting
    this.setting = setting
    this.schedule = new Schedule(seed, START + (before === null ? 0 : MORNING))
    this.post = new Post(this.schedule, faults, speed)
    this.laws = new Laws(this, before?.laws ?? null)
    this.bank = new Bank(this)
    this.centers = Array.from({ length: CENTERS }, (_, i) => {
      const liar = liars.find(({ center }) => center === i)
      return new Center(this, i, liar === undefined ? null : LIARS[liar.kind])
    })
    this.shops = Array.from({ length: SHOPS }, (_, i) => new Shop(this, `shop ${i}`, i === 0 ? null : TRUST))
    this.people = Array.from({ length: PEOPLE }, (_, i) => new Person(this, `person ${i}`))
    if (before === null) return
    this.credited = before.credited
    for (const [i, machine] of this.machines.entries()) machine.disk = before.machines[i].disk.copy()
  }

  get machines (): AnyMachine[] {
    return [this.bank, ...this.centers, ...this.shops, ...this.people]
  }

  break (law: string): never {
    throw new Broken(`${law} (after ${((this.schedule.now - START) / 1000).toFixed(3)} s)`)
  }

  fault (what: string, error: unknown): never {
    if (error instanceof Broken) throw error
    throw new Broken(`${what}: ${error instanceof Error ? error.stack ?? error.message : String(error)}`, { cause: error })
  }

  /** The operator takes in money, when nothing is amiss. */
  credit (person: Person, amount: number): void {
    this.credited += amount
    this.bank.look(this.bank.engine.credit(person.engine.account, amount, `${this.credited} for ${person.name}`))
  }

  /** Has somebody a copy of its wallet? */
  cheats (person: Person): boolean {
    return this.thieves.some(({ owner }) => owner === person.owner)
  }

  /** May what its wallet says be wrong, though nobody has done wrong? Words alone do not tell what was given away in a bundle. */
  #mayErr (person: Person): boolean {
    return this.cheats(person) || (person.wasLost && person.hasGiven)
  }

  /** Run what somebody wants; how it ends is counted, and if it is a fault of the engine, the law is broken. */
  expect<T, E extends { readonly do: string }> (machine: Machine<E>, saga: Saga<T, E>, then: (value: T) => void = () => {}): void {
    machine.run(saga, outcome => {
      if ('value' in outcome) {
        then(outcome.value)
        return
      }
      if (outcome.error instanceof Broken || isDefect(outcome.error)) this.fault(`${machine.name} failed`, outcome.error)
      const { code } = outcome.error as MixmintError
      this.outcomes.set(code, (this.outcomes.get(code) ?? 0) + 1)
    })
  }

  askCenter (from: AnyMachine, { center: id, request, timeout }: AskCenter, done: Done): void {
    const center = this.centers.find(one => equal(one.id, id))
    if (center === undefined) throw new Error('no such center')
    this.post.ask<CenterReply>(from, center, timeout, reply => { center.answer(request, reply) }, outcome => {
      done('error' in outcome ? outcome : { value: decode(CenterReply, encode(CenterReply, outcome.value)) })
    })
  }

  askBank (from: AnyMachine, request: BankRequest, patience: Millis, done: Done): void {
    this.post.ask<BankReply>(from, this.bank, patience, reply => { this.bank.answer(request, reply) }, outcome => {
      done('error' in outcome ? outcome : { value: decode(BankReply, encode(BankReply, outcome.value)) })
    })
  }

  /** RSA takes longest, and histories ask for the same outputs again and again. */
  blindSign (value: number, blinded: Uint8Array): Uint8Array | null {
    const name = `${value} ${toHex(blinded)}`
    const before = signed.get(name)
    if (before !== undefined) return before
    const signature = suite.rsaBlindSign(rsaKeys[Math.log2(value)], blinded)
    if (signature !== null) signed.set(name, signature)
    return signature
  }

  /** A token is handed to a shop, on paper: as often as somebody likes. */
  hand (person: Person, shop: Shop, serial: Uint8Array, invoice: SignedInvoice): void {
    this.expect(person, person.engine.presentToken(serial, invoice), presentation => { this.expect(shop, shop.engine.accept(presentation)) })
  }

  /** Everything works again, and time enough passes for all that was begun to end. Thereafter every unit is where it belongs. */
  settle (): void {
    this.post.faults = NO_FAULTS
    for (const machine of [...this.machines, ...this.thieves]) machine.heal()
    this.schedule.run()
    for (const machine of this.machines) machine.start()
    this.schedule.run()
    for (const person of this.people) if (person.wasLost) person.restore()
    this.schedule.run()
    for (let round = 0; round < ROUNDS; round++) {
      for (const shop of this.shops) {
        this.expect(shop, shop.engine.settlePending())
        this.expect(shop, shop.engine.deposit())
      }
      this.schedule.run()
      for (const person of this.people) this.expect(person, person.engine.recover())
      this.schedule.run()
      if (this.people.every(person => person.look(person.engine.pending()).length === 0) && this.shops.every(shop => shop.look(shop.engine.takings()).pending === 0 || this.setting.beyond)) break
      this.schedule.now += ROUND
    }
    // What nobody turned in comes back.
    this.schedule.now += REFUND
    for (const person of this.people) this.expect(person, person.engine.reclaim())
    this.schedule.run()
    if (this.setting.long) this.#refresh()
    if (this.people.some(person => person.look(person.engine.pending()).length > 0)) this.#thaw([...this.people, ...this.thieves])
    // Who believed in a later time keeps to it (cash/steady-clock.ts).
    this.schedule.now += MOST_AHEAD
  }

  /** Coins that two have signed over at once are nobody's until certificates for them count no more; then the bank refunds them. */
  #thaw (people: readonly Person[]): void {
    for (const time of THAWS) {
      this.schedule.now = Math.max(this.schedule.now, time + DAY)
      // Copies of one wallet derive the same outputs, of which the bank signs each once: it takes them some tries.
      for (let round = 0; round < ROUNDS && (round < 2 || people.some(person => this.#isBound(person))); round++) {
        for (const person of people) this.expect(person, person.engine.recover(true))
        this.schedule.run()
      }
    }
  }

  /** Has it money that it has to wait for? */
  #isBound (person: Person): boolean {
    const { given, promised, leftOver, ended } = person.look(person.engine.balance())
    return given + promised + leftOver + ended > 0
  }

  /** Wallets come back after weeks, when old coins are near their end, and then these end. */
  #refresh (): void {
    this.schedule.now = Math.max(this.schedule.now, SPENT_UNTIL - 2 * DAY)
    for (const person of this.people) this.expect(person, person.engine.refresh())
    this.schedule.run()
    for (const person of this.people) this.expect(person, person.engine.recover())
    this.schedule.run()
    this.schedule.now = SPENT_UNTIL
  }

  /** After `settle`: nobody was convicted who did not vote twice; beyond f, whoever certified twice was. */
  expectConvictions (): void {
    const named = new Set([
      ...this.bank.look(this.bank.engine.revocations()).map(({ voteKey }) => toHex(voteKey)),
      ...this.shops.flatMap(shop => shop.look(shop.engine.convictions()).map(({ fault }) => toHex(this.centers.find(({ id }) => equal(id, fault.center))?.voteKey.publicKey ?? NONE)))
    ])
    for (const { name, voteKey, liar } of this.centers) {
      if (liar === null && named.has(toHex(voteKey.publicKey))) this.break(`${name} is honest, and was convicted`)
    }
    const robbed = this.shops.filter(shop => shop.look(shop.engine.takings()).pending > 0)
    if (robbed.length > 0 && named.size < 2) this.break(`${robbed[0].name} was robbed, and nobody is convicted of it`)
  }

  /** After `settle`. */
  expectEveryUnit (): void {
    const { bank, shops, people } = this
    const books = this.laws.books()
    for (const person of people) {
      const pending = person.look(person.engine.pending())
      if (pending.length > 0 && !this.cheats(person)) this.break(`${person.name} has something that never ends: ${pending.map(({ kind, state }) => `${kind} ${state}`).join(', ')}`)
    }
    const isExact = !people.some(person => this.#mayErr(person))
    let worth = 0
    for (const person of [...people, ...this.thieves]) worth += this.#worthOf(person)
    for (const shop of shops) {
      const { accepted, deposited, settled, pending, refused } = shop.look(shop.engine.takings())
      if (accepted !== deposited + settled + pending + refused) this.break('the takings do not add up')
      if (accepted !== shop.sold()) this.break(`${shop.name} has signed receipts for ${shop.sold()}, and counts ${accepted}`)
      // What was paid with coins is settled or void, what was paid with tokens is credited: nobody delivers for nothing.
      if (pending > 0 && !this.setting.beyond) this.break(`${shop.name} was paid ${pending} that the bank never gives it`)
      const { atRisk, losses } = shop.look(shop.engine.risks())
      if (atRisk > 0 && !this.setting.beyond) this.break(`${shop.name} still counts ${atRisk} as at risk`)
      const robbed = losses.filter(({ how, code }) => how === 'coins' && code !== 'void')
      if (robbed.length > 0 && isExact && !this.setting.beyond) this.break(`${shop.name} was robbed of what it delivered on trust, and nobody is a thief`)
      if (bank.look(bank.engine.balance(shop.key.publicKey)) !== deposited + settled) this.break(`${shop.name} has another sum in its account than it thinks`)
    }
    if (books.tokens > 0 && this.thieves.length === 0) this.break(`tokens for ${books.tokens} are neither turned in nor refunded`)
    const total = books.outstanding + books.tokens
    if (isExact ? total !== worth : total > worth) {
      this.break(`coins and tokens for ${total} are somewhere, and ${worth} in wallets`)
    }
  }

  /** After `settle`: of each order that tokens of an honest wallet paid, its payer has the bank's word, whatever the shop would say. */
  expectReceipts (): void {
    for (const person of this.people) {
      if (this.cheats(person)) continue
      for (const { invoice } of person.look(person.engine.tokenOrders())) {
        const id = invoiceHash(suite, invoice)
        const shop = this.shops.find(({ key }) => equal(key.publicKey, invoice.payee))
        const how = shop?.look(shop.engine.orders()).find(line => equal(line.invoice, id))?.paid
        let had = 0
        this.expect(person, person.engine.askTokenReceipt(id), receipt => { had = verifyReceipt(suite, receipt).had })
        this.schedule.run()
        const isPaid = how === 'token' || how === 'sealed'
        if (isPaid && had !== invoice.amount) this.break(`${person.name} paid ${invoice.amount} to ${shop?.name} by ${how}, and the bank's word is for ${had}`)
        if (!isPaid && had > 0) this.break(`${person.name} has a receipt over ${had} for what ${shop?.name} was not paid`)
      }
    }
  }

  /** Thieves spend what they can, and then what the wallets of others say is there can be spent, to the last unit. */
  expectSpendable (): void {
    for (const thief of this.thieves) this.#spendAll(thief)
    for (const person of this.people) {
      const left = this.#spendAll(person)
      if (left > 0 && !this.#mayErr(person)) this.break(`${person.name} cannot spend what it has: ${[...this.outcomes].map(([code, times]) => `${code} ${times}`).join(', ')}`)
    }
  }

  /** After `expectSpendable`: whoever has cheated whom, no unit is gone for all. What is nobody's comes back to somebody, who spends it. */
  expectNothingLost (): void {
    if (this.setting.beyond || this.#unspent() === 0) return
    const all = [...this.people, ...this.thieves]
    this.#thaw(all)
    // Where some of a payment's coins are gone, the others are bound until it is void.
    for (let round = 0; round < ROUNDS && this.#unspent() > 0; round++) {
      for (const person of all) {
        this.#spendAll(person)
        this.schedule.now += DAY
        this.expect(person, person.engine.recover(true))
        this.schedule.run()
      }
    }
    const left = this.#unspent()
    if (left > 0) this.break(`coins and tokens for ${left} are nobody's for good`)
  }

  #unspent (): number {
    const { outstanding, tokens } = this.laws.books()
    return outstanding + tokens
  }

  /** @returns what it could not spend */
  #spendAll (person: Person): number {
    const [shop] = this.shops
    let left = person.look(person.engine.balance()).available
    // A thief finds that some of its coins are gone: then less is tried.
    for (let amount = Math.min(left, MOST_AT_ONCE); amount > 0;) {
      let isPaid = false
      this.expect(shop, shop.engine.invoice('all of it', amount), invoice => {
        this.expect(person, person.engine.payWithCoins(invoice), () => { isPaid = true })
      })
      this.schedule.run()
      left = person.look(person.engine.balance()).available
      amount = Math.min(left, isPaid ? MOST_AT_ONCE : amount >> 1)
    }
    return left
  }

  #worthOf (person: Person): number {
    const { available, given, promised, leftOver, ended } = person.look(person.engine.balance())
    let worth = available + given + promised + leftOver + ended
    for (const { state, token: { token } } of person.look(person.engine.tokens())) {
      const shop = this.shops.find(({ key }) => equal(key.publicKey, token.payee))
      if (shop?.hasAccepted(token.serial) === false && state !== 'refunded' && state !== 'spent') worth += token.amount
    }
    for (const { state, token, serial } of person.look(person.engine.sealedTokens())) {
      const shop = this.shops.find(({ key }) => equal(key.publicKey, token.payee))
      if (shop?.hasAccepted(serial) === false && state !== 'refunded' && state !== 'spent') worth += token.value
    }
    return worth
  }
}

/** After so long the day begins. */
const MORNING: Millis = 60_000
const MOST_AT_ONCE = 200
const ROUNDS = 40
/** Tokens can be refunded after so long, sealed ones counted from the end of their day. */
const REFUND: Millis = 38 * HOUR
const ROUND: Millis = HOUR
/** No clock of a history is further ahead. */
export const MOST_AHEAD: Millis = 26 * 3_600_000
