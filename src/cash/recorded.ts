/**
 * Asking the keepers of a coin, in its owner's name, which spend of it they have recorded (DESIGN §4, restore). What a keeper
 * shows is believed as far as the coin's own signature goes; that there is none, only when n − f of them say so.
 */
import { equal } from '../kit/bytes.ts'
import { MixmintError } from '../kit/errors.ts'
import { gather, type Saga, type Settled } from '../kit/saga.ts'
import type { Suite } from '../crypto/suite.ts'
import { lookMessage } from './bank-requests.ts'
import type { AskCenter } from './certify.ts'
import { coinId, verifyCoin } from './coin.ts'
import type { Coin, Spend } from './formats.ts'
import type { CenterReply } from './messages.ts'
import type { CoinKeys } from './known-keyset.ts'
import type { Registry } from './registry.ts'
import { verifySpend } from './spend.ts'

/** Is this a coin of the keyset, and does its owner ask? @throws unknown-denomination, bad-coin, bad-coin-signature (peer) */
export function verifyLook (suite: Suite, known: CoinKeys, coin: Coin, signature: Uint8Array): void {
  verifyCoin(suite, known, coin)
  if (!suite.ed25519Verify(coin.publicKey, lookMessage(coinId(suite, coin)), signature)) {
    throw new MixmintError('bad-coin-signature', 'peer', 'the request is not signed by the coin\'s key')
  }
}

export interface Recorded {
  /** A spend that a keeper showed, or null. */
  readonly spend: Spend | null
  /** How many keepers answered. */
  readonly heard: number
}

/** How many keepers must say that there is none. Any quorum that certified a spend shares an honest one with them. */
export function enoughKeepers (registry: Registry, { keyset }: Pick<Coin, 'keyset'>): number {
  const { replicas, faults } = registry.keyset(keyset).ring.ring
  return replicas - faults
}

/** @param signature the owner's, see lookMessage. @throws unknown-keyset (peer) */
export function * recordedSpend (suite: Suite, registry: Registry, coin: Coin, signature: Uint8Array): Saga<Recorded, AskCenter> {
  const known = registry.keyset(coin.keyset)
  const enough = enoughKeepers(registry, coin)
  const keepers = known.ring.keepers(coinId(suite, coin), coin.signature)
  const heard = (results: ReadonlyArray<Settled<Spend | null>>): Array<Spend | null> => results.flatMap(result => result.state === 'done' ? [result.value] : [])
  const results = heard(yield * gather(keepers.map(({ id }) => askOne(suite, registry, id, coin, signature)), results => {
    const answers = heard(results)
    return answers.length >= enough || answers.some(spend => spend !== null)
  }))
  return { spend: results.find(spend => spend !== null) ?? null, heard: results.length }
}

/** @throws when the keeper does not answer, or shows something that does not verify */
function * askOne (suite: Suite, registry: Registry, center: Uint8Array, coin: Coin, signature: Uint8Array): Saga<Spend | null, AskCenter> {
  const reply: CenterReply = yield { do: 'ask-center', center, request: { op: 'look', coin, signature }, timeout: registry.parameters.keeperTimeout }
  if (reply.is !== 'recorded') throw new MixmintError('bad-reply', 'peer', 'a center did not say what it has recorded')
  if (reply.spend !== null) checkRecorded(suite, registry, coin, reply.spend)
  return reply.spend
}

/** Is this a spend of this coin? @throws bad-spend, and those of verifySpend (peer) */
export function checkRecorded (suite: Suite, registry: Registry, coin: Coin, spend: Spend): void {
  if (!equal(coinId(suite, spend.coin), coinId(suite, coin))) throw new MixmintError('bad-spend', 'peer', 'a center showed the spend of another coin')
  verifySpend(suite, registry.keyset(coin.keyset), spend)
}
