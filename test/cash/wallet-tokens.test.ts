/** A wallet and the tokens that it bought: shown once, to whom they are made out, and back where they were refused. */
import { beforeEach, describe, expect, test } from 'vitest'
import { equal } from '@mixmint/core/kit/bytes'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { MerchantReply } from '@mixmint/core/cash/messages'
import { signPaid } from '@mixmint/core/cash/token'
import { DAY, keyNamed, suite } from '../doubles/economy.ts'
import type { Person} from '../doubles/town.ts'
import { hashOf, Town, type Shop } from '../doubles/town.ts'

let town: Town
let shop: Shop

beforeEach(() => {
  town = new Town()
  shop = town.shop()
})

describe('tokens', () => {
  async function withToken (amount = 9): Promise<{ ann: Person, serial: Uint8Array }> {
    const ann = await town.person('ann', 60)
    const { token } = await ann.run(ann.engine.buyToken(shop.key.publicKey, amount))
    return { ann, serial: token.serial }
  }

  test('over the mixnet, with a receipt; the same invoice again is the same payment', async () => {
    const { ann } = await withToken()
    const invoice = await shop.invoice(9)
    const paid = await ann.run(ann.engine.payWithToken(invoice))
    expect(paid.paid).toMatchObject({ invoice: hashOf(invoice), how: 'token' })
    expect(await ann.run(ann.engine.payWithToken(invoice))).toEqual(paid)
    expect(await ann.codeOf(ann.engine.payWithToken(await shop.invoice(9)))).toBe('no-token')
    await town.expectBooks([ann], 9)
  })

  test('one that does not fit is not shown', async () => {
    const { ann, serial } = await withToken()
    expect(await ann.codeOf(ann.engine.payWithToken(await shop.invoice(8)))).toBe('no-token')
    expect(await ann.codeOf(ann.engine.presentToken(serial, await shop.invoice(8)))).toBe('wrong-amount')
    const rival = town.shop('rival')
    expect(await ann.codeOf(ann.engine.payWithToken(await rival.invoice(9)))).toBe('no-token')
    expect(await ann.codeOf(ann.engine.presentToken(serial, await rival.invoice(9)))).toBe('wrong-payee')
    expect(await ann.codeOf(ann.engine.presentToken(suite.sha256(), await shop.invoice(9)))).toBe('unknown-token')
    town.desk.economy.clock.advance(DAY)
    expect(await ann.codeOf(ann.engine.payWithToken(await shop.invoice(9)))).toBe('no-token')
    expect(await ann.codeOf(ann.engine.presentToken(serial, await shop.invoice(9)))).toBe('token-expired')
    expect(ann.sent).not.toContain('merchant present')
  })

  test('one token, one order; one order, one way of paying', async () => {
    const { ann, serial } = await withToken()
    const invoice = await shop.invoice(9)
    const first = await ann.run(ann.engine.presentToken(serial, invoice))
    expect(await ann.run(ann.engine.presentToken(serial, invoice))).toEqual(first)
    expect(await ann.codeOf(ann.engine.presentToken(serial, await shop.invoice(9)))).toBe('token-used')
    expect(await ann.codeOf(ann.engine.payWithCoins(invoice))).toBe('invoice-in-use')
    const second = await shop.invoice(9)
    shop.down = true
    await ann.codeOf(ann.engine.payWithCoins(second))
    const { token } = await ann.run(ann.engine.buyToken(shop.key.publicKey, 9))
    expect(await ann.codeOf(ann.engine.presentToken(token.serial, second))).toBe('invoice-in-use')
    expect(await ann.codeOf(ann.engine.payWithToken(second))).toBe('invoice-in-use')
  })

  test('no answer: sent again by recover, and accepted once', async () => {
    const { ann } = await withToken()
    shop.down = true
    expect(await ann.codeOf(ann.engine.payWithToken(await shop.invoice(9)))).toBe('overdue')
    expect((await ann.run(ann.engine.recover()))[0].error?.code).toBe('overdue')
    shop.down = false
    expect((await ann.run(ann.engine.recover()))[0].error).toBeNull()
    expect(await ann.run(ann.engine.recover())).toEqual([])
    expect((await shop.run(shop.engine.takings())).accepted).toBe(9)
  })

  test('refused: the token and the invoice are free again', async () => {
    const { ann, serial } = await withToken()
    const invoice = await shop.invoice(9)
    const ask = shop.ask.bind(shop)
    shop.ask = async () => ({ is: 'refused', code: 'invoice-expired', fault: 'peer', retry: false, message: '' })
    expect(await ann.codeOf(ann.engine.payWithToken(invoice))).toBe('invoice-expired')
    shop.ask = ask
    expect((await ann.run(ann.engine.tokens()))[0].state).toBe('held')
    await ann.run(ann.engine.presentToken(serial, await shop.invoice(9)))
    await ann.run(ann.engine.payWithCoins(invoice))
  })

  test.each([
    ['closed', { is: 'refused', code: 'closed', fault: 'operator', retry: false, message: '' }],
    ['token-already-accepted', { is: 'refused', code: 'token-already-accepted', fault: 'peer', retry: false, message: '' }],
    ['bad-reply', { is: 'unpaid' }]
  ] as Array<[string, MerchantReply]>)('an answer that does not say it was not taken leaves it sent: %s', async (code, answer) => {
    const { ann } = await withToken()
    ann.bend = (reply, request) => request.op === 'present' ? answer : reply
    expect(await ann.codeOf(ann.engine.payWithToken(await shop.invoice(9)))).toBe(code)
    expect((await ann.run(ann.engine.tokens()))[0].state).toBe('sent')
  })

  test.each(['token of another', 'order', 'way'])('a receipt of another signer, order or way is not believed (%s)', async what => {
    const { ann } = await withToken()
    ann.bend = reply => {
      if (reply.is !== 'paid') return reply
      const { paid } = reply.signed
      const signed = what === 'order' ? signPaid(suite, shop.key, { ...paid, invoice: suite.sha256() })
        : what === 'way' ? signPaid(suite, shop.key, { ...paid, how: 'coins' }) : signPaid(suite, keyNamed('x'), paid)
      return { ...reply, signed }
    }
    expect(await ann.codeOf(ann.engine.payWithToken(await shop.invoice(9)))).toBe('bad-receipt')
    ann.bend = reply => reply
    await ann.run(ann.engine.recover())
    expect((await ann.run(ann.engine.tokens()))[0].state).toBe('spent')
  })

  test('nobody knows whether it was sent: it stays sent, whoever is at fault', async () => {
    const { ann } = await withToken()
    shop.ask = async () => { throw new MixmintError('stopped', 'caller', 'you stopped it') }
    expect(await ann.codeOf(ann.engine.payWithToken(await shop.invoice(9)))).toBe('stopped')
    expect((await ann.run(ann.engine.tokens()))[0].state).toBe('sent')
  })

  test('made out to one till', async () => {
    const till = suite.sha256()
    const corner = town.shop('corner', { till: { name: till, alone: true } })
    const ann = await town.person('ann', 60)
    const { token } = await ann.run(ann.engine.buyToken(corner.key.publicKey, 9, { till }))
    expect(token.till).toEqual(till)
    const presentation = await ann.run(ann.engine.presentToken(token.serial, await corner.invoice(9)))
    expect(await corner.codeOf(corner.engine.accept(presentation))).toBe('fine')
    // What names another till, or none, is kept for where it is good.
    await ann.run(ann.engine.buyToken(corner.key.publicKey, 9))
    await ann.run(ann.engine.buyToken(corner.key.publicKey, 9, { till: suite.sha256(till) }))
    const invoice = await corner.invoice(9)
    expect(await ann.codeOf(ann.engine.payWithToken(invoice))).toBe('no-token')
    for (const { token: { token } } of await ann.run(ann.engine.tokens())) expect(await ann.codeOf(ann.engine.presentToken(token.serial, invoice))).toBe(token.till.length === 0 ? 'till-not-named' : equal(token.till, till) ? 'token-used' : 'wrong-till')
    await ann.run(ann.engine.buyToken(corner.key.publicKey, 9, { till: invoice.invoice.till }))
    await ann.run(ann.engine.payWithToken(invoice))
    expect(await ann.codeOf(ann.engine.buyToken(corner.key.publicKey, 9, { till: new Uint8Array(3) }))).toBe('bad-argument')
  })

  test('for an invoice that asks for no till, one that names none goes first', async () => {
    const { ann } = await withToken()
    const [{ token: { token: { serial } } }] = await ann.run(ann.engine.tokens())
    const [first] = await ann.run(ann.engine.fittingTokens(await shop.invoice(9)))
    expect(first.token.token.serial).toEqual(serial)
    await ann.run(ann.engine.buyToken(shop.key.publicKey, 9, { till: suite.sha256() }))
    const fits = await ann.run(ann.engine.fittingTokens(await shop.invoice(9)))
    expect(fits.map(one => one.token.token.till.length)).toEqual([0, 32])
  })
})
