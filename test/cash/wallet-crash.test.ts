/**
 * The wallet's machine stops at every single effect, before it or right after it, and again while it recovers. Then
 * `recover` and the same command once more lead to the same end: nothing lost, nothing paid twice. That no output, coin or
 * invoice serves twice is checked at every request (doubles/town.ts).
 */
import { describe, expect, test } from 'vitest'
import type { Saga } from '@mixmint/core/kit/saga'
import type { SignedInvoice } from '@mixmint/core/cash/formats'
import type { WalletEffect } from '@mixmint/core/cash/wallet/parts'
import { BankDesk } from '../doubles/bank-desk.ts'
import { DAY, HOUR, type TestCenter } from '../doubles/economy.ts'
import { Town, type Person, type Shop } from '../doubles/town.ts'

interface Scene {
  readonly town: Town
  readonly shop: Shop
  readonly ann: Person
  readonly invoice: SignedInvoice
  /** Keepers of the coin that a payment begins with. */
  readonly keepers: TestCenter[]
}

interface Scenario {
  /** Whose wallet it is: other coins have other keepers. Default ann. */
  readonly name?: string
  /** What ann has, in coins, before; default 60. */
  readonly amount?: number
  readonly prepare?: (scene: Scene) => Promise<void>
  /** What the world is like while the machine stops and comes back; after that all is well again. */
  readonly world?: (scene: Scene) => void
  readonly command: (scene: Scene) => Saga<unknown, WalletEffect>
  /** Say it again in the end? A withdrawal is a new one each time. */
  readonly repeat: boolean
  /** In the end, in coins and tokens of ann; or several that may be. */
  readonly worth: number[]
  readonly paid: number
}

/** Leaves coins of 2, 4 and 16: paying 9 takes the 16, with change. */
const inNeedOfChange = async ({ shop, ann }: Scene): Promise<void> => {
  await ann.run(ann.engine.buyToken(shop.key.publicKey, 9))
  expect(await ann.run(ann.engine.plan(9))).toMatchObject({ change: 7 })
}

const twoKeepersDown = ({ keepers }: Scene): void => { for (const keeper of keepers.slice(0, 2)) keeper.down = true }

const scenarios: Record<string, Scenario> = {
  withdraw: {
    amount: 15,
    prepare: async ({ town, ann }) => { await town.desk.run(town.desk.engine.credit(ann.engine.account, 9, 'more')) },
    command: ({ ann }) => ann.engine.withdraw(9), repeat: false, worth: [15, 24], paid: 0
  },
  exchange: { command: ({ ann }) => ann.engine.exchange([16, 2]), repeat: false, worth: [60], paid: 0 },
  'buy a token': { amount: 31, prepare: inNeedOfChange, command: ({ shop, ann }) => ann.engine.buyToken(shop.key.publicKey, 9), repeat: false, worth: [31], paid: 0 },
  'pay with a token': {
    prepare: async ({ shop, ann }) => { await ann.run(ann.engine.buyToken(shop.key.publicKey, 9)) },
    command: ({ ann, invoice }) => ann.engine.payWithToken(invoice), repeat: true, worth: [51], paid: 9
  },
  'pay with coins': { amount: 31, prepare: inNeedOfChange, command: ({ ann, invoice }) => ann.engine.payWithCoins(invoice), repeat: true, worth: [22], paid: 9 },
  'pay while the bank is closed': {
    amount: 31, prepare: inNeedOfChange, world: ({ town }) => { town.bankDown = true },
    command: ({ ann, invoice }) => ann.engine.payWithCoins(invoice, { waived: true }), repeat: true, worth: [22], paid: 9
  },
  'pay with other coins, exchanged first': {
    name: 'bea', amount: 31, world: twoKeepersDown,
    command: ({ ann, invoice }) => ann.engine.payWithCoins(invoice), repeat: true, worth: [22], paid: 9
  },
  'void and reclaim': {
    amount: 31,
    prepare: async ({ town, shop, ann, invoice }) => {
      shop.down = true
      expect(await ann.codeOf(ann.engine.payWithCoins(invoice))).toBe('overdue')
      shop.down = false
      town.desk.economy.clock.set(invoice.invoice.settleBy + 2 * HOUR)
    },
    command: ({ ann }) => ann.engine.recover(), repeat: true, worth: [31], paid: 0
  },
  'refund of coins that ended': {
    amount: 9,
    prepare: async ({ town }) => { town.desk.economy.clock.set(town.desk.economy.known.keyset.redeemUntil + HOUR) },
    command: ({ ann }) => ann.engine.recover(), repeat: true, worth: [9], paid: 0
  },
  refund: {
    amount: 31,
    prepare: async ({ town, shop, ann }) => {
      await ann.run(ann.engine.buyToken(shop.key.publicKey, 9))
      town.desk.economy.clock.advance(9 * DAY)
    },
    command: ({ ann }) => ann.engine.reclaim(), repeat: true, worth: [31], paid: 0
  }
}

async function prepare ({ name = 'ann', amount = 60, prepare }: Scenario): Promise<Scene> {
  const { keyset: { issueUntil, refundUntil } } = new BankDesk().economy.known
  const town = new Town({ later: [{ keyset: { issueFrom: issueUntil, issueUntil: refundUntil + DAY, spendUntil: refundUntil + 2 * DAY, redeemUntil: refundUntil + 3 * DAY, refundUntil: refundUntil + 4 * DAY } }] })
  const shop = town.shop()
  const ann = await town.person(name, amount)
  const invoice = await shop.invoice(9)
  const [first] = (await ann.run(ann.engine.plan(9))).coins
  const scene = { town, shop, ann, invoice, keepers: town.desk.economy.keepersOf(first) }
  await prepare?.(scene)
  return scene
}

describe.each(Object.keys(scenarios))('%s', name => {
  test.each(['before', 'after'] as const)('stopped %s any effect', async when => {
    const scenario = scenarios[name]
    const scene = await prepare(scenario)
    const { town, shop, ann } = scene
    const restore = await town.snapshot([ann])
    let finished = false
    for (let effect = 0; !finished; effect++) {
      await restore()
      scenario.world?.(scene)
      finished = await ann.runUntil(scenario.command(scene), effect, when)
      await ann.runUntil(ann.engine.recover(), effect % 9, when)
      await ann.run(ann.engine.recover())

      town.network(true)
      await shop.run(shop.engine.settlePending())
      if (scenario.repeat) await ann.run(scenario.command(scene))
      await ann.run(ann.engine.recover())
      await shop.run(shop.engine.deposit())
      expect(scenario.worth).toContain(await ann.worth())
      if (finished) expect(await ann.worth()).toBe(scenario.worth.at(-1))
      expect((await shop.run(shop.engine.takings())).accepted).toBe(scenario.paid)
      await town.expectBooks([ann])
      if (effect > 200) throw new Error('it does not come to an end')
    }
  })
})
