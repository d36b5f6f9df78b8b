/** `mixmint doctor`: what is amiss with a node, and what to do. */
import type { Command } from 'commander'
import type { Finding } from '../doctor/finding.ts'
import { withSettings, type SettingFlags } from './options.ts'
import { EXIT, report } from './output.ts'

const SIGNS: Readonly<Record<Finding['state'], string>> = { ok: 'ok  ', warn: 'WARN', fail: 'FAIL' }

export function addDoctor (program: Command): void {
  withSettings(program.command('doctor').description('look a node over, before its start or while it runs: configuration, machine, keys, store, ports from inside and out, clock, directory. Exit code 3 when something fails')
    .requiredOption('--dir <dir>', 'the node\'s folder')
    .option('--json', 'print the result as JSON'))
    .action(async ({ dir, json, set }: { dir: string, json?: boolean } & SettingFlags) => {
      await report(json === true, async () => {
        const { examine } = await import('../doctor/doctor.ts')
        const found = await examine(dir, { set, environment: process.env }, finding => { if (json !== true) process.stdout.write(`${line(finding)}\n`) })
        const count = (state: Finding['state']): number => found.filter(finding => finding.state === state).length
        if (count('fail') > 0) process.exitCode = EXIT.operator
        return {
          json: { findings: found.map(finding => ({ ...finding })), ok: count('ok'), warn: count('warn'), fail: count('fail') },
          human: `${count('ok')} ok, ${count('warn')} to look at, ${count('fail')} wrong`
        }
      })
    })
}

function line ({ check, state, what, advice }: Finding): string {
  return `${SIGNS[state]}  ${check.padEnd(13)}  ${what}${advice === '' ? '' : `\n      ${' '.repeat(13)}  → ${advice}`}`
}
