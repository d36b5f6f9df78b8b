import { describe, expect, test } from 'vitest'
import { tagged } from '@mixmint/core/kit/codec'
import { coinId } from '@mixmint/core/cash/coin'
import type { Input, Spend, Vote } from '@mixmint/core/cash/formats'
import {
  isCertified, openingFor, signSpend, signVote, spendDigest, verifyDoubleSpend, verifyOpening, verifySpend, verifyVote
} from '@mixmint/core/cash/spend'
import { codeOf } from '../doubles/code.ts'
import { createEconomy, mint, suite, type TestCenter } from '../doubles/economy.ts'
import { malleated, smallOrderKeys, smallOrderSignatures } from '../doubles/small-order.ts'

const economy = createEconomy()
const { known } = economy
const D = suite.sha256(Uint8Array.of(1))
const E = suite.sha256(Uint8Array.of(2))
const owned = economy.mint(8)
const { coin, key } = owned
const input = signSpend(suite, key, coin, D)
const { spend } = input
const id = coinId(suite, coin)
const keepers = economy.keepersOf(owned)
const stranger = economy.centers.find(center => !keepers.includes(center)) as TestCenter

const check = (spend: Spend): string => codeOf(() => { verifySpend(suite, known, spend) })
const vote = (center: TestCenter, d = spend.d, ring = known.ring.id, coin = id, key = center.voteKey): Vote => signVote(suite, key, center.id, ring, coin, d)

describe('a spend', () => {
  test('signed by the coin is accepted, and repeats itself', () => {
    expect(check(spend)).toBe('accepted')
    expect(signSpend(suite, key, coin, D)).toEqual(input)
  })

  test.each([
    ['for another d', { ...spend, d: spendDigest(suite, E, input.opening) }, 'bad-spend'],
    ['signed by another key', { ...spend, signature: suite.ed25519Sign(economy.payee, tagged('spend', id, spend.d)) }, 'bad-spend'],
    ['signed under another tag', { ...spend, signature: suite.ed25519Sign(key, tagged('void', id, spend.d)) }, 'bad-spend'],
    ['signed without the coin\'s id', { ...spend, signature: suite.ed25519Sign(key, tagged('spend', spend.d)) }, 'bad-spend'],
    ['of another coin of the same owner', { ...spend, coin: economy.mint(8).coin }, 'bad-spend'],
    ['of no coin', { ...spend, coin: { ...coin, signature: new Uint8Array(256) } }, 'bad-coin'],
    ['of a value that is not there', { ...spend, coin: { ...coin, value: 5 } }, 'unknown-denomination'],
    ['with S + ℓ', { ...spend, signature: malleated(spend.signature) }, 'bad-spend']
  ])('%s is refused', (_, bad, code) => { expect(check(bad)).toBe(code) })

  test('by a coin whose key is of small order is refused, though the bank has signed the coin', () => {
    for (const publicKey of smallOrderKeys) {
      const { coin } = economy.mintFor(publicKey, 1)
      for (const signature of smallOrderSignatures) {
        for (let i = 0; i < 8; i++) expect(check({ coin, d: suite.sha256(Uint8Array.of(i)), signature })).toBe('bad-spend')
      }
    }
  })
})

describe('the opening', () => {
  const opened = (input: Input, contract: Uint8Array): string => codeOf(() => { verifyOpening(suite, contract, input) })
  test('shows which contract a spend is for', () => {
    expect(opened(input, D)).toBe('accepted')
    expect(opened(input, E)).toBe('bad-opening')
    expect(opened({ ...input, opening: openingFor(suite, key, E) }, D)).toBe('bad-opening')
    expect(opened({ ...input, opening: new Uint8Array(32) }, D)).toBe('bad-opening')
  })
  test('differs by coin, so that digests do not tell which coins go together', () => {
    const other = economy.mint(8)
    expect(signSpend(suite, other.key, other.coin, D).spend.d).not.toEqual(spend.d)
  })
})

describe('a vote', () => {
  const check = (vote: Vote): string => codeOf(() => { verifyVote(suite, known, spend, vote) })
  test('of a keeper counts', () => { for (const keeper of keepers) expect(check(vote(keeper))).toBe('accepted') })
  test.each([
    ['of a center outside the coin\'s group', vote(stranger), 'not-a-keeper'],
    ['of a center that nobody knows', { ...vote(keepers[0]), center: D }, 'not-a-keeper'],
    ['in the name of another keeper', { ...vote(keepers[0]), center: keepers[1].id }, 'bad-vote'],
    ['for another d', vote(keepers[0], D), 'bad-vote'],
    ['for another coin', vote(keepers[0], spend.d, known.ring.id, D), 'bad-vote'],
    ['of another ring', vote(keepers[0], spend.d, D), 'bad-vote'],
    ['signed by another key', vote(keepers[0], spend.d, known.ring.id, id, economy.payee), 'bad-vote'],
    ['with S + ℓ', { ...vote(keepers[0]), signature: malleated(vote(keepers[0]).signature) }, 'bad-vote']
  ])('%s is refused', (_, bad, code) => { expect(check(bad)).toBe(code) })
})

describe('a certificate', () => {
  const certified = (...votes: Vote[]): boolean => isCertified(suite, known, spend, votes)
  const [a, b, c, d] = keepers.map(keeper => vote(keeper))

  test('is q votes of distinct keepers, whichever', () => {
    expect(certified(a, b, c)).toBe(true)
    expect(certified(d, b, a)).toBe(true)
    expect(certified(a, b, c, d)).toBe(true)
  })
  test('is not fewer', () => {
    expect(certified()).toBe(false)
    expect(certified(a, b)).toBe(false)
  })
  test('counts a center once, however often it stands there', () => {
    expect(certified(a, a, b)).toBe(false)
    expect(certified(a, b, b, b, a)).toBe(false)
    expect(certified(a, { ...a, signature: malleated(a.signature) }, b)).toBe(false)
  })
  test('is not harmed by votes that do not count', () => {
    const junk = { ...c, signature: new Uint8Array(64) }
    expect(certified(junk, a, junk, b, vote(stranger), c)).toBe(true)
    expect(certified(junk, a, b, vote(stranger), { ...vote(keepers[2], D) })).toBe(false)
  })
})

describe('a double-spend proof', () => {
  const second = signSpend(suite, key, coin, E).spend
  const check = (first: Spend, second: Spend): string => codeOf(() => { verifyDoubleSpend(suite, known, { first, second }) })

  test('is two spends of one coin for different contracts', () => {
    expect(check(spend, second)).toBe('accepted')
    expect(check(second, spend)).toBe('accepted')
  })

  test('names its keyset: spends of a coin of another prove nothing here, though the keys are the same', () => {
    const { coin, key } = mint(D, E, 8)
    expect(check(signSpend(suite, key, coin, D).spend, signSpend(suite, key, coin, E).spend)).toBe('bad-proof')
  })

  const other = economy.mint(8)
  test.each([
    ['the same spend twice', spend, spend, 'bad-proof'],
    ['spends of two coins', spend, signSpend(suite, other.key, other.coin, E).spend, 'bad-proof'],
    ['a first that the coin has not signed', { ...spend, signature: second.signature }, second, 'bad-spend'],
    ['a second that the coin has not signed', spend, { ...second, signature: spend.signature }, 'bad-spend'],
    ['a first of a coin that is none', { ...spend, coin: { ...coin, signature: new Uint8Array(256) } }, second, 'bad-coin'],
    ['a second of a coin that is none', spend, { ...second, coin: { ...coin, signature: new Uint8Array(256) } }, 'bad-coin'],
    ['a first of another keyset', { ...spend, coin: { ...coin, keyset: D } }, second, 'bad-proof'],
    ['a second of another keyset', spend, { ...second, coin: { ...coin, keyset: D } }, 'bad-proof']
  ])('not %s', (_, first, second, code) => { expect(check(first, second)).toBe(code) })
})
