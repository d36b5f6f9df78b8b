/**
 * Votes become a document (DESIGN §3). Deterministic: the same votes in any order make the same bytes at every authority,
 * whatever its own list, clock and store say. A vote is about a peer in a role; which descriptor of it counts is then the
 * same question for all.
 *
 *   listed        who stands in more than half of the votes. A quorum of n has more than 2f votes, so whoever all honest
 *                 authorities list is listed, and nobody whom only f do.
 *   descriptor    the newest that holds (of two of one time the one with the smaller hash), from any of the votes: the
 *                 node has signed it.
 *   services      must keep the network's rules side by side, and against what the previous document lists. Those that
 *                 it lists come first; one whose newest descriptor breaks a rule stays with an older one, or goes. As of
 *                 the end of the epoch: what ends within it may be missing already.
 *   layers        those of the previous document where they can stay (layers.ts), or what more than half of the votes want
 *   previous      the newest that one of the votes goes on from
 */
import { compare, equal, toHex } from '@mixmint/core/kit/bytes'
import type { Millis } from '@mixmint/core/kit/ports'
import type { Suite } from '@mixmint/core/crypto/suite'
import { verifyDescriptor } from './descriptor.ts'
import { buildDocument, descriptorRules, GATEWAY_LAYER, hasKey, SERVICE_LAYER } from './document.ts'
import { epochStart } from './epoch.ts'
import type { Descriptor, Document, Parameters, SignedDescriptor } from './formats.ts'
import { assignLayers } from './layers.ts'
import type { HeldVote } from './vote.ts'

/** What a service published. */
export interface ListedService { readonly peer: Uint8Array, readonly kind: string, readonly body: Uint8Array }

/**
 * The rules of what services may publish. It must look at nothing but its arguments: authorities apply it to the same
 * things and have to come to the same answer. Called before a descriptor is taken, and when votes are merged.
 * @param others what other services publish
 * @param context.before what services had published before, this one and others: in the previous document, or as far as it was taken
 * @returns null, or the kebab-case code to refuse it with
 */
export type CheckService = (kind: string, body: Uint8Array, others: readonly ListedService[], context: {
  readonly peer: Uint8Array, readonly before: readonly ListedService[], readonly now: Millis
}) => string | null

export interface MergeRules {
  readonly network: string
  readonly epoch: number
  readonly parameters: Parameters
  readonly checkService?: CheckService
}

/** Someone who may be listed. */
interface Candidate {
  votes: number
  /** Votes for each layer; 0: for any. */
  readonly layers: Map<number, number>
  /** By hash in hexadecimal; those that hold. */
  readonly descriptors: Map<string, SignedDescriptor>
}

/**
 * @param votes of different authorities, at least one
 * @param listable which descriptors may be listed in this epoch, by hash in hexadecimal, as far as it was looked at: it is
 *   the dear part, and votes name the same ones
 */
export function mergeVotes (suite: Suite, rules: MergeRules, votes: readonly HeldVote[], listable = new Map<string, boolean>()): Document {
  const { network, epoch, parameters } = rules
  const previous = votes.map(vote => vote.previous?.document)
    .reduce((newest, document) => document !== undefined && (newest === undefined || document.epoch > newest.epoch) ? document : newest, undefined)
  const candidates = countVotes(suite, rules, votes, listable).map(({ layers, descriptors }) => ({ layers, descriptors: newestFirst(descriptors) }))
  const relays = candidates.filter(({ descriptors: [{ descriptor }] }) => descriptor.role !== 'service')
  const services = chooseServices(rules, previous, candidates.map(({ descriptors }) => descriptors).filter(([{ descriptor }]) => descriptor.role === 'service'))
  const layers = assignLayers(
    relays.filter(({ descriptors: [{ descriptor }] }) => descriptor.role === 'mix')
      .map(({ layers: wanted, descriptors: [{ descriptor: { peer } }] }) => ({ peer, fixed: majority(wanted, votes.length) })),
    layersOf(previous), parameters.pathLength - 2)
  return buildDocument(network, epoch, parameters, [
    ...relays.map(({ descriptors: [signed] }) => ({ layer: layers.get(toHex(signed.descriptor.peer)) ?? GATEWAY_LAYER, signed })),
    ...services.map(signed => ({ layer: SERVICE_LAYER, signed }))
  ])
}

/** A document without a path through it would only use up the epoch. */
export function isUsable ({ parameters, nodes }: Pick<Document, 'parameters'> & { nodes: ReadonlyArray<{ layer: number }> }): boolean {
  return Array.from({ length: parameters.pathLength - 1 }, (_, layer) => layer).every(layer => nodes.some(node => node.layer === layer))
}

/** May this descriptor stand in the document? Depends on nothing but the two. */
function isListable (suite: Suite, rules: MergeRules, signed: SignedDescriptor): boolean {
  try {
    verifyDescriptor(suite, signed, descriptorRules(rules.network, rules.parameters, rules.epoch))
    return hasKey(signed.descriptor, rules.epoch)
  } catch {
    return false
  }
}

/** Those who stand in more than half of the votes. Only their descriptors are verified: a crowd in one vote costs little. */
function countVotes (suite: Suite, rules: MergeRules, votes: readonly HeldVote[], listable: Map<string, boolean>): Candidate[] {
  const half = votes.length / 2
  const listed = votes.flatMap(vote => vote.nodes).map(node => ({ ...node, id: toHex(node.hash), name: nameOf(node.signed.descriptor) }))
  const named = new Map<string, number>()
  for (const { name } of listed) named.set(name, (named.get(name) ?? 0) + 1)
  const candidates = new Map<string, Candidate>()
  for (const { name, id, signed, layer } of listed) {
    if ((named.get(name) ?? 0) <= half) continue
    const holds = listable.get(id) ?? isListable(suite, rules, signed)
    listable.set(id, holds)
    if (!holds) continue
    const candidate = candidates.get(name) ?? { votes: 0, layers: new Map<number, number>(), descriptors: new Map<string, SignedDescriptor>() }
    candidates.set(name, candidate)
    candidate.votes += 1
    candidate.layers.set(layer, (candidate.layers.get(layer) ?? 0) + 1)
    candidate.descriptors.set(id, signed)
  }
  return [...candidates.values()].filter(candidate => candidate.votes > half)
}

/** A peer in one role. A vote lists a peer once, so only one of its roles can have more than half of the votes. */
function nameOf ({ peer, role, kind }: Descriptor): string {
  return `${toHex(peer)} ${role} ${kind}`
}

function newestFirst (descriptors: ReadonlyMap<string, SignedDescriptor>): SignedDescriptor[] {
  return [...descriptors].sort(([idA, a], [idB, b]) => b.descriptor.published - a.descriptor.published || (idA < idB ? -1 : 1)).map(([, signed]) => signed)
}

/** The layer that more than half of so many votes want, if they want one. */
function majority (wanted: ReadonlyMap<number, number>, votes: number): number | undefined {
  return [...wanted].find(([layer, count]) => layer > 0 && count > votes / 2)?.[0]
}

/** @param candidates descriptors of one service each, in order of preference */
function chooseServices ({ epoch, parameters, checkService }: MergeRules, previous: Document | undefined, candidates: readonly SignedDescriptor[][]): SignedDescriptor[] {
  const before = previous?.nodes.map(({ signed: { descriptor } }) => descriptor).filter(({ role }) => role === 'service') ?? []
  const isNew = ([{ descriptor }]: readonly SignedDescriptor[]): boolean => !before.some(({ peer, kind }) => equal(peer, descriptor.peer) && kind === descriptor.kind)
  const inOrder = candidates.toSorted((a, b) => Number(isNew(a)) - Number(isNew(b)) || compare(a[0].descriptor.peer, b[0].descriptor.peer))
  const chosen: SignedDescriptor[] = []
  for (const descriptors of inOrder) {
    const others = chosen.map(({ descriptor }) => descriptor)
    const first = descriptors.find(({ descriptor: { peer, kind, body } }) =>
      (checkService?.(kind, body, others, { peer, before, now: epochStart(parameters, epoch + 1) }) ?? null) === null)
    if (first !== undefined) chosen.push(first)
  }
  return chosen
}

function layersOf (document: Document | undefined): Map<string, number> {
  return new Map(document?.nodes.filter(({ signed }) => signed.descriptor.role === 'mix')
    .map(({ layer, signed }) => [toHex(signed.descriptor.peer), layer]))
}
