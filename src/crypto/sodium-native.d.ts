/** The functions of sodium-native (libsodium 1.0.21) that `native.ts` calls; the package ships no types. */
declare module 'sodium-native' {
  interface Sodium {
    crypto_generichash: (out: Uint8Array, data: Uint8Array, key: Uint8Array) => void
    crypto_stream_chacha20_ietf_xor: (out: Uint8Array, data: Uint8Array, nonce: Uint8Array, key: Uint8Array) => void
    crypto_aead_xchacha20poly1305_ietf_encrypt:
      (out: Uint8Array, plaintext: Uint8Array, associated: Uint8Array | null, nsec: null, nonce: Uint8Array, key: Uint8Array) => number
    crypto_aead_xchacha20poly1305_ietf_decrypt:
      (out: Uint8Array, nsec: null, box: Uint8Array, associated: Uint8Array | null, nonce: Uint8Array, key: Uint8Array) => number
    crypto_scalarmult: (out: Uint8Array, scalar: Uint8Array, point: Uint8Array) => void
    crypto_scalarmult_base: (out: Uint8Array, scalar: Uint8Array) => void
    crypto_sign_seed_keypair: (publicKey: Uint8Array, secretKey: Uint8Array, seed: Uint8Array) => void
    crypto_sign_detached: (signature: Uint8Array, message: Uint8Array, secretKey: Uint8Array) => void
    crypto_sign_verify_detached: (signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array) => boolean
  }
  const sodium: Sodium
  export = sodium
}
