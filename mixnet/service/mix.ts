/**
 * The mix network as a libp2p service: `createLibp2p({ services: { mix: mix({…}) } })`. Constructs everything that the
 * other files of this folder are. It lives with the node: begins once the node has started and knows its addresses, and lets
 * packets leave before the node stops.
 */
import { serviceCapabilities, serviceDependencies } from '@libp2p/interface'
import type { Startable } from '@libp2p/interface'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import { pureSuite } from '@mixmint/core/crypto/pure'
import { equal, toHex } from '@mixmint/core/kit/bytes'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Meter } from '@mixmint/core/kit/ports'
import type { Suite } from '@mixmint/core/crypto/suite'
import { openFiles } from '#files'
import { NodePool } from '../pool/pool.ts'
import { addressBlock, type PacketAddress } from '../sphinx/address.ts'
import type { NodeFiles } from '../wire/files.ts'
import { isMixPeer, peerBytes, peerIdFromBytes, type Target } from '../wire/peers.ts'
import type { MixComponents, MixDialOptions, MixService, MixStatus } from './api.ts'
import { Attachment } from './attachment.ts'
import { HandlerBridge } from './bridge.ts'
import { readDestination, type Destination, type Named } from './destination.ts'
import { ExitForwarder } from './exit.ts'
import { hostOf } from './hosts.ts'
import { checkInit, type MixInit, type Settings } from './init.ts'
import { meterOf } from './meter.ts'
import { MixPool, type MixPoolEntry } from './mix-pool.ts'
import type { MixNetwork, Self } from './network.ts'
import { ownAddresses, untilListening } from './own-address.ts'
import { PoolNetwork } from './pool-network.ts'
import { platformClock, platformRng } from './ports.ts'
import { MixStream } from './stream.ts'
import { Works } from './works.ts'

/**
 * The service, for `createLibp2p({ services: { mix: mix({…}) } })`. The node needs a secp256k1 identity.
 * @throws bad-init (caller), saying which field and what is wanted of it
 */
export function mix (init: MixInit = {}): (components: MixComponents) => MixService {
  const settings = checkInit(init)
  return components => new Mix(components, settings)
}

const OWN_EPOCH = 0
/** What others may ask for where nobody prescribes a mean delay. */
const ANY_DELAY = { most: 60_000 }

/** What is there between start and stop. */
interface Running {
  readonly network: MixNetwork
  readonly works: Works
  readonly attachment: Attachment | null
}

class Mix implements MixService, Startable {
  readonly [Symbol.toStringTag] = '@mixmint/mixnet'
  readonly [serviceCapabilities]: string[] = ['@mixmint/mixnet']
  readonly [serviceDependencies]: string[] = ['@libp2p/transport', '@libp2p/connection-encryption', '@libp2p/stream-multiplexing']
  readonly pool: MixPool
  readonly #nodes: NodePool
  readonly #components: MixComponents
  readonly #settings: Settings
  readonly #meter: Meter
  readonly #peer: Uint8Array
  #running: Running | null = null
  #mixKey: Uint8Array = new Uint8Array(0)
  #opened = 0

  constructor (components: MixComponents, settings: Settings) {
    if (!isMixPeer(components.peerId)) {
      throw new MixmintError('identity-kind', 'caller', 'no other identities than secp256k1 ones fit into packets: give createLibp2p a privateKey of generateKeyPair(\'secp256k1\')')
    }
    this.#components = components
    this.#settings = settings
    this.#meter = settings.meter ?? meterOf(components.metrics)
    this.#peer = peerBytes(components.peerId)
    this.#nodes = new NodePool({ suite: settings.suite ?? pureSuite, meter: this.#meter })
    this.pool = new MixPool(this.#nodes, platformClock, () => { this.#running?.attachment?.poke() })
    for (const entry of settings.pool) this.pool.add(entry)
  }

  start (): void {}

  async afterStart (): Promise<void> {
    const { relay, limits, framing, parameters, serve } = this.#settings
    const { registrar, connectionManager, logger, events } = this.#components
    const suite = this.#settings.suite ?? await defaultSuite()
    const [clock, rng, meter] = [platformClock, platformRng, this.#meter]
    const files = this.#files(suite)
    const secret = await this.#secret(files)
    this.#mixKey = suite.x25519Base(secret)
    if (relay !== null) await untilListening(events, () => this.#addresses())
    const block = relay === null ? null : addressBlock(this.#addresses()[0], this.#peer)
    const network = new PoolNetwork({ pool: this.#nodes, known: this.pool, parameters, clients: relay?.clients === true, self: this.#peer, clock, rng, meter })
    const attachment = relay !== null ? null : new Attachment({ connections: connectionManager, candidates: () => this.#entries(network), onAttached: entry => { works.node.keep(entry) }, rng, meter })
    const self: Self = { peer: this.#peer, mixKey: this.#mixKey, block, entry: () => attachment?.entry ?? null }
    const works: Works = new Works({
      suite, clock, rng, meter, network, parameters, limits, self,
      host: hostOf(this.#components),
      relay: attachment === null
        ? { meanDelay: framing === 'plain' ? ANY_DELAY : parameters.meanDelay, clients: relay?.clients === true }
        : { neighbourhood: attachment.neighbourhood },
      session: framing,
      bridge: new HandlerBridge({ registrar, logger, clock, meter, served: serve, patience: limits.handlerPatience }),
      exit: this.#exit(),
      seenLog: files?.seenLog ?? null
    })
    works.node.install({ epoch: OWN_EPOCH, privateKey: secret, from: 0, until: Infinity })
        await works.node.start()
    attachment?.start()
    this.#running = { network, works, attachment }
  }

  /** Before the connections go: what is inside leaves in its time. */
  async beforeStop (): Promise<void> {
    const running = this.#running
    this.#running = null
    await running?.attachment?.stop()
    await running?.works.stop(this.#settings.limits.drain)
  }

  stop (): void {}

  async ready (signal: AbortSignal = AbortSignal.timeout(this.#settings.limits.patience)): Promise<void> {
    await this.#ready(signal)
  }

  async dialProtocol (destination: Destination, protocol: string, options: MixDialOptions = {}): Promise<MixStream> {
    const { limits } = this.#settings
    const { expectReply = true, signal, patience = limits.patience, replySize, leave = 'quiet', quiet = 0 } = options
    const named = readDestination(destination)
    const within = AbortSignal.timeout(patience)
    const running = await this.#ready(signal === undefined ? within : AbortSignal.any([signal, within])).catch((error: unknown) => {
      throw signal?.aborted === true ? aborted(signal) : error
    })
    const { service, via } = this.#target(running.network, named, protocol, options.exit)
    const { requestLimit } = running.network.parameters() ?? this.#settings.parameters
    const stream = new MixStream({
      id: `mix-${this.#opened++}`, protocol, log: this.#components.logger.forComponent('mixmint:mixnet:asked'), leave, quiet, requestLimit,
      exchange: async (request, broken) => {
        const asked = { signal: broken, deadline: platformClock.now() + patience, replySize: expectReply ? replySize : null, ...(via === null ? {} : { destination: via }) }
        const reply = await running.works.requester.request(service, protocol, request, asked)
        return expectReply ? reply : null
      }
    })
    const abort = (): void => { if (signal !== undefined) stream.fail(aborted(signal)) }
    signal?.addEventListener('abort', abort, { once: true })
    stream.addEventListener('close', () => { signal?.removeEventListener('abort', abort) })
    return stream
  }

  describe (): MixPoolEntry {
    const { relay, exit } = this.#settings
    if (relay === null || this.#running === null) throw new MixmintError('not-a-relay', 'caller', 'only a relay that has started has an entry for the pools of others')
    return {
      peer: this.#components.peerId.toString(),
      addresses: this.#addresses(),
      mixKey: toHex(this.#mixKey),
      exits: [...exit?.protocols.keys() ?? []],
      clients: relay.clients
    }
  }

  status (): MixStatus {
    const { works, attachment } = this.#running ?? {}
    const entry = attachment?.up === true ? attachment.entry : null
    return { entry: entry === null ? null : peerIdFromBytes(entry).toString(), packets: works?.node.counts() ?? null }
  }

  async #ready (signal: AbortSignal): Promise<Running> {
    const running = this.#running
    if (running === null) throw new MixmintError('not-started', 'caller', 'the node has not been started, or is stopping', { retry: true })
    await running.attachment?.ready(signal)
    return running
  }

  /** Who is at the end of the path, and whom it is to ask if it is an exit. */
  #target (network: MixNetwork, { peer, address }: Named, protocol: string, exit: MixDialOptions['exit']): { service: Uint8Array, via: PacketAddress | null } {
    if (equal(peer, this.#peer)) throw new MixmintError('bad-destination', 'caller', 'this is the node itself')
    if (exit === undefined && network.answers(peer)) return { service: peer, via: null }
    if (address === null) {
      throw new MixmintError('unknown-destination', 'caller', 'this node is not known to the mix network; for an exit to reach it, give its address, /ip4/A.B.C.D/tcp/PORT/p2p/…, of a secp256k1 or Ed25519 identity')
    }
    const service = exit === undefined ? network.exit(protocol, address) : readDestination(exit).peer
    if (service === null) throw new MixmintError('no-exit', 'operator', 'no node of the network is an exit for this protocol now', { retry: true })
    return { service, via: address }
  }

  #addresses (): string[] {
    return ownAddresses(this.#components.addressManager, this.#peer, this.#settings.relay?.address ?? null)
  }

  #entries (network: MixNetwork): readonly Target[] {
    const { entry } = this.#settings
    return entry.length > 0 ? entry : network.entries()
  }

  #exit (): ExitForwarder | null {
    const { exit: policy, parameters: { requestLimit } } = this.#settings
    return policy === null ? null : new ExitForwarder({ connections: this.#components.connectionManager, policy, replyLimit: () => requestLimit, meter: this.#meter })
  }

  #files (suite: Suite): NodeFiles | null {
    return this.#settings.folder === null ? null : openFiles(suite, this.#settings.folder)
  }

  /** The mix key of a network without epochs: the one that is kept, else a fresh one. */
  async #secret (files: NodeFiles | null): Promise<Uint8Array> {
    const kept = (await files?.mixKeys.load())?.find(({ epoch }) => epoch === OWN_EPOCH)
    if (kept !== undefined) return kept.secret
    const secret = platformRng.bytes(32)
    files?.seenLog.create(OWN_EPOCH, secret)
    await files?.mixKeys.keep({ epoch: OWN_EPOCH, secret })
    return secret
  }
}

function aborted ({ reason }: AbortSignal): MixmintError {
  return new MixmintError('aborted', 'caller', 'the exchange was aborted; if its request had left, it may still be carried out', { cause: reason })
}
