/** `mixmint init`: a node's folder, from flags or by asking. */
import { Argument, InvalidArgumentError, type Command } from 'commander'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { MixmintError } from '@mixmint/core/kit/errors'
import { asMixmintError } from '@mixmint/core/kit/saga'
import { amount, withSettings } from './options.ts'
import { report } from './output.ts'
import type { Made } from '../init.ts'
import { ROLES, settingsOf, pathOf, type Role } from '../settings.ts'
import { settingValue } from '../config-sources.ts'

interface InitFlags {
  readonly dir?: string
  readonly address?: string
  readonly port: number
  readonly network?: string
  readonly set: readonly string[]
  readonly yes?: boolean
  readonly json?: boolean
}

/** What a role cannot do without, and what its operator will want to choose. */
const QUESTIONS: Readonly<Partial<Record<Role, ReadonlyArray<{ readonly path: string, readonly ask: string, readonly standing: string }>>>> = {
  bank: [{ path: 'bank.unit', ask: 'What is counted? The unit\'s smallest coin', standing: 'cent' }],
  merchant: [
    { path: 'merchant.name', ask: 'The shop\'s name, as wallets show it', standing: 'Shop' },
    { path: 'merchant.bank', ask: 'The bank\'s key, 64 hexadecimal digits', standing: '' },
    { path: 'merchant.unit', ask: 'What is counted? As at the bank', standing: 'cent' }
  ]
}

export function addInit (program: Command): void {
  withSettings(program.command('init').description('make the folder of a node: keys, and a configuration in which every setting is explained')
    .addArgument(new Argument('<role>', 'what it is').choices([...ROLES]))
    .option('--dir <dir>', 'its folder; default: by the name of the role, here')
    .option('--address <host>', 'by which others reach this machine: an IP address, or a name')
    .option('--port <number>', 'TCP, where nodes come in; wallets at the next, and over WebSocket at the one after', port, 4001)
    .option('--network <file>', 'the network\'s file, network.toml, which is copied into the folder')
    .option('--yes', 'ask nothing: what is not given stands at its default')
    .option('--json', 'print the result as JSON; asks nothing'))
    .action(async (role: Role, flags: InitFlags) => {
      await report(flags.json === true, async () => {
        const { defaultSuite } = await import('@mixmint/core/crypto/choose')
        const { initNode } = await import('../init.ts')
        const { passphraseOfEnvironment } = await import('../passphrase-source.ts')
        const dir = flags.dir ?? role
        if (existsSync(join(dir, 'config.toml'))) throw new MixmintError('folder-not-empty', 'caller', `${dir} holds a node already`)
        const said = settingValues(role, flags.set)
        const asks = flags.yes !== true && flags.json !== true && process.stdin.isTTY
        const { address, network, settings } = asks ? await ask(role, flags, said) : { address: flags.address, network: flags.network, settings: said }
        if (address === undefined && settings.listen === undefined) throw new MixmintError('bad-argument', 'caller', '--address is wanted: the IP address, or the name, by which others reach this machine')
        if (role === 'merchant' && settings['merchant.bank'] === undefined) throw new MixmintError('bad-argument', 'caller', '--set merchant.bank=KEY is wanted: 64 hexadecimal digits, from the bank\'s operator')
        const made = await initNode(await defaultSuite(), { dir, role, address: address ?? '', port: flags.port, network: network ?? '', settings }, passphraseOfEnvironment())
        return { json: { ...made }, human: told(made) }
      })
    })
}

function port (text: string): number {
  const number = amount(text)
  if (number > 65_533) throw new InvalidArgumentError('a port up to 65533 is wanted.')
  return number
}

/** By path. @throws bad-argument (caller), bad-config (operator) */
function settingValues (role: Role, set: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(set.map(assignment => {
    const { setting, value } = settingValue(role, assignment)
    return [pathOf(setting, role), value]
  }))
}

/** At a terminal. Whoever breaks it off has changed nothing. */
async function ask (role: Role, flags: InitFlags, said: Readonly<Record<string, unknown>>): Promise<{ address: string | undefined, network: string, settings: Record<string, unknown> }> {
  const [{ intro, isCancel, outro, text }, { hostOf }, { readNetwork }] = await Promise.all([import('@clack/prompts'), import('../init.ts'), import('../config.ts')])
  const question = async (message: string, standing: string, check: (answer: string) => string | undefined = () => undefined): Promise<string> => {
    const answer = await text({
      message, ...(standing === '' ? {} : { placeholder: standing, defaultValue: standing }),
      validate: given => (given ?? '') === '' ? standing === '' ? check('') : undefined : check(given ?? '')
    })
    if (isCancel(answer)) throw new MixmintError('broken-off', 'caller', 'nothing was made')
    return answer ?? standing
  }
  intro(`A new ${role}, in ${flags.dir ?? role}`)
  const address = flags.address ?? (said.listen === undefined
    ? await question('By which IP address or name do others reach this machine?', '', answer => answer === '' ? 'One is wanted' : refusal(() => hostOf(answer)))
    : undefined)
  const network = flags.network ?? await question('Where is the network\'s file, network.toml? Empty: it comes later', '', answer => answer === '' ? undefined : existsSync(answer) ? refusal(() => readNetwork(answer)) : 'There is no such file')
  const settings = { ...said }
  const known = settingsOf(role).map(setting => pathOf(setting, role))
  for (const { path, ask: message, standing } of QUESTIONS[role] ?? []) {
    if (settings[path] !== undefined || !known.includes(path)) continue
    settings[path] = await question(message, standing, answer => path === 'merchant.bank' && !/^[0-9a-f]{64}$/.test(answer) ? '64 hexadecimal digits are wanted' : undefined)
  }
  outro('That is all.')
  return { address, network, settings }
}

/** Why it cannot be, or undefined. */
function refusal (attempt: () => unknown): string | undefined {
  try {
    attempt()
    return undefined
  } catch (error) {
    return asMixmintError(error).message
  }
}

function told ({ dir, role, listen, next }: Made): string {
  return [`${dir} holds a new ${role}, which will listen on ${listen}; back up its keys (*.key).`, '', 'Next:', ...next.map((step, i) => `  ${i + 1}. ${step}`)].join('\n')
}
