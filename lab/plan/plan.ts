/**
 * How many machines carry so many payments a second, so that 99 of 100 are through in time, also while any k machines of each kind are
 * down. Machines are counted from what operations cost; times are then measured on the system planned, event by event.
 *
 *   a payment   request: packets at the ticks of cover ─ gateway ─ mixes ─ shop ─ keepers ─ bank ─ shop ─ mixes ─ gateway: the answer
 *   centers     payments × coins × keepers × time of a spend, over centers; the busiest one counts (the ring's exact shares)
 *   keepers     n = 3k + 1, quorum 2k + 1: with k centers down every coin has its quorum, and no k liars make two
 *   bank        settlements on the main thread of a process, signatures on threads beside it; of several processes the money is in one
 *               PostgreSQL, in which their writers go one after the other
 *   mixes       wallets that are there at a time × the packets that each sends and is sent, as cover prescribes, pays or not
 */
import type { Suite } from '@mixmint/core/crypto/suite'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Rng } from '@mixmint/core/kit/ports'
import { exponential } from '@mixmint/core/kit/samplers'
import type { RingMap } from '@mixmint/core/cash/ring'
import { ALL_WALLETS } from '@mixmint/mixnet/abuse/rate-limit'
import { seededRng } from '../kernel/rng.ts'
import { quantileOf } from '../measure/statistics.ts'
import { imbalance, lostExactly, ringOf } from '../ring/ring.ts'
import type { Costs, Times } from './costs.ts'
import { byShare, meanSojourn, simulatePayments, sojournQuantile, type Simulated } from './queue.ts'

export interface Goal {
  /** A second. */
  readonly payments: number
  readonly p99_s: number
  /** Machines of each kind that may be down. */
  readonly survive: number
  /** Of a payment: coins that it spends, outputs that come back as change, packets of its request. */
  readonly coins: number
  readonly change: number
  readonly packets: number
  /** How long a wallet is there for each payment. */
  readonly session_s: number
  /** Of its time that a machine is at work at most, with `survive` others down. */
  readonly utilisation: number
  /** One way between two machines. */
  readonly link_s: number
  readonly layers: number
  /** Mean delay at a mix; null: the longest, up to MOST_DELAY, with which payments are in time. */
  readonly delay_s: number | null
  readonly cover: { readonly send_s: number, readonly echoes: number, readonly pace_s: number, readonly loop_s: number }
  readonly virtualNodes: number
  readonly seed: number
}

/** Of one machine of a kind: a day's traffic, and how busy it is with all up and with `survive` down. */
export interface Load {
  readonly count: number
  readonly utilisation: number
  readonly utilisation_degraded: number
  readonly bytes_in_day: number
  readonly bytes_out_day: number
}

/** Where a bank of several processes has its money; each server with as many standbys as may be down. */
interface Postgres { readonly servers: number, readonly standbys: number, readonly utilisation: number, readonly settlements_s: number }

interface Latency { readonly mean: number, readonly p50: number, readonly p99: number }

export interface Plan {
  readonly goal: Goal
  readonly costs: Pick<Costs, 'machine' | 'measured' | 'version' | 'load' | 'cores'>
  readonly ring: { readonly replicas: number, readonly faults: number, readonly quorum: number, readonly virtual_nodes: number, readonly busiest_over_even: number, readonly coins_lost_with_survive_down: number, readonly coins_lost_with_one_more_down: number }
  readonly parameters: { readonly mean_delay_s: number, readonly layers: number, readonly cover: Goal['cover'], readonly wallets_at_a_time: number }
  /** Disk: written a day, and kept as long as its keyset can be redeemed. */
  readonly centers: Load & { readonly disk_bytes_day: number, readonly spends_s: number, readonly sojourn_s: { readonly formula: { readonly mean: number, readonly p99: number }, readonly simulated: { readonly mean: number, readonly p99: number } } }
  /** Disk: of all processes together, which share it. */
  readonly bank: Load & { readonly disk_bytes_day: number, readonly settlements_s: number, readonly signing_threads: number, readonly signatures_s: number, readonly postgres: Postgres | null }
  /** Disk: tags seen, which go with their key. */
  readonly mixes: Load & { readonly disk_bytes: number, readonly per_layer: number, readonly packets_s: number }
  readonly gateways: Load & { readonly disk_bytes: number, readonly wallets: number }
  readonly payment_s: { readonly all_up: Latency, readonly degraded: Latency, readonly parts_p99: { readonly cover: number, readonly mixnet: number, readonly centers: number, readonly bank: number } }
  readonly cores: { readonly centers: number, readonly bank: number, readonly mixes: number, readonly gateways: number, readonly all: number, readonly cpu_s_per_1000_payments: number }
  /** Which kind takes most of all cores, and of a payment's time the largest part. */
  readonly binding: { readonly cores: string, readonly time: string }
  readonly notes: readonly string[]
}

const MOST_DELAY = 0.05
const LEAST_DELAY = 0.001
const DAY_S = 86_400
const MICRO = 1e-6
/** Packets a second at which their cost was measured, over those of a plan, from which on it is that of the plan. */
const FEW = 0.8
/** Payments that are simulated: of so many seconds, within bounds. */
const SIMULATED = { seconds: 10, least: 10_000, most: 150_000 }
/** As ring.ts bounds them. */
const MOST_NODES = 1 << 21
/** Seconds for which a mix keeps tags: an epoch, those beside it, and its grace, of the default profile. */
const TAGS_KEPT_S = 2 * 20 * 60 + 4 * 60

/** @throws goal-out-of-reach (caller) */
export function planFor (suite: Suite, goal: Goal, costs: Costs, progress: (part: number) => void = () => {}): Plan {
  const { payments, survive, coins, change, utilisation, cover, seed } = goal
  const [replicas, faults, quorum] = [3 * survive + 1, survive, 2 * survive + 1]
  const spends = payments * coins * replicas
  const { count: centers, ring } = centersFor(suite, goal, costs, spends, { replicas, faults, quorum })
  progress(0.3)
  // Who pays with c coins has withdrawn as many, less those that came back as change.
  const withdrawn = Math.max(0, coins - change)
  const size = (coins + change) / (costs.bank.settle_coins + costs.bank.settle_outputs)
  const loadIn = (place: Place): number => payments * (place.settle_us.mean * size + withdrawn * place.withdraw_output_us) * MICRO
  const shared = enough(loadIn(costs.bank), utilisation) + survive > 1 ? costs.bank.postgres : null
  const place = shared ?? costs.bank
  const settle = scaled(place.settle_us, size)
  const bankLoad = loadIn(place)
  const banks = enough(bankLoad, utilisation) + survive
  const postgres = shared === null ? null : serversFor(payments * size * shared.server_us * MICRO, goal)
  const signatures = payments * (withdrawn + change)
  const threads = enough(signatures * costs.bank.sign_us * MICRO, utilisation)
  const wallets = payments * goal.session_s
  const perWallet = cover.send_s > 0 ? (1 + cover.echoes) / cover.send_s : goal.packets * 2 / goal.session_s
  const packets = wallets * perWallet
  const mixLoad = (n: number): number => (packets / n + (cover.loop_s > 0 ? goal.layers / cover.loop_s : 0)) * costs.mix.packet_us * MICRO
  const up = cover.send_s > 0 ? wallets / cover.send_s : wallets * goal.packets / goal.session_s
  const perLayer = smallest(n => mixLoad(n) <= utilisation) + survive
  const gateways = smallest(n => mixLoad(n) <= utilisation && up / n <= ALL_WALLETS * utilisation) + survive
  const rng = seededRng(seed, 'plan')
  const system = { rate: payments, coins, ring, spend: costs.center.spend_us, settle, link_s: goal.link_s }
  const simulated = Math.round(Math.min(SIMULATED.most, Math.max(SIMULATED.least, SIMULATED.seconds * payments)))
  const whole = simulatePayments({ ...system, dead: new Set(), banks }, simulated, rng)
  progress(0.6)
  const most = byShare(ring)
  const dead = new Set(Array.from({ length: survive }, (_, i) => most[i]))
  const degraded = simulatePayments({ ...system, dead, banks: banks - survive }, simulated, rng)
  progress(0.8)
  const signing = change * costs.bank.sign_us * MICRO
  const delay = goal.delay_s ?? Math.min(...[whole, degraded].map(one => longestDelay(goal, one, signing)))
  const times = paymentTimes(goal, delay, whole, signing)
  const late = paymentTimes(goal, delay, degraded, signing)
  const p99 = Math.max(quantileOf(times.all, 0.99), quantileOf(late.all, 0.99))
  if (p99 > goal.p99_s) {
    throw new MixmintError('goal-out-of-reach', 'caller', `with a delay of ${(delay * 1000).toFixed(0)} ms at each mix 99 of 100 payments take up to ${p99.toFixed(2)} s, whatever the number of machines: of that cover ${quantileOf(late.cover, 0.99).toFixed(2)} s, mixing and links ${quantileOf(late.mixnet, 0.99).toFixed(2)} s, centers ${quantileOf(late.centers, 0.99).toFixed(3)} s, the bank ${quantileOf(late.bank, 0.99).toFixed(3)} s (each its own p99); --send, --pace, --delay and --layers change it`)
  }
  progress(1)
  const busiest = imbalance(ring)
  const centerLoad = spends / centers * busiest
  const load = (count: number, of: (alive: number) => number): Pick<Load, 'count' | 'utilisation' | 'utilisation_degraded'> => ({ count, utilisation: of(count), utilisation_degraded: of(count - survive) })
  const center = costs.center
  const padding = cover.pace_s > 0 ? wallets / cover.pace_s : up
  const cores = { centers, bank: banks + threads + (postgres === null ? 0 : postgres.servers + postgres.standbys), mixes: perLayer * goal.layers, gateways }
  const parts = { cover: quantileOf(late.cover, 0.99), mixnet: quantileOf(late.mixnet, 0.99), centers: quantileOf(late.centers, 0.99), bank: quantileOf(late.bank, 0.99) }
  return {
    goal, costs: { machine: costs.machine, measured: costs.measured, version: costs.version, load: costs.load, cores: costs.cores },
    ring: {
      replicas, faults, quorum, virtual_nodes: ring.ring.virtualNodesPerWeight, busiest_over_even: busiest,
      coins_lost_with_survive_down: lostExactly({ centers, replicas, faults, quorum }, survive), coins_lost_with_one_more_down: lostExactly({ centers, replicas, faults, quorum }, survive + 1)
    },
    parameters: { mean_delay_s: delay, layers: goal.layers, cover, wallets_at_a_time: wallets },
    centers: {
      // Whoever asked a center that is down asks no other: those that are left have no more to do.
      ...load(centers, () => centerLoad * center.spend_us.mean * MICRO), spends_s: centerLoad,
      bytes_in_day: centerLoad * center.request_bytes * DAY_S, bytes_out_day: centerLoad * center.reply_bytes * DAY_S, disk_bytes_day: centerLoad * center.disk_bytes * DAY_S,
      sojourn_s: { formula: { mean: meanSojourn(centerLoad, center.spend_us), p99: sojournQuantile(centerLoad, center.spend_us, 0.99) }, simulated: sojournsOf(whole) }
    },
    bank: {
      ...load(banks, alive => bankLoad / alive), settlements_s: payments, signing_threads: threads, signatures_s: signatures, postgres,
      bytes_in_day: payments * costs.bank.request_bytes * coins / costs.bank.settle_coins / banks * DAY_S, bytes_out_day: payments * costs.bank.reply_bytes / banks * DAY_S,
      disk_bytes_day: payments * place.disk_bytes * coins / costs.bank.settle_coins * DAY_S
    },
    mixes: {
      ...load(perLayer, mixLoad), count: perLayer * goal.layers, per_layer: perLayer, packets_s: packets / perLayer,
      bytes_in_day: packets / perLayer * costs.mix.packet_bytes * DAY_S, bytes_out_day: packets / perLayer * costs.mix.packet_bytes * DAY_S,
      disk_bytes: packets / perLayer * costs.mix.tag_bytes * TAGS_KEPT_S
    },
    gateways: {
      ...load(gateways, mixLoad), wallets: wallets / gateways,
      bytes_in_day: packets / gateways * costs.mix.packet_bytes * DAY_S, bytes_out_day: (up + Math.max(padding, packets - up)) / gateways * costs.mix.packet_bytes * DAY_S,
      disk_bytes: packets / gateways * costs.mix.tag_bytes * TAGS_KEPT_S
    },
    payment_s: { all_up: latencyOf(times.all), degraded: latencyOf(late.all), parts_p99: parts },
    cores: {
      ...cores, all: cores.centers + cores.bank + cores.mixes + cores.gateways,
      cpu_s_per_1000_payments: 1000 * (coins * replicas * center.spend_us.mean + settle.mean + withdrawn * place.withdraw_output_us + size * (shared?.server_us ?? 0) + (withdrawn + change) * costs.bank.sign_us + packets / payments * (goal.layers + 1) * costs.mix.packet_us) * MICRO
    },
    binding: { cores: largest(cores), time: largest(parts) },
    notes: notesOf(goal, costs, banks, postgres, packets / perLayer)
  }
}

/** The longest list: one core a machine of centers, mixes and gateways; of the bank a core for each process, thread and server. */
function largest (of: Readonly<Record<string, number>>): string {
  return Object.entries(of).reduce((most, one) => one[1] > most[1] ? one : most)[0]
}

/** @param packetsAtMix a second, at each */
function notesOf ({ cover, packets, session_s: session }: Goal, { load, cores, mix }: Costs, banks: number, postgres: Postgres | null, packetsAtMix: number): string[] {
  return [
    ...load > cores ? [`costs were measured while the machine had a load of ${load.toFixed(1)} on ${cores} cores: they are too high, and so are the machines`] : [],
    ...mix.packets_s < FEW * packetsAtMix ? [`what a packet costs a mix was measured at ${Math.round(mix.packets_s)} a second, and here are ${Math.round(packetsAtMix)}, of which each takes less: there are too many mixes and gateways`] : [],
    ...banks > 1 && postgres === null ? ['one bank of several processes keeps its money in PostgreSQL: these costs are without one, and what such a server settles in a second is not in them'] : [],
    ...postgres !== null && postgres.servers > 1 ? [`one bank has one PostgreSQL: ${postgres.servers} servers are as many banks, or a faster disk under one than that which was measured`] : [],
    ...cover.send_s > 0 && packets * cover.send_s > session ? [`a payment of ${packets} packets does not fit into a session of ${session} s at this cover`] : [],
    'a shop of its own is not counted: what it asks of centers and bank is',
    'a payment whose packets are in a mix that fails is sent again by its session: this is not in the times'
  ]
}

function enough (load: number, utilisation: number): number {
  return Math.max(1, Math.ceil(load / utilisation - 1e-9))
}

/** The smallest number from 1 that will do. */
function smallest (suffices: (n: number) => boolean): number {
  let high = 1
  while (!suffices(high)) {
    if (high > 1e9) throw new MixmintError('goal-out-of-reach', 'caller', 'the loops of nodes alone are more than a mix can carry: --loop changes it')
    high *= 2
  }
  let low = high / 2
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2)
    if (suffices(middle)) high = middle
    else low = middle
  }
  return high
}

/** So many that the busiest of them, by the exact shares of a ring, is not too busy. */
function centersFor (suite: Suite, goal: Goal, { center }: Costs, spends: number, quorums: { readonly replicas: number, readonly faults: number, readonly quorum: number }): { readonly count: number, readonly ring: RingMap } {
  const even = enough(spends * center.spend_us.mean * MICRO, goal.utilisation)
  for (let count = Math.max(quorums.replicas, even); ;) {
    const virtualNodes = Math.max(1, Math.min(goal.virtualNodes, Math.floor(MOST_NODES / count)))
    const ring = ringOf(suite, { centers: count, virtualNodes, ...quorums }, goal.seed)
    const busiest = imbalance(ring)
    if (spends / count * busiest * center.spend_us.mean * MICRO <= goal.utilisation) return { count, ring }
    // Of some more centers the busiest has about as much over the mean.
    count = Math.max(count + 1, Math.ceil(even * busiest))
  }
}

type Place = Pick<Costs['bank'], 'settle_us' | 'withdraw_output_us' | 'disk_bytes'>

/** A settlement of more or fewer coins and outputs is as long in proportion. */
function scaled ({ mean, quantiles }: Times, factor: number): Times {
  return { mean: mean * factor, quantiles: quantiles.map(value => value * factor) }
}

function serversFor (load: number, { payments, utilisation, survive }: Goal): Postgres {
  const servers = enough(load, utilisation)
  return { servers, standbys: servers * survive, utilisation: load / servers, settlements_s: payments / servers }
}

interface Parts { readonly all: number[], readonly cover: number[], readonly mixnet: number[], readonly centers: number[], readonly bank: number[] }

/** Sorted each by itself. */
function paymentTimes (goal: Goal, delay: number, simulated: Simulated, signing: number): Parts {
  const parts = drawn(goal, delay, simulated, signing)
  for (const part of Object.values(parts) as number[][]) part.sort((a, b) => a - b)
  return parts
}

/** Of each payment, s; the same draws for each delay. */
function drawn (goal: Goal, delay: number, { certified, settled }: Simulated, signing: number): Parts {
  const { cover, packets, layers, link_s: link, seed } = goal
  const rng = seededRng(seed, 'times')
  const busy = cover.send_s > 0 ? Math.min(0.95, cover.echoes * cover.pace_s / cover.send_s) : 0
  const parts: Parts = { all: [], cover: [], mixnet: [], centers: [], bank: [] }
  certified.forEach((at, i) => {
    const bank = settled[i] - at + signing
    const mixnet = sum(2 * (layers + 1), () => exponential(rng, 1)) * delay + 2 * (layers + 2) * link
    const slots = sum(packets, () => wait(rng, cover.send_s))
    // An answer leaves a pace after what asked for it came, in which the work is done, or later; then at its turn, there and at the gateway.
    const answer = Math.max(0, cover.pace_s - at - bank) + wait(rng, cover.pace_s) + wait(rng, cover.pace_s / (1 - busy))
    parts.cover.push(slots + answer)
    parts.mixnet.push(mixnet)
    parts.centers.push(at)
    parts.bank.push(bank)
    parts.all.push(slots + answer + mixnet + at + bank)
  })
  return parts
}

function wait (rng: Rng, mean: number): number {
  return mean === 0 ? 0 : exponential(rng, mean)
}

function sum (count: number, draw: () => number): number {
  let all = 0
  for (let i = 0; i < count; i++) all += draw()
  return all
}

function longestDelay (goal: Goal, simulated: Simulated, signing: number): number {
  // Where nothing is delayed, and what a delay adds: linear in it.
  const [none, whole] = [0, 1].map(delay => drawn(goal, delay, simulated, signing).all)
  const isInTime = (delay: number): boolean => quantileOf(none.map((rest, i) => rest + delay * (whole[i] - rest)).sort((a, b) => a - b), 0.99) <= goal.p99_s
  if (isInTime(MOST_DELAY)) return MOST_DELAY
  let [low, high] = [LEAST_DELAY, MOST_DELAY]
  while (high - low > 0.0005) {
    const middle = (low + high) / 2
    if (isInTime(middle)) low = middle
    else high = middle
  }
  // Directories have whole ms.
  return Math.max(LEAST_DELAY, Math.floor(low * 1000) / 1000)
}

function latencyOf (sorted: readonly number[]): Latency {
  return { mean: sorted.reduce((all, value) => all + value, 0) / sorted.length, p50: quantileOf(sorted, 0.5), p99: quantileOf(sorted, 0.99) }
}

function sojournsOf ({ sojourns }: Simulated): { readonly mean: number, readonly p99: number } {
  const { mean, p99 } = latencyOf(sojourns.toSorted((a, b) => a - b))
  return { mean, p99 }
}
