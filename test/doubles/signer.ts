/** Signs on the thread of the test. */
import type { Signer } from '../../nodes/signing-pool.ts'
import { suite } from './economy.ts'
import type { RsaPrivateKey } from '@mixmint/core/crypto/suite'

export function signer (): Signer {
  const keys: RsaPrivateKey[] = []
  return {
    hold: pkcs8 => ({ number: keys.push(suite.rsaImportPrivate(pkcs8)) - 1 }),
    sign: async ({ number }, blinded) => suite.rsaBlindSign(keys[number], blinded)
  }
}
