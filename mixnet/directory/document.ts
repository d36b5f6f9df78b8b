/**
 * The document (DESIGN §3): the whole network as of one epoch, signed by the authorities.
 *
 *   hash         H(tagged('directory-document', document))
 *   signature    that of an authority's statement {network, epoch, 'document', 0, hash}: see statement.ts
 *   quorum       of n = 3f + 1 authorities ⌊(n + f) / 2⌋ + 1: two quorums share more than f authorities, so two valid
 *                documents of one epoch convict more than f of them (`equivocation`)
 *
 * Whatever a document says is checked by rules that do not depend on who reads it when; only its validity looks at the
 * reader's clock. So all clients accept or refuse it alike.
 */
import { compare, equal, toHex } from '@mixmint/core/kit/bytes'
import { decode, encode, tagged } from '@mixmint/core/kit/codec'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Millis } from '@mixmint/core/kit/ports'
import type { Ed25519KeyPair, Suite } from '@mixmint/core/crypto/suite'
import { verifyDescriptor, type DescriptorRules } from './descriptor.ts'
import { epochEnd, epochStart, lead } from './epoch.ts'
import { carriesRequests } from '../session/flight.ts'
import { Document, SignedDocument, type Descriptor, type Parameters, type SignedDescriptor } from './formats.ts'
import { contradict, isSigned, signStatement, type EquivocationProof, type SignedStatement, type Statement } from './statement.ts'

/** The longest encoding of a signed document, in bytes: it must fit in one reply of a mebibyte, and in one store value. */
export const DOCUMENT_LIMIT = (1 << 20) - 1024
export const GATEWAY_LAYER = 0
export const SERVICE_LAYER = 255
/** A node that has not republished for so many epochs is left out. */
export const EPOCHS_LISTED = 2

/** Whom a reader believes. */
export interface Trust {
  readonly network: string
  /** Ed25519 public keys, 32 bytes each, all different. */
  readonly authorities: readonly Uint8Array[]
  /** Of those that do not sign in every epoch, by key in hexadecimal. All who are in the network know it beforehand. */
  readonly terms?: ReadonlyMap<string, Term>
}

/** The epochs in which an authority signs: the first of them, and the first that is not any more (Infinity: none). */
export interface Term { readonly from: number, readonly until: number }

/** Whom to believe, from the entries of a network's configuration. */
export function trustOf (network: string, authorities: ReadonlyArray<{ readonly key: Uint8Array } & Partial<Term>>): Trust {
  return {
    network,
    authorities: authorities.map(({ key }) => key),
    terms: new Map(authorities.map(({ key, from = 0, until = Infinity }) => [toHex(key), { from, until }]))
  }
}

/** The authorities in office in an epoch: they alone agree on its document, and their signatures alone count on it. */
export function trustAt ({ network, authorities, terms }: Trust, epoch: number): Trust {
  return { network, authorities: authorities.filter(key => isInOffice(terms?.get(toHex(key)) ?? {}, epoch)) }
}

export function isInOffice ({ from = 0, until = Infinity }: Partial<Term>, epoch: number): boolean {
  return from <= epoch && epoch < until
}

/** f: how many of n authorities may lie or be dead. */
export function tolerated (n: number): number {
  return Math.floor((n - 1) / 3)
}

/** Signatures that make a document of n authorities valid. */
export function quorum (n: number): number {
  return Math.floor((n + tolerated(n)) / 2) + 1
}

/** Deterministic: equal nodes, in any order, give equal bytes. */
export function buildDocument (
  network: string, epoch: number, parameters: Parameters, nodes: ReadonlyArray<{ layer: number, signed: SignedDescriptor }>
): Document {
  return {
    network,
    epoch,
    validFrom: epochStart(parameters, epoch),
    validUntil: epochStart(parameters, epoch + 1),
    parameters,
    nodes: nodes.toSorted((a, b) => compare(a.signed.descriptor.peer, b.signed.descriptor.peer))
  }
}

/** The name of a document: equal documents have equal hashes, whoever signed them. */
export function documentHash (suite: Suite, document: Document): Uint8Array {
  return suite.sha256(tagged('directory-document', encode(Document, document)))
}

/** What an authority states by signing the document of this hash. */
export function documentStatement (network: string, epoch: number, hash: Uint8Array): Statement {
  return { network, epoch, what: 'document', round: 0, value: hash }
}

/** One authority's signature on it. */
export function signDocument (suite: Suite, key: Ed25519KeyPair, document: Document): SignedDocument {
  const { authority, signature } = signStatement(suite, key, documentStatement(document.network, document.epoch, documentHash(suite, document)))
  return { document, signatures: [{ authority, signature }] }
}

/** With these signatures too, which are of the same document; each authority's only once. */
export function addSignatures ({ document, signatures }: SignedDocument, more: SignedDocument['signatures']): SignedDocument {
  const all = [...signatures]
  for (const entry of more) if (!all.some(({ authority }) => equal(authority, entry.authority))) all.push(entry)
  return { document, signatures: all.sort((a, b) => compare(a.authority, b.authority)) }
}

/** @throws bad-encoding (peer) */
export function decodeDocument (bytes: Uint8Array): SignedDocument {
  return decode(SignedDocument, bytes, DOCUMENT_LIMIT)
}

/**
 * Check everything: signatures, times, parameters, nodes.
 * @param ahead accept the document of the next epoch already, from `lead` before its beginning on
 * @throws document-network, document-signature, document-quorum, document-too-early (caller, the clock),
 *   document-expired, document-times, document-parameters, document-order, document-layer, document-key-missing, and
 *   those of verifyDescriptor; all but the one peer; trust-duplicate (operator)
 */
export function verifyDocument (suite: Suite, signed: SignedDocument, trust: Trust, now: Millis, ahead = false): void {
  checkSigned(suite, signed, trust)
  checkValidity(signed.document, now, ahead)
  checkNodes(suite, signed.document)
}

/** As `verifyDocument`, of any time. */
export function verifyTimeless (suite: Suite, signed: SignedDocument, trust: Trust): void {
  checkSigned(suite, signed, trust)
  checkNodes(suite, signed.document)
}

/** The configured authorities whose signature on it holds. @throws document-signature (peer) when the signature of one does not */
export function signers (suite: Suite, signed: SignedDocument, authorities: readonly Uint8Array[]): Uint8Array[] {
  const said = statements(suite, signed)
  return authorities.filter(authority => {
    const own = said.filter(statement => equal(statement.authority, authority))
    if (own.some(statement => !isSigned(suite, statement))) {
      throw refuse('signature', 'an authority\'s signature does not hold; fetch the document elsewhere')
    }
    return own.length > 0
  })
}

/** Proofs against the authorities that signed both of two different documents of one epoch. */
export function equivocation (suite: Suite, a: SignedDocument, b: SignedDocument, authorities: readonly Uint8Array[]): EquivocationProof[] {
  const [ofA, ofB] = [statements(suite, a), statements(suite, b)]
  return authorities.flatMap(authority => {
    const by = (said: SignedStatement[]): SignedStatement | undefined => said.find(one => equal(one.authority, authority) && isSigned(suite, one))
    const [first, second] = [by(ofA), by(ofB)]
    return first !== undefined && second !== undefined && contradict(first, second) ? [{ first, second }] : []
  })
}

/** What its signatures say, unverified. */
function statements (suite: Suite, { document, signatures }: SignedDocument): SignedStatement[] {
  const statement = documentStatement(document.network, document.epoch, documentHash(suite, document))
  return signatures.map(entry => ({ statement, ...entry }))
}

/** The earliest `published` of a node in the document of an epoch. */
export function earliestListed (parameters: Parameters, epoch: number): Millis {
  return epochStart(parameters, epoch - EPOCHS_LISTED) - parameters.clockSkew
}

/** What every descriptor in the document of an epoch keeps to. */
export function descriptorRules (network: string, parameters: Parameters, epoch: number): DescriptorRules {
  return { network, latest: epochStart(parameters, epoch + 1), earliest: earliestListed(parameters, epoch) }
}

/** Has it a mix key of the epoch, or is it a service that needs none? */
export function hasKey ({ role, mixKeys }: Descriptor, epoch: number): boolean {
  return (role === 'service' && mixKeys.length === 0) || mixKeys.some(key => key.epoch === epoch)
}

/** @throws document-parameters (peer), saying which */
export function checkParameters (parameters: Parameters): void {
  const { pathLength, packetSize, requestLimit, meanDelay, epochLength, epochGrace, clockSkew } = parameters
  const wrong =
    pathLength < 3 || pathLength > 5
      ? 'pathLength must be 3 to 5'
      : meanDelay < 1 // a delay of 0 marks the last hop
        ? 'meanDelay must be at least 1 ms'
        : epochLength < 1 || epochGrace > epochLength || clockSkew > epochGrace
          ? 'clockSkew ≤ epochGrace ≤ epochLength is wanted'
          : LIMITS.find(name => parameters[name] < 1) ?? (carriesRequests(packetSize, requestLimit)
            ? undefined
            : `packets of ${packetSize} bytes cannot carry requests and answers of up to ${requestLimit} bytes`) ??
            wrongStrategy(parameters) ?? wrongCover(parameters)
  if (wrong !== undefined) throw refuse('parameters', `the parameters cannot be used: ${wrong}`)
}

/** Why this strategy would not mix, or not let packets through in time. */
function wrongStrategy ({ strategy, pathLength, meanDelay, cover, epochGrace, queueLimit }: Parameters): string | undefined {
  // A path is taken while its keys live: for a grace after their epoch. `most`: how long a mix keeps packets, on average at most.
  const hurries = (most: Millis, named: string): string | undefined => most * (pathLength - 1) <= epochGrace
    ? undefined
    : `${named} on ${pathLength - 1} hops is more than epochGrace: packets would be on their way until their keys are gone`
  switch (strategy.kind) {
    case 'poisson': return hurries(meanDelay, 'meanDelay')
    case 'threshold':
      if (strategy.batch < 2) return 'a batch of less than 2 packets hides nothing'
      if (strategy.batch > queueLimit) return 'the batch is larger than queueLimit, so none would ever be full'
      return cover.loop < 1 ? 'threshold without cover.loop: without cover traffic a batch may never be full, and what is in it never leaves' : undefined
    case 'timed': return strategy.interval < 1 ? 'interval must be at least 1 ms' : hurries(strategy.interval, 'interval')
    case 'pool':
      if (strategy.interval < 1) return 'interval must be at least 1 ms'
      if (strategy.pool < 1 || strategy.pool >= strategy.threshold) return '1 ≤ pool < threshold is wanted'
      return strategy.threshold > queueLimit ? 'threshold is larger than queueLimit, so it would never be reached' : hurries(2 * strategy.interval, 'twice the interval')
  }
}

const SLOWEST_COVER: Millis = 60_000

/** Why this cover would hide nothing, or leave no room for what it is to hide. */
function wrongCover ({ cover: { send, echoes, pace, loop } }: Parameters): string | undefined {
  if (Math.max(send, pace, loop) > SLOWEST_COVER) return 'cover.send, pace and loop of more than a minute: requests would take hours, and losses would never be seen'
  // Else echoes alone, or nearly, would fill what a gateway sends down.
  return send > 0 && echoes * pace > MOST_ECHOES * send ? 'more than half of what a wallet is sent would be echoes: less cover.echoes or cover.pace, or more cover.send' : undefined
}

const MOST_ECHOES = 500
const LIMITS = ['queueLimit', 'replayLimit', 'requestLimit', 'surbsPerPacket', 'answerKept'] as const

function checkSigned (suite: Suite, signed: SignedDocument, trust: Trust): void {
  const { document } = signed
  if (document.network !== trust.network) {
    throw refuse('network', `this document is for the network ${document.network}, not ${trust.network}`)
  }
  checkQuorum(suite, signed, trustAt(trust, document.epoch).authorities)
  checkParameters(document.parameters)
  const { epoch, parameters, validFrom, validUntil } = document
  if (validFrom !== epochStart(parameters, epoch) || validUntil !== epochStart(parameters, epoch + 1)) {
    throw refuse('times', 'validFrom and validUntil are not those of its epoch')
  }
}

function checkQuorum (suite: Suite, signed: SignedDocument, authorities: readonly Uint8Array[]): void {
  if (authorities.some((key, i) => authorities.findIndex(other => equal(other, key)) < i)) {
    throw new MixmintError('trust-duplicate', 'operator', 'an authority is configured twice: its signature would count twice')
  }
  const wanted = quorum(authorities.length)
  const found = signers(suite, signed, authorities).length
  if (authorities.length === 0 || found < wanted) {
    throw refuse('quorum', `${found} of ${authorities.length} authorities signed it, ${wanted} are wanted`)
  }
}

function checkValidity (document: Document, now: Millis, ahead: boolean): void {
  const { epoch, parameters, validFrom, validUntil } = document
  if (now < validFrom - parameters.clockSkew - (ahead ? lead(parameters) : 0)) {
    throw new MixmintError('document-too-early', 'caller',
      `the document begins ${Math.ceil((validFrom - now) / 1000)} s in the future: set this machine's clock`, { retry: true })
  }
  if (now > epochEnd(parameters, epoch)) {
    throw new MixmintError('document-expired', 'peer',
      `the document ended ${Math.ceil((now - validUntil) / 1000)} s ago: fetch a newer one, and check this machine's clock`, { retry: true })
  }
}

function checkNodes (suite: Suite, document: Document): void {
  const { network, epoch, parameters, nodes } = document
  const rules = descriptorRules(network, parameters, epoch)
  nodes.forEach(({ layer, signed }, i) => {
    const { peer, role } = signed.descriptor
    if (i > 0 && compare(nodes[i - 1].signed.descriptor.peer, peer) >= 0) throw refuse('order', 'nodes go by peer id, each listed once')
    const inPlace = role === 'gateway'
      ? layer === GATEWAY_LAYER
      : role === 'service' ? layer === SERVICE_LAYER : layer >= 1 && layer <= parameters.pathLength - 2
    if (!inPlace) throw refuse('layer', `a ${role} cannot be in layer ${layer}`)
    if (!hasKey(signed.descriptor, epoch)) throw refuse('key-missing', 'a node has no mix key of this epoch')
    verifyDescriptor(suite, signed, rules)
  })
}

function refuse (what: string, why: string): MixmintError {
  return new MixmintError(`document-${what}`, 'peer', why)
}
