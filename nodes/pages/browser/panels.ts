/** What the operator of each role looks at first: which plots a node's page has, and of which figures. */
import type { NodeState } from '../node-state.ts'
import { figure, rateOf, rates, totalOf, type Values } from '../rates.ts'
import type { Line } from './chart.ts'
import { digits, duration } from './dom.ts'

interface LinePlot { readonly kind: 'lines', readonly title: string, readonly unit: string, readonly none?: string, /** The axis goes up to this at least. */ readonly most?: number, readonly lines: (state: NodeState) => readonly Line[] }
export type Plot =
  | LinePlot
  | { readonly kind: 'histogram', readonly title: string, readonly unit: string, readonly of: string, readonly format: (value: number) => string, readonly mean: string }

const PREFIX = 'mixmint_'
const SECOND = 'a second'
const STEP = 16
const NONE = 'none so far, or fewer than 16 of a kind'

type Labels = Readonly<Record<string, string>>
type Make = (state: NodeState) => Line

const rate = (name: string, of: string, labels?: Labels): Make => state => ({ name, values: rateOf(state, PREFIX + of, labels) })
const level = (name: string, of: string, labels?: Labels): Make => state => ({ name, values: totalOf(state, PREFIX + of, labels) })
const lines = (title: string, unit: string, ...make: readonly Make[]): LinePlot => ({ kind: 'lines', title, unit, lines: state => make.map(each => each(state)) })

/** A line for each value of these labels of a counter that moved in the time that is known. */
function by (title: string, of: string, labels: readonly string[], none = NONE): Plot {
  return {
    kind: 'lines', title, unit: SECOND, none,
    lines: state => (figure(state, PREFIX + of)?.series ?? [])
      .map(series => ({ name: labels.map(label => series.labels[label] ?? '').join(': '), values: rates(state.times, series.values) }))
      .filter(({ values }) => values.some(value => value !== null && value > 0))
  }
}

const MIX: readonly Plot[] = [
  lines('Packets', SECOND, rate('received', 'mix_packets_received_total'), rate('sent on', 'mix_packets_forwarded_total'), rate('ended here', 'mix_packets_delivered_total')),
  by('Packets dropped, by reason', 'mix_packets_dropped_total', ['reason'], 'none was dropped, or fewer than 16 for any reason'),
  { kind: 'histogram', title: 'Delay of a packet in this mix', unit: 'share of packets', of: 'mix_delay_seconds', format: duration, mean: 'mean' },
  { kind: 'histogram', title: 'Queue that a packet finds', unit: 'share of packets', of: 'mix_queue_found_packets', format: value => digits(Math.round(value * 10) / 10), mean: 'mean' },
  { ...lines('Waiting', 'packets, in steps of 16', level('for their time', 'mix_queue_packets'), level('for a neighbour', 'link_queue_packets')), most: STEP },
  by('Sent to neighbours', 'link_packets_sent_total', ['to']),
  by('Lost on the way to neighbours', 'link_packets_dropped_total', ['reason'], 'none was lost, or fewer than 16 for any reason'),
  lines('Loops of this node', SECOND, rate('sent', 'loops_sent_total'), rate('came home', 'loops_returned_total'), rate('lost', 'loops_lost_total'))
]
const SERVICE: readonly Plot[] = [
  lines('Requests', SECOND, rate('over the mixnet', 'service_requests_total', { via: 'mixnet' }), rate('direct', 'service_requests_total', { via: 'direct' }))
]
const KEEPERS: readonly Plot[] = [by('Answers of centers', 'keeper_answer_total', ['kind']), by('Centers that fail', 'keeper_bad_total', ['center', 'kind'], 'none failed, or fewer than 16 times')]

const scaled = (values: Values, by: number): Values => values.map(value => value === null ? null : value * by)
/** Of any node. */
const NODE: readonly Plot[] = [
  { kind: 'lines', title: 'Processor', unit: '% of a core', lines: state => [{ name: 'in use', values: scaled(rateOf(state, 'process_cpu_seconds_total'), 100) }] },
  { kind: 'lines', title: 'Memory and store', unit: 'MiB', lines: state => [{ name: 'memory', values: scaled(totalOf(state, 'process_resident_memory_bytes'), 2 ** -20) }, { name: 'store', values: scaled(totalOf(state, `${PREFIX}store_size_bytes`), 2 ** -20) }] }
]

const OF_ROLE: Readonly<Record<string, readonly Plot[]>> = {
  authority: [
    lines('Signatures', 'under the newest document', level('signed', 'authority_signatures')),
    lines('Other authorities', 'authorities', level('answering', 'authority_colleagues', { state: 'answering' }), level('silent', 'authority_colleagues', { state: 'silent' }), level('clock wrong', 'authority_colleagues', { state: 'clock-wrong' }), level('other parameters', 'authority_colleagues', { state: 'parameters-differ' })),
    by('Votes refused', 'directory_vote_refused_total', ['code'], 'none was refused'),
    by('Requests refused', 'directory_refused_total', ['code'], 'none was refused')
  ],
  mix: MIX,
  gateway: [
    { ...lines('Wallets', 'wallets, in steps of 16', level('attached', 'gateway_wallets', { state: 'attached' }), level('away', 'gateway_wallets', { state: 'away' })), most: STEP },
    lines('Packets of wallets', SECOND, rate('from wallets', 'gateway_packets_received_total'), rate('to wallets', 'gateway_packets_sent_total')),
    by('Packets for wallets dropped', 'gateway_packets_dropped_total', ['reason'], 'none was dropped, or fewer than 16 for any reason'),
    ...MIX
  ],
  center: [
    by('Spends, by outcome', 'center_spend_total', ['outcome'], 'fewer than 16 spends of any outcome'),
    by('Owners who asked', 'center_look_total', ['outcome'], 'fewer than 16 questions')
  ],
  bank: [
    by('Operations, by outcome', 'bank_request_total', ['op', 'outcome'], 'fewer than 16 of any kind'),
    by('Tokens turned in', 'bank_deposit_total', ['outcome'], 'fewer than 16 of any outcome'),
    ...SERVICE, ...KEEPERS, ...MIX
  ],
  merchant: [
    by('Tokens at the till', 'till_token_total', ['outcome'], 'fewer than 16 of any outcome'),
    by('Coins at the till', 'till_coins_total', ['outcome'], 'fewer than 16 of any outcome'),
    by('Requests, by outcome', 'merchant_request_total', ['op', 'outcome'], 'fewer than 16 of any kind'),
    lines('At risk', 'smallest coins', level('delivered on trust', 'merchant_at_risk_units')),
    by('Tokens turned in', 'token_deposit_total', ['state'], 'fewer than 16 of any kind'),
    ...SERVICE, ...KEEPERS, ...MIX
  ]
}

export function plotsOf (role: string): readonly Plot[] {
  return [...OF_ROLE[role] ?? MIX, ...NODE]
}
