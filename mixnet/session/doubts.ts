/**
 * Which nodes a session has reason to doubt: those on whose paths something was sent and nothing heard. What is sent
 * again goes round them, where there is a way round; what is sent for the first time never does, so that whoever drops packets
 * cannot bend the paths of any but the repeats of those. docs/decisions/0029-repeats-go-elsewhere.md
 */
import { toHex } from '@mixmint/core/kit/bytes'
import type { Path } from './engines.ts'

/** A silence takes so much of what trust is left; a word leaves so much of the doubt. */
const GROWS = 1 / 3
const FALLS = 1 / 3
const FORGOTTEN = 0.01
/** A node that another copy goes through now, and one that the packet which brings this SURB goes through. */
const CROWDED = 0.2
const ALIKE = -0.1
const CANDIDATES = 16
/** The most nodes remembered; the longest known are forgotten for others. */
const NODES = 4096

/** Nodes by their mix keys. */
export type Nodes = ReadonlySet<string>

export function nodesOf (...paths: readonly Path[]): Nodes {
  return new Set(paths.flatMap(({ hops }) => hops.map(({ publicKey }) => toHex(publicKey))))
}

export class Doubts {
  readonly #doubts = new Map<string, number>()

  /** Something came home that had gone these ways. */
  heard (paths: readonly Path[]): void {
    for (const node of nodesOf(...paths)) {
      const doubt = this.#of(node) * FALLS
      if (doubt < FORGOTTEN) this.#doubts.delete(node)
      else this.#doubts.set(node, doubt)
    }
  }

  /** Nothing came in time of all that went these ways. */
  silence (paths: readonly Path[]): void {
    for (const node of nodesOf(...paths)) {
      const doubt = this.#of(node)
      this.#doubts.set(node, doubt + (1 - doubt) * GROWS)
      const [oldest] = this.#doubts.keys()
      if (this.#doubts.size > NODES) this.#doubts.delete(oldest)
    }
  }

  /**
   * Of some paths drawn, the one with the least to be said against it; null when none can be drawn.
   * @param crowded where the other copies go
   * @param alike where the packet goes that brings this one as a SURB: of a node that loses all, each copy should try both ways, or neither
   */
  choose (draw: () => Path | null, crowded: Nodes, alike: Nodes): Path | null {
    let best: Path | null = null
    let least = Infinity
    for (let i = 0; i < CANDIDATES; i++) {
      const path = draw()
      if (path === null) break
      let cost = 0
      for (const node of nodesOf(path)) cost += this.#of(node) + (crowded.has(node) ? CROWDED : 0) + (alike.has(node) ? ALIKE : 0)
      // Costs are sums in different orders.
      if (cost < least - 1e-9) [best, least] = [path, cost]
    }
    return best
  }

  #of (node: string): number {
    return this.#doubts.get(node) ?? 0
  }
}
