/** Sealed tokens: from the coins that buy them to the account of their payee, or back. */
import { beforeEach, describe, expect, test } from 'vitest'
import { equal, toHex } from '@mixmint/core/kit/bytes'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { SealedPayment, SealedToken, SignedInvoice } from '@mixmint/core/cash/formats'
import type { BankRequest } from '@mixmint/core/cash/messages'
import { refundMessage } from '@mixmint/core/cash/reclaim'
import { verifyReceipt } from '@mixmint/core/cash/receipt'
import { presentSealed, sealedSerial } from '@mixmint/core/cash/sealed'
import { sealedSecrets } from '@mixmint/core/cash/derive'
import { DAY, HOUR, keyNamed, START, suite } from '../doubles/economy.ts'
import { hashOf, Town, type Person, type Shop } from '../doubles/town.ts'

const NONE = new Uint8Array(0)
const TILL = new Uint8Array(32).fill(7)

let town: Town
let shop: Shop
let ann: Person

beforeEach(async () => { ({ town, shop, ann } = await Town.withSealed()) })

const buy = async (amount: number, till?: Uint8Array): Promise<number[]> => (await ann.run(ann.engine.buySealed(shop.key.publicKey, amount, { till }))).map(({ value }) => value).sort((a, b) => a - b)
const states = async (): Promise<string[]> => (await ann.run(ann.engine.sealedTokens())).map(({ state, value }) => `${state} ${value}`).sort()
const entries = async (): Promise<string[]> => (await ann.run(ann.engine.history())).map(({ kind, state, amount }) => `${kind} ${state} ${amount}`)

describe('a purchase', () => {
  test('is paid with several tokens, accepted with no network, turned in, and never goes back', async () => {
    expect(await buy(13)).toEqual([1, 4, 8])
    expect(await ann.run(ann.engine.balance())).toMatchObject({ available: 47, tokens: 13 })
    const invoice = await shop.invoice(13)
    town.network(false)
    const paid = await ann.run(ann.engine.payWithSealed(invoice))
    expect(paid.paid.how).toBe('sealed')
    expect(await ann.run(ann.engine.payWithSealed(invoice))).toEqual(paid)
    expect(ann.sent.filter(line => line === 'merchant sealed-present')).toHaveLength(1)
    expect(await states()).toEqual(['spent 1', 'spent 4', 'spent 8'])
    const [receipt] = await ann.run(ann.engine.receipts())
    expect(verifyReceipt(suite, receipt)).toMatchObject({ by: 'payee', invoice: { amount: 13 } })
    town.network(true)
    expect(await shop.run(shop.engine.takings())).toMatchObject({ accepted: 13, pending: 13 })
    expect(await shop.run(shop.engine.deposit())).toEqual({ credited: 3, already: 0, refused: 0, amount: 13 })
    expect(await shop.run(shop.engine.deposit())).toEqual({ credited: 0, already: 0, refused: 0, amount: 0 })
    expect(await town.accountOf(shop)).toBe(13)
    await town.expectBooks([ann])
    town.desk.economy.clock.advance(20 * DAY)
    await ann.run(ann.engine.reclaim())
    expect(ann.sent).not.toContain('mixnet sealed-refund')
    expect(await entries()).toEqual(['withdraw done 60', 'sealed done 13'])
  })

  test('leaves payee, till and amount out of what the bank sees, and goes over the mixnet', async () => {
    await buy(13, TILL)
    const settle = ann.requests.find(({ op }) => op === 'settle') as BankRequest & { op: 'settle' }
    expect(settle.contract).toMatchObject({ kind: 'sealed', payee: NONE, amount: 0, token: null, invoice: NONE })
    const seen = ann.requests.map(request => JSON.stringify(request, (_, value: unknown) => value instanceof Uint8Array ? toHex(value) : value)).join()
    for (const secret of [shop.key.publicKey, TILL, ...(await ann.run(ann.engine.sealedTokens())).flatMap(({ token }) => [token.ownerKey, token.nonce])]) {
      expect(seen).not.toContain(toHex(secret))
    }
    expect(ann.sent).toEqual(['direct withdraw', 'mixnet sealed-keys', 'mixnet file', 'mixnet settle'])
    // The keys are kept.
    await buy(2)
    expect(ann.sent.filter(line => line.endsWith('sealed-keys'))).toHaveLength(1)
  })

  test('at one till is refused at another, and so are a second order, another payee and another sum', async () => {
    const other = town.shop('other')
    const till = town.shop('bakery', { till: { name: TILL, alone: true } })
    for (const one of [other, till]) await one.run(one.engine.fetchSealedKeys())
    await buy(8, TILL)
    await buy(4)
    const invoice = await shop.invoice(8)
    const payment = await ann.run(ann.engine.presentSealed(invoice))
    expect(payment.presentations).toHaveLength(1)
    expect(await ann.run(ann.engine.presentSealed(invoice))).toEqual(payment)
    expect(await shop.codeOf(shop.engine.acceptSealed(payment))).toBe('wrong-till')
    const atTill = await till.invoice(8)
    await buy(16)
    const unnamed = (await ann.run(ann.engine.sealedTokens())).find(({ value }) => value === 16) as { token: SealedToken, place: { counter: number } }
    const of16 = sealedSecrets(suite, ann.seed, { keyset: unnamed.token.keys, value: 16, generation: 0, counter: unnamed.place.counter }).owner
    const any = await till.invoice(16)
    expect(await till.codeOf(till.engine.acceptSealed({ invoice: hashOf(any), presentations: [presentSealed(suite, of16, unnamed.token, hashOf(any))] }))).toBe('till-not-named')
    expect(await ann.codeOf(ann.engine.payWithSealed(any))).toBe('no-token')
    const [{ token }] = payment.presentations
    const held = (await ann.run(ann.engine.sealedTokens())).find(one => equal(one.token.nonce, token.nonce))
    const owner = sealedSecrets(suite, ann.seed, { keyset: token.keys, value: token.value, generation: 0, counter: held?.place.counter ?? 0 }).owner
    const shown = (invoice: SignedInvoice, ...tokens: SealedToken[]): SealedPayment => ({ invoice: hashOf(invoice), presentations: tokens.map(one => presentSealed(suite, owner, one, hashOf(invoice))) })
    expect(await till.codeOf(till.engine.acceptSealed(shown(await till.invoice(9), token)))).toBe('wrong-amount')
    expect(await till.codeOf(till.engine.acceptSealed(shown(await till.invoice(16), token, token)))).toBe('duplicate-token')
    expect(await other.codeOf(other.engine.acceptSealed(shown(await other.invoice(8), token)))).toBe('wrong-payee')
    expect(await till.codeOf(till.engine.acceptSealed({ ...shown(atTill, token), invoice: hashOf(invoice) }))).toBe('bad-presentation')
    expect(await till.codeOf(till.engine.acceptSealed({ invoice: hashOf(atTill), presentations: [presentSealed(suite, keyNamed('thief'), token, hashOf(atTill))] }))).toBe('bad-presentation')
    for (const change of [{ value: 16 }, { payee: other.key.publicKey }, { till: NONE }, { ownerKey: keyNamed('thief').publicKey }, { nonce: TILL }, { signature: new Uint8Array(256) }]) {
      expect(await till.codeOf(till.engine.acceptSealed(shown(atTill, { ...token, ...change })))).toBe('bad-token')
    }
    expect(await till.codeOf(till.engine.acceptSealed(shown(atTill, { ...token, value: 3 })))).toBe('unknown-denomination')
    expect(await till.codeOf(till.engine.acceptSealed(shown(atTill, { ...token, keys: TILL })))).toBe('unknown-sealed-keys')
    expect(await till.codeOf(till.engine.acceptSealed(shown(await other.invoice(8), token)))).toBe('unknown-invoice')

    expect((await till.run(till.engine.acceptSealed(shown(atTill, token)))).repeat).toBe(false)
    till.restart()
    expect((await till.run(till.engine.acceptSealed(shown(atTill, token)))).repeat).toBe(true)
    expect(await till.codeOf(till.engine.acceptSealed(shown(await till.invoice(8), token)))).toBe('token-already-accepted')
    await till.run(till.engine.deposit())
    expect(await town.accountOf(shop)).toBe(8)
  })

  test('at two tills of one payee, which share a store, is accepted once and credited once', async () => {
    const second = town.shop('bakery')
    await second.run(second.engine.fetchSealedKeys())
    await buy(8)
    const invoice = await shop.invoice(8)
    second.store = shop.store
    const payment = await ann.run(ann.engine.presentSealed(invoice))
    const taken = await Promise.all([shop, second].map(async one => await one.run(one.engine.acceptSealed(payment))))
    expect(taken.map(({ repeat }) => repeat).sort()).toEqual([false, true])
    const sums = await Promise.all([shop, second].map(async one => await one.run(one.engine.deposit())))
    expect(sums[0].credited + sums[1].credited).toBe(1)
    expect(await town.accountOf(shop)).toBe(8)
  })

  test('of a day that a till has lost its records of is refused there', async () => {
    await buy(5)
    const restored = town.shop('bakery')
    await restored.run(restored.engine.declareLoss(town.desk.economy.clock.now()))
    await restored.run(restored.engine.fetchSealedKeys())
    const payment = await ann.run(ann.engine.presentSealed(await restored.invoice(5)))
    expect(await restored.codeOf(restored.engine.acceptSealed(payment))).toBe('token-before-restore')
  })

  test('keeps to the dates of its keys, give or take the clocks, whatever its buyer says', async () => {
    const { clock, parameters: { clockSkew } } = town.desk.economy
    const { keys } = town.desk.economy.sealed(0)
    await buy(8)
    const [{ token, place }] = await ann.run(ann.engine.sealedTokens())
    const { owner } = sealedSecrets(suite, ann.seed, { keyset: token.keys, value: 8, ...place })
    const at = async (time: number): Promise<string> => {
      const till = town.shop('bakery')
      clock.set(time - HOUR)
      await till.run(till.engine.fetchSealedKeys())
      const invoice = await till.invoice(8)
      clock.set(time)
      return await till.codeOf(till.engine.acceptSealed({ invoice: hashOf(invoice), presentations: [presentSealed(suite, owner, token, hashOf(invoice))] }))
    }
    expect(await at(keys.notBefore - clockSkew - 1)).toBe('token-not-yet-valid')
    expect(await at(keys.notBefore - clockSkew)).toBe('fine')
    expect(await at(keys.notAfter + clockSkew - 1)).toBe('fine')
    expect(await at(keys.notAfter + clockSkew)).toBe('token-expired')
  })

  test('of which one token is refused comes back whole, and can be paid otherwise', async () => {
    await buy(9)
    const invoice = await shop.invoice(9)
    shop.restart()
    shop.store = (await town.shop('twin')).store
    // A till that has lost its keys, and its orders.
    town.network(false)
    expect(await ann.codeOf(ann.engine.payWithSealed(invoice))).toBe('unknown-sealed-keys')
    town.network(true)
    expect(await ann.codeOf(ann.engine.payWithSealed(invoice))).toBe('unknown-invoice')
    expect(await states()).toEqual(['held 1', 'held 8'])
    const again = await shop.invoice(9)
    shop.down = true
    expect(await ann.codeOf(ann.engine.payWithSealed(again))).toBe('overdue')
    expect(await states()).toEqual(['sent 1', 'sent 8'])
    expect(await ann.codeOf(ann.engine.payWithCoins(again))).toBe('invoice-in-use')
    expect(await ann.codeOf(ann.engine.payWithToken(again))).toBe('invoice-in-use')
    expect(await ann.codeOf(ann.engine.payWithSealed(await town.shops[0].invoice(9)))).toBe('no-token')
    shop.down = false
    await ann.run(ann.engine.recover())
    expect(await states()).toEqual(['spent 1', 'spent 8'])
  })

  test('with a token or coins already is not paid a second time', async () => {
    await buy(9)
    const invoice = await shop.invoice(9)
    await ann.run(ann.engine.payWithCoins(invoice))
    expect(await ann.codeOf(ann.engine.payWithSealed(invoice))).toBe('invoice-in-use')
    const [one, two] = [await shop.invoice(9), await shop.invoice(9)]
    await ann.run(ann.engine.buyToken(shop.key.publicKey, 9))
    await ann.run(ann.engine.payWithToken(one))
    expect(await ann.codeOf(ann.engine.payWithSealed(one))).toBe('invoice-in-use')
    await ann.run(ann.engine.payWithSealed(two))
  })
})

describe('deposit and refund', () => {
  const shown = async (amount: number): Promise<SealedPayment> => {
    await buy(amount)
    return await ann.run(ann.engine.presentSealed(await shop.invoice(amount)))
  }

  test('a batch has a result for each token, the same again', async () => {
    const good = await shown(5)
    const other = await shown(3)
    const [bad] = other.presentations
    const presentations = [...good.presentations, { ...bad, order: TILL }, { ...bad, token: { ...bad.token, value: 4 } }, { ...bad, token: { ...bad.token, keys: TILL } }, good.presentations[0]]
    const results = async (): Promise<string[]> => {
      const reply = await town.desk.ask({ op: 'sealed-deposit', presentations })
      return reply.is === 'deposited' ? reply.results.map(({ state, code }) => code === '' ? state : code) : []
    }
    expect(await results()).toEqual(['credited', 'credited', 'bad-presentation', 'bad-token', 'unknown-sealed-keys', 'already'])
    expect(await results()).toEqual(['already', 'already', 'bad-presentation', 'bad-token', 'unknown-sealed-keys', 'already'])
    expect(await town.accountOf(shop)).toBe(5)
    await town.desk.expectBalanced()
  })

  test('a bank that has lost data does neither with tokens of days up to then, and says again what it has said', async () => {
    const { desk } = town
    const known = await shown(1)
    const { presentations: [late] } = await shown(2)
    const settle = ann.requests.findLast(({ op }) => op === 'settle') as BankRequest
    const turnIn = async (presentations: SealedPayment['presentations']): Promise<string[]> => {
      const reply = await desk.ask({ op: 'sealed-deposit', presentations })
      return reply.is === 'deposited' ? reply.results.map(({ state, code }) => code === '' ? state : code) : [reply.is]
    }
    expect(await turnIn(known.presentations)).toEqual(['credited'])
    await desk.run(desk.engine.declareLoss(desk.economy.clock.now()))
    expect(await turnIn([...known.presentations, late])).toEqual(['already', 'closed-after-loss'])
    expect((await desk.ask(settle)).is).toBe('settlement')
    expect(await ann.codeOf(ann.engine.buySealed(shop.key.publicKey, 4))).toBe('closed-after-loss')
    desk.economy.clock.set(desk.economy.sealed(0).keys.refundAfter + DAY)
    const held = (await ann.run(ann.engine.sealedTokens())).find(one => one.value === 2)
    const { owner } = sealedSecrets(suite, ann.seed, { keyset: late.token.keys, value: 2, generation: 0, counter: held?.place.counter ?? 0 })
    const outputs = desk.outputs(2)
    const signature = suite.ed25519Sign(owner, refundMessage(suite, sealedSerial(suite, late.token), outputs))
    expect(await desk.codeOf({ op: 'sealed-refund', token: late.token, outputs, signature })).toBe('closed-after-loss')
    await desk.expectBalanced()
  })

  test('after a loss coins of a new keyset buy no tokens of that day, which nobody could turn in, and those of the next', async () => {
    town = new Town({ keyset: { issueFrom: START - HOUR / 2 } })
    shop = town.shop()
    ann = await town.person('ann', 60)
    await town.desk.run(town.desk.engine.declareLoss(START - HOUR))
    expect(await ann.codeOf(ann.engine.buySealed(shop.key.publicKey, 4))).toBe('closed-after-loss')
    town.desk.economy.clock.set(START + DAY)
    expect(await buy(8)).toEqual([8])
    await shop.run(shop.engine.fetchSealedKeys())
    await ann.run(ann.engine.payWithSealed(await shop.invoice(8)))
    expect(await shop.run(shop.engine.deposit())).toMatchObject({ credited: 1, amount: 8 })
  })

  test('what nobody turned in comes back by itself, and what was handed over when it is asked for', async () => {
    await shown(5)
    await buy(2)
    const { refundAfter } = town.desk.economy.sealed(0).keys
    town.desk.economy.clock.set(refundAfter)
    await ann.run(ann.engine.recover())
    expect(ann.sent).not.toContain('mixnet sealed-refund')
    town.desk.economy.clock.advance(town.desk.economy.parameters.clockSkew)
    await ann.run(ann.engine.recover())
    expect(await ann.available()).toBe(55)
    await ann.run(ann.engine.recover(true))
    expect(await ann.available()).toBe(60)
    expect((await entries()).slice(-3).sort()).toEqual(['refund done 1', 'refund done 2', 'refund done 4'])
    await town.expectBooks([ann])
  })

  test('what was sent to a shop that never answers comes back when it is asked for; its order then goes on with none of them', async () => {
    await buy(5)
    const invoice = await shop.invoice(5)
    shop.down = true
    expect(await ann.codeOf(ann.engine.payWithSealed(invoice))).toBe('overdue')
    town.desk.economy.clock.set(town.desk.economy.sealed(0).keys.refundAfter + town.desk.economy.parameters.clockSkew)
    await ann.run(ann.engine.recover())
    expect(await states()).toEqual(['sent 1', 'sent 4'])
    ann.bend = (reply, request) => {
      if (request.op === 'sealed-refund') throw new MixmintError('overdue', 'peer', 'lost on its way', { retry: true })
      return reply
    }
    await ann.run(ann.engine.recover(true))
    expect(await states()).toEqual(['refunding 1', 'refunding 4'])
    shop.down = false
    expect(await ann.codeOf(ann.engine.payWithSealed(invoice))).toBe('token-used')
    ann.bend = reply => reply
    await ann.run(ann.engine.recover())
    expect(await ann.available()).toBe(60)
    expect(await states()).toEqual(['refunded 1', 'refunded 4'])
    expect(await ann.codeOf(ann.engine.payWithSealed(invoice))).toBe('token-used')
    expect((await ann.run(ann.engine.recover())).filter(({ error }) => error !== null)).toEqual([])
    await town.expectBooks([ann])
  })

  test('whoever comes first has the money, at every step of the other, and the other is told', async () => {
    const seen = new Set<string>()
    const { desk } = town
    const { refundAfter } = desk.economy.sealed(0).keys
    const payment = await shown(1)
    const [presentation] = payment.presentations
    const serial = sealedSerial(suite, presentation.token)
    const held = (await ann.run(ann.engine.sealedTokens())).find(one => equal(one.serial, serial))
    const { owner } = sealedSecrets(suite, ann.seed, { keyset: presentation.token.keys, value: 1, generation: 0, counter: held?.place.counter ?? 0 })
    const outputs = desk.outputs(1)
    const refund = (key = owner, of = outputs): BankRequest => ({ op: 'sealed-refund', token: presentation.token, outputs: of, signature: suite.ed25519Sign(key, refundMessage(suite, serial, of)) })
    expect(await desk.codeOf(refund())).toBe('refund-too-early')
    desk.economy.clock.set(refundAfter)
    expect(await desk.codeOf(refund(keyNamed('thief')))).toBe('bad-owner-signature')
    expect(await desk.codeOf(refund(owner, desk.outputs(2)))).toBe('wrong-sum')
    const back = await town.snapshot([ann])
    const deposit = async (): Promise<string> => {
      const reply = await desk.ask({ op: 'sealed-deposit', presentations: [presentation] })
      return reply.is === 'deposited' ? reply.results[0].code + reply.results[0].state : reply.is
    }
    const ways = { deposit, refund: async () => await desk.codeOf(refund()) }
    for (const first of ['deposit', 'refund'] as const) {
      for (let effect = 0; ; effect++) {
        await back()
        let between: string | undefined
        let count = 0
        desk.before = async () => {
          if (count++ !== effect) return
          desk.before = () => {}
          between = await ways[first]()
        }
        const other = await ways[first === 'deposit' ? 'refund' : 'deposit']()
        desk.before = () => {}
        await desk.expectBalanced()
        if (between === undefined) break
        seen.add((first === 'deposit' ? [between, other] : [other, between]).join(' '))
      }
    }
    expect([...seen].sort()).toEqual(['credited token-spent', 'token-refundedrefused signatures'])
    expect(await desk.codeOf(refund())).not.toBe('bad-token')
  })
})

test('stops at every effect of purchase, payment and deposit, and loses nothing', async () => {
  const invoice = await shop.invoice(5)
  const back = await town.snapshot([ann])
  for (const when of ['before', 'after'] as const) {
    for (let effect = 0; ; effect++) {
      await back()
      const whole = await ann.runUntil((function * () {
        yield * ann.engine.buySealed(shop.key.publicKey, 5)
        yield * ann.engine.payWithSealed(invoice)
      })(), effect, when)
      await ann.run(ann.engine.recover())
      if ((await ann.run(ann.engine.sealedTokens())).length === 0) await buy(5)
      await ann.run(ann.engine.payWithSealed(invoice))
      expect(await ann.available()).toBe(55)
      await shop.run(shop.engine.deposit())
      expect(await town.accountOf(shop)).toBe(5)
      await town.expectBooks([ann])
      if (whole) break
    }
  }
  await back()
  await buy(5)
  const payment = await ann.run(ann.engine.presentSealed(invoice))
  const paying = await town.snapshot([ann])
  for (const when of ['before', 'after'] as const) {
    for (let effect = 0; ; effect++) {
      await paying()
      const whole = await shop.runUntil((function * () {
        yield * shop.engine.acceptSealed(payment)
        yield * shop.engine.deposit()
      })(), effect, when)
      shop.restart()
      await shop.run(shop.engine.acceptSealed(payment))
      await shop.run(shop.engine.deposit())
      expect(await shop.run(shop.engine.takings())).toMatchObject({ accepted: 5, deposited: 5, pending: 0 })
      expect(await town.accountOf(shop)).toBe(5)
      if (whole) break
    }
  }
})
