/** `mixmint keys`: the key files of a node's folder, locked with a passphrase or not. */
import type { Command } from 'commander'
import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { MixmintError } from '@mixmint/core/kit/errors'
import { isLocked, Passphrase } from '../passphrase.ts'
import { askPassphrase, keyFiles, passphraseOfEnvironment } from '../passphrase-source.ts'
import { readSecret, replaceSecret } from '../secrets.ts'
import { report } from './output.ts'

export function addKeys (program: Command): void {
  const keys = program.command('keys').description('lock key files with a passphrase (MIXMINT_PASSPHRASE_FILE, MIXMINT_PASSPHRASE, or asked for)')
  for (const [name, what] of [['lock', 'encrypt those that are not'], ['unlock', 'decrypt those that are']] as const) {
    keys.command(name).description(`${what}; stop the node first`)
      .requiredOption('--dir <dir>', 'the node\'s folder')
      .option('--json', 'print the result as JSON')
      .action(async ({ dir, json }: { dir: string, json?: boolean }) => {
        await report(json === true, async () => {
          const files = keyFiles(dir).filter(file => isLocked(readFileSync(file, 'utf8')) === (name === 'unlock'))
          const passphrase = files.length === 0 ? null : passphraseOfEnvironment() ?? await ask(name === 'lock')
          // All are read before the first is changed: a wrong passphrase changes nothing.
          const contents = files.map(file => readSecret(file, passphrase) ?? '')
          files.forEach((file, i) => { replaceSecret(file, contents[i], name === 'lock' ? passphrase : null) })
          const changed = files.map(file => basename(file))
          return { json: { changed }, human: changed.length === 0 ? `nothing to ${name}` : `${name}ed: ${changed.join(', ')}` }
        })
      })
  }
}

/** @throws passphrase-differs (caller) */
async function ask (isNew: boolean): Promise<Passphrase> {
  const first = await askPassphrase(isNew ? 'new passphrase: ' : 'passphrase: ')
  if (isNew && first !== await askPassphrase('once more: ')) throw new MixmintError('passphrase-differs', 'caller', 'these were two different passphrases: nothing was changed')
  return new Passphrase(first)
}
