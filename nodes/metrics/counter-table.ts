/**
 * Every counter there is, by the name that the port `Meter` takes; Prometheus has it as `mixmint_<name>_total`. What is not
 * here is not counted, and in the tests of this project is an error (MIXMINT_STRICT).
 */
import type { Role } from '../settings.ts'
import type { LabelRule } from './labels.ts'

export interface CounterRow {
  readonly help: string
  readonly labels?: Readonly<Record<string, LabelRule>>
  /**
   * Counts what people do, or what becomes of their packets. Those who may read the metrics are told it in steps of COARSE
   * (readings.ts), so that no single purchase, and no single packet that somebody marked, shows (THREATS.md).
   */
  readonly people?: true
}

const VIA = ['direct', 'mixnet'] as const
/** Why packets for neighbours, and for wallets, are dropped. */
export const LINK = ['link-full', 'no-link'] as const
export const WALLET_LINK = [...LINK, 'wallet-gone'] as const

const ALL: Record<string, CounterRow> = {
  undeclared: { help: 'Counts under a name or labels that the table of counters does not have: a defect of this program.' }
}

/** Of services that are asked over the mixnet, too. */
const ASKED: Record<string, CounterRow> = {
  service_requests: { help: 'Requests that this service was asked, by the way they came.', labels: { via: VIA }, people: true }
}

const SERVICES: Record<string, CounterRow> = {
  bad_request: { help: 'Requests that do not parse.', labels: { via: VIA }, people: true },
  clock_behind: { help: 'Times that the clock of this machine was found behind what the store knows.' }
}

const BANK: Record<string, CounterRow> = {
  bank_operations: { help: 'Requests by operation and by the way they came.', labels: { op: 'word', via: VIA }, people: true },
  bank_request: { help: 'Requests by operation and by what became of them.', labels: { op: 'word', outcome: 'word' }, people: true },
  bank_deposit: { help: 'Tokens turned in, by what became of them.', labels: { outcome: 'word' }, people: true },
  bank_token_not_issued: { help: 'Deposited tokens with a good signature that the books do not know: a day key is in other hands.' },
  signing_thread_ended: { help: 'Threads that sign and have ended by themselves: a defect, or a damaged key.' },
  vote_key_revoked: { help: 'Vote keys that this bank revoked.', labels: { why: 'word', key: 'key' } }
}

/** Of whoever asks the keepers of coins. */
const KEEPERS: Record<string, CounterRow> = {
  keeper_answer: { help: 'Answers of centers that were asked to certify.', labels: { kind: 'word' }, people: true },
  keeper_bad: { help: 'Answers of a center that were none: silent, failing, or garbage.', labels: { kind: 'word', center: 'center' }, people: true }
}

const CENTER: Record<string, CounterRow> = {
  center_spend: { help: 'Spends that this center was asked to certify.', labels: { outcome: 'word' }, people: true },
  center_look: { help: 'Coins that their owners asked this center about.', labels: { outcome: 'word' }, people: true }
}

const MERCHANT: Record<string, CounterRow> = {
  merchant_request: { help: 'Requests by operation and by what became of them.', labels: { op: 'word', outcome: 'word' }, people: true },
  till_token: { help: 'Tokens shown at the till.', labels: { outcome: 'word' }, people: true },
  till_coins: { help: 'Payments with coins at the till.', labels: { outcome: 'word' }, people: true },
  token_deposit: { help: 'Tokens that the bank credited, knew already, or refused.', labels: { state: ['credited', 'already', 'refused'] }, people: true },
  settle_try: { help: 'Tries to settle a payment at the bank.', labels: { outcome: 'word' }, people: true },
  coins_on_trust: { help: 'Payments delivered before their coins were certified.', people: true },
  trust_lost: { help: 'Payments delivered on trust whose money never came.' },
  order_repaid: { help: 'Orders whose payers took back what the shop gave back.', people: true },
  double_spend: { help: 'Coins that somebody tried to spend twice here; the proofs are kept.' },
  center_convicted: { help: 'Centers that convicted themselves before this till; the proofs are kept.', labels: { fault: 'word', center: 'center' } }
}

const WALLET: Record<string, CounterRow> = {
  wallet_restore_bad_signature: { help: 'Signatures of the bank that do not fit, met while restoring.' },
  wallet_restore_unanswered: { help: 'Questions of a restore that found no answer.', labels: { code: 'word' } },
  wallet_restore_illegible: { help: 'Copies of contracts that could not be read.' },
  wallet_claim: { help: 'Bundles that others had exchanged first.', labels: { outcome: 'word' } },
  wallet_refunded: { help: 'Tokens that came back.' },
  wallet_contract: { help: 'Contracts that ended.', labels: { kind: 'word', state: 'word' } },
  wallet_refreshed: { help: 'Exchanges of coins that were about to end.' },
  wallet_refresh_failed: { help: 'Exchanges of coins about to end that failed.', labels: { code: 'word' } },
  wallet_reclaimed: { help: 'Coins that a decided contract left over, brought back.' },
  wallet_repaid: { help: 'Payments that a shop gave back.' },
  wallet_coin_refunded: { help: 'Coins without a certificate that came back.' },
  wallet_bad_settlement: { help: 'Settlements of the bank that do not verify.', labels: { code: 'word' } },
  wallet_substituted: { help: 'Coins signed in place of others.' },
  wallet_copy_waived: { help: 'Payments sent before the bank had their copy.' }
}

const DOORS: Record<string, CounterRow> = {
  handshakes_unfinished: { help: 'Connections that ended before their handshake did.', people: true },
  connections_displaced: { help: 'Connections that had to make room.', people: true },
  connections_refused: { help: 'Connections that were not taken.', labels: { reason: 'word' }, people: true },
  rpc_channels_closed: { help: 'Channels to other nodes that ended.', labels: { protocol: 'protocol', reason: 'word' }, people: true },
  rpc_streams_displaced: { help: 'Streams of requests that had to make room.', labels: { protocol: 'protocol' }, people: true },
  rpc_streams_refused: { help: 'Streams of requests that were not taken.', labels: { protocol: 'protocol' }, people: true },
  rpc_streams_broken: { help: 'Streams of requests that broke.', labels: { protocol: 'protocol', reason: 'word' }, people: true },
  rpc_handler_failed: { help: 'Requests that met a defect of this program.', labels: { protocol: 'protocol' } }
}

const DIRECTORY: Record<string, CounterRow> = {
  bank_conflict: { help: 'Statements of a bank that contradict each other; the proofs are kept.', labels: { is: ['keysets', 'dayKeys', 'sealedKeys'] } },
  bank_not_archived: { help: 'Listings, or keys of sealed tokens, of banks of which nothing is kept for want of room: nobody here would find out that such a bank contradicts itself.' },
  dial_back: { help: 'Nodes that asked an authority to try their ports.', labels: { outcome: ['done', 'refused'] } },
  directory_equivocation: { help: 'Authorities found to have signed two statements of one epoch; the proofs are kept.', labels: { what: ['vote', 'proposal', 'prevote', 'precommit', 'document'] } },
  directory_clock_wrong: { help: 'Times that most other authorities found the clock of this one wrong.', labels: { reason: ['behind', 'ahead'] } },
  directory_refused: { help: 'Requests that this authority refused.', labels: { code: 'word' } },
  directory_unusable: { help: 'Votes not cast, for no path leads through the nodes that have published.' },
  directory_conflict: { help: 'Decisions that contradict each other: more authorities lie than may, or a disk was set back.' },
  directory_vote_refused: { help: 'Votes of other authorities that do not count.', labels: { code: 'word' } },
  directory_authority_failed: { help: 'Rounds of this authority that failed.', labels: { reason: 'word' } },
  directory_fetch_failed: { help: 'Sources that had no newer document of the directory.', labels: { code: 'word' } }
}

const MIX: Record<string, CounterRow> = {
  mix_shed: { help: 'Packets not taken because their tags could not be written.', labels: { reason: 'word' } },
  mix_stop_dropped: { help: 'Packets that a stop of this node cost.', people: true },
  mix_handed_over: { help: 'Packets kept in a file over a restart.', people: true },
  mix_handover_failed: { help: 'Files of packets over a restart that could not be written or read.' },
  mix_hook_failed: { help: 'Packets that met a defect of this program.' },
  mix_seen_log_failed: { help: 'Writes of seen tags that failed.' },
  mix_streams_refused: { help: 'Streams of packets that were not taken.', labels: { reason: 'word' } },
  mix_streams_broken: { help: 'Streams of packets that broke.', labels: { reason: 'word' } },
  wallets_displaced: { help: 'Wallets that had to make room.', people: true },
  wallet_streams_refused: { help: 'Streams of wallets that were not taken.', labels: { reason: 'word' }, people: true },
  wallet_streams_broken: { help: 'Streams of wallets that broke.', labels: { reason: 'word' }, people: true },
  wallet_packets_held_back: { help: 'Packets of wallets that had to wait for the rate that wallets are allowed.', people: true },
  loop_alarms: { help: 'Alarms about loops that do not come home: about one node, or about all (an n-1 attack, or this node is cut off).', labels: { about: ['node', 'all'] } },
  echo_alarms: { help: 'Alarms about echoes that do not come home, raised and over.', labels: { is: ['alarm', 'clear'] } },
  cover_padding: { help: 'Packets that were padding of the gateway.', people: true },
  cover_paced: { help: 'Packets that a gateway sent to wallets at its pace.', labels: { kind: ['packet', 'padding'] }, people: true },
  cover_unpaced: { help: 'Packets for wallets that the pace could not send.', labels: { reason: 'word' }, people: true },
  cover_wallet_dropped: { help: 'Packets for wallets that waited for the pace and were dropped.', labels: { reason: WALLET_LINK }, people: true },
  cover_sent: { help: 'Cover packets sent.', labels: { kind: ['drop', 'echo'] }, people: true },
  cover_unsent: { help: 'Cover packets, and packets in their place, that could not be sent.', labels: { reason: 'word' }, people: true },
  cover_received: { help: 'Cover packets that ended here.', labels: { kind: ['drop', 'echo', 'echo-refused', 'malformed'] }, people: true },
  cover_dropped: { help: 'Cover that was given up.', labels: { reason: 'word' }, people: true }
}

const SESSIONS: Record<string, CounterRow> = {
  request_bad_path: { help: 'Paths that could not be used.' },
  request_no_path: { help: 'Packets for which the directory had no path.', labels: { code: 'word' } },
  request_failed: { help: 'Requests over the mixnet that failed.', labels: { code: 'word' } },
  request_retransmitted: { help: 'Fragments that were sent again.' },
  request_reply_dropped: { help: 'Packets of replies that were of no use.', labels: { reason: 'word' } },
  responder_refused: { help: 'Requests over the mixnet that were refused.', labels: { code: 'word' }, people: true },
  responder_repeated: { help: 'Answers that were sent again.', people: true },
  responder_evicted: { help: 'Unfinished requests that had to make room.', people: true },
  responder_dropped: { help: 'Packets of requests that were of no use.', labels: { reason: 'word' }, people: true },
  responder_handler_failed: { help: 'Requests over the mixnet that met a defect of this program.' },
  entry_lost: { help: 'Times that the gateway was lost.' },
  entry_failed: { help: 'Gateways that could not be reached.' },
  mix_served_refused: { help: 'Exchanges that this service did not take.', labels: { reason: 'word' } },
  mix_served_failed: { help: 'Exchanges that failed in their handler.', labels: { code: 'word' } },
  exit_refused: { help: 'Destinations that this exit does not ask.', labels: { reason: 'word' } },
  mix_exit_failed: { help: 'Destinations that this exit could not ask.', labels: { code: 'word' } },
  pool_set_aside: { help: 'Nodes of the pool that were set aside.' }
}

export const COUNTERS: Readonly<Record<string, CounterRow>> = {
  ...ALL, ...ASKED, ...SERVICES, ...KEEPERS, ...BANK, ...CENTER, ...MERCHANT, ...WALLET, ...DOORS, ...DIRECTORY, ...MIX, ...SESSIONS
}

const TABLES: Readonly<Record<Role, ReadonlyArray<Readonly<Record<string, CounterRow>>>>> = {
  authority: [DOORS, DIRECTORY],
  gateway: [DOORS, DIRECTORY, MIX],
  mix: [DOORS, DIRECTORY, MIX],
  bank: [DOORS, DIRECTORY, MIX, SESSIONS, ASKED, SERVICES, KEEPERS, BANK],
  center: [DOORS, DIRECTORY, SERVICES, CENTER],
  merchant: [DOORS, DIRECTORY, MIX, SESSIONS, ASKED, SERVICES, KEEPERS, MERCHANT]
}

/** The names of what a role counts. */
export function countersOf (role: Role): string[] {
  return [ALL, ...TABLES[role]].flatMap(table => Object.keys(table))
}
