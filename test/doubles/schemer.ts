/**
 * A directory authority with one scheme, which it keeps to: an engine that is right by itself, whose answers are bent for
 * some of those who ask (`half`), or for all.
 */
import { toHex } from '@mixmint/core/kit/bytes'
import { isMixmintError } from '@mixmint/core/kit/errors'
import { proposalHash, type SignedProposal } from '@mixmint/mixnet/directory/agreement'
import { documentStatement } from '@mixmint/mixnet/directory/document'
import type { DirectoryReply, DirectoryRequest, ReplyOf } from '@mixmint/mixnet/directory/messages'
import { signStatement, type SignedStatement, type Statement } from '@mixmint/mixnet/directory/statement'
import type { Council } from './council.ts'

export const SCHEMES = [
  'votes otherwise to some', 'proposes otherwise to some', 'prevotes otherwise to some', 'precommits otherwise to some', 'signs other documents',
  'shows votes of older epochs', 'lists nodes of its own', 'leaves a node out', 'votes to some only', 'gives descriptors to some only'
] as const
export type Scheme = typeof SCHEMES[number]

/** Those of which two statements convict. */
export const CONTRADICTIONS: readonly Scheme[] = SCHEMES.slice(0, 5)

export class Schemer {
  readonly #council: Council
  readonly #index: number
  readonly #scheme: Scheme
  /** Its votes and statements of earlier epochs. */
  readonly #old: SignedStatement[] = []
  /** What it said of itself, by place. */
  readonly #told = new Map<string, Set<string>>()
  #oldVote: ReplyOf<'vote'> | null = null

  /** @param index a seat whose engine is configured, and told of nodes, as the scheme wants it */
  constructor (council: Council, index: number, scheme: Scheme) {
    this.#council = council
    this.#index = index
    this.#scheme = scheme
    council.liars.set(this.#name, async (asker, request) => await this.#answer(asker, request))
  }

  /** It hears one and speaks, as the honest do. */
  async act (): Promise<void> {
    for (const i of this.#council.honest) await this.#council.pull(this.#index, i)
    try {
      await this.#council.tick(this.#index)
    } catch (error) {
      if (!isMixmintError(error, 'authority-forgot')) throw error // it has heard of what it signed besides
    }
  }

  /** Has it told the honest two things of one place in this epoch? */
  isContradictory (epoch: number): boolean {
    return [...this.#told].some(([place, values]) => place.startsWith(`${epoch} `) && values.size > 1)
  }

  get #name (): string {
    return toHex(this.#council.keys[this.#index].publicKey)
  }

  /** Is this one of those who are told something else? */
  #half (asker: Uint8Array): boolean {
    return this.#council.keys.filter((_, i) => i !== this.#index).findIndex(({ publicKey }) => toHex(publicKey) === toHex(asker)) % 2 === 1
  }

  async #answer (asker: Uint8Array, request: DirectoryRequest): Promise<DirectoryReply | null> {
    const reply = await this.#council.run(this.#index, this.#council.seats[this.#index].authority.handle(request))
    const isTold = this.#half(asker)
    switch (this.#scheme) {
      case 'votes to some only': if (isTold && (reply.is === 'vote' || reply.is === 'descriptors')) return null; break
      case 'gives descriptors to some only': if (isTold && reply.is === 'descriptors') return null; break
      case 'shows votes of older epochs': if (reply.is === 'vote' && toHex(reply.signed.authority) === this.#name) {
        const old = this.#oldVote
        this.#oldVote ??= reply
        return old ?? reply
      }
    }
    if (reply.is !== 'agreement' || request.op !== 'agreement') return reply
    const bent = this.#bend(reply, request.epoch, isTold)
    const own = [...bent.statements, ...bent.proposals.map(({ signed }) => signed)].filter(({ authority }) => toHex(authority) === this.#name)
    for (const { statement: { epoch, what, round, value } } of own) this.#note(`${epoch} ${what} ${round}`, value)
    if (bent.document?.signatures.some(({ authority }) => toHex(authority) === this.#name) === true) this.#note(`${request.epoch} document`, bent.document.hash)
    return bent
  }

  #note (place: string, value: Uint8Array): void {
    this.#told.set(place, (this.#told.get(place) ?? new Set()).add(toHex(value)))
  }

  #bend (reply: ReplyOf<'agreement'>, epoch: number, isTold: boolean): ReplyOf<'agreement'> {
    const own = reply.statements.filter(({ authority }) => toHex(authority) === this.#name)
    const others = reply.statements.filter(({ authority }) => toHex(authority) !== this.#name)
    const otherwise = (what: Statement['what'], value: Uint8Array): ReplyOf<'agreement'> => ({
      ...reply, statements: [...others, ...own.map(signed => signed.statement.what === what ? this.#sign({ ...signed.statement, value }) : signed)]
    })
    const other = new Uint8Array(32).fill(9)
    switch (this.#scheme) {
      case 'prevotes otherwise to some': return isTold ? otherwise('prevote', other) : reply
      case 'precommits otherwise to some': return isTold ? otherwise('precommit', other) : reply
      case 'proposes otherwise to some': return isTold ? { ...reply, proposals: reply.proposals.map(proposal => this.#reproposed(proposal)), decision: null } : reply
      case 'signs other documents': {
        const hash = new Uint8Array(32).fill(isTold ? 9 : 8)
        const { authority, signature } = this.#sign(documentStatement(this.#council.trust.network, epoch, hash))
        return { ...reply, document: { hash, signatures: [{ authority, signature }] } }
      }
      case 'votes to some only': return isTold ? { ...reply, statements: reply.statements.filter(({ statement: { what } }) => what !== 'vote'), proposals: [] } : reply
      case 'shows votes of older epochs': {
        const old = this.#old.filter(({ statement }) => statement.epoch < epoch)
        this.#old.push(...own.filter(({ signature }) => !this.#old.some(each => toHex(each.signature) === toHex(signature))))
        // As they were; as if they were of now; and as the first of now, with words of then.
        const renamed = old.map(signed => ({ ...signed, statement: { ...signed.statement, epoch } }))
        const again = old.filter(({ statement: { what } }) => what === 'vote').map(({ statement }) => this.#sign({ ...statement, epoch }))
        return old.length === 0 ? reply : { ...reply, statements: [...old, ...renamed, ...again, ...others] }
      }
      default: return reply
    }
  }

  /** The same with one vote less: right as well, if a quorum is left. */
  #reproposed (heard: SignedProposal): SignedProposal {
    const { signed: { authority, statement }, proposal } = heard
    if (toHex(authority) !== this.#name) return heard
    const fewer = { ...proposal, choice: { ...proposal.choice, votes: proposal.choice.votes.slice(1) } }
    return { signed: this.#sign({ ...statement, value: proposalHash(this.#council.suite, fewer) }), proposal: fewer }
  }

  #sign (statement: Statement): SignedStatement {
    return signStatement(this.#council.suite, this.#council.keys[this.#index], statement)
  }
}
