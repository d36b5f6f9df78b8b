/** The figures that stand on top of a node's page, by role; and the facts about any node. */
import type { NodeState } from '../node-state.ts'
import { figure, grownSince, last, quantile, rateOf, seriesOf, totalOf } from '../rates.ts'
import { bytes, digits, duration } from './dom.ts'
import type { Fact, TileView } from './live.ts'

const PREFIX = 'mixmint_'
type Labels = Readonly<Record<string, string>>

function now (state: NodeState, name: string, labels: Labels = {}): number | null {
  return last(totalOf(state, PREFIX + name, labels))
}

function perSecond (state: NodeState, name: string, labels: Labels = {}): number {
  return last(rateOf(state, PREFIX + name, labels)) ?? 0
}

/** By how much a counter grew from one moment until now. */
function grown (state: NodeState, from: number, name: string, labels: Labels = {}): number {
  return seriesOf(state, PREFIX + name, labels).reduce((sum, { values }) => {
    let more = 0
    for (let i = from + 1; i < values.length; i++) more += Math.max(0, (values[i] ?? 0) - (values[i - 1] ?? values[i] ?? 0))
    return sum + more
  }, 0)
}

const many = (state: NodeState, label: string, name: string, labels?: Labels): TileView => ({ label, value: digits(perSecond(state, name, labels)), unit: 'a second' })
const store = (state: NodeState): TileView => ({ label: 'Store', value: bytes(now(state, 'store_size_bytes') ?? 0), note: `${bytes(now(state, 'disk_free_bytes') ?? 0)} free on its disk` })
const epoch = (state: NodeState): TileView => {
  const [value, end] = [now(state, 'directory_epoch') ?? -1, now(state, 'directory_document_end_timestamp_seconds')]
  return { label: 'Epoch', value: value < 0 ? 'none' : digits(value), tone: value < 0 ? 'bad' : undefined, note: end === null ? 'no document in force' : `next document in ${duration(Math.max(0, end - Date.now() / 1000))}` }
}

/** @param from index of the first moment that is shown */
function delay (state: NodeState, from: number): TileView {
  const histogram = state.histograms.find(({ name }) => name === `${PREFIX}mix_delay_seconds`)
  const since = histogram === undefined ? null : grownSince(histogram, from)
  const median = histogram === undefined || since === null ? null : quantile(histogram.bounds, since.counts, 0.5)
  return { label: 'Median delay here', value: median === null ? '–' : duration(median), note: 'of packets in the time shown' }
}

function drops (state: NodeState, from: number): TileView {
  const count = grown(state, from, 'mix_packets_dropped_total') + grown(state, from, 'link_packets_dropped_total') + grown(state, from, 'gateway_packets_dropped_total')
  return { label: 'Dropped', value: digits(count), unit: 'packets', tone: count > 0 ? 'warn' : undefined, note: 'in the time shown' }
}

const mixing = (state: NodeState, from: number): TileView[] => [many(state, 'Packets in', 'mix_packets_received_total'), delay(state, from), drops(state, from)]

function money (state: NodeState, label: string, where: string, note = ''): TileView {
  const value = now(state, 'bank_money_units', { where })
  return { label, value: value === null ? '–' : digits(value), note }
}

function books (state: NodeState): TileView {
  const [isBalanced, faults, time] = [now(state, 'bank_books_balanced'), now(state, 'bank_books_faults') ?? 0, now(state, 'bank_books_timestamp_seconds')]
  const age = time === null ? '' : `audited ${duration(Math.max(0, Date.now() / 1000 - time))} ago`
  if (isBalanced === null) return { label: 'Books', value: 'not audited yet', tone: 'warn' }
  return isBalanced === 1 ? { label: 'Books', value: 'balanced', tone: 'good', note: age } : { label: 'Books', value: 'unbalanced', tone: 'bad', note: `${faults} faults; ${age}` }
}

/** What is wrong to the unit: any at all is too much. */
function wrong (state: NodeState, label: string, name: string): TileView {
  const count = now(state, name) ?? 0
  return { label, value: digits(count), tone: count > 0 ? 'bad' : undefined, note: 'since it started' }
}

export function tilesOf (state: NodeState, from: number): TileView[] {
  switch (state.node.role) {
    case 'authority': {
      const colleagues = (now(state, 'authority_colleagues', { state: 'answering' }) ?? 0) + (now(state, 'authority_colleagues', { state: 'silent' }) ?? 0)
      const round = now(state, 'authority_round') ?? -1
      return [
        epoch(state), { label: 'Signatures', value: digits(now(state, 'authority_signatures') ?? 0), unit: `of ${colleagues + 1}`, note: 'under the newest document' },
        { label: 'Others that answer', value: digits(now(state, 'authority_colleagues', { state: 'answering' }) ?? 0), unit: `of ${colleagues}` },
        { label: 'Agreement', value: round < 0 ? 'at rest' : `round ${round}`, note: 'on the next document' },
        { label: 'Nodes admitted', value: digits(now(state, 'authority_admitted') ?? 0) }, wrong(state, 'Equivocations seen', 'directory_equivocation_total'), store(state)
      ]
    }
    case 'center': {
      const share = seriesOf(state, `${PREFIX}center_ring_share`).map(({ values }) => last(values)).find(value => value !== null) ?? null
      const refused = seriesOf(state, `${PREFIX}center_spend_total`).filter(({ labels }) => labels.outcome !== 'vote').map(({ labels }) => perSecond(state, 'center_spend_total', labels)).reduce((a, b) => a + b, 0)
      return [
        many(state, 'Spends certified', 'center_spend_total', { outcome: 'vote' }), { label: 'Refused', value: digits(refused), unit: 'a second', tone: refused > 0 ? 'warn' : undefined },
        { label: 'Share of the ring', value: share === null ? 'none' : digits(Math.round(share * 1000) / 10), ...share === null ? { tone: 'warn' as const } : { unit: '%' }, note: 'of all coins are kept here' },
        epoch(state), store(state)
      ]
    }
    case 'bank': return [
      money(state, 'In circulation', 'coins', 'in coins, by the last audit'), money(state, 'In accounts', 'accounts'), money(state, 'In tokens', 'tokens'), books(state),
      { label: 'Requests', value: digits(perSecond(state, 'service_requests_total')), unit: 'a second' }, epoch(state), store(state)
    ]
    case 'merchant': {
      const [risk, limit] = [now(state, 'merchant_at_risk_units'), now(state, 'merchant_trust_limit_units')]
      return [
        { label: 'Accepted', value: digits(['till_token_total', 'till_coins_total', 'merchant_request_total'].reduce((sum, name) => sum + ['accepted', 'paid'].reduce((of, outcome) => of + perSecond(state, name, { outcome }), 0), 0)), unit: 'a second', note: 'payments' },
        { label: 'At risk', value: digits(risk ?? 0), ...limit === null ? { note: 'nothing is taken on trust' } : { unit: `of ${digits(limit)}`, tone: (risk ?? 0) > limit / 2 ? 'warn' as const : undefined, note: 'delivered on trust' } },
        { label: 'Tokens to turn in', value: digits(now(state, 'merchant_tokens_due') ?? 0), note: 'in steps of 16' }, wrong(state, 'Double spends', 'double_spend_total'), wrong(state, 'Lost on trust', 'trust_lost_total'), epoch(state), store(state)
      ]
    }
    case 'gateway': return [{ label: 'Wallets', value: digits(now(state, 'gateway_wallets', { state: 'attached' }) ?? 0), note: 'attached, in steps of 16' }, ...mixing(state, from), epoch(state), store(state)]
    default: return [...mixing(state, from), { label: 'Waiting', value: digits(now(state, 'mix_queue_packets') ?? 0), unit: 'packets', note: 'in steps of 16' }, epoch(state), store(state)]
  }
}

export function factsOf (state: NodeState): Fact[] {
  const raw = (name: string): number | null => last(totalOf(state, name))
  const [started, memory, files, most, lag, end] = ['process_start_time_seconds', 'process_resident_memory_bytes', 'process_open_fds', 'process_max_fds', 'nodejs_eventloop_lag_p99_seconds', 'mixmint_directory_document_end_timestamp_seconds'].map(raw)
  const [offset, free, size, processor] = [now(state, 'clock_offset_seconds'), now(state, 'disk_free_bytes'), now(state, 'disk_size_bytes'), last(rateOf(state, 'process_cpu_seconds_total'))]
  const given = (value: number | null, text: (value: number) => string): string | null => value === null ? null : text(value)
  return [
    ['Runs for', given(started, value => duration(Math.max(0, Date.now() / 1000 - value)))],
    ['Next document in', given(end, value => duration(Math.max(0, value - Date.now() / 1000)))],
    ['Clock against the authorities', given(offset, value => `${value < 0 ? '−' : value > 0 ? '+' : ''}${duration(value)}`)],
    ['Memory', given(memory, bytes)],
    ['Processor', given(processor, value => `${digits(Math.round(value * 1000) / 10)} % of a core`)],
    ['Event loop, 99th percentile', given(lag, duration)],
    ['Open files', files === null || most === null ? null : `${digits(files)} of ${digits(most)}`],
    ['Store', given(now(state, 'store_size_bytes'), bytes)],
    ['Store takes changes', now(state, 'store_writable') === 1 ? 'yes' : 'no', now(state, 'store_writable') === 1 ? 'good' : 'bad'],
    ['Disk free', free === null || size === null ? null : `${bytes(free)} of ${bytes(size)}`, free !== null && size !== null && free < size / 10 ? 'warn' : undefined]
  ]
}

export function keyFacts (state: NodeState): Fact[] {
  const given = (name: string, text: string, more = ''): Fact => [text, now(state, name) === null ? null : `${digits(now(state, name) ?? 0)}${more}`]
  const tags = now(state, 'mix_seen_tags_limit') ?? 0
  return [
    given('mix_keys', 'Mix keys held'), ['Tags of seen packets', tags === 0 ? null : `${digits(Math.round(1000 * (now(state, 'mix_seen_tags') ?? 0) / tags) / 10)} % of the room for one key`],
    given('center_vote_keys', 'Vote keys held'), given('bank_sealed_sets_ahead', 'Keys of sealed tokens', ' days ahead')
  ]
}

/** Of nodes only how many there are of a kind. */
export function peerFacts (state: NodeState): Fact[] {
  const counts = (name: string, label: string): Fact[] => (figure(state, PREFIX + name)?.series ?? []).map(({ labels, values }) => [labels[label], String(last(values) ?? 0)])
  return [
    ...counts('directory_nodes', 'kind').map(([kind, count]): Fact => [`${kind === 'gateway' || kind === 'bank' || kind === 'center' || kind === 'merchant' || kind === 'service' ? `${kind}s` : `${kind}es`} in the directory`, count]),
    ['Neighbours with an open stream', now(state, 'link_neighbours') === null ? null : digits(now(state, 'link_neighbours') ?? 0)],
    ...counts('connections', 'kind').map(([kind, count]): Fact => [`connections: ${kind}, in steps of 16`, count]),
    ...['answering', 'silent', 'clock-wrong', 'parameters-differ'].map((each): Fact => [`other authorities: ${each}`, now(state, 'authority_colleagues', { state: each }) === null ? null : digits(now(state, 'authority_colleagues', { state: each }) ?? 0)])
  ]
}
