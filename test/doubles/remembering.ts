/**
 * A suite that remembers what it has computed: histories that begin alike derive the same coins and check the same
 * signatures, thousands of times. What it answers is what the suite behind it would.
 */
import type { Suite } from '@mixmint/core/crypto/suite'

/** So many answers of a kind are kept; then all are forgotten. */
const MOST = 50_000

export function remembering (suite: Suite): Suite {
  const derived = memory((...[secret, salt, info, length]: Parameters<Suite['hkdfSha256']>) => suite.hkdfSha256(secret, salt, info, length))
  const pairs = memory(suite.ed25519KeyPair)
  const verified = memory(suite.ed25519Verify)
  const masked = memory((n: Uint8Array, message: Uint8Array) => suite.rsaPublicRaw({ n }, message))
  const signed = memory((n: Uint8Array, message: Uint8Array, signature: Uint8Array, saltLength: number) => suite.rsaVerifyPss({ n }, message, signature, saltLength))
  return {
    ...suite,
    hkdfSha256: (...of) => derived(...of).slice(),
    ed25519KeyPair: seed => {
      const { secret, publicKey } = pairs(seed)
      return { secret: secret.slice(), publicKey: publicKey.slice() }
    },
    ed25519Verify: verified,
    rsaPublicRaw: ({ n }, message) => masked(n, message)?.slice() ?? null,
    rsaVerifyPss: ({ n }, ...of) => signed(n, ...of)
  }
}

function memory<Of extends ReadonlyArray<Uint8Array | number>, Answer> (compute: (...of: Of) => Answer): (...of: Of) => Answer {
  const known = new Map<string, Answer>()
  return (...of) => {
    const name = of.map(each => typeof each === 'number' ? String(each) : `${each.length}:${Buffer.from(each.buffer, each.byteOffset, each.length).toString('latin1')}`).join()
    const found = known.get(name)
    if (found !== undefined) return found
    if (known.size === MOST) known.clear()
    const answer = compute(...of)
    known.set(name, answer)
    return answer
  }
}
