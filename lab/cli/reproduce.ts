/** `reproduce`: published results against what the lab measures. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Command } from 'commander'
import { MixmintError } from '@mixmint/core/kit/errors'
import { report, table } from 'mixmint/cli/output.ts'
import { ProgressBar } from 'mixmint/cli/progress.ts'
import { claimLines, reproductionOf } from '../report/reproduce.ts'
import { reproduce } from '../reproduce/claims.ts'

export function addReproduce (program: Command): void {
  program.command('reproduce').description('reproduce published results and closed forms, and report both side by side')
    .option('--short', 'fewer targets and shorter runs, as the tests do')
    .option('--out <dir>', 'where report.html and claims.json go', 'reproduction')
    .option('--json', 'print the claims for programs')
    .action(async ({ short, out, json }: { readonly short?: boolean, readonly out: string, readonly json?: boolean }) => {
      await report(json === true, async () => {
        const bar = new ProgressBar('reproducing', 1000)
        const claims = reproduce(short === true ? 'short' : 'full', part => { bar.set(Math.round(1000 * part), 1000) })
        bar.end()
        mkdirSync(out, { recursive: true })
        writeFileSync(join(out, 'claims.json'), `${JSON.stringify(claims, null, 2)}\n`)
        writeFileSync(join(out, 'report.html'), reproductionOf(claims))
        const missed = claims.filter(({ met }) => !met)
        if (missed.length > 0) throw new MixmintError('not-reproduced', 'us', `${table(claimLines(claims))}\nnot reproduced: ${missed.map(({ what }) => what).join('; ')}`)
        return { human: `${table(claimLines(claims))}\nwritten to ${out}: report.html, claims.json`, json: claims as never }
      })
    })
}
