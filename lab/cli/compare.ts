/** `compare`: strategies at equal latency and traffic. `disclosure`, `intersection`, `flushing`: attacks, measured. */
import { availableParallelism } from 'node:os'
import type { Command } from 'commander'
import { report, table } from 'mixmint/cli/output.ts'
import { writeResult } from '../attack/result.ts'
import { disclosureLines, sweepDisclosure } from '../compare/disclosure-table.ts'
import { flush } from '../compare/flushing.ts'
import { ofReceivers, ofSenders } from '../compare/intersection.ts'
import { asStrategies } from '../compare/strategies.ts'
import { digits } from '../report/html.ts'
import { bad } from '../scenario/fields.ts'
import { filesOf } from '../scenario/files.ts'
import { collect, finish, runPoints, scenariosOf, type PointOptions } from './run.ts'

export const OUT = ['--out <dir>', 'a folder for the rows, as JSON and CSV'] as const

export function addCompare (program: Command): void {
  program.command('compare').description('Poisson, threshold, timed and pool mixes at the same mean latency and the same traffic')
    .argument('<scenario.toml>').option('--set <key=value>', 'any key of the scenario', collect, [])
    .option('--out <dir>', 'where the results go', 'comparison').option('--json', 'print the summaries for programs')
    .action(async (file: string, options: PointOptions & { readonly out: string, readonly json?: boolean }) => {
      await report(options.json === true, async () => {
        const { scenarios: [scenario] } = scenariosOf(file, { ...options, sweep: [], repeat: '1' })
        return finish(options.out, await runPoints(asStrategies(scenario), availableParallelism(), options.out), filesOf(scenario))
      })
    })
  program.command('disclosure').description('rounds until the friends of one person are known: measured, and as Danezis estimates')
    .option('--people <n>', 'who may be written to', '1000').option('--friends <m>', 'of the one who is watched', '20')
    .option('--batch <list>', 'messages of a round', '25,50,100,200,400').option('--real <list>', 'the part of what leaves her that is a message, the rest is cover', '1,0.5,0.25')
    .option('--runs <n>', 'each point so often', '20').option('--seed <n>', 'chance', '1').option(...OUT).option('--json', 'for programs')
    .action(async ({ people, friends, batch, real, runs, seed, out, json }: Readonly<Record<'people' | 'friends' | 'batch' | 'real' | 'runs' | 'seed', string>> & { readonly out?: string, readonly json?: boolean }) => {
      await report(json === true, () => {
        const plan = {
          people: number(people, '--people'), friends: number(friends, '--friends'), batches: batch.split(',').map(one => number(one, '--batch')),
          reals: real.split(',').map(one => number(one, '--real')), runs: number(runs, '--runs'), seed: number(seed, '--seed')
        }
        const rows = sweepDisclosure(plan)
        if (out !== undefined) writeResult(out, 'disclosure', plan, rows)
        return Promise.resolve({ human: table(disclosureLines(rows)), json: rows as never })
      })
    })
  program.command('intersection').description('rounds until one alone may be it: the friend of one who writes, and who is behind a name')
    .option('--people <n>', 'who may be it', '1000').option('--batch <list>', 'receivers: messages of a round', '25,100,400').option('--real <list>', 'receivers: the part of what leaves her that is a message, the rest is cover', '1,0.5')
    .option('--there <list>', 'senders: the part of people that is there at any time', '0.01,0.1,0.5,0.9')
    .option('--runs <n>', 'each point so often', '200').option('--seed <n>', 'chance', '1').option(...OUT).option('--json', 'for programs')
    .action(async ({ people, batch, real, there, runs, seed, out, json }: Readonly<Record<'people' | 'batch' | 'real' | 'there' | 'runs' | 'seed', string>> & { readonly out?: string, readonly json?: boolean }) => {
      await report(json === true, () => {
        const list = (text: string, option: string): number[] => text.split(',').map(one => number(one, option))
        const plan = { people: whole(people, '--people', 2), batches: batch.split(',').map(one => whole(one, '--batch', 1)), reals: list(real, '--real'), theres: list(there, '--there'), runs: whole(runs, '--runs', 1), seed: whole(seed, '--seed', 0) }
        if (plan.reals.some(part => part > 1)) throw bad('--real', 'a part from 0 to 1 wanted')
        if (plan.theres.some(part => part > 0.999)) throw bad('--there', 'a part from 0 to 0.999 wanted')
        const rows = [
          ...plan.reals.flatMap(real => plan.batches.map(batch => ofReceivers({ people: plan.people, batch, real }, plan.runs, plan.seed))),
          ...plan.theres.map(there => ofSenders({ people: plan.people, there }, plan.runs, plan.seed))
        ]
        if (out !== undefined) writeResult(out, 'intersection', plan, rows)
        const show = (value: number | null): string => value === null ? '-' : digits(value)
        const human = table([['OF', 'BATCH', 'REAL', 'AMONG THEM', 'ROUNDS', 'FORESEEN', 'RIGHT'],
          ...rows.map(row => [row.of, ...[row.batch, row.real, row.among, row.rounds, row.foreseen, row.right].map(show)])])
        return Promise.resolve({ human, json: rows as never })
      })
    })
  program.command('flushing').description('the n − 1 attack on one mix: is the target alone, and do loops tell, how soon')
    .argument('<scenario.toml>', 'one with loops').option('--set <key=value>', 'any key of the scenario', collect, [])
    .option('--block <list>', 'for how many seconds nothing else is let in', '0,0.1,0.5,1,5,20').option(...OUT).option('--json', 'for programs')
    .action(async (file: string, { set, block, out, json }: { readonly set: readonly string[], readonly block: string, readonly out?: string, readonly json?: boolean }) => {
      await report(json === true, () => {
        const { name, scenarios: [scenario] } = scenariosOf(file, { set, sweep: [], repeat: '1' })
        const rows = block.split(',').map(one => flush(scenario, one === '0' ? 0 : number(one, '--block')))
        if (out !== undefined) writeResult(out, 'flushing', { scenario: name, set, seed: scenario.run.seed }, rows)
        const show = (value: number | string | null): string => value === null ? '-' : typeof value === 'number' ? digits(value) : value
        const human = table([['BLOCKED s', 'BESIDE IT', 'HELD BACK', 'ALARM AFTER s', 'BY', 'ABOUT'],
          ...rows.map(row => [row.block_s, row.beside, row.held_back, row.alarm_s, row.raised_by, row.about].map(show))])
        return Promise.resolve({ human, json: rows as never })
      })
    })
}

function number (text: string, option: string, above = 0): number {
  const n = Number(text)
  if (!(n > above) || text.trim() === '') throw bad(option, `a number above ${above} wanted`)
  return n
}

function whole (text: string, option: string, least: number): number {
  const n = number(text, option, least - 1)
  if (!Number.isInteger(n)) throw bad(option, 'a whole number wanted')
  return n
}
