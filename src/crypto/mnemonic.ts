/** The words of a wallet (BIP-39, English list): twelve words stand for 128 bits, from which the seed is stretched. */
import { entropyToMnemonic, mnemonicToSeedSync, validateMnemonic } from '@scure/bip39'
import { wordlist } from '@scure/bip39/wordlists/english.js'
import { MixmintError } from '../kit/errors.ts'
import { wantLength } from './arguments.ts'

/** Twelve words for 16 bytes of chance. */
export function newMnemonic (entropy: Uint8Array): string {
  wantLength('entropy of a mnemonic', entropy, 16)
  return entropyToMnemonic(entropy, wordlist)
}

/**
 * The 64-byte BIP-39 seed, without a passphrase. Capitals and spacing are forgiven. About 2 ms to 100 ms of work.
 * @throws bad-mnemonic (caller) when these are not words of the list, or not with the right checksum
 */
export function seedFromMnemonic (mnemonic: string): Uint8Array {
  const words = mnemonic.normalize('NFKD').trim().toLowerCase().split(/\s+/)
  const strange = words.findIndex(word => !wordlist.includes(word))
  if (strange >= 0) throw new MixmintError('bad-mnemonic', 'caller', `word ${strange + 1} of the mnemonic is not on the BIP-39 English list; check its spelling`)
  const clean = words.join(' ')
  if (!validateMnemonic(clean, wordlist)) {
    throw new MixmintError('bad-mnemonic', 'caller', `the ${words.length} words are on the list but do not belong together; check their number (12, 15, 18, 21 or 24) and order`)
  }
  return mnemonicToSeedSync(clean)
}
