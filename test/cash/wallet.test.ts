/** A wallet: what it begins, what it believes, and what it says when something does not work. */
import { beforeEach, describe, expect, test } from 'vitest'
import { MixmintError } from '@mixmint/core/kit/errors'
import { coinId } from '@mixmint/core/cash/coin'
import { contractId, signInvoice, signOutcome } from '@mixmint/core/cash/contract'
import type { Invoice, SignedInvoice, SignedPaid, Token } from '@mixmint/core/cash/formats'
import { signKeyset } from '@mixmint/core/cash/keyset'
import type { BankReply, MerchantReply } from '@mixmint/core/cash/messages'
import { Registry } from '@mixmint/core/cash/registry'
import { signPaid, signToken } from '@mixmint/core/cash/token'
import { DAY, HOUR, keyNamed, NETWORK, START, suite, type Economy } from '../doubles/economy.ts'
import type { Person} from '../doubles/town.ts'
import { Town, type Shop } from '../doubles/town.ts'

type Reply = BankReply | MerchantReply

let town: Town
let economy: Economy
let shop: Shop

beforeEach(() => {
  town = new Town()
  economy = town.desk.economy
  shop = town.shop()
})

/** With coins of 2, 4, 16 and a token of 9: paying 9 takes the 16, with change. */
async function inNeedOfChange (name = 'ann'): Promise<Person> {
  const person = await town.person(name, 31)
  await person.run(person.engine.buyToken(shop.key.publicKey, 9))
  expect(await person.run(person.engine.plan(9))).toMatchObject({ change: 7 })
  return person
}

async function states (person: Person): Promise<string[]> {
  return (await person.run(person.engine.history())).map(({ kind, state }) => `${kind} ${state}`)
}

/** Nothing of it was believed; with honest answers it comes to its end, and everything is there. */
async function expectKept (person: Person, worth: number): Promise<void> {
  expect(await person.run(person.engine.pending())).toHaveLength(1)
  person.bend = reply => reply
  expect((await person.run(person.engine.recover())).map(({ error }) => error)).toEqual([null])
  expect(await person.worth()).toBe(worth)
  await town.expectBooks([person])
}

describe('the account', () => {
  test('is asked directly; everything else goes over the mixnet', async () => {
    const ann = await town.person('ann', 60)
    expect(await ann.run(ann.engine.accountBalance())).toBe(0)
    await ann.run(ann.engine.exchange([16]))
    await ann.run(ann.engine.buyToken(shop.key.publicKey, 3))
    await ann.run(ann.engine.payWithCoins(await shop.invoice(5)))
    expect(ann.sent).toEqual(['direct withdraw', 'direct balance', 'mixnet file', 'mixnet settle', 'mixnet file', 'mixnet settle', 'mixnet file', 'merchant pay'])
    expect(await states(ann)).toEqual(['withdraw done', 'exchange done', 'token done', 'pay done'])
    await town.expectBooks([ann])
  })

  test('withdrawing more than it holds is refused, and over', async () => {
    const ann = await town.person('ann', 5)
    expect(await ann.codeOf(ann.engine.withdraw(1))).toBe('insufficient-funds')
    expect(await states(ann)).toEqual(['withdraw done', 'withdraw refused'])
    expect(await ann.run(ann.engine.pending())).toEqual([])
  })

  test.each(['operator', 'us'] as const)('a bank with a fault of its own (%s) may have debited: the withdrawal is kept', async fault => {
    const ann = await town.person('ann')
    await town.desk.run(town.desk.engine.credit(ann.engine.account, 9, 'x'))
    ann.bend = () => ({ is: 'refused', code: 'store-failed', fault, retry: false, message: '' })
    expect(await ann.codeOf(ann.engine.withdraw(9))).toBe('store-failed')
    await expectKept(ann, 9)
  })

  test('nobody knows whether it was sent: kept, whoever is at fault', async () => {
    const ann = await town.person('ann')
    await town.desk.run(town.desk.engine.credit(ann.engine.account, 9, 'x'))
    const mend = town.bendBank(async () => { throw new MixmintError('stopped', 'caller', 'you stopped it') })
    expect(await ann.codeOf(ann.engine.withdraw(9))).toBe('stopped')
    mend()
    await expectKept(ann, 9)
  })

  test('another unit, or no balance', async () => {
    const ann = await town.person('ann')
    ann.bend = () => ({ is: 'balance', unit: 'USD-cent', balance: 1 })
    expect(await ann.codeOf(ann.engine.accountBalance())).toBe('bad-reply')
  })

  test('amounts that are none', async () => {
    const ann = await town.person('ann')
    for (const amount of [0, -1, 1.5, NaN]) {
      expect(await ann.codeOf(ann.engine.withdraw(amount))).toBe('bad-argument')
      expect(await ann.codeOf(ann.engine.buyToken(shop.key.publicKey, amount))).toBe('bad-argument')
    }
    expect(await ann.codeOf(ann.engine.exchange([]))).toBe('bad-argument')
    expect(await ann.codeOf(ann.engine.withdraw(1e6))).toBe('unpayable-amount')
  })
})

describe('what the bank answers is verified', () => {
  const settled = (change: (reply: BankReply & { is: 'settlement' }) => BankReply) => (reply: Reply): Reply => reply.is === 'settlement' ? change(reply) : reply
  const outcomeOf = (contract: Uint8Array, key = economy.bank, state: 'open' | 'settled' = 'settled'): { outcome: ReturnType<typeof signOutcome> } => ({ outcome: signOutcome(suite, key, { contract, state, time: START }) })

  const answers: Record<string, [code: string, bend: (reply: Reply) => Reply]> = {
    'an outcome that the bank did not sign': ['bad-outcome', settled(reply => ({ ...reply, ...outcomeOf(reply.outcome.outcome.contract, keyNamed('forger')) }))],
    'the outcome of another contract': ['wrong-contract', settled(reply => ({ ...reply, ...outcomeOf(suite.sha256()) }))],
    'blind signatures that are none': ['bad-blind-signature', settled(reply => ({ ...reply, signatures: reply.signatures.map(one => one.toReversed()) }))],
    'blind signatures in another order': ['bad-blind-signature', settled(reply => ({ ...reply, signatures: reply.signatures.toReversed() }))],
    'too few blind signatures': ['bad-settlement', settled(reply => ({ ...reply, signatures: reply.signatures.slice(1) }))],
    'a token that nobody ordered': ['bad-settlement', settled(reply => ({ ...reply, token: signToken(suite, economy.dayKey, economy.token()) }))],
    'something else': ['bad-reply', () => ({ is: 'signatures', signatures: [] })],
    'all is certified, but not settled': ['bad-reply', () => ({ is: 'short', inputs: [] })]
  }
  test.each(Object.keys(answers))('%s', async name => {
    const [code, bend] = answers[name]
    const ann = await town.person('ann', 60)
    ann.bend = name.startsWith('all') ? (_, request) => ({ is: 'short', inputs: request.op === 'settle' ? request.inputs.map(({ spend }) => ({ coin: coinId(suite, spend.coin), state: 'certified', first: null, code: '' })) : [] }) : bend
    expect(await ann.codeOf(ann.engine.exchange([16, 2, 1]))).toBe(code)
    await expectKept(ann, 60)
  })

  const tokens: Record<string, Partial<Token>> = {
    network: { network: 'elsewhere' }, bank: { bank: keyNamed('x').publicKey }, day: { day: 1 }, payee: { payee: keyNamed('x').publicKey },
    till: { till: suite.sha256() }, amount: { amount: 8 }, unit: { unit: 'USD-cent' }, serial: { serial: suite.sha256() },
    owner: { ownerKey: keyNamed('x').publicKey }, notBefore: { notBefore: START + 1 }, notAfter: { notAfter: START + 1 },
    depositUntil: { depositUntil: START + 1 }, refundAfter: { refundAfter: START + 1 }, memo: { memoHash: suite.sha256() }
  }
  test.each(Object.keys(tokens))('a token with another %s than ordered', async name => {
    const ann = await town.person('ann', 60)
    ann.bend = settled(reply => reply.token === null ? reply : { ...reply, token: signToken(suite, economy.dayKey, { ...reply.token.token, ...tokens[name] }) })
    expect(await ann.codeOf(ann.engine.buyToken(shop.key.publicKey, 9))).toBe('wrong-token')
    await expectKept(ann, 60)
  })

  test('a token that is not signed with the listed key', async () => {
    const ann = await town.person('ann', 60)
    ann.bend = settled(reply => reply.token === null ? reply : { ...reply, token: signToken(suite, keyNamed('secret key'), reply.token.token) })
    expect(await ann.codeOf(ann.engine.buyToken(shop.key.publicKey, 9))).toBe('bad-token')
    await expectKept(ann, 60)
  })

  test.each([
    ['bad-blind-signature', (reply: Reply): Reply => reply.is === 'signatures' ? { ...reply, signatures: reply.signatures.map(() => new Uint8Array(256)) } : reply],
    ['bad-settlement', (): Reply => ({ is: 'signatures', signatures: [] })],
    ['bad-reply', (): Reply => ({ is: 'short', inputs: [] })]
  ])('the coins of a withdrawal: %s', async (code, bend) => {
    const ann = await town.person('ann')
    await town.desk.run(town.desk.engine.credit(ann.engine.account, 9, 'x'))
    ann.bend = bend as Person['bend']
    expect(await ann.codeOf(ann.engine.withdraw(9))).toBe(code)
    expect(await ann.available()).toBe(0)
    await expectKept(ann, 9)
  })
})

describe('paying with coins', () => {
  test('with change at once; the same invoice again is the same payment', async () => {
    const ann = await inNeedOfChange()
    const invoice = await shop.invoice(9)
    const payment = await ann.run(ann.engine.payWithCoins(invoice))
    expect(payment).toMatchObject({ settled: true, receipt: { paid: { how: 'coins' } } })
    expect(await ann.run(ann.engine.payWithCoins(invoice))).toEqual(payment)
    expect(ann.sent.filter(line => line === 'merchant pay')).toHaveLength(1)
    expect(await ann.available()).toBe(13)
    await town.expectBooks([ann])
  })

  test('the bank is closed: paid by the payee\'s word, the change fetched later', async () => {
    const ann = await inNeedOfChange()
    town.bankDown = true
    const invoice = await shop.invoice(9)
    const payment = await ann.run(ann.engine.payWithCoins(invoice, { waived: true }))
    expect(payment.settled).toBe(false)
    expect(await states(ann)).toEqual(['withdraw done', 'token done', 'pay paid'])
    expect(await ann.available()).toBe(6)
    expect((await ann.run(ann.engine.fetchChange()))[0].error?.code).toBe('overdue')
    town.bankDown = false
    expect((await ann.run(ann.engine.fetchChange()))[0].entry?.state).toBe('paid')
    await shop.run(shop.engine.settlePending())
    expect(await ann.run(ann.engine.outcome(payment.sequence))).toMatchObject({ state: 'done' })
    expect(await ann.available()).toBe(13)
    await town.expectBooks([ann])
  })

  test('the payee does not answer: kept, and the same contract is brought again, never another', async () => {
    const ann = await town.person('ann', 60)
    const invoice = await shop.invoice(9)
    shop.down = true
    expect(await ann.codeOf(ann.engine.payWithCoins(invoice))).toBe('overdue')
    expect(await ann.codeOf(ann.engine.payWithCoins(invoice))).toBe('overdue')
    expect(await ann.run(ann.engine.balance())).toMatchObject({ available: 51, promised: 9 })
    shop.down = false
    await ann.run(ann.engine.payWithCoins(invoice))
    const contracts = ann.requests.flatMap(request => request.op === 'pay' ? [contractId(suite, request.contract).join()] : [])
    expect(contracts).toHaveLength(3)
    expect(new Set(contracts).size).toBe(1)
    await town.expectBooks([ann])
  })

  test('the payee\'s answer is lost for good, but it has settled: the bank\'s word is enough', async () => {
    const ann = await inNeedOfChange()
    const invoice = await shop.invoice(9)
    ann.bend = (reply, request) => { if (request.op === 'pay') shop.down = true; return request.op === 'pay' ? { is: 'unpaid' } : reply }
    expect(await ann.codeOf(ann.engine.payWithCoins(invoice))).toBe('bad-reply')
    const payment = await ann.run(ann.engine.payWithCoins(invoice))
    expect(payment).toMatchObject({ receipt: null, settled: true })
    await town.expectBooks([ann])
  })

  describe('a payee that says paid is not believed without its signature', () => {
    const rival = keyNamed('shop rival')
    const receipts: Record<string, (signed: SignedPaid) => SignedPaid> = {
      'signed by another': ({ paid }) => signPaid(suite, rival, paid),
      'of another order': ({ paid }) => signPaid(suite, shop.key, { ...paid, invoice: suite.sha256() }),
      'for another way of paying': ({ paid }) => signPaid(suite, shop.key, { ...paid, how: 'token' })
    }
    test.each(Object.keys(receipts))('%s', async name => {
      const ann = await town.person('ann', 60)
      ann.bend = reply => reply.is === 'paid' ? { ...reply, signed: receipts[name](reply.signed) } : reply
      expect(await ann.codeOf(ann.engine.payWithCoins(await shop.invoice(9)))).toBe('bad-receipt')
      expect(await states(ann)).toEqual(['withdraw done', 'pay open'])
      await expectKept(ann, 51)
    })
  })

  test('a payee that hands on a settlement that is none: the payment stands, the bank is asked', async () => {
    const ann = await inNeedOfChange()
    ann.bend = reply => reply.is === 'paid' && reply.settlement !== null ? { ...reply, settlement: { ...reply.settlement, signatures: reply.settlement.signatures.map(() => new Uint8Array(256)) } } : reply
    expect(await ann.run(ann.engine.payWithCoins(await shop.invoice(9)))).toMatchObject({ settled: false })
    expect(await ann.available()).toBe(6)
    await ann.run(ann.engine.fetchChange())
    expect(await ann.available()).toBe(13)
    await town.expectBooks([ann])
  })

  describe('invoices that are not paid', () => {
    const changes: Record<string, [code: string, change: (invoice: Invoice) => SignedInvoice]> = {
      'not signed by their payee': ['bad-invoice', invoice => signInvoice(suite, keyNamed('x'), invoice)],
      'of another network': ['wrong-network', invoice => signInvoice(suite, shop.key, { ...invoice, network: 'elsewhere' })],
      'of another bank': ['wrong-bank', invoice => signInvoice(suite, shop.key, { ...invoice, bank: keyNamed('x').publicKey })],
      'in another unit': ['wrong-unit', invoice => signInvoice(suite, shop.key, { ...invoice, unit: 'USD-cent' })],
      'with too little time left': ['invoice-expired', invoice => signInvoice(suite, shop.key, { ...invoice, settleBy: START + economy.parameters.margin })]
    }
    test.each(Object.keys(changes))('%s', async name => {
      const [code, change] = changes[name]
      const ann = await town.person('ann', 60)
      await ann.run(ann.engine.buyToken(shop.key.publicKey, 9))
      const invoice = change((await shop.invoice(9)).invoice)
      expect(await ann.codeOf(ann.engine.payWithCoins(invoice))).toBe(code)
      if (code !== 'invoice-expired') expect(await ann.codeOf(ann.engine.payWithToken(invoice))).toBe(code)
      expect(await ann.run(ann.engine.pending())).toEqual([])
    })
  })

  test('an invoice that allows more time than the network does not lock coins for longer', async () => {
    const ann = await town.person('ann', 60)
    const { invoice } = await shop.invoice(9)
    shop.down = true
    await ann.codeOf(ann.engine.payWithCoins(signInvoice(suite, shop.key, { ...invoice, settleBy: START + 30 * DAY })))
    const [request] = ann.requests.slice(-1)
    expect(request.op === 'pay' && request.contract.settleBy).toBe(START + economy.parameters.settleMaximum)
  })

  test('two payments at once take different coins; two recoveries at once do everything once', async () => {
    const ann = await town.person('ann', 60)
    const invoices = [await shop.invoice(9), await shop.invoice(9), await shop.invoice(9)]
    town.bankDown = true
    await Promise.all(invoices.map(async invoice => await ann.run(ann.engine.payWithCoins(invoice, { waived: true }))))
    town.bankDown = false
    await shop.run(shop.engine.settlePending())
    await Promise.all([ann.run(ann.engine.recover()), ann.run(ann.engine.recover())])
    expect(await ann.worth()).toBe(33)
    await town.expectBooks([ann])
  })

  test('the same invoice twice at once is one payment', async () => {
    const ann = await town.person('ann', 60)
    const invoice = await shop.invoice(9)
    const codes = await Promise.all([0, 1].map(async () => await ann.codeOf(ann.engine.payWithCoins(invoice))))
    expect(codes.sort()).toEqual(['fine', 'invoice-in-use'])
    await ann.run(ann.engine.recover())
    expect(await ann.worth()).toBe(51)
    await town.expectBooks([ann])
  })
})

describe('not enough', () => {
  test('says what there is, and what is locked', async () => {
    const ann = await town.person('ann', 20)
    shop.down = true
    await ann.codeOf(ann.engine.payWithCoins(await shop.invoice(4)))
    await expect(ann.run(ann.engine.buyToken(shop.key.publicKey, 17))).rejects.toMatchObject({ code: 'insufficient-funds', message: expect.stringMatching(/17 wanted, and 16 can be spent now; 4 more belong to operations under way: `recover`/) })
  })

  test('coins too near their end are not spent, and not hidden', async () => {
    const ann = await town.person('ann', 20)
    const { spendUntil } = economy.signedKeyset.keyset
    economy.clock.set(spendUntil - economy.parameters.margin)
    const next = signKeyset(suite, economy.bank, { ...economy.signedKeyset.keyset, issueUntil: spendUntil + 30 * DAY, spendUntil: spendUntil + 60 * DAY, redeemUntil: spendUntil + 90 * DAY, refundUntil: spendUntil + 120 * DAY })
    town.desk.registry = new Registry(suite, NETWORK, economy.parameters, [{ ...economy.listing, keysets: [economy.signedKeyset, next] }])
    expect(await ann.run(ann.engine.balance())).toEqual({ available: 0, ageing: 0, given: 0, promised: 0, leftOver: 0, ended: 20, tokens: 0 })
    await expect(ann.run(ann.engine.exchange([4]))).rejects.toMatchObject({ code: 'insufficient-funds', message: expect.stringContaining('20 more are too near their end') })
    economy.clock.set(spendUntil - economy.parameters.margin - 1)
    await ann.run(ann.engine.exchange([4]))
    expect(await ann.available()).toBeGreaterThanOrEqual(4)
  })

  test('coins that could end before the contract is decided are not promised to it', async () => {
    const { settleMaximum, voidGrace, margin } = economy.parameters
    const late = new Town({ keyset: { redeemUntil: START + 60 * DAY + HOUR } })
    const ann = await late.person('ann', 20)
    const { keyset } = late.desk.economy.signedKeyset
    const next = signKeyset(suite, economy.bank, { ...keyset, issueUntil: START + 100 * DAY, spendUntil: START + 200 * DAY, redeemUntil: START + 300 * DAY, refundUntil: START + 400 * DAY })
    late.desk.registry = new Registry(suite, NETWORK, economy.parameters, [{ ...economy.listing, keysets: [late.desk.economy.signedKeyset, next] }])
    late.desk.economy.clock.set(keyset.redeemUntil - settleMaximum - voidGrace - margin)
    expect(await ann.codeOf(ann.engine.exchange([4]))).toBe('insufficient-funds')
    late.desk.economy.clock.set(keyset.redeemUntil - settleMaximum - voidGrace - margin - 1000)
    expect(await ann.codeOf(ann.engine.exchange([4]))).toBe('fine')
  })

  test('no keyset issues', async () => {
    const ann = await town.person('ann', 20)
    economy.clock.set(economy.signedKeyset.keyset.issueUntil)
    expect(await ann.codeOf(ann.engine.exchange([4]))).toBe('no-keyset')
  })

  test('no keyset issues whose coins outlive the contract', async () => {
    const ann = await town.person('ann', 20)
    const { keyset } = economy.signedKeyset
    economy.clock.set(keyset.issueUntil)
    const spendUntil = keyset.issueUntil + economy.parameters.settleMaximum + economy.parameters.voidGrace + economy.parameters.margin
    const listed = (spendUntil: number): void => {
      const next = signKeyset(suite, economy.bank, { ...keyset, issueUntil: keyset.issueUntil + HOUR, spendUntil })
      town.desk.registry = new Registry(suite, NETWORK, economy.parameters, [{ ...economy.listing, keysets: [economy.signedKeyset, next] }])
    }
    listed(spendUntil)
    expect(await ann.codeOf(ann.engine.exchange([4]))).toBe('no-keyset')
    listed(spendUntil + 1)
    expect(await ann.codeOf(ann.engine.exchange([4]))).toBe('fine')
  })
})

test('an answer that never comes says what to do', async () => {
  const ann = await town.person('ann', 60)
  town.bankDown = true
  await expect(ann.run(ann.engine.exchange([4]))).rejects.toMatchObject({ code: 'overdue', retry: true, message: expect.stringContaining('`recover` completes it') })
  expect(await ann.codeOf(ann.engine.outcome(99))).toBe('unknown-operation')
  expect(await ann.codeOf(ann.engine.outcome(1))).toBe('unknown-operation')
})
