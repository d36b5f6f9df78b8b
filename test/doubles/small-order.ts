/**
 * The adversarial points of Ed25519 (Chalkias et al., "Taming the many EdDSAs", SSR 2020, table 6): those of small order,
 * in canonical and other encodings. Under such a key a careless verifier accepts one signature for any message.
 */
import { fromHex } from '@mixmint/core/kit/bytes'

export const smallOrderKeys: Uint8Array[] = [
  '0100000000000000000000000000000000000000000000000000000000000000',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0000000000000000000000000000000000000000000000000000000000000080',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85',
  '0100000000000000000000000000000000000000000000000000000000000080',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff'
].map(fromHex)

/** R a small-order point, S = 0: what satisfies the bare equation under a small-order key for some messages, or all. */
export const smallOrderSignatures: Uint8Array[] = smallOrderKeys.map(r => {
  const signature = new Uint8Array(64)
  signature.set(r)
  return signature
})

const ORDER = 2n ** 252n + 27742317777372353535851937790883648493n

/** The same signature with S + ℓ: accepted where S is not checked to be below the order. */
export function malleated (signature: Uint8Array): Uint8Array {
  const s = signature.subarray(32).reduceRight((sum, byte) => sum * 256n + BigInt(byte), 0n) + ORDER
  const out = signature.slice()
  for (let i = 0; i < 32; i++) out[32 + i] = Number((s >> BigInt(8 * i)) & 255n)
  return out
}
