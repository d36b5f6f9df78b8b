/** `mixmint run` and `mixmint status`: one daemon. */
import type { Command } from 'commander'
import { callControl, type JsonObject } from '../control.ts'
import { report, table } from './output.ts'

export function addRun (program: Command): void {
  program.command('run').description('run the node whose configuration is in a folder, until stopped')
    .requiredOption('--dir <dir>', 'the node\'s folder, with its config.toml')
    .option('--supervised', 'stop when standard input ends')
    .action(async ({ dir, supervised }: { dir: string, supervised?: boolean }) => {
      const { runDaemon } = await import('../daemon.ts')
      await report(false, async () => {
        await runDaemon(dir, supervised === true)
        return { human: 'stopped', json: null }
      })
    })

  program.command('status').description('what a running node says of itself')
    .requiredOption('--dir <dir>', 'the node\'s folder')
    .option('--json', 'print the result as JSON')
    .action(async ({ dir, json }: { dir: string, json?: boolean }) => {
      await report(json === true, async () => {
        const status = await callControl(dir, 'status') as JsonObject
        const { counters, ...rest } = status
        const rows = [...Object.entries(rest), ...Object.entries(counters as JsonObject)]
        return { json: status, human: table(rows.map(([name, value]) => [name, typeof value === 'object' ? JSON.stringify(value) : String(value)])) }
      })
    })
}
