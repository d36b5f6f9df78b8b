/**
 * Real packets around the change of an epoch, from end to end: wallets and nodes that hold the document before or the next one,
 * with clocks apart by the skew. Within the grace none is lost; outside, each that is lost is counted once, with a reason.
 */
import { describe, expect, it } from 'vitest'
import { toHex } from '@mixmint/core/kit/bytes'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import { DirectoryClient } from '@mixmint/mixnet/directory/client'
import type { SignedDocument } from '@mixmint/mixnet/directory/formats'
import { choosePath } from '@mixmint/mixnet/directory/route'
import { topologyOf } from '@mixmint/mixnet/directory/topology'
import { DirectoryView } from '@mixmint/mixnet/directory/view'
import { MixEngine, type MixEffect } from '@mixmint/mixnet/mixing/engine'
import { nodeOf } from '@mixmint/mixnet/sphinx/address'
import { encodeMessage } from '@mixmint/mixnet/sphinx/message'
import { wrap } from '@mixmint/mixnet/sphinx/wrap'
import { authorityKeys, EPOCH, NETWORK, PARAMETERS, seed, signedBy, testDocument, testNetwork, testNode, type Placed } from '../doubles/directory.ts'
import { randomOf, seededRng } from '../doubles/rng.ts'

const suite = await defaultSuite()
const keys = authorityKeys(suite, 1)
const { epochLength, epochGrace, clockSkew } = PARAMETERS
/** When the next epoch begins. */
const CHANGE = (EPOCH + 1) * epochLength
const [gateway, bank] = ['gateway 0', 'bank'].map(testNode)
const wallet = toHex(testNode('wallet').peer)

const BEFORE = testNetwork(2)
/** One mix has moved, one has gone, one has come; each layer has the one that stayed. */
const AFTER: Placed[] = BEFORE.filter(({ node: { name } }) => name !== 'mix 5')
  .map(placed => placed.node.name === 'mix 0' ? { ...placed, layer: 3 } : placed)
  .concat({ node: testNode('mix 6'), layer: 1, change: {} })
const document = (epoch: number, nodes: readonly Placed[]): SignedDocument => signedBy(suite, testDocument(suite, nodes, { epoch }), keys)

/** Nodes as they run, each with a clock of its own and the documents that it holds. */
class Passage {
  readonly #nodes = new Map<string, { engine: MixEngine, client: DirectoryClient, ahead: number, epoch: number }>()
  readonly #rng = seededRng('passage')

  /** @param ahead a node's clock against the true time @param holds the documents that a node has */
  constructor (all: readonly Placed[], ahead: (i: number) => number, holds: (i: number) => readonly SignedDocument[]) {
    for (const [i, { node }] of all.entries()) {
      const client = new DirectoryClient(suite, { network: NETWORK, authorities: keys.map(({ publicKey }) => publicKey) })
      for (const signed of holds(i)) client.accept(signed, CHANGE - 1)
      const own = { client, ahead: ahead(i), epoch: -1 }
      const engine = new MixEngine({ suite, self: node.peer, parameters: PARAMETERS, topology: topologyOf(() => client.live(this.#now + own.ahead), node.peer) })
      for (const epoch of [EPOCH, EPOCH + 1]) {
        const [from, until] = [epoch * epochLength - epochGrace, (epoch + 1) * epochLength + epochGrace]
        engine.handle({ kind: 'install', key: { epoch, privateKey: seed(node.name, epoch), from, until } }, from, this.#rng)
      }
      this.#nodes.set(toHex(node.peer), { ...own, engine })
    }
  }

  #now = 0

  /** A packet is made by a document at a time, and goes as far as it comes. @returns whether it was delivered */
  send (view: DirectoryView, at: number, walletAhead = 0): boolean {
    this.#now = at
    const { hops } = choosePath(view, this.#rng, at + walletAhead, { from: gateway.peer, to: bank.peer })
    let packet = wrap(suite, this.#rng.bytes(32), hops, new Uint8Array(94), encodeMessage(3968, { codec: '/test', surbs: [], data: new Uint8Array(3), sequence: 0 }))
    let [from, to] = [wallet, toHex(gateway.peer)]
    for (;;) {
      const effect = this.#pass(to, from, packet)
      if (effect?.kind !== 'forward') return effect?.kind === 'deliver'
      packet = effect.packet
      from = to
      to = toHex(nodeOf(effect.to))
    }
  }

  #pass (peer: string, from: string, packet: Uint8Array): MixEffect | undefined {
    const node = this.#nodes.get(peer)
    if (node === undefined) throw new Error('no such node')
    const { engine, client, ahead } = node
    const view = client.view(this.#now + ahead)
    if (view !== null && view.epoch !== node.epoch) {
      node.epoch = view.epoch
      engine.handle({ kind: 'epoch', epoch: view.epoch, parameters: view.parameters }, this.#now + ahead, this.#rng)
    }
    let effects = engine.handle({ kind: 'packet', from, packet }, this.#now + ahead, this.#rng)
    const due = engine.nextDeadline()
    if (effects.length === 0 && due !== undefined) {
      this.#now = Math.max(this.#now, due - ahead)
      effects = engine.handle({ kind: 'timer' }, due, this.#rng)
    }
    return effects[0]
  }

  /** What was dropped, by reason; every packet is accounted for. */
  get dropped (): Record<string, number> {
    const all: Record<string, number> = {}
    for (const { engine } of this.#nodes.values()) {
      const { received, forwarded, delivered, queued, dropped } = engine.counts()
      expect(received).toBe(forwarded + delivered + queued + Object.values(dropped).reduce((sum, n) => sum + n, 0))
      expect(queued).toBe(0)
      for (const [reason, n] of Object.entries(dropped)) all[reason] = (all[reason] ?? 0) + n
    }
    return all
  }
}

const everyone = [...BEFORE, ...AFTER.filter(({ node }) => node.name === 'mix 6')]
/** Clocks apart by the skew at most. */
const apart = (random: (below: number) => number) => (): number => random(clockSkew + 1) - clockSkew / 2
/** What a packet may take at most, for those that are sent at the last moment. */
const WAY = 2_000
const views = (after: readonly Placed[]): { old: SignedDocument, next: SignedDocument } => ({ old: document(EPOCH, BEFORE), next: document(EPOCH + 1, after) })

describe('around the change of an epoch', () => {
  const { old, next } = views(AFTER)
  const both = (): readonly SignedDocument[] => [old, next]

  it.each([1, 2, 3])('no packet made by the document before is lost until its grace ends, where mixes move, come and go (%i)', seed => {
    const random = randomOf(seed)
    const passage = new Passage(everyone, apart(random), both)
    for (let k = 0; k < 60; k++) expect(passage.send(new DirectoryView(old), CHANGE - clockSkew + random(clockSkew + epochGrace - clockSkew - WAY))).toBe(true)
    expect(passage.dropped).toEqual({})
  })

  it.each([1, 2, 3])('nor one made by the next document, by a clock that is ahead within the skew (%i)', seed => {
    const random = randomOf(seed)
    const passage = new Passage(everyone, apart(random), both)
    for (let k = 0; k < 60; k++) expect(passage.send(new DirectoryView(next), CHANGE - clockSkew / 2 + random(epochGrace), clockSkew / 2)).toBe(true)
    expect(passage.dropped).toEqual({})
  })

  it.each([1, 2])('nor one over nodes of which some have not fetched the next document yet, in a network that is the same (%i)', seed => {
    const random = randomOf(seed)
    const same = views(BEFORE)
    const passage = new Passage(BEFORE, apart(random), i => i % 2 === 0 ? [same.old] : [same.old, same.next])
    for (let k = 0; k < 40; k++) {
      const view = random(2) === 0 ? same.old : same.next
      expect(passage.send(new DirectoryView(view), CHANGE + random(epochGrace - clockSkew - WAY))).toBe(true)
    }
    expect(passage.dropped).toEqual({})
  })

  it('after the grace those by the document before are lost, each counted once, and so are those by the next one that come too early', () => {
    const random = randomOf(7)
    const passage = new Passage(everyone, () => 0, both)
    let lost = 0
    for (let k = 0; k < 40; k++) {
      // By a clock that stands still before the change: with the keys of then.
      if (!passage.send(new DirectoryView(old), CHANGE + epochGrace + 1 + random(60_000), -epochGrace - 60_001)) lost += 1
    }
    expect(lost).toBe(40)
    const late = passage.dropped
    expect(Object.values(late).reduce((sum, n) => sum + n, 0)).toBe(40)
    const early = new Passage(everyone, () => 0, both)
    lost = 0
    for (let k = 0; k < 40; k++) if (!early.send(new DirectoryView(next), CHANGE - epochGrace - 60_000 + random(30_000), epochGrace + 60_000)) lost += 1
    expect(lost).toBe(40)
    expect(Object.values(early.dropped).reduce((sum, n) => sum + n, 0)).toBe(40)
    expect([late, early.dropped]).toEqual([{ mac: 40 }, { mac: 40 }])
  })
})
