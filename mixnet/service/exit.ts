/**
 * The exit of a path whose destination knows nothing of mixing: opens an ordinary stream to it, writes the request, closes
 * its end, and reads one reply by the rule that the operator declared for the protocol. The destination sees this node as
 * the asker; so an exit carries only the protocols it lists, and reaches no private addresses unless told to.
 *
 * A connection that was opened for this is a client's: it is closed some time after the last exchange over it.
 */
import type { Connection, PeerId, Stream } from '@libp2p/interface'
import type { ConnectionManager } from '@libp2p/interface-internal'
import { isPrivateIp } from '@libp2p/utils'
import { multiaddr, type Multiaddr } from '@multiformats/multiaddr'
import { isMixmintError, MixmintError } from '@mixmint/core/kit/errors'
import type { Meter, Millis } from '@mixmint/core/kit/ports'
import type { PacketAddress } from '../sphinx/address.ts'
import { destinationPeer } from '../wire/peers.ts'
import type { Exit } from '../wire/responder.ts'
import { ReplyGatherer, type ReplyRule } from './reply-rule.ts'

export interface ExitPolicy {
  /** What is carried, and how each reply ends. */
  readonly protocols: ReadonlyMap<string, ReplyRule>
  /** Asked for every destination; false: it is not reached. */
  readonly allows: (destination: { readonly peer: PeerId, readonly address: Multiaddr }) => boolean
  /** May private, loopback and link-local addresses be reached? */
  readonly privateAddresses: boolean
  /** Exchanges at one time. */
  readonly streams: number
  /** A connection that was opened for exchanges is closed when it has not been used for so long. */
  readonly keep: Millis
  /** For connecting, and for everything. */
  readonly dialPatience: Millis
  readonly patience: Millis
}

/** When a reply is whole and the destination does not close its end within this time, its stream is broken off. */
const LINGER: Millis = 1_000
/** IPv4 from here on is multicast or reserved. */
const MULTICAST = 224

export interface ExitForwarderOptions {
  readonly connections: Pick<ConnectionManager, 'getConnections' | 'openConnection'>
  readonly policy: ExitPolicy
  /** Bytes that a reply may have. */
  readonly replyLimit: () => number
  readonly meter: Meter
}

export class ExitForwarder implements Exit {
  readonly #options: ExitForwarderOptions
  readonly #policy: ExitPolicy
  /** Connections opened here: the exchanges over each, or the timer of its end. */
  readonly #opened = new Map<Connection, { users: number, timer: ReturnType<typeof setTimeout> | undefined }>()
  /** By peer: connections that are being closed, which must not be taken for another exchange. */
  readonly #closing = new Map<string, Promise<void>>()
  readonly #stop = new AbortController()
  #streams = 0

  constructor (options: ExitForwarderOptions) {
    this.#options = options
    this.#policy = options.policy
  }

  /** May this destination be asked anything? One behind a relay may not: it is the relay that would be dialled. */
  readonly reaches = ({ multiaddr: text, peer, client }: PacketAddress): boolean => {
    if (client !== null || (!this.#policy.privateAddresses && isPrivate(text))) return false
    try {
      // What is not said (a promise of it, say) is not allowed.
      return this.#policy.allows({ peer: destinationPeer(peer), address: multiaddr(text) }) === true
    } catch {
      this.#options.meter.count('exit_refused', { reason: 'predicate' })
      return false
    }
  }

  readonly carries = (protocol: string, destination: PacketAddress): boolean => {
    return this.#policy.protocols.has(protocol) && this.reaches(destination)
  }

  /**
   * Ask a destination, of which `carries` has been asked.
   * @throws for the asker to hear: exit-busy, exit-unreachable, exit-overdue, exit-broken, reply-too-long, reply-cut,
   *   reply-malformed
   */
  readonly ask = async ({ multiaddr: text, peer: bytes }: PacketAddress, protocol: string, request: Uint8Array): Promise<Uint8Array> => {
    try {
      const rule = this.#policy.protocols.get(protocol)
      if (rule === undefined) throw refusal('refused', 'this exit does not carry this protocol')
      if (this.#streams >= this.#policy.streams) throw refusal('busy', 'this exit has as many exchanges under way as it takes', true)
      const peer = destinationPeer(bytes)
      this.#streams += 1
      try {
        const address = multiaddr(text).encapsulate(`/p2p/${peer.toString()}`)
        return await this.#exchange(peer, address, protocol, request, new ReplyGatherer(rule, this.#options.replyLimit()))
      } finally {
        this.#streams -= 1
      }
    } catch (error) {
      const known = isMixmintError(error) ? error : refusal('broken', 'the destination broke the stream off', true)
      this.#options.meter.count('mix_exit_failed', { code: known.code })
      throw known
    }
  }

  /** End what is under way. */
  close (): void {
    this.#stop.abort()
    for (const [connection, { timer }] of this.#opened) {
      clearTimeout(timer)
      connection.abort(new MixmintError('stopping', 'us', 'this node is stopping'))
    }
    this.#opened.clear()
  }

  async #exchange (peer: PeerId, address: Multiaddr, protocol: string, request: Uint8Array, gatherer: ReplyGatherer): Promise<Uint8Array> {
    const { dialPatience, patience } = this.#policy
    const over = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(patience)])
    const dialling = AbortSignal.any([over, AbortSignal.timeout(dialPatience)])
    const connection = await this.#connect(peer, address, dialling)
    let stream: Stream | undefined
    try {
      stream = await connection.newStream(protocol, { signal: dialling }).catch(() => { throw refusal('unreachable', 'the destination does not speak this protocol now', true) })
      const reply = read(stream, gatherer, over)
      stream.send(request)
      stream.close({ signal: over }).catch(() => {}) // `reply` hears of it
      return await reply
    } finally {
      ended(stream).then(() => { this.#release(connection) }, () => {})
    }
  }

  /** One that there is already is used, and left as it was. */
  async #connect (peer: PeerId, address: Multiaddr, signal: AbortSignal): Promise<Connection> {
    await this.#closing.get(peer.toString())
    const before = new Set(this.#options.connections.getConnections(peer))
    const connection = await this.#options.connections.openConnection(address, { signal }).catch(() => { throw refusal('unreachable', 'the destination cannot be reached', true) })
    const known = this.#opened.get(connection)
    if (known !== undefined) {
      known.users += 1
      clearTimeout(known.timer)
    } else if (!before.has(connection)) {
      this.#opened.set(connection, { users: 1, timer: undefined })
      connection.addEventListener('close', () => { this.#forget(connection) })
    }
    return connection
  }

  #release (connection: Connection): void {
    const known = this.#opened.get(connection)
    if (known === undefined || --known.users > 0) return
    known.timer = setTimeout(() => {
      this.#forget(connection)
      // Else somebody else of this node uses it by now: it is theirs.
      if (connection.streams.length === 0) this.#close(connection)
    }, this.#policy.keep)
  }

  #forget (connection: Connection): void {
    clearTimeout(this.#opened.get(connection)?.timer)
    this.#opened.delete(connection)
  }

  #close (connection: Connection): void {
    const peer = connection.remotePeer.toString()
    this.#closing.set(peer, connection.close({ signal: AbortSignal.timeout(LINGER) })
      .catch((error: Error) => { connection.abort(error) })
      .finally(() => { this.#closing.delete(peer) }))
  }
}

/** Gather the reply; the stream is broken off when it is not as it should be, or the signal fires. */
async function read (stream: Stream, gatherer: ReplyGatherer, signal: AbortSignal): Promise<Uint8Array> {
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>()
  const finish = (error?: unknown): void => {
    try {
      if (error !== undefined) throw error
      resolve(gatherer.end())
    } catch (failure) {
      stream.abort(failure as Error)
      reject(failure as Error)
    }
  }
  const overdue = (): void => { finish(refusal('overdue', 'the destination did not answer in time', true)) }
  stream.addEventListener('message', ({ data }) => {
    try {
      if (gatherer.take(data.subarray())) finish()
    } catch (error) {
      finish(error)
    }
  })
  stream.addEventListener('remoteCloseWrite', () => { finish() })
  stream.addEventListener('close', ({ error }) => { finish(error) })
  signal.addEventListener('abort', overdue, { once: true })
  if (signal.aborted) overdue()
  try {
    return await promise
  } finally {
    signal.removeEventListener('abort', overdue)
  }
}

/** When the stream is closed: by the destination itself if it does so in time. */
async function ended (stream: Stream | undefined): Promise<void> {
  if (stream === undefined || stream.status !== 'open') return
  await new Promise<void>(resolve => {
    const timer = setTimeout(() => { stream.abort(refusal('done', 'nothing more is wanted')) }, LINGER)
    stream.addEventListener('close', () => {
      clearTimeout(timer)
      resolve()
    })
  })
}

function isPrivate (address: string): boolean {
  const ip = /^\/ip4\/([0-9.]+)\//.exec(address)?.[1] ?? ''
  return isPrivateIp(ip) !== false || Number.parseInt(ip, 10) >= MULTICAST
}

function refusal (what: string, why: string, retry = false): MixmintError {
  return new MixmintError(`exit-${what}`, 'peer', why, { retry })
}
