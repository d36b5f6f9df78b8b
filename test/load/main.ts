/**
 * `npm run load -- --minutes N [--people N]`: a network of processes at its limit. `npm run chaos -- --minutes N`: nodes are killed, too, and start
 * again. Ends with 1 when money is missing, a node fell, or (without kills) anything but *busy* was answered.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { startNetwork } from '../../nodes/cli/up.ts'
import { table } from '../../nodes/cli/output.ts'
import { ProgressBar } from '../../nodes/cli/progress.ts'
import { Stage } from '../../nodes/demo/stage.ts'
import { createNetwork, SMALL_NETWORK } from '../../nodes/layout.ts'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import { seededRng } from '../doubles/rng.ts'
import { endure } from './endure.ts'

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '10' }, people: { type: 'string', default: '12' }, kills: { type: 'boolean', default: false }, seed: { type: 'string', default: String(Date.now()) } } })
const minutes = positive('minutes', values.minutes)
const people = positive('people', values.people)
/** Processes may grow by so much from when they are warm to the end, as a share. */
const MOST_GROWTH = 1.1
/** In a shorter run they are not warm after a fifth of it, minutes; then nodes are killed until the end, else for three fifths of it. */
const WARM = 10
const isLong = minutes >= WARM

function positive (name: string, text: string): number {
  const number = Number(text)
  if (!(number > 0)) throw new Error(`--${name}: a number above zero wanted`)
  return number
}

const say = (text: string): void => { process.stdout.write(`${text}\n`) }

const stage = new Stage(mkdtempSync(join(tmpdir(), 'mixmint-load-')), SMALL_NETWORK)
try {
  await createNetwork(await defaultSuite(), stage.dir, SMALL_NETWORK)
  await startNetwork(stage.supervisor, SMALL_NETWORK)
  const bar = new ProgressBar(values.kills ? 'chaos' : 'load', 100)
  const report = await endure(stage, {
    people, duration: minutes * 60_000, kills: values.kills ? { from: 0, until: minutes * (isLong ? 36_000 : 60_000), every: 5_000 } : null, rng: seededRng(values.seed),
    onProgress: passed => { bar.set(Math.min(100, Math.round(passed / minutes / 600)), 100) }
  })
  bar.end()
  say(`seed ${values.seed}, ${people} people, ${minutes} min: ${report.acts} acts, ${report.perSecond.toFixed(1)} done a second, ${report.kills} kills\n`)
  say(table([['ACT', 'DONE', 'MEDIAN MS', 'P99 MS'], ...[...report.done].map(([act, { count, median, p99 }]) => [act, count, Math.round(median), Math.round(p99)])]))
  const refused = values.kills ? report.refusedInChaos : report.refused
  say(`\nnot done: ${[...refused].map(([code, times]) => `${code} ${times}`).join(', ') || 'nothing'}`)
  const grown = isLong ? report.memory.filter(({ from, to }) => to > from * MOST_GROWTH) : []
  say(`\nanonymous memory, MiB, when warm and at the end:\n${table(report.memory.map(({ name, from, to }) => [name, from.toFixed(0), to.toFixed(0)]))}`)
  const strange = [...refused.keys()].filter(code => values.kills ? code === 'internal' : code !== 'busy')
  const wrong = [...report.wrong, ...report.fallen.map(name => `${name} fell`), ...strange.map(code => `answered ${code}`), ...grown.map(({ name }) => `${name} grew by more than a tenth`)]
  say(wrong.length === 0 ? '\nnothing lost, nothing doubled' : `\nWRONG:\n  ${wrong.join('\n  ')}`)
  process.exitCode = wrong.length === 0 ? 0 : 1
} finally {
  await stage.stop()
  if (process.exitCode === 0) rmSync(stage.dir, { recursive: true, force: true })
  else say(`the network's folder and logs: ${stage.dir}`)
}
