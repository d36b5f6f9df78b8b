/** A merchant takes coins; every single check refuses something that nothing else does. */
import { beforeEach, describe, expect, test } from 'vitest'
import { fromHex, toHex, utf8 } from '@mixmint/core/kit/bytes'
import { decode, encode } from '@mixmint/core/kit/codec'
import { certify } from '@mixmint/core/cash/certify'
import { coinId } from '@mixmint/core/cash/coin'
import { contractId, signOutcome } from '@mixmint/core/cash/contract'
import { DoubleSpendProofFile, type DoubleSpendProof, type Contract, type Input, type SignedInvoice } from '@mixmint/core/cash/formats'
import { keysetId, signKeyset } from '@mixmint/core/cash/keyset'
import type { BankReply, MerchantReply, MerchantRequest } from '@mixmint/core/cash/messages'
import { Registry } from '@mixmint/core/cash/registry'
import { signSpend, verifyDoubleSpend } from '@mixmint/core/cash/spend'
import { present, signToken, verifyPaid } from '@mixmint/core/cash/token'
import { DAY, HOUR, keyNamed, mint, NETWORK, START, suite, type Economy, type OwnedCoin } from '../doubles/economy.ts'
import { hashOf, Town, type Shop } from '../doubles/town.ts'

let town: Town
let economy: Economy
let shop: Shop
let invoice: SignedInvoice

beforeEach(async () => {
  town = new Town()
  economy = town.desk.economy
  shop = town.shop()
  invoice = await shop.invoice(8)
})

function contractFor ({ invoice }: SignedInvoice, changes: Partial<Contract> = {}): Contract {
  const { payee, amount, settleBy } = invoice
  return economy.contract({ kind: 'pay', payee, amount, invoice: hashOf({ invoice } as SignedInvoice), settleBy, ...changes })
}

function inputsOf (contract: Contract, coins: OwnedCoin[]): Input[] {
  return coins.map(({ coin, key }) => signSpend(suite, key, coin, contractId(suite, contract)))
}

function paying (contract: Contract, coins: OwnedCoin[]): MerchantRequest {
  return { op: 'pay', contract, inputs: inputsOf(contract, coins) }
}

async function states (request: MerchantRequest): Promise<string[]> {
  const reply = await shop.ask(request)
  if (reply.is !== 'short') throw new Error(reply.is === 'refused' ? reply.code : reply.is)
  return reply.inputs.map(({ state, code }) => state === 'refused' ? code : state)
}

async function paid (request: MerchantRequest): Promise<MerchantReply & { is: 'paid' }> {
  const reply = await shop.ask(request)
  if (reply.is !== 'paid') throw new Error(JSON.stringify(reply))
  return reply
}

async function accepted (): Promise<number> {
  return (await shop.run(shop.engine.takings())).accepted
}

test('at the till, the same coins a second time are told apart, however they came first', async () => {
  const contract = contractFor(invoice, { outputs: town.desk.outputs(4, 4) })
  const inputs = inputsOf(contract, await town.desk.coins(16))
  expect(await shop.run(shop.engine.acceptCoins(contract, inputs))).toMatchObject({ repeat: false, reply: { is: 'paid' } })
  expect(await shop.run(shop.engine.acceptCoins(contract, inputs))).toMatchObject({ repeat: true, reply: { is: 'paid' } })

  const other = contractFor(await shop.invoice(16))
  const coins = inputsOf(other, await town.desk.coins(16))
  await paid({ op: 'pay', contract: other, inputs: coins })
  expect(await shop.run(shop.engine.acceptCoins(other, coins))).toMatchObject({ repeat: true })
})

test('paid, settled at once, with change; the same answer to every retry', async () => {
  const contract = contractFor(invoice, { outputs: town.desk.outputs(4, 4) })
  const request = paying(contract, await town.desk.coins(16))
  const first = await paid(request)
  verifyPaid(suite, shop.key.publicKey, first.signed)
  expect(first.signed.paid).toEqual({ invoice: hashOf(invoice), how: 'coins', time: START })
  expect(first.settlement?.outcome.outcome.state).toBe('settled')
  expect(first.settlement?.signatures.length).toBe(2)
  expect(await town.accountOf(shop)).toBe(8)
  shop.restart()
  expect(await paid(request)).toEqual(first)
  expect(await shop.ask({ op: 'status', invoice: hashOf(invoice) })).toEqual(first)
  expect(await town.accountOf(shop)).toBe(8)
})

describe('refused, with no keeper asked', () => {
  const contracts: Record<string, [code: string, changes: () => Partial<Contract>, coins?: number[]]> = {
    'another payee': ['wrong-payee', () => ({ payee: keyNamed('rival').publicKey })],
    'another bank': ['wrong-bank', () => ({ bank: keyNamed('other bank').publicKey })],
    'another network': ['wrong-network', () => ({ network: 'elsewhere' })],
    'another unit': ['wrong-unit', () => ({ unit: 'USD-cent' })],
    'a smaller amount': ['wrong-amount', () => ({ amount: 4 }), [4]],
    'a larger amount': ['wrong-amount', () => ({ amount: 16 }), [16]],
    'another invoice': ['unknown-invoice', () => ({ invoice: suite.sha256() })],
    'a later settleBy than the invoice\'s': ['settle-by-too-late', () => ({ settleBy: invoice.invoice.settleBy + 1 })],
    'a settleBy with no margin left': ['settle-by-too-soon', () => ({ settleBy: START + economy.parameters.margin })],
    'another kind': ['bad-contract', () => ({ kind: 'exchange' })],
    'a kind with fields of another': ['bad-contract', () => ({ token: town.desk.terms() })],
    'coins of less': ['wrong-sum', () => ({}), [4]],
    'coins of more': ['wrong-sum', () => ({}), [8, 1]],
    'change that the coins do not cover': ['wrong-sum', () => ({ outputs: town.desk.outputs(1) })],
    'an output twice': ['duplicate-output', () => { const [one] = town.desk.outputs(4); return { outputs: [one, one] } }, [16]]
  }

  test.each(Object.keys(contracts))('%s', async name => {
    const [code, changes, values = [8]] = contracts[name]
    const contract = contractFor(invoice, changes())
    const coins = values.map(value => economy.mint(value))
    expect(await shop.replyTo(paying(contract, coins))).toBe(code)
    expect(economy.centers.reduce((sum, { asked }) => sum + asked, 0)).toBe(0)
    expect(await accepted()).toBe(0)
  })

  test('a spend that was made for another contract', async () => {
    const contract = contractFor(invoice)
    const other = contractFor(invoice)
    expect(await shop.replyTo({ op: 'pay', contract, inputs: inputsOf(other, [economy.mint(8)]) })).toBe('bad-opening')
  })

  test('an invoice whose time is over', async () => {
    economy.clock.set(invoice.invoice.settleBy)
    expect(await shop.replyTo(paying(contractFor(invoice), [economy.mint(8)]))).toBe('invoice-expired')
  })

  test('coins and outputs of another bank, unit, or too near their end', async () => {
    const otherBank = keyNamed('other bank')
    const base = economy.signedKeyset.keyset
    const variants = {
      unit: signKeyset(suite, economy.bank, { ...base, unit: 'USD-cent' }),
      ending: signKeyset(suite, economy.bank, { ...base, spendUntil: START + 25 * HOUR, redeemUntil: START + 25 * HOUR + 5 * 60_000, issueUntil: START + HOUR }),
      closed: signKeyset(suite, economy.bank, { ...base, issueUntil: START - economy.parameters.clockSkew })
    }
    const foreign = signKeyset(suite, otherBank, { ...base, bank: otherBank.publicKey })
    town.desk.registry = new Registry(suite, NETWORK, economy.parameters, [
      { ...economy.listing, keysets: [economy.signedKeyset, ...Object.values(variants)] },
      { ...economy.listing, bank: otherBank.publicKey, keysets: [foreign], dayKeys: [], sealedDays: [] }
    ])
    const coinOf = ({ keyset }: typeof foreign): OwnedCoin => mint(economy.rng.bytes(32), keysetId(suite, keyset), 8)
    const codeOf = async (coin: OwnedCoin, changes: Partial<Contract> = {}): Promise<string> => await shop.replyTo(paying(contractFor(invoice, changes), [coin]))
    expect(await codeOf(coinOf(variants.unit))).toBe('wrong-unit')
    expect(await codeOf(coinOf(foreign))).toBe('wrong-bank')
    expect(await codeOf(coinOf(variants.unit), { unit: 'USD-cent' })).toBe('wrong-unit')
    expect(await codeOf(coinOf(foreign), { bank: otherBank.publicKey })).toBe('wrong-bank')
    expect(await codeOf(coinOf(variants.ending))).toBe('keyset-ends-too-soon')
    expect(await codeOf(mint(economy.rng.bytes(32), suite.sha256(), 8))).toBe('unknown-keyset')
    const [output] = town.desk.outputs(8)
    expect(await codeOf(economy.mint(16), { outputs: [{ ...output, keyset: keysetId(suite, variants.closed.keyset) }] })).toBe('keyset-not-issuing')
    expect(economy.centers.reduce((sum, { asked }) => sum + asked, 0)).toBe(0)
  })
})

describe('short', () => {
  test('bad coins, each under its code; nothing is paid', async () => {
    const contract = contractFor(invoice)
    const [good, other] = inputsOf(contract, [economy.mint(4), economy.mint(4)])
    const forged = { ...other, spend: { ...other.spend, coin: { ...other.spend.coin, signature: other.spend.coin.signature.toReversed() } } }
    const unsigned = { ...other, spend: { ...other.spend, signature: new Uint8Array(64) } }
    expect(await states({ op: 'pay', contract, inputs: [good, good] })).toEqual(['certified', 'duplicate-coin'])
    expect(await states({ op: 'pay', contract, inputs: [good, forged] })).toEqual(['certified', 'bad-coin'])
    expect(await states({ op: 'pay', contract, inputs: [good, unsigned] })).toEqual(['certified', 'bad-spend'])
    expect(await accepted()).toBe(0)
  })

  /** A withdrawn coin of which at most one keeper is down. */
  async function payable (value: number): Promise<OwnedCoin> {
    for (;;) {
      const [coin] = await town.desk.coins(value)
      if (economy.keepersOf(coin).filter(({ down }) => down).length <= 1) return coin
    }
  }

  test('one dead keeper does not even hamper; two make a coin unavailable, and others fill the gap', async () => {
    const [victim] = await town.desk.coins(4)
    const [first, second] = economy.keepersOf(victim)
    first.down = true
    const others = [await payable(4), await payable(4)]
    expect(await shop.replyTo(paying(contractFor(await shop.invoice(4)), [others[0]]))).toBe('paid')

    second.down = true
    const fine = [await payable(4), await payable(4)]
    const contract = contractFor(invoice)
    expect(await states(paying(contract, [victim, fine[0]]))).toEqual(['unavailable', 'certified'])
    expect(await accepted()).toBe(4)
    expect(await shop.replyTo(paying(contract, fine))).toBe('paid')
    expect(await accepted()).toBe(12)
    await town.desk.expectBalanced()
  })

  test('votes are kept: of a coin that was certified nobody is asked again', async () => {
    const [victim] = await town.desk.coins(4)
    for (const keeper of economy.keepersOf(victim).slice(0, 2)) keeper.down = true
    const contract = contractFor(invoice)
    const fine = await payable(4)
    expect(await states(paying(contract, [victim, fine]))).toEqual(['unavailable', 'certified'])
    shop.restart()
    for (const center of economy.centers) center.down = true
    expect(await states(paying(contract, [victim, fine]))).toEqual(['unavailable', 'certified'])
  })

  test('a coin spent before: with the first spend, and a proof on file that anyone can check', async () => {
    const [coin] = await town.desk.coins(8)
    const earlier = contractFor(await shop.invoice(8))
    await economy.run(certify({ suite, registry: economy.registry, meter: economy.meter }, inputsOf(earlier, [coin])))
    const reply = await shop.ask(paying(contractFor(invoice), [coin]))
    if (reply.is !== 'short') throw new Error(reply.is)
    const [{ state, first }] = reply.inputs
    expect(state).toBe('conflict')
    expect(first).toEqual(inputsOf(earlier, [coin])[0].spend)
    const [{ coin: name, file }] = await shop.run(shop.engine.proofs(9))
    expect(name).toEqual(coinId(suite, coin.coin))
    const { proof, keyset } = decode(DoubleSpendProofFile, encode(DoubleSpendProofFile, file))
    verifyDoubleSpend(suite, economy.known, proof)
    expect(keyset).toEqual(economy.signedKeyset)
    expect(await accepted()).toBe(0)
  })

  test('whoever spends coins in vain again and again fills no disk: a keyset is kept once, and of proofs the latest', async () => {
    const few = town.shop('few', { mostProofs: 3 })
    const coins = await town.desk.coins(1, 1, 1, 1, 1)
    const earlier = contractFor(await shop.invoice(5))
    await economy.run(certify({ suite, registry: economy.registry, meter: economy.meter }, inputsOf(earlier, coins)))
    let kept = 0
    for (const [i, coin] of coins.entries()) {
      const to = await few.invoice(1)
      const contract = economy.contract({ kind: 'pay', payee: few.key.publicKey, amount: 1, invoice: hashOf(to) })
      for (let again = 0; again < 2; again++) expect(await few.replyTo({ op: 'pay', contract, inputs: inputsOf(contract, [coin]) })).toBe('short')
      const bytes = (await few.store.scan({ prefix: utf8('pro'), limit: 99 })).concat(await few.store.scan({ prefix: utf8('contest'), limit: 99 }))
        .reduce((sum, { value }) => sum + value.length, 0)
      if (i === 2) kept = bytes
      if (i > 2) expect(bytes).toBeLessThanOrEqual(kept + 8)
    }
    expect(kept).toBeLessThan(3 * encode(DoubleSpendProofFile, (await few.run(few.engine.proofs(1)))[0].file).length)
    const names = coins.map(({ coin }) => toHex(coinId(suite, coin)))
    const page = async (last: number, before?: number): Promise<string[]> => (await few.run(few.engine.proofs(last, before))).map(({ number, coin }) => `${number} ${names.indexOf(toHex(coin))}`)
    expect(await page(2)).toEqual(['5 4', '4 3'])
    expect(await page(9)).toEqual(['5 4', '4 3', '3 2'])
    expect(await page(9, 4)).toEqual(['3 2'])
    expect(await page(9, 3)).toEqual([])
    expect(await few.run(few.engine.proofOf(fromHex(names[0])))).toBeNull()
    const last = await few.run(few.engine.proofOf(fromHex(names[4])))
    verifyDoubleSpend(suite, economy.known, last?.file.proof as DoubleSpendProof)
  })
})

describe('an order is paid once', () => {
  test('by one contract, though two come at once', async () => {
    const requests = [paying(contractFor(invoice), await town.desk.coins(8)), paying(contractFor(invoice), await town.desk.coins(8))]
    const replies = await Promise.all(requests.map(async request => await shop.replyTo(request)))
    expect(replies.sort()).toEqual(['invoice-paid', 'paid'])
    expect(await accepted()).toBe(8)
    expect(await town.accountOf(shop)).toBe(8)
  })

  test('the same contract twice at once is one payment', async () => {
    const request = paying(contractFor(invoice), await town.desk.coins(8))
    const replies = await Promise.all([paid(request), paid(request)])
    expect(replies[0].signed).toEqual(replies[1].signed)
    expect(await accepted()).toBe(8)
  })

  test('with a token or with coins, not both', async () => {
    const tokenFor = (order: SignedInvoice): MerchantRequest => {
      const token = signToken(suite, economy.dayKey, economy.token({ payee: shop.key.publicKey }))
      return { op: 'present', presentation: present(suite, keyNamed('owner'), token, hashOf(order)) }
    }
    expect(await shop.replyTo(paying(contractFor(invoice), await town.desk.coins(8)))).toBe('paid')
    expect(await shop.replyTo(tokenFor(invoice))).toBe('invoice-paid')
    const second = await shop.invoice(8)
    expect(await shop.replyTo(tokenFor(second))).toBe('paid')
    expect(await shop.replyTo(paying(contractFor(second), await town.desk.coins(8)))).toBe('invoice-paid')
    expect(await accepted()).toBe(16)
  })
})

describe('settlement later', () => {
  test('the bank is closed: paid without it, settled when it opens, once', async () => {
    const request = paying(contractFor(invoice, { outputs: town.desk.outputs(8) }), await town.desk.coins(16))
    town.bankDown = true
    expect((await paid(request)).settlement).toBeNull()
    expect(await shop.run(shop.engine.takings())).toEqual({ accepted: 8, deposited: 0, settled: 0, pending: 8, refused: 0, repaid: 0 })
    expect(await shop.run(shop.engine.settlePending())).toEqual({ settled: 0, pending: 1 })
    town.bankDown = false
    shop.restart()
    expect(await shop.run(shop.engine.settlePending())).toEqual({ settled: 1, pending: 0 })
    expect(await shop.run(shop.engine.settlePending())).toEqual({ settled: 0, pending: 0 })
    expect(await shop.run(shop.engine.takings())).toEqual({ accepted: 8, deposited: 0, settled: 8, pending: 0, refused: 0, repaid: 0 })
    expect((await paid(request)).settlement?.signatures.length).toBe(1)
  })

  test('the bank is slow: the payer is not kept waiting, and what it says later is recorded', async () => {
    const request = paying(contractFor(invoice), await town.desk.coins(8))
    const { promise: gate, resolve: open } = Promise.withResolvers<void>()
    town.bendBank(async (request, ask) => { await gate; return await ask(request) })
    const reply = paid(request)
    while (await accepted() === 0) await new Promise(resolve => { setImmediate(resolve) })
    await new Promise(resolve => { setImmediate(resolve) })
    economy.clock.advance(economy.parameters.keeperTimeout)
    expect((await reply).settlement).toBeNull()
    open()
    while ((await shop.run(shop.engine.takings())).settled === 0) await new Promise(resolve => { setImmediate(resolve) })
  })

  const lies: Record<string, (reply: BankReply) => BankReply> = {
    'not signed by the bank': reply => reply.is === 'settlement' ? { ...reply, outcome: { ...reply.outcome, signature: new Uint8Array(64) } } : reply,
    'about another contract': reply => reply.is === 'settlement' ? { ...reply, ...otherOutcome('settled') } : reply,
    'still open': reply => reply.is === 'settlement' ? { ...reply, ...otherOutcome('open') } : reply,
    'without the change': reply => reply.is === 'settlement' ? { ...reply, signatures: [] } : reply,
    short: () => ({ is: 'short', inputs: [] }),
    'something else': () => ({ is: 'signatures', signatures: [] }),
    refused: () => ({ is: 'refused', code: 'closed', fault: 'operator', retry: true, message: '' }),
    'void, on its mere word': () => ({ is: 'refused', code: 'contract-void', fault: 'peer', retry: false, message: '' })
  }
  let contract: Contract
  function otherOutcome (state: 'open' | 'settled'): Pick<BankReply & { is: 'settlement' }, 'outcome'> {
    return { outcome: signOutcome(suite, economy.bank, { contract: state === 'open' ? contractId(suite, contract) : suite.sha256(), state, time: START }) }
  }

  test.each(Object.keys(lies))('an answer of the bank that is no settlement is not believed: %s', async name => {
    contract = contractFor(invoice, { outputs: town.desk.outputs(8) })
    const request = paying(contract, await town.desk.coins(16))
    const mend = town.bendBank(async (request, ask) => request.op === 'settle' ? lies[name](await ask(request)) : { is: 'outcome', ...otherOutcome('open'), signatures: [], token: null })
    expect((await paid(request)).settlement).toBeNull()
    expect((await shop.run(shop.engine.takings())).pending).toBe(8)
    mend()
    expect(await shop.run(shop.engine.settlePending())).toEqual({ settled: 1, pending: 0 })
  })

  test('void before it was settled: the merchant has the bank\'s word, and its books show the loss', async () => {
    const coins = await town.desk.coins(8)
    const contract = contractFor(invoice)
    town.bankDown = true
    await paid(paying(contract, coins))
    town.bankDown = false
    town.desk.toVoidTime(contract)
    expect(await town.desk.codeOf(town.desk.voiding(contract, coins[0]))).toBe('outcome')
    expect(await shop.run(shop.engine.settlePending())).toEqual({ settled: 1, pending: 0 })
    expect(await shop.run(shop.engine.takings())).toEqual({ accepted: 8, deposited: 0, settled: 0, pending: 0, refused: 8, repaid: 0 })
    expect(await town.accountOf(shop)).toBe(0)
  })
})

describe('stopped at any effect', () => {
  test.each(['before', 'after'] as const)('%s it: the payer asks again, the order is paid and settled once', async when => {
    const request = paying(contractFor(invoice, { outputs: town.desk.outputs(8) }), await town.desk.coins(8, 8))
    const restore = await town.snapshot([])
    for (let effect = 0, finished = false; !finished; effect++) {
      await restore()
      finished = await shop.runUntil(shop.engine.handle(request), effect, when)
      shop.restart()
      await shop.runUntil(shop.engine.settlePending(), effect % 5, when)
      shop.restart()
      const { signed } = await paid(request)
      expect((await paid(request)).signed).toEqual(signed)
      await shop.run(shop.engine.settlePending())
      expect(await shop.run(shop.engine.takings())).toEqual({ accepted: 8, deposited: 0, settled: 8, pending: 0, refused: 0, repaid: 0 })
      expect(await town.accountOf(shop)).toBe(8)
    }
  })
})

describe('orders', () => {
  test('by the catalogue, numbered, for the day, listed', async () => {
    expect(await shop.ask({ op: 'catalogue' })).toEqual({ is: 'catalogue', items: [{ item: 'bread', price: 5, unit: 'EUR-cent' }, { item: 'cake', price: 20, unit: 'EUR-cent' }] })
    const reply = await shop.ask({ op: 'order', item: 'cake' })
    if (reply.is !== 'invoice') throw new Error(reply.is)
    expect(reply.signed.invoice).toMatchObject({ order: '#2 cake', amount: 20, settleBy: START + DAY })
    expect(await shop.replyTo({ op: 'order', item: 'gold' })).toBe('unknown-item')
    expect(await shop.replyTo({ op: 'status', invoice: suite.sha256() })).toBe('unknown-invoice')
    expect(await shop.replyTo({ op: 'status', invoice: hashOf(reply.signed) })).toBe('unpaid')
    await paid(paying(contractFor(invoice), await town.desk.coins(8)))
    expect(await shop.run(shop.engine.orders())).toMatchObject([{ order: '#1 something', paid: 'coins' }, { order: '#2 cake', paid: null, amount: 20 }])
  })

  test('numbers are given once, also to those who order at once and after a crash', async () => {
    const signed = await Promise.all([1, 2, 3].map(async () => await shop.invoice(1)))
    const restore = await town.snapshot([])
    for (let effect = 0, finished = false; !finished; effect++) {
      await restore()
      finished = await shop.runUntil(shop.engine.invoice('x', 1), effect, 'after')
      shop.restart()
      const orders = [...await shop.run(shop.engine.orders())].map(({ order }) => order)
      const { invoice } = await shop.invoice(1)
      expect(orders).not.toContain(invoice.order)
    }
    expect(new Set(signed.map(({ invoice }) => invoice.order)).size).toBe(3)
  })

  test('no order of nothing, and no endless names', async () => {
    expect(await shop.codeOf(shop.engine.invoice('x', 0))).toBe('bad-argument')
    expect(await shop.codeOf(shop.engine.invoice('x', 1.5))).toBe('bad-argument')
    expect(await shop.codeOf(shop.engine.invoice('x'.repeat(126), 1))).toBe('bad-argument')
  })
})
