import { expect, test } from 'vitest'
import type { Presentation, Token } from '@mixmint/core/cash/formats'
import { Registry } from '@mixmint/core/cash/registry'
import { present, signToken } from '@mixmint/core/cash/token'
import { BankDesk, OWNER } from '../doubles/bank-desk.ts'
import { DAY, keyNamed, NETWORK, suite } from '../doubles/economy.ts'

async function deposit (desk: BankDesk, ...presentations: Presentation[]): Promise<string[]> {
  const reply = await desk.ask({ op: 'deposit', presentations })
  if (reply.is !== 'deposited') throw new Error(JSON.stringify(reply))
  expect(reply.results.map(({ serial }) => serial)).toEqual(presentations.map(({ token }) => token.token.serial))
  return reply.results.map(({ state, code }) => state === 'refused' ? code : state)
}

test('a token is credited to its payee once, however often and wherever it is turned in', async () => {
  const desk = new BankDesk()
  const one = await desk.presentation(8)
  expect(await deposit(desk, one)).toEqual(['credited'])
  expect(await deposit(desk, one)).toEqual(['already'])
  expect(await deposit(desk, one, one)).toEqual(['already', 'already'])
  expect(await deposit(desk, present(suite, OWNER, one.token, new Uint8Array(32)))).toEqual(['already'])
  desk.restart()
  desk.economy.clock.advance(100 * DAY)
  desk.registry = new Registry(suite, NETWORK, desk.economy.parameters, [])
  desk.dayKey = () => undefined
  expect(await deposit(desk, one)).toEqual(['already'])
  expect(await desk.balance(desk.economy.payee)).toBe(8)
  await desk.expectBalanced()
})

test('one bad token does not spoil the rest; the same one twice in a batch counts once', async () => {
  const desk = new BankDesk()
  const good = [await desk.presentation(8), await desk.presentation(4), await desk.presentation(2)]
  const stolen = { ...good[1], ownerSignature: good[0].ownerSignature }
  expect(await deposit(desk, good[0], stolen, good[0], good[1], good[2])).toEqual(['credited', 'bad-presentation', 'already', 'credited', 'credited'])
  expect(await desk.balance(desk.economy.payee)).toBe(14)
  expect(desk.economy.meter.of('bank_deposit', { outcome: 'credited' })).toBe(3)
  expect(desk.economy.meter.of('bank_deposit', { outcome: 'bad-presentation' })).toBe(1)
  await desk.expectBalanced()
})

test('each token that is not in order is refused under its own code, and stays good', async () => {
  const desk = new BankDesk()
  const good = await desk.presentation(8)
  const { dayKey } = desk.economy
  const token = good.token.token
  const forged = (changes: Partial<Token>, key = dayKey): Presentation => present(suite, OWNER, signToken(suite, key, { ...token, ...changes }), good.invoice)
  const cases: Array<[string, Presentation]> = [
    ['wrong-network', forged({ network: 'other' })],
    ['wrong-bank', forged({ bank: keyNamed('other').publicKey })],
    ['wrong-unit', forged({ unit: 'USD-cent' })],
    ['bad-token', forged({}, keyNamed('forger'))],
    ['bad-token', { ...good, token: { ...good.token, token: { ...token, amount: 80 } } }],
    ['bad-token', { ...good, token: { ...good.token, token: { ...token, payee: keyNamed('thief').publicKey } } }],
    ['bad-presentation', { ...good, invoice: new Uint8Array(32) }],
    ['bad-presentation', present(suite, keyNamed('thief'), good.token, good.invoice)]
  ]
  for (const [code, presentation] of cases) expect(await deposit(desk, presentation), code).toEqual([code])
  expect(desk.economy.meter.of('bank_token_not_issued')).toBe(0)
  expect(await desk.balance(desk.economy.payee)).toBe(0)
  expect(await deposit(desk, good)).toEqual(['credited'])
})

test('a token signed with our day key that we did not issue is refused and counted', async () => {
  const desk = new BankDesk()
  const good = await desk.presentation(8)
  const { economy } = desk
  const token = good.token.token
  const forge = (changes: Partial<Token>): Presentation => present(suite, OWNER, signToken(suite, economy.dayKey, { ...token, ...changes }), good.invoice)
  const forged = [forge({ serial: new Uint8Array(32) }), forge({ amount: 800 }), forge({ payee: keyNamed('thief').publicKey }), forge({ depositUntil: token.depositUntil + DAY })]
  expect(await deposit(desk, ...forged)).toEqual(forged.map(() => 'token-not-issued'))
  expect(economy.meter.of('bank_token_not_issued')).toBe(4)
  expect(await deposit(desk, good)).toEqual(['credited'])
  expect(await deposit(desk, ...forged)).toEqual(forged.map(() => 'token-not-issued'))
  expect(await desk.balance(economy.payee)).toBe(8)
  expect(await desk.balance(keyNamed('thief'))).toBe(0)
})

test('the day key comes from the bank, or from the directory when the bank has destroyed it', async () => {
  const desk = new BankDesk()
  const [one, other, late] = [await desk.presentation(8), await desk.presentation(4), await desk.presentation(2)]
  desk.registry = new Registry(suite, NETWORK, desk.economy.parameters, [])
  expect(await deposit(desk, late)).toEqual(['credited'])
  desk.registry = desk.economy.registry
  desk.dayKey = () => undefined
  expect(await deposit(desk, one)).toEqual(['credited'])
  desk.registry = new Registry(suite, NETWORK, desk.economy.parameters, [])
  // What it has issued it knows without the key.
  expect(await deposit(desk, other)).toEqual(['credited'])
})

test('deposits are honoured after depositUntil, too, as long as nobody has had the money back', async () => {
  const desk = new BankDesk()
  const one = await desk.presentation(8)
  desk.economy.clock.set(one.token.token.refundAfter + 100 * DAY)
  expect(await deposit(desk, one)).toEqual(['credited'])
  await desk.expectBalanced()
})

test('the same batch from two tills at once, at every moment: each token credited once', async () => {
  for (let at = 0; ; at++) {
    const desk = new BankDesk()
    const batch = [await desk.presentation(8), await desk.presentation(4)]
    const more = await desk.presentation(2)
    let effects = 0
    let intruder: Promise<string[]> | undefined
    desk.before = async () => { if (effects++ === at) await (intruder = deposit(desk, batch[1], more)) }
    const states = await deposit(desk, ...batch)
    if (intruder === undefined) break
    expect([states[0], states[1], ...await intruder]).toEqual(['credited', 'already', 'credited', 'credited'])
    expect(await desk.balance(desk.economy.payee)).toBe(14)
    await desk.expectBalanced()
  }
})

test('a long list goes through in chunks, for several payees', async () => {
  const desk = new BankDesk()
  const payees = ['a', 'b', 'c'].map(keyNamed)
  const presentations: Presentation[] = []
  for (let i = 0; i < 150; i++) {
    const contract = { ...desk.tokenContract(1), payee: payees[i % 3].publicKey }
    const { token } = await desk.settled(contract, await desk.coins(1))
    if (token === null) throw new Error('no token')
    presentations.push(present(suite, OWNER, token, new Uint8Array(32)))
  }
  expect(new Set(await deposit(desk, ...presentations))).toEqual(new Set(['credited']))
  for (const payee of payees) expect(await desk.balance(payee)).toBe(50)
  expect(new Set(await deposit(desk, ...presentations))).toEqual(new Set(['already']))
  await desk.expectBalanced()
})
