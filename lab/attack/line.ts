/**
 * A path with real packets: engines of the daemon (mixnet/mixing/engine.ts) one behind the other, each with its key and its seen
 * tags, and clients that wrap messages for it (mixnet/sphinx). For attacks on packets, of which an engine decides.
 */
import { concat, toHex } from '@mixmint/core/kit/bytes'
import type { Millis, Rng } from '@mixmint/core/kit/ports'
import type { Suite } from '@mixmint/core/crypto/suite'
import { MixEngine, type MixEffect, type MixParameters } from '@mixmint/mixnet/mixing/engine'
import type { EpochKey } from '@mixmint/mixnet/mixing/keyring'
import { addressBlock } from '@mixmint/mixnet/sphinx/address'
import { ADDRESS_SIZE, geometryOf, KEY_SIZE } from '@mixmint/mixnet/sphinx/layout'
import { wrap, type Hop } from '@mixmint/mixnet/sphinx/wrap'
import { seededRng } from '../kernel/rng.ts'

const MEAN: Millis = 50
export const PACKET_SIZE = 4608
export const MESSAGE_SIZE = geometryOf(PACKET_SIZE).messageSize
const PARAMETERS: MixParameters = { strategy: { kind: 'poisson' }, meanDelay: MEAN, packetSize: PACKET_SIZE, queueLimit: 1 << 20, replayLimit: 1 << 20 }
const HERE = new Uint8Array(ADDRESS_SIZE)
/** What a peer id of a secp256k1 key begins with. */
const PEER = Uint8Array.of(0, 0x25, 8, 2, 0x12, 0x21, 2)

/** Chance from a seed whose bytes may be kept. */
export function keptRng (seed: number, stream: string): Rng {
  const rng = seededRng(seed, stream)
  return { bytes: length => rng.bytes(length).slice() }
}

/** A mix key that is valid in these epochs' time; epoch 1 is that of a line's beginning. */
export function keyOf (suite: Suite, seed: number, hop: number, epoch = 1): EpochKey {
  return { epoch, privateKey: suite.sha256(Uint8Array.of(seed, hop, epoch)), from: 0, until: Infinity }
}

export class Line {
  readonly engines: MixEngine[]
  readonly #suite: Suite
  readonly #hops: readonly Hop[]
  readonly #rng: Rng
  #now: Millis = 0

  /** @param hops engines of the path, the last of which is where it ends */
  constructor (suite: Suite, hops: number, seed: number) {
    this.#suite = suite
    this.#rng = keptRng(seed, 'line')
    const peers = Array.from({ length: hops }, () => concat(PEER, this.#rng.bytes(KEY_SIZE)))
    const keys = peers.map((_, hop) => keyOf(suite, seed, hop))
    this.#hops = peers.map((peer, hop) => ({
      publicKey: suite.x25519Base(keys[hop].privateKey), address: addressBlock('/ip4/192.0.2.1/tcp/4001', peer), delay: hop === hops - 1 ? 0 : MEAN
    }))
    this.engines = peers.map((self, hop) => engineOf(suite, self, keys[hop], this.#rng))
  }

  /** A message for the end of the path. @param epoch of the keys that it is wrapped for */
  packet (message: Uint8Array): Uint8Array {
    return wrap(this.#suite, this.#rng.bytes(KEY_SIZE), this.#hops, HERE, message)
  }

  /** To this hop, and wait until it has left. @returns what leaves; or why nothing does, as the engine counts it */
  pass (hop: number, packet: Uint8Array): MixEffect | string {
    const engine = this.engines[hop]
    const before = { ...engine.counts().dropped }
    const effects = engine.handle({ kind: 'packet', from: toHex(PEER), packet }, this.#now, this.#rng)
    for (let due = engine.nextDeadline(); effects.length === 0 && due !== undefined; due = engine.nextDeadline()) {
      this.#now = Math.max(this.#now, due)
      effects.push(...engine.handle({ kind: 'timer' }, this.#now, this.#rng))
    }
    if (effects.length > 0) return effects[0]
    const reason = Object.entries(engine.counts().dropped).find(([why, count]) => count !== (before[why as keyof typeof before] ?? 0))
    return reason?.[0] ?? 'held'
  }
}

/** One with this key alone, in epoch 1. */
export function engineOf (suite: Suite, self: Uint8Array, key: EpochKey, rng: Rng): MixEngine {
  const engine = new MixEngine({ suite, self, parameters: PARAMETERS, topology: { mayForward: () => true, mayReachWallet: () => true } })
  engine.handle({ kind: 'install', key }, 0, rng)
  turn(engine, 1, rng)
  return engine
}

/** The next epoch begins. */
export function turn (engine: MixEngine, epoch: number, rng: Rng): void {
  engine.handle({ kind: 'epoch', epoch, parameters: PARAMETERS }, 0, rng)
}
