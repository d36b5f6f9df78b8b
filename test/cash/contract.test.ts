import { describe, expect, test } from 'vitest'
import { toHex } from '@mixmint/core/kit/bytes'
import { encode, tagged } from '@mixmint/core/kit/codec'
import {
  checkContract, checkContractDates, checkLastingDates, checkOutputDates, contractId, invoiceHash, outputHash, signInvoice, signOutcome, total, verifyInvoice,
  verifyOutcome, withdrawalId, worth
} from '@mixmint/core/cash/contract'
import { Contract, type Outcome, type TokenTerms } from '@mixmint/core/cash/formats'
import { signKeyset } from '@mixmint/core/cash/keyset'
import { Registry } from '@mixmint/core/cash/registry'
import { codeOf } from '../doubles/code.ts'
import { createEconomy, DAY, keyNamed, MONEY, NETWORK, START, suite, UNIT } from '../doubles/economy.ts'

const economy = createEconomy()
const { payee, bank, registry } = economy
const { output } = economy.output(8)
const invoice = economy.invoice()
const HASH = new Uint8Array(32).fill(9)
const NONE = new Uint8Array(0)

const terms: TokenTerms = {
  till: NONE, ownerKey: keyNamed('owner').publicKey, notBefore: START, notAfter: START + DAY, depositUntil: START + 7 * DAY, refundAfter: START + 8 * DAY, memoHash: NONE
}
const pay = economy.contract({ kind: 'pay', payee: payee.publicKey, amount: 8, invoice: invoiceHash(suite, invoice), outputs: [output] })
const token = economy.contract({ kind: 'token', payee: payee.publicKey, amount: 8, token: terms, outputs: [output] })
const exchange = economy.contract({ outputs: [output] })

const check = (contract: Contract, known = registry): string => codeOf(() => { checkContract(suite, known, contract) })

test('D is the hash of the tagged contract, and of every field of it', () => {
  expect(contractId(suite, token)).toEqual(suite.sha256(tagged('contract', encode(Contract, token))))
  const changes: Array<Partial<Contract>> = [
    {}, { network: 'x' }, { bank: payee.publicKey }, { kind: 'pay' }, { payee: bank.publicKey }, { amount: 9 }, { unit: 'x' }, { invoice: HASH },
    { nonce: HASH }, { settleBy: 1 }, { token: null }, { token: { ...terms, refundAfter: terms.refundAfter + 1 } }, { outputs: [] }
  ]
  const ids = changes.map(change => toHex(contractId(suite, { ...token, ...change })))
  expect(new Set(ids).size).toBe(ids.length)
})

test('names of different things differ even where their bytes agree', () => {
  const withdrawal = { network: NETWORK, bank: bank.publicKey, account: payee.publicKey, unit: UNIT, nonce: HASH, outputs: [output] }
  expect(toHex(withdrawalId(suite, withdrawal))).not.toBe(toHex(withdrawalId(suite, { ...withdrawal, nonce: new Uint8Array(32) })))
  expect(toHex(outputHash(suite, output))).not.toBe(toHex(outputHash(suite, economy.output(8).output)))
})

test('a contract is worth its amount and its outputs', () => {
  expect(worth(pay)).toBe(16)
  expect(worth(exchange)).toBe(8)
  expect(total([])).toBe(0)
})

test('sums that reach 2^53 are refused', () => {
  expect(total([{ value: 2 ** 53 - 2 }], 1)).toBe(2 ** 53 - 1)
  expect(codeOf(() => total([{ value: 2 ** 53 - 1 }], 1))).toBe('bad-amount')
  expect(check({ ...pay, amount: 2 ** 53 - 1 })).toBe('bad-amount')
})

describe('each kind has its own fields', () => {
  test('in place they are accepted', () => {
    expect([pay, token, exchange].map(contract => check(contract))).toEqual(['accepted', 'accepted', 'accepted'])
    expect(check({ ...pay, outputs: [] })).toBe('accepted')
  })

  test.each([
    ['a payment to nobody', { ...pay, payee: NONE }],
    ['a payment of no invoice', { ...pay, invoice: NONE }],
    ['a payment with a token', { ...pay, token: terms }],
    ['a payment of nothing', { ...pay, amount: 0 }],
    ['a token for nobody', { ...token, payee: NONE }],
    ['a token with an invoice', { ...token, invoice: HASH }],
    ['a token without terms', { ...token, token: null }],
    ['a token of nothing', { ...token, amount: 0 }],
    ['a token that ends before it begins', { ...token, token: { ...terms, notAfter: terms.notBefore } }],
    ['a token that cannot be deposited once accepted', { ...token, token: { ...terms, depositUntil: terms.notAfter - 1 } }],
    ['a token refunded while it may be deposited', { ...token, token: { ...terms, refundAfter: terms.depositUntil - 1 } }],
    ['an exchange with a payee', { ...exchange, payee: payee.publicKey }],
    ['an exchange with an invoice', { ...exchange, invoice: HASH }],
    ['an exchange with a token', { ...exchange, token: terms }],
    ['an exchange with an amount', { ...exchange, amount: 1 }],
    ['an exchange for nothing', { ...exchange, outputs: [] }]
  ])('%s is refused', (_, contract) => { expect(check(contract)).toBe('bad-contract') })
})

describe('refused', () => {
  const other = signKeyset(suite, bank, { ...economy.signedKeyset.keyset, unit: 'USD-cent' })
  const otherBank = keyNamed('other bank')
  const foreign = signKeyset(suite, otherBank, { ...economy.signedKeyset.keyset, bank: otherBank.publicKey })
  const wide = new Registry(suite, NETWORK, MONEY, [
    { ...economy.listing, keysets: [economy.signedKeyset, other] }, { bank: otherBank.publicKey, keysets: [foreign], rings: [economy.ring], dayKeys: [], sealedDays: [], revocations: [] }])
  const idOf = (unit: string, of: Uint8Array): Uint8Array => wide.keysets().find(k => k.keyset.unit === unit && toHex(k.keyset.bank) === toHex(of))?.id as Uint8Array

  test.each([
    ['another network', { ...exchange, network: 'other' }, 'wrong-network'],
    ['an unknown bank', { ...exchange, bank: payee.publicKey }, 'unknown-bank'],
    ['an output of an unknown keyset', { ...exchange, outputs: [{ ...output, keyset: HASH }] }, 'unknown-keyset'],
    ['an output of a value that is not there', { ...exchange, outputs: [{ ...output, value: 3 }] }, 'unknown-denomination'],
    ['an output in another unit', { ...exchange, outputs: [{ ...output, keyset: idOf('USD-cent', bank.publicKey) }] }, 'wrong-unit'],
    ['a contract in another unit than its outputs', { ...exchange, unit: 'USD-cent' }, 'wrong-unit'],
    ['an output of another bank', { ...exchange, outputs: [{ ...output, keyset: idOf(UNIT, otherBank.publicKey) }] }, 'wrong-bank'],
    ['a blinded message not below the modulus', { ...exchange, outputs: [{ ...output, blinded: new Uint8Array(256).fill(255) }] }, 'bad-output'],
    ['a blinded message that is the modulus', { ...exchange, outputs: [{ ...output, blinded: economy.known.keyFor(8).n }] }, 'bad-output'],
    ['one output twice: its coin would be paid for twice', { ...exchange, outputs: [output, output] }, 'duplicate-output']
  ])('%s', (_, contract, code) => { expect(check(contract, wide)).toBe(code) })
})

describe('dates', () => {
  const at = (now: number, changes: Partial<Contract> = {}): string => codeOf(() => { checkContractDates(registry, { ...exchange, ...changes }, now) })
  const { issueFrom, issueUntil, spendUntil } = economy.signedKeyset.keyset
  const { clockSkew, settleMaximum, voidGrace, margin } = MONEY

  test('settleBy: until the grace is over, and not too far ahead', () => {
    expect(at(exchange.settleBy + voidGrace)).toBe('accepted')
    expect(at(exchange.settleBy + voidGrace + 1)).toBe('settle-by-past')
    expect(at(START, { settleBy: START + settleMaximum + clockSkew })).toBe('accepted')
    expect(at(START, { settleBy: START + settleMaximum + clockSkew + 1 })).toBe('settle-by-too-far')
  })

  test('outputs: while their keyset issues', () => {
    const outputs = (now: number): string => codeOf(() => { checkOutputDates(registry, [output], now) })
    expect(outputs(issueFrom - clockSkew)).toBe('accepted')
    expect(outputs(issueFrom - clockSkew - 1)).toBe('keyset-not-yet')
    expect(outputs(issueUntil + clockSkew - 1)).toBe('accepted')
    expect(outputs(issueUntil + clockSkew)).toBe('keyset-not-issuing')
    expect(at(issueUntil + clockSkew, { settleBy: issueUntil + clockSkew })).toBe('keyset-not-issuing')
  })

  test('what lasts: a contract that is certified may be settled late, but not out of any date', () => {
    const lasting = (now: number, settleBy = exchange.settleBy): string => codeOf(() => { checkLastingDates(registry, { ...exchange, settleBy }, now) })
    expect(lasting(issueUntil + DAY)).toBe('accepted')
    expect(lasting(issueFrom - clockSkew, issueFrom)).toBe('accepted')
    expect(lasting(issueFrom - clockSkew - 1, issueFrom)).toBe('keyset-not-yet')
    expect(lasting(START, START + settleMaximum + clockSkew + 1)).toBe('settle-by-too-far')
    expect(lasting(spendUntil - voidGrace - margin, spendUntil - voidGrace - margin)).toBe('keyset-ends-too-soon')
  })

  test('outputs: spendable for a margin after the last void', () => {
    const short = signKeyset(suite, bank, { ...economy.signedKeyset.keyset, issueUntil: spendUntil - 1 })
    const known = new Registry(suite, NETWORK, MONEY, [{ ...economy.listing, keysets: [short] }])
    const outputs = [{ ...output, keyset: known.keysets()[0].id }]
    const at = (settleBy: number): string => codeOf(() => { checkContractDates(known, { ...exchange, outputs, settleBy }, settleBy) })
    expect(at(spendUntil - voidGrace - margin - 1)).toBe('accepted')
    expect(at(spendUntil - voidGrace - margin)).toBe('keyset-ends-too-soon')
  })
})

describe('an invoice', () => {
  const signed = signInvoice(suite, payee, invoice)
  test('stands when its payee has signed it', () => { expect(codeOf(() => { verifyInvoice(suite, signed) })).toBe('accepted') })
  test.each([
    ['of another amount', { ...signed, invoice: { ...invoice, amount: 9 } }],
    ['of another payee', { ...signed, invoice: { ...invoice, payee: bank.publicKey } }],
    ['of another order', { ...signed, invoice: { ...invoice, order: 'order 2' } }],
    ['settled by another date', { ...signed, invoice: { ...invoice, settleBy: invoice.settleBy + 1 } }],
    ['signed by somebody else', signInvoice(suite, bank, invoice)]
  ])('%s is refused', (_, bad) => { expect(codeOf(() => { verifyInvoice(suite, bad) })).toBe('bad-invoice') })
})

describe('the bank\'s word', () => {
  const outcome: Outcome = { contract: contractId(suite, pay), state: 'settled', time: START }
  const signed = signOutcome(suite, bank, outcome)
  const check = (bad: typeof signed): string => codeOf(() => { verifyOutcome(suite, bank.publicKey, bad) })
  test('stands when the bank has signed it', () => { expect(check(signed)).toBe('accepted') })
  test.each([
    ['of another state', { ...signed, outcome: { ...outcome, state: 'void' as const } }],
    ['of another contract', { ...signed, outcome: { ...outcome, contract: HASH } }],
    ['of another time', { ...signed, outcome: { ...outcome, time: START + 1 } }],
    ['signed by somebody else', signOutcome(suite, payee, outcome)]
  ])('%s is refused', (_, bad) => { expect(check(bad)).toBe('bad-outcome') })
})
