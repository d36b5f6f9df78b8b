/** A network with a directory: its document lists the nodes and prescribes what they do alike. */
import { fromHex, toHex } from '@mixmint/core/kit/bytes'
import { noStore } from '@mixmint/core/kit/no-store'
import type { Clock, Log, Meter, Millis, Rng } from '@mixmint/core/kit/ports'
import { below } from '@mixmint/core/kit/samplers'
import type { Suite } from '@mixmint/core/crypto/suite'
import { trustOf } from '../directory/document.ts'
import { coverPaths, directoryPaths, loopPaths } from '../directory/route.ts'
import type { CoverPaths } from '../cover/sender.ts'
import { mayReplyTo, topologyOf } from '../directory/topology.ts'
import type { DirectoryNode, DirectoryView } from '../directory/view.ts'
import type { LinkId, Topology } from '../mixing/engine.ts'
import type { Path, Paths } from '../session/engines.ts'
import { nodeOf, type PacketAddress } from '../sphinx/address.ts'
import { answerAsMirror, askOver, serveDirectory } from '../wire/directory.ts'
import { DirectoryKeeper } from '../wire/directory-keeper.ts'
import { whoIsInOffice, type NodePart } from '../wire/directory-publisher.ts'
import type { Neighbourhood } from '../wire/packets.ts'
import { entryOf, peerIdFromBytes, type Target } from '../wire/peers.ts'
import { RpcClient } from '../wire/rpc-client.ts'
import type { RpcServer } from '../wire/rpc-server.ts'
import type { StreamHost } from '../wire/stream-host.ts'
import type { NetworkParameters, Settings } from './init.ts'
import { readListing } from './listing.ts'
import type { MixPoolStatus } from './mix-pool.ts'
import type { MixNetwork, Self } from './network.ts'
import { sleep } from './ports.ts'

export interface DirectoryNetworkOptions {
  readonly suite: Suite
  readonly directory: NonNullable<Settings['directory']>
  readonly host: StreamHost
  /** For a node that stands in the directory itself. */
  readonly node: Omit<NodePart, 'publishTo'> | null
  /** Our own peer id, 39 bytes. */
  readonly self: Uint8Array
  readonly clock: Clock
  readonly rng: Rng
  readonly log: Log
  readonly meter: Meter
  /** A document has come into force. */
  readonly onDocument: (view: DirectoryView) => void
}

export class DirectoryNetwork implements MixNetwork {
  readonly topology: Topology
  readonly neighbourhood: Neighbourhood
  readonly #options: DirectoryNetworkOptions
  readonly #rpc: RpcClient
  readonly #keeper: DirectoryKeeper
  #mirror: RpcServer | null = null

  constructor (options: DirectoryNetworkOptions) {
    this.#options = options
    const { suite, directory: { network, authorities, store }, host, node, self, clock, rng, log, meter, onDocument } = options
    this.#rpc = new RpcClient({ node: host, meter })
    const known = authorities.map(({ at, from, until }) => ({ ask: askOver(this.#rpc, at), from, until }))
    this.#keeper = new DirectoryKeeper({
      suite, log, meter, sources: known.map(({ ask }) => ask), onDocument,
      trust: trustOf(network, authorities),
      ports: { clock, rng, store: store ?? noStore, wait: sleep },
      ...(node === null ? {} : { node: { ...node, publishTo: whoIsInOffice(known) } })
    })
    this.topology = topologyOf(() => this.#keeper.live(), self)
    this.neighbourhood = { addresses: peer => this.#node(peer)?.addresses ?? [], accepts: this.isNode }
  }

  /** @throws what the store of mix keys refuses with */
  async start (): Promise<void> {
    const { host, node, clock, meter } = this.#options
    if (node !== null) this.#mirror = await serveDirectory(host, async request => await answerAsMirror(this.#keeper.client, clock, request), { meter })
    await this.#keeper.start()
  }

  async stop (): Promise<void> {
    await this.#keeper.stop()
    await this.#mirror?.close()
    this.#rpc.close()
  }

  /** The document in force, or null. */
  view = (): DirectoryView | null => this.#keeper.view()

  parameters = (): NetworkParameters | null => this.view()?.parameters ?? null

  ready = async (signal: AbortSignal): Promise<NetworkParameters> => (await this.#keeper.ready(signal)).parameters

  isNode = (peer: LinkId): boolean => this.#node(peer) !== undefined

  mayReplyTo = (firstHop: PacketAddress): boolean => mayReplyTo(this.#keeper.live(), firstHop)

  entries = (): readonly Target[] => this.view()?.gateways.map(entryOf) ?? []

  answers = (peer: Uint8Array): boolean => {
    const node = this.view()?.byPeer(peer)
    return node?.role === 'service' && node.mixKeys.length > 0
  }

  exit = (protocol: string, destination: PacketAddress, entry: Uint8Array | null): Uint8Array | null => {
    const { self, rng } = this.#options
    const not = [self, nodeOf(destination), ...(entry === null ? [] : [entry])].map(toHex)
    const exits = this.view()?.nodes.filter(node => this.answers(node.peer) && readListing(node.body).exits.includes(protocol) && !not.includes(toHex(node.peer))) ?? []
    return exits.length === 0 ? null : exits[below(rng, exits.length)].peer
  }

  /** Only clients of a gateway ask; nodes that stand in the directory do not. */
  paths = (self: Self): Paths => {
    const through = <T>(find: (paths: Paths) => T): T | null => this.#attached(self, at => find(directoryPaths(this.view, at, this.#options.meter)))
    return {
      forward: (target, now, rng) => through(paths => paths.forward(target, now, rng)),
      back: (target, now, rng) => through(paths => paths.back(target, now, rng))
    }
  }

  coverPaths = (self: Self): CoverPaths => {
    const through = <T>(find: (paths: CoverPaths) => T): T | null => this.#attached(self, at => find(coverPaths(this.view, at)))
    return { forward: (now, rng) => through(paths => paths.forward(now, rng)), back: (now, rng) => through(paths => paths.back(now, rng)) }
  }

  loopPath = ({ peer }: Self): (now: Millis, rng: Rng) => Path | null => loopPaths(this.view, peer)

  /** The nodes of the document, as entries of a pool. */
  listed = (): MixPoolStatus[] => {
    const view = this.view()
    return view?.nodes.map(node => ({
      peer: peerIdFromBytes(node.peer).toString(),
      addresses: [...new Set([...node.addresses, ...node.entry])],
      mixKey: toHex(view.mixKey(node, this.#options.clock.now())?.key ?? new Uint8Array(0)),
      exits: node.role === 'service' ? readListing(node.body).exits : [],
      clients: node.role === 'gateway',
      asideUntil: null
    })) ?? []
  }

  #attached<T> ({ peer, mixKey, entry }: Self, find: (at: { gateway: Uint8Array, peer: Uint8Array, mixKey: Uint8Array }) => T): T | null {
    const gateway = entry()
    return gateway === null ? null : find({ gateway, peer, mixKey })
  }

  /** By the newest document that knows it. */
  #node (peer: LinkId): DirectoryNode | undefined {
    const bytes = fromHex(peer)
    return this.#keeper.live().map(view => view.byPeer(bytes)).find(node => node !== undefined)
  }
}
