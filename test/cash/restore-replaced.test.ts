/** A wallet from its words, where coins were replaced by others: of such a contract there are several copies. */
import { expect, test } from 'vitest'
import { rsaKeys } from '../doubles/economy.ts'
import { Town } from '../doubles/town.ts'

test.each([0, 1, 2, 3, 4, 5, 6, 7])('a coin for which another was signed over is not taken for spent with it, whichever copy of the contract is read first: order %i', async order => {
  // Few values make few questions.
  const town = new Town({ keyset: { denominations: [1, 2, 4, 8, 16].map((value, i) => ({ value, key: rsaKeys[i].publicKey.n })) } })
  const shop = town.shop()
  const ann = await town.person('ann', 39)
  const [first] = (await ann.run(ann.engine.plan(8))).coins
  const keepers = town.desk.economy.keepersOf(first)
  for (const keeper of keepers.slice(0, 2)) keeper.down = true
  await ann.run(ann.engine.payWithCoins(await shop.invoice(8)))
  for (const keeper of keepers) keeper.down = false
  expect(await ann.run(ann.engine.balance())).toMatchObject({ available: 23, leftOver: 8 })
  town.desk.economy.rng.bytes(order)
  const again = await town.person('ann')
  const { restored } = await again.run(again.engine.restore({ pace: 0 }))
  expect(restored).toMatchObject({ available: 23, leftOver: 8, unknown: 0 })
  expect(await again.available()).toBe(31)
  await town.expectBooks([again])
})
