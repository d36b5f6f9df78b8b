import { describe, expect, it } from 'vitest'
import { equal, toHex, utf8 } from '@mixmint/core/kit/bytes'
import type { Log, Millis, Store } from '@mixmint/core/kit/ports'
import { drive, type Saga } from '@mixmint/core/kit/saga'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import { Authority, type AuthorityConfig } from '@mixmint/mixnet/directory/authority'
import { verifyDocument } from '@mixmint/mixnet/directory/document'
import type { AuthorityEffect } from '@mixmint/mixnet/directory/exchange'
import type { SignedDescriptor, SignedDocument } from '@mixmint/mixnet/directory/formats'
import type { CheckService } from '@mixmint/mixnet/directory/merge'
import type { DirectoryReply } from '@mixmint/mixnet/directory/messages'
import { VirtualClock } from '../doubles/clock.ts'
import {
  admissionOf, authorityKeys, EPOCH, keysOf, NETWORK, PARAMETERS, signed, START, testNetwork, testNode, type Placed
} from '../doubles/directory.ts'
import { MemoryStore } from '../doubles/memory-store.ts'
import { CountingMeter } from '../doubles/meter.ts'
import { seededRng } from '../doubles/rng.ts'

const suite = await defaultSuite()
const keys = authorityKeys(suite, 4)
const nodes = testNetwork()
const quiet: Log = { info: () => {}, warn: () => {}, error: () => {} }
const LEAD = PARAMETERS.epochLength / 8
const NOW = START + 600_000

/** An authority that is driven by hand. */
class Seat {
  readonly authority: Authority
  readonly clock: VirtualClock
  readonly store: Store
  readonly meter = new CountingMeter()
  readonly warnings: string[] = []
  constructor (config: Partial<AuthorityConfig> = {}, { clock = new VirtualClock(NOW), store = new MemoryStore() as Store } = {}) {
    this.clock = clock
    this.store = store
    this.authority = new Authority(suite, {
      key: keys[0], trust: { network: NETWORK, authorities: [keys[0].publicKey] }, parameters: PARAMETERS,
      admitted: nodes.map(node => admissionOf(node)), bootstrapWait: 3_000, ...config
    }, this.meter, { ...quiet, warn: message => { this.warnings.push(message) } })
  }

  async run<T> (saga: Saga<T, AuthorityEffect>): Promise<T> {
    return await drive(saga, { clock: this.clock, rng: seededRng(1), store: this.store, wait: this.clock.wait }, async () => null)
  }

  async open (): Promise<this> {
    await this.run(this.authority.open())
    return this
  }

  async tick (): Promise<Millis> { return await this.run(this.authority.tick()) }
  async publish (descriptor: SignedDescriptor): Promise<string> { return codeOf(await this.run(this.authority.handle({ op: 'publish', signed: descriptor }))) }
  async publishAll (which: readonly Placed[] = nodes): Promise<void> {
    for (const node of which) expect(await this.publish(fresh(node, this.clock.now()))).toBe('published')
  }

  async get (epoch: number | null = null): Promise<SignedDocument | null> {
    const reply = await this.run(this.authority.handle({ op: 'get', epoch }))
    return reply.is === 'document' ? reply.signed : null
  }
}

function codeOf (reply: DirectoryReply): string { return reply.is === 'refused' ? reply.code : reply.is }

/** The node's descriptor as of now, with keys of this epoch and the two after. */
function fresh ({ node, change }: Placed, now: Millis): SignedDescriptor {
  return signed(suite, node, { mixKeys: keysOf(suite, node, Math.floor(now / PARAMETERS.epochLength)), ...change, published: now })
}

function layersOf (document: SignedDocument | null): Map<string, number> {
  return new Map(document?.document.nodes.map(({ layer, signed: { descriptor } }) => [toHex(descriptor.peer), layer]))
}

function listed (document: SignedDocument | null): string[] {
  return [...layersOf(document).keys()]
}

const peersOf = (which: readonly Placed[]): string[] => which.map(({ node }) => toHex(node.peer)).sort()

describe('the first document', () => {
  it('is made as soon as all admitted nodes have published, and is valid', async () => {
    const seat = await new Seat().open()
    await seat.publishAll(nodes.slice(1))
    await seat.tick()
    expect(await seat.get()).toBeNull()
    await seat.publishAll(nodes.slice(0, 1))
    const next = await seat.tick()
    const document = await seat.get()
    if (document === null) throw new Error('no document')
    verifyDocument(suite, document, { network: NETWORK, authorities: [keys[0].publicKey] }, seat.clock.now())
    expect(document.document.epoch).toBe(EPOCH)
    expect(listed(document)).toEqual(peersOf(nodes))
    expect(next).toBe(START + PARAMETERS.epochLength - LEAD)
  })

  it('is made without those that do not come within the bootstrap time', async () => {
    const seat = await new Seat().open()
    await seat.publishAll(nodes.slice(0, -1))
    seat.clock.advance(2_999)
    expect(await seat.tick()).toBeLessThanOrEqual(NOW + 4_000)
    expect(await seat.get()).toBeNull()
    seat.clock.advance(1)
    await seat.tick()
    expect(listed(await seat.get())).toEqual(peersOf(nodes.slice(0, -1)))
  })

  it('is not made without a node in each layer, however long that takes; what is missing is said', async () => {
    const mixes = nodes.filter(({ layer }) => layer > 0 && layer < 255)
    const seat = await new Seat().open()
    await seat.publishAll([mixes[0]])
    seat.clock.advance(3_000)
    await seat.tick()
    expect(seat.authority.status.lacks).toBe('a gateway and 2 mixes')
    await seat.publishAll([nodes[0], mixes[1]])
    seat.clock.advance(57_000)
    await seat.tick()
    expect(await seat.get()).toBeNull()
    expect(seat.meter.of('directory_unusable')).toBe(2)
    expect(seat.authority.status.lacks).toBe('a mix')
    for (const [later, times] of [[30_000, 2], [30_000, 3]]) {
      seat.clock.advance(later)
      await seat.tick()
      expect(seat.warnings).toHaveLength(times)
    }
    expect(seat.warnings.at(-1)).toMatch(/published lacks a mix$/)
    await seat.publishAll([mixes[2]])
    await seat.tick()
    expect(listed(await seat.get())).toHaveLength(4)
    expect(seat.authority.status.lacks).toBe('')
  })
})

describe('publication', () => {
  it('is for admitted peers in the role that they were admitted for', async () => {
    const seat = await new Seat().open()
    const stranger = { node: testNode('stranger'), layer: 1, change: {} }
    expect(await seat.publish(fresh(stranger, NOW))).toBe('not-admitted')
    const [gateway] = nodes
    expect(await seat.publish(fresh({ ...gateway, change: {} }, NOW))).toBe('not-admitted')
    const bank = nodes.find(({ change }) => change.kind === 'bank') as Placed
    expect(await seat.publish(fresh({ ...bank, change: { ...bank.change, kind: 'center' } }, NOW))).toBe('not-admitted')
    expect(seat.meter.of('directory_refused', { code: 'not-admitted' })).toBe(3)
  })

  it('follows the operator\'s list when that changes, and a list that is wrong changes nothing', async () => {
    const seat = await new Seat().open()
    const late = { node: testNode('late'), layer: 1, change: {} }
    await seat.publishAll(nodes)
    expect(await seat.publish(fresh(late, NOW))).toBe('not-admitted')
    const [gone, ...left] = nodes
    seat.authority.admit([...left, late].map(node => admissionOf(node)))
    expect(() => { seat.authority.admit([admissionOf(late), admissionOf(late)]) }).toThrow(expect.objectContaining({ code: 'authority-admission' }))
    expect(await seat.publish(fresh(gone, NOW + 1))).toBe('not-admitted')
    await seat.publishAll([late])
    await seat.tick()
    expect(listed(await seat.get())).toEqual(peersOf([...left, late]))
  })

  it('is remembered, over restarts, also of those who are admitted no more; what a newcomer says is judged by it', async () => {
    const checkService: CheckService = (_kind, body, _others, { before }) => before.every(other => equal(other.body, body)) ? null : 'bank-listing'
    const store = new MemoryStore()
    const bank = nodes.find(({ change }) => change.kind === 'bank') as Placed
    const others = nodes.filter(({ change }) => change.role !== 'service')
    const moved = { ...bank, node: testNode('moved') }
    const seat = await new Seat({ checkService, admitted: [...others, bank].map(node => admissionOf(node)) }, { store }).open()
    await seat.publishAll([...others, bank])
    const said = fresh(bank, NOW)
    const recalled = async (from: Seat): Promise<DirectoryReply> => await from.run(from.authority.handle({ op: 'recall', kind: 'bank', after: null }))
    expect(await recalled(seat)).toEqual({ is: 'descriptors', signed: [said] })
    seat.authority.admit([...others, moved].map(node => admissionOf(node)))
    const again = await new Seat({ checkService, admitted: [...others, moved].map(node => admissionOf(node)) }, { store }).open()
    for (const each of [seat, again]) {
      expect(await recalled(each)).toEqual({ is: 'descriptors', signed: [said] })
      expect(await each.publish(fresh({ ...moved, change: { ...moved.change, body: utf8('other') } }, NOW))).toBe('bank-listing')
      await each.tick()
      expect(listed(await each.get()) ?? []).not.toContain(toHex(bank.node.peer))
    }
    expect(await again.publish(fresh(moved, NOW))).toBe('published')
  })

  it('verifies the descriptor, and its time against this clock', async () => {
    const seat = await new Seat().open()
    const right = fresh(nodes[0], NOW)
    expect(await seat.publish({ ...right, signature: fresh(nodes[1], NOW).signature })).toBe('descriptor-signature')
    expect(await seat.publish(fresh(nodes[0], NOW + PARAMETERS.clockSkew + 1))).toBe('descriptor-early')
    expect(await seat.publish(fresh(nodes[0], START - 3 * PARAMETERS.epochLength))).toBe('descriptor-stale')
    const old = { ...nodes[0], change: { ...nodes[0].change, mixKeys: keysOf(suite, nodes[0].node, EPOCH - 5) } }
    expect(await seat.publish(fresh(old, NOW))).toBe('descriptor-epochs')
    expect(await seat.publish(right)).toBe('published')
  })

  it('keeps the newest, and takes the same again', async () => {
    const seat = await new Seat().open()
    const [older, newer] = [fresh(nodes[0], NOW - 10), fresh(nodes[0], NOW)]
    expect(await seat.publish(newer)).toBe('published')
    expect(await seat.publish(older)).toBe('descriptor-older')
    expect(await seat.publish(newer)).toBe('published')
    const rival = signed(suite, nodes[0].node, { ...newer.descriptor, addresses: ['/ip4/127.0.0.1/tcp/9'] })
    expect(await seat.publish(rival)).toBe('descriptor-older')
    await seat.publishAll(nodes.slice(1))
    await seat.tick()
    const node = (await seat.get())?.document.nodes.find(({ signed: { descriptor } }) => toHex(descriptor.peer) === toHex(nodes[0].node.peer))
    expect(node?.signed.descriptor.addresses).toEqual(newer.descriptor.addresses)
  })

  it('asks the rules of services, with what the others and the service itself had published', async () => {
    const asked: unknown[] = []
    const checkService: CheckService = (kind, body, others, { before }) => {
      asked.push([kind, body, others.map(other => other.kind), before.map(service => service.body)])
      return toHex(body) === toHex(utf8('second')) ? 'keyset-second' : null
    }
    const seat = await new Seat({ checkService }).open()
    const bank = nodes.find(({ change }) => change.kind === 'bank') as Placed
    await seat.publishAll()
    expect(asked).toEqual([['bank', utf8('listing'), [], []], ['center', new Uint8Array(0), ['bank'], [utf8('listing')]]])
    expect(await seat.publish(fresh({ ...bank, change: { ...bank.change, body: utf8('second') } }, NOW + 1))).toBe('keyset-second')
    expect(asked[2]).toEqual(['bank', utf8('second'), ['center'], [utf8('listing'), new Uint8Array(0)]])
    await seat.tick()
    const body = (await seat.get())?.document.nodes.find(({ signed: { descriptor } }) => descriptor.kind === 'bank')?.signed.descriptor.body
    expect(body).toEqual(utf8('listing'))
    // Who has not been heard of for long stands in nobody's way; what it published may still bind.
    seat.clock.advance(3 * PARAMETERS.epochLength)
    expect(await seat.publish(fresh(bank, seat.clock.now()))).toBe('published')
    expect(asked.at(-1)).toEqual(['bank', utf8('listing'), [], [utf8('listing'), new Uint8Array(0)]])
  })

  it('survives a restart', async () => {
    const seat = await new Seat().open()
    await seat.publishAll()
    const again = await new Seat({}, seat).open()
    await again.tick()
    expect(listed(await again.get())).toEqual(peersOf(nodes))
  })

  it('of one who is admitted no longer does not', async () => {
    const seat = await new Seat().open()
    await seat.publishAll()
    const again = await new Seat({ admitted: nodes.slice(1).map(node => admissionOf(node)) }, seat).open()
    await again.tick()
    expect(listed(await again.get())).toEqual(peersOf(nodes.slice(1)))
  })
})

describe('over the epochs', () => {
  it('the next document is there before its epoch, and is not what is in force until then', async () => {
    const seat = await new Seat().open()
    await seat.publishAll()
    await seat.tick()
    seat.clock.set(START + PARAMETERS.epochLength - LEAD - 1)
    await seat.publishAll()
    await seat.tick()
    expect(await seat.get(EPOCH + 1)).toBeNull()
    seat.clock.advance(1)
    expect(await seat.tick()).toBe(START + PARAMETERS.epochLength)
    expect((await seat.get(EPOCH + 1))?.document.epoch).toBe(EPOCH + 1)
    expect((await seat.get())?.document.epoch).toBe(EPOCH)
    seat.clock.set(START + PARAMETERS.epochLength)
    expect((await seat.get())?.document.epoch).toBe(EPOCH + 1)
  })

  it('serves the last one through its grace when there is no newer', async () => {
    const seat = await new Seat().open()
    await seat.publishAll()
    await seat.tick()
    seat.clock.set(START + PARAMETERS.epochLength + PARAMETERS.epochGrace)
    expect((await seat.get())?.document.epoch).toBe(EPOCH)
    seat.clock.advance(1)
    expect(await seat.get()).toBeNull()
  })

  it('leaves out who did not republish for two epochs, or has no key left', async () => {
    const seat = await new Seat().open()
    await seat.publishAll()
    const [silent] = nodes
    const center = nodes.at(-1) as Placed
    const present: boolean[][] = []
    for (let i = 1; i <= 4; i++) {
      await seat.tick()
      const now = await seat.get(Math.floor(seat.clock.now() / PARAMETERS.epochLength))
      present.push([silent, center].map(({ node }) => listed(now).includes(toHex(node.peer))))
      seat.clock.set(START + i * PARAMETERS.epochLength)
      await seat.publishAll(nodes.filter(node => node !== silent && node !== center))
    }
    // Keys for three epochs were published; the center has none, and drops out by its date.
    expect(present).toEqual([[true, true], [true, true], [true, true], [false, false]])
  })

  it('leaves out a node that has no key for it', async () => {
    const seat = await new Seat().open()
    const [short] = nodes
    await seat.publishAll(nodes.slice(1))
    await seat.publish(fresh({ ...short, change: { ...short.change, mixKeys: keysOf(suite, short.node, EPOCH).slice(0, 1) } }, NOW))
    await seat.tick()
    expect(listed(await seat.get())).toEqual(peersOf(nodes))
    seat.clock.set(START + PARAMETERS.epochLength)
    await seat.tick()
    expect(listed(await seat.get())).toEqual(peersOf(nodes.slice(1)))
  })

  it('mixes keep their layers, and newcomers go where there are fewest', async () => {
    const mixes = nodes.filter(({ layer }) => layer > 0 && layer < 255)
    const newcomers = ['a', 'b', 'c'].map(name => ({ node: testNode(name), layer: 1, change: {} }))
    const admitted = [...nodes, ...newcomers].map(node => admissionOf(node))
    const seat = await new Seat({ admitted }).open()
    await seat.publishAll()
    seat.clock.advance(3_000)
    await seat.tick()
    const before = layersOf(await seat.get())
    seat.clock.set(START + PARAMETERS.epochLength)
    await seat.publishAll([...nodes, ...newcomers])
    await seat.tick()
    const after = layersOf(await seat.get())
    for (const { node } of mixes) expect(after.get(toHex(node.peer))).toBe(before.get(toHex(node.peer)))
    expect(newcomers.map(({ node }) => after.get(toHex(node.peer))).sort()).toEqual([1, 2, 3])
  })

  it('a mix stands in the layer that the admission list gives it', async () => {
    const mixes = nodes.filter(({ layer }) => layer > 0 && layer < 255)
    const admitted = nodes.map(node => admissionOf(node, node === mixes[0] || node === mixes[1] ? 3 : undefined))
    const seat = await new Seat({ admitted }).open()
    await seat.publishAll()
    await seat.tick()
    const layers = layersOf(await seat.get())
    expect(layers.get(toHex(mixes[0].node.peer))).toBe(3)
    expect(layers.get(toHex(mixes[1].node.peer))).toBe(3)
    expect([1, 2, 3].map(layer => [...layers.values()].filter(other => other === layer).length)).toEqual([2, 2, 2])
  })

  it('refuses a list that gives a layer which does not exist, or to another than a mix, or names a peer twice', () => {
    const wrong = [nodes.map(node => admissionOf(node, 1)), [admissionOf(nodes[2], 4)], [admissionOf(nodes[2], 0)], [admissionOf(nodes[2]), admissionOf(nodes[2])]]
    for (const admitted of wrong) expect(() => new Seat({ admitted })).toThrow(expect.objectContaining({ code: 'authority-admission' }))
    expect(() => new Seat({ key: keys[1] })).toThrow(expect.objectContaining({ code: 'authority-unknown' }))
  })
})

describe('one document an epoch', () => {
  it('holds against another process on the same store', async () => {
    const store = new MemoryStore()
    const [a, b] = await Promise.all([1, 2].map(async () => await new Seat({}, { clock: new VirtualClock(NOW), store }).open()))
    await a.publishAll()
    await a.tick()
    b.clock.advance(1)
    await b.publishAll()
    await b.tick()
    expect(await b.get()).toEqual(await a.get())
  })

  it('is made again after the clock has jumped ahead and back, but never for an epoch that was passed over', async () => {
    const seat = await new Seat().open()
    await seat.publishAll()
    await seat.tick()
    const first = await seat.get()
    seat.clock.set(START + 90 * PARAMETERS.epochLength)
    await seat.publishAll()
    await seat.tick()
    expect((await seat.get())?.document.epoch).toBe(EPOCH + 90)
    seat.clock.set(NOW)
    expect(await seat.get()).toEqual(first)
    const back = await new Seat({}, seat).open()
    back.clock.set(START + PARAMETERS.epochLength)
    expect(await back.publish(fresh(nodes[0], back.clock.now()))).toBe('descriptor-older')
    const again = await new Seat({}, { clock: back.clock, store: await withoutNodes(seat.store) }).open()
    await again.publishAll()
    await again.tick()
    expect((await again.get())?.document.epoch).toBe(EPOCH + 1)
    for (let epoch = EPOCH + 2; epoch <= EPOCH + 6; epoch++) {
      again.clock.set(epoch * PARAMETERS.epochLength)
      await again.publishAll()
      await again.tick()
    }
    // What was signed for these is forgotten, so nothing is signed for them any more.
    again.clock.set(START + PARAMETERS.epochLength)
    await again.tick()
    expect(await again.get(EPOCH + 1)).toBeNull()
    expect((await again.get(EPOCH + 6))?.document.epoch).toBe(EPOCH + 6)
  })
})

/** The store with the nodes' descriptors taken out, as when they have all been replaced. */
async function withoutNodes (store: Store): Promise<Store> {
  const prefix = utf8('directory/node/')
  await store.batch((await store.scan({ prefix, limit: 100 })).map(({ key }) => ({ op: 'delete', key })))
  return store
}
