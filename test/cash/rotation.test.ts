/** Keysets follow one another: wallets refresh what ends, by themselves; the five dates, by clocks that differ. */
import { beforeEach, describe, expect, test } from 'vitest'
import { toHex } from '@mixmint/core/kit/bytes'
import { encode } from '@mixmint/core/kit/codec'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { BankReply, BankRequest } from '@mixmint/core/cash/messages'
import { BankRequest as BankRequestCodec } from '@mixmint/core/cash/messages'
import { Registry } from '@mixmint/core/cash/registry'
import { DAY, HOUR, MONEY, NETWORK, START, suite } from '../doubles/economy.ts'
import { BankDesk } from '../doubles/bank-desk.ts'
import { Town, type Person, type Shop } from '../doubles/town.ts'

const { clockSkew: SKEW, margin, voidGrace } = MONEY
/** Three keysets, each issuing for ten days and to be spent for ten more. */
const dates = (issueFrom: number): Record<'issueFrom' | 'issueUntil' | 'spendUntil' | 'redeemUntil' | 'refundUntil', number> =>
  ({ issueFrom, issueUntil: issueFrom + 10 * DAY, spendUntil: issueFrom + 20 * DAY, redeemUntil: issueFrom + 30 * DAY, refundUntil: issueFrom + 40 * DAY })
const FIRST = START - DAY
const [one, two, three] = [0, 1, 2].map(i => dates(FIRST + i * 10 * DAY))
const OPTIONS = { keyset: one, later: [{ keyset: two }, { keyset: three }] }

let town: Town
let ann: Person
beforeEach(async () => {
  town = new Town(OPTIONS)
  ann = await town.person('ann', 100)
})
const to = (time: number): void => { town.desk.economy.clock.set(time) }
const ofKeyset = async (person: Person): Promise<string[]> => {
  const names = town.desk.economy.keysets.map(({ id }) => toHex(id))
  return (await person.run(person.engine.coins())).map(({ coin }) => String(names.indexOf(toHex(coin.keyset))))
}

describe('a wallet refreshes its coins', () => {
  test('not while their keyset issues; then each at its own time in the first half of what is left, by itself', async () => {
    to(one.issueUntil - 1)
    expect(await ann.run(ann.engine.refresh())).toEqual([])
    expect((await ann.run(ann.engine.balance())).ageing).toBe(0)
    const before = (await ann.run(ann.engine.coins())).length
    const times: number[] = []
    for (let time = one.issueUntil; time < one.issueUntil + 5 * DAY; time += 2 * HOUR) {
      to(time)
      const results = await ann.run(ann.engine.refresh())
      for (const { error } of results) {
        expect(error).toBeNull()
        times.push(time)
      }
    }
    expect(times.length).toBe(before)
    // Spread, not in a heap: at least four different times, some early, some late.
    expect(new Set(times).size).toBeGreaterThan(before / 2)
    expect(Math.max(...times) - Math.min(...times)).toBeGreaterThan(DAY)
    expect(new Set(await ofKeyset(ann))).toEqual(new Set(['1']))
    expect(await ann.run(ann.engine.balance())).toMatchObject({ available: 100, ageing: 0, ended: 0 })
    // Over the mixnet, one coin for one coin of the same value.
    const settled = ann.requests.filter((request): request is BankRequest & { op: 'settle' } => request.op === 'settle')
    for (const { contract, inputs } of settled) {
      expect(inputs.map(({ spend }) => spend.coin.value)).toEqual(contract.outputs.map(({ value }) => value))
      expect(inputs.length).toBe(1)
    }
    await town.expectBooks([ann])
  })

  test('two wallets with as many coins do so at other times', async () => {
    const ben = await town.person('ben', 100)
    const timesOf = async (person: Person): Promise<number[]> => {
      const times: number[] = []
      for (let time = one.issueUntil; time < one.issueUntil + 5 * DAY; time += 2 * HOUR) {
        to(time)
        times.push(...(await person.run(person.engine.refresh())).map(() => time))
      }
      return times
    }
    const first = await timesOf(ann)
    to(one.issueUntil)
    expect(await timesOf(ben)).not.toEqual(first)
  })

  test('a few at a time where it is told so, all where they are in the last quarter', async () => {
    to(one.issueUntil + 6 * DAY)
    expect((await ann.run(ann.engine.refresh({ most: 2 }))).length).toBe(2)
    const left = (await ofKeyset(ann)).filter(name => name === '0').length
    to(one.issueUntil + 8 * DAY)
    expect((await ann.run(ann.engine.refresh({ most: 2 }))).length).toBe(left)
  })

  test('one that was away through two rotations loses nothing that had not ended, and what has ended is shown as that', async () => {
    to(one.spendUntil - margin - 1)
    await ann.run(ann.engine.refresh({ most: 1 }))
    expect(await ann.run(ann.engine.balance())).toMatchObject({ available: 100, ended: 0 })
    const late = new Town(OPTIONS)
    const ben = await late.person('ben', 50)
    late.desk.economy.clock.set(one.spendUntil - margin)
    expect(await ben.run(ben.engine.refresh())).toEqual([])
    expect(await ben.run(ben.engine.balance())).toMatchObject({ available: 0, ended: 50 })
  })

  test('an exchange that the bank does not answer is gone on with, and nothing is lost', async () => {
    to(one.issueUntil + 8 * DAY)
    town.bankDown = true
    const results = await ann.run(ann.engine.refresh({ most: 2 }))
    expect(results.every(({ error }) => error?.code === 'overdue')).toBe(true)
    town.bankDown = false
    await ann.run(ann.engine.recover())
    expect(await ann.available()).toBe(100)
    await town.expectBooks([ann])
  })

  test('a crash at any effect of it loses nothing', async () => {
    to(one.issueUntil + 8 * DAY)
    const restore = await town.snapshot([ann])
    for (const when of ['before', 'after'] as const) {
      for (let effect = 0; ; effect++) {
        await restore()
        const ended = await ann.runUntil(ann.engine.refresh({ most: 0 }), effect, when)
        await ann.run(ann.engine.recover())
        await ann.run(ann.engine.refresh())
        expect(await ann.available()).toBe(100)
        await town.expectBooks([ann])
        if (ended || effect > 40) break
      }
    }
  })

  test('where the next keyset lacks a value, it takes smaller ones; where there is none, it says so', async () => {
    const { economy } = town.desk
    const fewer = new Town({ keyset: one, later: [{ keyset: { ...two, denominations: economy.signedKeyset.keyset.denominations.slice(0, 3) } }] })
    const ben = await fewer.person('ben', 100)
    fewer.desk.economy.clock.set(one.issueUntil + 6 * DAY)
    await ben.run(ben.engine.refresh())
    expect(await ben.available()).toBe(100)
    expect(Math.max(...(await ben.run(ben.engine.coins())).map(({ value }) => value))).toBe(4)

    town.desk.registry = new Registry(suite, NETWORK, economy.parameters, [{ ...economy.listing, keysets: [economy.signedKeyset] }])
    to(one.issueUntil + 6 * DAY)
    expect(await ann.codeOf(ann.engine.refresh())).toBe('no-keyset')
    expect(await ann.available()).toBe(100)
  })

  test('of coins of one value it pays with those that end first', async () => {
    to(two.issueFrom + HOUR)
    await town.desk.run(town.desk.engine.credit(ann.engine.account, 100, 'more'))
    await ann.run(ann.engine.withdraw(100))
    const { coins } = await ann.run(ann.engine.plan(7))
    expect(coins.map(({ coin }) => toHex(coin.keyset))).toEqual(coins.map(() => toHex(town.desk.economy.keysets[0].id)))
  })
})

describe('the five dates, with clocks that differ by the skew that is allowed, and by more', () => {
  const withdrawals = async (time: number, walletAhead: number, bankAhead: number): Promise<string> => {
    to(time)
    ann.skew = walletAhead
    town.desk.skew = bankAhead
    await town.desk.run(town.desk.engine.credit(ann.engine.account, 1, `${time} ${walletAhead} ${bankAhead}`))
    return await ann.codeOf(ann.engine.withdraw(1))
  }

  test('issueFrom and issueUntil: over the change from one keyset to the next nobody whose clock is right enough is refused', async () => {
    for (const offset of [-2 * SKEW, -SKEW, -1, 0, SKEW, 2 * SKEW]) {
      for (const [wallet, bank] of [[SKEW / 2, -SKEW / 2], [-SKEW / 2, SKEW / 2], [SKEW, 0], [-SKEW + 1, 0], [0, SKEW - 1], [0, -SKEW]]) {
        expect([offset, wallet, bank, await withdrawals(one.issueUntil + offset, wallet, bank)]).toEqual([offset, wallet, bank, 'fine'])
      }
    }
  })

  test('a bank whose clock is behind by more says "not yet"; the withdrawal stays open and comes true', async () => {
    expect(await withdrawals(one.issueUntil, 0, -SKEW - 1)).toBe('keyset-not-yet')
    expect((await ann.run(ann.engine.pending())).map(({ kind }) => kind)).toEqual(['withdraw'])
    town.desk.skew = 0
    await ann.run(ann.engine.recover())
    expect(await ann.available()).toBe(101)
  })

  test('a wallet whose clock is behind by more is refused for good, and nothing is debited', async () => {
    expect(await withdrawals(one.issueUntil + SKEW, -SKEW - 1, 0)).toBe('keyset-not-issuing')
    expect(await ann.run(ann.engine.pending())).toEqual([])
    ann.skew = 0
    expect(await ann.run(ann.engine.accountBalance())).toBe(1)
  })

  test('spendUntil: a wallet stops a margin before, in which a keeper ahead and a wallet behind still agree', async () => {
    const shop = town.shop()
    const { economy } = town.desk
    const pays = async (amount: number): Promise<string> => await ann.codeOf(ann.engine.payWithCoins(await shop.invoice(amount)))
    to(one.spendUntil - margin + SKEW - 1)
    ann.skew = -SKEW
    for (const center of economy.centers) center.skew = SKEW
    expect(await pays(7)).toBe('fine')
    to(one.spendUntil - margin + SKEW)
    expect(await pays(7)).toBe('insufficient-funds')
    // A keeper that is behind takes it for longer: that harms nobody, for the bank redeems it until redeemUntil.
  })

  test('redeemUntil: what was certified in time is settled by the bank until then, whatever the payee\'s clock says, and not after', async () => {
    const desk = new BankDesk({ keyset: { ...one, redeemUntil: one.spendUntil + 3 * HOUR } })
    const [coin, other] = await desk.coins(8, 8)
    desk.economy.clock.set(one.spendUntil - 1)
    const certify = async (c: typeof coin): Promise<BankRequest> => {
      const contract = desk.pay(8)
      return { ...desk.settle(contract, [c]), inputs: await desk.certified(contract, [c]) }
    }
    const requests = [await certify(coin), await certify(other)]
    // settleBy + grace + margin lie before redeemUntil: so there is time enough to settle or void.
    const { contract } = requests[0] as BankRequest & { op: 'settle' }
    expect(contract.settleBy + voidGrace + margin).toBeLessThan(one.spendUntil + 3 * HOUR)
    desk.economy.clock.set(one.spendUntil + 3 * HOUR - 1)
    expect(await desk.codeOf(requests[0])).toBe('settlement')
    desk.skew = 1
    expect(await desk.statesOf(requests[1])).toEqual(['keyset-ended'])
  })

  test('refundUntil, and redeemUntil before it: coins come back between them by the bank\'s clock, whatever the wallet\'s says, and not after', async () => {
    town = new Town({ keyset: one, later: [1, 2, 3, 4].map(i => ({ keyset: dates(FIRST + i * 10 * DAY) })) })
    const [early, ...others] = await Promise.all(['early', 'ahead', 'behind', 'late'].map(async name => await town.person(name, 20)))
    const codes = async (person: Person): Promise<Array<string | undefined>> => [...new Set((await person.run(person.engine.recover())).map(({ error }) => error?.code))]
    await town.desk.workUntil(one.redeemUntil - 1)
    early.skew = SKEW + 1
    expect(await codes(early)).toEqual(['refund-too-early'])
    await town.desk.workUntil(one.redeemUntil)
    expect(await codes(early)).toEqual([undefined])
    expect(await early.available()).toBe(20)
    const [ahead, behind, late] = others
    ahead.skew = SKEW
    behind.skew = -SKEW
    late.skew = -SKEW
    await town.desk.workUntil(one.refundUntil - 1)
    for (const person of [ahead, behind]) {
      expect(await codes(person)).toEqual([undefined])
      expect(await person.available()).toBe(20)
    }
    await town.desk.workUntil(one.refundUntil)
    await late.run(late.engine.recover())
    expect((await late.run(late.engine.history())).filter(({ kind }) => kind === 'refund').every(({ state }) => state === 'refused')).toBe(true)
    expect(await late.run(late.engine.balance())).toMatchObject({ available: 0, ended: 0 })
  })
})

describe('what is refused now and may come true later loses nothing', () => {
  /** Keeps back every copy of what the wallet asks, to be delivered when somebody likes. */
  const copies: BankRequest[] = []
  beforeEach(() => { copies.length = 0 })
  const intercept = (answer: (request: BankRequest) => BankReply | null): void => {
    town.bendBank(async (request, ask) => {
      copies.push(request)
      const reply = answer(request)
      if (reply === null) throw new MixmintError('lost', 'peer', 'lost', { retry: true })
      return reply.is === 'refused' && reply.code === 'pass' ? await ask(request) : reply
    })
  }
  const pass: BankReply = { is: 'refused', code: 'pass', fault: 'peer', retry: false, message: '' }

  test('a withdrawal refused for want of funds, a copy of which arrives when there are some', async () => {
    intercept(() => pass)
    expect(await ann.codeOf(ann.engine.withdraw(50))).toBe('insufficient-funds')
    expect(await ann.run(ann.engine.pending())).toEqual([])
    await town.desk.run(town.desk.engine.credit(ann.engine.account, 50, 'more'))
    expect((await town.desk.ask(copies[0])).is).toBe('signatures')
    await ann.run(ann.engine.recover())
    expect(await ann.available()).toBe(100)
    // Not before the keyset has ended may it be asked for again: else asking would debit.
    to(one.issueUntil + 2 * SKEW)
    expect((await ann.run(ann.engine.recover())).map(({ entry }) => entry?.state)).toEqual(['done'])
    expect(await ann.available()).toBe(150)
    await town.expectBooks([ann])
    expect(await ann.run(ann.engine.recover())).toEqual([])
  })

  test('and where no copy arrives, nothing is debited by asking', async () => {
    expect(await ann.codeOf(ann.engine.withdraw(50))).toBe('insufficient-funds')
    await town.desk.run(town.desk.engine.credit(ann.engine.account, 50, 'more'))
    to(one.issueUntil + 2 * SKEW)
    expect(await ann.run(ann.engine.recover())).toEqual([])
    expect(await ann.run(ann.engine.accountBalance())).toBe(50)
    expect(await ann.available()).toBe(100)
  })

  test('a reclaim that a bank with an older document does not understand is not given up for another', async () => {
    const shop = town.shop()
    // A void payment leaves coins over.
    shop.down = true
    expect(await ann.codeOf(ann.engine.payWithCoins(await shop.invoice(4)))).not.toBe('fine')
    const [open] = await ann.run(ann.engine.pending())
    to(START + DAY + 3 * HOUR)
    let answer: BankReply = { ...pass, code: 'unknown-keyset' }
    intercept(request => request.op === 'reclaim' ? answer : pass)
    const results = await ann.run(ann.engine.recover())
    expect(results.map(({ error }) => error?.code)).toContain('unknown-keyset')
    expect((await ann.run(ann.engine.pending())).map(({ kind }) => kind)).toEqual(['reclaim'])
    // The very copy is carried out late; the wallet asks for the same again, and has it.
    const late = copies.find(({ op }) => op === 'reclaim') as BankRequest
    expect((await town.desk.ask(late)).is).toBe('signatures')
    answer = pass
    await ann.run(ann.engine.recover())
    const asked = copies.filter(({ op }) => op === 'reclaim')
    expect(asked.every(request => Buffer.compare(encode(BankRequestCodec, request), encode(BankRequestCodec, late)) === 0)).toBe(true)
    expect(await ann.available()).toBe(100)
    expect(open.kind).toBe('pay')
    await town.expectBooks([ann])
  })
})

test('a token whose answer was lost until its day key left the directory is kept, and refunded', async () => {
  const shop: Shop = town.shop()
  const mend = town.bendBank(async (request, ask) => {
    const reply = await ask(request)
    if (request.op === 'settle') throw new MixmintError('lost', 'peer', 'the answer is lost', { retry: true })
    return reply
  })
  expect(await ann.codeOf(ann.engine.buyToken(shop.key.publicKey, 20))).toBe('lost')
  mend()
  const { economy } = town.desk
  town.desk.registry = new Registry(suite, NETWORK, economy.parameters, [{ ...economy.listing, dayKeys: [] }])
  // While it could be presented, a token without a key in the directory is no token.
  expect((await ann.run(ann.engine.recover())).map(({ error }) => error?.code)).toContain('unknown-day-key')
  to(START + 9 * DAY)
  await ann.run(ann.engine.recover())
  await ann.run(ann.engine.recover())
  expect(await ann.available()).toBe(100)
  await town.expectBooks([ann])
})
