/**
 * Makes the Grafana dashboards in ops/dashboards, one for each role: `node ops/make-dashboards.mjs`. A test compares them
 * with what is committed, and another runs every query against a real Prometheus.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** @param more further matchers */
const of = (name, more = '') => `${name}{job="mixmint",instance=~"$instance"${more === '' ? '' : `,${more}`}}`
const rate = (name, more) => `rate(${of(name, more)}[$__rate_interval])`
const per = (labels, expr) => `sum by (${labels}) (${expr})`
const time = (name, more) => `${of(name, more)} - time()`

/** [title, unit, [query, legend] …] */
const NODE = [
  ['Ready', 'bool', [of('mixmint_ready'), '{{instance}}'], [of('mixmint_store_writable'), '{{instance}} store']],
  ['Up since', 's', [`time() - ${of('process_start_time_seconds')}`, '{{instance}}']],
  ['Epoch', 'none', [of('mixmint_directory_epoch'), '{{instance}}']],
  ['Clock against the authorities', 's', [of('mixmint_clock_offset_seconds'), '{{instance}}']],
  ['Next document due in', 's', [time('mixmint_directory_document_end_timestamp_seconds'), '{{instance}}']],
  ['Memory', 'bytes', [of('process_resident_memory_bytes'), '{{instance}}'], [of('nodejs_heap_size_used_bytes'), '{{instance}} heap']],
  ['Processor', 'percentunit', [rate('process_cpu_seconds_total'), '{{instance}}']],
  ['Event loop, 99th percentile of the lag', 's', [of('nodejs_eventloop_lag_p99_seconds'), '{{instance}}']],
  ['Open files', 'percentunit', [`${of('process_open_fds')} / ${of('process_max_fds')}`, '{{instance}}']],
  ['Disk free', 'percentunit', [`${of('mixmint_disk_free_bytes')} / ${of('mixmint_disk_size_bytes')}`, '{{instance}}']],
  ['Store', 'bytes', [of('mixmint_store_size_bytes'), '{{instance}}']],
  ['At the door', 'ops', [rate('mixmint_connections_displaced_total'), 'displaced {{instance}}'], [rate('mixmint_handshakes_unfinished_total'), 'unfinished {{instance}}'], [per('instance, reason', rate('mixmint_connections_refused_total')), 'refused: {{reason}} {{instance}}']],
  ['Directory: sources without a newer document', 'ops', [per('instance, code', rate('mixmint_directory_fetch_failed_total')), '{{code}} {{instance}}']]
]
const MIX = [
  ['Packets', 'pps', [rate('mixmint_mix_packets_received_total'), 'received {{instance}}'], [rate('mixmint_mix_packets_forwarded_total'), 'forwarded {{instance}}'], [rate('mixmint_mix_packets_delivered_total'), 'ended here {{instance}}']],
  ['Packets dropped, by reason', 'pps', [per('instance, reason', rate('mixmint_mix_packets_dropped_total')), '{{reason}} {{instance}}']],
  ['Queue', 'none', [of('mixmint_mix_queue_packets'), '{{instance}}'], [of('mixmint_mix_queue_limit_packets'), 'limit {{instance}}']],
  ['Delay in this mix', 's', ...[0.5, 0.9, 0.99].map(q => [`histogram_quantile(${q}, ${per('le, instance', rate('mixmint_mix_delay_seconds_bucket'))})`, `${q} {{instance}}`]), [`${rate('mixmint_mix_delay_seconds_sum')} / ${rate('mixmint_mix_delay_seconds_count')}`, 'mean {{instance}}']],
  ['Queue that a packet finds', 'none', ...[0.5, 0.9, 0.99].map(q => [`histogram_quantile(${q}, ${per('le, instance', rate('mixmint_mix_queue_found_packets_bucket'))})`, `${q} {{instance}}`])],
  ['Memory of seen packets', 'percentunit', [`${of('mixmint_mix_seen_tags')} / ${of('mixmint_mix_seen_tags_limit')}`, '{{instance}}']],
  ['Mix keys', 'none', [of('mixmint_mix_keys'), '{{instance}}']],
  ['Links', 'pps', [per('instance, to', rate('mixmint_link_packets_sent_total')), 'sent to {{to}} {{instance}}'], [rate('mixmint_link_packets_received_total'), 'received {{instance}}'], [per('instance, reason', rate('mixmint_link_packets_dropped_total')), 'dropped: {{reason}} {{instance}}']],
  ['Waiting for neighbours', 'none', [of('mixmint_link_queue_packets'), '{{instance}}']],
  ['Neighbours', 'none', [of('mixmint_link_neighbours'), '{{instance}}']],
  ['Loops', 'ops', [rate('mixmint_loops_sent_total'), 'sent {{instance}}'], [rate('mixmint_loops_returned_total'), 'came home {{instance}}'], [rate('mixmint_loops_lost_total'), 'lost {{instance}}']],
  ['Loops: alarms', 'none', [of('mixmint_loop_alarms_active'), '{{about}} {{instance}}']],
  ['Loops: time on their way', 's', [of('mixmint_loop_delay_seconds'), '{{of}} {{instance}}']],
  ['Tags that could not be written', 'ops', [rate('mixmint_mix_seen_log_failed_total'), '{{instance}}'], [per('instance, reason', rate('mixmint_mix_shed_total')), 'shed: {{reason}} {{instance}}']]
]
const KEYSETS = [
  ['Keysets: until the end of each stage', 's', [time('mixmint_keyset_end_timestamp_seconds'), '{{keyset}} {{stage}}']],
  ['Keysets: age', 's', [`time() - ${of('mixmint_keyset_start_timestamp_seconds')}`, '{{keyset}}']],
  ['Ring: centers in the directory', 'none', [of('mixmint_ring_centers_listed'), '{{keyset}} {{instance}}'], [of('mixmint_ring_centers'), 'of {{keyset}} {{instance}}'], [of('mixmint_ring_faults_tolerated'), 'may be away {{keyset}} {{instance}}']]
]
const SERVICE = [
  ['Requests', 'reqps', [rate('mixmint_service_requests_total'), '{{via}} {{instance}}'], [per('instance', rate('mixmint_bad_request_total')), 'malformed {{instance}}']],
  ['Connections', 'none', [of('mixmint_connections'), '{{kind}} {{instance}}']],
  ['Over the mixnet: refused and dropped', 'ops', [per('instance, code', rate('mixmint_responder_refused_total')), 'refused: {{code}}'], [per('instance, reason', rate('mixmint_responder_dropped_total')), 'dropped: {{reason}}'], [rate('mixmint_responder_handler_failed_total'), 'failed {{instance}}']]
]
const ROLES = {
  authority: [
    ['Signatures under the newest document', 'none', [of('mixmint_authority_signatures'), '{{instance}}']],
    ['The other authorities', 'none', [of('mixmint_authority_colleagues'), '{{state}} {{instance}}']],
    ['Round of the agreement', 'none', [of('mixmint_authority_round'), '{{instance}}']],
    ['Refused', 'ops', [per('instance, code', rate('mixmint_directory_refused_total')), '{{code}} {{instance}}'], [per('instance, code', rate('mixmint_directory_vote_refused_total')), 'vote: {{code}} {{instance}}']],
    ['Wrong', 'none', [per('instance', `increase(${of('mixmint_directory_equivocation_total')}[1h])`), 'two statements {{instance}}'], [`increase(${of('mixmint_directory_conflict_total')}[1h])`, 'two decisions {{instance}}'], [`increase(${of('mixmint_directory_unusable_total')}[1h])`, 'unusable {{instance}}']]
  ],
  mix: MIX,
  gateway: [
    ['Wallets', 'none', [of('mixmint_gateway_wallets'), '{{state}} {{instance}}']],
    ['Packets of wallets', 'pps', [rate('mixmint_gateway_packets_received_total'), 'from {{instance}}'], [rate('mixmint_gateway_packets_sent_total'), 'to {{instance}}'], [per('instance, reason', rate('mixmint_gateway_packets_dropped_total')), 'dropped: {{reason}} {{instance}}']],
    ['Waiting for wallets', 'none', [of('mixmint_gateway_queue_packets'), '{{instance}}']],
    ['Pace', 'pps', [rate('mixmint_cover_paced_total'), '{{kind}} {{instance}}']],
    ['Wallets held back or turned away', 'ops', [rate('mixmint_wallet_packets_held_back_total'), 'held back {{instance}}'], [rate('mixmint_wallets_displaced_total'), 'displaced {{instance}}'], [per('instance, reason', rate('mixmint_wallet_streams_refused_total')), 'refused: {{reason}}'], [per('instance, reason', rate('mixmint_wallet_streams_broken_total')), 'broken: {{reason}}']],
    ...MIX
  ],
  center: [
    ['Spends', 'reqps', [per('instance, outcome', rate('mixmint_center_spend_total')), '{{outcome}} {{instance}}']],
    ['Owners who asked', 'reqps', [per('instance, outcome', rate('mixmint_center_look_total')), '{{outcome}} {{instance}}']],
    ['Rings that count this center', 'none', [of('mixmint_center_keysets'), '{{member}} {{bank}} {{instance}}']],
    ['Share of the ring', 'percentunit', [of('mixmint_center_ring_share'), '{{keyset}} {{instance}}']],
    ['Vote keys', 'none', [of('mixmint_center_vote_keys'), '{{instance}}']],
    ...KEYSETS
  ],
  bank: [
    ['Books balance', 'bool', [of('mixmint_bank_books_balanced'), '{{instance}}']],
    ['Last audit', 's', [`time() - ${of('mixmint_bank_books_timestamp_seconds')}`, '{{instance}}']],
    ['Money, by the last audit', 'none', [of('mixmint_bank_money_units'), '{{where}}']],
    ['Operations', 'reqps', [per('op, outcome', rate('mixmint_bank_request_total')), '{{op}}: {{outcome}}']],
    ['Tokens turned in', 'ops', [per('outcome', rate('mixmint_bank_deposit_total')), '{{outcome}}'], [rate('mixmint_bank_token_not_issued_total'), 'not issued here']],
    ['Answers of centers', 'ops', [per('kind', rate('mixmint_keeper_answer_total')), '{{kind}}']],
    ['Centers that fail', 'ops', [per('center, kind', rate('mixmint_keeper_bad_total')), '{{center}} {{kind}}']],
    ['Keys of sealed tokens', 'none', [of('mixmint_bank_sealed_sets_ahead'), 'days ahead']],
    ...KEYSETS, ...SERVICE, ...MIX
  ],
  merchant: [
    ['Requests', 'reqps', [per('op, outcome', rate('mixmint_merchant_request_total')), '{{op}}: {{outcome}}']],
    ['At the counter', 'ops', [per('outcome', rate('mixmint_till_token_total')), 'token: {{outcome}}'], [per('outcome', rate('mixmint_till_coins_total')), 'coins: {{outcome}}']],
    ['Tokens that wait', 'none', [of('mixmint_merchant_tokens_due'), '{{instance}}']],
    ['Tokens turned in', 'ops', [rate('mixmint_token_deposit_total'), '{{state}}']],
    ['Settled', 'ops', [per('outcome', rate('mixmint_settle_try_total')), '{{outcome}}']],
    ['Spent twice, lost on trust', 'none', [`increase(${of('mixmint_double_spend_total')}[1h])`, 'spent twice'], [`increase(${of('mixmint_trust_lost_total')}[1h])`, 'lost on trust'], [per('fault', `increase(${of('mixmint_center_convicted_total')}[1h])`), 'center convicted: {{fault}}']],
    ['Centers that fail', 'ops', [per('center, kind', rate('mixmint_keeper_bad_total')), '{{center}} {{kind}}']],
    ...KEYSETS, ...SERVICE, ...MIX
  ]
}

const WIDTH = 8
const HEIGHT = 7
const datasource = { type: 'prometheus', uid: '${datasource}' }

function dashboard (role, panels) {
  return {
    title: `mixmint: ${role}`, uid: `mixmint-${role}`, tags: ['mixmint'], schemaVersion: 38, editable: true, refresh: '30s', time: { from: 'now-6h', to: 'now' },
    templating: {
      list: [
        { name: 'datasource', type: 'datasource', query: 'prometheus' },
        { name: 'instance', type: 'query', datasource, query: `label_values(mixmint_build_info{role="${role}"}, instance)`, includeAll: true, multi: true, refresh: 2, current: { text: 'All', value: '$__all' } }
      ]
    },
    panels: panels.map(([title, unit, ...queries], i) => ({
      id: i + 1, title, type: 'timeseries', datasource,
      gridPos: { x: i % (24 / WIDTH) * WIDTH, y: Math.floor(i / (24 / WIDTH)) * HEIGHT, w: WIDTH, h: HEIGHT },
      fieldConfig: { defaults: { unit, min: ['s', 'none'].includes(unit) ? undefined : 0 }, overrides: [] },
      options: { legend: { displayMode: 'list', placement: 'bottom' }, tooltip: { mode: 'multi' } },
      targets: queries.map(([expr, legendFormat], n) => ({ refId: String.fromCharCode(65 + n), datasource, expr, legendFormat }))
    }))
  }
}

export const dashboards = Object.fromEntries(Object.entries(ROLES).map(([role, panels]) => [role, `${JSON.stringify(dashboard(role, [...panels, ...NODE]), null, 1)}\n`]))

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const folder = fileURLToPath(new URL('dashboards', import.meta.url))
  mkdirSync(folder, { recursive: true })
  for (const [role, text] of Object.entries(dashboards)) writeFileSync(`${folder}/${role}.json`, text)
}
