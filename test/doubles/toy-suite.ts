/**
 * A suite that hides nothing and costs next to nothing, for simulations of very many packets: keys agree and digests
 * differ, as the protocols need, but ciphers leave everything as it is. Points are three numbers, and multiplication takes the place of the
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
const LONG = 256

/** Eight lanes that take bytes in turn, then mix; of what is long the real digest. */
function digest (...parts: readonly Uint8Array[]): Uint8Array {
  if (parts.reduce((sum, { length }) => sum + length, 0) > LONG) return real.sha256(...parts)
  const h = Uint32Array.from([1, 2, 3, 4, 5, 6, 7, 8])
  let at = 0
  for (const part of parts) for (const byte of part) h[at & 7] = Math.imul(h[at++ & 7] ^ byte, 0x01000193)
  h[0] ^= at
  for (let i = 0; i < 32; i++) h[i & 7] = Math.imul(h[i & 7] ^ h[i + 7 & 7] >>> 15, 0x85ebca6b) + i
  return new Uint8Array(h.buffer)
}

export const toySuite: Suite = {
  ...real,
  x25519: (scalar, other) => {
    const [a, b] = [lanes(scalar), lanes(other)]
    return point(PRIMES.map((prime, i) => a[i] * b[i] % prime))
  },
  x25519Base: scalar => point(lanes(scalar)),
  sha256: digest,
  hmacSha256: key => digest(key),
  blake2b256: () => ZERO.slice(0, 32),
  shake128: (_, length) => ZERO.slice(0, length),
  aes128ctr: (_key, _iv, data) => data,
  chacha20: (_key, _nonce, data, into = data) => {
    into.set(data)
    return into
  }
}
