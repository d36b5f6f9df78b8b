/**
 * What a reader of the directory believes (DESIGN §3). It keeps the documents it has verified, never goes back to an
 * earlier epoch, holds the next epoch's document until that begins, and finds proofs against whoever signed two of one.
 */
import { equal } from '@mixmint/core/kit/bytes'
import { encode } from '@mixmint/core/kit/codec'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Millis, Rng } from '@mixmint/core/kit/ports'
import { unit } from '@mixmint/core/kit/samplers'
import type { Suite } from '@mixmint/core/crypto/suite'
import { equivocation, verifyDocument, type Trust } from './document.ts'
import { lead } from './epoch.ts'
import { Document, type SignedDocument } from './formats.ts'
import type { EquivocationProof } from './statement.ts'
import { DirectoryView } from './view.ts'

/** The clock of whoever gave the document, and when we asked it. */
export interface SourceTime { readonly time: Millis, readonly asked: Millis }

/** Documents remembered, the newest ones. */
const REMEMBERED = 8
/** Proofs that wait to be taken. */
const PROOFS_KEPT = 64

export class DirectoryClient {
  readonly #suite: Suite
  readonly #trust: Trust
  /** By epoch. */
  readonly #known = new Map<number, DirectoryView>()
  #inForce: DirectoryView | null = null
  #proofs: EquivocationProof[] = []

  constructor (suite: Suite, trust: Trust) {
    this.#suite = suite
    this.#trust = trust
  }

  /** The proofs found since this was last asked. */
  takeProofs (): EquivocationProof[] {
    const found = this.#proofs
    this.#proofs = []
    return found
  }

  /** The newest known, in force or yet to begin. */
  get newest (): DirectoryView | null {
    return [...this.#known.values()].reduce<DirectoryView | null>((best, view) => best === null || view.epoch > best.epoch ? view : best, null)
  }

  /** The document of an epoch, if it is remembered. */
  of (epoch: number): DirectoryView | null {
    return this.#known.get(epoch) ?? null
  }

  /**
   * Verify a document and remember it.
   * @returns true if it was news
   * @throws what verifyDocument throws; document-older, document-conflict, document-packet-size (peer); clock-skewed (operator) if the
   *   source's clock and this machine's are further apart than the network allows
   */
  accept (signed: SignedDocument, now: Millis, source?: SourceTime): boolean {
    const { epoch, parameters } = signed.document
    const known = this.#known.get(epoch)
    const differs = known !== undefined && !isSame(known.signed, signed)
    if (differs) this.#noteConflict(known.signed, signed)
    try {
      verifyDocument(this.#suite, signed, this.#trust, now, true)
    } catch (error) {
      if (isAboutTime(error)) checkClock(parameters.clockSkew, now, source)
      throw error
    }
    checkClock(parameters.clockSkew, now, source)
    if (differs) throw refuse('conflict', `another document of epoch ${epoch} was seen before; the authorities that signed both are convicted`)
    if (this.#inForce !== null && epoch < this.#inForce.epoch) {
      throw refuse('older', `this is the document of epoch ${epoch}; that of ${this.#inForce.epoch} is known`)
    }
    if (known !== undefined) return false
    const { newest } = this
    if (newest !== null && newest.parameters.packetSize !== parameters.packetSize) {
      // What is on its way could not be answered, and links know one size.
      throw refuse('packet-size', `packets have ${newest.parameters.packetSize} bytes in this network, and in this document ${parameters.packetSize}; to change that, found another network`)
    }
    this.#known.set(epoch, new DirectoryView(signed))
    for (const old of [...this.#known.keys()].sort((a, b) => b - a).slice(REMEMBERED)) this.#known.delete(old)
    return true
  }

  /** The document to use now, or null: none is known, or the newest has expired, or by a clock that was set back begins in an epoch or more. */
  view (now: Millis): DirectoryView | null {
    const begun = [...this.#known.values()].filter(({ signed }) => signed.document.validFrom <= now)
    // Within the skew our clock may say that the only one is yet to begin.
    const candidates = begun.length > 0 ? begun : [...this.#known.values()].filter(view => isAbout(view, now))
    for (const view of candidates) if (this.#inForce === null || view.epoch > this.#inForce.epoch) this.#inForce = view
    return this.#inForce?.isInForce(now) === true && isNear(this.#inForce, now) ? this.#inForce : null
  }

  /**
   * Those by which packets may have been made that are on their way now, the newest first: the one in force, the one before
   * until its grace is over, and the next one within the skew of clocks.
   */
  live (now: Millis): DirectoryView[] {
    const current = this.view(now)
    return [...this.#known.values()]
      .filter(view => view === current || (view.isInForce(now) && isAbout(view, now)))
      .sort((a, b) => b.epoch - a.epoch)
  }

  /** When the next document takes over, or the one in force expires; null when there is none. */
  nextChange (now: Millis): Millis | null {
    const current = this.view(now)
    if (current === null) return null
    const starts = [...this.#known.values()].map(({ signed }) => signed.document.validFrom).filter(start => start > now)
    return Math.min(current.signed.document.validUntil + current.parameters.epochGrace + 1, ...starts)
  }

  /**
   * When to fetch the document after the newest known: at a random time between its making and its beginning, so that
   * readers do not come all at once. Ask once for each document; now, if none is in force.
   */
  nextFetch (now: Millis, rng: Rng): Millis {
    const newest = this.newest
    if (newest === null || this.view(now) === null) return now
    const window = lead(newest.parameters)
    const from = Math.max(now, newest.signed.document.validUntil - window * 7 / 8)
    const to = Math.max(from, newest.signed.document.validUntil - window / 8)
    return Math.ceil(from + (to - from) * unit(rng))
  }

  #noteConflict (first: SignedDocument, second: SignedDocument): void {
    this.#proofs = [...this.#proofs, ...equivocation(this.#suite, first, second, this.#trust.authorities)].slice(0, PROOFS_KEPT)
  }
}

/** Has it begun, by some clock within the skew? */
function isAbout ({ signed, parameters }: DirectoryView, now: Millis): boolean {
  return signed.document.validFrom <= now + parameters.clockSkew
}

/** One in force stays so when the clock steps back, but not for the hours that it may be behind: then it is to be told. */
function isNear ({ signed, parameters }: DirectoryView, now: Millis): boolean {
  return signed.document.validFrom <= now + parameters.epochLength
}

function isSame (a: SignedDocument, b: SignedDocument): boolean {
  return equal(encode(Document, a.document), encode(Document, b.document))
}

function isAboutTime (error: unknown): boolean {
  return error instanceof MixmintError && (error.code === 'document-too-early' || error.code === 'document-expired')
}

/** The source read its clock at some time between our asking and now. @throws clock-skewed (operator) */
export function checkClock (skew: number, now: Millis, source: SourceTime | undefined): void {
  if (source === undefined) return
  const { time, asked } = source
  if (time < asked - skew || time > now + skew) {
    const off = Math.round(Math.abs(time - now) / 1000)
    throw new MixmintError('clock-skewed', 'operator',
      `this machine's clock is ${off} s ${time > now ? 'behind' : 'ahead of'} the clock of the node that was asked; set the clock, or ask another node`)
  }
}

function refuse (what: string, why: string): MixmintError {
  return new MixmintError(`document-${what}`, 'peer', why)
}
