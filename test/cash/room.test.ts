/**
 * A wallet that has no answers for long goes on, under another generation, and a restore finds all of it; and one that is restored in
 * the middle of a take-back knows that it is one.
 */
import { beforeEach, expect, test } from 'vitest'
import { MixmintError } from '@mixmint/core/kit/errors'
import { GAP } from '@mixmint/core/cash/wallet/outputs'
import { DAY, rsaKeys } from '../doubles/economy.ts'
import { Town, type Person, type Shop } from '../doubles/town.ts'

const SMALL = { keyset: { denominations: [1, 2, 4, 8, 16].map((value, i) => ({ value, key: rsaKeys[i].publicKey.n })) } }
const MANY = GAP + 2

let town: Town
let shop: Shop
beforeEach(() => {
  town = new Town(SMALL)
  shop = town.shop()
})

async function restored (name = 'ann'): Promise<Person> {
  const again = await town.person(name)
  await again.run(again.engine.restore({ pace: 0 }))
  return again
}

/** Coins of 1 that a void payment has left over, and whose keepers are gone before they can be reclaimed; and a token that is refundable. */
async function leftWithoutKeepers (): Promise<Person> {
  const ann = await town.person('ann', MANY + 9)
  await ann.run(ann.engine.buyToken(shop.key.publicKey, 9))
  await ann.run(ann.engine.exchange(Array<number>(MANY).fill(1)))
  const invoice = await shop.invoice(MANY)
  shop.down = true
  expect(await ann.codeOf(ann.engine.payWithCoins(invoice))).toBe('overdue')
  const [token] = await ann.run(ann.engine.tokens())
  town.desk.economy.clock.set(token.token.token.refundAfter + DAY / 24)
  const mend = town.bendBank(async (request, ask) => {
    if (request.op === 'reclaim') for (const center of town.desk.economy.centers) center.down = true
    return await ask(request)
  })
  await ann.run(ann.engine.recover())
  mend()
  return ann
}

test('coins whose keepers are gone hold up no refund of a token', async () => {
  const ann = await leftWithoutKeepers()
  expect((await ann.run(ann.engine.tokens())).map(({ state }) => state)).toEqual(['refunded'])
  expect((await ann.run(ann.engine.pending())).filter(({ kind }) => kind === 'reclaim')).toHaveLength(MANY)
  // Its machine is lost, or it is not, and the keepers are back.
  for (const center of town.desk.economy.centers) center.down = false
  const lost = await town.snapshot([ann])
  expect((await ann.run(ann.engine.reclaim())).amount).toBe(MANY)
  await town.expectBooks([ann])
  await lost()
  const again = await restored()
  await again.run(again.engine.recover())
  await town.expectBooks([again])
})

test('withdrawals that were refused, however many, keep nobody from the first that is not', async () => {
  const ann = await town.person('ann')
  for (let i = 0; i < GAP + 3; i++) expect(await ann.codeOf(ann.engine.withdraw(5))).toMatch(/^(insufficient-funds|unknown-account)$/)
  // The last ones were not even begun.
  expect(await ann.run(ann.engine.history())).toHaveLength(GAP)
  await town.desk.run(town.desk.engine.credit(ann.engine.account, 20, 'for ann'))
  await ann.run(ann.engine.withdraw(5))
  expect(await (await restored()).available()).toBe(5)
})

test('a wallet without room that has nothing to bring back announces nothing', async () => {
  const ann = await town.person('ann', 3)
  for (let i = 0; i < GAP; i++) expect(await ann.codeOf(ann.engine.withdraw(5))).toBe('insufficient-funds')
  ann.sent.length = 0
  await ann.run(ann.engine.recover())
  await ann.run(ann.engine.reclaim())
  expect(ann.sent.filter(sent => sent.includes('announce'))).toEqual([])
  expect(town.desk.economy.meter.of('wallet_generation_begun')).toBe(0)
})

test('stopped at every effect while it makes room: it goes on, and no batch is derived twice', async () => {
  const ann = await town.person('ann', 3)
  for (let i = 0; i < GAP; i++) expect(await ann.codeOf(ann.engine.withdraw(5))).toBe('insufficient-funds')
  await town.desk.run(town.desk.engine.credit(ann.engine.account, 20, 'more for ann'))
  const restore = await town.snapshot([ann])
  for (const when of ['before', 'after'] as const) {
    for (let effect = 0, finished = false; !finished; effect++) {
      await restore()
      finished = await ann.runUntil(ann.engine.withdraw(5), effect, when)
      await ann.run(ann.engine.recover())
      await ann.run(ann.engine.withdraw(1))
      const available = await ann.available()
      expect([4, 9]).toContain(available)
      // What a restore finds is asked now and then: it takes long.
      if (finished || effect % 12 === 0) expect(await (await restored()).available()).toBe(available)
    }
  }
})

test('a take-back that a restore finds is one: it takes no other coin to make up for that which somebody else has had', async () => {
  const ann = await town.person('ann', 12)
  const bob = await town.person('bob')
  const { bundle, sequence } = await ann.run(ann.engine.give(8, { until: town.desk.economy.clock.now() + DAY }))
  const mend = town.bendBank(async (request, ask) => {
    if (request.op === 'settle') throw new MixmintError('overdue', 'peer', 'lost on the way', { retry: true })
    return await ask(request)
  })
  expect((await ann.run(ann.engine.takeBack(sequence, { early: true }))).open).toBe(8)
  // The machine is lost; the words are taken to another, and just before that goes on, what was given is received.
  let received = false
  mend()
  town.bendBank(async (request, ask) => {
    if (request.op === 'settle' && !received) {
      received = true
      expect(await bob.run(bob.engine.receive(bundle))).toMatchObject({ ours: 8 })
    }
    return await ask(request)
  })
  const again = await restored()
  expect(received).toBe(true)
  const claims = (await again.run(again.engine.history())).filter(({ kind }) => kind === 'take-back')
  expect(claims.map(({ state }) => state)).toEqual(claims.map(() => 'lost'))
  expect(claims.reduce((sum, { amount }) => sum + amount, 0)).toBe(8)
  expect(await bob.available()).toBe(8)
  await town.expectBooks([again, bob])
})
