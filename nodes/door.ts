/**
 * Who comes in at a libp2p host, asked at each step of a connection: before its handshake, which costs milliseconds of
 * public-key cryptography (turnstile.ts), and once the handshake has shown who it is. Strangers have seats of their own,
 * so that they never take those of the network's nodes; where all are taken, one may give way to a newcomer (give-way.ts).
 *
 * libp2p's own limits of connections count before anybody knows who comes, and first come is first served; the host sets
 * them out of the way.
 */
import type { Connection, ConnectionGater, MultiaddrConnection, PeerId } from '@libp2p/interface'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Meter } from '@mixmint/core/kit/ports'
import { giveWay } from '@mixmint/mixnet/abuse/give-way'
import { Turnstile, type TurnstileLimits } from '@mixmint/mixnet/abuse/turnstile'
import type { LinkId } from '@mixmint/mixnet/mixing/engine'
import { groupOf, isMixPeer, linkIdOf } from '@mixmint/mixnet/wire/peers'
import { limitBytes, type HandshakeBytes } from './handshake-bytes.ts'

export interface DoorOptions {
  /** Is this peer one of the network's own nodes? */
  readonly isKnown: (peer: LinkId) => boolean
  /** Does one of the network's own nodes live at this network address, as `groupOf` writes it? Those that came in are remembered here. */
  readonly isHome: (group: string) => boolean
  /** Connections of strangers at one time. */
  readonly strangers: number
  readonly handshakes: TurnstileLimits
  readonly connections: () => readonly Connection[]
  readonly meter: Meter
}

/** Connections of one of the network's own nodes at one time: a link has one, and a dead one may still look alive. */
const MOST_OF_ONE_NODE = 4
/** More than a network has nodes. */
const MOST_HOMES = 4096

type Reason = 'stranger' | 'handshakes' | 'handshake-bytes' | 'full'

export class Door {
  readonly #options: DoorOptions
  readonly #turnstile: Turnstile<MultiaddrConnection>
  /** Those who wait, and how they are told. */
  readonly #waiting = new Map<MultiaddrConnection, (refused: boolean) => void>()
  readonly #bytes = new WeakMap<MultiaddrConnection, HandshakeBytes>()
  /** Where nodes of the network came from. */
  readonly #homes = new Set<string>()
  #timer: NodeJS.Timeout | undefined

  constructor (options: DoorOptions) {
    this.#options = options
    this.#turnstile = new Turnstile(options.handshakes)
  }

  gater (): ConnectionGater {
    return {
      denyDialMultiaddr: () => false,
      denyInboundConnection: async connection => await this.#isRefused(connection),
      // The peer is only known once the connection is encrypted.
      denyInboundEncryptedConnection: (peer, connection) => {
        if (this.#options.strangers > 0 || !this.#isStranger(peer)) return false
        this.#turnstile.leave(connection)
        return this.#refuse('stranger')
      },
      // Last of all, so that of two who come at a time the second sees the first.
      denyInboundUpgradedConnection: (peer, connection) => {
        this.#turnstile.leave(connection)
        this.#bytes.get(connection)?.lift()
        if (this.#isStranger(peer)) return !this.#makeRoom(connection)
        this.#clearOld(peer)
        this.#remember(groupOf(connection.remoteAddr))
        return false
      }
    }
  }

  #isStranger (peer: PeerId): boolean {
    return !isMixPeer(peer) || !this.#options.isKnown(linkIdOf(peer))
  }

  /** Resolves when its handshake may begin, or never will. */
  async #isRefused (connection: MultiaddrConnection): Promise<boolean> {
    const group = groupOf(connection.remoteAddr)
    const gone = this.#turnstile.come(connection, group, this.#homes.has(group) || this.#options.isHome(group), performance.now())
    if (gone !== null) this.#refuse('handshakes')
    if (gone === connection) return true
    if (gone !== null) this.#sendAway(gone)
    this.#bytes.set(connection, limitBytes(connection, () => {
      this.#turnstile.leave(connection)
      this.#refuse('handshake-bytes')
    }))
    const { promise, resolve } = Promise.withResolvers<boolean>()
    this.#waiting.set(connection, resolve)
    connection.addEventListener('close', () => {
      // It went by itself, or its time was over.
      if (this.#turnstile.leave(connection)) this.#options.meter.count('handshakes_unfinished')
      this.#tell(connection, true)
    }, { once: true })
    this.#turn()
    return await promise
  }

  /** Let those begin whose turn it is, now and whenever it is somebody's. */
  #turn (): void {
    clearTimeout(this.#timer)
    const { begin, wait } = this.#turnstile.next(performance.now())
    for (const connection of begin) this.#tell(connection, false)
    if (wait === Infinity) return
    this.#timer = setTimeout(() => { this.#turn() }, wait)
    this.#timer.unref()
  }

  #tell (connection: MultiaddrConnection, refused: boolean): void {
    this.#waiting.get(connection)?.(refused)
    this.#waiting.delete(connection)
  }

  #sendAway (connection: MultiaddrConnection): void {
    connection.abort(new MixmintError('displaced', 'us', 'another handshake takes this place', { retry: true }))
  }

  /** Is there a seat for this stranger, or one that can be cleared? */
  #makeRoom ({ remoteAddr }: MultiaddrConnection): boolean {
    const { strangers, connections } = this.#options
    const seats = connections().filter(({ direction, remotePeer }) => direction === 'inbound' && this.#isStranger(remotePeer))
    if (seats.length < strangers) return true
    const displaced = giveWay(seats.map(who => ({
      // Without a protocol it is a ping, or a peer that opens streams and does not say what for.
      who, group: groupOf(who.remoteAddr), engaged: who.streams.some(({ protocol }) => protocol !== ''), heard: who.timeline.open
    })), groupOf(remoteAddr))
    if (displaced === null) return !this.#refuse('full')
    this.#displace(displaced)
    return true
  }

  #remember (home: string): void {
    this.#homes.delete(home)
    this.#homes.add(home)
    for (const oldest of this.#homes) {
      if (this.#homes.size <= MOST_HOMES) break
      this.#homes.delete(oldest)
    }
  }

  /** One of the network's own nodes has come back: its oldest connections are of no more use. */
  #clearOld (peer: PeerId): void {
    const own = this.#options.connections().filter(({ direction, remotePeer }) => direction === 'inbound' && remotePeer.equals(peer))
    for (const old of own.slice(0, Math.max(0, own.length - MOST_OF_ONE_NODE + 1))) this.#displace(old)
  }

  #displace (connection: Connection): void {
    this.#options.meter.count('connections_displaced')
    connection.abort(new MixmintError('displaced', 'us', 'another connection takes this place', { retry: true }))
  }

  #refuse (reason: Reason): true {
    this.#options.meter.count('connections_refused', { reason })
    return true
  }
}
