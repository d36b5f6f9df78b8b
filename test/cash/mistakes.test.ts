/**
 * The mistakes that others made, one test each. What has a suite of its own is named in ELSEWHERE, with the test that fails
 * when the mistake is made here.
 */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { equal, toHex } from '@mixmint/core/kit/bytes'
import type { BankRequest, CenterReply } from '@mixmint/core/cash/messages'
import { coinId } from '@mixmint/core/cash/coin'
import { contractId } from '@mixmint/core/cash/contract'
import type { Contract, Input, Keyset, Output, Spend } from '@mixmint/core/cash/formats'
import { keysetId, signKeyset } from '@mixmint/core/cash/keyset'
import { Registry } from '@mixmint/core/cash/registry'
import { signSpend, verifyDoubleSpend } from '@mixmint/core/cash/spend'
import { present } from '@mixmint/core/cash/token'
import { WalletEngine } from '@mixmint/core/cash/wallet/engine'
import { BankDesk } from '../doubles/bank-desk.ts'
import { HOUR, keyNamed, mint, NETWORK, suite, UNIT, type OwnedCoin, type TestCenter } from '../doubles/economy.ts'
import { smallOrderKeys, smallOrderSignatures } from '../doubles/small-order.ts'
import { Town } from '../doubles/town.ts'

const ELSEWHERE: Record<string, ReadonlyArray<readonly [file: string, title: string]>> = {
  'a concurrent double spend': [
    ['cash/double-spend.test.ts', 'two conflicting spends never get two certificates, whatever one keeper of four does'],
    ['cash/bank-settle.test.ts', 'one coin to two contracts at once: one of them settles'],
    ['cash/bank-settle.test.ts', 'one coin certified twice by lying keepers settles once, whatever the moment']
  ],
  '"already spent" answered to an honest retry': [
    ['cash/bank-crash.test.ts', 'stopped %s each effect, it is done once when asked again'],
    ['cash/bank-settle.test.ts', 'the same ask while the same ask is under way has the same answer'],
    ['cash/bank-account.test.ts', 'a retry that finds the account emptied by its own first ask is answered'],
    ['cash/center.test.ts', 'gets a vote, and the same vote again'],
    ['cash/merchant-tokens.test.ts', 'for the same order: the same receipt, told apart at the till, even days later']
  ],
  'a batch in which one bad coin hides or spoils the rest': [
    ['cash/bank-settle.test.ts', 'every input is judged by itself: one bad coin does not hide the others'],
    ['cash/bank-deposit.test.ts', 'one bad token does not spoil the rest; the same one twice in a batch counts once'],
    ['cash/certify.test.ts', 'one coin does not hold up the others']
  ],
  'a threshold counted by encodings rather than signers': [
    ['cash/spend.test.ts', 'counts a center once, however often it stands there'],
    ['cash/bank-settle.test.ts', 'less than a quorum settles nothing, even with one vote shown over and over'],
    ['cash/ring.test.ts', 'one vote key twice: one machine would vote for two']
  ],
  'RSA s ≥ n': [
    ['cash/coin.test.ts', 'with s + n where that still fits in 256 bytes: one coin would have two names on the ring'],
    ['crypto/rsa.test.ts', 'refuses s + n, which stands for the same number'],
    ['crypto/rsabssa.test.ts', 'refuses an answer that stands for the right number but is not below the modulus']
  ],
  'unbounded fields, deep nesting and prototype keys in decoded messages': [
    ['kit/codec.test.ts', '100,000 levels deep'],
    ['kit/codec.test.ts', 'giant lengths cost neither memory nor time'],
    ['kit/codec.test.ts', 'keys that name parts of every object']
  ],
  'a bank restored from an old backup': [
    ['cash/bank-loss.test.ts', 'a restored bank is closed for what it may have done, and gives the answers that it has'],
    ['cash/bank-loss.test.ts', 'accounts give nothing until the operator has looked into each'],
    ['nodes/store-mark.test.ts', 'a node whose store is put back under it ends, and does not start on that store again']
  ],
  'signing time that depends on the key': [
    ['cash/signing-time.test.ts', 'blinded messages that are chosen to tell the primes take as long as any other, and so does any key'],
    ['cash/signing-time.test.ts', 'a bank does not open its keys where they would be used with big integers']
  ]
}

test.each(Object.entries(ELSEWHERE))('%s: has its tests', (_, tests) => {
  for (const [file, title] of tests) {
    const source = readFileSync(new URL(`../${file}`, import.meta.url), 'utf8')
    expect(source.includes(`'${title}'`), `${file}: ${title}`).toBe(true)
  }
})

/** What these keepers answer to a spend of this coin for this contract. */
async function ask (desk: BankDesk, center: TestCenter, { coin, key }: OwnedCoin, contract: Contract): Promise<CenterReply> {
  return await desk.economy.askCenter({
    do: 'ask-center', center: center.id, timeout: 1000, request: { op: 'spend', spend: signSpend(suite, key, coin, contractId(suite, contract)).spend }
  })
}

describe('different outputs sent to different centers', () => {
  test('are different spends: no two of them find a certificate, and the bank signs those of one at the most', async () => {
    for (const here of [1, 2, 3]) {
      const desk = new BankDesk()
      const [coin] = await desk.coins(8)
      const [mine, other] = [desk.exchange(8), desk.exchange(4, 4)]
      const keepers = desk.economy.keepersOf(coin)
      const votes: Array<Array<Input['votes'][number]>> = [[], []]
      for (const [i, keeper] of keepers.entries()) {
        const which = i < here ? 0 : 1
        const reply = await ask(desk, keeper, coin, [mine, other][which])
        if (reply.is === 'vote') votes[which].push(reply.vote)
      }
      const asked = await Promise.all([mine, other].map(async contract => await desk.ask(desk.settle(contract, [coin]))))
      expect(asked.filter(({ is }) => is === 'settlement').length).toBe(here === 2 ? 0 : 1)
      for (const reply of asked) {
        if (reply.is !== 'short') continue
        expect(reply.inputs[0].state).toBe('conflict')
        const first = reply.inputs[0].first as Spend
        verifyDoubleSpend(suite, desk.economy.known, { first, second: desk.settle(reply === asked[0] ? mine : other, [coin]).inputs[0].spend })
      }
      // Nor do votes for one set of outputs serve for another.
      const mixed = desk.settle(mine, [coin])
      mixed.inputs[0].votes = votes.flat()
      expect(await desk.codeOf(mixed)).toBe(here === 3 ? 'settlement' : 'short')
      await desk.expectBalanced()
    }
  })

  test('changed outputs are another contract: the spend does not fit, and a settled contract answers for its own only', async () => {
    const desk = new BankDesk()
    const [coin] = await desk.coins(8)
    const contract = desk.exchange(8)
    const request = desk.settle(contract, [coin])
    const changed = { ...contract, outputs: desk.outputs(8) }
    expect(await desk.statesOf({ ...request, contract: changed })).toEqual(['bad-opening'])
    const settled = await desk.ask(request)
    expect(settled.is).toBe('settlement')
    expect(await desk.codeOf({ ...request, contract: changed })).toBe('short')
    expect(await desk.ask(request)).toEqual(settled)
    await desk.expectBalanced()
  })
})

describe('a payee front-run by a center', () => {
  test('that saw the spend first can do nothing with it, even with certificate and opening; the payee is paid', async () => {
    const desk = new BankDesk()
    const { economy } = desk
    const [coin] = await desk.coins(8)
    const thief = keyNamed('center')
    const contract = desk.pay(8)
    const [seen] = await desk.certified(contract, [coin])

    // It makes contracts of its own for the coin: to its account, to its outputs, as a token for its owner key.
    const own = [desk.pay(8, [], { payee: thief.publicKey }), desk.exchange(8), desk.tokenContract(8, [], { ownerKey: thief.publicKey })]
    for (const mine of own) {
      const request = desk.settle(mine, [{ coin: coin.coin, key: thief }], thief)
      expect(await desk.statesOf({ ...request, inputs: [seen] })).toEqual(['bad-opening'])
      expect(await desk.statesOf(request)).toEqual(['bad-spend'])
      const [{ spend, opening }] = request.inputs
      expect(await desk.statesOf({ ...request, inputs: [{ ...seen, spend: { ...seen.spend, d: spend.d }, opening }] })).toEqual(['bad-spend'])
    }
    // It settles in the payee's place, for itself, and it undoes the payment when it could be undone.
    expect(await desk.codeOf({ ...desk.settle(contract, [coin], thief), inputs: [seen] })).toBe('not-the-payee')
    expect(await desk.codeOf({ ...desk.settle({ ...contract, payee: thief.publicKey }, [coin], thief), inputs: [seen] })).not.toBe('settlement')
    desk.toVoidTime(contract)
    const stolen: OwnedCoin = { coin: coin.coin, key: thief }
    expect(await desk.codeOf({ ...desk.voiding(contract, stolen), input: seen })).toBe('bad-coin-signature')
    expect(await desk.codeOf({ ...desk.reclaiming(contract, stolen, desk.outputs(8)), input: seen })).toBe('contract-open')
    expect(await desk.codeOf({ ...desk.settle(contract, [coin]), inputs: [seen] })).toBe('settlement')
    expect(await desk.balance(economy.payee)).toBe(8)

    // And what is left over it does not get either.
    const [left] = await desk.coins(8)
    const other = desk.pay(8)
    const [spare] = await desk.certified(other, [left])
    desk.toVoidTime(other)
    expect(await desk.codeOf({ ...desk.voiding(other, left), input: spare })).toBe('outcome')
    expect(await desk.codeOf({ ...desk.reclaiming(other, { coin: left.coin, key: thief }, desk.outputs(8)), input: spare })).toBe('bad-coin-signature')
    // The owner's own request, caught on its way, is good for the owner's outputs only.
    const request = desk.reclaiming(other, left, desk.outputs(8))
    expect(await desk.codeOf({ ...request, input: spare, outputs: desk.outputs(8) })).toBe('bad-coin-signature')
    expect(await desk.codeOf({ ...request, input: spare })).toBe('signatures')
    await desk.expectBalanced()
  })

  test('does not see for whom the coin is: neither payee nor amount nor invoice, and no two coins of a purchase by one number', async () => {
    const desk = new BankDesk()
    const coins = await desk.coins(4, 4)
    const contract = desk.pay(8)
    const seen: Uint8Array[] = []
    for (const center of desk.economy.centers) {
      const honest = center.engine
      center.answer = async request => {
        if (request.op === 'spend') seen.push(request.spend.d, request.spend.signature)
        return await desk.economy.run(honest.handle(request) as never, center.store)
      }
    }
    await desk.certified(contract, coins)
    expect(seen.length).toBeGreaterThan(8)
    const D = contractId(suite, contract)
    for (const secret of [D, contract.payee, contract.invoice, contract.nonce]) expect(seen.some(bytes => toHex(bytes).includes(toHex(secret)))).toBe(false)
    expect(new Set(seen.filter(({ length }) => length === 32).map(toHex)).size).toBe(2)
  })
})

describe('an input released while its payment still runs', () => {
  test('is not: whatever the payee or the bank says or keeps silent about, its coins stay with their contract until it is decided', async () => {
    const trouble: Record<string, (town: Town) => void> = {
      'the payee is silent': town => { town.shops[0].down = true },
      'keepers are silent': town => { for (const center of town.desk.economy.centers) center.down = true },
      'everybody is': town => { town.shops[0].down = true; town.network(false) }
    }
    for (const [name, break_] of Object.entries(trouble)) {
      const town = new Town()
      const [shop, rival] = [town.shop(), town.shop('rival')]
      const ann = await town.person('ann', 31)
      const invoice = await shop.invoice(16)
      const others = await Promise.all([rival.invoice(15), rival.invoice(16)])
      break_(town)
      expect(await ann.codeOf(ann.engine.payWithCoins(invoice)), name).not.toBe('fine')
      const promised = async (): Promise<string[]> => (await ann.run(ann.engine.coins())).filter(({ state }) => state === 'promised').map(({ id }) => toHex(id))
      const before = await promised()
      expect(before.length).toBeGreaterThan(0)
      town.network(true)
      town.shops[0].down = true
      // Time passes, short of the void; the wallet tries again, and is asked to pay others.
      for (const hours of [1, 10]) {
        town.desk.economy.clock.advance(hours * HOUR)
        await ann.run(ann.engine.recover())
        expect(await promised()).toEqual(expect.arrayContaining(before.slice(0, 1)))
      }
      const { available: left, promised: locked } = await ann.run(ann.engine.balance())
      expect(left + locked, name).toBe(31)
      expect(await ann.codeOf(ann.engine.payWithCoins(others[1])), name).toBe(left >= 16 ? 'fine' : 'insufficient-funds')
      // Now the payee is there again, and takes what it was promised. Nothing is conflicting (town.ts checks every request).
      town.shops[0].down = false
      await ann.run(ann.engine.recover())
      expect((await shop.run(shop.engine.takings())).accepted, name).toBe(16)
      const { accepted } = await rival.run(rival.engine.takings())
      expect(await ann.worth(), name).toBe(31 - 16 - accepted)
    }
  })

  test('and the bank gives none back while the contract is open, whoever asks, nor when it was taken', async () => {
    const desk = new BankDesk()
    const coins = await desk.coins(4, 4)
    const contract = desk.pay(8)
    const inputs = await desk.certified(contract, coins)
    for (const passed of [0, 5 * HOUR]) {
      desk.economy.clock.advance(passed)
      for (const coin of coins) expect(await desk.codeOf(desk.reclaiming(contract, coin, desk.outputs(4)))).toBe('contract-open')
    }
    expect(await desk.codeOf({ ...desk.settle(contract, coins), inputs })).toBe('settlement')
    for (const coin of coins) expect(await desk.codeOf(desk.reclaiming(contract, coin, desk.outputs(4)))).toBe('coin-spent')
  })
})

describe('a keyset-id collision', () => {
  test('cannot be claimed: the id is the whole hash, computed by whoever reads, and a coin is of one keyset though keys are shared', async () => {
    const desk = new BankDesk()
    const { economy } = desk
    const { keyset } = economy.signedKeyset
    const twins: Keyset[] = [{ ...keyset, refundUntil: keyset.refundUntil + 1 }, { ...keyset, unit: 'USD-cent' }, { ...keyset, denominations: keyset.denominations.slice(0, 7) }]
    const ids = [keyset, ...twins].map(one => keysetId(suite, one))
    expect(new Set(ids.map(toHex)).size).toBe(ids.length)
    for (const id of ids) expect(id.length).toBe(32)
    // The same RSA keys in a second keyset of the same bank and unit: a coin relabelled is no coin, at centers and at the bank.
    const twin = signKeyset(suite, economy.bank, twins[0])
    const listing = { ...economy.listing, keysets: [economy.signedKeyset, twin] }
    desk.registry = new Registry(suite, NETWORK, economy.parameters, [listing])
    const [{ coin, key }] = await desk.coins(8)
    const relabelled: OwnedCoin = { coin: { ...coin, keyset: ids[1] }, key }
    expect(equal(coinId(suite, coin), coinId(suite, relabelled.coin))).toBe(false)
    expect(await desk.statesOf(desk.settle(desk.exchange(8), [relabelled]))).toEqual(['bad-coin'])
    // Another bank that lists our keyset, or one by our keys, gains no coin of ours.
    const other = keyNamed('other bank')
    expect(() => new Registry(suite, NETWORK, economy.parameters, [economy.listing, { ...listing, bank: other.publicKey }])).toThrow()
    const theirs = signKeyset(suite, other, { ...keyset, bank: other.publicKey })
    desk.registry = new Registry(suite, NETWORK, economy.parameters, [economy.listing, { ...economy.listing, bank: other.publicKey, keysets: [theirs], dayKeys: [] }])
    expect(await desk.statesOf(desk.settle(desk.exchange(8), [{ coin: { ...coin, keyset: keysetId(suite, theirs.keyset) }, key }]))).toEqual(['wrong-bank'])
    expect(await desk.codeOf(desk.settle(desk.exchange(8), [{ coin, key }]))).toBe('settlement')
  })
})

describe('a derivation counter reserved twice', () => {
  test('is not, by runs side by side, nor by two engines on one store, nor after stopping anywhere', async () => {
    const town = new Town()
    const shop = town.shop()
    const ann = await town.person('ann', 100)
    await town.desk.run(town.desk.engine.credit(ann.engine.account, 100, 'more'))
    const twin = new WalletEngine({
      suite, seed: ann.seed, network: NETWORK, bank: town.desk.economy.bank.publicKey, unit: UNIT, registry: () => town.desk.registry, meter: town.desk.economy.meter
    })
    const engines = [ann.engine, twin]
    await Promise.all(Array.from({ length: 8 }, async (_, i) => { await ann.run(engines[i % 2].withdraw(7)) }))
    await Promise.all([ann.run(ann.engine.exchange([1, 1])), ann.run(twin.exchange([1, 1])), ann.run(twin.buyToken(shop.key.publicKey, 3))])
    for (let effect = 0; effect < 16; effect++) {
      await ann.runUntil(ann.engine.withdraw(1), effect, effect % 2 === 0 ? 'before' : 'after')
      await ann.run(ann.engine.exchange([1]))
    }
    const outputs = new Map<string, Set<string>>()
    for (const request of ann.requests) {
      const made: readonly Output[] = request.op === 'withdraw' ? request.withdrawal.outputs : 'contract' in request ? request.contract.outputs : []
      const of = request.op === 'withdraw' ? toHex(request.withdrawal.nonce) : 'contract' in request ? toHex(request.contract.nonce) : ''
      for (const { blinded } of made) outputs.set(toHex(blinded), (outputs.get(toHex(blinded)) ?? new Set()).add(of))
    }
    expect(outputs.size).toBeGreaterThan(50)
    expect([...outputs.values()].filter(({ size }) => size > 1)).toEqual([])
  })
})

describe('a coin key used in two denominations', () => {
  test('makes two coins: each is spent once, by its own signature, and neither voids nor hides the other', async () => {
    const desk = new BankDesk()
    const { economy } = desk
    const seed = economy.rng.bytes(32)
    const [small, large] = [mint(seed, economy.known.id, 1), mint(seed, economy.known.id, 128)]
    expect(small.coin.publicKey).toEqual(large.coin.publicKey)
    await desk.credit(129)
    const contract = desk.exchange(1)
    const request = desk.settle(contract, [small])
    // The cheap coin's signature, votes, or RSA signature do not make the dear one.
    const [certified] = await desk.certified(contract, [small])
    const dear = desk.exchange(128)
    const forged = desk.settle(dear, [large])
    expect(await desk.statesOf({ ...forged, inputs: [{ ...forged.inputs[0], spend: { ...forged.inputs[0].spend, signature: certified.spend.signature } }] })).toEqual(['bad-spend'])
    expect(await desk.statesOf({ ...forged, inputs: [{ ...forged.inputs[0], spend: { ...forged.inputs[0].spend, coin: { ...small.coin, value: 128 } } }] })).toEqual(['bad-coin'])
    expect(await desk.codeOf(request)).toBe('settlement')
    // Votes of the one say nothing on the other, and the other is not spent.
    expect(await desk.codeOf({ ...forged, inputs: [{ ...forged.inputs[0], votes: certified.votes }] })).toBe('settlement')
    expect(await desk.statesOf(desk.settle(desk.exchange(128), [large]))).toEqual(['coin-spent'])
    expect(await desk.statesOf(desk.settle(desk.exchange(1), [small]))).toEqual(['coin-spent'])
    // Both in one contract are two inputs.
    const twice = [mint(seed, economy.known.id, 2), mint(seed, economy.known.id, 4)]
    expect(await desk.codeOf(desk.settle(desk.exchange(2, 4), twice))).toBe('settlement')
  })
})

describe('identity, wrong-subgroup and non-canonical points', () => {
  test('are nobody\'s key: no account, coin, payee or owner that is one moves anything with a signature that the bare equation accepts', async () => {
    const desk = new BankDesk()
    const { economy } = desk
    const coins = await desk.coins(8, 8)
    for (const publicKey of smallOrderKeys) {
      const key = { ...keyNamed('nobody'), publicKey }
      await desk.run(desk.engine.credit(publicKey, 8, toHex(publicKey)))
      const withdrawal = desk.withdrawal(desk.outputs(8), {}, key)
      const coin = economy.mintFor(publicKey, 8)
      const contract = desk.pay(8, [], { payee: publicKey })
      const settle = desk.settle(contract, [coins[0]])
      const spend = desk.settle(desk.exchange(8), [coin])
      for (const signature of smallOrderSignatures) {
        expect(await desk.codeOf({ ...withdrawal, signature })).toBe('bad-account-signature')
        expect(await desk.codeOf({ op: 'balance', account: publicKey, time: economy.clock.now(), signature })).toBe('bad-account-signature')
        expect(await desk.codeOf({ ...settle, payeeSignature: signature })).toBe('not-the-payee')
      }
      expect(await desk.statesOf({ ...spend, inputs: [{ ...spend.inputs[0], spend: { ...spend.inputs[0].spend, signature: smallOrderSignatures[0] } }] })).toEqual(['bad-spend'])
    }
    // A token whose owner key is one cannot be handed over by anybody.
    const { token } = await desk.settled(desk.tokenContract(8, [], { ownerKey: smallOrderKeys[0] }), [coins[1]])
    if (token === null) throw new Error('no token')
    const shown = present(suite, keyNamed('thief'), token, new Uint8Array(32))
    for (const ownerSignature of smallOrderSignatures) {
      const reply = await desk.ask({ op: 'deposit', presentations: [{ ...shown, ownerSignature }] })
      expect(reply).toMatchObject({ is: 'deposited', results: [{ code: 'bad-presentation' }] })
    }
  })
})

describe('a payout above what was paid in', () => {
  test('is refused wherever coins are given out: by one unit, by overflow, by an output that is there twice', async () => {
    const desk = new BankDesk()
    const { economy } = desk
    await desk.credit(8)
    const [a, b, left] = await desk.coins(8, 8, 8)
    const decided = desk.pay(8)
    await desk.settled(decided, [b])
    const presentation = await desk.presentation(8)
    economy.clock.set(presentation.token.token.refundAfter)
    const [twin] = desk.outputs(4)
    const cases: Array<[string, BankRequest]> = [
      ['insufficient-funds', desk.withdrawal(desk.outputs(8, 1))],
      ['duplicate-output', desk.withdrawal([twin, twin])],
      ['wrong-sum', desk.settle(desk.exchange(8, 1), [a])],
      ['wrong-sum', desk.settle(desk.pay(9), [a])],
      ['wrong-sum', desk.settle(desk.tokenContract(8, [1]), [a])],
      ['duplicate-output', desk.settle(economy.contract({ outputs: [twin, twin] }), [a])],
      ['bad-amount', desk.settle(desk.pay(Number.MAX_SAFE_INTEGER, [8]), [a])],
      ['wrong-sum', desk.reclaiming(decided, left, desk.outputs(8, 1))],
      ['duplicate-output', desk.reclaiming(decided, left, [twin, twin])]
    ]
    for (const [code, request] of cases) expect(await desk.codeOf(request), code).toBe(code)
    // The same coin counts once in a sum.
    expect(await desk.codeOf(desk.settle(desk.exchange(16), [a, a]))).toBe('short')
    await desk.expectBalanced()
  })
})
