/**
 * Spends, votes, certificates, double-spend proofs (DESIGN §5). A coin has one owner, so spending it needs no agreement
 * among centers, only that two quorums share an honest keeper.
 */
import { equal, toHex } from '../kit/bytes.ts'
import { tagged } from '../kit/codec.ts'
import { MixmintError } from '../kit/errors.ts'
import type { Ed25519KeyPair, Suite } from '../crypto/suite.ts'
import { coinId, verifyCoin } from './coin.ts'
import type { Coin, DoubleSpendProof, Input, Spend, Vote } from './formats.ts'
import type { CoinKeys, KnownKeyset } from './known-keyset.ts'

/** r: what links a spend to its contract; from the coin's private key, so that a retry repeats it. 32 bytes. */
export function openingFor (suite: Suite, coinKey: Ed25519KeyPair, contract: Uint8Array): Uint8Array {
  return suite.hmacSha256(coinKey.secret, tagged('opening', contract))
}

/** d = H(tag ‖ D ‖ r). 32 bytes. */
export function spendDigest (suite: Suite, contract: Uint8Array, opening: Uint8Array): Uint8Array {
  return suite.sha256(tagged('spend-digest', contract, opening))
}

export function signSpend (suite: Suite, coinKey: Ed25519KeyPair, coin: Coin, contract: Uint8Array): Input {
  const opening = openingFor(suite, coinKey, contract)
  const d = spendDigest(suite, contract, opening)
  const signature = suite.ed25519Sign(coinKey, tagged('spend', coinId(suite, coin), d))
  return { spend: { coin, d, signature }, opening, votes: [] }
}

/** @throws unknown-denomination, bad-coin, bad-spend (peer) */
export function verifySpend (suite: Suite, known: CoinKeys, spend: Spend): void {
  verifyCoin(suite, known, spend.coin)
  verifySpendSignature(suite, spend)
}

function verifySpendSignature (suite: Suite, spend: Spend): void {
  if (!suite.ed25519Verify(spend.coin.publicKey, tagged('spend', coinId(suite, spend.coin), spend.d), spend.signature)) {
    throw new MixmintError('bad-spend', 'peer', 'the coin\'s owner has not signed this spend')
  }
}

/** @throws bad-opening (peer) when the spend is not for this contract */
export function verifyOpening (suite: Suite, contract: Uint8Array, input: Input): void {
  if (!equal(spendDigest(suite, contract, input.opening), input.spend.d)) {
    throw new MixmintError('bad-opening', 'peer', 'the spend was made for another contract')
  }
}

/** What a vote signs. */
export function voteMessage (ringId: Uint8Array, coin: Uint8Array, d: Uint8Array): Uint8Array {
  return tagged('vote', ringId, coin, d)
}

export function signVote (suite: Suite, voteKey: Ed25519KeyPair, center: Uint8Array, ringId: Uint8Array, coin: Uint8Array, d: Uint8Array): Vote {
  return { center, signature: suite.ed25519Sign(voteKey, voteMessage(ringId, coin, d)) }
}

/** @throws not-a-keeper, bad-vote (peer) */
export function verifyVote (suite: Suite, known: KnownKeyset, spend: Spend, vote: Vote): void {
  const id = coinId(suite, spend.coin)
  const keeper = known.ring.keepers(id, spend.coin.signature).find(keeper => equal(keeper.id, vote.center))
  if (keeper === undefined) throw new MixmintError('not-a-keeper', 'peer', 'the center that voted does not keep this coin')
  if (!suite.ed25519Verify(keeper.voteKey, voteMessage(known.ring.id, id, spend.d), vote.signature)) {
    throw new MixmintError('bad-vote', 'peer', 'the vote is not signed by the center it names')
  }
}

/** Of these votes those that count: valid ones of keepers, the first of each. Others do no harm. */
export function validVotes (suite: Suite, known: KnownKeyset, spend: Spend, votes: readonly Vote[]): Vote[] {
  const counted = new Map<string, Vote>()
  for (const vote of votes) {
    if (counted.has(toHex(vote.center))) continue
    try {
      verifyVote(suite, known, spend, vote)
      counted.set(toHex(vote.center), vote)
    } catch (error) {
      if (!(error instanceof MixmintError)) throw error
    }
  }
  return [...counted.values()]
}

/** Are these votes a certificate? */
export function isCertified (suite: Suite, known: KnownKeyset, spend: Spend, votes: readonly Vote[]): boolean {
  return validVotes(suite, known, spend, votes).length >= known.ring.ring.quorum
}

/** @throws bad-proof (peer), or the reason why one of its spends is not valid */
export function verifyDoubleSpend (suite: Suite, known: CoinKeys, { first, second }: DoubleSpendProof): void {
  const bad = (why: string): MixmintError => new MixmintError('bad-proof', 'peer', `this proves no double spend: ${why}`)
  if (!equal(first.coin.keyset, known.id)) throw bad('the coin is of another keyset')
  if (!equal(coinId(suite, first.coin), coinId(suite, second.coin))) throw bad('the spends are of two coins')
  if (equal(first.d, second.d)) throw bad('both spends are for the same contract')
  verifySpend(suite, known, first)
  verifySpend(suite, known, second)
}
