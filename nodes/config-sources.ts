/**
 * Where the settings of a node come from: a flag before a variable before the file before the default. The file's tables are
 * overlaid with what flags and variables say, and then read as if all of it stood there.
 */
import { readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { parse as parseToml } from 'smol-toml'
import { MixmintError } from '@mixmint/core/kit/errors'
import { nearest } from './nearest.ts'
import { named, pathOf, ROLES, SETTINGS, settingsOf, variableOf, type Role, type Setting } from './settings.ts'
import { ofSystem } from './system-error.ts'

export type Table = Record<string, unknown>

/** What was said beside the file. */
export interface Given {
  /** Each `NAME=VALUE`: `listen=…`, `mix.drainLimit=…`, or the latter without its role. A text is written as it is, anything else as in TOML. */
  readonly set?: readonly string[]
  readonly environment?: Readonly<Record<string, string | undefined>>
}

type Origin = 'flag' | 'environment' | 'file' | 'default'

export interface Sources {
  readonly role: Role
  /** As if all stood in the file, defaults too. */
  readonly raw: Table
  /** By path, `mix.drainLimit`. */
  readonly origins: ReadonlyMap<string, Origin>
  /** The file, and what overrides it: for errors. */
  readonly where: string
}

/** Variables of this program that are no settings. */
const OTHERS = ['MIXMINT_NET', 'MIXMINT_PASSPHRASE', 'MIXMINT_PASSPHRASE_FILE', 'MIXMINT_DEBUG', 'MIXMINT_STRICT']

export function bad (where: string, why: string): MixmintError {
  return new MixmintError('bad-config', 'operator', `${where}: ${why}`)
}

/** @param absent code of the error when there is no such file. @throws that, system-refused, bad-config (operator) */
export function readToml (file: string, absent: 'no-such-node' | 'no-such-network'): Table {
  let source: string
  try {
    source = readFileSync(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw ofSystem(error)
    const advice = absent === 'no-such-node'
      ? `give the right folder, or make one with \`mixmint init ROLE --dir ${dirname(file)}\``
      : 'give the right folder or file; the operators of the network\'s authorities hand it out, and `mixmint up` makes one for this machine'
    throw new MixmintError(absent, 'operator', `cannot read ${file}: ${advice}`, { cause: error })
  }
  return parsed(file, source)
}

function parsed (file: string, source: string): Table {
  try {
    return parseToml(source) as Table
  } catch (error) {
    throw bad(file, `not TOML: ${error instanceof Error ? error.message.split('\n')[0] : String(error)}`)
  }
}

/** @throws no-such-node, bad-config (operator) */
export function readSources (file: string, given?: Given): Sources {
  return overlaid(file, readToml(file, 'no-such-node'), given)
}

/** As readSources, of a file that is not written yet. @param where for errors */
export function sourcesOfText (where: string, source: string): Sources {
  return overlaid(where, parsed(where, source))
}

function overlaid (file: string, raw: Table, { set = [], environment = {} }: Given = {}): Sources {
  const role = ROLES.find(r => r === raw.role)
  if (role === undefined) throw bad(file, `role: one of ${ROLES.join(', ')} wanted`)
  const settings = settingsOf(role)
  if (raw[role] !== undefined && !isTable(raw[role])) throw bad(file, `a table [${role}] is wanted`)
  const own = raw[role] = { ...(raw[role] as Table | undefined) }
  const origins = new Map<string, Origin>()
  const tableOf = (setting: Setting): Table => setting.top ? raw : own
  for (const setting of settings) if (tableOf(setting)[setting.name] !== undefined) origins.set(pathOf(setting, role), 'file')

  const overriding: string[] = []
  const override = (setting: Setting, value: unknown, origin: Origin, said: string): void => {
    tableOf(setting)[setting.name] = value
    origins.set(pathOf(setting, role), origin)
    overriding.push(said)
  }
  for (const setting of settings) {
    const variable = variableOf(setting)
    const value = variable === null ? undefined : environment[variable]
    if (variable !== null && value !== undefined) override(setting, valueOf(setting, value, variable), 'environment', variable)
  }
  for (const assignment of set) {
    const { setting, value } = settingValue(role, assignment)
    override(setting, value, 'flag', `--set ${setting.name}`)
  }

  for (const setting of settings) {
    if (tableOf(setting)[setting.name] === undefined && setting.default !== undefined) {
      tableOf(setting)[setting.name] = setting.default
      origins.set(pathOf(setting, role), 'default')
    }
  }
  return { role, raw, origins, where: overriding.length === 0 ? file : `${file} with ${overriding.join(', ')}` }
}

/** What one `NAME=VALUE` sets. @throws bad-argument (caller), bad-config (operator) */
export function settingValue (role: Role, assignment: string): { readonly setting: Setting, readonly value: unknown } {
  const at = assignment.indexOf('=')
  if (at < 1) throw new MixmintError('bad-argument', 'caller', `--set ${assignment}: NAME=VALUE is wanted, such as log=debug`)
  const name = assignment.slice(0, at)
  const settings = settingsOf(role).filter(setting => variableOf(setting) !== null)
  const setting = settings.find(s => name === pathOf(s, role) || name === s.name)
  if (setting === undefined) throw new MixmintError('bad-argument', 'caller', `--set ${name}: no setting of ${named(role)}${nearest(name, settings.map(s => name.includes('.') ? pathOf(s, role) : s.name))}`)
  return { setting, value: valueOf(setting, assignment.slice(at + 1), `--set ${name}`) }
}

/** Variables that look like settings and are none, each with what to do: for a warning. */
export function strangeVariables (environment: Readonly<Record<string, string | undefined>>): string[] {
  const known = [...SETTINGS.flatMap(setting => variableOf(setting) ?? []), ...OTHERS]
  return Object.keys(environment).filter(name => name.startsWith('MIXMINT_') && !known.includes(name))
    .map(name => `${name} is no setting, and is not heeded${nearest(name, known)}`)
}

function valueOf ({ kind }: Setting, text: string, said: string): unknown {
  if (kind === 'text') return text
  try {
    return (parseToml(`value = ${text}`) as Table).value
  } catch (error) {
    throw bad(said, `a value as in TOML is wanted: ${error instanceof Error ? error.message.split('\n')[0] : String(error)}`)
  }
}

export function isTable (value: unknown): value is Table {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
