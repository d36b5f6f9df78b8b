/** SIGHUP: the configuration is read again, and what can change while a node runs is taken up. */
import { join } from 'node:path'
import type { Log } from '@mixmint/core/kit/ports'
import { asMixmintError } from '@mixmint/core/kit/saga'
import { readNode, type NodeConfig } from './config.ts'
import { readSources, type Given, type Sources } from './config-sources.ts'
import { pathOf, settingsOf, type Setting } from './settings.ts'

export interface Reloading {
  readonly dir: string
  readonly given: Given
  readonly log: Log
  /** All of it, of which only settings that say `reload` are looked at. Whatever it throws, all is as before. */
  readonly take: (config: NodeConfig) => void
}

/** @returns what to do at each SIGHUP. A configuration that is wrong changes nothing, and is said in the log. */
export function reloader ({ dir, given, log, take }: Reloading): () => void {
  const read = (): Sources => readSources(join(dir, 'config.toml'), given)
  /** What holds: as it was read last, and taken up; of what wants a restart, as at the start. */
  const start = read()
  let held = start
  return () => {
    try {
      const config = readNode(dir, given)
      const now = read()
      take(config)
      const taken = changes(held, now).filter(({ reload }) => reload === true)
      const waiting = changes(start, now).filter(({ reload }) => reload !== true)
      held = now
      log.info('configuration read again', { changed: names(taken, now) })
      if (waiting.length > 0) log.warn('settings that want a restart have changed', { code: 'restart-wanted', settings: names(waiting, now) })
    } catch (cause) {
      const { code, message } = asMixmintError(cause)
      log.error(`the configuration is not taken up, and the one before holds: ${message}`, { code })
    }
  }
}

function changes (before: Sources, after: Sources): Setting[] {
  const valueOf = ({ raw, role }: Sources, { top, name }: Setting): string => JSON.stringify((top ? raw : raw[role] as Record<string, unknown>)[name]) ?? ''
  return settingsOf(before.role).filter(setting => valueOf(before, setting) !== valueOf(after, setting))
}

function names (settings: readonly Setting[], { role }: Sources): string {
  return settings.length === 0 ? 'nothing' : settings.map(setting => pathOf(setting, role)).join(' ')
}
