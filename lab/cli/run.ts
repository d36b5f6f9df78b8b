/** `run`, and what goes with it: sweeps, their jobs on many machines, and the keys of scenarios. */
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Command } from 'commander'
import { stringify } from 'smol-toml'
import { MixmintError } from '@mixmint/core/kit/errors'
import { report, table } from 'mixmint/cli/output.ts'
import { ProgressBar } from 'mixmint/cli/progress.ts'
import { digits } from '../report/html.ts'
import { linesOf, reportOf } from '../report/run.ts'
import { filesIn, readFolder, traceName, writeFolder, type Point } from '../run/folder.ts'
import { foldersOf, jobName } from '../run/jobs.ts'
import { parseSetting, parseSweep, pointsOf } from '../run/points.ts'
import { runAll } from '../run/sweep.ts'
import { bad } from '../scenario/fields.ts'
import { copyFiles, FILE_KEYS, filesOf, portable } from '../scenario/files.ts'
import { parseToml, readScenario, setKey, type Raw } from '../scenario/read.ts'
import { SCENARIO, type Scenario } from '../scenario/schema.ts'

const SCENARIOS = fileURLToPath(new URL('../scenarios/', import.meta.url))

export interface PointOptions { readonly set: readonly string[], readonly sweep: readonly string[], readonly repeat: string }

export const collect = (value: string, all: readonly string[] = []): string[] => [...all, value]

export function addRun (program: Command): void {
  withPoints(program.command('run').description('run a scenario, or a sweep of it over the values of some keys')
    .argument('<scenario.toml>', 'a file, or the name of one that the lab brings'))
    .option('--out <dir>', 'where summary, results and report go (default: the scenario\'s name)')
    .option('--threads <n>', 'of a sweep (default: one a core)')
    .option('--trace', 'write what became of each message: trace.jsonl, as run.trace does')
    .option('--json', 'print the summary for programs')
    .action(async (file: string, options: PointOptions & { readonly out?: string, readonly threads?: string, readonly trace?: boolean, readonly json?: boolean }) => {
      await report(options.json === true, async () => {
        const set = options.trace === true ? [...options.set, 'run.trace=true'] : options.set
        const { name, scenarios } = scenariosOf(file, { ...options, set })
        const out = options.out ?? name
        const { human, json } = finish(out, await runPoints(scenarios, numberOf(options.threads ?? String(availableParallelism()), '--threads'), out), scenarios.flatMap(filesOf))
        return { human: `${human}\n${spent()}`, json }
      })
    })
  withPoints(program.command('split').description('cut a sweep into job files, one a point, for any batch system; `merge` joins what they give')
    .argument('<scenario.toml>')).requiredOption('--out <dir>', 'where the job files go')
    .action(async (file: string, options: PointOptions & { readonly out: string }) => {
      await report(false, () => Promise.resolve(split(scenariosOf(file, options).scenarios, options.out)))
    })
  program.command('merge').description('join the folders of several runs into one')
    .argument('<dir...>').requiredOption('--out <dir>').option('--jobs <dir>', 'where the job files are: each has to have a folder of its name, and their order is that of the points')
    .option('--json', 'print the summaries for programs')
    .action(async (dirs: string[], { out, jobs, json }: { readonly out: string, readonly jobs?: string, readonly json?: boolean }) => {
      await report(json === true, () => Promise.resolve(merge(jobs === undefined ? dirs : foldersOf(jobNames(jobs), dirs), out)))
    })
  program.command('keys').description('the keys of a scenario: what they mean, and what they are when left out')
    .action(async () => { await report(false, () => Promise.resolve({ human: keys(), json: {} })) })
}

function withPoints (command: Command): Command {
  return command
    .option('--set <key=value>', 'any key of the scenario, such as topology.layers=3; again for more', collect, [])
    .option('--sweep <key=a,b,c>', 'each of these values; with more such keys each combination', collect, [])
    .option('--repeat <n>', 'each point with so many seeds', '1')
}

export function scenariosOf (given: string, { set, sweep, repeat }: PointOptions): { readonly name: string, readonly scenarios: Scenario[] } {
  const file = existsSync(given) ? given : join(SCENARIOS, given.endsWith('.toml') ? given : `${given}.toml`)
  let text
  try {
    text = readFileSync(file, 'utf8')
  } catch {
    throw new MixmintError('no-such-scenario', 'caller', `${given}: there is no such file, and the lab brings no such scenario`)
  }
  const name = basename(file, '.toml')
  const raw = parseToml(text, file)
  for (const one of set) {
    const { key, value } = parseSetting(one)
    setKey(raw, key, fromHere(key, value))
  }
  const sweeps = sweep.map(parseSweep).map(({ key, values }) => ({ key, values: values.map(value => fromHere(key, value)) }))
  return { name, scenarios: pointsOf(raw, sweeps, numberOf(repeat, '--repeat')).map(point => readScenario(resolved(named(point, name), file), file)) }
}

/** A file that is named on the command line is where that is typed. */
function fromHere (key: string, value: string): string {
  return value !== '' && FILE_KEYS.some(one => one === key) ? resolve(value) : value
}

function named (raw: Raw, name: string): Raw {
  const { scenario = {} } = raw as { scenario?: Raw }
  return { ...raw, scenario: { name, ...scenario } }
}

/** Files that a scenario names are beside it. */
function resolved (raw: Raw, file: string): Raw {
  const beside = (table: unknown): unknown => {
    const { file: named } = (table ?? {}) as { file?: unknown }
    return typeof named === 'string' && named !== '' ? { ...table as Raw, file: resolve(dirname(file), named) } : table
  }
  return { ...raw, ...raw.link === undefined ? {} : { link: beside(raw.link) }, ...raw.clients === undefined ? {} : { clients: beside(raw.clients) } }
}

/** @param out where traces of messages go */
export async function runPoints (scenarios: readonly Scenario[], threads: number, out: string): Promise<Point[]> {
  return await withBar(async progress => await runAll(scenarios, threads, out, progress))
}

export async function withBar<T> (work: (progress: (part: number) => void) => Promise<T>): Promise<T> {
  const bar = new ProgressBar('running', 1000)
  try {
    return await work(part => { bar.set(Math.round(1000 * part), 1000) })
  } finally {
    bar.end()
  }
}

/** @param files that the scenarios name @throws bad-scenario (caller) */
export function finish (out: string, points: readonly Point[], files: readonly string[]): { human: string, json: never } {
  if (points.length === 0) throw bad(out, 'there is nothing to report')
  writeFolder(out, points, files)
  writeFileSync(join(out, 'report.html'), reportOf(points))
  const summaries = points.length === 1 ? points[0].summary : points.map(({ summary }) => summary)
  return { human: `${table(linesOf(points))}\nwritten to ${out}: summary.json, results.csv, report.html, …`, json: summaries as never }
}

/** What the run took of this machine: said here, and in no file, as those do not depend on where a run is made. */
function spent (): string {
  const { maxRSS, userCPUTime, systemCPUTime } = process.resourceUsage()
  return `took ${digits(process.uptime())} s, ${digits((userCPUTime + systemCPUTime) / 1e6)} s of processors, and at most ${digits(maxRSS / 1024)} MiB of memory`
}

function merge (dirs: readonly string[], out: string): { human: string, json: never } {
  const folders = dirs.map(dir => ({ dir, points: readFolder(dir) }))
  const points = folders.flatMap(folder => folder.points)
  const done = finish(out, points, folders.flatMap(folder => filesIn(folder.dir, folder.points)))
  const traces = folders.flatMap(folder => folder.points.map((_, i) => join(folder.dir, traceName(i, folder.points.length))))
  traces.forEach((trace, i) => { if (existsSync(trace)) copyFileSync(trace, join(out, traceName(i, points.length))) })
  return done
}

function split (scenarios: readonly Scenario[], out: string): { human: string, json: never } {
  mkdirSync(out, { recursive: true })
  copyFiles(scenarios.flatMap(filesOf), out)
  scenarios.forEach((scenario, i) => { writeFileSync(join(out, `${jobName(i, scenarios.length)}.toml`), `${stringify(portable(scenario))}\n`) })
  const first = jobName(0, scenarios.length)
  const human = `${scenarios.length} jobs in ${out}. One of them:\n  mixmint-lab run ${out}/${first}.toml --out results/${first}\nAll of them, with GNU parallel, and what they give as one:\n` +
    `  parallel mixmint-lab run {} --out results/{/.} ::: ${out}/*.toml\n  mixmint-lab merge results/* --jobs ${out} --out all`
  return { human, json: {} as never }
}

/** @throws bad-scenario (caller) */
function jobNames (dir: string): string[] {
  try {
    return readdirSync(dir).filter(file => file.endsWith('.toml')).map(file => basename(file, '.toml')).sort()
  } catch (error) {
    throw bad('--jobs', (error as Error).message)
  }
}

function keys (): string {
  return Object.entries(SCENARIO).map(([section, fields]) => `[${section}]\n${table(Object.entries(fields).map(([key, { fallback, says }]) =>
    [key, JSON.stringify(fallback), says]), '  ')}`).join('\n\n')
}

function numberOf (text: string, option: string): number {
  const n = Number(text)
  if (!Number.isInteger(n) || n < 1) throw bad(option, 'a whole number from 1 wanted')
  return n
}
