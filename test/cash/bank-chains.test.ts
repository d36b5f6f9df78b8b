/** Many movements of one account at once: none waits for the others, and none is the worse for one that fails. */
import { afterEach, expect, test } from 'vitest'
import type { Store } from '@mixmint/core/kit/ports'
import type { BankReply, BankRequest } from '@mixmint/core/cash/messages'
import { BankDesk } from '../doubles/bank-desk.ts'
import type { MemoryStore } from '../doubles/memory-store.ts'

const MANY = 600

let ticking: NodeJS.Timeout | undefined
afterEach(() => { clearInterval(ticking) })

/** Its clock goes on by itself, faster than any other. */
function tick ({ economy: { clock } }: BankDesk): void {
  ticking = setInterval(() => { clock.advance(5) }, 1)
}

/** Counts what is asked of the store of this desk. */
function counted (desk: BankDesk): { batches: number } {
  const store: Store = desk.store
  const count = { batches: 0 }
  desk.store = {
    get: async key => await store.get(key), scan: async range => await store.scan(range), close: async () => {},
    batch: async ops => {
      count.batches += 1
      return await store.batch(ops)
    }
  }
  return count
}

async function allAtOnce (desk: BankDesk, requests: readonly BankRequest[]): Promise<string[]> {
  const replies = await Promise.all(requests.map(async request => await desk.ask(request)))
  return replies.map((reply: BankReply) => reply.is === 'refused' ? reply.code : reply.is)
}

async function payments (desk: BankDesk, count: number): Promise<BankRequest[]> {
  const coins = await desk.coins(...Array.from({ length: count }, () => 2))
  return await Promise.all(coins.map(async coin => {
    const contract = desk.pay(2)
    return { ...desk.settle(contract, [coin]), inputs: await desk.certified(contract, [coin]) }
  }))
}

test('as many payments to one shop at once take hardly more batches than payments', async () => {
  const desk = new BankDesk()
  const requests: BankRequest[] = []
  while (requests.length < MANY) requests.push(...await payments(desk, 50))
  const count = counted(desk)
  tick(desk)
  expect(new Set(await allAtOnce(desk, requests))).toEqual(new Set(['settlement']))
  expect(await desk.balance(desk.economy.payee)).toBe(2 * MANY)
  expect(count.batches).toBeLessThan(1.1 * MANY)
  await desk.expectBalanced()
})

test('withdrawals and deposits at once, too', async () => {
  const desk = new BankDesk()
  const tokens = await Promise.all(Array.from({ length: 20 }, async () => await desk.presentation(2)))
  await desk.credit(100)
  const count = counted(desk)
  const states = await allAtOnce(desk, [
    ...Array.from({ length: 50 }, () => desk.withdrawal(desk.outputs(2))),
    ...tokens.map((token): BankRequest => ({ op: 'deposit', presentations: [token] }))
  ])
  expect(states).toEqual([...Array.from({ length: 50 }, () => 'signatures'), ...tokens.map(() => 'deposited')])
  expect(await desk.balance()).toBe(0)
  expect(await desk.balance(desk.economy.payee)).toBe(40)
  expect(count.batches).toBe(70)
  await desk.expectBalanced()
})

test('an account is never overdrawn, and nobody is refused for a movement that is not made', async () => {
  const desk = new BankDesk()
  await desk.credit(16)
  const used = desk.outputs(4)
  expect(await allAtOnce(desk, [desk.withdrawal(used)])).toEqual(['signatures'])
  // Of the 12 left, the first would take 4, but its output is signed for already: the other three have all of it, and the last none.
  const states = await allAtOnce(desk, [used, desk.outputs(4), desk.outputs(4), desk.outputs(4), desk.outputs(4)].map(outputs => desk.withdrawal(outputs)))
  expect(states[0]).toBe('output-used')
  expect(states.slice(1).sort()).toEqual(['insufficient-funds', 'signatures', 'signatures', 'signatures'])
  expect(await desk.balance()).toBe(0)
  await desk.expectBalanced()
})

test('who is refused for a movement under way asks the store once more, and does not read it over and over until that has ended', async () => {
  const desk = new BankDesk()
  await desk.credit(16)
  const used = desk.outputs(8)
  expect(await allAtOnce(desk, [desk.withdrawal(used)])).toEqual(['signatures'])
  const { store } = desk
  let reads = 0
  desk.store = {
    scan: async range => await store.scan(range), close: async () => {},
    get: async key => {
      reads += 1
      if (reads > 100) throw new Error('the store is read without an end')
      return await store.get(key)
    },
    // A disk is slower than what only reads memory.
    batch: async ops => {
      await new Promise(resolve => setImmediate(resolve))
      return await store.batch(ops)
    }
  }
  expect(await allAtOnce(desk, [used, desk.outputs(8)].map(outputs => desk.withdrawal(outputs)))).toEqual(['output-used', 'signatures'])
  expect(await desk.balance()).toBe(0)
})

test('one withdrawal asked for many times at once, of all that the account holds, has one answer', async () => {
  const desk = new BankDesk()
  await desk.credit(8)
  const request = desk.withdrawal(desk.outputs(8))
  const replies = await Promise.all(Array.from({ length: 20 }, async () => await desk.ask(request)))
  for (const reply of replies) expect(reply).toEqual(replies[0])
  expect(replies[0].is).toBe('signatures')
  expect(await desk.balance()).toBe(0)
  await desk.expectBalanced()
})

test('what the disk refuses takes only itself back', async () => {
  const desk = new BankDesk()
  const requests = await payments(desk, 20)
  ;(desk.store as MemoryStore).failBatch(3, 'store-full')
  const count = counted(desk)
  const states = await allAtOnce(desk, requests)
  expect(states.filter(state => state !== 'settlement')).toEqual(['store-full'])
  expect(count.batches).toBeLessThan(60)
  expect(await desk.balance(desk.economy.payee)).toBe(38)
  expect(await allAtOnce(desk, requests)).toEqual(requests.map(() => 'settlement'))
  expect(await desk.balance(desk.economy.payee)).toBe(40)
  await desk.expectBalanced()
})

test('movements that follow each other without a gap do not keep another process from the account for ever', async () => {
  const desk = new BankDesk()
  await desk.credit(2000)
  const { store, engine: first } = desk
  // One batch after the other, in the order of asking, as a database has it.
  let last: Promise<unknown> = Promise.resolve()
  desk.store = {
    get: async key => await store.get(key), scan: async range => await store.scan(range), close: async () => {},
    batch: async ops => {
      const turn = last.then(async () => {
        await new Promise(resolve => setImmediate(resolve))
        return await store.batch(ops)
      })
      last = turn
      return await turn
    }
  }
  tick(desk)
  const second = desk.restart()
  desk.engine = first
  let done = 0
  let isCredited = false
  const flow = Array.from({ length: 64 }, async () => {
    while (!isCredited && done < 1900) {
      expect(await desk.codeOf(desk.withdrawal(desk.outputs(1)))).toBe('signatures')
      done += 1
    }
  })
  const credit = (async () => {
    while (done < 64) await new Promise(resolve => setImmediate(resolve))
    await desk.run(second.credit(desk.economy.account.publicKey, 5, 'wire'))
    isCredited = true
  })()
  await Promise.all([...flow, credit])
  expect(done).toBeLessThan(1200)
  await desk.expectBalanced()
})
