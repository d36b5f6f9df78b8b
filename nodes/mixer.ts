/**
 * The mixing part of a node: keys as they are made and destroyed, links to the neighbours that the directory names, and the
 * engine between them. It begins with the first document, whose parameters it mixes by.
 */
import { join } from 'node:path'
import { fromHex } from '@mixmint/core/kit/bytes'
import { RateLimit, walletLimits } from '@mixmint/mixnet/abuse/rate-limit'
import type { Parameters } from '@mixmint/mixnet/directory/formats'
import type { Rotation } from '@mixmint/mixnet/directory/keys'
import { loopPaths } from '@mixmint/mixnet/directory/route'
import { topologyOf } from '@mixmint/mixnet/directory/topology'
import type { DirectoryNode, DirectoryView } from '@mixmint/mixnet/directory/view'
import { MixEngine } from '@mixmint/mixnet/mixing/engine'
import { HandoverFile } from '@mixmint/mixnet/wire/handover'
import { LoopSender } from '@mixmint/mixnet/wire/loops'
import type { LoopFigures } from '@mixmint/mixnet/wire/loss-figures'
import { MixKeyFiles } from '@mixmint/mixnet/wire/mix-key-files'
import { MixNode } from '@mixmint/mixnet/wire/mix-node'
import { NodeKeys } from '@mixmint/mixnet/wire/node-keys'
import type { SendResult } from '@mixmint/mixnet/wire/packets'
import { SeenLog } from '@mixmint/mixnet/wire/seen-log'
import type { Millis } from '@mixmint/core/kit/ports'
import type { JsonObject } from './control.ts'
import type { Host } from './host.ts'
import type { Participant, Surroundings } from './participant.ts'

export interface MixerHooks {
  readonly onDeliver?: (message: Uint8Array) => void
  readonly onReply?: (surbId: Uint8Array, payload: Uint8Array) => void
  /** No more packets come in: resolves when everything is said that is to be said of those that came. */
  readonly onRefused?: (signal: AbortSignal) => Promise<void>
}

export class Mixer {
  /** Where the keys are that `onKeys` gets. */
  readonly keys: MixKeyFiles
  readonly #surroundings: Surroundings
  readonly #hooks: MixerHooks
  readonly #dir: string
  readonly #seenLog: SeenLog
  readonly #nodeKeys: NodeKeys
  #node: MixNode | null = null
  #loops: LoopSender | null = null
  #view: () => DirectoryView | null = () => null

  /** @param dir the node's folder; mix keys, seen tags, and packets over a restart are kept in it */
  constructor (surroundings: Surroundings, dir: string, hooks: MixerHooks = {}) {
    this.#surroundings = surroundings
    this.keys = new MixKeyFiles(surroundings.suite, join(dir, 'mix-keys'))
    this.#dir = dir
    this.#seenLog = new SeenLog(join(dir, 'seen'))
    this.#nodeKeys = new NodeKeys({ clock: surroundings.ports.clock, log: surroundings.log, seenLog: this.#seenLog })
    this.#hooks = hooks
  }

  onKeys = (rotation: Rotation): void => {
    this.#nodeKeys.onKeys(rotation)
  }

  onDocument = (view: DirectoryView): void => {
    this.#nodeKeys.onDocument(view)
    this.#loops?.onDocument()
  }

  /**
   * Take packets from now on, once there are keys for them. The participant has a document.
   * @param wallets where wallets attach, at a gateway, and how many packets a second it takes from all of them
   */
  async start (participant: Participant, view: DirectoryView, wallets: { readonly host: Host, readonly packets: number } | null = null): Promise<MixNode> {
    await this.#nodeKeys.some
    const { suite, ports, counters, log } = this.#surroundings
    this.#view = () => participant.keeper.view()
    const parameters = (): Parameters => (this.#view() ?? view).parameters
    const self = participant.host.peer
    const engine = new MixEngine({ suite, self, parameters: view.parameters, topology: topologyOf(() => participant.keeper.live(), self) })
    const node = new MixNode({
      node: participant.host.node, engine, clock: ports.clock, rng: ports.rng, meter: counters,
      neighbourhood: {
        addresses: peer => participant.keeper.live().map(view => view.byPeer(fromHex(peer))).find(node => node !== undefined)?.addresses ?? [],
        accepts: peer => participant.isListed(peer),
        kind: peer => placeOf(this.#view()?.byPeer(fromHex(peer)))
      },
      ...(wallets === null
        ? {}
        : {
            wallets: {
              host: wallets.host.node,
              accepts: peer => !participant.isListed(peer),
              admit: new RateLimit(() => walletLimits(parameters().cover, wallets.packets)),
              grace: () => parameters().walletGrace,
              cover: () => parameters().cover,
              handover: new HandoverFile(join(this.#dir, 'handover-wallets'), engine.packetSize)
            }
          }),
      seenLog: this.#seenLog,
      handover: new HandoverFile(join(this.#dir, 'handover'), engine.packetSize),
      ...this.#hooks,
      onDeliver: message => { if (!loops.onDeliver(message)) this.#hooks.onDeliver?.(message) }
    })
    const loops = new LoopSender({
      suite, clock: ports.clock, rng: ports.rng, meter: counters, log,
      parameters: () => this.#view()?.parameters ?? null, path: loopPaths(this.#view, self), isNode: peer => participant.isListed(peer),
      sendPacket: (to, packet) => node.sendPacket(to, packet)
    })
    this.#node = node
    this.#loops = loops
    this.#nodeKeys.attach(node, view)
    await node.start()
    loops.onDocument()
    return node
  }

  /** As that of `MixNode`; before the start there is no link. */
  sendPacket (to: Uint8Array, packet: Uint8Array): SendResult {
    return this.#node?.sendPacket(to, packet) ?? 'no-link'
  }

  /** What became of this node's loops; null before it has begun. */
  loops (): LoopFigures | null {
    return this.#loops?.figures() ?? null
  }

  /** What metrics are made of; null before it has begun. */
  figures (): (ReturnType<MixNode['counts']> & ReturnType<MixNode['figures']> & { readonly queueLimit: number }) | null {
    return this.#node === null ? null : { ...this.#node.counts(), ...this.#node.figures(), queueLimit: this.#view()?.parameters.queueLimit ?? 0 }
  }

  /** For those who run it: counts, and nothing else of anybody. */
  status (): JsonObject {
    const counts = this.#node?.counts()
    const { received = 0, forwarded = 0, delivered = 0, queued = 0, dropped = {} } = counts?.mix ?? {}
    return {
      received, forwarded, delivered, queued, dropped: { ...dropped },
      ...(counts === undefined ? {} : { links: { ...counts.links, sentTo: { ...counts.links.sentTo }, dropped: { ...counts.links.dropped } } }),
      ...(counts === undefined || counts.wallets === null ? {} : { wallets: { ...counts.wallets, dropped: { ...counts.wallets.dropped } } }),
      loops: { ...this.loops() }
    }
  }

  /** @param ms packets that would stay inside for longer are dropped */
  async stop (ms: Millis): Promise<void> {
    this.#loops?.stop()
    await this.#node?.stop(ms)
  }
}

/** Where a neighbour stands; `other` are nodes that the document in force does not list any more, or not yet. */
function placeOf (node: DirectoryNode | undefined): string {
  return node === undefined ? 'other' : node.role === 'mix' ? `layer-${node.layer}` : node.role
}
