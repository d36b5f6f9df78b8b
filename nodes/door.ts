/**
 * Who comes in at a libp2p host, asked at each step of a connection: before its handshake, which costs milliseconds of
 * public-key cryptography, and once the handshake has shown who it is. Strangers have seats of their own, so that they
 * never take those of the network's nodes; where all are taken, one may give way to a newcomer (give-way.ts).
 */
import type { Connection, ConnectionGater, MultiaddrConnection, PeerId } from '@libp2p/interface'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Meter, Millis } from '@mixmint/core/kit/ports'
import { giveWay } from '@mixmint/mixnet/abuse/give-way'
import { Bucket, type Rate } from '@mixmint/mixnet/abuse/rate-limit'
import type { LinkId } from '@mixmint/mixnet/mixing/engine'
import { groupOf, isMixPeer, linkIdOf } from '@mixmint/mixnet/wire/peers'

export interface DoorOptions {
  /** Is this peer one of the network's own nodes? */
  readonly isKnown: (peer: LinkId) => boolean
  /** Connections of strangers at one time. */
  readonly strangers: number
  /** Handshakes with those of one network address (give-way.ts), and with all; null: no limit but libp2p's. */
  readonly handshakes: { readonly each: Rate, readonly all: Rate } | null
  readonly connections: () => readonly Connection[]
  readonly meter: Meter
}

/** Network addresses of which a debt is remembered, before those that have paid are looked for. */
const REMEMBERED = 1024

export class Door {
  readonly #options: DoorOptions
  readonly #all = new Bucket()
  readonly #groups = new Map<string, Bucket>()

  constructor (options: DoorOptions) {
    this.#options = options
  }

  gater (): ConnectionGater {
    return {
      denyDialMultiaddr: () => false,
      denyInboundConnection: connection => this.#isTooSoon(connection, performance.now()),
      // The peer is only known once the connection is encrypted.
      denyInboundEncryptedConnection: peer => this.#options.strangers === 0 && this.#isStranger(peer) && this.#refuse('stranger'),
      // Last of all, so that of two who come at a time the second sees the first.
      denyInboundUpgradedConnection: (peer, connection) => this.#isStranger(peer) && !this.#makeRoom(connection)
    }
  }

  #isStranger (peer: PeerId): boolean {
    return !isMixPeer(peer) || !this.#options.isKnown(linkIdOf(peer))
  }

  #isTooSoon ({ remoteAddr }: MultiaddrConnection, now: Millis): boolean {
    const { handshakes } = this.#options
    if (handshakes === null) return false
    if (this.#groups.size >= REMEMBERED) {
      for (const [group, bucket] of this.#groups) if (bucket.isFull(now)) this.#groups.delete(group)
    }
    const group = groupOf(remoteAddr)
    const bucket = this.#groups.get(group) ?? new Bucket()
    if (bucket.wait(handshakes.each, now) > 0 || this.#all.wait(handshakes.all, now) > 0) {
      return this.#refuse('handshakes')
    }
    bucket.take(handshakes.each, now)
    this.#all.take(handshakes.all, now)
    this.#groups.set(group, bucket)
    return false
  }

  /** Is there a seat for this stranger, or one that can be cleared? */
  #makeRoom ({ remoteAddr }: MultiaddrConnection): boolean {
    const { strangers, connections, meter } = this.#options
    const seats = connections().filter(({ direction, remotePeer }) => direction === 'inbound' && this.#isStranger(remotePeer))
    if (seats.length < strangers) return true
    const displaced = giveWay(seats.map(who => ({
      // Without a protocol it is a ping, or a peer that opens streams and does not say what for.
      who, group: groupOf(who.remoteAddr), engaged: who.streams.some(({ protocol }) => protocol !== ''), heard: who.timeline.open
    })), groupOf(remoteAddr))
    if (displaced === null) return !this.#refuse('full')
    meter.count('connections_displaced')
    displaced.abort(new MixmintError('displaced', 'us', 'another connection takes this place', { retry: true }))
    return true
  }

  #refuse (reason: 'stranger' | 'handshakes' | 'full'): true {
    this.#options.meter.count('connections_refused', { reason })
    return true
  }
}
