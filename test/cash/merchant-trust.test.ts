/** Coins taken on trust: within limits, completed by themselves when keepers return, and told when they were lost. */
import { beforeEach, describe, expect, test } from 'vitest'
import { encode } from '@mixmint/core/kit/codec'
import { retire } from '@mixmint/core/cash/center-proof'
import { contractId } from '@mixmint/core/cash/contract'
import { Input } from '@mixmint/core/cash/formats'
import { contestAt } from '@mixmint/core/cash/merchant/keys'
import type { MerchantRequest } from '@mixmint/core/cash/messages'
import { Registry } from '@mixmint/core/cash/registry'
import { signSpend } from '@mixmint/core/cash/spend'
import { HOUR, MONEY, NETWORK, suite, type OwnedCoin } from '../doubles/economy.ts'
import { copyOf } from '../doubles/memory-store.ts'
import { hashOf, Town, type Person, type Shop } from '../doubles/town.ts'

const LIMITS = { perOrder: 20, total: 30, perKeyset: 25 }

let town: Town
let shop: Shop
let ann: Person

beforeEach(async () => {
  town = new Town()
  shop = town.shop('bakery', { trust: LIMITS })
  ann = await town.person('ann', 60)
})

function keepers (up: boolean): void {
  town.network(up)
  town.bankDown = false
}

async function pay (amount: number, person = ann, at = shop): Promise<string> {
  return await person.codeOf(person.engine.payWithCoins(await at.invoice(amount)))
}

/** Whoever cheats has no copy filed, which the bank would refuse: he waits until it is away. */
async function cheat (amount: number, person: Person, at = shop): Promise<string> {
  const invoice = await at.invoice(amount)
  town.bankDown = true
  try {
    return await person.codeOf(person.engine.payWithCoins(invoice, { waived: true }))
  } finally {
    town.bankDown = false
  }
}

/** Somebody with a copy of a wallet. */
async function copyFrom (person: Person, name: string): Promise<Person> {
  const copy = await town.person(name)
  copy.store = await copyOf(person.store)
  return copy
}

const risks = async (): ReturnType<typeof shop.run<{ atRisk: number, losses: Array<{ code: string, amount: number, how: string }> }>> => await shop.run(shop.engine.risks())

test('no keeper answers: paid all the same, at risk until they are back, and then settled by itself', async () => {
  keepers(false)
  expect(await pay(9)).toBe('fine')
  expect(await shop.run(shop.engine.orders())).toMatchObject([{ paid: 'coins', settled: false }])
  expect(await risks()).toEqual({ atRisk: 9, losses: [] })
  expect(await shop.run(shop.engine.settlePending())).toEqual({ settled: 0, pending: 1 })

  keepers(true)
  expect(await shop.run(shop.engine.settlePending())).toEqual({ settled: 1, pending: 0 })
  expect(await risks()).toEqual({ atRisk: 0, losses: [] })
  expect(await shop.run(shop.engine.orders())).toMatchObject([{ paid: 'coins', settled: true }])
  await ann.run(ann.engine.recover())
  await town.expectBooks([ann])
})

test('keepers that are back after the payer could have voided, and did not: it is settled', async () => {
  keepers(false)
  await pay(9)
  keepers(true)
  town.desk.economy.clock.advance(MONEY.settleMaximum + MONEY.voidGrace + HOUR)
  expect(await shop.run(shop.engine.settlePending())).toEqual({ settled: 1, pending: 0 })
  expect((await risks()).atRisk).toBe(0)
})

test('no trust, no sale', async () => {
  keepers(false)
  expect(await pay(9, ann, town.shop('strict'))).toBe('coins-unavailable')
})

test('the limits: of one order, in all, of a keyset; what is settled gives room again', async () => {
  keepers(false)
  expect(await pay(21)).toBe('coins-unavailable')
  keepers(true)
  const [ben, dora] = [await town.person('ben', 60), await town.person('dora', 60)]
  keepers(false)
  expect(await pay(14, ben)).toBe('fine')
  // 14 and 12 would be more than one keyset may have.
  expect(await pay(12, ben)).toBe('coins-unavailable')
  expect((await risks()).atRisk).toBe(14)
  keepers(true)
  await shop.run(shop.engine.settlePending())
  keepers(false)
  expect(await pay(12, dora)).toBe('fine')
  expect((await risks()).atRisk).toBe(12)
})

test('the same coins are not taken on trust twice in one shop', async () => {
  town.honest = false
  const eve = await town.person('eve', 9)
  const copy = await copyFrom(eve, 'eve')
  keepers(false)
  expect(await pay(9, eve)).toBe('fine')
  expect(await cheat(9, copy)).toBe('coins-unavailable')
  expect((await risks()).atRisk).toBe(9)
})

test('coins that have paid here, certified, are not taken on trust again', async () => {
  town.honest = false
  const eve = await town.person('eve', 9)
  const copy = await copyFrom(eve, 'eve')
  expect(await pay(9, eve)).toBe('fine')
  keepers(false)
  expect(await cheat(9, copy)).toBe('coins-unavailable')
})

test('spent elsewhere meanwhile: written off once its time is over, with why, and no longer at risk', async () => {
  town.honest = false
  const copy = await copyFrom(ann, 'ann')
  keepers(false)
  await pay(9)
  keepers(true)
  const elsewhere = town.shop('elsewhere')
  expect(await cheat(9, copy, elsewhere)).toBe('fine')
  await elsewhere.run(elsewhere.engine.settlePending())
  expect(await shop.run(shop.engine.settlePending())).toEqual({ settled: 0, pending: 1 })
  expect((await risks()).atRisk).toBe(9)
  town.desk.economy.clock.advance(MONEY.settleMaximum + MONEY.voidGrace + HOUR)
  await shop.run(shop.engine.settlePending())
  const { atRisk, losses } = await risks()
  expect(atRisk).toBe(0)
  expect(losses).toMatchObject([{ how: 'coins', amount: 9, code: 'double-spend' }])
  expect(await shop.run(shop.engine.takings())).toEqual({ accepted: 9, deposited: 0, settled: 0, pending: 0, refused: 9, repaid: 0 })
  await town.desk.expectBalanced()
})

/** One coin of 8, signed over to an invoice of this shop. */
async function coinFor (owned: OwnedCoin, at: Shop): Promise<MerchantRequest & { op: 'pay' }> {
  const signed = await at.invoice(8)
  const { settleBy } = signed.invoice
  const contract = town.desk.economy.contract({ kind: 'pay', payee: at.key.publicKey, amount: 8, invoice: hashOf(signed), settleBy })
  return { op: 'pay', contract, inputs: [signSpend(suite, owned.key, owned.coin, contractId(suite, contract))] }
}

test('spent elsewhere, and two of its keepers are down: the others are heard, and it is not taken on trust', async () => {
  const [coin] = await town.desk.coins(8)
  const elsewhere = town.shop('elsewhere')
  expect(await elsewhere.replyTo(await coinFor(coin, elsewhere))).toBe('paid')
  for (const center of town.desk.economy.keepersOf(coin).slice(0, 2)) center.down = true
  expect(await shop.replyTo(await coinFor(coin, shop))).toBe('short')
  expect((await risks()).atRisk).toBe(0)
  expect((await shop.run(shop.engine.proofs(9))).length).toBe(1)
})

test('votes of a center whose key was revoked meanwhile count for settling, as they do at the bank', async () => {
  const { centers, listing, parameters, keepersOf, clock } = town.desk.economy
  const [coin] = await town.desk.coins(8)
  const [revoked, away, late] = keepersOf(coin)
  away.down = late.down = true
  town.bankDown = true
  expect(await shop.replyTo(await coinFor(coin, shop))).toBe('paid')
  expect((await risks()).atRisk).toBe(8)

  town.desk.registry = new Registry(suite, NETWORK, parameters, [{
    ...listing, revocations: [{ voteKey: revoked.voteKey.publicKey, from: clock.now(), why: { is: 'retired', retirement: retire(suite, NETWORK, revoked.voteKey) } }]
  }])
  // Its vote is here already, and cannot be had again.
  for (const center of centers) center.down = center === away || center === revoked
  town.bankDown = false
  expect(await shop.run(shop.engine.settlePending())).toEqual({ settled: 1, pending: 0 })
  expect((await risks()).atRisk).toBe(0)
})

test('voided by its payer before the shop came to settle: a loss, too', async () => {
  keepers(false)
  await pay(9)
  keepers(true)
  town.desk.economy.clock.advance(MONEY.settleMaximum + MONEY.voidGrace + HOUR)
  await ann.run(ann.engine.recover())
  expect(await ann.available()).toBe(60)
  await shop.run(shop.engine.settlePending())
  expect(await risks()).toMatchObject({ atRisk: 0, losses: [{ amount: 9, code: 'void' }] })
  await town.expectBooks([ann])
})

test('two tills on one store do not put more at risk than the limit for both', async () => {
  const second = town.shop('bakery', { trust: LIMITS })
  second.store = shop.store
  const payments = await Promise.all([14, 13].map(async amount => await offered(amount, await town.person(`buyer of ${amount}`, 60))))
  keepers(false)
  await Promise.all([shop.run(shop.engine.acceptCoins(payments[0].contract, payments[0].inputs)), second.run(second.engine.acceptCoins(payments[1].contract, payments[1].inputs))])
  expect((await risks()).atRisk).toBeLessThanOrEqual(LIMITS.perKeyset)
  expect((await risks()).atRisk).toBeGreaterThan(0)
})

test('settled first, and then contested, so many in a pass', async () => {
  const [coin] = await town.desk.coins(8)
  const request = await coinFor(coin, shop)
  town.bankDown = true
  expect(await shop.replyTo(request)).toBe('paid')
  await shop.store.batch(Array.from({ length: 70 }, (_, i) => ({ op: 'put', key: contestAt(suite.sha256(Uint8Array.of(i))), value: encode(Input, request.inputs[0]) })))
  town.bankDown = false
  const ops: string[] = []
  town.bendBank(async (request, ask) => { ops.push(request.op); return await ask(request) })
  expect(await shop.run(shop.engine.settlePending())).toEqual({ settled: 1, pending: 0 })
  expect(ops).toEqual(['settle', ...Array.from({ length: 64 }, () => 'contest')])
  await shop.run(shop.engine.settlePending())
  expect(ops.length).toBe(1 + 70)
})

/** What a wallet would bring. */
async function offered (amount: number, person = ann): Promise<MerchantRequest & { op: 'pay' }> {
  const invoice = await shop.invoice(amount)
  shop.down = true
  await person.codeOf(person.engine.payWithCoins(invoice))
  shop.down = false
  return person.requests.at(-1) as MerchantRequest & { op: 'pay' }
}

describe.each(['taking', 'settling'])('%s', what => {
  test.each(['before', 'after'] as const)('stopped %s any effect: taken once, at risk once, settled once', async when => {
    const { contract, inputs } = await offered(9)
    keepers(false)
    if (what === 'settling') await shop.run(shop.engine.acceptCoins(contract, inputs))
    const restore = await town.snapshot([ann])
    for (let effect = 0, finished = false; !finished; effect++) {
      await restore()
      keepers(what === 'settling')
      finished = await shop.runUntil(what === 'settling' ? shop.engine.settlePending() : shop.engine.acceptCoins(contract, inputs), effect, when)
      shop.restart()
      const { reply } = await shop.run(shop.engine.acceptCoins(contract, inputs))
      expect(reply.is).toBe('paid')
      keepers(true)
      await shop.run(shop.engine.settlePending())
      expect(await risks()).toEqual({ atRisk: 0, losses: [] })
      expect(await shop.run(shop.engine.takings())).toEqual({ accepted: 9, deposited: 0, settled: 9, pending: 0, refused: 0, repaid: 0 })
      await ann.run(ann.engine.recover())
      await town.expectBooks([ann])
      if (effect > 300) throw new Error('it does not come to an end')
    }
  })
})
