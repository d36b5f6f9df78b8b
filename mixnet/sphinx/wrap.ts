/** Wrapping a message for a path (LIP-99 §8.5.2): a header, and the message behind 16 zeros under one layer per hop. */
import { MixmintError } from '@mixmint/core/kit/errors'
import { wipe } from '@mixmint/core/kit/bytes'
import type { Suite } from '@mixmint/core/crypto/suite'
import { HEADER_SIZE, MESSAGE_SIZE, PACKET_SIZE, PAYLOAD_CHECK_SIZE, SURB_ID_SIZE } from './layout.ts'
import { buildHeader, type Hop } from './header.ts'
import { lionessEncrypt } from './lioness.ts'

export type { Hop } from './header.ts'

const NO_SURB_ID = new Uint8Array(SURB_ID_SIZE)

/**
 * A packet for the first hop, 4608 bytes.
 * @param ephemeral 32 random bytes, used for this packet only
 * @param destination 94 bytes; zero: the last hop is the destination
 * @param message 3968 bytes, see message.ts
 * @throws bad-path, bad-message (caller); bad-hop-key (peer) when a hop's key is of low order
 */
export function wrap (suite: Suite, ephemeral: Uint8Array, hops: readonly Hop[], destination: Uint8Array, message: Uint8Array): Uint8Array {
  checkMessage(message)
  const { header, secrets } = buildHeader(suite, ephemeral, hops, destination, NO_SURB_ID)
  const packet = new Uint8Array(PACKET_SIZE)
  packet.set(header)
  packet.set(message, HEADER_SIZE + PAYLOAD_CHECK_SIZE)
  const delta = packet.subarray(HEADER_SIZE)
  for (const secret of secrets.reverse()) lionessEncrypt(suite, secret, delta, delta)
  wipe(...secrets)
  return packet
}

export function checkMessage (message: Uint8Array): void {
  if (message.length !== MESSAGE_SIZE) {
    throw new MixmintError('bad-message', 'caller', `a message has ${MESSAGE_SIZE} bytes, not ${message.length}; pad it with encodeMessage`)
  }
}
