/**
 * What daemons tell besides their counters (counter-table.ts): sizes, dates, states. By name; Prometheus has it as
 * `mixmint_<name>`, in base units (seconds, bytes), counters with `_total`.
 */
import { LINK, WALLET_LINK } from './counter-table.ts'
import type { LabelRule } from './labels.ts'

export interface FigureRow {
  readonly type: 'gauge' | 'counter'
  readonly help: string
  readonly labels?: Readonly<Record<string, LabelRule>>
  /** Told in steps, as in the table of counters: it moves with what people do. */
  readonly people?: true
}

const gauge = (help: string, labels?: FigureRow['labels']): FigureRow => ({ type: 'gauge', help, ...labels === undefined ? {} : { labels } })
const crowd = (help: string, labels?: FigureRow['labels']): FigureRow => ({ ...gauge(help, labels), people: true })
const traffic = (help: string, labels?: FigureRow['labels']): FigureRow => ({ type: 'counter', help, people: true, ...labels === undefined ? {} : { labels } })

const STAGES = ['issue', 'spend', 'redeem', 'refund'] as const

export const FIGURES = {
  build_info: gauge('1, with what runs here.', { version: 'version', role: 'word', suite: 'word' }),
  ready: gauge('1 when this node does its work, as /readyz says; else 0.'),
  store_writable: gauge('1 when the stores take a change; else 0.'),
  store_size_bytes: gauge('Files of the store in the node\'s folder.'),
  disk_free_bytes: gauge('Free space on the disk of the node\'s folder.'),
  disk_size_bytes: gauge('Size of the disk of the node\'s folder.'),
  clock_offset_seconds: gauge('This machine\'s clock minus that of the authorities, as far as that is known; 0 while it may be the time that an answer took.'),

  directory_epoch: gauge('The epoch of the directory\'s document in force; -1 without one.'),
  directory_document_end_timestamp_seconds: gauge('When the next document of the directory should be in force.'),
  directory_nodes: gauge('Nodes in the document in force.', { kind: ['gateway', 'mix', 'bank', 'center', 'merchant', 'service'] }),
  connections: crowd('Connections by who is at the other end; unknown are wallets and other strangers.', { kind: 'word' }),

  mix_packets_received_total: traffic('Packets that came to this mix.'),
  mix_packets_forwarded_total: traffic('Packets that went on.'),
  mix_packets_delivered_total: traffic('Packets whose path ended here.'),
  mix_packets_dropped_total: traffic('Packets that were dropped.', { reason: 'word' }),
  mix_queue_packets: crowd('Packets that wait for their time.'),
  mix_queue_limit_packets: gauge('Packets that may wait; more are shed.'),
  mix_seen_tags: crowd('Tags of packets seen under the key that has seen the most.'),
  mix_seen_tags_limit: gauge('Tags that are kept for one key; a key that is full takes no more packets.'),
  mix_layer: gauge('The layer in which the document in force has this mix; not there for what is no mix.'),
  mix_keys: gauge('Mix keys that this node holds: of this epoch, its neighbours within the grace, and the next.'),
  link_packets_received_total: traffic('Packets from neighbours.'),
  link_packets_sent_total: traffic('Packets handed to neighbours, by where these stand in the mixnet.', { to: 'place' }),
  link_packets_dropped_total: traffic('Packets for a neighbour that was away, or took them too slowly.', { reason: LINK }),
  link_neighbours: gauge('Neighbours to whom a stream of packets is open.'),
  link_queue_packets: crowd('Packets that wait for a neighbour to take them.'),
  gateway_wallets: crowd('Wallets at this gateway.', { state: ['attached', 'away'] }),
  gateway_packets_received_total: traffic('Packets from wallets.'),
  gateway_packets_sent_total: traffic('Packets handed to wallets.'),
  gateway_packets_dropped_total: traffic('Packets for wallets that were dropped, before their pace or after it.', { reason: WALLET_LINK }),
  gateway_queue_packets: crowd('Packets that wait for wallets to take them.'),
  loops_sent_total: traffic('Packets that this node sent to itself over the mixnet.'),
  loops_returned_total: traffic('Loops that came home.'),
  loops_lost_total: traffic('Loops that did not come home.'),
  loop_delay_seconds: gauge('Time that the newest loops took.', { of: ['mean', 'longest'] }),
  loop_alarms_active: gauge('Alarms that stand: about how many nodes, and whether about all (an n-1 attack, or this node is cut off).', { about: ['node', 'all'] }),

  authority_admitted: gauge('Nodes that this authority admits.'),
  authority_signatures: gauge('Authorities that signed the newest document held here.'),
  authority_round: gauge('The round of the agreement that is under way; -1 when none is.'),
  authority_colleagues: gauge('The other authorities, by how they stand to this one; one may stand in several ways.', { state: ['answering', 'silent', 'clock-wrong', 'parameters-differ'] }),
  authority_term_end_timestamp_seconds: gauge('When this authority\'s term ends; not there while it is open.'),

  keyset_start_timestamp_seconds: gauge('When a keyset of the bank begins to issue coins.', { bank: 'key', keyset: 'key' }),
  keyset_end_timestamp_seconds: gauge('Until when a keyset issues coins, and its coins can be spent, redeemed, refunded.', { bank: 'key', keyset: 'key', stage: STAGES }),
  ring_centers: gauge('Centers of the ring, for each keyset whose coins can be spent now.', { bank: 'key', keyset: 'key' }),
  ring_centers_listed: gauge('Of these, centers that stand in the directory now.', { bank: 'key', keyset: 'key' }),
  ring_faults_tolerated: gauge('Keepers of one coin that may be away without holding it up.', { bank: 'key', keyset: 'key' }),

  bank_books_balanced: gauge('1 when the books of the last audit balance; else 0.'),
  bank_books_faults: gauge('What the last audit found wrong.'),
  bank_books_timestamp_seconds: gauge('When the last audit of the books ended; before the first, when this bank was started.'),
  bank_money_units: gauge('Money by the books of the last audit, in the smallest unit: came in, was paid out, lies in accounts, in tokens, in coins.', { where: ['credited', 'paid-out', 'accounts', 'tokens', 'coins'] }),
  bank_keyset_units: gauge('Coins of a keyset by the books of the last audit, in the smallest unit: signed, came back, and are out.', { keyset: 'key', is: ['issued', 'redeemed', 'outstanding'] }),
  bank_sealed_sets_ahead: gauge('Sets of keys of sealed tokens for the days ahead, one a day.'),
  center_vote_keys: gauge('Vote keys that this center holds.'),
  center_keysets: gauge('Keysets whose coins can be spent now, by whether their ring counts votes of this center, has it under a vote key that it does not hold, or has it not.', { bank: 'key', member: ['yes', 'other-key', 'no'] }),
  center_ring_share: gauge('The part of all coins of a keyset that this center keeps; the shares of all centers add up to the number of keepers of one coin.', { bank: 'key', keyset: 'key' }),
  merchant_tokens_due: crowd('Accepted tokens that wait to be turned in.'),
  merchant_at_risk_units: gauge('Money of payments delivered on trust whose coins are not certified yet, in the smallest unit, in steps of a sixteenth of the limit.'),
  merchant_trust_limit_units: gauge('What may be at risk in all, in the smallest unit; not there where nothing is taken on trust.')
} satisfies Record<string, FigureRow>

export type FigureName = keyof typeof FIGURES
