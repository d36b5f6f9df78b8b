/** Places on the ring (ring.ts) as two 32-bit halves, in order, and whose they are: a BigInt for each would cost more than its hash. */
import { u32 } from '../kit/bytes.ts'
import { tagged } from '../kit/codec.ts'
import type { Suite } from '../crypto/suite.ts'
import type { Ring } from './formats.ts'

export interface Places {
  /** The upper and the lower halves, in rising order of both; nodes of one place in the order of their centers. */
  readonly high: Uint32Array
  readonly low: Uint32Array
  /** The center of each, as its number in the ring. */
  readonly owners: Uint16Array
  /** By the first bits of a place, the first node at or after them, and the number of nodes at last. */
  readonly starts: Uint32Array
  /** How far an upper half is shifted to give those bits. */
  readonly shift: number
}

type Unsorted = Pick<Places, 'high' | 'low' | 'owners'>

/** Nodes between two starts, about. */
const NEAR = 8

export function placesOf (suite: Suite, { centers, virtualNodesPerWeight }: Ring): Places {
  const count = centers.reduce((sum, { weight }) => sum + weight * virtualNodesPerWeight, 0)
  const unsorted: Unsorted = { high: new Uint32Array(count), low: new Uint32Array(count), owners: new Uint16Array(count) }
  let at = 0
  for (const [owner, { id, weight }] of centers.entries()) {
    const preimage = tagged('ring-node', id, u32(0))
    const number = new DataView(preimage.buffer, preimage.byteOffset + preimage.length - 4)
    for (let i = 0; i < weight * virtualNodesPerWeight; i++, at++) {
      number.setUint32(0, i)
      const digest = suite.sha256(preimage)
      unsorted.high[at] = halfOf(digest, 0)
      unsorted.low[at] = halfOf(digest, 4)
      unsorted.owners[at] = owner
    }
  }
  return inOrder(unsorted)
}

/** Four bytes, big-endian. */
export function halfOf (digest: Uint8Array, at: number): number {
  return ((digest[at] << 24) | (digest[at + 1] << 16) | (digest[at + 2] << 8) | digest[at + 3]) >>> 0
}

/** Sorted by byte, the last first. Each round keeps the order of equals, so that nodes of one place stay in that of their centers. */
function inOrder ({ high, low, owners }: Unsorted): Places {
  let order = Uint32Array.from(owners.keys())
  let next = new Uint32Array(order.length)
  const starts = new Uint32Array(257)
  for (const half of [low, high]) {
    for (let shift = 0; shift < 32; shift += 8) {
      starts.fill(0)
      for (const value of half) starts[((value >>> shift) & 255) + 1] += 1
      for (let byte = 1; byte < 256; byte++) starts[byte] += starts[byte - 1]
      for (const node of order) next[starts[(half[node] >>> shift) & 255]++] = node;
      [order, next] = [next, order]
    }
  }
  const sorted = order.map(node => high[node])
  return { high: sorted, low: order.map(node => low[node]), owners: Uint16Array.from(order, node => owners[node]), ...startsOf(sorted) }
}

function startsOf (high: Uint32Array): Pick<Places, 'starts' | 'shift'> {
  // At least one bit: a number cannot be shifted by 32.
  const bits = Math.max(1, Math.ceil(Math.log2(high.length / NEAR)))
  const shift = 32 - bits
  const starts = new Uint32Array(2 ** bits + 1)
  let node = 0
  for (let first = 0; first < starts.length; first++) {
    while (node < high.length && (high[node] >>> shift) < first) node += 1
    starts[first] = node
  }
  return { starts, shift }
}

/** The number of the first node at or after a place; that of all nodes when there is none. */
export function nodeAt ({ high, low, starts, shift }: Places, atHigh: number, atLow: number): number {
  let first = starts[atHigh >>> shift]
  let beyond = starts[(atHigh >>> shift) + 1]
  while (first < beyond) {
    const middle = (first + beyond) >>> 1
    if (high[middle] < atHigh || (high[middle] === atHigh && low[middle] < atLow)) first = middle + 1
    else beyond = middle
  }
  return first
}
