/**
 * The layout of a LIBP2P-MIX packet (LIP-99 §8.3, `/mix/1.0.0`): sizes in bytes, each a sum of named ones. The header is
 * the same in every network; how long the payload is, a network's parameters say (4608 for the whole packet by default).
 *
 *   packet   ┌─ header ─────────────────────────────┬─ payload ────────────────────────────────┐
 *   4608     │ alpha 32 │ beta 576        │ gamma 16 │ delta 3984 (packet − 624)                │
 *            └──────────┴─────────────────┴──────────┴──────────────────────────────────────────┘
 *   beta, one layer off, and 112 bytes of keystream behind it:
 *            ┌─ block 112 ──────────────────────────┬─ the next hop's beta ────────────────────┐
 *   forward  │ address 94 │ delay 2 │ gamma 16      │ 576 bytes                                │
 *   exit     │ address 94 │ 0 0     │ 16 × 0        │ 16 × 0 │ …                               │
 *   reply    │ 94 × 0     │ 0 0     │ SURB id 16    │ 16 × 0 │ …                               │
 *            └────────────┴─────────┴───────────────┴──────────────────────────────────────────┘
 *   delta, all layers off:
 *            16 × 0 ‖ message 3968 (packet − 640)
 *   SURB 734: first hop's address 94 ‖ header 624 ‖ key 16
 */
import { MixmintError } from '@mixmint/core/kit/errors'

/** The security parameter, the most hops of a path, and the words of address and delay in a block: k, r, t of the paper. */
const K = 16
const R = 5
const T = 6

export const MAX_HOPS = R

export const ALPHA_SIZE = 2 * K
export const GAMMA_SIZE = K
export const DELAY_SIZE = 2
export const ADDRESS_SIZE = T * K - DELAY_SIZE
export const BLOCK_SIZE = ADDRESS_SIZE + DELAY_SIZE + GAMMA_SIZE
/** Zeros behind the last hop's block: only there can they be, for elsewhere the next hop's ciphertext stands here. */
export const LAST_MARK_SIZE = K
/** r blocks, and the mark that ends the last one. */
export const BETA_SIZE = R * BLOCK_SIZE + LAST_MARK_SIZE
export const HEADER_SIZE = ALPHA_SIZE + BETA_SIZE + GAMMA_SIZE

/** The zeros in front of a message, by which its recipient knows that no payload bit was changed. */
export const PAYLOAD_CHECK_SIZE = K
/** LIONESS wants a right half no shorter than its left one of 32 bytes. */
export const MIN_PAYLOAD_SIZE = 64
/** A message says the length of its padding in two bytes. */
const MAX_PACKET_SIZE = 1 << 16

/** A SURB's id stands where a forward block has gamma. */
export const SURB_ID_SIZE = K
export const SURB_KEY_SIZE = K
export const SURB_SIZE = ADDRESS_SIZE + HEADER_SIZE + SURB_KEY_SIZE

/** X25519 scalars, points and shared secrets; SHA-256 digests. */
export const KEY_SIZE = 32
export const TAG_SIZE = 32

/** The sizes that follow from one network's packet size. */
export interface Geometry {
  readonly packetSize: number
  /** delta. */
  readonly payloadSize: number
  readonly messageSize: number
}

export function isPacketSize (size: number): boolean {
  return Number.isInteger(size) && size >= HEADER_SIZE + MIN_PAYLOAD_SIZE && size <= MAX_PACKET_SIZE
}

/** @throws bad-packet-size (operator) for sizes that no packet can have */
export function geometryOf (packetSize: number): Geometry {
  if (!isPacketSize(packetSize)) {
    throw new MixmintError('bad-packet-size', 'operator',
      `packets have ${HEADER_SIZE + MIN_PAYLOAD_SIZE} to ${MAX_PACKET_SIZE} bytes, not ${packetSize}; correct packetSize in the network's parameters`)
  }
  const payloadSize = packetSize - HEADER_SIZE
  return { packetSize, payloadSize, messageSize: payloadSize - PAYLOAD_CHECK_SIZE }
}
