/** The bank's keys of sealed tokens: fetched, believed only where the directory lists them, and used on their day. */
import { beforeEach, expect, test } from 'vitest'
import { bankConflicts } from '@mixmint/core/cash/bank-archive'
import type { Contract, Output } from '@mixmint/core/cash/formats'
import type { BankReply } from '@mixmint/core/cash/messages'
import { Registry } from '@mixmint/core/cash/registry'
import { SealedKeyring } from '@mixmint/core/cash/sealed-keyring'
import type { KnownSealedKeys } from '@mixmint/core/cash/sealed-keys'
import { BankDesk } from '../doubles/bank-desk.ts'
import { DAY, HOUR, keyNamed, NETWORK, sealedKeysOfDay, suite } from '../doubles/economy.ts'
import { Town, type Person, type Shop } from '../doubles/town.ts'

const SOME = new Uint8Array(32).fill(7)

let town: Town
let shop: Shop
let ann: Person

beforeEach(async () => { ({ town, shop, ann } = await Town.withSealed()) })

test('those of a day are refused by wallet and merchant unless the directory lists them', async () => {
  const { economy } = town.desk
  const mark = sealedKeysOfDay(economy.bank, economy.parameters, economy.sealed(0).keys.day, { depositUntil: economy.sealed(0).keys.depositUntil + 1 })
  const bend = (known: KnownSealedKeys) => (reply: BankReply): BankReply => reply.is === 'sealed-keys' ? { is: 'sealed-keys', keys: [known.signed] } : reply
  ann.bend = reply => bend(mark)(reply as BankReply)
  expect(await ann.codeOf(ann.engine.buySealed(shop.key.publicKey, 4))).toBe('bad-sealed-keys')
  expect(await ann.available()).toBe(60)
  const mend = town.bendBank(async (request, ask) => bend(mark)(await ask(request)))
  const till = town.shop('new')
  expect(await till.codeOf(till.engine.fetchSealedKeys())).toBe('bad-sealed-keys')
  // Who has seen the right ones, too, has a proof against the bank; so has who is shown them later.
  const keyring = new SealedKeyring({ suite, meter: economy.meter, network: NETWORK, bank: economy.bank.publicKey, unit: economy.sealed(0).keys.unit })
  expect(await shop.codeOf(keyring.keep(town.desk.registry, [mark.signed]))).toBe('bad-sealed-keys')
  mend()
  await till.run(till.engine.fetchSealedKeys())
  ann.bend = reply => reply
  await ann.run(ann.engine.buySealed(shop.key.publicKey, 4))
  for (const party of [shop, till, ann]) expect((await party.run(bankConflicts())).map(({ is }) => is)).toEqual(['sealedKeys'])
  for (const changes of [{ notAfter: 0 }, { depositUntil: economy.sealed(0).keys.notAfter }, { refundAfter: 0 }, { network: 'other' }, { bank: keyNamed('other').publicKey }, { denominations: economy.sealed(0).keys.denominations.slice(0, 2).reverse() }]) {
    expect(() => sealedKeysOfDay(economy.bank, economy.parameters, 1, changes)).toThrow(/refused/)
  }
  expect(() => sealedKeysOfDay(keyNamed('thief'), economy.parameters, 1, { bank: economy.bank.publicKey })).toThrow(/refused/)
})

test('they are fetched a week ahead, and forgotten when nobody can use them any more', async () => {
  const { economy } = town.desk
  expect(await shop.run(shop.engine.fetchSealedKeys())).toBe(0)
  economy.clock.set(economy.sealed(3).keys.refundAfter)
  town.desk.registry = new Registry(suite, NETWORK, economy.parameters, [{ ...economy.listing, sealedDays: [] }])
  await shop.run(shop.engine.fetchSealedKeys())
  const kept = await shop.store.scan({ prefix: new TextEncoder().encode('sealed-keys'), limit: 100 })
  expect(kept).toHaveLength(economy.listing.sealedDays.length - 4)
})

test('those that the bank does not list, or whose day is not come or gone, sign nothing', async () => {
  const desk = new BankDesk()
  const contract = async (day: number): Promise<string> => {
    const { id } = desk.economy.sealed(day)
    const outputs: Output[] = [{ ...desk.outputs(8)[0], keyset: id }]
    return await desk.codeOf(desk.settle(desk.economy.contract({ kind: 'sealed', outputs, settleBy: desk.economy.clock.now() + HOUR }), await desk.coins(8)))
  }
  expect(await contract(0)).toBe('settlement')
  expect(await contract(1)).toBe('token-not-yet-valid')
  desk.economy.clock.advance(3 * DAY)
  expect(await contract(0)).toBe('token-expired')
  desk.registry = new Registry(suite, NETWORK, desk.economy.parameters, [{ ...desk.economy.listing, sealedDays: desk.economy.listing.sealedDays.slice(4) }])
  expect(await contract(3)).toBe('unknown-sealed-keys')
  const { id } = desk.economy.sealed(5)
  for (const changes of [{ amount: 1 }, { payee: SOME }, { invoice: SOME }, { token: desk.terms() }, { outputs: desk.outputs(8) }] satisfies Array<Partial<Contract>>) {
    const bad = desk.economy.contract({ kind: 'sealed', outputs: [{ ...desk.outputs(8)[0], keyset: id }], ...changes })
    expect(await desk.codeOf(desk.settle(bad, await desk.coins(8)))).toBe('bad-contract')
  }
  // In no other contract.
  expect(await desk.codeOf(desk.settle(desk.economy.contract({ outputs: [{ ...desk.outputs(8)[0], keyset: id }] }), await desk.coins(8)))).toBe('unknown-keyset')
  await desk.expectBalanced()
})
