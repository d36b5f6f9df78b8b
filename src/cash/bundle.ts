/**
 * Coin bundles: money from person to person, with no account and no payee (DESIGN §4: holding the private key is owning the
 * coin). Whoever exchanges the coins first has them; docs/decisions/0037-coins-from-person-to-person.md.
 */
import { equal, toHex } from '../kit/bytes.ts'
import { encode, tagged } from '../kit/codec.ts'
import { MixmintError } from '../kit/errors.ts'
import type { Ed25519KeyPair, Suite } from '../crypto/suite.ts'
import { coinId, verifyCoin } from './coin.ts'
import { total } from './contract.ts'
import { CoinBundle, type Coin, type HandedCoin } from './formats.ts'
import type { Registry } from './registry.ts'

/** H of the tagged encoding. 32 bytes. It names the bundle in the wallets of both sides and is told to nobody else. */
export function bundleId (suite: Suite, bundle: CoinBundle): Uint8Array {
  return suite.sha256(tagged('bundle', encode(CoinBundle, bundle)))
}

export interface Handed {
  readonly id: Uint8Array
  readonly coin: Coin
  readonly key: Ed25519KeyPair
}

/** The coins in it, with their keys; what they are worth, checkBundle says. */
export function handedCoins (suite: Suite, { coins }: CoinBundle): Handed[] {
  return coins.map(({ keyset, value, secret, signature }) => {
    const key = suite.ed25519KeyPair(secret)
    const coin = { keyset, value, publicKey: key.publicKey, signature }
    return { id: coinId(suite, coin), coin, key }
  })
}

export function handOver (coin: Coin, key: Ed25519KeyPair): HandedCoin {
  return { keyset: coin.keyset, value: coin.value, secret: key.secret, signature: coin.signature }
}

/**
 * Is it what it says: coins of this bank and unit, signed by the bank, each once, worth its amount? Whether they were spent, only
 * exchanging them tells.
 * @throws wrong-network, wrong-bank, wrong-unit, duplicate-coin, wrong-sum, unknown-keyset, unknown-denomination, bad-coin (peer)
 */
export function checkBundle (suite: Suite, registry: Registry, want: { bank: Uint8Array, unit: string }, bundle: CoinBundle): Handed[] {
  if (bundle.network !== registry.network) throw new MixmintError('wrong-network', 'peer', 'these coins belong to another network')
  if (!equal(bundle.bank, want.bank)) throw new MixmintError('wrong-bank', 'peer', 'these coins are of another bank than this wallet\'s')
  if (bundle.unit !== want.unit) throw new MixmintError('wrong-unit', 'peer', 'these coins are in another unit than this wallet\'s money')
  const handed = handedCoins(suite, bundle)
  if (new Set(handed.map(({ id }) => toHex(id))).size < handed.length) throw new MixmintError('duplicate-coin', 'peer', 'a coin is in this bundle twice')
  for (const { coin } of handed) {
    const known = registry.keyset(coin.keyset)
    if (!equal(known.keyset.bank, want.bank)) throw new MixmintError('wrong-bank', 'peer', 'a coin in it is of another bank')
    if (known.keyset.unit !== want.unit) throw new MixmintError('wrong-unit', 'peer', 'a coin in it is in another unit')
    verifyCoin(suite, known, coin)
  }
  if (total(handed.map(({ coin }) => coin)) !== bundle.amount) throw new MixmintError('wrong-sum', 'peer', 'the coins are not worth what the bundle says')
  return handed
}
