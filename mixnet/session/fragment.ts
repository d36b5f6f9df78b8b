/**
 * Fragments: what the two ends of an anonymous request say to each other, inside the `data` of Sphinx messages whose
 * codec is the protocol asked for (DESIGN §2 "Message", §7). Integers are big-endian.
 *
 *   request part   0        1         17         49        53        55        57        59       60
 *                  version  id        binding    total     chunk     index     flight    wanted   wants       data
 *                  1        16        32         4         2         2         2         1        2 · wanted  …
 *
 *   reply part     0        1         2          4         6         8         10
 *                  version  kind      flight     seen      held      unsent    body
 *                  1        1         2          2         2         2         …
 *     kind 1 answer:  answer 16 ‖ total 4 ‖ chunk 2 ‖ index 2 ‖ data
 *     kind 2 status:  stage 1 ‖ count 2 ‖ bitmap of the request fragments that are missing, ⌈count/8⌉
 *     kind 3 refusal: CBOR of `Refusal`
 *
 * Content of `total` bytes is cut in fragments of `chunk` bytes, the last one shorter; index 0xffff is a part that only
 * brings SURBs. `binding` = H(tag ‖ id ‖ protocol length ‖ protocol ‖ content): parts belong together when id and binding
 * agree, so two contents under one id never meet. `wants` names answer fragments to send (again) with the SURBs of this
 * very part. `flight` counts the requester's (re)transmissions and is echoed. `seen` counts the SURBs that arrived so
 * far, `held` those left, `unsent` the answer fragments that still wait for one.
 */
import { concat, u32, utf8 } from '@mixmint/core/kit/bytes'
import { bool, decode, encode, oneOf, record, tagged, text, type Of } from '@mixmint/core/kit/codec'
import type { Suite } from '@mixmint/core/crypto/suite'

export const ID_LENGTH = 16
export const REQUEST_HEADER = 60
export const ANSWER_HEADER = 34
const REPLY_HEADER = 10
const VERSION = 1
/** The index of a part without data. */
const NO_INDEX = 0xffff
/** Shortest fragments that are accepted: they bound the number of fragments that a total may claim. */
export const MIN_REQUEST_CHUNK = 64
export const MIN_ANSWER_CHUNK = 512
const MAX_WANTS = 32
const BITS = 8

export interface RequestPart {
  readonly id: Uint8Array
  readonly binding: Uint8Array
  readonly total: number
  readonly chunk: number
  /** Null: this part only brings SURBs, `data` is empty. */
  readonly index: number | null
  readonly flight: number
  readonly wants: readonly number[]
  readonly data: Uint8Array
}

/** Why a service does not answer; like MixmintError. */
export const Refusal = record({ code: text(64), fault: oneOf('caller', 'peer', 'operator', 'us'), retry: bool, message: text(512) })
export type Refusal = Of<typeof Refusal>

export interface Tally { readonly flight: number, readonly seen: number, readonly held: number, readonly unsent: number }
export type ReplyPart = Tally & (
  | { readonly kind: 'answer', readonly answer: Uint8Array, readonly total: number, readonly chunk: number, readonly index: number, readonly data: Uint8Array }
  | { readonly kind: 'gathering', readonly count: number, readonly missing: readonly number[] }
  | { readonly kind: 'running' }
  | { readonly kind: 'refused', readonly refusal: Refusal })

/** Into how many fragments this content is cut; empty content is one empty fragment. */
export function fragmentCount (total: number, chunk: number): number {
  return Math.max(1, Math.ceil(total / chunk))
}

export function fragmentLength (total: number, chunk: number, index: number): number {
  return Math.min(chunk, total - index * chunk)
}

export function fragmentOf (content: Uint8Array, chunk: number, index: number): Uint8Array {
  return content.subarray(index * chunk, Math.min(content.length, (index + 1) * chunk))
}

/** 32 bytes that tie the parts of a request to its whole content. */
export function bindingOf (suite: Suite, id: Uint8Array, protocol: string, content: Uint8Array): Uint8Array {
  const name = utf8(protocol)
  return suite.sha256(tagged('request', id, u32(name.length), name, content))
}

/** 16 bytes that name one answer, so that fragments of two runs of a handler are never joined. */
export function answerIdOf (suite: Suite, content: Uint8Array): Uint8Array {
  return suite.sha256(tagged('answer', content)).slice(0, ID_LENGTH)
}

export function writeRequest (part: RequestPart): Uint8Array {
  const head = new Uint8Array(REQUEST_HEADER + 2 * part.wants.length)
  const view = new DataView(head.buffer)
  head[0] = VERSION
  head.set(part.id, 1)
  head.set(part.binding, 17)
  view.setUint32(49, part.total)
  view.setUint16(53, part.chunk)
  view.setUint16(55, part.index ?? NO_INDEX)
  view.setUint16(57, part.flight)
  head[59] = part.wants.length
  part.wants.forEach((want, i) => { view.setUint16(REQUEST_HEADER + 2 * i, want) })
  return concat(head, part.data)
}

/** Null for anything that `writeRequest` does not write. The fields are views of `data`. */
export function readRequest (data: Uint8Array): RequestPart | null {
  if (data.length < REQUEST_HEADER || data[0] !== VERSION) return null
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength)
  const total = view.getUint32(49)
  const chunk = view.getUint16(53)
  const rawIndex = view.getUint16(55)
  const wanted = data[59]
  const start = REQUEST_HEADER + 2 * wanted
  if (chunk < MIN_REQUEST_CHUNK || wanted > MAX_WANTS || data.length < start) return null
  const index = rawIndex === NO_INDEX ? null : rawIndex
  if (index !== null && index >= fragmentCount(total, chunk)) return null
  if (data.length - start !== (index === null ? 0 : fragmentLength(total, chunk, index))) return null
  const wants = Array.from({ length: wanted }, (_, i) => view.getUint16(REQUEST_HEADER + 2 * i))
  return {
    id: data.subarray(1, 17), binding: data.subarray(17, 49), total, chunk, index, flight: view.getUint16(57), wants, data: data.subarray(start)
  }
}

export function writeReply (part: ReplyPart): Uint8Array {
  const head = new Uint8Array(REPLY_HEADER)
  const view = new DataView(head.buffer)
  head[0] = VERSION
  head[1] = part.kind === 'answer' ? 1 : part.kind === 'refused' ? 3 : 2
  view.setUint16(2, part.flight)
  view.setUint16(4, Math.min(part.seen, 0xffff))
  view.setUint16(6, Math.min(part.held, 0xffff))
  view.setUint16(8, Math.min(part.unsent, 0xffff))
  switch (part.kind) {
    case 'answer': return concat(head, part.answer, u32(part.total), u16(part.chunk), u16(part.index), part.data)
    case 'gathering': return concat(head, Uint8Array.of(0), u16(part.count), bitmap(part.missing, part.count))
    case 'running': return concat(head, Uint8Array.of(1), u16(0))
    case 'refused': return concat(head, encode(Refusal, part.refusal))
  }
}

/** Null for anything that `writeReply` does not write. */
export function readReply (data: Uint8Array): ReplyPart | null {
  if (data.length < REPLY_HEADER || data[0] !== VERSION) return null
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength)
  const tally = { flight: view.getUint16(2), seen: view.getUint16(4), held: view.getUint16(6), unsent: view.getUint16(8) }
  const body = data.subarray(REPLY_HEADER)
  switch (data[1]) {
    case 1: return readAnswer(tally, body)
    case 2: return readStatus(tally, body)
    case 3: return readRefusal(tally, body)
    default: return null
  }
}

function readAnswer (tally: Tally, body: Uint8Array): ReplyPart | null {
  if (body.length < ANSWER_HEADER - REPLY_HEADER) return null
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength)
  const total = view.getUint32(16)
  const chunk = view.getUint16(20)
  const index = view.getUint16(22)
  const data = body.subarray(24)
  if (chunk < MIN_ANSWER_CHUNK || index >= fragmentCount(total, chunk)) return null
  if (data.length !== fragmentLength(total, chunk, index)) return null
  return { ...tally, kind: 'answer', answer: body.subarray(0, ID_LENGTH), total, chunk, index, data }
}

function readStatus (tally: Tally, body: Uint8Array): ReplyPart | null {
  if (body.length < 3 || body[0] > 1) return null
  const count = body[1] << BITS | body[2]
  if (body[0] === 1) return count === 0 && body.length === 3 ? { ...tally, kind: 'running' } : null
  const missing = indices(body.subarray(3), count)
  return missing === null || missing.length === 0 ? null : { ...tally, kind: 'gathering', count, missing }
}

function readRefusal (tally: Tally, body: Uint8Array): ReplyPart | null {
  try {
    return { ...tally, kind: 'refused', refusal: decode(Refusal, body) }
  } catch {
    return null
  }
}

function bitmap (set: readonly number[], count: number): Uint8Array {
  const out = new Uint8Array(Math.ceil(count / BITS))
  for (const i of set) out[i >> 3] |= 0x80 >> (i & 7)
  return out
}

/** The members of a bitmap of `count` bits, or null if it has another length or a bit beyond. */
function indices (map: Uint8Array, count: number): number[] | null {
  if (map.length !== Math.ceil(count / BITS)) return null
  const set: number[] = []
  for (let i = 0; i < map.length * BITS; i++) if ((map[i >> 3] & 0x80 >> (i & 7)) !== 0) set.push(i)
  return set.length > 0 && set[set.length - 1] >= count ? null : set
}

function u16 (value: number): Uint8Array {
  return Uint8Array.of(value >> BITS, value & 0xff)
}
