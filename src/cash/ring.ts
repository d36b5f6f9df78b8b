/**
 * The ring: which centers keep a coin (DESIGN §5). Virtual node i of a center sits at the first 8 bytes of
 * H(`mixmint/ring-node/1` ‖ center id ‖ u32 i); a coin at the first 8 bytes of H(`mixmint/ring-coin/1` ‖ coinId ‖
 * coin signature), which neither its owner nor the bank can choose; its keepers are the next n distinct centers clockwise.
 */
import { toHex } from '../kit/bytes.ts'
import { encode, tagged } from '../kit/codec.ts'
import { MixmintError } from '../kit/errors.ts'
import type { Suite } from '../crypto/suite.ts'
import { Ring } from './formats.ts'
import { halfOf, nodeAt, placesOf, type Places } from './ring-place.ts'

export interface Keeper {
  readonly id: Uint8Array
  readonly voteKey: Uint8Array
}

/** A ring is built in memory by everyone who reads the directory: 1,000 centers of 512 virtual nodes fit four times. */
const MOST_NODES = 1 << 21
const COIN_TAG = tagged('ring-coin')

/** 32 bytes. */
export function ringId (suite: Suite, ring: Ring): Uint8Array {
  return suite.sha256(tagged('ring', encode(Ring, ring)))
}

/** A ring ready for look-ups. */
export class RingMap {
  readonly ring: Ring
  readonly id: Uint8Array
  readonly #suite: Suite
  readonly #places: Places
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
    this.#places = placesOf(suite, ring)
  }

  /** The n keepers of a coin, nearest first. */
  keepers (coinId: Uint8Array, coinSignature: Uint8Array): Keeper[] {
    const digest = this.#suite.sha256(COIN_TAG, coinId, coinSignature)
    return this.#keepersFrom(nodeAt(this.#places, halfOf(digest, 0), halfOf(digest, 4)))
  }

  /** The next n distinct centers at or after a position. */
  keepersAt (at: bigint): Keeper[] {
    return this.#keepersFrom(nodeAt(this.#places, Number(at >> 32n), Number(at & 0xffffffffn)))
  }

  #keepersFrom (node: number): Keeper[] {
    return this.#ownersFrom(node).map(owner => this.ring.centers[owner])
  }

  /** The next n distinct centers from this virtual node on. */
  #ownersFrom (node: number): number[] {
    const { owners } = this.#places
    const found: number[] = []
    const wanted = this.ring.replicas
    let at = node < owners.length ? node : 0
    for (let step = 0; found.length < wanted && step < owners.length; step++) {
      const owner = owners[at]
      if (++at === owners.length) at = 0
      if (!found.includes(owner)) found.push(owner)
    }
    return found
  }

  /** Of all places that a coin can have, the part that each center keeps, in the order of the ring's centers. They sum to n. */
  shares (): number[] {
    const { high, low } = this.#places
    const count = high.length
    const shares = this.ring.centers.map(() => 0)
    for (let i = 0; i < count; i++) {
      // From behind the node before to this one; the first reaches back over the end of the circle.
      const before = (i + count - 1) % count
      const arc = (high[i] - high[before]) / 2 ** 32 + (low[i] - low[before]) / 2 ** 64 + (i === 0 ? 1 : 0)
      for (const owner of this.#ownersFrom(i)) shares[owner] += arc
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
