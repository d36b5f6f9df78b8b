/** A bank restored from an old copy: it does nothing twice, says nothing that it has said otherwise, and goes on with what is new. */
import { expect, test } from 'vitest'
import type { BankReply, BankRequest } from '@mixmint/core/cash/messages'
import { knownTime } from '@mixmint/core/cash/steady-clock'
import { BankDesk } from '../doubles/bank-desk.ts'
import { copyOf } from '../doubles/memory-store.ts'

/** A day of business, of which the second half is lost. */
async function restored (): Promise<{ desk: BankDesk, known: Array<[BankRequest, BankReply]>, lost: Array<[BankRequest, BankReply]>, rest: BankRequest[] }> {
  const desk = new BankDesk()
  const { economy } = desk
  const coins = await desk.coins(8, 8, 8, 4, 4)
  await desk.credit(20)
  const [early, late] = [await desk.presentation(8), await desk.presentation(4)]
  const answered = async (...requests: BankRequest[]): Promise<Array<[BankRequest, BankReply]>> => {
    const all: Array<[BankRequest, BankReply]> = []
    for (const request of requests) all.push([request, await desk.ask(request)])
    return all
  }
  const deposit = (...presentations: Array<typeof early>): BankRequest => ({ op: 'deposit', presentations })
  const known = await answered(desk.withdrawal(desk.outputs(4)), desk.settle(desk.pay(8), [coins[0]]), deposit(early))
  const backup = await copyOf(desk.store)
  const open = desk.pay(8)
  const lost = await answered(
    desk.withdrawal(desk.outputs(4)), desk.settle(desk.exchange(4, 4), [coins[1]]), desk.settle(open, [coins[2]]), desk.settle(desk.tokenContract(4), [coins[3]]), deposit(late)
  )
  for (const [, reply] of [...known, ...lost]) expect(['refused', 'short']).not.toContain(reply.is)
  // It would all be done again.
  const rest: BankRequest[] = [
    desk.settle(desk.pay(8), [coins[1]]), { op: 'outcome', contract: open }, desk.reclaiming(open, coins[4], desk.outputs(4)), desk.voiding(open, coins[4])
  ]
  economy.clock.set(economy.clock.now() + 10_000)
  desk.store = backup
  desk.restart()
  return { desk, known, lost, rest }
}

test('without a word from the operator a restored bank would do everything once more', async () => {
  const { desk, lost } = await restored()
  for (const [request, reply] of lost) expect((await desk.ask(request)).is).toBe(reply.is)
})

test('a restored bank is closed for what it may have done, and gives the answers that it has', async () => {
  const { desk, known, lost, rest } = await restored()
  await desk.run(desk.engine.declareLoss(desk.economy.clock.now()))
  const before = await desk.run(desk.engine.books())
  for (const [request, reply] of known) {
    const again = await desk.ask(request)
    if (reply.is === 'deposited') expect(again).toMatchObject({ results: [{ state: 'already' }] })
    else expect(again).toEqual(reply)
  }
  for (const request of [...lost.map(([request]) => request), ...rest]) {
    const reply = await desk.ask(request)
    if (reply.is === 'deposited') expect(reply.results).toMatchObject([{ state: 'refused', code: 'closed-after-loss' }])
    else expect(reply).toMatchObject({ is: 'refused', code: 'closed-after-loss', retry: false })
  }
  expect(await desk.run(desk.engine.books())).toEqual({ ...before, time: expect.any(Number) as number })
})

test('accounts give nothing until the operator has looked into each', async () => {
  const { desk } = await restored()
  const account = desk.economy.account.publicKey
  await desk.run(desk.engine.declareLoss(desk.economy.clock.now()))
  await expect(desk.run(desk.engine.payOut(account, 1, 'wire'))).rejects.toMatchObject({ code: 'account-frozen' })
  expect(await desk.run(desk.engine.standing(account))).toMatchObject({ state: 'frozen', note: expect.stringContaining('lost') as string })
  const held = await desk.balance()
  desk.economy.clock.set(desk.economy.clock.now() + 1)
  await desk.run(desk.engine.stand('thaw', account, 'reconciled'))
  expect(await desk.run(desk.engine.payOut(account, 1, 'wire'))).toBe(held - 1)
})

test('the mark stays, rises, and is not set ahead', async () => {
  const { desk, rest } = await restored()
  const now = desk.economy.clock.now()
  // What is refused leaves the store as it was: it knows no later time than before, by which it is told from the right one.
  desk.economy.clock.advance(30_000)
  const known = await desk.run(knownTime())
  await expect(desk.run(desk.engine.declareLoss(now + 60_000))).rejects.toMatchObject({ code: 'bad-argument' })
  expect(await desk.run(knownTime())).toBe(known)
  await desk.run(desk.engine.declareLoss(now))
  await desk.run(desk.engine.declareLoss(0))
  desk.restart()
  expect(await desk.codeOf(rest[0])).toBe('closed-after-loss')
})

test('coins of keysets that issue after the loss move as ever', async () => {
  const desk = new BankDesk()
  const coins = await desk.coins(8, 4, 2)
  const { parameters: { clockSkew }, signedKeyset: { keyset } } = desk.economy
  await desk.run(desk.engine.declareLoss(keyset.issueFrom - clockSkew))
  await desk.settled(desk.pay(8), [coins[0]])
  await desk.settled(desk.exchange(2, 2), [coins[1]])
  expect(await desk.balance(desk.economy.payee)).toBe(8)
  // By another clock they may have been issued before it.
  await desk.run(desk.engine.declareLoss(keyset.issueFrom - clockSkew + 1))
  expect(await desk.codeOf(desk.settle(desk.pay(2), [coins[2]]))).toBe('closed-after-loss')
})
