/**
 * What a gateway sends down to its wallets: the Pacer engine with a real clock, between the mixer and the links to wallets.
 * A wallet is padded from its first good packet on: strangers are not.
 */
import type { Clock, Meter, Millis, Rng } from '@mixmint/core/kit/ports'
import { Pacer, type PacerCounts, type PacerEvent } from '../cover/pacer.ts'
import type { LinkId } from '../mixing/engine.ts'
import { Alarm } from './alarm.ts'
import type { Unsent } from './packets.ts'
import type { WalletHooks, WalletLinks } from './wallets.ts'

export interface WalletPacerOptions {
  readonly clock: Clock
  readonly rng: Rng
  readonly meter: Meter
  /** Bytes of every packet. */
  readonly packetSize: number
  /** What the directory prescribes now. */
  readonly cover: () => { readonly send: Millis, readonly pace: Millis }
  readonly links: () => Pick<WalletLinks, 'send' | 'isFree'>
}

/** Packets that wait for one wallet, and for all: 72 MiB by default. */
const QUEUE = 256
const QUEUES = 1 << 14

export class WalletPacer implements WalletHooks {
  readonly #options: WalletPacerOptions
  readonly #engine: Pacer
  readonly #alarm: Alarm
  readonly #padding: Uint8Array

  constructor (options: WalletPacerOptions) {
    const { clock, meter, cover, links, packetSize } = options
    this.#options = options
    this.#padding = new Uint8Array(packetSize)
    this.#alarm = new Alarm(clock, () => { this.#step({ is: 'timer' }) })
    this.#engine = new Pacer({ meter, cover, ready: wallet => links().isFree(wallet), queueLimit: QUEUE, totalLimit: QUEUES })
  }

  readonly onAttached = (wallet: LinkId): void => {
    if (this.#engine.knows(wallet)) this.#step({ is: 'attach', wallet })
  }

  readonly onAway = (wallet: LinkId): void => { this.#step({ is: 'detach', wallet }) }
  readonly onGone = (wallet: LinkId): void => { this.#step({ is: 'gone', wallet }) }

  /** It has sent a good packet. */
  heard (wallet: LinkId): void {
    this.#step({ is: 'attach', wallet })
  }

  /** Never waits; what cannot be kept is dropped and counted. */
  send (wallet: LinkId, packet: Uint8Array): void {
    this.#step({ is: 'packet', wallet, packet })
  }

  /** What the directory prescribes may have changed. */
  onDocument (): void {
    this.#step({ is: 'timer' })
  }

  counts (): PacerCounts {
    return this.#engine.counts()
  }

  /** A wallet from before the start: it is away. */
  resume (wallet: LinkId): void {
    this.#step({ is: 'attach', wallet })
    this.#step({ is: 'detach', wallet })
  }

  /** The gateway stops: what waits leaves now. @returns what is for wallets that are away */
  drain (): Unsent[] {
    this.#step({ is: 'drain' })
    return this.#engine.takeWaiting().map(({ wallet, packet }) => ({ to: wallet, packet }))
  }

  #step (event: PacerEvent): void {
    const { clock, rng, links } = this.#options
    for (const { wallet, packet } of this.#engine.step(event, clock.now(), rng)) links().send(wallet, packet ?? this.#padding)
    this.#alarm.set(this.#engine.due)
  }
}
