/** What a run counts. */
import { seededRng } from '../kernel/rng.ts'
import type { Unobservability } from '../measure/activity.ts'
import { Histogram } from '../measure/histogram.ts'
import { Sample } from '../measure/sample.ts'
import type { Anonymity } from '../measure/shares.ts'
import type { Drop } from '../network/network.ts'

/** Of latencies, for the distance from their law. */
const SAMPLE = 20_000

/** Of messages written after the warm-up; packets include cover and loops. */
export interface Tally {
  readonly latency: Histogram
  /** From when it left its sender: without the wait for cover's next tick. */
  readonly transit: Histogram
  readonly transits: Sample
  readonly sent: Record<'message' | 'drop' | 'loop', number>
  readonly received: Record<'message' | 'drop' | 'loop', number>
  readonly dropped: Record<Drop, number>
  /** Of what was dropped: messages. */
  lost: number
  /** Packets in a mix, at every look and mix: how often so many. */
  readonly occupancy: Map<number, number>
  readonly anonymity: Anonymity[]
  unobservability: Unobservability | null
  /** Messages that had not come to their end when they were no longer waited for. */
  unfinished: number
  hops: number
  seconds: number
}

export function emptyTally (seed: number): Tally {
  const none = (): Record<'message' | 'drop' | 'loop', number> => ({ message: 0, drop: 0, loop: 0 })
  return {
    latency: new Histogram(), transit: new Histogram(), transits: new Sample(SAMPLE, seededRng(seed, 'sample')),
    sent: none(), received: none(), dropped: { 'link': 0, 'queue-full': 0, 'mix-down': 0, 'adversary': 0 },
    lost: 0, occupancy: new Map(), anonymity: [], unobservability: null, unfinished: 0, hops: 0, seconds: 0
  }
}
