/** Wrapping a message for a path (LIP-99 §8.5.2): a header, and the message behind 16 zeros under one layer per hop. */
import { MixmintError } from '@mixmint/core/kit/errors'
import { wipe } from '@mixmint/core/kit/bytes'
import type { Suite } from '@mixmint/core/crypto/suite'
import { HEADER_SIZE, isPacketSize, PAYLOAD_CHECK_SIZE, SURB_ID_SIZE } from './layout.ts'
import { buildHeader, type Hop } from './header.ts'
import { lionessEncrypt } from './lioness.ts'

export type { Hop } from './header.ts'

const NO_SURB_ID = new Uint8Array(SURB_ID_SIZE)

/**
 * A packet for the first hop: 640 bytes more than the message.
 * @param ephemeral 32 random bytes, used for this packet only
 * @param destination 94 bytes; zero: the last hop is the destination
 * @param message as long as all messages of the network (3968 bytes by default), see message.ts
 * @throws bad-path, bad-message (caller); bad-hop-key (peer) when a hop's key is of low order
 */
export function wrap (suite: Suite, ephemeral: Uint8Array, hops: readonly Hop[], destination: Uint8Array, message: Uint8Array): Uint8Array {
  const packet = plainPacket(message)
  const { header, secrets } = buildHeader(suite, ephemeral, hops, destination, NO_SURB_ID)
  packet.set(header)
  const delta = packet.subarray(HEADER_SIZE)
  for (const secret of secrets.reverse()) lionessEncrypt(suite, secret, delta, delta)
  wipe(...secrets)
  return packet
}

/** A packet with no header yet and nothing encrypted: the message behind its 16 zeros. @throws bad-message (caller) */
export function plainPacket (message: Uint8Array): Uint8Array {
  const size = HEADER_SIZE + PAYLOAD_CHECK_SIZE + message.length
  if (!isPacketSize(size)) {
    throw new MixmintError('bad-message', 'caller', `no packet can carry a message of ${message.length} bytes; pad it with encodeMessage to the network's size`)
  }
  const packet = new Uint8Array(size)
  packet.set(message, HEADER_SIZE + PAYLOAD_CHECK_SIZE)
  return packet
}
