/**
 * The formats of the directory (DESIGN §3): what nodes publish, and the document that authorities sign. Times in Unix
 * milliseconds, durations in ms. What a service publishes about itself is opaque here (`body`); its own code reads it.
 */
import { bytes, list, oneOf, record, text, uint, variants, type Of } from '@mixmint/core/kit/codec'

const millis = uint()
/** A secp256k1 libp2p peer id as the identity multihash of its public key. */
const peerId = bytes(39)

/** How a mix decides when a packet leaves; the whole network mixes alike. Times in ms. */
export const Strategy = variants('kind', {
  /** Each packet waits for a time of its own, exponentially distributed with the mean that it asks for. */
  poisson: record({}),
  /** Chaum's batch: when `batch` packets are in, all leave. */
  threshold: record({ batch: uint(1 << 16) }),
  /** Every `interval` all that are in leave. */
  timed: record({ interval: millis }),
  /** Every `interval`, and when `threshold` packets are in, all leave but a random pool of at most `pool`. */
  pool: record({ interval: millis, threshold: uint(1 << 16), pool: uint(1 << 16) })
})
export type Strategy = Of<typeof Strategy>

/** Traffic that hides traffic. Times are means of exponential ones, in ms; 0: none of it. */
export const Cover = record({
  /** Between two packets of a wallet to its gateway: a real one if one waits, else a drop packet. 0: real ones at once. */
  send: millis,
  /** Of 1000 drop packets so many ask for an answer, and so come home. */
  echoes: uint(1000),
  /** Between two packets that a gateway sends down to a wallet: a real one if one waits, else padding. 0: real ones at once. */
  pace: millis,
  /** Between two loops of a mix, gateway or service. */
  loop: millis
})
export type Cover = Of<typeof Cover>

/** Everything that every client must do alike. A network's profile (default, demo) is one value of this. */
export const Parameters = record({
  /** Hops of every path, the destination included: 3 to 5. Gateways are hop 0, then pathLength − 2 layers of mixes. */
  pathLength: uint(5),
  /** Bytes of every packet, header included. The same for as long as the network lives. */
  packetSize: uint(1 << 16),
  /** When packets leave a mix. */
  strategy: Strategy,
  /** What packets ask for at each hop that delays: the mean of poisson's delays; for other strategies only a mark, the same in all. */
  meanDelay: uint(60_000),
  /** What is sent to hide what is sent. */
  cover: Cover,
  /** For so long a gateway keeps packets for a wallet whose connection is gone. */
  walletGrace: millis,
  epochLength: millis,
  /** How long after an epoch its mix keys and document are still accepted. */
  epochGrace: millis,
  /** How far two honest clocks may differ. */
  clockSkew: millis,
  /** Packets waiting in one mix; more are dropped and counted. */
  queueLimit: uint(1 << 24),
  /** Seen tags kept for one mix key; when full the mix sheds load. */
  replayLimit: uint(1 << 30),
  /** Of anonymous requests: the longest request or reply, in bytes. */
  requestLimit: uint(1 << 20),
  /** Most return paths (SURBs) in one packet. */
  surbsPerPacket: uint(5),
  /** How long whoever answers remembers that it did. */
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
  /** Where wallets attach to a gateway or ask a service directly: multiaddrs as above, of TCP or WebSocket. */
  entry: list(text(256), 8),
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
/** Signatures are Ed25519 by authority keys, on the statement that this is the epoch's document (statement.ts). */
export const SignedDocument = record({
  document: Document,
  signatures: list(record({ authority: bytes(32), signature: bytes(64) }), 64)
})
export type SignedDocument = Of<typeof SignedDocument>
