/** What a bank says of itself in the directory. */
import { toHex } from '@mixmint/core/kit/bytes'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Millis } from '@mixmint/core/kit/ports'
import type { BankListing, CenterFault, Revocation, Ring } from '@mixmint/core/cash/formats'
import type { BankKeys } from './bank-keys.ts'

/**
 * All but the keys of sealed tokens, which are kept elsewhere (sealed-keys.ts).
 *
 * @param revocations all there have ever been: listed are those of keys in rings that are, and with them the ring that each
 *   proof is about, by one keyset: the coin's, or the newest (each costs kilobytes of what a listing may have)
 * @param then by which time keysets have not reached refundUntil: earlier than now for what the bank was down
 */
export function bankListing (keys: BankKeys, revocations: readonly Revocation[], now: Millis, then: Millis = now): Omit<BankListing, 'sealedDays'> {
  const inUse = new Set(keys.rings(then).flatMap(voteKeys))
  const listed = revocations.filter(({ voteKey }) => inUse.has(toHex(voteKey)))
  const kept = new Set(listed.flatMap(({ why }) => why.is === 'fault' ? keysetOf(keys, why.fault) ?? [] : []))
  return { bank: keys.identity.publicKey, keysets: keys.keysets(then, kept), rings: keys.rings(then, kept), dayKeys: keys.dayKeys(now), revocations: listed }
}

function keysetOf (keys: BankKeys, fault: CenterFault): string | undefined {
  return fault.is === 'foreign' ? toHex(fault.coin.keyset) : keys.newestOf(fault.ring)
}

/** The ring for a keyset to come. @throws ring-revoked-key (operator): payees would not count that center's votes */
export function checkNewRing (ring: Ring, revocations: readonly Revocation[]): Ring {
  const revoked = new Set(revocations.map(({ voteKey }) => toHex(voteKey)))
  const found = voteKeys(ring).find(key => revoked.has(key))
  if (found === undefined) return ring
  throw new MixmintError('ring-revoked-key', 'operator', `the ring file lists the vote key ${found}, which is revoked: give that center a new one (\`mixmint ring entry --new-key\`), or leave it out`)
}

function voteKeys ({ centers }: Ring): string[] {
  return centers.map(({ voteKey }) => toHex(voteKey))
}
