/** Fresh RSA keys of 2048 bits, made on a thread of their own. */
import { generateKeyPair } from 'node:crypto'
import { promisify } from 'node:util'

/** The modulus, 256 bytes, and the private key as PKCS #8. */
export async function generateRsa (): Promise<{ n: Uint8Array, pkcs8: Uint8Array }> {
  const { publicKey, privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: 2048, publicExponent: 65537 })
  return {
    n: new Uint8Array(Buffer.from(publicKey.export({ format: 'jwk' }).n ?? '', 'base64url')),
    pkcs8: new Uint8Array(privateKey.export({ format: 'der', type: 'pkcs8' }))
  }
}
