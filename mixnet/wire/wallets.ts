/**
 * A gateway's side of `/mix/1.0.0` with wallets. A wallet attaches by opening a stream; what is for it leaves on the
 * connection that it opened, for it has no address. When that connection breaks, the wallet's session lives on for a time
 * of grace: it comes back under the same identity, and what came meanwhile is waiting for it.
 *
 *   ─ first stream ─▶ attached ─ connection gone ─▶ away ─ grace over ─▶ gone, what waits is dropped and counted
 *                        ▲ ◀────── comes back ──────┘
 *
 * Wallets are strangers. What one may take up is bounded: a seat, packets a second (the port `Admit`), packets waiting,
 * a stream that says nothing, packets that are none. One seat more than there are displaces another (give-way.ts). A wallet
 * that breaks the rules loses its connection, and with it its seat.
 */
import type { Connection, Stream } from '@libp2p/interface'
import { MixmintError, isMixmintError } from '@mixmint/core/kit/errors'
import type { Meter, Millis, Rng } from '@mixmint/core/kit/ports'
import type { Admit } from '../abuse/admit.ts'
import { giveWay } from '../abuse/give-way.ts'
import type { LinkId } from '../mixing/engine.ts'
import { pause } from './alarm.ts'
import { InboundStreams } from './inbound.ts'
import { PacketLink } from './link.ts'
import { FEW, MIX_PROTOCOL, type LinkDropReason, type Unsent } from './packets.ts'
import { groupOf, isMixPeer, linkIdOf } from './peers.ts'
import type { StreamHost } from './stream-host.ts'

export interface WalletLimits {
  /** Wallets attached and away at one time. */
  readonly wallets: number
  /** Packets waiting for one of them, and for all. */
  readonly queue: number
  readonly queues: number
  /** A wallet that has sent no good packet is given so long for one. */
  readonly proof: Millis
  /** A stream on which nothing has come for so long is ended. */
  readonly silence: Millis
  /** Packets in a row that are none. */
  readonly bad: number
  /** A packet that has begun must be whole, and a stream take what is sent, within this time. */
  readonly stall: Millis
  /** Opening a stream to a wallet. */
  readonly dialTimeout: Millis
  readonly backoff: { readonly first: Millis, readonly most: Millis }
}

const LIMITS: WalletLimits = {
  wallets: 512, queue: 256, queues: 1 << 14, proof: 20_000, silence: 600_000, bad: 16, stall: 30_000, dialTimeout: 5_000,
  backoff: { first: 50, most: 1000 }
}

/** What becomes of a wallet, for those who keep something for each. */
export interface WalletHooks {
  readonly onAttached?: (wallet: LinkId) => void
  /** Its connection is gone; it may come back. */
  readonly onAway?: (wallet: LinkId) => void
  /** Its session is over. */
  readonly onGone?: (wallet: LinkId) => void
}

export interface WalletLinksOptions extends WalletHooks {
  /** The listener for wallets: its connections are counted apart from those of the network's nodes. */
  readonly host: StreamHost
  /** Bytes of every packet. */
  readonly packetSize: number
  readonly admit: Admit
  /** For so long a wallet may be away, ms: `Parameters.walletGrace`. */
  readonly grace: () => Millis
  /** Is this a peer that may attach? Nodes of the network may not. */
  readonly accepts: (peer: LinkId) => boolean
  /** The packet is only lent, until this returns: false for one that no honest wallet sends. */
  readonly onPacket: (from: LinkId, packet: Uint8Array) => boolean
  readonly rng: Rng
  readonly meter: Meter
  readonly limits?: Partial<WalletLimits>
}

/** wallet-gone: it was waiting for a wallet that did not come back in time. */
export type WalletDropReason = LinkDropReason | 'wallet-gone'

/** sent + dropped + queued + unsent = all that `send` was given. Sent means handed to the stream. */
export interface WalletCounts {
  readonly attached: number
  readonly away: number
  readonly received: number
  readonly sent: number
  readonly queued: number
  /** Given back by `stop`. */
  readonly unsent: number
  readonly dropped: Readonly<Record<WalletDropReason, number>>
}

interface Wallet {
  readonly id: LinkId
  group: string
  /** Null while it is away. */
  connection: Connection | null
  /** Has it sent a good packet? */
  proven: boolean
  heard: Millis
  /** Packets in a row that were none. */
  bad: number
  link: PacketLink | null
  grace: NodeJS.Timeout | undefined
}

/** How no honest wallet ends its stream. */
const BREACHES = ['frame-size', 'frame-malformed', 'flood', 'packets-bad']

export class WalletLinks {
  readonly #options: WalletLinksOptions
  readonly #limits: WalletLimits
  readonly #wallets = new Map<LinkId, Wallet>()
  readonly #inbound: InboundStreams
  readonly #dropped = { 'link-full': 0, 'no-link': 0, 'wallet-gone': 0 }
  #received = 0
  #sent = 0
  #queued = 0
  #unsent = 0
  #ending = false

  constructor (options: WalletLinksOptions) {
    this.#options = options
    this.#limits = { ...LIMITS, ...options.limits }
    this.#inbound = new InboundStreams(options.host, MIX_PROTOCOL, 1)
  }

  /** Take wallets from now on. */
  async start (): Promise<void> {
    // A stream that replaces a dead one may come before we notice that the old one is dead.
    await this.#options.host.handle(MIX_PROTOCOL, (stream, connection) => { this.#onStream(stream, connection) },
      { maxInboundStreams: 2, maxOutboundStreams: 2 })
  }

  /** Never waits and never throws: the packet is queued, also for a wallet that is away, or dropped and counted. */
  send (to: LinkId, packet: Uint8Array): 'queued' | WalletDropReason {
    const wallet = this.#wallets.get(to)
    if (wallet === undefined) return this.#drop('no-link', 1)
    wallet.link ??= this.#open(wallet)
    if (!this.#hasRoom(wallet) || !wallet.link.offer(packet)) return this.#drop('link-full', 1)
    this.#queued += 1
    return 'queued'
  }

  /** Is it here, and takes packets as fast as they come? */
  isFree (to: LinkId): boolean {
    const wallet = this.#wallets.get(to)
    if (wallet === undefined || wallet.connection === null) return false
    return wallet.link === null || (wallet.link.up && wallet.link.queued < FEW)
  }

  counts (): WalletCounts {
    const attached = [...this.#wallets.values()].filter(({ connection }) => connection !== null).length
    return {
      attached, away: this.#wallets.size - attached, received: this.#received, sent: this.#sent, queued: this.#queued, unsent: this.#unsent,
      dropped: { ...this.#dropped }
    }
  }

  /** Of a wallet that was attached before this gateway was started anew: it is away, and may come back. False: there is no seat for it. */
  resume (id: LinkId): boolean {
    if (this.#wallets.has(id)) return true
    if (this.#wallets.size >= this.#limits.wallets || !this.#options.accepts(id)) return false
    const wallet: Wallet = { id, group: '', connection: null, proven: true, heard: performance.now(), bad: 0, link: null, grace: undefined }
    this.#wallets.set(id, wallet)
    this.#grant(wallet)
    return true
  }

  /** Wallets that have shown that they are some, attached or away. */
  get sessions (): LinkId[] {
    return [...this.#wallets.values()].filter(({ proven }) => proven).map(({ id }) => id)
  }

  /** Take no more packets; nothing is lost, unless the signal fires before the wallets have ended their streams. */
  async refuse (signal: AbortSignal): Promise<void> {
    this.#ending = true
    await this.#inbound.refuse(signal)
  }

  /**
   * Send what is queued for wallets that are attached, then end all sessions, at the latest when the signal fires.
   * @returns what could not leave
   */
  async stop (signal: AbortSignal): Promise<Unsent[]> {
    await this.refuse(signal)
    const left = await Promise.all([...this.#wallets.values()].map(async wallet => {
      const packets = await wallet.link?.close(signal) ?? []
      this.#queued -= packets.length
      this.#unsent += packets.length
      this.#forget(wallet)
      return packets.map(packet => ({ to: wallet.id, packet }))
    }))
    return left.flat()
  }

  #onStream (stream: Stream, connection: Connection): void {
    const { admit, meter, packetSize } = this.#options
    if (connection.status !== 'open') return
    const wallet = this.#seat(connection)
    if (wallet instanceof MixmintError) {
      meter.count('wallet_streams_refused', { reason: wallet.code })
      connection.abort(wallet)
      return
    }
    this.#attach(wallet, connection)
    const { proof, silence, stall } = this.#limits
    // Asked again whenever the wait for a packet begins.
    const limits = { min: packetSize, max: packetSize, stall, lent: true, get silence () { return wallet.proven ? silence : proof } }
    this.#inbound.read(wallet.id, stream, limits, packet => {
      this.#received += 1
      wallet.heard = performance.now()
      const wait = admit.admit(wallet.id, wallet.heard)
      if (wait === 'refuse') throw new MixmintError('flood', 'peer', 'this wallet sends more than any wallet has to say')
      if (wait === 0) {
        this.#take(wallet, packet)
        return
      }
      meter.count('wallet_packets_held_back')
      return pause(wait).then(() => { this.#take(wallet, packet) })
    }).then(() => {
      // It said goodbye: not, if the connection broke, or we asked for it.
      if (wallet.connection === connection && connection.status === 'open' && !this.#ending) this.#forget(wallet)
    }, (error: unknown) => {
      const reason = isMixmintError(error) ? error.code : 'internal'
      meter.count('wallet_streams_broken', { reason })
      const isBreach = BREACHES.includes(reason) || (reason === 'peer-silent' && !wallet.proven)
      if (isBreach) this.#forget(wallet, error as Error)
    })
  }

  /** Whose stream this is; or why it is refused. */
  #seat ({ remotePeer, remoteAddr }: Connection): Wallet | MixmintError {
    if (!isMixPeer(remotePeer) || !this.#options.accepts(linkIdOf(remotePeer))) {
      return new MixmintError('stranger', 'peer', 'packets are not accepted from this peer')
    }
    const id = linkIdOf(remotePeer)
    const known = this.#wallets.get(id)
    if (known !== undefined) return known
    const group = groupOf(remoteAddr)
    if (this.#wallets.size >= this.#limits.wallets) {
      const seats = [...this.#wallets.values()].map(who => ({ who, group: who.group, engaged: who.connection !== null && who.proven, heard: who.heard }))
      const displaced = giveWay(seats, group)
      if (displaced === null) return new MixmintError('wallets-full', 'us', 'as many wallets as this gateway serves are attached', { retry: true })
      this.#options.meter.count('wallets_displaced')
      this.#forget(displaced, new MixmintError('displaced', 'us', 'another wallet takes this place', { retry: true }))
    }
    const wallet: Wallet = { id, group, connection: null, proven: false, heard: performance.now(), bad: 0, link: null, grace: undefined }
    this.#wallets.set(id, wallet)
    return wallet
  }

  /** From now on what is for the wallet goes over this connection. */
  #attach (wallet: Wallet, connection: Connection): void {
    if (wallet.connection === connection) return
    const before = wallet.connection
    wallet.connection = connection
    wallet.group = groupOf(connection.remoteAddr)
    clearTimeout(wallet.grace)
    connection.addEventListener('close', () => { this.#away(wallet, connection) }, { once: true })
    before?.abort(new MixmintError('replaced', 'peer', 'the wallet has come back over another connection'))
    wallet.link?.wake()
    if (before === null) this.#options.onAttached?.(wallet.id)
  }

  #away (wallet: Wallet, connection: Connection): void {
    if (wallet.connection !== connection) return
    wallet.connection = null
    if (!wallet.proven) {
      this.#forget(wallet)
      return
    }
    this.#grant(wallet)
    this.#options.onAway?.(wallet.id)
  }

  /** The time in which it may come back begins. */
  #grant (wallet: Wallet): void {
    wallet.grace = setTimeout(() => { this.#forget(wallet) }, this.#options.grace())
  }

  /** Its session is over. Of whoever broke a rule the connection is too. */
  #forget (wallet: Wallet, broken?: Error): void {
    if (this.#wallets.get(wallet.id) !== wallet) return
    this.#wallets.delete(wallet.id)
    clearTimeout(wallet.grace)
    const { connection } = wallet
    wallet.connection = null
    this.#options.admit.forget(wallet.id)
    wallet.link?.end()
    if (broken !== undefined) connection?.abort(broken)
    this.#options.onGone?.(wallet.id)
  }

  #take (wallet: Wallet, packet: Uint8Array): void {
    if (this.#options.onPacket(wallet.id, packet)) {
      wallet.proven = true
      wallet.bad = 0
      return
    }
    wallet.bad += 1
    if (wallet.bad >= this.#limits.bad) throw new MixmintError('packets-bad', 'peer', 'one packet after the other is none')
  }

  #open (wallet: Wallet): PacketLink {
    const { queue, stall, dialTimeout, backoff } = this.#limits
    return new PacketLink({
      open: async () => {
        const { connection } = wallet
        if (connection === null) throw new MixmintError('wallet-away', 'peer', 'the wallet is away', { retry: true })
        const stream = await connection.newStream(MIX_PROTOCOL, { signal: AbortSignal.timeout(dialTimeout) })
        // We broke it off, for the wallet does not read, or talks where it should not: its connection is of no use.
        stream.addEventListener('close', ({ error }) => {
          if (!isMixmintError(error) || error.code === 'link-over') return
          this.#options.meter.count('wallet_streams_broken', { reason: error.code })
          connection.abort(error)
        })
        return stream
      },
      queue,
      hold: this.#options.grace(),
      stall,
      backoff,
      rng: this.#options.rng,
      onSent: () => {
        this.#sent += 1
        this.#queued -= 1
      },
      onDropped: count => {
        this.#queued -= count
        this.#drop('wallet-gone', count)
      },
      onOver: () => { wallet.link = null }
    })
  }

  /** When all queues together are full, the longest gives way: whoever does not fetch what is sent to it loses it. */
  #hasRoom (wallet: Wallet): boolean {
    if (this.#queued < this.#limits.queues) return true
    let longest = wallet
    for (const other of this.#wallets.values()) if ((other.link?.queued ?? 0) > (longest.link?.queued ?? 0)) longest = other
    if (longest === wallet || longest.link === null) return false
    longest.link.shed()
    this.#queued -= 1
    this.#drop('link-full', 1)
    return true
  }

  #drop (reason: WalletDropReason, count: number): WalletDropReason {
    this.#dropped[reason] += count
    return reason
  }
}
