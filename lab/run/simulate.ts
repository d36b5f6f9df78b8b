/** A run of one scenario: the network, what is measured of it, and the summary. */
import type { Millis } from '@mixmint/core/kit/ports'
import { seededRng } from '../kernel/rng.ts'
import { Activity } from '../measure/activity.ts'
import { Shares } from '../measure/shares.ts'
import { poisson } from '../network/clients.ts'
import { Network, type Drop } from '../network/network.ts'
import { PACKET } from '../network/packets.ts'
import type { Scenario } from '../scenario/schema.ts'
import { Holding } from './holding.ts'
import { summaryOf, type Summary } from './summary.ts'
import { emptyTally, type Tally } from './tally.ts'

/** A line of trace.jsonl: what became of one message. */
export interface Trace {
  readonly written_s: number
  readonly sent_s: number
  readonly received_s: number | null
  readonly sender: number
  readonly receiver: number
  readonly path: readonly number[]
  readonly dropped?: Drop
}

export interface Finished { readonly summary: Summary, readonly tally: Tally }

export interface RunOptions {
  /** A part of the run, from 0 to 1, is done. */
  readonly progress?: (part: number) => void
  readonly trace?: (line: Trace) => void
}

const KINDS = ['message', 'drop', 'loop'] as const
/** Events between two looks at how far the run is. */
const TURN = 100_000

/** Between two looks at what waits in mixes, the mean, ms. */
const LOOK = 1000

/** Never longer than this, however slowly its targets end: so many times what they were to take, and so many minutes. */
const PATIENCE = 20
/** What was written while it was measured is waited for, as long as this: else the slow ones would be missing. */
const LATEST = 10 * 60_000

export function simulate (scenario: Scenario, { progress = () => {}, trace }: RunOptions = {}): Finished {
  const { adversary, run, measure, topology } = scenario
  const warm = run.warmup_s * 1000
  const tally = emptyTally(run.seed)
  let shares: Shares | null = null
  let nextTarget = warm
  /** Targets that are followed, or were; and those of them that have come to their end, or were lost. */
  let [begun, ended] = [0, 0]
  /** Messages that were written and have not come to their end. */
  let pending = 0
  let closed = Infinity
  /** By when it was written: a message that waits at its client until the end is one of the slow ones. */
  const isWithin = (written: Millis): boolean => written >= warm && written <= closed
  const isMeasured = (slot: number): boolean => isWithin(network.packets.written[slot])
  const isDue = (now: Millis): boolean => now >= nextTarget && now <= closed && begun < measure.targets
  const follow = (slot: number, now: Millis): void => {
    if (shares?.follow(slot, now) !== true) return
    begun += 1
    // Not so long after the last one was due: after a silence those that follow would be of one burst, and not independent.
    nextTarget = now + measure.target_interval_s * 1000
  }
  const holding = adversary.observer === 'active' ? new Holding(adversary.hold_s * 1000, seededRng(run.seed, 'holding')) : null
  const activity = new Activity(scenario.clients.count, measure.window_s * 1000, warm)
  const network: Network = new Network(scenario, {
    written: (client, now) => {
      if (now <= closed) activity.written(client, now)
      if (isWithin(now)) pending += 1
    },
    sent: (slot, now) => {
      if (now <= closed && network.packets.kind[slot] !== PACKET.loop) activity.sent(network.packets.sender[slot], now)
      if (!isMeasured(slot)) return
      tally.sent[KINDS[network.packets.kind[slot]]] += 1
      if (holding === null && network.packets.kind[slot] === PACKET.message && isDue(now)) follow(slot, now)
    },
    ...holding === null
      ? {}
      : {
          blocks: (slot, mix, now) => {
            if (holding.isIdle) {
              if (isDue(now) && begun - ended < measure.followed) holding.begin(topology.kind === 'free-route' ? network.plan.layers.flat() : network.plan.layers[0], now)
              return false
            }
            const decided = holding.decide(mix, network.packets.at[slot] === 0 && network.packets.kind[slot] === PACKET.message && isMeasured(slot), now)
            if (decided === 'target') follow(slot, now)
            return decided === 'kept'
          },
          left: (_, mix) => { holding.left(mix, network.waitingAt(mix)) }
        },
    received: (slot, now) => {
      if (!isMeasured(slot)) return
      const kind = KINDS[network.packets.kind[slot]]
      tally.received[kind] += 1
      if (kind !== 'message') return
      pending -= 1
      const transit = (now - network.packets.sent[slot]) / 1000
      tally.latency.add((now - network.packets.written[slot]) / 1000)
      tally.transit.add(transit)
      tally.transits.add(transit)
      trace?.(traceOf(network, slot, now))
    },
    dropped: (slot, why, now) => {
      if (!isMeasured(slot)) return
      tally.dropped[why] += 1
      if (network.packets.kind[slot] !== PACKET.message) return
      pending -= 1
      tally.lost += 1
      trace?.({ ...traceOf(network, slot, now), received_s: null, dropped: why })
    }
  }, measure.targets === 0 ? null : cells => (shares = new Shares(cells, measure.followed, one => {
    ended += 1
    if (one !== null) tally.anonymity.push(one)
  })))
  observeMixes(network, scenario, tally)
  const planned = measure.targets * (measure.target_interval_s + (holding === null ? 0 : adversary.hold_s)) * 1000
  const end = run.duration_s > 0 ? warm + run.duration_s * 1000 : warm + PATIENCE * planned + PATIENCE * 60_000
  network.advance(Infinity, 0)
  const part = (): number => partOf(network.now, warm, end, planned, ended, scenario)
  while (network.advance(TURN, warm)) progress(part())
  const hopsBefore = network.hops
  const isDone = (): boolean => run.duration_s === 0 && ended >= measure.targets
  while (!isDone() && network.advance(TURN, end)) progress(part())
  tally.hops = network.hops - hopsBefore
  tally.seconds = (network.now - warm) / 1000
  closed = network.now
  holding?.stop()
  tally.unobservability = activity.figures(closed, seededRng(run.seed, 'windows'))
  while (pending + begun - ended > 0 && network.advance(pending + begun - ended, closed + LATEST)) progress(1)
  tally.unfinished = pending
  progress(1)
  return { summary: summaryOf(scenario, tally), tally }
}

function partOf (now: Millis, warm: Millis, end: Millis, planned: Millis, ended: number, { run, measure }: Scenario): number {
  const until = run.duration_s > 0 ? end : warm + planned
  const part = now / until
  return run.duration_s > 0 ? part : Math.min(part, Math.max(warm / until, ended / measure.targets))
}

/** Who looks at the times of a Poisson process sees time averages (Wolff 1982); every second he would see a ticking mix at one phase. */
function observeMixes (network: Network, { run: { seed, warmup_s: warmup } }: Scenario, tally: Tally): void {
  network.attend(poisson(() => LOOK, seededRng(seed, 'looks'), now => {
    if (now < warmup * 1000 || tally.seconds > 0) return
    for (let mix = 0; mix < network.mixes; mix++) {
      const waiting = network.waitingAt(mix)
      tally.occupancy.set(waiting, (tally.occupancy.get(waiting) ?? 0) + 1)
    }
  }))
}

function traceOf ({ packets }: Network, slot: number, now: Millis): Trace {
  const from = slot * packets.hops
  return {
    written_s: packets.written[slot] / 1000, sent_s: packets.sent[slot] / 1000, received_s: now / 1000,
    sender: packets.sender[slot], receiver: packets.receiver[slot], path: [...packets.path.subarray(from, from + packets.length[slot])]
  }
}
