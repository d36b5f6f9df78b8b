/** Signs on the thread of the test. */
import type { Signer } from '../../nodes/signing-pool.ts'
import { suite } from './economy.ts'
import type { RsaPrivateKey } from '@mixmint/core/crypto/suite'

export function signer (): Signer {
  const keys: Array<RsaPrivateKey | null> = []
  return {
    hold: pkcs8 => ({ number: keys.push(suite.rsaImportPrivate(pkcs8)) - 1 }),
    drop: ({ number }) => { keys[number] = null },
    sign: async ({ number }, blinded) => {
      const key = keys[number]
      if (key === null) throw new Error('this key was dropped')
      return suite.rsaBlindSign(key, blinded)
    }
  }
}
