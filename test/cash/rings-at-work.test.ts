/** Whole purchases on rings of every kind, and over a change of the ring by a keyset. */
import { describe, expect, test } from 'vitest'
import { toHex, utf8 } from '@mixmint/core/kit/bytes'
import { CenterEngine } from '@mixmint/core/cash/center'
import type { Ring } from '@mixmint/core/cash/formats'
import { DAY, keyNamed, START, suite } from '../doubles/economy.ts'
import { Town, type Person } from '../doubles/town.ts'

/** Centers of an economy, by number. */
const centers = (...numbers: number[]): Ring['centers'] =>
  numbers.map(i => ({ id: suite.sha256(utf8(`center ${i}`)), voteKey: keyNamed(`vote key ${i}`).publicKey, weight: 1 }))

describe('n keepers of which q must vote', () => {
  test.each([
    { n: 1, f: 0, q: 1, of: 5, name: 'one validation center a coin, as first thought of' },
    { n: 3, f: 0, q: 2, of: 6, name: 'one may be dead' },
    { n: 4, f: 1, q: 3, of: 7, name: 'one may lie' },
    { n: 7, f: 2, q: 5, of: 9, name: 'two may lie' }
  ])('$n/$q: $name', async ({ n, f, q, of, name }) => {
    const town = new Town({ centers: of, seed: name, ring: { replicas: n, faults: f, quorum: q } })
    const { economy } = town.desk
    const shop = town.shop()
    const ann = await town.person('ann', 127)
    const token = await ann.run(ann.engine.buyToken(shop.key.publicKey, 20))
    const presentation = await ann.run(ann.engine.presentToken(token.token.serial, await shop.invoice(20)))
    expect((await shop.run(shop.engine.accept(presentation))).repeat).toBe(false)
    await shop.run(shop.engine.deposit())

    // As many keepers of a coin dead as may be: paid all the same.
    const [coin] = (await ann.run(ann.engine.plan(32))).coins
    const keepers = economy.keepersOf({ coin: coin.coin })
    expect(keepers.length).toBe(n)
    for (const keeper of keepers.slice(0, n - q)) keeper.down = true
    expect((await ann.run(ann.engine.payWithCoins(await shop.invoice(coin.value)))).settled).toBe(true)
    for (const keeper of keepers) keeper.down = false

    // One more than may be: that coin finds no certificate, and comes back later.
    const [other] = (await ann.run(ann.engine.plan(16))).coins
    for (const keeper of economy.keepersOf({ coin: other.coin }).slice(0, n - q + 1)) keeper.down = true
    await ann.codeOf(ann.engine.payWithCoins(await shop.invoice(other.value)))
    expect((await ann.run(ann.engine.coins())).find(({ id }) => toHex(id) === toHex(other.id))?.state).not.toBe('available')
    for (const center of economy.centers) center.down = false
    await ann.run(ann.engine.recover())
    await town.expectBooks([ann])
  })
})

describe('a center is replaced, another added, a third removed, with the next keyset', () => {
  const one = { issueFrom: START - DAY, issueUntil: START + 10 * DAY, spendUntil: START + 20 * DAY, redeemUntil: START + 30 * DAY, refundUntil: START + 40 * DAY }
  const two = { issueFrom: START + 10 * DAY, issueUntil: START + 40 * DAY, spendUntil: START + 50 * DAY, redeemUntil: START + 60 * DAY, refundUntil: START + 70 * DAY }
  const setUp = async (): Promise<{ town: Town, ann: Person }> => {
    // 0 is replaced by 7, 1 removed, 8 and 9 added; of these one with twice the weight.
    const next = centers(7, 2, 3, 4, 5, 6, 8, 9)
    next[7] = { ...next[7], weight: 2 }
    const town = new Town({ centers: 10, keyset: one, ring: { centers: centers(0, 1, 2, 3, 4, 5, 6) }, later: [{ keyset: two, ring: { centers: next } }] })
    return { town, ann: await town.person('ann', 127) }
  }

  test('old coins are kept where they were, new ones by the new ring; both pay together', async () => {
    const { town, ann } = await setUp()
    const { economy } = town.desk
    const shop = town.shop()
    economy.clock.set(two.issueFrom)
    await town.desk.run(town.desk.engine.credit(ann.engine.account, 127, 'more'))
    await ann.run(ann.engine.withdraw(127))
    const asked = (): number[] => economy.centers.map(center => center.asked)
    const before = asked()
    expect((await ann.run(ann.engine.payWithCoins(await shop.invoice(254)))).settled).toBe(true)
    const took = asked().map((count, i) => count - before[i])
    // Removed centers still judge the old coins, new ones the new.
    expect(took[0] + took[1]).toBeGreaterThan(0)
    expect(took[7] + took[8] + took[9]).toBeGreaterThan(0)
    expect(economy.centers.every(({ meter }) => meter.of('center_spend', { outcome: 'not-a-keeper' }) === 0)).toBe(true)
    await town.expectBooks([ann])
  })

  test('once the old coins have ended or were refreshed, the old centers can go', async () => {
    const { town, ann } = await setUp()
    const { economy } = town.desk
    const shop = town.shop()
    economy.clock.set(one.issueUntil + 8 * DAY)
    await ann.run(ann.engine.refresh())
    economy.clock.set(one.spendUntil)
    economy.centers[0].down = economy.centers[1].down = true
    expect(await ann.available()).toBe(127)
    expect((await ann.run(ann.engine.payWithCoins(await shop.invoice(127)))).settled).toBe(true)
    await town.expectBooks([ann])
  })

  test('a center that got a new vote key serves the old ring under the old one', async () => {
    const renewed = centers(0, 1, 2, 3, 4, 5, 6)
    renewed[0] = { ...renewed[0], voteKey: keyNamed('new vote key').publicKey }
    const town = new Town({ keyset: one, later: [{ keyset: two, ring: { centers: renewed } }] })
    const { economy } = town.desk
    const [center] = economy.centers
    center.engine = new CenterEngine({ suite, id: center.id, voteKeys: [keyNamed('new vote key'), center.voteKey], registry: () => economy.registry, meter: center.meter })
    const ann = await town.person('ann', 127)
    economy.clock.set(two.issueFrom)
    await town.desk.run(town.desk.engine.credit(ann.engine.account, 127, 'more'))
    await ann.run(ann.engine.withdraw(127))
    expect((await ann.run(ann.engine.payWithCoins(await town.shop().invoice(254)))).settled).toBe(true)
    expect(center.meter.of('center_spend', { outcome: 'vote' })).toBeGreaterThan(1)
    expect(center.meter.of('center_spend', { outcome: 'ring-vote-key' })).toBe(0)
    expect(economy.meter.of('keeper_answer', { kind: 'garbage' })).toBe(0)
  })
})
