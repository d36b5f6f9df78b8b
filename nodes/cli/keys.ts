/** `mixmint keys`: the key files of a node's folder. */
import type { Command } from 'commander'
import { MixmintError } from '@mixmint/core/kit/errors'
import { changePassphrase, exportKeys, importKeys, ROTATED, rotateKeys, setLock } from '../key-tools.ts'
import { Passphrase } from '../passphrase.ts'
import { askPassphrase, passphraseOfEnvironment, passphraseOfFile } from '../passphrase-source.ts'
import { report } from './output.ts'

interface Options { readonly dir: string, readonly json?: boolean, readonly newPassphraseFile?: string }

export function addKeys (program: Command): void {
  const keys = program.command('keys').description('a node\'s key files: lock, export, import, make anew (passphrase: MIXMINT_PASSPHRASE_FILE, MIXMINT_PASSPHRASE, or asked for)')
  const withDir = (command: Command): Command => command.requiredOption('--dir <dir>', 'the node\'s folder').option('--json', 'print the result as JSON')

  for (const [name, what] of [['lock', 'encrypt those that are not'], ['unlock', 'decrypt those that are']] as const) {
    withDir(keys.command(name).description(`${what}; stop the node first`)).action(async ({ dir, json }: Options) => {
      await report(json === true, async () => {
        const { changed, removed, kept } = await setLock(dir, name === 'lock', given)
        return {
          json: { changed, removed, kept },
          human: [
            changed.length === 0 ? `nothing to ${name}` : `${name}ed: ${changed.join(', ')}`,
            ...removed.length === 0 ? [] : [`removed, left over from an interruption: ${removed.join(', ')}`],
            ...kept.length === 0 ? [] : [`left over from an interruption, perhaps the only copy, and not locked: ${kept.join(', ')}: rename them to what they were to be, or remove them`]
          ].join('\n')
        }
      })
    })
  }

  withDir(keys.command('passphrase').description('another passphrase for those that are locked; stop the node first'))
    .option('--new-passphrase-file <file>', 'holds the new one; else it is asked for')
    .action(async ({ dir, json, newPassphraseFile }: Options) => {
      await report(json === true, async () => {
        const before = await given(false)
        const changed = await changePassphrase(dir, before, newPassphraseFile === undefined ? await ask(true) : passphraseOfFile(newPassphraseFile, '--new-passphrase-file'))
        return { json: { changed }, human: changed.length === 0 ? 'nothing is locked with the passphrase of before' : `locked anew: ${changed.join(', ')}` }
      })
    })

  withDir(keys.command('export').description('all key files in one, locked with the passphrase').argument('<file>', 'made by this command'))
    .action(async (file: string, { dir, json }: Options) => {
      await report(json === true, async () => {
        const result = exportKeys(dir, file, await given(true))
        const left = result.left.length === 0 ? '' : `; left out, since they may not be used elsewhere: ${result.left.join(', ')}`
        return { json: { ...result, file }, human: `written to ${file}: ${result.exported.join(', ')}${left}` }
      })
    })

  withDir(keys.command('import').description('key files from what `keys export` wrote; those that are there are kept').argument('<file>', 'from `keys export`'))
    .action(async (file: string, { dir, json }: Options) => {
      await report(json === true, async () => {
        const imported = importKeys(file, dir, await given(false))
        return { json: { imported }, human: imported.length === 0 ? 'all of them were there' : `imported: ${imported.join(', ')}` }
      })
    })

  withDir(keys.command('rotate').description('make keys anew that others may have; stop the node first (docs/incidents.md)').argument('<what>', ROTATED.join(' or ')))
    .action(async (what: string, { dir, json }: Options) => {
      await report(json === true, async () => {
        const known = ROTATED.find(each => each === what)
        if (known === undefined) throw new MixmintError('bad-argument', 'caller', `${what}: ${ROTATED.join(' or ')} is wanted; others are not made anew by themselves, see docs/incidents.md`)
        const next = await rotateKeys(dir, known, passphraseOfEnvironment())
        return { json: { rotated: known, next }, human: next }
      })
    })
}

/** Of the environment, or asked for. @param isNew then twice */
async function given (isNew: boolean): Promise<Passphrase> {
  return passphraseOfEnvironment() ?? await ask(isNew)
}

/** @throws passphrase-differs (caller) */
async function ask (isNew: boolean): Promise<Passphrase> {
  const first = await askPassphrase(isNew ? 'new passphrase: ' : 'passphrase: ')
  if (isNew && first !== await askPassphrase('once more: ')) throw new MixmintError('passphrase-differs', 'caller', 'these were two different passphrases: nothing was changed')
  return new Passphrase(first)
}
