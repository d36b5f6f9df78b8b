/**
 * The libp2p hosts of a daemon or wallet: Noise and Yamux over TCP, for wallets over WebSocket too, and no service that
 * tells others about us (no identify). A node has one host for the network's nodes; a gateway, and a service that is asked
 * directly, another for wallets, under the same identity (docs/decisions/0015): each has its own table of connections.
 *
 * Limits: handshakes stand in line, and strangers take no seat of the network's own nodes (door.ts); a receive window stays
 * below the read buffer, or a paused stream would be ended instead of waiting; a connection on which no stream is open is
 * closed after a time.
 */
import { noise } from '@chainsafe/libp2p-noise'
import type { Connection, Libp2p, PrivateKey } from '@libp2p/interface'
import { tcp } from '@libp2p/tcp'
import { createLibp2p } from 'libp2p'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Meter, Millis } from '@mixmint/core/kit/ports'
import type { TurnstileLimits } from '@mixmint/mixnet/abuse/turnstile'
import type { LinkId } from '@mixmint/mixnet/mixing/engine'
import { peerBytes } from '@mixmint/mixnet/wire/peers'
import { listenAdvice, placeOf } from './addresses.ts'
import { Door } from './door.ts'
import { limitedYamux } from './muxer.ts'

/** authority: for nodes and wallets alike. node: among nodes. entry: for wallets. wallet: dials, and is not dialled. */
export type HostRole = 'authority' | 'node' | 'entry' | 'wallet'

export interface HostOptions {
  /** secp256k1. */
  readonly privateKey: PrivateKey
  readonly role: HostRole
  /** Multiaddrs such as /ip4/0.0.0.0/tcp/4001, for entries also /ip4/0.0.0.0/tcp/4002/ws; none for a wallet. */
  readonly listen: readonly string[]
  /** What `addresses` says instead; by default, or empty, where it listens. */
  readonly announce?: readonly string[]
  readonly meter: Meter
  /** Is this peer one of the network's own nodes? Others are strangers. By default nobody is. */
  readonly isKnown?: (peer: LinkId) => boolean
  /** Does one of the network's own nodes live at this network address, as `groupOf` writes it? By default nowhere. */
  readonly isHome?: (group: string) => boolean
  /** Connections of strangers at one time, instead of what the role suggests. */
  readonly strangers?: number
  /** A handshake, with the wait for its turn, may take so long. */
  readonly upgradeTimeout?: Millis
  /** A connection without a stream is closed after this many ms. */
  readonly idle?: Millis
}

export interface Host {
  readonly node: Libp2p
  /** 39 bytes. */
  readonly peer: Uint8Array
  /** Where others reach it, multiaddrs without /p2p, in the order in which they were given. */
  readonly addresses: () => string[]
  readonly stop: () => Promise<void>
}

interface Limits {
  readonly strangers: number
  readonly handshakes: TurnstileLimits
  /** Streams of one connection and direction, and the largest receive window of each. */
  readonly streams: number
  readonly window: number
  /** Bytes that wait for a peer that does not read, beside those of its streams. */
  readonly unread: number
  /** A silent connection is asked for a sign of life this often, and given this long: a busy machine may be slow. */
  readonly ping: { readonly interval: Millis, readonly timeout: Millis }
}

/** Of the whole handshake, with the wait for its turn. */
const UPGRADE_TIMEOUT: Millis = 5_000
/**
 * Nodes behind one address, or on one machine, come up together, and before the first document no address is known. A
 * handshake takes milliseconds of a processor: strangers get half as many among nodes, where they have no business, as at an entry.
 */
const AMONG_NODES: Limits = {
  strangers: 0,
  handshakes: { each: { perSecond: 25, burst: 200 }, preferred: { perSecond: 100, burst: 500 }, all: { perSecond: 50, burst: 400 }, pendingEach: 256, pending: 512 },
  streams: 64, window: 512 * 1024, unread: 4 * 1024 * 1024, ping: { interval: 20_000, timeout: 15_000 }
}
const LIMITS: Readonly<Record<HostRole, Limits>> = {
  node: AMONG_NODES,
  authority: { ...AMONG_NODES, strangers: 256 },
  entry: {
    ...AMONG_NODES, strangers: 768,
    handshakes: { each: { perSecond: 20, burst: 100 }, preferred: { perSecond: 20, burst: 100 }, all: { perSecond: 100, burst: 400 }, pendingEach: 128, pending: 512 },
    streams: 8, window: 256 * 1024, unread: 1024 * 1024
  },
  // It has to notice that its connection is dead while its gateway still keeps packets for it.
  wallet: { ...AMONG_NODES, ping: { interval: 5_000, timeout: 5_000 } }
}
/** Limits of libp2p that come before the door and know nobody: set out of its way. */
const NO_LIMIT = Number.MAX_SAFE_INTEGER
const IDLE: Millis = 60_000
/** One dead address leaves time for another. */
const ADDRESS_DIAL_TIMEOUT: Millis = 2_000
const WRITE_BUFFER = 4 * 1024 * 1024

/** The first of these addresses that was refused, and what to do; libp2p has the system's words in the text of its error. */
function whyNot (listen: readonly string[], error: unknown): string {
  for (const address of listen) {
    const code = (error as Error).message.split('\n').find(line => line.trim().startsWith(`${address}: `))?.match(/\b(E[A-Z]{3,})\b/)?.[1]
    if (code !== undefined) return `${address} (${code}): ${listenAdvice(code)}`
  }
  return `${listen.join(', ')}: ${(error as Error).message}`
}

/**
 * A started host.
 * @throws identity-kind (caller), listen-failed (operator)
 */
export async function createHost (options: HostOptions): Promise<Host> {
  if (options.privateKey.type !== 'secp256k1') {
    throw new MixmintError('identity-kind', 'caller', 'a secp256k1 identity wanted: no other fits into packets')
  }
  // libp2p passes over what it has no transport for, where it has one for another.
  const strange = options.listen.find(address => placeOf(address) === null)
  if (strange !== undefined) throw new MixmintError('listen-failed', 'operator', `cannot listen on ${strange}, which is no address of TCP: one such as /ip4/0.0.0.0/tcp/4001 is wanted`)
  const { handshakes, streams, window, unread, ping, ...limits } = LIMITS[options.role]
  const strangers = options.strangers ?? limits.strangers
  const upgradeTimeout = options.upgradeTimeout ?? UPGRADE_TIMEOUT
  const door = new Door({
    isKnown: options.isKnown ?? (() => false), isHome: options.isHome ?? (() => false), strangers, handshakes, meter: options.meter,
    connections: () => node.getConnections()
  })
  const withWallets = options.role === 'entry' || options.role === 'wallet'
  const node: Libp2p = await createLibp2p({
    start: false,
    privateKey: options.privateKey,
    addresses: { listen: [...options.listen], announce: [...options.announce ?? []] },
    transports: [
      tcp({ listenOpts: { noDelay: true }, dialOpts: { noDelay: true } }),
      // Loaded only where it is of use: a command starts sooner without.
      ...(withWallets ? [(await import('./websockets.ts')).limitedWebSockets({ sockets: strangers + 2 * handshakes.pending, upgradeTimeout })] : [])
    ],
    connectionEncrypters: [noise()],
    streamMuxers: [limitedYamux({ streams, window, streamBuffer: WRITE_BUFFER, connectionBuffer: unread })],
    connectionGater: door.gater(),
    connectionManager: {
      maxConnections: NO_LIMIT,
      inboundConnectionThreshold: NO_LIMIT,
      maxIncomingPendingConnections: NO_LIMIT,
      inboundUpgradeTimeout: upgradeTimeout,
      inboundStreamProtocolNegotiationTimeout: upgradeTimeout,
      addressDialTimeout: ADDRESS_DIAL_TIMEOUT,
      // Links and requests reconnect by rules of their own.
      reconnectRetries: 0
    },
    connectionMonitor: { pingInterval: ping.interval, pingTimeout: { minTimeout: ping.timeout } }
  })
  // What libp2p remembers of a peer, wallets too, goes with its last connection.
  node.addEventListener('peer:disconnect', ({ detail: peer }) => { node.peerStore.delete(peer).catch(() => {}) })
  try {
    await node.start()
  } catch (error) {
    throw new MixmintError('listen-failed', 'operator', `cannot listen on ${whyNot(options.listen, error)}`, { cause: error })
  }
  const reaper = closeIdle(node, options.idle ?? IDLE)
  return {
    node,
    peer: peerBytes(node.peerId),
    addresses: () => node.getMultiaddrs().map(address => address.toString().replace(/\/p2p\/[^/]+$/, '')),
    stop: async () => {
      clearInterval(reaper)
      await node.stop()
    }
  }
}

/** Close the connections that have had no stream of any protocol for `idle` ms. */
function closeIdle (node: Libp2p, idle: Millis): NodeJS.Timeout {
  const idleSince = new WeakMap<Connection, Millis>()
  const timer = setInterval(() => {
    const now = performance.now()
    for (const connection of node.getConnections()) {
      // Without a protocol it is a ping, or a peer that opens streams and does not say what for.
      if (connection.streams.some(({ protocol }) => protocol !== '')) idleSince.delete(connection)
      else if (!idleSince.has(connection)) idleSince.set(connection, now)
      else if (now - (idleSince.get(connection) ?? now) >= idle) {
        connection.abort(new MixmintError('connection-idle', 'peer', 'no stream was open for too long'))
      }
    }
  }, Math.max(10, idle / 4))
  timer.unref()
  return timer
}
