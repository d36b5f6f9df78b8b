/** A keyset as those know it who have checked it: what verifies its coins, and who judges them. */
import { MixmintError } from '../kit/errors.ts'
import type { RsaPublicKey } from '../crypto/suite.ts'
import type { Keyset, SignedKeyset } from './formats.ts'
import type { RingMap } from './ring.ts'

/** What verifies the coins of a keyset. */
export interface CoinKeys {
  readonly id: Uint8Array
  /** @throws unknown-denomination (peer) */
  readonly keyFor: (value: number) => RsaPublicKey
}

export interface KnownKeyset extends CoinKeys {
  readonly keyset: Keyset
  /** As the bank signed it: what a proof about one of its coins carries along. */
  readonly signed: SignedKeyset
  readonly ring: RingMap
}

/** The keys of a keyset, or of a day's sealed tokens, whose id and signature were checked (keyset.ts, sealed-keys.ts). */
export function coinKeys (id: Uint8Array, keyset: Pick<Keyset, 'denominations'>): CoinKeys {
  const keys = new Map<number, RsaPublicKey>(keyset.denominations.map(d => [d.value, { n: d.key }]))
  return {
    id,
    keyFor: value => {
      const found = keys.get(value)
      if (found === undefined) throw new MixmintError('unknown-denomination', 'peer', `the keyset has no coins of ${value}`)
      return found
    }
  }
}
