/** Payments that nobody decided in time. */
import { beforeEach, expect, test } from 'vitest'
import { contractId, signInvoice } from '@mixmint/core/cash/contract'
import { signKeyset } from '@mixmint/core/cash/keyset'
import { Registry } from '@mixmint/core/cash/registry'
import { DAY, HOUR, NETWORK, START, suite, type Economy } from '../doubles/economy.ts'
import { Town, type Person, type Shop } from '../doubles/town.ts'

let town: Town
let economy: Economy
let shop: Shop

beforeEach(() => {
  town = new Town()
  economy = town.desk.economy
  shop = town.shop()
})

async function states (person: Person): Promise<string[]> {
  return (await person.run(person.engine.history())).map(({ kind, state }) => `${kind} ${state}`)
}

test('a payment that nobody takes is voided after settleBy and the grace; its coins come back; then the invoice is free', async () => {
  const ann = await town.person('ann', 60)
  const invoice = await shop.invoice(9)
  shop.down = true
  await ann.codeOf(ann.engine.payWithCoins(invoice))
  economy.clock.set(START + economy.parameters.settleMaximum + economy.parameters.voidGrace - 1)
  expect((await ann.run(ann.engine.recover()))[0]).toMatchObject({ entry: { state: 'open' }, error: { code: 'overdue' } })
  economy.clock.advance(1)
  await ann.run(ann.engine.recover())
  expect(await states(ann)).toEqual(['withdraw done', 'pay void', 'reclaim done', 'reclaim done'])
  expect(await ann.available()).toBe(60)
  shop.down = false
  expect(await ann.codeOf(ann.engine.payWithCoins(invoice))).toBe('invoice-expired')
  await town.expectBooks([ann])
})

test('a void invoice can be paid by another contract', async () => {
  const ann = await town.person('ann', 60)
  const { invoice } = await shop.invoice(9)
  const long = signInvoice(suite, shop.key, { ...invoice, settleBy: START + 10 * DAY })
  shop.down = true
  await ann.codeOf(ann.engine.payWithCoins(long))
  economy.clock.advance(DAY + HOUR)
  await ann.run(ann.engine.recover())
  town.honest = false
  await ann.codeOf(ann.engine.payWithCoins(long))
  const contracts = ann.requests.flatMap(request => request.op === 'pay' ? [contractId(suite, request.contract).join()] : [])
  expect(new Set(contracts).size).toBe(2)
})

test('the payee has settled in time: the change comes, nothing is voided', async () => {
  // With coins of 2, 4, 16 and a token of 9: paying 9 takes the 16, with change.
  const ann = await town.person('ann', 31)
  await ann.run(ann.engine.buyToken(shop.key.publicKey, 9))
  town.bankDown = true
  await ann.run(ann.engine.payWithCoins(await shop.invoice(9), { waived: true }))
  town.bankDown = false
  await shop.run(shop.engine.settlePending())
  economy.clock.advance(3 * DAY)
  await ann.run(ann.engine.recover())
  expect(ann.sent).not.toContain('mixnet void')
  expect(await ann.available()).toBe(13)
  await town.expectBooks([ann])
})

test('a reclaim whose outputs went out of issue takes fresh ones', async () => {
  const ann = await town.person('ann', 47)
  shop.down = true
  await ann.codeOf(ann.engine.payWithCoins(await shop.invoice(8)))
  economy.clock.advance(DAY + HOUR)
  const mend = town.bendBank(async (request, ask) => request.op === 'reclaim' ? { is: 'refused', code: 'busy', fault: 'operator', retry: true, message: '' } : await ask(request))
  await ann.run(ann.engine.recover())
  mend()
  const { keyset } = economy.signedKeyset
  economy.clock.set(keyset.issueUntil + economy.parameters.clockSkew)
  const next = signKeyset(suite, economy.bank, { ...keyset, issueUntil: keyset.refundUntil, spendUntil: keyset.refundUntil + DAY, redeemUntil: keyset.refundUntil + 2 * DAY, refundUntil: keyset.refundUntil + 3 * DAY })
  town.desk.registry = new Registry(suite, NETWORK, economy.parameters, [{ ...economy.listing, keysets: [economy.signedKeyset, next] }])
  await ann.run(ann.engine.recover())
  await ann.run(ann.engine.recover())
  expect(await states(ann)).toEqual(['withdraw done', 'pay void', 'reclaim refused', 'reclaim done'])
  expect(await ann.available()).toBe(47)
})
