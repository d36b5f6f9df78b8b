/**
 * Taking up what another authority shows of a ballot. Nothing in it is believed for its bearer's sake: statements are
 * signed, what they name is fetched from whoever showed them and compared with its hash, and whether a proposal is right
 * we find by merging the votes ourselves. An honest authority shows a vote or a proposal only when it holds all it names.
 */
import { equal, toHex } from '@mixmint/core/kit/bytes'
import { encode } from '@mixmint/core/kit/codec'
import { isMixmintError, MixmintError } from '@mixmint/core/kit/errors'
import type { Meter } from '@mixmint/core/kit/ports'
import { now as clock, type Saga } from '@mixmint/core/kit/saga'
import type { Suite } from '@mixmint/core/crypto/suite'
import { proposalHash, type Certificate, type Choice, type SignedProposal } from './agreement.ts'
import type { Archive } from './archive.ts'
import type { Ballot, SignedVote } from './ballot.ts'
import { addSignatures, DOCUMENT_LIMIT, documentHash, documentStatement, quorum, trustAt, verifyTimeless, type Trust } from './document.ts'
import type { Evidence } from './evidence.ts'
import { SignedDescriptor, type Parameters, type SignedDocument } from './formats.ts'
import { DESCRIPTORS_ASKED, type DirectoryReply, type DirectoryRequest, type ReplyOf } from './messages.ts'
import type { Register } from './register.ts'
import { isSigned, type SignedStatement } from './statement.ts'
import { descriptorHash, differingParameters, REVISIONS, voteHash, type HeldVote, type NamedDocument, type Vote } from './vote.ts'

/** Ask another authority; resumed with its reply, or null when there is none, or a refusal. */
export interface AuthorityEffect { readonly do: 'ask', readonly authority: Uint8Array, readonly request: DirectoryRequest }

export interface Exchange {
  readonly suite: Suite
  readonly trust: Trust
  readonly parameters: Parameters
  readonly meter: Meter
  readonly register: Register
  readonly archive: Archive
  readonly evidence: Evidence
  readonly ballot: Ballot
  /** Who shows it. */
  readonly other: Uint8Array
}

type Shown = ReplyOf<'agreement'>

/** @returns whether there was news in it */
export function * takeUp (exchange: Exchange, shown: Shown): Saga<boolean, AuthorityEffect> {
  const { evidence } = exchange
  let news = false
  for (const proof of shown.proofs) news = (yield * evidence.add(proof)) || news
  for (const signed of shown.statements) news = (yield * hear(exchange, signed)) || news
  for (const proposal of shown.proposals) news = (yield * hearProposal(exchange, proposal)) || news
  news = (yield * takeLock(exchange, shown.lock)) || news
  news = (yield * takeDecision(exchange, shown.decision)) || news
  return (yield * takeSignatures(exchange, shown.document)) || news
}

/** One reply of this kind from the other authority, or null. */
export function * ask<K extends DirectoryReply['is']> (authority: Uint8Array, request: DirectoryRequest, wanted: K): Saga<ReplyOf<K> | null, AuthorityEffect> {
  const reply: DirectoryReply | null = yield { do: 'ask', authority, request }
  return reply?.is === wanted ? reply as ReplyOf<K> : null
}

/** The valid document of an epoch from the other authority, or null. */
function * fetchValid ({ suite, trust, other }: Exchange, epoch: number, hash: Uint8Array): Saga<SignedDocument | null, AuthorityEffect> {
  const reply = yield * ask(other, { op: 'get', epoch }, 'document')
  if (reply === null || reply.signed.document.epoch !== epoch || !equal(documentHash(suite, reply.signed.document), hash)) return null
  try {
    verifyTimeless(suite, reply.signed, trust)
    return addSignatures({ ...reply.signed, signatures: [] }, reply.signed.signatures.filter(({ authority }) => trustAt(trust, epoch).authorities.some(key => equal(key, authority))))
  } catch (error) {
    if (isMixmintError(error)) return null
    throw error
  }
}

function * hear (exchange: Exchange, signed: SignedStatement): Saga<boolean, AuthorityEffect> {
  const { suite, ballot, evidence } = exchange
  if (!isOfBallot(exchange, signed)) return false
  const { what, round, value } = signed.statement
  if (what === 'vote') {
    const first = ballot.contradicting(signed)
    if (first !== null) return yield * evidence.add({ first, second: signed })
    if (!ballot.wantsVote(signed) || !isSigned(suite, signed)) return false
    return yield * fetchVote(exchange, signed.authority, value)
  }
  if (what === 'document') {
    // In another place than a document's it would contradict none.
    const first = round === 0 && ballot.wantsSignature(signed) && isSigned(suite, signed) ? ballot.witness(signed) : null
    return first !== null && (yield * evidence.add({ first, second: signed }))
  }
  if ((what !== 'prevote' && what !== 'precommit') || !ballot.agreement.wants(signed) || !isSigned(suite, signed)) return false
  const first = ballot.agreement.hear(signed)
  if (first !== null) yield * evidence.add({ first, second: signed })
  return true
}

function * hearProposal (exchange: Exchange, { signed, proposal }: SignedProposal): Saga<boolean, AuthorityEffect> {
  const { suite, ballot, evidence } = exchange
  const { what, round, value } = signed.statement
  if (!isOfBallot(exchange, signed) || what !== 'proposal' || !ballot.agreement.wants(signed)) return false
  if (!equal(proposalHash(suite, proposal), value) || !isSigned(suite, signed)) return false
  if (!(yield * complete(exchange, proposal.choice))) return false
  const first = ballot.agreement.hearProposal({ signed, proposal }, ballot.isRightProposal(proposal, round))
  if (first !== null) yield * evidence.add({ first, second: signed })
  return true
}

function * takeLock (exchange: Exchange, lock: Certificate | null): Saga<boolean, AuthorityEffect> {
  const { ballot, ballot: { agreement } } = exchange
  if (lock === null || lock.round > agreement.round || lock.round <= (agreement.lock?.round ?? -1) || !ballot.isCertified(lock, 'prevote')) return false
  if (!(yield * complete(exchange, lock.choice)) || !ballot.isRight(lock.choice)) return false
  agreement.adopt(lock)
  return true
}

function * takeDecision (exchange: Exchange, decision: Certificate | null): Saga<boolean, AuthorityEffect> {
  const { ballot, ballot: { agreement } } = exchange
  if (decision === null || agreement.decision !== null || !ballot.isCertified(decision, 'precommit')) return false
  if (!(yield * complete(exchange, decision.choice)) || !ballot.isRight(decision.choice)) return false
  agreement.conclude(decision)
  return true
}

/** Signatures on the document that the other holds: they complete ours, or give us the one that we came late for. */
function * takeSignatures (exchange: Exchange, shown: Shown['document']): Saga<boolean, AuthorityEffect> {
  if (shown === null) return false
  const { suite, trust, ballot, ballot: { epoch }, archive, evidence, meter } = exchange
  const { network, authorities } = trustAt(trust, epoch)
  const statement = documentStatement(network, epoch, shown.hash)
  const signatures = authorities.flatMap(authority => shown.signatures.find(entry => equal(entry.authority, authority) && isSigned(suite, { statement, ...entry })) ?? [])
  for (const entry of signatures) {
    const first = ballot.witness({ statement, ...entry })
    if (first !== null) yield * evidence.add({ first, second: { statement, ...entry } })
  }
  const ours = archive.of(epoch)
  if (ours !== null && equal(ours.hash, shown.hash)) return yield * archive.add(epoch, signatures)
  if (signatures.length < quorum(authorities.length)) return false
  if (ours !== null) {
    meter.count('directory_conflict') // more than f lie, or our disk was set back
    return false
  }
  const signed = yield * fetchValid(exchange, epoch, shown.hash)
  if (signed !== null) yield * archive.insert(signed)
  return signed !== null
}

/** Fetch the votes of a choice that are not at hand. @returns whether all are */
function * complete (exchange: Exchange, choice: Choice): Saga<boolean, AuthorityEffect> {
  for (const { authority, vote } of exchange.ballot.missing(choice)) {
    if (!(yield * fetchVote(exchange, authority, vote))) return false
  }
  return true
}

/** @returns whether it is at hand now */
function * fetchVote (exchange: Exchange, authority: Uint8Array, hash: Uint8Array): Saga<boolean, AuthorityEffect> {
  const { suite, ballot, other, meter, evidence } = exchange
  const reply = yield * ask(other, { op: 'vote', epoch: ballot.epoch, authority, vote: hash }, 'vote')
  if (reply === null || !isVoteOf(exchange, reply, authority, hash) || !isSigned(suite, reply.signed)) return false
  const first = ballot.contradicting(reply.signed)
  if (first !== null) yield * evidence.add({ first, second: reply.signed })
  if (differingParameters(reply.vote.parameters, exchange.parameters).length > 0) {
    meter.count('directory_vote_refused', { code: 'vote-parameters' })
    return false
  }
  try {
    const previous = yield * fetchPrevious(exchange, reply.vote)
    const descriptors = yield * fetchDescriptors(exchange, reply.vote)
    yield * learn(exchange, yield * ballot.keepVote(reply, descriptors, previous))
    return true
  } catch (error) {
    if (!isMixmintError(error) || error.fault !== 'peer') throw error
    meter.count('directory_vote_refused', { code: error.code })
    return false
  }
}

function * fetchPrevious (exchange: Exchange, { previous }: Vote): Saga<NamedDocument | null, AuthorityEffect> {
  if (previous === null || previous.epoch >= exchange.ballot.epoch) return null
  const { archive } = exchange
  if (archive.valid(previous.epoch) === null) {
    const signed = yield * fetchValid(exchange, previous.epoch, previous.document)
    if (signed !== null) yield * archive.insert(signed)
  }
  return archive.valid(previous.epoch)
}

/** Those that are not at hand yet. @throws vote-incomplete, vote-too-large (peer) */
function * fetchDescriptors ({ suite, ballot, other }: Exchange, { nodes }: Vote): Saga<SignedDescriptor[], AuthorityEffect> {
  const wanted = new Map(nodes.filter(({ descriptor }) => ballot.descriptor(descriptor) === null).map(({ descriptor }) => [toHex(descriptor), descriptor]))
  const found: SignedDescriptor[] = []
  let size = 0
  while (wanted.size > 0) {
    const reply = yield * ask(other, { op: 'descriptors', epoch: ballot.epoch, hashes: [...wanted.values()].slice(0, DESCRIPTORS_ASKED) }, 'descriptors')
    const fresh = reply?.signed.filter(signed => wanted.delete(toHex(descriptorHash(suite, signed)))) ?? []
    if (fresh.length === 0) throw new MixmintError('vote-incomplete', 'peer', 'whoever shows this vote does not have the descriptors that it lists')
    found.push(...fresh)
    size += fresh.reduce((sum, signed) => sum + encode(SignedDescriptor, signed).length, 0)
    if (size > DOCUMENT_LIMIT) throw new MixmintError('vote-too-large', 'peer', 'this vote lists more than a document can hold')
  }
  return found
}

/** Descriptors that did not reach us from their nodes: we list them from our next vote on. */
function * learn ({ register, meter }: Exchange, { nodes }: HeldVote): Saga<void, AuthorityEffect> {
  for (const { signed } of nodes.filter(node => register.isNews(node.signed))) {
    try {
      yield * register.publish(signed, yield * clock())
    } catch (error) {
      if (!isMixmintError(error) || error.fault !== 'peer') throw error
      meter.count('directory_refused', { code: error.code })
    }
  }
}

function isVoteOf (exchange: Exchange, { signed, vote }: SignedVote, authority: Uint8Array, hash: Uint8Array): boolean {
  const { what, round, value } = signed.statement
  return isOfBallot(exchange, signed) && what === 'vote' && round < REVISIONS && equal(signed.authority, authority) &&
    equal(value, hash) && equal(voteHash(exchange.suite, vote), hash)
}

function isOfBallot ({ trust, ballot }: Exchange, { statement: { network, epoch }, authority }: SignedStatement): boolean {
  return network === trust.network && epoch === ballot.epoch && trustAt(trust, epoch).authorities.some(key => equal(key, authority))
}
