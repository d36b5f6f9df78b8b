/** Coins that cannot be certified any more: at the bank, and in a wallet. */
import { beforeEach, describe, expect, test } from 'vitest'
import { toHex } from '@mixmint/core/kit/bytes'
import { contractId } from '@mixmint/core/cash/contract'
import type { Contract } from '@mixmint/core/cash/formats'
import { keysetId, signKeyset } from '@mixmint/core/cash/keyset'
import type { BankReply, BankRequest } from '@mixmint/core/cash/messages'
import { reclaimMessage, refundCoinMessage, refundMessage, voidMessage } from '@mixmint/core/cash/reclaim'
import { Registry } from '@mixmint/core/cash/registry'
import { BankDesk } from '../doubles/bank-desk.ts'
import { DAY, HOUR, keyNamed, mint, NETWORK, suite, type OwnedCoin } from '../doubles/economy.ts'
import { copyOf } from '../doubles/memory-store.ts'
import { Person, Town, type Shop } from '../doubles/town.ts'

const { keyset } = new BankDesk().economy.signedKeyset
const { redeemUntil, refundUntil } = keyset
/** A keyset that follows the first one, and lasts well beyond it. */
const later = [{ keyset: {
  issueFrom: keyset.issueUntil, issueUntil: refundUntil + 60 * DAY, spendUntil: refundUntil + 90 * DAY, redeemUntil: refundUntil + 120 * DAY, refundUntil: refundUntil + 150 * DAY
} }]

describe('a bank', () => {
  let desk: BankDesk
  let coin: OwnedCoin
  let other: OwnedCoin
  let contract: Contract
  /** Outputs of the keyset that issues then. */
  const outputs = (...values: number[]): ReturnType<BankDesk['outputs']> => {
    const [known] = desk.registry.issuing(desk.economy.bank.publicKey, keyset.unit, redeemUntil)
    return desk.outputs(...values).map(output => ({ ...output, keyset: known.id }))
  }
  const at = (time: number): void => { desk.economy.clock.set(time) }

  beforeEach(async () => {
    desk = new BankDesk({ later })
    ;[coin, other] = await desk.coins(8, 8)
    contract = desk.pay(8)
  })

  test('refunds a coin without a certificate between redeemUntil and refundUntil, the same to every retry, for ever', async () => {
    // Its keepers have voted for two contracts, two and two.
    const keepers = desk.economy.keepersOf(coin)
    for (const [i, center] of keepers.entries()) center.down = i < 2
    expect(await desk.statesOf(desk.settle(contract, [coin]))).toEqual(['unavailable'])
    for (const [i, center] of keepers.entries()) center.down = i >= 2
    expect(await desk.statesOf(desk.settle(desk.pay(8), [coin]))).toEqual(['unavailable'])
    for (const center of keepers) center.down = false
    expect(await desk.statesOf(desk.settle(contract, [coin]))).toEqual(['conflict'])

    const request = desk.refundingCoin(coin, outputs(4, 4), contractId(suite, contract))
    at(redeemUntil - 1)
    expect(await desk.ask(request)).toMatchObject({ code: 'refund-too-early', retry: true })
    at(redeemUntil)
    const reply = await desk.ask(request)
    expect(reply.is).toBe('signatures')
    await desk.expectBalanced()
    desk.restart()
    at(refundUntil + 300 * DAY)
    desk.registry = new Registry(suite, NETWORK, desk.economy.parameters, [])
    expect(await desk.ask(request)).toEqual(reply)
    expect(await desk.codeOf(desk.refundingCoin(coin, outputsOf(request), new Uint8Array(0)))).toBe('coin-spent')
  })

  const outputsOf = ({ outputs }: BankRequest & { op: 'refund-coin' }): typeof outputs => outputs

  test('until refundUntil, and one that was promised to nobody as well', async () => {
    at(refundUntil - 1)
    expect(await desk.codeOf(desk.refundingCoin(coin, outputs(8)))).toBe('signatures')
    at(refundUntil)
    expect(await desk.ask(desk.refundingCoin(other, outputs(8)))).toMatchObject({ code: 'refund-too-late', retry: false })
    await desk.expectBalanced()
  })

  test('each refund that is not in order is refused under its own code, and takes nothing', async () => {
    at(redeemUntil)
    const D = contractId(suite, contract)
    const made = outputs(4, 4)
    const request = desk.refundingCoin(coin, made, D)
    const thief = { coin: coin.coin, key: keyNamed('thief') }
    const used = outputs(8)
    expect(await desk.codeOf(desk.refundingCoin(other, used, D))).toBe('signatures')
    const theirs = signKeyset(suite, keyNamed('other'), { ...keyset, bank: keyNamed('other').publicKey })
    const dollars = signKeyset(suite, desk.economy.bank, { ...keyset, unit: 'USD-cent' })
    const foreign = (of: typeof theirs): OwnedCoin => mint(desk.economy.rng.bytes(32), keysetId(suite, of.keyset), 8)
    const cases: Array<[string, BankRequest]> = [
      ['bad-coin-signature', desk.refundingCoin(thief, made, D)],
      ['bad-coin-signature', { ...request, outputs: outputs(4, 4) }],
      ['bad-coin-signature', { ...request, promisedTo: new Uint8Array(0) }],
      ['bad-coin-signature', { ...request, promisedTo: contractId(suite, desk.pay(8)) }],
      ['bad-coin-signature', { ...request, signature: desk.reclaiming(contract, coin, made).signature }],
      ['bad-coin-signature', { ...request, signature: desk.voiding(contract, coin).signature }],
      ['bad-coin', desk.refundingCoin({ ...coin, coin: { ...coin.coin, signature: other.coin.signature } }, made, D)],
      ['bad-coin', desk.refundingCoin({ ...coin, coin: { ...coin.coin, value: 128 } }, outputs(128), D)],
      ['unknown-denomination', desk.refundingCoin({ ...coin, coin: { ...coin.coin, value: 256 } }, outputs(128, 128), D)],
      ['unknown-keyset', desk.refundingCoin(mint(desk.economy.rng.bytes(32), new Uint8Array(32), 8), made, D)],
      ['wrong-sum', desk.refundingCoin(coin, outputs(8, 1), D)],
      ['wrong-sum', desk.refundingCoin(coin, outputs(4), D)],
      ['duplicate-output', desk.refundingCoin(coin, [made[0], made[0]], D)],
      ['output-used', desk.refundingCoin(coin, used, D)],
      ['keyset-not-issuing', desk.refundingCoin(coin, desk.outputs(8), D)]
    ]
    for (const [code, request] of cases) expect(await desk.codeOf(request), code).toBe(code)
    desk.registry = new Registry(suite, NETWORK, desk.economy.parameters, [
      { ...desk.economy.listing, keysets: [dollars] }, { bank: keyNamed('other').publicKey, keysets: [theirs], rings: [desk.economy.ring], dayKeys: [], sealedDays: [], revocations: [] }
    ])
    for (const [code, of] of [['wrong-bank', theirs], ['wrong-unit', dollars]] as const) expect(await desk.codeOf(desk.refundingCoin(foreign(of), made, D))).toBe(code)
    desk.registry = desk.economy.registry
    expect(await desk.codeOf(request)).toBe('signatures')
    await desk.expectBalanced()
  })

  test('what is signed covers the coin, the contract and the outputs, under a tag of its own', () => {
    const [a, b] = [keyNamed('a').publicKey, keyNamed('b').publicKey]
    const [one, two] = [outputs(8), outputs(8)]
    const none = new Uint8Array(0)
    const messages = [
      refundCoinMessage(suite, a, a, one), refundCoinMessage(suite, a, b, one), refundCoinMessage(suite, b, a, one), refundCoinMessage(suite, a, a, two),
      refundCoinMessage(suite, a, none, one), reclaimMessage(suite, a, a, one), refundMessage(suite, a, one), voidMessage(a, a)
    ]
    expect(new Set(messages.map(toHex)).size).toBe(messages.length)
  })

  test('before redeemUntil it cannot be had without a certificate, after it not with one: nobody is asked twice', async () => {
    const [input] = await desk.certified(contract, [coin])
    const rest = outputs(8)
    at(redeemUntil)
    expect(await desk.codeOf({ ...desk.voiding(contract, coin), input })).toBe('keyset-ended')
    expect(await desk.statesOf({ ...desk.settle(contract, [coin]), inputs: [input] })).toEqual(['keyset-ended'])
    expect(await desk.codeOf(desk.refundingCoin(coin, rest, contractId(suite, contract)))).toBe('signatures')
  })

  /**
   * Each way in which a coin is redeemed, begun just before redeemUntil. It is halted at any step; then redeemUntil is past, and the
   * owner's refund begins; that is halted at any step, too, until the first has ended.
   */
  describe('payee and owner at the same moment: one insert decides, and the other is told', () => {
    const ways: Record<string, () => Promise<BankRequest>> = {
      settle: async () => ({ ...desk.settle(contract, [coin]), inputs: await desk.certified(contract, [coin]) }),
      reclaim: async () => {
        const [input] = await desk.certified(contract, [coin])
        desk.toVoidTime(contract)
        expect(await desk.codeOf({ ...desk.voiding(contract, coin), input })).toBe('outcome')
        return { ...desk.reclaiming(contract, coin, outputs(8)), input }
      },
      'another refund': async () => desk.refundingCoin(coin, outputs(8))
    }

    test.each(Object.keys(ways))('%s or refund', async name => {
      const first = await ways[name]()
      const refund = desk.refundingCoin(coin, outputs(8))
      const store = desk.store
      const seen = new Set<string>()
      let halts = 0
      for (let step = 0; ; step++) {
        let begun = false
        for (let other = 0; ; other++) {
          desk.store = await copyOf(store)
          desk.restart()
          at(name === 'another refund' ? redeemUntil : redeemUntil - 1)
          const [ended, go] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
          let effects = 0
          let second: Promise<BankReply> | undefined
          let isHalted = false
          desk.before = async () => {
            if (effects++ !== step) return
            let later = 0
            desk.before = async () => {
              if (later++ !== other) return
              desk.before = () => {}
              isHalted = true
              go.resolve()
              await ended.promise
            }
            at(redeemUntil)
            second = desk.ask(refund)
            await Promise.race([go.promise, second])
            desk.before = () => {}
          }
          const one = await desk.ask(first)
          ended.resolve()
          if (second === undefined) break
          begun = true
          const two = await second
          desk.before = () => {}
          await desk.expectBalanced()
          const won = [one, two].filter(({ is }) => is === 'settlement' || is === 'signatures')
          expect(won.length, `${one.is} ${two.is}`).toBe(1)
          expect(await desk.balance(desk.economy.payee)).toBe(won[0].is === 'settlement' ? 8 : 0)
          seen.add(won[0] === one ? 'first' : 'refund')
          // Who has won is answered as before when he asks again; who has not does not win then.
          for (const [request, reply] of [[first, one], [refund, two]] as const) {
            const again = await desk.ask(request)
            if (won.includes(reply)) expect(again).toEqual(reply)
            else expect(['settlement', 'signatures']).not.toContain(again.is)
          }
          if (!isHalted) break
          halts += 1
        }
        if (!begun) break
      }
      expect([...seen].sort()).toEqual(['first', 'refund'])
      expect(halts).toBeGreaterThan(20)
    })
  })
})

describe('a wallet', () => {
  let town: Town
  let shop: Shop
  let ann: Person

  beforeEach(async () => {
    town = new Town({ later })
    shop = town.shop()
    ann = await town.person('ann', 31)
  })

  const lapse = (): void => { town.desk.economy.clock.set(redeemUntil + town.desk.economy.parameters.clockSkew) }
  const refunds = (): string[] => ann.sent.filter(line => line.endsWith('refund-coin'))
  const entries = async (): Promise<string[]> => (await ann.run(ann.engine.history())).map(({ kind, state, amount }) => `${kind} ${state} ${amount}`)

  test('has coins back that it never spent in time, by itself', async () => {
    town.desk.economy.clock.set(redeemUntil)
    expect(await ann.run(ann.engine.balance())).toMatchObject({ available: 0, ended: 31 })
    // Not yet, by a clock that is behind.
    await ann.run(ann.engine.recover())
    expect(refunds()).toEqual([])
    lapse()
    await ann.run(ann.engine.recover())
    expect(await ann.available()).toBe(31)
    expect(refunds()).toHaveLength(5)
    expect((await entries()).filter(entry => entry.startsWith('refund'))).toHaveLength(5)
    await ann.run(ann.engine.recover())
    expect(refunds()).toHaveLength(5)
    await town.expectBooks([ann])
    expect((await ann.run(ann.engine.payWithCoins(await shop.invoice(31)))).settled).toBe(true)
  })

  test('has coins back that it gave away and nobody received; whoever comes with the bundle then has nothing', async () => {
    const { clock } = town.desk.economy
    const { bundle, sequence } = await ann.run(ann.engine.give(21, { memo: '', until: clock.now() + HOUR }))
    lapse()
    await ann.run(ann.engine.recover())
    expect(await ann.run(ann.engine.balance())).toMatchObject({ available: 31, given: 0, ended: 0 })
    await ann.run(ann.engine.recover())
    expect(await ann.run(ann.engine.given())).toMatchObject([{ sequence, ours: 21, theirs: 0, open: 0 }])
    const bob = await town.person('bob')
    expect(await bob.codeOf(bob.engine.receive(bundle, { late: true }))).toBe('bundle-ended')
    await town.expectBooks([ann, bob])
  })

  test('does not count coins as its own that it gave away, when their late refund is refused for good', async () => {
    await ann.run(ann.engine.give(21, { memo: '', until: town.desk.economy.clock.now() + HOUR }))
    lapse()
    const mend = town.bendBank(async (request, ask) => request.op === 'refund-coin' ? { is: 'refused', code: 'keyset-not-issuing', fault: 'peer', retry: false, message: '' } : await ask(request))
    await ann.run(ann.engine.recover())
    expect(await ann.run(ann.engine.balance())).toMatchObject({ available: 0, given: 21, ended: 10, leftOver: 0 })
    expect(await ann.run(ann.engine.given())).toMatchObject([{ ours: 0, theirs: 0, open: 21 }])
    mend()
    await ann.run(ann.engine.recover())
    expect(await ann.run(ann.engine.balance())).toMatchObject({ available: 31, given: 0, ended: 0 })
    await ann.run(ann.engine.recover())
    await town.expectBooks([ann])
  })

  test('has coins back that it received and could not exchange in time, by the key that came with them', async () => {
    const { bundle } = await ann.run(ann.engine.give(21, { memo: '', until: town.desk.economy.clock.now() + HOUR }))
    const bob = await town.person('bob')
    for (const center of town.desk.economy.centers) center.down = true
    expect(await bob.run(bob.engine.receive(bundle))).toMatchObject({ ours: 0, open: 21 })
    for (const center of town.desk.economy.centers) center.down = false
    lapse()
    await bob.run(bob.engine.recover())
    expect(await bob.available()).toBe(21)
    await bob.run(bob.engine.recover())
    expect(await bob.run(bob.engine.pending())).toEqual([])
    await ann.run(ann.engine.recover())
    await ann.run(ann.engine.recover())
    expect(await ann.run(ann.engine.given())).toMatchObject([{ ours: 0, theirs: 21, open: 0 }])
    await town.expectBooks([ann, bob])
  })

  test('has coins back that a copy of it froze: the contract without coins is over, and its invoice free', async () => {
    const invoice = await shop.invoice(16)
    const [{ coin }] = (await ann.run(ann.engine.plan(16))).coins
    const keepers = town.desk.economy.keepersOf({ coin })
    const copy = new Person(town, 'ann')
    copy.store = await copyOf(ann.store)
    // It lets the bank keep no copy of what it signs.
    const mend = town.bendBank(async (request, ask) => request.op === 'file' ? { is: 'filed' } : await ask(request))
    town.honest = false
    for (const [i, center] of keepers.entries()) center.down = i < 2
    expect(await copy.codeOf(copy.engine.payWithCoins(await town.shop('rival').invoice(16)))).not.toBe('fine')
    mend()
    for (const [i, center] of keepers.entries()) center.down = i >= 2
    expect(await ann.codeOf(ann.engine.payWithCoins(invoice))).toBe('coins-unavailable')
    for (const center of keepers) center.down = false
    town.honest = true
    town.desk.economy.clock.set(invoice.invoice.settleBy + 2 * HOUR)
    await ann.run(ann.engine.recover())
    const { promised, leftOver } = await ann.run(ann.engine.balance())
    expect(promised + leftOver).toBeGreaterThanOrEqual(16)
    lapse()
    await ann.run(ann.engine.recover())
    await ann.run(ann.engine.recover())
    expect(await ann.available()).toBe(31)
    expect(await ann.run(ann.engine.pending())).toEqual([])
    expect((await entries()).find(entry => entry.startsWith('pay'))).toBe('pay void 16')
    await town.desk.expectBalanced()
    // What the copy asks for is the very same, or comes too late.
    await copy.run(copy.engine.recover())
    await copy.run(copy.engine.recover())
    expect(await copy.run(copy.engine.pending())).toEqual([])
    expect((await town.desk.run(town.desk.engine.books())).outstanding).toBe(31)
  })

  test('has left-over coins back whose keepers are gone for good', async () => {
    const invoice = await shop.invoice(4)
    const [{ coin }] = (await ann.run(ann.engine.plan(4))).coins
    for (const keeper of town.desk.economy.keepersOf({ coin }).slice(0, 2)) keeper.down = true
    expect((await ann.run(ann.engine.payWithCoins(invoice))).settled).toBe(true)
    await ann.run(ann.engine.recover())
    expect((await ann.run(ann.engine.balance())).leftOver).toBeGreaterThanOrEqual(4)
    lapse()
    await ann.run(ann.engine.recover())
    await ann.run(ann.engine.recover())
    expect(await ann.available()).toBe(27)
    await town.expectBooks([ann])
  })

  test('learns that its contract had taken the coins, and has the change', async () => {
    const invoice = await shop.invoice(5)
    await ann.run(ann.engine.exchange([16, 8, 4, 2, 1]))
    ann.bend = (reply, request) => {
      if (request.op === 'pay') throw Object.assign(new Error('gone'), {})
      return reply
    }
    await expect(ann.run(ann.engine.payWithCoins(invoice))).rejects.toThrow('gone')
    ann.bend = reply => reply
    await shop.run(shop.engine.settlePending())
    expect((await shop.run(shop.engine.takings())).settled).toBe(5)
    lapse()
    // Without asking for the outcome first.
    await ann.run(ann.engine.reclaim())
    await ann.run(ann.engine.recover())
    await ann.run(ann.engine.recover())
    expect(await ann.available()).toBe(26)
    expect((await entries()).filter(entry => entry.startsWith('pay'))).toEqual(['pay done 5'])
    await town.expectBooks([ann])
  })

  test('that comes too late says so once, and does not ask for ever', async () => {
    town.desk.economy.clock.set(refundUntil)
    await ann.run(ann.engine.recover())
    expect((await entries()).filter(entry => entry.startsWith('refund refused'))).toHaveLength(5)
    await ann.run(ann.engine.recover())
    expect(refunds()).toHaveLength(5)
    expect(await ann.worth()).toBe(0)
  })

  test('waits for a bank that was down, and then has them', async () => {
    const { desk } = town
    await desk.run(desk.engine.beat())
    desk.economy.clock.set(redeemUntil - DAY)
    await desk.run(desk.engine.beat())
    // Down for as long as certificates were to count.
    lapse()
    await ann.run(ann.engine.recover())
    expect((await ann.run(ann.engine.pending())).length).toBe(5)
    expect(await ann.run(ann.engine.balance())).toMatchObject({ available: 0, leftOver: 31 })
    await desk.workUntil(redeemUntil + 40 * DAY)
    await ann.run(ann.engine.recover())
    expect(await ann.available()).toBe(31)
  })
})
