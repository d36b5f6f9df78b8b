/** What the operator does with accounts: each movement once, nothing out of a frozen or closed account, nothing beyond what was paid in. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Saga } from '@mixmint/core/kit/saga'
import type { BankEffect } from '@mixmint/core/cash/bank/parts'
import { BankDesk } from '../doubles/bank-desk.ts'
import { keyNamed, type OwnedCoin } from '../doubles/economy.ts'

const of = (desk: BankDesk): Uint8Array => desk.economy.account.publicKey
const codeOf = async <T>(desk: BankDesk, saga: Saga<T, BankEffect>): Promise<string> =>
  await desk.run(saga).then(() => 'done', (error: unknown) => (error as { code: string }).code)

test('what is paid out under a reference is paid out once, and never more than there is', async () => {
  const desk = new BankDesk()
  await desk.credit(10)
  const pay = (amount: number, reference: string): Saga<number> => desk.engine.payOut(of(desk), amount, reference)
  expect(await desk.run(pay(6, 'wire'))).toBe(4)
  desk.restart()
  expect(await desk.run(pay(6, 'wire'))).toBe(4)
  expect(await codeOf(desk, pay(5, 'wire'))).toBe('reference-reused')
  expect(await codeOf(desk, pay(5, 'next'))).toBe('insufficient-funds')
  for (const bad of [0, -1, 1.5, NaN, 2 ** 53]) expect(await codeOf(desk, pay(bad, 'bad'))).toBe('bad-argument')
  expect(await codeOf(desk, pay(1, ''))).toBe('bad-argument')
  const many = await Promise.all(Array.from({ length: 20 }, async (_, i) => await codeOf(desk, pay(1, `many ${i % 8}`))))
  expect(many.filter(code => code === 'done').length).toBeGreaterThanOrEqual(4)
  expect(await desk.balance()).toBe(0)
  expect(await desk.run(desk.engine.books())).toMatchObject({ credited: 10, paidOut: 10, accounts: 0, balanced: true })
})

test('a frozen account gives nothing, and takes what is paid into it', async () => {
  const desk = new BankDesk()
  const coins = await desk.coins(8, 4)
  await desk.credit(20)
  const payee = desk.economy.payee
  const presentation = await desk.presentation(8)
  for (const account of [of(desk), payee.publicKey]) await desk.run(desk.engine.stand('freeze', account, 'order of the court'))
  expect(await desk.codeOf(desk.withdrawal(desk.outputs(8)))).toBe('account-frozen')
  expect(await codeOf(desk, desk.engine.payOut(of(desk), 1, 'wire'))).toBe('account-frozen')
  expect(await codeOf(desk, desk.engine.stand('close', of(desk), ''))).toBe('account-frozen')
  expect(await codeOf(desk, desk.engine.stand('open', of(desk), ''))).toBe('account-frozen')
  expect(await desk.credit(5)).toBe(25)
  await desk.settled(desk.pay(12), coins)
  expect(await desk.ask({ op: 'deposit', presentations: [presentation] })).toMatchObject({ results: [{ state: 'credited' }] })
  expect(await desk.balance(payee)).toBe(20)

  await desk.run(desk.engine.stand('thaw', of(desk), 'appeal'))
  expect(await codeOf(desk, desk.engine.stand('thaw', of(desk), 'again'))).toBe('account-not-frozen')
  expect(await desk.codeOf(desk.withdrawal(desk.outputs(8)))).toBe('signatures')
  await desk.expectBalanced()
})

test('a withdrawal that was answered has its answer from a frozen account too', async () => {
  const desk = new BankDesk()
  await desk.credit(8)
  const request = desk.withdrawal(desk.outputs(8))
  const reply = await desk.ask(request)
  await desk.run(desk.engine.stand('freeze', of(desk), ''))
  expect(await desk.ask(request)).toEqual(reply)
})

test('no withdrawal slips past a freeze that comes between any two of its effects', async () => {
  for (let at = 0, ended = false; !ended; at++) {
    const desk = new BankDesk()
    await desk.credit(8)
    let effects = 0
    let frozen = false
    desk.before = async () => {
      if (effects++ !== at) return
      frozen = true
      await desk.run(desk.engine.stand('freeze', of(desk), ''))
    }
    const code = await desk.codeOf(desk.withdrawal(desk.outputs(8)))
    ended = !frozen
    desk.before = () => {}
    // The batch that moves the money is its last effect.
    expect(code).toBe(frozen ? 'account-frozen' : 'signatures')
    expect(await desk.balance()).toBe(frozen ? 8 : 0)
    await desk.expectBalanced()
  }
})

test('an account is opened by name, closed when it is empty, and opened again', async () => {
  const desk = new BankDesk()
  const stand = (change: 'open' | 'close', note = ''): Saga<unknown> => desk.engine.stand(change, of(desk), note)
  expect(await codeOf(desk, stand('open', 'Corner Shop'))).toBe('done')
  expect(await codeOf(desk, stand('open', 'Corner Shop'))).toBe('done')
  expect(await codeOf(desk, stand('open', 'somebody else'))).toBe('account-exists')
  await desk.credit(8)
  expect(await codeOf(desk, stand('close'))).toBe('account-not-empty')
  await desk.run(desk.engine.payOut(of(desk), 8, 'last'))
  expect(await codeOf(desk, stand('close', 'moved'))).toBe('done')
  expect(await desk.run(desk.engine.standing(of(desk)))).toMatchObject({ state: 'closed', note: 'moved' })
  expect(await codeOf(desk, desk.engine.credit(of(desk), 5, 'late'))).toBe('account-closed')
  expect(await codeOf(desk, desk.engine.stand('freeze', of(desk), ''))).toBe('account-closed')
  expect(await desk.codeOf(desk.withdrawal(desk.outputs(1)))).toBe('account-closed')
  expect(await codeOf(desk, stand('open', 'back'))).toBe('done')
  expect(await desk.credit(5)).toBe(5)
  expect(await codeOf(desk, desk.engine.stand('freeze', new Uint8Array(31), ''))).toBe('bad-argument')
  expect(await codeOf(desk, desk.engine.stand('freeze', of(desk), 'x'.repeat(257)))).toBe('bad-argument')
})

test('what comes into a closed account is not lost: it is paid out', async () => {
  const desk = new BankDesk()
  const payee = desk.economy.payee.publicKey
  const coins = await desk.coins(8)
  await desk.run(desk.engine.stand('close', payee, ''))
  await desk.settled(desk.pay(8), coins)
  expect(await codeOf(desk, desk.engine.payOut(payee, 8, 'rest'))).toBe('done')
  await desk.expectBalanced()
})

describe('nobody takes out more than was paid in', () => {
  test('by outputs that are worth more, or less, than what pays for them', async () => {
    const desk = new BankDesk()
    await desk.credit(16)
    expect(await desk.codeOf(desk.withdrawal(desk.outputs(16, 1)))).toBe('insufficient-funds')
    const coins = await desk.coins(8, 4)
    for (const contract of [desk.exchange(8, 8), desk.exchange(8), desk.pay(8, [8]), desk.pay(13), desk.pay(11), desk.tokenContract(8, [8]), desk.tokenContract(13)]) {
      expect(await desk.codeOf(desk.settle(contract, coins))).toBe('wrong-sum')
    }
    // One coin, twice in one contract.
    expect(await desk.codeOf(desk.settle(desk.exchange(8, 8), [coins[0], coins[0]]))).not.toBe('settlement')
    const top = Number.MAX_SAFE_INTEGER
    for (const contract of [desk.pay(top, [8]), desk.tokenContract(top, [1])]) expect(await desk.codeOf(desk.settle(contract, coins))).toBe('bad-amount')
    expect(await desk.run(desk.engine.books())).toMatchObject({ balanced: true, accounts: 16, outstanding: 12, tokens: 0 })
  })

  test('whatever is credited, withdrawn, paid and paid out, in whatever order and how often', async () => {
    const step = fc.record({ what: fc.constantFrom('credit', 'withdraw', 'pay', 'payOut'), amount: fc.integer({ min: 1, max: 40 }), reference: fc.integer({ min: 0, max: 3 }), payee: fc.boolean() })
    await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 14 }), async steps => {
      const [desk, purse] = [new BankDesk(), [] as OwnedCoin[]]
      for (const { what, amount, reference, payee } of steps) {
        const account = payee ? desk.economy.payee : desk.economy.account
        if (what === 'credit') await codeOf(desk, desk.engine.credit(account.publicKey, amount, `${reference}`))
        else if (what === 'payOut') await codeOf(desk, desk.engine.payOut(account.publicKey, amount, `${reference}`))
        else if (what === 'withdraw') {
          const { output, finish } = desk.economy.output(8)
          const reply = await desk.ask(desk.withdrawal([output], { account: account.publicKey }, account))
          if (reply.is === 'signatures') purse.push(finish(reply.signatures[0]))
        } else if (purse.length > 0) await desk.codeOf(desk.settle(desk.pay(8), [purse[reference % purse.length]]))
        const { credited, paidOut, outstanding, accounts, balanced } = await desk.run(desk.engine.books())
        expect(balanced).toBe(true)
        expect(paidOut + outstanding + accounts).toBe(credited)
        expect(Math.min(paidOut, outstanding, accounts)).toBeGreaterThanOrEqual(0)
      }
    }), { numRuns: 25 })
  })
})

test('an account that nobody knows holds nothing and stands open', async () => {
  const desk = new BankDesk()
  const nobody = keyNamed('nobody').publicKey
  expect([await desk.run(desk.engine.balance(nobody)), await desk.run(desk.engine.standing(nobody))]).toEqual([0, null])
})
