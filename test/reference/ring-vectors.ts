/** Prints test/vectors/ring.json: `npx node test/reference/ring-vectors.ts > test/vectors/ring.json`. */
import { createHash } from 'node:crypto'
import { slowKeepers, slowKeysetId, slowNode, slowPlace, slowRingId, type PlainKeyset, type PlainRing } from './ring.ts'

const named = (name: string): string => createHash('sha256').update(name).digest('hex')

function ring (centers: number, virtualNodesPerWeight: number, replicas: number, faults: number, quorum: number, weights = [1]): PlainRing {
  return {
    centers: Array.from({ length: centers }, (_, i) => ({ id: named(`center ${i}`), voteKey: named(`vote key ${i}`), weight: weights[i % weights.length] })),
    virtualNodesPerWeight, replicas, faults, quorum
  }
}

/** `key` may be any 256 bytes here: the id does not look into it. */
function keysets (ringId: string): PlainKeyset[] {
  const at = Date.UTC(2026, 0, 1)
  const keyset: PlainKeyset = {
    network: 'mixmint-vectors', bank: named('bank'), unit: 'EUR-cent', denominations: [0, 1, 2, 40].map(i => ({ value: 2 ** i, key: named(`key ${i}`).repeat(8) })),
    issueFrom: at, issueUntil: at + 1, spendUntil: at + 2, redeemUntil: at + 3, refundUntil: at + 4, ringId
  }
  return [keyset, { ...keyset, unit: 'USD-cent' }, { ...keyset, refundUntil: at + 5 }, { ...keyset, denominations: keyset.denominations.slice(0, 1), issueFrom: 0 }]
}

/** Rings of every accepted kind; `signature` may be any bytes here, the ring does not look into it. */
export function ringVectors (): object {
  const coins = Array.from({ length: 24 }, (_, i) => ({ coinId: named(`coin ${i}`), signature: named(`signature ${i}`).repeat(8) }))
  const rings = [ring(7, 64, 4, 1, 3), ring(1, 1, 1, 0, 1), ring(3, 1, 3, 0, 2), ring(12, 16, 7, 2, 5), ring(4, 1, 4, 1, 3), ring(40, 8, 4, 1, 3, [1, 2, 30])]
  return {
    comment: 'Keepers are indices into centers, nearest first; nodes and places are the 8 bytes of a position. Made by test/reference/ring-vectors.ts.',
    coins: coins.map(coin => ({ ...coin, place: slowPlace(coin.coinId, coin.signature) })),
    nodes: [0, 1, 255, 256, 65_536, 4_294_967_295].map(i => ({ center: named('center 0'), i, at: slowNode(named('center 0'), i) })),
    keysets: keysets(slowRingId(rings[0])).map(keyset => ({ keyset, keysetId: slowKeysetId(keyset) })),
    rings: rings.map(ring => ({
      ring, ringId: slowRingId(ring), keepers: coins.map(({ coinId, signature }) => slowKeepers(ring, coinId, signature))
    }))
  }
}

if (import.meta.main) process.stdout.write(`${JSON.stringify(ringVectors())}\n`)
