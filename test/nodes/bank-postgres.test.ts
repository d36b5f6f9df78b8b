/** Two banks on one PostgreSQL: whatever is asked of both at once, and however the server fails, is done once, with one answer. */
import { afterAll, expect, test } from 'vitest'
import { decode, encode } from '@mixmint/core/kit/codec'
import type { Store } from '@mixmint/core/kit/ports'
import { BankReply, BankRequest } from '@mixmint/core/cash/messages'
import { claimStore } from '../../nodes/store/about.ts'
import { openPostgres } from '../../nodes/store/postgres.ts'
import { BankDesk } from '../doubles/bank-desk.ts'
import { noPostgres, PostgresServer } from '../doubles/postgres.ts'

const why = noPostgres()
const server = why === null ? await PostgresServer.start() : null
afterAll(async () => { await server?.remove() })

class TwoBanks {
  readonly desk = new BankDesk()
  readonly #banks: Array<{ readonly store: Store, engine: BankDesk['engine'] }> = []

  static async open (url: string): Promise<TwoBanks> {
    const both = new TwoBanks()
    const stores = await Promise.all([openPostgres(url), openPostgres(url)])
    await Promise.all(stores.map(async store => { await claimStore(store, 'the bank') }))
    for (const store of stores) both.#banks.push({ store, engine: both.desk.restart() })
    both.desk.store = stores[0]
    return both
  }

  /** Asked of each bank three times, all at once. */
  async ask (request: BankRequest): Promise<BankReply[]> {
    return await Promise.all([0, 1, 0, 1, 1, 0].map(async i => {
      const { store, engine } = this.#banks[i]
      this.desk.store = store
      const reply = await this.desk.run(engine.handle(decode(BankRequest, encode(BankRequest, request))))
      return decode(BankReply, encode(BankReply, reply))
    }))
  }

  /** Each of one bank, in turn, all at once. */
  async share (requests: readonly BankRequest[]): Promise<BankReply[]> {
    return await Promise.all(requests.map(async (request, i) => {
      const { store, engine } = this.#banks[i % 2]
      this.desk.store = store
      return await this.desk.run(engine.handle(request))
    }))
  }

  /** The operator, at both. */
  async credit (amount: number, reference: string): Promise<void> {
    await Promise.all(this.#banks.map(async ({ store, engine }) => {
      this.desk.store = store
      await this.desk.run(engine.credit(this.desk.economy.account.publicKey, amount, reference))
    }))
  }

  async close (): Promise<void> {
    for (const { store } of this.#banks) await store.close()
  }
}

/** All the same, and this. */
function one (replies: readonly BankReply[], is: BankReply['is']): BankReply {
  for (const reply of replies) expect(reply).toEqual(replies[0])
  expect(replies[0].is).toBe(is)
  return replies[0]
}

if (server === null) test.skip(`two banks on one PostgreSQL: ${why}`, () => {})
else {
  test('two banks on one PostgreSQL answer as one, also over a crash of the server', async () => {
    const both = await TwoBanks.open(server.url(await server.schema()))
    const { desk } = both
    const { economy } = desk
    await both.credit(40, 'wire')
    expect(await desk.balance()).toBe(40)

    const made = [8, 8, 4, 4].map(value => economy.output(value))
    const signed = one(await both.ask(desk.withdrawal(made.map(({ output }) => output))), 'signatures')
    const coins = made.map(({ finish }, i) => finish((signed as BankReply & { is: 'signatures' }).signatures[i]))

    const paid = one(await both.ask(desk.settle(desk.pay(6, [2]), [coins[0]])), 'settlement')
    const crash = (async () => { await server.stop('crash'); await server.run() })()
    const token = one(await both.ask(desk.settle(desk.tokenContract(8), [coins[1]])), 'settlement')
    await crash
    expect(paid).not.toEqual(token)

    // Two payments of one coin, one at each bank: one is settled.
    const [left, right] = await Promise.all([desk.pay(4), desk.pay(4)].map(async contract => await both.ask(desk.settle(contract, [coins[2]]))))
    expect([left, right].filter(replies => replies.every(({ is }) => is === 'settlement')).length).toBe(1)
    expect([left, right].filter(replies => replies.every(({ is }) => is === 'short')).length).toBe(1)

    const books = await desk.run(desk.engine.books())
    expect(books).toMatchObject({ balanced: true, credited: 40, accounts: 26, tokens: 8, outstanding: 6, issued: 26, redeemed: 20 })
    await both.close()
  })

  test('two banks credit one account at once, and nothing is lost', async () => {
    const both = await TwoBanks.open(server.url(await server.schema()))
    await Promise.all(Array.from({ length: 30 }, async (_, i) => { await both.credit(1, `wire ${i}`) }))
    expect(await both.desk.balance()).toBe(30)
    await both.desk.expectBalanced()
    await both.close()
  })

  test('two banks are paid for one shop at once, and pay out of one account, each unit once', async () => {
    const both = await TwoBanks.open(server.url(await server.schema()))
    const { desk } = both
    const coins = await desk.coins(...Array.from({ length: 100 }, () => 2))
    const payments = await Promise.all(coins.map(async coin => {
      const contract = desk.pay(2)
      return { ...desk.settle(contract, [coin]), inputs: await desk.certified(contract, [coin]) }
    }))
    await desk.credit(60)
    const withdrawals = Array.from({ length: 40 }, () => desk.withdrawal(desk.outputs(2)))
    const replies = await both.share([...payments, ...withdrawals])
    expect(replies.slice(0, 100).every(({ is }) => is === 'settlement')).toBe(true)
    expect(replies.slice(100).filter(({ is }) => is === 'signatures').length).toBe(30)
    expect(replies.slice(100).filter(reply => reply.is === 'refused' && reply.code === 'insufficient-funds').length).toBe(10)
    expect(await both.share(payments)).toEqual(replies.slice(0, 100))
    expect(await desk.balance(desk.economy.payee)).toBe(200)
    expect(await desk.balance()).toBe(0)
    await desk.expectBalanced()
    await both.close()
  })
}
