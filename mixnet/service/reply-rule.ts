/**
 * Where a reply ends. A request over the mix is one message each way, but the protocols that run over it speak on streams,
 * which many leave open; so whoever serves a protocol declares how its reply is told from what may come after.
 */
import { MixmintError } from '@mixmint/core/kit/errors'

/** How a reply ends: made by `exactly`, `lengthPrefixed` or `untilEnd`. */
export type ReplyRule =
  | {
    /** By what the end is known: a number of bytes, the length before a message, or the end of the stream. */
    readonly ends: 'after'
    readonly bytes: number
  }
  | { readonly ends: 'with-message', readonly max: number }
  | { readonly ends: 'with-stream', readonly max: number }

/** Lengths are unsigned varints of at most so many bytes. */
const LENGTH_BYTES = 4
const FIRST_BYTES = 64

/**
 * A reply of just so many bytes; ping's is `exactly(32)`. What comes after them is not read.
 * @throws bad-argument (caller)
 */
export function exactly (bytes: number): ReplyRule {
  return { ends: 'after', bytes: wanted(bytes) }
}

/**
 * One message behind its length, an unsigned varint, as `lpStream` and `pbStream` write it; the length is part of the reply.
 * @param limits.max bytes of the message at most
 * @throws bad-argument (caller)
 */
export function lengthPrefixed ({ max }: { readonly max: number }): ReplyRule {
  return { ends: 'with-message', max: wanted(max) }
}

/**
 * Everything until the other side closes its end.
 * @param limits.max bytes at most
 * @throws bad-argument (caller)
 */
export function untilEnd ({ max }: { readonly max: number }): ReplyRule {
  return { ends: 'with-stream', max: wanted(max) }
}

function wanted (bytes: number): number {
  if (Number.isSafeInteger(bytes) && bytes > 0) return bytes
  throw new MixmintError('bad-argument', 'caller', 'the length of a reply is a whole number of bytes, at least 1')
}

/** Gathers one reply, never more than the rule allows. */
export class ReplyGatherer {
  readonly #rule: ReplyRule
  /** The longest reply. */
  readonly #most: number
  /** Grows by doubling, so that a reply in single bytes costs no more than another. */
  #bytes = new Uint8Array(FIRST_BYTES)
  #size = 0
  /** Of the whole reply, once it is known. */
  #length: number | null = null

  /** @param limit bytes that can be carried at all */
  constructor (rule: ReplyRule, limit: number) {
    this.#rule = rule
    this.#most = rule.ends === 'with-stream' ? Math.min(rule.max, limit) : limit
    if (rule.ends === 'after') this.#length = this.#bounded(rule.bytes)
  }

  /**
   * Bytes that came; copied. Those beyond the end of the reply are left out.
   * @returns is the reply whole?
   * @throws reply-too-long, reply-malformed (peer)
   */
  take (chunk: Uint8Array): boolean {
    let from = 0
    if (this.#rule.ends === 'with-message') {
      while (this.#length === null && from < chunk.length) this.#takeLength(chunk[from++], this.#rule.max)
    }
    const rest = chunk.subarray(from, this.#length === null ? undefined : from + this.#length - this.#size)
    this.#append(rest)
    return this.#length === this.#size
  }

  /**
   * What came, when the reply is whole or the other side has closed its end.
   * @throws reply-cut (peer): it ended too early
   */
  end (): Uint8Array {
    if (this.#rule.ends !== 'with-stream' && this.#length !== this.#size) {
      throw new MixmintError('reply-cut', 'peer', 'the reply ended before it was whole', { retry: true })
    }
    return this.#bytes.slice(0, this.#size)
  }

  /** A byte of the length before a message. */
  #takeLength (byte: number, max: number): void {
    this.#append(Uint8Array.of(byte))
    if (byte >= 0x80) {
      if (this.#size === LENGTH_BYTES) throw new MixmintError('reply-malformed', 'peer', 'the reply does not begin with its length')
      return
    }
    const length = this.#bytes.subarray(0, this.#size).reduceRight((sum, part) => sum * 0x80 + (part & 0x7f), 0)
    if (length > max) throw tooLong(max)
    this.#length = this.#bounded(this.#size + length)
  }

  #append (part: Uint8Array): void {
    const size = this.#bounded(this.#size + part.length)
    if (size > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(size, 2 * this.#bytes.length))
      larger.set(this.#bytes.subarray(0, this.#size))
      this.#bytes = larger
    }
    this.#bytes.set(part, this.#size)
    this.#size = size
  }

  #bounded (length: number): number {
    if (length > this.#most) throw tooLong(this.#most)
    return length
  }
}

function tooLong (max: number): MixmintError {
  return new MixmintError('reply-too-long', 'peer', `the reply is longer than the ${max} bytes that are taken here`)
}
