/**
 * The folder of a probing:
 *
 *   summary.json   what was measured, what was foreseen, where they part     nodes.csv    what is estimated of each node
 *   probes.csv     a line a probe: when, over which nodes, how long          run.json     network, parameters, what was asked for
 *   scenario.toml  one way through the network as prescribed, for `lab run`  report.html  all of it, with plots
 *
 * It tells when this machine was at which gateways, and is for whoever probed; of other people's packets there is nothing in it.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'smol-toml'
import { csv } from 'mixmint/csv.ts'
import { probeReport } from '../report/probe.ts'
import { VERSION } from '../run/folder.ts'
import { bad } from '../scenario/fields.ts'
import type { Analysed, ProbeSummary } from './analysis.ts'
import type { Probed } from './session.ts'

/** Readable by its owner alone, as it names when and where somebody was. */
const PRIVATE = 0o600

export function writeProbes (dir: string, probed: Probed, analysed: Analysed): void {
  const { summary, scenario } = analysed
  mkdirSync(dir, { recursive: true, mode: 0o700 })
  const write = (file: string, text: string): void => { writeFileSync(join(dir, file), text, { mode: PRIVATE }) }
  write('summary.json', json(summary))
  write('run.json', json({ program: 'mixmint-lab', version: VERSION, network: probed.network, epoch: probed.epoch, parameters: { ...probed.parameters, services: undefined }, layers: probed.layers, probes: probed.trips.length, rate: probed.rate }))
  write('scenario.toml', `${stringify(scenario)}\n`)
  write('probes.csv', `${csv([['sent_s', 'there', 'back', 'took_s'], ...probed.trips.map(({ sent_s: sent, there, back, took_s: took }) => [sent.toFixed(3), there.join(' '), back.join(' '), took === null ? '' : took.toFixed(6)])])}\r\n`)
  write('nodes.csv', `${csv([
    ['layer', 'node', 'visits', 'excess_s', 'excess_low_s', 'excess_high_s', 'loss', 'loss_low', 'loss_high', 'slow', 'lossy'],
    ...summary.nodes.map(({ layer, node, visits, excess_s: excess, loss, slow, lossy }) =>
      [layer, node, visits, excess?.mean ?? '', excess?.low ?? '', excess?.high ?? '', loss.mean, loss.low, loss.high, String(slow), String(lossy)])
  ])}\r\n`)
  write('report.html', probeReport(probed, analysed))
}

/** @throws bad-scenario (caller) */
export function readProbes (dir: string): { readonly summary: ProbeSummary, readonly parameters: Omit<Probed['parameters'], 'services'>, readonly layers: Probed['layers'] } {
  const read = <T>(file: string): T => {
    try {
      return JSON.parse(readFileSync(join(dir, file), 'utf8')) as T
    } catch (error) {
      throw bad(join(dir, file), `no folder of \`lab probe\`: ${(error as Error).message}`)
    }
  }
  return { summary: read<ProbeSummary>('summary.json'), ...read<{ parameters: Probed['parameters'], layers: Probed['layers'] }>('run.json') }
}

function json (value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`
}
