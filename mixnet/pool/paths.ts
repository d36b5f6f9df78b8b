/**
 * Paths through a pool (LIP-99 §8.5.2 step 2; "free route": any node may follow any): pathLength different nodes, the last
 * hop among them, every choice equally likely. Neither end of a request stands between, nor whom an exit asks.
 *
 *   there   mix → mix → … → service, or an exit          back   mix → … → mix → us
 *   there   entry → mix → … → service, or an exit        back   mix → … → entry → us      as a client of the entry
 */
import { toHex } from '@mixmint/core/kit/bytes'
import type { Meter, Millis, Rng } from '@mixmint/core/kit/ports'
import type { LinkId } from '../mixing/engine.ts'
import type { Path, Paths, SessionParameters, Target } from '../session/engines.ts'
import { addressBlock, nodeOf, parseAddress } from '../sphinx/address.ts'
import type { Hop } from '../sphinx/header.ts'
import type { NodePool, PoolNode } from './pool.ts'

/** Where replies end: at us. */
export interface Home {
  /** Our peer id, 39 bytes, and our X25519 mix key, 32 bytes. */
  readonly peer: Uint8Array
  readonly mixKey: Uint8Array
  /**
   * Our address block, 94 bytes. Or, where packets cannot name an address of ours, our entry: the node (39 bytes) that we
   * stay connected to, which has an address of its own.
   */
  readonly at: { readonly block: Uint8Array } | { readonly entry: Uint8Array }
}

/** What packets of this network look like; its nodes have agreed on that. */
export type PoolParameters = Pick<SessionParameters, 'pathLength' | 'meanDelay'>

export interface PoolPathsOptions {
  readonly pool: NodePool
  readonly home: Home
  readonly parameters: () => PoolParameters
  readonly meter: Meter
}

export class PoolPaths implements Paths {
  readonly #options: PoolPathsOptions
  readonly #us: LinkId

  constructor (options: PoolPathsOptions) {
    this.#options = options
    this.#us = toHex(options.home.peer)
  }

  forward (target: Target, now: Millis, rng: Rng): Path | null {
    const last = this.#options.pool.get(target.service)
    if (last === undefined) return this.#none('service-unknown')
    const entries = this.#entries()
    if (entries === null) return this.#none('entry-unknown')
    if (entries.includes(last)) return this.#none('entry-is-service')
    const between = this.#between(entries, target, now, rng)
    return between === null ? this.#none('too-few-nodes') : this.#path([...entries, ...between], { publicKey: last.mixKey, address: last.block, delay: 0 })
  }

  back (target: Target, now: Millis, rng: Rng): Path | null {
    const { mixKey, peer, at } = this.#options.home
    const entries = this.#entries()
    if (entries === null) return this.#none('entry-unknown')
    const between = this.#between(entries, target, now, rng)
    if (between === null) return this.#none('too-few-nodes')
    const address = 'block' in at ? at.block : clientBlock(entries[0], peer)
    return address === null ? this.#none('entry-relayed') : this.#path([...between, ...entries], { publicKey: mixKey, address, delay: 0 })
  }

  /** For a loop: from us, where we have an address of our own, back to us. */
  loop (now: Millis, rng: Rng): Path | null {
    return 'block' in this.#options.home.at ? this.back({ service: this.#us, destination: null }, now, rng) : null
  }

  learned (path: Path, arrived: boolean, now: Millis): void {
    const names = path.hops.flatMap(({ address }) => {
      const at = parseAddress(address)
      return at === null ? [] : [toHex(nodeOf(at))]
    })
    if (arrived) this.#options.pool.served(names)
    else this.#options.pool.lost(names, now)
  }

  /** None, or the one that we are a client of; null when the pool does not know it. */
  #entries (): PoolNode[] | null {
    const { at } = this.#options.home
    if ('block' in at) return []
    const entry = this.#options.pool.get(toHex(at.entry))
    return entry === undefined ? null : [entry]
  }

  #between (entries: readonly PoolNode[], target: Target, now: Millis, rng: Rng): PoolNode[] | null {
    const { pool, parameters } = this.#options
    const not = this.#ends(target)
    return pool.choose(parameters().pathLength - 1 - entries.length, node => !not.has(node.name) && !entries.includes(node), now, rng)
  }

  #ends ({ service, destination }: Target): Set<LinkId> {
    const ends = new Set([this.#us, service])
    const asked = destination === null ? null : parseAddress(destination)
    if (asked !== null) ends.add(toHex(nodeOf(asked)))
    return ends
  }

  /** A delay of zero is how the last hop knows that it is the last. */
  #path (nodes: readonly PoolNode[], last: Hop): Path {
    const delay = this.#options.parameters().meanDelay
    return { hops: [...nodes.map(({ mixKey, block }) => ({ publicKey: mixKey, address: block, delay })), last], expires: Infinity }
  }

  #none (reason: string): null {
    this.#options.meter.count('request_no_path', { code: `pool-${reason}` })
    return null
  }
}

/** The block of a client at its entry; null where the entry itself is behind a relay: a block has no room for both. */
function clientBlock (entry: PoolNode, client: Uint8Array): Uint8Array | null {
  const at = parseAddress(entry.block)
  return at === null || at.client !== null ? null : addressBlock(at.multiaddr, entry.peer, client)
}
