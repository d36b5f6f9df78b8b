/**
 * Cover in a simulated network, by the production engines: between a requester and its gateway, between a responder and
 * the mixes, and down from the gateway to the wallet.
 */
import type { Rng } from '@mixmint/core/kit/ports'
import type { Suite } from '@mixmint/core/crypto/suite'
import { isCover } from '@mixmint/mixnet/cover/message'
import { Pacer, type PacerEvent } from '@mixmint/mixnet/cover/pacer'
import { CoverSender, type CoverPaths, type CoverSenderEvent } from '@mixmint/mixnet/cover/sender'
import { ServiceCover, type AnswerPacket, type ServiceCoverEvent } from '@mixmint/mixnet/cover/service'
import type { Cover } from '@mixmint/mixnet/directory/formats'
import { decodeMessage } from '@mixmint/mixnet/sphinx/message'
import { CountingMeter } from './meter.ts'

const WALLET = 'the wallet'

export interface CoverEndsOptions {
  readonly suite: Suite
  readonly rng: Rng
  readonly cover: Cover
  readonly packetSize: number
  readonly paths: CoverPaths
  readonly now: () => number
  readonly after: (ms: number, act: () => void) => void
  /** A packet leaves a wallet; leaves a service; reaches the wallet (null: padding). */
  readonly up: (firstHop: Uint8Array, packet: Uint8Array) => void
  readonly out: (answer: AnswerPacket) => void
  readonly down: (packet: Uint8Array | null) => void
  /** What the requester is told. */
  readonly slot: () => void
  readonly unsent: (call: number) => void
}

interface Timed { readonly due: number | null }

export class CoverEnds {
  readonly meter = new CountingMeter()
  readonly #options: CoverEndsOptions
  readonly #sender: CoverSender
  readonly #service: ServiceCover
  readonly #pacer: Pacer
  readonly #timers = new Map<Timed, number>()
  #stopped = false

  constructor (options: CoverEndsOptions) {
    const { suite, cover, packetSize, paths } = options
    const common = { suite, meter: this.meter }
    this.#options = options
    this.#sender = new CoverSender({
      ...common, paths, parameters: () => ({ ...cover, packetSize }), ready: () => true, queueLimit: 256, homeWithin: () => 20_000
    })
    this.#service = new ServiceCover({ ...common, parameters: () => ({ ...cover, packetSize }), echoLimit: 100, queueLimit: 10_000 })
    this.#pacer = new Pacer({ meter: this.meter, cover: () => cover, ready: () => true, queueLimit: 10_000, totalLimit: 10_000 })
    this.#stepSender({ is: 'timer' })
    this.#stepPacer({ is: 'attach', wallet: WALLET })
  }

  /** Packets of requests that wait for a slot. */
  get waiting (): number { return this.#sender.waiting }

  send (call: number, firstHop: Uint8Array, packet: Uint8Array): void {
    this.#stepSender({ is: 'packet', owner: call, firstHop, packet })
  }

  /** What a service sends for one wallet. */
  answer (packets: readonly AnswerPacket[], asked: number): void {
    this.#stepService({ is: 'answer', packets, asked })
  }

  /** True: the message was cover, and is dealt with. */
  takes (message: Uint8Array): boolean {
    const decoded = decodeMessage(message)
    if (decoded === null || !isCover(decoded)) return false
    this.#stepService({ is: 'cover', message: decoded })
    return true
  }

  /** A packet for the wallet is at its gateway. */
  toWallet (packet: Uint8Array): void {
    this.#stepPacer({ is: 'packet', wallet: WALLET, packet })
  }

  heard (): void {
    this.#stepPacer({ is: 'attach', wallet: WALLET })
  }

  /** True: the reply was an echo's. */
  takesReply (surbId: Uint8Array, payload: Uint8Array): boolean {
    const isEcho = this.#sender.awaits(surbId)
    this.#stepSender(isEcho ? { is: 'reply', surbId, payload } : { is: 'answered' })
    return isEcho
  }

  /** No more timers. */
  stop (): void {
    this.#stopped = true
  }

  #stepSender (event: CoverSenderEvent): void {
    const { now, rng, up, slot, unsent } = this.#options
    for (const effect of this.#sender.step(event, now(), rng)) {
      if (effect.do === 'send') up(effect.firstHop, effect.packet)
      else if (effect.do === 'slot') slot()
      else if (effect.do === 'unsent') unsent(effect.owner)
    }
    this.#arm(this.#sender, () => { this.#stepSender({ is: 'timer' }) })
  }

  #stepService (event: ServiceCoverEvent): void {
    const { now, rng, out } = this.#options
    for (const effect of this.#service.step(event, now(), rng)) out(effect)
    this.#arm(this.#service, () => { this.#stepService({ is: 'timer' }) })
  }

  #stepPacer (event: PacerEvent): void {
    const { now, rng, down } = this.#options
    for (const { packet } of this.#pacer.step(event, now(), rng)) down(packet)
    this.#arm(this.#pacer, () => { this.#stepPacer({ is: 'timer' }) })
  }

  #arm (engine: Timed, ring: () => void): void {
    const { due } = engine
    if (due === null || due >= (this.#timers.get(engine) ?? Infinity) || this.#stopped) return
    this.#timers.set(engine, due)
    this.#options.after(due - this.#options.now(), () => {
      if (this.#timers.get(engine) === due) this.#timers.delete(engine)
      if (!this.#stopped) ring()
    })
  }
}
