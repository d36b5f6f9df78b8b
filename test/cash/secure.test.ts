/** After a restore: coins that others may have too, out of bundles or from the lost machine. Who comes first has them, and the wallet knows. */
import { beforeEach, expect, test } from 'vitest'
import type { CoinBundle } from '@mixmint/core/cash/formats'
import { DAY, rsaKeys } from '../doubles/economy.ts'
import { Town, type Person, type Shop } from '../doubles/town.ts'

/** Few values make few questions. */
const SMALL = { keyset: { denominations: [1, 2, 4, 8, 16].map((value, i) => ({ value, key: rsaKeys[i].publicKey.n })) } }
const MONEY = 31

let town: Town
let shop: Shop
let lost: Person
let bob: Person
beforeEach(async () => {
  town = new Town(SMALL)
  shop = town.shop()
  lost = await town.person('ann', MONEY)
  bob = await town.person('bob')
})

async function given (amount: number): Promise<CoinBundle> {
  return (await lost.run(lost.engine.give(amount, { until: town.desk.economy.clock.now() + DAY }))).bundle
}

async function restored (): Promise<Person> {
  const again = await town.person('ann')
  await again.run(again.engine.restore({ pace: 0 }))
  return again
}

test('what was given and not received is shown as its own; once secured, it is', async () => {
  const bundle = await given(12)
  const ann = await restored()
  expect(await ann.available()).toBe(MONEY)
  expect(await ann.run(ann.engine.secure())).toEqual({ ours: MONEY, theirs: 0, open: 0, errors: [] })
  expect(await bob.run(bob.engine.receive(bundle))).toMatchObject({ ours: 0, theirs: 12 })
  expect(await ann.available()).toBe(MONEY)
  await ann.run(ann.engine.payWithCoins(await shop.invoice(MONEY)))
  await town.expectBooks([ann, bob])
})

test('what its receiver has had meanwhile is his, and no payment comes upon it', async () => {
  const bundle = await given(12)
  const ann = await restored()
  await bob.run(bob.engine.receive(bundle))
  expect(await ann.available()).toBe(MONEY)
  expect(await ann.run(ann.engine.secure())).toMatchObject({ ours: MONEY - 12, theirs: 12, open: 0 })
  expect(await ann.available()).toBe(MONEY - 12)
  const states = (await ann.run(ann.engine.history())).filter(({ kind }) => kind === 'secure').map(({ state, amount }) => `${state} ${amount}`)
  expect(states.sort()).toEqual(['done 1', 'done 16', 'done 2', 'lost 4', 'lost 8'])
  await ann.run(ann.engine.payWithCoins(await shop.invoice(MONEY - 12)))
  await town.expectBooks([ann, bob])
})

test('whoever has the lost machine comes too late', async () => {
  const ann = await restored()
  await ann.run(ann.engine.secure())
  town.honest = false
  expect(await lost.codeOf(lost.engine.payWithCoins(await shop.invoice(4), { waived: true }))).toBe('double-spend')
  expect(await ann.available()).toBe(MONEY)
})

test('it goes on where it was interrupted, and leaves alone what is this machine\'s own', async () => {
  const ann = await restored()
  let settled = 0
  const open = town.bendBank(async (request, ask) => {
    if (request.op === 'settle' && ++settled > 2) return { is: 'refused', code: 'overdue', fault: 'us', retry: true, message: '' }
    return await ask(request)
  })
  const first = await ann.run(ann.engine.secure())
  expect(first.errors.length).toBeGreaterThan(0)
  expect(first.ours + first.open).toBe(MONEY)
  open()
  await ann.run(ann.engine.recover())
  expect(await ann.available()).toBe(MONEY)
  const before = ann.sent.length
  expect(await ann.run(ann.engine.secure())).toEqual({ ours: 0, theirs: 0, open: 0, errors: [] })
  expect(ann.sent).toHaveLength(before)
})

test('a machine that stops at any step goes on, and each coin is exchanged once', async () => {
  for (let effect = 0, isOver = false; !isOver; effect += 7) {
    town = new Town(SMALL)
    await town.person('ann', 7)
    const ann = await restored()
    isOver = await ann.runUntil(ann.engine.secure(), effect, effect % 2 === 0 ? 'before' : 'after')
    await ann.run(ann.engine.recover())
    await ann.run(ann.engine.secure())
    expect(await ann.available()).toBe(7)
    await town.expectBooks([ann])
  }
})

test('one that was never restored has nothing to secure', async () => {
  expect(await lost.run(lost.engine.secure())).toEqual({ ours: 0, theirs: 0, open: 0, errors: [] })
  expect(lost.sent.filter(line => line.startsWith('mixnet'))).toEqual([])
})
