/**
 * A suite that hides nothing and costs next to nothing, for simulations of very many packets: keys agree and digests
 * differ, as the protocols need, but ciphers copy. Points are three numbers, and multiplication takes the place of the
 * curve's: it commutes, which is all that Sphinx asks of it.
 */
import { defaultSuite } from '@mixmint/core/crypto/choose'
import type { Suite } from '@mixmint/core/crypto/suite'

const real = await defaultSuite()

/** The greatest primes below 2^26, so that products are exact. */
const PRIMES = [67_108_859, 67_108_837, 67_108_819]

function lanes (bytes: Uint8Array): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return PRIMES.map((prime, i) => view.getUint32(4 * i, true) % prime || 1)
}

function point (values: readonly number[]): Uint8Array {
  const out = new Uint8Array(32)
  const view = new DataView(out.buffer)
  values.forEach((value, i) => { view.setUint32(4 * i, value, true) })
  return out
}

const ZERO = new Uint8Array(256)

export const toySuite: Suite = {
  ...real,
  x25519: (scalar, other) => {
    const [a, b] = [lanes(scalar), lanes(other)]
    return point(PRIMES.map((prime, i) => a[i] * b[i] % prime))
  },
  x25519Base: scalar => point(lanes(scalar)),
  hmacSha256: key => real.sha256(key),
  blake2b256: () => ZERO.slice(0, 32),
  shake128: (_, length) => ZERO.slice(0, length),
  aes128ctr: (_key, _iv, data) => data.slice(),
  chacha20: (_key, _nonce, data) => data.slice()
}
