/**
 * The ring of validation centers (src/cash/ring.ts, the production's): how evenly virtual nodes spread coins over centers, and
 * what part of all coins nobody can judge while k of N centers are down.
 */
import type { Suite } from '@mixmint/core/crypto/suite'
import type { Rng } from '@mixmint/core/kit/ports'
import { shuffle } from '@mixmint/core/kit/samplers'
import { RingMap } from '@mixmint/core/cash/ring'
import { seededRng } from '../kernel/rng.ts'

export interface RingPlan {
  readonly centers: number
  readonly virtualNodes: number
  /** Keepers of a coin, faults among them that are tolerated, and votes that make a certificate. */
  readonly replicas: number
  readonly faults: number
  readonly quorum: number
}

/** @param seed of the centers' ids @throws bad-ring (peer) */
export function ringOf (suite: Suite, { centers, virtualNodes, replicas, faults, quorum }: RingPlan, seed: number): RingMap {
  const rng = seededRng(seed, 'ring')
  const id = (): Uint8Array => rng.bytes(32).slice()
  return new RingMap(suite, {
    centers: Array.from({ length: centers }, () => ({ id: id(), voteKey: id(), weight: 1 })), virtualNodesPerWeight: virtualNodes, replicas, faults, quorum
  })
}

/** What each center keeps, over what it would if all kept the same; the idlest first. */
export function loadsOf (ring: RingMap): number[] {
  return ring.shares().map(share => share * ring.ring.centers.length / ring.ring.replicas).sort((a, b) => a - b)
}

/** Of the busiest center. */
export function imbalance (ring: RingMap): number {
  return loadsOf(ring).at(-1) as number
}

/**
 * Payments a second with which the busiest center is at work so much of its time: each of a payment's coins is asked of all its keepers.
 * @param spend_us processor time of a spend at a center
 */
export function carried (ring: RingMap, { coins, spend_us, utilisation }: { readonly coins: number, readonly spend_us: number, readonly utilisation: number }): number {
  return utilisation * 1e6 / spend_us / (coins * Math.max(...ring.shares()))
}

/**
 * Of all coins, the part with too few keepers left to make a certificate while k centers are down, any k: the n keepers are
 * different centers, so that those of them that are down follow the hypergeometric law, whatever the ring looks like; this is
 * the mean over all choices of k centers.
 */
export function lostExactly ({ centers: n, replicas, quorum }: Omit<RingPlan, 'virtualNodes'>, down: number): number {
  let sum = 0
  for (let failed = Math.max(replicas - quorum + 1, replicas - (n - down)); failed <= Math.min(replicas, down); failed++) {
    sum += Math.exp(logChoose(replicas, failed) + logChoose(n - replicas, down - failed) - logChoose(n, down))
  }
  return sum
}

export interface Lost {
  /** Over the choices of centers that are down. */
  readonly mean: number
  /** At the worst of these choices, which on an uneven ring is far from the mean. */
  readonly worst: number
}

/** The same, counted on this ring: the part of these coins that is lost, for so many choices of centers that are down. */
export function lostCounted (ring: RingMap, down: number, { coins, choices }: { readonly coins: number, readonly choices: number }, rng: Rng): Lost {
  const { centers, quorum } = ring.ring
  const numbers = new Map(centers.map((center, i) => [center.id, i]))
  const keepers = Array.from({ length: coins }, () => {
    const at = new DataView(rng.bytes(8).slice().buffer).getBigUint64(0)
    return ring.keepersAt(at).map(({ id }) => numbers.get(id) as number)
  })
  const all = centers.map((_, i) => i)
  const parts = Array.from({ length: choices }, () => {
    const isDown = new Uint8Array(centers.length)
    for (const center of shuffle(rng, all).slice(0, down)) isDown[center] = 1
    return keepers.filter(of => of.reduce((alive, keeper) => alive + 1 - isDown[keeper], 0) < quorum).length / coins
  })
  return { mean: parts.reduce((sum, part) => sum + part, 0) / choices, worst: Math.max(...parts) }
}

function logChoose (n: number, k: number): number {
  if (k < 0 || k > n) return -Infinity
  let sum = 0
  for (let i = 0; i < k; i++) sum += Math.log((n - i) / (i + 1))
  return sum
}
