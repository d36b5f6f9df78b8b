/**
 * The asking end of an anonymous request (DESIGN §7), as an engine: `step(event, now, rng)` → effects.
 *
 *   start ──► first flight: all fragments, SURBs for the expected answer and a spare
 *      ◄── gathering: some fragments are missing  ──► those, with fresh SURBs
 *      ◄── running: all is there, the service works
 *      ◄── answer fragments; `unsent` of them wait for SURBs ──► a flight of SURBs
 *   silence for a round trip (the quantile of the law of its delays, jittered, doubled each time)
 *             ──► what is known to be missing again, on fresh paths, in more copies the longer it was silent
 *
 * How a call ends: answered; `refused` by the service (cause: its own error, which says whether trying again may help;
 * a service that was too full to know of the request may still carry out a copy that is on its way); `not-sent`: no packet left this machine, so
 * nothing can have happened; at the deadline `overdue` if the service was heard, `lost` if not: in both cases the request
 * may have been carried out, and only asking the service again, by its own protocol, tells; `aborted` by the caller.
 */
import { equal, toHex } from '@mixmint/core/kit/bytes'
import { isMixmintError, MixmintError } from '@mixmint/core/kit/errors'
import type { Meter, Millis, Rng } from '@mixmint/core/kit/ports'
import type { Suite } from '@mixmint/core/crypto/suite'
import { ADDRESS_SIZE, geometryOf, KEY_SIZE, SURB_ID_SIZE, SURB_KEY_SIZE } from '../sphinx/layout.ts'
import { decodeMessage, encodeMessage } from '../sphinx/message.ts'
import { createSurb, openReply } from '../sphinx/surb.ts'
import { wrap } from '../sphinx/wrap.ts'
import { Alarms } from './alarms.ts'
import { Assembly } from './assembly.ts'
import type { Path, Paths, RequesterEffect, RequesterEngine, RequesterEvent, SessionParameters, Target } from './engines.ts'
import { answerIdOf, bindingOf, fragmentCount, fragmentOf, ID_LENGTH, readReply, writeRequest, type ReplyPart } from './fragment.ts'
import { answerChunk, fits, plan, planFirst, type PartPlan } from './flight.ts'
import { SurbLedger, wipeSecrets } from './surbs.ts'
import { jittered, timingsOf, type Timing } from './timing.ts'

export interface RequesterConfig {
  readonly suite: Suite
  readonly paths: Paths
  readonly meter: Meter
  /** What the directory prescribes now. */
  readonly parameters: () => SessionParameters
  /** What links, queues and a service take beside the mixing, ms. */
  readonly base: Millis
  /** Most calls at once, and most SURBs remembered for all of them. */
  readonly callLimit: number
  readonly surbLimit: number
}

interface Call {
  readonly number: number
  readonly target: Target
  readonly protocol: string
  readonly content: Uint8Array
  readonly deadline: Millis
  readonly id: Uint8Array
  readonly binding: Uint8Array
  readonly chunk: number
  /** Fragments of the request that are not known to have arrived. */
  missing: number[]
  /** The answer, one assembly per run of the handler that we hear from. */
  readonly answers: Map<string, Assembly>
  /** Fragments expected in the answer, or once known their true number. */
  expected: number
  flight: number
  /** SURBs put into packets so far. */
  given: number
  packets: number
  unsent: number
  /** When the latest flight left. */
  sentAt: Millis
  /** While nothing has come home since: its paths there, and back for the SURB that is used first. */
  tried: { there: Path[], back: Path | null }
  heard: boolean
  /** Timeouts since the last progress (doubles the wait), and since anything was heard (more copies). */
  tries: number
  silent: number
}

const LAST_HOP = new Uint8Array(ADDRESS_SIZE)
/** A flight that nobody has answered yet brings at most so many packets full of SURBs. */
const BLIND_SURB_PACKETS = 2
/** So many missing fragments are sent again unasked; of more, the service is first asked which. */
const BLIND_FRAGMENTS = 4
const MOST_COPIES = 3
const MOST_DOUBLINGS = 5
/** A service at work is asked more often: an answer that was lost would be missed for long. */
const MOST_DOUBLINGS_RUNNING = 2
/** Answers of two runs of a handler can be on the way at once (the service was restarted). */
const MOST_ANSWERS = 2

export class Requester implements RequesterEngine {
  readonly #config: RequesterConfig
  readonly #surbs: SurbLedger
  readonly #calls = new Map<number, Call>()
  readonly #alarms = new Alarms<number>()
  readonly #timing: () => Timing

  constructor (config: RequesterConfig) {
    this.#config = config
    this.#timing = timingsOf(config.parameters, config.base)
    this.#surbs = new SurbLedger(config.surbLimit)
  }

  /** Bytes of every message in this network. */
  get #messageSize (): number {
    return geometryOf(this.#config.parameters().packetSize).messageSize
  }

  /** What is held now; all zero when no call is under way. */
  get held (): { calls: number, surbs: number } {
    return { calls: this.#calls.size, surbs: this.#surbs.size }
  }

  /** When the next `timer` event is wanted, or null. */
  get due (): Millis | null {
    return this.#alarms.next()
  }

  step (event: RequesterEvent, now: Millis, rng: Rng): RequesterEffect[] {
    switch (event.is) {
      case 'start': return this.#start(event, now, rng)
      case 'reply': return this.#reply(event.surbId, event.payload, now, rng)
      case 'unsent': return this.#unsent(event.call)
      case 'cancel': return this.#end(event.call, new MixmintError('aborted', 'caller', 'the request was aborted; if it had been sent, it may still be carried out'))
      case 'timer': return this.#alarms.ring(now).flatMap(call => this.#timeout(call, now, rng))
    }
  }

  #start (event: RequesterEvent & { is: 'start' }, now: Millis, rng: Rng): RequesterEffect[] {
    const { call: number, target, protocol, content, deadline } = event
    const { callLimit, suite } = this.#config
    const size = this.#messageSize
    const { requestLimit, surbsPerPacket } = this.#config.parameters()
    const refuse = (error: MixmintError): RequesterEffect[] => [{ do: 'reject', call: number, error }]
    if (content.length > requestLimit) {
      return refuse(new MixmintError('request-too-long', 'caller', `a request has at most ${requestLimit} bytes, this one has ${content.length}; nothing was sent`))
    }
    if (surbsPerPacket < 1 || !fits(size, protocol)) return refuse(new MixmintError('bad-argument', 'caller', 'no answer can come back: the protocol name is too long, or the network allows no SURBs'))
    if (this.#calls.size >= callLimit) return refuse(notSent('too many requests are under way'))
    if (deadline <= now) return refuse(notSent('the deadline had passed'))

    const expected = fragmentCount(Math.min(event.replySize, requestLimit), answerChunk(size, protocol))
    // A long request needs SURBs, too, for the service to say what of it is missing.
    const spare = content.length > answerChunk(size, protocol) ? 3 : 1
    const { chunk, parts } = planFirst(size, protocol, content.length, expected + spare, surbsPerPacket)
    const id = rng.bytes(ID_LENGTH)
    const call: Call = {
      number, target, protocol, content: content.slice(), deadline, id, binding: bindingOf(suite, id, protocol, content), chunk,
      missing: Array.from({ length: fragmentCount(content.length, chunk) }, (_, i) => i),
      answers: new Map(), expected, flight: 0, given: 0, packets: 0, unsent: 0, sentAt: now, tried: { there: [], back: null }, heard: false, tries: 0, silent: 0
    }
    this.#calls.set(number, call)
    const effects = this.#send(call, parts, now, rng)
    if (effects.length === 0) return this.#end(number, notSent('the directory has no path to this service and back'))
    this.#wake(call, this.#timing().roundTrip, now, rng)
    return effects
  }

  /** The packets of a flight. Parts for which there is no path now are left out; a timeout will repeat them. */
  #send (call: Call, parts: readonly PartPlan[], now: Millis, rng: Rng): RequesterEffect[] {
    const effects: RequesterEffect[] = []
    call.tried = { there: [], back: null }
    for (const part of parts) {
      try {
        effects.push(...this.#packet(call, part, now, rng))
      } catch (error) {
        // A mix published a key of low order: another path will do.
        if (!isMixmintError(error, 'bad-hop-key')) throw error
        this.#config.meter.count('request_bad_path')
      }
    }
    call.packets += effects.length
    call.sentAt = now
    return effects
  }

  #packet (call: Call, part: PartPlan, now: Millis, rng: Rng): RequesterEffect[] {
    const path = this.#config.paths.forward(call.target, now, rng)
    if (path === null) return []
    const surbs: Uint8Array[] = []
    for (let i = 0; i < part.surbs; i++) surbs.push(...this.#surb(call, path, now, rng))
    if (part.surbs > 0 && surbs.length === 0) return []
    const data = writeRequest({
      id: call.id, binding: call.binding, total: call.content.length, chunk: call.chunk, index: part.index, flight: call.flight,
      wants: part.wants.slice(0, surbs.length), data: part.index === null ? NOTHING : fragmentOf(call.content, call.chunk, part.index)
    })
    const message = encodeMessage(this.#messageSize, { codec: call.protocol, surbs, data, sequence: call.packets })
    const packet = wrap(this.#config.suite, rng.bytes(KEY_SIZE), path.hops, call.target.destination ?? LAST_HOP, message)
    call.given += surbs.length
    call.tried.there.push(path)
    return [{ do: 'send', call: call.number, firstHop: path.hops[0].address, packet }]
  }

  /** One that leaves with a packet on the path `there`. */
  #surb (call: Call, there: Path, now: Millis, rng: Rng): Uint8Array[] {
    const path = this.#config.paths.back(call.target, now, rng)
    if (path === null || path.expires <= now) return []
    call.tried.back = path
    const { surb, secrets } = createSurb(this.#config.suite, rng.bytes(KEY_SIZE), path.hops, rng.bytes(SURB_ID_SIZE), rng.bytes(SURB_KEY_SIZE))
    return this.#surbs.give(call.number, secrets, path.expires, [path, there]) ? [surb] : []
  }

  #reply (surbId: Uint8Array, payload: Uint8Array, now: Millis, rng: Rng): RequesterEffect[] {
    const surb = this.#surbs.take(surbId, now)
    if (surb === null) return this.#drop('unknown-surb')
    const message = openReply(this.#config.suite, surb.secrets, payload)
    wipeSecrets(surb.secrets)
    const call = this.#calls.get(surb.call)
    if (message === null || call === undefined) return this.#drop('changed')
    const decoded = decodeMessage(message)
    const part = decoded === null || decoded.codec !== call.protocol ? null : readReply(decoded.data)
    if (part === null) return this.#drop('bad-reply')
    call.heard = true
    call.silent = 0
    call.tried = { there: [], back: null }
    for (const path of surb.paths) this.#config.paths.learned?.(path, true, now)
    switch (part.kind) {
      case 'answer': return this.#answer(call, part, now, rng)
      case 'gathering': return this.#gathering(call, part, now, rng)
      case 'running': return this.#running(call, part, now, rng)
      case 'refused': {
        const { code, fault, retry, message: why } = part.refusal
        const cause = new MixmintError(code, fault, why, { retry })
        return this.#end(call.number, new MixmintError('refused', 'peer', `the service refused the request (${code}): ${why}`, { retry, cause }))
      }
    }
  }

  #answer (call: Call, part: ReplyPart & { kind: 'answer' }, now: Millis, rng: Rng): RequesterEffect[] {
    if (part.total > this.#config.parameters().requestLimit) return this.#drop('answer-too-large')
    const name = toHex(part.answer)
    let answer = call.answers.get(name)
    if (answer === undefined) {
      if (call.answers.size >= MOST_ANSWERS) call.answers.delete([...call.answers.keys()][0])
      answer = new Assembly(part.total, part.chunk)
      call.answers.set(name, answer)
    }
    if (answer.total !== part.total || answer.chunk !== part.chunk) return this.#drop('conflict')
    const added = answer.add(part.index, part.data)
    if (added !== 'new') return this.#drop(added)
    if (answer.complete) {
      const content = answer.join()
      if (equal(answerIdOf(this.#config.suite, content), part.answer)) return this.#resolve(call, content)
      call.answers.delete(name)
      return this.#drop('conflict')
    }
    call.missing = []
    call.expected = answer.count
    call.tries = 0
    // SURBs that the service has not seen yet may still be on the way: more are made only for what those do not cover.
    const onTheWay = Math.max(0, call.given - part.seen)
    const wanting = Math.min(part.unsent, answer.missing().length)
    const more = wanting > onTheWay ? wanting - onTheWay + 1 : 0
    const { roundTrip, oneWay } = this.#timing()
    const effects = more > 0 ? this.#send(call, this.#plan(call, [], more, []), now, rng) : []
    // What was wanted in the latest flight may come until its round trip is over.
    this.#wake(call, Math.max(oneWay, call.sentAt + roundTrip - now), now, rng)
    return effects
  }

  #gathering (call: Call, part: ReplyPart & { kind: 'gathering' }, now: Millis, rng: Rng): RequesterEffect[] {
    if (part.count !== fragmentCount(call.content.length, call.chunk)) return this.#drop('conflict')
    // Only the first word about the latest flight counts; an older one lists what has been sent again since.
    if (part.flight !== call.flight) return []
    if (part.missing.length < call.missing.length) call.tries = 0
    call.missing = part.missing.slice()
    call.flight = Math.min(call.flight + 1, LAST_FLIGHT)
    this.#wake(call, this.#timing().roundTrip, now, rng)
    return this.#send(call, this.#plan(call, call.missing, Math.max(2, call.expected + 1 - part.held), []), now, rng)
  }

  #running (call: Call, part: ReplyPart & { kind: 'running' }, now: Millis, rng: Rng): RequesterEffect[] {
    if (call.missing.length > 0) call.tries = 0
    call.missing = []
    this.#wake(call, this.#timing().roundTrip * 2 ** Math.min(call.tries, MOST_DOUBLINGS_RUNNING), now, rng)
    const onTheWay = Math.max(0, call.given - part.seen)
    const more = call.expected - part.held - onTheWay
    return more > 0 ? this.#send(call, this.#plan(call, [], more + 1, []), now, rng) : []
  }

  #timeout (number: number, now: Millis, rng: Rng): RequesterEffect[] {
    const call = this.#calls.get(number)
    if (call === undefined) return []
    if (now >= call.deadline) return this.#end(number, atDeadline(call))
    this.#surbs.prune(number, now)
    call.tries += 1
    call.silent += 1
    // To the first flight a service that works on the answer says nothing, to later ones it does.
    const { there, back } = call.silent > 1 ? call.tried : { there: [], back: null }
    for (const path of back === null ? there : [...there, back]) this.#config.paths.learned?.(path, false, now)
    const effects: RequesterEffect[] = []
    const parts = this.#planAgain(call)
    const copies = parts.length > BLIND_FRAGMENTS ? 1 : Math.min(1 + call.silent, MOST_COPIES)
    call.flight = Math.min(call.flight + 1, LAST_FLIGHT)
    for (let i = 0; i < copies; i++) effects.push(...this.#send(call, parts, now, rng))
    this.#config.meter.count('request_retransmitted', {}, effects.length)
    this.#wake(call, this.#timing().roundTrip * 2 ** Math.min(call.tries, MOST_DOUBLINGS), now, rng)
    return effects
  }

  /** What to send after silence. */
  #planAgain (call: Call): PartPlan[] {
    const { surbsPerPacket } = this.#config.parameters()
    const known = [...call.answers.values()].at(-1)?.missing()
    if (known !== undefined) return this.#plan(call, [], known.length, known)
    const few = call.missing.length <= BLIND_FRAGMENTS
    const surbs = Math.min(call.expected + 1, BLIND_SURB_PACKETS * surbsPerPacket)
    const wants = Array.from({ length: Math.min(call.expected, surbs) }, (_, i) => i)
    return this.#plan(call, few ? call.missing : [], few ? surbs : Math.min(2, surbs), wants)
  }

  #plan (call: Call, indices: readonly number[], surbs: number, wants: readonly number[]): PartPlan[] {
    return plan(this.#messageSize, call.protocol, call.content.length, call.chunk, indices, surbs, wants, this.#config.parameters().surbsPerPacket)
  }

  #unsent (number: number): RequesterEffect[] {
    const call = this.#calls.get(number)
    if (call === undefined) return []
    call.unsent += 1
    return call.unsent === call.packets ? this.#end(number, notSent('no gateway took the packets')) : []
  }

  #wake (call: Call, wait: Millis, now: Millis, rng: Rng): void {
    this.#alarms.set(call.number, Math.min(call.deadline, now + jittered(wait, rng)))
  }

  #resolve (call: Call, content: Uint8Array): RequesterEffect[] {
    this.#forget(call.number)
    return [{ do: 'resolve', call: call.number, content }]
  }

  #end (number: number, error: MixmintError): RequesterEffect[] {
    if (!this.#calls.has(number)) return []
    this.#forget(number)
    this.#config.meter.count('request_failed', { code: error.code })
    return [{ do: 'reject', call: number, error }]
  }

  #forget (number: number): void {
    this.#calls.delete(number)
    this.#alarms.delete(number)
    this.#surbs.forgetCall(number)
  }

  #drop (reason: string): RequesterEffect[] {
    this.#config.meter.count('request_reply_dropped', { reason })
    return []
  }
}

const NOTHING = new Uint8Array(0)
const LAST_FLIGHT = 0xffff

function notSent (why: string): MixmintError {
  return new MixmintError('not-sent', 'peer', `the request was not sent: ${why}; nothing has happened, try again later`, { retry: true })
}

function atDeadline (call: Call): MixmintError {
  return call.heard
    ? new MixmintError('overdue', 'peer', 'the service got the request, or a part of it, but did not answer before the deadline; it may yet be carried out', { retry: true })
    : new MixmintError('lost', 'peer', 'nothing was heard from the service before the deadline; the request may or may not have reached it', { retry: true })
}
