/** `mixmint run`: one daemon. */
import type { Command } from 'commander'
import { withSettings, type SettingFlags } from './options.ts'
import { report } from './output.ts'

export function addRun (program: Command): void {
  withSettings(program.command('run').description('run the node whose configuration is in a folder, until stopped')
    .requiredOption('--dir <dir>', 'the node\'s folder, with its config.toml')
    .option('--supervised', 'stop when standard input ends'))
    .action(async ({ dir, supervised, set }: { dir: string, supervised?: boolean } & SettingFlags) => {
      const { runDaemon } = await import('../daemon.ts')
      await report(false, async () => {
        await runDaemon(dir, { set, environment: process.env }, supervised === true)
        return { human: 'stopped', json: null }
      })
    })
}
