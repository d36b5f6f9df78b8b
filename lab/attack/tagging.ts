/**
 * Tagging (Danezis and Goldberg, "Sphinx: a compact and provably secure mix format", IEEE S&P 2009, §2 and §4): a mix changes a
 * packet that it passes on, and a colluder behind honest mixes looks for the change, undoes it, and so knows the packet
 * again without harm to it. Of n packets, each tagged by flipping one bit of what the second hop passes on:
 *
 *   recognized   the colluder flips the bit back, and the message arrives whole: he had the packet before him
 *   dropped      where, and under which reason, an honest engine counts it, if nobody flips it back
 *
 * Beside it the same with a payload under a plain stream cipher (LIONESS without its hash rounds), which is what the wide-block
 * cipher is there against: that tag is recognized.
 */
import type { Suite } from '@mixmint/core/crypto/suite'
import { ALPHA_SIZE, BETA_SIZE, HEADER_SIZE } from '@mixmint/mixnet/sphinx/layout'
import { equal } from '@mixmint/core/kit/bytes'
import { keptRng, Line, MESSAGE_SIZE, PACKET_SIZE } from './line.ts'

export interface Tagging {
  readonly payload: 'wide block' | 'stream'
  /** Where the bit is. */
  readonly tag: string
  readonly packets: number
  readonly recognized: number
  /** Left as they are, they arrived all the same, whole or not. */
  readonly arrived: number
  /** Where all were dropped, by how many, and why; hops from 1. */
  readonly dropped: Readonly<Record<string, number>>
}

/** Bytes of a packet whose first bit is flipped. */
const TAGS = {
  'alpha': 0,
  'beta, first byte': ALPHA_SIZE,
  'beta, last byte': ALPHA_SIZE + BETA_SIZE - 1,
  'gamma': HEADER_SIZE - 1,
  'payload, first byte': HEADER_SIZE,
  'payload, last byte': PACKET_SIZE - 1
} as const
type Tag = keyof typeof TAGS

/** A gateway, three mixes, a service; the first mix tags, the third looks, and one honest mix is between. */
const HOPS = 5
const TAGGER = 1
const COLLUDER = 3

export function tagging (suite: Suite, packets: number, seed: number): Tagging[] {
  const plain: Suite = { ...suite, blake2b256: () => new Uint8Array(32) }
  return [
    ...(Object.keys(TAGS) as Tag[]).map(tag => measure(suite, 'wide block', tag, packets, seed)),
    measure(plain, 'stream', 'payload, last byte', packets, seed)
  ]
}

function measure (suite: Suite, payload: Tagging['payload'], tag: Tag, packets: number, seed: number): Tagging {
  const line = new Line(suite, HOPS, seed)
  const rng = keptRng(seed, 'messages')
  const dropped: Record<string, number> = {}
  let [recognized, arrived] = [0, 0]
  const flip = (packet: Uint8Array): Uint8Array => {
    const changed = packet.slice()
    changed[TAGS[tag]] ^= 1
    return changed
  }
  for (let i = 0; i < packets; i++) {
    for (const undone of [true, false]) {
      const message = new Uint8Array(MESSAGE_SIZE)
      message.set(rng.bytes(32))
      const end = walk(line, message, (hop, packet) => hop === TAGGER || (undone && hop === COLLUDER - 1) ? flip(packet) : packet)
      if (typeof end === 'string') {
        if (!undone) dropped[end] = (dropped[end] ?? 0) + 1
      } else if (!undone) {
        arrived += 1
      } else if (equal(end, message)) {
        recognized += 1
      }
    }
  }
  return { payload, tag, packets, recognized, arrived, dropped }
}

/**
 * Through all hops.
 * @param between what becomes of a packet after a hop
 * @returns the message that arrived, or where it was dropped and why
 */
function walk (line: Line, message: Uint8Array, between: (hop: number, packet: Uint8Array) => Uint8Array): Uint8Array | string {
  let packet = line.packet(message)
  for (let hop = 0; hop < HOPS; hop++) {
    const left = line.pass(hop, packet)
    if (typeof left === 'string') return `hop ${hop + 1}: ${left}`
    if (left.kind === 'deliver') return left.message
    if (left.kind !== 'forward') return `hop ${hop + 1}: ${left.kind}`
    packet = between(hop, left.packet)
  }
  return 'nowhere'
}
