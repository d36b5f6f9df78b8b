/**
 * Centers that lie, and what becomes of it: honest payments complete, certificates stay unique while no more than f lie, and
 * what a center signed convicts it by name, from the payee or the bank into the directory. Beyond f: who settles first wins.
 */
import { beforeEach, describe, expect, test } from 'vitest'
import { toHex } from '@mixmint/core/kit/bytes'
import { decode, encode } from '@mixmint/core/kit/codec'
import { centerProofFile, retire, verifyCenterProof } from '@mixmint/core/cash/center-proof'
import { coinId } from '@mixmint/core/cash/coin'
import { CenterProofFile, type BankListing, type CenterFault, type Revocation } from '@mixmint/core/cash/formats'
import { checkListing } from '@mixmint/core/cash/listing-policy'
import type { Spend } from '@mixmint/core/cash/formats'
import type { CenterReply, CenterRequest } from '@mixmint/core/cash/messages'
import { Registry } from '@mixmint/core/cash/registry'
import { signVote, verifyDoubleSpend } from '@mixmint/core/cash/spend'
import { codeOf } from '../doubles/code.ts'
import { copyOf, MemoryStore } from '../doubles/memory-store.ts'
import { createEconomy, keyNamed, NETWORK, START, suite, type Economy, type TestCenter } from '../doubles/economy.ts'
import { Person, Town, type Shop } from '../doubles/town.ts'

let town: Town
let economy: Economy
let shop: Shop
let rival: Shop
let ann: Person
beforeEach(async () => {
  town = new Town()
  ;({ economy } = town.desk)
  shop = town.shop('bakery')
  rival = town.shop('rival')
  ann = await town.person('ann', 63)
})

const spendOf = (request: CenterRequest): Spend => {
  if (request.op !== 'spend') throw new Error('nobody asks for anything else here')
  return request.spend
}
const voteFor = (center: TestCenter, request: CenterRequest, d = spendOf(request).d, spend = spendOf(request)): CenterReply =>
  ({ is: 'vote', vote: signVote(suite, center.voteKey, center.id, economy.registry.keyset(spend.coin.keyset).ring.id, coinId(suite, spend.coin), d) })
const REFUSED = { is: 'refused', code: 'bad-coin', fault: 'peer', retry: false, message: '' } as const

/** Votes for whatever it is asked. */
const twoFaced = (center: TestCenter): void => { center.answer = request => voteFor(center, request) }
/** A copy of the wallet as it is now, in other hands. */
const thiefOf = async (person: Person): Promise<Person> => {
  town.honest = false
  const thief = new Person(town, 'ann')
  thief.store = await copyOf(person.store)
  // It lets the bank keep no copies: they would stop it.
  thief.bend = (reply, request) => request.op === 'file' ? { is: 'filed' } : reply
  return thief
}
/** The keepers of the one coin that a payment of this amount begins with. */
const keepersFor = async (amount: number): Promise<TestCenter[]> => {
  const [coin] = (await ann.run(ann.engine.plan(amount))).coins
  return economy.keepersOf({ coin: coin.coin })
}
const publish = (revocations: readonly Revocation[], previous?: BankListing): BankListing => {
  const listing = { ...economy.listing, revocations: [...revocations] }
  expect(checkListing(suite, NETWORK, { ...listing, sealedDays: [] }, { beside: [], previous: { ...previous ?? economy.listing, sealedDays: [] }, now: START })).toBeNull()
  town.desk.registry = new Registry(suite, NETWORK, economy.parameters, [listing])
  return listing
}

describe('one keeper of a coin lies (f = 1): honest payments complete', () => {
  test.each<[string, (center: TestCenter, request: CenterRequest) => CenterReply | Promise<CenterReply>]>([
    ['votes for everything', voteFor],
    ['votes for nobody', () => REFUSED],
    ['shows the spend itself as an earlier one', (_, request) => ({ is: 'conflict', first: spendOf(request) })],
    ['votes for a d that nobody asked for', (center, request) => voteFor(center, request, suite.sha256(spendOf(request).d))],
    ['gives the vote of another', (center, request) => voteFor({ ...center, id: economy.centers[6].id }, request)],
    ['answers garbage', () => ({ is: 'vote', vote: { center: new Uint8Array(32), signature: new Uint8Array(64) } })]
  ])('that %s', async (_, lie) => {
    const [, liar] = await keepersFor(8)
    liar.answer = request => lie(liar, request)
    expect((await ann.run(ann.engine.payWithCoins(await shop.invoice(8)))).settled).toBe(true)
    await town.expectBooks([ann])
  })

  test('that votes when nobody waits any more', async () => {
    const [, liar] = await keepersFor(8)
    const late: Array<() => void> = []
    liar.answer = async request => await new Promise(resolve => { late.push(() => { resolve(voteFor(liar, request)) }) })
    expect((await ann.run(ann.engine.payWithCoins(await shop.invoice(8)))).settled).toBe(true)
    for (const answer of late) answer()
    await town.expectBooks([ann])
  })
})

describe('a center that votes twice', () => {
  /** Two payments with one coin: the first is settled, the second fails. */
  const cheat = async (): Promise<TestCenter> => {
    const thief = await thiefOf(ann)
    const [, liar] = await keepersFor(8)
    twoFaced(liar)
    expect((await ann.run(ann.engine.payWithCoins(await shop.invoice(8)))).settled).toBe(true)
    expect(await thief.codeOf(thief.engine.payWithCoins(await rival.invoice(8)))).not.toBe('fine')
    return liar
  }

  test('is convicted by the payee whom it lied to, with a proof that anybody can check', async () => {
    const liar = await cheat()
    const [file] = await rival.run(rival.engine.convictions())
    const convicted = verifyCenterProof(suite, decode(CenterProofFile, encode(CenterProofFile, file)))
    expect(convicted).toMatchObject({ id: liar.id, voteKey: liar.voteKey.publicKey })
    expect(file.keyset.keyset.bank).toEqual(economy.bank.publicKey)
    expect(await shop.run(shop.engine.convictions())).toEqual([])
  })

  test('no honest one is', async () => {
    const liar = await cheat()
    for (const file of [...await rival.run(rival.engine.convictions()), ...await town.desk.run(town.desk.engine.centerProofs())]) {
      expect(verifyCenterProof(suite, file).id).toEqual(liar.id)
    }
  })

  test('is told to the bank, published, and no longer counted by payees; the bank counts it, and robs nobody', async () => {
    const liar = await cheat()
    await rival.run(rival.engine.settlePending())
    const revocations = await town.desk.run(town.desk.engine.revocations())
    expect(revocations.map(({ voteKey }) => toHex(voteKey))).toEqual([toHex(liar.voteKey.publicKey)])

    // A bank that has forgotten it takes it from its listing, as it stands there; one that convicted the key again later, too.
    const listing = publish(revocations)
    const { desk } = town
    const { store } = desk
    desk.store = new MemoryStore()
    await desk.run(desk.engine.adopt(listing))
    expect(await desk.run(desk.engine.revocations())).toEqual(revocations)
    await desk.run(desk.engine.adopt({ ...listing, revocations: [{ ...revocations[0], from: revocations[0].from - 1 }] }))
    await desk.run(desk.engine.adopt(listing))
    expect((await desk.run(desk.engine.revocations()))[0].from).toBe(revocations[0].from - 1)
    desk.store = store
    desk.registry = economy.registry

    // What was certified with its vote before is settled all the same.
    let coin = economy.mint(8)
    while (!economy.keepersOf(coin).includes(liar)) coin = economy.mint(8)
    const honest = economy.keepersOf(coin).filter(center => center !== liar)
    honest[0].down = true
    const contract = town.desk.pay(8)
    const inputs = await town.desk.certified(contract, [coin])
    expect(inputs[0].votes.map(({ center }) => toHex(center))).toContain(toHex(liar.id))
    await town.desk.credit(8)
    publish(revocations)
    expect(await town.desk.codeOf({ ...town.desk.settle(contract, [coin]), inputs })).toBe('settlement')
  })

  test('or was restored from an old disk, which is the same: convicted by what it signed before and after', async () => {
    const thief = await thiefOf(ann)
    const keepers = await keepersFor(8)
    const restored = keepers[1]
    const old = await copyOf(restored.store)
    expect((await ann.run(ann.engine.payWithCoins(await shop.invoice(8)))).settled).toBe(true)
    restored.store = old
    economy.restart(restored)
    expect(await thief.codeOf(thief.engine.payWithCoins(await rival.invoice(8)))).not.toBe('fine')
    // The others hold: no second certificate. The payee's vote and the one that the bank has convict the center.
    expect((await rival.run(rival.engine.takings())).accepted).toBe(0)
    expect(await rival.run(rival.engine.convictions())).toEqual([])
    expect(await town.desk.run(town.desk.engine.revocations())).toEqual([])
    await rival.run(rival.engine.settlePending())
    const revocations = await town.desk.run(town.desk.engine.revocations())
    expect(revocations.map(({ voteKey }) => toHex(voteKey))).toEqual([toHex(restored.voteKey.publicKey)])
    publish(revocations)
    expect(town.desk.registry.isRevoked(restored.voteKey.publicKey, economy.clock.now())).toBe(true)
    expect(town.desk.registry.isRevoked(keepers[0].voteKey.publicKey, economy.clock.now())).toBe(false)
  })
})

test('payees do not count revoked keys, whoever brings the votes', async () => {
  const keepers = await keepersFor(8)
  publish([{ voteKey: keepers[0].voteKey.publicKey, from: START + 1000, why: { is: 'retired', retirement: retire(suite, NETWORK, keepers[0].voteKey) } }])
  // Not yet: then the first three would do.
  const asked = (): number[] => keepers.map(keeper => keeper.asked)
  economy.clock.set(START + 1000)
  await ann.run(ann.engine.payWithCoins(await shop.invoice(8)))
  expect(asked()).toEqual([0, 1, 1, 1])
  // With one of the others down, too, there is no certificate: another coin is taken.
  const [next] = (await ann.run(ann.engine.plan(16))).coins
  const others = economy.keepersOf({ coin: next.coin })
  if (others.includes(keepers[0])) {
    (others.find(center => center !== keepers[0]) as TestCenter).down = true
    expect((await ann.run(ann.engine.payWithCoins(await shop.invoice(16)))).settled).toBe(true)
    expect((await ann.run(ann.engine.balance())).leftOver).toBeGreaterThan(0)
  }
})

describe('two of a coin\'s four keepers lie: one too many', () => {
  test('the first to settle wins, the books balance, the second payee is told, and both liars are convicted', async () => {
    const thief = await thiefOf(ann)
    const keepers = await keepersFor(8)
    twoFaced(keepers[0])
    twoFaced(keepers[1])
    // Each honest keeper hears of one payment only.
    keepers[3].down = true
    town.bankDown = true
    expect((await ann.run(ann.engine.payWithCoins(await shop.invoice(8), { waived: true }))).settled).toBe(false)
    keepers[3].down = false
    keepers[2].down = true
    expect((await thief.run(thief.engine.payWithCoins(await rival.invoice(8), { waived: true }))).settled).toBe(false)
    keepers[2].down = false
    town.bankDown = false

    expect(await rival.run(rival.engine.settlePending())).toEqual({ settled: 1, pending: 0 })
    expect(await shop.run(shop.engine.settlePending())).toEqual({ settled: 0, pending: 1 })
    expect(await town.accountOf(rival)).toBe(8)
    expect(await town.accountOf(shop)).toBe(0)
    await town.desk.expectBalanced()

    // Who was robbed holds a proof against the payer; the centers are convicted by the bank, before everybody.
    const [{ file }] = await shop.run(shop.engine.proofs(9))
    verifyDoubleSpend(suite, economy.known, file.proof)
    const names = (await town.desk.run(town.desk.engine.centerProofs())).map(proof => toHex(verifyCenterProof(suite, proof).id)).sort()
    expect(names).toEqual([keepers[0], keepers[1]].map(({ id }) => toHex(id)).sort())
    publish(await town.desk.run(town.desk.engine.revocations()))
  })

  test('once they are revoked, nothing of the kind happens again', async () => {
    const keepers = await keepersFor(8)
    twoFaced(keepers[0])
    twoFaced(keepers[1])
    publish([0, 1].map(i => ({ voteKey: keepers[i].voteKey.publicKey, from: START, why: { is: 'retired' as const, retirement: retire(suite, NETWORK, keepers[i].voteKey) } })))
    const thief = await thiefOf(ann)
    keepers[3].down = true
    await ann.codeOf(ann.engine.payWithCoins(await shop.invoice(8)))
    keepers[3].down = false
    keepers[2].down = true
    await thief.codeOf(thief.engine.payWithCoins(await rival.invoice(8)))
    const taken = async (of: Shop): Promise<number> => (await of.run(of.engine.takings())).accepted
    // This coin finds no certificate anywhere; what was paid was paid with other coins, and those once.
    await town.desk.expectBalanced()
    const books = await town.desk.run(town.desk.engine.books())
    expect(await taken(shop) + await taken(rival)).toBe(books.accounts)
  })
})

describe('a proof', () => {
  const { known, centers } = createEconomy()
  const { ring: map } = known
  const mint = () => {
    const own = createEconomy()
    const owned = own.mint(8)
    return { owned, id: coinId(suite, owned.coin), keepers: own.keepersOf(owned) }
  }
  const { owned, id, keepers } = mint()
  const [keeper] = keepers
  const stranger = centers.find(center => !keepers.some(each => toHex(each.id) === toHex(center.id))) as TestCenter
  const [one, two] = [1, 2].map(i => suite.sha256(Uint8Array.of(i)))
  const ballot = (d: Uint8Array, key = keeper.voteKey, coin = id): { d: Uint8Array, signature: Uint8Array } => ({ d, signature: signVote(suite, key, keeper.id, map.id, coin, d).signature })
  const twice = { is: 'twice' as const, ring: map.id, center: keeper.id, coin: id, first: ballot(one), second: ballot(two) }
  const foreign = { is: 'foreign' as const, ring: map.id, center: stranger.id, coin: owned.coin, vote: ballot(one, stranger.voteKey) }
  const check = (fault: CenterFault, changes: Partial<CenterProofFile> = {}): string => codeOf(() => { verifyCenterProof(suite, { ...centerProofFile(fault, known), ...changes }) })

  test('of two votes, or of a vote for a coin of others, holds', () => {
    expect(check(twice)).toBe('accepted')
    expect(check(foreign)).toBe('accepted')
  })

  test.each<[string, CenterFault]>([
    ['one vote twice', { ...twice, second: twice.first }],
    ['a vote that somebody else signed', { ...twice, second: ballot(two, keyNamed('other')) }],
    ['votes for two coins', { ...twice, second: ballot(two, keeper.voteKey, one) }],
    ['another center', { ...twice, center: stranger.id }],
    ['no center', { ...twice, center: one }],
    ['another ring', { ...twice, ring: one }],
    ['a vote for a coin that the center keeps', { ...foreign, center: keeper.id, vote: ballot(one) }],
    ['a vote for a coin under a signature that moves it elsewhere', { ...foreign, coin: { ...foreign.coin, signature: new Uint8Array(256) } }],
    ['a vote for a coin of another keyset', { ...foreign, coin: { ...foreign.coin, keyset: one } }],
    ['a vote for another d', { ...foreign, vote: { ...foreign.vote, d: two } }]
  ])('of %s proves nothing', (_, fault) => { expect(['bad-proof', 'bad-coin']).toContain(check(fault)) })

  test('needs a ring that the bank has signed', () => {
    expect(check(twice, { ring: { ...map.ring, virtualNodesPerWeight: 63 } })).toBe('bad-proof')
    expect(check(twice, { keyset: { ...known.signed, signature: new Uint8Array(64) } })).toBe('bad-keyset')
  })

  describe('in a listing', () => {
    const own = createEconomy()
    const listing = { ...own.listing, sealedDays: [] }
    const revocation: Revocation = { voteKey: keeper.voteKey.publicKey, from: START, why: { is: 'fault', fault: twice } }
    const given: Revocation = { voteKey: stranger.voteKey.publicKey, from: START, why: { is: 'retired', retirement: retire(suite, NETWORK, stranger.voteKey) } }
    const policy = (revocations: Revocation[], previous = listing): string | null => checkListing(suite, NETWORK, { ...listing, revocations }, { beside: [], previous, now: START })

    test('revokes; without one nobody\'s key can be revoked, by the bank least of all', () => {
      expect(policy([revocation, given])).toBeNull()
      expect(policy([{ ...revocation, why: { is: 'fault', fault: foreign } }, given])).toContain('another key')
      expect(policy([{ ...given, voteKey: keeper.voteKey.publicKey }])).toContain('another key')
      expect(policy([{ ...given, why: { is: 'retired', retirement: retire(suite, 'other', stranger.voteKey) } }])).toContain('another network')
      expect(policy([{ ...given, why: { is: 'retired', retirement: { ...retire(suite, NETWORK, own.bank), voteKey: stranger.voteKey.publicKey } } }])).toContain('not signed')
      expect(policy([given, { ...given, from: START + 1 }])).toContain('twice')
    })

    test('is not taken back, nor is its date changed', () => {
      const before = { ...listing, revocations: [revocation] }
      expect(policy([revocation], before)).toBeNull()
      expect(policy([], before)).toContain('taken back')
      expect(policy([{ ...revocation, from: START + 1 }], before)).toContain('taken back')
    })
  })
})

test('whoever hands in a proof to the bank is heard once, and nothing else is believed', async () => {
  const owned = economy.mint(8)
  const [keeper] = economy.keepersOf(owned)
  const ballots = [1, 2].map(i => {
    const d = suite.sha256(Uint8Array.of(i))
    return { d, signature: signVote(suite, keeper.voteKey, keeper.id, economy.known.ring.id, coinId(suite, owned.coin), d).signature }
  })
  const fault: CenterFault = { is: 'twice', ring: economy.known.ring.id, center: keeper.id, coin: coinId(suite, owned.coin), first: ballots[0], second: ballots[1] }
  expect(await town.desk.codeOf({ op: 'accuse', fault: { ...fault, second: ballots[0] } })).toBe('bad-proof')
  expect(await town.desk.codeOf({ op: 'accuse', fault: { ...fault, ring: new Uint8Array(32) } })).toBe('unknown-ring')
  expect(await town.desk.run(town.desk.engine.revocations())).toEqual([])
  expect(await town.desk.codeOf({ op: 'accuse', fault })).toBe('accused')
  economy.clock.advance(1000)
  expect(await town.desk.codeOf({ op: 'accuse', fault })).toBe('accused')
  const [revocation, ...rest] = await town.desk.run(town.desk.engine.revocations())
  expect(rest).toEqual([])
  expect(revocation.from).toBe(START)
})
