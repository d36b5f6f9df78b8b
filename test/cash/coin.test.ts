import { describe, expect, test } from 'vitest'
import { concat, fromHex, toHex, u64, utf8 } from '@mixmint/core/kit/bytes'
import { decode, encode } from '@mixmint/core/kit/codec'
import { encodePss } from '@mixmint/core/crypto/pss'
import { coinId, coinMessage, verifyCoin } from '@mixmint/core/cash/coin'
import { coinSecrets, accountKey, contractNonce, tokenOwnerKey } from '@mixmint/core/cash/derive'
import { Coin } from '@mixmint/core/cash/formats'
import { codeOf } from '../doubles/code.ts'
import { createEconomy, mint, rsaKeys, suite } from '../doubles/economy.ts'

const economy = createEconomy()
const { known } = economy
const { coin } = economy.mint(8)
const check = (coin: Coin): string => codeOf(() => { verifyCoin(suite, known, coin) })

const toNumber = (bytes: Uint8Array): bigint => BigInt('0x' + toHex(bytes))
const toBytes = (n: bigint): Uint8Array => fromHex(n.toString(16).padStart(512, '0'))

test('what the bank has signed, blindly, is a coin', () => {
  expect(check(coin)).toBe('accepted')
  const { output, finish } = economy.output(64)
  const blind = suite.rsaBlindSign(economy.rsaKeyFor(64), output.blinded)
  expect(check(finish(blind as Uint8Array).coin)).toBe('accepted')
})

test('its message is the tag, the keyset, the value in 8 bytes, the key; its id the hash of that', () => {
  const message = concat(utf8('mixmint/coin/1'), coin.keyset, u64(8), coin.publicKey)
  expect(coinMessage(coin.keyset, coin.value, coin.publicKey)).toEqual(message)
  expect(coinId(suite, coin)).toEqual(suite.sha256(message))
})

test('its id does not depend on its signature', () => {
  expect(coinId(suite, { ...coin, signature: new Uint8Array(256) } as Coin)).toEqual(coinId(suite, coin))
})

describe('no coin', () => {
  test.each([
    ['of another value', { ...coin, value: 16 }, 'bad-coin'],
    ['of a value that the keyset does not have', { ...coin, value: 3 }, 'unknown-denomination'],
    ['of another keyset', { ...coin, keyset: new Uint8Array(32) }, 'bad-coin'],
    ['with another key', { ...coin, publicKey: economy.payee.publicKey }, 'bad-coin'],
    ['with the signature of another', { ...coin, signature: economy.mint(8).coin.signature }, 'bad-coin'],
    ['signed by the key of another value', { ...mint(economy.rng.bytes(32), known.id, 16).coin, value: 8 }, 'bad-coin'],
    ['with no signature', { ...coin, signature: new Uint8Array(256) }, 'bad-coin'],
    ['with the signature 1', { ...coin, signature: toBytes(1n) }, 'bad-coin']
  ])('%s', (_, bad, code) => { expect(check(bad)).toBe(code) })

  test('with a flipped bit anywhere in its signature', () => {
    for (let at = 0; at < 256; at += 15) {
      const signature = coin.signature.slice()
      signature[at] ^= 1
      expect(check({ ...coin, signature })).toBe('bad-coin')
    }
  })

  test('with s + n where that still fits in 256 bytes: one coin would have two names on the ring', () => {
    let tried = 0
    for (let i = 0; i < 40 && tried < 3; i++) {
      const { coin } = economy.mint(1)
      const s = toNumber(coin.signature) + toNumber(known.keyFor(1).n)
      if (s >= 1n << 2048n) continue
      tried += 1
      expect(check({ ...coin, signature: toBytes(s) })).toBe('bad-coin')
    }
    expect(tried).toBeGreaterThan(0)
  })

  test('with n − s, whose square is the same', () => {
    expect(check({ ...coin, signature: toBytes(toNumber(known.keyFor(8).n) - toNumber(coin.signature)) })).toBe('bad-coin')
  })

  test('signed by the right key under a salt of 48 bytes, or of 20', () => {
    for (const length of [48, 20, 1]) {
      const message = coinMessage(coin.keyset, coin.value, coin.publicKey)
      const salted = encodePss(suite.sha384, message, economy.rng.bytes(length), 2047)
      const signature = suite.rsaBlindSign(rsaKeys[3], salted) as Uint8Array
      expect(suite.rsaVerifyPss(known.keyFor(8), message, signature, length)).toBe(true)
      expect(check({ ...coin, signature })).toBe('bad-coin')
    }
  })

  test('of other lengths gets past the door', () => {
    for (const change of [
      { signature: coin.signature.slice(0, 255) }, { signature: concat(Uint8Array.of(0), coin.signature) },
      { publicKey: coin.publicKey.slice(0, 31) }, { keyset: concat(coin.keyset, Uint8Array.of(0)) }
    ]) {
      expect(codeOf(() => decode(Coin, encode(Coin, { ...coin, ...change })))).toBe('bad-encoding')
    }
  })
})

describe('what a wallet derives from its seed', () => {
  const seed = new Uint8Array(64).fill(7)
  const place = { keyset: known.id, value: 8, generation: 0, counter: 0 }

  test('is the same again', () => {
    expect(coinSecrets(suite, seed, place)).toEqual(coinSecrets(suite, seed.slice(), { ...place }))
  })

  test('differs with every part of the place, between key and blinding, and with the seed', () => {
    const places = [place, { ...place, keyset: new Uint8Array(32) }, { ...place, value: 16 }, { ...place, generation: 1 }, { ...place, counter: 1 }]
    const all = [
      ...places.flatMap(place => { const { key, blinding } = coinSecrets(suite, seed, place); return [key.secret, blinding] }),
      coinSecrets(suite, new Uint8Array(64), place).key.secret,
      accountKey(suite, seed, economy.bank.publicKey, 'EUR').secret, accountKey(suite, seed, economy.bank.publicKey, 'USD').secret,
      accountKey(suite, seed, economy.payee.publicKey, 'EUR').secret,
      tokenOwnerKey(suite, seed, new Uint8Array(32)).secret, tokenOwnerKey(suite, seed, new Uint8Array(32).fill(1)).secret,
      contractNonce(suite, seed, 0, 0), contractNonce(suite, seed, 0, 1), contractNonce(suite, seed, 1, 0)
    ]
    expect(new Set(all.map(toHex)).size).toBe(all.length)
  })
})
