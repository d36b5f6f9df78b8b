/**
 * Taking one layer off a packet (LIP-99 §8.6). In this order: size, alpha, gamma, replay tag, block, payload; so that
 * only a packet that its sender made for this key can leave a tag, and a packet seen before costs least.
 */
import { equalSecret, isZero, wipe } from '@mixmint/core/kit/bytes'
import type { Suite } from '@mixmint/core/crypto/suite'
import {
  ADDRESS_SIZE, ALPHA_SIZE, BETA_SIZE, BLOCK_SIZE, DELAY_SIZE, HEADER_SIZE, isPacketSize, LAST_MARK_SIZE,
  PAYLOAD_CHECK_SIZE
} from './layout.ts'
import { blinding, cryptBeta, macBeta, replayTag } from './keys.ts'
import { lionessDecrypt } from './lioness.ts'

export type DropReason =
  /** Not the size of a packet; at a mix, any other than that of its network. */
  | 'size'
  /** alpha is not below p = 2^255 − 19 or of low order: not what a sender computes. */
  | 'alpha'
  /** gamma does not match: changed on the way, or made for another key. */
  | 'mac'
  | 'replay'
  /** The set of seen tags is full; it cannot be told whether this one is new. */
  | 'replay-full'
  /** A last hop's block that is neither an exit's nor a reply's. */
  | 'block'
  /** The zeros before the message are not there: the payload was changed on the way. */
  | 'payload'

export type Peeled =
  /** For `next` (an address block, 94 bytes) after a delay drawn around the mean `delay` in ms. */
  | { readonly kind: 'forward', readonly tag: Uint8Array, readonly next: Uint8Array, readonly delay: number, readonly packet: Uint8Array }
  /** The end of a path: a message for `destination` (94 bytes; zero: for this node). */
  | { readonly kind: 'exit', readonly tag: Uint8Array, readonly destination: Uint8Array, readonly message: Uint8Array }
  /** The end of a SURB's path: a payload for `openReply` with the secrets kept under this id (16 bytes). */
  | { readonly kind: 'reply', readonly tag: Uint8Array, readonly surbId: Uint8Array, readonly payload: Uint8Array }
  | { readonly kind: 'drop', readonly reason: DropReason }

const DELAY = ADDRESS_SIZE
const BLOCK_TAIL = DELAY + DELAY_SIZE

/**
 * Never throws on any packet; the packet is not changed. Takes packets of any size: that all have the one size of the
 * network is its caller's to see to.
 * @param privateKey the X25519 mix key, 32 bytes
 * @param seen checks and inserts the tag (32 bytes) in one step; without it replays are not looked for
 */
export function peel (suite: Suite, privateKey: Uint8Array, packet: Uint8Array, seen?: (tag: Uint8Array) => 'new' | 'seen' | 'full'): Peeled {
  if (!isPacketSize(packet.length)) return drop('size')
  const alpha = packet.subarray(0, ALPHA_SIZE)
  if (!isCanonical(alpha)) return drop('alpha')
  const secret = suite.x25519(privateKey, alpha)
  if (secret === null) return drop('alpha')
  const peeled = peelWith(suite, secret, packet, seen)
  wipe(secret)
  return peeled
}

function peelWith (suite: Suite, secret: Uint8Array, packet: Uint8Array, seen?: (tag: Uint8Array) => 'new' | 'seen' | 'full'): Peeled {
  const beta = packet.subarray(ALPHA_SIZE, ALPHA_SIZE + BETA_SIZE)
  const gamma = packet.subarray(ALPHA_SIZE + BETA_SIZE, HEADER_SIZE)
  const delta = packet.subarray(HEADER_SIZE)
  if (!equalSecret(macBeta(suite, secret, beta), gamma)) return drop('mac')

  const tag = replayTag(suite, secret)
  const verdict = seen === undefined ? 'new' : seen(tag)
  if (verdict !== 'new') return drop(verdict === 'seen' ? 'replay' : 'replay-full')

  const padded = new Uint8Array(BETA_SIZE + BLOCK_SIZE)
  padded.set(beta)
  const inner = cryptBeta(suite, secret, padded)
  const address = inner.subarray(0, ADDRESS_SIZE)
  const delay = inner[DELAY] << 8 | inner[DELAY + 1]
  const tail = inner.subarray(BLOCK_TAIL, BLOCK_SIZE)

  if (delay === 0 && isZero(inner.subarray(BLOCK_SIZE, BLOCK_SIZE + LAST_MARK_SIZE))) {
    const exit = isZero(tail)
    if (!exit && !isZero(address)) return drop('block')
    const payload = new Uint8Array(delta.length)
    lionessDecrypt(suite, secret, delta, payload)
    if (!exit) return { kind: 'reply', tag, surbId: tail.slice(), payload }
    if (!isZero(payload.subarray(0, PAYLOAD_CHECK_SIZE))) return drop('payload')
    return { kind: 'exit', tag, destination: address, message: payload.subarray(PAYLOAD_CHECK_SIZE) }
  }

  const alpha = packet.subarray(0, ALPHA_SIZE)
  const nextAlpha = suite.x25519(blinding(suite, alpha, secret), alpha)
  if (nextAlpha === null) return drop('alpha')
  const next = new Uint8Array(packet.length)
  next.set(nextAlpha)
  next.set(inner.subarray(BLOCK_SIZE), ALPHA_SIZE)
  next.set(tail, ALPHA_SIZE + BETA_SIZE)
  lionessDecrypt(suite, secret, delta, next.subarray(HEADER_SIZE))
  return { kind: 'forward', tag, next: address, delay, packet: next }
}

function drop (reason: DropReason): Peeled {
  return { kind: 'drop', reason }
}

/** Is this little-endian number below p = 2^255 − 19? Otherwise another encoding of the same point exists. */
function isCanonical (alpha: Uint8Array): boolean {
  if (alpha[31] !== 0x7f) return alpha[31] < 0x7f
  for (let i = 30; i > 0; i--) if (alpha[i] !== 0xff) return true
  return alpha[0] < 0xed
}
