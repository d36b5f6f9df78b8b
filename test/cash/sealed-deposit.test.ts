/** Sealed tokens at the till, after the payment: turned in as open ones are, and the keys of their days fetched. */
import { beforeEach, expect, test } from 'vitest'
import { toHex } from '@mixmint/core/kit/bytes'
import type { BankReply, BankRequest } from '@mixmint/core/cash/messages'
import type { SignedToken } from '@mixmint/core/cash/formats'
import { present } from '@mixmint/core/cash/token'
import { keyNamed, suite } from '../doubles/economy.ts'
import { hashOf, Town, type Person, type Shop } from '../doubles/town.ts'

let town: Town
let shop: Shop
let ann: Person

beforeEach(async () => {
  ({ town, shop, ann } = await Town.withSealed())
  await ann.run(ann.engine.buySealed(shop.key.publicKey, 13))
  await ann.run(ann.engine.payWithSealed(await shop.invoice(13)))
})

/** What the bank answers to the shop. */
function bend (change: (reply: BankReply, request: BankRequest) => BankReply): () => void {
  return town.bendBank(async (request, ask) => change(await ask(request), request))
}

const refuseAll = (reply: BankReply): BankReply => reply.is === 'deposited' ? { is: 'deposited', results: reply.results.map(result => ({ ...result, state: 'refused', code: 'closed-after-loss' })) } : reply

test('counted among what is due, and told one by one, beside open ones', async () => {
  const { token } = await town.desk.settled({ ...town.desk.tokenContract(8), payee: shop.key.publicKey }, await town.desk.coins(8))
  await shop.run(shop.engine.accept(present(suite, keyNamed('owner'), token as SignedToken, hashOf(await shop.invoice(8)))))
  expect(await shop.run(shop.engine.due())).toBe(4)
  const results: string[] = []
  const options = { limit: 2, onResult: ({ serial, amount, state }: { serial: Uint8Array, amount: number, state: string }) => { results.push(`${state} ${amount} ${toHex(serial).length}`) } }
  expect(await shop.run(shop.engine.deposit(options))).toMatchObject({ credited: 2 })
  expect(await shop.run(shop.engine.due())).toBe(2)
  expect(await shop.run(shop.engine.deposit(options))).toMatchObject({ credited: 2 })
  expect(results.map(line => line.split(' ').slice(0, 2).join(' ')).sort()).toEqual(['credited 1', 'credited 4', 'credited 8', 'credited 8'])
  expect(await shop.run(shop.engine.due())).toBe(0)
})

test('what is not credited is not given back, however its records move about meanwhile', async () => {
  const straight = bend(refuseAll)
  expect(await shop.run(shop.engine.deposit())).toMatchObject({ refused: 3 })
  town.bankDown = true
  const restore = await town.snapshot([ann])
  for (let effect = 0, done = false; !done; effect++) {
    await restore()
    town.bankDown = true
    let at = 0
    done = true
    const code = await shop.run(shop.engine.repay(1), {
      before: async () => {
        if (at++ !== effect) return
        done = false
        // Those that were refused are due again.
        expect(await shop.codeOf(shop.engine.deposit({ again: true }))).toBe('overdue')
      },
      after: () => {}
    }).then(() => 'fine', (error: { code: string }) => error.code)
    expect(code).toBe('not-settled')
  }
  straight()
  town.bankDown = false
  expect(await shop.run(shop.engine.deposit({ again: true }))).toMatchObject({ already: 3 })
  expect((await shop.run(shop.engine.repay(1))).amount).toBe(13)
})

test('a bank that sends keys nobody asked for is not asked for ever', async () => {
  const till = town.shop('new')
  const days = town.desk.economy.listing.sealedDays
  let asked = 0
  const straight = bend((reply, request) => {
    if (request.op !== 'sealed-keys') return reply
    if (++asked > 100) throw new Error('it is asked for ever')
    return { is: 'sealed-keys', keys: [town.desk.economy.sealed(0).signed] }
  })
  expect(await till.run(till.engine.fetchSealedKeys())).toBeLessThanOrEqual(days.length)
  expect(asked).toBeLessThanOrEqual(Math.ceil(days.length / 8))
  straight()
  await till.run(till.engine.fetchSealedKeys())
  expect(await till.run(till.engine.fetchSealedKeys())).toBe(0)
})
