/** Where a process has its passphrase from: a file, the environment, or whoever sits at the terminal. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Writable } from 'node:stream'
import { MixmintError } from '@mixmint/core/kit/errors'
import { isLocked, Passphrase } from './passphrase.ts'
import { isTemporary, placeOf, readSecret } from './secrets.ts'

const FILE = 'MIXMINT_PASSPHRASE_FILE'
const TEXT = 'MIXMINT_PASSPHRASE'

const KEYS = /^(?:[a-z0-9-]+\.key|keyset-[0-9a-f]+\.json|sealed-[0-9]+-[0-9a-f]+\.keys)$/

/** Files in a node's folder that hold keys. */
export function keyFiles (dir: string): string[] {
  return readdirSync(dir).filter(name => KEYS.test(name)).sort().map(name => join(dir, name))
}

/** What a process that died while it wrote them has left behind, under temporary names. */
export function keyLeftOvers (dir: string): string[] {
  return readdirSync(dir).filter(name => isTemporary(name) && KEYS.test(placeOf(name))).sort().map(name => join(dir, name))
}

/** @param named by what, for people. @throws key-file-open, no-passphrase, passphrase-short (operator) */
export function passphraseOfFile (file: string, named: string): Passphrase {
  const content = readSecret(file)
  if (content === null) throw new MixmintError('no-passphrase', 'operator', `${named} names ${file}, and there is no such file`)
  return new Passphrase(content.replace(/\r?\n$/, ''))
}

/** Null when the environment names none. @throws those of passphraseOfFile */
export function passphraseOfEnvironment (): Passphrase | null {
  const file = process.env[FILE]
  if (file !== undefined) return passphraseOfFile(file, FILE)
  const text = process.env[TEXT]
  return text === undefined ? null : new Passphrase(text)
}

/** As above; and where keys in the folder are locked, whoever is at the terminal is asked. */
export async function passphraseFor (dir: string): Promise<Passphrase | null> {
  const given = passphraseOfEnvironment()
  if (given !== null || !process.stdin.isTTY || !keyFiles(dir).some(file => isLocked(readFileSync(file, 'utf8')))) return given
  return new Passphrase(await askPassphrase(`passphrase of ${dir}: `))
}

/** Nothing that is typed is shown. */
export async function askPassphrase (question: string): Promise<string> {
  process.stderr.write(question)
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => { done() } })
  const lines = createInterface({ input: process.stdin, output: nowhere, terminal: true })
  try {
    return await new Promise<string>((resolve, reject) => {
      lines.once('line', resolve)
      lines.once('close', () => { reject(new MixmintError('no-passphrase', 'operator', 'no passphrase was given')) })
    })
  } finally {
    lines.close()
    process.stderr.write('\n')
  }
}
