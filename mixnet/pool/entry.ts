/** A node of a network that no directory describes: who it is, where it listens, its mix key. */
import { peerIdFromString } from '@libp2p/peer-id'
import { MixmintError } from '@mixmint/core/kit/errors'
import { addressBlock } from '../sphinx/address.ts'
import { KEY_SIZE } from '../sphinx/layout.ts'

export interface PoolEntry {
  /** Its peer id, 39 bytes: of a secp256k1 identity. */
  readonly peer: Uint8Array
  /**
   * Multiaddrs without its own /p2p. Packets name the first that they can: `/ip4/…/tcp/…`, `/ip4/…/udp/…/quic-v1`, or one
   * of these and `/p2p/RELAY/p2p-circuit` for a node behind a relay.
   */
  readonly addresses: readonly string[]
  /** X25519, 32 bytes. */
  readonly mixKey: Uint8Array
}

const CIRCUIT = /^(?<base>.+)\/p2p\/(?<relay>[^/]+)\/p2p-circuit$/

/** The address block that stands for this node in packets. @throws bad-pool-entry (caller) */
export function entryBlock ({ peer, addresses, mixKey }: PoolEntry): Uint8Array {
  if (mixKey.length !== KEY_SIZE) throw badEntry(`its mix key must have ${KEY_SIZE} bytes`)
  for (const address of addresses) {
    const block = blockAt(address, peer)
    if (block !== null) return block
  }
  throw badEntry('it needs a secp256k1 identity and an address that packets can name: /ip4/…/tcp/…, /ip4/…/udp/…/quic-v1, or one of these with /p2p/RELAY/p2p-circuit')
}

export function badEntry (why: string): MixmintError {
  return new MixmintError('bad-pool-entry', 'caller', `this node cannot be in the pool: ${why}`)
}

function blockAt (address: string, peer: Uint8Array): Uint8Array | null {
  const circuit = CIRCUIT.exec(address)?.groups
  try {
    if (circuit === undefined) return addressBlock(address, peer)
    return addressBlock(circuit.base, peerIdFromString(circuit.relay).toMultihash().bytes, peer)
  } catch {
    return null
  }
}
