/**
 * What the operator of a node hands to others before it runs: the public side of its keys, as it stands in their files.
 * The keys are made when there are none, and the same ever after.
 */
import { join } from 'node:path'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { toHex } from '@mixmint/core/kit/bytes'
import { MixmintError } from '@mixmint/core/kit/errors'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import { formatTarget, parseTarget, peerBytes } from '@mixmint/mixnet/wire/peers'
import { loadOrCreateIdentity } from './identity.ts'
import { passphraseOfEnvironment } from './passphrase-source.ts'
import { loadOrCreateSeed } from './secrets.ts'

/**
 * `[[authority]]` of network.toml.
 * @param address where it will be reached, `/ip4/…/tcp/…`
 * @throws bad-argument (caller), key-file-broken, key-file-open, cannot-make-folder (operator)
 */
export async function authorityEntry (dir: string, address: string): Promise<{ key: string, address: string }> {
  const target = formatTarget({ peer: peerBytes(peerOf(dir)), addresses: [address] })
  try {
    parseTarget(target)
  } catch (cause) {
    throw new MixmintError('bad-argument', 'caller', 'an address without /p2p is wanted, such as /ip4/192.0.2.1/tcp/4001', { cause })
  }
  const suite = await defaultSuite()
  return { key: toHex(suite.ed25519KeyPair(loadOrCreateSeed(join(dir, 'authority.key'), passphraseOfEnvironment())).publicKey), address: target }
}

/** `[[authority.admit]]` of the authorities' config.toml. @throws as authorityEntry */
export function admissionEntry (dir: string, role: 'mix' | 'gateway' | 'service', kind: string): { peer: string, role: string, kind?: string } {
  return { peer: peerOf(dir).toString(), role, ...(kind === '' ? {} : { kind }) }
}

function peerOf (dir: string): ReturnType<typeof peerIdFromPrivateKey> {
  return peerIdFromPrivateKey(loadOrCreateIdentity(join(dir, 'identity.key'), passphraseOfEnvironment()))
}
