/**
 * The ring: which centers keep a coin (DESIGN §5). Virtual node i of a center sits at the first 8 bytes of
 * H(`mixmint/ring-node/1` ‖ center id ‖ u32 i); a coin at the first 8 bytes of H(`mixmint/ring-coin/1` ‖ coinId ‖
 * coin signature), which neither its owner nor the bank can choose; its keepers are the next n distinct centers clockwise.
 */
import { toHex, u32 } from '../kit/bytes.ts'
import { encode, tagged } from '../kit/codec.ts'
import { MixmintError } from '../kit/errors.ts'
import type { Suite } from '../crypto/suite.ts'
import { Ring } from './formats.ts'

export interface Keeper {
  readonly id: Uint8Array
  readonly voteKey: Uint8Array
}

/** A ring is built in memory by everyone who reads the directory: 1,000 centers of 512 virtual nodes fit four times. */
const MOST_NODES = 1 << 21

/** 32 bytes. */
export function ringId (suite: Suite, ring: Ring): Uint8Array {
  return suite.sha256(tagged('ring', encode(Ring, ring)))
}

/** A ring ready for look-ups. */
export class RingMap {
  readonly ring: Ring
  readonly id: Uint8Array
  readonly #suite: Suite
  /** Positions in rising order, and whose they are. */
  readonly #positions: BigUint64Array
  readonly #owners: Uint16Array
  readonly #byId: Map<string, Keeper>

  /**
   * @throws bad-ring (peer): repeated centers or vote keys, no virtual node, more replicas than centers, or a quorum
   *   that allows two certificates for one coin or none at all
   */
  constructor (suite: Suite, ring: Ring) {
    checkRing(ring)
    this.ring = ring
    this.id = ringId(suite, ring)
    this.#suite = suite
    this.#byId = new Map(ring.centers.map(center => [toHex(center.id), center]))
    const nodes: Array<{ at: bigint, owner: number }> = []
    ring.centers.forEach((center, owner) => {
      for (let i = 0; i < center.weight * ring.virtualNodesPerWeight; i++) {
        nodes.push({ at: position(suite.sha256(tagged('ring-node', center.id, u32(i)))), owner })
      }
    })
    nodes.sort((a, b) => a.at < b.at ? -1 : a.at > b.at ? 1 : a.owner - b.owner)
    this.#positions = BigUint64Array.from(nodes, node => node.at)
    this.#owners = Uint16Array.from(nodes, node => node.owner)
  }

  /** The n keepers of a coin, nearest first. */
  keepers (coinId: Uint8Array, coinSignature: Uint8Array): Keeper[] {
    return this.keepersAt(position(this.#suite.sha256(tagged('ring-coin', coinId, coinSignature))))
  }

  /** The next n distinct centers at or after a position. */
  keepersAt (at: bigint): Keeper[] {
    const positions = this.#positions
    let low = 0
    let high = positions.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (positions[middle] < at) low = middle + 1
      else high = middle
    }
    return this.#ownersFrom(low).map(owner => this.ring.centers[owner])
  }

  /** The next n distinct centers from this virtual node on. */
  #ownersFrom (node: number): number[] {
    const owners = this.#owners
    const found: number[] = []
    for (let step = 0; found.length < this.ring.replicas && step < owners.length; step++) {
      const owner = owners[(node + step) % owners.length]
      if (!found.includes(owner)) found.push(owner)
    }
    return found
  }

  /** Of all places that a coin can have, the part that each center keeps, in the order of the ring's centers. They sum to n. */
  shares (): number[] {
    const positions = this.#positions
    const shares = this.ring.centers.map(() => 0)
    for (const [i, at] of positions.entries()) {
      // From behind the node before to this one; the first reaches back over the end of the circle.
      const arc = Number(BigInt.asUintN(64, at - positions[(i + positions.length - 1) % positions.length])) / 2 ** 64
      for (const owner of this.#ownersFrom(i)) shares[owner] += positions.length === 1 ? 1 : arc
    }
    return shares
  }

  center (id: Uint8Array): Keeper | undefined {
    return this.#byId.get(toHex(id))
  }
}

function checkRing (ring: Ring): void {
  const bad = (why: string): MixmintError => new MixmintError('bad-ring', 'peer', `ring refused: ${why}`)
  const { centers, replicas: n, faults: f, quorum: q } = ring
  if (new Set(centers.map(center => toHex(center.id))).size !== centers.length) throw bad('two centers have one id')
  if (new Set(centers.map(center => toHex(center.voteKey))).size !== centers.length) throw bad('two centers have one vote key')
  if (centers.some(center => center.weight < 1) || ring.virtualNodesPerWeight < 1) throw bad('a center has no virtual node')
  const nodes = centers.reduce((sum, center) => sum + center.weight * ring.virtualNodesPerWeight, 0)
  if (nodes > MOST_NODES) throw bad(`it has more than ${MOST_NODES} virtual nodes`)
  if (n > centers.length) throw bad('it wants more keepers for a coin than it has centers')
  // With these two, 1 ≤ q ≤ n.
  if (q > n - f) throw bad('its quorum cannot be met with the tolerated faults')
  if (2 * q - n <= f) throw bad('two quorums of one coin need not share an honest keeper')
}

/** The first 8 bytes as an unsigned number. */
function position (digest: Uint8Array): bigint {
  return new DataView(digest.buffer, digest.byteOffset).getBigUint64(0)
}
