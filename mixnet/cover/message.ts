/**
 * What cover packets say to whom they reach: the `data` of a Sphinx message whose codec is `/mixmint/cover/1`.
 *
 *   drop     0                          nothing is wanted
 *   echo     1, beside one SURB         to be answered through it
 *   answer   2                          what comes back
 *   loop     3 ‖ nonce 16               from oneself to oneself
 *
 * Only the last hop reads it. To all others these packets are like any.
 */
import { concat } from '@mixmint/core/kit/bytes'
import { encodeMessage, type Message } from '../sphinx/message.ts'

const COVER_PROTOCOL = '/mixmint/cover/1'
export const NONCE_SIZE = 16

export type CoverMessage =
  | { readonly is: 'drop' }
  /** 734 bytes. */
  | { readonly is: 'echo', readonly surb: Uint8Array }
  | { readonly is: 'answer' }
  /** 16 bytes. */
  | { readonly is: 'loop', readonly nonce: Uint8Array }

const KINDS = ['drop', 'echo', 'answer', 'loop'] as const

/**
 * A message for `wrap` or `useSurb`.
 * @param size bytes of every message in this network
 * @throws bad-message (caller)
 */
export function writeCover (size: number, cover: CoverMessage): Uint8Array {
  const kind = Uint8Array.of(KINDS.indexOf(cover.is))
  return encodeMessage(size, {
    codec: COVER_PROTOCOL,
    surbs: cover.is === 'echo' ? [cover.surb] : [],
    data: cover.is === 'loop' ? concat(kind, cover.nonce) : kind,
    sequence: 0
  })
}

/** Is this message cover at all? */
export function isCover ({ codec }: Message): boolean {
  return codec === COVER_PROTOCOL
}

/** Null for any cover that `writeCover` does not write. The fields are views of the message. */
export function readCover ({ surbs, data, sequence }: Message): CoverMessage | null {
  const is = KINDS[data[0]]
  if (sequence !== 0 || surbs.length !== (is === 'echo' ? 1 : 0) || data.length !== (is === 'loop' ? 1 + NONCE_SIZE : 1)) return null
  switch (is) {
    case 'echo': return { is, surb: surbs[0] }
    case 'loop': return { is, nonce: data.subarray(1) }
    default: return is === undefined ? null : { is }
  }
}
