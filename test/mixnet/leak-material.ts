/** Packets of every kind, as every hop of their path receives them. */
import { concat } from '@mixmint/core/kit/bytes'
import { writeCover } from '@mixmint/mixnet/cover/message'
import { addressBlock } from '@mixmint/mixnet/sphinx/address'
import { encodeMessage } from '@mixmint/mixnet/sphinx/message'
import { peel } from '@mixmint/mixnet/sphinx/peel'
import { createSurb, useSurb } from '@mixmint/mixnet/sphinx/surb'
import { wrap, type Hop } from '@mixmint/mixnet/sphinx/wrap'
import { seededRng } from '../doubles/rng.ts'
import { HERE, native as suite } from './sphinx-material.ts'

const MESSAGE_SIZE = 3968
export const MEAN = 50

/** What a packet may be: a short request with SURBs, a full fragment, a reply, and the kinds of cover. */
export const KINDS = ['request', 'fragment', 'reply', 'drop', 'echo', 'loop'] as const
export type Kind = typeof KINDS[number]

/** `at[i]`: what hop i receives, in the order of sampling. `delays[i]`: what it read there, of all packets. */
export interface Sample { readonly at: Uint8Array[][], readonly delays: Set<number>[], readonly ends: Uint8Array[] }

/** Nodes of a network: always the same, as in a directory. */
const rng = seededRng('leaks')
const nodes = Array.from({ length: 5 }, (_, i) => {
  const key = rng.bytes(32)
  return { key, publicKey: suite.x25519Base(key), address: addressBlock(`/ip4/192.0.2.${i + 1}/tcp/4001`, concat(Uint8Array.of(0, 37, 8, 2, 0x12, 33, 2), rng.bytes(32))) }
})

export function sample (kind: Kind, pathLength: number, count: number): Sample {
  const path = nodes.slice(0, pathLength)
  const hops: Hop[] = path.map(({ publicKey, address }, i) => ({ publicKey, address, delay: i < pathLength - 1 ? MEAN : 0 }))
  const at: Uint8Array[][] = path.map(() => [])
  const delays = path.map(() => new Set<number>())
  const ends: Uint8Array[] = []
  for (let n = 0; n < count; n++) {
    let packet = make(kind, hops)
    for (const [i, { key }] of path.entries()) {
      at[i].push(packet)
      const peeled = peel(suite, key, packet)
      if (peeled.kind === 'drop') throw new Error(`dropped: ${peeled.reason}`)
      delays[i].add(peeled.kind === 'forward' ? peeled.delay : 0)
      if (peeled.kind === 'forward') packet = peeled.packet
      else ends.push(packet)
    }
  }
  return { at, delays, ends }
}

/** Cheap SURBs are good enough where only their bytes matter, and those are encrypted. */
function make (kind: Kind, hops: Hop[]): Uint8Array {
  if (kind === 'reply') {
    const { surb } = createSurb(suite, rng.bytes(32), hops, rng.bytes(16), rng.bytes(16))
    const used = useSurb(suite, surb, encodeMessage(MESSAGE_SIZE, { codec: '/test/1', surbs: [], data: new Uint8Array(1000), sequence: 0 }))
    if (used === null) throw new Error('no SURB')
    return used.packet
  }
  return wrap(suite, rng.bytes(32), hops, HERE, messageOf(kind))
}

function messageOf (kind: Exclude<Kind, 'reply'>): Uint8Array {
  switch (kind) {
    case 'request': return encodeMessage(MESSAGE_SIZE, { codec: '/test/1', surbs: [new Uint8Array(734), new Uint8Array(734)], data: new Uint8Array(200), sequence: 0 })
    case 'fragment': return encodeMessage(MESSAGE_SIZE, { codec: '/test/1', surbs: [], data: new Uint8Array(3900).fill(0xff), sequence: 0 })
    case 'drop': return writeCover(MESSAGE_SIZE, { is: 'drop' })
    case 'echo': return writeCover(MESSAGE_SIZE, { is: 'echo', surb: new Uint8Array(734) })
    case 'loop': return writeCover(MESSAGE_SIZE, { is: 'loop', nonce: new Uint8Array(16) })
  }
}

const ALPHA = 32
const HEADER = 624

/** Without alpha, which is a point of a curve: bytes that should look like chance to everybody but the hop. */
export function withoutAlpha (packets: readonly Uint8Array[], upTo = HEADER + 64): Uint8Array[] {
  return packets.map(packet => packet.subarray(ALPHA, upTo))
}

/** Alpha without its highest bit, which is never set in a field of 2^255 − 19. */
export function alphas (packets: readonly Uint8Array[]): Uint8Array[] {
  return packets.map(packet => {
    const alpha = packet.slice(0, ALPHA)
    alpha[31] &= 0x7f
    return alpha.subarray(0, 31)
  })
}

/** What the last hop of a path of this length shares with the sender of a packet. */
export function lastHopSecret (packet: Uint8Array, pathLength: number): Uint8Array {
  const secret = suite.x25519(nodes[pathLength - 1].key, packet.subarray(0, ALPHA))
  if (secret === null) throw new Error('alpha is of low order')
  return secret
}
