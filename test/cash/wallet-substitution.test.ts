/** A wallet some of whose coins find no certificate: others are signed to the same contract, and nobody gets two for one. */
import { beforeEach, describe, expect, test } from 'vitest'
import { MixmintError } from '@mixmint/core/kit/errors'
import { coinId } from '@mixmint/core/cash/coin'
import { signSpend } from '@mixmint/core/cash/spend'
import { keyNamed, suite } from '../doubles/economy.ts'
import { copyOf } from '../doubles/memory-store.ts'
import { Person, Town, type Shop } from '../doubles/town.ts'

let town: Town
let shop: Shop

beforeEach(() => {
  town = new Town()
  shop = town.shop()
})

describe('substitution', () => {
  /** Two keepers of the coin that a payment of this amount begins with are down. */
  async function harm (ann: Person, amount: number): Promise<() => void> {
    const [coin] = (await ann.run(ann.engine.plan(amount))).coins
    const keepers = town.desk.economy.keepersOf(coin).slice(0, 2)
    for (const keeper of keepers) keeper.down = true
    return () => { for (const keeper of keepers) keeper.down = false }
  }

  test('other coins to the same contract, for a payment, a token, an exchange; what is left over comes back', async () => {
    const commands: Array<(ann: Person) => Promise<unknown>> = [
      async ann => await ann.run(ann.engine.payWithCoins(await shop.invoice(8))),
      async ann => await ann.run(ann.engine.buyToken(shop.key.publicKey, 8)),
      async ann => await ann.run(ann.engine.exchange([4, 4]))
    ]
    const people: Person[] = []
    for (const [i, command] of commands.entries()) {
      const ann = await town.person(`ann ${i}`, 39)
      people.push(ann)
      const before = await ann.worth()
      const heal = await harm(ann, 8)
      await command(ann)
      const { leftOver } = await ann.run(ann.engine.balance())
      expect(leftOver).toBeGreaterThanOrEqual(8)
      expect((await ann.run(ann.engine.reclaim())).results.every(({ error }) => error?.code === 'coins-unavailable')).toBe(true)
      heal()
      expect((await ann.run(ann.engine.reclaim())).amount).toBe(leftOver)
      expect(await ann.worth()).toBe(before - (i === 0 ? 8 : 0))
    }
    await town.expectBooks(people)
  })

  test('exchanging first where the sizes do not fit', async () => {
    const ann = await town.person('bea', 31)
    const heal = await harm(ann, 9)
    await ann.run(ann.engine.payWithCoins(await shop.invoice(9)))
    expect(((await ann.run(ann.engine.history())).map(({ kind, state }) => `${kind} ${state}`)).filter(line => line === 'exchange done')).toHaveLength(1)
    heal()
    await ann.run(ann.engine.recover())
    expect(await ann.available()).toBe(22)
    await town.expectBooks([ann])
  })

  test('no other coins: said so, kept, and completed when the keepers are back', async () => {
    const ann = await town.person('ann', 1)
    const heal = await harm(ann, 1)
    const invoice = await shop.invoice(1)
    await expect(ann.run(ann.engine.payWithCoins(invoice))).rejects.toMatchObject({ code: 'coins-unavailable', retry: true, message: expect.stringContaining('worth 1') })
    heal()
    expect(await ann.run(ann.engine.payWithCoins(invoice))).toMatchObject({ settled: true })
    await town.expectBooks([ann])
  })

  test('a payee that lies about the first coins, and settles with them: the others come back', async () => {
    const ann = await town.person('ann', 47)
    let lies = 1
    ann.bend = (reply, request) => {
      if (request.op !== 'pay' || lies-- <= 0) return reply
      return { is: 'short', inputs: [] }
    }
    await ann.run(ann.engine.payWithCoins(await shop.invoice(8)))
    expect(await ann.run(ann.engine.balance())).toMatchObject({ available: 31, leftOver: 8 })
    expect((await ann.run(ann.engine.reclaim())).amount).toBe(8)
    expect(await ann.available()).toBe(39)
    await town.expectBooks([ann])
  })

  test('coins are replaced while another run takes in the outcome: neither run forgets a coin', async () => {
    const ann = await town.person('ann', 47)
    const ask = shop.ask.bind(shop)
    const [asked, answer, held, go] = Array.from({ length: 4 }, () => Promise.withResolvers<void>())
    shop.ask = async request => {
      shop.ask = async () => { throw new MixmintError('overdue', 'peer', 'the shop is closed', { retry: true }) }
      await ask(request)
      asked.resolve()
      await answer.promise
      return { is: 'short', inputs: [] }
    }
    const invoice = await shop.invoice(8)
    const paying = ann.codeOf(ann.engine.payWithCoins(invoice))
    await asked.promise
    const [{ sequence }] = await ann.run(ann.engine.pending())
    ann.before = async effect => {
      if (effect !== 'batch') return
      ann.before = () => {}
      held.resolve()
      await go.promise
    }
    const asking = ann.codeOf(ann.engine.outcome(sequence))
    await held.promise
    answer.resolve()
    expect(await paying).toBe('overdue')
    go.resolve()
    expect(await asking).toBe('operation-busy')
    await ann.run(ann.engine.recover())
    expect(await ann.available()).toBe(39)
    await town.expectBooks([ann])
  })

  test('not without end', async () => {
    const ann = await town.person('ann', 200)
    ann.bend = (reply, request) => request.op === 'pay' ? { is: 'short', inputs: [] } : reply
    expect(await ann.codeOf(ann.engine.payWithCoins(await shop.invoice(1)))).toBe('coins-unavailable')
    expect(ann.sent.filter(line => line === 'merchant pay').length).toBeLessThanOrEqual(4)
  })

  test('an accusation of double spending counts with a proof only', async () => {
    const ann = await town.person('ann', 47)
    let lies = 1
    ann.bend = (reply, request) => {
      if (request.op !== 'pay' || lies-- <= 0) return reply
      const { spend } = request.inputs[0]
      const forged = signSpend(suite, keyNamed('x'), spend.coin, suite.sha256()).spend
      return { is: 'short', inputs: [{ coin: coinId(suite, spend.coin), state: 'conflict', first: forged, code: '' }] }
    }
    expect(await ann.run(ann.engine.payWithCoins(await shop.invoice(8)))).toMatchObject({ settled: true })
  })

  test('an old copy of the wallet stops at a proof', async () => {
    const ann = await town.person('ann', 47)
    const old = new Person(town, 'ann')
    old.store = await copyOf(ann.store)
    await ann.run(ann.engine.payWithCoins(await shop.invoice(8)))
    town.honest = false
    await expect(old.run(old.engine.payWithCoins(await shop.invoice(8)))).rejects.toMatchObject({ code: 'double-spend', message: expect.stringContaining('in use elsewhere') })
    // The bank keeps another copy under this coin: nothing of the second payment leaves.
    expect(old.sent).toEqual(['mixnet file'])
    old.bend = (reply, request) => request.op === 'file' ? { is: 'filed' } : reply
    expect(await old.codeOf(old.engine.recover())).toBe('fine')
    expect((await old.run(old.engine.recover())).map(({ error }) => error?.code)).toContain('double-spend')
    expect(old.sent).toContain('merchant pay')
    const older = new Person(town, 'ann')
    older.store = await copyOf(ann.store)
    await ann.run(ann.engine.buyToken(shop.key.publicKey, 4))
    expect(await older.codeOf(older.engine.buyToken(shop.key.publicKey, 5))).toBe('double-spend')
    expect(older.sent).toEqual(['mixnet file'])
    older.bend = old.bend
    expect((await older.run(older.engine.recover())).map(({ error }) => error?.code)).toContain('double-spend')
    expect(older.sent).toContain('mixnet settle')
  })
})
