/**
 * A mixer at work: drives a MixEngine with a real clock, timers and chance, over the links to its neighbours. The same
 * shell serves a mix, a gateway, and the ends of paths: a service and a wallet send their packets through it.
 */
import { isZero, toHex } from '@mixmint/core/kit/bytes'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Clock, Meter, Millis, Rng } from '@mixmint/core/kit/ports'
import type { LinkId, MixCounts, MixDropReason, MixEffect, MixEngine, MixEvent, MixParameters } from '../mixing/engine.ts'
import type { Cover } from '../directory/formats.ts'
import type { EpochKey } from '../mixing/keyring.ts'
import { nodeOf, parseAddress, PEER_ID_SIZE, type PacketAddress } from '../sphinx/address.ts'
import { ADDRESS_SIZE } from '../sphinx/layout.ts'
import type { HandoverFile } from './handover.ts'
import { PacketLinks, type LinkCounts, type LinkLimits, type Neighbourhood, type SendResult, type Unsent } from './packets.ts'
import type { SeenLog } from './seen-log.ts'
import type { StreamHost } from './stream-host.ts'
import { TagRecorder } from './tag-recorder.ts'
import { WalletPacer } from './pacer.ts'
import { WalletLinks, type WalletCounts, type WalletHooks, type WalletLinksOptions } from './wallets.ts'

export interface MixNodeOptions {
  readonly node: StreamHost
  readonly engine: MixEngine
  readonly neighbourhood: Neighbourhood
  readonly clock: Clock
  readonly rng: Rng
  readonly meter: Meter
  readonly limits?: Partial<LinkLimits>
  /** For a gateway: how it serves wallets, on a host other than `node`. */
  readonly wallets?: Omit<WalletLinksOptions, 'packetSize' | 'onPacket' | 'rng' | 'meter' | keyof WalletHooks> & {
    /** Where wallets, and packets for them, are kept over a restart; without it they are dropped, and counted. */
    readonly handover?: HandoverFile
    /** What the directory prescribes now; without it nothing is paced. */
    readonly cover?: () => Pick<Cover, 'send' | 'pace'>
  }
  /**
   * Where seen tags are kept over a restart; a file for each key is made in it before the key is installed. Without it they
   * are not kept, as suits keys that live no longer than the process.
   */
  readonly seenLog?: SeenLog
  /** Where packets are kept over a restart that could not be sent before it; without it they are dropped, and counted. */
  readonly handover?: HandoverFile
  /** No more packets come in: resolves when this node has said what it has yet to say of those that came. */
  readonly onRefused?: (signal: AbortSignal) => Promise<void>
  /** A message for this node, still padded. */
  readonly onDeliver?: (message: Uint8Array) => void
  /** A message for this node as an exit: it is to ask the destination. */
  readonly onExit?: (message: Uint8Array, destination: PacketAddress) => void
  /** A node of the network could not be reached. */
  readonly onUnreachable?: (peer: LinkId) => void
  /** A reply on one of this node's SURBs: its id, 16 bytes, and the payload. */
  readonly onReply?: (surbId: Uint8Array, payload: Uint8Array) => void
  /** For a wallet: its gateway pads with packets of zeros, which are none (alpha 0 is of low order). */
  readonly padded?: boolean
}

/**
 * Of these a stranger is guilty. Not of others: a mix that is full or stops drops good packets, and at the change of
 * epochs clocks differ.
 */
const BAD_PACKET: readonly MixDropReason[] = ['size', 'alpha', 'mac', 'replay', 'block', 'payload', 'address', 'topology', 'delay', 'exit-refused']
/** How long a neighbour is waited for that is to end its stream, or to read what it was sent to the end. */
const CLOSING: Millis = 5_000
/** From the end of a process until the next one takes packets, on a slow machine. */
const RESTART: Millis = 30_000

const NO_COVER = { send: 0, pace: 0 }

export class MixNode {
  readonly #options: MixNodeOptions
  readonly #links: PacketLinks
  #wallets: { readonly links: WalletLinks, readonly pacer: WalletPacer } | null = null
  #timer: NodeJS.Timeout | undefined
  #timerAt: Millis = Infinity
  #onEmpty: (() => void) | undefined
  readonly #recorder: TagRecorder | null = null

  constructor (options: MixNodeOptions) {
    this.#options = options
    const { node, neighbourhood, rng, meter, limits, wallets, engine, seenLog, onUnreachable, padded = false } = options
    const { packetSize } = engine
    this.#links = new PacketLinks({
      node, neighbourhood, packetSize, rng, meter, limits: { hold: this.#hold, ...limits }, onUnreachable,
      onPacket: (from, packet) => {
        if (padded && isZero(packet)) meter.count('cover_padding')
        else this.#take(from, packet)
      }
    })
    if (wallets !== undefined) this.#wallets = this.#walletLinks(wallets)
    if (seenLog !== undefined) {
      const onRecorded = (tags: number): void => { this.#handle({ kind: 'recorded', tags }) }
      this.#recorder = new TagRecorder({ log: seenLog, engine, meter, onRecorded })
      onRecorded(0)
    }
  }

  /** Take packets from now on. */
  async start (): Promise<void> {
    await this.#links.start()
    await this.#wallets?.links.start()
    const { handover, wallets } = this.#options
    for (const { to, packet } of this.#handedOver(handover, this.#hold)) this.#links.send(to, packet)
    if (wallets !== undefined) for (const { to, packet } of this.#handedOver(wallets.handover, wallets.grace())) this.#comeBack(to, packet)
  }

  /** @throws seen-log-failed, seen-log-damaged (operator): then the key is not used */
  install (key: EpochKey): void {
    const install = (key: EpochKey): void => { this.#handle({ kind: 'install', key }) }
    if (this.#recorder === null) install(key)
    else this.#recorder.install(key, install)
  }

  /** @throws seen-log-failed (operator): the key is gone, its tags are still on the disk */
  retire (epoch: number): void {
    this.#handle({ kind: 'retire', epoch })
    this.#recorder?.retire(epoch)
  }

  /** Which epoch is now current, and what its document prescribes. The packet size stays what it was. */
  setEpoch (epoch: number, parameters: MixParameters): void {
    this.#handle({ kind: 'epoch', epoch, parameters })
    this.#wallets?.pacer.onDocument()
  }

  /**
   * Send a packet of our own to its first hop. Never waits; what cannot be queued is dropped and counted.
   * @param to an address block (94 bytes) or a peer id (39 bytes)
   * @throws bad-argument (caller) when it is neither, or the packet has not the network's size
   */
  sendPacket (to: Uint8Array, packet: Uint8Array): SendResult {
    const { packetSize } = this.#options.engine
    const address = to.length === ADDRESS_SIZE ? parseAddress(to) : null
    const peer = address === null ? to : nodeOf(address)
    if (peer.length !== PEER_ID_SIZE || packet.length !== packetSize) {
      throw new MixmintError('bad-argument', 'caller', `a packet of ${packetSize} bytes, and the address block or peer id of its first hop, are wanted`)
    }
    return this.#links.send(toHex(peer), packet)
  }

  /** Stay connected to this node (a wallet to its gateway, so that replies find it), reconnecting as needed. */
  keep (peer: Uint8Array): void {
    this.#links.keep(toHex(peer))
  }

  /** Is our stream to this node open? */
  isUp (peer: Uint8Array): boolean {
    return this.#links.isUp(toHex(peer))
  }

  /** And does it take packets as fast as they come? */
  isFree (peer: Uint8Array): boolean {
    return this.#links.isFree(toHex(peer))
  }

  /** `wallets` is null where none attach. */
  counts (): { readonly mix: MixCounts, readonly links: LinkCounts, readonly wallets: WalletCounts | null } {
    return { mix: this.#options.engine.counts(), links: this.#links.counts(), wallets: this.#wallets === null ? null : countsOf(this.#wallets) }
  }

  /** For those who run it: how long packets stay, how many they find waiting, and how full the memory of seen tags is. */
  figures (): { readonly delays: ReturnType<MixEngine['delays']>, readonly queues: ReturnType<MixEngine['queues']>, readonly seen: ReturnType<MixEngine['seen']> } {
    const { engine } = this.#options
    return { delays: engine.delays(), queues: engine.queues(), seen: engine.seen() }
  }

  /**
   * Take no more packets, let those inside leave when they are due, then end the links when the neighbours have read what
   * was sent. No packet is lost, unless it would stay inside for longer than `ms`: then it is dropped and counted as
   * abandoned. Neighbours that do not answer are waited for a little more, at most CLOSING at the beginning and at the end.
   */
  async stop (ms: Millis): Promise<void> {
    const { engine, onRefused } = this.#options
    const closing = Math.min(CLOSING, ms)
    const soon = AbortSignal.timeout(closing)
    await Promise.all([this.#links.refuse(soon), this.#wallets?.links.refuse(soon)])
    const signal = AbortSignal.timeout(ms)
    this.#handle({ kind: 'drain' })
    if (engine.queued > 0 && !signal.aborted) {
      await new Promise<void>(resolve => {
        this.#onEmpty = resolve
        signal.addEventListener('abort', () => { resolve() }, { once: true })
      })
    }
    this.#handle({ kind: 'abandon' })
    clearTimeout(this.#timer)
    await onRefused?.(signal)
    const away = this.#wallets?.pacer.drain() ?? []
    const sessions = this.#wallets?.links.sessions ?? []
    const late = AbortSignal.timeout(closing)
    const [left, unread = []] = await Promise.all([this.#links.stop(late), this.#wallets?.links.stop(late)])
    const { handover, wallets } = this.#options
    this.#handOver(handover, left)
    const waiting = [...unread, ...away]
    const busy = new Set(waiting.map(({ to }) => to))
    this.#handOver(wallets?.handover, waiting, sessions.filter(id => !busy.has(id)))
    await this.#recorder?.close()
  }

  #walletLinks ({ cover = () => NO_COVER, ...wallets }: NonNullable<MixNodeOptions['wallets']>): { links: WalletLinks, pacer: WalletPacer } {
    const { clock, rng, meter, engine: { packetSize } } = this.#options
    const pacer: WalletPacer = new WalletPacer({ clock, rng, meter, packetSize, cover, links: () => links })
    const { onAttached, onAway, onGone } = pacer
    const links: WalletLinks = new WalletLinks({
      ...wallets, packetSize, rng, meter, onAttached, onAway, onGone,
      onPacket: (from, packet) => {
        const before = this.#bad()
        this.#take(from, packet)
        const isGood = this.#bad() === before
        if (isGood) pacer.heard(from)
        return isGood
      }
    })
    return { links, pacer }
  }

  #take (from: LinkId, packet: Uint8Array): void {
    // Without the disk a packet that is taken could only wait.
    if (this.#recorder?.failing === true) this.#options.meter.count('mix_shed', { reason: 'seen-log' })
    else this.#handle({ kind: 'packet', from, packet })
  }

  /** How many bad packets there have been. */
  #bad (): number {
    const { dropped } = this.#options.engine.counts()
    return BAD_PACKET.reduce((sum, reason) => sum + (dropped[reason] ?? 0), 0)
  }

  /** A wallet that was here before, and a packet for it, or one of zeros where none waits. */
  #comeBack (wallet: LinkId, packet: Uint8Array): void {
    const isSeated = this.#wallets?.links.resume(wallet) === true
    if (isSeated) this.#wallets?.pacer.resume(wallet)
    if (isZero(packet)) return
    if (isSeated) this.#wallets?.pacer.send(wallet, packet)
    else this.#options.meter.count('mix_stop_dropped')
  }

  /** @param idle neighbours for whom nothing waits, and that shall be known again: a packet of zeros, which is none, stands for each */
  #handOver (handover: HandoverFile | undefined, left: readonly Unsent[], idle: readonly LinkId[] = []): void {
    const { clock, meter, engine: { packetSize } } = this.#options
    if (left.length === 0 && idle.length === 0) return
    try {
      handover?.save([...left, ...idle.map(to => ({ to, packet: new Uint8Array(packetSize) }))], clock.now())
      if (left.length > 0) meter.count(handover === undefined ? 'mix_stop_dropped' : 'mix_handed_over', {}, left.length)
    } catch {
      meter.count('mix_stop_dropped', {}, left.length)
    }
  }

  /** @param keep what is older is of no use any more, ms */
  #handedOver (handover: HandoverFile | undefined, keep: Millis): Unsent[] {
    const { clock, meter } = this.#options
    try {
      return handover?.take(clock.now(), keep) ?? []
    } catch {
      meter.count('mix_handover_failed')
      return []
    }
  }

  /** How long a neighbour may be away for a restart: while it drains, and then stops and starts. */
  get #hold (): Millis {
    return this.#options.engine.drainTime + RESTART
  }

  #handle (event: MixEvent): void {
    const { engine, clock, rng } = this.#options
    const effects = engine.handle(event, clock.now(), rng)
    this.#recorder?.poke()
    for (const effect of effects) this.#perform(effect)
    this.#arm()
  }

  #perform (effect: MixEffect): void {
    switch (effect.kind) {
      case 'forward': this.#links.send(toHex(nodeOf(effect.to)), effect.packet); break
      case 'to-wallet': this.#wallets?.pacer.send(toHex(effect.wallet), effect.packet); break
      case 'deliver': this.#hook(() => this.#options.onDeliver?.(effect.message)); break
      case 'exit': this.#hook(() => this.#options.onExit?.(effect.message, effect.destination)); break
      case 'reply': this.#hook(() => this.#options.onReply?.(effect.surbId, effect.payload)); break
    }
  }

  /** A defect behind a hook must not stop the mixing. */
  #hook (call: () => void): void {
    try {
      call()
    } catch {
      this.#options.meter.count('mix_hook_failed')
    }
  }

  #arm (): void {
    const { engine, clock } = this.#options
    if (engine.queued === 0) this.#onEmpty?.()
    const deadline = engine.nextDeadline()
    if (deadline === undefined) return
    if (this.#timerAt <= deadline) return
    clearTimeout(this.#timer)
    this.#timerAt = deadline
    this.#timer = setTimeout(() => {
      this.#timerAt = Infinity
      this.#handle({ kind: 'timer' })
    }, Math.max(0, Math.ceil(deadline - clock.now())))
  }
}

/** Of the links to wallets, and of what waits before them. */
function countsOf ({ links, pacer }: { readonly links: WalletLinks, readonly pacer: WalletPacer }): WalletCounts {
  const [after, before] = [links.counts(), pacer.counts()]
  return {
    ...after,
    queued: after.queued + before.queued,
    unsent: after.unsent + before.unsent,
    dropped: {
      'link-full': after.dropped['link-full'] + before.dropped['link-full'],
      'no-link': after.dropped['no-link'] + before.dropped['no-link'],
      'wallet-gone': after.dropped['wallet-gone'] + before.dropped['wallet-gone']
    }
  }
}
