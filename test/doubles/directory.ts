/** A small network in the directory's terms: nodes with real identities, whose descriptors a test can bend. */
import { createHash } from 'node:crypto'
import { concat, u32, utf8 } from '@mixmint/core/kit/bytes'
import type { Millis } from '@mixmint/core/kit/ports'
import type { Ed25519KeyPair, Suite } from '@mixmint/core/crypto/suite'
import type { Admission } from '@mixmint/mixnet/directory/register'
import { peerIdOf, signDescriptor } from '@mixmint/mixnet/directory/descriptor'
import { addSignatures, buildDocument, signDocument } from '@mixmint/mixnet/directory/document'
import type { Descriptor, Document, Parameters, SignedDescriptor, SignedDocument } from '@mixmint/mixnet/directory/formats'
import { profile } from '@mixmint/mixnet/directory/profiles'

export const NETWORK = 'mixmint-test'
export const EPOCH = 1_400_000
export const PARAMETERS: Parameters = { ...profile('demo', new Uint8Array(0)), epochLength: 1_200_000, epochGrace: 120_000, clockSkew: 5_000 }
/** The beginning of EPOCH. */
export const START: Millis = EPOCH * PARAMETERS.epochLength

export interface TestNode { readonly secret: Uint8Array, readonly peer: Uint8Array, readonly name: string }

export function seed (name: string, n = 0): Uint8Array {
  return new Uint8Array(createHash('sha256').update(concat(utf8(name), u32(n))).digest())
}

export function testNode (name: string): TestNode {
  const secret = seed(name)
  return { secret, peer: peerIdOf(secret), name }
}

/** By default a mix with keys of EPOCH and the two after. */
export function describe (suite: Suite, node: TestNode, change: Partial<Descriptor> = {}): Descriptor {
  return {
    network: NETWORK,
    role: 'mix',
    peer: node.peer,
    addresses: ['/ip4/127.0.0.1/tcp/4001'],
    entry: [],
    mixKeys: keysOf(suite, node, EPOCH),
    kind: '',
    body: new Uint8Array(0),
    published: START - 1000,
    ...change
  }
}

export function signed (suite: Suite, node: TestNode, change: Partial<Descriptor> = {}): SignedDescriptor {
  return signDescriptor(node.secret, describe(suite, node, change))
}

/** A node and what makes its descriptor that of its role. */
export interface Placed { readonly node: TestNode, readonly layer: number, readonly change: Partial<Descriptor> }

/** Two gateways, `perLayer` mixes for each layer, a bank reached through the mixnet and a center that is not. */
export function testNetwork (perLayer = 2, pathLength = 5): Placed[] {
  const mixes = Array.from({ length: perLayer * (pathLength - 2) }, (_, i) => ({ node: testNode(`mix ${i}`), layer: 1 + i % (pathLength - 2), change: {} }))
  return [
    ...['gateway 0', 'gateway 1'].map(name => ({ node: testNode(name), layer: 0, change: { role: 'gateway' as const, entry: ['/ip4/127.0.0.1/tcp/4002', '/ip4/127.0.0.1/tcp/4003/ws'] } })),
    ...mixes,
    { node: testNode('bank'), layer: 255, change: { role: 'service', kind: 'bank', body: utf8('listing') } },
    { node: testNode('center'), layer: 255, change: { role: 'service', kind: 'center', mixKeys: [] } }
  ]
}

export function admissionOf ({ node, change }: Placed, layer?: number): Admission {
  return { peer: node.peer, role: change.role ?? 'mix', kind: change.kind ?? '', ...(layer === undefined ? {} : { layer }) }
}

export function testDocument (suite: Suite, nodes: readonly Placed[], change: Partial<Document> = {}): Document {
  const epoch = change.epoch ?? EPOCH
  const published = epoch * PARAMETERS.epochLength - 1000
  const document = buildDocument(NETWORK, epoch, change.parameters ?? PARAMETERS, nodes.map(({ node, layer, change: own }) => ({
    layer,
    signed: signed(suite, node, { published, mixKeys: keysOf(suite, node, epoch), ...own })
  })))
  return { ...document, ...change }
}

/** Keys of this epoch and the two after. */
export function keysOf (suite: Suite, node: TestNode, epoch: number): Descriptor['mixKeys'] {
  return [0, 1, 2].map(i => ({ epoch: epoch + i, key: suite.x25519Base(seed(node.name, epoch + i)) }))
}

export function authorityKeys (suite: Suite, n: number): Ed25519KeyPair[] {
  return Array.from({ length: n }, (_, i) => suite.ed25519KeyPair(seed('authority', i)))
}

export function signedBy (suite: Suite, document: Document, keys: readonly Ed25519KeyPair[]): SignedDocument {
  return addSignatures({ document, signatures: [] }, keys.flatMap(key => signDocument(suite, key, document).signatures))
}
