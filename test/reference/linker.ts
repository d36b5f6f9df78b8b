/**
 * An attacker who has all that bank, centers and merchants store and receive, and tries to say which wallet an anonymous request
 * comes from, by what was issued to each wallet before. He looks for
 *
 * - any eight bytes in common, at any offset, of the fields of what was said and stored (numbers aside), of digests, reversals and
 *   text forms of them;
 * - blinded messages that are a coin's own message times a factor that he can guess;
 * - factors that serve more than once.
 */
import { createHash } from 'node:crypto'
import { toHex } from '@mixmint/core/kit/bytes'
import { tagged } from '@mixmint/core/kit/codec'
import { blindingFactor } from '@mixmint/core/crypto/rsabssa'
import type { RsaPublicKey, Suite } from '@mixmint/core/crypto/suite'
import type { Coin, Output } from '@mixmint/core/cash/formats'

/** One visit: all that the three roles saw of it. */
export interface Seen {
  /** Of what was sent, answered and written: all bytes and texts of eight bytes and more. */
  readonly fields: readonly Uint8Array[]
  readonly coins: readonly Coin[]
  /** What was signed blindly, with the answer. */
  readonly issued: ReadonlyArray<Output & { readonly signature: Uint8Array }>
}

/** By whom: for issuance the attacker knows it, for spends he is to say it. */
export interface Labelled { readonly who: number, readonly seen: Seen }

const WINDOW = 8
const TAGS = ['coin', 'output', 'spend', 'spend-digest', 'serial', 'account', 'nonce', 'withdrawal', 'opening']

const digest = (...parts: readonly Uint8Array[]): Uint8Array => {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return new Uint8Array(hash.digest())
}

function distinct (fields: readonly Uint8Array[]): Uint8Array[] {
  return [...new Map(fields.map(field => [toHex(field), field])).values()]
}

function * derived (fields: readonly Uint8Array[]): Iterable<Uint8Array> {
  for (const field of distinct(fields)) {
    yield field
    yield field.toReversed()
    yield field.map(byte => byte ^ 255)
    yield digest(field)
    yield digest(digest(field))
    for (const tag of TAGS) yield digest(tagged(tag, field))
  }
}

function * windows (bytes: Uint8Array): Iterable<string> {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1')
  for (let at = 0; at + WINDOW <= text.length; at++) yield text.slice(at, at + WINDOW)
}

/** Of text forms twice as many characters, for each says less. */
function * textWindows (fields: readonly Uint8Array[]): Iterable<string> {
  for (const field of distinct(fields)) {
    for (const text of [toHex(field), Buffer.from(field).toString('base64url')]) {
      for (let at = 0; at + 2 * WINDOW <= text.length; at++) yield text.slice(at, at + 2 * WINDOW)
    }
  }
}

function * allWindows ({ fields }: Seen): Iterable<string> {
  for (const bytes of derived(fields)) yield * windows(bytes)
  yield * textWindows(fields)
}

export class Linker {
  readonly #suite: Suite
  readonly #keyFor: (keyset: Uint8Array, value: number) => RsaPublicKey
  readonly #issuance: readonly Labelled[]
  readonly #wallets: number
  /** Of each eight bytes that were seen when coins were issued to one wallet only: to which. */
  readonly #owners = new Map<string, number>()

  constructor (suite: Suite, keyFor: (keyset: Uint8Array, value: number) => RsaPublicKey, wallets: number, issuance: readonly Labelled[]) {
    this.#suite = suite
    this.#keyFor = keyFor
    this.#wallets = wallets
    this.#issuance = issuance
    for (const { who, seen } of issuance) {
      for (const window of allWindows(seen)) this.#owners.set(window, (this.#owners.get(window) ?? who) === who ? who : -1)
    }
  }

  /** Evidence for each wallet, for each of these visits. */
  evidence (spends: readonly Seen[]): number[][] {
    const scores = spends.map(() => new Array<number>(this.#wallets).fill(0))
    for (const [i, spend] of spends.entries()) {
      for (const window of allWindows(spend)) {
        const owner = this.#owners.get(window) ?? -1
        if (owner >= 0) scores[i][owner] += 1
      }
    }
    this.#divide(spends, scores)
    return scores
  }

  /** s / σ for each blind signature s and coin signature σ of one key: the factor, where they belong together. */
  #divide (spends: readonly Seen[], scores: number[][]): void {
    const factors = new Map<string, Array<{ who: number, spend: number, coin: string }>>()
    const coins = spends.flatMap((seen, spend) => [...new Map(seen.coins.map(coin => [toHex(coin.publicKey), coin]))].map(([name, coin]) => {
      const n = number(this.#keyFor(coin.keyset, coin.value).n)
      return { spend, name, kind: `${toHex(coin.keyset)} ${coin.value}`, n, inverse: inverse(number(coin.signature), n) }
    }))
    for (const { who, seen } of this.#issuance) {
      for (const { keyset, value, signature } of seen.issued) {
        const same = coins.filter(({ kind }) => kind === `${toHex(keyset)} ${value}`)
        const guesses = same.length === 0 ? [] : this.#guesses(this.#keyFor(keyset, value), seen)
        for (const { spend, name, n, inverse } of same) {
          const factor = number(signature) * inverse % n
          if (guesses.some(guess => guess % n === factor)) scores[spend][who] += 1000
          const place = `${value} ${factor}`
          factors.set(place, [...factors.get(place) ?? [], { who, spend, coin: name }])
        }
      }
    }
    // A wrong pair gives a number that is like chance: none comes up for two different coins.
    for (const pairs of factors.values()) {
      if (new Set(pairs.map(({ coin }) => coin)).size > 1) for (const { who, spend } of pairs) scores[spend][who] += 1000
    }
  }

  #guesses (key: RsaPublicKey, { fields }: Seen): bigint[] {
    const guesses = Array.from({ length: 64 }, (_, i) => BigInt(i + 1))
    for (const field of distinct(fields).filter(({ length }) => length === 32)) {
      for (const seed of [field, digest(field)]) guesses.push(number(seed), number(blindingFactor(this.#suite, key, seed)))
    }
    return guesses
  }
}

function number (bytes: Uint8Array): bigint {
  return BigInt(`0x${toHex(bytes)}`)
}

/** Extended Euclid. */
function inverse (a: bigint, n: bigint): bigint {
  let [r, s, x, y] = [a % n, n, 1n, 0n]
  while (r > 0n) {
    const q = s / r
    ;[s, r] = [r, s - q * r]
    ;[y, x] = [x, y - q * x]
  }
  return (y % n + n) % n
}
