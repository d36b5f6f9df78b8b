/**
 * The mix network as a libp2p service: `createLibp2p({ services: { mix: mix({…}) } })`. Constructs everything that the
 * other files of this folder are. It lives with the node: begins once the node has started and knows its addresses, and lets
 * packets leave before the node stops.
 */
import { serviceCapabilities, serviceDependencies } from '@libp2p/interface'
import type { Startable } from '@libp2p/interface'
import { pureSuite } from '@mixmint/core/crypto/pure'
import { equal, toHex } from '@mixmint/core/kit/bytes'
import { MixmintError } from '@mixmint/core/kit/errors'
import { asMixmintError } from '@mixmint/core/kit/saga'
import type { Meter } from '@mixmint/core/kit/ports'
import { NodePool } from '../pool/pool.ts'
import type { PacketAddress } from '../sphinx/address.ts'
import { isMixPeer, peerBytes, peerIdFromBytes } from '../wire/peers.ts'
import type { MixComponents, MixDialOptions, MixService, MixStatus } from './api.ts'
import { clientComponents } from './client.ts'
import { readDestination, type Destination, type Named } from './destination.ts'
import { checkDial, type DialSettings } from './dial.ts'
import { checkInit, isReached, type MixInit, type Settings } from './init.ts'
import { logOf } from './log.ts'
import { meterOf } from './meter.ts'
import { MixPool, type MixPoolEntry } from './mix-pool.ts'
import { platformClock } from './ports.ts'
import { addressesOf, startInDirectory, startInPool, type Running } from './running.ts'
import { MixStream } from './stream.ts'

/**
 * The service, for `createLibp2p({ services: { mix: mix({…}) } })`. The node needs a secp256k1 identity.
 * @throws bad-init (caller), saying which field and what is wanted of it
 */
export function mix (init: MixInit = {}): (components: MixComponents) => MixService {
  const settings = checkInit(init)
  return components => new Mix(components, settings)
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
  #stop = new AbortController()
  /** Null before the start and after the stop. */
  #begun: Promise<Running> | null = null
  #running: Running | null = null
  /** Opened here and not yet closed. */
  readonly #streams = new Set<MixStream>()
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
    this.pool = new MixPool({
      pool: this.#nodes, clock: platformClock, onChange: () => { this.#running?.attachment?.poke() },
      listed: settings.directory === null ? null : () => this.#running?.network.listed?.() ?? []
    })
    for (const entry of settings.pool) this.pool.add(entry)
  }

  start (): void {}

  /** A network with a directory may be long in coming; the node does not wait for it. */
  async afterStart (): Promise<void> {
    const { directory } = this.#settings
    this.#stop = new AbortController()
    const options = { settings: this.#settings, components: this.#components, meter: this.#meter, nodes: this.#nodes, pool: this.pool, stopped: this.#stop.signal }
    const begun = (directory === null ? startInPool(options) : startInDirectory(options, directory)).then(running => {
      this.#running = running
      return running
    })
    this.#begun = begun
    if (directory === null) await begun
    else begun.catch((error: unknown) => { this.#unbegun(error) })
  }

  /** Before the connections go: what is inside leaves in its time. */
  async beforeStop (): Promise<void> {
    const begun = this.#begun
    this.#begun = null
    this.#running = null
    this.#stop.abort()
    for (const stream of [...this.#streams]) stream.fail(new MixmintError('stopping', 'caller', 'this node is stopping; if the request had left, it may still be carried out'))
    const running = await begun?.catch(() => null)
    await running?.stop()
  }

  stop (): void {}

  async ready (signal: AbortSignal = AbortSignal.timeout(this.#settings.limits.patience)): Promise<void> {
    await this.#ready(signal)
  }

  /** A field, so that it can be handed on by itself. */
  readonly dialProtocol = async (destination: Destination, protocol: string, options: MixDialOptions = {}): Promise<MixStream> => {
    return await this.#dial(destination, checkDial(protocol, options, this.#settings.limits))
  }

  client <T> (service: (components: never) => T, options: Omit<MixDialOptions, 'signal' | 'expectReply'> = {}): T {
    const dial = async (destination: Destination, protocol: string, signal: AbortSignal | undefined): Promise<MixStream> => {
      return await this.dialProtocol(destination, protocol, { ...options, signal })
    }
    return service(clientComponents(this.#components.logger, platformClock, dial) as never)
  }

  async #dial (destination: Destination, { protocol, expectReply, signal, patience, replySize, leave, quiet, exit }: DialSettings): Promise<MixStream> {
    if (this.#settings.directory !== null && isReached(this.#settings)) {
      throw new MixmintError('not-a-client', 'caller', 'a node that stands in the directory asks nobody over the mix: where its packets begin, everybody would see; let a node of its own ask')
    }
    const named = readDestination(destination)
    const within = AbortSignal.timeout(patience)
    const running = await this.#ready(signal === undefined ? within : AbortSignal.any([signal, within])).catch((error: unknown) => {
      throw signal?.aborted === true ? aborted(signal) : error
    })
    const { service, via } = this.#target(running, named, protocol, exit)
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
    this.#streams.add(stream)
    stream.addEventListener('close', () => {
      signal?.removeEventListener('abort', abort)
      this.#streams.delete(stream)
    })
    return stream
  }

  describe (): MixPoolEntry {
    const { relay, exit, directory } = this.#settings
    if (relay === null || directory !== null || this.#running === null) {
      throw new MixmintError('not-a-relay', 'caller', 'only a relay of a network without a directory, once it has started, has an entry for the pools of others')
    }
    return {
      peer: this.#components.peerId.toString(),
      addresses: addressesOf(this.#components, this.#settings),
      mixKey: toHex(this.#running.mixKey),
      exits: [...exit?.protocols.keys() ?? []],
      clients: relay.clients
    }
  }

  status (): MixStatus {
    const { works, attachment } = this.#running ?? {}
    const entry = attachment?.up === true ? attachment.entry : null
    return { entry: entry === null ? null : peerIdFromBytes(entry).toString(), packets: works?.node.counts() ?? null, loops: works?.loops() ?? null, echoes: works?.echoes() ?? null }
  }

  /** @throws also why the network is not known, when the signal fires */
  async #ready (signal: AbortSignal): Promise<Running> {
    const stop = this.#stop.signal
    const either = AbortSignal.any([signal, stop])
    try {
      if (this.#begun === null) throw notStarted()
      const running = await orAborted(this.#begun, either)
      await running.attachment?.ready(either)
      if (this.#begun !== null) return running
    } catch (error) {
      if (!stop.aborted) throw error
    }
    throw notStarted()
  }

  /** Nobody waits for the start of a service that follows a directory; so it is told here why it failed. */
  #unbegun (error: unknown): void {
    const { code, message } = asMixmintError(error)
    if (!this.#stop.signal.aborted) logOf(this.#components.logger).error('the mix service could not start', { code, message })
  }

  /** Who is at the end of the path, and whom it is to ask if it is an exit. */
  #target ({ network, attachment }: Running, { peer, address }: Named, protocol: string, exit: MixDialOptions['exit']): { service: Uint8Array, via: PacketAddress | null } {
    if (equal(peer, this.#peer)) throw new MixmintError('bad-destination', 'caller', 'this is the node itself')
    const entry = attachment?.entry ?? null
    if (entry !== null && equal(peer, entry)) {
      throw new MixmintError('bad-destination', 'caller', 'this is the node by which we entered: it would learn both who asks and what; name another in `entry`')
    }
    if (exit === undefined && network.answers(peer)) return { service: peer, via: null }
    if (address === null) {
      throw new MixmintError('unknown-destination', 'caller', 'this node is not known to the mix network; for an exit to reach it, give its address, /ip4/A.B.C.D/tcp/PORT/p2p/…, of a secp256k1 or Ed25519 identity')
    }
    const service = exit === undefined ? network.exit(protocol, address, entry) : readDestination(exit).peer
    if (service === null) throw new MixmintError('no-exit', 'operator', 'no node of the network is an exit for this protocol now', { retry: true })
    return { service, via: address }
  }
}

function notStarted (): MixmintError {
  return new MixmintError('not-started', 'caller', 'the node has not been started, or is stopping', { retry: true })
}

function aborted ({ reason }: AbortSignal): MixmintError {
  return new MixmintError('aborted', 'caller', 'the exchange was aborted; if its request had left, it may still be carried out', { cause: reason })
}

/** What the promise becomes; no later than the signal fires. */
async function orAborted<T> (promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return await new Promise<T>((resolve, reject) => {
    const abort = (): void => { reject(new MixmintError('not-sent', 'peer', 'nothing was sent: the mix network is not known yet; are the authorities of its directory running?', { retry: true })) }
    signal.addEventListener('abort', abort, { once: true })
    if (signal.aborted) abort()
    promise.then(resolve, reject).finally(() => { signal.removeEventListener('abort', abort) })
  })
}
