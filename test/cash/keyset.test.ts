import { describe, expect, test } from 'vitest'
import { encode, tagged } from '@mixmint/core/kit/codec'
import { Keyset, type BankListing, type SignedDayKey, type SignedKeyset } from '@mixmint/core/cash/formats'
import { dayOf, isPowerOfTwo, keysetId, signDayKey, signKeyset, verifyDayKey, verifyKeyset } from '@mixmint/core/cash/keyset'
import { Registry } from '@mixmint/core/cash/registry'
import { codeOf } from '../doubles/code.ts'
import { createEconomy, DAY, MONEY, NETWORK, START, suite, UNIT } from '../doubles/economy.ts'

const economy = createEconomy()
const { bank, payee, signedKeyset, listing } = economy
const { keyset } = signedKeyset
const dayKey = listing.dayKeys[0]

const changed = (changes: Partial<Keyset>): SignedKeyset => signKeyset(suite, bank, { ...keyset, ...changes })
const check = (signed: SignedKeyset): string => codeOf(() => verifyKeyset(suite, NETWORK, bank.publicKey, signed))

test('a keyset has the hash of its tagged encoding as its id', () => {
  expect(verifyKeyset(suite, NETWORK, bank.publicKey, signedKeyset)).toEqual(suite.sha256(tagged('keyset', encode(Keyset, keyset))))
})

test('its id commits to unit, values, keys, dates and ring', () => {
  const ids = [
    {}, { unit: 'x' }, { denominations: keyset.denominations.slice(1) }, { issueFrom: 1 }, { issueUntil: 1 }, { spendUntil: 1 },
    { redeemUntil: 1 }, { refundUntil: 1 }, { ringId: new Uint8Array(32) }, { network: 'x' }, { bank: payee.publicKey },
    { denominations: keyset.denominations.map(d => ({ ...d, key: keyset.denominations[0].key })) }
  ].map(changes => Buffer.from(keysetId(suite, { ...keyset, ...changes })).toString('hex'))
  expect(new Set(ids).size).toBe(ids.length)
})

describe('a keyset is refused', () => {
  const odd = (change: (key: Uint8Array) => void): SignedKeyset => {
    const denominations = keyset.denominations.map(d => ({ ...d, key: d.key.slice() }))
    change(denominations[2].key)
    return changed({ denominations })
  }
  const at = (value: number): SignedKeyset => changed({ denominations: [{ ...keyset.denominations[0], value }] })

  test.each([
    ['of another network', changed({ network: 'other' })],
    ['of another bank', signKeyset(suite, bank, { ...keyset, bank: payee.publicKey })],
    ['signed by somebody else', { ...signedKeyset, signature: signKeyset(suite, payee, keyset).signature }],
    ['with a changed field under the old signature', { ...signedKeyset, keyset: { ...keyset, refundUntil: keyset.refundUntil + 1 } }],
    ['that ends issuing before it begins', changed({ issueFrom: keyset.issueUntil })],
    ['that ends spending before issuing', changed({ spendUntil: keyset.issueUntil })],
    ['that ends redeeming before spending', changed({ redeemUntil: keyset.spendUntil })],
    ['that ends refunds before redeeming', changed({ refundUntil: keyset.redeemUntil })],
    ['with a value that is no power of two', at(3)],
    ['with the value 0', at(0)],
    ['with the value 2^53 − 1, whose logarithm rounds', at(2 ** 53 - 1)],
    ['with one value twice', changed({ denominations: [keyset.denominations[0], keyset.denominations[0]] })],
    ['with falling values', changed({ denominations: keyset.denominations.toReversed() })],
    ['with a key of fewer bits', odd(key => { key[0] = 0x7f })],
    ['with an even key', odd(key => { key[255] &= 0xfe })]
  ])('%s', (_, signed) => { expect(check(signed)).toBe('bad-keyset') })
})

test('powers of two, told exactly', () => {
  for (let i = 0; i < 53; i++) {
    expect(isPowerOfTwo(2 ** i)).toBe(true)
    if (i > 1) expect(isPowerOfTwo(2 ** i - 1)).toBe(false)
    if (i > 0) expect(isPowerOfTwo(2 ** i + 1)).toBe(false)
  }
  expect(isPowerOfTwo(0)).toBe(false)
})

describe('a day key', () => {
  const check = (signed: SignedDayKey): string => codeOf(() => { verifyDayKey(suite, NETWORK, bank.publicKey, signed) })
  test('of the bank is accepted', () => { expect(check(dayKey)).toBe('accepted') })
  test.each([
    ['of another network', signDayKey(suite, bank, { ...dayKey.dayKey, network: 'other' })],
    ['of another bank', signDayKey(suite, bank, { ...dayKey.dayKey, bank: payee.publicKey })],
    ['with its dates out of order', signDayKey(suite, bank, { ...dayKey.dayKey, validUntil: dayKey.dayKey.validFrom })],
    ['signed by somebody else', signDayKey(suite, payee, dayKey.dayKey)],
    ['changed after signing', { ...dayKey, dayKey: { ...dayKey.dayKey, key: payee.publicKey } }]
  ])('%s is refused', (_, signed) => { expect(check(signed)).toBe('bad-day-key') })
})

test('days are counted in UTC', () => {
  expect(dayOf(0)).toBe(0)
  expect(dayOf(DAY - 1)).toBe(0)
  expect(dayOf(DAY)).toBe(1)
})

describe('a registry', () => {
  const make = (changes: Partial<BankListing>): Registry => new Registry(suite, NETWORK, MONEY, [{ ...listing, ...changes }])

  test('knows what is listed', () => {
    const { registry } = economy
    expect(registry.keyset(keysetId(suite, keyset)).keyset).toEqual(keyset)
    expect(registry.dayKey(bank.publicKey, dayOf(START)).key).toEqual(economy.dayKey.publicKey)
    expect(registry.hasBank(bank.publicKey)).toBe(true)
    expect(registry.keysets().length).toBe(1)
  })

  test('and nothing else', () => {
    const { registry } = economy
    expect(codeOf(() => registry.keyset(new Uint8Array(32)))).toBe('unknown-keyset')
    expect(codeOf(() => registry.keyset(keysetId(suite, keyset)).keyFor(3))).toBe('unknown-denomination')
    expect(codeOf(() => registry.dayKey(bank.publicKey, dayOf(START) - 1))).toBe('unknown-day-key')
    expect(codeOf(() => registry.dayKey(payee.publicKey, dayOf(START)))).toBe('unknown-day-key')
    expect(registry.hasBank(payee.publicKey)).toBe(false)
  })

  test('refuses a listing with anything in it that does not verify', () => {
    expect(codeOf(() => make({ keysets: [signKeyset(suite, payee, keyset)] }))).toBe('bad-keyset')
    expect(codeOf(() => make({ keysets: [changed({ network: 'other' })] }))).toBe('bad-keyset')
    expect(codeOf(() => make({ bank: payee.publicKey }))).toBe('bad-keyset')
    expect(codeOf(() => make({ dayKeys: [signDayKey(suite, payee, dayKey.dayKey)] }))).toBe('bad-day-key')
    expect(codeOf(() => make({ rings: [{ ...economy.ring, quorum: 2 }] }))).toBe('bad-ring')
  })

  test('refuses a keyset whose ring is not listed, or another than the one it commits to', () => {
    expect(codeOf(() => make({ rings: [] }))).toBe('bad-keyset')
    expect(codeOf(() => make({ rings: [{ ...economy.ring, virtualNodesPerWeight: 65 }] }))).toBe('bad-keyset')
  })

  test('tells which keysets issue now, the one that lasts longest first', () => {
    const later = changed({ issueFrom: START, issueUntil: keyset.issueUntil + DAY })
    const registry = make({ keysets: [signedKeyset, later, changed({ unit: 'USD-cent' })] })
    const ends = (unit: string, now: number): number[] => registry.issuing(bank.publicKey, unit, now).map(known => known.keyset.issueUntil)
    expect(ends(UNIT, START)).toEqual([keyset.issueUntil + DAY, keyset.issueUntil])
    expect(ends(UNIT, START - 1)).toEqual([keyset.issueUntil])
    expect(ends(UNIT, keyset.issueFrom - 1)).toEqual([])
    expect(ends(UNIT, keyset.issueUntil)).toEqual([keyset.issueUntil + DAY])
    expect(ends('USD-cent', START)).toEqual([keyset.issueUntil])
    expect(registry.issuing(payee.publicKey, UNIT, START)).toEqual([])
  })
})
