/** Prints test/vectors/ring.json: `npx node test/reference/ring-vectors.ts > test/vectors/ring.json`. */
import { createHash } from 'node:crypto'
import { slowKeepers, slowRingId, type PlainRing } from './ring.ts'

const named = (name: string): string => createHash('sha256').update(name).digest('hex')

function ring (centers: number, virtualNodesPerWeight: number, replicas: number, faults: number, quorum: number, weights = [1]): PlainRing {
  return {
    centers: Array.from({ length: centers }, (_, i) => ({ id: named(`center ${i}`), voteKey: named(`vote key ${i}`), weight: weights[i % weights.length] })),
    virtualNodesPerWeight, replicas, faults, quorum
  }
}

/** Rings of every accepted kind; `signature` may be any bytes here, the ring does not look into it. */
export function ringVectors (): object {
  const coins = Array.from({ length: 24 }, (_, i) => ({ coinId: named(`coin ${i}`), signature: named(`signature ${i}`).repeat(8) }))
  const rings = [ring(7, 64, 4, 1, 3), ring(1, 1, 1, 0, 1), ring(3, 1, 3, 0, 2), ring(12, 16, 7, 2, 5), ring(4, 1, 4, 1, 3), ring(40, 8, 4, 1, 3, [1, 2, 30])]
  return {
    comment: 'Keepers are indices into centers, nearest first. Made by test/reference/ring-vectors.ts.',
    coins,
    rings: rings.map(ring => ({
      ring, ringId: slowRingId(ring), keepers: coins.map(({ coinId, signature }) => slowKeepers(ring, coinId, signature))
    }))
  }
}

if (import.meta.main) process.stdout.write(`${JSON.stringify(ringVectors())}\n`)
