/**
 * The libp2p host of a daemon or wallet: TCP, Noise, Yamux, and no service that tells others about us (no identify).
 *
 * Limits: a receive window stays below the read buffer, or a paused stream would be ended instead of waiting; the
 * connections of strangers are counted apart from those of the network's own nodes, so that they cannot crowd them out;
 * a connection on which no stream is open is closed after a time.
 */
import { noise } from '@chainsafe/libp2p-noise'
import type { Connection, ConnectionGater, Libp2p, PeerId, PrivateKey } from '@libp2p/interface'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { createLibp2p } from 'libp2p'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Millis } from '@mixmint/core/kit/ports'
import type { LinkId } from '@mixmint/mixnet/mixing/engine'
import { isMixPeer, linkIdOf, peerBytes } from '@mixmint/mixnet/wire/peers'

export type HostRole = 'authority' | 'gateway' | 'mix' | 'service' | 'wallet'

export interface HostOptions {
  /** secp256k1. */
  readonly privateKey: PrivateKey
  readonly role: HostRole
  /** Multiaddrs such as /ip4/0.0.0.0/tcp/4001; none for a wallet. */
  readonly listen: readonly string[]
  /** Is this peer one of the network's own nodes? Others are strangers, whose connections are limited. */
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
  /** Where it listens, multiaddrs without /p2p. */
  readonly addresses: () => string[]
  readonly stop: () => Promise<void>
}

/** Gateways and services live from strangers; a mix only shows them the directory. */
const STRANGERS: Readonly<Record<HostRole, number>> = { authority: 256, gateway: 512, mix: 64, service: 256, wallet: 0 }
/** Connections of the network's own nodes at one time. */
const KNOWN = 512
const IDLE: Millis = 60_000
/** Connections from one IP address in one second: nodes behind one address, or on one machine, come up together. */
const CONNECTIONS_PER_SECOND = 200
const UPGRADE_TIMEOUT: Millis = 5_000
/** Connections that have not said who they are yet: more than one IP address can open before they are timed out. */
const PENDING = 4 * CONNECTIONS_PER_SECOND * UPGRADE_TIMEOUT / 1000
/** A silent connection is asked for a sign of life this often, and given this long: a busy machine may be slow. */
const PING_INTERVAL: Millis = 20_000
const PING_TIMEOUT: Millis = 15_000

const STREAM_WINDOW = 512 * 1024
const READ_BUFFER = 1024 * 1024
const WRITE_BUFFER = 4 * 1024 * 1024
const STREAMS_PER_CONNECTION = 64

/**
 * A started host.
 * @throws identity-kind (caller), listen-failed (operator)
 */
export async function createHost (options: HostOptions): Promise<Host> {
  if (options.privateKey.type !== 'secp256k1') {
    throw new MixmintError('identity-kind', 'caller', 'a secp256k1 identity wanted: no other fits into packets')
  }
  const strangers = options.strangers ?? STRANGERS[options.role]
  const isStranger = (peer: PeerId): boolean => !isMixPeer(peer) || options.isKnown?.(linkIdOf(peer)) !== true
  const gater: ConnectionGater = {
    denyDialMultiaddr: () => false,
    // The peer is only known once the connection is encrypted.
    denyInboundEncryptedConnection: peer => isStranger(peer) &&
      inbound(node).filter(({ remotePeer }) => isStranger(remotePeer)).length >= strangers
  }
  const node = await createLibp2p({
    start: false,
    privateKey: options.privateKey,
    addresses: { listen: [...options.listen] },
    transports: [tcp({ listenOpts: { noDelay: true }, dialOpts: { noDelay: true } })],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux({
      maxInboundStreams: STREAMS_PER_CONNECTION,
      maxOutboundStreams: STREAMS_PER_CONNECTION,
      streamOptions: { maxStreamWindowSize: STREAM_WINDOW, maxReadBufferLength: READ_BUFFER, maxWriteBufferLength: WRITE_BUFFER }
    })],
    connectionGater: gater,
    connectionManager: {
      maxConnections: strangers + KNOWN,
      inboundConnectionThreshold: CONNECTIONS_PER_SECOND,
      maxIncomingPendingConnections: PENDING,
      inboundUpgradeTimeout: UPGRADE_TIMEOUT,
      inboundStreamProtocolNegotiationTimeout: UPGRADE_TIMEOUT,
      // Links and requests reconnect by rules of their own.
      reconnectRetries: 0
    },
    connectionMonitor: { pingInterval: PING_INTERVAL, pingTimeout: { minTimeout: PING_TIMEOUT } }
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

function inbound (node: Libp2p): Connection[] {
  return node.getConnections().filter(({ direction }) => direction === 'inbound')
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
