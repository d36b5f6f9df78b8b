/**
 * Key files that are locked with a passphrase: `mixmint-locked-1:<salt>:<sealed>`, AES-256-GCM under a key from scrypt
 * (RFC 7914; N 2^16, r 8, p 1). Who copies the disk, or finds a backup, has to guess the passphrase at 64 MiB a guess.
 */
import { randomBytes, scryptSync } from 'node:crypto'
import { fromHex, toHex, utf8 } from '@mixmint/core/kit/bytes'
import { MixmintError } from '@mixmint/core/kit/errors'
import { seal, unseal } from './aead.ts'

const LOCKED = /^mixmint-locked-1:([0-9a-f]{32}):([A-Za-z0-9_-]+)$/
const N = 2 ** 16
const ABOUT = utf8('mixmint key file')

export function isLocked (content: string): boolean {
  return LOCKED.test(content.trim())
}

export class Passphrase {
  readonly #text: string
  /** By salt in hexadecimal: files of one folder have one salt, so that a start costs one scrypt. */
  readonly #keys = new Map<string, Uint8Array>()

  /** @throws passphrase-short (operator) */
  constructor (text: string) {
    if (text.length < 8) throw new MixmintError('passphrase-short', 'operator', 'a passphrase of at least 8 characters is wanted; better, some words drawn by lot')
    this.#text = text.normalize('NFC')
  }

  lock (content: string): string {
    const [salt = toHex(randomBytes(16))] = this.#keys.keys()
    return `mixmint-locked-1:${salt}:${Buffer.from(seal(this.#keyOf(salt), ABOUT, utf8(content))).toString('base64url')}\n`
  }

  /** @throws passphrase-wrong (operator) */
  unlock (file: string, content: string): string {
    const [, salt, sealed] = LOCKED.exec(content.trim()) ?? []
    const opened = salt === undefined ? null : unseal(this.#keyOf(salt), ABOUT, Buffer.from(sealed, 'base64url'))
    if (opened === null) throw new MixmintError('passphrase-wrong', 'operator', `the passphrase does not unlock ${file}, or the file is damaged`)
    return new TextDecoder().decode(opened)
  }

  #keyOf (salt: string): Uint8Array {
    const known = this.#keys.get(salt)
    if (known !== undefined) return known
    const key = new Uint8Array(scryptSync(this.#text, fromHex(salt), 32, { N, r: 8, p: 1, maxmem: 2 * 128 * 8 * N }))
    this.#keys.set(salt, key)
    return key
  }
}
