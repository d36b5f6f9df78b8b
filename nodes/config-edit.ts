/** One setting in a configuration file, changed where it stands; comments and everything else stay as they are. */
import { parse } from 'smol-toml'
import { MixmintError } from '@mixmint/core/kit/errors'

/**
 * @param table the role's
 * @returns the whole text, with the setting
 * @throws config-edit (operator), when the text is written in a way that this does not understand
 */
export function setInConfig (text: string, table: string, key: string, value: string | number): string {
  const line = `${key} = ${typeof value === 'number' ? value : JSON.stringify(value)}`
  const lines = text.split('\n')
  const header = lines.findIndex(each => new RegExp(`^\\s*\\[\\s*${table}\\s*\\]\\s*(#.*)?$`).test(each))
  const next = lines.findIndex((each, i) => i > header && /^\s*\[/.test(each))
  const end = next < 0 ? lines.length : next
  const at = header < 0 ? -1 : lines.findIndex((each, i) => i > header && i < end && new RegExp(`^\\s*${key}\\s*=`).test(each))
  if (at >= 0) lines[at] = line
  else if (header >= 0) lines.splice(header + 1, 0, line)
  else lines.push(`[${table}]`, line, '')
  const edited = lines.join('\n')
  if (!isSet(edited, table, key, value)) throw new MixmintError('config-edit', 'operator', `write ${line} under [${table}] into config.toml`)
  return edited
}

function isSet (text: string, table: string, key: string, value: string | number): boolean {
  try {
    return (parse(text)[table] as Record<string, unknown> | undefined)?.[key] === value
  } catch {
    return false
  }
}
