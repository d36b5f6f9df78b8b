/**
 * The two ends of anonymous requests: the engines that a wallet and a service run, joined as mixnet/wire/requester.ts and
 * responder.ts join them, on a virtual clock. Sessions with SURBs, words of what is missing and repeats; cover around them. Paths have one hop,
 * the other end, since how long mixes take is drawn by whoever carries the packets.
 */
import type { Meter, Millis, Rng } from '@mixmint/core/kit/ports'
import { below } from '@mixmint/core/kit/samplers'
import type { Suite } from '@mixmint/core/crypto/suite'
import { isCover } from '@mixmint/mixnet/cover/message'
import { earliest } from '@mixmint/mixnet/cover/process'
import { CoverSender, type CoverSenderEvent } from '@mixmint/mixnet/cover/sender'
import { ServiceCover, type ServiceCoverEvent } from '@mixmint/mixnet/cover/service'
import type { Path, RequesterEvent, ResponderEvent, SessionParameters } from '@mixmint/mixnet/session/engines'
import { Requester } from '@mixmint/mixnet/session/requester'
import { Responder } from '@mixmint/mixnet/session/responder'
import { timingsOf } from '@mixmint/mixnet/session/timing'
import { ADDRESS_SIZE, KEY_SIZE } from '@mixmint/mixnet/sphinx/layout'
import { decodeMessage } from '@mixmint/mixnet/sphinx/message'
import { peel } from '@mixmint/mixnet/sphinx/peel'

export interface EndConfig {
  /** That of hollow.ts will do: nobody opens what is not for him. */
  readonly suite: Suite
  readonly parameters: SessionParameters
  readonly now: () => Millis
  readonly rng: Rng
}

/** Ends are numbered: services, and wallets. */
export type Send = (to: number, packet: Uint8Array) => void

const PROTOCOL = '/lab/1.0.0'
const KEY = new Uint8Array(KEY_SIZE).fill(9)
const QUIET: Meter = { count: () => {} }
/** As wallets have it: what links and services take, for a request and for an echo; and how long a request is waited for. */
const [BASE, ECHO_SLACK, PATIENCE]: readonly Millis[] = [500, 2000, 30_000]
const GATHER: Millis = 120_000
const MUCH = 1e9

/** From 1, as no address is all zeros. */
function addressOf (end: number): Uint8Array {
  const block = new Uint8Array(ADDRESS_SIZE)
  new DataView(block.buffer).setUint32(0, end + 1)
  return block
}

function endOf (address: Uint8Array): number {
  return new DataView(address.buffer, address.byteOffset).getUint32(0) - 1
}

function pathTo (end: number): Path {
  return { hops: [{ publicKey: KEY, address: addressOf(end), delay: 0 }], expires: Infinity }
}

export class WalletEnd {
  readonly #config: EndConfig
  readonly #requester: Requester
  readonly #cover: CoverSender
  readonly #send: Send
  #asked = 0
  #answered = 0

  /**
   * @param number its own
   * @param services that cover goes to: those numbered from 0
   * @param send its packet to a service leaves
   */
  constructor (config: EndConfig, number: number, services: number, send: Send) {
    const { suite, parameters } = config
    const timing = timingsOf(() => parameters, () => ECHO_SLACK)
    const home = pathTo(number)
    this.#config = config
    this.#send = send
    this.#cover = new CoverSender({
      suite, meter: QUIET, parameters: () => ({ ...parameters.cover, packetSize: parameters.packetSize }),
      paths: { forward: (_, rng) => pathTo(below(rng, services)), back: () => home }, ready: () => true, queueLimit: MUCH, homeWithin: () => timing().roundTrip
    })
    this.#requester = new Requester({
      suite, meter: QUIET, parameters: () => parameters, slotted: () => parameters.cover.send > 0, base: BASE, callLimit: MUCH, surbLimit: MUCH,
      paths: { forward: ({ service }) => pathTo(Number(service)), back: () => home }
    })
  }

  /** When `timer` is wanted. */
  get due (): Millis | null {
    return earliest(this.#requester.due, this.#cover.due)
  }

  /** Requests so far, and those that have their answer. */
  get requests (): { readonly asked: number, readonly answered: number } {
    return { asked: this.#asked, answered: this.#answered }
  }

  timer (): void {
    this.#stepCover({ is: 'timer' })
    this.#step({ is: 'timer' })
  }

  ask (service: number, content: Uint8Array): void {
    this.#step({ is: 'start', call: this.#asked++, target: { service: String(service), destination: null }, protocol: PROTOCOL, content, deadline: this.#config.now() + PATIENCE, replySize: 0 })
  }

  /** A packet came that is not padding. */
  receive (packet: Uint8Array): void {
    const reply = peel(this.#config.suite, KEY, packet)
    if (reply.kind !== 'reply') return
    const { surbId, payload } = reply
    if (this.#cover.awaits(surbId)) return this.#stepCover({ is: 'reply', surbId, payload })
    this.#stepCover({ is: 'answered' })
    this.#step({ is: 'reply', surbId, payload })
  }

  #step (event: RequesterEvent): void {
    const { now, rng, parameters } = this.#config
    for (const effect of this.#requester.step(event, now(), rng)) {
      if (effect.do === 'send') this.#stepCover({ is: 'packet', owner: effect.call, firstHop: effect.firstHop, packet: effect.packet })
      else if (effect.do === 'resolve') this.#answered += 1
    }
    if (event.is !== 'slot' && parameters.cover.send > 0 && this.#cover.waiting === 0) this.#step({ is: 'slot' })
  }

  #stepCover (event: CoverSenderEvent): void {
    for (const effect of this.#cover.step(event, this.#config.now(), this.#config.rng)) {
      if (effect.do === 'send') this.#send(endOf(effect.firstHop), effect.packet)
      else if (effect.do === 'slot') this.#step({ is: 'slot' })
    }
  }
}

/** A request came; `answer` is to be called when the work is done. */
type Handle = (content: Uint8Array, answer: (content: Uint8Array) => void) => void

export class ServiceEnd {
  readonly #config: EndConfig
  readonly #responder: Responder
  readonly #cover: ServiceCover
  readonly #send: Send
  readonly #handle: Handle

  /** @param send its packet to a wallet leaves */
  constructor (config: EndConfig, handle: Handle, send: Send) {
    const { suite, parameters } = config
    this.#config = config
    this.#handle = handle
    this.#send = send
    this.#cover = new ServiceCover({ suite, meter: QUIET, parameters: () => ({ pace: parameters.cover.pace, packetSize: parameters.packetSize }), echoLimit: MUCH, queueLimit: MUCH })
    this.#responder = new Responder({
      suite, meter: QUIET, knows: () => true, parameters: () => parameters, gatherFor: GATHER, memoryLimit: MUCH, requestsLimit: MUCH, runLimit: MUCH
    })
  }

  /** When `timer` is wanted. */
  get due (): Millis | null {
    return earliest(this.#responder.due, this.#cover.due)
  }

  timer (): void {
    this.#stepCover({ is: 'timer' })
    this.#step({ is: 'timer' })
  }

  receive (packet: Uint8Array): void {
    const peeled = peel(this.#config.suite, KEY, packet)
    if (peeled.kind !== 'exit') return
    const message = decodeMessage(peeled.message)
    if (message !== null && isCover(message)) this.#stepCover({ is: 'cover', message })
    else this.#step({ is: 'delivered', message: peeled.message, destination: null })
  }

  /** An echo that is not a packet here is answered. */
  echo (wallet: number, packet: Uint8Array): void {
    this.#stepCover({ is: 'answer', packets: [{ firstHop: addressOf(wallet), packet }], asked: this.#config.now() })
  }

  /** @param asked when what asks for an answer came */
  #step (event: ResponderEvent, asked: Millis = this.#config.now()): void {
    const { now } = this.#config
    const effects = this.#responder.step(event, now())
    const packets = effects.filter(effect => effect.do === 'send')
    if (packets.length > 0) this.#stepCover({ is: 'answer', packets, asked })
    for (const effect of effects) {
      if (effect.do !== 'run') continue
      const since = now()
      this.#handle(effect.content, content => { this.#step({ is: 'answered', run: effect.run, content }, since) })
    }
  }

  #stepCover (event: ServiceCoverEvent): void {
    for (const { firstHop, packet } of this.#cover.step(event, this.#config.now(), this.#config.rng)) this.#send(endOf(firstHop), packet)
  }
}
