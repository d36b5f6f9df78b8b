/**
 * The folder of a run, which is all that a reader needs to run it again:
 *
 *   summary.json    what was measured; of a sweep one for each of its points, under `rows`
 *   results.jsonl   a line a point: the whole scenario, summary, histogram, targets       results.csv   the summaries, flat
 *   scenario.toml   the scenario, all its keys; of a sweep those that all points share    run.json      version, what was swept
 *   targets.csv     the anonymity of each target                                          latency.csv   histogram of messages' latency
 *   trace.jsonl     where asked for: each message; of a sweep trace-0001.jsonl, …         report.html   all of it, with plots
 *   and the files that the scenario names
 *
 * Nothing in it depends on when or where it was run, or on how fast: one seed repeats it to the byte, and it can be moved.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'smol-toml'
import { csv } from 'mixmint/csv.ts'
import { isMixmintError } from '@mixmint/core/kit/errors'
import { bad } from '../scenario/fields.ts'
import { copyFiles, filesOf, portable } from '../scenario/files.ts'
import type { Scenario } from '../scenario/schema.ts'
import { jobName } from './jobs.ts'
import type { Finished } from './simulate.ts'
import type { Summary } from './summary.ts'

const RESULTS = 'results.jsonl'

export const VERSION = (JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }).version

/** What one scenario gave: a point of a sweep, or the whole of a run without one. */
export interface Point {
  readonly scenario: Scenario
  readonly summary: Summary
  /** Upper bounds of bins, in seconds, and how many messages took so long. */
  readonly latency: ReadonlyArray<readonly [number, number]>
  readonly targets: ReadonlyArray<{ readonly sent_s: number, readonly entropy_bits: number, readonly min_entropy_bits: number, readonly candidates: number, readonly right: number }>
}

type Cells = Readonly<Record<string, unknown>>

export function pointOf (scenario: Scenario, { summary, tally }: Finished): Point {
  return {
    scenario: portable(scenario), summary, latency: tally.latency.bins(),
    targets: tally.anonymity.map(({ sent, entropy, minEntropy, candidates, right }) => ({
      sent_s: sent / 1000, entropy_bits: entropy, min_entropy_bits: minEntropy, candidates, right
    }))
  }
}

/** The keys in which the scenarios differ, with their values: by point. */
export function sweptOf (points: readonly Point[]): Cells[] {
  const all = points.map(({ scenario }) => flat(scenario))
  const keys = Object.keys(all[0]).filter(key => all.some(scenario => String(scenario[key]) !== String(all[0][key])))
  return all.map(scenario => Object.fromEntries(keys.map(key => [key, scenario[key]])))
}

/** The file of a point's messages. */
export function traceName (number: number, count: number): string {
  return count === 1 ? 'trace.jsonl' : `trace-${jobName(number, count)}.jsonl`
}

/**
 * @param points at least one, in order
 * @param files that their scenarios name, where they are now
 * @throws bad-scenario (caller): two files of one name
 */
export function writeFolder (dir: string, points: readonly Point[], files: readonly string[] = []): void {
  mkdirSync(dir, { recursive: true })
  copyFiles(files, dir)
  const write = (file: string, text: string): void => { writeFileSync(join(dir, file), text) }
  const [{ scenario, summary }] = points
  const swept = sweptOf(points)
  const numbered = points.map(({ summary }, i) => ({ number: i + 1, ...swept[i], ...summary }))
  write('summary.json', json(points.length === 1 ? summary : { rows: numbered }))
  write(RESULTS, points.map(point => `${JSON.stringify(point)}\n`).join(''))
  write('results.csv', table(numbered.map(row => flat(row))))
  write('scenario.toml', `${stringify(without(scenario, Object.keys(swept[0])))}\n`)
  write('run.json', json({ program: 'mixmint-lab', version: VERSION, scenario: scenario.scenario.name, seed: scenario.run.seed, runs: points.length, swept: Object.keys(swept[0]) }))
  write('targets.csv', table(points.flatMap(({ targets }, i) => targets.map(target => ({ number: i + 1, ...target })))))
  write('latency.csv', table(points.flatMap(({ latency }, i) => latency.map(([seconds, messages]) => ({ number: i + 1, up_to_s: seconds, messages })))))
}

/** The files in a folder that its points name. */
export function filesIn (dir: string, points: readonly Point[]): string[] {
  return points.flatMap(({ scenario }) => filesOf(scenario)).map(file => join(dir, file))
}

/** @throws bad-scenario (caller) */
export function readFolder (dir: string): Point[] {
  const file = join(dir, RESULTS)
  try {
    return readFileSync(file, 'utf8').split('\n').filter(line => line !== '').map(line => JSON.parse(line) as Point)
  } catch (error) {
    if (isMixmintError(error)) throw error
    throw bad(file, (error as Error).message)
  }
}

function json (value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`
}

/** `a.b.c` for what is nested; lists as they are. */
export function flat (value: unknown, prefix = ''): Record<string, unknown> {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return { [prefix]: value }
  const parts = Object.entries(value).map(([key, inner]) => flat(inner, prefix === '' ? key : `${prefix}.${key}`))
  return Object.assign({}, ...parts) as Record<string, unknown>
}

function without (scenario: Scenario, keys: readonly string[]): Record<string, Cells> {
  return Object.fromEntries(Object.entries(scenario).map(([section, values]) =>
    [section, Object.fromEntries(Object.entries(values).filter(([key]) => !keys.includes(`${section}.${key}`)))]))
}

/** As CSV: the columns of all rows. */
export function table (rows: readonly Cells[]): string {
  const columns = [...new Set(rows.flatMap(row => Object.keys(row)))]
  const cell = (value: unknown): string | number => typeof value === 'number' ? value : value === undefined || value === null ? '' : String(value)
  return `${csv([columns, ...rows.map(row => columns.map(column => cell(row[column])))])}\r\n`
}
