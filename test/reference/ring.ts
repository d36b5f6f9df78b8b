/**
 * The ring once more, slow and plain, for comparison: positions as BigInt in one sorted array searched from the start, the
 * ring's encoding written by hand from RFC 8949 §4.2.1. Shares no code with src/cash/ring.ts or its codec.
 */
import { createHash } from 'node:crypto'

export interface PlainRing {
  readonly centers: ReadonlyArray<{ readonly id: string, readonly voteKey: string, readonly weight: number }>
  readonly virtualNodesPerWeight: number
  readonly replicas: number
  readonly faults: number
  readonly quorum: number
}

function sha256 (...parts: ReadonlyArray<string | Buffer>): Buffer {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return hash.digest()
}

/** CBOR head: major type and argument in the shortest form. */
function head (major: number, n: number): Buffer {
  if (n < 24) return Buffer.from([major << 5 | n])
  if (n < 0x100) return Buffer.from([major << 5 | 24, n])
  if (n < 0x10000) return Buffer.from([major << 5 | 25, n >> 8, n & 255])
  if (n >= 2 ** 32) return Buffer.concat([Buffer.from([major << 5 | 27]), Buffer.from(n.toString(16).padStart(16, '0'), 'hex')])
  return Buffer.from([major << 5 | 26, n >>> 24, n >> 16 & 255, n >> 8 & 255, n & 255])
}

const word = (text: string): Buffer => Buffer.concat([head(3, text.length), Buffer.from(text)])
const number = (n: number): Buffer => head(0, n)
const bytes = (hex: string): Buffer => Buffer.concat([head(2, hex.length / 2), Buffer.from(hex, 'hex')])

/** Keys in the bytewise order of their encodings: shorter first. */
function encode (ring: PlainRing): Buffer {
  const centers = ring.centers.map(({ id, voteKey, weight }) =>
    Buffer.concat([head(5, 3), word('id'), bytes(id), word('weight'), number(weight), word('voteKey'), bytes(voteKey)]))
  return Buffer.concat([
    head(5, 5),
    word('faults'), number(ring.faults),
    word('quorum'), number(ring.quorum),
    word('centers'), head(4, centers.length), ...centers,
    word('replicas'), number(ring.replicas),
    word('virtualNodesPerWeight'), number(ring.virtualNodesPerWeight)
  ])
}

export function slowRingId (ring: PlainRing): string {
  return sha256('mixmint/ring/1', encode(ring)).toString('hex')
}

const position = (digest: Buffer): bigint => BigInt('0x' + digest.subarray(0, 8).toString('hex'))

/** Where virtual node i of a center sits, in hexadecimal. */
export function slowNode (center: string, i: number): string {
  return position(sha256('mixmint/ring-node/1', Buffer.from(center, 'hex'), Buffer.from(i.toString(16).padStart(8, '0'), 'hex'))).toString(16).padStart(16, '0')
}

/** Where a coin sits. */
export function slowPlace (coinId: string, signature: string): string {
  return position(sha256('mixmint/ring-coin/1', Buffer.from(coinId, 'hex'), Buffer.from(signature, 'hex'))).toString(16).padStart(16, '0')
}

export interface PlainKeyset {
  readonly network: string
  readonly bank: string
  readonly unit: string
  readonly denominations: ReadonlyArray<{ readonly value: number, readonly key: string }>
  readonly issueFrom: number
  readonly issueUntil: number
  readonly spendUntil: number
  readonly redeemUntil: number
  readonly refundUntil: number
  readonly ringId: string
}

/** The id of a keyset: the hash of its descriptor, keys of the map in the bytewise order of their encodings. */
export function slowKeysetId (keyset: PlainKeyset): string {
  const fields: Record<string, Buffer> = {
    network: word(keyset.network), bank: bytes(keyset.bank), unit: word(keyset.unit), ringId: bytes(keyset.ringId),
    denominations: Buffer.concat([head(4, keyset.denominations.length), ...keyset.denominations.map(({ value, key }) =>
      Buffer.concat([head(5, 2), word('key'), bytes(key), word('value'), number(value)]))]),
    issueFrom: number(keyset.issueFrom), issueUntil: number(keyset.issueUntil), spendUntil: number(keyset.spendUntil),
    redeemUntil: number(keyset.redeemUntil), refundUntil: number(keyset.refundUntil)
  }
  const entries = Object.entries(fields).map(([name, value]) => [word(name), value]).sort(([a], [b]) => Buffer.compare(a, b))
  return sha256('mixmint/keyset/1', head(5, entries.length), ...entries.flat()).toString('hex')
}

/** Indices of the centers that keep a coin, nearest first. */
export function slowKeepers (ring: PlainRing, coinId: string, signature: string): number[] {
  const nodes: Array<[bigint, number]> = []
  for (const [center, { id, weight }] of ring.centers.entries()) {
    for (let i = 0; i < weight * ring.virtualNodesPerWeight; i++) {
      const index = Buffer.from(i.toString(16).padStart(8, '0'), 'hex')
      nodes.push([position(sha256('mixmint/ring-node/1', Buffer.from(id, 'hex'), index)), center])
    }
  }
  nodes.sort(([a], [b]) => Number(a > b) - Number(a < b))
  const at = position(sha256('mixmint/ring-coin/1', Buffer.from(coinId, 'hex'), Buffer.from(signature, 'hex')))
  const clockwise = [...nodes.filter(([node]) => node >= at), ...nodes.filter(([node]) => node < at)]
  const keepers: number[] = []
  for (const [, center] of clockwise) {
    if (keepers.length < ring.replicas && !keepers.includes(center)) keepers.push(center)
  }
  return keepers
}
