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
/** The second line, where the words came from another machine. */
const RESTORED = 'restored'

/**
 * Make a wallet. @param words that nobody has used, or undefined for fresh ones
 * @returns the words
 * @throws wallet-exists (caller), bad-mnemonic (caller)
 */
export function createWallet (dir: string, words?: string): string {
  return writeWords(dir, words ?? newMnemonic(new Uint8Array(randomBytes(16))), '')
}

/**
 * Make a folder for words that had a wallet on another machine: nothing is done in it before its restore is over.
 * @throws wallet-exists (caller), bad-mnemonic (caller)
 */
export function createRestored (dir: string, words: string): void {
  writeWords(dir, words.trim().split(/\s+/).join(' '), `${RESTORED}\n`)
}

export function hasWords (dir: string): boolean {
  return existsSync(join(dir, WORDS))
}

function writeWords (dir: string, words: string, mark: string): string {
  const file = join(dir, WORDS)
  const exists = new MixmintError('wallet-exists', 'caller', `there is a wallet in ${dir} already; name another folder with --dir`)
  if (existsSync(file)) throw exists
  seedFromMnemonic(words)
  if (!createSecret(file, `${words}\n${mark}`)) throw exists
  return words
}

/** @returns the seed, and whether the words came from another machine. @throws no-wallet, key-file-open (operator), bad-mnemonic */
export function walletSeed (dir: string): { seed: Uint8Array, isRestored: boolean } {
  const [words, mark] = walletWords(dir).split('\n')
  return { seed: seedFromMnemonic(words), isRestored: mark === RESTORED }
}

/** @throws no-wallet, key-file-open (operator) */
function walletWords (dir: string): string {
  const words = readSecret(join(dir, WORDS))
  if (words === null) throw new MixmintError('no-wallet', 'operator', `there is no wallet in ${dir}: make one with \`mixmint wallet init\``)
  return words.trim()
}
