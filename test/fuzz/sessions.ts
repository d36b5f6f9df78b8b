/**
 * Both ends of sessions, over a network that does to packets what it likes, with neighbours that say what they like:
 * nothing throws, every call ends once, what is held stays within its limits and is given back, and no answer is taken
 * for that of another request. The ciphers are toys, so that changed bytes are read.
 */
import { equal, toHex, u32 } from '@mixmint/core/kit/bytes'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Path, RequesterEffect, RequesterEngine, RequesterEvent, ResponderEffect, ResponderEngine, ResponderEvent, SessionParameters } from '@mixmint/mixnet/session/engines'
import { PlainRequester, PlainResponder } from '@mixmint/mixnet/session/plain'
import { Requester, type RequesterConfig } from '@mixmint/mixnet/session/requester'
import { Responder, type ResponderConfig } from '@mixmint/mixnet/session/responder'
import { encodeMessage } from '@mixmint/mixnet/sphinx/message'
import { peel } from '@mixmint/mixnet/sphinx/peel'
import { CountingMeter } from '../doubles/meter.ts'
import { toySuite } from '../doubles/toy-suite.ts'
import type { Chance } from './chance.ts'
import { must, type Target } from './fuzz.ts'
import { mutated } from './mutate.ts'
import { pathOver, toyNode } from './toy-packets.ts'

const PROTOCOL = '/toy/1'
const LIMITS = { calls: 6, surbs: 40, memory: 60_000, requests: 8, running: 3 }
const service = toyNode('service')
const wallet = toyNode('wallet', toyNode('gateway').peer)
const GATHER = 2000

class World {
  readonly #chance: Chance
  readonly #meter = new CountingMeter()
  readonly #requester: RequesterEngine
  readonly #responder: ResponderEngine
  /** What was asked and what was answered, in hexadecimal. */
  readonly #asked: string[] = []
  readonly #answers = new Map<string, Set<string>>()
  readonly #settled = new Set<number>()
  readonly #started: number[] = []
  readonly #running: Array<{ readonly run: string, readonly content: string }> = []
  /** Do requesters say what they like, too? Then one may bring the SURBs of another. */
  readonly #lying: boolean
  readonly #plain: boolean
  #parameters: SessionParameters
  /** On the way: there, and back. */
  #there: Uint8Array[] = []
  #back: Uint8Array[] = []
  /** Messages and payloads that were seen, to be changed. */
  readonly #messages: Uint8Array[] = [encodeMessage(860, { codec: PROTOCOL, surbs: [], data: new Uint8Array(60), sequence: 0 })]
  #sent = 0
  #now = 1_000_000

  constructor (chance: Chance, plain: boolean) {
    this.#chance = chance
    this.#plain = plain
    this.#lying = chance.often(0.5)
    this.#parameters = this.#prescribed()
    const common = { suite: toySuite, meter: this.#meter, parameters: () => this.#parameters }
    const slotted = chance.often(0.3)
    const requester: RequesterConfig = { ...common, slotted: () => slotted, base: 100, callLimit: LIMITS.calls, surbLimit: LIMITS.surbs, paths: { forward: () => this.#path(service), back: () => this.#path(wallet) } }
    const responder: ResponderConfig = {
      ...common, knows: protocol => protocol === PROTOCOL, gatherFor: GATHER, memoryLimit: LIMITS.memory, requestsLimit: LIMITS.requests, runLimit: LIMITS.running
    }
    this.#requester = plain ? new PlainRequester(requester) : new Requester(requester)
    this.#responder = plain ? new PlainResponder(responder) : new Responder(responder)
  }

  run (): void {
    const chance = this.#chance
    for (let n = chance.between(10, 250); n > 0; n--) {
      this.#pass(chance.often(0.9) ? chance.below(60) : chance.pick([-100_000, -1, 0, 500, 3000]))
      const which = chance.below(24)
      if (which < 3) this.#start()
      else if (which < 12) this.#arrive()
      else if (which < 19) this.#return()
      else if (which < 21) this.#answer()
      else if (which === 21) this.#ask({ is: chance.pick(['timer', 'slot']) })
      else if (which === 22) this.#mischief()
      else if (chance.often(0.1)) this.#parameters = this.#prescribed()
    }
    this.#end()
  }

  #prescribed (): SessionParameters {
    const chance = this.#chance
    return {
      pathLength: 3, packetSize: chance.often(0.8) ? 1500 : chance.pick([2000, 4608]), meanDelay: 10, strategy: { kind: 'poisson' }, cover: { send: 0, echoes: 0, pace: 0, loop: 0 },
      requestLimit: chance.pick([2000, 6000]), surbsPerPacket: chance.between(1, 4), answerKept: 3000
    }
  }

  #path (end: typeof service): Path | null {
    const chance = this.#chance
    return chance.often(0.02) ? null : { hops: pathOver([end]), expires: this.#now + chance.pick([-1, 500, 5000, 1e9]) }
  }

  #pass (ms: number): void {
    this.#now += ms
    // Timers come late, or not at all.
    for (let n = 0; n < 20 && this.#chance.often(0.9) && (this.#requester.due ?? Infinity) <= this.#now; n++) this.#ask({ is: 'timer' })
    for (let n = 0; n < 20 && this.#chance.often(0.9) && (this.#responder.due ?? Infinity) <= this.#now; n++) this.#serve({ is: 'timer' })
  }

  #start (): void {
    const chance = this.#chance
    const content = chance.bytes(chance.pick([0, 10, 700, 1500, 3000, 5000, 6001]))
    const call = this.#started.length
    this.#started.push(call)
    this.#asked.push(toHex(content))
    this.#ask({
      is: 'start', call, target: { service: 'x', destination: null }, protocol: chance.often(0.95) ? PROTOCOL : chance.pick(['', '/other', 'x'.repeat(900)]), content,
      deadline: this.#now + chance.pick([-1, 50, 2000, 10_000]), replySize: chance.pick([0, 100, 4000, 1e9])
    })
  }

  #ask (event: RequesterEvent): void {
    const effects: RequesterEffect[] = this.#requester.step(event, this.#now, this.#chance)
    const { calls, surbs } = this.#requester.held
    must(calls <= LIMITS.calls && surbs <= LIMITS.surbs, `${calls} calls, ${surbs} SURBs are held`)
    must(calls > 0 || surbs === 0, 'SURBs of no call are held')
    for (const effect of effects) {
      if (effect.do === 'send') {
        this.#sent += 1
        must(effect.packet.length === this.#parameters.packetSize, 'a packet of another size')
        if (this.#chance.often(0.03)) this.#ask({ is: 'unsent', call: effect.call })
        else this.#there.push(effect.packet)
        continue
      }
      must(!this.#settled.has(effect.call), 'a call ended twice')
      this.#settled.add(effect.call)
      if (effect.do === 'reject') must(effect.error instanceof MixmintError, 'an error of no kind')
      else if (!this.#plain && !this.#lying) must(this.#answers.get(this.#asked[effect.call])?.has(toHex(effect.content)) === true, 'the answer to another request')
    }
  }

  #serve (event: ResponderEvent): void {
    const effects: ResponderEffect[] = this.#responder.step(event, this.#now)
    const { requests, running, bytes } = this.#responder.held
    must(running <= LIMITS.running && bytes >= 0 && bytes <= LIMITS.memory && (requests > 0 || bytes === 0), `${requests} requests, ${running} running, ${bytes} bytes are held`)
    for (const effect of effects) {
      if (effect.do === 'send') {
        this.#back.push(effect.packet)
        continue
      }
      const content = toHex(effect.content)
      if (!this.#plain) must(this.#asked.includes(content), 'what nobody asked is run')
      this.#running.push({ run: effect.run, content })
    }
  }

  /** One packet at the service, or not; in any order; perhaps again. */
  #arrive (): void {
    const packet = this.#taken(this.#there)
    const peeled = packet === null ? null : peel(toySuite, service.key, packet)
    if (peeled?.kind !== 'exit') return
    this.#messages.push(peeled.message)
    if (this.#messages.length > 12) this.#messages.splice(0, 4)
    const message = this.#lying && this.#chance.often(0.3) ? mutated(this.#messages, this.#chance) : peeled.message
    this.#serve({ is: 'delivered', message, destination: null })
  }

  #return (): void {
    const packet = this.#taken(this.#back)
    const peeled = packet === null ? null : peel(toySuite, wallet.key, packet)
    if (peeled?.kind !== 'reply') return
    // A service says what it likes; but that it finds another content of the same name is not to be feared.
    const payload = this.#chance.often(0.1) ? this.#twisted(peeled.payload) : peeled.payload
    this.#ask({ is: 'reply', surbId: peeled.surbId, payload })
  }

  #twisted (payload: Uint8Array): Uint8Array {
    const out = mutated([payload], this.#chance)
    const sized = new Uint8Array(payload.length)
    sized.set(out.subarray(0, sized.length))
    return this.#chance.often(0.9) ? sized : out
  }

  #taken (from: Uint8Array[]): Uint8Array | null {
    const chance = this.#chance
    if (from.length === 0) return null
    const at = chance.often(0.7) ? 0 : chance.below(from.length)
    const packet = from[at]
    if (chance.often(0.9)) from.splice(at, 1)
    return chance.often(0.15) ? null : packet
  }

  #answer (): void {
    const chance = this.#chance
    if (this.#running.length === 0) return
    const at = chance.below(this.#running.length)
    const { run, content } = this.#running[at]
    // Handlers that answer twice are a defect of ours; the engine is to bear it.
    if (chance.often(0.95)) this.#running.splice(at, 1)
    if (chance.often(0.15)) {
      this.#serve({ is: 'failed', run, error: new MixmintError(chance.pick(['x', 'y'.repeat(100)]), 'operator', chance.pick(['', 'ü'.repeat(600)])) })
      return
    }
    const answer = chance.bytes(chance.pick([0, 10, 700, 4000, 6001]))
    const answers = this.#answers.get(content) ?? new Set()
    this.#answers.set(content, answers.add(toHex(answer)))
    this.#serve({ is: 'answered', run, content: answer })
  }

  #mischief (): void {
    const chance = this.#chance
    switch (chance.below(5)) {
      case 0: this.#ask({ is: 'cancel', call: chance.below(this.#started.length + 2) }); break
      case 1: this.#ask({ is: 'unsent', call: chance.below(this.#started.length + 2) }); break
      case 2: this.#ask({ is: 'reply', surbId: chance.bytes(16), payload: chance.bytes(chance.pick([0, 100, 876])) }); break
      case 3: this.#serve({ is: 'delivered', message: this.#lying ? mutated(this.#messages, chance) : chance.pick(this.#messages), destination: null }); break
      case 4: this.#serve({ is: 'answered', run: chance.pick(['', 'x']), content: u32(chance.next()) }); break
    }
  }

  /** Everybody falls silent: all calls end by their deadlines, and everything is given back. */
  #end (): void {
    this.#now += 200_000
    for (let turns = 0; this.#requester.due !== null; turns++) {
      must(turns < 10_000, 'the requester is never done')
      this.#now = Math.max(this.#now, this.#requester.due)
      this.#ask({ is: 'timer' })
    }
    const { calls, surbs } = this.#requester.held
    must(calls === 0 && surbs === 0, `${calls} calls, ${surbs} SURBs are left`)
    must(this.#settled.size === this.#started.length, 'a call has not ended')
    for (const { run } of this.#running.splice(0)) this.#serve({ is: 'answered', run, content: new Uint8Array(1) })
    for (let turns = 0; this.#responder.due !== null; turns++) {
      must(turns < 10_000, 'the responder is never done')
      this.#now = Math.max(this.#now, this.#responder.due)
      this.#serve({ is: 'timer' })
    }
    const { requests, running, bytes } = this.#responder.held
    must(equal(Uint8Array.of(requests, running), Uint8Array.of(0, 0)) && bytes === 0, `${requests} requests, ${running} running, ${bytes} bytes are left`)
    must(this.#sent < 250 * 40, `${this.#sent} packets were sent`)
  }
}

export const sessions: readonly Target[] = [
  { name: 'sessions', round: chance => { new World(chance, false).run() } },
  { name: 'plain-sessions', round: chance => { new World(chance, true).run() } }
]
