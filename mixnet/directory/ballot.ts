/**
 * What one authority holds of the ballot on one epoch's document: votes with the descriptors that they list, and the
 * agreement (agreement.ts). Whatever it says itself is on disk before it is shown. A saga engine, part of authority.ts.
 *
 *   store   directory/ballot/<u64 epoch>/v<authority 32><u32 revision>          our votes
 *           directory/ballot/<u64 epoch>/v<authority 32><u32 revision><hash>    votes of others
 *           directory/ballot/<u64 epoch>/d<hash>                                descriptors that votes list
 *           directory/ballot/<u64 epoch>/s                                      what we said in the agreement
 */
import { compare, concat, equal, toHex, u32, u64, utf8 } from '@mixmint/core/kit/bytes'
import { decode, encode, record, type Of } from '@mixmint/core/kit/codec'
import { isMixmintError, MixmintError } from '@mixmint/core/kit/errors'
import type { Millis, Op } from '@mixmint/core/kit/ports'
import { batch, scanAll, type Saga } from '@mixmint/core/kit/saga'
import type { Ed25519KeyPair, Suite } from '@mixmint/core/crypto/suite'
import { Agreement, AgreementState, proposalHash, type Certificate, type Choice, type Proposal, type Say, type SignedProposal } from './agreement.ts'
import { DOCUMENT_LIMIT, documentHash, quorum, type Trust } from './document.ts'
import { patience, votingWindow } from './epoch.ts'
import { Document, SignedDescriptor } from './formats.ts'
import { isUsable, mergeVotes, type MergeRules } from './merge.ts'
import { contradict, isSigned, SignedStatement, signStatement, type Statement } from './statement.ts'
import { descriptorHash, holdVote, REVISIONS, Vote, type HeldVote, type NamedDocument } from './vote.ts'

export interface BallotRules extends MergeRules {
  readonly key: Ed25519KeyPair
  readonly trust: Trust
}

/** A vote as it is stored and sent. */
export const SignedVote = record({ signed: SignedStatement, vote: Vote })
export type SignedVote = Of<typeof SignedVote>
interface CountedVote { readonly signed: SignedStatement, readonly held: HeldVote }

const BALLOTS = utf8('directory/ballot/')
const [VOTES, DESCRIPTORS, STATE] = ['/v', '/d', '/s'].map(utf8)
/** Votes of one authority that are kept: its revisions, and others that proposals name. */
const VOTES_KEPT = 4 * REVISIONS

/** The epochs of which something is stored. */
export function * storedBallots (): Saga<number[]> {
  const found: number[] = []
  for (const { key } of yield * scanAll(BALLOTS)) {
    const epoch = Number(new DataView(key.buffer, key.byteOffset + BALLOTS.length).getBigUint64(0))
    if (!found.includes(epoch)) found.push(epoch)
  }
  return found
}

/** Everything of the ballots on these epochs goes. */
export function * forgetBallots (epochs: readonly number[]): Saga<void> {
  for (const epoch of epochs) {
    const entries = yield * scanAll(concat(BALLOTS, u64(epoch)))
    yield * batch(entries.map(({ key }) => ({ op: 'delete', key })))
  }
}

export class Ballot {
  readonly #suite: Suite
  readonly #rules: BallotRules
  readonly #folder: Uint8Array
  #agreement: Agreement
  readonly #votes: CountedVote[] = []
  /** By hash in hexadecimal. */
  readonly #descriptors = new Map<string, SignedDescriptor>()
  readonly #listable = new Map<string, boolean>()
  /** What votes make, by their hashes; null where that cannot be a document. */
  readonly #merged = new Map<string, { readonly document: Document, readonly hash: Uint8Array } | null>()
  /** The first signature on a document by each authority, in hexadecimal. */
  readonly #signatures = new Map<string, SignedStatement>()
  /** The state as it is stored, and our statements in it, by signature in hexadecimal: only they are shown. */
  #stored: Uint8Array | null = null
  #shown: ReadonlySet<string> = new Set()
  /** Of our newest vote, when the first was cast. */
  #revision = -1
  #castAt: Millis = 0

  constructor (suite: Suite, rules: BallotRules) {
    this.#suite = suite
    this.#rules = rules
    this.#folder = concat(BALLOTS, u64(rules.epoch))
    this.#agreement = this.#begin()
  }

  /** Load what the store holds. Once, before anything else. @param previous the document of an epoch, if it is at hand */
  * open (now: Millis, previous: (epoch: number) => NamedDocument | null): Saga<void> {
    this.#castAt = now
    for (const { value } of yield * scanAll(concat(this.#folder, DESCRIPTORS))) this.#learn(decode(SignedDescriptor, value))
    for (const { value } of yield * scanAll(concat(this.#folder, VOTES))) {
      const { signed, vote } = decode(SignedVote, value)
      if (equal(signed.authority, this.#rules.key.publicKey)) this.#revision = Math.max(this.#revision, signed.statement.round)
      try {
        this.#votes.push({ signed, held: holdVote(this.#suite, this.epoch, vote, this.#descriptors, vote.previous === null ? null : previous(vote.previous.epoch)) })
      } catch (error) {
        if (!isMixmintError(error, 'vote-previous')) throw error // that document is forgotten: votes of others are fetched anew, ours is revised
      }
    }
    const [state] = yield * scanAll(concat(this.#folder, STATE))
    if (state !== undefined) this.#restore(state.value)
  }

  get epoch (): number {
    return this.#rules.epoch
  }

  get agreement (): Agreement {
    return this.#agreement
  }

  /** Our newest vote. */
  get cast (): SignedVote | null {
    const own = this.#newest(this.#rules.key.publicKey)
    return own === undefined ? null : { signed: own.signed, vote: own.held.vote }
  }

  /** Our vote, or its next revision. @throws ballot-stale (us): somebody else writes to this store; open it again */
  * castVote (vote: Vote, listed: readonly SignedDescriptor[], previous: NamedDocument | null, now: Millis): Saga<void> {
    const revision = this.#revision + 1
    for (const signed of listed) this.#learn(signed)
    const held = holdVote(this.#suite, this.epoch, vote, this.#descriptors, previous)
    const signed = this.#sign('vote', revision, held.hash)
    const key = concat(this.#folder, VOTES, signed.authority, u32(revision))
    const result = yield * batch([...this.#descriptorOps(held), { op: 'insert', key, value: encode(SignedVote, { signed, vote }) }])
    if (!result.done) throw stale()
    if (revision === 0) this.#castAt = now
    this.#revision = revision
    this.#votes.push({ signed, held })
  }

  get mayVote (): boolean {
    return this.#revision + 1 < REVISIONS
  }

  /** Are the votes of a quorum in, and make no document? Then we may vote once more. */
  isStuck (now: Millis): boolean {
    const { authorities } = this.#rules.trust
    const votes = authorities.flatMap(authority => this.#newest(authority) ?? [])
    return now >= this.windowEnd && votes.length >= quorum(authorities.length) && this.#merge(votes) === null &&
      this.#agreement.statements().length === 0
  }

  /** A vote by this authority of which we know nothing newer. What it contradicts is another question. */
  wantsVote ({ statement: { what, round }, authority }: SignedStatement): boolean {
    return what === 'vote' && round < REVISIONS && round > (this.#newest(authority)?.signed.statement.round ?? -1)
  }

  /** A vote of the same authority and revision as this one, with another value. */
  contradicting ({ statement, authority }: SignedStatement): SignedStatement | null {
    return this.#votes.find(({ signed }) => equal(signed.authority, authority) && signed.statement.round === statement.round &&
      !equal(signed.statement.value, statement.value))?.signed ?? null
  }

  voteOf (authority: Uint8Array, hash: Uint8Array): SignedVote | null {
    const found = this.#find(authority, hash)
    return found === undefined ? null : { signed: found.signed, vote: found.held.vote }
  }

  descriptor (hash: Uint8Array): SignedDescriptor | null {
    return this.#descriptors.get(toHex(hash)) ?? null
  }

  /**
   * Keep another's vote, which is signed, with the descriptors that came for it.
   * @throws those of holdVote; vote-surplus (peer)
   */
  * keepVote ({ signed, vote }: SignedVote, descriptors: readonly SignedDescriptor[], previous: NamedDocument | null): Saga<HeldVote> {
    const byHash = new Map([...this.#descriptors, ...descriptors.map(each => [toHex(descriptorHash(this.#suite, each)), each] as const)])
    const held = holdVote(this.#suite, this.epoch, vote, byHash, previous)
    if (this.#votes.filter(other => equal(other.signed.authority, signed.authority)).length >= VOTES_KEPT) {
      throw new MixmintError('vote-surplus', 'peer', 'this authority has made too many votes already')
    }
    const key = concat(this.#folder, VOTES, signed.authority, u32(signed.statement.round), held.hash)
    const ops = this.#descriptorOps(held)
    for (const node of held.nodes) this.#learn(node.signed)
    yield * batch([...ops, { op: 'put', key, value: encode(SignedVote, { signed, vote }) }])
    // Our own, which our disk has forgotten.
    if (equal(signed.authority, this.#rules.key.publicKey)) this.#revision = Math.max(this.#revision, signed.statement.round)
    if (this.#find(signed.authority, held.hash) === undefined) this.#votes.push({ signed, held })
    return held
  }

  /**
   * What we would propose: all votes of those who have not contradicted themselves, once all are in, or a quorum is and we
   * have waited for the others. Null while they make no document.
   */
  candidate (now: Millis, isLiar: (authority: Uint8Array) => boolean): Choice | null {
    const { authorities } = this.#rules.trust
    const honest = authorities.filter(authority => !isLiar(authority))
    const votes = honest.flatMap(authority => this.#newest(authority) ?? [])
    if (votes.length < quorum(authorities.length) || this.cast === null) return null
    if (votes.length < honest.length && now < this.#castAt + votingWindow(this.#rules.parameters)) return null
    const merged = this.#merge(votes)
    return merged === null
      ? null
      : { document: merged.hash, votes: votes.map(({ signed, held }) => ({ authority: signed.authority, vote: held.hash })).sort((a, b) => compare(a.authority, b.authority)) }
  }

  /** When `candidate` stops waiting for votes. */
  get windowEnd (): Millis {
    return this.#castAt + votingWindow(this.#rules.parameters)
  }

  /** Votes that this choice names and that are not at hand. */
  missing ({ votes }: Choice): Choice['votes'] {
    return votes.filter(({ authority, vote }) => this.#find(authority, vote) === undefined)
  }

  /** Do votes of a quorum make this document, and can it be the epoch's? All of them are at hand. */
  isRight (choice: Choice): boolean {
    const { authorities } = this.#rules.trust
    const voters = authorities.filter(authority => choice.votes.some(each => equal(each.authority, authority)))
    if (voters.length < quorum(authorities.length) || voters.length !== choice.votes.length || this.missing(choice).length > 0) return false
    const merged = this.#mergeOf(choice)
    return merged !== null && equal(merged.hash, choice.document)
  }

  /** The document of a choice that is right. */
  documentOf (choice: Choice): Document {
    const merged = this.#mergeOf(choice)
    if (merged === null) throw new MixmintError('internal', 'us', 'a choice that makes no document cannot be right')
    return merged.document
  }

  /** Is it right, and is what it may be locked on in order? */
  isRightProposal ({ choice, lock }: Proposal, round: number): boolean {
    const free = lock === null || (lock.round < round && equal(lock.choice.document, choice.document) && this.isCertified(lock, 'prevote'))
    return free && this.isRight(choice)
  }

  /** Did a quorum say this? */
  isCertified ({ choice, round, signatures }: Certificate, what: 'prevote' | 'precommit'): boolean {
    const { authorities, network } = this.#rules.trust
    const statement: Statement = { network, epoch: this.epoch, what, round, value: choice.document }
    const by = authorities.filter(authority => signatures.some(entry => equal(entry.authority, authority) && isSigned(this.#suite, { statement, ...entry })))
    return by.length >= quorum(authorities.length)
  }

  /** Say this: sign it, hear it ourselves, make it durable, and from then on show it. @throws ballot-stale, as castVote */
  * utter (say: Say): Saga<void> {
    if (say.what === 'proposal') {
      const signed = this.#sign('proposal', say.round, proposalHash(this.#suite, say.proposal))
      this.#agreement.hearProposal({ signed, proposal: say.proposal }, true)
    } else {
      this.#agreement.hear(this.#sign(say.what, say.round, say.value))
    }
    const state = this.#agreement.state()
    const value = encode(AgreementState, state)
    const result = yield * batch([{ op: 'swap', key: concat(this.#folder, STATE), was: this.#stored, value }])
    if (!result.done) throw stale()
    this.#stored = value
    this.#show(state)
  }

  /** Has this authority not been heard to sign this document? Then it is worth verifying. */
  wantsSignature ({ authority, statement }: SignedStatement): boolean {
    const first = this.#signatures.get(toHex(authority))
    return first === undefined || !equal(first.statement.value, statement.value)
  }

  /** A signature on a document. @returns the first that this authority made, if it was for another one */
  witness (signed: SignedStatement): SignedStatement | null {
    const name = toHex(signed.authority)
    const first = this.#signatures.get(name) ?? signed
    this.#signatures.set(name, first)
    return contradict(first, signed) ? first : null
  }

  /**
   * Everything to be passed on but proposals: the newest vote of each authority, what was said in the agreement, and of others also
   * their first signature on a document. Ours is shown when it is in the archive.
   */
  statements (): SignedStatement[] {
    const votes = this.#rules.trust.authorities.flatMap(authority => this.#newest(authority)?.signed ?? [])
    const signatures = [...this.#signatures.values()].filter(({ authority }) => !equal(authority, this.#rules.key.publicKey))
    return [...votes, ...signatures, ...this.#agreement.statements().filter(signed => this.#isShown(signed))]
  }

  proposals (): SignedProposal[] {
    return this.#agreement.proposals().filter(({ signed }) => this.#isShown(signed))
  }

  #begin (state?: AgreementState): Agreement {
    const { epoch, key, trust, parameters } = this.#rules
    return new Agreement({ epoch, self: key.publicKey, authorities: trust.authorities, patience: patience(parameters) }, state)
  }

  #restore (value: Uint8Array): void {
    const state = decode(AgreementState, value)
    this.#agreement = this.#begin(state)
    this.#stored = value
    this.#show(state)
  }

  #show ({ said, proposal }: AgreementState): void {
    this.#shown = new Set([...said, ...proposal === null ? [] : [proposal.signed]].map(({ signature }) => toHex(signature)))
  }

  #isShown ({ authority, signature }: SignedStatement): boolean {
    return !equal(authority, this.#rules.key.publicKey) || this.#shown.has(toHex(signature))
  }

  #sign (what: Statement['what'], round: number, value: Uint8Array): SignedStatement {
    const { key, trust: { network } } = this.#rules
    return signStatement(this.#suite, key, { network, epoch: this.epoch, what, round, value })
  }

  /** Of two of one revision the one that came first. */
  #newest (authority: Uint8Array): CountedVote | undefined {
    return this.#votes.filter(({ signed }) => equal(signed.authority, authority))
      .reduce<CountedVote | undefined>((best, vote) => best === undefined || vote.signed.statement.round > best.signed.statement.round ? vote : best, undefined)
  }

  #find (authority: Uint8Array, hash: Uint8Array): CountedVote | undefined {
    return this.#votes.find(({ signed, held }) => equal(signed.authority, authority) && equal(held.hash, hash))
  }

  #mergeOf ({ votes }: Choice): { readonly document: Document, readonly hash: Uint8Array } | null {
    return this.#merge(votes.flatMap(({ authority, vote }) => this.#find(authority, vote) ?? []))
  }

  #merge (votes: readonly CountedVote[]): { readonly document: Document, readonly hash: Uint8Array } | null {
    const name = votes.map(({ held }) => toHex(held.hash)).sort().join(' ')
    const known = this.#merged.get(name)
    if (known !== undefined) return known
    const document = mergeVotes(this.#suite, this.#rules, votes.map(({ held }) => held), this.#listable)
    // Signatures of all are to fit in as well.
    const fits = encode(Document, document).length + this.#rules.trust.authorities.length * 128 <= DOCUMENT_LIMIT
    const merged = fits && isUsable(document) ? { document, hash: documentHash(this.#suite, document) } : null
    this.#merged.set(name, merged)
    return merged
  }

  #learn (signed: SignedDescriptor): void {
    this.#descriptors.set(toHex(descriptorHash(this.#suite, signed)), signed)
  }

  #descriptorOps (held: HeldVote): Op[] {
    return held.nodes.map(({ hash, signed }) => ({ op: 'put', key: concat(this.#folder, DESCRIPTORS, hash), value: encode(SignedDescriptor, signed) }))
  }
}

function stale (): MixmintError {
  return new MixmintError('ballot-stale', 'us', 'what this authority said is not what its store holds: another process writes to it', { retry: true })
}
