/**
 * The keys of one hop, all from its shared secret s (LIP-99 §8.5.2): KDF(label, s) = the first 16 bytes of
 * SHA-256(label ‖ s). The payload's keys are in lioness.ts.
 */
import { utf8 } from '@mixmint/core/kit/bytes'
import type { Suite } from '@mixmint/core/crypto/suite'

const KDF_SIZE = 16
const AES_KEY = utf8('aes_key')
const IV = utf8('iv')
const MAC_KEY = utf8('mac_key')

function kdf (suite: Suite, label: Uint8Array, secret: Uint8Array): Uint8Array {
  return suite.sha256(label, secret).slice(0, KDF_SIZE)
}

/** beta's layer at this hop: the data under (or out of) AES-128-CTR. A fresh array. */
export function cryptBeta (suite: Suite, secret: Uint8Array, data: Uint8Array): Uint8Array {
  return suite.aes128ctr(kdf(suite, AES_KEY, secret), kdf(suite, IV, secret), data)
}

/** gamma: HMAC-SHA-256 of beta, truncated to 16 bytes. */
export function macBeta (suite: Suite, secret: Uint8Array, beta: Uint8Array): Uint8Array {
  return suite.hmacSha256(kdf(suite, MAC_KEY, secret), beta).slice(0, KDF_SIZE)
}

/** b = H(alpha ‖ s), the scalar that turns this hop's alpha into the next one's. */
export function blinding (suite: Suite, alpha: Uint8Array, secret: Uint8Array): Uint8Array {
  return suite.sha256(alpha, secret)
}

/** What a mix remembers of a packet: H(s), the same for every alpha that leads to this s. */
export function replayTag (suite: Suite, secret: Uint8Array): Uint8Array {
  return suite.sha256(secret)
}
