/**
 * A directory authority (DESIGN §3): takes descriptors of the nodes that its operator admitted, agrees with the other
 * authorities on one document an epoch, and signs it. A saga engine; its driver runs `tick` and, for each other authority,
 * `pull`, when they asked for it; `tick` also after each publication, and after a pull that brought news.
 *
 *   register.ts     who is admitted, and what they published
 *   ballot.ts       votes and the agreement on one epoch, for as long as it has no valid document
 *   archive.ts      documents
 *   evidence.ts     proofs against authorities; colleagues.ts: how the others are
 *
 * One document an epoch: ours is inserted, durably, before anything shows it, and what the store holds is what is given
 * out; so a crash between signing and sending cannot lead to a second one.
 */
import { equal, toHex } from '@mixmint/core/kit/bytes'
import { encode } from '@mixmint/core/kit/codec'
import { MixmintError, isMixmintError } from '@mixmint/core/kit/errors'
import type { Log, Meter, Millis } from '@mixmint/core/kit/ports'
import { now as clock, type Saga } from '@mixmint/core/kit/saga'
import type { Ed25519KeyPair, Suite } from '@mixmint/core/crypto/suite'
import type { Choice } from './agreement.ts'
import { Archive } from './archive.ts'
import { Ballot, forgetBallots, storedBallots } from './ballot.ts'
import { Colleagues, type Colleague } from './colleagues.ts'
import { checkParameters, documentStatement, DOCUMENT_LIMIT, signDocument, trustAt, type Trust } from './document.ts'
import { epochAt, epochEnd, epochStart, lead, patience } from './epoch.ts'
import { Evidence } from './evidence.ts'
import { ask, takeUp, type AuthorityEffect } from './exchange.ts'
import { SignedDescriptor, type Parameters, type SignedDocument } from './formats.ts'
import type { CheckService } from './merge.ts'
import { Lack } from './lack.ts'
import { DESCRIPTORS_ASKED, refusal, type DirectoryReply, type DirectoryRequest, type ReplyOf } from './messages.ts'
import { Register, type Admission, type Listing } from './register.ts'
import { isSameVote, makeVote } from './vote.ts'

export interface AuthorityConfig {
  readonly key: Ed25519KeyPair
  /** The network, and the keys of all authorities, this one's among them. Out of its term it signs nothing, and hears. */
  readonly trust: Trust
  readonly parameters: Parameters
  readonly admitted: readonly Admission[]
  /** After a start, how long to wait for admitted nodes that have not published before a vote is cast without them, in ms. */
  readonly bootstrapWait: number
  /** Nothing is said of earlier epochs: of what may have been said of them the store knows nothing. */
  readonly signsFrom?: number
  readonly checkService?: CheckService
}

/** How an authority is, for its operator. */
export interface AuthorityStatus {
  /** The epoch of the newest valid document held, and how many signed it; -1: none. */
  readonly epoch: number
  readonly signatures: number
  /** The round of the agreement that is under way, or -1. */
  readonly round: number
  readonly clock: string
  /** Of what there is too little among the nodes that have published, so that no vote is cast; '' where there is enough. */
  readonly lacks: string
  readonly colleagues: readonly Colleague[]
}

/** Nobody plans the end of a silence for later, ms. */
const FARTHEST = 31 * 86_400_000
/** While something is waited for, look again after this many ms; and so soon after there was news. */
const RETRY = 1000
const SOON = 50

export class Authority {
  readonly #suite: Suite
  readonly #config: AuthorityConfig
  readonly #meter: Meter
  readonly #log: Log
  readonly #register: Register
  readonly #archive: Archive
  readonly #colleagues: Colleagues
  readonly evidence: Evidence
  /** By epoch. */
  readonly #ballots = new Map<number, Ballot>()
  #started: Millis = 0
  /** Since when the document of a ballot is valid, and which of the others have been asked since, in hexadecimal. */
  readonly #closing = new Map<number, { readonly since: Millis, readonly asked: Set<string> }>()
  /** Have the ballots of earlier runs been looked through? */
  #swept = false
  /** When something was last heard or said: then there will be more soon. */
  #stirred: Millis = 0
  #lastCast: Millis = 0
  readonly #lack: Lack

  /** @throws document-parameters (peer), authority-unknown, authority-admission (operator) */
  constructor (suite: Suite, config: AuthorityConfig, meter: Meter, log: Log) {
    const { trust, parameters, key } = config
    checkParameters(parameters)
    if (!trust.authorities.some(each => equal(each, key.publicKey))) {
      throw new MixmintError('authority-unknown', 'operator', 'this authority\'s key is not among the keys of the network\'s authorities')
    }
    this.#suite = suite
    this.#config = config
    this.#meter = meter
    this.#log = log
    this.#lack = new Lack(log)
    this.#register = new Register(suite, { ...config, network: trust.network })
    this.#archive = new Archive(suite, trust)
    this.#colleagues = new Colleagues(parameters, log, meter, (authority, now) => this.#isInOffice(epochAt(this.#parameters, now + lead(this.#parameters)), authority))
    this.evidence = new Evidence(suite, trust, meter)
  }

  /** The operator's list is another one from now on. @throws authority-admission (operator): then all is as before */
  admit (admitted: readonly Admission[]): void {
    this.#register.admit(admitted)
  }

  /** Load what the store holds. Once, before anything else. @throws signs-from (operator): an epoch so late is a slip */
  * open (): Saga<void, AuthorityEffect> {
    this.#started = this.#stirred = yield * clock()
    // What is raised stays raised.
    if (epochStart(this.#parameters, this.#config.signsFrom ?? 0) > this.#started + FARTHEST) {
      throw new MixmintError('signs-from', 'operator', `signsFrom names an epoch that begins in more than a month; now is epoch ${epochAt(this.#parameters, this.#started)}`)
    }
    yield * this.#register.open()
    yield * this.#archive.open()
    yield * this.#archive.raise((this.#config.signsFrom ?? 0) - 1)
    yield * this.evidence.open()
  }

  /** The other authorities. */
  get others (): Uint8Array[] {
    return this.#config.trust.authorities.filter(key => !equal(key, this.#config.key.publicKey))
  }

  get status (): AuthorityStatus {
    const newest = this.#archive.newestBefore(Infinity)
    return {
      epoch: newest?.signed.document.epoch ?? -1,
      signatures: newest?.signed.signatures.length ?? 0,
      round: Math.max(-1, ...[...this.#ballots.values()].filter(({ epoch }) => this.#archive.valid(epoch) === null).map(({ agreement }) => agreement.round)),
      clock: this.#colleagues.ourClock,
      lacks: this.#lack.what,
      colleagues: this.#colleagues.all
    }
  }

  /** Answer a request; never throws for what a peer sent. */
  * handle (request: DirectoryRequest): Saga<DirectoryReply, AuthorityEffect> {
    try {
      const time = yield * clock()
      switch (request.op) {
        case 'get': return { is: 'document', time, signed: this.#get(request.epoch, time) }
        case 'schedule': {
          const { epochLength, epochGrace, clockSkew } = this.#parameters
          return { is: 'schedule', time, epochLength, epochGrace, clockSkew }
        }
        case 'publish':
          yield * this.#register.publish(request.signed, time)
          this.#stirred = time
          return { is: 'published' }
        case 'agreement': return this.#show(request.epoch, time)
        case 'vote': {
          const found = this.#ballots.get(request.epoch)?.voteOf(request.authority, request.vote) ?? null
          if (found === null) throw unavailable('vote', request.epoch)
          return { is: 'vote', ...found }
        }
        case 'descriptors': return { is: 'descriptors', signed: fitting(request.hashes.flatMap(hash => this.#ballots.get(request.epoch)?.descriptor(hash) ?? [])) }
        case 'recall': return { is: 'descriptors', signed: fitting(this.#register.recall(request.kind, request.after)) }
      }
    } catch (error) {
      if (!isMixmintError(error)) throw error
      this.#meter.count('directory_refused', { code: error.code })
      return refusal(error)
    }
  }

  /**
   * Vote, take part in the agreement and sign, as far as it has come.
   * @returns when to call again at the latest; it may be called at any time, but one call after the other
   * @throws document-too-large (operator), ballot-stale (us)
   */
  * tick (): Saga<Millis, AuthorityEffect> {
    const now = yield * clock()
    let next = this.#nextLead(now)
    for (const epoch of this.#underway(now)) {
      try {
        next = Math.min(next, yield * this.#advance(epoch, now))
      } catch (error) {
        this.#ballots.delete(epoch) // what it holds may not be what is on disk
        throw error
      }
    }
    this.#close(now)
    yield * this.#forget(now)
    return Math.min(next, ...[...this.#closing.values()].map(({ since }) => since + lead(this.#parameters)).filter(at => at > now))
  }

  /**
   * Ask another authority what there is, and take it up. Pulls from different ones may run side by side.
   * @returns when to ask it again, and whether it had news
   */
  * pull (other: Uint8Array): Saga<{ readonly next: Millis, readonly news: boolean }, AuthorityEffect> {
    const asked = yield * clock()
    const underway = this.#underway(asked)
    const heard = [...underway, ...this.#unasked(other, asked)]
    // With nothing under way, too, once in a while: or one whose clock is behind, in epochs long done, would never hear of it.
    const epochs = heard.length > 0 ? heard : this.#colleagues.isAsked(other, asked, this.#parameters.epochLength / 4) ? [] : [epochAt(this.#parameters, asked)]
    let news = false
    for (const epoch of epochs) {
      const reply = yield * ask(other, { op: 'agreement', epoch }, 'agreement')
      const now = yield * clock()
      if (reply === null) {
        this.#colleagues.silent(other, asked)
        return { next: now + RETRY, news }
      }
      this.#colleagues.answered(other, reply, asked, now)
      if (heard.includes(epoch)) news = (yield * this.#hear(other, epoch, reply)) || news
      if (!underway.includes(epoch)) this.#closing.get(epoch)?.asked.add(toHex(other))
    }
    const now = yield * clock()
    if (news) this.#stirred = now
    return { next: this.#underway(now).length > 0 || this.#unasked(other, now).length > 0 ? now + this.#interval(now) : this.#nextLead(now), news }
  }

  /** Epochs of which there should be a document by now, and is none that is valid. */
  #underway (now: Millis): number[] {
    const epoch = epochAt(this.#parameters, now)
    return [epoch, epoch + 1].filter(each => each > this.#archive.floor && this.#isBegun(each, now) && this.#archive.valid(each) === null)
  }

  /**
   * Epochs whose document became valid since this one was asked. Until a ballot is forgotten each asks each once more: whoever said
   * one thing to some and another to others, shortly before the end, is found out by that.
   */
  #unasked (other: Uint8Array, now: Millis): number[] {
    this.#close(now)
    return [...this.#closing].filter(([epoch, { asked }]) => this.#isClosing(epoch, now) && !asked.has(toHex(other))).map(([epoch]) => epoch)
  }

  #close (now: Millis): void {
    if (this.others.length === 0) return
    for (const epoch of this.#ballots.keys()) {
      if (this.#archive.valid(epoch) !== null && !this.#closing.has(epoch)) this.#closing.set(epoch, { since: now, asked: new Set() })
    }
  }

  #isClosing (epoch: number, now: Millis): boolean {
    return now < (this.#closing.get(epoch)?.since ?? -Infinity) + lead(this.#parameters)
  }

  #nextLead (now: Millis): Millis {
    const next = epochStart(this.#parameters, epochAt(this.#parameters, now) + 1)
    return now < next - lead(this.#parameters) ? next - lead(this.#parameters) : next
  }

  /** Often after news, seldom in silence; but a few times within the patience of a round. */
  #interval (now: Millis): number {
    const most = Math.min(RETRY, Math.max(SOON, patience(this.#parameters) / 4))
    return Math.min(most, Math.max(SOON, (now - this.#stirred) / 4))
  }

  #isInOffice (epoch: number, authority = this.#config.key.publicKey): boolean {
    return trustAt(this.#config.trust, epoch).authorities.some(each => equal(each, authority))
  }

  #isBegun (epoch: number, now: Millis): boolean {
    return now >= epochStart(this.#parameters, epoch) - lead(this.#parameters)
  }

  * #ballot (epoch: number, now: Millis): Saga<Ballot, AuthorityEffect> {
    const known = this.#ballots.get(epoch)
    if (known !== undefined) return known
    const { trust, parameters, key, checkService } = this.#config
    const ballot = new Ballot(this.#suite, { network: trust.network, epoch, parameters, trust: trustAt(trust, epoch), key, ...(checkService === undefined ? {} : { checkService }) })
    yield * ballot.open(now, each => this.#archive.of(each))
    // Another may have opened it meanwhile.
    const first = this.#ballots.get(epoch) ?? ballot
    this.#ballots.set(epoch, first)
    return first
  }

  * #advance (epoch: number, now: Millis): Saga<Millis, AuthorityEffect> {
    const ballot = yield * this.#ballot(epoch, now)
    const { agreement } = ballot
    if (this.#archive.of(epoch) !== null) return now + RETRY // signed: the others' signatures are to come
    if (!this.#isInOffice(epoch)) return now + RETRY // heard from those who are
    yield * this.#vote(ballot, now)
    const isLiar = (authority: Uint8Array): boolean => this.evidence.convicts(authority, epoch)
    for (;;) {
      const say = agreement.next(now, () => ballot.candidate(now, isLiar))
      if (say === null) break
      yield * ballot.utter(say)
      this.#stirred = now
    }
    if (agreement.decision !== null) yield * this.#sign(ballot, agreement.decision.choice)
    if (this.#archive.valid(epoch) !== null) return Infinity
    const deadlines = [agreement.deadline ?? Infinity, ballot.cast === null ? Infinity : ballot.windowEnd].filter(at => at > now)
    return Math.min(now + RETRY, ...deadlines)
  }

  /** Cast our vote when it is due; and again, while the votes make no document and what we would list has changed. */
  * #vote (ballot: Ballot, now: Millis): Saga<void, AuthorityEffect> {
    const { cast, epoch } = ballot
    if (!ballot.mayVote || (cast !== null && (!ballot.isStuck(now) || now < this.#lastCast + RETRY))) return
    const listing = this.#register.listing(epoch)
    if (cast === null && !this.#isDue(listing, now)) return
    // By a wrong clock it would list other descriptors than are due, and in other epochs than there are.
    if (this.others.some(other => this.#isInOffice(epoch, other) && !this.#colleagues.knows(other)) || this.#colleagues.ourClock !== 'right') return
    if (!this.#lack.take(this.#register.lacking(listing), now)) {
      this.#meter.count('directory_unusable')
      return
    }
    const previous = this.#archive.newestBefore(epoch)
    const named = previous === null ? null : { epoch: previous.signed.document.epoch, document: previous.hash }
    const vote = makeVote(this.#suite, this.#parameters, named, listing)
    if (cast !== null && isSameVote(cast.vote, vote)) return
    yield * ballot.castVote(vote, listing.map(({ signed }) => signed), previous, now)
    this.#stirred = this.#lastCast = now
  }

  #isDue (listing: Listing, now: Millis): boolean {
    return this.#register.isComplete(listing) || now >= this.#started + this.#config.bootstrapWait
  }

  * #sign (ballot: Ballot, choice: Choice): Saga<void, AuthorityEffect> {
    const { key, trust: { network } } = this.#config
    const signed = signDocument(this.#suite, key, ballot.documentOf(choice))
    const before = ballot.witness({ statement: documentStatement(network, ballot.epoch, choice.document), authority: key.publicKey, signature: signed.signatures[0].signature })
    if (before !== null) {
      throw new MixmintError('authority-forgot', 'operator', 'this authority has signed another document of this epoch, which its store has lost: was its disk set back?')
    }
    yield * this.#archive.insert(signed)
    this.#log.info('the authorities agreed on a document', { epoch: ballot.epoch, round: ballot.agreement.round })
  }

  * #hear (other: Uint8Array, epoch: number, shown: ReplyOf<'agreement'>): Saga<boolean, AuthorityEffect> {
    const { trust, parameters, key } = this.#config
    const before = this.evidence.proofs.length
    const ballot = yield * this.#ballot(epoch, yield * clock())
    const news = yield * takeUp({
      suite: this.#suite, trust, parameters, meter: this.#meter, register: this.#register, archive: this.#archive, evidence: this.evidence, ballot, other
    }, shown)
    for (const { first: { authority, statement } } of this.evidence.proofs.slice(before)) {
      const who = equal(authority, key.publicKey) ? 'this authority itself' : `authority ${toHex(authority).slice(0, 8)}`
      this.#log.error(`${who} said two different things in one place; the proof is kept`, { code: 'authority-equivocation', epoch: statement.epoch, what: statement.what })
    }
    return news
  }

  #show (epoch: number, time: Millis): DirectoryReply {
    const [ballot, document] = [this.#ballots.get(epoch), this.#archive.of(epoch)]
    return {
      is: 'agreement',
      time,
      parameters: this.#parameters,
      statements: ballot?.statements() ?? [],
      proposals: ballot?.proposals() ?? [],
      lock: ballot?.agreement.lock ?? null,
      decision: ballot?.agreement.decision ?? null,
      document: document === null ? null : { hash: document.hash, signatures: document.signed.signatures },
      proofs: this.evidence.proofs.filter(({ first }) => first.statement.epoch === epoch)
    }
  }

  #get (epoch: number | null, now: Millis): SignedDocument {
    const wanted = epoch ?? epochAt(this.#parameters, now)
    const found = this.#archive.valid(wanted)
    if (found !== null) return found.signed
    // Until the new one is there, the one before serves out its grace.
    const last = epoch === null && now <= epochEnd(this.#parameters, wanted - 1) ? this.#archive.valid(wanted - 1) : null
    if (last === null) throw unavailable('document', wanted)
    return last.signed
  }

  /** Ballots that are over, and documents of long ago. What was signed and is forgotten must never be signed otherwise. */
  * #forget (now: Millis): Saga<void, AuthorityEffect> {
    const epoch = epochAt(this.#parameters, now)
    const isOver = (each: number): boolean => each < epoch || (this.#archive.valid(each) !== null && !this.#isClosing(each, now))
    if (this.#swept && ![...this.#ballots.keys()].some(isOver)) return
    const over = (yield * storedBallots()).filter(isOver)
    for (const each of over.filter(one => this.#archive.valid(one) === null)) yield * this.#archive.raise(each)
    yield * forgetBallots(over)
    for (const each of [...this.#ballots.keys(), ...this.#closing.keys()].filter(isOver)) {
      this.#ballots.delete(each)
      this.#closing.delete(each)
    }
    yield * this.#archive.prune()
    this.#swept = true
  }

  get #parameters (): Parameters {
    return this.#config.parameters
  }
}

/** As many as fit into a reply. */
function fitting (found: readonly SignedDescriptor[]): SignedDescriptor[] {
  let room = DOCUMENT_LIMIT
  const end = found.slice(0, DESCRIPTORS_ASKED).findIndex(signed => (room -= encode(SignedDescriptor, signed).length) < 0)
  return found.slice(0, end < 0 ? DESCRIPTORS_ASKED : end)
}

function unavailable (what: string, epoch: number): MixmintError {
  return new MixmintError(`${what}-unavailable`, 'peer', `there is no such ${what} of epoch ${epoch} here yet; ask again soon`, { retry: true })
}
