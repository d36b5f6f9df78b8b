/**
 * A wallet's folder: its twelve words, and what it was told once (which bank, which unit). Coins and operations are in its
 * store.
 */
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { MixmintError } from '@mixmint/core/kit/errors'
import { newMnemonic, seedFromMnemonic } from '@mixmint/core/crypto/mnemonic'
import { createSecret, readSecret } from './secrets.ts'

const WORDS = 'words'

/**
 * Make a wallet. @param words of an earlier wallet, or undefined for fresh ones
 * @returns the words
 * @throws wallet-exists (caller), bad-mnemonic (caller)
 */
export function createWallet (dir: string, words?: string): string {
  const file = join(dir, WORDS)
  const exists = new MixmintError('wallet-exists', 'caller', `there is a wallet in ${dir} already; name another folder with --dir`)
  if (existsSync(file)) throw exists
  const chosen = words ?? newMnemonic(new Uint8Array(randomBytes(16)))
  seedFromMnemonic(chosen)
  if (!createSecret(file, `${chosen}\n`)) throw exists
  return chosen
}

/** @throws no-wallet, key-file-open (operator), bad-mnemonic */
export function walletSeed (dir: string): Uint8Array {
  return seedFromMnemonic(walletWords(dir))
}

/** @throws no-wallet, key-file-open (operator) */
function walletWords (dir: string): string {
  const words = readSecret(join(dir, WORDS))
  if (words === null) throw new MixmintError('no-wallet', 'operator', `there is no wallet in ${dir}: make one with \`mixmint wallet init\``)
  return words.trim()
}
