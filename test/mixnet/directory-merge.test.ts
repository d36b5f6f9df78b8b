/** Votes, and the document that they make. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compare, equal, toHex, utf8 } from '@mixmint/core/kit/bytes'
import { encode } from '@mixmint/core/kit/codec'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import { documentHash, signDocument } from '@mixmint/mixnet/directory/document'
import { Document, type SignedDescriptor } from '@mixmint/mixnet/directory/formats'
import { isUsable, mergeVotes, type CheckService, type MergeRules } from '@mixmint/mixnet/directory/merge'
import { descriptorHash, differingParameters, holdVote, makeVote, voteHash, type HeldVote, type NamedDocument } from '@mixmint/mixnet/directory/vote'
import { codeOf } from '../doubles/code.ts'
import { authorityKeys, EPOCH, keysOf, NETWORK, PARAMETERS, signed, START, testDocument, testNetwork, testNode, type Placed } from '../doubles/directory.ts'

const suite = await defaultSuite()
const nodes = testNetwork(1)
const [gateway] = nodes
const bank = nodes.find(({ change }) => change.kind === 'bank') as Placed
const [key] = authorityKeys(suite, 1)
const rules: MergeRules = { network: NETWORK, epoch: EPOCH, parameters: PARAMETERS }
const BEFORE = START - 1000
const made = new Map<string, SignedDescriptor>()

function sign ({ node, change }: Placed, published = BEFORE, more: Placed['change'] = {}): SignedDescriptor {
  const name = JSON.stringify([node.name, published, change, more])
  const known = made.get(name) ?? signed(suite, node, { ...change, published, ...more })
  made.set(name, known)
  return known
}

/** The vote of one that would list these. */
function vote (listed: readonly SignedDescriptor[], { previous = null, layers = new Map<string, number>() }: { previous?: NamedDocument | null, layers?: Map<string, number> } = {}): HeldVote {
  const named = previous === null ? null : { epoch: previous.signed.document.epoch, document: previous.hash }
  const body = makeVote(suite, PARAMETERS, named, listed.map(each => ({ signed: each, layer: layers.get(toHex(each.descriptor.peer)) ?? 0 })))
  return holdVote(suite, EPOCH, body, new Map(listed.map(each => [toHex(descriptorHash(suite, each)), each])), previous)
}

function documentOf (epoch: number, which: readonly Placed[]): NamedDocument {
  const document = testDocument(suite, which, { epoch })
  return { signed: signDocument(suite, key, document), hash: documentHash(suite, document) }
}

const all = nodes.map(node => sign(node))
const listed = (document: Document): string[] => document.nodes.map(({ signed: { descriptor } }) => toHex(descriptor.peer))
const found = (document: Document, node: Placed): SignedDescriptor | undefined => document.nodes.find(each => equal(each.signed.descriptor.peer, node.node.peer))?.signed
const without = (...left: Placed[]): SignedDescriptor[] => nodes.filter(node => !left.includes(node)).map(node => sign(node))

describe('a document made of votes', () => {
  it('has the same bytes whatever the order of votes', () => {
    const older = documentOf(EPOCH - 1, nodes)
    const votes = [
      vote(all, { previous: older }), vote(without(bank), { previous: documentOf(EPOCH - 2, nodes.slice(0, 4)) }),
      vote([...without(gateway), sign(gateway, BEFORE + 5)]), vote(all.slice(0, 3)), vote([...without(bank), sign(bank, BEFORE, { body: utf8('other') })])
    ]
    const bytes = encode(Document, mergeVotes(suite, rules, votes))
    fc.assert(fc.property(fc.shuffledSubarray(votes, { minLength: votes.length }), shuffled => {
      expect(encode(Document, mergeVotes(suite, rules, shuffled))).toEqual(bytes)
    }), { numRuns: 20 })
  })

  it('lists who stands in more than half of them, in one role', () => {
    expect(listed(mergeVotes(suite, rules, [vote(all), vote(all), vote(without(gateway))]))).toContain(toHex(gateway.node.peer))
    expect(listed(mergeVotes(suite, rules, [vote(all), vote(without(gateway)), vote(without(gateway))]))).not.toContain(toHex(gateway.node.peer))
    expect(listed(mergeVotes(suite, rules, [vote(all), vote(without(gateway))]))).not.toContain(toHex(gateway.node.peer))
    const asMix = sign({ ...gateway, change: { role: 'mix' } })
    expect(listed(mergeVotes(suite, rules, [vote(all), vote([...without(gateway), asMix])]))).not.toContain(toHex(gateway.node.peer))
    const mixed = mergeVotes(suite, rules, [vote([...without(gateway), asMix]), vote([...without(gateway), asMix]), vote(all)])
    expect(found(mixed, gateway)?.descriptor.role).toBe('mix')
  })

  it('has the newest descriptor of a node that any of them has; of two of one time, the same for all', () => {
    const newer = sign(gateway, BEFORE + 5)
    expect(found(mergeVotes(suite, rules, [vote(all), vote(all), vote([...without(gateway), newer])]), gateway)).toEqual(newer)
    const twins = [sign(gateway, BEFORE, { addresses: ['/ip4/127.0.0.1/tcp/1'] }), sign(gateway)].sort((a, b) => compare(descriptorHash(suite, a), descriptorHash(suite, b)))
    for (const order of [twins, twins.toReversed()]) {
      expect(found(mergeVotes(suite, rules, order.map(each => vote([...without(gateway), each]))), gateway)).toEqual(twins[0])
    }
  })

  it('does not count what does not hold in this epoch', () => {
    const [first] = without()
    const forged = { ...sign(gateway, BEFORE + 5), signature: first.signature }
    const bent = [
      forged, sign(gateway, START + PARAMETERS.epochLength + 1), sign(gateway, START - 3 * PARAMETERS.epochLength),
      sign(gateway, BEFORE, { mixKeys: keysOf(suite, gateway.node, EPOCH + 1) }), sign(gateway, BEFORE, { network: 'other' })
    ]
    for (const each of bent) {
      expect(found(mergeVotes(suite, rules, [vote(all), vote(all), vote([...without(gateway), each])]), gateway)).toEqual(sign(gateway))
      expect(found(mergeVotes(suite, rules, [vote(all), vote([...without(gateway), each]), vote(without(gateway))]), gateway)).toBeUndefined()
    }
  })

  it('puts mixes where they were, or where more than half want them', () => {
    const mixes = nodes.filter(({ layer }) => layer > 0 && layer < 255)
    const moved = nodes.map(node => ({ ...node, layer: mixes.includes(node) ? 4 - node.layer : node.layer }))
    const [previous, stale] = [documentOf(EPOCH - 1, moved), documentOf(EPOCH - 2, nodes)]
    const layer = (document: Document, node: Placed): number | undefined => document.nodes.find(each => equal(each.signed.descriptor.peer, node.node.peer))?.layer
    // The newest document that one of them goes on from.
    const kept = mergeVotes(suite, rules, [vote(all, { previous: stale }), vote(all, { previous }), vote(all)])
    for (const mix of mixes) expect(layer(kept, mix)).toBe(4 - mix.layer)
    const wish = (wanted: number): Map<string, number> => new Map([[toHex(mixes[0].node.peer), wanted]])
    expect(layer(mergeVotes(suite, rules, [vote(all, { layers: wish(2) }), vote(all, { layers: wish(2) }), vote(all, { previous })]), mixes[0])).toBe(2)
    expect(layer(mergeVotes(suite, rules, [vote(all, { layers: wish(2) }), vote(all, { layers: wish(1) }), vote(all, { previous })]), mixes[0])).toBe(3)
  })

  it('verifies descriptors only of those who may be listed', () => {
    const crowd = Array.from({ length: 5 }, (_, i) => sign({ node: testNode(`crowd ${i}`), layer: 1, change: {} }))
    const looked = new Map<string, boolean>()
    mergeVotes(suite, rules, [vote(all), vote(all), vote([...all, ...crowd])], looked)
    expect(looked.size).toBe(all.length)
  })

  it('is usable with a gateway and a mix in each layer', () => {
    const document = mergeVotes(suite, rules, [vote(all)])
    expect(isUsable(document)).toBe(true)
    for (const layer of [0, 1, 2, 3]) expect(isUsable({ ...document, nodes: document.nodes.filter(node => node.layer !== layer) })).toBe(false)
    expect(isUsable({ ...document, nodes: document.nodes.filter(node => node.layer !== 255) })).toBe(true)
  })
})

describe('services', () => {
  /** One of a body; and nothing that was `fixed` changes. */
  const checkService: CheckService = (_kind, body, others, { peer, before }) =>
    others.some(other => equal(other.body, body)) ? 'taken' : before.some(was => equal(was.peer, peer) && equal(was.body, utf8('fixed'))) && !equal(body, utf8('fixed')) ? 'changed' : null
  const strict = { ...rules, checkService }
  const [one, two] = ['rival 1', 'rival 2'].map(name => ({ node: testNode(name), layer: 255, change: { role: 'service' as const, kind: 'bank', body: utf8('same') } }))
    .sort((a, b) => compare(a.node.peer, b.node.peer))

  it('that cannot both be there are taken in order of their ids, those of the previous document first', () => {
    const both = [...without(bank), sign(one), sign(two)]
    expect([one, two].map(node => found(mergeVotes(suite, strict, [vote(both)]), node) !== undefined)).toEqual([true, false])
    const previous = documentOf(EPOCH - 1, [...nodes.filter(node => node !== bank), two])
    expect([one, two].map(node => found(mergeVotes(suite, strict, [vote(both, { previous })]), node) !== undefined)).toEqual([false, true])
  })

  it('whose newest listing breaks a rule stay with an older one, or go', () => {
    const fixed = { ...bank, change: { ...bank.change, body: utf8('fixed') } }
    const previous = documentOf(EPOCH - 1, [...nodes.filter(node => node !== bank), fixed])
    const [right, wrong] = [sign(fixed), sign(bank, BEFORE + 5, { body: utf8('another') })]
    const votes = [vote([...without(bank), right], { previous }), vote([...without(bank), wrong], { previous })]
    expect(found(mergeVotes(suite, strict, votes), bank)).toEqual(right)
    expect(found(mergeVotes(suite, strict, [votes[1], votes[1]]), bank)).toBeUndefined()
    expect(found(mergeVotes(suite, rules, votes), bank)).toEqual(wrong)
  })

  it('are judged as of the end of the epoch', () => {
    const asked: unknown[] = []
    mergeVotes(suite, { ...rules, checkService: (kind, _body, _others, { now }) => { asked.push([kind, now]); return null } }, [vote(all)])
    expect(asked).toHaveLength(2)
    expect(asked).toContainEqual(['bank', START + PARAMETERS.epochLength])
  })
})

describe('a vote', () => {
  const previous = documentOf(EPOCH - 1, nodes)
  const body = makeVote(suite, PARAMETERS, { epoch: EPOCH - 1, document: previous.hash }, all.map(each => ({ signed: each, layer: 0 })))
  const descriptors = new Map(all.map(each => [toHex(descriptorHash(suite, each)), each]))
  const hold = (given = body, known = descriptors, document: NamedDocument | null = previous): string => codeOf(() => holdVote(suite, EPOCH, given, known, document))

  it('is the same whatever the order of the nodes', () => {
    const again = makeVote(suite, PARAMETERS, body.previous, all.toReversed().map(each => ({ signed: each, layer: 0 })))
    expect(voteHash(suite, again)).toEqual(voteHash(suite, body))
    expect(hold()).toBe('accepted')
  })

  it('is refused when it is out of order, names what is not at hand, or lists a peer twice', () => {
    expect(hold({ ...body, nodes: body.nodes.toReversed() })).toBe('vote-order')
    expect(hold({ ...body, nodes: [body.nodes[0], ...body.nodes] })).toBe('vote-order')
    expect(hold(body, new Map([...descriptors].slice(1)))).toBe('vote-incomplete')
    expect(hold(body, descriptors, null)).toBe('vote-previous')
    expect(hold(body, descriptors, documentOf(EPOCH - 1, nodes.slice(1)))).toBe('vote-previous')
    const later = documentOf(EPOCH, nodes)
    expect(hold({ ...body, previous: { epoch: EPOCH, document: later.hash } }, descriptors, later)).toBe('vote-previous')
    const twice = [...all, sign({ ...gateway, change: { role: 'mix' } })]
    const double = makeVote(suite, PARAMETERS, null, twice.map(each => ({ signed: each, layer: 0 })))
    expect(hold(double, new Map(twice.map(each => [toHex(descriptorHash(suite, each)), each])))).toBe('vote-twice')
  })

  it('lists no more than a document can hold', () => {
    const large = ['a', 'b', 'c', 'd', 'e'].map(name => sign({ node: testNode(`large ${name}`), layer: 255, change: { role: 'service', kind: 'bank', body: new Uint8Array(1 << 18) } }))
    expect(codeOf(() => makeVote(suite, PARAMETERS, null, large.map(each => ({ signed: each, layer: 0 }))))).toBe('document-too-large')
    const nodesOf = large.map(each => ({ descriptor: descriptorHash(suite, each), layer: 0 })).sort((a, b) => compare(a.descriptor, b.descriptor))
    expect(hold({ parameters: PARAMETERS, previous: null, nodes: nodesOf }, new Map(large.map(each => [toHex(descriptorHash(suite, each)), each])))).toBe('vote-too-large')
  })

  it('tells which parameters differ', () => {
    expect(differingParameters(PARAMETERS, PARAMETERS)).toEqual([])
    expect(differingParameters(PARAMETERS, { ...PARAMETERS, cover: { ...PARAMETERS.cover, send: 1 }, services: utf8('x'), clockSkew: 1 })).toEqual(['cover', 'clockSkew', 'services'])
  })
})
