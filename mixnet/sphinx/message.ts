/**
 * The message inside a packet, in one network always of one size, by default 3968 bytes (LIP-99 §8.3.4); numbers big-endian unless said otherwise:
 *
 *   padding length 2 ‖ zero padding ‖ data ‖ sequence number 4
 *   data = codec length (unsigned LEB128) ‖ codec (UTF-8) ‖ SURB count 1 ‖ SURBs, 734 each ‖ bytes
 *   data of a bare reply (below) = codec length 0 ‖ bytes
 *
 * Decoding takes exactly what encoding writes: padding of zeros, the shortest length, valid UTF-8. A second encoding of
 * the same message would be a mark.
 */
import { isZero, utf8 } from '@mixmint/core/kit/bytes'
import { MixmintError } from '@mixmint/core/kit/errors'
import { SURB_SIZE } from './layout.ts'

const PADDING_LENGTH_SIZE = 2
const SEQUENCE_SIZE = 4
const SURB_COUNT_SIZE = 1
const NO_CODEC = Uint8Array.of(0)
const FRAME_SIZE = PADDING_LENGTH_SIZE + SEQUENCE_SIZE
/** Two LEB128 bytes are the most a codec that fits into a message can need. */
const TWO_BYTES_FROM = 0x80

export interface Message {
  /** The protocol that the bytes are for. */
  readonly codec: string
  /** 734 bytes each. */
  readonly surbs: readonly Uint8Array[]
  readonly data: Uint8Array
  /** 0 to 2^32 − 1. */
  readonly sequence: number
}

/** How many bytes of data fit into a message of `size` bytes beside this codec and so many SURBs; negative when even those do not fit. */
export function dataCapacity (size: number, codec: string, surbCount: number): number {
  return capacity(size, utf8(codec).length, surbCount)
}

function capacity (size: number, codecLength: number, surbCount: number): number {
  const prefix = codecLength < TWO_BYTES_FROM ? 1 : 2
  return size - FRAME_SIZE - prefix - codecLength - SURB_COUNT_SIZE - surbCount * SURB_SIZE
}

/**
 * @param size bytes of every message in this network, see `geometryOf`
 * @throws bad-message (caller) when it does not fit, or a SURB or the sequence number is malformed
 */
export function encodeMessage (size: number, { codec, surbs, data, sequence }: Message): Uint8Array {
  const name = utf8(codec)
  const padding = capacity(size, name.length, surbs.length) - data.length
  if (padding < 0) throw bad(`the message is ${-padding} bytes too long; see dataCapacity`)
  if (surbs.some(surb => surb.length !== SURB_SIZE)) throw bad(`a SURB has ${SURB_SIZE} bytes`)
  if (!Number.isInteger(sequence) || sequence < 0 || sequence > 0xffffffff) throw bad('the sequence number must be 0 to 2^32 − 1')

  const out = new Uint8Array(size)
  const view = new DataView(out.buffer)
  view.setUint16(0, padding)
  let at = PADDING_LENGTH_SIZE + padding
  if (name.length < TWO_BYTES_FROM) {
    out[at++] = name.length
  } else {
    out[at++] = name.length & 0x7f | 0x80
    out[at++] = name.length >> 7
  }
  out.set(name, at)
  at += name.length
  out[at++] = surbs.length
  for (const surb of surbs) {
    out.set(surb, at)
    at += SURB_SIZE
  }
  out.set(data, at)
  view.setUint32(size - SEQUENCE_SIZE, sequence)
  return out
}

function bad (message: string): MixmintError {
  return new MixmintError('bad-message', 'caller', message)
}

/** How many bytes a bare reply holds, in a message of `size` bytes. */
export function bareCapacity (size: number): number {
  return size - FRAME_SIZE - NO_CODEC.length
}

/**
 * A message that is nothing but bytes, as the reference implementation answers through a SURB (LIP-99 §8.7.3): who asked
 * knows which request the SURB belongs to.
 * @throws bad-message (caller) when it does not fit
 */
export function encodeBare (size: number, data: Uint8Array, sequence: number): Uint8Array {
  const padding = bareCapacity(size) - data.length
  if (padding < 0) throw bad(`the reply is ${-padding} bytes too long; see bareCapacity`)
  const out = new Uint8Array(size)
  const view = new DataView(out.buffer)
  view.setUint16(0, padding)
  out.set(NO_CODEC, PADDING_LENGTH_SIZE + padding)
  out.set(data, PADDING_LENGTH_SIZE + padding + NO_CODEC.length)
  view.setUint32(size - SEQUENCE_SIZE, sequence)
  return out
}

/** The bytes, as a view; null for anything that `encodeBare` does not write. Never throws. */
export function decodeBare (message: Uint8Array): Uint8Array | null {
  const body = unpadded(message)
  return body === null || body[0] !== 0 ? null : body.subarray(NO_CODEC.length)
}

/** What stands behind the padding, and before the sequence number: not empty. Null: there is none, or the padding is not of zeros. */
function unpadded (message: Uint8Array): Uint8Array | null {
  if (message.length < FRAME_SIZE) return null
  const padding = message[0] << 8 | message[1]
  const [at, end] = [PADDING_LENGTH_SIZE + padding, message.length - SEQUENCE_SIZE]
  return at >= end || !isZero(message.subarray(PADDING_LENGTH_SIZE, at)) ? null : message.subarray(at, end)
}

/** The parts of a message, as views of its bytes; null for anything that `encodeMessage` does not write. Never throws. */
export function decodeMessage (message: Uint8Array): Message | null {
  const body = unpadded(message)
  if (body === null) return null
  let at = 0
  let length = body[at++]
  if (length >= TWO_BYTES_FROM) {
    if (at >= body.length) return null
    const high = body[at++]
    if (high === 0 || high >= TWO_BYTES_FROM) return null
    length = length & 0x7f | high << 7
  }
  if (at + length + SURB_COUNT_SIZE > body.length) return null
  const codec = text(body.subarray(at, at + length))
  if (codec === null) return null
  at += length

  const count = body[at++]
  if (at + count * SURB_SIZE > body.length) return null
  const surbs: Uint8Array[] = []
  for (let i = 0; i < count; i++, at += SURB_SIZE) surbs.push(body.subarray(at, at + SURB_SIZE))
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength)
  return { codec, surbs, data: body.subarray(at), sequence: view.getUint32(message.length - SEQUENCE_SIZE) }
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function text (bytes: Uint8Array): string | null {
  try {
    return decoder.decode(bytes)
  } catch {
    return null
  }
}
