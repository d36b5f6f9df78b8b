/** Attacks with the daemon's own engines: `correlation`, `tagging`, `replay`, `partition`. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Command } from 'commander'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import { profile } from '@mixmint/mixnet/directory/profiles'
import { report, table } from 'mixmint/cli/output.ts'
import { correlation } from '../attack/correlation.ts'
import { partitionCost, splits } from '../attack/partition.ts'
import { replay } from '../attack/replay.ts'
import { writeResult } from '../attack/result.ts'
import { tagging } from '../attack/tagging.ts'
import type { Roc } from '../measure/roc.ts'
import { correlationReport } from '../report/correlation.ts'
import { digits } from '../report/html.ts'
import { bad } from '../scenario/fields.ts'
import { OUT } from './compare.ts'
import { collect, scenariosOf, withBar } from './run.ts'

type Texts<K extends string> = Readonly<Record<K, string>> & { readonly out?: string, readonly json?: boolean }

const { cover, meanDelay, pathLength, requestLimit } = profile('default', new Uint8Array(0))
const JSON_OPTION = ['--json', 'for programs'] as const

export function addAttack (program: Command): void {
  program.command('correlation').description('does a wallet\'s link tell that it has to do with the bank, by itself and beside the bank\'s: with cover, and without')
    .option('--wallets <n>', 'that ask the bank, that ask another service, that ask nobody: so many of each', '60')
    .option('--observed <list>', 'for how many seconds, rising', '10,60,300')
    .option('--services <n>', 'that cover goes to', '4').option('--others <n>', 'wallets besides', '50')
    .option('--every <s>', 'between two requests of a wallet, on the mean', '10').option('--request <bytes>', 'of a request', '4500').option('--answer <bytes>', 'of its answer', '700').option('--loss <part>', 'of packets, on each link', '0')
    .option('--send <s>', 'cover: between two packets of a wallet', String(cover.send / 1000)).option('--pace <s>', 'cover: between two packets down to it, and of a service\'s answers', String(cover.pace / 1000))
    .option('--echoes <part>', 'cover: of what a wallet sends so much is answered', String(cover.echoes / 1000))
    .option('--delay <s>', 'mean, of a mix', String(meanDelay / 1000)).option('--link <s>', 'delay of a link', '0.03').option('--seed <n>', 'chance', '1').option(...OUT).option(...JSON_OPTION)
    .action(async (given: Texts<'wallets' | 'observed' | 'services' | 'others' | 'every' | 'request' | 'answer' | 'loss' | 'send' | 'pace' | 'echoes' | 'delay' | 'link' | 'seed'>) => {
      await report(given.json === true, async () => {
        const observed = given.observed.split(',').map(one => above(one, '--observed', 0))
        if (observed.some((seconds, i) => seconds <= (observed[i - 1] ?? 0))) throw bad('--observed', 'rising times wanted')
        const echoes = from0(given.echoes, '--echoes')
        if (echoes > 1) throw bad('--echoes', 'a part from 0 to 1 wanted')
        const loss = from0(given.loss, '--loss')
        if (loss >= 1) throw bad('--loss', 'a part from 0 to less than 1 wanted')
        const plan = {
          cover: { send: 1000 * above(given.send, '--send', 0), pace: 1000 * above(given.pace, '--pace', 0), echoes: Math.round(1000 * echoes), loop: 0 },
          mixes: pathLength - 1, meanDelay: 1000 * above(given.delay, '--delay', 0), link: 1000 * from0(given.link, '--link'), loss,
          services: whole(given.services, '--services', 1), others: whole(given.others, '--others', 0), every: 1000 * above(given.every, '--every', 0), request: bytes(given.request, '--request'), answer: bytes(given.answer, '--answer'),
          wallets: whole(given.wallets, '--wallets', 2), observed, seed: whole(given.seed, '--seed', 0)
        }
        const suite = await defaultSuite()
        const rows = await withBar(progress => Promise.resolve(correlation(suite, plan, progress)))
        if (given.out !== undefined) {
          mkdirSync(given.out, { recursive: true })
          writeFileSync(join(given.out, 'report.html'), correlationReport(plan, rows))
        }
        const auc = ({ auc: value, ci95: [low, high] }: Roc): string => `${value.toFixed(3)} (${low.toFixed(2)}–${high.toFixed(2)})`
        return done('correlation', given.out, plan, rows, [
          ['COVER', 'SECONDS', 'LINK: HOW MANY', 'LINK: BURSTS', 'BOTH: BANK OR OTHER', 'FOUND AT 1 %', 'BOTH: BANK OR NOBODY', 'ANSWERED'],
          ...rows.map(row => [row.cover ? 'yes' : 'no', digits(row.observed_s), auc(row.link_count), auc(row.link_bursts), auc(row.both), digits(row.found_at_1pc), auc(row.both_idle), digits(row.answered)])
        ])
      })
    })
  program.command('tagging').description('a mix changes packets: are they recognized behind an honest one, and where are they dropped')
    .option('--packets <n>', 'of each kind of change', '200').option('--seed <n>', 'chance', '1').option(...OUT).option(...JSON_OPTION)
    .action(async (given: Texts<'packets' | 'seed'>) => {
      await report(given.json === true, async () => {
        const plan = { packets: whole(given.packets, '--packets', 1), seed: whole(given.seed, '--seed', 0) }
        const rows = tagging(await defaultSuite(), plan.packets, plan.seed)
        return done('tagging', given.out, plan, rows, [['PAYLOAD', 'TAG', 'PACKETS', 'RECOGNIZED', 'ARRIVED', 'DROPPED'],
          ...rows.map(({ payload, tag, packets, recognized, arrived, dropped }) => [payload, tag, digits(packets), digits(recognized), digits(arrived), reasons(dropped)])])
      })
    })
  program.command('replay').description('packets that a mix has passed on come again: how many leave twice')
    .option('--packets <n>', 'sent twice in each case', '200').option('--seed <n>', 'chance', '1').option(...OUT).option(...JSON_OPTION)
    .action(async (given: Texts<'packets' | 'seed'>) => {
      await report(given.json === true, async () => {
        const plan = { packets: whole(given.packets, '--packets', 1), seed: whole(given.seed, '--seed', 0) }
        const rows = await replay(await defaultSuite(), plan.packets, plan.seed)
        return done('replay', given.out, plan, rows, [['AGAIN', 'PACKETS', 'LEFT FIRST', 'LEFT AGAIN', 'DROPPED'],
          ...rows.map(({ when, packets, first, again, dropped }) => [when, digits(packets), digits(first), digits(again), reasons(dropped)])])
      })
    })
  program.command('partition').description('corrupt authorities show one client another document: can they, what is it worth, and what convicts them')
    .argument('<scenario.toml>', 'of the network in which the cost is measured').option('--set <key=value>', 'any key of the scenario', collect, [])
    .option('--authorities <n>', 'how many', '4').option('--width <n>', 'nodes of each layer in the directory', '3')
    .option('--keep <list>', 'mixes of each layer in the victim\'s document, for its cost', '4,2,1').option(...OUT).option(...JSON_OPTION)
    .action(async (file: string, { set, ...given }: Texts<'authorities' | 'width' | 'keep'> & { readonly set: readonly string[] }) => {
      await report(given.json === true, async () => {
        const { name, scenarios: [scenario] } = scenariosOf(file, { set, sweep: [], repeat: '1' })
        const plan = { scenario: name, set, authorities: whole(given.authorities, '--authorities', 1), width: whole(given.width, '--width', 1), keep: given.keep.split(',').map(one => whole(one, '--keep', 1)), seed: scenario.run.seed }
        // First, as they look the scenario over.
        const costs = plan.keep.map(keep => partitionCost(scenario, keep))
        const documents = await splits(await defaultSuite(), plan.authorities, plan.width, plan.seed)
        const show = (value: number | null): string => value === null ? '-' : digits(value)
        const human = `${table([['AUTHORITIES', 'CORRUPT', 'HONEST WITH VICTIM', 'DOCUMENTS', 'NODES', 'VICTIM\'S NODES', 'CONVICTED'],
          ...documents.map(row => [row.authorities, row.corrupt, row.with_victim, row.documents, row.nodes, row.victims_nodes, row.convicted].map(show))])}\n\n` +
          table([['MIXES OF A LAYER', 'ENTROPY', '± 95 %'], ...costs.map(({ of_each_layer: keep, entropy_bits: bits }) => [keep, bits.mean, bits.high - bits.mean].map(digits))])
        if (given.out !== undefined) {
          writeResult(given.out, 'partition', plan, documents)
          writeResult(given.out, 'partition-cost', plan, costs)
        }
        return { human, json: { documents, costs } as never }
      })
    })
}

/** @param lines of the table for people */
function done (name: string, out: string | undefined, plan: Readonly<Record<string, unknown>>, rows: readonly object[], lines: string[][]): { human: string, json: never } {
  if (out !== undefined) writeResult(out, name, plan, rows)
  return { human: `${table(lines)}${out === undefined ? '' : `\nwritten to ${out}: ${name}.json, ${name}.csv`}`, json: rows as never }
}

function reasons (dropped: Readonly<Record<string, number>>): string {
  const all = Object.entries(dropped).map(([why, count]) => `${why} ${digits(count)}`)
  return all.length === 0 ? '-' : all.join(', ')
}

function above (text: string, option: string, least: number): number {
  const n = Number(text)
  if (!(n > least) || n === Infinity) throw bad(option, `a number above ${least} wanted`)
  return n
}

function from0 (text: string, option: string): number {
  return text.trim() === '0' ? 0 : above(text, option, 0)
}

function bytes (text: string, option: string): number {
  const n = whole(text, option, 0)
  if (n > requestLimit) throw bad(option, `at most ${requestLimit} bytes wanted, as the network has it`)
  return n
}

function whole (text: string, option: string, least: number): number {
  const n = Number(text)
  if (text.trim() === '' || !Number.isInteger(n) || n < least) throw bad(option, `a whole number from ${least} wanted`)
  return n
}
