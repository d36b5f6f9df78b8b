/**
 * Who paid stays unknown: from everything that bank, centers and merchants store and receive (amounts and times aside), a
 * withdrawal cannot be matched with a payment. An attacker (test/reference/linker.ts) tries it on six wallets that do the
 * same; where blinding is switched off, or its factors can be guessed or serve twice, he succeeds.
 */
import { decode as cborDecode } from 'cborg'
import { describe, expect, test } from 'vitest'
import { toHex, utf8 } from '@mixmint/core/kit/bytes'
import type { Op, Store } from '@mixmint/core/kit/ports'
import type { Suite } from '@mixmint/core/crypto/suite'
import type { BankReply, BankRequest } from '@mixmint/core/cash/messages'
import type { Coin, Output } from '@mixmint/core/cash/formats'
import { DAY, HOUR, suite } from '../doubles/economy.ts'
import { MemoryStore } from '../doubles/memory-store.ts'
import { randomOf } from '../doubles/rng.ts'
import { Town, type Person, type Shop } from '../doubles/town.ts'
import { Linker, type Labelled, type Seen } from '../reference/linker.ts'

const WALLETS = 6

class Visit implements Seen {
  readonly fields: Uint8Array[] = []
  readonly coins: Coin[] = []
  readonly issued: Array<Output & { signature: Uint8Array }> = []

  said (message: object): void {
    this.#takeApart(message)
  }

  wrote (ops: readonly Op[]): void {
    for (const op of ops) {
      const value = op.op === 'delete' || op.value === null ? new Uint8Array(0) : op.value
      // Keys end with an id; what stands before is the name of a table, and perhaps a time. Of the record, its fields.
      this.#takeApart(op.key.slice(-32))
      this.#takeApart(isCbor(value) ? cborDecode(value, { useMaps: true }) : value)
    }
  }

  #takeApart (value: unknown): void {
    const bytes = typeof value === 'string' ? utf8(value) : value
    if (bytes instanceof Uint8Array) {
      if (bytes.length >= 8) this.fields.push(bytes)
      return
    }
    if (typeof value !== 'object' || value === null) return
    if ('publicKey' in value && 'signature' in value && 'keyset' in value) this.coins.push(value as Coin)
    for (const part of value instanceof Map ? value.values() : Object.values(value)) this.#takeApart(part)
  }
}

function isCbor (bytes: Uint8Array): boolean {
  try {
    cborDecode(bytes, { useMaps: true })
    return true
  } catch {
    return false
  }
}

/** A town in which all that the three roles hear and write is put down, as part of the visit that is under way. */
class Watched extends Town {
  visit = new Visit()

  watch (store: Store): Store {
    return {
      get: async key => await store.get(key), scan: async range => await store.scan(range), close: async () => { await store.close() },
      batch: async ops => { this.visit.wrote(ops); return await store.batch(ops) }
    }
  }

  override async askBank (request: BankRequest): Promise<BankReply> {
    const reply = await super.askBank(request)
    this.visit.said(request)
    this.visit.said(reply)
    const outputs = request.op === 'withdraw' ? request.withdrawal.outputs : request.op === 'settle' ? request.contract.outputs : 'outputs' in request ? request.outputs : []
    if ('signatures' in reply) outputs.forEach((output, i) => { this.visit.issued.push({ ...output, signature: reply.signatures[i] }) })
    return reply
  }
}

/** What the wallets' cryptography is made to do wrong. */
type Break = (ikm: Uint8Array, info: string, length: number, account: () => Uint8Array) => Uint8Array | null

/**
 * Everybody withdraws, exchanges, and spends in every way (with cryptography that is broken: in two ways), in an order of chance; all the
 * same amounts at the same times.
 */
async function live (break_: Break | null = null): Promise<{ town: Watched, withdrawals: Labelled[], exchanges: Labelled[], spends: Labelled[] }> {
  const random = randomOf(7)
  const town = new Watched({ seed: 'unlinkability' })
  const { desk } = town
  desk.store = town.watch(new MemoryStore())
  for (const center of desk.economy.centers) center.store = town.watch(new MemoryStore())
  const { askCenter } = desk.economy
  desk.economy.askCenter = async effect => {
    const reply = await askCenter(effect)
    town.visit.said(effect.request)
    town.visit.said(reply)
    return reply
  }
  const shop = town.shop('bakery')
  shop.store = town.watch(new MemoryStore())
  const ask = shop.ask.bind(shop)
  shop.ask = async request => {
    const reply = await ask(request)
    town.visit.said(request)
    town.visit.said(reply)
    return reply
  }

  const people: Person[] = []
  for (let who = 0; who < WALLETS; who++) {
    const broken: Suite = {
      ...suite, hkdfSha256: (ikm, salt, info, length) => break_?.(ikm, new TextDecoder().decode(info), length, () => people[who].engine.account) ?? suite.hkdfSha256(ikm, salt, info, length)
    }
    people.push(await town.person(`wallet ${who}`, 0, { suite: broken }))
  }
  const withdrawals: Labelled[] = []
  const exchanges: Labelled[] = []
  const spends: Labelled[] = []
  const each = async (into: Labelled[] | null, act: (person: Person) => Promise<unknown>): Promise<void> => {
    const order = people.map((_, who) => ({ who, at: random(1 << 30) })).sort((a, b) => a.at - b.at)
    for (const { who } of order) {
      town.visit = new Visit()
      await act(people[who])
      into?.push({ who, seen: town.visit })
    }
  }
  await each(null, async person => await desk.run(desk.engine.credit(person.engine.account, 90, `for ${toHex(person.engine.account)}`)))
  for (let i = 0; i < 2; i++) await each(withdrawals, async person => await person.run(person.engine.withdraw(31)))
  const pay = async (person: Person, shop: Shop, amount: number): Promise<unknown> => await person.run(person.engine.payWithCoins(await shop.invoice(amount)))
  desk.economy.clock.advance(HOUR)
  await each(spends, async person => await pay(person, shop, 5))
  await each(spends, async person => {
    const { token } = await person.run(person.engine.buyToken(shop.key.publicKey, 9))
    const presentation = await person.run(person.engine.presentToken(token.serial, await shop.invoice(9)))
    await shop.run(shop.engine.accept(presentation))
    await shop.run(shop.engine.deposit())
  })
  if (break_ !== null) return { town, withdrawals, exchanges, spends }
  // Some keepers are away: others coins take the place of the first ones, which come back later.
  await each(spends, async person => {
    const [{ coin }] = (await person.run(person.engine.plan(2))).coins
    const [a, b] = desk.economy.keepersOf({ coin })
    a.down = b.down = true
    await pay(person, shop, 2)
    a.down = b.down = false
    await person.run(person.engine.recover())
  })
  await each(spends, async person => await person.run(person.engine.buyToken(shop.key.publicKey, 3)))
  await each(exchanges, async person => {
    const { available } = await person.run(person.engine.balance())
    await person.run(person.engine.exchange([...available >= 32 ? [16, 8, 4, 2, 1, 1] : [8, 4, 2, 1]]))
  })
  spends.push(...exchanges)
  desk.economy.clock.advance(HOUR)
  await each(spends, async person => await pay(person, shop, 15))
  desk.economy.clock.advance(10 * DAY)
  await each(spends, async person => await person.run(person.engine.recover()))
  return { town, withdrawals, exchanges, spends }
}

/** How often the attacker is right, of how many; and whether he has anything to go by. Where he has nothing, he guesses. */
function attack ({ town }: { town: Watched }, issuance: readonly Labelled[], spends: readonly Labelled[]): { right: number, of: number, evidence: number } {
  const random = randomOf(11)
  const linker = new Linker(suite, (keyset, value) => town.desk.registry.keyset(keyset).keyFor(value), WALLETS, issuance)
  const scores = linker.evidence(spends.map(({ seen }) => seen))
  let right = 0
  for (const [i, { who }] of spends.entries()) {
    const best = Math.max(...scores[i])
    const likely = scores[i].flatMap((score, wallet) => score === best ? [wallet] : [])
    if (likely[random(likely.length)] === who) right += 1
  }
  return { right, of: spends.length, evidence: scores.flat().reduce((a, b) => a + b, 0) }
}

/** The chance of being right this often, or more often, by guessing. */
function byChance (right: number, of: number): number {
  let sum = 0
  for (let k = right; k <= of; k++) {
    let term = 1
    for (let i = 0; i < k; i++) term *= (of - i) / (k - i) / WALLETS
    sum += term * (1 - 1 / WALLETS) ** (of - k)
  }
  return sum
}

const factorOf = (info: string): boolean => info.startsWith('mixmint/blinding-factor/1')

test('a withdrawal, or an exchange, cannot be matched with what is spent later, better than by chance', async () => {
  const lived = await live()
  const { withdrawals, exchanges, spends } = lived
  // There is something to look at: everybody came in every way.
  expect(spends.length).toBe(7 * WALLETS)
  expect(spends.every(({ seen }) => seen.fields.length > 5)).toBe(true)
  expect(withdrawals.every(({ seen }) => seen.issued.length === 5)).toBe(true)
  const kinds = [
    attack(lived, withdrawals, spends),
    attack(lived, exchanges, spends.slice(5 * WALLETS))
  ]
  for (const { right, of, evidence } of kinds) {
    expect(evidence).toBe(0)
    expect(byChance(right, of), `${right} of ${of}`).toBeGreaterThan(0.001)
  }
})

describe('the same attacker succeeds', () => {
  const breaks: Record<string, Break> = {
    'when blinding is switched off': (_ikm, info, length) => factorOf(info) ? new Uint8Array(length).fill(1, length - 1) : null,
    'when factors come from what the bank knows': (_ikm, info, length, account) => info.includes('derive-coin-blinding') ? suite.sha256(account()).subarray(0, length) : null,
    'when a wallet has one factor for all coins, though a secret one': (ikm, info, length) => info.includes('derive-coin-blinding') ? suite.hkdfSha256(ikm, utf8('one'), utf8('for all'), length) : null,
    'when the nonce of a contract is made of the account': (_ikm, info, _length, account) => info.includes('derive-nonce') ? suite.sha256(account()) : null
  }
  test.each(Object.keys(breaks))('%s', async name => {
    const lived = await live(breaks[name])
    const { right, of } = attack(lived, lived.withdrawals, lived.spends)
    expect(byChance(right, of), `${right} of ${of}`).toBeLessThan(1e-6)
    expect(right / of).toBeGreaterThan(0.5)
  })
})

test('the measure is what it says', () => {
  expect(byChance(0, 10)).toBeCloseTo(1)
  expect(byChance(10, 10)).toBeCloseTo(6 ** -10)
})
