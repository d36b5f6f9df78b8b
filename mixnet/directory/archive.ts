/**
 * The documents that an authority holds: those it signed, and those it came late for and has from others. A saga engine,
 * part of authority.ts, which says why nothing here is ever replaced by another document.
 *
 *   store   directory/document/<u64 e>  the document of epoch e with the signatures so far
 *           directory/floor             <u64 e>: what was signed for epochs up to e may be forgotten
 */
import { concat, equal, u64, utf8 } from '@mixmint/core/kit/bytes'
import { encode } from '@mixmint/core/kit/codec'
import { batch, get, scanAll, type Saga } from '@mixmint/core/kit/saga'
import type { Suite } from '@mixmint/core/crypto/suite'
import { addSignatures, decodeDocument, documentHash, quorum, trustAt, type Trust } from './document.ts'
import { SignedDocument } from './formats.ts'
import type { NamedDocument } from './vote.ts'

const DOCUMENTS = utf8('directory/document/')
const FLOOR = utf8('directory/floor')
/** The newest ones. */
const KEPT = 4

export class Archive {
  readonly #suite: Suite
  readonly #trust: Trust
  /** By epoch. */
  readonly #documents = new Map<number, NamedDocument>()
  #floor = -1
  /** What the store has of it: less, while a write is under way or after one that failed. */
  #stored = -1

  constructor (suite: Suite, trust: Trust) {
    this.#suite = suite
    this.#trust = trust
  }

  /** Load what the store holds. Once, before anything else. */
  * open (): Saga<void> {
    for (const { value } of yield * scanAll(DOCUMENTS)) this.#keep(decodeDocument(value))
    const floor: Uint8Array | null = yield * get(FLOOR)
    if (floor !== null) this.#floor = this.#stored = Number(new DataView(floor.buffer, floor.byteOffset).getBigUint64(0))
  }

  of (epoch: number): NamedDocument | null {
    return this.#documents.get(epoch) ?? null
  }

  /**
   * The document of an epoch, if a quorum of those signed it who are in office then, by what is known of that now. Their
   * signatures were verified when they came.
   */
  valid (epoch: number): NamedDocument | null {
    const found = this.of(epoch)
    const { authorities } = trustAt(this.#trust, epoch)
    const count = found?.signed.signatures.filter(({ authority }) => authorities.some(key => equal(key, authority))).length ?? 0
    return found !== null && authorities.length > 0 && count >= quorum(authorities.length) ? found : null
  }

  newestBefore (epoch: number): NamedDocument | null {
    const newest = [...this.#documents.keys()].filter(each => each < epoch && this.valid(each) !== null)
    return newest.length === 0 ? null : this.of(Math.max(...newest))
  }

  /** Up to which epoch nothing is signed any more. */
  get floor (): number {
    return this.#floor
  }

  /** Keep the document of an epoch if there is none yet. @returns the one that is kept */
  * insert (signed: SignedDocument): Saga<NamedDocument> {
    const { epoch } = signed.document
    const result = yield * batch([{ op: 'insert', key: keyOf(epoch), value: encode(SignedDocument, signed) }])
    return this.#keep(result.done || result.found === null ? signed : decodeDocument(result.found))
  }

  /** Add signatures, verified, to the document that is kept. @returns whether it lacked one of them */
  * add (epoch: number, signatures: SignedDocument['signatures']): Saga<boolean> {
    for (;;) {
      const known = this.of(epoch)
      if (known === null) return false
      const more = addSignatures(known.signed, signatures)
      if (more.signatures.length === known.signed.signatures.length) return false
      const result = yield * batch([{ op: 'swap', key: keyOf(epoch), was: encode(SignedDocument, known.signed), value: encode(SignedDocument, more) }])
      if (!result.done && result.found === null) return false
      this.#keep(result.done || result.found === null ? more : decodeDocument(result.found))
      if (result.done) return true
    }
  }

  /** Forget all documents but the newest. */
  * prune (): Saga<void> {
    const old = [...this.#documents.keys()].sort((a, b) => b - a).slice(KEPT)
    if (old.length === 0) return
    yield * this.raise(Math.max(...old))
    yield * batch(old.map(epoch => ({ op: 'delete', key: keyOf(epoch) })))
    for (const epoch of old) this.#documents.delete(epoch)
  }

  /** From now on nothing is signed up to this epoch: what was may be forgotten after this. When it fails, it must be called again before that. */
  * raise (floor: number): Saga<void> {
    if (floor <= this.#stored) return
    this.#floor = Math.max(this.#floor, floor)
    // Of two that are under way the later must not write less.
    const written = this.#floor
    yield * batch([{ op: 'put', key: FLOOR, value: u64(written) }])
    this.#stored = Math.max(this.#stored, written)
  }

  #keep (signed: SignedDocument): NamedDocument {
    const { epoch } = signed.document
    const known = this.of(epoch)
    const hash = known?.hash ?? documentHash(this.#suite, signed.document)
    const named = { signed, hash }
    this.#documents.set(epoch, named)
    return named
  }
}

function keyOf (epoch: number): Uint8Array {
  return concat(DOCUMENTS, u64(epoch))
}
