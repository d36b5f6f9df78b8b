/** `mixmint config`: is a file right, and what holds. */
import type { Command } from 'commander'
import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Json } from '../control.ts'
import { withSettings, type SettingFlags } from './options.ts'
import { report, table } from './output.ts'

export function addConfig (program: Command): void {
  const config = program.command('config').description('configuration files: check one, or show what holds. A flag comes before a variable, before the file, before the default')
  withSettings(config.command('check').description('read a configuration as `mixmint run` would: a node\'s config.toml, or a network.toml')
    .argument('<file>', 'the file, or the folder of a node')
    .option('--json', 'print the result as JSON'))
    .action(async (file: string, { set, json }: SettingFlags & { json?: boolean }) => {
      await report(json === true, async (): Promise<{ json: Json, human: string }> => {
        const { readNetwork, readNodeFile } = await import('../config.ts')
        const { readToml, strangeVariables } = await import('../config-sources.ts')
        const { named } = await import('../settings.ts')
        // What is not there is missed as what was meant.
        const path = isFolder(file) || (!existsSync(file) && !file.endsWith('.toml')) ? join(file, 'config.toml') : file
        const raw = readToml(path, 'no-such-node')
        if (raw.authority !== undefined && raw.role === undefined) {
          const { network, authorities } = readNetwork(path)
          return { json: { file: path, network, authorities: authorities.length }, human: `${path}: right; the network ${network} with ${authorities.length} ${authorities.length === 1 ? 'authority' : 'authorities'}` }
        }
        const { role } = readNodeFile(path, { set, environment: process.env })
        const warnings = strangeVariables(process.env)
        return { json: { file: path, role, warnings }, human: [`${path}: right; ${named(role)}`, ...warnings.map(warning => `warning: ${warning}`)].join('\n') }
      })
    })
  withSettings(config.command('show').description('each setting of a node, and where it comes from: flag, environment, file or default')
    .requiredOption('--dir <dir>', 'the node\'s folder')
    .option('--json', 'print the result as JSON'))
    .action(async ({ dir, set, json }: SettingFlags & { dir: string, json?: boolean }) => {
      await report(json === true, async () => {
        const { readSources } = await import('../config-sources.ts')
        const { pathOf, settingsOf } = await import('../settings.ts')
        const { role, raw, origins } = readSources(join(dir, 'config.toml'), { set, environment: process.env })
        const own = raw[role] as Record<string, Json>
        const settings = settingsOf(role).map(setting => {
          const path = pathOf(setting, role)
          return { name: path, value: (setting.top ? raw[setting.name] : own[setting.name]) as Json ?? null, from: origins.get(path) ?? 'default', without: setting.otherwise ?? '' }
        })
        return {
          json: { role, settings: settings.map(({ name, value, from }) => ({ name, value, from })) },
          human: table([['SETTING', 'VALUE', 'FROM'], ...settings.map(({ name, value, from, without }) => [name, value === null ? without === '' ? '-' : `(${without})` : JSON.stringify(value), from])])
        }
      })
    })
}

function isFolder (path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
}
