/**
 * The libp2p hosts of a daemon or wallet: Noise and Yamux over TCP, for wallets over WebSocket too, and no service that
 * tells others about us (no identify). A node has one host for the network's nodes; a gateway, and a service that is asked
 * directly, another for wallets, under the same identity (docs/decisions/0015): each has its own table of connections.
 *
 * Limits: a receive window stays below the read buffer, or a paused stream would be ended instead of waiting; strangers
 * take no seat of the network's own nodes (door.ts); a connection on which no stream is open is closed after a time.
 */
import { noise } from '@chainsafe/libp2p-noise'
import type { Connection, Libp2p, PrivateKey } from '@libp2p/interface'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { createLibp2p } from 'libp2p'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Meter, Millis } from '@mixmint/core/kit/ports'
import type { Rate } from '@mixmint/mixnet/abuse/rate-limit'
import type { LinkId } from '@mixmint/mixnet/mixing/engine'
import { peerBytes } from '@mixmint/mixnet/wire/peers'
import { Door } from './door.ts'

/** authority: for nodes and wallets alike. node: among nodes. entry: for wallets. wallet: dials, and is not dialled. */
export type HostRole = 'authority' | 'node' | 'entry' | 'wallet'

export interface HostOptions {
  /** secp256k1. */
  readonly privateKey: PrivateKey
  readonly role: HostRole
  /** Multiaddrs such as /ip4/0.0.0.0/tcp/4001, for entries also /ip4/0.0.0.0/tcp/4002/ws; none for a wallet. */
  readonly listen: readonly string[]
  readonly meter: Meter
  /** Is this peer one of the network's own nodes? Others are strangers. By default nobody is. */
  readonly isKnown?: (peer: LinkId) => boolean
  /** Connections of strangers at one time, instead of what the role suggests. */
  readonly strangers?: number
  /** A connection without a stream is closed after this many ms. */
  readonly idle?: Millis
}

export interface Host {
  readonly node: Libp2p
  /** 39 bytes. */
  readonly peer: Uint8Array
  /** Where it listens, multiaddrs without /p2p, in the order in which they were given. */
  readonly addresses: () => string[]
  readonly stop: () => Promise<void>
}

interface Limits {
  readonly strangers: number
  readonly handshakes: { readonly each: Rate, readonly all: Rate } | null
  readonly pending: number
  /** Streams of one connection and direction, and the largest receive window of each. */
  readonly streams: number
  readonly window: number
  /** A silent connection is asked for a sign of life this often, and given this long: a busy machine may be slow. */
  readonly ping: { readonly interval: Millis, readonly timeout: Millis }
}

/** Connections from one IP address in one second: nodes behind one address, or on one machine, come up together. */
const CONNECTIONS_PER_SECOND = 200
const UPGRADE_TIMEOUT: Millis = 5_000
const AMONG_NODES: Limits = {
  strangers: 0, handshakes: null,
  // More than one IP address can open before they are timed out.
  pending: 4 * CONNECTIONS_PER_SECOND * UPGRADE_TIMEOUT / 1000,
  streams: 64, window: 512 * 1024, ping: { interval: 20_000, timeout: 15_000 }
}
const LIMITS: Readonly<Record<HostRole, Limits>> = {
  node: AMONG_NODES,
  authority: { ...AMONG_NODES, strangers: 256 },
  entry: {
    ...AMONG_NODES, strangers: 768, handshakes: { each: { perSecond: 20, burst: 100 }, all: { perSecond: 100, burst: 400 } },
    pending: 1024, streams: 8, window: 256 * 1024
  },
  // It has to notice that its connection is dead while its gateway still keeps packets for it.
  wallet: { ...AMONG_NODES, ping: { interval: 5_000, timeout: 5_000 } }
}
/** Connections of the network's own nodes at one time. */
const KNOWN = 512
const IDLE: Millis = 60_000
/** One dead address leaves time for another. */
const ADDRESS_DIAL_TIMEOUT: Millis = 2_000
const WRITE_BUFFER = 4 * 1024 * 1024

/**
 * A started host.
 * @throws identity-kind (caller), listen-failed (operator)
 */
export async function createHost (options: HostOptions): Promise<Host> {
  if (options.privateKey.type !== 'secp256k1') {
    throw new MixmintError('identity-kind', 'caller', 'a secp256k1 identity wanted: no other fits into packets')
  }
  const { handshakes, pending, streams, window, ping, ...limits } = LIMITS[options.role]
  const strangers = options.strangers ?? limits.strangers
  const door = new Door({
    isKnown: options.isKnown ?? (() => false), strangers, handshakes, meter: options.meter, connections: () => node.getConnections()
  })
  const withWallets = options.role === 'entry' || options.role === 'wallet'
  const node: Libp2p = await createLibp2p({
    start: false,
    privateKey: options.privateKey,
    addresses: { listen: [...options.listen] },
    transports: [
      tcp({ listenOpts: { noDelay: true }, dialOpts: { noDelay: true } }),
      // Loaded only where it is of use: a command starts sooner without.
      ...(withWallets ? [(await import('./websockets.ts')).limitedWebSockets({ sockets: strangers + pending, upgradeTimeout: UPGRADE_TIMEOUT })] : [])
    ],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux({
      maxInboundStreams: streams,
      maxOutboundStreams: streams,
      streamOptions: { maxStreamWindowSize: window, maxReadBufferLength: 2 * window, maxWriteBufferLength: WRITE_BUFFER }
    })],
    connectionGater: door.gater(),
    connectionManager: {
      // Above what the door lets in: libp2p would refuse whoever comes before it knows who that is.
      maxConnections: strangers + KNOWN + pending,
      inboundConnectionThreshold: CONNECTIONS_PER_SECOND,
      maxIncomingPendingConnections: pending,
      inboundUpgradeTimeout: UPGRADE_TIMEOUT,
      inboundStreamProtocolNegotiationTimeout: UPGRADE_TIMEOUT,
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
    throw new MixmintError('listen-failed', 'operator',
      `cannot listen on ${options.listen.join(', ')}: is another process using the port?`, { cause: error })
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
