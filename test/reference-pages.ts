/**
 * The pages of docs/reference, made from the program itself: `npm run reference` writes them, and a test sees that they are up
 * to date.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Command } from 'commander'
import { EXIT_HELP } from '../nodes/cli/output.ts'
import { wholeProgram } from '../nodes/main.ts'
import { COUNTERS, countersOf } from '../nodes/metrics/counter-table.ts'
import { FIGURES, type FigureRow } from '../nodes/metrics/figure-table.ts'
import type { LabelRule } from '../nodes/metrics/labels.ts'
import { COARSE, HISTOGRAMS } from '../nodes/metrics/readings.ts'
import { pathOf, ROLES, settingsOf, variableOf, type Role, type Setting } from '../nodes/settings.ts'
import { logEvents } from './log-events.ts'

const ROOT = fileURLToPath(new URL('../', import.meta.url))
const REFERENCE = join(ROOT, 'docs', 'reference')
const NOTE = '<!-- Made by `npm run reference`; do not edit. -->'

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ')

function rows (head: readonly string[], lines: ReadonlyArray<readonly string[]>): string {
  return [head, head.map(() => '---'), ...lines.map(line => line.map(cell))].map(line => `| ${line.join(' | ')} |`).join('\n')
}

/** Every command with its arguments and options. Defaults that this machine's environment gives are left out. */
async function cli (): Promise<string> {
  const leaves = (command: Command, path: string): Array<{ path: string, command: Command }> => command.commands.length === 0
    ? [{ path, command }]
    : command.commands.flatMap(each => leaves(each, `${path} ${each.name()}`))
  const program = await wholeProgram()
  const sections = leaves(program, 'mixmint').map(({ path, command }) => {
    const group = command.parent === program ? [] : command.parent?.options ?? []
    const words = command.registeredArguments.map(argument => argument.required ? `<${argument.name()}${argument.variadic ? '…' : ''}>` : `[${argument.name()}${argument.variadic ? '…' : ''}]`)
    const listed = [
      ...command.registeredArguments.map(argument => [argument.name(), argument.description + (argument.argChoices === undefined ? '' : `: ${argument.argChoices.join(', ')}`)]),
      ...[...group, ...command.options].map(option => [`\`${option.flags}\``, option.description + (option.mandatory ? ' (wanted)' : '')])
    ]
    return [`## ${path}`, '', command.description(), '', `\`${[path, ...words].join(' ')}\``, ...listed.length === 0 ? [] : ['', rows(['', 'what'], listed)]].join('\n')
  })
  return [NOTE, '# Commands', '', '```', EXIT_HELP, '```', '', sections.join('\n\n'), ''].join('\n')
}

function configuration (): string {
  const standing = ({ default: value, otherwise }: Setting): string => otherwise ?? (value === undefined ? 'has to be set' : `\`${JSON.stringify(value)}\``)
  const table = (role: Role, settings: readonly Setting[]): string => rows(['setting', 'variable', 'kind', 'without it', 'what', 'reload'], settings.map(setting => [
    `\`${pathOf(setting, role)}\``, variableOf(setting) === null ? '' : `\`${variableOf(setting)}\``, setting.kind, standing(setting), setting.what + (setting.unit === undefined ? '' : ` (${setting.unit})`), setting.reload === true ? 'SIGHUP' : ''
  ]))
  const top = ROLES.flatMap(role => settingsOf(role)).filter((setting, i, all) => setting.top && all.indexOf(setting) === i)
  return [
    NOTE, '# Configuration', '', '`config.toml` in a node\'s folder. A flag (`--set NAME=VALUE`) comes before a variable, before the file, before the default.', '',
    '## Every role', '', 'At the top of the file. `entry` and `announceEntry` are for roles that wallets come to: gateway, bank, center, merchant.', '', table('gateway', top), '',
    ...ROLES.flatMap(role => [`## ${role}`, '', `Under \`[${role}]\`.`, '', table(role, settingsOf(role).filter(({ top }) => !top)), ''])
  ].join('\n')
}

/** Every `new MixmintError('code', 'fault', 'text'`: the code, who has to act, and one text. */
function errors (): string {
  const found = new Map<string, { fault: string, text: string }>()
  const files = ['src', 'mixnet', 'nodes'].flatMap(room => readdirSync(join(ROOT, room), { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith('.ts') && !/node_modules|dist\//.test(name)).sort().map(name => join(ROOT, room, name)))
  for (const file of files) {
    for (const [, code, fault, , quoted, template] of readFileSync(file, 'utf8').matchAll(/new MixmintError\(\s*'([a-z-]+)',\s*'(caller|peer|operator|us)',\s*('((?:[^'\\]|\\.)*)'|`((?:[^`\\]|\\.)*)`)?/g)) {
      const text = (quoted ?? template ?? '').replace(/\$\{[^}]*\}+/g, '…').replace(/\\(.)/g, '$1')
      const known = found.get(code)
      if (known === undefined || (known.text === '' && text !== '')) found.set(code, { fault, text })
    }
  }
  const acts: Readonly<Record<string, string>> = { caller: 'whoever called', peer: 'the other side', operator: 'the operator', us: 'mixmint: a defect' }
  return [NOTE, '# Errors', '', 'Codes of errors, as commands print them in brackets and with `--json`, who has to act, and what is said (… stands for what differs).', '',
    rows(['code', 'who acts', 'what is said'], [...found].sort(([a], [b]) => a < b ? -1 : 1).map(([code, { fault, text }]) => [`\`${code}\``, acts[fault], text])), ''].join('\n')
}

function logs (): string {
  return [NOTE, '# Logs', '', 'What a daemon writes on standard error, one JSON object a line ([watching.md](../watching.md#logs)): the level, the message (`msg`, with … for what differs; alone: an error\'s text), ' +
    'its code (… for that of an error: [errors.md](errors.md)), and fields besides `time`, `role`, `level`. `message` is the text of the error.', '',
  rows(['level', 'message', 'code', 'fields', 'what to do'], logEvents(ROOT).map(({ level, message, code, fields, advice }) => [
    level, message, code === '' || code === '…' ? code : `\`${code}\``, fields.map(name => name === '…' ? name : `\`${name}\``).join(', '), advice
  ])), ''].join('\n')
}

/** Every metric: its name, kind, labels, what it is of, which roles tell it where that is fixed, and whether in steps. */
function metrics (): string {
  const labelsOf = (labels: Readonly<Record<string, LabelRule>> = {}): string => Object.entries(labels).map(([name, rule]) => `\`${name}\`${typeof rule === 'string' ? '' : `: ${rule.join(', ')}`}`).join('; ')
  const rolesOf = (name: string): string => ROLES.filter(role => countersOf(role).includes(name)).join(', ')
  const row = (name: string, { help, labels, people }: Pick<FigureRow, 'help' | 'labels' | 'people'>, more: string): string[] => [`\`mixmint_${name}\``, more, help, labelsOf(labels), people === true ? '16' : '']
  const figures = Object.entries(FIGURES) as Array<[string, FigureRow]>
  return [
    NOTE, '# Metrics', '', `At \`/metrics\` of a daemon ([watching.md](../watching.md)). Labels without a list are words, or the first 16 digits of a key that the directory names. In steps of ${COARSE}: what moves with what`,
    'people do ([decision 56](../decisions/0056-blunt-metrics.md)). Besides, prom-client tells of the process and of Node.js (`process_…`, `nodejs_…`).', '',
    '## Sizes, dates and states', '', rows(['metric', 'kind', 'what', 'labels', 'steps'], figures.map(([name, row_]) => row(name, row_, row_.type))), '',
    '## Histograms', '', rows(['metric', 'upper bounds', 'what', 'labels', 'steps'], Object.values(HISTOGRAMS).map(({ name, help, bounds, scale }) => row(name, { help, people: true }, bounds.map(bound => bound * scale).join(', ')))), '',
    '## Counters', '', rows(['metric', 'roles', 'what', 'labels', 'steps'], Object.entries(COUNTERS).filter(([name]) => rolesOf(name) !== '').map(([name, of]) => row(`${name}_total`, of, rolesOf(name)))), ''
  ].join('\n')
}

/** By file name. */
export async function referencePages (): Promise<Map<string, string>> {
  return new Map([['cli.md', await cli()], ['configuration.md', configuration()], ['errors.md', errors()], ['logs.md', logs()], ['metrics.md', metrics()]])
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  mkdirSync(REFERENCE, { recursive: true })
  for (const [name, text] of await referencePages()) writeFileSync(join(REFERENCE, name), text)
}
