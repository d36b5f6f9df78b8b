/** Sealed tokens and a payee that denies: what the bank says of each settles it, for anyone, and joins nothing that was apart. */
import fc from 'fast-check'
import { beforeEach, describe, expect, test } from 'vitest'
import { compare, equal, NONE, toHex } from '@mixmint/core/kit/bytes'
import { encode } from '@mixmint/core/kit/codec'
import { signInvoice } from '@mixmint/core/cash/contract'
import { sealedSecrets } from '@mixmint/core/cash/derive'
import { SealedPresentation, type SealedTurnedIn, type SignedInvoice, type SignedSealedTurnedIn } from '@mixmint/core/cash/formats'
import { verifyReceipt, type Receipt } from '@mixmint/core/cash/receipt'
import { presentSealed, sealedOrder, signSealedTurnedIn } from '@mixmint/core/cash/sealed'
import { armor } from '../../nodes/armor.ts'
import { verifyReceiptText } from '../../nodes/receipt.ts'
import { HOUR, keyNamed, suite } from '../doubles/economy.ts'
import { hashOf, Town, type Person, type Shop } from '../doubles/town.ts'

type Sealed = Receipt & { by: 'sealed' }

let town: Town
let shop: Shop
let ann: Person

beforeEach(async () => { ({ town, shop, ann } = await Town.withSealed()) })

/** An order that sealed tokens were shown for at the till; the shop says nothing of it afterwards. */
async function shown (amount: number): Promise<{ signed: SignedInvoice, presentations: SealedPresentation[] }> {
  const signed = await shop.invoice(amount)
  await ann.run(ann.engine.buySealed(shop.key.publicKey, amount))
  const { presentations } = await ann.run(ann.engine.presentSealed(signed))
  return { signed, presentations }
}

async function taken (amount: number): Promise<{ signed: SignedInvoice, presentations: SealedPresentation[] }> {
  const order = await shown(amount)
  await shop.run(shop.engine.acceptSealed({ invoice: hashOf(order.signed), presentations: order.presentations }))
  return order
}

const ask = async (signed: SignedInvoice): Promise<Sealed> => await ann.run(ann.engine.askTokenReceipt(hashOf(signed))) as Sealed
const codeOf = async (signed: SignedInvoice): Promise<string> => await ann.codeOf(ann.engine.askTokenReceipt(hashOf(signed)))
const asked = (): SealedPresentation[] => ann.requests.flatMap(request => request.op === 'sealed-turned-in' ? [request.presentation] : [])

async function wordOn (presentation: SealedPresentation): Promise<SealedTurnedIn> {
  const reply = await town.desk.ask({ op: 'sealed-turned-in', presentation })
  if (reply.is !== 'sealed-turned-in') throw new Error(reply.is === 'refused' ? reply.code : reply.is)
  return reply.word
}

const refusalOf = (receipt: Receipt): string => {
  try {
    verifyReceipt(suite, receipt)
    return 'proven'
  } catch (error) {
    expect(error).toMatchObject({ fault: 'peer' })
    return (error as { code: string }).code
  }
}

describe('a payee that took sealed tokens and denies it', () => {
  test('is refuted by the bank, with nothing but the receipt, once it has turned them in', async () => {
    const { signed } = await taken(13)
    expect((await ann.run(ann.engine.receipts()))).toEqual([])
    expect((await ann.run(ann.engine.tokenOrders())).map(hashOf)).toEqual([hashOf(signed)])
    expect(await codeOf(signed)).toBe('not-settled')
    town.desk.economy.clock.advance(HOUR)
    await shop.run(shop.engine.deposit())
    const time = town.desk.economy.clock.now()
    town.desk.economy.clock.advance(HOUR)
    const receipt = await ask(signed)
    expect(receipt.words).toHaveLength(3)
    town.network(false)
    expect(await verifyReceiptText(armor('receipt', receipt))).toEqual({ by: 'sealed', invoice: signed.invoice, had: 13, time })
  })

  test('is refuted for ever: its deposit is remembered when the keys of the day are gone and the bank has begun anew', async () => {
    const { signed } = await taken(13)
    await shop.run(shop.engine.deposit())
    const before = await ask(signed)
    town.desk.economy.clock.set(town.desk.economy.sealed(0).keys.refundAfter + 400 * 24 * HOUR)
    town.desk.economy.sealedKeys = () => undefined
    town.desk.restart()
    expect(await ask(signed)).toEqual(before)
  })

  test('and turned them in twice, or for another order the second time, changes nothing of what was said', async () => {
    const { signed, presentations } = await taken(13)
    await shop.run(shop.engine.deposit())
    const before = await ask(signed)
    const held = await ann.run(ann.engine.sealedTokens())
    const other = hashOf(await shop.invoice(13))
    const second = presentations.map(({ token }) => {
      const place = held.find(one => equal(one.token.nonce, token.nonce))?.place ?? { generation: 0, counter: 0 }
      return presentSealed(suite, sealedSecrets(suite, ann.seed, { keyset: token.keys, value: token.value, ...place }).owner, token, other)
    })
    for (const again of [presentations, second]) {
      expect(await town.desk.ask({ op: 'sealed-deposit', presentations: again })).toMatchObject({ is: 'deposited', results: [{ state: 'already' }, { state: 'already' }, { state: 'already' }] })
    }
    expect(await ask(signed)).toEqual(before)
    // Whoever shows the second signature is told of the first: it was not for that order.
    for (const presentation of second) expect((await wordOn(presentation)).order).not.toEqual(presentation.order)
  })

  test('by a crash of the bank in between is refuted, or has not turned them in yet', async () => {
    const { signed } = await taken(5)
    const back = await town.snapshot([ann])
    for (let effect = 0, done = false; !done; effect++) {
      await back()
      done = await shop.runUntil(shop.engine.deposit(), effect, 'after')
      town.desk.restart()
      const code = await codeOf(signed)
      expect(code).toBe(await town.accountOf(shop) === 5 ? 'fine' : 'not-settled')
    }
  })

  test('and keeps one back, so that the order was never paid, has had the others: the receipt says how much', async () => {
    const { signed, presentations } = await shown(13)
    const [kept, ...others] = [...presentations].sort((a, b) => a.token.value - b.token.value)
    expect(await town.desk.ask({ op: 'sealed-deposit', presentations: others })).toMatchObject({ results: [{ state: 'credited' }, { state: 'credited' }] })
    const { keys } = town.desk.economy.sealed(0)
    const { clockSkew } = town.desk.economy.parameters
    // It may still turn it in: that is not known yet.
    town.desk.economy.clock.set(keys.depositUntil + clockSkew - 1)
    await expect(ask(signed)).rejects.toMatchObject({ code: 'not-settled', retry: true, message: expect.stringContaining(new Date(keys.depositUntil).toISOString()) })
    town.desk.economy.clock.advance(1)
    const receipt = await ask(signed)
    expect(await verifyReceiptText(armor('receipt', receipt))).toMatchObject({ by: 'sealed', had: 12, invoice: { amount: 13 } })
    // What it kept back comes back to its owner, and is in no receipt.
    town.desk.economy.clock.set(keys.refundAfter + clockSkew)
    await ann.run(ann.engine.recover(true))
    expect(await wordOn(kept)).toMatchObject({ state: 'refunded', order: NONE })
    expect(await ask(signed)).toEqual(receipt)
    expect(await ann.available()).toBe(60 - 12)
  })

  test('has all its time, and nothing to show against itself, where none was turned in', async () => {
    const { signed, presentations } = await shown(13)
    expect(await wordOn(presentations[0])).toMatchObject({ state: 'open', order: NONE, payee: shop.key.publicKey, value: presentations[0].token.value })
    town.desk.economy.clock.set(town.desk.economy.sealed(0).keys.refundAfter - 1)
    await expect(ask(signed)).rejects.toMatchObject({ code: 'not-settled', retry: false })
    town.desk.economy.clock.advance(town.desk.economy.parameters.clockSkew + 1)
    await ann.run(ann.engine.recover(true))
    await expect(ask(signed)).rejects.toMatchObject({ code: 'not-settled' })
    expect(await codeOf(await shop.invoice(13))).toBe('not-paid')
  })
})

test.each(['token', 'sealed'] as const)('a payee that finds fault with what it was sent, and turns it in all the same, has been paid (%s)', async kind => {
  const signed = await shop.invoice(9)
  const buy = async (): Promise<void> => {
    if (kind === 'token') await ann.run(ann.engine.buyToken(shop.key.publicKey, 9))
    else await ann.run(ann.engine.buySealed(shop.key.publicKey, 9))
  }
  const pay = async (invoice: SignedInvoice): Promise<string> => await ann.codeOf(kind === 'token' ? ann.engine.payWithToken(invoice) : ann.engine.payWithSealed(invoice))
  await buy()
  ann.bend = (reply, request) => request.op === 'present' || request.op === 'sealed-present' ? { is: 'refused', code: 'wrong-amount', fault: 'peer', retry: false, message: 'no' } : reply
  expect(await pay(signed)).toBe('wrong-amount')
  expect((await ann.run(ann.engine.tokenOrders())).map(hashOf)).toEqual([hashOf(signed)])
  expect(await codeOf(signed)).toBe('not-settled')
  await shop.run(shop.engine.deposit())
  expect(verifyReceipt(suite, await ann.run(ann.engine.askTokenReceipt(hashOf(signed))))).toMatchObject({ by: kind, had: 9, invoice: signed.invoice })
  // The same token for another order: it has paid the first one.
  ann.bend = reply => reply
  const other = await shop.invoice(9)
  expect(await pay(other)).toBe('token-already-accepted')
  expect(await codeOf(other)).toBe('not-settled')
  expect(verifyReceipt(suite, await ann.run(ann.engine.askTokenReceipt(hashOf(signed))))).toMatchObject({ had: 9 })
  // What pays the order now goes before what was refused.
  const third = await shop.invoice(9)
  await buy()
  ann.bend = (reply, request) => request.op === 'present' || request.op === 'sealed-present' ? { is: 'refused', code: 'wrong-amount', fault: 'peer', retry: false, message: 'no' } : reply
  expect(await pay(third)).toBe('wrong-amount')
  ann.bend = reply => reply
  expect(await pay(third)).toBe('fine')
  expect((await ann.run(ann.engine.tokenOrders())).map(hashOf).filter(hash => equal(hash, hashOf(third)))).toHaveLength(1)
  await shop.run(shop.engine.deposit())
  expect(verifyReceipt(suite, await ann.run(ann.engine.askTokenReceipt(hashOf(third))))).toMatchObject({ had: 9, invoice: third.invoice })
})

describe('the bank', () => {
  test('is asked of each token by itself, apart, in any order, at random times; and not of the rest where one may still be turned in', async () => {
    const { signed } = await taken(55)
    ann.sent.length = 0
    expect(await codeOf(signed)).toBe('not-settled')
    expect(ann.sent).toEqual(['apart sealed-turned-in'])
    await shop.run(shop.engine.deposit())
    ann.requests.length = 0
    ann.sent.length = 0
    const times: number[] = []
    ann.bend = reply => {
      times.push(town.desk.economy.clock.now())
      return reply
    }
    const progress: number[] = []
    let isOver = false
    const asking = ann.run(ann.engine.askTokenReceipt(hashOf(signed), { pace: 10_000, onProgress: ({ done, total }) => { progress.push(done / total) } })).finally(() => { isOver = true })
    while (!isOver) {
      await new Promise(resolve => { setImmediate(resolve) })
      town.desk.economy.clock.advance(100)
    }
    await asking
    expect(ann.sent).toEqual(Array.from({ length: 5 }, () => 'apart sealed-turned-in'))
    expect(progress).toEqual([0, 1, 2, 3, 4].map(i => i / 5))
    expect(new Set(times.slice(1).map((time, i) => time - times[i])).size).toBeGreaterThan(3)
    const orders = new Set<string>()
    for (let i = 0; i < 8; i++) {
      ann.requests.length = 0
      await ask(signed)
      orders.add(asked().map(({ token }) => token.value).join())
    }
    expect(orders.size).toBeGreaterThan(4)
  })

  test('learns nothing from a question that the deposit did not show it', async () => {
    const { signed, presentations } = await taken(13)
    const deposited: SealedPresentation[] = []
    const mend = town.bendBank(async (request, ask) => {
      if (request.op === 'sealed-deposit') deposited.push(...request.presentations)
      return await ask(request)
    })
    await shop.run(shop.engine.deposit())
    mend()
    await ask(signed)
    const all = (list: readonly SealedPresentation[]): string[] => list.map(one => toHex(encode(SealedPresentation, one))).sort()
    expect(all(asked())).toEqual(all(deposited))
    // What it keeps of the order says nothing to who does not know the invoice: neither which it is, nor that it is the same.
    const kept = await Promise.all(presentations.map(async one => toHex((await wordOn(one)).order)))
    expect(new Set([...kept, toHex(hashOf(signed))]).size).toBe(4)
  })

  test('answers to nobody but who has the owner\'s signature, and of no token that it has not signed', async () => {
    const { presentations: [one, two] } = await shown(3)
    const codeOf = async (presentation: SealedPresentation): Promise<string> => await town.desk.codeOf({ op: 'sealed-turned-in', presentation })
    const owner = keyNamed('thief')
    const forged = (changes: Partial<SealedPresentation['token']>): SealedPresentation => presentSealed(suite, owner, { ...one.token, ownerKey: owner.publicKey, ...changes }, hashOf({ invoice: town.desk.economy.invoice(), signature: NONE }))
    expect(await codeOf({ ...one, ownerSignature: two.ownerSignature })).toBe('bad-presentation')
    expect(await codeOf({ ...one, order: two.order })).toBe('bad-presentation')
    expect(await codeOf(forged({}))).toBe('bad-token')
    expect(await codeOf(forged({ value: 3 }))).toBe('unknown-denomination')
    expect(await codeOf(forged({ keys: new Uint8Array(32) }))).toBe('unknown-sealed-keys')
    await town.desk.run(town.desk.engine.declareLoss(town.desk.economy.clock.now()))
    expect(await codeOf(one)).toBe('closed-after-loss')
  })

  test('that answers about another token, or with another\'s signature, is not believed', async () => {
    const { signed } = await taken(3)
    await shop.run(shop.engine.deposit())
    const { bank } = town.desk.economy
    const bends: Array<[string, (word: SealedTurnedIn) => SignedSealedTurnedIn]> = [
      ['bad-outcome', word => signSealedTurnedIn(suite, keyNamed('thief'), word)],
      ['bad-outcome', word => signSealedTurnedIn(suite, bank, { ...word, token: suite.sha256(word.token) })],
      ['wrong-token', word => signSealedTurnedIn(suite, bank, { ...word, payee: keyNamed('other').publicKey })],
      ['not-settled', word => signSealedTurnedIn(suite, bank, { ...word, order: hashOf(signed) })]
    ]
    for (const [code, bend] of bends) {
      ann.bend = reply => 'is' in reply && reply.is === 'sealed-turned-in' ? { is: 'sealed-turned-in', ...bend(reply.word) } : reply
      expect(await codeOf(signed)).toBe(code)
    }
    // As a bank of before wrote its deposits: nobody is accused of another order.
    ann.bend = reply => 'is' in reply && reply.is === 'sealed-turned-in' ? { is: 'sealed-turned-in', ...signSealedTurnedIn(suite, bank, { ...reply.word, order: NONE }) } : reply
    await expect(ask(signed)).rejects.toThrow(/did not write down yet for which order/)
  })
})

describe('what proves nothing', () => {
  test('another invoice, payee, bank, network or unit, a word that is bent, a token twice', async () => {
    const { signed } = await taken(13)
    await shop.run(shop.engine.deposit())
    const good = await ask(signed)
    expect(refusalOf(good)).toBe('proven')
    const { bank } = town.desk.economy
    const again = (changes: Partial<SealedTurnedIn>): Sealed => ({ ...good, words: good.words.map(({ word }) => signSealedTurnedIn(suite, bank, { ...word, ...changes })) })
    const [first, ...rest] = good.words
    const bent: Array<[string, Receipt]> = [
      ['not-settled', { ...good, invoice: await shop.invoice(13) }],
      ['bad-invoice', { ...good, invoice: { ...signed, signature: signInvoice(suite, keyNamed('thief'), signed.invoice).signature } }],
      ['bad-invoice', { ...good, invoice: { ...signed, invoice: { ...signed.invoice, order: '#1 a car' } } }],
      ['bad-outcome', { ...good, invoice: signInvoice(suite, shop.key, { ...signed.invoice, bank: keyNamed('thief').publicKey }) }],
      ['wrong-token', { ...good, invoice: signInvoice(suite, keyNamed('thief'), { ...signed.invoice, payee: keyNamed('thief').publicKey }) }],
      ['wrong-token', again({ network: 'other' })], ['wrong-token', again({ unit: 'other' })], ['wrong-token', again({ payee: bank.publicKey })],
      ['not-settled', again({ state: 'refunded' })], ['not-settled', again({ state: 'open' })], ['not-settled', again({ order: first.word.order })], ['not-settled', again({ order: NONE })],
      ['bad-outcome', { ...good, words: [{ ...first, word: { ...first.word, value: 64 } }, ...rest] }],
      ['bad-outcome', { ...good, words: [signSealedTurnedIn(suite, keyNamed('thief'), first.word), ...rest] }],
      ['bad-receipt', { ...good, words: [first, first, ...rest] }],
      ['bad-receipt', { ...good, words: [...rest, first] }]
    ]
    for (const [i, [code, receipt]] of bent.entries()) expect(refusalOf(receipt), String(i)).toBe(code)
  })

  test('whatever words are put together, no more is proven than the bank has said of this order', () => {
    const { bank, clock } = town.desk.economy
    const [mine, other] = ['mine', 'other'].map(order => signInvoice(suite, shop.key, { ...town.desk.economy.invoice({ payee: shop.key.publicKey, amount: 31 }), order }))
    const some = fc.record({ serial: fc.nat(5), value: fc.constantFrom(1, 2, 4, 8), state: fc.constantFrom('open', 'credited', 'refunded'), order: fc.constantFrom('mine', 'other', 'unknown'), by: fc.constantFrom('bank', 'bank', 'bank', 'thief') })
    fc.assert(fc.property(fc.array(some, { minLength: 1, maxLength: 5 }), fc.boolean(), (drawn, inOrder) => {
      const words = drawn.map(({ serial, value, state, order, by }) => {
        const token = suite.sha256(Uint8Array.of(serial))
        const word: SealedTurnedIn = {
          network: mine.invoice.network, unit: mine.invoice.unit, token, payee: shop.key.publicKey, value, state: state as SealedTurnedIn['state'],
          order: order === 'unknown' ? NONE : sealedOrder(suite, hashOf(order === 'mine' ? mine : other), token), time: clock.now()
        }
        return signSealedTurnedIn(suite, by === 'bank' ? bank : keyNamed('thief'), word)
      })
      if (inOrder) words.sort((a, b) => compare(a.word.token, b.word.token))
      const isGood = drawn.every(({ state, order, by }) => state === 'credited' && order === 'mine' && by === 'bank') &&
        words.every(({ word }, i) => i === 0 || compare(words[i - 1].word.token, word.token) < 0)
      const receipt: Receipt = { by: 'sealed', invoice: mine, words }
      if (isGood) expect(verifyReceipt(suite, receipt).had).toBe(drawn.reduce((sum, { value }) => sum + value, 0))
      else expect(refusalOf(receipt)).not.toBe('proven')
    }), { numRuns: 200 })
  })
})
