/** The keys of a scenario. Times in seconds, as in what a run reports; rates a second. `mixmint lab keys` prints this. */
import { count, counts, flag, oneOf, real, text, type Values } from './fields.ts'

/** Mixes on a path at most: a path is drawn for each packet, and none is longer in any network that is compared here. */
const MOST_LAYERS = 16
const MOST_MIXES = 100_000

export const SCENARIO = {
  scenario: {
    name: text('', 'what reports are headed with; without: the name of the file'),
    about: text('', 'a sentence for the report')
  },
  topology: {
    kind: oneOf('stratified', 'stratified: a mix of each layer in turn; cascade: width cascades of layers mixes each; free-route: layers different mixes of all', 'cascade', 'free-route'),
    layers: count(3, 'mixes on a path', { least: 1, most: MOST_LAYERS }),
    width: counts(10, 'mixes of a layer: for all layers, or a list with one number a layer', MOST_MIXES)
  },
  strategy: {
    kind: oneOf('poisson', 'when packets leave a mix: the files of mixnet/mixing', 'threshold', 'timed', 'pool'),
    batch: count(10, 'threshold: packets of a batch', { least: 1, most: 1 << 16 }),
    interval_s: real(1, 'timed, pool: between two ticks', { least: 0.001 }),
    threshold: count(100, 'pool: also flush when so many are in', { least: 1, most: 1 << 16 }),
    pool: count(10, 'pool: packets that stay at most', { most: 1 << 16 })
  },
  delay: {
    per_mix_s: real(0, 'poisson: mean delay at each mix; this or end_to_end_s'),
    end_to_end_s: real(0, 'poisson: mean from sender to receiver, links included; what the links leave is divided among the mixes')
  },
  link: {
    kind: oneOf('constant', 'delay of each link: constant; uniform, delay_s ± spread_s; log-normal of mean delay_s; matrix, from a file', 'uniform', 'log-normal', 'matrix'),
    delay_s: real(0.05, 'mean delay of a link'),
    spread_s: real(0, 'uniform: half of its width'),
    sigma: real(0.5, 'log-normal: of the logarithm', { most: 5 }),
    file: text('', 'matrix: rows of comma-separated delays in seconds between places, from row to column; nodes and clients stand at places at random'),
    loss: real(0, 'the part of packets that a link loses', { most: 1 })
  },
  clients: {
    count: count(50, 'who sends and receives', { least: 1 }),
    rate: real(0, 'messages a second of each; this or total_rate'),
    total_rate: real(0, 'messages a second of all together'),
    behaviour: oneOf('poisson', 'poisson; bursty: bursts of messages; diurnal: poisson whose rate follows the day; trace: from a file', 'bursty', 'diurnal', 'trace'),
    burst: real(10, 'bursty: mean messages of a burst (geometric)', { least: 1 }),
    burst_gap_s: real(0.1, 'bursty: mean time between two messages of a burst'),
    swing: real(0.8, 'diurnal: the rate is between 1 − swing and 1 + swing times its mean', { most: 1 }),
    period_s: real(86_400, 'diurnal: length of a day', { least: 0.001 }),
    file: text('', 'trace: lines of seconds, sender and receiver (numbers from 0; receiver may be left out), in order of time, with commas between')
  },
  cover: {
    send_s: real(0, 'mean time between two packets of a client: a message if one waits, else a drop packet; 0: messages leave at once, without cover'),
    loop_s: real(0, 'mean time between two loops of each mix; 0: none')
  },
  mix: {
    queue_limit: count(1 << 24, 'packets waiting in a mix at most; more are dropped', { least: 1 })
  },
  churn: {
    up_s: real(0, 'mean time that a mix runs before it stops (exponential); what is in it is lost; 0: none stops'),
    down_s: real(60, 'mean time until it runs again')
  },
  adversary: {
    corrupt_fraction: real(0, 'the part of all mixes that are the adversary\'s: they keep the link between what comes in and what goes out', { most: 1 }),
    observer: oneOf('global', 'whose links he sees: global, all; partial, those of links_seen of the mixes; active, all, and he has each target alone in its first mix, as far as he can (n − 1)', 'partial', 'active'),
    links_seen: real(1, 'partial: the part of the mixes whose links he sees', { most: 1 }),
    hold_s: real(0, 'active: for so long he lets nothing into a mix, then the target, and nothing else until the mix is empty; what he keeps from it is lost')
  },
  measure: {
    targets: count(0, 'messages whose anonymity is measured; 0: none'),
    target_interval_s: real(2, 'time between two of them', { least: 1e-6 }),
    window_s: real(10, 'unobservability: clients that wrote in a window of this length, against those that did not', { least: 0.001 }),
    followed: count(31, 'targets followed at a time at most; further ones wait', { least: 1, most: 31 })
  },
  cost: {
    packet_bytes: count(4608, 'bytes of a packet on a link'),
    peel_us: real(160, 'processor time to peel a packet, µs (npm run bench -- sphinx)')
  },
  run: {
    seed: count(1, 'chance', { most: Number.MAX_SAFE_INTEGER }),
    warmup_s: real(10, 'before anything is measured'),
    duration_s: real(0, 'measured time; 0: until the targets are done'),
    trace: flag(false, 'write what became of each message: trace.jsonl')
  }
} as const

export type Scenario = Values<typeof SCENARIO>
