/** The report of a probing. */
import { short, type Analysed, type ProbeSummary } from '../live/analysis.ts'
import type { Probed } from '../live/session.ts'
import { VERSION } from '../run/folder.ts'
import { digits, escape, figure, page, table } from './html.ts'
import { curves, estimates } from './plots.ts'

const BINS = 60

export function probeReport (probed: Probed, { summary, predicted }: Analysed): string {
  const { network, epoch, probes, round_trip_s: trip, predicted_s: foreseen, ks, departs, nodes, layers, tolerance } = summary
  const took = probed.trips.flatMap(({ took_s: took }) => took ?? [])
  const most = Math.max(foreseen.p99, trip?.p99 ?? 0) * 1.1
  const title = `Round trips through ${network}`
  return page(title, [
    `<h1>${escape(title)}</h1>`,
    `<p class="about">${probes.ended} probes over ${digits(probes.lasted_s)} s, ${digits(probes.rate)} a second of each gateway, in epoch ${epoch}. mixmint-lab ${VERSION}. They left as a wallet’s echoes do.</p>`,
    departs.length === 0
      ? '<p class="good">No departure from what the directory prescribes is seen.</p>'
      : `<ul>${departs.map(one => `<li class="bad">${escape(one)}</li>`).join('')}</ul>`,
    '<h2>Round trips</h2>',
    table(['', 'measured', 'foreseen', ''], [
      ['Mean, s', trip?.mean, foreseen.mean, ''], ['p50, s', trip?.p50, foreseen.p50, `a link takes ${digits(summary.link_s * 1000)} ms: from this median`],
      ['p90, s', trip?.p90, foreseen.p90, ''], ['p99, s', trip?.p99, foreseen.p99, ''],
      ['Distance (Kolmogorov–Smirnov)', ks?.distance, null, ks === null ? '' : `p = ${digits(ks.p)}, ${ks.n} round trips`],
      ['Lost', probes.loss, null, `95 %: ${digits(probes.loss_ci95[0])} to ${digits(probes.loss_ci95[1])}`]
    ]),
    figure(curves([{ name: 'measured', points: densityOf(took, most) }, { name: 'foreseen', points: densityOf(predicted, most) }], { x: 'seconds →', y: '↑ density' }), 'Round trips, measured and foreseen.'),
    '<h2>Nodes</h2>',
    `<p class="about">Excess: what a visit takes beyond the mean of the others of the same layer. What all of a layer have in common no round trip tells, as each passes every layer. Named are those beyond ${digits(tolerance.delay_s * 1000)} ms, or a loss of ${digits(tolerance.loss * 100)} %, with a chance of 1 % at most that any of a kind is named wrongly.</p>`,
    table(['layer', 'node', 'visits', 'excess, ms', '95 %', 'loss', '95 %', ''], nodes.map(({ layer, node, visits, excess_s: excess, loss, slow, lossy }) => [
      layer, short(node), visits, excess === null ? null : excess.mean * 1000, excess === null ? '' : `${digits(excess.low * 1000)} to ${digits(excess.high * 1000)}`,
      loss.mean, `${digits(loss.low)} to ${digits(loss.high)}`, { html: verdict(slow, lossy) }
    ])),
    ...drawn(nodes),
    '<h2>Layers</h2>',
    table(['layer', 'nodes', 'differ by up to, ms', 'p, if all were as fast'], layers.map(({ layer, nodes, range_s: range, p }) => [layer, nodes, range === null ? null : range * 1000, p]))
  ])
}

function verdict (slow: boolean, lossy: boolean): string {
  return [slow ? 'slow' : '', lossy ? 'loses' : ''].filter(one => one !== '').map(one => `<span class="bad">${one}</span>`).join(' ')
}

function drawn (nodes: ProbeSummary['nodes']): string[] {
  const known = nodes.flatMap(({ layer, node, excess_s: excess }) => excess === null ? [] : [{ name: `${layer} ${short(node)}`, value: excess.mean * 1000, low: excess.low * 1000, high: excess.high * 1000 }])
  return known.length === 0 ? [] : [figure(estimates(known, { x: 'excess of a visit, ms →' }), 'Excess of each node over the others of its layer, with 95 % intervals.')]
}

function densityOf (seconds: readonly number[], most: number): Array<{ readonly x: number, readonly y: number }> {
  const width = most / BINS
  const bins = Array.from({ length: BINS }, () => 0)
  for (const one of seconds) if (one < most) bins[Math.floor(one / width)] += 1
  return bins.map((n, i) => ({ x: (i + 0.5) * width, y: n / Math.max(1, seconds.length) / width }))
}
