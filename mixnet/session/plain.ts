/**
 * Requests as LIP-99 leaves them (§8.5.1, §8.7): one packet, whose message is codec, SURBs and bytes; the answer is bytes
 * through a SURB. For networks with other implementations of LIBP2P-MIX. Against fragments (requester.ts, responder.ts)
 * there are no long requests and answers and no words of a refusal, and nothing is sent again: who asks cannot tell a lost
 * packet from a slow or unwilling service, and asking twice may do a thing twice.
 *
 * As in the reference implementation, an answer leaves through every SURB that came: so many copies for one to arrive.
 */
import { toHex } from '@mixmint/core/kit/bytes'
import { isMixmintError, MixmintError } from '@mixmint/core/kit/errors'
import type { Millis, Rng } from '@mixmint/core/kit/ports'
import type { PacketAddress } from '../sphinx/address.ts'
import { ADDRESS_SIZE, geometryOf, KEY_SIZE, SURB_ID_SIZE, SURB_KEY_SIZE } from '../sphinx/layout.ts'
import { bareCapacity, dataCapacity, decodeBare, decodeMessage, encodeBare, encodeMessage } from '../sphinx/message.ts'
import { createSurb, openReply, useSurb, type SurbSecrets } from '../sphinx/surb.ts'
import { wrap } from '../sphinx/wrap.ts'
import { Alarms } from './alarms.ts'
import type { Path, RequesterEffect, RequesterEngine, RequesterEvent, ResponderEffect, ResponderEngine, ResponderEvent } from './engines.ts'
import type { RequesterConfig } from './requester.ts'
import type { ResponderConfig } from './responder.ts'
import { wipeSecrets } from './surbs.ts'

/** An answer comes home unless all of its copies are lost. */
const COPIES = 2
/** A number that grew with each packet would show what was lost before it. */
const SEQUENCE = 0

const NO_REPLY = new Uint8Array(0)
const LAST_HOP = new Uint8Array(ADDRESS_SIZE)

type Config = Pick<RequesterConfig, 'suite' | 'paths' | 'meter' | 'parameters' | 'callLimit'>

interface Asked {
  readonly deadline: Millis
  readonly there: Path
  /** Of the first SURB; null: no reply is wanted, and the call is over when the packet has left. */
  readonly back: Path | null
  /** Ids of the SURBs that left with it. */
  readonly surbs: readonly string[]
}

/** The asking end. SURBs held at one time: two for each call. */
export class PlainRequester implements RequesterEngine {
  readonly #config: Config
  readonly #calls = new Map<number, Asked>()
  readonly #surbs = new Map<string, { readonly call: number, readonly back: Path, readonly secrets: SurbSecrets }>()
  readonly #alarms = new Alarms<number>()

  constructor (config: Config) {
    this.#config = config
  }

  get held (): { calls: number, surbs: number } {
    return { calls: this.#calls.size, surbs: this.#surbs.size }
  }

  get due (): Millis | null {
    return this.#alarms.next()
  }

  step (event: RequesterEvent, now: Millis, rng: Rng): RequesterEffect[] {
    switch (event.is) {
      case 'start': return this.#start(event, now, rng)
      case 'reply': return this.#reply(event.surbId, event.payload, now)
      case 'unsent': return this.#end(event.call, notSent('no neighbour took the packet'))
      case 'cancel': return this.#end(event.call, new MixmintError('aborted', 'caller', 'the request was aborted; if it had been sent, it may still be carried out'))
      case 'timer': return this.#alarms.ring(now).flatMap(call => this.#ended(call, now))
      case 'slot': return [] // its one packet has left with the start
    }
  }

  #start (event: RequesterEvent & { is: 'start' }, now: Millis, rng: Rng): RequesterEffect[] {
    const { call, protocol, content, deadline } = event
    const { parameters, callLimit } = this.#config
    const { packetSize, surbsPerPacket } = parameters()
    const refuse = (error: MixmintError): RequesterEffect[] => [{ do: 'reject', call, error }]
    const { messageSize } = geometryOf(packetSize)
    const wantsReply = event.replySize !== null
    const most = dataCapacity(messageSize, protocol, wantsReply ? 1 : 0)
    if ((wantsReply && surbsPerPacket < 1) || most < 0) return refuse(new MixmintError('bad-argument', 'caller', 'no answer can come back: the protocol name is too long, or the network allows no SURBs'))
    if (content.length > most) {
      return refuse(new MixmintError('request-too-long', 'caller', `a request under this protocol has at most ${most} bytes, this one has ${content.length}; nothing was sent`))
    }
    if (this.#calls.size >= callLimit) return refuse(notSent('too many requests are under way'))
    if (deadline <= now) return refuse(notSent('the deadline had passed'))
    let copies = wantsReply ? Math.min(COPIES, surbsPerPacket) : 0
    while (dataCapacity(messageSize, protocol, copies) < content.length) copies -= 1
    try {
      return this.#send(event, messageSize, copies, now, rng) ?? refuse(notSent('there is no path to this service and back now'))
    } catch (error) {
      if (!isMixmintError(error, 'bad-hop-key')) throw error
      this.#config.meter.count('request_bad_path')
      return refuse(notSent('a node on the path has a mix key that nothing can be sent to'))
    }
  }

  /** Null when there is no path. */
  #send ({ call, target, protocol, content, deadline }: RequesterEvent & { is: 'start' }, size: number, copies: number, now: Millis, rng: Rng): RequesterEffect[] | null {
    const { suite, paths } = this.#config
    const there = paths.forward(target, now, rng)
    const backs = Array.from({ length: copies }, () => paths.back(target, now, rng)).filter(path => path !== null && path.expires > now) as Path[]
    if (there === null || backs.length < Math.min(1, copies)) return null
    const made = backs.map(back => ({ back, ...createSurb(suite, rng.bytes(KEY_SIZE), back.hops, rng.bytes(SURB_ID_SIZE), rng.bytes(SURB_KEY_SIZE)) }))
    const message = encodeMessage(size, { codec: protocol, surbs: made.map(({ surb }) => surb), data: content, sequence: SEQUENCE })
    const packet = wrap(suite, rng.bytes(KEY_SIZE), there.hops, target.destination ?? LAST_HOP, message)
    const names = made.map(({ back, secrets }) => {
      const name = toHex(secrets.id)
      this.#surbs.set(name, { call, back, secrets })
      return name
    })
    this.#calls.set(call, { deadline, there, back: backs.at(0) ?? null, surbs: names })
    // Where nothing comes back it is over, unless the link says first that it did not take the packet.
    this.#alarms.set(call, backs.length > 0 ? deadline : now)
    return [{ do: 'send', call, firstHop: there.hops[0].address, packet }]
  }

  #reply (surbId: Uint8Array, payload: Uint8Array, now: Millis): RequesterEffect[] {
    const { suite, meter, paths } = this.#config
    const name = toHex(surbId)
    const surb = this.#surbs.get(name)
    const drop = (reason: string): RequesterEffect[] => {
      meter.count('request_reply_dropped', { reason })
      return []
    }
    if (surb === undefined) return drop('unknown-surb')
    this.#surbs.delete(name)
    const message = openReply(suite, surb.secrets, payload)
    wipeSecrets(surb.secrets)
    if (message === null) return drop('changed')
    const content = decodeBare(message)
    if (content === null) return drop('bad-reply')
    for (const path of [this.#calls.get(surb.call)?.there, surb.back]) if (path !== undefined) paths.learned?.(path, true, now)
    this.#forget(surb.call)
    return [{ do: 'resolve', call: surb.call, content: content.slice() }]
  }

  #ended (call: number, now: Millis): RequesterEffect[] {
    const asked = this.#calls.get(call)
    if (asked === undefined) return []
    if (asked.back === null) {
      this.#forget(call)
      return [{ do: 'resolve', call, content: NO_REPLY }]
    }
    for (const path of [asked.there, asked.back]) this.#config.paths.learned?.(path, false, now)
    return this.#end(call, new MixmintError('lost', 'peer', 'nothing was heard from the service before the deadline; the request may or may not have reached it', { retry: true }))
  }

  #end (call: number, error: MixmintError): RequesterEffect[] {
    if (!this.#calls.has(call)) return []
    this.#forget(call)
    this.#config.meter.count('request_failed', { code: error.code })
    return [{ do: 'reject', call, error }]
  }

  #forget (call: number): void {
    for (const name of this.#calls.get(call)?.surbs ?? []) {
      const surb = this.#surbs.get(name)
      if (surb !== undefined) wipeSecrets(surb.secrets)
      this.#surbs.delete(name)
    }
    this.#calls.delete(call)
    this.#alarms.delete(call)
  }
}

function notSent (why: string): MixmintError {
  return new MixmintError('not-sent', 'peer', `the request was not sent: ${why}; nothing has happened, try again later`, { retry: true })
}

interface Run { readonly surbs: readonly Uint8Array[], readonly bytes: number }

/** The answering end: every message is a request of its own, and is run when it comes; so many at one time. */
export class PlainResponder implements ResponderEngine {
  readonly #config: Pick<ResponderConfig, 'suite' | 'meter' | 'knows' | 'parameters' | 'runLimit'>
  readonly #runs = new Map<string, Run>()
  readonly due = null
  #count = 0

  constructor (config: Pick<ResponderConfig, 'suite' | 'meter' | 'knows' | 'parameters' | 'runLimit'>) {
    this.#config = config
  }

  get held (): { requests: number, running: number, bytes: number } {
    let bytes = 0
    for (const run of this.#runs.values()) bytes += run.bytes
    return { requests: this.#runs.size, running: this.#runs.size, bytes }
  }

  step (event: ResponderEvent): ResponderEffect[] {
    switch (event.is) {
      case 'delivered': return this.#delivered(event.message, event.destination)
      case 'answered': return this.#answered(event.run, event.content)
      case 'failed': return this.#failed(event.run, event.error)
      case 'timer': return []
    }
  }

  #delivered (bytes: Uint8Array, destination: PacketAddress | null): ResponderEffect[] {
    const { knows, parameters, runLimit } = this.#config
    const message = decodeMessage(bytes)
    if (message === null) return this.#drop('bad-message')
    if (!knows(message.codec, destination)) return this.#drop(destination === null ? 'unknown-protocol' : 'exit-refused')
    if (this.#runs.size >= runLimit) return this.#drop('busy')
    const run = `${this.#count++}`
    const content = message.data.slice() // a handler may look at the buffer behind it
    // A message could bring dozens of SURBs, and so make us send dozens of packets for one.
    const surbs = message.surbs.slice(0, parameters().surbsPerPacket)
    this.#runs.set(run, { surbs, bytes: bytes.length + content.length })
    return [{ do: 'run', run, protocol: message.codec, content, destination }]
  }

  #answered (run: string, content: Uint8Array): ResponderEffect[] {
    const { suite, parameters } = this.#config
    const asked = this.#runs.get(run)
    if (asked === undefined) return this.#drop('unknown-run')
    this.#runs.delete(run)
    const { messageSize } = geometryOf(parameters().packetSize)
    if (content.length > bareCapacity(messageSize)) return this.#drop('answer-too-large')
    return asked.surbs.flatMap((surb): ResponderEffect[] => {
      const used = useSurb(suite, surb, encodeBare(messageSize, content, SEQUENCE))
      return used === null ? this.#drop('surb') : [{ do: 'send', ...used }]
    })
  }

  /** There are no words for it. */
  #failed (run: string, error: MixmintError): ResponderEffect[] {
    if (!this.#runs.delete(run)) return this.#drop('unknown-run')
    this.#config.meter.count('responder_refused', { code: error.code })
    return []
  }

  #drop (reason: string): ResponderEffect[] {
    this.#config.meter.count('responder_dropped', { reason })
    return []
  }
}
