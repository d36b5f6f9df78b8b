/** Packets that cost nothing and hide nothing, so that what a fuzzer changes reaches whatever is behind the ciphers. */
import { toHex } from '@mixmint/core/kit/bytes'
import { addressBlock } from '@mixmint/mixnet/sphinx/address'
import { encodeMessage } from '@mixmint/mixnet/sphinx/message'
import { createSurb, useSurb } from '@mixmint/mixnet/sphinx/surb'
import { wrap, type Hop } from '@mixmint/mixnet/sphinx/wrap'
import { peerOf } from '../mixnet/mix-material.ts'
import { toySuite } from '../doubles/toy-suite.ts'
import type { Chance } from './chance.ts'

export const MEAN = 50
/** Small, so that many are cheap to make; still with room for a SURB. */
export const PACKET_SIZE = 1500
export const MESSAGE_SIZE = PACKET_SIZE - 640

export interface ToyNode { readonly peer: Uint8Array, readonly link: string, readonly key: Uint8Array, readonly hop: Hop }

export function toyNode (name: string, gateway: Uint8Array | null = null): ToyNode {
  const key = toySuite.sha256(new TextEncoder().encode(name))
  const peer = peerOf(name)
  const address = gateway === null ? addressBlock('/ip4/192.0.2.7/tcp/4001', peer) : addressBlock('/ip4/192.0.2.7/tcp/4001', gateway, peer)
  return { peer, link: toHex(peer), key, hop: { publicKey: toySuite.x25519Base(key), address, delay: MEAN } }
}

/** Of these nodes, in this order. */
export function pathOver (nodes: readonly ToyNode[]): Hop[] {
  return nodes.map(({ hop }, i) => ({ ...hop, delay: i === nodes.length - 1 ? 0 : MEAN }))
}

export function toyPacket (nodes: readonly ToyNode[], kind: 'forward' | 'reply', chance: Chance, destination: Uint8Array = new Uint8Array(94)): Uint8Array {
  const message = encodeMessage(MESSAGE_SIZE, { codec: '/toy/1', surbs: [], data: chance.bytes(4), sequence: 0 })
  if (kind === 'forward') return wrap(toySuite, chance.bytes(32), pathOver(nodes), destination, message)
  const used = useSurb(toySuite, createSurb(toySuite, chance.bytes(32), pathOver(nodes), chance.bytes(16), chance.bytes(16)).surb, message)
  if (used === null) throw new Error('no SURB')
  return used.packet
}
