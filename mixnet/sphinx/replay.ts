/**
 * The tags seen under one mix key: an exact set that only grows, up to a limit, and then refuses. It never forgets a
 * tag, for a forgotten tag is a replay accepted.
 *
 * Tags lie one after the other in chunks, in the order they came (so that what came since the last save can be saved);
 * an open-addressing index of 4 bytes a slot, at most three quarters full, finds them: 37 to 43 bytes a tag. Slots
 * are chosen by a salted hash of the tag: a sender may choose tags (it needs only try ephemeral keys), but cannot
 * choose which ones collide.
 */
import { MixmintError } from '@mixmint/core/kit/errors'
import { TAG_SIZE } from './layout.ts'

const CHUNK_TAGS = 4096
const CHUNK_BYTES = CHUNK_TAGS * TAG_SIZE
const TAG_WORDS = TAG_SIZE / 4
const FIRST_SLOTS = 1024
/** The index grows when more than this share of its slots is taken. */
const FULLEST = 0.75
/** An index slot holds a tag's number plus one; 0 is free. */
const FREE = 0
const MOST_TAGS = 2 ** 30

export class SeenTags {
  readonly #limit: number
  readonly #salt: Uint32Array
  readonly #chunks: Uint8Array[] = []
  #index = new Uint32Array(FIRST_SLOTS)
  #size = 0

  /**
   * @param limit the most tags kept, up to 2^30
   * @param salt 16 random bytes
   * @throws bad-argument (caller)
   */
  constructor (limit: number, salt: Uint8Array) {
    if (!Number.isInteger(limit) || limit < 1 || limit > MOST_TAGS) {
      throw new MixmintError('bad-argument', 'caller', `the limit of seen tags must be 1 to ${MOST_TAGS}`)
    }
    if (salt.length !== 16) throw new MixmintError('bad-argument', 'caller', 'the salt of a replay set has 16 bytes')
    this.#limit = limit
    this.#salt = new Uint32Array(salt.slice().buffer)
  }

  /** How many tags are kept. */
  get size (): number {
    return this.#size
  }

  /** Bytes of memory held. */
  get memory (): number {
    return this.#chunks.length * CHUNK_BYTES + this.#index.byteLength
  }

  /**
   * Check and insert in one step.
   * @param tag 32 bytes; copied
   * @returns new: it was not here, and is now. seen: it was here. full: it was not here, and there is no room for it.
   */
  see (tag: Uint8Array): 'new' | 'seen' | 'full' {
    if (tag.length !== TAG_SIZE) throw new MixmintError('bad-argument', 'caller', `a tag has ${TAG_SIZE} bytes`)
    let slot = this.#find(tag)
    if (this.#index[slot] !== FREE) return 'seen'
    if (this.#size >= this.#limit) return 'full'
    if (this.#size + 1 > this.#index.length * FULLEST) {
      this.#grow()
      slot = this.#find(tag)
    }
    if (this.#size % CHUNK_TAGS === 0) this.#chunks.push(new Uint8Array(CHUNK_BYTES))
    this.#chunks[this.#chunks.length - 1].set(tag, (this.#size % CHUNK_TAGS) * TAG_SIZE)
    this.#size += 1
    this.#index[slot] = this.#size
    return 'new'
  }

  /** The tags from number `from` on (0: all), 32 bytes each, in the order they came; a copy. `see` them to restore. */
  * since (from: number): Generator<Uint8Array> {
    for (let i = from; i < this.#size; i++) yield this.#tag(i).slice()
  }

  #tag (i: number): Uint8Array {
    const at = (i % CHUNK_TAGS) * TAG_SIZE
    return this.#chunks[Math.floor(i / CHUNK_TAGS)].subarray(at, at + TAG_SIZE)
  }

  /** The slot that holds this tag, or the free one where it belongs. */
  #find (tag: Uint8Array): number {
    const mask = this.#index.length - 1
    let slot = this.#hash(tag, 0) & mask
    for (;;) {
      const held = this.#index[slot]
      if (held === FREE || this.#holds(held - 1, tag)) return slot
      slot = (slot + 1) & mask
    }
  }

  #holds (i: number, tag: Uint8Array): boolean {
    const chunk = this.#chunks[Math.floor(i / CHUNK_TAGS)]
    const at = (i % CHUNK_TAGS) * TAG_SIZE
    for (let j = 0; j < TAG_SIZE; j++) if (chunk[at + j] !== tag[j]) return false
    return true
  }

  /** Salted, of all the tag's words (at `at`); every bit of the result depends on every bit of them. */
  #hash (bytes: Uint8Array, at: number): number {
    const salt = this.#salt
    let h = salt[0]
    for (let i = 0; i < TAG_WORDS; i++, at += 4) {
      const word = bytes[at] | bytes[at + 1] << 8 | bytes[at + 2] << 16 | bytes[at + 3] << 24
      h = Math.imul(h ^ word, salt[1 + i % 3] | 1)
      h ^= h >>> 15
    }
    h = Math.imul(h, 0x2c1b3c6d)
    return (h ^ h >>> 13) >>> 0
  }

  #grow (): void {
    const index = new Uint32Array(this.#index.length * 2)
    const mask = index.length - 1
    for (let i = 0; i < this.#size; i++) {
      let slot = this.#hash(this.#chunks[Math.floor(i / CHUNK_TAGS)], (i % CHUNK_TAGS) * TAG_SIZE) & mask
      while (index[slot] !== FREE) slot = (slot + 1) & mask
      index[slot] = i + 1
    }
    this.#index = index
  }
}
