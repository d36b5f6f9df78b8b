import { describe, expect, test } from 'vitest'
import { concat, utf8 } from '@mixmint/core/kit/bytes'
import { dayOf } from '@mixmint/core/cash/keyset'
import type { Presentation, SignedPaid, SignedToken, Token } from '@mixmint/core/cash/formats'
import { checkToken, present, serialFor, signPaid, signToken, tokenHash, verifyPaid, verifyPresentation, verifyToken } from '@mixmint/core/cash/token'
import { codeOf } from '../doubles/code.ts'
import { createEconomy, DAY, keyNamed, START, suite, UNIT } from '../doubles/economy.ts'
import { malleated } from '../doubles/small-order.ts'

const economy = createEconomy()
const { payee, dayKey, registry } = economy
const NONE = new Uint8Array(0)
const TILL = new Uint8Array(32).fill(1)
const token = economy.token()
const signed = signToken(suite, dayKey, token)

describe('the bank\'s signature', () => {
  const check = (signed: SignedToken): string => codeOf(() => { verifyToken(suite, registry, signed) })
  test('by the day key that the directory lists is accepted', () => { expect(check(signed)).toBe('accepted') })

  const changes: Array<Partial<Token>> = [
    { payee: keyNamed('other').publicKey }, { till: TILL }, { amount: 9 }, { unit: 'USD-cent' }, { serial: TILL }, { ownerKey: payee.publicKey },
    { notBefore: START + 1 }, { notAfter: START + 9 * DAY }, { depositUntil: START + 9 * DAY }, { refundAfter: START + 9 * DAY }, { memoHash: TILL },
    { day: dayOf(START) + 1 }
  ]
  test.each(changes.map(change => [Object.keys(change)[0], change] as const))('does not cover another %s', (_, change) => {
    expect(check({ ...signed, token: { ...token, ...change } })).toBe('bad-token')
  })

  test.each([
    ['of another network', signToken(suite, dayKey, { ...token, network: 'other' }), 'wrong-network'],
    ['of another bank', signToken(suite, dayKey, { ...token, bank: payee.publicKey }), 'unknown-day-key'],
    ['by the key of a day that is not listed: yesterday', signToken(suite, dayKey, { ...token, day: dayOf(START) - 1 }), 'unknown-day-key'],
    ['by the bank\'s own key, which is none of a day', signToken(suite, economy.bank, token), 'bad-token'],
    ['by a key that the bank keeps for one customer', signToken(suite, keyNamed('marked'), token), 'bad-token'],
    ['with S + ℓ', { ...signed, signature: malleated(signed.signature) }, 'bad-token']
  ])('%s is refused', (_, bad, code) => { expect(check(bad)).toBe(code) })
})

describe('who may take it, for what, and when', () => {
  const want = { payee: payee.publicKey, till: { name: TILL, alone: false }, amount: 8, unit: UNIT }
  const skew = 1000
  const check = (changes: Partial<Token> = {}, now = START): string => codeOf(() => { checkToken({ ...token, ...changes }, want, now, skew) })

  test('its payee, for its amount, on its day', () => { expect(check()).toBe('accepted') })
  test('at the till that it names, if it names one', () => {
    expect(check({ till: TILL })).toBe('accepted')
    expect(check({ till: new Uint8Array(32) })).toBe('wrong-till')
  })
  test('at a till that shares its store with no other only if it names it', () => {
    const alone = { ...want, till: { name: TILL, alone: true } }
    expect(codeOf(() => { checkToken({ ...token, till: TILL }, alone, START, skew) })).toBe('accepted')
    expect(codeOf(() => { checkToken({ ...token, till: NONE }, alone, START, skew) })).toBe('till-not-named')
    expect(check({ till: NONE })).toBe('accepted')
  })
  test('a token for a till is refused where there are no tills', () => {
    expect(codeOf(() => { checkToken({ ...token, till: TILL }, { ...want, till: { name: NONE, alone: true } }, START, skew) })).toBe('wrong-till')
  })
  test.each([
    ['for another merchant', { payee: keyNamed('other').publicKey }, 'wrong-payee'],
    ['of more', { amount: 9 }, 'wrong-amount'],
    ['of less', { amount: 7 }, 'wrong-amount'],
    ['in another unit', { unit: 'USD-cent' }, 'wrong-unit']
  ])('%s is refused', (_, changes, code) => { expect(check(changes)).toBe(code) })
  test('within its dates, give or take the skew', () => {
    expect(check({}, token.notBefore - skew)).toBe('accepted')
    expect(check({}, token.notBefore - skew - 1)).toBe('token-not-yet-valid')
    expect(check({}, token.notAfter + skew - 1)).toBe('accepted')
    expect(check({}, token.notAfter + skew)).toBe('token-expired')
    expect(check({ notBefore: START - 2 * DAY, notAfter: START - DAY })).toBe('token-expired')
  })
})

describe('a presentation', () => {
  const owner = keyNamed('owner')
  const invoice = suite.sha256(utf8('invoice'))
  const presentation = present(suite, owner, signed, invoice)
  const check = (presentation: Presentation): string => codeOf(() => { verifyPresentation(suite, presentation) })

  test('signed by the owner, for this order, is accepted', () => { expect(check(presentation)).toBe('accepted') })
  test.each([
    ['for another order', { ...presentation, invoice: suite.sha256(utf8('other')) }],
    ['of another token', { ...presentation, token: signToken(suite, dayKey, { ...token, serial: TILL }) }],
    ['by somebody who found the token', present(suite, keyNamed('thief'), signed, invoice)],
    ['signed by the owner under no tag', { ...presentation, ownerSignature: suite.ed25519Sign(owner, concat(tokenHash(suite, token), invoice)) }],
    ['with S + ℓ', { ...presentation, ownerSignature: malleated(presentation.ownerSignature) }]
  ])('%s is refused', (_, bad) => { expect(check(bad)).toBe('bad-presentation') })
})

test('a contract has one serial, and another contract another', () => {
  expect(serialFor(suite, TILL)).toEqual(serialFor(suite, TILL.slice()))
  expect(serialFor(suite, TILL)).not.toEqual(serialFor(suite, new Uint8Array(32)))
})

describe('a receipt', () => {
  const receipt = signPaid(suite, payee, { invoice: TILL, how: 'token', time: START })
  const check = (receipt: SignedPaid): string => codeOf(() => { verifyPaid(suite, payee.publicKey, receipt) })
  test('signed by the payee stands', () => { expect(check(receipt)).toBe('accepted') })
  test.each([
    ['for another order', { ...receipt, paid: { ...receipt.paid, invoice: new Uint8Array(32) } }],
    ['of another time', { ...receipt, paid: { ...receipt.paid, time: START + 1 } }],
    ['in another way', { ...receipt, paid: { ...receipt.paid, how: 'coins' as const } }],
    ['signed by somebody else', signPaid(suite, keyNamed('other'), receipt.paid)]
  ])('%s is refused', (_, bad) => { expect(check(bad)).toBe('bad-receipt') })
})
