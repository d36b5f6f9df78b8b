/**
 * A network on one machine, as its page shows it: what every process says of itself over its control socket, put together. Figures
 * come as blunt as metrics are (decision 56); of the spends that centers certified, only how they are spread, and that anew
 * only when their sum has moved by COARSE.
 */
import type { Clock, Millis } from '@mixmint/core/kit/ports'
import { asMixmintError } from '@mixmint/core/kit/saga'
import { Alarm } from '@mixmint/mixnet/wire/alarm'
import type { Json, JsonObject } from '../control.ts'
import { coarse } from '../metrics/readings.ts'
import type { Flow, MoneyView, NetworkState, ProcessState, ProcessView, RingView } from './network-state.ts'
import type { NodeState } from './node-state.ts'
import { last, rateOf, rates, seriesOf, totalOf, type Values } from './rates.ts'

/** As daemons take theirs that are asked over their control sockets only. */
const EVERY: Millis = 5_000
/** So long after them. */
const AFTER: Millis = 1_000
/** The books are read no more often than this, and at most a twentieth of the time. */
const BOOKS_EVERY: Millis = 10_000
const BOOKS_SHARE = 20
const LONGEST = 121
const MIXING = ['gateway', 'mix', 'bank', 'merchant']

export interface NetworkWatchOptions {
  readonly network: string
  /** Of all processes that there are to be. */
  readonly names: readonly string[]
  readonly isUp: (name: string) => boolean
  /** One operation of a daemon. @throws daemon-not-running, and others */
  readonly ask: (name: string, operation: string) => Promise<Json>
  readonly clock: Clock
}

/** What came of asking a process. */
type Heard = NodeState | 'starting' | 'silent' | 'ended'
type Books = Omit<MoneyView, 'times' | 'lines'>

export class NetworkWatch {
  readonly #options: NetworkWatchOptions
  readonly #alarm: Alarm
  #heard = new Map<string, Heard>()
  /** Spends that each center certified: what it said last, and what it said before its restarts. */
  readonly #votes = new Map<string, { readonly last: number, readonly before: number }>()
  #landed: { readonly votes: number, readonly of: ReadonlyMap<string, number> } = { votes: 0, of: new Map() }
  #books: Books[] = []
  #booksDue: Millis = 0
  #keepers = 0
  #time: Millis = 0
  #next: Millis = 0
  #taking: Promise<void> | null = null
  #stopped = false

  constructor (options: NetworkWatchOptions) {
    this.#options = options
    this.#alarm = new Alarm(options.clock, () => { void this.take() })
  }

  /** Ask all of them now, and from then on again and again. */
  async take (): Promise<void> {
    await (this.#taking ??= this.#read().finally(() => {
      this.#taking = null
      this.#next = (Math.floor((this.#options.clock.now() - AFTER) / EVERY) + 1) * EVERY + AFTER
      if (!this.#stopped) this.#alarm.set(this.#next)
    }))
  }

  async stop (): Promise<void> {
    this.#stopped = true
    this.#alarm.clear()
    await this.#taking
  }

  get names (): readonly string[] {
    return this.#options.names
  }

  /** For the page of one node; null: there is none, or it does not answer. */
  node (name: string): NodeState | null {
    const heard = this.#heard.get(name)
    return heard === undefined || typeof heard === 'string' ? null : heard
  }

  state (): NetworkState {
    const { network, names, clock } = this.#options
    const nodes = names.map(name => this.node(name)).filter(node => node !== null)
    const processes = names.map(name => this.#process(name))
    const epochs = processes.map(({ epoch }) => epoch).filter(epoch => epoch !== null)
    const { times, traffic } = trafficOf(nodes)
    return {
      network, every: EVERY, next: Math.max(0, this.#next - clock.now()), time: this.#time, epoch: epochs.length === 0 ? null : Math.max(...epochs), processes,
      flows: flowsOf(nodes), times, traffic, drops: dropsOf(nodes), ring: this.#ring(), money: this.#money()
    }
  }

  async #read (): Promise<void> {
    const { names, clock } = this.#options
    this.#heard = new Map(await Promise.all(names.map(async name => [name, await this.#hear(name)] as const)))
    await Promise.all(names.filter(name => roleOf(name) === 'center').map(async name => { await this.#count(name) }))
    const votes = [...this.#votes].map(([name, { last, before }]) => [name, last + before] as const)
    const all = coarse(votes.reduce((sum, [, count]) => sum + count, 0))
    if (all !== this.#landed.votes) this.#landed = { votes: all, of: new Map(votes) }
    if (clock.now() >= this.#booksDue) await this.#readBooks()
    this.#time = clock.now()
  }

  async #hear (name: string): Promise<Heard> {
    if (!this.#options.isUp(name)) return 'ended'
    try {
      return await this.#options.ask(name, 'figures') as unknown as NodeState
    } catch (error) {
      return asMixmintError(error).code === 'daemon-not-running' ? 'starting' : 'silent'
    }
  }

  async #count (name: string): Promise<void> {
    if (this.node(name) === null) return
    try {
      const { counters } = await this.#options.ask(name, 'status') as { counters: JsonObject }
      const now = Number(counters['center_spend outcome=vote'] ?? 0)
      const { last, before } = this.#votes.get(name) ?? { last: 0, before: 0 }
      this.#votes.set(name, now >= last ? { last: now, before } : { last: now, before: before + last })
    } catch {
      // It went away: as before.
    }
  }

  async #readBooks (): Promise<void> {
    const { names, ask, clock } = this.#options
    if (!names.includes('bank') || this.node('bank') === null) return
    const began = clock.now()
    try {
      const { unit, credited, paidOut, accounts, tokens, issued, redeemed, outstanding, balanced, faults } = await ask('bank', 'books') as unknown as Omit<Books, 'faults' | 'time'> & { faults: readonly string[] }
      this.#books = [...this.#books, { unit, time: began, credited, paidOut, accounts, tokens, issued, redeemed, outstanding, balanced, faults: faults.length }].slice(-LONGEST)
    } catch {
      // The bank begins, or ends.
    }
    this.#booksDue = clock.now() + Math.max(BOOKS_EVERY, BOOKS_SHARE * (clock.now() - began))
  }

  #process (name: string): ProcessView {
    const heard = this.#heard.get(name) ?? 'starting'
    const node = typeof heard === 'string' ? null : heard
    const now = (figure: string): number | null => node === null ? null : last(totalOf(node, figure))
    const since = now('process_start_time_seconds')
    const epoch = now('mixmint_directory_epoch')
    return {
      name, role: roleOf(name), layer: now('mixmint_mix_layer'), state: typeof heard === 'string' ? heard : stateOf(heard.missing), missing: node?.missing ?? [],
      epoch: epoch === -1 ? null : epoch, since: since === null ? null : since * 1000, memory: now('process_resident_memory_bytes'), store: now('mixmint_store_size_bytes'),
      packets: node === null || !MIXING.includes(roleOf(name)) ? null : last(rateOf(node, 'mixmint_mix_packets_received_total'))
    }
  }

  #ring (): RingView | null {
    const names = this.#options.names.filter(name => roleOf(name) === 'center')
    const states = names.map(name => ({ name, node: this.node(name) }))
    const keyset = states.flatMap(({ node }) => node === null ? [] : [newestKeyset(node)]).find(id => id !== null)
    if (keyset === undefined || keyset === null) return null
    const shares = new Map(states.map(({ name, node }) => [name, node === null ? null : last(totalOf(node, 'mixmint_center_ring_share', { keyset }))]))
    const spare = states.map(({ node }) => node === null ? null : last(totalOf(node, 'mixmint_ring_faults_tolerated', { keyset }))).find(value => value !== null) ?? 0
    const held = this.#kept(shares)
    const votes = [...this.#landed.of.values()].reduce((sum, count) => sum + count, 0)
    return {
      keepers: held, quorum: held - spare, votes: this.#landed.votes,
      centers: names.map(name => {
        const share = shares.get(name) ?? null
        return { name, share: share === null || held === 0 ? null : share / held, landed: this.#landed.votes === 0 ? null : (this.#landed.of.get(name) ?? 0) / votes }
      })
    }
  }

  /** The shares of all centers add up to the number of keepers; while some do not answer, that of before holds. */
  #kept (shares: ReadonlyMap<string, number | null>): number {
    const known = [...shares.values()].filter(share => share !== null)
    if (known.length === shares.size) this.#keepers = Math.round(known.reduce((sum, share) => sum + share, 0))
    return this.#keepers
  }

  #money (): MoneyView | null {
    const now = this.#books.at(-1)
    if (now === undefined) return null
    const line = (name: string, of: (books: Books) => number): MoneyView['lines'][number] => ({ name, values: this.#books.map(of) })
    return { ...now, times: this.#books.map(({ time }) => time), lines: [line('coins', b => b.outstanding), line('tokens', b => b.tokens), line('accounts', b => b.accounts)] }
  }
}

function roleOf (name: string): string {
  return name.split('-')[0]
}

function stateOf (missing: readonly string[]): ProcessState {
  if (missing.length === 0) return 'ready'
  return missing.includes('starting') ? 'starting' : missing.includes('stopping') ? 'stopping' : 'not-ready'
}

/** That which began last. */
function newestKeyset (node: NodeState): string | null {
  const begun = seriesOf(node, 'mixmint_keyset_start_timestamp_seconds').filter(({ labels, values }) =>
    last(values) !== null && last(totalOf(node, 'mixmint_center_ring_share', { keyset: labels.keyset })) !== null)
  return begun.sort((a, b) => (last(b.values) ?? 0) - (last(a.values) ?? 0))[0]?.labels.keyset ?? null
}

/** Where a node stands on the way of packets. */
function placeOf (node: NodeState): string {
  const layer = last(totalOf(node, 'mixmint_mix_layer'))
  return layer !== null ? `layer-${layer}` : node.node.role === 'gateway' ? 'gateway' : 'service'
}

function flowsOf (nodes: readonly NodeState[]): Flow[] {
  const flows = new Map<string, Flow>()
  const add = (from: string, to: string, values: Values): void => {
    const rate = last(values)
    if (rate === null || to === 'other') return
    flows.set(`${from} ${to}`, { from, to, rate: rate + (flows.get(`${from} ${to}`)?.rate ?? 0) })
  }
  for (const node of nodes) {
    const place = placeOf(node)
    for (const { labels, values } of seriesOf(node, 'mixmint_link_packets_sent_total')) add(place, labels.to, rates(node.times, values))
    if (place !== 'gateway') continue
    add('wallets', place, rateOf(node, 'mixmint_gateway_packets_received_total'))
    add(place, 'wallets', rateOf(node, 'mixmint_gateway_packets_sent_total'))
  }
  return [...flows.values()].sort((a, b) => a.from < b.from ? -1 : a.from > b.from ? 1 : a.to < b.to ? -1 : 1)
}

/** By multiples of EVERY: of who takes figures more often, the last of each; of who does more rarely, what held meanwhile. */
function trafficOf (nodes: readonly NodeState[]): { times: number[], traffic: NetworkState['traffic'] } {
  const names = { forwarded: 'mixmint_mix_packets_forwarded_total', delivered: 'mixmint_mix_packets_delivered_total', dropped: 'mixmint_mix_packets_dropped_total' }
  const slots = new Map<number, Record<string, number>>()
  const end = Math.floor(Math.max(0, ...nodes.map(({ times }) => times.at(-1) ?? 0)) / EVERY)
  for (const node of nodes) {
    for (const [name, figure] of Object.entries(names)) {
      const slotOf = (i: number): number => i === node.times.length ? end + 1 : Math.floor(node.times[i] / EVERY)
      rateOf(node, figure).forEach((rate, i) => {
        if (rate === null) return
        for (let slot = slotOf(i); slot < slotOf(i + 1); slot++) {
          const sums = slots.get(slot) ?? {}
          slots.set(slot, sums)
          sums[name] = (sums[name] ?? 0) + rate
        }
      })
    }
  }
  const order = [...slots.keys()].sort((a, b) => a - b).slice(-LONGEST)
  return { times: order.map(slot => slot * EVERY), traffic: Object.keys(names).map(name => ({ name, values: order.map(slot => slots.get(slot)?.[name] ?? null) })) }
}

function dropsOf (nodes: readonly NodeState[]): Array<{ reason: string, rate: number }> {
  const drops = new Map<string, number>()
  for (const node of nodes) {
    for (const name of ['mixmint_mix_packets_dropped_total', 'mixmint_link_packets_dropped_total', 'mixmint_gateway_packets_dropped_total']) {
      for (const { labels, values } of seriesOf(node, name)) drops.set(labels.reason, (drops.get(labels.reason) ?? 0) + (last(rates(node.times, values)) ?? 0))
    }
  }
  return [...drops].map(([reason, rate]) => ({ reason, rate })).sort((a, b) => b.rate - a.rate || (a.reason < b.reason ? -1 : 1))
}
