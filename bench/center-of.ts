/** A center and what it has to know, of this process or another. */
import { utf8 } from '@mixmint/core/kit/bytes'
import type { Ed25519KeyPair, Suite } from '@mixmint/core/crypto/suite'
import { CenterEngine } from '@mixmint/core/cash/center'
import type { Ring, SignedKeyset } from '@mixmint/core/cash/formats'
import { Registry } from '@mixmint/core/cash/registry'

export const HOUR = 3_600_000

export function keyNamed (suite: Suite, name: string): Ed25519KeyPair {
  return suite.ed25519KeyPair(suite.sha256(utf8(name)))
}

/** Center 0 of this ring. */
export function centerOf (suite: Suite, signed: SignedKeyset, ring: Ring): { engine: CenterEngine, registry: Registry } {
  const parameters = { clockSkew: 0, settleMaximum: HOUR, voidGrace: 0, margin: 0, tokenValid: HOUR, tokenDeposit: HOUR, tokenRefund: HOUR, keeperTimeout: 1000 }
  const registry = new Registry(suite, 'bench', parameters, [{ bank: signed.keyset.bank, keysets: [signed], rings: [ring], dayKeys: [], sealedDays: [], revocations: [] }])
  return { registry, engine: new CenterEngine({ suite, id: ring.centers[0].id, voteKeys: [keyNamed(suite, 'vote 0')], registry: () => registry, meter: { count: () => {} } }) }
}
