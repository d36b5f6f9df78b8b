/**
 * A wallet from its words alone: what it finds, what it never does, and what the bank learns by it. That no output, coin or
 * invoice serves twice, on whichever machine of the same words, is checked at every request (doubles/town.ts).
 */
import { beforeEach, describe, expect, test } from 'vitest'
import { concat, toHex, u32, utf8 } from '@mixmint/core/kit/bytes'
import { anything, decode, encode } from '@mixmint/core/kit/codec'
import { MixmintError } from '@mixmint/core/kit/errors'
import { scanAll, type Saga } from '@mixmint/core/kit/saga'
import { outputHash } from '@mixmint/core/cash/contract'
import { copyKey } from '@mixmint/core/cash/derive'
import type { SignedInvoice } from '@mixmint/core/cash/formats'
import { outputAt } from '@mixmint/core/cash/bank/keys'
import { SignedOutput } from '@mixmint/core/cash/bank/records'
import { stored } from '@mixmint/core/cash/stored'
import type { BankReply, BankRequest } from '@mixmint/core/cash/messages'
import { sealed, unsealed } from '@mixmint/core/cash/wallet/copies'
import { GAP } from '@mixmint/core/cash/wallet/outputs'
import type { WalletEffect } from '@mixmint/core/cash/wallet/parts'
import type { Restored } from '@mixmint/core/cash/wallet/restore-finish'
import { DAY, HOUR, rsaKeys, suite } from '../doubles/economy.ts'
import { Town, type Person, type Shop } from '../doubles/town.ts'

const AT_ONCE = { pace: 0 }
/** Few values make few questions. */
const SMALL = { keyset: { denominations: [1, 2, 4, 8, 16].map((value, i) => ({ value, key: rsaKeys[i].publicKey.n })) } }

let town: Town
let shop: Shop
beforeEach(() => {
  town = new Town(SMALL)
  shop = town.shop()
})

/** The machine is lost: the same words on a new one. */
async function restored (name = 'ann'): Promise<Person & { found: Restored }> {
  const again = await town.person(name)
  const { restored: found } = await again.run(again.engine.restore(AT_ONCE))
  return Object.assign(again, { found })
}

test('a new machine has all that the old one had, and goes on', async () => {
  const ann = await town.person('ann', 60)
  await ann.run(ann.engine.payWithCoins(await shop.invoice(9)))
  await ann.run(ann.engine.exchange(Array<number>(20).fill(1)))
  const again = await restored()
  expect(again.found).toEqual({ available: 51, inFlight: 0, leftOver: 0, unknown: 0, tokens: 0, bad: 0 })
  await town.expectBooks([again])
  await again.run(again.engine.payWithCoins(await shop.invoice(30)))
  // And once more, with what the second machine has made.
  const third = await restored()
  expect(await third.worth()).toBe(21)
  await third.run(third.engine.payWithCoins(await shop.invoice(21)))
  await town.expectBooks([third])
})

interface Scene { readonly ann: Person, readonly invoice: SignedInvoice }
interface Scenario {
  readonly prepare?: (scene: Scene) => Promise<void>
  readonly command: (scene: Scene) => Saga<unknown, WalletEffect>
  /** In coins, with what the account still holds; in the end. */
  readonly worth: number
  /** Said again in the end, an invoice is paid once. */
  readonly repeat: boolean
}

const MONEY = 31
const scenarios: Record<string, Scenario> = {
  withdraw: { command: ({ ann }) => ann.engine.withdraw(9), worth: MONEY + 9, repeat: false },
  exchange: { command: ({ ann }) => ann.engine.exchange([8, 2]), worth: MONEY + 9, repeat: false },
  'buy a token': { command: ({ ann }) => ann.engine.buyToken(shop.key.publicKey, 9), worth: MONEY + 9, repeat: false },
  'buy sealed tokens': { command: ({ ann }) => ann.engine.buySealed(shop.key.publicKey, 9), worth: MONEY + 9, repeat: false },
  'pay with coins': { command: ({ ann, invoice }) => ann.engine.payWithCoins(invoice), worth: MONEY, repeat: true },
  'void and reclaim': {
    prepare: async ({ ann, invoice }) => {
      shop.down = true
      expect(await ann.codeOf(ann.engine.payWithCoins(invoice))).toBe('overdue')
      shop.down = false
      town.desk.economy.clock.set(invoice.invoice.settleBy + 2 * HOUR)
    },
    command: ({ ann }) => ann.engine.recover(), worth: MONEY + 9, repeat: false
  },
  refund: {
    prepare: async ({ ann }) => {
      await ann.run(ann.engine.buyToken(shop.key.publicKey, 9))
      town.desk.economy.clock.advance(9 * DAY)
    },
    command: ({ ann }) => ann.engine.reclaim(), worth: MONEY + 9, repeat: false
  },
  'refund sealed tokens': {
    prepare: async ({ ann }) => {
      await ann.run(ann.engine.buySealed(shop.key.publicKey, 9))
      town.desk.economy.clock.advance(10 * DAY)
    },
    command: ({ ann }) => ann.engine.reclaim(), worth: MONEY + 9, repeat: false
  }
}

describe.each(Object.keys(scenarios))('lost in the middle of: %s', name => {
  test('it is completed by the new machine', async () => {
    const { prepare, command, worth, repeat } = scenarios[name]
    const ann = await town.person('ann', MONEY)
    await town.desk.run(town.desk.engine.credit(ann.engine.account, 9, 'more'))
    const scene = { ann, invoice: await shop.invoice(9) }
    await prepare?.(scene)
    const back = await town.snapshot([ann])
    // Before one effect, after another: an odd step alternates.
    for (let [effect, finished] = [0, false]; !finished; effect += process.env.MIXMINT_LONG === '1' ? 1 : 3) {
      await back()
      finished = await ann.runUntil(command(scene), effect, effect % 2 === 0 ? 'after' : 'before')
      const again = await restored()
      await shop.run(shop.engine.settlePending())
      if (repeat) await again.run(again.engine.payWithCoins(scene.invoice))
      await again.run(again.engine.recover())
      // Tokens whose use is not known come back when their time is over, if their payee has not turned them in.
      town.desk.economy.clock.advance(10 * DAY)
      await again.run(again.engine.reclaim())
      expect(await again.worth() + await again.run(again.engine.accountBalance())).toBe(worth)
      await town.expectBooks([again])
    }
  })
})

test('the restore itself may be stopped at any effect, and goes on', async () => {
  const ann = await town.person('ann', MONEY)
  const invoice = await shop.invoice(9)
  await ann.runUntil(ann.engine.payWithCoins(invoice), 14, 'before')
  const back = await town.snapshot([ann])
  let finished = false
  for (let effect = 0; !finished; effect += 17) {
    await back()
    const again = await town.person('ann')
    finished = await again.runUntil(again.engine.restore(AT_ONCE), effect, effect % 2 === 0 ? 'after' : 'before')
    await again.run(again.engine.restore(AT_ONCE))
    await again.run(again.engine.payWithCoins(invoice))
    expect(await again.worth()).toBe(MONEY - 9)
    await town.expectBooks([again])
  }
})

test('nothing is derived, and nothing shown, before it is over; what finds no answer is asked again later', async () => {
  await town.person('ann', MONEY)
  const again = await town.person('ann')
  await again.run(again.engine.expectRestore())
  expect(await again.codeOf(again.engine.withdraw(1))).toBe('restore-under-way')
  town.bankDown = true
  expect(await again.codeOf(again.engine.restore(AT_ONCE))).toBe('overdue')
  town.bankDown = false
  await again.run(again.engine.restore(AT_ONCE))
  await town.expectBooks([again])
})

test('coins of which too few keepers say how they stand hold up no others, and are looked at again by the next restore, or refunded', async () => {
  const ann = await town.person('ann', MONEY)
  const { coin } = (await ann.run(ann.engine.coins()))[0]
  const keepers = town.desk.economy.keepersOf({ coin })
  for (const center of keepers.slice(0, 2)) center.down = true
  const again = await restored()
  expect(again.found.unknown).toBeGreaterThanOrEqual(coin.value)
  expect(again.found.available + again.found.unknown).toBe(MONEY)
  expect(await again.run(again.engine.balance())).toMatchObject({ available: again.found.available, leftOver: again.found.unknown })
  for (const center of keepers) center.down = false
  await again.run(again.engine.recover())
  expect(await again.available()).toBe(again.found.available)
  await again.run(again.engine.restore(AT_ONCE))
  expect(await again.available()).toBe(MONEY)
  await town.expectBooks([again])
})

test('an answer that came as a restore had found its coins already is not counted twice, whatever became of them', async () => {
  const ann = await town.person('ann', MONEY)
  await town.desk.run(town.desk.engine.credit(ann.engine.account, 7, 'more'))
  ann.bend = (reply, request) => {
    if (request.op === 'withdraw') throw new MixmintError('overdue', 'peer', 'lost on its way', { retry: true })
    return reply
  }
  expect(await ann.codeOf(ann.engine.withdraw(7))).toBe('overdue')
  ann.bend = reply => reply
  await ann.run(ann.engine.restore(AT_ONCE))
  await ann.run(ann.engine.recover())
  expect(await ann.run(ann.engine.pending())).toEqual([])
  expect(await ann.available()).toBe(MONEY + 7)
  await ann.run(ann.engine.payWithCoins(await shop.invoice(MONEY + 7)))
  await ann.run(ann.engine.recover())
  expect(await ann.worth()).toBe(0)
  await town.expectBooks([ann])
})

test('what was signed over to something of which there is no copy is refunded in its time', async () => {
  const { issueUntil, refundUntil } = town.desk.economy.signedKeyset.keyset
  const next = { issueFrom: issueUntil, issueUntil: refundUntil + 60 * DAY, spendUntil: refundUntil + 90 * DAY, redeemUntil: refundUntil + 120 * DAY, refundUntil: refundUntil + 150 * DAY }
  town = new Town({ ...SMALL, later: [{ keyset: { ...SMALL.keyset, ...next } }] })
  shop = town.shop()
  const ann = await town.person('ann', MONEY)
  const invoice = await shop.invoice(8)
  const keepers = town.desk.economy.centers
  town.bankDown = true
  for (const center of keepers.slice(0, 4)) center.down = true
  expect(await ann.codeOf(ann.engine.payWithCoins(invoice, { waived: true }))).not.toBe('fine')
  town.network(true)
  const again = await restored()
  expect(again.found.unknown).toBeGreaterThan(0)
  town.desk.economy.clock.set(town.desk.economy.signedKeyset.keyset.redeemUntil + DAY)
  await again.run(again.engine.recover())
  expect(await again.available()).toBe(MONEY)
  await town.expectBooks([again])
})

test('a copy of a purchase of sealed tokens whose keys the bank has lost holds up nothing else', async () => {
  const ann = await town.person('ann', MONEY)
  await shop.run(shop.engine.fetchSealedKeys())
  await ann.run(ann.engine.exchange([8, 8, 8, 4, 2, 1]))
  await ann.runUntil(ann.engine.buySealed(shop.key.publicKey, 8), 30, 'after')
  const again = await town.person('ann')
  again.bend = (reply, request) => request.op === 'sealed-keys' ? { is: 'sealed-keys', keys: [] } : reply
  const { restored: found } = await again.run(again.engine.restore(AT_ONCE))
  expect(again.sent).toContain('apart sealed-keys')
  expect(found).toMatchObject({ available: MONEY - 8, tokens: 0 })
  // With the keys, the next one has it all.
  again.bend = reply => reply
  expect((await again.run(again.engine.restore(AT_ONCE))).restored.tokens).toBe(8)
  expect(await again.available()).toBe(MONEY - 8)
})

/** The bank keeps copies as they were filed: as another version would have filed these. */
async function filedOtherwise (owner: Person, change: (copy: Map<string, unknown>) => void): Promise<number> {
  const { store } = town.desk
  const copies = await town.desk.run(scanAll(utf8('copy')))
  for (const { key, value } of copies) {
    const secret = copyKey(suite, owner.seed, key.slice('copy'.length))
    const padded = unsealed(suite, secret, value) ?? new Uint8Array(0)
    const length = new DataView(padded.buffer, padded.byteOffset).getUint32(0)
    const copy = decode(anything, padded.slice(4, 4 + length)) as Map<string, unknown>
    change(copy)
    const content = encode(anything, copy)
    padded.set(concat(u32(content.length), content))
    await store.batch([{ op: 'put', key, value: sealed(suite, secret, padded) }])
  }
  return copies.length
}

test('a copy in the form of an earlier version is read; one in a form that nobody knows holds up nothing else, and is counted', async () => {
  const ann = await town.person('ann', MONEY)
  await ann.run(ann.engine.exchange([8, 8, 8, 4, 2, 1]))
  const invoice = await shop.invoice(8)
  shop.down = true
  expect(await ann.codeOf(ann.engine.payWithCoins(invoice))).toBe('overdue')
  const back = await town.snapshot([ann])
  expect(await filedOtherwise(ann, copy => {
    const signed = copy.get('invoice') as Map<string, Map<string, unknown>> | null
    signed?.get('invoice')?.delete('till')
    for (const name of ['claim', 'sealed']) copy.delete(name)
  })).toBeGreaterThan(1)
  expect((await restored()).found).toMatchObject({ available: MONEY - 8, inFlight: 8, unknown: 0 })
  await back()
  const { meter } = town.desk.economy
  expect(meter.of('wallet_restore_illegible')).toBe(0)
  await filedOtherwise(ann, copy => { copy.set('more', 1) })
  expect((await restored()).found).toMatchObject({ available: MONEY - 8, inFlight: 0, unknown: 8 })
  expect(meter.of('wallet_restore_illegible')).toBeGreaterThan(0)
})

test('coins that came to nothing, however many, hold up no wallet that has others', async () => {
  const ann = await town.person('ann', GAP + 2)
  const bob = await town.person('bob', MONEY)
  await ann.run(ann.engine.exchange(Array<number>(GAP + 2).fill(1)))
  const until = town.desk.economy.clock.now() + DAY
  const { bundle, sequence } = await ann.run(ann.engine.give(GAP + 2, { until }))
  await ann.run(ann.engine.takeBack(sequence, { early: true }))
  expect(await bob.run(bob.engine.receive(bundle))).toMatchObject({ ours: 0, theirs: GAP + 2 })
  const again = await restored('bob')
  expect(again.found.available).toBe(MONEY)
  // And one that is received is, however many coins it has.
  const many = (await ann.run(ann.engine.give(GAP + 2, { until }))).bundle
  expect(await again.run(again.engine.receive(many))).toMatchObject({ ours: GAP + 2 })
  expect((await restored('bob')).found.available).toBe(MONEY + GAP + 2)
})

test('two machines of the same words never derive alike, and the second to promise a coin is stopped before it signs', async () => {
  await town.person('ann', MONEY)
  const [b, c, d] = [await restored(), await restored(), await restored()]
  await town.desk.run(town.desk.engine.credit(b.engine.account, 20, 'more'))
  await b.run(b.engine.withdraw(10))
  await c.run(c.engine.withdraw(10))
  await b.run(b.engine.payWithCoins(await shop.invoice(8)))
  const before = c.sent.length
  expect(await c.codeOf(c.engine.payWithCoins(await shop.invoice(8)))).toBe('double-spend')
  expect(c.sent.slice(before)).toEqual(['mixnet file'])
  // Whoever insists leaves it to the centers, who show the first spend.
  town.honest = false
  expect(await d.codeOf(d.engine.payWithCoins(await shop.invoice(8), { waived: true }))).toBe('double-spend')
  expect(d.sent).toContain('merchant pay')
  // Both generations are found by a third: all that is unspent, once.
  const third = await restored()
  expect(await third.worth()).toBe(MONEY + 20 - 8)
})

test('words that never had money: the account announces the generation, and the next restore finds it', async () => {
  const fresh = await restored()
  await town.desk.run(town.desk.engine.credit(fresh.engine.account, 20, 'for ann'))
  await fresh.run(fresh.engine.withdraw(20))
  expect((await restored()).found.available).toBe(20)
})

test('runs of operations without outputs, or without answers, hide nothing', async () => {
  const ann = await town.person('ann', 60)
  await ann.run(ann.engine.exchange(Array<number>(GAP + 8).fill(1)))
  for (let i = 0; i < GAP + 2; i++) await ann.run(ann.engine.payWithCoins(await shop.invoice(1)))
  await ann.run(ann.engine.exchange([2, 1]))
  for (let i = 0; i < GAP; i++) expect(await ann.codeOf(ann.engine.withdraw(5))).toBe('insufficient-funds')
  expect(await ann.codeOf(ann.engine.withdraw(5))).toBe('insufficient-funds')
  const again = await restored()
  expect(again.found.available).toBe(60 - GAP - 2)
  await town.expectBooks([again])
})

describe('a bank that lies', () => {
  const lying = async (lie: (reply: BankReply, request: BankRequest) => BankReply): Promise<Person> => {
    const again = await town.person('ann')
    again.bend = (reply, request) => lie(reply as BankReply, request as BankRequest)
    await again.run(again.engine.restore(AT_ONCE))
    return again
  }

  test('that it has signed nothing: nothing is shown, and all is there once it tells the truth', async () => {
    await town.person('ann', MONEY)
    const again = await lying(reply => reply.is === 'restored' ? { is: 'restored', signatures: reply.signatures.map(() => new Uint8Array(0)) } : reply)
    expect(await again.worth()).toBe(0)
    again.bend = reply => reply
    await again.run(again.engine.restore(AT_ONCE))
    expect(await again.worth()).toBe(MONEY)
    await town.expectBooks([again])
  })

  test('with signatures that are none: they are no money, and counted', async () => {
    await town.person('ann', MONEY)
    const again = await town.person('ann')
    again.bend = reply => reply.is === 'restored' ? { is: 'restored', signatures: reply.signatures.map(one => one.length === 0 ? one : one.slice().fill(1)) } : reply
    expect((await again.run(again.engine.restore(AT_ONCE))).restored).toMatchObject({ available: 0, bad: 1 })
  })

  test('that a coin is unspent which a keeper knows to be spent: its owner says it by the coin\'s own signature', async () => {
    const ann = await town.person('ann', MONEY)
    const invoice = await shop.invoice(16)
    // Certified, and not settled; the bank has lost the copy.
    ann.bend = (reply, request) => request.op === 'file' ? { is: 'filed' } : reply
    town.bendBank(async (request, ask) => {
      if (request.op === 'file') return { is: 'filed' }
      if (request.op === 'settle') return { is: 'refused', code: 'overdue', fault: 'us', retry: true, message: '' }
      return await ask(request)
    })
    await ann.run(ann.engine.payWithCoins(invoice))
    const again = await restored()
    expect(again.found).toMatchObject({ unknown: 16, available: MONEY - 16 })
    expect(await again.available()).toBe(MONEY - 16)
  })
})

test('what the bank is asked: of one operation at a time, of each coin alone, nothing twice, and each apart', async () => {
  const ann = await town.person('ann', 60)
  for (const amount of [9, 5, 3]) await ann.run(ann.engine.payWithCoins(await shop.invoice(amount)))
  await ann.run(ann.engine.exchange([4, 4]))
  const again = await restored()
  const asked = again.requests as BankRequest[]
  expect(new Set(again.sent.map(line => line.split(' ')[0]))).toEqual(new Set(['apart']))
  const seen = new Set<string>()
  const operations: string[][] = []
  for (const request of asked) {
    // No bytes of one question come again in another, but for the names of keysets and what is ours to everybody.
    const bytes = request.op === 'restore'
      ? request.outputs.map(({ blinded }) => blinded)
      : request.op === 'look' ? [request.coin.publicKey, request.coin.signature, request.signature] : request.op === 'outcome' ? [request.contract.nonce] : []
    for (const one of bytes) {
      expect(seen).not.toContain(toHex(one))
      seen.add(toHex(one))
    }
    if (request.op !== 'restore') continue
    const movements = new Set<string>()
    for (const output of request.outputs) {
      const value = await town.desk.store.get(outputAt(outputHash(suite, output)))
      if (value !== null) movements.add(toHex(stored(SignedOutput, value).movement))
    }
    expect(movements.size).toBeLessThanOrEqual(1)
    operations.push([...movements])
  }
  // In no order that would tell their age.
  const hits = operations.flatMap((movements, i) => movements.length > 0 ? [i] : [])
  expect(hits.length).toBeGreaterThanOrEqual(3)
  expect(hits).not.toEqual(hits.map((_, i) => i))
})

test('while the bank is away, nothing is signed over without a copy, unless that is said', async () => {
  const ann = await town.person('ann', MONEY)
  town.bankDown = true
  expect(await ann.codeOf(ann.engine.payWithCoins(await shop.invoice(4)))).toBe('overdue')
  expect(ann.sent).not.toContain('merchant pay')
  expect(await ann.run(ann.engine.payWithCoins(await shop.invoice(8), { waived: true }))).toMatchObject({ settled: false })
})
