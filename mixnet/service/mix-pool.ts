/**
 * The nodes of a network without a directory, as an application feeds and sees them. A node's own entry, `describe()` of
 * its service, is plain text, so that it can be handed around in whatever way the network has.
 */
import { peerIdFromString } from '@libp2p/peer-id'
import { fromHex, toHex } from '@mixmint/core/kit/bytes'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Clock, Millis } from '@mixmint/core/kit/ports'
import type { LinkId } from '../mixing/engine.ts'
import { badEntry, type PoolEntry } from '../pool/entry.ts'
import type { NodePool, PoolNode } from '../pool/pool.ts'
import { peerIdFromBytes } from '../wire/peers.ts'

/** A node, in text: what `JSON.stringify` makes of it says all of it. */
export interface MixPoolEntry {
  /** Its peer id, of a secp256k1 key: `16Uiu2…`. */
  readonly peer: string
  /** Where it listens, without /p2p. Packets name the first `/ip4/…/tcp/…`; clients dial any that they can. */
  readonly addresses: readonly string[]
  /** X25519, 64 hexadecimal digits. */
  readonly mixKey: string
  /** Protocols that it carries, as an exit, to nodes that know nothing of mixing. */
  readonly exits?: readonly string[]
  /** Does it take clients: nodes that have no address of their own? */
  readonly clients?: boolean
}

/** An entry, and how the node has served. */
export interface MixPoolStatus extends MixPoolEntry {
  /** Too many packets were lost with it, or it could not be reached: not used before this time (Unix ms). Null: in use. */
  readonly asideUntil: Millis | null
}

/** What entries say beside what paths need. */
interface Extras { readonly exits: readonly string[], readonly clients: boolean }

/** Of an entry: addresses, or protocols, and characters of each. */
const MOST_TEXTS = 256
const LONGEST_TEXT = 1024

export interface MixPoolOptions {
  readonly pool: NodePool
  readonly clock: Clock
  /** There are other nodes now. */
  readonly onChange: () => void
  /** Where a directory governs: the nodes that it lists. */
  readonly listed: (() => MixPoolStatus[]) | null
}

/** Where a directory governs, it can only be looked at. */
export class MixPool {
  readonly #options: MixPoolOptions
  readonly #extras = new Map<LinkId, Extras>()

  constructor (options: MixPoolOptions) {
    this.#options = options
  }

  /**
   * Add a node, or replace what is known of it. This node's own entry changes nothing: no path leads over it.
   * @throws bad-pool-entry, pool-governed (caller), pool-full (operator)
   */
  add (entry: MixPoolEntry): void {
    this.#checkFree()
    const parsed = parseEntry(entry)
    this.#options.pool.add(parsed)
    this.#extras.set(toHex(parsed.peer), { exits: [...entry.exits ?? []], clients: entry.clients ?? false })
    this.#options.onChange()
  }

  /** @param peer its peer id. @returns was it there? @throws bad-pool-entry, pool-governed (caller) */
  remove (peer: string | { readonly toString: () => string }): boolean {
    this.#checkFree()
    const bytes = peerBytesOf(peer.toString())
    this.#extras.delete(toHex(bytes))
    return this.#options.pool.remove(bytes)
  }

  /** All nodes, in order of their peer ids' bytes. */
  entries (): MixPoolStatus[] {
    const { pool, clock, listed } = this.#options
    return listed?.() ?? pool.list(clock.now()).map(({ node, asideUntil }) => ({ ...this.#textOf(node), asideUntil }))
  }

  /** The nodes of these that are not set aside; where all of them are, all. */
  select (fits: (extras: Extras) => boolean): PoolNode[] {
    const all = this.#options.pool.list(this.#options.clock.now()).filter(({ node }) => {
      const extras = this.#extras.get(node.name)
      return extras !== undefined && fits(extras)
    })
    const usable = all.filter(({ asideUntil }) => asideUntil === null)
    return (usable.length > 0 ? usable : all).map(({ node }) => node)
  }

  #checkFree (): void {
    if (this.#options.listed !== null) throw new MixmintError('pool-governed', 'caller', 'this network has a directory, which alone says what its nodes are')
  }

  #textOf (node: PoolNode): MixPoolEntry {
    const { exits, clients } = this.#extras.get(node.name) ?? { exits: [], clients: false }
    return { peer: peerIdFromBytes(node.peer).toString(), addresses: node.addresses, mixKey: toHex(node.mixKey), exits, clients }
  }
}

/** It may have come from anywhere. @throws bad-pool-entry (caller) */
export function parseEntry (entry: MixPoolEntry): PoolEntry {
  if (typeof entry !== 'object' || entry === null) throw badEntry('it is no entry')
  const { peer, addresses, mixKey, exits = [], clients = false } = entry
  if (!areTexts(addresses)) throw badEntry(`its addresses are no list of at most ${MOST_TEXTS} texts`)
  if (!areTexts(exits)) throw badEntry(`its exits are no list of at most ${MOST_TEXTS} protocols`)
  if (typeof clients !== 'boolean') throw badEntry('whether it takes clients is neither true nor false')
  let key: Uint8Array
  try {
    key = fromHex(mixKey)
  } catch (error) {
    throw badEntry('its mix key is not hexadecimal')
  }
  return { peer: peerBytesOf(peer), addresses, mixKey: key }
}

function areTexts (list: unknown): boolean {
  return Array.isArray(list) && list.length <= MOST_TEXTS && list.every(text => typeof text === 'string' && text.length <= LONGEST_TEXT)
}

function peerBytesOf (peer: string): Uint8Array {
  try {
    return peerIdFromString(peer).toMultihash().bytes
  } catch (cause) {
    throw new MixmintError('bad-pool-entry', 'caller', 'a peer id like 16Uiu2… is wanted', { cause })
  }
}
