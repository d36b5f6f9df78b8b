/** Coins from person to person: given as a bundle, received by exchanging it, taken back; one of them has them, never both. */
import { beforeEach, describe, expect, test } from 'vitest'
import { decode, encode } from '@mixmint/core/kit/codec'
import { CoinBundle } from '@mixmint/core/cash/formats'
import type { Given } from '@mixmint/core/cash/wallet/handover'
import { DAY, HOUR, keyNamed, MONEY } from '../doubles/economy.ts'
import { Town, type Person } from '../doubles/town.ts'

/** After this nobody who honestly received a bundle of `until` is at it. */
const SAFE = MONEY.settleMaximum + MONEY.voidGrace + MONEY.clockSkew

let town: Town
let ann: Person
let bob: Person
let until: number

beforeEach(async () => {
  town = new Town()
  ann = await town.person('ann', 60)
  bob = await town.person('bob')
  until = town.desk.economy.clock.now() + DAY
})

async function give (amount: number, memo = ''): Promise<Given> {
  const given = await ann.run(ann.engine.give(amount, { memo, until }))
  // As it goes from hand to hand: as bytes.
  return { ...given, bundle: decode(CoinBundle, encode(CoinBundle, given.bundle)) }
}

async function toSafety (): Promise<void> {
  town.desk.economy.clock.set(until + SAFE)
  for (const person of [ann, bob]) await person.run(person.engine.recover())
}

test('given and received: what is in the bundle, who has it, and how it ends', async () => {
  const { bundle, sequence } = await give(9, 'for the pizza')
  expect(bundle).toMatchObject({ amount: 9, memo: 'for the pizza', unit: 'EUR-cent', until })
  expect(await ann.run(ann.engine.balance())).toMatchObject({ available: 51, given: 9 })
  expect(await ann.run(ann.engine.given())).toMatchObject([{ sequence, ours: 0, theirs: 0, open: 9 }])

  expect(await bob.run(bob.engine.receive(bundle))).toEqual({ ours: 9, theirs: 0, open: 0, errors: [] })
  expect(await bob.available()).toBe(9)
  expect(bob.sent).toEqual(bundle.coins.map(() => 'mixnet settle'))
  // With coins that its giver has never seen.
  const shop = town.shop()
  await bob.run(bob.engine.payWithCoins(await shop.invoice(9)))

  await toSafety()
  expect(await ann.run(ann.engine.given())).toMatchObject([{ ours: 0, theirs: 9, open: 0 }])
  expect((await ann.run(ann.engine.history())).find(({ kind }) => kind === 'give')).toMatchObject({ state: 'done', amount: 9, order: 'for the pizza' })
  await town.expectBooks([ann, bob])
})

test('sizes that are missing are exchanged first; the rest stays', async () => {
  const { bundle } = await give(33)
  expect(bundle.coins.reduce((sum, { value }) => sum + value, 0)).toBe(33)
  expect(await bob.run(bob.engine.receive(bundle))).toMatchObject({ ours: 33 })
  expect(await ann.available()).toBe(27)
})

test('the same bundle again, and by a second receiver: the first has it', async () => {
  const { bundle } = await give(9)
  const carl = await town.person('carl')
  await bob.run(bob.engine.receive(bundle))
  expect(await bob.run(bob.engine.receive(bundle))).toMatchObject({ ours: 9, theirs: 0 })
  expect(await bob.available()).toBe(9)
  expect(await carl.run(carl.engine.receive(bundle))).toMatchObject({ ours: 0, theirs: 9, open: 0 })
  expect(await carl.available()).toBe(0)
  await toSafety()
  await town.expectBooks([ann, bob, carl])
})

test('received twice at the same moment in one wallet: each coin is claimed once', async () => {
  const { bundle } = await give(9)
  const both = await Promise.all([bob.run(bob.engine.receive(bundle)), bob.run(bob.engine.receive(bundle))])
  for (const { ours, theirs } of both) expect(ours + theirs).toBe(9)
  await bob.run(bob.engine.recover())
  expect(await bob.run(bob.engine.receive(bundle))).toMatchObject({ ours: 9, theirs: 0 })
  expect((await bob.run(bob.engine.history())).filter(({ kind }) => kind === 'receive')).toHaveLength(bundle.coins.length)
})

test('nobody received it: it comes back, by itself once that is safe', async () => {
  const { sequence } = await give(9)
  expect(await ann.codeOf(ann.engine.takeBack(sequence))).toBe('too-early')
  town.desk.economy.clock.set(until + SAFE - 1000)
  await ann.run(ann.engine.recover())
  expect(await ann.available()).toBe(51)
  await toSafety()
  expect(await ann.available()).toBe(60)
  expect(await ann.run(ann.engine.given())).toMatchObject([{ ours: 9, theirs: 0, open: 0 }])
  await town.expectBooks([ann, bob])
})

test('taken back at once: its receiver comes too late, and is told', async () => {
  const { sequence, bundle } = await give(9)
  expect(await ann.run(ann.engine.takeBack(sequence, { early: true }))).toMatchObject({ ours: 9, open: 0 })
  expect(await bob.run(bob.engine.receive(bundle))).toMatchObject({ ours: 0, theirs: 9, open: 0 })
  expect(await ann.run(ann.engine.takeBack(sequence))).toMatchObject({ ours: 9 })
  await town.expectBooks([ann, bob])
})

test('received before it is taken back: the giver is told', async () => {
  const { sequence, bundle } = await give(9)
  await bob.run(bob.engine.receive(bundle))
  expect(await ann.run(ann.engine.takeBack(sequence, { early: true }))).toMatchObject({ ours: 0, theirs: 9 })
  expect(await ann.available()).toBe(51)
  await town.expectBooks([ann, bob])
})

test('half received, its machine broken: the other half comes back', async () => {
  const { sequence, bundle } = await give(9)
  let asked = 0
  bob.before = async effect => { if (effect === 'ask-bank' && ++asked > 1) await new Promise(() => {}) }
  void bob.run(bob.engine.receive(bundle))
  while (await bob.available() === 0) await new Promise(resolve => { setImmediate(resolve) })
  const { ours, theirs } = await ann.run(ann.engine.takeBack(sequence, { early: true }))
  expect(ours + theirs).toBe(9)
  expect(ours).toBeGreaterThan(0)
  bob.before = () => {}
  await bob.run(bob.engine.recover())
  expect(await bob.worth()).toBe(theirs)
  expect(await ann.worth()).toBe(51 + ours)
})

test('late: its receiver is warned, and may try', async () => {
  const { bundle } = await give(9)
  town.desk.economy.clock.set(until)
  expect(await bob.codeOf(bob.engine.receive(bundle))).toBe('bundle-late')
  expect(await bob.run(bob.engine.receive(bundle, { late: true }))).toMatchObject({ ours: 9 })
  expect(await bob.run(bob.engine.receive(bundle))).toMatchObject({ ours: 9 })
})

test('keepers are down: it is kept, and completed when they are back', async () => {
  const { bundle } = await give(9)
  town.network(false)
  town.bankDown = false
  const first = await bob.run(bob.engine.receive(bundle))
  expect(first).toMatchObject({ ours: 0, open: 9 })
  expect(first.errors.map(({ code }) => code)).toEqual(bundle.coins.map(() => 'coins-unavailable'))
  town.network(true)
  await bob.run(bob.engine.recover())
  expect(await bob.run(bob.engine.receive(bundle))).toMatchObject({ ours: 9, open: 0 })
})

test('keepers are down for days: the claim is void, and its coin comes all the same', async () => {
  const { bundle } = await give(9)
  const [first] = bundle.coins
  town.network(false)
  town.bankDown = false
  await bob.run(bob.engine.receive(bundle))
  town.network(true)
  town.desk.economy.clock.advance(MONEY.settleMaximum + MONEY.voidGrace + HOUR)
  await bob.run(bob.engine.recover())
  expect(await bob.run(bob.engine.receive(bundle))).toMatchObject({ ours: 9, open: 0 })
  expect((await bob.run(bob.engine.history())).filter(({ kind, amount }) => kind === 'receive' && amount === first.value)[0].state).toBe('void')
  await toSafety()
  await town.expectBooks([ann, bob])
})

test('votes that are split: told as contested, owned by nobody, and never by two', async () => {
  const { sequence, bundle } = await give(1)
  const [coin] = (await ann.run(ann.engine.coins())).filter(({ state }) => state === 'given')
  const keepers = town.desk.economy.keepersOf(coin)
  for (const keeper of keepers.slice(0, 2)) keeper.down = true
  expect((await bob.run(bob.engine.receive(bundle))).errors).toMatchObject([{ code: 'coins-unavailable' }])
  for (const [i, keeper] of keepers.entries()) keeper.down = i >= 2
  expect((await ann.run(ann.engine.takeBack(sequence, { early: true }))).errors).toMatchObject([{ code: 'coins-unavailable' }])
  town.network(true)
  expect((await bob.run(bob.engine.receive(bundle))).errors).toMatchObject([{ code: 'coin-contested', retry: true }])
  expect((await ann.run(ann.engine.takeBack(sequence))).errors).toMatchObject([{ code: 'coin-contested' }])
  await town.desk.expectBalanced()
})

describe('what is refused', () => {
  const bent: Record<string, [code: string, bend: (bundle: CoinBundle) => CoinBundle]> = {
    'another network': ['wrong-network', bundle => ({ ...bundle, network: 'other' })],
    'another bank': ['wrong-bank', bundle => ({ ...bundle, bank: keyNamed('other').publicKey })],
    'another unit': ['wrong-unit', bundle => ({ ...bundle, unit: 'USD' })],
    'worth less than it says': ['wrong-sum', bundle => ({ ...bundle, amount: 10 })],
    'a coin twice': ['duplicate-coin', bundle => ({ ...bundle, amount: 10, coins: [bundle.coins[0], bundle.coins[0]] })],
    'a coin of another value': ['bad-coin', bundle => ({ ...bundle, coins: bundle.coins.map(coin => ({ ...coin, value: 64 })) })],
    'a secret that is not the coin\'s': ['bad-coin', bundle => ({ ...bundle, coins: bundle.coins.map(coin => ({ ...coin, secret: keyNamed('other').secret })) })],
    'an unknown keyset': ['unknown-keyset', bundle => ({ ...bundle, coins: bundle.coins.map(coin => ({ ...coin, keyset: new Uint8Array(32) })) })]
  }
  test.each(Object.keys(bent))('%s', async name => {
    const [code, bend] = bent[name]
    const { bundle } = await give(9)
    expect(await bob.codeOf(bob.engine.receive(bend(bundle)))).toBe(code)
    expect(bob.sent).toEqual([])
  })

  test('one\'s own, more than there is, no time at all', async () => {
    const { bundle } = await give(9)
    expect(await ann.codeOf(ann.engine.receive(bundle))).toBe('own-bundle')
    expect(await ann.codeOf(ann.engine.give(52, { until }))).toBe('insufficient-funds')
    expect(await ann.codeOf(ann.engine.give(1, { until: 0 }))).toBe('bad-argument')
    expect(await ann.codeOf(ann.engine.give(0, { until }))).toBe('bad-argument')
    expect(await ann.codeOf(ann.engine.give(1, { until, memo: 'x'.repeat(129) }))).toBe('bad-argument')
    expect(await ann.codeOf(ann.engine.takeBack(77))).toBe('unknown-operation')
  })

  test('coins near their end are not given, and not begun to be received', async () => {
    const { bundle } = await give(9)
    const far = town.desk.economy.known.keyset.spendUntil
    expect(await ann.codeOf(ann.engine.give(1, { until: far }))).toBe('no-keyset')
    town.desk.economy.clock.set(far)
    expect(await bob.codeOf(bob.engine.receive(bundle, { late: true }))).toMatch(/bundle-ended|no-keyset/)
  })
})

const commands = {
  give: { prepare: async () => {}, who: () => ann, command: () => ann.engine.give(33, { until }) },
  receive: { prepare: async () => { bundle = (await give(9)).bundle }, who: () => bob, command: () => bob.engine.receive(bundle) },
  'take back': { prepare: async () => { number = (await give(9)).sequence }, who: () => ann, command: () => ann.engine.takeBack(number, { early: true }) }
}
let bundle: CoinBundle
let number: number

describe.each(Object.keys(commands) as Array<keyof typeof commands>)('%s', name => {
  test.each(['before', 'after'] as const)('stopped %s any effect: nothing lost, nothing doubled', async when => {
    const { prepare, who, command } = commands[name]
    await prepare()
    const restore = await town.snapshot([ann, bob])
    for (let effect = 0, finished = false; !finished; effect++) {
      await restore()
      finished = await who().runUntil(command(), effect, when)
      await who().runUntil(who().engine.recover(), effect % 7, when)
      await who().run(who().engine.recover())
      if (name === 'receive') {
        expect(await bob.run(bob.engine.receive(bundle))).toMatchObject({ ours: 9, theirs: 0, open: 0 })
        expect(await bob.worth()).toBe(9)
      }
      if (name === 'take back') expect(await ann.run(ann.engine.takeBack(number, { early: true }))).toMatchObject({ ours: 9, open: 0 })
      await toSafety()
      expect(await ann.worth() + await bob.worth()).toBe(60)
      expect(await ann.worth()).toBe(name === 'receive' ? 51 : 60)
      await town.expectBooks([ann, bob])
      if (effect > 300) throw new Error('it does not come to an end')
    }
  })
})
