/** Constructs what runs between the start and the stop of a node, out of what the service was told, for each role that a node can have. */
import { defaultSuite } from '@mixmint/core/crypto/choose'
import type { Meter } from '@mixmint/core/kit/ports'
import type { Suite } from '@mixmint/core/crypto/suite'
import { openFiles } from '#files'
import type { MixKeyStore } from '../directory/keys.ts'
import type { NodePool } from '../pool/pool.ts'
import { addressBlock } from '../sphinx/address.ts'
import type { NodePart } from '../wire/directory-publisher.ts'
import type { NodeFiles } from '../wire/files.ts'
import { NodeKeys } from '../wire/node-keys.ts'
import { peerBytes, type Target } from '../wire/peers.ts'
import type { MixComponents } from './api.ts'
import { Attachment } from './attachment.ts'
import { HandlerBridge } from './bridge.ts'
import { DirectoryNetwork } from './directory-network.ts'
import { ExitForwarder } from './exit.ts'
import { hostOf } from './hosts.ts'
import { isReached, type Settings } from './init.ts'
import { writeListing } from './listing.ts'
import { logOf } from './log.ts'
import type { MixPool } from './mix-pool.ts'
import type { MixNetwork } from './network.ts'
import { ownAddresses, untilListening } from './own-address.ts'
import { PoolNetwork } from './pool-network.ts'
import { platformClock as clock, platformRng as rng } from './ports.ts'
import { Works, type WorksOptions } from './works.ts'

export interface RunningOptions {
  readonly settings: Settings
  readonly components: MixComponents
  readonly meter: Meter
  readonly nodes: NodePool
  readonly pool: MixPool
  /** The node is to stop: whatever waits, waits no more. */
  readonly stopped: AbortSignal
}

export interface Running {
  readonly network: MixNetwork
  readonly works: Works
  /** Null for a node that has an address of its own. */
  readonly attachment: Attachment | null
  /** X25519, 32 bytes: in a network without a directory, this node's for good. */
  readonly mixKey: Uint8Array
  readonly stop: () => Promise<void>
}

/** The only key of a network without epochs, and of a client. */
const OWN_EPOCH = 0
/** Where nobody prescribes a mean delay, packets may ask for any up to this. */
const ANY_DELAY = { most: 60_000 }
/** Addresses in a descriptor. */
const MOST_ADDRESSES = 8
/** Keys that do not outlive the process. */
const FORGETFUL: MixKeyStore = { load: async () => [], keep: async () => {}, destroy: async () => {} }

/** Where others reach this node, as packets name it first. @throws no-address (operator) */
export function addressesOf ({ addressManager, peerId }: MixComponents, { relay }: Settings): string[] {
  return ownAddresses(addressManager, peerBytes(peerId), relay?.address ?? null)
}

/** In a network without a directory. @throws no-address, and what the folder refuses with (operator) */
export async function startInPool (options: RunningOptions): Promise<Running> {
  const { settings, components, meter, nodes, pool } = options
  const { parameters, framing, relay } = settings
  const common = await prepare(options)
  const { suite, files, self } = common
  if (relay !== null) await untilListening(components.events, () => addressesOf(components, settings))
  const block = relay === null ? null : addressBlock(addressesOf(components, settings)[0], self)
  const secret = await ownSecret(files)
  const network = new PoolNetwork({ pool: nodes, known: pool, parameters, clients: relay?.clients === true, self, clock, rng, meter })
  const attachment = relay === null ? attach(options, network, entry => { works.node.keep(entry) }) : null
  const mixKey = suite.x25519Base(secret)
  const works: Works = new Works({
    ...common.works, network, parameters,
    self: { peer: self, mixKey, block, entry: () => attachment?.entry ?? null },
    relay: attachment === null
      ? { meanDelay: framing === 'plain' ? ANY_DELAY : parameters.meanDelay, clients: relay?.clients === true, admit: relay?.admit ?? null }
      : { neighbourhood: attachment.neighbourhood }
  })
  works.node.install({ epoch: OWN_EPOCH, privateKey: secret, from: 0, until: Infinity })
  await works.start()
  attachment?.start()
  return { network, works, attachment, mixKey, stop: stopper(settings, works, attachment, async () => {}) }
}

/** In a network with a directory; resolves when there is a document. @throws what `startInPool` does, and directory-unavailable when the node is stopped before */
export async function startInDirectory (options: RunningOptions, directory: NonNullable<Settings['directory']>): Promise<Running> {
  const { settings, components, meter, stopped } = options
  const common = await prepare(options)
  const { suite, files, self } = common
  const isListed = isReached(settings)
  if (isListed) await untilListening(components.events, () => addressesOf(components, settings))
  const log = logOf(components.logger)
  let started: Works | null = null
  const keys = isListed ? new NodeKeys({ clock, log, seenLog: files?.seenLog ?? null }) : null
  const network = new DirectoryNetwork({
    suite, directory, host: hostOf(components), self, clock, rng, log, meter,
    node: keys === null ? null : { ...nodePart(options, directory), mixKeys: files?.mixKeys ?? FORGETFUL, onKeys: keys.onKeys },
    onDocument: view => {
      keys?.onDocument(view)
      started?.onDocument()
    }
  })
  await network.start()
  try {
    const parameters = await network.ready(stopped)
    const secret = rng.bytes(32)
    const mixKey = suite.x25519Base(secret)
    const attachment = keys === null ? attach(options, network, entry => { works.node.keep(entry) }) : null
    const works: Works = new Works({
      ...common.works, network, parameters,
      self: { peer: self, mixKey, block: null, entry: () => attachment?.entry ?? null },
      relay: attachment === null ? { meanDelay: parameters.meanDelay, clients: settings.relay?.clients === true, admit: settings.relay?.admit ?? null } : { neighbourhood: attachment.neighbourhood }
    })
    if (keys !== null) await Promise.race([keys.some, fires(stopped)])
    const view = network.view()
    if (keys === null) works.node.install({ epoch: OWN_EPOCH, privateKey: secret, from: 0, until: Infinity })
    else if (view !== null) keys.attach(works.node, view)
    await works.start()
    started = works
    attachment?.start()
    return { network, works, attachment, mixKey, stop: stopper(settings, works, attachment, async () => { await network.stop() }) }
  } catch (error) {
    await network.stop()
    throw error
  }
}

/** What every role has. */
async function prepare ({ settings, components, meter }: RunningOptions): Promise<{
  suite: Suite, files: NodeFiles | null, self: Uint8Array, works: Omit<WorksOptions, 'network' | 'parameters' | 'self' | 'relay'>
}> {
  const { serve, exit: policy, limits, framing, folder } = settings
  const { registrar, connectionManager, logger } = components
  const suite = settings.suite ?? await defaultSuite()
  const files = folder === null ? null : openFiles(suite, folder)
  return {
    suite, files, self: peerBytes(components.peerId),
    works: {
      suite, clock, rng, log: logOf(logger), meter, limits, session: framing, host: hostOf(components),
      bridge: new HandlerBridge({ registrar, logger, clock, meter, served: serve, patience: limits.handlerPatience }),
      exit: policy === null ? null : replyLimit => new ExitForwarder({ connections: connectionManager, policy, replyLimit, meter }),
      files
    }
  }
}

/** The mix key of a network without epochs: the one that is kept, else a fresh one. */
async function ownSecret (files: NodeFiles | null): Promise<Uint8Array> {
  const kept = (await files?.mixKeys.load())?.find(({ epoch }) => epoch === OWN_EPOCH)
  if (kept !== undefined) return kept.secret
  const secret = rng.bytes(32)
  files?.seenLog.create(OWN_EPOCH, secret)
  await files?.mixKeys.keep({ epoch: OWN_EPOCH, secret })
  return secret
}

function attach ({ settings: { entry }, components: { connectionManager }, meter }: RunningOptions, network: MixNetwork, onAttached: (entry: Uint8Array) => void): Attachment {
  const candidates = (): readonly Target[] => entry.length > 0 ? entry : network.entries()
  return new Attachment({ connections: connectionManager, candidates, onAttached, rng, meter })
}

/** What a node says of itself in the directory. */
function nodePart ({ settings, components }: RunningOptions, { kind }: NonNullable<Settings['directory']>): Pick<NodePart, 'secret' | 'describe'> {
  const { relay, serve, exit } = settings
  return {
    secret: components.privateKey.raw,
    describe: async () => {
      const addresses = addressesOf(components, settings).slice(0, MOST_ADDRESSES)
      if (relay !== null) return { role: relay.clients ? 'gateway' : 'mix', kind: '', addresses, entry: relay.clients ? addresses : [], body: new Uint8Array(0) }
      const serves = typeof serve === 'function' ? [] : [...serve.keys()]
      return { role: 'service', kind: kind ?? 'service', addresses, entry: [], body: writeListing({ serves, exits: [...exit?.protocols.keys() ?? []] }) }
    }
  }
}

function stopper ({ limits }: Settings, works: Works, attachment: Attachment | null, leave: () => Promise<void>): () => Promise<void> {
  return async () => {
    await attachment?.stop()
    await works.stop(limits.drain)
    await leave()
  }
}

async function fires (signal: AbortSignal): Promise<void> {
  await new Promise<void>(resolve => {
    signal.addEventListener('abort', () => { resolve() }, { once: true })
    if (signal.aborted) resolve()
  })
}
