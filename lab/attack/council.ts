/**
 * Directory authorities on a virtual clock: the engines of the daemon (mixnet/directory/authority.ts), each with a store, and links
 * between them that an adversary cuts. A corrupt authority has two faces, engines with one key and two stores, of which each
 * knows other nodes, and is heard by one half of the honest authorities alone.
 */
import { compare, concat, equal, utf8 } from '@mixmint/core/kit/bytes'
import type { BatchResult, Entry, Log, Millis, Op, Range, Store } from '@mixmint/core/kit/ports'
import { drive, type Saga } from '@mixmint/core/kit/saga'
import type { Ed25519KeyPair, Suite } from '@mixmint/core/crypto/suite'
import { Authority } from '@mixmint/mixnet/directory/authority'
import { peerIdOf, signDescriptor } from '@mixmint/mixnet/directory/descriptor'
import { trustOf, type Trust } from '@mixmint/mixnet/directory/document'
import type { AuthorityEffect } from '@mixmint/mixnet/directory/exchange'
import type { Descriptor, Parameters, SignedDescriptor, SignedDocument } from '@mixmint/mixnet/directory/formats'
import { profile } from '@mixmint/mixnet/directory/profiles'
import { judge, nameOf } from 'mixmint/store/batch.ts'
import { keptRng } from './line.ts'

const NETWORK = 'lab'
const PARAMETERS: Parameters = profile('default', new Uint8Array(0))
const EPOCH = 1_400_000
/** In the middle of an epoch. */
const NOW: Millis = (EPOCH + 0.5) * PARAMETERS.epochLength
const STEP: Millis = 2000
/** Of rounds of the agreement there are several in this time, so that some are led by each who is in a half. */
const ROUNDS = 100
const BOOTSTRAP: Millis = 1000

/** A node, and the layer in which its operator wants it; gateways in 0. */
export interface Node { readonly layer: number, readonly signed: SignedDescriptor }

/** So many gateways, mixes of each layer, and one service. */
export function nodesOf (suite: Suite, width: number, seed: number): Node[] {
  const rng = keptRng(seed, 'nodes')
  const node = (layer: number, change: Partial<Descriptor>): Node => {
    const secret = rng.bytes(32)
    const mixKeys = [0, 1, 2].map(i => ({ epoch: EPOCH + i, key: suite.x25519Base(rng.bytes(32)) }))
    return { layer, signed: signDescriptor(secret, {
      network: NETWORK, role: 'mix', peer: peerIdOf(secret), addresses: ['/ip4/192.0.2.1/tcp/4001'], entry: [], mixKeys, kind: '', body: new Uint8Array(0), published: NOW - 1000, ...change
    }) }
  }
  const layers = PARAMETERS.pathLength - 2
  return [
    ...Array.from({ length: width }, () => node(0, { role: 'gateway', entry: ['/ip4/192.0.2.1/tcp/4002'] })),
    ...Array.from({ length: layers * width }, (_, i) => node(1 + i % layers, {})),
    node(0, { role: 'service', kind: 'bank', body: utf8('bank') })
  ]
}

interface Seat { readonly key: Ed25519KeyPair, readonly half: number, readonly authority: Authority, readonly store: Store }

export class Council {
  readonly trust: Trust
  readonly #seats: Seat[] = []
  #now: Millis = NOW

  /**
   * @param halves for each authority the halves of the network in which it speaks, 0 and 1: of an honest one one, of a corrupt one both
   * @param nodes that are known in each half to a corrupt authority; all of half 0 to honest ones
   */
  static async of (suite: Suite, halves: ReadonlyArray<readonly number[]>, nodes: readonly [readonly Node[], readonly Node[]], seed: number): Promise<Council> {
    const rng = keptRng(seed, 'authorities')
    const keys = halves.map(() => suite.ed25519KeyPair(rng.bytes(32)))
    const council = new Council(trustOf(NETWORK, keys.map(({ publicKey }) => ({ key: publicKey }))))
    for (const [i, own] of halves.entries()) {
      for (const half of own) await council.#sit(suite, keys[i], half, own.length > 1 ? nodes[half] : nodes[0])
    }
    return council
  }

  private constructor (trust: Trust) {
    this.trust = trust
  }

  get now (): Millis {
    return this.#now
  }

  /** Everyone hears everyone of its half, until each half has a document, or for some minutes. */
  async agree (): Promise<void> {
    for (let round = 0; round < ROUNDS && (await this.document(0) === null || await this.document(1) === null); round++) {
      for (const seat of this.#seats) {
        for (const key of this.trust.authorities) if (!equal(key, seat.key.publicKey)) await this.#run(seat, seat.authority.pull(key))
        await this.#run(seat, seat.authority.tick())
      }
      this.#now += STEP
    }
  }

  /** The document that is shown in this half; null: nobody has one. */
  async document (half: number): Promise<SignedDocument | null> {
    for (const seat of this.#seats.filter(each => each.half === half)) {
      const reply = await this.#run(seat, seat.authority.handle({ op: 'get', epoch: null }))
      if (reply.is === 'document') return reply.signed
    }
    return null
  }

  async #sit (suite: Suite, key: Ed25519KeyPair, half: number, nodes: readonly Node[]): Promise<void> {
    const quiet: Log = { info: () => {}, warn: () => {}, error: () => {} }
    const admitted = nodes.map(({ layer, signed: { descriptor: { peer, role, kind } } }) => ({ peer, role, kind, ...layer > 0 ? { layer } : {} }))
    const seat = {
      key, half, store: new Kept(),
      authority: new Authority(suite, { key, trust: this.trust, parameters: PARAMETERS, admitted, bootstrapWait: BOOTSTRAP }, { count: () => {} }, quiet)
    }
    this.#seats.push(seat)
    await this.#run(seat, seat.authority.open())
    for (const { signed } of nodes) await this.#run(seat, seat.authority.handle({ op: 'publish', signed }))
  }

  async #run<T> (seat: Seat, saga: Saga<T, AuthorityEffect>): Promise<T> {
    const ports = { clock: { now: () => this.#now }, rng: keptRng(1, 'authority'), store: seat.store, wait: async () => {} }
    return await drive(saga, ports, async ({ authority, request }) => {
      const other = this.#seats.find(each => each.half === seat.half && equal(each.key.publicKey, authority))
      return other === undefined ? null : await this.#run(other, other.authority.handle(request))
    })
  }
}

/** A store that loses nothing as long as the process lives. */
class Kept implements Store {
  readonly #entries = new Map<string, Entry>()

  get = async (key: Uint8Array): Promise<Uint8Array | null> => await Promise.resolve(this.#entries.get(nameOf(key))?.value ?? null)
  close = async (): Promise<void> => { await Promise.resolve() }

  async scan ({ prefix, after, limit }: Range): Promise<Entry[]> {
    return await Promise.resolve([...this.#entries.values()]
      .filter(({ key }) => equal(key.subarray(0, prefix.length), prefix) && (after === undefined || compare(key, after) > 0))
      .sort((a, b) => compare(a.key, b.key)).slice(0, limit))
  }

  async batch (ops: readonly Op[]): Promise<BatchResult> {
    const { result, changes } = judge(ops, (_, name) => this.#entries.get(name)?.value ?? null)
    for (const [name, { key, value }] of changes) {
      if (value === null) this.#entries.delete(name)
      else this.#entries.set(name, { key: concat(key), value: concat(value) })
    }
    return await Promise.resolve(result)
  }
}
