/**
 * The statistical disclosure attack (Danezis, "Statistical disclosure attacks: traffic confirmation in open environments", SEC
 * 2003). Alice has m friends of N people, and writes one of them each round; b − 1 others write anybody; what the mix lets
 * go together is one round. The attacker adds up, over the rounds in which Alice has sent, how often each person received,
 * and takes those with the most for her friends. With cover she writes only in a part of the rounds in which something
 * leaves her; in the others it is a drop packet for anybody.
 *
 * Danezis' estimate of the rounds after which a friend stands out by l standard deviations:
 *
 *   t > [ m l ( √((m − 1)/m²) + √((b − 1)(N − 1)/N²) ) ]²
 *
 * With cover the friends' signal is 1/m times the part p of real messages, so that m is m/p before the brackets.
 */
import type { Rng } from '@mixmint/core/kit/ports'
import { below, unit } from '@mixmint/core/kit/samplers'
import { Departures } from '@mixmint/mixnet/mixing/departures'
import { seededRng } from '../kernel/rng.ts'

export interface Disclosure {
  readonly people: number
  readonly friends: number
  readonly batch: number
  /** The part of what Alice sends that is a message, from above 0 to 1. */
  readonly real: number
}

/** Standard deviations of 95 %. */
const CONFIDENCE = 2
/** The part of the friends that are to be known. */
const KNOWN = 0.95
/** Looks at 1, 1.05, 1.05², … rounds. */
const STEP = 1.05
const MOST_ROUNDS = 1e7

export function estimatedRounds ({ people: n, friends: m, batch: b, real }: Disclosure): number {
  return (m / real * CONFIDENCE * (Math.sqrt((m - 1) / m ** 2) + Math.sqrt((b - 1) * (n - 1) / n ** 2))) ** 2
}

/** Rounds until 95 % of Alice's friends are among the m persons with the most, the mean of some runs. */
export function measuredRounds (attack: Disclosure, seed: number, runs: number): number {
  let sum = 0
  for (let i = 0; i < runs; i++) sum += roundsOf(attack, seededRng(seed, `disclosure ${i}`))
  return sum / runs
}

interface Letter { readonly mean: 0, readonly receiver: number }

function roundsOf ({ people, friends, batch, real }: Disclosure, rng: Rng): number {
  const mix = new Departures<Letter>({ kind: 'threshold', batch })
  mix.pass(0, rng)
  const seen = new Int32Array(people)
  let look = 1
  for (let round = 1; round <= MOST_ROUNDS; round++) {
    // Her friends are the first m.
    const isReal = real === 1 || unit(rng) <= real
    let left = mix.add({ mean: 0, receiver: below(rng, isReal ? friends : people) }, rng)
    for (let other = 1; other < batch; other++) left = mix.add({ mean: 0, receiver: below(rng, people) }, rng)
    for (const { receiver } of left) seen[receiver] += 1
    if (round < look) continue
    look = Math.max(round + 1, Math.floor(round * STEP))
    if (isKnown(seen, friends)) return round
  }
  return Infinity
}

/** Are 95 % of the friends among the m with the most? Of those that are equal the friends come last. */
function isKnown (seen: Int32Array, friends: number): boolean {
  const others = seen.slice(friends).sort()
  let known = 0
  const first = seen.slice(0, friends).sort().reverse()
  for (let i = 0; i < friends; i++) {
    // The i-th best friend is among the first m if fewer than m − i others have as many.
    const place = friends - i
    if (others.length < place || first[i] > others[others.length - place]) known += 1
  }
  return known >= KNOWN * friends
}
