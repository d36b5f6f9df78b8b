/** A merchant turns tokens in: every one is credited once, whatever is lost on the way. */
import { beforeEach, describe, expect, test } from 'vitest'
import type { SignedToken } from '@mixmint/core/cash/formats'
import type { BankReply } from '@mixmint/core/cash/messages'
import { present, signToken } from '@mixmint/core/cash/token'
import { DAY, keyNamed, suite, type Economy } from '../doubles/economy.ts'
import { hashOf, Town, type Shop } from '../doubles/town.ts'

const OWNER = keyNamed('owner')

let town: Town
let economy: Economy
let shop: Shop

beforeEach(() => {
  town = new Town()
  economy = town.desk.economy
  shop = town.shop()
})

async function accept (token: SignedToken): Promise<void> {
  const order = await shop.invoice(token.token.amount)
  await shop.run(shop.engine.accept(present(suite, OWNER, token, hashOf(order))))
}

/** Tokens that the bank has issued, accepted by the shop. */
async function acceptIssued (...amounts: number[]): Promise<void> {
  for (const amount of amounts) {
    const contract = { ...town.desk.tokenContract(amount), payee: shop.key.publicKey }
    const { token } = await town.desk.settled(contract, await town.desk.coins(amount))
    await accept(token as SignedToken)
  }
}

/** One that somebody with the day key has made: the shop cannot tell, the bank can. */
async function acceptStray (amount: number): Promise<void> {
  await accept(signToken(suite, economy.dayKey, economy.token({ payee: shop.key.publicKey, amount })))
}

test('credited once; a second deposit finds nothing', async () => {
  await acceptIssued(8, 4)
  expect(await shop.run(shop.engine.takings())).toEqual({ accepted: 12, deposited: 0, settled: 0, pending: 12, refused: 0, repaid: 0 })
  expect(await shop.run(shop.engine.deposit())).toEqual({ credited: 2, already: 0, refused: 0, amount: 12 })
  expect(await shop.run(shop.engine.deposit())).toEqual({ credited: 0, already: 0, refused: 0, amount: 0 })
  expect(await shop.run(shop.engine.takings())).toEqual({ accepted: 12, deposited: 12, settled: 0, pending: 0, refused: 0, repaid: 0 })
  expect(await town.accountOf(shop)).toBe(12)
  await town.desk.expectBalanced()
})

test('deposited, and shown again for another order: refused', async () => {
  const { token } = await town.desk.settled({ ...town.desk.tokenContract(8), payee: shop.key.publicKey }, await town.desk.coins(8))
  await accept(token as SignedToken)
  await shop.run(shop.engine.deposit())
  await expect(accept(token as SignedToken)).rejects.toMatchObject({ code: 'token-already-accepted' })
  expect((await shop.run(shop.engine.takings())).accepted).toBe(8)
})

test('the answer is lost: the next deposit learns that it was credited already', async () => {
  await acceptIssued(8)
  const mend = town.bendBank(async (request, ask) => { await ask(request); town.bankDown = true; return await ask(request) })
  expect(await shop.codeOf(shop.engine.deposit())).toBe('overdue')
  mend()
  town.bankDown = false
  expect(await shop.run(shop.engine.deposit())).toEqual({ credited: 0, already: 1, refused: 0, amount: 8 })
  expect(await town.accountOf(shop)).toBe(8)
})

test('a limit; and what ends first goes first', async () => {
  await acceptIssued(8, 4, 2)
  await accept(signToken(suite, economy.dayKey, economy.token({ payee: shop.key.publicKey, amount: 16, depositUntil: economy.clock.now() + 2 * DAY })))
  expect(await shop.run(shop.engine.deposit({ limit: 1 }))).toEqual({ credited: 0, already: 0, refused: 1, amount: 0 })
  expect((await shop.run(shop.engine.deposit({ limit: 2 }))).credited).toBe(2)
  expect((await shop.run(shop.engine.deposit({ limit: 2 }))).credited).toBe(1)
  expect(await shop.run(shop.engine.takings())).toEqual({ accepted: 30, deposited: 14, settled: 0, pending: 0, refused: 16, repaid: 0 })
})

test('a result for each: one that is refused does not hold up the others, and can be tried again', async () => {
  await acceptIssued(8)
  await acceptStray(4)
  expect(await shop.run(shop.engine.deposit())).toEqual({ credited: 1, already: 0, refused: 1, amount: 8 })
  expect(await shop.run(shop.engine.deposit())).toEqual({ credited: 0, already: 0, refused: 0, amount: 0 })
  expect(await shop.run(shop.engine.deposit({ again: true }))).toEqual({ credited: 0, already: 0, refused: 1, amount: 0 })
  expect(await shop.run(shop.engine.takings())).toEqual({ accepted: 12, deposited: 8, settled: 0, pending: 0, refused: 4, repaid: 0 })
})

test('two deposits at once: credited once, counted once', async () => {
  await acceptIssued(8, 4)
  const sums = await Promise.all([shop.run(shop.engine.deposit()), shop.run(shop.engine.deposit())])
  expect(sums.reduce((sum, { amount }) => sum + amount, 0)).toBe(12)
  expect(await town.accountOf(shop)).toBe(12)
  expect((await shop.run(shop.engine.takings())).deposited).toBe(12)
})

test('in batches of 1024', async () => {
  for (let i = 0; i < 1030; i++) await acceptStray(1)
  const sizes: number[] = []
  town.bendBank(async request => {
    if (request.op !== 'deposit') throw new Error(request.op)
    sizes.push(request.presentations.length)
    return { is: 'deposited', results: request.presentations.map(({ token }) => ({ serial: token.token.serial, state: 'credited', code: '' })) }
  })
  expect((await shop.run(shop.engine.deposit())).credited).toBe(1030)
  expect(sizes).toEqual([1024, 6])
})

describe('answers that are not taken for deposits', () => {
  const replies: Record<string, [code: string, reply: BankReply]> = {
    refused: ['closed', { is: 'refused', code: 'closed', fault: 'operator', retry: true, message: '' }],
    'something else': ['bad-reply', { is: 'signatures', signatures: [] }],
    'results of other tokens': ['fine', { is: 'deposited', results: [{ serial: suite.sha256(), state: 'credited', code: '' }] }]
  }
  test.each(Object.keys(replies))('%s', async name => {
    const [code, reply] = replies[name]
    await acceptIssued(8)
    const mend = town.bendBank(async () => reply)
    expect(await shop.codeOf(shop.engine.deposit())).toBe(code)
    expect((await shop.run(shop.engine.takings())).pending).toBe(8)
    mend()
    expect((await shop.run(shop.engine.deposit())).credited).toBe(1)
  })
})

test.each(['before', 'after'] as const)('stopped %s any effect: repeatable, resumable, credited once', async when => {
  await acceptIssued(8, 4)
  await acceptStray(1)
  const restore = await town.snapshot([])
  for (let effect = 0, finished = false; !finished; effect++) {
    await restore()
    finished = await shop.runUntil(shop.engine.deposit({ limit: 2 }), effect, when)
    shop.restart()
    await shop.runUntil(shop.engine.deposit({ again: true }), effect % 5, when)
    shop.restart()
    await shop.run(shop.engine.deposit())
    expect(await shop.run(shop.engine.takings())).toEqual({ accepted: 13, deposited: 12, settled: 0, pending: 0, refused: 1, repaid: 0 })
    expect(await town.accountOf(shop)).toBe(12)
  }
})
