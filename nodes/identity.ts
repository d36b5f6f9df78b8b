/** Who a node is to its peers: a secp256k1 key, since only such peer ids fit into packets (DESIGN §2). */
import { generateKeyPair, privateKeyFromRaw } from '@libp2p/crypto/keys'
import type { Secp256k1PrivateKey } from '@libp2p/interface'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Passphrase } from './passphrase.ts'
import { loadOrCreateSeed } from './secrets.ts'

/**
 * The identity kept in this file (64 hexadecimal digits, mode 600), made when there is none.
 * @throws those of loadOrCreateSeed (operator)
 */
export function loadOrCreateIdentity (file: string, passphrase: Passphrase | null = null): Secp256k1PrivateKey {
  const seed = loadOrCreateSeed(file, passphrase)
  try {
    return privateKeyFromRaw(seed) as Secp256k1PrivateKey
  } catch (error) {
    throw new MixmintError('key-file-broken', 'operator', `${file} does not hold a secp256k1 key: restore it from a backup`, { cause: error })
  }
}

/** An identity that nobody has seen: every session of a wallet takes one. */
export async function freshIdentity (): Promise<Secp256k1PrivateKey> {
  return await generateKeyPair('secp256k1')
}
