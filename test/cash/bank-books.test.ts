import fc from 'fast-check'
import { expect, test } from 'vitest'
import { utf8 } from '@mixmint/core/kit/bytes'
import { decode, encode } from '@mixmint/core/kit/codec'
import type { Contract, Presentation } from '@mixmint/core/cash/formats'
import type { BankReply, BankRequest } from '@mixmint/core/cash/messages'
import { accountAt, journalAt } from '@mixmint/core/cash/bank/keys'
import { Account, JournalEntry, type Posting } from '@mixmint/core/cash/bank/records'
import { present } from '@mixmint/core/cash/token'
import { BankDesk, OWNER } from '../doubles/bank-desk.ts'
import { VALUES, type OwnedCoin } from '../doubles/economy.ts'

/** What everybody holds, by a second reckoning, beside a bank at work. */
class Town {
  readonly desk = new BankDesk()
  account = 0
  earned = 0
  coins: OwnedCoin[] = []
  presentations: Presentation[] = []
  /** What was asked and granted, to be asked again. */
  granted: Array<{ request: BankRequest, reply: BankReply }> = []

  get inCoins (): number { return this.coins.reduce((sum, { coin }) => sum + coin.value, 0) }
  get inTokens (): number { return this.presentations.reduce((sum, { token }) => sum + token.token.amount, 0) }

  async ask (request: BankRequest): Promise<BankReply> {
    const reply = await this.desk.ask(request)
    if (reply.is !== 'refused' && reply.is !== 'short') this.granted.push({ request, reply })
    return reply
  }

  /** Some coins from the purse, at least one; none if it is empty. */
  take (share: number): OwnedCoin[] {
    const taken = this.coins.slice(0, Math.ceil(this.coins.length * share))
    this.coins = this.coins.slice(taken.length)
    return taken
  }

  async credit (amount: number): Promise<void> {
    await this.desk.credit(amount)
    this.account += amount
  }

  async withdraw (amount: number): Promise<void> {
    const made = split(amount).map(value => this.desk.economy.output(value))
    const reply = await this.ask(this.desk.withdrawal(made.map(({ output }) => output)))
    if (amount > this.account) {
      expect(reply).toMatchObject({ code: 'insufficient-funds' })
      return
    }
    if (reply.is !== 'signatures') throw new Error(reply.is)
    this.account -= amount
    this.coins.push(...made.map(({ finish }, i) => finish(reply.signatures[i])))
  }

  async settle (kind: 'exchange' | 'token' | 'pay', share: number, price: number, leaveOut: boolean): Promise<void> {
    const coins = this.take(share)
    if (coins.length === 0) return
    // A coin that is certified for the contract, but not taken by it.
    const left = leaveOut && coins.length > 1 ? coins.pop() : undefined
    const sum = coins.reduce((sum, { coin }) => sum + coin.value, 0)
    const amount = kind === 'exchange' ? 0 : Math.max(1, Math.floor(sum * price))
    const made = split(sum - amount).map(value => this.desk.economy.output(value))
    const outputs = made.map(({ output }) => output)
    const contract: Contract = kind === 'exchange' ? this.desk.economy.contract({ outputs })
      : { ...kind === 'token' ? this.desk.tokenContract(amount) : this.desk.pay(amount), outputs }
    const reply = await this.ask(this.desk.settle(contract, coins))
    if (reply.is !== 'settlement') throw new Error(reply.is)
    this.coins.push(...made.map(({ finish }, i) => finish(reply.signatures[i])))
    if (kind === 'pay') this.earned += amount
    if (reply.token !== null) this.presentations.push(present(this.desk.economy.suite, OWNER, reply.token, contract.nonce))
    if (left !== undefined) await this.reclaim(contract, left)
  }

  async abandon (share: number): Promise<void> {
    const coins = this.take(share)
    if (coins.length === 0) return
    const contract = this.desk.pay(1)
    const inputs = await this.desk.certified(contract, coins)
    this.desk.toVoidTime(contract)
    expect(await this.ask({ ...this.desk.voiding(contract, coins[0]), input: inputs[0] })).toMatchObject({ outcome: { outcome: { state: 'void' } } })
    for (const coin of coins) await this.reclaim(contract, coin)
  }

  async reclaim (contract: Contract, coin: OwnedCoin): Promise<void> {
    const made = this.desk.economy.output(coin.coin.value)
    const reply = await this.ask(this.desk.reclaiming(contract, coin, [made.output]))
    if (reply.is !== 'signatures') throw new Error(reply.is)
    this.coins.push(made.finish(reply.signatures[0]))
  }

  async deposit (): Promise<void> {
    if (this.presentations.length === 0) return
    await this.desk.ask({ op: 'deposit', presentations: [...this.presentations, this.presentations[0]] })
    this.earned += this.inTokens
    this.presentations = []
  }

  async again (which: number): Promise<void> {
    if (this.granted.length === 0) return
    const { request, reply } = this.granted[which % this.granted.length]
    this.desk.restart()
    expect(await this.desk.ask(request)).toEqual(reply)
  }

  async check (): Promise<void> {
    const books = await this.desk.run(this.desk.engine.books())
    expect(books).toMatchObject({ balanced: true, faults: [], outstanding: this.inCoins, tokens: this.inTokens, accounts: this.account + this.earned })
    expect(books.issued).toBe(books.redeemed + books.outstanding)
    expect(await this.desk.balance()).toBe(this.account)
    expect(await this.desk.balance(this.desk.economy.payee)).toBe(this.earned)
  }
}

function split (amount: number): number[] {
  return [...Array.from({ length: Math.floor(amount / 256) * 2 }, () => 128), ...VALUES.filter(value => (amount & value) !== 0)]
}

const share = fc.double({ min: 0.1, max: 1, noNaN: true })
const step = fc.oneof(
  fc.integer({ min: 1, max: 200 }).map(amount => async (town: Town) => { await town.credit(amount) }),
  fc.integer({ min: 1, max: 250 }).map(amount => async (town: Town) => { await town.withdraw(amount) }),
  fc.tuple(fc.constantFrom('exchange' as const, 'token' as const, 'pay' as const), share, share, fc.boolean())
    .map(([kind, some, price, leave]) => async (town: Town) => { await town.settle(kind, some, price, leave) }),
  share.map(some => async (town: Town) => { await town.abandon(some) }),
  fc.constant(async (town: Town) => { await town.deposit() }),
  fc.nat().map(which => async (town: Town) => { await town.again(which) })
)

test('in any history, every unit is in an account, a token or a coin, and with whom it should be', async () => {
  await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 16 }), async steps => {
    const town = new Town()
    await town.credit(250)
    await town.withdraw(200)
    for (const step of steps) {
      await step(town)
      await town.check()
    }
  }), { numRuns: 12 })
})

test('the books count by keyset, and tell issued from redeemed', async () => {
  const desk = new BankDesk()
  const coins = await desk.coins(8, 4, 1)
  await desk.settled(desk.pay(5, [4]), coins.slice(0, 1).concat(coins.slice(2)))
  const books = await desk.run(desk.engine.books())
  expect(books.keysets).toEqual([{ keyset: desk.economy.known.id, issued: 17, redeemed: 9, outstanding: 8 }])
  expect(books).toMatchObject({ unit: 'EUR-cent', issued: 17, redeemed: 9, outstanding: 8, credited: 13, accounts: 5, tokens: 0, movements: 3, balanced: true })
})

async function tampered (spoil: (desk: BankDesk) => Promise<void>): Promise<string[]> {
  const desk = new BankDesk()
  await desk.presentation(8)
  await desk.credit(5)
  await spoil(desk)
  const books = await desk.run(desk.engine.books())
  expect(books.balanced).toBe(books.faults.length === 0)
  return [...books.faults]
}

test('books that do not balance say so', async () => {
  const id = new Uint8Array(32)
  const post = async (desk: BankDesk, entry: JournalEntry): Promise<void> => {
    await desk.store.batch([{ op: 'put', key: journalAt(1, id), value: encode(JournalEntry, entry) }])
  }
  const { id: keyset } = new BankDesk().economy.known
  expect(await tampered(async () => {})).toEqual([])
  expect(await tampered(async desk => {
    const key = accountAt(desk.economy.account.publicKey)
    const { balance, movements } = decode(Account, await desk.store.get(key) ?? id)
    await desk.store.batch([{ op: 'put', key, value: encode(Account, { balance: balance + 1, movements }) }])
  })).toEqual([expect.stringContaining('1 accounts do not hold')])
  const side = (ledger: Posting['ledger'], of: Uint8Array, sums: Partial<Posting>): Posting => ({ ledger, of, debit: 0, credit: 0, nth: 0, ...sums })
  const nobody = new Uint8Array(0)
  const { account } = new BankDesk().economy
  // Movements that the accounts have never seen, those of another account's number, and ones that were already counted.
  for (const nth of [9, 1]) {
    expect(await tampered(async desk => { await post(desk, { kind: 'deposit', postings: [side('tokens', nobody, { debit: 9 }), side('account', account.publicKey, { credit: 9, nth })] }) }))
      .toEqual([expect.stringContaining('1 accounts do not hold'), expect.stringContaining('more tokens')])
  }
  expect(await tampered(async desk => { await post(desk, { kind: 'exchange', postings: [side('coins', keyset, { credit: 5 }), side('coins', keyset, { debit: 4 })] }) }))
    .toEqual([expect.stringContaining('1 movements'), expect.stringContaining('came in')])
  expect(await tampered(async desk => { await post(desk, { kind: 'token', postings: [side('coins', keyset, { debit: 100 }), side('tokens', nobody, { credit: 100 })] }) }))
    .toEqual([expect.stringContaining('its key is in other hands')])
  expect(await tampered(async desk => {
    const [first] = await desk.store.scan({ prefix: utf8('journal'), limit: 1 })
    await desk.store.batch([{ op: 'delete', key: first.key }])
  })).toEqual([expect.stringContaining('1 accounts do not hold')])
})

test('money that moves while the books are read does not make them look wrong', async () => {
  const desk = new BankDesk()
  await desk.coins(8)
  for (let at = 0; at < 6; at++) {
    let effects = 0
    desk.before = async () => { if (effects++ === at) await desk.credit(1) }
    await desk.expectBalanced()
  }
})

test('a bank that is never still is audited all the same', async () => {
  const desk = new BankDesk()
  await desk.coins(8, 4)
  let within = false
  desk.after = async () => {
    if (within) return
    within = true
    await desk.credit(1)
    await desk.coins(2)
    within = false
  }
  const books = await desk.run(desk.engine.books())
  expect(books.faults).toEqual([])
})

test('what was paid in, less what was paid out, is somewhere', async () => {
  const desk = new BankDesk()
  await desk.coins(8)
  await desk.credit(30)
  expect(await desk.run(desk.engine.payOut(desk.economy.account.publicKey, 20, 'wire 1'))).toBe(10)
  expect(await desk.run(desk.engine.books())).toMatchObject({ credited: 38, paidOut: 20, accounts: 10, outstanding: 8, balanced: true })
})
