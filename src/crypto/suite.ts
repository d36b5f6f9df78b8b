/**
 * The cryptographic suite: every primitive that mixmint uses, behind one interface with two implementations,
 * `native` (sodium-native and node:crypto) and `pure` (noble). Both pass the same vectors and agree on random inputs.
 *
 * Bad input from a peer never throws here: verification answers false, key agreement answers null. A wrong length of an
 * argument that the caller controls (a key, a nonce) throws bad-argument (caller).
 */

/** As `ed25519KeyPair` makes it of a seed; to sign with a public key that is not the secret's own gives the secret away. */
export interface Ed25519KeyPair {
  /** The 32-byte seed (RFC 8032 private key). */
  readonly secret: Uint8Array
  /** 32 bytes. */
  readonly publicKey: Uint8Array
}

/** An RSA public key; every key in this project has e = 65537. */
export interface RsaPublicKey {
  /** Modulus, big-endian, without leading zeros: 256 bytes for coins. */
  readonly n: Uint8Array
}

/** An RSA private key, kept in whatever form the suite computes fastest with. Opaque. */
export interface RsaPrivateKey {
  readonly publicKey: RsaPublicKey
}

/** Cryptography in one of its two implementations, which give the same bytes and refuse the same input. */
export interface Suite {
  /** `native`: libsodium and OpenSSL. `pure`: JavaScript. */
  readonly name: 'native' | 'pure'

  /** FIPS 180-4, of the concatenation of the parts. 32 bytes. */
  sha256: (...parts: readonly Uint8Array[]) => Uint8Array
  /** FIPS 180-4, of the concatenation of the parts. 48 bytes. */
  sha384: (...parts: readonly Uint8Array[]) => Uint8Array
  /** RFC 2104 with SHA-256, of the concatenation of the parts. 32 bytes. */
  hmacSha256: (key: Uint8Array, ...parts: readonly Uint8Array[]) => Uint8Array
  /** RFC 5869 with SHA-256. */
  hkdfSha256: (secret: Uint8Array, salt: Uint8Array, info: Uint8Array, length: number) => Uint8Array
  /** RFC 7693 keyed BLAKE2b with a 32-byte digest. */
  blake2b256: (key: Uint8Array, data: Uint8Array) => Uint8Array
  /** FIPS 202 SHAKE128. */
  shake128: (data: Uint8Array, length: number) => Uint8Array

  /** NIST SP 800-38A counter mode; key 16, initial counter block `iv` 16 bytes. A fresh array. */
  aes128ctr: (key: Uint8Array, iv: Uint8Array, data: Uint8Array) => Uint8Array
  /** RFC 8439 ChaCha20 from block counter 0; key 32, nonce 12 bytes. `into`, as long as the data, which it may be; else a fresh array. */
  chacha20: (key: Uint8Array, nonce: Uint8Array, data: Uint8Array, into?: Uint8Array) => Uint8Array
  /** XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03); key 32, nonce 24 bytes; ciphertext followed by a 16-byte tag. */
  seal: (key: Uint8Array, nonce: Uint8Array, plaintext: Uint8Array, associated: Uint8Array) => Uint8Array
  /** The plaintext, or null if the box is not authentic. */
  open: (key: Uint8Array, nonce: Uint8Array, box: Uint8Array, associated: Uint8Array) => Uint8Array | null

  /** RFC 7748; the scalar is clamped, bit 255 of the point is ignored. Null if the result is all zero (a low-order point). */
  x25519: (scalar: Uint8Array, point: Uint8Array) => Uint8Array | null
  /** The public key of a scalar. */
  x25519Base: (scalar: Uint8Array) => Uint8Array

  /** RFC 8032, of a seed of 32 bytes. */
  ed25519KeyPair: (seed: Uint8Array) => Ed25519KeyPair
  /** RFC 8032 Ed25519. 64 bytes. */
  ed25519Sign: (key: Ed25519KeyPair, message: Uint8Array) => Uint8Array
  /**
   * One rule on every machine, libsodium's: A canonical and not of small order, S < ℓ, R not of small order,
   * cofactorless equation with R compared as bytes (Chalkias et al., "Taming the many EdDSAs", SSR 2020).
   */
  ed25519Verify: (publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array) => boolean

  /**
   * ECDSA over secp256k1 (SEC 1 §4.1.4) with SHA-256; the key compressed, 33 bytes; the signature in DER, and with s at most half
   * the order, so that nobody can make a second signature out of one.
   */
  secp256k1Verify: (publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array) => boolean

  /** PKCS #8 DER. @throws bad-argument (caller) when it is not an RSA private key with e = 65537 and 2048 to 4096 bits */
  rsaImportPrivate: (pkcs8: Uint8Array) => RsaPrivateKey
  /** m^e mod n of a number below n; both as long as the modulus. Null if the input is not below n. */
  rsaPublicRaw: (key: RsaPublicKey, message: Uint8Array) => Uint8Array | null
  /**
   * RFC 9474 §4.3 BlindSign: m^d mod n, the result checked by the public operation before it is returned.
   * Null when the number is not below n. @throws signing-fault (us) when the check fails; then nothing is given out.
   */
  rsaBlindSign: (key: RsaPrivateKey, blinded: Uint8Array) => Uint8Array | null
  /**
   * RSASSA-PSS-VERIFY (RFC 8017 §8.1.2) with SHA-384, MGF1-SHA-384 and exactly this salt length; signature exactly as
   * long as the modulus and below it.
   */
  rsaVerifyPss: (key: RsaPublicKey, message: Uint8Array, signature: Uint8Array, saltLength: number) => boolean
}
