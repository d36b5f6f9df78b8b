/** A merchant gives back an order that was paid: once, to whoever paid it, whatever is lost on the way, and to nobody else. */
import { beforeEach, describe, expect, test } from 'vitest'
import type { SignedInvoice } from '@mixmint/core/cash/formats'
import { repayMessage } from '@mixmint/core/cash/reclaim'
import { signKeyset } from '@mixmint/core/cash/keyset'
import { Registry } from '@mixmint/core/cash/registry'
import { DAY, HOUR, keyNamed, MONEY, NETWORK, suite } from '../doubles/economy.ts'
import { hashOf, Town, type Person, type Shop } from '../doubles/town.ts'

let town: Town
let shop: Shop
let ann: Person
let invoice: SignedInvoice

beforeEach(async () => {
  town = new Town()
  shop = town.shop()
  ann = await town.person('ann', 60)
  invoice = await shop.invoice(9)
})

async function payWith (how: string): Promise<void> {
  if (how === 'coins') {
    await ann.run(ann.engine.payWithCoins(invoice))
    return
  }
  if (how === 'sealed tokens') {
    await shop.run(shop.engine.fetchSealedKeys())
    await ann.run(ann.engine.buySealed(shop.key.publicKey, 9))
    await ann.run(ann.engine.payWithSealed(invoice))
  } else {
    await ann.run(ann.engine.buyToken(shop.key.publicKey, 9))
    await ann.run(ann.engine.payWithToken(invoice))
  }
  await shop.run(shop.engine.deposit())
}

describe.each(['coins', 'a token', 'sealed tokens'])('paid with %s', how => {
  beforeEach(async () => { await payWith(how) })

  test('all of it comes back, once, as coins of the payer\'s own', async () => {
    expect(await ann.codeOf(ann.engine.collectRepay(invoice))).toBe('nothing-repaid')
    expect(await shop.run(shop.engine.repay(1))).toMatchObject({ order: '#1 something', amount: 9 })
    await shop.run(shop.engine.repay(1))
    expect(await ann.run(ann.engine.collectRepay(invoice))).toMatchObject({ kind: 'repay', state: 'done', amount: 9, order: '#1 something' })
    expect(await ann.available()).toBe(60)
    expect(await ann.codeOf(ann.engine.collectRepay(invoice))).toBe('repaid-before')
    expect(await shop.run(shop.engine.takings())).toMatchObject({ accepted: 9, repaid: 9 })
    await ann.run(ann.engine.recover())
    await town.expectBooks([ann])
  })

  test('a part of it', async () => {
    await shop.run(shop.engine.repay(1, 4))
    expect(await shop.codeOf(shop.engine.repay(1, 5))).toBe('already-repaid')
    await ann.run(ann.engine.collectRepay(invoice))
    expect(await ann.available()).toBe(55)
    await town.expectBooks([ann])
  })

  test('nobody else has it', async () => {
    await shop.run(shop.engine.repay(1))
    const bob = await town.person('bob', 20)
    expect(await bob.codeOf(bob.engine.collectRepay(invoice))).toBe('not-paid')
    const outputs = town.desk.outputs(8, 1)
    const signature = suite.ed25519Sign(keyNamed('thief'), repayMessage(suite, hashOf(invoice), outputs))
    expect(await shop.replyTo({ op: 'repay', invoice: hashOf(invoice), outputs, signature })).toBe('bad-payer-signature')
  })

  test('the account is empty: promised, and kept', async () => {
    const mend = town.bendBank(async (request, ask) => request.op === 'withdraw' ? { is: 'refused', code: 'insufficient-funds', fault: 'peer', retry: false, message: '' } : await ask(request))
    await shop.run(shop.engine.repay(1))
    expect(await ann.codeOf(ann.engine.collectRepay(invoice))).toBe('repay-unfunded')
    mend()
    await ann.run(ann.engine.recover())
    expect(await ann.available()).toBe(60)
    await town.expectBooks([ann])
  })

  test.each([false, true])('coins of that kind are not made any more (and the bank has lost its data: %s): fresh ones are asked for, and not before that is certain', async isLost => {
    const { clock, listing, signedKeyset, bank, parameters } = town.desk.economy
    const { issueUntil } = signedKeyset.keyset
    const next = signKeyset(suite, bank, { ...signedKeyset.keyset, issueFrom: issueUntil, issueUntil: issueUntil + 30 * DAY, spendUntil: issueUntil + 60 * DAY, redeemUntil: issueUntil + 90 * DAY, refundUntil: issueUntil + 120 * DAY })
    town.desk.registry = new Registry(suite, NETWORK, parameters, [{ ...listing, keysets: [signedKeyset, next] }])
    await shop.run(shop.engine.repay(1))
    // Not asked for in time: the bank hears of it when it is over.
    let mend = town.bendBank(async (request, ask) => { if (request.op === 'withdraw') clock.set(issueUntil + MONEY.clockSkew); return await ask(request) })
    expect(await ann.codeOf(ann.engine.collectRepay(invoice))).toBe('keyset-not-issuing')
    const closed = { is: 'refused', code: 'closed-after-loss', fault: 'peer', retry: false, message: '' } as const
    mend()
    mend = town.bendBank(async (request, ask) => isLost && request.op === 'withdraw' ? closed : await ask(request))
    clock.set(issueUntil + MONEY.margin + 2 * MONEY.clockSkew)
    expect(await ann.codeOf(ann.engine.collectRepay(invoice))).toBe('repay-fresh')
    mend()
    expect(await ann.run(ann.engine.collectRepay(invoice))).toMatchObject({ state: 'done' })
    expect((await shop.run(shop.engine.takings())).repaid).toBe(9)
    expect(await ann.worth()).toBe(60)
  })

  test.each(['before', 'after'] as const)('wallet or shop stopped %s any effect: it comes back once', async when => {
    await shop.run(shop.engine.repay(1))
    const restore = await town.snapshot([ann])
    const perform = async (who: 'ann' | 'shop', effect: number): Promise<boolean> => {
      if (who === 'ann') return await ann.runUntil(ann.engine.collectRepay(invoice), effect, when)
      const answer = shop.ask.bind(shop)
      let finished = false
      // The shop's machine stops in the middle of its answer, and the wallet hears nothing.
      shop.ask = async request => {
        if (request.op !== 'repay') return await answer(request)
        finished = await shop.runUntil(shop.engine.handle(request), effect, when)
        shop.restart()
        return { is: 'refused', code: 'overdue', fault: 'operator', retry: true, message: '' }
      }
      await ann.codeOf(ann.engine.collectRepay(invoice))
      shop.ask = answer
      return finished
    }
    for (const who of ['ann', 'shop'] as const) {
      for (let effect = 0, finished = false; !finished; effect++) {
        await restore()
        finished = await perform(who, effect)
        await ann.runUntil(ann.engine.recover(), effect % 7, when)
        await ann.run(ann.engine.recover())
        expect(['fine', 'repaid-before']).toContain(await ann.codeOf(ann.engine.collectRepay(invoice)))
        await ann.run(ann.engine.recover())
        expect(await ann.worth()).toBe(60)
        expect((await shop.run(shop.engine.takings())).repaid).toBe(9)
        await town.expectBooks([ann])
        if (effect > 200) throw new Error('it does not come to an end')
      }
    }
  })
})

test('what is not paid, not settled, not there, or too much is not given back', async () => {
  expect(await shop.codeOf(shop.engine.repay(1))).toBe('not-paid')
  expect(await shop.codeOf(shop.engine.repay(2))).toBe('unknown-order')
  town.bankDown = true
  await ann.run(ann.engine.payWithCoins(invoice, { waived: true }))
  expect(await shop.codeOf(shop.engine.repay(1))).toBe('not-settled')
  town.bankDown = false
  await shop.run(shop.engine.settlePending())
  for (const amount of [0, 10, 1.5]) expect(await shop.codeOf(shop.engine.repay(1, amount))).toBe('bad-argument')
})

test('what the bank declared void is not settled, and not given back', async () => {
  town.bankDown = true
  await ann.run(ann.engine.payWithCoins(invoice, { waived: true }))
  town.bankDown = false
  town.desk.economy.clock.advance(MONEY.settleMaximum + MONEY.voidGrace + HOUR)
  await ann.run(ann.engine.recover())
  await shop.run(shop.engine.settlePending())
  expect(await shop.run(shop.engine.takings())).toMatchObject({ pending: 0, refused: 9 })
  expect(await shop.run(shop.engine.orders())).toMatchObject([{ paid: 'coins', settled: false }])
  expect(await shop.codeOf(shop.engine.repay(1))).toBe('not-settled')
})

test('a token is given back once it is credited, and not where the bank refused it', async () => {
  await ann.run(ann.engine.buyToken(shop.key.publicKey, 9))
  await ann.run(ann.engine.payWithToken(invoice))
  expect(await shop.run(shop.engine.orders())).toMatchObject([{ paid: 'token', settled: true }])
  expect(await shop.codeOf(shop.engine.repay(1))).toBe('not-settled')
  await shop.run(shop.engine.deposit())
  expect(await shop.codeOf(shop.engine.repay(1))).toBe('fine')
})
