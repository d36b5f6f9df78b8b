/**
 * The answering end of anonymous requests (DESIGN §7), at a service, as an engine: `step(event, now)` → effects.
 *
 *   part ──► gathering ──► all there, binding holds ──► running (the handler) ──► answered ──► forgotten
 *              │ no part for a while: status                │ asked again: status     │ kept for `answerKept`; asked
 *              ▼ through a SURB, `missing`                  ▼ `running`               ▼ again: the fragments wanted
 *
 * A request is its id, its whole content and its destination (this node, or one that this node, as an exit, is to ask). It is run once at a time, and once at all while its answer is kept; after
 * eviction or a restart it may run again, so a handler that moves money must be idempotent itself. What is held is
 * bounded in bytes and number: answers already kept give way first, oldest first; then requests that are incomplete, for
 * else whoever sends first parts only would keep everybody out; then newcomers are refused (`busy`).
 * Refusals go back as replies where the part brought a SURB. Nobody can be identified, so nobody is punished.
 */
import { equal, toHex } from '@mixmint/core/kit/bytes'
import type { MixmintError } from '@mixmint/core/kit/errors'
import type { Meter, Millis } from '@mixmint/core/kit/ports'
import type { Suite } from '@mixmint/core/crypto/suite'
import { destinationBlock, type PacketAddress } from '../sphinx/address.ts'
import { ADDRESS_SIZE, ALPHA_SIZE, geometryOf, SURB_SIZE } from '../sphinx/layout.ts'
import { dataCapacity, decodeMessage, encodeMessage } from '../sphinx/message.ts'
import { useSurb } from '../sphinx/surb.ts'
import { Alarms } from './alarms.ts'
import { Assembly, FRAGMENT_OVERHEAD } from './assembly.ts'
import type { ResponderEffect, ResponderEngine, ResponderEvent, SessionParameters } from './engines.ts'
import { answerChunk, bucket } from './flight.ts'
import { answerIdOf, bindingOf, fragmentCount, fragmentOf, readRequest, writeReply, type Refusal, type ReplyPart, type RequestPart, type Tally } from './fragment.ts'
import { timingsOf, type Timing } from './timing.ts'

export interface ResponderConfig {
  readonly suite: Suite
  readonly meter: Meter
  /** Is this protocol answered: by this node (null), or asked of that destination? */
  readonly knows: (protocol: string, destination: PacketAddress | null) => boolean
  /** What the directory prescribes now. */
  readonly parameters: () => SessionParameters
  /** An incomplete request is forgotten after so long without a new part. */
  readonly gatherFor: Millis
  /** Most bytes of memory for all requests, most requests remembered, and most handlers at work at once. */
  readonly memoryLimit: number
  readonly requestsLimit: number
  readonly runLimit: number
}

type Answer = { readonly content: Uint8Array, readonly id: Uint8Array } | { readonly refusal: Refusal }

interface Served {
  readonly run: string
  readonly protocol: string
  readonly destination: PacketAddress | null
  readonly id: Uint8Array
  readonly binding: Uint8Array
  stage: 'gathering' | 'running' | 'answered'
  assembly: Assembly
  answer: Answer | null
  /** Answer fragments to be sent, in this order, as SURBs come. */
  pending: number[]
  readonly surbs: Uint8Array[]
  /** The alphas of all SURBs that came, so that none is used twice. */
  readonly known: Set<string>
  flight: number
  statusAt: Millis
  forgetAt: Millis
  /** Bytes accounted for this request. */
  weight: number
}

/** What a request costs beside its bytes; a SURB that waits; and one that is remembered as used. */
const REQUEST_OVERHEAD = 1024
const SURB_WEIGHT = SURB_SIZE + 96
const KNOWN_WEIGHT = 128
/** SURBs held for one request: the longest answer takes fewer. The oldest give way. */
const SURBS_PER_REQUEST = 128
/** SURBs remembered for one request, used ones included; beyond it no more are taken. */
const KNOWN_PER_REQUEST = 1024

export class Responder implements ResponderEngine {
  readonly #config: ResponderConfig
  readonly #served = new Map<string, Served>()
  /** In the order in which they give way. */
  readonly #answered = new Set<string>()
  /** Incomplete ones, likewise, the oldest first. */
  readonly #gathering = new Set<string>()
  readonly #alarms = new Alarms<string>()
  readonly #timing: () => Timing
  #weight = 0
  #running = 0

  constructor (config: ResponderConfig) {
    this.#config = config
    this.#timing = timingsOf(config.parameters, () => 0)
  }

  /** Bytes of every message in this network. */
  get #messageSize (): number {
    return geometryOf(this.#config.parameters().packetSize).messageSize
  }

  /** What is held now. */
  get held (): { requests: number, running: number, bytes: number } {
    return { requests: this.#served.size, running: this.#running, bytes: this.#weight }
  }

  /** When the next `timer` event is wanted, or null. */
  get due (): Millis | null {
    return this.#alarms.next()
  }

  step (event: ResponderEvent, now: Millis): ResponderEffect[] {
    switch (event.is) {
      case 'delivered': return this.#delivered(event.message, event.destination, now)
      case 'answered': return this.#succeeded(event.run, event.content, now)
      case 'failed': return this.#failed(event.run, event.error, now)
      case 'timer': return this.#alarms.ring(now).flatMap(run => this.#timer(run, now))
    }
  }

  #delivered (bytes: Uint8Array, destination: PacketAddress | null, now: Millis): ResponderEffect[] {
    const message = decodeMessage(bytes)
    if (message === null) return this.#drop('bad-message')
    const part = readRequest(message.data)
    if (part === null) return this.#drop('bad-part')
    const refuse = (code: string, retry: boolean, why: string): ResponderEffect[] => this.#refuse(code, retry, why, message.codec, part, message.surbs)
    if (!this.#config.knows(message.codec, destination)) {
      return destination === null
        ? refuse('unknown-protocol', false, 'this service does not speak this protocol')
        : refuse('exit-refused', false, 'this exit does not carry this protocol to this destination')
    }
    const { requestLimit } = this.#config.parameters()
    if (part.total > requestLimit) return refuse('too-large', false, `a request has at most ${requestLimit} bytes`)

    const run = toHex(part.id) + toHex(part.binding) + (destination === null ? '' : toHex(destinationBlock(destination)))
    let served = this.#served.get(run)
    const cost = part.data.length + FRAGMENT_OVERHEAD + message.surbs.length * (SURB_WEIGHT + KNOWN_WEIGHT) + (served === undefined ? REQUEST_OVERHEAD : 0)
    if (!this.#makeRoom(cost, served)) {
      // Of a request that is under way no refusal may be said: it may yet be carried out.
      if (served !== undefined) return this.#drop('memory')
      return refuse('busy', true, BUSY)
    }
    if (served === undefined) {
      served = this.#open(run, message.codec, destination, part, now)
    } else if (served.protocol !== message.codec || served.assembly.total !== part.total || served.assembly.chunk !== part.chunk) {
      return this.#drop('conflict')
    }
    this.#takeSurbs(served, message.surbs)
    const asked = part.flight > served.flight
    served.flight = Math.max(served.flight, part.flight)
    switch (served.stage) {
      case 'gathering': return this.#gather(served, part, now)
      case 'running': return asked ? this.#through(served, { ...this.#tally(served, 1), kind: 'running' }) : []
      case 'answered': return this.#again(served, part)
    }
  }

  #open (run: string, protocol: string, destination: PacketAddress | null, part: RequestPart, now: Millis): Served {
    const served: Served = {
      run, protocol, destination, id: part.id.slice(), binding: part.binding.slice(), stage: 'gathering', assembly: new Assembly(part.total, part.chunk),
      answer: null, pending: [], surbs: [], known: new Set(), flight: part.flight, statusAt: Infinity,
      forgetAt: now + this.#config.gatherFor, weight: 0
    }
    this.#served.set(run, served)
    this.#gathering.add(run)
    return served
  }

  #takeSurbs (served: Served, surbs: readonly Uint8Array[]): void {
    for (const surb of surbs) {
      const alpha = toHex(surb.subarray(ADDRESS_SIZE, ADDRESS_SIZE + ALPHA_SIZE))
      if (served.known.has(alpha) || served.known.size >= KNOWN_PER_REQUEST) {
        this.#drop('surb')
        continue
      }
      served.known.add(alpha)
      served.surbs.push(surb.slice())
      if (served.surbs.length > SURBS_PER_REQUEST) served.surbs.shift()
    }
    this.#weigh(served)
  }

  #gather (served: Served, part: RequestPart, now: Millis): ResponderEffect[] {
    if (part.index !== null) {
      const added = served.assembly.add(part.index, part.data)
      if (added !== 'new') this.#drop(added)
      this.#weigh(served)
    }
    if (served.assembly.complete) return this.#run(served, now)
    served.forgetAt = now + this.#config.gatherFor
    served.statusAt = served.surbs.length > 0 ? now + this.#timing().spread : Infinity
    this.#wake(served)
    return []
  }

  #run (served: Served, now: Millis): ResponderEffect[] {
    const { suite, runLimit, meter } = this.#config
    const content = served.assembly.join()
    if (!equal(bindingOf(suite, served.id, served.protocol, content), served.binding)) {
      this.#forget(served)
      return this.#drop('bad-content')
    }
    this.#gathering.delete(served.run)
    // From here on the handler holds the content; of the assembly only the shape is still compared.
    served.assembly = new Assembly(served.assembly.total, served.assembly.chunk)
    if (this.#running >= runLimit) {
      // Kept like an answer, so that no copy of it that comes later is run after all.
      meter.count('responder_refused', { code: 'busy' })
      return this.#finish(served, { refusal: { code: 'busy', fault: 'peer', retry: true, message: BUSY } }, now)
    }
    served.stage = 'running'
    this.#weigh(served)
    this.#running += 1
    this.#alarms.delete(served.run)
    return [{ do: 'run', run: served.run, protocol: served.protocol, content, destination: served.destination }]
  }

  #succeeded (run: string, content: Uint8Array, now: Millis): ResponderEffect[] {
    const { requestLimit } = this.#config.parameters()
    if (content.length > requestLimit) {
      return this.#done(run, { refusal: { code: 'answer-too-large', fault: 'us', retry: false, message: 'the answer is too large to be sent' } }, now)
    }
    return this.#done(run, { content, id: answerIdOf(this.#config.suite, content) }, now)
  }

  #failed (run: string, { code, fault, retry, message }: MixmintError, now: Millis): ResponderEffect[] {
    return this.#done(run, { refusal: { code: code.slice(0, 64), fault, retry, message: message.slice(0, 512) } }, now)
  }

  #done (run: string, answer: Answer, now: Millis): ResponderEffect[] {
    const served = this.#served.get(run)
    if (served === undefined || served.stage !== 'running') return this.#drop('unknown-run')
    this.#running -= 1
    return this.#finish(served, answer, now)
  }

  #finish (served: Served, answer: Answer, now: Millis): ResponderEffect[] {
    served.stage = 'answered'
    served.answer = answer
    served.statusAt = Infinity
    served.forgetAt = now + this.#config.parameters().answerKept
    this.#answered.add(served.run)
    const count = this.#answerCount(served)
    served.pending = Array.from({ length: count }, (_, i) => i)
    // As with requests, the number of packets tells less when it is rounded up; repeats are as good as any.
    const full = bucket(count)
    if (served.surbs.length >= full) for (let i = count; i < full; i++) served.pending.push(i - count)
    const effects = this.#flush(served)
    this.#weigh(served)
    this.#wake(served)
    this.#makeRoom(0, served)
    return effects
  }

  /** A part about an answered request: it wants fragments again, or brings SURBs for those not yet sent. */
  #again (served: Served, part: RequestPart): ResponderEffect[] {
    const count = this.#answerCount(served)
    const wanted = new Set(part.wants.filter(want => want < count))
    if (wanted.size > 0) {
      served.pending = [...wanted, ...served.pending.filter(index => !wanted.has(index))]
      this.#config.meter.count('responder_repeated')
    }
    const effects = this.#flush(served)
    this.#weigh(served)
    return effects
  }

  #flush (served: Served): ResponderEffect[] {
    const effects: ResponderEffect[] = []
    const tally = this.#tally(served, served.pending.length)
    while (served.pending.length > 0 && served.surbs.length > 0) {
      const sent = this.#through(served, this.#answerPart(served, served.pending[0], tally))
      if (sent.length > 0) served.pending.shift()
      effects.push(...sent)
    }
    return effects
  }

  #answerPart ({ answer, protocol }: Served, index: number, tally: Tally): ReplyPart {
    if (answer === null || 'refusal' in answer) return { ...tally, kind: 'refused', refusal: answer?.refusal ?? NO_ANSWER }
    const chunk = answerChunk(this.#messageSize, protocol)
    return { ...tally, kind: 'answer', answer: answer.id, total: answer.content.length, chunk, index, data: fragmentOf(answer.content, chunk, index) }
  }

  #answerCount ({ answer, protocol }: Served): number {
    return answer === null || 'refusal' in answer ? 1 : fragmentCount(answer.content.length, answerChunk(this.#messageSize, protocol))
  }

  #timer (run: string, now: Millis): ResponderEffect[] {
    const served = this.#served.get(run)
    if (served === undefined || served.stage === 'running') return []
    if (served.forgetAt <= now) {
      if (served.stage === 'gathering') this.#drop('incomplete')
      this.#forget(served)
      return []
    }
    const effects: ResponderEffect[] = []
    if (served.statusAt <= now) {
      served.statusAt = Infinity
      const missing = served.assembly.missing()
      // Twice where SURBs abound: a lost status costs the requester a long silence.
      for (let copies = served.surbs.length > 2 ? 2 : 1; copies > 0; copies--) {
        effects.push(...this.#through(served, { ...this.#tally(served, copies), kind: 'gathering', count: served.assembly.count, missing }))
      }
      this.#weigh(served)
    }
    this.#wake(served)
    return effects
  }

  /** What a reply says of SURBs when the next `packets` packets are sent. */
  #tally (served: Served, packets: number): Tally {
    return {
      flight: served.flight, seen: served.known.size, held: Math.max(0, served.surbs.length - packets),
      unsent: served.stage === 'answered' ? Math.max(0, served.pending.length - served.surbs.length) : 0
    }
  }

  /** Use up the newest SURB for this reply; nothing if there is none, or it is none. */
  #through (served: Served, part: ReplyPart): ResponderEffect[] {
    const surb = served.surbs.pop()
    return surb === undefined ? [] : this.#reply(served.protocol, surb, part)
  }

  #reply (codec: string, surb: Uint8Array, part: ReplyPart): ResponderEffect[] {
    const data = writeReply(part)
    const size = this.#messageSize
    if (data.length > dataCapacity(size, codec, 0)) return this.#drop('codec')
    const used = useSurb(this.#config.suite, surb, encodeMessage(size, { codec, surbs: [], data, sequence: 0 }))
    return used === null ? this.#drop('surb') : [{ do: 'send', ...used }]
  }

  #refuse (code: string, retry: boolean, message: string, codec: string, part: RequestPart, surbs: readonly Uint8Array[]): ResponderEffect[] {
    this.#config.meter.count('responder_refused', { code })
    if (surbs.length === 0) return []
    const refusal: Refusal = { code, fault: code === 'busy' ? 'peer' : 'caller', retry, message }
    return this.#reply(codec, surbs[0], { flight: part.flight, seen: surbs.length, held: 0, unsent: 0, kind: 'refused', refusal })
  }

  /** May this many bytes more be held? Kept answers give way, then what is incomplete. */
  #makeRoom (bytes: number, keep: Served | undefined): boolean {
    const { memoryLimit, requestsLimit } = this.#config
    const full = (): boolean => this.#weight + bytes > memoryLimit || (keep === undefined && this.#served.size >= requestsLimit)
    for (const giving of [this.#answered, this.#gathering]) {
      for (const run of giving) {
        if (!full()) return true
        const served = this.#served.get(run)
        if (served !== undefined && served !== keep) {
          this.#config.meter.count('responder_evicted')
          this.#forget(served)
        }
      }
    }
    return !full()
  }

  #weigh (served: Served): void {
    const { answer, surbs, known, assembly, stage } = served
    const content = stage === 'running' ? assembly.total : 0
    const kept = answer !== null && 'content' in answer ? answer.content.length : 0
    const weight = REQUEST_OVERHEAD + assembly.bytes + content + kept + surbs.length * SURB_WEIGHT + known.size * KNOWN_WEIGHT
    this.#weight += weight - served.weight
    served.weight = weight
  }

  #wake (served: Served): void {
    this.#alarms.set(served.run, Math.min(served.statusAt, served.forgetAt))
  }

  #forget (served: Served): void {
    this.#served.delete(served.run)
    this.#answered.delete(served.run)
    this.#gathering.delete(served.run)
    this.#alarms.delete(served.run)
    this.#weight -= served.weight
  }

  #drop (reason: string): ResponderEffect[] {
    this.#config.meter.count('responder_dropped', { reason })
    return []
  }
}

const BUSY = 'the service has as many requests as it can hold; try again later'
const NO_ANSWER: Refusal = { code: 'internal', fault: 'us', retry: true, message: 'the service has no answer' }
