/** The report of a run or a sweep. */
import { stringify } from 'smol-toml'
import { latencyLaw } from '../measure/theory.ts'
import { flat, sweptOf, VERSION, type Point } from '../run/folder.ts'
import { digits, escape, figure, page, table, type Cell } from './html.ts'
import { bars, counts, density, lines, type Series, type Xy } from './plots.ts'

export function reportOf (points: readonly Point[]): string {
  const [{ scenario }] = points
  const title = scenario.scenario.name === '' ? 'A mix network' : scenario.scenario.name
  return page(title, [
    `<h1>${escape(title)}</h1>`,
    `<p class="about">${escape(scenario.scenario.about)}</p>`,
    ...points.length === 1 ? single(points[0]) : sweep(points),
    '<h2>To run it again</h2>',
    `<p>mixmint-lab ${VERSION}, seed ${scenario.run.seed}: the same scenario and seed give the same files to the byte.</p>`,
    `<pre>${escape(stringify(scenario))}</pre>`
  ])
}

function single ({ scenario, summary, latency, targets }: Point): string[] {
  const { entropy_bits: bits, min_entropy_bits: least, latency_s: waits, transit_s: transit, theory, messages, packets, cost, mixes, unobservability: hidden } = summary
  const cdf = latencyLaw(scenario)?.cdf ?? null
  const drops = Object.entries(packets.dropped).filter(([, n]) => n > 0).map(([why, n]) => `${why} ${n}`).join(', ')
  const rows: Array<readonly Cell[]> = [
    ['Entropy of a message, bits', bits?.mean, bits === null ? '' : `${bits.ci95 === null ? '' : `95 %: ${digits(bits.ci95[0])} to ${digits(bits.ci95[1])}; `}${bits.n} targets`],
    ['Min-entropy, bits', least?.mean, ''],
    ['Probability that the observer gives to the right one', summary.right_guess, ''],
    ['Clients that write, told from those that do not (AUC)', hidden?.auc, hidden === null ? '' : `95 %: ${digits(hidden.ci95[0])} to ${digits(hidden.ci95[1])}; 0.5 tells nothing; ${hidden.busy} and ${hidden.idle} windows of ${digits(hidden.window_s)} s`],
    ['Latency, mean, s', waits?.mean, waits === null ? '' : `p50 ${digits(waits.p50)}, p90 ${digits(waits.p90)}, p99 ${digits(waits.p99)}, p99.9 ${digits(waits.p999)}`],
    ['Of it in the network, mean, s', transit?.mean, theory === null ? '' : `theory ${digits(theory.transit_s.mean)}, excess ${digits(theory.excess_s.mean)}`],
    ['Distance from the law (Kolmogorov–Smirnov)', theory?.ks?.distance, theory?.ks === undefined ? '' : `p = ${digits(theory.ks.p)}, ${theory.ks.n} messages`],
    ['Messages received', messages.received, `of ${messages.sent}${messages.unfinished === 0 ? '' : `; ${messages.unfinished} were under way, or waiting, ten minutes after the end: latency is without them`}`],
    ['Part of messages lost', messages.loss, drops === '' ? '' : `of packets of all kinds: ${drops}`],
    ['Visits of mixes for each message received', cost?.packets, cost === null ? '' : `${digits(cost.bytes)} bytes on links, ${digits(cost.cpu_ms)} ms of processors`],
    ['Packets in a mix, mean', mixes.occupancy.mean, `variance ${digits(mixes.occupancy.variance)}, at most ${mixes.occupancy.most}`],
    ['Utilisation of a mix', mixes.utilisation, 'of one processor, to peel']
  ]
  return [
    table(['', 'measured', ''], rows),
    ...latency.length === 0 ? [] : ['<h2>Latency</h2>', figure(density(densityOf(latency), cdf === null || waits === null ? [] : lawOf(cdf, waits.p999), { x: 'seconds →', y: '↑ density' }),
      cdf === null ? 'Latency of messages.' : 'Latency of messages; the line is the law of the time in the network.')],
    ...targets.length === 0 ? [] : ['<h2>Anonymity</h2>', figure(counts(targets.map(target => target.entropy_bits), { x: 'bits →', y: '↑ targets' }), 'Entropy of the observer’s distribution over received messages, one for each target.')]
  ]
}

/** The histogram's bins grow with the time; fifty even ones are easier to see. */
function densityOf (bins: Point['latency']): Xy[] {
  const all = bins.reduce((sum, [, n]) => sum + n, 0)
  let seen = 0
  const most = bins.find(([, n]) => (seen += n) >= 0.999 * all)?.[0] ?? 1
  const width = most / 50
  const even = Array.from({ length: 50 }, () => 0)
  for (const [bound, n] of bins) if (bound < most) even[Math.floor(bound / width)] += n
  return even.map((n, i) => ({ x: (i + 0.5) * width, y: n / all / width }))
}

function lawOf (cdf: (x: number) => number, most: number): Xy[] {
  const step = most / 200
  return Array.from({ length: 200 }, (_, i) => ({ x: (i + 0.5) * step, y: (cdf((i + 1) * step) - cdf(i * step)) / step }))
}

function sweep (points: readonly Point[]): string[] {
  const swept = sweptOf(points)
  const keys = Object.keys(swept[0])
  const rows = points.map(({ summary }, i) => [
    ...keys.map(key => cellOf(swept[i][key])),
    summary.entropy_bits?.mean, halfOf(summary.entropy_bits), summary.min_entropy_bits?.mean,
    summary.latency_s?.mean, summary.latency_s?.p50, summary.latency_s?.p99, summary.messages.loss, summary.cost?.packets, summary.cost?.bytes, summary.cost?.cpu_ms, summary.unobservability?.auc
  ])
  const head = [...keys, 'entropy, bits', '± 95 %', 'min-entropy', 'latency, mean s', 'p50 s', 'p99 s', 'lost', 'visits a message', 'bytes', 'processor ms', 'writers told (AUC)']
  const along = keys.filter(key => key !== 'run.seed')
  const isCurve = along.length > 0 && swept.every(point => typeof point[along[0]] === 'number')
  return [table(head, rows), '<h2>Plots</h2>', ...isCurve ? curves(points, swept, along[0]) : columns(points, swept, along)]
}

/** Half of the interval. */
function halfOf (bits: Point['summary']['entropy_bits']): number | null {
  return bits === null || bits.ci95 === null ? null : bits.ci95[1] - bits.mean
}

function curves (points: readonly Point[], swept: readonly Cells[], along: string): string[] {
  const bits = seriesOf(points, swept, along, ({ entropy_bits: bits }) => bits === null ? null : { y: bits.mean, ...bits.ci95 === null ? {} : { low: bits.ci95[0], high: bits.ci95[1] } })
  const waits = (['mean', 'p50', 'p99'] as const).flatMap(name => seriesOf(points, swept, along, ({ latency_s: s }) => s === null ? null : { y: s[name] })
    .map(series => ({ ...series, name: series.name === '' ? name : `${name}, ${series.name}` })))
  return [
    figure(lines(bits, { x: `${along} →`, y: '↑ entropy, bits' }), 'Entropy, with the intervals that hold the mean with 95 %.'),
    figure(lines(waits, { x: `${along} →`, y: '↑ latency, s' }), 'Latency of messages.')
  ]
}

/** Where what is set is no number: by its first key, and a number where several have the same. */
function columns (points: readonly Point[], swept: readonly Cells[], along: readonly string[]): string[] {
  const names = swept.map((point, i) => along.length === 0 ? `seed ${String(point['run.seed'])}` : `${String(point[along[0]])}${swept.filter(other => other[along[0]] === point[along[0]]).length > 1 ? ` (${i + 1})` : ''}`)
  const draw = (value: (summary: Point['summary']) => number | undefined, x: string, caption: string): string =>
    figure(bars(points.flatMap(({ summary }, i) => { const y = value(summary); return y === undefined ? [] : [{ name: names[i], value: y }] }), { x }), caption)
  return [
    draw(summary => summary.entropy_bits?.mean, 'entropy, bits →', 'Entropy of the observer’s distribution, the mean over targets.'),
    draw(summary => summary.latency_s?.mean, 'mean latency, s →', 'Mean latency of messages.'),
    draw(summary => summary.latency_s?.p99, 'p99 of latency, s →', 'What one message of a hundred takes longer than.')
  ]
}

type Cells = Readonly<Record<string, unknown>>

/** A line for each value of the keys that are not along x; those with other seeds are one. */
function seriesOf (points: readonly Point[], swept: readonly Cells[], along: string,
  value: (summary: Point['summary']) => { readonly y: number, readonly low?: number, readonly high?: number } | null): Series[] {
  const series = new Map<string, Array<Xy & { readonly low?: number, readonly high?: number }>>()
  points.forEach(({ summary }, i) => {
    const others = Object.entries(swept[i]).filter(([key]) => key !== along && key !== 'run.seed').map(([key, one]) => `${key.replace(/^.*\./, '')} ${String(one)}`).join(', ')
    const measured = value(summary)
    if (measured !== null) series.set(others, [...series.get(others) ?? [], { x: swept[i][along] as number, ...measured }])
  })
  return [...series].map(([name, all]) => ({ name, points: all.toSorted((a, b) => a.x - b.x) }))
}

function cellOf (value: unknown): Cell {
  return typeof value === 'number' ? value : String(value)
}

/** For people, on a terminal. */
export function linesOf (points: readonly Point[]): string[][] {
  const swept = sweptOf(points)
  const keys = Object.keys(swept[0])
  const show = (value: number | undefined): string => value === undefined ? '-' : digits(value)
  return [
    [...keys, 'ENTROPY', 'MIN', 'MEAN s', 'P50 s', 'P99 s', 'LOST', 'RECEIVED', 'VISITS', 'BYTES'],
    ...points.map(({ summary: { entropy_bits: bits, min_entropy_bits: least, latency_s: s, messages, cost } }, i) => [
      ...keys.map(key => String(flat(swept[i][key])[''])),
      show(bits?.mean), show(least?.mean), show(s?.mean), show(s?.p50), show(s?.p99), show(messages.loss), String(messages.received), show(cost?.packets), show(cost?.bytes)
    ])
  ]
}
