/** The page of a whole network on one machine. */
import { arc } from 'd3-shape'
import type { MoneyView, NetworkState, ProcessView, RingView } from '../network-state.ts'
import { last } from '../rates.ts'
import { BarsPanel, colour, LinePanel } from './chart.ts'
import { bytes, clock, digits, duration, fill, h, s, table, type Cell, type Child } from './dom.ts'
import { firstOf, live, MISSING, pill, showTiles, type TileView } from './live.ts'

const STATES = { ready: 'ready', 'not-ready': 'not ready', starting: 'starting', stopping: 'stopping', silent: 'does not answer', ended: 'ended' } as const
const TONES = { ready: 'good', 'not-ready': 'warn', starting: 'warn', stopping: 'warn', silent: 'bad', ended: 'bad' } as const

const byId = (id: string): HTMLElement => document.getElementById(id) as HTMLElement
const title = h('h1')
const about = h('p', { class: 'about' })
const tiles = h('dl', { class: 'tiles' })
const mixnet = h('div', { class: 'mixnet' })
const traffic = new LinePanel('Traffic of all nodes', 'packets a second', { none: 'no packets yet' })
const drops = new BarsPanel('Dropped packets, by reason', 'a second', 'none was dropped, or fewer than 16 for any reason')
const ring = h('div', { class: 'ring' })
const ringTable = h('div')
const ringSection = h('section', { class: 'panel broad' }, h('div', { class: 'two' }, ring, ringTable))
const stack = h('div', { class: 'stack', 'aria-hidden': 'true' })
const stackLegend = h('ul', { class: 'legend' })
const moneyFacts = h('div')
const moneyNow = h('section', { class: 'panel' }, h('h3', {}, 'Where the money is', h('span', { class: 'unit' })), stack, stackLegend, moneyFacts)
const moneyThen = new LinePanel('Over time', 'smallest coins', { none: 'nothing has been issued yet' })
const noMoney = h('p', { class: 'empty' }, 'The bank has not been heard yet.')
const processes = h('section', { class: 'panel broad' })
const moneyPanels = h('div', { class: 'panels' }, moneyNow, moneyThen.root)

const page = live<NetworkState>('network.json', show, state => state.time)
fill(byId('head'), h('div', {}, title, about), page.controls)
fill(byId('main'), tiles,
  h('h2', {}, 'The mixnet'), h('p', { class: 'about' }, 'Packets a second between the layers, cover and loops among them: from outside all look alike.'),
  h('section', { class: 'panel broad' }, mixnet), h('div', { class: 'panels spaced' }, traffic.root, drops.root),
  h('h2', {}, 'The ring of validation centers'), h('p', { class: 'about' }, 'Each coin has a place on the ring that nobody chooses; the centers next to it keep it. Pale arcs: the part of all places. Full bars: where the coins landed that were spent.'), ringSection,
  h('h2', {}, 'Money in circulation'), noMoney, moneyPanels,
  h('h2', {}, 'Processes'), processes)
fill(byId('foot'), h('p', {}, 'A network on this machine only, as its owner sees it. Packets are told in steps of 16; of coins, only how they are spread over centers, and that anew after every 16 votes. Nothing on this page comes from another host.'))

function show (state: NetworkState): void {
  const from = firstOf(state.times, page.window())
  const ready = state.processes.filter(each => each.state === 'ready').length
  document.title = `${state.network}: mixmint`
  const isWell = ready === state.processes.length
  fill(title, 'mixmint network', isWell ? pill('all ready', 'good') : pill(`${ready} of ${state.processes.length} ready`, state.processes.some(each => TONES[each.state] === 'bad') ? 'bad' : 'warn'))
  fill(about, h('span', {}, state.network), h('span', {}, `${state.processes.length} processes on this machine`))
  showTiles(tiles, tilesOf(state))
  showMixnet(state)
  traffic.update(state.times.slice(from), state.traffic.map(({ name, values }) => ({ name, values: values.slice(from) })))
  drops.update(state.drops.filter(({ rate }) => rate > 0).map(({ reason, rate }) => ({ name: reason, value: rate })))
  showRing(state.ring)
  showMoney(state.money)
  showProcesses(state.processes)
}

function tilesOf ({ traffic: lines, epoch, ring, money }: NetworkState): TileView[] {
  const rate = (name: string): number => last(lines.find(line => line.name === name)?.values ?? []) ?? 0
  return [
    { label: 'Packets sent on', value: digits(rate('forwarded')), unit: 'a second', note: 'by all nodes together' },
    { label: 'Dropped', value: digits(rate('dropped')), unit: 'a second', tone: rate('dropped') > 0 ? 'warn' : undefined },
    { label: 'In circulation', value: money === null ? '–' : digits(money.outstanding), ...money === null ? {} : { unit: money.unit }, note: 'in coins' },
    money === null
      ? { label: 'Books', value: '–' }
      : { label: 'Books', value: money.balanced ? 'balanced' : 'unbalanced', tone: money.balanced ? 'good' : 'bad', note: `read at ${clock(money.time)}` },
    { label: 'Votes for spends', value: ring === null ? '–' : digits(ring.votes), note: ring === null ? '' : `${ring.quorum} of ${ring.keepers} make a certificate` },
    { label: 'Epoch', value: epoch === null ? 'none' : digits(epoch), tone: epoch === null ? 'warn' : undefined }
  ]
}

/** Wallets, gateways, layers, services: and what goes between one and the next. */
function showMixnet ({ processes: all, flows }: NetworkState): void {
  const layers = [...new Set(all.filter(({ role }) => role === 'mix').map(({ name, layer }) => layer ?? Number(name.split('-')[1])))].sort((a, b) => a - b)
  const places = ['wallets', 'gateway', ...layers.map(layer => `layer-${layer}`), 'service']
  const nameOf = (place: string): string => place === 'wallets' ? 'Wallets' : place === 'gateway' ? 'Gateways' : place === 'service' ? 'Services' : `Layer ${place.slice(6)}`
  const nodesOf = (place: string): ProcessView[] => all.filter(({ name, role, layer }) =>
    place === 'gateway' ? role === 'gateway' : place === 'service' ? role === 'bank' || role === 'merchant' : role === 'mix' && `layer-${layer ?? name.split('-')[1]}` === place)
  const rate = (from: string, to: string): number => flows.find(flow => flow.from === from && flow.to === to)?.rate ?? 0
  const most = Math.max(1, ...flows.map(flow => flow.rate))
  const arrow = (from: string, to: string, isBack: boolean): HTMLElement => {
    const line = h('i', { 'aria-hidden': 'true' })
    line.style.height = `${Math.max(1.5, 9 * rate(from, to) / most)}px`
    return h('div', { class: isBack ? 'arrow back' : 'arrow', 'aria-label': `from ${nameOf(from)} to ${nameOf(to)}: ${digits(round(rate(from, to)))} packets a second`, role: 'img' },
      h('span', { class: 'across', 'aria-hidden': 'true' }, isBack ? '←' : '→'), ' ', h('b', {}, digits(round(rate(from, to)))), line)
  }
  const at = <T extends HTMLElement>(element: T, row: number, from: number, until = from): T => {
    element.style.gridArea = `${row} / ${from} / ${row + 1} / ${until + 1}`
    return element
  }
  const column = (place: string): number => 2 * places.indexOf(place) + 1
  /** Below the places: packets go round, gateways and services are ends of the same way. */
  const back = (from: string, to: string, row: number, what: string): HTMLElement => at(h('div', { class: 'return' },
    `${nameOf(from)} to ${nameOf(to).toLowerCase()} `, h('b', {}, digits(round(rate(from, to)))), h('span', { class: 'what' }, ` ${what}`)), row, column(to), column(from))
  fillKept(mixnet, [...places.flatMap((place, i): Child[] => [
    at(h('div', { class: 'place' }, h('h4', {}, nameOf(place)), ...nodesOf(place).map(node), place === 'wallets' ? h('span', { class: 'node' }, 'people', h('small', {}, 'never shown')) : null), 1, column(place)),
    i + 1 < places.length ? at(h('div', { class: 'flow' }, arrow(place, places[i + 1], false), i === 0 ? arrow(places[i + 1], place, true) : null), 1, column(place) + 1) : null
  ]), back(places[places.length - 2], 'gateway', 2, 'answers for wallets, and loops'), back('service', 'layer-1', 3, 'answers of services, and loops')])
}

function node ({ name, state, packets }: ProcessView): HTMLElement {
  return h('a', { class: 'node', href: `/node/${name}/` }, h('span', { class: `lamp ${state}`, 'aria-hidden': 'true' }), name, h('small', {}, state === 'ready' ? packets === null ? 'ready' : `${digits(round(packets))}/s in` : STATES[state]))
}

/** As `fill`; a link that had the focus has it afterwards. */
function fillKept (element: HTMLElement, children: readonly Child[]): void {
  const focused = element.contains(document.activeElement) ? document.activeElement?.getAttribute('href') : null
  const left = element.querySelector('.wide')?.scrollLeft ?? 0
  fill(element, ...children)
  element.querySelector('.wide')?.scrollTo({ left })
  if (focused !== null && focused !== undefined) element.querySelector<HTMLElement>(`a[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true })
}

function round (value: number): number {
  return Math.round(value * 10) / 10
}

const SIZE = 312
const INNER = 62
const OUTER = 96
/** As far out as a center's bar goes on which twice as many coins landed as its share says. */
const FULL = 150

function showRing (view: RingView | null): void {
  if (view === null || view.centers.every(({ share }) => share === null)) {
    fill(ring, h('p', { class: 'empty' }, 'No center has told its part of the ring yet.'))
    fill(ringTable)
    return
  }
  const even = 1 / view.centers.length
  let at = 0
  const part = arc<{ from: number, to: number, inner: number, outer: number }>().innerRadius(({ inner }) => inner).outerRadius(({ outer }) => outer).startAngle(({ from }) => from).endAngle(({ to }) => to).cornerRadius(2)
  const full = OUTER + (FULL - OUTER) / 2
  const marks = view.centers.flatMap(({ name, share, landed }, i) => {
    const width = 2 * Math.PI * (share ?? even)
    const [from, to] = [at, at + width]
    at = to
    const middle = (from + to) / 2
    const over = landed === null || share === null || share === 0 ? 0 : Math.min(2, landed / share)
    const [x, y] = [Math.sin(middle), -Math.cos(middle)]
    const label = INNER + (OUTER - INNER) / 2
    return [
      s('path', { class: `fill share ${colour(i)}`, d: part({ from, to, inner: INNER, outer: OUTER }) ?? '' }, s('title', {}, `${name}: ${percent(share)} of the ring`)),
      over === 0 ? null : s('path', { class: `fill ${colour(i)}`, d: part({ from: from + 0.03, to: to - 0.03, inner: OUTER + 3, outer: OUTER + 3 + (full - OUTER - 3) * over }) ?? '' }, s('title', {}, `${name}: ${percent(landed)} of coins landed here`)),
      s('text', { class: 'name', x: x * label, y: y * label + 4, 'text-anchor': 'middle' }, name.replace(/^center-/, ''))
    ]
  })
  fill(ring, s('svg', { viewBox: `${-SIZE / 2} ${-SIZE / 2} ${SIZE} ${SIZE}`, role: 'img', 'aria-label': `Ring of ${view.centers.length} centers; the same as a table beside it` },
    s('circle', { class: 'even', r: full }), ...marks.filter(mark => mark !== null),
    s('text', { class: 'middle', 'text-anchor': 'middle', y: 3 }, digits(view.votes)), s('text', { class: 'sub', 'text-anchor': 'middle', y: 21 }, 'votes for spends')))
  fill(ringTable, table(['center', 'of the ring', 'of spends'], view.centers.map(({ name, share, landed }, i) => [h('span', {}, h('span', { class: `key ${colour(i)}` }), name), percent(share), percent(landed)]), 'Centers and their shares'),
    h('p', { class: 'about' }, view.votes === 0 ? 'Fewer than 16 votes so far: where coins land is told from then on.' : `A coin has ${view.keepers} keepers, and ${view.quorum} of their votes are a certificate. The dashed circle is where a bar ends when exactly its share landed.`))
}

function percent (part: number | null): string {
  return part === null ? '–' : `${(100 * part).toFixed(1)} %`
}

function showMoney (view: MoneyView | null): void {
  noMoney.hidden = view !== null
  moneyPanels.hidden = view === null
  if (view === null) return
  const parts = [['coins', view.outstanding], ['tokens', view.tokens], ['accounts', view.accounts]] as const
  fill(stack, ...parts.map(([, value], i) => {
    const bar = h('i', { class: colour(i) })
    bar.style.flexGrow = String(value)
    return bar
  }))
  fill(stackLegend, ...parts.map(([name, value], i) => h('li', {}, h('span', { class: `key ${colour(i)}` }), `in ${name} `, h('b', {}, digits(value)))))
  const unit = moneyNow.querySelector('.unit')
  if (unit !== null) unit.textContent = view.unit
  const row = (name: string, value: string, tone?: string): HTMLElement => h('div', {}, h('dt', {}, name), h('dd', { class: tone }, value))
  fill(moneyFacts, h('dl', { class: 'facts' }, row('Came in', digits(view.credited)), row('Was paid out', digits(view.paidOut)), row('Coins issued', digits(view.issued)), row('Coins redeemed', digits(view.redeemed)),
    row('Issued − redeemed', digits(view.outstanding)), view.balanced ? row('Books', 'in balance, to the unit', 'good') : row('Books', `out of balance: ${digits(view.faults)} faults`, 'bad')))
  const from = firstOf(view.times, page.window())
  moneyThen.update(view.times.slice(from), view.lines.map(({ name, values }) => ({ name, values: values.slice(from) })))
}

function showProcesses (all: readonly ProcessView[]): void {
  const rows = all.map(({ name, state, missing, epoch, since, memory, store, packets }): Cell[] => [
    h('a', { href: `/node/${name}/` }, name),
    h('span', {}, pill(STATES[state], TONES[state]), state === 'not-ready' ? ` ${missing.map(code => MISSING[code] ?? code).join('; ')}` : ''),
    epoch, { n: since === null ? '–' : duration(Math.max(0, (Date.now() - since) / 1000)) }, packets === null ? null : round(packets), { n: memory === null ? '–' : bytes(memory) }, { n: store === null ? '–' : bytes(store) }
  ])
  fillKept(processes, [table(['process', 'state', 'epoch', 'runs for', 'packets a second', 'memory', 'store'], rows, 'Processes')])
}
