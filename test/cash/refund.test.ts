/** Tokens that nobody turned in: at the bank, and in a wallet. */
import { beforeEach, describe, expect, test } from 'vitest'
import type { SignedToken } from '@mixmint/core/cash/formats'
import { MixmintError } from '@mixmint/core/kit/errors'
import { signKeyset } from '@mixmint/core/cash/keyset'
import type { BankRequest } from '@mixmint/core/cash/messages'
import { refundMessage } from '@mixmint/core/cash/reclaim'
import { Registry } from '@mixmint/core/cash/registry'
import { present, signToken, tokenHash } from '@mixmint/core/cash/token'
import { BankDesk, OWNER } from '../doubles/bank-desk.ts'
import { DAY, keyNamed, NETWORK, suite } from '../doubles/economy.ts'
import { hashOf, Town, type Person, type Shop } from '../doubles/town.ts'

type Refund = BankRequest & { op: 'refund' }

describe('a bank', () => {
  let desk: BankDesk
  let token: SignedToken

  const refund = (values: number[] = [8], changes: Partial<Refund> = {}, owner = OWNER): Refund => {
    const outputs = changes.outputs ?? desk.outputs(...values)
    const of = changes.token ?? token
    return { op: 'refund', token: of, outputs, signature: suite.ed25519Sign(owner, refundMessage(suite, tokenHash(suite, of.token), outputs)) }
  }
  const deposited = async (): Promise<string> => {
    const reply = await desk.ask({ op: 'deposit', presentations: [presented] })
    return reply.is === 'deposited' ? reply.results[0].code + reply.results[0].state : reply.is
  }
  let presented: Awaited<ReturnType<BankDesk['presentation']>>

  beforeEach(async () => {
    desk = new BankDesk()
    presented = await desk.presentation(8)
    token = presented.token
    desk.economy.clock.set(token.token.refundAfter)
  })

  test('gives coins for it, the same for the same request whenever it comes, and nothing to another or to the payee', async () => {
    const request = refund([4, 4])
    const reply = await desk.ask(request)
    expect(reply.is).toBe('signatures')
    await desk.expectBalanced()
    desk.restart()
    // The day key and the keyset are long gone.
    desk.economy.clock.advance(200 * DAY)
    desk.registry = new Registry(suite, NETWORK, desk.economy.parameters, [])
    desk.dayKey = () => undefined
    expect(await desk.ask(request)).toEqual(reply)
    expect(await desk.codeOf(refund([8]))).toBe('token-spent')
    expect(await deposited()).toBe('token-refundedrefused')
    const books = await desk.run(desk.engine.books())
    expect(books).toMatchObject({ tokens: 0, outstanding: 8, accounts: 0 })
  })

  test('not before its time, and not when the payee has turned it in', async () => {
    desk.economy.clock.set(token.token.refundAfter - 1)
    expect(await desk.codeOf(refund())).toBe('refund-too-early')
    desk = new BankDesk()
    presented = await desk.presentation(8)
    token = presented.token
    expect(await deposited()).toBe('credited')
    desk.economy.clock.set(token.token.refundAfter)
    expect(await desk.codeOf(refund())).toBe('token-spent')
    expect(await deposited()).toBe('already')
    await desk.expectBalanced()
  })

  test('not to somebody else, not more than it is worth, and not for a token that it did not issue', async () => {
    desk.economy.clock.set(token.token.notBefore)
    const twin = await desk.presentation(8)
    desk.economy.clock.set(token.token.refundAfter)
    expect(await desk.codeOf(refund([8], {}, keyNamed('thief')))).toBe('bad-owner-signature')
    expect(await desk.codeOf({ ...refund(), outputs: desk.outputs(8) })).toBe('bad-owner-signature')
    expect(await desk.codeOf(refund([8, 1]))).toBe('wrong-sum')
    expect(await desk.codeOf(refund([4]))).toBe('wrong-sum')
    const other = signToken(suite, desk.economy.dayKey, { ...token.token, amount: 80 })
    expect(await desk.codeOf(refund([16, 64], { token: other }))).toBe('token-not-issued')
    const early = signToken(suite, desk.economy.dayKey, { ...token.token, refundAfter: 0 })
    expect(await desk.codeOf(refund([8], { token: early }))).toBe('token-not-issued')
    const mine = signToken(suite, desk.economy.dayKey, { ...token.token, ownerKey: keyNamed('thief').publicKey })
    expect(await desk.codeOf(refund([8], { token: mine }, keyNamed('thief')))).toBe('token-not-issued')
    const foreign = signToken(suite, desk.economy.dayKey, { ...token.token, bank: keyNamed('other').publicKey })
    expect(await desk.codeOf(refund([8], { token: foreign }))).toBe('wrong-bank')
    const request = refund()
    expect(await desk.codeOf(request)).toBe('signatures')
    expect(await desk.codeOf(refund([], { token: twin.token, outputs: request.outputs }))).toBe('output-used')
    await desk.expectBalanced()
  })

  test.each(['deposit', 'refund'] as const)('when a %s comes between any two steps of the other, one has the money, and the other is told', async first => {
    const outcomes = new Set<string>()
    for (let effect = 0; ; effect++) {
      desk = new BankDesk()
      presented = await desk.presentation(8)
      token = presented.token
      desk.economy.clock.set(token.token.refundAfter)
      const ways = { deposit: deposited, refund: async () => await desk.codeOf(refund([8])) }
      let between: string | undefined
      let count = 0
      desk.before = async () => {
        if (count++ !== effect) return
        desk.before = () => {}
        between = await ways[first]()
      }
      const other = await ways[first === 'deposit' ? 'refund' : 'deposit']()
      await desk.expectBalanced()
      if (between === undefined) break
      const [deposit, refunded] = first === 'deposit' ? [between, other] : [other, between]
      outcomes.add(`${deposit} ${refunded}`)
    }
    // After the other has written, it is too late.
    expect([...outcomes].sort()).toEqual(['credited token-spent', 'token-refundedrefused signatures'])
  })
})

test('a token whose refund opens early is not made, nor taken by its payee', async () => {
  const desk = new BankDesk()
  const now = desk.economy.clock.now()
  for (const terms of [{ depositUntil: now + DAY }, { refundAfter: now + 8 * DAY - 1 }, { notAfter: now + DAY, depositUntil: now + DAY, refundAfter: now + DAY }]) {
    expect(await desk.codeOf(desk.settle(desk.tokenContract(8, [], terms), await desk.coins(8)))).toBe('token-too-short')
  }
  const town = new Town()
  const shop = town.shop()
  const time = town.desk.economy.clock.now()
  const token = signToken(suite, town.desk.economy.dayKey, town.desk.economy.token({ payee: shop.key.publicKey, notAfter: time + DAY, depositUntil: time }))
  const invoice = await shop.invoice(8)
  expect(await shop.replyTo({ op: 'present', presentation: present(suite, keyNamed('owner'), token, hashOf(invoice)) })).toBe('token-expired')
})

describe('a wallet', () => {
  let town: Town
  let shop: Shop
  let ann: Person

  beforeEach(async () => {
    town = new Town()
    shop = town.shop()
    ann = await town.person('ann', 60)
  })

  const entries = async (): Promise<string[]> => (await ann.run(ann.engine.history())).map(({ kind, state, amount }) => `${kind} ${state} ${amount}`)
  const pass = (days: number): void => { town.desk.economy.clock.advance(days * DAY) }
  const buy = async (amount: number): Promise<Uint8Array> => (await ann.run(ann.engine.buyToken(shop.key.publicKey, amount))).token.serial

  test('has its tokens back when they were not used, by itself', async () => {
    await buy(9)
    await buy(20)
    pass(7)
    await ann.run(ann.engine.recover())
    expect(await ann.available()).toBe(31)
    pass(1)
    // Not yet, by a clock that is behind.
    await ann.run(ann.engine.recover())
    expect(ann.sent.filter(line => line.endsWith('refund'))).toEqual([])
    town.desk.economy.clock.advance(town.desk.economy.parameters.clockSkew)
    await ann.run(ann.engine.recover())
    expect(await ann.available()).toBe(60)
    expect((await entries()).slice(-2).sort()).toEqual(['refund done 20', 'refund done 9'])
    expect(ann.sent.filter(line => line.endsWith('refund'))).toEqual(['mixnet refund', 'mixnet refund'])
    await ann.run(ann.engine.recover())
    expect(ann.sent.filter(line => line.endsWith('refund'))).toHaveLength(2)
    expect((await ann.run(ann.engine.balance())).tokens).toBe(0)
    await town.expectBooks([ann])
    const paid = await ann.run(ann.engine.payWithCoins(await shop.invoice(60)))
    expect(paid.settled).toBe(true)
  })

  test('has one back that it handed over and that never came there', async () => {
    const invoice = await shop.invoice(9)
    await ann.run(ann.engine.presentToken(await buy(9), invoice))
    pass(9)
    await ann.run(ann.engine.recover())
    expect(await ann.available()).toBe(51)
    await ann.run(ann.engine.recover(true))
    expect(await ann.available()).toBe(60)
    await town.expectBooks([ann])
  })

  test('learns that the payee has had the money', async () => {
    const invoice = await shop.invoice(9)
    await shop.run(shop.engine.accept(await ann.run(ann.engine.presentToken(await buy(9), invoice))))
    await shop.run(shop.engine.deposit())
    pass(9)
    // By itself it does not ask about what was handed over.
    await ann.run(ann.engine.recover())
    expect(ann.sent).not.toContain('mixnet refund')
    await ann.run(ann.engine.reclaim())
    expect(await ann.available()).toBe(51)
    expect((await entries()).at(-1)).toBe('refund spent 9')
    await ann.run(ann.engine.reclaim())
    expect((await entries()).filter(entry => entry.startsWith('refund'))).toHaveLength(1)
    await town.expectBooks([ann])
  })

  test('does not pay with a token that it has asked back, whatever became of that', async () => {
    const invoice = await shop.invoice(9)
    await buy(9)
    shop.down = true
    await ann.codeOf(ann.engine.payWithToken(invoice))
    shop.down = false
    pass(9)
    // The answer of the bank is lost; the payment is what the wallet tries first, and its token is too old.
    ann.bend = (reply, request) => {
      if (request.op === 'refund') throw new MixmintError('lost', 'peer', 'lost', { retry: true })
      return reply
    }
    await ann.run(ann.engine.recover())
    expect((await entries()).at(-1)).toBe('refund open 9')
    expect(await ann.codeOf(ann.engine.payWithToken(invoice))).not.toBe('fine')
    const [{ token }] = await ann.run(ann.engine.tokens())
    expect(await ann.codeOf(ann.engine.presentToken(token.token.serial, await shop.invoice(9)))).toBe('token-used')
    ann.bend = reply => reply
    await ann.run(ann.engine.recover())
    expect((await entries()).at(-1)).toBe('refund done 9')
    expect(await ann.codeOf(ann.engine.payWithToken(invoice))).not.toBe('fine')
    expect(await ann.worth()).toBe(60)
    await town.expectBooks([ann])
  })

  // The latter where a copy of the wallet has used the outputs.
  test.each(['keyset-not-issuing', 'output-used'])('that is refused again and again (%s) comes to an end, and goes on with fresh outputs', async code => {
    await buy(9)
    pass(9)
    const mend = town.bendBank(async (request, ask) => request.op === 'refund' ? { is: 'refused', code, fault: 'peer', retry: false, message: '' } : await ask(request))
    const results = await ann.run(ann.engine.recover())
    expect(results.length).toBeLessThan(5)
    expect(await ann.run(ann.engine.pending())).toEqual([])
    mend()
    await ann.run(ann.engine.recover())
    expect(await ann.available()).toBe(60)
  })

  test('without a keyset that issues says so, and does the rest', async () => {
    await buy(9)
    pass(9)
    const { economy } = town.desk
    town.desk.registry = new Registry(suite, NETWORK, economy.parameters, [])
    const results = await ann.run(ann.engine.recover())
    expect(results.map(({ error }) => error?.code)).toContain('no-keyset')
    town.desk.registry = economy.registry
    await ann.run(ann.engine.recover())
    expect(await ann.available()).toBe(60)
  })

  test('takes fresh outputs when those of a refund went out of issue', async () => {
    const { economy } = town.desk
    await buy(9)
    pass(9)
    const mend = town.bendBank(async (request, ask) => request.op === 'refund' ? { is: 'refused', code: 'busy', fault: 'operator', retry: true, message: '' } : await ask(request))
    await ann.run(ann.engine.recover())
    expect((await ann.run(ann.engine.balance())).tokens).toBe(9)
    mend()
    const { keyset } = economy.signedKeyset
    economy.clock.set(keyset.issueUntil + economy.parameters.clockSkew)
    const next = signKeyset(suite, economy.bank, { ...keyset, issueUntil: keyset.refundUntil, spendUntil: keyset.refundUntil + DAY, redeemUntil: keyset.refundUntil + 2 * DAY, refundUntil: keyset.refundUntil + 3 * DAY })
    town.desk.registry = new Registry(suite, NETWORK, economy.parameters, [{ ...economy.listing, keysets: [economy.signedKeyset, next] }])
    await ann.run(ann.engine.recover())
    await ann.run(ann.engine.recover())
    expect((await entries()).filter(entry => entry.startsWith('refund'))).toEqual(['refund refused 9', 'refund done 9'])
    expect(await ann.worth()).toBe(60)
  })
})
