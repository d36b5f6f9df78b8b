/**
 * The intersection attack (Raymond, "Traffic analysis: protocols, attacks, design issues, and open problems", PET 2000; Berthold and
 * Langos, "Dummy traffic against long term intersection attacks", PET 2002): of all who may be it, only those stay who may be it every
 * time, until a single one is left. Two ways of it:
 *
 *   receivers   Alice writes the same person in each round; b − 1 others write anybody. Who got nothing in a round in which something
 *               left her is not her friend. Where what leaves her may be a drop packet, her friend may be ruled out with the rest.
 *   senders     a name that does not say who it is (an account, a customer) does something in each round; whoever is not there then is
 *               not behind it. Cover changes nothing of that, as who sends cover is there.
 *
 * Each of N − 1 others is among those of a round with chance p, and the right one with chance s: 1, or less with cover. So after t rounds
 * he alone is left with chance s^t (1 − p^t)^(N − 1).
 */
import type { Rng } from '@mixmint/core/kit/ports'
import { below, unit } from '@mixmint/core/kit/samplers'
import { Departures } from '@mixmint/mixnet/mixing/departures'
import { seededRng } from '../kernel/rng.ts'
import { quantileOf } from '../measure/statistics.ts'

export interface IntersectionRow {
  readonly of: 'receivers' | 'senders'
  readonly people: number
  /** Receivers: messages of a round, and the part of what leaves her that is a message. */
  readonly batch: number | null
  readonly real: number | null
  /** The chance that somebody else is among those of a round. */
  readonly among: number
  /** After which in 95 of 100 runs the right one alone is left, and by the formula; null: in fewer he ever is. */
  readonly rounds: number | null
  readonly foreseen: number | null
  /** The part of runs in which the right one is left at last. */
  readonly right: number
}

const CONFIDENCE = 0.95
/** Number 0 is the one. */
const RIGHT = 0

/** Who is among those of a round, of these at least. */
type Round = (candidates: readonly number[], rng: Rng) => ReadonlySet<number>

/** @param among,stays p and s, as above; p from 0 to less than 1 */
export function foreseenRounds (people: number, among: number, stays: number): number | null {
  for (let t = 1; stays ** t >= CONFIDENCE; t++) if (stays ** t * (1 - among ** t) ** (people - 1) >= CONFIDENCE) return t
  return null
}

/** @param real the part of what leaves Alice that is a message, from above 0 to 1 @param runs each of them to its end */
export function ofReceivers ({ people, batch, real }: { readonly people: number, readonly batch: number, readonly real: number }, runs: number, seed: number): IntersectionRow {
  const chance = (messages: number): number => 1 - (1 - 1 / people) ** messages
  const among = chance(batch - 1)
  const round: Round = (_, rng) => {
    const mix = new Departures<{ readonly mean: 0, readonly receiver: number }>({ kind: 'threshold', batch })
    mix.pass(0, rng)
    let left = mix.add({ mean: 0, receiver: real === 1 || unit(rng) <= real ? RIGHT : below(rng, people) }, rng)
    for (let other = 1; other < batch; other++) left = mix.add({ mean: 0, receiver: below(rng, people) }, rng)
    return new Set(left.map(({ receiver }) => receiver))
  }
  return { of: 'receivers', people, batch, real, among, ...measured(people, runs, seed, round), foreseen: foreseenRounds(people, among, real + (1 - real) * chance(batch)) }
}

/** @param there the part of people that is there at any time, from 0 to less than 1 */
export function ofSenders ({ people, there }: { readonly people: number, readonly there: number }, runs: number, seed: number): IntersectionRow {
  const round: Round = (candidates, rng) => new Set(candidates.filter(one => one === RIGHT || unit(rng) <= there))
  return { of: 'senders', people, batch: null, real: null, among: there, ...measured(people, runs, seed, round), foreseen: foreseenRounds(people, there, 1) }
}

function measured (people: number, runs: number, seed: number, round: Round): Pick<IntersectionRow, 'rounds' | 'right'> {
  const rounds: number[] = []
  for (let run = 0; run < runs; run++) {
    const rng = seededRng(seed, `intersection ${run}`)
    let candidates = Array.from({ length: people }, (_, one) => one)
    let number = 0
    do {
      number += 1
      const seen = round(candidates, rng)
      candidates = candidates.filter(one => seen.has(one))
    } while (candidates.length > 1)
    rounds.push(candidates[0] === RIGHT ? number : Infinity)
  }
  const enough = quantileOf(rounds.sort((a, b) => a - b), CONFIDENCE)
  return { rounds: enough === Infinity ? null : enough, right: rounds.filter(one => one < Infinity).length / runs }
}
