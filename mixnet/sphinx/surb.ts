/**
 * Single-use reply blocks (LIP-99 §8.7): a header that its owner made for the way back, with itself as the last hop.
 * The replier encrypts once under the SURB's key, each hop takes a layer off that was never put on, and the owner, who
 * knows every secret, puts them back.
 *
 * That a SURB is used once and in time is the session's business: two packets from one SURB have the same replay tags.
 */
import { concat, isZero } from '@mixmint/core/kit/bytes'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Suite } from '@mixmint/core/crypto/suite'
import {
  ADDRESS_SIZE, HEADER_SIZE, MIN_PAYLOAD_SIZE, PAYLOAD_CHECK_SIZE, SURB_ID_SIZE, SURB_KEY_SIZE, SURB_SIZE
} from './layout.ts'
import { buildHeader, type Hop } from './header.ts'
import { lionessDecrypt, lionessEncrypt } from './lioness.ts'
import { plainPacket } from './wrap.ts'

/** What the owner keeps until the reply comes, under the id. */
export interface SurbSecrets {
  /** 16 bytes. */
  readonly id: Uint8Array
  /** 16 bytes. */
  readonly key: Uint8Array
  /** The shared secret of each hop, 32 bytes, in path order. */
  readonly secrets: readonly Uint8Array[]
}

const HERE = new Uint8Array(ADDRESS_SIZE)

/**
 * A SURB over this path, whose last hop is the owner.
 * @param ephemeral 32 random bytes, used for this SURB only
 * @param id 16 random bytes, not all zero
 * @param key 16 random bytes
 * @returns the SURB to give away, 734 bytes, and what to keep
 * @throws bad-path, bad-surb (caller); bad-hop-key (peer) when a hop's key is of low order
 */
export function createSurb (suite: Suite, ephemeral: Uint8Array, hops: readonly Hop[], id: Uint8Array, key: Uint8Array): { surb: Uint8Array, secrets: SurbSecrets } {
  if (id.length !== SURB_ID_SIZE || isZero(id)) throw new MixmintError('bad-surb', 'caller', `a SURB id has ${SURB_ID_SIZE} bytes, not all of them zero`)
  if (key.length !== SURB_KEY_SIZE) throw new MixmintError('bad-surb', 'caller', `a SURB key has ${SURB_KEY_SIZE} bytes`)
  const { header, secrets } = buildHeader(suite, ephemeral, hops, HERE, id)
  return { surb: concat(hops[0].address, header, key), secrets: { id: new Uint8Array(id), key: new Uint8Array(key), secrets } }
}

/**
 * The packet that answers through a SURB, and the address block of the node to give it to.
 * Null when these bytes are no SURB; whether its header is good only its hops can tell.
 * @param message as long as all messages of the network
 * @throws bad-message (caller)
 */
export function useSurb (suite: Suite, surb: Uint8Array, message: Uint8Array): { firstHop: Uint8Array, packet: Uint8Array } | null {
  const packet = plainPacket(message)
  if (surb.length !== SURB_SIZE) return null
  const firstHop = new Uint8Array(surb.subarray(0, ADDRESS_SIZE))
  if (isZero(firstHop)) return null
  packet.set(surb.subarray(ADDRESS_SIZE, ADDRESS_SIZE + HEADER_SIZE))
  const delta = packet.subarray(HEADER_SIZE)
  lionessEncrypt(suite, surb.subarray(ADDRESS_SIZE + HEADER_SIZE), delta, delta)
  return { firstHop, packet }
}

/** The message of a peeled reply's payload, or null when it was changed on the way or belongs to another SURB. */
export function openReply (suite: Suite, { key, secrets }: SurbSecrets, payload: Uint8Array): Uint8Array | null {
  if (payload.length < MIN_PAYLOAD_SIZE) return null
  const delta = new Uint8Array(payload)
  for (let i = secrets.length - 1; i >= 0; i--) lionessEncrypt(suite, secrets[i], delta, delta)
  lionessDecrypt(suite, key, delta, delta)
  return isZero(delta.subarray(0, PAYLOAD_CHECK_SIZE)) ? delta.subarray(PAYLOAD_CHECK_SIZE) : null
}
