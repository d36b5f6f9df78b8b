/**
 * A mix network on a virtual clock: real Sphinx packets, peeled at every hop, that wait by the production strategies,
 * between real session engines; links that lose, delay, duplicate and so reorder. One wallet, one gateway, layers of two
 * mixes, one service. Of cover traffic wallets, services and gateways send their own by the production engines; loops are
 * only what fills batches: at each mix one dummy per mean time `cover.loop`.
 */
import { Heap } from '@mixmint/core/kit/heap'
import { toHex } from '@mixmint/core/kit/bytes'
import { MixmintError } from '@mixmint/core/kit/errors'
import { exponential, unit } from '@mixmint/core/kit/samplers'
import type { Suite } from '@mixmint/core/crypto/suite'
import type { Cover, Strategy } from '@mixmint/mixnet/directory/formats'
import { strategyOf, type MixStrategy } from '@mixmint/mixnet/mixing/strategy'
import { SeenTags } from '@mixmint/mixnet/sphinx/replay'
import { peel } from '@mixmint/mixnet/sphinx/peel'
import type { Hop } from '@mixmint/mixnet/sphinx/wrap'
import type { Path, RequesterEffect, RequesterEvent, ResponderEffect, ResponderEvent, SessionParameters } from '@mixmint/mixnet/session/engines'
import { Requester, type RequesterConfig } from '@mixmint/mixnet/session/requester'
import { Responder, type ResponderConfig } from '@mixmint/mixnet/session/responder'
import { CoverEnds } from './cover-ends.ts'
import { CountingMeter } from './meter.ts'
import { seededRng } from './rng.ts'

export const PROTOCOL = '/test/echo/1.0.0'
const SERVICE = 'the service'

export interface NetworkOptions {
  readonly suite: Suite
  readonly seed: string
  readonly pathLength?: number
  readonly packetSize?: number
  readonly meanDelay?: number
  readonly strategy?: Strategy
  readonly cover?: Partial<Cover>
  readonly answerKept?: number
  /** Of each packet on each link: the chance that it is lost, that it comes twice. */
  readonly loss?: number
  readonly duplicates?: number
  /** The chance that the last hop hands the same message or reply to the session twice. */
  readonly echoes?: number
  /** A handler: its answer and how long it takes. */
  readonly handler?: (content: Uint8Array) => { readonly answer: Uint8Array | MixmintError, readonly after: number }
  readonly requester?: Partial<RequesterConfig>
  readonly responder?: Partial<ResponderConfig>
}

interface Waiting { readonly mean: number, readonly go: () => void }
interface Node { readonly hop: Hop, readonly key: Uint8Array, readonly seen: SeenTags, readonly mix: MixStrategy<Waiting>, timerAt: number, isCovered: boolean }
type Outcome = { readonly content: Uint8Array } | { readonly error: MixmintError }

export class MixNetwork {
  readonly meter = new CountingMeter()
  readonly outcomes = new Map<number, Outcome>()
  /** How often the handler ran, by the hash of the content it was given. */
  readonly runs = new Map<string, number>()
  /** Alphas of the packets that the responder sent: one for each SURB used. */
  readonly repliesSent: string[] = []
  packetsSent = 0
  now = 1_000_000
  /** Where a packet may be stopped: true drops it. */
  intercept: (from: 'wallet' | 'mix' | 'service', packet: Uint8Array) => boolean = () => false
  /** Where there is cover: what passes on the line of the wallet, up and down (null: padding). */
  onUp: (packet: Uint8Array) => void = () => {}
  onDown: (packet: Uint8Array | null) => void = () => {}
  /** A packet reaches the service; one leaves it. */
  onServiceIn: () => void = () => {}
  onServiceOut: () => void = () => {}
  requester: Requester
  responder: Responder
  readonly parameters: SessionParameters
  readonly #options: NetworkOptions
  readonly #rng
  readonly #chance
  readonly #queue = new Heap<{ at: number, turn: number, act: () => void }>((a, b) => a.at < b.at || (a.at === b.at && a.turn < b.turn))
  readonly #nodes = new Map<string, Node>()
  readonly #layers: Node[][]
  readonly #service: Node
  readonly #wallet: Node
  readonly #dead = new Set<Node>()
  readonly #timers = { wallet: Infinity, service: Infinity }
  readonly #ends: CoverEnds | null
  #turn = 0
  #calls = 0

  constructor (options: NetworkOptions) {
    this.#options = options
    this.parameters = {
      pathLength: this.pathLength, packetSize: options.packetSize ?? 4608, strategy: options.strategy ?? { kind: 'poisson' },
      cover: { send: 0, echoes: 0, pace: 0, loop: 0, ...options.cover }, meanDelay: this.meanDelay, requestLimit: 1 << 18, surbsPerPacket: 5, answerKept: options.answerKept ?? 60_000
    }
    this.#rng = seededRng(`${options.seed}/keys`)
    this.#chance = seededRng(`${options.seed}/chance`)
    this.#layers = [1, ...Array.from({ length: this.pathLength - 2 }, () => 2)].map(size => Array.from({ length: size }, () => this.#node(this.meanDelay)))
    this.#service = this.#node(0)
    this.#wallet = this.#node(0)
    this.requester = this.newRequester()
    this.responder = this.newResponder()
    this.#ends = this.parameters.cover.send === 0 ? null : this.#newEnds()
  }

  get pathLength (): number { return this.#options.pathLength ?? 5 }
  get meanDelay (): number { return this.#options.meanDelay ?? 50 }

  get paths (): { forward: () => Path, back: () => Path } {
    return {
      forward: () => ({ hops: this.#path(this.#layers, this.#service), expires: Infinity }),
      back: () => ({ hops: this.#path([...this.#layers.slice(1), this.#layers[0]], this.#wallet), expires: this.now + 3_600_000 })
    }
  }

  newRequester (changes: Partial<RequesterConfig> = {}): Requester {
    return new Requester({
      suite: this.#options.suite, meter: this.meter, parameters: () => this.parameters, slotted: () => this.parameters.cover.send > 0,
      base: 100, callLimit: 10_000, surbLimit: 100_000, paths: this.paths, ...this.#options.requester, ...changes
    })
  }

  newResponder (): Responder {
    return new Responder({
      suite: this.#options.suite, meter: this.meter, knows: protocol => protocol === PROTOCOL, parameters: () => this.parameters,
      gatherFor: 30_000, memoryLimit: 1 << 28, requestsLimit: 100_000, runLimit: 10_000,
      ...this.#options.responder
    })
  }

  /** From now on the first mix of this layer loses all (0 is the gateway); or none any more. */
  kill (layer: number): void { this.#dead.add(this.#layers[layer][0]) }
  revive (): void { this.#dead.clear() }

  /** The mix key, in hexadecimal, of that mix. */
  keyOf (layer: number): string { return toHex(this.#layers[layer][0].hop.publicKey) }

  /** Start a request; its outcome will be under the number returned. */
  request (content: Uint8Array, { deadline = 60_000, replySize = 0, protocol = PROTOCOL }: { deadline?: number, replySize?: number | null, protocol?: string } = {}): number {
    const call = this.#calls++
    this.#cover()
    this.ask({ is: 'start', call, target: { service: SERVICE, destination: null }, protocol, content, deadline: this.now + deadline, replySize })
    return call
  }

  ask (event: RequesterEvent): void {
    this.#perform(this.requester.step(event, this.now, this.#rng))
    if (event.is !== 'slot' && this.#ends?.waiting === 0) this.ask({ is: 'slot' })
    const due = this.requester.due
    if (due === null || due >= this.#timers.wallet) return
    this.#timers.wallet = due
    this.#after(due - this.now, () => {
      this.#timers.wallet = Infinity
      this.ask({ is: 'timer' })
    })
  }

  serve (event: ResponderEvent, asked = this.now): void {
    this.#performAtService(this.responder.step(event, this.now), asked)
    const due = this.responder.due
    if (due === null || due >= this.#timers.service) return
    this.#timers.service = due
    this.#after(due - this.now, () => {
      this.#timers.service = Infinity
      this.serve({ is: 'timer' })
    })
  }

  /** Until nothing happens any more, or until this time. */
  run (until = Infinity): void {
    for (let first = this.#queue.peek(); first !== undefined && first.at <= until; first = this.#queue.peek()) {
      this.#queue.pop()
      this.now = first.at
      first.act()
    }
    if (until !== Infinity) this.now = until
  }

  #perform (effects: readonly RequesterEffect[]): void {
    for (const effect of effects) {
      switch (effect.do) {
        case 'send':
          this.packetsSent += 1
          if (this.#ends === null) this.#transmit('wallet', effect.firstHop, effect.packet)
          else this.#ends.send(effect.call, effect.firstHop, effect.packet)
          break
        case 'resolve': this.#settle(effect.call, { content: effect.content }); break
        case 'reject': this.#settle(effect.call, { error: effect.error }); break
      }
    }
  }

  #settle (call: number, outcome: Outcome): void {
    if (this.outcomes.has(call)) throw new Error('settled twice')
    this.outcomes.set(call, outcome)
  }

  #performAtService (effects: readonly ResponderEffect[], asked: number): void {
    const answer = effects.filter(effect => effect.do === 'send')
    for (const { packet } of answer) this.repliesSent.push(toHex(packet.subarray(0, 32)))
    if (this.#ends === null) for (const { firstHop, packet } of answer) this.#transmit('service', firstHop, packet)
    else if (answer.length > 0) this.#ends.answer(answer, asked)
    for (const effect of effects) {
      if (effect.do === 'send') continue
      const name = toHex(this.#options.suite.sha256(effect.content))
      this.runs.set(name, (this.runs.get(name) ?? 0) + 1)
      const { answer, after } = this.#options.handler?.(effect.content) ?? { answer: effect.content, after: 0 }
      const { run } = effect
      const since = this.now
      this.#after(after, () => {
        this.serve(answer instanceof MixmintError ? { is: 'failed', run, error: answer } : { is: 'answered', run, content: answer }, since)
      })
    }
  }

  #transmit (from: 'wallet' | 'mix' | 'service', to: Uint8Array, packet: Uint8Array): void {
    const { loss = 0, duplicates = 0 } = this.#options
    if (from === 'service') this.onServiceOut()
    if (this.intercept(from, packet) || unit(this.#chance) <= loss) return
    const copies = unit(this.#chance) <= duplicates ? 2 : 1
    for (let i = 0; i < copies; i++) this.#after(1 + 4 * unit(this.#chance), () => { this.#arrive(to, packet) })
  }

  #arrive (at: Uint8Array, packet: Uint8Array): void {
    const node = this.#nodes.get(toHex(at))
    if (node !== undefined && this.#dead.has(node)) return
    if (node === undefined) throw new Error('a packet for nobody')
    if (node === this.#service) this.onServiceIn()
    const peeled = peel(this.#options.suite, node.key, packet, tag => node.seen.see(tag))
    const times = unit(this.#chance) <= (this.#options.echoes ?? 0) ? 2 : 1
    switch (peeled.kind) {
      case 'drop': this.meter.count('node_dropped', { reason: peeled.reason }); break
      case 'forward': {
        const { next, delay, packet: inner } = peeled
        const forWallet = this.#ends !== null && this.#nodes.get(toHex(next)) === this.#wallet
        this.#mix(node, { mean: delay, go: () => { if (forWallet) this.#ends?.toWallet(inner); else this.#transmit('mix', next, inner) } })
        break
      }
      case 'exit':
        if (this.#ends?.takes(peeled.message) === true) break
        for (let i = 0; i < times; i++) this.serve({ is: 'delivered', message: peeled.message, destination: null })
        break
      case 'reply':
        if (this.#ends?.takesReply(peeled.surbId, peeled.payload) === true) break
        for (let i = 0; i < times; i++) this.ask({ is: 'reply', surbId: peeled.surbId, payload: peeled.payload })
        break
    }
  }

  #newEnds (): CoverEnds {
    return new CoverEnds({
      suite: this.#options.suite, rng: this.#rng, cover: this.parameters.cover, packetSize: this.parameters.packetSize, paths: this.paths,
      now: () => this.now, after: (ms, act) => { this.#after(ms, act) },
      up: (firstHop, packet) => {
        this.onUp(packet)
        this.#ends?.heard()
        this.#transmit('wallet', firstHop, packet)
      },
      out: ({ firstHop, packet }) => { this.#transmit('service', firstHop, packet) },
      down: packet => {
        this.onDown(packet)
        if (packet !== null) this.#transmit('mix', this.#wallet.hop.address, packet)
      },
      slot: () => { this.ask({ is: 'slot' }) },
      unsent: call => { this.ask({ is: 'unsent', call }) }
    })
  }

  /** Cover ends, so that a time comes at which nothing happens any more. */
  quiet (): void {
    this.#ends?.stop()
  }

  #mix (node: Node, packet?: Waiting): void {
    const leave = (): void => { for (const { go } of node.mix.leave(this.now, this.#chance)) go() }
    leave()
    if (packet !== undefined) {
      node.mix.add(packet, this.now, this.#chance)
      leave()
    }
    const due = node.mix.due()
    if (due === undefined || due >= node.timerAt) return
    node.timerAt = due
    this.#after(due - this.now, () => {
      node.timerAt = Infinity
      this.#mix(node)
    })
  }

  /** Dummies at every mix, until all calls are settled. */
  #cover (): void {
    const loop = this.#options.cover?.loop ?? 0
    if (loop === 0) return
    const next = (node: Node): void => {
      node.isCovered = this.outcomes.size < this.#calls
      if (!node.isCovered) return
      this.#mix(node, { mean: this.meanDelay, go: () => {} })
      this.#after(exponential(this.#chance, loop), () => { next(node) })
    }
    for (const node of this.#layers.flat()) if (!node.isCovered) next(node)
  }

  #after (ms: number, act: () => void): void {
    this.#queue.push({ at: this.now + Math.max(0, ms), turn: this.#turn++, act })
  }

  #path (layers: readonly Node[][], last: Node): Hop[] {
    return [...layers.map(layer => layer[Math.floor(unit(this.#chance) * layer.length) % layer.length].hop), last.hop]
  }

  #node (delay: number): Node {
    const key = this.#rng.bytes(32)
    const node = {
      key, hop: { publicKey: this.#options.suite.x25519Base(key), address: this.#rng.bytes(94), delay }, seen: new SeenTags(1 << 20, this.#rng.bytes(16)),
      mix: strategyOf<Waiting>(this.parameters.strategy), timerAt: Infinity, isCovered: false
    }
    this.#nodes.set(toHex(node.hop.address), node)
    return node
  }
}
