/**
 * How authorities agree on one document (DESIGN §3): single-shot Tendermint (Buchman, Kwon, Milosevic, "The latest gossip
 * on BFT consensus", 2018), once for each epoch; docs/decisions/0013-authorities-agree-by-rounds.md says why this one.
 *
 *   round r    leader    proposal: a quorum of votes and the document that they make; or what a quorum prevoted for before
 *              all       prevote for it, if it is right and we are not locked on another; for nothing, if it does not come
 *              all       precommit to what a quorum prevoted for, and be locked on it; to nothing, if there is no such
 *   a quorum of precommits for one document in one round decides: whoever sees it signs the document.
 *   else, after a time that grows with r, round r + 1 with the next leader
 *
 * While at most f of n lie, two documents cannot be decided: a quorum locked on the first does not prevote for another,
 * unless shown that a quorum did so in a later round than that of the lock.
 *
 * A pure engine over one epoch's statements, which the caller has verified; the caller makes each of ours durable before
 * anybody sees it. Statements of rounds long past are forgotten: what a lock rests on travels with proposals and states.
 */
import { compare, equal, toHex } from '@mixmint/core/kit/bytes'
import { bytes, encode, list, nullable, record, tagged, uint, type Of } from '@mixmint/core/kit/codec'
import type { Millis } from '@mixmint/core/kit/ports'
import type { Suite } from '@mixmint/core/crypto/suite'
import { tolerated, quorum } from './document.ts'
import { SignedStatement, type Statement } from './statement.ts'

const hash = bytes(32)

/** A document by what makes it: votes of a quorum of authorities. */
export const Choice = record({ document: hash, votes: list(record({ authority: bytes(32), vote: hash }), 64) })
export type Choice = Of<typeof Choice>
/** A quorum's signatures on one statement about the document of a choice: prevotes are a lock, precommits the decision. */
export const Certificate = record({ choice: Choice, round: uint(), signatures: list(record({ authority: bytes(32), signature: bytes(64) }), 64) })
export type Certificate = Of<typeof Certificate>
/** `lock`: the choice is one of an earlier round, and why it may be proposed again. */
export const Proposal = record({ choice: Choice, lock: nullable(Certificate) })
export type Proposal = Of<typeof Proposal>
export const SignedProposal = record({ signed: SignedStatement, proposal: Proposal })
export type SignedProposal = Of<typeof SignedProposal>

/** What must be remembered over a restart: our own word, and what we are locked on. */
export const AgreementState = record({ said: list(SignedStatement, 16), proposal: nullable(SignedProposal), lock: nullable(Certificate) })
export type AgreementState = Of<typeof AgreementState>

export function proposalHash (suite: Suite, proposal: Proposal): Uint8Array {
  return suite.sha256(tagged('directory-proposal', encode(Proposal, proposal)))
}

export interface AgreementRules {
  readonly epoch: number
  /** Public keys. */
  readonly self: Uint8Array
  readonly authorities: readonly Uint8Array[]
  /** How long to wait in round 0; in round r, r + 1 times as long. In ms. */
  readonly patience: Millis
}

/** What is to be said next. */
export type Say =
  | { readonly what: 'proposal', readonly round: number, readonly proposal: Proposal }
  | { readonly what: 'prevote' | 'precommit', readonly round: number, readonly value: Uint8Array }

type Kind = 'prevote' | 'precommit'
interface Heard extends SignedProposal { readonly right: boolean }

/** What was said in one round, by author in hexadecimal: what each said first, and what contradicts that. */
interface Round {
  readonly proposal: Map<string, Heard[]>
  readonly prevote: Map<string, SignedStatement[]>
  readonly precommit: Map<string, SignedStatement[]>
  began: Millis | null
  /** Since when a quorum has prevoted, or precommitted, for whatever it be. */
  readonly since: { prevote: Millis | null, precommit: Millis | null }
}

const NOTHING = new Uint8Array(0)
/** A liar may say more in one place; two convict it, and one of two halves of the others hears either. */
const HEARD = 2

export class Agreement {
  readonly #rules: AgreementRules
  readonly #rounds = new Map<number, Round>()
  /** Choices that are known to be right, by document. */
  readonly #right = new Map<string, Choice>()
  #round = 0
  /** Our last precommit for a document: we are locked on it. */
  #locked: SignedStatement | null = null
  #lock: Certificate | null = null
  #decision: Certificate | null = null
  #deadline: Millis | null = null

  /** @param state what `state` gave before a restart; the choice of its lock is taken as right */
  constructor (rules: AgreementRules, state?: AgreementState) {
    this.#rules = { ...rules, authorities: rules.authorities.toSorted(compare) }
    if (state === undefined) return
    const { said, proposal, lock } = state
    this.#round = Math.max(0, ...[...said, ...proposal === null ? [] : [proposal.signed]].map(({ statement }) => statement.round))
    if (lock !== null) this.adopt(lock)
    for (const signed of said) this.hear(signed)
    if (proposal !== null) this.hearProposal(proposal, true)
  }

  get round (): number {
    return this.#round
  }

  /** Null until there is a decision; it is final. To be passed on. */
  get decision (): Certificate | null {
    return this.#decision
  }

  /** When `next` may have more to say though nothing is heard; as of the last time it was asked. */
  get deadline (): Millis | null {
    return this.#deadline
  }

  /** A choice for which a quorum once prevoted, to be passed on. */
  get lock (): Certificate | null {
    return this.#lock
  }

  leader (round: number): Uint8Array {
    const { authorities, epoch } = this.#rules
    return authorities[(epoch + round) % authorities.length]
  }

  /** Would this statement be kept, if it is signed? Then its signature is worth verifying. */
  wants ({ statement: { what, round, value }, authority }: SignedStatement): boolean {
    if (what === 'vote' || what === 'document') return false
    if (what === 'proposal' && !equal(authority, this.leader(round))) return false
    if (round < this.#round - 1 || (round > this.#round && round < this.#highest(authority))) return false
    const said = this.#said(round, what, authority)
    // The same in another signature would count twice.
    return said.length < HEARD && !said.some(other => equal(other.statement.value, value))
  }

  /** A prevote or precommit that is signed. @returns what it contradicts, if anything */
  hear (signed: SignedStatement): SignedStatement | null {
    const { statement: { what, round, value }, authority } = signed
    if (what !== 'prevote' && what !== 'precommit') return null
    const mine = equal(authority, this.#rules.self)
    if (mine && what === 'precommit' && value.length > 0 && round >= (this.#locked?.statement.round ?? 0)) this.#locked = signed
    if (!this.wants(signed)) return null
    const [earlier] = this.#said(round, what, authority)
    this.#put(this.#at(round, authority)[what], authority, signed)
    return earlier ?? null
  }

  /**
   * A proposal that is signed.
   * @param right do its votes make its document, and may that be the epoch's? Is its lock signed by a quorum?
   * @returns what it contradicts, if anything
   */
  hearProposal (heard: SignedProposal, right: boolean): SignedStatement | null {
    const { signed, proposal: { choice } } = heard
    if (!this.wants(signed)) return null
    const [earlier] = this.#said(signed.statement.round, 'proposal', signed.authority)
    this.#put(this.#at(signed.statement.round, signed.authority).proposal, signed.authority, { ...heard, right })
    if (right) this.#right.set(toHex(choice.document), choice)
    return earlier ?? null
  }

  /** Take over what others are locked on: signed by a quorum, and its choice is right. */
  adopt (lock: Certificate): void {
    if (lock.round > this.#round || (this.#lock !== null && lock.round <= this.#lock.round)) return
    this.#right.set(toHex(lock.choice.document), lock.choice)
    this.#lock = lock
  }

  /** Take over the decision: signed by a quorum, and its choice is right. Whoever has decided says nothing more. */
  conclude (decision: Certificate): void {
    this.#decision ??= decision
  }

  /**
   * What to say now; null: nothing. Ask again after each, once it was heard and is durable.
   * @param candidate what to propose when nothing is locked; null while there are too few votes. Round 0 begins with it.
   */
  next (now: Millis, candidate: () => Choice | null): Say | null {
    this.#deadline = null
    this.#follow()
    for (;;) {
      this.#tally()
      if (this.#decision !== null) return null
      const [r, round] = [this.#round, this.#open(this.#round)]
      if (round.began === null && (r > 0 || this.#hasSpoken(r) || candidate() !== null)) round.began = now
      const say = this.#propose(r, candidate) ?? this.#prevote(r, now) ?? this.#precommit(r, now)
      if (say !== null) return say
      if (!this.#overdue(round.since, 'precommit', r, now)) return null
      this.#enter(r + 1)
    }
  }

  /** To be stored before anything that we said since is shown. */
  state (): AgreementState {
    const own = (what: Kind | 'proposal', round: number): SignedStatement[] => this.#said(round, what, this.#rules.self).slice(0, 1)
    const said = [this.#round - 1, this.#round].flatMap(round => [...own('prevote', round), ...own('precommit', round)])
    if (this.#locked !== null && this.#locked.statement.round < this.#round - 1) said.unshift(this.#locked)
    const proposal = [this.#round, this.#round - 1].flatMap(round => this.#rounds.get(round)?.proposal.get(toHex(this.#rules.self)) ?? [])[0] ?? null
    return { said, proposal: proposal === null ? null : { signed: proposal.signed, proposal: proposal.proposal }, lock: this.#lock }
  }

  /** All that is held, to be passed on. */
  statements (): SignedStatement[] {
    return [...this.#rounds.values()].flatMap(({ prevote, precommit }) => [...prevote.values(), ...precommit.values()].flat())
  }

  proposals (): SignedProposal[] {
    return [...this.#rounds.values()].flatMap(({ proposal }) => [...proposal.values()].flat()).map(({ signed, proposal }) => ({ signed, proposal }))
  }

  /** To the highest round that one of the honest has come to. */
  #follow (): void {
    const { authorities, self } = this.#rules
    const others = authorities.filter(authority => !equal(authority, self)).map(authority => this.#highest(authority)).sort((a, b) => b - a)
    const reached = others[tolerated(authorities.length)] ?? 0
    if (reached > this.#round) this.#enter(reached)
  }

  #tally (): void {
    for (const [r, round] of this.#rounds) {
      const certified = (said: Round[Kind], take: (certificate: Certificate) => void): void => {
        const winner = this.#winner(said)
        if (winner === null || winner.choice === null) return
        take({ choice: winner.choice, round: r, signatures: winner.by.map(({ authority, signature }) => ({ authority, signature })) })
      }
      certified(round.precommit, decision => { this.conclude(decision) })
      certified(round.prevote, lock => { this.adopt(lock) })
    }
  }

  #propose (r: number, candidate: () => Choice | null): Say | null {
    const { self } = this.#rules
    if (!equal(this.leader(r), self) || this.#said(r, 'proposal', self).length > 0) return null
    const choice = this.#lock?.choice ?? candidate()
    return choice === null ? null : { what: 'proposal', round: r, proposal: { choice, lock: this.#lock } }
  }

  #prevote (r: number, now: Millis): Say | null {
    if (this.#said(r, 'prevote', this.#rules.self).length > 0) return null
    const [heard] = this.#open(r).proposal.get(toHex(this.leader(r))) ?? []
    if (heard === undefined) return this.#expired(this.#open(r).began, r, now) ? { what: 'prevote', round: r, value: NOTHING } : null
    const { proposal: { choice, lock }, right } = heard
    const free = this.#locked === null || equal(this.#locked.statement.value, choice.document) ||
      (lock !== null && lock.round >= this.#locked.statement.round && lock.round < r)
    return { what: 'prevote', round: r, value: right && free ? choice.document : NOTHING }
  }

  #precommit (r: number, now: Millis): Say | null {
    const { self } = this.#rules
    if (this.#said(r, 'prevote', self).length === 0 || this.#said(r, 'precommit', self).length > 0) return null
    const round = this.#open(r)
    const winner = this.#winner(round.prevote)
    if (winner !== null && winner.choice !== null) return { what: 'precommit', round: r, value: winner.choice.document }
    if (winner?.value.length === 0 || this.#overdue(round.since, 'prevote', r, now)) return { what: 'precommit', round: r, value: NOTHING }
    return null
  }

  /** The value that a quorum stated, by whom, and the choice behind it: null if it is nothing, or is not known to be right. */
  #winner (said: Round[Kind]): { value: Uint8Array, by: SignedStatement[], choice: Choice | null } | null {
    const byValue = new Map<string, SignedStatement[]>()
    for (const signed of [...said.values()].flat()) {
      const value = toHex(signed.statement.value)
      byValue.set(value, [...byValue.get(value) ?? [], signed])
    }
    const by = [...byValue.values()].find(({ length }) => length >= quorum(this.#rules.authorities.length))
    if (by === undefined) return null
    const [{ statement: { value } }] = by
    return { value, by, choice: this.#right.get(toHex(value)) ?? null }
  }

  /** Has a quorum of authorities spoken in this round, and was waited for others long enough? */
  #overdue (since: Round['since'], what: Kind, r: number, now: Millis): boolean {
    if (this.#open(r)[what].size < quorum(this.#rules.authorities.length)) return false
    since[what] ??= now
    return this.#expired(since[what], r, now)
  }

  #expired (since: Millis | null, r: number, now: Millis): boolean {
    if (since === null) return false
    const at = since + this.#rules.patience * (r + 1)
    if (now >= at) return true
    this.#deadline = Math.min(this.#deadline ?? at, at)
    return false
  }

  #enter (round: number): void {
    this.#round = round
    for (const past of [...this.#rounds.keys()].filter(each => each < round - 1)) this.#rounds.delete(past)
  }

  #hasSpoken (r: number): boolean {
    return (['proposal', 'prevote', 'precommit'] as const).some(what => this.#said(r, what, this.#rules.self).length > 0)
  }

  #said (round: number, what: Statement['what'], authority: Uint8Array): SignedStatement[] {
    const [at, name] = [this.#rounds.get(round), toHex(authority)]
    if (what === 'proposal') return at?.proposal.get(name)?.map(({ signed }) => signed) ?? []
    return what === 'prevote' || what === 'precommit' ? at?.[what].get(name) ?? [] : []
  }

  /** The highest round of which something by this authority is held. */
  #highest (authority: Uint8Array): number {
    const name = toHex(authority)
    return Math.max(-1, ...[...this.#rounds].filter(([, { proposal, prevote, precommit }]) => proposal.has(name) || prevote.has(name) || precommit.has(name)).map(([r]) => r))
  }

  /** A round to hold something by this authority: of the rounds ahead of ours one for each is enough. */
  #at (round: number, authority: Uint8Array): Round {
    if (round > this.#round) {
      for (const [r, held] of this.#rounds) {
        if (r <= this.#round || r >= round) continue
        const said = [held.proposal, held.prevote, held.precommit]
        for (const each of said) each.delete(toHex(authority))
        if (said.every(({ size }) => size === 0)) this.#rounds.delete(r)
      }
    }
    return this.#open(round)
  }

  #open (round: number): Round {
    const known = this.#rounds.get(round)
    if (known !== undefined) return known
    const fresh: Round = { proposal: new Map(), prevote: new Map(), precommit: new Map(), began: null, since: { prevote: null, precommit: null } }
    this.#rounds.set(round, fresh)
    return fresh
  }

  #put<T> (said: Map<string, T[]>, authority: Uint8Array, what: T): void {
    said.set(toHex(authority), [...said.get(toHex(authority)) ?? [], what])
  }
}
