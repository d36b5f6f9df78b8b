/**
 * The formats of the directory (DESIGN §3): what nodes publish, and the document that authorities sign. Times in Unix
 * milliseconds, durations in ms. What a service publishes about itself is opaque here (`body`); its own code reads it.
 */
import { bytes, list, oneOf, record, text, uint, type Of } from '@mixmint/core/kit/codec'

const millis = uint()
/** A secp256k1 libp2p peer id as the identity multihash of its public key. */
const peerId = bytes(39)

/** Everything that every client must do alike. A network's profile (default, demo) is one value of this. */
export const Parameters = record({
  /** Hops of every path, the destination included: 3 to 5. Gateways are hop 0, then pathLength − 2 layers of mixes. */
  pathLength: uint(5),
  strategy: oneOf('poisson'),
  /** Mean delay at each hop that delays. */
  meanDelay: uint(60_000),
  epochLength: millis,
  /** How long after an epoch its mix keys and document are still accepted. */
  epochGrace: millis,
  /** How far two honest clocks may differ. */
  clockSkew: millis,
  /** Packets waiting in one mix; more are dropped and counted. */
  queueLimit: uint(1 << 24),
  /** Seen tags kept for one mix key; when full the mix sheds load. */
  replayLimit: uint(1 << 30),
  /** Anonymous requests: longest request or reply in bytes, most SURBs in one packet, how long a responder remembers. */
  requestLimit: uint(1 << 20),
  surbsPerPacket: uint(5),
  answerKept: millis,
  /** Parameters of the services, opaque here. */
  services: bytes({ max: 4096 })
})
export type Parameters = Of<typeof Parameters>

/** A node in its own words, signed by its libp2p identity key over its tagged encoding. */
export const Descriptor = record({
  network: text(64),
  role: oneOf('gateway', 'mix', 'service'),
  peer: peerId,
  /** Multiaddrs without /p2p. The first is the one in packets: /ip4/…/tcp/…. */
  addresses: list(text(256), 8, 1),
  /** X25519 keys for this epoch and the next; empty for a service that is not reached through the mixnet. */
  mixKeys: list(record({ epoch: uint(), key: bytes(32) }), 4),
  /** For a service its kind (bank, center, merchant), else ''. */
  kind: text(32),
  body: bytes({ max: 1 << 18 }),
  /** When it was signed: the newest wins. */
  published: millis
})
export type Descriptor = Of<typeof Descriptor>
export const SignedDescriptor = record({ descriptor: Descriptor, signature: bytes({ min: 64, max: 80 }) })
export type SignedDescriptor = Of<typeof SignedDescriptor>

export const Document = record({
  network: text(64),
  epoch: uint(),
  validFrom: millis,
  validUntil: millis,
  parameters: Parameters,
  /** In order of peer id. Layer 0: gateways; 1 … pathLength − 2: mixes; 255: services. */
  nodes: list(record({ layer: uint(255), signed: SignedDescriptor }), 8192)
})
export type Document = Of<typeof Document>
/** Signatures are Ed25519 by authority keys over the tagged encoding of the document. */
export const SignedDocument = record({
  document: Document,
  signatures: list(record({ authority: bytes(32), signature: bytes(64) }), 64)
})
export type SignedDocument = Of<typeof SignedDocument>
