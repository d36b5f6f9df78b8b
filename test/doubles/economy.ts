/**
 * A small economy for tests: one bank with 2048-bit keys, a ring of centers with their engines and stores, a registry, a
 * virtual clock, chance from a seed. Coins are minted directly; everything else is the production code.
 *
 * const economy = createEconomy()
 * const { coin, key } = economy.mint(8)
 * const input = signSpend(economy.suite, key, coin, D)
 * await economy.run(certify(economy, [input]))
 */
import { readFileSync } from 'node:fs'
import { toHex, utf8 } from '@mixmint/core/kit/bytes'
import { decode, encode } from '@mixmint/core/kit/codec'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Store } from '@mixmint/core/kit/ports'
import { drive, type BasePorts, type Saga } from '@mixmint/core/kit/saga'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import { blind, finalize, blindingFactor } from '@mixmint/core/crypto/rsabssa'
import type { Ed25519KeyPair, RsaPrivateKey, Suite } from '@mixmint/core/crypto/suite'
import { CenterEngine } from '@mixmint/core/cash/center'
import type { AskCenter } from '@mixmint/core/cash/certify'
import { coinMessage } from '@mixmint/core/cash/coin'
import type { BankListing, Coin, Contract, DayKey, Invoice, Keyset, MoneyParameters, Output, Ring, SealedKeys, SealedToken, SignedKeyset, Token } from '@mixmint/core/cash/formats'
import { dayOf, keysetId, signDayKey, signKeyset } from '@mixmint/core/cash/keyset'
import { CenterReply, CenterRequest } from '@mixmint/core/cash/messages'
import { type KnownKeyset } from '@mixmint/core/cash/known-keyset'
import { Registry } from '@mixmint/core/cash/registry'
import { ringId } from '@mixmint/core/cash/ring'
import { sealedMessage } from '@mixmint/core/cash/sealed'
import { sealedDayOf, signSealedKeys, verifySealedKeys, type KnownSealedKeys } from '@mixmint/core/cash/sealed-keys'
import { VirtualClock } from './clock.ts'
import { MemoryStore } from './memory-store.ts'
import { CountingMeter } from './meter.ts'
import { seededRng } from './rng.ts'

export const suite: Suite = await defaultSuite()
export const NETWORK = 'test-network'
export const UNIT = 'EUR-cent'
/** 2026-01-15, noon UTC: where every economy's clock starts. */
export const START = Date.UTC(2026, 0, 15, 12)
export const HOUR = 3_600_000
export const DAY = 24 * HOUR

/** Values of the default keyset, one RSA key each. */
export const VALUES = [1, 2, 4, 8, 16, 32, 64, 128] as const

export const MONEY: MoneyParameters = {
  clockSkew: 60_000, settleMaximum: DAY, voidGrace: HOUR, margin: 10 * 60_000,
  tokenValid: DAY, tokenDeposit: 7 * DAY, tokenRefund: 8 * DAY, keeperTimeout: 2_000
}

/** RSA keys of the bank, as PKCS #8 and as the suite holds them: the one at `i` belongs to the value 2^i. */
export const rsaPkcs8: readonly Uint8Array[] = (JSON.parse(readFileSync(new URL('./rsa-keys.json', import.meta.url), 'utf8')) as { keys: string[] })
  .keys.map(key => new Uint8Array(Buffer.from(key, 'base64')))
export const rsaKeys: readonly RsaPrivateKey[] = rsaPkcs8.map(suite.rsaImportPrivate)

/** The key pair that a name stands for. */
export function keyNamed (name: string): Ed25519KeyPair {
  return suite.ed25519KeyPair(suite.sha256(utf8(name)))
}

export interface OwnedCoin {
  readonly coin: Coin
  readonly key: Ed25519KeyPair
}

/** One center with its store; `down` makes it unreachable, `answer` takes the place of its engine (a liar). */
export interface TestCenter {
  readonly id: Uint8Array
  readonly voteKey: Ed25519KeyPair
  readonly meter: CountingMeter
  store: Store
  engine: CenterEngine
  down: boolean
  /** How far its clock is ahead, ms. */
  skew: number
  answer: ((request: CenterRequest) => CenterReply | Promise<CenterReply>) | null
  /** Requests that reached it. */
  asked: number
}

export interface EconomyOptions {
  readonly seed?: string | number
  /** How many centers, and the ring's n, f and q; default 7 with 4/1/3. */
  readonly centers?: number
  readonly ring?: Partial<Ring>
  /** Changes to the keyset: dates, unit, … */
  readonly keyset?: Partial<Keyset>
  readonly parameters?: Partial<MoneyParameters>
  /** Further keysets, as the first but for what is given; a ring of its own may have other centers of the same economy. */
  readonly later?: ReadonlyArray<{ readonly keyset: Partial<Keyset>, readonly ring?: Partial<Ring> }>
}

/** So many days have keys of sealed tokens in the directory: more than a history has. */
const SEALED_DAYS = 50

export function sealedKeysOfDay (bank: Ed25519KeyPair, { tokenValid, tokenDeposit, tokenRefund }: MoneyParameters, day: number, changes: Partial<SealedKeys> = {}): KnownSealedKeys {
  const end = (day + 1) * DAY
  return verifySealedKeys(suite, NETWORK, bank.publicKey, signSealedKeys(suite, bank, {
    network: NETWORK, bank: bank.publicKey, unit: UNIT, day, denominations: VALUES.map((value, i) => ({ value, key: rsaKeys[i].publicKey.n })),
    notBefore: day * DAY, notAfter: end + tokenValid, depositUntil: end + tokenDeposit, refundAfter: end + tokenRefund, ...changes
  }))
}

export type Economy = ReturnType<typeof createEconomy>

export function createEconomy (options: EconomyOptions = {}) {
  const clock = new VirtualClock(START)
  const rng = seededRng(options.seed ?? 'economy')
  const meter = new CountingMeter()
  const parameters = { ...MONEY, ...options.parameters }
  const bank = keyNamed('bank')
  const payee = keyNamed('payee')
  const account = keyNamed('account')
  const dayKey = keyNamed('day key')

  const ids = Array.from({ length: options.centers ?? 7 }, (_, i) => ({ id: suite.sha256(utf8(`center ${i}`)), voteKey: keyNamed(`vote key ${i}`) }))
  const ring: Ring = {
    centers: ids.map(({ id, voteKey }) => ({ id, voteKey: voteKey.publicKey, weight: 1 })),
    virtualNodesPerWeight: 64, replicas: 4, faults: 1, quorum: 3, ...options.ring
  }
  const signedKeyset: SignedKeyset = signKeyset(suite, bank, {
    network: NETWORK, bank: bank.publicKey, unit: UNIT,
    denominations: VALUES.map((value, i) => ({ value, key: rsaKeys[i].publicKey.n })),
    issueFrom: START - DAY, issueUntil: START + 30 * DAY, spendUntil: START + 60 * DAY, redeemUntil: START + 90 * DAY, refundUntil: START + 120 * DAY,
    ringId: ringId(suite, ring), ...options.keyset
  })
  const days: DayKey[] = Array.from({ length: 8 }, (_, i) => ({
    network: NETWORK, bank: bank.publicKey, day: dayOf(START) + i, key: dayKey.publicKey,
    validFrom: (dayOf(START) + i) * DAY, validUntil: (dayOf(START) + i + 1) * DAY
  }))
  // With the keys of coins, for those take long to make: what is signed differs by its tag.
  const sealed = Array.from({ length: SEALED_DAYS }, (_, i) => sealedKeysOfDay(bank, parameters, dayOf(START) + i))
  const later = (options.later ?? []).map(changes => {
    const own = { ...ring, ...changes.ring }
    return { ring: own, signed: signKeyset(suite, bank, { ...signedKeyset.keyset, ringId: ringId(suite, own), ...changes.keyset }) }
  })
  const rings = new Map([ring, ...later.map(({ ring }) => ring)].map(each => [toHex(ringId(suite, each)), each]))
  const listing: BankListing = {
    bank: bank.publicKey, keysets: [signedKeyset, ...later.map(({ signed }) => signed)], rings: [...rings.values()],
    dayKeys: days.map(day => signDayKey(suite, bank, day)), sealedDays: sealed.map(sealedDayOf), revocations: []
  }
  const registry = new Registry(suite, NETWORK, parameters, [listing])
  const keysets: KnownKeyset[] = listing.keysets.map(({ keyset }) => registry.keyset(keysetId(suite, keyset)))
  const [known] = keysets

  const newEngine = ({ id, voteKey, meter }: Pick<TestCenter, 'id' | 'voteKey' | 'meter'>): CenterEngine =>
    new CenterEngine({ suite, id, voteKeys: [voteKey], registry: () => registry, meter })
  const centers: TestCenter[] = ids.map(({ id, voteKey }) => {
    const meter = new CountingMeter()
    return { id, voteKey, meter, store: new MemoryStore(), engine: newEngine({ id, voteKey, meter }), down: false, skew: 0, answer: null, asked: 0 }
  })

  const ports = (store: Store): BasePorts => ({ clock, rng, store, wait: clock.wait })

  /** What a shell does for the effect `ask-center`: the request and the reply go through their codecs. */
  const askCenter = async (effect: AskCenter): Promise<CenterReply> => {
    const center = centers.find(({ id }) => Buffer.compare(id, effect.center) === 0)
    if (center === undefined || center.down) throw new MixmintError('unreachable', 'peer', 'the center is down', { retry: true })
    center.asked += 1
    const request = decode(CenterRequest, encode(CenterRequest, effect.request))
    const reply = center.answer === null
      ? await drive(center.engine.handle(request), { ...ports(center.store), clock: { now: () => clock.now() + center.skew } }, never)
      : await center.answer(request)
    return decode(CenterReply, encode(CenterReply, reply))
  }

  return {
    suite, clock, rng, meter, parameters, bank, payee, account, dayKey, ring, signedKeyset, listing, registry, known, keysets, centers, ports, askCenter,

    /** The keys of sealed tokens of a day: 0 is that of START. */
    sealed: (day: number): KnownSealedKeys => sealed[day],

    /** As a bank keeps them. */
    sealedKeys: (id: Uint8Array): KnownSealedKeys | undefined => sealed.find(known => Buffer.compare(known.id, id) === 0),

    /** The bank's RSA keys by value. */
    rsaKeyFor: (value: number): RsaPrivateKey => rsaKeys[Math.log2(value)],

    /** A coin that the bank has signed, and its key. */
    mint: (value: number): OwnedCoin => mint(rng.bytes(32), known.id, value),

    /** A coin that the bank has signed for whatever key its owner chose; `key` is of no use with it. */
    mintFor: (publicKey: Uint8Array, value: number): OwnedCoin => ({ coin: signCoin(known.id, value, publicKey), key: keyNamed('no key') }),

    /** A blinded output, and what turns the bank's answer into a coin. */
    output (value: number): { output: Output, finish: (blindSignature: Uint8Array) => OwnedCoin } {
      const key = suite.ed25519KeyPair(rng.bytes(32))
      const message = coinMessage(known.id, value, key.publicKey)
      const publicKey = known.keyFor(value)
      const { blinded, inverse } = blind(suite, publicKey, message, new Uint8Array(0), blindingFactor(suite, publicKey, rng.bytes(32)))
      return {
        output: { keyset: known.id, value, blinded },
        finish: blindSignature => ({
          coin: { keyset: known.id, value, publicKey: key.publicKey, signature: finalize(suite, publicKey, message, inverse, blindSignature, 0) }, key
        })
      }
    },

    /** As `output`, of a sealed token of START's day, made out to the payee. */
    sealedOutput (value: number, ownerKey: Uint8Array): { output: Output, finish: (blindSignature: Uint8Array) => SealedToken } {
      const [of] = sealed
      const token = { keys: of.id, value, payee: payee.publicKey, till: new Uint8Array(0), ownerKey, nonce: rng.bytes(32) }
      const publicKey = of.keyFor(value)
      const { blinded, inverse } = blind(suite, publicKey, sealedMessage(token), new Uint8Array(0), blindingFactor(suite, publicKey, rng.bytes(32)))
      return {
        output: { keyset: of.id, value, blinded },
        finish: blindSignature => ({ ...token, signature: finalize(suite, publicKey, sealedMessage(token), inverse, blindSignature, 0) })
      }
    },

    invoice: (changes: Partial<Invoice> = {}): Invoice => ({
      network: NETWORK, bank: bank.publicKey, payee: payee.publicKey, till: new Uint8Array(0), order: 'order 1', amount: 8, unit: UNIT,
      settleBy: clock.now() + HOUR, nonce: rng.bytes(32), ...changes
    }),

    /** An exchange unless changed: give `kind`, `payee`, `amount`, `invoice`, `token` for the others. */
    contract: (changes: Partial<Contract> = {}): Contract => ({
      network: NETWORK, bank: bank.publicKey, kind: 'exchange', payee: new Uint8Array(0), amount: 0, unit: UNIT,
      invoice: new Uint8Array(0), nonce: rng.bytes(32), settleBy: clock.now() + HOUR, token: null, outputs: [], ...changes
    }),

    token: (changes: Partial<Token> = {}): Token => ({
      network: NETWORK, bank: bank.publicKey, day: dayOf(clock.now()), payee: payee.publicKey, till: new Uint8Array(0), amount: 8, unit: UNIT,
      serial: rng.bytes(32), ownerKey: keyNamed('owner').publicKey, notBefore: clock.now(), notAfter: clock.now() + DAY,
      depositUntil: clock.now() + 7 * DAY, refundAfter: clock.now() + 8 * DAY, memoHash: new Uint8Array(0), ...changes
    }),

    /** The centers that keep a coin, nearest first. */
    keepersOf ({ coin }: { coin: Coin }): TestCenter[] {
      const id = suite.sha256(coinMessage(coin.keyset, coin.value, coin.publicKey))
      return registry.keyset(coin.keyset).ring.keepers(id, coin.signature).map(keeper => centers.find(center => Buffer.compare(center.id, keeper.id) === 0) as TestCenter)
    },

    /** A center loses power, and starts anew on what it had synced. */
    restart (center: TestCenter): void {
      if (center.store instanceof MemoryStore) center.store = center.store.crash()
      center.engine = newEngine(center)
      center.down = false
    },

    /** Drive a saga of a payee, bank or collector; asks go to this economy's centers. */
    async run<T> (saga: Saga<T, AskCenter>, store: Store = new MemoryStore()): Promise<T> {
      return await drive(saga, ports(store), askCenter)
    }
  }
}

/** A coin signed by the bank's key for `value`, of any keyset. */
export function mint (seed: Uint8Array, keyset: Uint8Array, value: number): OwnedCoin {
  const key = suite.ed25519KeyPair(seed)
  return { coin: signCoin(keyset, value, key.publicKey), key }
}

function signCoin (keyset: Uint8Array, value: number, publicKey: Uint8Array): Coin {
  const rsa = rsaKeys[Math.log2(value)]
  const message = coinMessage(keyset, value, publicKey)
  const { blinded, inverse } = blind(suite, rsa.publicKey, message, new Uint8Array(0), blindingFactor(suite, rsa.publicKey, suite.sha256(message)))
  const signature = finalize(suite, rsa.publicKey, message, inverse, suite.rsaBlindSign(rsa, blinded) as Uint8Array, 0)
  return { keyset, value, publicKey, signature }
}

/** For engines that have no effects of their own. */
export async function never (effect: never): Promise<never> {
  throw new Error(`no such effect: ${JSON.stringify(effect)}`)
}
