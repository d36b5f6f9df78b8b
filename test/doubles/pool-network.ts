/**
 * A network without a directory, on a virtual clock: production mixers, pools and sessions; links that lose, and nodes that
 * are down. One node asks, one answers, any may be an exit; the destinations of exits know nothing of mixing.
 */
import { fromHex, toHex } from '@mixmint/core/kit/bytes'
import { Heap } from '@mixmint/core/kit/heap'
import type { MixmintError } from '@mixmint/core/kit/errors'
import { unit } from '@mixmint/core/kit/samplers'
import type { Suite } from '@mixmint/core/crypto/suite'
import { MixEngine, type LinkId, type MixEffect, type MixEvent } from '@mixmint/mixnet/mixing/engine'
import type { PoolEntry } from '@mixmint/mixnet/pool/entry'
import { PoolPaths } from '@mixmint/mixnet/pool/paths'
import { NodePool } from '@mixmint/mixnet/pool/pool'
import { mayReplyInto, poolTopology } from '@mixmint/mixnet/pool/topology'
import type { RequesterEffect, RequesterEngine, RequesterEvent, ResponderEffect, ResponderEngine, ResponderEvent, Session, SessionParameters } from '@mixmint/mixnet/session/engines'
import { PlainRequester, PlainResponder } from '@mixmint/mixnet/session/plain'
import { Requester } from '@mixmint/mixnet/session/requester'
import { Responder } from '@mixmint/mixnet/session/responder'
import { addressBlock, nodeOf, parseAddress, type PacketAddress } from '@mixmint/mixnet/sphinx/address'
import { CountingMeter } from './meter.ts'
import { seededRng } from './rng.ts'

export const PROTOCOL = '/test/echo/1.0.0'

export interface PoolNetworkOptions {
  readonly suite: Suite
  readonly seed: string
  readonly nodes: number
  readonly session: Session
  readonly pathLength?: number
  readonly packetSize?: number
  /** Of packets that we send; mixers take any. */
  readonly meanDelay?: number
  /** Are we a client of node 2, and no node ourselves? */
  readonly client?: boolean
  /** The chance that a link loses a packet. */
  readonly loss?: number
  /** The answer of a node, or with a destination of that. By default what was asked. Null: none, ever. */
  readonly answer?: (node: number, content: Uint8Array, destination: PacketAddress | null) => Uint8Array | MixmintError | null
}

interface Node { readonly name: LinkId, readonly entry: PoolEntry, readonly engine: MixEngine, readonly responder: ResponderEngine, timer: number }
export type Outcome = { readonly content: Uint8Array } | { readonly error: MixmintError }

export class PoolNetwork {
  readonly meter = new CountingMeter()
  readonly outcomes = new Map<number, Outcome>()
  readonly asked: Array<{ readonly node: number, readonly content: Uint8Array, readonly destination: PacketAddress | null }> = []
  /** As we know it. */
  readonly pool: NodePool
  readonly requester: RequesterEngine
  readonly paths: PoolPaths
  /** Numbers of nodes that take no packets. */
  readonly down = new Set<number>()
  now = 1_000_000
  readonly #options: PoolNetworkOptions
  readonly #rng
  readonly #parameters: SessionParameters
  readonly #queue = new Heap<{ at: number, turn: number, act: () => void }>((a, b) => a.at < b.at || (a.at === b.at && a.turn < b.turn))
  /** Number 0 is ours. */
  readonly #nodes: Node[]
  #due = Infinity
  #turn = 0
  #calls = 0

  constructor (options: PoolNetworkOptions) {
    this.#options = options
    this.#rng = seededRng(options.seed)
    const { suite, client = false, pathLength = 5, packetSize = 4608, meanDelay = 50 } = options
    this.#parameters = {
      strategy: { kind: 'poisson' }, cover: { send: 0, echoes: 0, pace: 0, loop: 0 }, pathLength, packetSize, meanDelay,
      requestLimit: 1 << 18, surbsPerPacket: 4, answerKept: 60_000
    }
    const everybody = new NodePool({ suite, meter: this.meter })
    this.pool = new NodePool({ suite, meter: this.meter })
    this.#nodes = Array.from({ length: options.nodes + 1 }, (_, number) => this.#node(number, everybody))
    for (const [number, { entry }] of this.#nodes.entries()) {
      if (number > 0 || !client) everybody.add(entry)
      if (number > 0) this.pool.add(entry)
    }
    const us = this.#nodes[0].entry
    this.paths = new PoolPaths({
      pool: this.pool, meter: this.meter, parameters: () => this.parameters,
      home: { peer: us.peer, mixKey: us.mixKey, at: client ? { entry: this.#nodes[2].entry.peer } : { block: addressBlock(us.addresses[0], us.peer) } }
    })
    const config = { suite, meter: this.meter, parameters: () => this.parameters, slotted: () => false, base: 100, callLimit: 100, surbLimit: 1000, paths: this.paths }
    this.requester = options.session === 'plain' ? new PlainRequester(config) : new Requester(config)
  }

  get parameters (): SessionParameters {
    return this.#parameters
  }

  nameOf (number: number): LinkId {
    return this.#nodes[number].name
  }

  /** Ask a node, or through it as an exit this destination; the outcome will be under the number returned. */
  request (node: number, content: Uint8Array, { destination = null as Uint8Array | null, deadline = 60_000, protocol = PROTOCOL } = {}): number {
    const call = this.#calls++
    this.#ask({ is: 'start', call, target: { service: this.nameOf(node), destination }, protocol, content, deadline: this.now + deadline, replySize: content.length })
    return call
  }

  /** What becomes of packets at a node, and what it answers at this time. */
  engineOf (number: number): { readonly engine: MixEngine, readonly responder: ResponderEngine } {
    return this.#nodes[number]
  }

  /** Until nothing happens any more. */
  run (): void {
    for (let first = this.#queue.pop(); first !== undefined; first = this.#queue.pop()) {
      this.now = first.at
      first.act()
    }
  }

  #ask (event: RequesterEvent): void {
    for (const effect of this.requester.step(event, this.now, this.#rng)) this.#perform(effect)
    const { due } = this.requester
    if (due === null || due >= this.#due) return
    this.#due = due
    this.#after(due - this.now, () => {
      this.#due = Infinity
      this.#ask({ is: 'timer' })
    })
  }

  #perform (effect: RequesterEffect): void {
    switch (effect.do) {
      case 'send': this.#send(this.#nodes[0].name, effect.firstHop, effect.packet); break
      case 'resolve': this.#settle(effect.call, { content: effect.content }); break
      case 'reject': this.#settle(effect.call, { error: effect.error }); break
    }
  }

  #settle (call: number, outcome: Outcome): void {
    if (this.outcomes.has(call)) throw new Error('settled twice')
    this.outcomes.set(call, outcome)
  }

  #send (from: LinkId, to: Uint8Array, packet: Uint8Array): void {
    const address = parseAddress(to)
    const number = this.#nodes.findIndex(({ name }) => address !== null && name === toHex(nodeOf(address)))
    this.#transmit(from, number, packet)
  }

  #transmit (from: LinkId, number: number, packet: Uint8Array): void {
    if (number < 0) throw new Error('a packet for nobody')
    if (this.down.has(number) || unit(this.#rng) <= (this.#options.loss ?? 0)) return
    this.#after(1 + 4 * unit(this.#rng), () => { this.#mix(number, { kind: 'packet', from, packet }) })
  }

  #mix (number: number, event: MixEvent): void {
    const node = this.#nodes[number]
    for (const effect of node.engine.handle(event, this.now, this.#rng)) this.#leave(number, effect)
    const due = node.engine.nextDeadline() ?? Infinity
    if (due >= node.timer) return
    node.timer = due
    this.#after(due - this.now, () => {
      node.timer = Infinity
      this.#mix(number, { kind: 'timer' })
    })
  }

  #leave (number: number, effect: MixEffect): void {
    const { name } = this.#nodes[number]
    switch (effect.kind) {
      case 'forward': this.#transmit(name, this.#nodes.findIndex(node => node.name === toHex(nodeOf(effect.to))), effect.packet); break
      case 'to-wallet': this.#transmit(name, this.#nodes.findIndex(node => node.name === toHex(effect.wallet)), effect.packet); break
      case 'deliver': this.#serve(number, { is: 'delivered', message: effect.message, destination: null }); break
      case 'exit': this.#serve(number, { is: 'delivered', message: effect.message, destination: effect.destination }); break
      case 'reply': this.#ask({ is: 'reply', surbId: effect.surbId, payload: effect.payload }); break
    }
  }

  #serve (number: number, event: ResponderEvent): void {
    const { responder } = this.#nodes[number]
    for (const effect of responder.step(event, this.now)) this.#answer(number, effect)
    // Its timers only end what was forgotten: looked at once in a while.
    if (responder.due !== null) this.#after(Math.max(1, responder.due - this.now), () => { if (responder.due !== null) this.#serve(number, { is: 'timer' }) })
  }

  #answer (number: number, effect: ResponderEffect): void {
    if (effect.do === 'send') {
      const firstHop = parseAddress(effect.firstHop)
      if (firstHop === null || !mayReplyInto(this.pool, firstHop)) throw new Error('a reply to a stranger')
      this.#send(this.#nodes[number].name, effect.firstHop, effect.packet)
      return
    }
    const { run, content, destination } = effect
    this.asked.push({ node: number, content, destination })
    const answer = (this.#options.answer ?? ((_, bytes) => bytes))(number, content, destination)
    if (answer === null) return
    this.#serve(number, answer instanceof Uint8Array ? { is: 'answered', run, content: answer } : { is: 'failed', run, error: answer })
  }

  #after (ms: number, act: () => void): void {
    this.#queue.push({ at: this.now + Math.max(0, ms), turn: this.#turn++, act })
  }

  #node (number: number, everybody: NodePool): Node {
    const { suite, session } = this.#options
    const peer = Uint8Array.of(0, 37, 8, 2, 18, 33, 2, ...this.#rng.bytes(32))
    const privateKey = this.#rng.bytes(32)
    const { packetSize } = this.parameters
    const engine = new MixEngine({
      suite, self: peer, topology: poolTopology(everybody, true), exits: ({ multiaddr }) => multiaddr.startsWith('/ip4/198.51.100.'),
      parameters: { strategy: { kind: 'poisson' }, meanDelay: { most: 1000 }, packetSize, queueLimit: 1000, replayLimit: 10_000 }
    })
    engine.handle({ kind: 'install', key: { epoch: 0, privateKey, from: 0, until: Infinity } }, this.now, this.#rng)
    const knows = (protocol: string): boolean => protocol === PROTOCOL
    const config = { suite, meter: this.meter, knows, parameters: () => this.parameters, gatherFor: 30_000, memoryLimit: 1 << 26, requestsLimit: 1000, runLimit: 20 }
    return {
      name: toHex(peer), engine, timer: Infinity, responder: session === 'plain' ? new PlainResponder(config) : new Responder(config),
      entry: { peer, addresses: [`/ip4/192.0.2.${number + 1}/tcp/4001`], mixKey: suite.x25519Base(privateKey) }
    }
  }
}

/** A node that knows nothing of mixing. */
export function unaware (host: number): Uint8Array {
  return addressBlock(`/ip4/198.51.100.${host}/tcp/4001`, fromHex('002508021221' + '02' + '11'.repeat(31) + host.toString(16).padStart(2, '0')))
}
