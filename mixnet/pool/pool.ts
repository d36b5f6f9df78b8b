/**
 * The nodes of a network that no directory describes (LIP-99 §6.1): filled by hand, or by whatever finds nodes; and how
 * well each has served. A plain structure: the time is passed in.
 *
 *   usable ── cannot be reached, or STRIKES lost paths in a row with it ──► set aside, for ever longer times
 *      ▲                                                                        │ the time is over: tried again, the
 *      └── a packet came home over a path with it: all is forgiven ◄────────────┘ next failure sets it aside at once
 *
 * Whoever loses packets on purpose hurts the name of the honest nodes on their paths, too. So at most a third of the pool
 * is set aside at one time: paths cannot be driven to the nodes that one party runs.
 */
import { compare, equal, toHex } from '@mixmint/core/kit/bytes'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Meter, Millis, Rng } from '@mixmint/core/kit/ports'
import { shuffle } from '@mixmint/core/kit/samplers'
import type { Suite } from '@mixmint/core/crypto/suite'
import type { LinkId } from '../mixing/engine.ts'
import { KEY_SIZE } from '../sphinx/layout.ts'
import { badEntry, entryBlock, type PoolEntry } from './entry.ts'

export interface PoolOptions {
  readonly suite: Suite
  readonly meter: Meter
  readonly limits?: Partial<PoolLimits>
}

export interface PoolLimits {
  /** Most nodes. */
  readonly nodes: number
  /** A node is set aside for so long the first time, twice as long the next, up to the most. */
  readonly aside: { readonly first: Millis, readonly most: Millis }
}

const LIMITS: PoolLimits = { nodes: 4096, aside: { first: 30_000, most: 3_600_000 } }

/** Lost paths in a row that set a node aside. */
const STRIKES = 4
/** Of the pool so much, at most, is set aside. */
const ASIDE_AT_MOST = 1 / 3

/** A node as paths use it. */
export interface PoolNode extends PoolEntry {
  /** Its peer id in hexadecimal. */
  readonly name: LinkId
  /** Its address block in packets, 94 bytes. */
  readonly block: Uint8Array
}

interface Standing {
  readonly node: PoolNode
  strikes: number
  /** How often it was set aside since it last served. */
  times: number
  /** Set aside until then. */
  until: Millis
}

/** As `NodePool.list` shows it. */
export interface PoolStatus {
  readonly node: PoolNode
  /** Not used before this time, but where there are too few others; null: in use. */
  readonly asideUntil: Millis | null
}

export class NodePool {
  readonly #options: PoolOptions
  readonly #limits: PoolLimits
  readonly #records = new Map<LinkId, Standing>()

  constructor (options: PoolOptions) {
    this.#options = options
    this.#limits = { ...LIMITS, ...options.limits }
  }

  get size (): number { return this.#records.size }

  /**
   * Add a node, or replace what is known of it; under a new mix key or address it begins anew.
   * @throws bad-pool-entry (caller), pool-full (operator)
   */
  add (entry: PoolEntry): void {
    const block = entryBlock(entry)
    // Any scalar tells: a point of low order goes to zero.
    if (this.#options.suite.x25519(ONE, entry.mixKey) === null) throw badEntry('its mix key is of low order')
    const name = toHex(entry.peer)
    const known = this.#records.get(name)
    if (known === undefined && this.#records.size >= this.#limits.nodes) {
      throw new MixmintError('pool-full', 'operator', `the pool has its ${this.#limits.nodes} nodes; remove some first, or raise its limit`)
    }
    const node: PoolNode = { peer: entry.peer.slice(), addresses: [...entry.addresses], mixKey: entry.mixKey.slice(), name, block }
    const same = known !== undefined && equal(known.node.mixKey, node.mixKey) && equal(known.node.block, block)
    this.#records.set(name, same ? { ...known, node } : { node, strikes: 0, times: 0, until: -Infinity })
  }

  /** @param peer 39 bytes. @returns was it there? */
  remove (peer: Uint8Array): boolean {
    return this.#records.delete(toHex(peer))
  }

  /** Make these the nodes of the pool, as a directory or a discovery that knows all of them does. @throws as `add`, with nothing changed */
  replace (entries: readonly PoolEntry[]): void {
    const next = new NodePool(this.#options)
    for (const entry of entries) next.add(entry)
    for (const name of this.#records.keys()) if (!next.#records.has(name)) this.#records.delete(name)
    for (const entry of entries) this.add(entry)
  }

  get (name: LinkId): PoolNode | undefined {
    return this.#records.get(name)?.node
  }

  /** All nodes, in order of peer id. */
  list (now: Millis): PoolStatus[] {
    return [...this.#records.values()]
      .map(({ node, until }) => ({ node, asideUntil: until > now ? until : null }))
      .sort((a, b) => compare(a.node.peer, b.node.peer))
  }

  /**
   * So many different nodes in random order, every choice equally likely among those not set aside. Where these are too
   * few, those whose time is over first come in, too. Null when even so there are too few.
   */
  choose (count: number, fits: (node: PoolNode) => boolean, now: Millis, rng: Rng): PoolNode[] | null {
    const fitting = [...this.#records.values()].filter(({ node }) => fits(node))
    if (fitting.length < count) return null
    const usable = fitting.filter(({ until }) => until <= now)
    const aside = fitting.filter(({ until }) => until > now).sort((a, b) => a.until - b.until)
    const among = [...usable, ...aside.slice(0, Math.max(0, count - usable.length))]
    return shuffle(rng, among).slice(0, count).map(({ node }) => node)
  }

  /** A packet came home over paths with these nodes. */
  served (names: Iterable<LinkId>): void {
    for (const name of names) {
      const record = this.#records.get(name)
      if (record === undefined) continue
      record.strikes = 0
      record.times = 0
      record.until = -Infinity
    }
  }

  /** A packet that went over these nodes did not come home in time: which of them lost it is not known. */
  lost (names: Iterable<LinkId>, now: Millis): void {
    for (const name of names) {
      const record = this.#records.get(name)
      if (record === undefined || record.until > now) continue
      record.strikes += 1
      if (record.strikes >= STRIKES) this.#setAside(record, now)
    }
  }

  /** This node itself could not be reached. */
  unreachable (name: LinkId, now: Millis): void {
    const record = this.#records.get(name)
    if (record !== undefined && record.until <= now) this.#setAside(record, now)
  }

  #setAside (record: Standing, now: Millis): void {
    const { first, most } = this.#limits.aside
    const aside = [...this.#records.values()].filter(({ until }) => until > now).sort((a, b) => a.until - b.until)
    const room = Math.floor(this.#records.size * ASIDE_AT_MOST)
    if (room === 0) return
    for (const early of aside.slice(0, Math.max(0, aside.length + 1 - room))) early.until = now
    record.until = now + Math.min(most, first * 2 ** record.times)
    record.times += 1
    record.strikes = STRIKES - 1
    this.#options.meter.count('pool_set_aside')
  }
}

const ONE = new Uint8Array(KEY_SIZE).fill(1)
