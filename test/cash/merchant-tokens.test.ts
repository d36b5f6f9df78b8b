/** A merchant takes tokens with no network; every single check refuses something that nothing else does. */
import { beforeEach, describe, expect, test } from 'vitest'
import { utf8 } from '@mixmint/core/kit/bytes'
import { encode } from '@mixmint/core/kit/codec'
import { Presentation, type BankListing, type SignedInvoice, type SignedToken, type Token } from '@mixmint/core/cash/formats'
import { dayOf, signDayKey } from '@mixmint/core/cash/keyset'
import { Registry } from '@mixmint/core/cash/registry'
import { present, signToken, verifyPaid } from '@mixmint/core/cash/token'
import { DAY, HOUR, keyNamed, NETWORK, START, suite, type Economy } from '../doubles/economy.ts'
import { hashOf, Town, type Shop } from '../doubles/town.ts'

const OWNER = keyNamed('owner')
const NONE = new Uint8Array(0)
const TILL = suite.sha256(utf8('till 1'))

let town: Town
let economy: Economy
let shop: Shop
let invoice: SignedInvoice

beforeEach(async () => {
  town = new Town()
  economy = town.desk.economy
  shop = town.shop('bakery', { till: { name: TILL, alone: true } })
  invoice = await shop.invoice(8)
  town.network(false)
})

/** A token for the shop, as the bank makes it. */
function token (changes: Partial<Token> = {}, key = economy.dayKey): SignedToken {
  return signToken(suite, key, economy.token({ payee: shop.key.publicKey, till: TILL, ...changes }))
}

function presented (signed: SignedToken, to = invoice, owner = OWNER): Presentation {
  return present(suite, owner, signed, hashOf(to))
}

async function codeOf (presentation: Presentation): Promise<string> {
  return await shop.codeOf(shop.engine.accept(presentation))
}

test('accepted with everything else down; the receipt is signed by the payee', async () => {
  const { signed, repeat } = await shop.run(shop.engine.accept(encode(Presentation, presented(token()))))
  expect(repeat).toBe(false)
  expect(signed.paid).toEqual({ invoice: hashOf(invoice), how: 'token', time: START })
  verifyPaid(suite, shop.key.publicKey, signed)
  expect(await shop.ask({ op: 'status', invoice: hashOf(invoice) })).toEqual({ is: 'paid', signed, settlement: null })
})

describe('refused, and nothing taken', () => {
  const cases: Record<string, [code: string, make: () => Presentation]> = {
    'made out to another merchant': ['wrong-payee', () => presented(token({ payee: keyNamed('rival').publicKey }))],
    'for another amount': ['wrong-amount', () => presented(token({ amount: 9 }))],
    'for less': ['wrong-amount', () => presented(token({ amount: 7 }))],
    'for another till': ['wrong-till', () => presented(token({ till: suite.sha256(utf8('till 2')) }))],
    'for any till, for another may have taken it': ['till-not-named', () => presented(token({ till: NONE }))],
    'in another unit': ['wrong-unit', () => presented(token({ unit: 'USD-cent' }))],
    'of another network': ['wrong-network', () => presented(token({ network: 'elsewhere' }))],
    'of another bank': ['wrong-bank', () => presented(token({ bank: keyNamed('other bank').publicKey }))],
    'of yesterday': ['token-expired', () => presented(token({ notBefore: START - 2 * HOUR, notAfter: START - HOUR }))],
    'of tomorrow': ['token-not-yet-valid', () => presented(token({ notBefore: START + 2 * HOUR }))],
    'signed by somebody else': ['bad-token', () => presented(token({}, keyNamed('forger')))],
    'changed after it was signed': ['bad-token', () => {
      const { token: fields, signature } = token({ amount: 7 })
      return presented({ token: { ...fields, amount: 8 }, signature })
    }],
    'of a day whose key nobody lists': ['unknown-day-key', () => presented(token({ day: 1 }))],
    'signed with the key of another day': ['day-key-not-valid', () => presented(token({ day: economy.token().day + 1 }))],
    'not presented by its owner': ['bad-presentation', () => presented(token(), invoice, keyNamed('thief'))],
    'presented for another order': ['bad-presentation', () => ({ ...presented(token(), invoice), invoice: hashOf({ ...invoice, invoice: { ...invoice.invoice, order: 'x' } }) })],
    'for an order that is not ours': ['unknown-invoice', () => presented(token(), { ...invoice, invoice: { ...invoice.invoice, order: 'x' } })]
  }

  test.each(Object.keys(cases))('%s', async name => {
    const [code, make] = cases[name]
    expect(await codeOf(make())).toBe(code)
    expect(await shop.replyTo({ op: 'present', presentation: make() })).toBe(code)
    expect(await shop.replyTo({ op: 'status', invoice: hashOf(invoice) })).toBe('unpaid')
    expect((await shop.run(shop.engine.takings())).accepted).toBe(0)
    // The same order can still be paid.
    expect(await codeOf(presented(token()))).toBe('fine')
  })

  test('a day key outside its own dates', async () => {
    const fields = token().token
    const early: BankListing = {
      ...economy.listing,
      dayKeys: [signDayKey(suite, economy.bank, { network: NETWORK, bank: economy.bank.publicKey, day: fields.day, key: economy.dayKey.publicKey, validFrom: START + HOUR, validUntil: START + DAY })]
    }
    // A key of tomorrow that its bank lists as good for today too.
    const wide = { ...early, dayKeys: [signDayKey(suite, economy.bank, { ...early.dayKeys[0].dayKey, day: fields.day + 1, validFrom: START - DAY, validUntil: START + 2 * DAY })] }
    town.desk.registry = new Registry(suite, NETWORK, economy.parameters, [wide])
    expect(await codeOf(presented(token({ day: fields.day + 1 })))).toBe('day-key-not-valid')
    const late = { ...early, dayKeys: [signDayKey(suite, economy.bank, { ...early.dayKeys[0].dayKey, validFrom: START - DAY, validUntil: START - HOUR })] }
    for (const listing of [early, late]) {
      town.desk.registry = new Registry(suite, NETWORK, economy.parameters, [listing])
      expect(await codeOf(presented(token()))).toBe('day-key-not-valid')
    }
  })

  test('after its end, allowing for the clocks; and an invoice after its settleBy', async () => {
    const good = token({ notAfter: START + HOUR })
    economy.clock.set(START + HOUR + economy.parameters.clockSkew)
    expect(await codeOf(presented(good))).toBe('token-expired')
    economy.clock.set(START + HOUR + economy.parameters.clockSkew - 1)
    // The clock never runs back.
    expect(await codeOf(presented(good))).toBe('token-expired')
    expect(await codeOf(presented(token({ notAfter: START + 3 * DAY }), await shop.invoice(8)))).toBe('fine')
    economy.clock.set(invoice.invoice.settleBy)
    expect(await codeOf(presented(token({ notAfter: START + 3 * DAY, notBefore: START, day: dayOf(START) })))).toBe('invoice-expired')
  })

  test('bytes that are no payment file', async () => {
    const file = encode(Presentation, presented(token()))
    expect(await shop.codeOf(shop.engine.accept(file.subarray(1)))).toBe('bad-encoding')
    expect(await shop.codeOf(shop.engine.accept(new Uint8Array(5000)))).toBe('bad-encoding')
  })
})

describe('replayed', () => {
  test('for the same order: the same receipt, told apart at the till, even days later', async () => {
    const payment = presented(token())
    const { signed } = await shop.run(shop.engine.accept(payment))
    expect(await shop.run(shop.engine.accept(payment))).toEqual({ signed, repeat: true })
    economy.clock.advance(3 * DAY)
    shop.restart()
    expect(await shop.run(shop.engine.accept(payment))).toEqual({ signed, repeat: true })
    expect(await shop.ask({ op: 'present', presentation: payment })).toEqual({ is: 'paid', signed, settlement: null })
    expect((await shop.run(shop.engine.takings())).accepted).toBe(8)
  })

  test('for another order: refused, also when that is paid already', async () => {
    const one = token()
    const second = await shop.invoice(8)
    expect(await codeOf(presented(one))).toBe('fine')
    expect(await codeOf(presented(one, second))).toBe('token-already-accepted')
    expect(await shop.replyTo({ op: 'status', invoice: hashOf(second) })).toBe('unpaid')
    expect(await codeOf(presented(token(), second))).toBe('fine')
    expect(await codeOf(presented(one, second))).toBe('token-already-accepted')
    expect((await shop.run(shop.engine.takings())).accepted).toBe(16)
  })

  test('all at once, for two orders: one is paid', async () => {
    const one = token()
    const orders = [invoice, await shop.invoice(8), await shop.invoice(8)]
    const codes = await Promise.all(orders.map(async order => await codeOf(presented(one, order))))
    expect(codes.sort()).toEqual(['fine', 'token-already-accepted', 'token-already-accepted'])
    expect((await shop.run(shop.engine.takings())).accepted).toBe(8)
  })

  test('two tokens for one order: the second is refused, not swallowed', async () => {
    const codes = await Promise.all([token(), token()].map(async one => await codeOf(presented(one))))
    expect(codes.sort()).toEqual(['fine', 'invoice-paid'])
    expect((await shop.run(shop.engine.takings())).accepted).toBe(8)
  })

  test('the same payment twice at once delivers once', async () => {
    const payment = presented(token())
    const both = await Promise.all([0, 1].map(async () => await shop.run(shop.engine.accept(payment))))
    expect(both.map(({ repeat }) => repeat).sort()).toEqual([false, true])
    expect(both[0].signed).toEqual(both[1].signed)
  })
})

describe('durable before "paid"', () => {
  test('stopped at any effect: either nothing happened, or the retry has the receipt, and the token pays once', async () => {
    const payment = presented(token())
    const restore = await town.snapshot([])
    for (const when of ['before', 'after'] as const) {
      for (let effect = 0, finished = false; !finished; effect++) {
        await restore()
        finished = await shop.runUntil(shop.engine.accept(payment), effect, when)
        shop.restart()
        const { accepted } = await shop.run(shop.engine.takings())
        const { repeat } = await shop.run(shop.engine.accept(payment))
        expect(repeat).toBe(accepted === 8)
        if (finished) expect(repeat).toBe(true)
        expect((await shop.run(shop.engine.takings())).accepted).toBe(8)
      }
    }
  })
})

test('two tills with a store each: no token pays at both', async () => {
  const other = town.shop('bakery', { till: { name: suite.sha256(utf8('till 2')), alone: true } })
  for (const till of [NONE, TILL, suite.sha256(utf8('till 2'))]) {
    const one = token({ till })
    const codes = [await codeOf(presented(one, await shop.invoice(8))), await other.codeOf(other.engine.accept(presented(one, await other.invoice(8))))]
    expect(codes.filter(code => code === 'fine')).toHaveLength(till.length === 0 ? 0 : 1)
  }
})

test('a shop that was restored from a copy refuses tokens of before, which it may have accepted already', async () => {
  const { clock, parameters } = town.desk.economy
  const restored = town.shop('bakery', { till: { name: TILL, alone: true } })
  restored.store = shop.store
  await restored.run(restored.engine.declareLoss(clock.now()))
  // For good: nobody says it again.
  restored.restart()
  expect(await restored.codeOf(restored.engine.accept(presented(token())))).toBe('token-before-restore')
  clock.advance(parameters.clockSkew + 1)
  expect(await restored.codeOf(restored.engine.accept(presented(token())))).toBe('fine')
})
