/**
 * One wallet, its gateway and a bank, by the engines that the daemon has there: the sessions and the cover of both ends (ends.ts), the
 * gateway's `Pacer`; mixes between delay packets as Poisson mixes do, and links may lose them. What an observer of two links sees, the wallet's
 * and the bank's, are times, in both directions. Other wallets with cover are a Poisson process of packets at the bank: what senders of
 * cover are together, after mixes that delay each packet by itself (Burke); without cover each has a session of its own.
 */
import { Heap } from '@mixmint/core/kit/heap'
import type { Meter, Millis, Rng } from '@mixmint/core/kit/ports'
import { exponential, unit } from '@mixmint/core/kit/samplers'
import type { Suite } from '@mixmint/core/crypto/suite'
import { Pacer, type PacerEvent } from '@mixmint/mixnet/cover/pacer'
import type { Cover } from '@mixmint/mixnet/directory/formats'
import { profile } from '@mixmint/mixnet/directory/profiles'
import { poissonDelay } from '@mixmint/mixnet/mixing/poisson'
import { ServiceEnd, WalletEnd, type EndConfig } from './ends.ts'
import { keptRng } from './line.ts'

export interface MeetingPlan {
  readonly cover: Cover
  /** Mean delay at each of so many mixes between wallet and bank, gateway included; and of a link, ms. */
  readonly mixes: number
  readonly meanDelay: Millis
  readonly link: Millis
  /** Of each link: the chance that it loses a packet. */
  readonly loss: number
  /** Services that cover goes to, the bank among them. */
  readonly services: number
  /** Wallets besides the watched one. */
  readonly others: number
  /** Mean time between two requests of a wallet that asks, ms; bytes of one, and of its answer. */
  readonly every: Millis
  readonly request: number
  readonly answer: number
}

/** Whom the watched wallet asks. */
export type Asks = 'nobody' | 'the bank' | 'another'

/** Times, ms; and how many requests of the watched wallet there were, and had their answer. */
export interface Seen {
  readonly up: number[]
  readonly down: number[]
  readonly toBank: number[]
  readonly fromBank: number[]
  readonly requests: { readonly asked: number, readonly answered: number }
}

const WALLET = 'wallet'
/** How long a handler works. */
const WORK: Millis = 20
const BANK = 0
const ANOTHER = 1
/** The watched wallet's number; others have those after it. */
const WATCHED = 0
const QUEUE = 4096
const PADDING = new Uint8Array(0)

interface Timed { readonly due: Millis | null }

export function meet (suite: Suite, plan: MeetingPlan, asks: Asks, until: Millis, seed: number): Seen {
  return new Meeting(suite, plan, seed).run(asks, until)
}

class Meeting {
  readonly #plan: MeetingPlan
  readonly #rng: Rng
  readonly #queue = new Heap<{ readonly at: Millis, readonly turn: number, readonly act: () => void }>((a, b) => a.at < b.at || (a.at === b.at && a.turn < b.turn))
  readonly #seen: Omit<Seen, 'requests'> = { up: [], down: [], toBank: [], fromBank: [] }
  readonly #wallets: readonly WalletEnd[]
  readonly #services: readonly ServiceEnd[]
  readonly #pacer: Pacer
  readonly #armed = new Map<Timed, Millis>()
  /** Of a whole way: that a packet is not lost. */
  readonly #arrives: number
  #now: Millis = 0
  #turn = 0

  constructor (suite: Suite, plan: MeetingPlan, seed: number) {
    const { cover, services, others, mixes, meanDelay, loss } = plan
    this.#plan = plan
    this.#rng = keptRng(seed, 'meeting')
    this.#arrives = (1 - loss) ** (mixes + 1)
    const config: EndConfig = { suite, parameters: { ...profile('default', PADDING), pathLength: mixes + 1, meanDelay, cover }, now: () => this.#now, rng: this.#rng }
    const quiet: Meter = { count: () => {} }
    const wallet = (number: number): WalletEnd => new WalletEnd(config, number, services, (service, packet) => { this.#leavesWallet(number, service, packet) })
    const service = (number: number): ServiceEnd => new ServiceEnd(config, (_, answer) => { this.#answerLater(number, answer) }, (wallet, packet) => { this.#leavesService(number, wallet, packet) })
    this.#wallets = Array.from({ length: cover.send > 0 ? 1 : 1 + others }, (_, number) => wallet(number))
    this.#services = Array.from({ length: Math.max(ANOTHER + 1, services) }, (_, number) => service(number))
    this.#pacer = new Pacer({ meter: quiet, cover: () => cover, ready: () => true, queueLimit: QUEUE, totalLimit: QUEUE })
  }

  run (asks: Asks, until: Millis): Seen {
    const [watched, ...others] = this.#wallets
    this.#with(watched, () => { watched.timer() })
    this.#pace({ is: 'attach', wallet: WALLET })
    if (asks !== 'nobody') this.#askLater(watched, asks === 'the bank' ? BANK : ANOTHER)
    for (const other of others) this.#askLater(other, BANK)
    if (this.#plan.cover.send > 0 && this.#plan.others > 0) this.#othersGoOn()
    for (let first = this.#queue.peek(); first !== undefined && first.at <= until; first = this.#queue.peek()) {
      this.#queue.pop()
      this.#now = first.at
      first.act()
    }
    return { ...this.#seen, requests: watched.requests }
  }

  #after (ms: Millis, act: () => void): void {
    this.#queue.push({ at: this.#now + ms, turn: this.#turn++, act })
  }

  /** Do something with an end, and wake it when it wants to be. */
  #with (end: Timed & { readonly timer: () => void }, act: () => void): void {
    act()
    this.#arm(end, () => { this.#with(end, () => { end.timer() }) })
  }

  #arm (engine: Timed, ring: () => void): void {
    const { due } = engine
    if (due === null || due >= (this.#armed.get(engine) ?? Infinity)) return
    this.#armed.set(engine, due)
    this.#after(Math.max(0, due - this.#now), () => {
      if (this.#armed.get(engine) === due) this.#armed.delete(engine)
      ring()
    })
  }

  #askLater (wallet: WalletEnd, service: number): void {
    this.#after(exponential(this.#rng, this.#plan.every), () => {
      this.#with(wallet, () => { wallet.ask(service, new Uint8Array(this.#plan.request)) })
      this.#askLater(wallet, service)
    })
  }

  #answerLater (service: number, answer: (content: Uint8Array) => void): void {
    this.#after(WORK, () => { this.#with(this.#services[service], () => { answer(new Uint8Array(this.#plan.answer)) }) })
  }

  #leavesWallet (wallet: number, service: number, packet: Uint8Array): void {
    if (wallet === WATCHED) {
      this.#seen.up.push(this.#now)
      this.#pace({ is: 'attach', wallet: WALLET })
    }
    this.#carry(() => {
      if (service === BANK) this.#seen.toBank.push(this.#now)
      const end = this.#services[service]
      this.#with(end, () => { end.receive(packet) })
    })
  }

  #leavesService (service: number, wallet: number, packet: Uint8Array): void {
    if (service === BANK) this.#seen.fromBank.push(this.#now)
    if (packet.length === 0) return
    this.#carry(() => {
      if (wallet === WATCHED) return this.#pace({ is: 'packet', wallet: WALLET, packet })
      const end = this.#wallets[wallet]
      this.#with(end, () => { end.receive(packet) })
    })
  }

  #carry (arrive: () => void): void {
    if (unit(this.#rng) <= this.#arrives) this.#after(onTheWay(this.#plan, this.#rng), arrive)
  }

  #pace (event: PacerEvent): void {
    for (const { packet } of this.#pacer.step(event, this.#now, this.#rng)) {
      this.#seen.down.push(this.#now)
      const [watched] = this.#wallets
      if (packet !== null) this.#with(watched, () => { watched.receive(packet) })
    }
    this.#arm(this.#pacer, () => { this.#pace({ is: 'timer' }) })
  }

  /** What others send to the bank behind their cover. */
  #othersGoOn (): void {
    const { cover: { send, echoes }, others, services } = this.#plan
    this.#after(exponential(this.#rng, send * services / others), () => {
      this.#seen.toBank.push(this.#now)
      const bank = this.#services[BANK]
      if (unit(this.#rng) <= echoes / 1000) this.#with(bank, () => { bank.echo(WATCHED + 1, PADDING) })
      this.#othersGoOn()
    })
  }
}

/** From wallet to service, or back to the gateway's line: mixes and the links around them. */
export function onTheWay ({ mixes, meanDelay, link }: Pick<MeetingPlan, 'mixes' | 'meanDelay' | 'link'>, rng: Rng): Millis {
  let sum = (mixes + 1) * link
  for (let i = 0; i < mixes; i++) sum += poissonDelay(rng, meanDelay)
  return sum
}
