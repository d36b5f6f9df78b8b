import { expect, test } from 'vitest'
import { Registry } from '@mixmint/core/cash/registry'
import { balanceMessage } from '@mixmint/core/cash/bank-requests'
import { signKeyset } from '@mixmint/core/cash/keyset'
import type { BankRequest } from '@mixmint/core/cash/messages'
import { isMixmintError } from '@mixmint/core/kit/errors'
import { BankDesk } from '../doubles/bank-desk.ts'
import { keyNamed, NETWORK, START, DAY, suite } from '../doubles/economy.ts'

async function thrown (promise: Promise<unknown>): Promise<string> {
  return await promise.then(() => 'done', (error: unknown) => { if (isMixmintError(error)) return error.code; throw error })
}

test('a credit counts once for its reference, and the account opens with it', async () => {
  const desk = new BankDesk()
  expect(await desk.credit(100, undefined, 'transfer 1')).toBe(100)
  expect(await desk.credit(100, undefined, 'transfer 1')).toBe(100)
  desk.restart()
  expect(await desk.credit(100, undefined, 'transfer 1')).toBe(100)
  expect(await desk.credit(5, undefined, 'transfer 2')).toBe(105)
  await Promise.all(Array.from({ length: 5 }, async () => await desk.credit(7, undefined, 'transfer 3')))
  expect(await desk.balance()).toBe(112)
  await desk.expectBalanced()
})

test('credits that cannot be meant are refused', async () => {
  const desk = new BankDesk()
  await desk.credit(100, undefined, 'transfer 1')
  expect(await thrown(desk.credit(99, undefined, 'transfer 1'))).toBe('reference-reused')
  expect(await thrown(desk.credit(100, keyNamed('other'), 'transfer 1'))).toBe('reference-reused')
  for (const amount of [0, -1, 1.5, 2 ** 53]) expect(await thrown(desk.credit(amount)), String(amount)).toBe('bad-argument')
  expect(await thrown(desk.credit(1, undefined, ''))).toBe('bad-argument')
  expect(await thrown(desk.run(desk.engine.credit(new Uint8Array(31), 1, 'short')))).toBe('bad-argument')
  expect(await thrown(desk.credit(Number.MAX_SAFE_INTEGER))).toBe('bad-amount')
  // All accounts together hold no more than an amount can be: else the books could never be read again.
  expect(await thrown(desk.credit(Number.MAX_SAFE_INTEGER, keyNamed('other')))).toBe('bad-amount')
  expect(await desk.credit(Number.MAX_SAFE_INTEGER - 100, keyNamed('other'))).toBe(Number.MAX_SAFE_INTEGER - 100)
  await desk.expectBalanced()
  expect(await desk.balance()).toBe(100)
})

function balanceRequest (desk: BankDesk, time: number, key = desk.economy.account, account = key): BankRequest {
  return { op: 'balance', account: account.publicKey, time, signature: suite.ed25519Sign(key, balanceMessage(account.publicKey, time)) }
}

test('the balance is told to the account, and to nobody else', async () => {
  const desk = new BankDesk()
  await desk.credit(100)
  const now = desk.economy.clock.now()
  expect(await desk.ask(balanceRequest(desk, now))).toEqual({ is: 'balance', unit: 'EUR-cent', balance: 100 })
  expect(await desk.ask(balanceRequest(desk, now, keyNamed('new')))).toEqual({ is: 'balance', unit: 'EUR-cent', balance: 0 })
  expect(await desk.codeOf(balanceRequest(desk, now, keyNamed('thief'), desk.economy.account))).toBe('bad-account-signature')
  expect(await desk.codeOf({ ...balanceRequest(desk, now), time: now + 1 } as BankRequest)).toBe('bad-account-signature')
})

test('a request for the balance is good for the clock skew, before and after', async () => {
  const desk = new BankDesk()
  const now = desk.economy.clock.now()
  const { clockSkew } = desk.economy.parameters
  expect(await desk.codeOf(balanceRequest(desk, now - clockSkew))).toBe('balance')
  expect(await desk.codeOf(balanceRequest(desk, now + clockSkew))).toBe('balance')
  expect(await desk.codeOf(balanceRequest(desk, now - clockSkew - 1))).toBe('stale-request')
  expect(await desk.codeOf(balanceRequest(desk, now + clockSkew + 1))).toBe('stale-request')
})

test('a withdrawal debits once and answers every retry alike', async () => {
  const desk = new BankDesk()
  await desk.credit(20)
  const made = [desk.economy.output(8), desk.economy.output(4)]
  const request = desk.withdrawal(made.map(({ output }) => output))
  const first = await desk.ask(request)
  if (first.is !== 'signatures') throw new Error(first.is)
  made.forEach(({ finish }, i) => finish(first.signatures[i])) // throws unless the signatures are good
  expect(await desk.ask(request)).toEqual(first)
  desk.restart()
  desk.economy.clock.set(desk.economy.known.keyset.issueUntil)
  desk.registry = new Registry(suite, NETWORK, desk.economy.parameters, [])
  expect(await desk.ask(request)).toEqual(first)
  expect(await desk.balance()).toBe(8)
  expect(desk.signed).toBe(2)
  await desk.expectBalanced()
})

test('the same withdrawal asked many times at once, with money for one', async () => {
  const desk = new BankDesk()
  await desk.credit(8)
  const request = desk.withdrawal(desk.outputs(8))
  const replies = await Promise.all(Array.from({ length: 6 }, async () => await desk.ask(request)))
  for (const reply of replies) expect(reply).toEqual(replies[0])
  expect(replies[0].is).toBe('signatures')
  expect(await desk.balance()).toBe(0)
})

test('a retry that finds the account emptied by its own first ask is answered', async () => {
  // The first ask commits at every point that the second may have reached.
  for (let at = 0; ; at++) {
    const desk = new BankDesk()
    await desk.credit(8)
    const request = desk.withdrawal(desk.outputs(8))
    let effects = 0
    let reached = false
    desk.before = async () => {
      if (effects++ !== at) return
      reached = true
      expect(await desk.codeOf(request)).toBe('signatures')
    }
    expect(await desk.codeOf(request), `at effect ${at}`).toBe('signatures')
    if (!reached) break
  }
})

test('withdrawals at the same time cannot overdraw', async () => {
  const desk = new BankDesk()
  await desk.credit(20)
  const replies = await Promise.all(Array.from({ length: 8 }, async () => await desk.codeOf(desk.withdrawal(desk.outputs(4)))))
  expect(replies.filter(code => code === 'signatures')).toHaveLength(5)
  expect(replies.filter(code => code === 'insufficient-funds')).toHaveLength(3)
  expect(await desk.balance()).toBe(0)
  await desk.expectBalanced()
})

test('each withdrawal that is not in order is refused under its own code', async () => {
  const desk = new BankDesk()
  await desk.credit(20)
  const good = desk.withdrawal(desk.outputs(8))
  const [output] = desk.outputs(8)
  const modulus = desk.economy.known.keyFor(8).n
  const cases: Array<[string, BankRequest]> = [
    ['bad-account-signature', { ...good, signature: desk.withdrawal(desk.outputs(8)).signature }],
    ['bad-account-signature', { ...good, signature: desk.withdrawal([], good.withdrawal, keyNamed('thief')).signature }],
    ['bad-account-signature', { ...good, withdrawal: { ...good.withdrawal, outputs: desk.outputs(16) } }],
    ['wrong-network', desk.withdrawal([output], { network: 'other' })],
    ['wrong-bank', desk.withdrawal([output], { bank: keyNamed('other').publicKey })],
    ['wrong-unit', desk.withdrawal([output], { unit: 'USD-cent' })],
    ['unknown-keyset', desk.withdrawal([{ ...output, keyset: new Uint8Array(32) }])],
    ['unknown-denomination', desk.withdrawal([{ ...output, value: 3 }])],
    ['bad-output', desk.withdrawal([{ ...output, blinded: modulus }])],
    ['duplicate-output', desk.withdrawal([output, output])],
    ['insufficient-funds', desk.withdrawal(desk.outputs(16, 4, 1))],
    ['insufficient-funds', desk.withdrawal(desk.outputs(1), {}, keyNamed('nobody'))]
  ]
  for (const [code, request] of cases) expect(await desk.codeOf(request)).toBe(code)
  expect(desk.signed).toBe(0)
  expect(await desk.balance()).toBe(20)

  const request = desk.withdrawal([output])
  expect(await desk.codeOf(request)).toBe('signatures')
  expect(await desk.codeOf(desk.withdrawal([output]))).toBe('output-used')
  expect(await desk.balance()).toBe(12)
})

test('outputs are of a keyset of this bank and unit that issues now', async () => {
  const desk = new BankDesk()
  await desk.credit(20)
  const { economy } = desk
  const { keyset } = economy.signedKeyset
  const other = keyNamed('other bank')
  const dollars = signKeyset(suite, economy.bank, { ...keyset, unit: 'USD-cent' })
  const theirs = signKeyset(suite, other, { ...keyset, bank: other.publicKey })
  desk.registry = new Registry(suite, NETWORK, economy.parameters, [
    { ...economy.listing, keysets: [economy.signedKeyset, dollars] }, { bank: other.publicKey, keysets: [theirs], rings: [economy.ring], dayKeys: [], sealedDays: [], revocations: [] }
  ])
  const [output] = desk.outputs(8)
  const idOf = (unit: string, bank: Uint8Array): Uint8Array => desk.registry.issuing(bank, unit, START)[0].id
  expect(await desk.codeOf(desk.withdrawal([{ ...output, keyset: idOf('USD-cent', economy.bank.publicKey) }]))).toBe('wrong-unit')
  expect(await desk.codeOf(desk.withdrawal([{ ...output, keyset: idOf('EUR-cent', other.publicKey) }]))).toBe('wrong-bank')

  economy.clock.set(keyset.issueUntil + economy.parameters.clockSkew)
  expect(await desk.codeOf(desk.withdrawal([output]))).toBe('keyset-not-issuing')
  economy.clock.set(START + 29 * DAY) // a clock set back does not open it again
  expect(await desk.codeOf(desk.withdrawal([output]))).toBe('keyset-not-issuing')
  expect(desk.signed).toBe(0)
})

test('a keyset does not issue before its time', async () => {
  const desk = new BankDesk({ keyset: { issueFrom: START + DAY } })
  await desk.credit(20)
  expect(await desk.codeOf(desk.withdrawal(desk.outputs(8)))).toBe('keyset-not-yet')
})

test('a key that cannot sign takes nothing', async () => {
  const desk = new BankDesk()
  await desk.credit(20)
  const request = desk.withdrawal(desk.outputs(8))
  const { economy } = desk
  const real = economy.rsaKeyFor
  economy.rsaKeyFor = () => { throw new Error('the key is not at home') }
  expect(await desk.ask(request)).toMatchObject({ is: 'refused', code: 'internal', fault: 'us' })
  expect(await desk.balance()).toBe(20)
  economy.rsaKeyFor = real
  expect(await desk.codeOf(request)).toBe('signatures')
})
