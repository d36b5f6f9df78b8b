/**
 * Payments through a system, event by event: their coins come to their keepers, each of which answers one request after the
 * other; a coin has its certificate with the last of a quorum's votes; when all have theirs, a process of the bank settles. And what
 * a single queue says by closed forms (Pollaczek and Khinchine).
 */
import type { Rng } from '@mixmint/core/kit/ports'
import { below, exponential } from '@mixmint/core/kit/samplers'
import type { RingMap } from '@mixmint/core/cash/ring'
import { variationOf, type Times } from './costs.ts'

export interface System {
  /** Payments a second. */
  readonly rate: number
  readonly coins: number
  readonly ring: RingMap
  /** Centers, by their place in the ring's list, that do not answer. */
  readonly dead: ReadonlySet<number>
  readonly spend: Times
  /** Processes of the bank that answer. */
  readonly banks: number
  readonly settle: Times
  /** One way between machines, s. */
  readonly link_s: number
}

export interface Simulated {
  /** Of each payment, s: until the last of its coins has its certificate; until it is settled. */
  readonly certified: number[]
  readonly settled: number[]
  /** Payments one of whose coins has fewer keepers left than a quorum. */
  readonly stuck: number
  /** Of its time, at the center that answers and keeps the most. */
  readonly busiest: number
  /** There, from when a request comes until it is answered, s. */
  readonly sojourns: number[]
}

/** Of those that are simulated, the part that comes before anything is measured. */
const WARM = 0.1
const MICRO = 1e-6

export function simulatePayments (system: System, payments: number, rng: Rng): Simulated {
  const { rate, coins, ring, dead, spend, banks, settle, link_s: link } = system
  const { centers, quorum } = ring.ring
  const index = new Map(centers.map((center, i) => [center, i]))
  const [freeAt, work] = [new Float64Array(centers.length), new Float64Array(centers.length)]
  const sojourns = centers.map((): number[] => [])
  const warm = Math.floor(payments * WARM)
  const done: Array<{ readonly sent: number, readonly at: number }> = []
  let [now, stuck] = [0, 0]
  for (let payment = 0; payment < payments; payment++) {
    now += exponential(rng, 1 / rate)
    const came = now + link
    let last = 0
    for (let coin = 0; coin < coins; coin++) {
      const votes: number[] = []
      const place = rng.bytes(8).slice()
      for (const keeper of ring.keepersAt(new DataView(place.buffer).getBigUint64(0))) {
        const center = index.get(keeper as typeof centers[number]) as number
        if (dead.has(center)) continue
        const takes = sample(spend, rng) * MICRO
        const answered = Math.max(came, freeAt[center]) + takes
        freeAt[center] = answered
        work[center] += takes
        if (payment >= warm) sojourns[center].push(answered - came)
        votes.push(answered + link)
      }
      if (votes.length < quorum) last = Infinity
      else last = Math.max(last, votes.sort((a, b) => a - b)[quorum - 1])
    }
    if (last === Infinity) stuck += 1
    else if (payment >= warm) done.push({ sent: now, at: last })
  }
  const bankFreeAt = new Float64Array(banks)
  const certified: number[] = []
  const settled: number[] = []
  for (const { sent, at } of done.sort((a, b) => a.at - b.at)) {
    const bank = below(rng, banks)
    const began = Math.max(at + link, bankFreeAt[bank])
    bankFreeAt[bank] = began + sample(settle, rng) * MICRO
    certified.push(at - sent)
    settled.push(bankFreeAt[bank] + link - sent)
  }
  const busiest = byShare(ring).find(center => !dead.has(center)) as number
  return { certified, settled, stuck, busiest: work[busiest] / now, sojourns: sojourns[busiest] }
}

/** Centers by their place in the ring's list: who keeps the most comes first. */
export function byShare (ring: RingMap): number[] {
  return ring.shares().map((share, center) => ({ share, center })).sort((a, b) => b.share - a.share).map(({ center }) => center)
}

function sample ({ quantiles }: Times, rng: Rng): number {
  return quantiles[below(rng, quantiles.length)]
}

/** Of a queue with one server: the mean time that one waits and is served, s. Infinity where it is overloaded. */
export function meanSojourn (rate: number, times: Times): number {
  const mean = times.mean * MICRO
  const busy = rate * mean
  return busy >= 1 ? Infinity : mean + busy * mean * (1 + variationOf(times)) / (2 * (1 - busy))
}

/** Its quantile, by an exponential tail of the wait (exact for exponential times): P(W > t) ≈ ρ e^(−ρ t / E W). */
export function sojournQuantile (rate: number, times: Times, p: number): number {
  const mean = times.mean * MICRO
  const busy = rate * mean
  const wait = meanSojourn(rate, times) - mean
  if (wait === Infinity) return Infinity
  return (1 - p >= busy ? 0 : wait / busy * Math.log(busy / (1 - p))) + mean
}
