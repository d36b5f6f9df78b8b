/** A bank whose signing keys are in other hands, and what its operator does about it (docs/incidents.md). */
import { expect, test } from 'vitest'
import { utf8 } from '@mixmint/core/kit/bytes'
import { BankDesk } from '../doubles/bank-desk.ts'
import { DAY, mint, START, suite } from '../doubles/economy.ts'

test('forged coins are paid until it is found out; from the operator\'s word on none is, and what begins afterwards goes on', async () => {
  const desk = new BankDesk({ later: [{ keyset: { issueFrom: START + 2 * DAY } }] })
  const honest = await desk.coins(8)
  // Whoever has the key signs for himself, and the books have not issued it.
  const forger = new BankDesk()
  const before = await desk.run(desk.engine.books())
  expect(before).toMatchObject({ balanced: true })
  const forged = await forged8(forger)
  expect((await desk.ask(desk.settle(desk.pay(8), [forged[0]]))).is).toBe('settlement')
  expect((await desk.ask(desk.settle(desk.pay(8), honest))).is).toBe('settlement')
  // More was redeemed than issued: that is how it shows.
  expect(await desk.run(desk.engine.books())).toMatchObject({ balanced: false, faults: expect.arrayContaining([expect.stringContaining('its key is in other hands')]) })

  desk.economy.clock.set(desk.economy.clock.now() + 10_000)
  await desk.run(desk.engine.declareLoss(desk.economy.clock.now()))
  expect(await desk.codeOf(desk.settle(desk.pay(8), [forged[1]]))).toBe('closed-after-loss')
  expect(await desk.run(desk.engine.standing(desk.economy.payee.publicKey))).toMatchObject({ state: 'frozen' })
  desk.restart()
  expect(await desk.codeOf(desk.settle(desk.pay(8), [forged[1]]))).toBe('closed-after-loss')

  // Coins of the keyset that comes next, for which the thief has no keys, are paid; those of before still are not.
  await desk.workUntil(START + 3 * DAY)
  const ofNext = mint(suite.sha256(utf8('of the next keyset')), desk.economy.keysets[1].id, 8)
  expect(await desk.codeOf(desk.settle(desk.pay(8), [ofNext]))).toBe('settlement')
  expect(await desk.codeOf(desk.settle(desk.pay(8), [forged[1]]))).toBe('closed-after-loss')
  // And an account is given back to its owner once the operator has looked into it.
  await desk.run(desk.engine.stand('thaw', desk.economy.payee.publicKey, 'as its owner has it'))
  expect(await desk.run(desk.engine.standing(desk.economy.payee.publicKey))).toMatchObject({ state: 'open' })
  expect(await desk.balance(desk.economy.payee)).toBe(24)
})

/** Coins of a bank with the same keys that this bank's books know nothing of. */
async function forged8 (forger: BankDesk): Promise<Awaited<ReturnType<BankDesk['coins']>>> {
  // The first is the one that the honest customer was given: coins are drawn from the same seed.
  const [, ...others] = await forger.coins(8, 8, 8)
  return others
}
