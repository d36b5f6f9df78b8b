/**
 * A directory authority (DESIGN §3): takes descriptors of the nodes that its operator admitted, makes one document an
 * epoch, and signs it. A saga engine; its driver runs `tick` when `tick` asked for it and after each publication.
 *
 *   store   directory/node/<peer 39>    the newest signed descriptor of an admitted node
 *           directory/document/<u64 e>  our document of epoch e with the signatures so far
 *
 * One document per epoch: it is inserted, durably, before anything shows it, and what the store holds is what is given
 * out; so a crash between signing and sending cannot lead to a second one. Epochs only rise, for the same reason.
 *
 * Authorities that have the same descriptors make the same bytes. Where theirs differ no document becomes valid; agreeing
 * on the descriptors first would go in front of `make`.
 */
import { concat, equal, toHex, u64, utf8 } from '@mixmint/core/kit/bytes'
import { decode, encode } from '@mixmint/core/kit/codec'
import { MixmintError, isMixmintError } from '@mixmint/core/kit/errors'
import type { Meter, Millis } from '@mixmint/core/kit/ports'
import { batch, gather, get, now as clock, scanAll, type Saga } from '@mixmint/core/kit/saga'
import type { Ed25519KeyPair, Suite } from '@mixmint/core/crypto/suite'
import { verifyDescriptor } from './descriptor.ts'
import {
  DOCUMENT_LIMIT, assemble, buildDocument, checkParameters, decodeDocument, earliestListed, equivocation, GATEWAY_LAYER, quorum,
  SERVICE_LAYER, signDocument, signers, type Trust
} from './document.ts'
import { epochAt, epochEnd, epochStart, lead } from './epoch.ts'
import { SignedDescriptor, SignedDocument, type Descriptor, type Document, type Parameters } from './formats.ts'
import { assignLayers } from './layers.ts'
import { refusal, type DirectoryReply, type DirectoryRequest } from './messages.ts'

/** One line of the operator's list. */
export interface Admission {
  readonly peer: Uint8Array
  readonly role: Descriptor['role']
  /** For a service its kind, else ''. */
  readonly kind: string
  /** Where this mix shall stand, from 1; without it the authority chooses. */
  readonly layer?: number
}

/** What a service published. */
export interface ListedService { readonly peer: Uint8Array, readonly kind: string, readonly body: Uint8Array }

/**
 * The rules of what services may publish. Called before a descriptor is taken.
 * @param others what all other services have published
 * @param context.previous what this service had published before, or null
 * @returns null, or the kebab-case code to refuse it with
 */
export type CheckService = (kind: string, body: Uint8Array, others: readonly ListedService[], context: {
  readonly peer: Uint8Array, readonly previous: Uint8Array | null, readonly now: Millis
}) => string | null

export interface AuthorityConfig {
  readonly key: Ed25519KeyPair
  /** The network, and the keys of all authorities, this one's among them. */
  readonly trust: Trust
  readonly parameters: Parameters
  readonly admitted: readonly Admission[]
  /** After a start, how long to wait for admitted nodes that have not published before a document is made without them, in ms. */
  readonly bootstrapWait: number
  readonly checkService?: CheckService
}

/** Ask another authority for its document of an epoch; resumed with it, or null when it has none or does not answer. */
export interface AuthorityEffect { readonly do: 'ask-vote', readonly authority: Uint8Array, readonly epoch: number }

const NODES = utf8('directory/node/')
const DOCUMENTS = utf8('directory/document/')
/** Documents kept behind the newest. */
const KEPT = 3
/** While something is waited for, look again after this many ms. */
const RETRY = 1000

export class Authority {
  readonly #suite: Suite
  readonly #config: AuthorityConfig
  readonly #meter: Meter
  readonly #admitted: ReadonlyMap<string, Admission>
  /** By peer id in hexadecimal. */
  readonly #nodes = new Map<string, SignedDescriptor>()
  /** By epoch. */
  readonly #documents = new Map<number, SignedDocument>()
  #started: Millis = 0

  /** @throws document-parameters (peer), authority-unknown, authority-admission (operator) */
  constructor (suite: Suite, config: AuthorityConfig, meter: Meter) {
    checkParameters(config.parameters)
    if (!config.trust.authorities.some(key => equal(key, config.key.publicKey))) {
      throw new MixmintError('authority-unknown', 'operator', 'this authority\'s key is not among the keys of the network\'s authorities')
    }
    this.#suite = suite
    this.#config = config
    this.#meter = meter
    this.#admitted = new Map(config.admitted.map(entry => [toHex(entry.peer), entry]))
    if (this.#admitted.size !== config.admitted.length) {
      throw new MixmintError('authority-admission', 'operator', 'the admission list names a peer twice')
    }
    for (const { role, layer } of config.admitted) {
      if (layer !== undefined && (role !== 'mix' || layer < 1 || layer > this.#layers)) {
        throw new MixmintError('authority-admission', 'operator', `only a mix can be given a layer, 1 to ${this.#layers}`)
      }
    }
  }

  /** Load what the store holds. Once, before anything else. */
  * open (): Saga<void, AuthorityEffect> {
    this.#started = yield * clock()
    for (const { value } of yield * scanAll(NODES)) {
      const signed = decode(SignedDescriptor, value)
      if (this.#isAdmitted(signed.descriptor)) this.#nodes.set(toHex(signed.descriptor.peer), signed)
    }
    for (const { value } of yield * scanAll(DOCUMENTS)) {
      const signed = decodeDocument(value)
      this.#documents.set(signed.document.epoch, signed)
    }
  }

  /** Answer a request; never throws for what a peer sent. */
  * handle (request: DirectoryRequest): Saga<DirectoryReply, AuthorityEffect> {
    try {
      const now = yield * clock()
      switch (request.op) {
        case 'get': return { is: 'document', time: now, signed: this.#get(request.epoch, now) }
        case 'schedule': return { is: 'schedule', time: now, epochLength: this.#parameters.epochLength, epochGrace: this.#parameters.epochGrace }
        case 'publish': return yield * this.#publish(request.signed, now)
        case 'vote': return { is: 'vote', signed: this.#own(request.epoch) }
      }
    } catch (error) {
      if (!isMixmintError(error)) throw error
      this.#meter.count('directory_refused', { code: error.code })
      return refusal(error)
    }
  }

  /**
   * Make and complete the documents that are due.
   * @returns when to call again at the latest; it may be called at any time
   * @throws document-too-large (operator)
   */
  * tick (): Saga<Millis, AuthorityEffect> {
    const now = yield * clock()
    const epoch = epochAt(this.#parameters, now)
    let waiting = false
    for (const each of [epoch, epoch + 1]) {
      if (!this.#documents.has(each) && this.#isDue(each, now)) yield * this.#make(each)
      if (this.#documents.has(each) && !this.#isValid(each)) yield * this.#collect(each)
      waiting ||= this.#isBegun(each, now) && !this.#isValid(each)
    }
    const next = epochStart(this.#parameters, epoch + 1)
    if (waiting) return Math.min(now + RETRY, next)
    return this.#isValid(epoch + 1) ? next : next - lead(this.#parameters)
  }

  /** Does the document of this epoch have its quorum? */
  #isValid (epoch: number): boolean {
    const signed = this.#documents.get(epoch)
    const { authorities } = this.#config.trust
    return signed !== undefined && signed.signatures.length >= quorum(authorities.length)
  }

  #get (epoch: number | null, now: Millis): SignedDocument {
    const wanted = epoch ?? epochAt(this.#parameters, now)
    const signed = this.#documents.get(wanted)
    // Until the new one is there, the one before serves out its grace.
    if (signed === undefined && epoch === null && now <= epochEnd(this.#parameters, wanted - 1) && this.#isValid(wanted - 1)) return this.#own(wanted - 1)
    if (signed === undefined || !this.#isValid(wanted)) {
      throw new MixmintError('document-unavailable', 'peer', `there is no document of epoch ${wanted} here yet; ask again soon`, { retry: true })
    }
    return signed
  }

  #own (epoch: number): SignedDocument {
    const signed = this.#documents.get(epoch)
    if (signed === undefined) throw new MixmintError('document-unavailable', 'peer', `no document of epoch ${epoch} was made here yet; ask again soon`, { retry: true })
    return signed
  }

  * #publish (signed: SignedDescriptor, now: Millis): Saga<DirectoryReply, AuthorityEffect> {
    const { descriptor } = signed
    const epoch = epochAt(this.#parameters, now)
    if (!this.#isAdmitted(descriptor)) {
      throw new MixmintError('not-admitted', 'peer', 'this peer is not on the authority\'s list in this role: ask its operator')
    }
    verifyDescriptor(signed, {
      network: this.#config.trust.network, latest: now + this.#parameters.clockSkew, earliest: earliestListed(this.#parameters, epoch)
    })
    if (descriptor.mixKeys.length > 0 && !descriptor.mixKeys.some(key => key.epoch === epoch || key.epoch === epoch + 1)) {
      throw new MixmintError('descriptor-epochs', 'peer', `no mix key is for epoch ${epoch} or the next: set the node's clock`)
    }
    const key = concat(NODES, descriptor.peer)
    const value = encode(SignedDescriptor, signed)
    for (;;) {
      const was: Uint8Array | null = yield * get(key)
      if (was !== null && equal(was, value)) break
      const before = was === null ? null : decode(SignedDescriptor, was).descriptor
      if (before !== null && before.published >= descriptor.published) {
        throw new MixmintError('descriptor-older', 'peer', 'a newer descriptor of this node is known: sign a fresh one')
      }
      this.#checkService(descriptor, before, now)
      const result = yield * batch([{ op: 'swap', key, was, value }])
      if (result.done) break
    }
    // Of two at once the store took the newer one last, but this may run first.
    const known = this.#nodes.get(toHex(descriptor.peer))
    if (known === undefined || known.descriptor.published < descriptor.published) this.#nodes.set(toHex(descriptor.peer), signed)
    return { is: 'published' }
  }

  #checkService ({ role, peer, kind, body }: Descriptor, before: Descriptor | null, now: Millis): void {
    if (role !== 'service' || this.#config.checkService === undefined) return
    const others = [...this.#nodes.values()].map(({ descriptor }) => descriptor)
      .filter(other => other.role === 'service' && !equal(other.peer, peer))
    const code = this.#config.checkService(kind, body, others, { peer, previous: before?.body ?? null, now })
    if (code !== null) throw new MixmintError(code, 'peer', `what this ${kind} says about itself breaks the network's rules (${code})`)
  }

  * #make (epoch: number): Saga<void, AuthorityEffect> {
    if ([...this.#documents.keys()].some(made => made >= epoch)) return
    const document = this.#build(epoch)
    if (!this.#isUsable(document)) {
      this.#meter.count('directory_unusable')
      return
    }
    const signed = signDocument(this.#suite, this.#config.key, document)
    const key = concat(DOCUMENTS, u64(epoch))
    const value = encode(SignedDocument, signed)
    if (value.length + this.#signatureSpace > DOCUMENT_LIMIT) {
      throw new MixmintError('document-too-large', 'operator', `the document would exceed ${DOCUMENT_LIMIT} bytes: admit fewer nodes`)
    }
    const result = yield * batch([{ op: 'insert', key, value }])
    this.#documents.set(epoch, result.done || result.found === null ? signed : decodeDocument(result.found))
    for (const old of [...this.#documents.keys()].filter(made => made < epoch - KEPT)) {
      yield * batch([{ op: 'delete', key: concat(DOCUMENTS, u64(old)) }])
      this.#documents.delete(old)
    }
  }

  /** What the other authorities' signatures can add. */
  get #signatureSpace (): number {
    return this.#config.trust.authorities.length * 128
  }

  /** Ask the other authorities, and add the signatures of those who made the same document. */
  * #collect (epoch: number): Saga<void, AuthorityEffect> {
    const { authorities } = this.#config.trust
    const others = authorities.filter(key => !equal(key, this.#config.key.publicKey))
    const votes = yield * gather(others.map(authority => askVote(authority, epoch)))
    for (const vote of votes) {
      if (vote.state === 'done' && vote.value !== null) yield * this.#add(epoch, vote.value)
    }
  }

  * #add (epoch: number, vote: SignedDocument): Saga<void, AuthorityEffect> {
    const { trust } = this.#config
    const key = concat(DOCUMENTS, u64(epoch))
    try {
      const by = signers(this.#suite, vote, trust.authorities)
      // Held again under its key: a tick beside this one may have added others meanwhile.
      const ours = this.#own(epoch)
      const liars = equivocation(this.#suite, ours, vote, trust.authorities)
      if (liars.length > 0) this.#meter.count('directory_equivocation', {}, liars.length)
      const known = { document: vote.document, signatures: vote.signatures.filter(({ authority }) => by.some(signer => equal(signer, authority))) }
      const both = assemble([ours, known])
      if (both.signatures.length === ours.signatures.length) {
        this.#meter.count('directory_vote_useless')
        return
      }
      const result = yield * batch([{ op: 'swap', key, was: encode(SignedDocument, ours), value: encode(SignedDocument, both) }])
      if (result.done) this.#documents.set(epoch, both)
    } catch (error) {
      if (!isMixmintError(error, 'document-signature')) throw error
      this.#meter.count('directory_vote_forged')
    }
  }

  #build (epoch: number): Document {
    const { trust, parameters } = this.#config
    const listed = [...this.#nodes.values()].filter(({ descriptor }) => this.#isListed(descriptor, epoch))
    const mixes = listed.filter(({ descriptor }) => descriptor.role === 'mix').map(({ descriptor: { peer } }) => ({
      peer, fixed: this.#admitted.get(toHex(peer))?.layer
    }))
    const layers = assignLayers(mixes, this.#previousLayers(), this.#layers)
    return buildDocument(trust.network, epoch, parameters, listed.map(signed => {
      const { role, peer } = signed.descriptor
      const layer = role === 'gateway' ? GATEWAY_LAYER : role === 'service' ? SERVICE_LAYER : layers.get(toHex(peer)) ?? 1
      return { layer, signed }
    }))
  }

  #previousLayers (): Map<string, number> {
    const newest = this.#documents.get(Math.max(...this.#documents.keys()))
    return new Map(newest?.document.nodes.filter(({ signed }) => signed.descriptor.role === 'mix')
      .map(({ layer, signed }) => [toHex(signed.descriptor.peer), layer]))
  }

  /** A document without a path through it would only use up the epoch. */
  #isUsable (document: Document): boolean {
    return Array.from({ length: this.#layers + 1 }, (_, layer) => layer)
      .every(layer => document.nodes.some(node => node.layer === layer))
  }

  #isListed (descriptor: Descriptor, epoch: number): boolean {
    return descriptor.published >= earliestListed(this.#parameters, epoch) &&
      descriptor.published <= epochStart(this.#parameters, epoch + 1) &&
      (descriptor.mixKeys.length === 0 || descriptor.mixKeys.some(key => key.epoch === epoch))
  }

  #isBegun (epoch: number, now: Millis): boolean {
    return now >= epochStart(this.#parameters, epoch) - lead(this.#parameters)
  }

  #isDue (epoch: number, now: Millis): boolean {
    const all = this.#config.admitted.every(({ peer }) => {
      const signed = this.#nodes.get(toHex(peer))
      return signed !== undefined && this.#isListed(signed.descriptor, epoch)
    })
    return this.#isBegun(epoch, now) && (all || now >= this.#started + this.#config.bootstrapWait)
  }

  #isAdmitted ({ peer, role, kind }: Descriptor): boolean {
    const entry = this.#admitted.get(toHex(peer))
    return entry !== undefined && entry.role === role && entry.kind === kind
  }

  /** Layers of mixes. */
  get #layers (): number {
    return this.#parameters.pathLength - 2
  }

  get #parameters (): Parameters {
    return this.#config.parameters
  }
}

function * askVote (authority: Uint8Array, epoch: number): Saga<SignedDocument | null, AuthorityEffect> {
  return yield { do: 'ask-vote', authority, epoch }
}
