/** Secrets at rest: AES-256-GCM, nonce ‖ ciphertext ‖ tag. Each key seals few things, under nonces of 96 random bits. */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'

const CIPHER = 'aes-256-gcm'
const NONCE = 12
const TAG = 16

/** @param key 32 bytes @param about what it is: it opens as nothing else */
export function seal (key: Uint8Array, about: Uint8Array, content: Uint8Array): Uint8Array {
  const nonce = randomBytes(NONCE)
  const cipher = createCipheriv(CIPHER, key, nonce).setAAD(about)
  return new Uint8Array(Buffer.concat([nonce, cipher.update(content), cipher.final(), cipher.getAuthTag()]))
}

/** Null when this key or this use is not the right one, or a bit was changed. */
export function unseal (key: Uint8Array, about: Uint8Array, sealed: Uint8Array): Uint8Array | null {
  if (sealed.length < NONCE + TAG) return null
  const decipher = createDecipheriv(CIPHER, key, sealed.subarray(0, NONCE)).setAAD(about).setAuthTag(sealed.subarray(sealed.length - TAG))
  try {
    return new Uint8Array(Buffer.concat([decipher.update(sealed.subarray(NONCE, sealed.length - TAG)), decipher.final()]))
  } catch {
    return null
  }
}
