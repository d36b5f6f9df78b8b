/**
 * Votes (DESIGN §3): the nodes that one authority would list in an epoch, by hash, so that a vote is short; descriptors are
 * fetched once, from whoever showed the vote. The epoch, the author, and which revision it is stand in the statement that
 * signs it (statement.ts).
 */
import { compare, equal, toHex } from '@mixmint/core/kit/bytes'
import { bytes, encode, list, nullable, record, tagged, uint, type Codec, type Of } from '@mixmint/core/kit/codec'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Suite } from '@mixmint/core/crypto/suite'
import { DOCUMENT_LIMIT } from './document.ts'
import { Parameters, SignedDescriptor, type SignedDocument } from './formats.ts'

const hash = bytes(32)

export const Vote = record({
  /** As this authority is configured: those of all must be alike. */
  parameters: Parameters,
  /** The newest document before this epoch that it holds: layers and listings go on from there. */
  previous: nullable(record({ epoch: uint(), document: hash })),
  /** In order of hash. `layer`: where its operator wants this mix, or 0. */
  nodes: list(record({ descriptor: hash, layer: uint(255) }), 8192)
})
export type Vote = Of<typeof Vote>

/** A document with its hash. */
export interface NamedDocument { readonly signed: SignedDocument, readonly hash: Uint8Array }

/** A vote of which everything that it names is at hand. */
export interface HeldVote {
  readonly vote: Vote
  readonly hash: Uint8Array
  readonly nodes: ReadonlyArray<{ readonly hash: Uint8Array, readonly signed: SignedDescriptor, readonly layer: number }>
  readonly previous: SignedDocument | null
}

/** An authority changes its vote at most this often, and only while the votes make no document: so many can be kept. */
export const REVISIONS = 8

export function voteHash (suite: Suite, vote: Vote): Uint8Array {
  return suite.sha256(tagged('directory-vote', encode(Vote, vote)))
}

/** Names a descriptor with its signature. */
export function descriptorHash (suite: Suite, signed: SignedDescriptor): Uint8Array {
  return suite.sha256(tagged('directory-listed', encode(SignedDescriptor, signed)))
}

/**
 * @param nodes in any order
 * @throws document-too-large (operator)
 */
export function makeVote (
  suite: Suite, parameters: Parameters, previous: { readonly epoch: number, readonly document: Uint8Array } | null,
  nodes: ReadonlyArray<{ readonly signed: SignedDescriptor, readonly layer: number }>
): Vote {
  if (sizeOf(nodes.map(({ signed }) => signed)) > DOCUMENT_LIMIT) {
    throw new MixmintError('document-too-large', 'operator', `the document would exceed ${DOCUMENT_LIMIT} bytes: admit fewer nodes`)
  }
  return {
    parameters,
    previous,
    nodes: nodes.map(({ signed, layer }) => ({ descriptor: descriptorHash(suite, signed), layer })).sort((a, b) => compare(a.descriptor, b.descriptor))
  }
}

/**
 * Join a vote with what it names. Whether descriptors hold is for the merge to see: a liar may list as many as it likes.
 * @param descriptors by hash in hexadecimal
 * @throws vote-order, vote-incomplete, vote-twice, vote-too-large, vote-previous (peer)
 */
export function holdVote (
  suite: Suite, epoch: number, vote: Vote, descriptors: ReadonlyMap<string, SignedDescriptor>, previous: NamedDocument | null
): HeldVote {
  if (vote.nodes.some(({ descriptor }, i) => i > 0 && compare(vote.nodes[i - 1].descriptor, descriptor) >= 0)) {
    throw refuse('order', 'its nodes go by hash, each once')
  }
  if (vote.previous !== null && (vote.previous.epoch >= epoch || previous === null || !equal(previous.hash, vote.previous.document))) {
    throw refuse('previous', 'the document that it goes on from is not at hand, or not an earlier one')
  }
  const nodes = vote.nodes.map(({ descriptor, layer }) => {
    const signed = descriptors.get(toHex(descriptor))
    if (signed === undefined) throw refuse('incomplete', 'a descriptor that it lists is missing')
    return { hash: descriptor, signed, layer }
  })
  if (new Set(nodes.map(({ signed }) => toHex(signed.descriptor.peer))).size < nodes.length) throw refuse('twice', 'it lists a peer twice')
  if (sizeOf(nodes.map(({ signed }) => signed)) > DOCUMENT_LIMIT) throw refuse('too-large', 'it lists more than a document can hold')
  return { vote, hash: voteHash(suite, vote), nodes, previous: vote.previous === null ? null : previous?.signed ?? null }
}

export function isSameVote (a: Vote, b: Vote): boolean {
  return equal(encode(Vote, a), encode(Vote, b))
}

/** The names of the parameters in which two differ. */
export function differingParameters (a: Parameters, b: Parameters): string[] {
  const names = Object.keys(Parameters.fields) as Array<keyof Parameters>
  const encoded = (name: keyof Parameters, value: unknown): Uint8Array => encode(Parameters.fields[name] as unknown as Codec<unknown>, value)
  return names.filter(name => !equal(encoded(name, a[name]), encoded(name, b[name])))
}

/** Bytes, encoded. */
function sizeOf (descriptors: readonly SignedDescriptor[]): number {
  return descriptors.reduce((sum, signed) => sum + encode(SignedDescriptor, signed).length, 0)
}

function refuse (what: string, why: string): MixmintError {
  return new MixmintError(`vote-${what}`, 'peer', `this vote cannot be counted: ${why}`)
}
