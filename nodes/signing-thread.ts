/** A thread of the signing pool (signing-pool.ts). */
import { parentPort } from 'node:worker_threads'
import { isMixmintError } from '@mixmint/core/kit/errors'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import type { RsaPrivateKey } from '@mixmint/core/crypto/suite'
import type { FromThread, ToThread } from './signing-pool.ts'

const suite = await defaultSuite()
const keys = new Map<number, RsaPrivateKey>()

function sign (key: number, blinded: Uint8Array): { signature: Uint8Array | null, fault: boolean } {
  const held = keys.get(key)
  if (held === undefined) throw new Error('a key that this thread was not told of')
  try {
    return { signature: suite.rsaBlindSign(held, blinded), fault: false }
  } catch (error) {
    if (isMixmintError(error, 'signing-fault')) return { signature: null, fault: true }
    throw error
  }
}

parentPort?.on('message', (message: ToThread) => {
  if ('pkcs8' in message) keys.set(message.key, suite.rsaImportPrivate(message.pkcs8))
  else if ('drop' in message) keys.delete(message.drop)
  else parentPort?.postMessage({ done: message.jobs.map(({ job, key, blinded }) => ({ job, ...sign(key, blinded) })) } satisfies FromThread)
})
