/**
 * Requests and replies between two nodes: one stream for each neighbour and protocol, on which many requests are in
 * flight at a time and are answered in any order. A frame (frames.ts) is:
 *
 *   id 4, big-endian ‖ kind 1 ‖ body        kind 0 request, 1 reply, 2 refusal (deterministic CBOR, see `Refusal`)
 *
 * This page has what both sides share; rpc-server.ts answers, rpc-client.ts asks.
 */
import { concat, u32 } from '@mixmint/core/kit/bytes'
import { bool, decode, encode, oneOf, record, text } from '@mixmint/core/kit/codec'
import { MixmintError } from '@mixmint/core/kit/errors'

export const REQUEST = 0
export const REPLY = 1
export const REFUSAL = 2
export const HEADER_SIZE = 5

export interface RpcFrame { readonly id: number, readonly kind: number, readonly body: Uint8Array }

export function rpcFrame (id: number, kind: number, body: Uint8Array): Uint8Array {
  return concat(u32(id), Uint8Array.of(kind), body)
}

/** @param frame at least HEADER_SIZE bytes, as the limits of `readFrames` see to */
export function parseRpcFrame (frame: Uint8Array): RpcFrame {
  const id = new DataView(frame.buffer, frame.byteOffset).getUint32(0)
  return { id, kind: frame[4], body: frame.subarray(HEADER_SIZE) }
}

const MOST_CODE = 64
const MOST_MESSAGE = 512
const Refusal = record({ code: text(MOST_CODE), fault: oneOf('caller', 'peer', 'operator', 'us'), retry: bool, message: text(MOST_MESSAGE) })
/** Bytes of the longest refusal, whatever the limit of replies is. */
export const REFUSAL_SIZE = 4 * (MOST_CODE + MOST_MESSAGE) + 64

export function encodeRefusal ({ code, fault, retry, message }: MixmintError): Uint8Array {
  return encode(Refusal, { code: code.slice(0, MOST_CODE), fault, retry, message: message.slice(0, MOST_MESSAGE) })
}

/** The peer's refusal as an error; the fault is seen from the peer. @throws bad-encoding (peer) */
export function decodeRefusal (body: Uint8Array): MixmintError {
  const { code, fault, retry, message } = decode(Refusal, body, REFUSAL_SIZE)
  return new MixmintError(code, fault, message, { retry })
}
