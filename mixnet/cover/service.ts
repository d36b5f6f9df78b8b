/**
 * Cover at a service: drop packets end here, echoes are answered through the SURB that they bring, and all that leaves for
 * wallets leaves alike. An echo answered at once would be told from a request by the time between packets in and out, and
 * the several packets of an answer by leaving together. So what is asked for by a packet, an echo's answer or a request's,
 * leaves one `cover.pace` after that came at the earliest, in which handlers do their work, and then an exponential time of
 * that mean later; the further packets of an answer follow one after the other: sooner their wallet would not get them from
 * its gateway anyway. An engine: `step(event, now, rng)` → effects.
 */
import { Heap } from '@mixmint/core/kit/heap'
import type { Meter, Millis, Rng } from '@mixmint/core/kit/ports'
import { exponential } from '@mixmint/core/kit/samplers'
import type { Suite } from '@mixmint/core/crypto/suite'
import { geometryOf } from '../sphinx/layout.ts'
import type { Message } from '../sphinx/message.ts'
import { useSurb } from '../sphinx/surb.ts'
import { readCover, writeCover } from './message.ts'
import { LATEST_TIMER } from './process.ts'

export interface ServiceCoverConfig {
  readonly suite: Suite
  readonly meter: Meter
  /** What the directory prescribes now: `pace` is `cover.pace`; 0: answers leave at once. */
  readonly parameters: () => { readonly pace: Millis, readonly packetSize: number }
  /** Echoes answered in a second at most; packets waiting at most. */
  readonly echoLimit: number
  readonly queueLimit: number
}

/** `firstHop`: an address block that a wallet chose; to be used only if the directory lists that node. */
export interface AnswerPacket { readonly firstHop: Uint8Array, readonly packet: Uint8Array }

export type ServiceCoverEvent =
  /** Cover reached us. */
  | { readonly is: 'cover', readonly message: Message }
  /** What is to leave for one wallet; `asked`: when what asked for it came. */
  | { readonly is: 'answer', readonly packets: readonly AnswerPacket[], readonly asked: Millis }
  | { readonly is: 'timer' }
  /** The service stops: from now on answers leave at once. */
  | { readonly is: 'drain' }

export type ServiceCoverEffect = { readonly do: 'send' } & AnswerPacket

interface Waiting extends AnswerPacket { readonly due: Millis }

const SECOND: Millis = 1000
/** Times of day leave fractions of a ms no more precise: at the time that it was told, the caller finds something due. */
const ROUNDING: Millis = 0.001

export class ServiceCover {
  readonly #config: ServiceCoverConfig
  readonly #waiting = new Heap<Waiting>((a, b) => a.due < b.due)
  /** Echoes that may be answered now: a bucket of a second's worth, filled as time passes. */
  #allowed: number
  /** Time in here only runs forward, and does not jump, whatever the caller's clock does. `due` is in it. */
  #elapsed: Millis = 0
  #seen: Millis | null = null
  #draining = false

  constructor (config: ServiceCoverConfig) {
    this.#config = config
    this.#allowed = config.echoLimit
  }

  /** When the next `timer` event is wanted, or null. */
  get due (): Millis | null {
    const first = this.#waiting.peek()
    return first === undefined ? null : (this.#seen ?? 0) + first.due - this.#elapsed
  }

  step (event: ServiceCoverEvent, now: Millis, rng: Rng): ServiceCoverEffect[] {
    this.#pass(now)
    switch (event.is) {
      case 'cover': return this.#answer(this.#reply(event.message), 0, rng)
      case 'answer': return this.#answer(event.packets, Math.max(0, now - event.asked), rng)
      case 'timer': return this.#leave(this.#elapsed)
      case 'drain':
        this.#draining = true
        return this.#leave(Infinity)
    }
  }

  #pass (now: Millis): void {
    const wait = Math.max(0, (this.#waiting.peek()?.due ?? 0) - this.#elapsed)
    const passed = Math.min(Math.max(0, now - (this.#seen ?? now)), wait + LATEST_TIMER)
    this.#elapsed += passed
    this.#allowed = Math.min(this.#config.echoLimit, this.#allowed + passed / SECOND * this.#config.echoLimit)
    this.#seen = now
  }

  #reply (message: Message): AnswerPacket[] {
    const { suite, parameters } = this.#config
    const cover = readCover(message)
    switch (cover?.is) {
      case 'drop': return this.#count('drop')
      case 'echo': {
        if (!this.#allow()) return this.#count('echo-refused')
        const answer = useSurb(suite, cover.surb, writeCover(geometryOf(parameters().packetSize).messageSize, { is: 'answer' }))
        this.#count(answer === null ? 'malformed' : 'echo')
        return answer === null ? [] : [answer]
      }
      default: return this.#count('malformed')
    }
  }

  /** @param age how long ago it was asked for, ms */
  #answer (packets: readonly AnswerPacket[], age: Millis, rng: Rng): ServiceCoverEffect[] {
    const { pace } = this.#config.parameters()
    if (pace === 0 || this.#draining) return packets.map(packet => ({ do: 'send', ...packet }))
    let due = this.#elapsed + Math.max(0, pace - age)
    for (const packet of packets) {
      due += exponential(rng, pace)
      if (this.#waiting.size < this.#config.queueLimit) this.#waiting.push({ ...packet, due })
      else this.#config.meter.count('cover_dropped', { reason: 'queue-full' })
    }
    return []
  }

  /** @param elapsed what is due by then */
  #leave (elapsed: Millis): ServiceCoverEffect[] {
    const effects: ServiceCoverEffect[] = []
    for (let first = this.#waiting.peek(); first !== undefined && first.due <= elapsed + ROUNDING; first = this.#waiting.peek()) {
      this.#waiting.pop()
      effects.push({ do: 'send', firstHop: first.firstHop, packet: first.packet })
    }
    return effects
  }

  #allow (): boolean {
    if (this.#allowed < 1) return false
    this.#allowed -= 1
    return true
  }

  #count (kind: 'drop' | 'echo' | 'echo-refused' | 'malformed'): [] {
    this.#config.meter.count('cover_received', { kind })
    return []
  }
}
