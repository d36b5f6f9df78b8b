/** The whole story, with every engine real and every port virtual: bank, seven centers, merchants, wallets. */
import { expect, test } from 'vitest'
import { toHex } from '@mixmint/core/kit/bytes'
import { verifyDoubleSpend } from '@mixmint/core/cash/spend'
import { Presentation } from '@mixmint/core/cash/formats'
import { encode } from '@mixmint/core/kit/codec'
import { coinId } from '@mixmint/core/cash/coin'
import { HOUR, suite } from '../doubles/economy.ts'
import { copyOf } from '../doubles/memory-store.ts'
import { Person, Town } from '../doubles/town.ts'

test('a purchase nobody watched: token, coins, double spend, dead keepers, substitution, books', async () => {
  const town = new Town()
  const { economy } = town.desk
  const shop = town.shop('bakery')
  const rival = town.shop('rival')
  const ann = await town.person('ann', 500)
  expect(await ann.available()).toBe(500)
  expect(ann.sent).toEqual(['direct withdraw'])

  // A token with change, over the mixnet.
  const token = await ann.run(ann.engine.buyToken(shop.key.publicKey, 20))
  expect(token.token.amount).toBe(20)
  expect(await ann.available()).toBe(480)
  expect(ann.sent.slice(1).every(line => line.startsWith('mixnet'))).toBe(true)
  const cake = await shop.invoice(20, 'cake')
  const other = await shop.invoice(20, 'another cake')

  // Bank and centers are off.
  town.network(false)
  const presentation = await ann.run(ann.engine.presentToken(token.token.serial, cake))
  const first = await shop.run(shop.engine.accept(encode(Presentation, presentation)))
  expect(first).toMatchObject({ repeat: false, signed: { paid: { how: 'token' } } })
  expect((await shop.run(shop.engine.accept(presentation))).repeat).toBe(true)
  const copy = new Person(town, 'ann')
  copy.store = await copyOf(ann.store)
  expect(await ann.codeOf(ann.engine.presentToken(token.token.serial, other))).toBe('token-used')
  await expect(shop.run(shop.engine.deposit())).rejects.toMatchObject({ code: 'overdue' })
  town.network(true)
  expect(await shop.run(shop.engine.deposit())).toEqual({ credited: 1, already: 0, refused: 0, amount: 20 })
  expect(await shop.run(shop.engine.deposit())).toEqual({ credited: 0, already: 0, refused: 0, amount: 0 })
  expect(await town.accountOf(shop)).toBe(20)

  // Coins, on-line. A thief has a copy of the wallet from before.
  const thief = new Person(town, 'ann')
  thief.store = await copyOf(ann.store)
  // It does not even ask the bank to keep a copy of its contract: that would have stopped it.
  thief.bend = (reply, request) => request.op === 'file' ? { is: 'filed' } : reply
  const bread = await shop.invoice(100, 'bread')
  const paid = await ann.run(ann.engine.payWithCoins(bread))
  expect(paid.settled).toBe(true)
  expect(await ann.available()).toBe(380)
  town.honest = false
  expect(await thief.codeOf(thief.engine.payWithCoins(await rival.invoice(100)))).toBe('double-spend')
  town.honest = true
  const proofs = await rival.run(rival.engine.proofs(9))
  expect(proofs.length).toBeGreaterThan(0)
  const { proof, keyset } = proofs[0].file
  expect(keyset).toEqual(economy.signedKeyset)
  verifyDoubleSpend(suite, economy.known, proof)
  expect((await rival.run(rival.engine.takings())).accepted).toBe(0)

  // One keeper dead: nobody notices. Two: the coin is replaced.
  const [victim] = (await ann.run(ann.engine.plan(64))).coins
  const keepers = economy.keepersOf({ coin: victim.coin } as never)
  keepers[0].down = true
  const again = await ann.run(ann.engine.payWithCoins(await shop.invoice(1)))
  expect(again.settled).toBe(true)
  keepers[1].down = true
  const before = await ann.available()
  const third = await ann.run(ann.engine.payWithCoins(await shop.invoice(victim.value)))
  expect(third.settled).toBe(true)
  const balance = await ann.run(ann.engine.balance())
  expect(balance.leftOver).toBeGreaterThanOrEqual(victim.value)
  expect(balance.available + balance.leftOver).toBe(before - victim.value)
  expect((await ann.run(ann.engine.coins())).some(({ id, state }) => toHex(id) === toHex(coinId(suite, victim.coin)) && state === 'left')).toBe(true)
  expect((await ann.run(ann.engine.reclaim())).results[0].error?.code).toBe('coins-unavailable')

  for (const keeper of keepers) keeper.down = false
  await ann.run(ann.engine.recover())
  expect(await ann.available()).toBe(before - victim.value)
  await town.expectBooks([ann])
  economy.clock.advance(HOUR)
  await town.expectBooks([ann])
})
