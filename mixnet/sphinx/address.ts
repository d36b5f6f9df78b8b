/**
 * The address block of a hop, always 94 bytes (LIP-99 §8.3.2; the reference implementation's form of a multiaddr):
 *
 *   IPv4 4 ‖ transport 1 (0 tcp, 1 quic) ‖ port 2, big-endian ‖ peer id 39 ‖ client's peer id 39, or zeros ‖ zeros 9
 *
 * A peer id is the identity multihash of a compressed secp256k1 key: other kinds have other lengths. With a client's id
 * the block means: give it to that client, on the connection that it opened to this peer. All zero: deliver here.
 *
 * One address has one block: parsing refuses zero ports, ids of other kinds and anything in the last 9 bytes.
 *
 * Whom an exit asks need not be a node of the network, and most libp2p nodes have Ed25519 identities: in a destination, the
 * 38 bytes of such an id may stand with a zero behind them. It is an extension; exits of other implementations refuse it.
 */
import { isZero } from '@mixmint/core/kit/bytes'
import { MixmintError } from '@mixmint/core/kit/errors'
import { ADDRESS_SIZE } from './layout.ts'

const IP_SIZE = 4
const TRANSPORT = IP_SIZE
const PORT = TRANSPORT + 1
const PEER = PORT + 2
export const PEER_ID_SIZE = 39
const CLIENT = PEER + PEER_ID_SIZE
const REST = CLIENT + PEER_ID_SIZE

const TCP = 0
const QUIC = 1

/** Multihash identity, 37 bytes; protobuf key type secp256k1, 33 bytes of data; then the sign byte 2 or 3 and x. */
const PEER_ID_START = [0x00, 37, 0x08, 0x02, 0x12, 33]
/** Multihash identity, 36 bytes; protobuf key type Ed25519, 32 bytes of data. */
const ED25519_START = [0x00, 36, 0x08, 0x01, 0x12, 32]
const ED25519_SIZE = 38
/** The form of an id, which stands in for one of another kind where the rest of a block is written or read. */
const SOME_PEER = Uint8Array.from({ length: PEER_ID_SIZE }, (_, i) => [...PEER_ID_START, 2][i] ?? 0)

export interface PacketAddress {
  /** `/ip4/A.B.C.D/tcp/PORT` or `/ip4/A.B.C.D/udp/PORT/quic-v1`, without /p2p. */
  readonly multiaddr: string
  /** The peer to dial, 39 bytes; 38 for an Ed25519 one, which only a destination may be. */
  readonly peer: Uint8Array
  /** The peer's client for whom the packet is, 39 bytes, or null: for the peer itself. */
  readonly client: Uint8Array | null
}

const MULTIADDR = /^\/ip4\/(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\/(?:tcp\/(\d{1,5})|udp\/(\d{1,5})\/quic-v1)$/

/**
 * @param multiaddr as in `PacketAddress`
 * @throws bad-address (caller) for anything that a block cannot hold: names, IPv6, WebSocket, other kinds of peer ids
 */
export function addressBlock (multiaddr: string, peer: Uint8Array, client: Uint8Array | null = null): Uint8Array {
  const parts = MULTIADDR.exec(multiaddr)
  const port = Number(parts?.[5] ?? parts?.[6])
  const block = new Uint8Array(ADDRESS_SIZE)
  if (parts !== null) block.set(parts.slice(1, 1 + IP_SIZE).map(Number))
  block[TRANSPORT] = parts?.[5] === undefined ? QUIC : TCP
  block[PORT] = port >> 8
  block[PORT + 1] = port & 0xff
  if (parts === null || multiaddrOf(block) !== multiaddr) {
    throw new MixmintError('bad-address', 'caller', 'a packet can only go to /ip4/A.B.C.D/tcp/PORT or /ip4/A.B.C.D/udp/PORT/quic-v1')
  }
  for (const id of client === null ? [peer] : [peer, client]) {
    if (!isPeerId(id)) throw new MixmintError('bad-address', 'caller', 'a packet can only go to peers whose identity is a secp256k1 key')
  }
  block.set(peer, PEER)
  if (client !== null) block.set(client, CLIENT)
  return block
}

/** Null for anything that `addressBlock` does not write, the zero block too. Never throws. */
export function parseAddress (block: Uint8Array): PacketAddress | null {
  if (block.length !== ADDRESS_SIZE || block[TRANSPORT] > QUIC || !isZero(block.subarray(REST))) return null
  if (block[PORT] === 0 && block[PORT + 1] === 0) return null
  const peer = block.slice(PEER, CLIENT)
  const client = isZero(block.subarray(CLIENT, REST)) ? null : block.slice(CLIENT, REST)
  if (!isPeerId(peer) || (client !== null && !isPeerId(client))) return null
  return { multiaddr: multiaddrOf(block), peer, client }
}

/** As `addressBlock`, for whom an exit is to ask: it may also have an Ed25519 identity. @throws bad-address (caller) */
export function destinationBlock ({ multiaddr, peer, client }: PacketAddress): Uint8Array {
  if (client !== null || !isEd25519(peer)) return addressBlock(multiaddr, peer, client)
  const block = addressBlock(multiaddr, SOME_PEER)
  block.fill(0, PEER, CLIENT)
  block.set(peer, PEER)
  return block
}

/** Null for anything that `destinationBlock` does not write. Never throws. */
export function parseDestination (block: Uint8Array): PacketAddress | null {
  const peer = block.subarray(PEER, PEER + ED25519_SIZE)
  if (block.length !== ADDRESS_SIZE || !isEd25519(peer) || block[PEER + ED25519_SIZE] !== 0 || !isZero(block.subarray(CLIENT))) return parseAddress(block)
  const likewise = block.slice()
  likewise.set(SOME_PEER, PEER)
  const at = parseAddress(likewise)
  return at === null ? null : { ...at, peer: peer.slice() }
}

/** Whom a packet for this address is for, 39 bytes: the client, or the peer itself. */
export function nodeOf ({ peer, client }: PacketAddress): Uint8Array {
  return client ?? peer
}

/** Does a packet for this destination end at the node that reads it? */
export function isHere (block: Uint8Array): boolean {
  return isZero(block)
}

/** The canonical text of the first 7 bytes, or '' for port 0. */
function multiaddrOf (block: Uint8Array): string {
  const port = block[PORT] << 8 | block[PORT + 1]
  if (port === 0) return ''
  const ip = block.subarray(0, IP_SIZE).join('.')
  return block[TRANSPORT] === TCP ? `/ip4/${ip}/tcp/${port}` : `/ip4/${ip}/udp/${port}/quic-v1`
}

function isPeerId (id: Uint8Array): boolean {
  return id.length === PEER_ID_SIZE && PEER_ID_START.every((byte, i) => id[i] === byte) &&
    (id[PEER_ID_START.length] === 2 || id[PEER_ID_START.length] === 3)
}

function isEd25519 (id: Uint8Array): boolean {
  return id.length === ED25519_SIZE && ED25519_START.every((byte, i) => id[i] === byte)
}
