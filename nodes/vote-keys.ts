/**
 * A center's vote keys: `vote.key`, by which it stands in rings to come, and `vote-….key`, by which old rings know it until
 * their coins end.
 */
import { readdirSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { toHex } from '@mixmint/core/kit/bytes'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Ed25519KeyPair, Suite } from '@mixmint/core/crypto/suite'
import type { Passphrase } from './passphrase.ts'
import { loadOrCreateSeed } from './secrets.ts'

const CURRENT = 'vote.key'

/** Is a file of this name one of them? */
export function isVoteKey (name: string): boolean {
  return /^vote(-[0-9a-f]+)?\.key$/.test(name)
}

/** The current one first. @throws key-file-open, key-file-broken (operator) */
export function voteKeys (suite: Suite, dir: string, passphrase: Passphrase | null): Ed25519KeyPair[] {
  const current = suite.ed25519KeyPair(loadOrCreateSeed(join(dir, CURRENT), passphrase))
  const older = readdirSync(dir).filter(name => isVoteKey(name) && name !== CURRENT).sort()
  return [current, ...older.map(name => suite.ed25519KeyPair(loadOrCreateSeed(join(dir, name), passphrase)))]
}

/** Make a new current key; the one before is kept for the rings that list it. */
export function renewVoteKey (suite: Suite, dir: string, passphrase: Passphrase | null): Ed25519KeyPair {
  const [before] = voteKeys(suite, dir, passphrase)
  renameSync(join(dir, CURRENT), join(dir, `vote-${toHex(before.publicKey).slice(0, 16)}.key`))
  return voteKeys(suite, dir, passphrase)[0]
}

/** @throws no-vote-key (operator) */
export function voteKeyOf (suite: Suite, dir: string, publicKey: string, passphrase: Passphrase | null): Ed25519KeyPair {
  const found = voteKeys(suite, dir, passphrase).find(key => toHex(key.publicKey) === publicKey)
  if (found === undefined) throw new MixmintError('no-vote-key', 'operator', `${dir} holds no vote key ${publicKey}`)
  return found
}
