/** `probe`: round trips through a running network. `trace`: what was measured there, as a scenario. */
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import type { Command } from 'commander'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import { interruption } from 'mixmint/cli/interruption.ts'
import { defaultNet } from 'mixmint/cli/options.ts'
import { report, table } from 'mixmint/cli/output.ts'
import { ProgressBar } from 'mixmint/cli/progress.ts'
import { analyse, short, type ProbeSummary } from '../live/analysis.ts'
import { readProbes, writeProbes } from '../live/folder.ts'
import { probe } from '../live/session.ts'
import { readMetrics, traceScenario, type Node } from '../live/trace.ts'
import { digits } from '../report/html.ts'
import { bad } from '../scenario/fields.ts'
import { parseToml, readScenario } from '../scenario/read.ts'
import type { Scenario } from '../scenario/schema.ts'
import { collect } from './run.ts'

interface ProbeFlags {
  readonly net: string
  readonly probes: string
  readonly rate?: string
  readonly path?: string
  readonly gateway: readonly string[]
  readonly scenario?: string
  readonly out: string
  readonly json?: boolean
}

export function addLive (program: Command): void {
  program.command('probe').description('round trips through a running network: how long, what was foreseen, which node is slow or loses packets')
    .option('--net <dir>', 'the network\'s folder, or any with its network.toml (or the variable MIXMINT_NET)', defaultNet())
    .option('--probes <n>', 'how many round trips', '500')
    .option('--rate <n>', 'a second; at most half of what wallets send, so that none leaves but in the place of one of theirs (default: as many as wallets send echoes)')
    .option('--path <a,b,c>', 'ends of the peer ids of a mix of each layer, for both ways (default: paths at random)')
    .option('--gateway <id>', 'the end of a gateway\'s peer id; again for more (default: each of them)', collect, [])
    .option('--scenario <file>', 'foresee by this scenario, one way through the network, such as `trace` makes (default: by what the directory prescribes)')
    .option('--out <dir>', 'where the results go', 'probes').option('--json', 'print the summary for programs')
    .action(async (flags: ProbeFlags) => {
      await report(flags.json === true, async () => {
        const count = numberOf(flags.probes, '--probes')
        const scenario = flags.scenario === undefined ? null : scenarioIn(flags.scenario)
        const bar = new ProgressBar('probing', count)
        const probed = await probe({
          net: flags.net, count, rate: flags.rate === undefined ? null : positive(flags.rate, '--rate'), path: flags.path?.split(',') ?? null, gateways: flags.gateway
        }, ended => { bar.set(ended, count) }, interruption()).finally(() => { bar.end() })
        if (probed.trips.length === 0) throw bad('--probes', 'none had ended when this was stopped')
        const foreseeing = new ProgressBar('foreseeing', 1000)
        const analysed = analyse(await defaultSuite(), probed, { scenario, progress: part => { foreseeing.set(Math.round(1000 * part), 1000) } })
        foreseeing.end()
        writeProbes(flags.out, probed, analysed)
        return { human: `${linesOf(analysed.summary)}\nwritten to ${flags.out}: summary.json, probes.csv, report.html, …`, json: analysed.summary as never }
      })
    })
  program.command('trace').description('a scenario of a running network, from the folder of a probing and what its daemons tell Prometheus')
    .argument('<probes>', 'the folder of `lab probe`')
    .option('--metrics <path>', 'the answer of a daemon\'s /metrics in a file, or a folder of such files; again for more', collect, [])
    .option('--before <dir>', 'the same, earlier, under the same names: what is a rate comes from both').option('--seconds <n>', 'between the two')
    .option('--out <file>', 'where the scenario goes', 'traced.toml')
    .action(async (dir: string, flags: { readonly metrics: readonly string[], readonly before?: string, readonly seconds?: string, readonly out: string }) => {
      await report(false, () => {
        if ((flags.before === undefined) !== (flags.seconds === undefined)) throw bad('--seconds', 'wanted where there is --before, and only there')
        const text = traceScenario(readProbes(dir), nodesIn(flags.metrics, flags.before), flags.seconds === undefined ? null : positive(flags.seconds, '--seconds'))
        writeFileSync(flags.out, text)
        return Promise.resolve({ human: `${text}\nwritten to ${flags.out}; mixmint lab run ${flags.out} runs it`, json: {} })
      })
    })
}

/** A file a daemon; what was before has the same name. @throws bad-scenario (caller) */
function nodesIn (given: readonly string[], before: string | undefined): Node[] {
  const files = given.flatMap(path => existsSync(path) && statSync(path).isDirectory() ? readdirSync(path).sort().map(name => join(path, name)) : [path])
  return files.map(file => ({
    after: readMetrics(textOf(file), file),
    before: before === undefined ? null : readMetrics(textOf(join(before, basename(file))), join(before, basename(file)))
  }))
}

function linesOf ({ round_trip_s: trip, predicted_s: foreseen, probes, ks, departs, nodes, link_s: link }: ProbeSummary): string {
  const show = (value: number | undefined): string => value === undefined ? '–' : digits(value)
  return [
    table([['', 'MEAN s', 'p50 s', 'p90 s', 'p99 s', 'LOST'],
      ['measured', show(trip?.mean), show(trip?.p50), show(trip?.p90), show(trip?.p99), `${probes.lost} of ${probes.ended}`],
      ['foreseen', show(foreseen.mean), show(foreseen.p50), show(foreseen.p90), show(foreseen.p99), '']]),
    `a link takes ${digits(link * 1000)} ms; distance of the two ${ks === null ? '–' : `${digits(ks.distance)}, p = ${digits(ks.p)}`}`, '',
    table([['LAYER', 'NODE', 'VISITS', 'EXCESS ms', '95 %', 'LOSS', '95 %', ''], ...nodes.map(({ layer, node, visits, excess_s: excess, loss, slow, lossy }) => [
      layer, short(node), String(visits), excess === null ? '–' : (excess.mean * 1000).toFixed(2), excess === null ? '' : `${(excess.low * 1000).toFixed(2)} to ${(excess.high * 1000).toFixed(2)}`,
      loss.mean.toFixed(4), `${loss.low.toFixed(4)} to ${loss.high.toFixed(4)}`, [slow ? 'slow' : '', lossy ? 'loses' : ''].join(' ').trim()
    ])]), '',
    ...departs.length === 0 ? ['no departure from what the directory prescribes is seen'] : departs
  ].join('\n')
}

function scenarioIn (file: string): Scenario {
  return readScenario(parseToml(textOf(file), file), file)
}

function textOf (file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw bad(file, (error as Error).message)
  }
}

function numberOf (text: string, option: string): number {
  const n = Number(text)
  if (!Number.isInteger(n) || n < 1) throw bad(option, 'a whole number from 1 wanted')
  return n
}

function positive (text: string, option: string): number {
  const n = Number(text)
  if (!(n > 0)) throw bad(option, 'a number above 0 wanted')
  return n
}
