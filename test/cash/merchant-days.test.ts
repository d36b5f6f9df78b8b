/** A shop over its days: what was sold on one, what is forgotten, and clocks that stand at midnight, repeat a second, or jump back. */
import { beforeEach, describe, expect, test } from 'vitest'
import type { SignedToken } from '@mixmint/core/cash/formats'
import { present, signToken } from '@mixmint/core/cash/token'
import { dayCsv } from '../../nodes/csv.ts'
import { DAY, HOUR, keyNamed, MONEY, START, suite, type Economy } from '../doubles/economy.ts'
import { hashOf, Town, type Shop } from '../doubles/town.ts'

const OWNER = keyNamed('owner')
const MIDNIGHT = Date.UTC(2026, 0, 16)

let town: Town
let economy: Economy
let shop: Shop

beforeEach(() => {
  town = new Town()
  economy = town.desk.economy
  shop = town.shop()
})

function token (notBefore: number): SignedToken {
  return signToken(suite, economy.dayKey, economy.token({
    payee: shop.key.publicKey, day: Math.floor(notBefore / DAY), notBefore, notAfter: notBefore + DAY, depositUntil: notBefore + 7 * DAY, refundAfter: notBefore + 8 * DAY
  }))
}

async function accept (signed: SignedToken, at = shop): Promise<string> {
  const order = await shop.invoice(8)
  return await at.codeOf(at.engine.accept(present(suite, OWNER, signed, hashOf(order))))
}

describe('the day\'s takings', () => {
  test('those of that day, from its first millisecond to its last, in the order in which they were paid', async () => {
    for (const time of [MIDNIGHT - 1, MIDNIGHT, MIDNIGHT + HOUR, MIDNIGHT + DAY - 1, MIDNIGHT + DAY]) {
      economy.clock.set(time)
      expect(await accept(token(time - HOUR))).toBe('fine')
    }
    await shop.invoice(5)
    const sold = await shop.run(shop.engine.sold(MIDNIGHT, MIDNIGHT + DAY))
    expect(sold.map(({ time }) => time - MIDNIGHT)).toEqual([0, HOUR, DAY - 1])
    expect(sold.map(({ order }) => order)).toEqual(['#2 something', '#3 something', '#4 something'])
    expect(sold).toMatchObject([{ amount: 8, paid: 'token', settled: true }, {}, {}])
    expect(await shop.run(shop.engine.sold(MIDNIGHT + 2 * DAY, MIDNIGHT + 3 * DAY))).toEqual([])
  })

  test('as CSV: quoted where needed, with a sum, and nothing that a spreadsheet would run', () => {
    const line = { paidAt: '2026-01-16T00:00:00.000Z', order: '#1 bread, "old"', amount: 5, how: 'token', settled: true, invoice: 'ab' }
    expect(dayCsv([line, { ...line, order: '=1+1', amount: 7, settled: false }], 'cent').split('\r\n')).toEqual([
      'paid at,order,amount,unit,paid with,settled,invoice',
      '2026-01-16T00:00:00.000Z,"#1 bread, ""old""",5,cent,token,yes,ab',
      '2026-01-16T00:00:00.000Z,\'=1+1,7,cent,token,no,ab',
      ',sum,12,cent,,,'
    ])
  })
})

describe('orders', () => {
  test('the latest, by number', async () => {
    for (let i = 0; i < 5; i++) await shop.invoice(5, `order ${i}`)
    expect((await shop.run(shop.engine.orders(2))).map(({ order }) => order)).toEqual(['#4 order 3', '#5 order 4'])
    expect(await shop.run(shop.engine.orders())).toHaveLength(5)
  })

  test('what nobody paid is forgotten, a day after it could have been settled; what was paid stays', async () => {
    const paid = await shop.invoice(8)
    await shop.run(shop.engine.accept(present(suite, OWNER, token(START), hashOf(paid))))
    const unpaid = await shop.invoice(5)
    economy.clock.set(unpaid.invoice.settleBy + MONEY.voidGrace + DAY)
    expect(await shop.run(shop.engine.prune())).toBe(0)
    economy.clock.advance(2 * MONEY.clockSkew)
    expect(await shop.run(shop.engine.prune())).toBe(1)
    expect(await shop.run(shop.engine.prune())).toBe(0)
    expect((await shop.run(shop.engine.orders())).map(({ order }) => order)).toEqual([paid.invoice.order])
    expect(await shop.codeOf(shop.engine.orderOf(hashOf(unpaid)))).toBe('unknown-invoice')
    expect((await shop.run(shop.engine.takings())).accepted).toBe(8)
    // Its number is not given again.
    expect((await shop.invoice(5)).invoice.order).toBe('#3 something')
  })

  test('what was gathered for an order that came to nothing goes with it', async () => {
    const ann = await town.person('ann', 60)
    const before = (await shop.store.scan({ prefix: new Uint8Array(0), limit: 1000 })).length
    const { coins } = await ann.run(ann.engine.plan(9))
    for (const keeper of economy.keepersOf(coins[0]).slice(0, 2)) keeper.down = true
    for (const center of economy.centers.slice(3)) center.down = true
    const invoice = await shop.invoice(9)
    expect(await ann.codeOf(ann.engine.payWithCoins(invoice))).toBe('coins-unavailable')
    economy.clock.set(invoice.invoice.settleBy + MONEY.voidGrace + 2 * DAY)
    expect(await shop.run(shop.engine.prune())).toBe(1)
    // Left are the number of orders and the clock.
    expect((await shop.store.scan({ prefix: new Uint8Array(0), limit: 1000 })).length).toBeLessThanOrEqual(before + 2)
  })
})

describe('clocks', () => {
  test('a token of the last second of a day is good after midnight, until its day is over', async () => {
    const late = token(MIDNIGHT - 1)
    economy.clock.set(MIDNIGHT)
    expect(await accept(late)).toBe('fine')
    economy.clock.set(MIDNIGHT - 1 + DAY + MONEY.clockSkew - 1)
    expect(await accept(token(MIDNIGHT - 1))).toBe('fine')
    economy.clock.set(MIDNIGHT - 1 + DAY + MONEY.clockSkew)
    expect(await accept(token(MIDNIGHT - 1))).toBe('token-expired')
  })

  test('a leap second, which Unix clocks tell twice, or smear over hours: within the allowance nothing changes', async () => {
    economy.clock.set(MIDNIGHT - 1)
    expect(await accept(token(MIDNIGHT - 1))).toBe('fine')
    economy.clock.set(MIDNIGHT - 1000)
    // Made by a bank that is a second ahead now.
    expect(await accept(token(MIDNIGHT - 1))).toBe('fine')
    economy.clock.set(MIDNIGHT + 500)
    expect(await accept(token(MIDNIGHT - 500))).toBe('fine')
    expect((await shop.run(shop.engine.orders())).map(({ time }) => time - MIDNIGHT)).toEqual([-1, -1, 500])
  })

  test('a bank or merchant off by up to the allowance, and not by more', async () => {
    expect(await accept(token(START + MONEY.clockSkew))).toBe('fine')
    expect(await accept(token(START + MONEY.clockSkew + 1))).toBe('token-not-yet-valid')
  })

  test('a clock that jumps back brings no token back to life, not even after a restart', async () => {
    const old = token(START)
    economy.clock.set(START + DAY + MONEY.clockSkew + 2000)
    expect(await accept(old)).toBe('token-expired')
    economy.clock.set(START + HOUR)
    expect(await accept(old)).toBe('token-expired')
    shop.restart()
    expect(await accept(old)).toBe('token-expired')
    // What is good by the time that was told before is taken all the same.
    expect(await accept(token(START + DAY))).toBe('fine')
  })
})

describe('several tills on one store', () => {
  let second: Shop
  beforeEach(() => {
    second = town.shop()
    second.store = shop.store
  })

  test('one token, shown at both at once for two orders: one of them is paid', async () => {
    const signed = token(START)
    for (let i = 0; i < 10; i++) {
      const results = await Promise.all([accept(signed), accept(signed, second)])
      expect(results.filter(code => code === 'fine')).toHaveLength(i === 0 ? 1 : 0)
    }
    expect((await shop.run(shop.engine.takings())).accepted).toBe(8)
  })

  test('one order, paid at both at once with two tokens: one is taken, the other is refused and free', async () => {
    const invoice = hashOf(await shop.invoice(8))
    const [one, other] = [token(START), token(START)]
    const codes = await Promise.all([shop.codeOf(shop.engine.accept(present(suite, OWNER, one, invoice))), second.codeOf(second.engine.accept(present(suite, OWNER, other, invoice)))])
    expect([...codes].sort()).toEqual(['fine', 'invoice-paid'])
    expect(await accept(codes[0] === 'fine' ? other : one)).toBe('fine')
  })

  test('numbers of orders are given once; the one till\'s clock is the other\'s', async () => {
    const orders = await Promise.all(Array.from({ length: 20 }, async (_, i) => await (i % 2 === 0 ? shop : second).invoice(5)))
    expect(new Set(orders.map(({ invoice }) => invoice.order)).size).toBe(20)
    economy.clock.set(START + DAY + 2 * MONEY.clockSkew)
    await shop.invoice(5)
    economy.clock.set(START)
    second.restart()
    shop.store = second.store
    expect(await accept(token(START), second)).toBe('token-expired')
  })
})
