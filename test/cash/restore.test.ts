/** A wallet from its words alone: what it finds, what it never does, and what the bank learns by it. */
import { expect, test } from 'vitest'
import { Town, type Person } from '../doubles/town.ts'

const AT_ONCE = { pace: 0 }

/** The machine is lost: its words on a new one. */
async function lost (town: Town, name = 'ann'): Promise<Person> {
  return await town.person(name)
}

test('a new machine has all that the old one had', async () => {
  const town = new Town()
  const shop = town.shop()
  const ann = await town.person('ann', 60)
  await ann.run(ann.engine.payWithCoins(await shop.invoice(9)))
  await ann.run(ann.engine.exchange([4, 4, 4, 4, 4]))
  const again = await lost(town)
  const { restored } = await again.run(again.engine.restore(AT_ONCE))
  expect(restored).toMatchObject({ available: 51, inFlight: 0, leftOver: 0, unknown: 0, bad: 0 })
  expect(await again.worth()).toBe(51)
  await again.run(again.engine.payWithCoins(await shop.invoice(51)))
  await town.expectBooks([again])
})
