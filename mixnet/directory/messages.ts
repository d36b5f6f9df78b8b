/**
 * The conversation of `/mixmint/directory/1.0.0`: one request, one reply. Any node answers `get` and `schedule` from the
 * document it holds; authorities answer the rest too. Between authorities everything is asked for, nothing is pushed: each
 * shows what it and others said, so that two who cannot reach each other hear of each other from a third.
 */
import { bool, bytes, list, nullable, oneOf, record, text, uint, variants, type Of } from '@mixmint/core/kit/codec'
import { MixmintError } from '@mixmint/core/kit/errors'
import { Certificate, SignedProposal } from './agreement.ts'
import { SignedVote } from './ballot.ts'
import { PEER_ID_LENGTH } from './descriptor.ts'
import { DOCUMENT_LIMIT } from './document.ts'
import { Parameters, SignedDescriptor, SignedDocument } from './formats.ts'
import { EquivocationProof, SignedStatement } from './statement.ts'

export const DIRECTORY_PROTOCOL = '/mixmint/directory/1.0.0'
/** The longest request (one descriptor) and reply (one document), in bytes. */
export const DIRECTORY_REQUEST_LIMIT = (1 << 18) + (1 << 14)
export const DIRECTORY_REPLY_LIMIT = DOCUMENT_LIMIT + 1024
/** Descriptors that can be asked for at a time. As many are sent as fit into a reply. */
export const DESCRIPTORS_ASKED = 1024

const hash = bytes(32)

export const DirectoryRequest = variants('op', {
  /** The document of an epoch; null: the one in force. */
  get: record({ epoch: nullable(uint()) }),
  /** What a node must know to make its keys, before there is a document. Believed only for that. */
  schedule: record({}),
  publish: record({ signed: SignedDescriptor }),
  /** What was said about the document of this epoch, by anybody. */
  agreement: record({ epoch: uint() }),
  /** What statements name by hash. */
  vote: record({ epoch: uint(), authority: bytes(32), vote: hash }),
  descriptors: record({ epoch: uint(), hashes: list(hash, DESCRIPTORS_ASKED, 1) }),
  /** The newest descriptors of services of this kind, also of those that are listed no more: in order of peer id, those after `after`. */
  recall: record({ kind: text(32), after: nullable(bytes(PEER_ID_LENGTH)) })
})
export type DirectoryRequest = Of<typeof DirectoryRequest>

/** `time`: the answerer's clock, so that a wrong clock is told from an old document. */
export const DirectoryReply = variants('is', {
  document: record({ time: uint(), signed: SignedDocument }),
  schedule: record({ time: uint(), epochLength: uint(), epochGrace: uint(), clockSkew: uint() }),
  published: record({}),
  agreement: record({
    time: uint(),
    parameters: Parameters,
    /** Votes, prevotes, precommits; of rounds that matter still. */
    statements: list(SignedStatement, 1024),
    proposals: list(SignedProposal, 128),
    lock: nullable(Certificate),
    decision: nullable(Certificate),
    /** The document that this authority holds, and the signatures on it so far. */
    document: nullable(record({ hash, signatures: SignedDocument.fields.signatures })),
    proofs: list(EquivocationProof, 64)
  }),
  vote: SignedVote,
  descriptors: record({ signed: list(SignedDescriptor, DESCRIPTORS_ASKED) }),
  /** `code`, `fault`, `retry` as in kit/errors.ts, `message` for people. */
  refused: record({ code: text(64), fault: oneOf('caller', 'peer', 'operator', 'us'), retry: bool, message: text(512) })
})
export type DirectoryReply = Of<typeof DirectoryReply>
export type ReplyOf<K extends DirectoryReply['is']> = Extract<DirectoryReply, { is: K }>

/** The reply that carries a refusal. What is wrong on our side is not described to a peer. */
export function refusal (error: unknown): DirectoryReply {
  return error instanceof MixmintError && (error.fault === 'peer' || error.fault === 'caller')
    ? { is: 'refused', code: error.code, fault: error.fault, retry: error.retry, message: error.message.slice(0, 512) }
    : { is: 'refused', code: 'internal', fault: 'us', retry: true, message: 'something failed here; try again or ask another' }
}
