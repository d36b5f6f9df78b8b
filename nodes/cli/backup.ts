/** `mixmint backup` and `mixmint restore`: a node's keys, settings and, where it may come back, its store. */
import type { Command } from 'commander'
import { withSettings, type SettingFlags } from './options.ts'
import { report } from './output.ts'

export function addBackup (program: Command): void {
  withSettings(program.command('backup').description('copy what comes back of a node into a new folder, while it runs; keep it as secret as its keys')
    .argument('<folder>', 'made by this command')
    .requiredOption('--dir <dir>', 'the node\'s folder')
    .option('--json', 'print the result as JSON'))
    .action(async (to: string, { dir, json, set }: { dir: string, json?: boolean } & SettingFlags) => {
      await report(json === true, async () => {
        const { takeBackup } = await import('../backup.ts')
        const taken = await takeBackup(dir, to, Date.now(), { set, environment: process.env })
        const left = taken.left.length === 0 ? '' : `; left out, since they may never come back: ${taken.left.join(', ')}`
        const outside = taken.outside.length === 0 ? '' : `; not in it, since they lie outside the node's folder, and yours to keep: ${taken.outside.join(', ')}`
        return { json: { ...taken }, human: `${taken.files.length} files in ${to}${taken.store ? ', the store among them' : ', without the store'}${left}${outside}` }
      })
    })

  program.command('restore').description('make a node\'s folder from a backup; tells the node what it may have forgotten')
    .argument('<folder>', 'the backup')
    .requiredOption('--dir <dir>', 'the node\'s folder, which is not there or empty')
    .option('--json', 'print the result as JSON')
    .action(async (from: string, { dir, json }: { dir: string, json?: boolean }) => {
      await report(json === true, async () => {
        const { restoreBackup } = await import('../backup.ts')
        const restored = await restoreBackup(from, dir, Date.now(), process.env)
        return { json: { ...restored }, human: [`restored the ${restored.role} of ${restored.taken} in ${dir}`, ...restored.notes.map(note => `- ${note}`), `Start it: mixmint run --dir ${dir}`].join('\n') }
      })
    })
}
