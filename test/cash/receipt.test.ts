/** Receipts settle a dispute by themselves: what is not the bank's, or the payee's, word on this very invoice is refused. */
import { beforeEach, describe, expect, test } from 'vitest'
import { tokenOwnerKey } from '@mixmint/core/cash/derive'
import { contractId, signInvoice, signOutcome } from '@mixmint/core/cash/contract'
import { verifyReceipt, type Receipt } from '@mixmint/core/cash/receipt'
import { present, signPaid, signTurnedIn } from '@mixmint/core/cash/token'
import { armor } from '../../nodes/armor.ts'
import { verifyReceiptText } from '../../nodes/receipt.ts'
import { keyNamed, suite } from '../doubles/economy.ts'
import { hashOf, Town, type Person, type Shop } from '../doubles/town.ts'

let town: Town
let shop: Shop
let ann: Person

beforeEach(async () => {
  town = new Town()
  shop = town.shop()
  ann = await town.person('ann', 60)
})

async function onlyReceipt<B extends Receipt['by']> (by: B): Promise<Receipt & { by: B }> {
  const all = await ann.run(ann.engine.receipts())
  expect(all).toMatchObject([{ by }])
  return all[0] as Receipt & { by: B }
}

test('paid with coins: the bank\'s word, for anyone, with nothing else', async () => {
  const signed = await shop.invoice(9)
  await ann.run(ann.engine.payWithCoins(signed))
  const proven = await verifyReceiptText(armor('receipt', await onlyReceipt('bank')))
  expect(proven).toEqual({ by: 'bank', invoice: signed.invoice, had: 9, time: town.desk.economy.clock.now() })
})

test('while the bank is closed the payee\'s word; the bank\'s once it has settled', async () => {
  const signed = await shop.invoice(9)
  town.bankDown = true
  await ann.run(ann.engine.payWithCoins(signed, { waived: true }))
  expect(verifyReceipt(suite, await onlyReceipt('payee'))).toMatchObject({ by: 'payee', invoice: signed.invoice })
  town.bankDown = false
  await shop.run(shop.engine.settlePending())
  await ann.run(ann.engine.fetchChange())
  await onlyReceipt('bank')
})

test('paid with a token: the payee\'s word', async () => {
  const signed = await shop.invoice(9)
  await ann.run(ann.engine.buyToken(shop.key.publicKey, 9))
  expect(await ann.run(ann.engine.receipts())).toEqual([])
  await ann.run(ann.engine.payWithToken(signed))
  expect(verifyReceipt(suite, await onlyReceipt('payee'))).toMatchObject({ by: 'payee', invoice: signed.invoice })
})

test('paid with a token that the shop took and is silent about: the bank\'s word that it was turned in for this order, and for no other', async () => {
  const [signed, other] = [await shop.invoice(9), await shop.invoice(9)]
  const token = await ann.run(ann.engine.buyToken(shop.key.publicKey, 9))
  const presentation = await ann.run(ann.engine.presentToken(token.token.serial, signed))
  await shop.run(shop.engine.accept(presentation))
  expect(await ann.codeOf(ann.engine.askTokenReceipt(hashOf(signed)))).toBe('not-settled')
  await shop.run(shop.engine.deposit())
  const receipt = await ann.run(ann.engine.askTokenReceipt(hashOf(signed))) as Receipt & { by: 'token' }
  expect(await verifyReceiptText(armor('receipt', receipt))).toEqual({ by: 'token', invoice: signed.invoice, had: 9, time: town.desk.economy.clock.now() })
  expect(ann.sent.at(-1)).toBe('mixnet turned-in')
  expect(await ann.codeOf(ann.engine.askTokenReceipt(hashOf(other)))).toBe('not-paid')
  // The owner signs it over to another order afterwards: the bank does not say that it was turned in for that.
  const owner = tokenOwnerKey(suite, ann.seed, (await ann.run(ann.engine.tokens()))[0].nonce)
  const second = present(suite, owner, token, hashOf(other))
  const { bank } = town.desk.economy
  const bent: Array<[code: string, receipt: Receipt]> = [
    ['not-settled', { ...receipt, invoice: other, presentation: second }],
    ['wrong-token', { ...receipt, presentation: second }],
    ['bad-presentation', { ...receipt, presentation: { ...presentation, ownerSignature: second.ownerSignature } }],
    ['bad-outcome', { ...receipt, word: signTurnedIn(suite, keyNamed('thief'), receipt.word.word) }],
    ['bad-outcome', { ...receipt, word: signTurnedIn(suite, bank, { ...receipt.word.word, token: hashOf(other) }) }],
    ['not-settled', { ...receipt, word: signTurnedIn(suite, bank, { ...receipt.word.word, state: 'refunded' }) }]
  ]
  for (const [code, one] of bent) expect(() => verifyReceipt(suite, one)).toThrow(expect.objectContaining({ code, fault: 'peer' }))
  expect(await town.desk.ask({ op: 'turned-in', presentation: { ...presentation, invoice: hashOf(other) } })).toMatchObject({ is: 'refused', code: 'bad-presentation' })
  // A bank of before has not written down for which order: nobody is accused of another.
  const unknown = signTurnedIn(suite, bank, { ...receipt.word.word, invoice: new Uint8Array(0) })
  expect(() => { verifyReceipt(suite, { ...receipt, word: unknown }) }).toThrow(/did not write down yet for which order/)
})

test('a token that was refunded', async () => {
  const { token } = await ann.run(ann.engine.buyToken(shop.key.publicKey, 9))
  const presentation = await ann.run(ann.engine.presentToken(token.serial, await shop.invoice(9)))
  expect(await town.desk.ask({ op: 'turned-in', presentation })).toMatchObject({ is: 'turned-in', word: { state: 'open' } })
  town.desk.economy.clock.set(token.refundAfter + 3_600_000)
  await ann.run(ann.engine.recover(true))
  expect(await town.desk.ask({ op: 'turned-in', presentation })).toMatchObject({ is: 'turned-in', word: { state: 'refunded' } })
})

describe('what proves nothing', () => {
  test.each(['the invoice of somebody else', 'an invoice changed', 'another contract', 'another amount', 'another bank\'s word', 'void', 'open', 'a word on another contract'])('%s', async what => {
    await ann.run(ann.engine.payWithCoins(await shop.invoice(9)))
    const good = await onlyReceipt('bank')
    const { invoice: { invoice }, contract, outcome: { outcome } } = good
    const { bank } = town.desk.economy
    const other = await shop.invoice(9)
    const bent: Record<string, [code: string, receipt: Receipt]> = {
      'the invoice of somebody else': ['bad-invoice', { ...good, invoice: { invoice, signature: signInvoice(suite, keyNamed('thief'), invoice).signature } }],
      'an invoice changed': ['bad-invoice', { ...good, invoice: { ...good.invoice, invoice: { ...invoice, order: '#1 a car' } } }],
      'another contract': ['wrong-contract', { ...good, invoice: other }],
      'another amount': ['wrong-contract', { ...good, contract: { ...contract, amount: 8 } }],
      'another bank\'s word': ['bad-outcome', { ...good, outcome: signOutcome(suite, keyNamed('thief'), outcome) }],
      void: ['not-settled', { ...good, outcome: signOutcome(suite, bank, { ...outcome, state: 'void' }) }],
      open: ['not-settled', { ...good, outcome: signOutcome(suite, bank, { ...outcome, state: 'open' }) }],
      'a word on another contract': ['bad-outcome', { ...good, outcome: signOutcome(suite, bank, { ...outcome, contract: contractId(suite, { ...contract, nonce: hashOf(other) }) }) }]
    }
    const [code, receipt] = bent[what]
    expect(() => verifyReceipt(suite, receipt)).toThrow(expect.objectContaining({ code, fault: 'peer' }))
  })

  test('a payee\'s word by somebody else, or on another invoice', async () => {
    const [one, other] = [await shop.invoice(9), await shop.invoice(9)]
    const paid = { invoice: hashOf(other), how: 'token' as const, time: 7 }
    for (const key of [shop.key, keyNamed('thief')]) {
      expect(() => verifyReceipt(suite, { by: 'payee', invoice: one, paid: signPaid(suite, key, paid) })).toThrow(expect.objectContaining({ code: 'bad-receipt' }))
    }
  })
})

test('an invoice that is open for a short time', async () => {
  const now = town.desk.economy.clock.now()
  expect((await shop.run(shop.engine.invoice('tea', 5, 20 * 60_000))).invoice.settleBy).toBe(now + 20 * 60_000)
  expect((await shop.run(shop.engine.invoice('tea', 5, 1e12))).invoice.settleBy).toBe(now + town.desk.economy.parameters.settleMaximum)
  expect(await shop.codeOf(shop.engine.invoice('tea', 5, 10 * 60_000))).toBe('bad-argument')
})
