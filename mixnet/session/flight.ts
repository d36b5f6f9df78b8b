/**
 * Flights: which fragments, SURBs and wants go into which packets. The number of packets of a first flight is all that
 * an observer of it learns of its size, so it is rounded up (docs/decisions/0005-packet-counts.md).
 */
import { dataCapacity } from '../sphinx/message.ts'
import { ANSWER_HEADER, fragmentCount, fragmentLength, MIN_ANSWER_CHUNK, MIN_REQUEST_CHUNK, REQUEST_HEADER } from './fragment.ts'

/** One packet to be: a fragment or only SURBs, and the answer fragments to be sent with these SURBs. */
export interface PartPlan {
  readonly index: number | null
  readonly surbs: number
  readonly wants: readonly number[]
}

/** The longest fragment beside so many SURBs, each with a want. */
function room (protocol: string, surbs: number): number {
  return dataCapacity(protocol, surbs) - REQUEST_HEADER - 2 * surbs
}

/** The length of answer fragments under this protocol. */
export function answerChunk (protocol: string): number {
  return dataCapacity(protocol, 0) - ANSWER_HEADER
}

/** Can requests of this protocol be sent at all, and answered? */
export function fits (protocol: string): boolean {
  return room(protocol, 1) >= MIN_REQUEST_CHUNK && answerChunk(protocol) >= MIN_ANSWER_CHUNK
}

/** How many SURBs, at most `most`, fit beside a fragment of this length. */
function surbsBeside (protocol: string, length: number, most: number): number {
  let surbs = most
  while (surbs > 0 && room(protocol, surbs) < length) surbs -= 1
  return surbs
}

/** Fragments in their packets with as many of the SURBs as fit, then packets of SURBs; each SURB carries one want. */
export function plan (
  protocol: string, total: number, chunk: number, indices: readonly number[], surbs: number, wants: readonly number[], most: number
): PartPlan[] {
  const parts: PartPlan[] = []
  let left = surbs
  let wanted = 0
  const add = (index: number | null, length: number): void => {
    const here = Math.min(left, surbsBeside(protocol, length, most))
    parts.push({ index, surbs: here, wants: wants.slice(wanted, wanted + here) })
    left -= here
    wanted += here
  }
  for (const index of indices) add(index, fragmentLength(total, chunk, index))
  if (fits(protocol)) while (left > 0) add(null, 0)
  return parts
}

/** The first flight: the cut that takes the fewest packets, filled up to a bucket with repeated fragments. */
export function planFirst (protocol: string, total: number, surbs: number, most: number): { chunk: number, parts: PartPlan[] } {
  let best = { chunk: MIN_REQUEST_CHUNK, parts: [] as PartPlan[] }
  for (let beside = 0; beside <= most && room(protocol, beside) >= MIN_REQUEST_CHUNK; beside++) {
    const chunk = room(protocol, beside)
    const parts = plan(protocol, total, chunk, Array.from({ length: fragmentCount(total, chunk) }, (_, i) => i), surbs, [], most)
    if (beside === 0 || parts.length < best.parts.length) best = { chunk, parts }
  }
  const count = fragmentCount(total, best.chunk)
  const full = bucket(best.parts.length)
  for (let i = 0; best.parts.length < full; i++) best.parts.push({ index: i % count, surbs: 0, wants: [] })
  return best
}

/** The next of 1, 2, 3, 4, 6, 8, 12, 16, 24, … */
export function bucket (packets: number): number {
  let size = 1
  while (size < packets) size = (size & (size - 1)) === 0 && size > 1 ? size * 1.5 : size === 1 ? 2 : size * 4 / 3
  return size
}
