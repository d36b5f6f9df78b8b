/**
 * The conversation of `/mixmint/directory/1.0.0`: one request, one reply. Any node answers `get` and `schedule` from the
 * document it holds; authorities answer the rest too.
 */
import { bool, nullable, oneOf, record, text, uint, variants, type Of } from '@mixmint/core/kit/codec'
import { MixmintError } from '@mixmint/core/kit/errors'
import { DOCUMENT_LIMIT } from './document.ts'
import { SignedDescriptor, SignedDocument } from './formats.ts'

export const DIRECTORY_PROTOCOL = '/mixmint/directory/1.0.0'
/** The longest request (one descriptor) and reply (one document), in bytes. */
export const DIRECTORY_REQUEST_LIMIT = (1 << 18) + (1 << 14)
export const DIRECTORY_REPLY_LIMIT = DOCUMENT_LIMIT + 1024

export const DirectoryRequest = variants('op', {
  /** The document of an epoch; null: the one in force. */
  get: record({ epoch: nullable(uint()) }),
  /** What a node must know to make its keys, before there is a document. Believed only for that. */
  schedule: record({}),
  publish: record({ signed: SignedDescriptor }),
  /** Between authorities: your document of this epoch with the signatures you have. */
  vote: record({ epoch: uint() })
})
export type DirectoryRequest = Of<typeof DirectoryRequest>

export const DirectoryReply = variants('is', {
  /** `time`: the answerer's clock, so that a wrong clock is told from an old document. */
  document: record({ time: uint(), signed: SignedDocument }),
  schedule: record({ time: uint(), epochLength: uint(), epochGrace: uint() }),
  published: record({}),
  vote: record({ signed: SignedDocument }),
  /** `code`, `fault`, `retry` as in kit/errors.ts, `message` for people. */
  refused: record({ code: text(64), fault: oneOf('caller', 'peer', 'operator', 'us'), retry: bool, message: text(512) })
})
export type DirectoryReply = Of<typeof DirectoryReply>

/** The reply that carries a refusal. What is wrong on our side is not described to a peer. */
export function refusal (error: unknown): DirectoryReply {
  return error instanceof MixmintError && (error.fault === 'peer' || error.fault === 'caller')
    ? { is: 'refused', code: error.code, fault: error.fault, retry: error.retry, message: error.message.slice(0, 512) }
    : { is: 'refused', code: 'internal', fault: 'us', retry: true, message: 'something failed here; try again or ask another' }
}
