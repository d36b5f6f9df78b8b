/**
 * The tags seen under one mix key: an exact set that only grows, up to a limit, and then refuses. It never forgets a
 * tag, for a forgotten tag is a replay accepted.
 *
 * Tags lie one after the other in chunks, in the order they came (so that what came since the last save can be saved);
 * an open-addressing index of 4 bytes a slot, at most three quarters full, finds them: 37 to 43 bytes a tag. The index
 * is in 256 shards, each of which grows by itself, so that no packet waits long for a growing table. Slots are chosen
 * by a salted hash of the tag: a sender may choose tags (it needs only try ephemeral keys), but not which ones collide.
 */
import { MixmintError } from '@mixmint/core/kit/errors'
import { TAG_SIZE } from './layout.ts'

const CHUNK_TAGS = 4096
const CHUNK_BYTES = CHUNK_TAGS * TAG_SIZE
const TAG_WORDS = TAG_SIZE / 4
const SHARDS = 256
const FIRST_SLOTS = 16
/** A shard grows when more than this share of its slots is taken. */
const FULLEST = 0.75
/** A slot holds a tag's number plus one; 0 is free. */
const FREE = 0
const MOST_TAGS = 2 ** 30

export class SeenTags {
  #limit = 0
  readonly #salt: Uint32Array
  readonly #chunks: Uint8Array[] = []
  readonly #shards = Array.from({ length: SHARDS }, () => new Uint32Array(FIRST_SLOTS))
  readonly #taken = new Uint32Array(SHARDS)
  #size = 0

  /**
   * @param limit the most tags kept, up to 2^30
   * @param salt 16 random bytes
   * @throws bad-argument (caller)
   */
  constructor (limit: number, salt: Uint8Array) {
    this.limit = limit
    if (salt.length !== 16) throw new MixmintError('bad-argument', 'caller', 'the salt of a replay set has 16 bytes')
    this.#salt = new Uint32Array(new Uint8Array(salt).buffer)
  }

  /** The most tags kept. One lower than their number forgets none: it only keeps newcomers out. @throws bad-argument (caller) */
  set limit (limit: number) {
    if (!Number.isInteger(limit) || limit < 1 || limit > MOST_TAGS) {
      throw new MixmintError('bad-argument', 'caller', `the limit of seen tags must be 1 to ${MOST_TAGS}`)
    }
    this.#limit = limit
  }

  /** How many tags are kept. */
  get size (): number {
    return this.#size
  }

  /** Bytes of memory held. */
  get memory (): number {
    return this.#shards.reduce((sum, shard) => sum + shard.byteLength, this.#chunks.length * CHUNK_BYTES)
  }

  /**
   * Check and insert in one step.
   * @param tag 32 bytes; copied
   * @returns new: it was not here, and is now. seen: it was here. full: it was not here, and there is no room for it.
   */
  see (tag: Uint8Array): 'new' | 'seen' | 'full' {
    return this.#see(tag, this.#limit)
  }

  /** A tag that was seen before a restart; whatever the limit is now, for what is left out is forgotten. */
  restore (tag: Uint8Array): void {
    this.#see(tag, MOST_TAGS)
  }

  /** The tags from number `from` on (0: all), 32 bytes each, in the order they came; copies. */
  * since (from: number): Generator<Uint8Array> {
    for (let i = from; i < this.#size; i++) {
      const at = (i % CHUNK_TAGS) * TAG_SIZE
      yield this.#chunkOf(i).slice(at, at + TAG_SIZE)
    }
  }

  #see (tag: Uint8Array, limit: number): 'new' | 'seen' | 'full' {
    if (tag.length !== TAG_SIZE) throw new MixmintError('bad-argument', 'caller', `a tag has ${TAG_SIZE} bytes`)
    const hash = this.#hash(tag, 0)
    const number = hash % SHARDS
    const shard = this.#shards[number]
    const slot = this.#slot(shard, hash, tag)
    if (shard[slot] !== FREE) return 'seen'
    if (this.#size >= limit) return 'full'

    if (this.#size % CHUNK_TAGS === 0) this.#chunks.push(new Uint8Array(CHUNK_BYTES))
    this.#chunks[this.#chunks.length - 1].set(tag, (this.#size % CHUNK_TAGS) * TAG_SIZE)
    this.#size += 1
    shard[slot] = this.#size
    this.#taken[number] += 1
    if (this.#taken[number] > shard.length * FULLEST) this.#shards[number] = this.#grown(shard)
    return 'new'
  }

  #chunkOf (i: number): Uint8Array {
    return this.#chunks[Math.floor(i / CHUNK_TAGS)]
  }

  /** The slot that holds this tag, or the free one where it belongs. */
  #slot (shard: Uint32Array, hash: number, tag: Uint8Array): number {
    let slot = slotOf(shard, hash)
    while (shard[slot] !== FREE && !this.#isTag(shard[slot] - 1, tag)) slot = slotAfter(shard, slot)
    return slot
  }

  #isTag (i: number, tag: Uint8Array): boolean {
    const chunk = this.#chunkOf(i)
    const at = (i % CHUNK_TAGS) * TAG_SIZE
    for (let j = 0; j < TAG_SIZE; j++) if (chunk[at + j] !== tag[j]) return false
    return true
  }

  #grown (shard: Uint32Array): Uint32Array<ArrayBuffer> {
    const larger = new Uint32Array(shard.length * 2)
    for (const held of shard) {
      if (held === FREE) continue
      let slot = slotOf(larger, this.#hash(this.#chunkOf(held - 1), ((held - 1) % CHUNK_TAGS) * TAG_SIZE))
      while (larger[slot] !== FREE) slot = slotAfter(larger, slot)
      larger[slot] = held
    }
    return larger
  }

  /** 32 bits, salted, of the tag at this place. */
  #hash (bytes: Uint8Array, at: number): number {
    let h = this.#salt[0]
    for (let i = 0; i < TAG_WORDS; i++, at += 4) {
      const word = bytes[at] | bytes[at + 1] << 8 | bytes[at + 2] << 16 | bytes[at + 3] << 24
      h = Math.imul(h ^ word, this.#salt[1 + i % 3] | 1)
      h ^= h >>> 15
    }
    h = Math.imul(h, 0x2c1b3c6d)
    return (h ^ h >>> 13) >>> 0
  }
}

/** Shards are powers of two long; the bits below the slot's number chose the shard. */
function slotOf (shard: Uint32Array, hash: number): number {
  return Math.floor(hash / SHARDS) & (shard.length - 1)
}

function slotAfter (shard: Uint32Array, slot: number): number {
  return (slot + 1) & (shard.length - 1)
}
