/**
 * The asking end of an anonymous request (DESIGN §7), as an engine: `step(event, now, rng)` → effects.
 *
 *   start ──► first flight: all fragments, SURBs for the expected answer and a spare
 *      ◄── gathering: some fragments are missing  ──► those, with fresh SURBs
 *      ◄── running: all is there, the service works
 *      ◄── answer fragments; `unsent` of them wait for SURBs ──► a flight of SURBs
 *   silence for a round trip (the quantile of the law of its delays, jittered, doubled each time)
 *             ──► what is known to be missing again, on other paths (doubts.ts), in more copies the longer it was silent
 *
 * Packets leave one at a time, each built when it does, as fast as the window allows (window.ts); or where the session
 * sends cover, in slots of that, in which nobody can tell that there is something to say, or something again. A service cannot make a
 * requester send more than an honest one over a bad network would: a flight must have had the time to arrive, and must
 * bring the request on; and SURBs are made for fragments that are missing, less those that are out.
 *
 * How a call ends: answered; `refused` by the service (cause: its own error, which says whether trying again may help;
 * a service that was too full to know of the request may still carry out a copy that is on its way); `not-sent`: no packet left this machine, so
 * nothing can have happened; at the deadline `overdue` if the service was heard, `lost` if not: in both cases the request
 * may have been carried out, and only asking the service again, by its own protocol, tells; `aborted` by the caller.
 */
import { equal, toHex } from '@mixmint/core/kit/bytes'
import type { MixmintError } from '@mixmint/core/kit/errors'
import type { Meter, Millis, Rng } from '@mixmint/core/kit/ports'
import type { Suite } from '@mixmint/core/crypto/suite'
import { geometryOf } from '../sphinx/layout.ts'
import { decodeMessage } from '../sphinx/message.ts'
import { openReply } from '../sphinx/surb.ts'
import { Alarms } from './alarms.ts'
import { Assembly } from './assembly.ts'
import { aborted, atDeadline, backoff, NOTHING_TRIED, notSent, refused, tooLong, unanswerable, type Call } from './call.ts'
import { Doubts } from './doubts.ts'
import type { Paths, RequesterEffect, RequesterEngine, RequesterEvent, SessionParameters } from './engines.ts'
import { answerIdOf, bindingOf, fragmentCount, ID_LENGTH, readReply, type ReplyPart } from './fragment.ts'
import { answerChunk, fits, plan, planFirst, type PartPlan } from './flight.ts'
import { Packer } from './packing.ts'
import { Sender } from './sender.ts'
import { SurbLedger, wipeSecrets } from './surbs.ts'
import { jittered, Slack, timingsOf, type Timing } from './timing.ts'

export interface RequesterConfig {
  readonly suite: Suite
  readonly paths: Paths
  readonly meter: Meter
  /** What the directory prescribes now. */
  readonly parameters: () => SessionParameters
  /** Do packets leave only at `slot` events? */
  readonly slotted: () => boolean
  /** What links, queues and a service take beside the mixing and the cover, ms. */
  readonly base: Millis
  /** Most calls at once, and most SURBs remembered for all of them. */
  readonly callLimit: number
  readonly surbLimit: number
}

/** A flight that nobody has answered yet brings at most so many packets full of SURBs. */
const BLIND_SURB_PACKETS = 2
/** So many missing fragments are sent again unasked; of more, the service is first asked which. */
const BLIND_FRAGMENTS = 4
const MOST_COPIES = 3
/** Answers of two runs of a handler can be on the way at once (the service was restarted). */
const MOST_ANSWERS = 2
const LAST_FLIGHT = 0xffff
const NEVER = -1
const NO_REPLY = new Uint8Array(0)

export class Requester implements RequesterEngine {
  readonly #config: RequesterConfig
  readonly #surbs: SurbLedger
  readonly #sender: Sender<Call>
  readonly #doubts = new Doubts()
  readonly #slack = new Slack()
  readonly #calls = new Map<number, Call>()
  readonly #alarms = new Alarms<number>()
  readonly #timing: () => Timing

  constructor (config: RequesterConfig) {
    this.#config = config
    this.#timing = timingsOf(config.parameters, () => this.#slack.of(config.base))
    this.#surbs = new SurbLedger(config.surbLimit)
    this.#sender = new Sender(new Packer(config, this.#surbs, this.#doubts), config.slotted)
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
    const alarm = this.#alarms.next()
    const opens = this.#sender.due
    return alarm === null || opens === null ? alarm ?? opens : Math.min(alarm, opens)
  }

  step (event: RequesterEvent, now: Millis, rng: Rng): RequesterEffect[] {
    const effects = this.#take(event, now, rng)
    effects.push(...this.#release(event.is === 'slot' ? 1 : 0, now, rng))
    return effects
  }

  #take (event: RequesterEvent, now: Millis, rng: Rng): RequesterEffect[] {
    switch (event.is) {
      case 'start': return this.#start(event, now, rng)
      case 'reply': return this.#reply(event.surbId, event.payload, now, rng)
      case 'unsent': return this.#unsent(event.call)
      case 'cancel': return this.#end(event.call, aborted())
      case 'timer': return this.#alarms.ring(now).flatMap(call => this.#timeout(call, now, rng))
      case 'slot': return []
    }
  }

  /** The packets that may leave now. */
  #release (slots: number, now: Millis, rng: Rng): RequesterEffect[] {
    return this.#sender.release(slots, this.#timing(), now, rng).flatMap(({ call, packed, isLast }) => {
      if (packed !== null) {
        call.packets += 1
        call.given += packed.surbs
        call.sentAt = now
        call.tried = { there: [...call.tried.there, packed.there], back: packed.back ?? call.tried.back }
      }
      if (isLast && call.packets === 0) return this.#end(call.number, notSent('the directory has no path to this service and back'))
      if (isLast) this.#wake(call, call.wait, now, rng)
      return packed === null ? [] : [{ do: 'send' as const, call: call.number, firstHop: packed.firstHop, packet: packed.packet }]
    })
  }

  #start (event: RequesterEvent & { is: 'start' }, now: Millis, rng: Rng): RequesterEffect[] {
    const { call: number, target, protocol, content, deadline } = event
    const { callLimit, suite } = this.#config
    const size = this.#messageSize
    const { requestLimit, surbsPerPacket } = this.#config.parameters()
    const refuse = (error: MixmintError): RequesterEffect[] => [{ do: 'reject', call: number, error }]
    if (content.length > requestLimit) return refuse(tooLong(content.length, requestLimit))
    const wantsReply = event.replySize !== null
    if ((wantsReply && surbsPerPacket < 1) || !fits(size, protocol)) return refuse(unanswerable())
    if (this.#calls.size >= callLimit) return refuse(notSent('too many requests are under way'))
    if (deadline <= now) return refuse(notSent('the deadline had passed'))

    const expected = wantsReply ? fragmentCount(Math.min(event.replySize, requestLimit), answerChunk(size, protocol)) : 0
    // A long request needs SURBs, too, for the service to say what of it is missing.
    const spare = wantsReply ? content.length > answerChunk(size, protocol) ? 3 : 1 : 0
    const { chunk, parts } = planFirst(size, protocol, content.length, expected + spare, surbsPerPacket)
    const id = rng.bytes(ID_LENGTH)
    const call: Call = {
      number, target, protocol, content: content.slice(), deadline, wantsReply, id, binding: bindingOf(suite, id, protocol, content), chunk, messageSize: size,
      missing: Array.from({ length: fragmentCount(content.length, chunk) }, (_, i) => i),
      answers: new Map(), expected, flight: 0, asked: NEVER, given: 0, packets: 0, unsent: 0, sentAt: now, wait: 0,
      tried: NOTHING_TRIED, suspect: [], heard: false, tries: 0, silent: 0
    }
    this.#calls.set(number, call)
    this.#send(call, parts, wantsReply ? this.#timing().roundTrip : 0, now, rng)
    return []
  }

  /** Let these parts leave in their turn, and then wait so long for a word. Those for which there is no path then are left out. */
  #send (call: Call, parts: readonly PartPlan[], wait: Millis, now: Millis, rng: Rng): void {
    this.#sender.put(call, parts, rng)
    this.#wake(call, wait, now, rng)
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
    // The first word is the answer to a repeat: it was not at work when the first flight should have come, but had not got it.
    if (part.kind === 'answer' && part.flight > 0 && !call.heard) for (const path of call.suspect) this.#config.paths.learned?.(path, false, now)
    call.suspect = []
    call.heard = true
    call.silent = 0
    call.tried = NOTHING_TRIED
    this.#doubts.heard(surb.paths)
    for (const path of surb.paths) this.#config.paths.learned?.(path, true, now)
    this.#sender.window.word(part.kind === 'gathering' ? Math.max(1, call.missing.length - part.missing.length) : 1)
    this.#slack.word(part.flight < call.flight && call.tries > 0)
    switch (part.kind) {
      case 'answer': return this.#answer(call, part, now, rng)
      case 'gathering': return this.#gathering(call, part, now, rng)
      case 'running': return this.#running(call, part, now, rng)
      case 'refused': return this.#end(call.number, refused(part.refusal))
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
    const { roundTrip, oneWay } = this.#timing()
    const missing = answer.missing().length
    const more = this.#lacking(call, Math.min(part.unsent, missing), missing, part, now)
    // What was wanted in the latest flight may come until its round trip is over.
    this.#send(call, this.#plan(call, [], more, []), Math.max(oneWay, call.sentAt + roundTrip - now), now, rng)
    return []
  }

  /**
   * How many SURBs to make, and one to spare, for so many fragments that wait for one, of so many that may come at all.
   * Those that the service has not seen yet may be on the way, if it is not too long ago; and what it says of that does
   * not count for more than what is known here: which SURBs have not come back.
   */
  #lacking (call: Call, waiting: number, most: number, { seen }: ReplyPart, now: Millis): number {
    const out = this.#surbs.givenSince(call.number, now - this.#timing().roundTrip) + this.#sender.surbsOf(call)
    const given = call.given + this.#sender.surbsOf(call)
    const onTheWay = Math.min(out, Math.max(0, given - seen))
    return waiting > onTheWay ? Math.max(0, Math.min(waiting - onTheWay, most - out) + 1) : 0
  }

  #gathering (call: Call, part: ReplyPart & { kind: 'gathering' }, now: Millis, rng: Rng): RequesterEffect[] {
    if (part.count !== fragmentCount(call.content.length, call.chunk)) return this.#drop('conflict')
    // Only the first word about the latest flight counts; an older one lists what has been sent again since.
    if (part.flight !== call.flight || this.#sender.holds(call)) return []
    const { spread, roundTrip } = this.#timing()
    // An honest service waits for as long as parts may still come.
    if (now < call.sentAt + spread) return this.#drop('too-soon')
    const isProgress = part.missing.length < call.missing.length
    // It may have been restarted; then it says so when asked after a silence.
    if (!isProgress && call.asked !== call.flight) return this.#drop('no-progress')
    if (isProgress) call.tries = 0
    call.missing = part.missing.slice()
    call.flight = Math.min(call.flight + 1, LAST_FLIGHT)
    this.#send(call, this.#plan(call, call.missing, Math.max(2, call.expected + 1 - part.held), []), roundTrip * backoff(call), now, rng)
    return []
  }

  #running (call: Call, part: ReplyPart & { kind: 'running' }, now: Millis, rng: Rng): RequesterEffect[] {
    if (call.missing.length > 0) call.tries = 0
    call.missing = []
    // Of what it says to one flight, only the first word asks for SURBs.
    const more = call.asked === part.flight ? this.#lacking(call, call.expected - part.held, call.expected, part, now) : 0
    call.asked = NEVER
    this.#send(call, this.#plan(call, [], more, []), this.#timing().roundTrip * backoff(call), now, rng)
    return []
  }

  #timeout (number: number, now: Millis, rng: Rng): RequesterEffect[] {
    const call = this.#calls.get(number)
    if (call === undefined) return []
    if (!call.wantsReply && !this.#sender.holds(call)) return this.#resolve(call, NO_REPLY)
    if (now >= call.deadline) return this.#end(number, atDeadline(call))
    this.#surbs.prune(number, now)
    this.#sender.window.silence(now, this.#timing())
    call.tries += 1
    call.silent += 1
    // To the first flight a service that works on the answer says nothing, to later ones it does.
    const { there, back } = call.tried
    const tried = back === null ? there : [...there, back]
    this.#doubts.silence(tried)
    if (call.silent > 1) for (const path of tried) this.#config.paths.learned?.(path, false, now)
    else call.suspect = tried
    call.tried = NOTHING_TRIED
    const parts = this.#planAgain(call)
    const copies = parts.length > BLIND_FRAGMENTS ? 1 : Math.min(1 + call.silent, MOST_COPIES)
    call.flight = Math.min(call.flight + 1, LAST_FLIGHT)
    call.asked = call.flight
    const again = Array.from({ length: copies }, () => parts.map(part => ({ ...part, again: true }))).flat()
    this.#config.meter.count('request_retransmitted', {}, again.length)
    this.#send(call, again, this.#timing().roundTrip * backoff(call), now, rng)
    return []
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

  /** Wait so long, once nothing of this call waits to leave. */
  #wake (call: Call, wait: Millis, now: Millis, rng: Rng): void {
    call.wait = wait
    this.#alarms.set(call.number, this.#sender.holds(call) ? call.deadline : Math.min(call.deadline, now + jittered(wait, rng)))
  }

  #resolve (call: Call, content: Uint8Array): RequesterEffect[] {
    this.#forget(call)
    return [{ do: 'resolve', call: call.number, content }]
  }

  #end (number: number, error: MixmintError): RequesterEffect[] {
    const call = this.#calls.get(number)
    if (call === undefined) return []
    this.#forget(call)
    this.#config.meter.count('request_failed', { code: error.code })
    return [{ do: 'reject', call: number, error }]
  }

  #forget (call: Call): void {
    this.#calls.delete(call.number)
    this.#alarms.delete(call.number)
    this.#sender.drop(call)
    this.#surbs.forgetCall(call.number)
  }

  #drop (reason: string): RequesterEffect[] {
    this.#config.meter.count('request_reply_dropped', { reason })
    return []
  }
}
