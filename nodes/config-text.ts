/** A configuration file as `mixmint init` writes it: every setting of the role with a line about it, and those that were not given as comments. */
import { stringify } from 'smol-toml'
import { pathOf, settingsOf, type Role, type Setting } from './settings.ts'

/** @param values by path, such as `listen` or `mix.drainLimit`; as TOML has them */
export function configText (role: Role, values: Readonly<Record<string, unknown>>): string {
  const parts = (top: boolean): string[] => settingsOf(role).filter(setting => setting.top === top).map(setting => {
    const value = values[pathOf(setting, role)]
    return `${about(setting)}\n${value === undefined ? commented(setting, role) : lines(setting, role, value)}`
  })
  return [
    `# A mixmint ${role}. Lines that are commented out show what holds without them, or an example.\n` +
    '# After a change: `mixmint config check FILE`; then restart, or, where it says (reload), send SIGHUP.',
    ...parts(true), `[${role}]`, ...parts(false)
  ].join('\n\n') + '\n'
}

/** `# What it is (unit). Without it: what. (reload)` */
function about ({ what, unit, otherwise, example, kind, default: value, reload }: Setting): string {
  const without = otherwise ?? (kind === 'texts' && example !== undefined ? 'none' : null)
  return `# ${what[0].toUpperCase()}${what.slice(1)}${unit === undefined ? '' : ` (${unit})`}.${without === null ? value === undefined ? ' Has to be set.' : '' : ` Without it: ${without}.`}${reload === true ? ' (reload)' : ''}`
}

function commented (setting: Setting, role: Role): string {
  const { name, example, default: value } = setting
  const text = setting.kind === 'tables' ? example ?? '' : example === undefined ? lines(setting, role, value) : `${name} = ${example}`
  return text.replace(/^/gm, '# ')
}

function lines ({ name, top, kind }: Setting, role: Role, value: unknown): string {
  // Tables need the name of the one above them.
  const nested = !top && (kind === 'table' || kind === 'tables')
  return stringify(nested ? { [role]: { [name]: value } } : { [name]: value }).trim().replace(`[${role}]\n`, '')
}
