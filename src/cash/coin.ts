/** Coins: an Ed25519 key that a bank has blindly signed (DESIGN §4; RFC 9474 RSABSSA-SHA384-PSSZERO-Deterministic). */
import { u64 } from '../kit/bytes.ts'
import { tagged } from '../kit/codec.ts'
import { MixmintError } from '../kit/errors.ts'
import type { Suite } from '../crypto/suite.ts'
import type { Coin } from './formats.ts'
import type { CoinKeys } from './known-keyset.ts'

/** What the bank signs without seeing it: tag ‖ keyset id ‖ u64 value ‖ public key. */
export function coinMessage (keyset: Uint8Array, value: number, publicKey: Uint8Array): Uint8Array {
  return tagged('coin', keyset, u64(value), publicKey)
}

/** The coin's name in every table of spent coins: H of its message, whatever its signature. 32 bytes. */
export function coinId (suite: Suite, coin: Pick<Coin, 'keyset' | 'value' | 'publicKey'>): Uint8Array {
  return suite.sha256(coinMessage(coin.keyset, coin.value, coin.publicKey))
}

/** @throws unknown-denomination, bad-coin (peer) */
export function verifyCoin (suite: Suite, known: CoinKeys, coin: Coin): void {
  const message = coinMessage(coin.keyset, coin.value, coin.publicKey)
  if (!suite.rsaVerifyPss(known.keyFor(coin.value), message, coin.signature, 0)) {
    throw new MixmintError('bad-coin', 'peer', 'the bank has not signed this coin')
  }
}
