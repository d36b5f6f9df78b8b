/** The page of one node. */
import type { NodeState } from '../node-state.ts'
import { figure, grownSince, last, quantile, seriesOf, totalOf } from '../rates.ts'
import { HistogramPanel, LinePanel } from './chart.ts'
import { clock, digits, fill, h, table, type Cell } from './dom.ts'
import { firstOf, live, MISSING, pill, showFacts, showTiles } from './live.ts'
import { plotsOf } from './panels.ts'
import { factsOf, keyFacts, peerFacts, tilesOf } from './tiles.ts'

const byId = (id: string): HTMLElement => document.getElementById(id) as HTMLElement
const title = h('h1')
const about = h('p', { class: 'about' })
const tiles = h('dl', { class: 'tiles' })
const plots = h('div', { class: 'panels' })
const facts = h('dl', { class: 'facts' })
const keys = h('dl', { class: 'facts' })
const peers = h('dl', { class: 'facts' })
const keysets = h('section', { class: 'panel broad' })
const all = h('details', { class: 'panel' }, h('summary', {}, 'Every figure, as Prometheus has it'))
let draws: Array<(state: NodeState, from: number) => void> | null = null
let newest: NodeState | null = null

const page = live<NodeState>('state.json', show, state => state.times.at(-1) ?? Date.now())
const isOfNetwork = location.pathname.startsWith('/node/')
fill(byId('head'), h('div', {}, isOfNetwork ? h('p', { class: 'about' }, h('a', { href: '/' }, 'The whole network')) : null, title, about), page.controls)
const section = (name: string, body: HTMLElement): HTMLElement => h('section', { class: 'panel' }, h('h3', {}, name), body)
fill(byId('main'), tiles, h('h2', {}, 'Over time'), plots, h('h2', {}, 'State'),
  h('div', { class: 'panels' }, section('This process', facts), section('Peers', peers), section('Keys', keys), keysets), h('h2', {}, 'Figures'), all)
fill(byId('foot'), h('p', {}, 'What people do is told in steps of 16, and figures are taken at whole multiples of a period, so that nobody who reads them can follow one payment. ',
  'Rates are means over half a minute. Nothing on this page comes from another host.'))
all.addEventListener('toggle', () => { if (newest !== null) showAll(newest) })

function show (state: NodeState): void {
  newest = state
  const { role, network, version, suite, peer } = state.node
  const from = firstOf(state.times, page.window())
  document.title = `${role}: mixmint`
  fill(title, `mixmint ${role}`, last(totalOf(state, 'mixmint_mix_layer')) === null ? null : `, layer ${last(totalOf(state, 'mixmint_mix_layer')) ?? ''}`, state.missing.length === 0 ? pill('ready', 'good') : pill(`not ready: ${state.missing.map(code => MISSING[code] ?? code).join('; ')}`, state.missing.includes('starting') ? 'warn' : 'bad'))
  fill(about, h('span', {}, network), h('span', {}, `version ${version}, ${suite} cryptography`), peer === '' ? null : h('span', {}, 'peer ', h('code', { title: peer }, `…${peer.slice(-10)}`)))
  showTiles(tiles, tilesOf(state, from))
  draws ??= panelsOf(role)
  for (const draw of draws) draw(state, from)
  showFacts(facts, factsOf(state))
  showFacts(keys, keyFacts(state))
  showFacts(peers, peerFacts(state))
  showKeysets(state)
  showAll(state)
}

function panelsOf (role: string): Array<(state: NodeState, from: number) => void> {
  return plotsOf(role).map(plot => {
    if (plot.kind === 'lines') {
      const panel = new LinePanel(plot.title, plot.unit, { none: plot.none ?? 'nothing yet', ...plot.most === undefined ? {} : { most: plot.most } })
      plots.append(panel.root)
      return (state, from) => { panel.update(state.times.slice(from), plot.lines(state).map(({ name, values }) => ({ name, values: values.slice(from) }))) }
    }
    const panel = new HistogramPanel(plot.title, plot.unit, plot.format, 'fewer than 16 packets in the time shown')
    plots.append(panel.root)
    return (state, from) => {
      const histogram = state.histograms.find(({ name }) => name === `mixmint_${plot.of}`)
      const grown = histogram === undefined ? null : grownSince(histogram, from)
      const total = grown?.counts.reduce((a, b) => a + b, 0) ?? 0
      const at = (part: number): string => toldBy(plot.format, quantile(histogram?.bounds ?? [], grown?.counts ?? [], part))
      panel.update(histogram?.bounds ?? [], grown?.counts ?? [], total === 0 || grown === null ? [] : [['median', at(0.5)], ['9 of 10 below', at(0.9)], ['99 of 100 below', at(0.99)], [plot.mean, plot.format(Math.round(1000 * grown.sum / total) / 1000)]])
    }
  })
}

function toldBy (format: (value: number) => string, value: number | null): string {
  return value === null ? '–' : format(Math.round(value * 1000) / 1000)
}

/** Keysets that have not ended, and at a bank what was issued under them. */
function showKeysets (state: NodeState): void {
  const starts = seriesOf(state, 'mixmint_keyset_start_timestamp_seconds').filter(({ values }) => last(values) !== null)
  keysets.hidden = starts.length === 0
  if (starts.length === 0) return
  const value = (name: string, labels: Readonly<Record<string, string>>): number | null => seriesOf(state, `mixmint_${name}`, labels).map(({ values }) => last(values)).find(each => each !== null) ?? null
  const isBank = state.node.role === 'bank'
  const isCenter = figure(state, 'mixmint_center_ring_share') !== undefined
  const date = (seconds: number | null): Cell => seconds === null ? null : new Date(seconds * 1000).toISOString().slice(0, 10)
  const rows = starts.map(({ labels: { keyset }, values }): Cell[] => [
    keyset, date(last(values)), ...['issue', 'spend', 'redeem', 'refund'].map(stage => date(value('keyset_end_timestamp_seconds', { keyset, stage }))),
    ...isBank ? ['issued', 'redeemed', 'outstanding'].map(is => value('bank_keyset_units', { keyset, is })) : [],
    value('ring_centers', { keyset }) === null ? null : `${value('ring_centers_listed', { keyset }) ?? 0} of ${value('ring_centers', { keyset }) ?? 0}`,
    ...isCenter ? [percent(value('center_ring_share', { keyset }))] : []
  ])
  fill(keysets, h('h3', {}, 'Keysets', h('span', { class: 'unit' }, isBank ? 'amounts in the smallest coin, by the last audit' : 'dates in UTC')),
    table(['keyset', 'from', 'issues until', 'spent until', 'redeemed until', 'refunded until', ...isBank ? ['issued', 'redeemed', 'outstanding'] : [], 'centers there', ...isCenter ? ['kept here'] : []], rows, 'Keysets'))
}

function percent (share: number | null): Cell {
  return share === null ? null : `${digits(Math.round(share * 1000) / 10)} %`
}

function showAll (state: NodeState): void {
  if (!all.open) return
  const rows = state.figures.flatMap(({ name, help, series }) => series.map(({ labels, values }): Cell[] =>
    [h('code', {}, name, ...Object.entries(labels).map(([key, word]) => ` ${key}=${word}`)), last(values), help]))
  fill(all, all.firstElementChild, h('p', { class: 'about' }, `as of ${clock(state.times.at(-1) ?? 0)}`), table(['figure', 'value', 'what'], rows, 'Every figure'))
}
