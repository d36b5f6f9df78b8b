/** What the tests of packets are made of: reproducible random bytes, paths with their private keys, both suites. */
import fc from 'fast-check'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import { pureSuite } from '@mixmint/core/crypto/pure'
import { concat, u32, utf8 } from '@mixmint/core/kit/bytes'
import type { Suite } from '@mixmint/core/crypto/suite'
import { peel, type Peeled } from '@mixmint/mixnet/sphinx/peel'
import { createSurb, useSurb } from '@mixmint/mixnet/sphinx/surb'
import { wrap, type Hop } from '@mixmint/mixnet/sphinx/wrap'

export const native: Suite = await defaultSuite()
export const suites: readonly Suite[] = [native, pureSuite]

/** As many bytes as wanted from a name: the same in every run. */
export function bytesOf (name: string, length: number): Uint8Array {
  return pureSuite.shake128(utf8(name), length)
}

/** As long a stream as wanted from a number. */
export function bytesFrom (seed: number, name: string, length: number): Uint8Array {
  return length === 0 ? new Uint8Array(0) : pureSuite.shake128(concat(u32(seed), utf8(name)), length)
}

export const HERE = new Uint8Array(94)
export const message = bytesOf('message', 3968)
export const seeds = fc.integer({ min: 0, max: 2 ** 32 - 1 })

export interface Path {
  readonly hops: Hop[]
  readonly keys: Uint8Array[]
}

export function pathOf (length: number, seed = 0): Path {
  const keys = Array.from({ length }, (_, i) => bytesFrom(seed, `mix ${i}`, 32))
  const hops = keys.map((key, i) => ({
    publicKey: native.x25519Base(key),
    address: bytesFrom(seed, `address ${i}`, 94),
    delay: i === length - 1 ? 0 : 1 + bytesFrom(seed, `delay ${i}`, 1)[0] * 251
  }))
  return { hops, keys }
}

/** What each hop makes of the packet before it, up to the first that does not forward. */
export function walk (suite: Suite, keys: readonly Uint8Array[], packet: Uint8Array): Peeled[] {
  const steps: Peeled[] = []
  for (const key of keys) {
    const peeled = peel(suite, key, packet)
    steps.push(peeled)
    if (peeled.kind !== 'forward') break
    packet = peeled.packet
  }
  return steps
}

export function flipped (bytes: Uint8Array, bit: number): Uint8Array {
  const out = new Uint8Array(bytes)
  out[bit >> 3] ^= 1 << (bit & 7)
  return out
}

/** The kind of what came out, or why it was dropped. */
export function reason (peeled: Peeled): string {
  return peeled.kind === 'drop' ? peeled.reason : peeled.kind
}

/** A packet for the hop at this place of a path of 5, made for an exit or from a SURB. */
export function packetAt (place: number, kind: 'forward' | 'surb'): { key: Uint8Array, packet: Uint8Array } {
  const { hops, keys } = pathOf(5)
  let packet = kind === 'forward'
    ? wrap(native, bytesOf('ephemeral', 32), hops, HERE, message)
    : useSurb(native, createSurb(native, bytesOf('ephemeral', 32), hops, bytesOf('id', 16), bytesOf('key', 16)).surb, message)!.packet
  for (let i = 0; i < place; i++) packet = (peel(native, keys[i], packet) as Extract<Peeled, { kind: 'forward' }>).packet
  return { key: keys[place], packet }
}
