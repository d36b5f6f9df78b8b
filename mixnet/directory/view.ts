/** A verified document, ready for questions. */
import { toHex } from '@mixmint/core/kit/bytes'
import type { Millis } from '@mixmint/core/kit/ports'
import { GATEWAY_LAYER, SERVICE_LAYER } from './document.ts'
import { epochAt, epochEnd } from './epoch.ts'
import type { Descriptor, Parameters, SignedDocument } from './formats.ts'

/** What a node says of itself, and its layer: 0 gateways, 1 … pathLength − 2 mixes, 255 services. */
export interface DirectoryNode extends Descriptor { readonly layer: number }

export class DirectoryView {
  readonly signed: SignedDocument
  readonly network: string
  readonly epoch: number
  readonly parameters: Parameters
  readonly nodes: readonly DirectoryNode[]
  readonly #byPeer: ReadonlyMap<string, DirectoryNode>
  readonly #layers = new Map<number, DirectoryNode[]>()

  /** @param signed one that `verifyDocument` has passed */
  constructor (signed: SignedDocument) {
    const { document } = signed
    this.signed = signed
    this.network = document.network
    this.epoch = document.epoch
    this.parameters = document.parameters
    this.nodes = document.nodes.map(({ layer, signed: { descriptor } }) => ({ ...descriptor, layer }))
    this.#byPeer = new Map(this.nodes.map(node => [toHex(node.peer), node]))
    for (const node of this.nodes) {
      const layer = this.#layers.get(node.layer)
      if (layer === undefined) this.#layers.set(node.layer, [node])
      else layer.push(node)
    }
  }

  /** @param peer 39 bytes */
  byPeer (peer: Uint8Array): DirectoryNode | undefined {
    return this.#byPeer.get(toHex(peer))
  }

  get gateways (): readonly DirectoryNode[] {
    return this.layer(GATEWAY_LAYER)
  }

  /** The mixes of a layer, from 1; 0: the gateways. */
  layer (n: number): readonly DirectoryNode[] {
    return this.#layers.get(n) ?? []
  }

  services (kind: string): readonly DirectoryNode[] {
    return this.layer(SERVICE_LAYER).filter(node => node.kind === kind)
  }

  /**
   * The mix key to use for a node now, and until when it opens packets: the key of the current epoch; if the node
   * published none, that of the document's. Null for a node without.
   */
  mixKey (node: DirectoryNode, now: Millis): { key: Uint8Array, until: Millis } | null {
    const current = epochAt(this.parameters, now)
    const entry = node.mixKeys.find(({ epoch }) => epoch === current) ?? node.mixKeys.find(({ epoch }) => epoch === this.epoch)
    return entry === undefined ? null : { key: entry.key, until: epochEnd(this.parameters, entry.epoch) }
  }

  /** May this document still be used? */
  isInForce (now: Millis): boolean {
    return now <= epochEnd(this.parameters, this.epoch)
  }
}
