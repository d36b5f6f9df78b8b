/**
 * Proofs against centers: what one of them signed convicts it by name, before everybody who knows the ring (DESIGN §5). And
 * the revocation of vote keys, which rests on such a proof, or on the key's own word, never on the bank's.
 */
import { equal, toHex, utf8 } from '../kit/bytes.ts'
import { tagged } from '../kit/codec.ts'
import { MixmintError } from '../kit/errors.ts'
import type { Ed25519KeyPair, Suite } from '../crypto/suite.ts'
import { coinId, verifyCoin } from './coin.ts'
import type { Ballot, BankListing, CenterFault, CenterProofFile, Retirement, Revocation, Spend, Vote } from './formats.ts'
import { keysetId, verifyKeyset } from './keyset.ts'
import { coinKeys, type CoinKeys, type KnownKeyset } from './known-keyset.ts'
import { RingMap, type Keeper } from './ring.ts'
import { voteMessage } from './spend.ts'

function bad (why: string): MixmintError {
  return new MixmintError('bad-proof', 'peer', `this proves nothing against a center: ${why}`)
}

/**
 * @param ring the one that the fault names
 * @param keyset of the coin, by its id, or undefined where there is no such
 * @returns the center, with the vote key that did it
 * @throws bad-proof, bad-coin, unknown-denomination (peer)
 */
export function verifyCenterFault (suite: Suite, ring: RingMap, keyset: (id: Uint8Array) => { readonly keys: CoinKeys, readonly ringId: Uint8Array } | undefined, fault: CenterFault): Keeper {
  if (!equal(fault.ring, ring.id)) throw bad('it is about another ring')
  const center = ring.center(fault.center)
  if (center === undefined) throw bad('the ring has no such center')
  const check = (coin: Uint8Array, { d, signature }: Ballot): void => {
    if (!suite.ed25519Verify(center.voteKey, voteMessage(ring.id, coin, d), signature)) throw bad('a vote is not signed by the center\'s vote key')
  }
  switch (fault.is) {
    case 'twice':
      if (equal(fault.first.d, fault.second.d)) throw bad('both votes are for the same spend')
      check(fault.coin, fault.first)
      check(fault.coin, fault.second)
      break
    case 'foreign': {
      const known = keyset(fault.coin.keyset)
      if (known === undefined || !equal(known.ringId, ring.id)) throw bad('the coin is of another ring')
      // Only the bank's signature gives a coin its place, and there is one signature only that verifies.
      verifyCoin(suite, known.keys, fault.coin)
      const id = coinId(suite, fault.coin)
      if (ring.keepers(id, fault.coin.signature).some(keeper => equal(keeper.id, center.id))) throw bad('the center does keep this coin')
      check(id, fault.vote)
    }
  }
  return center
}

/** As verifyCenterFault, with nothing but the file: whether that bank is yours, the caller decides. @throws bad-keyset, bad-ring too */
export function verifyCenterProof (suite: Suite, { fault, ring, keyset: signed }: CenterProofFile): Keeper {
  const { keyset } = signed
  const id = verifyKeyset(suite, keyset.network, keyset.bank, signed)
  const map = new RingMap(suite, ring)
  if (!equal(map.id, keyset.ringId)) throw bad('the keyset names another ring')
  return verifyCenterFault(suite, map, wanted => equal(wanted, id) ? { keys: coinKeys(id, keyset), ringId: keyset.ringId } : undefined, fault)
}

/** The file of a proof, for others to check. @param known a keyset of the fault's ring; of `foreign`: the coin's */
export function centerProofFile (fault: CenterFault, { ring, signed }: KnownKeyset): CenterProofFile {
  return { fault, ring: ring.ring, keyset: signed }
}

/** Those who voted for both of these spends of one coin. The votes must be valid. */
export function twoFaced (suite: Suite, known: KnownKeyset, one: { spend: Pick<Spend, 'coin' | 'd'>, votes: readonly Vote[] }, other: { d: Uint8Array, votes: readonly Vote[] }): CenterFault[] {
  if (equal(one.spend.d, other.d)) return []
  return one.votes.flatMap(({ center, signature }) => {
    const second = other.votes.find(vote => equal(vote.center, center))
    if (second === undefined) return []
    return [{
      is: 'twice' as const, ring: known.ring.id, center, coin: coinId(suite, one.spend.coin),
      first: { d: other.d, signature: second.signature }, second: { d: one.spend.d, signature }
    }]
  })
}

function retireMessage (network: string, voteKey: Uint8Array): Uint8Array {
  return tagged('retire-vote-key', utf8(network), voteKey)
}

/** By a center whose key was stolen, or whose disk was restored from an old copy: its votes are not to be counted. */
export function retire (suite: Suite, network: string, voteKey: Ed25519KeyPair): Retirement {
  return { network, voteKey: voteKey.publicKey, signature: suite.ed25519Sign(voteKey, retireMessage(network, voteKey.publicKey)) }
}

/** @throws bad-retirement (peer) */
export function verifyRetirement (suite: Suite, network: string, retirement: Retirement): void {
  const { voteKey, signature } = retirement
  if (retirement.network !== network) throw new MixmintError('bad-retirement', 'peer', 'the retirement is for another network')
  if (!suite.ed25519Verify(voteKey, retireMessage(network, voteKey), signature)) throw new MixmintError('bad-retirement', 'peer', 'the retirement is not signed by the vote key itself')
}

/**
 * @param rings and keysets that the same listing has
 * @throws bad-revocation, bad-retirement, and those of verifyCenterFault (peer)
 */
export function verifyRevocation (suite: Suite, network: string, { voteKey, why }: Revocation, rings: readonly RingMap[], keyset: Parameters<typeof verifyCenterFault>[2]): void {
  if (why.is === 'retired') {
    verifyRetirement(suite, network, why.retirement)
    if (!equal(why.retirement.voteKey, voteKey)) throw new MixmintError('bad-revocation', 'peer', 'a revocation shows the retirement of another key')
    return
  }
  const ring = rings.find(({ id }) => equal(id, why.fault.ring))
  if (ring === undefined) throw new MixmintError('bad-revocation', 'peer', 'a revocation is about a ring that is not listed')
  if (!equal(verifyCenterFault(suite, ring, keyset, why.fault).voteKey, voteKey)) throw new MixmintError('bad-revocation', 'peer', 'a revocation shows the fault of another key')
}

/** All that a listing revokes. @param rings of that listing @throws those of verifyRevocation (peer) */
export function verifyRevocations (suite: Suite, network: string, { keysets, revocations }: BankListing, rings: readonly RingMap[]): void {
  const known = new Map(keysets.map(({ keyset }) => {
    const id = keysetId(suite, keyset)
    return [toHex(id), { keys: coinKeys(id, keyset), ringId: keyset.ringId }]
  }))
  for (const revocation of revocations) verifyRevocation(suite, network, revocation, rings, id => known.get(toHex(id)))
}
