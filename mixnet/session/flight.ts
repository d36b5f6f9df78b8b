/**
 * Flights: which fragments, SURBs and wants go into which packets. The number of packets of a first flight is all that
 * an observer of it learns of its size, so it is rounded up (docs/decisions/0005-packet-counts.md). Everywhere `size` is
 * that of the network's messages, in bytes.
 */
import { geometryOf, isPacketSize } from '../sphinx/layout.ts'
import { dataCapacity } from '../sphinx/message.ts'
import { ANSWER_HEADER, fragmentCount, fragmentLength, MIN_ANSWER_CHUNK, MIN_REQUEST_CHUNK, REQUEST_HEADER } from './fragment.ts'

const NAME = 'x'.repeat(64)
const MOST_FRAGMENTS = 512

/** One packet to be: a fragment or only SURBs, and the answer fragments to be sent with these SURBs. */
export interface PartPlan {
  readonly index: number | null
  readonly surbs: number
  readonly wants: readonly number[]
  /** It was sent before, and nothing was heard. */
  readonly again?: boolean
}

/** The longest fragment beside so many SURBs, each with a want. */
function room (size: number, protocol: string, surbs: number): number {
  return dataCapacity(size, protocol, surbs) - REQUEST_HEADER - 2 * surbs
}

/** The length of answer fragments under this protocol. */
export function answerChunk (size: number, protocol: string): number {
  return dataCapacity(size, protocol, 0) - ANSWER_HEADER
}

/** Can requests of this protocol be sent at all, and answered? */
export function fits (size: number, protocol: string): boolean {
  return room(size, protocol, 1) >= MIN_REQUEST_CHUNK && answerChunk(size, protocol) >= MIN_ANSWER_CHUNK
}

/**
 * Can packets of this size carry requests and answers up to this length? A SURB and a fragment under a name of 64 bytes
 * must fit into one; and of an answer no more than 512 fragments, for a service keeps the SURBs of about as many.
 */
export function carriesRequests (packetSize: number, requestLimit: number): boolean {
  if (!isPacketSize(packetSize)) return false
  const { messageSize } = geometryOf(packetSize)
  return fits(messageSize, NAME) && fragmentCount(requestLimit, answerChunk(messageSize, NAME)) <= MOST_FRAGMENTS
}

/** How many SURBs, at most `most`, fit beside a fragment of this length. */
function surbsBeside (size: number, protocol: string, length: number, most: number): number {
  let surbs = most
  while (surbs > 0 && room(size, protocol, surbs) < length) surbs -= 1
  return surbs
}

/** Fragments in their packets with as many of the SURBs as fit, then packets of SURBs; each SURB carries one want. */
export function plan (
  size: number, protocol: string, total: number, chunk: number, indices: readonly number[], surbs: number, wants: readonly number[], most: number
): PartPlan[] {
  const parts: PartPlan[] = []
  let left = surbs
  let wanted = 0
  const add = (index: number | null, length: number): void => {
    const here = Math.min(left, surbsBeside(size, protocol, length, most))
    parts.push({ index, surbs: here, wants: wants.slice(wanted, wanted + here) })
    left -= here
    wanted += here
  }
  for (const index of indices) add(index, fragmentLength(total, chunk, index))
  if (fits(size, protocol)) while (left > 0) add(null, 0)
  return parts
}

/** The first flight: the cut that takes the fewest packets, filled up to a bucket with repeated fragments. */
export function planFirst (size: number, protocol: string, total: number, surbs: number, most: number): { chunk: number, parts: PartPlan[] } {
  let best = { chunk: MIN_REQUEST_CHUNK, parts: [] as PartPlan[] }
  for (let beside = 0; beside <= most && room(size, protocol, beside) >= MIN_REQUEST_CHUNK; beside++) {
    const chunk = room(size, protocol, beside)
    const parts = plan(size, protocol, total, chunk, Array.from({ length: fragmentCount(total, chunk) }, (_, i) => i), surbs, [], most)
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
