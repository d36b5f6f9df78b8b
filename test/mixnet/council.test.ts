/** Several authorities: what they agree on, whoever is dead, late, cut off or configured otherwise. */
import { describe, expect, it } from 'vitest'
import { toHex } from '@mixmint/core/kit/bytes'
import { encode } from '@mixmint/core/kit/codec'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import { quorum, verifyDocument } from '@mixmint/mixnet/directory/document'
import { Document, type SignedDocument } from '@mixmint/mixnet/directory/formats'
import { Council, NOW, TINY } from '../doubles/council.ts'
import { admissionOf, EPOCH, PARAMETERS, START, testNetwork, testNode, type Placed } from '../doubles/directory.ts'

const suite = await defaultSuite()
const nodes = testNetwork(1)
const { epochLength, clockSkew } = PARAMETERS
const LEAD = epochLength / 8

/** These hold a valid document of the epoch, the same. */
async function agreed (council: Council, who = council.honest, epoch = EPOCH): Promise<Document> {
  const documents: SignedDocument[] = []
  for (const i of who) {
    const signed = await council.get(i, epoch)
    if (signed === null) throw new Error(`authority ${i} has no document`)
    verifyDocument(suite, signed, council.trust, epoch * epochLength)
    documents.push(signed)
  }
  for (const { document } of documents) expect(encode(Document, document)).toEqual(encode(Document, documents[0].document))
  return documents[0].document
}

const has = (council: Council, epoch = EPOCH) => (i: number): boolean => council.seats[i].authority.status.epoch >= epoch
const listed = (document: Document): string[] => document.nodes.map(({ signed: { descriptor } }) => toHex(descriptor.peer))
const peersOf = (which: readonly Placed[]): string[] => which.map(({ node }) => toHex(node.peer)).sort()

describe.each([1, 2, 3, 4, 5, 7])('%i authorities', n => {
  it('make one document, as soon as all have voted, and the next one in time', async () => {
    const council = await Council.of(suite, n, TINY)
    await council.publishAll()
    await council.settle(() => council.honest.every(has(council)), { rounds: 10 })
    expect(listed(await agreed(council))).toEqual(peersOf(council.nodes))
    council.advance(START + epochLength - LEAD - council.seats[0].clock.now() - 1)
    await council.publishAll()
    for (const i of council.honest) await council.tick(i)
    expect(await council.get(0, EPOCH + 1)).toBeNull()
    council.advance(1)
    await council.settle(() => council.honest.every(has(council, EPOCH + 1)), { rounds: 10 })
    expect((await agreed(council, council.honest, EPOCH + 1)).epoch).toBe(EPOCH + 1)
  })
})

describe('four authorities', () => {
  const four = async (options: Parameters<typeof Council.of>[2] = TINY): Promise<Council> => await Council.of(suite, 4, options)
  const dead = (council: Council, ...who: number[]): void => {
    for (const i of who) for (let j = 0; j < 4; j++) for (const link of [`${i} ${j}`, `${j} ${i}`]) council.cut.add(link)
  }

  it.each([0, 1, 2, 3])('do without number %i, and it comes by the document when it is back', async gone => {
    const council = await four()
    dead(council, gone)
    await council.publishAll()
    const there = council.honest.filter(i => i !== gone)
    await council.settle(() => there.every(has(council)), { step: 500 })
    await agreed(council, there)
    expect(has(council)(gone)).toBe(false)
    council.cut.clear()
    await council.restart(gone)
    await council.settle(() => has(council)(gone))
    const signed = await council.get(gone, EPOCH)
    expect(signed?.signatures.map(({ authority }) => toHex(authority))).not.toContain(toHex(council.keys[gone].publicKey))
    await agreed(council)
  })

  it('wait for the votes of all, but not for ever', async () => {
    const council = await four()
    dead(council, 3)
    await council.publishAll()
    await expect(council.settle(() => has(council)(0), { rounds: 20, step: 300 })).rejects.toThrow('not settled')
    expect(await council.settle(() => [0, 1, 2].every(has(council)), { rounds: 60, step: 300 })).toBeGreaterThan(2)
  })

  it('make none while two are away, and make it when one is back', async () => {
    const council = await four()
    dead(council, 0, 1)
    await council.publishAll()
    await expect(council.settle(() => has(council)(2), { rounds: 30, step: 1_000 })).rejects.toThrow('not settled')
    council.cut.clear()
    dead(council, 0)
    await council.settle(() => [1, 2, 3].every(has(council)), { step: 500 })
    await agreed(council, [1, 2, 3])
  })

  it('that are cut in two make none, and one after that', async () => {
    const council = await four()
    await council.publishAll()
    for (const link of ['0 2', '0 3', '1 2', '1 3', '2 0', '2 1', '3 0', '3 1']) council.cut.add(link)
    await expect(council.settle(() => council.honest.some(has(council)), { rounds: 30, step: 1_000 })).rejects.toThrow('not settled')
    council.cut.clear()
    await council.settle(() => council.honest.every(has(council)), { step: 500 })
    await agreed(council)
    expect(council.valid(EPOCH, quorum(4))).toHaveLength(1)
  })

  it('of which two do not reach each other hear each other from the others', async () => {
    const council = await four()
    council.cut.add('0 1').add('1 0').add('2 3').add('3 2')
    await council.publishAll()
    await council.settle(() => council.honest.every(has(council)), { rounds: 20 })
    const signed = await council.get(0, EPOCH)
    expect(signed?.signatures.length).toBeGreaterThanOrEqual(3)
    await agreed(council)
  })

  it('list a node that most of them know, and the others hear of it for the next time', async () => {
    const council = await four({})
    const [few, some] = nodes.filter(({ layer }) => layer === 255)
    const others = nodes.filter(node => node !== few && node !== some)
    await council.acquaint()
    await council.publishAll(others)
    await council.publishAll([few], [1])
    await council.publishAll([some], [0, 1, 2])
    council.advance(3_000)
    for (const i of council.honest) await council.tick(i)
    await council.settle(() => council.honest.every(has(council)), { step: 500 })
    expect(listed(await agreed(council))).toEqual(peersOf([some, ...others]))
    council.advance(START + epochLength - LEAD - council.seats[0].clock.now())
    await council.settle(() => council.honest.every(has(council, EPOCH + 1)), { step: 500 })
    expect(listed(await agreed(council, council.honest, EPOCH + 1))).toEqual(peersOf(nodes))
  })

  it('take the newest descriptor of a node, whoever has it', async () => {
    const council = await four()
    await council.publishAll()
    council.advance(10)
    const newest = council.descriptor(council.nodes[0], council.seats[0].clock.now())
    await council.publish(2, newest)
    await council.settle(() => council.honest.every(has(council)), { rounds: 10 })
    const document = await agreed(council)
    const found = document.nodes.find(({ signed }) => toHex(signed.descriptor.peer) === toHex(council.nodes[0].node.peer))
    expect(found?.signed.descriptor.published).toBe(newest.descriptor.published)
  })

  it('vote again when what they have makes no path, and then they agree', async () => {
    // Each knows another two of four gateways, so that no gateway has a majority.
    const gateways = ['a', 'b', 'c', 'd'].map(name => ({ node: testNode(`gateway ${name}`), layer: 0, change: nodes[0].change }))
    const all = [...nodes.filter(({ layer }) => layer > 0), ...gateways]
    const council = await four({ nodes: all })
    await council.acquaint()
    await council.publishAll(all.filter(({ layer }) => layer > 0))
    for (const [i, gateway] of gateways.entries()) await council.publishAll([gateway], [i, (i + 1) % 4])
    council.advance(3_000)
    for (const i of council.honest) await council.tick(i)
    await council.settle(() => council.honest.every(has(council)), { step: 500 })
    const document = await agreed(council)
    expect(document.nodes.filter(({ layer }) => layer === 0).length).toBeGreaterThanOrEqual(2)
  })

  it('keep mixes in their layers, and put them where most operators want them', async () => {
    const more = testNetwork(2)
    const mixes = more.filter(({ layer }) => layer > 0 && layer < 255)
    const wanting = (i: number): ReturnType<typeof admissionOf>[] => more.map(node =>
      node === mixes[0] ? admissionOf(node, i < 3 ? 3 : 1) : node === mixes[1] ? admissionOf(node, i < 2 ? 1 : 2) : admissionOf(node))
    const council = await four({ nodes: more, config: i => ({ admitted: wanting(i) }) })
    await council.publishAll()
    await council.settle(() => council.honest.every(has(council)), { rounds: 10 })
    const layers = (document: Document): Map<string, number> => new Map(document.nodes.map(({ layer, signed }) => [toHex(signed.descriptor.peer), layer]))
    const first = layers(await agreed(council))
    expect(first.get(toHex(mixes[0].node.peer))).toBe(3)
    council.advance(START + epochLength - LEAD - council.seats[0].clock.now())
    await council.publishAll()
    // One has forgotten the document before, and hears of it with the votes of the others.
    await council.settle(() => council.honest.every(has(council, EPOCH + 1)), { rounds: 10 })
    expect(layers(await agreed(council, council.honest, EPOCH + 1))).toEqual(first)
  })

  it('go on from the last document that any of them has', async () => {
    const council = await four()
    dead(council, 3)
    await council.publishAll()
    await council.settle(() => [0, 1, 2].every(has(council)), { step: 500 })
    const before = await agreed(council, [0, 1, 2])
    council.cut.clear()
    council.advance(START + epochLength - LEAD - council.seats[0].clock.now())
    await council.publishAll()
    // Number 3 has a document of no epoch; it asks for that of the one before, which votes name.
    await council.settle(() => council.honest.every(has(council, EPOCH + 1)), { rounds: 20 })
    await agreed(council, council.honest, EPOCH + 1)
    expect(await council.get(3, EPOCH)).not.toBeNull()
    expect(await council.get(3, EPOCH).then(signed => signed?.document)).toEqual(before)
  })

  it('name the parameters in which one is configured otherwise, and do without it', async () => {
    const parameters = { ...PARAMETERS, pathLength: 3 }
    const other = { ...parameters, meanDelay: 7, surbsPerPacket: 3 }
    const council = await four({ ...TINY, config: i => ({ parameters: i === 2 ? other : parameters }) })
    await council.publishAll()
    await council.settle(() => [0, 1, 3].every(has(council)), { step: 500 })
    expect((await agreed(council, [0, 1, 3])).parameters).toEqual(parameters)
    const name = toHex(council.keys[2].publicKey).slice(0, 8)
    expect(council.seats[0].log).toEqual([expect.stringContaining(`authority ${name} has other parameters`)])
    expect(council.seats[0].authority.status.colleagues.find(({ authority }) => toHex(authority).startsWith(name))?.differing).toEqual(['meanDelay', 'surbsPerPacket'])
    expect(council.seats[2].log).toHaveLength(3)
    // Configured alike, it takes part again.
    await council.restart(2, { parameters })
    council.advance(START + epochLength - LEAD - council.seats[0].clock.now())
    await council.publishAll()
    await council.settle(() => council.honest.every(has(council, EPOCH + 1)), { rounds: 10 })
    await agreed(council, council.honest, EPOCH + 1)
  })

  it('of which two have other parameters make no document', async () => {
    const council = await four({ ...TINY, config: i => ({ parameters: { ...PARAMETERS, pathLength: 3, epochGrace: PARAMETERS.epochGrace + (i > 1 ? 1 : 0) } }) })
    await council.publishAll()
    await expect(council.settle(() => council.honest.some(has(council)), { rounds: 20, step: 1_000 })).rejects.toThrow('not settled')
    expect(council.seats[0].log.join()).toContain('other parameters')
  })

  it('bear clocks that differ by the skew, and say whose is wrong beyond it', async () => {
    const council = await four()
    council.seats[1].clock.advance(clockSkew / 2)
    council.seats[2].clock.set(NOW - clockSkew / 2)
    await council.publishAll(council.nodes, [0, 1, 3, 2])
    await council.settle(() => council.honest.every(has(council)), { step: 200 })
    for (const { log } of council.seats) expect(log.filter(line => line.includes('this machine'))).toEqual([])
    await agreed(council)

    const off = await four()
    off.seats[3].clock.advance(60_000)
    off.seats[0].clock.set(NOW)
    await off.publishAll()
    await off.settle(() => [0, 1, 2].every(has(off)), { step: 500 })
    await agreed(off)
    expect(off.seats[3].log).toContainEqual('this machine\'s clock is 60 s ahead of the clocks of most other authorities: set it')
    expect(off.seats[3].authority.status.clock).toBe('ahead')
    expect(off.seats[0].log).toContainEqual(`the clock of authority ${toHex(off.keys[3].publicKey).slice(0, 8)} is 60 s ahead of this machine's`)
    expect(off.seats[0].authority.status.clock).toBe('right')
  })

  it.each([['ahead', 5_001], ['behind', -5_001]] as const)('go on without one whose clock is %s by more than the skew: it says so and votes for nothing; set right, it votes', async (which, by) => {
    expect(clockSkew).toBe(5_000)
    const council = await four()
    council.seats[3].clock.set(NOW + by)
    await council.publishAll(council.nodes, [0, 1, 2])
    council.seats[3].clock.set(NOW)
    await council.publishAll(council.nodes, [3])
    council.seats[3].clock.set(NOW + by)
    const votes = (epoch: number): number => [...council.words.keys()].filter(word => word === `${toHex(council.keys[3].publicKey)} vote ${epoch} 0`).length
    // Its own step comes first: before it has asked anybody it does not know how its clock is.
    await council.tick(3)
    await council.settle(() => [0, 1, 2].every(has(council)), { step: 500 })
    await council.tick(3)
    await agreed(council, [0, 1, 2])
    expect(votes(EPOCH)).toBe(0)
    expect(council.seats[3].authority.status.clock).toBe(which)
    expect(council.seats[3].log.filter(line => line.startsWith('this machine')))
      .toEqual([`this machine's clock is 5 s ${which === 'ahead' ? 'ahead of' : 'behind'} the clocks of most other authorities: set it`])
    council.seats[3].clock.set(council.seats[0].clock.now())
    council.advance(START + epochLength - LEAD - council.seats[0].clock.now())
    await council.publishAll()
    await council.settle(() => council.honest.every(has(council, EPOCH + 1)), { step: 500 })
    expect(votes(EPOCH + 1)).toBe(1)
    expect(council.seats[3].authority.status.clock).toBe('right')
  })

  it.each([4_999, -4_999])('bear one whose clock is off by %i ms, within the skew: it votes, and says nothing of clocks', async by => {
    const council = await four()
    council.seats[3].clock.set(NOW + by)
    await council.publishAll(council.nodes, by < 0 ? [3, 0, 1, 2] : [0, 1, 2, 3])
    await council.settle(() => council.honest.every(has(council)), { step: 500 })
    await agreed(council)
    expect([...council.words.keys()]).toContain(`${toHex(council.keys[3].publicKey)} vote ${EPOCH} 0`)
    for (const { log } of council.seats) expect(log).toEqual([])
  })

  it('do not believe one that lies of the time: it can keep nobody from voting', async () => {
    const council = await four()
    council.liars.set(toHex(council.keys[3].publicKey), async (_asker, request) => {
      const reply = await council.run(3, council.seats[3].authority.handle(request))
      return reply.is === 'agreement' ? { ...reply, time: reply.time + 3_600_000 } : reply
    })
    await council.publishAll()
    await council.settle(() => [0, 1, 2].every(has(council)), { step: 500 })
    for (const i of [0, 1, 2]) expect(council.seats[i].authority.status.clock).toBe('right')
  })
})

describe('an authority whose clock was ahead, over epochs of its own', () => {
  // 1.5: its clock is in an epoch for which nodes have published keys already.
  it.each([1.5, 5])('by %d of them, counts it, says nothing twice, and takes part again when the clock is right', async ahead => {
    const council = await Council.of(suite, 4, TINY)
    await council.publishAll()
    await council.settle(() => council.honest.every(has(council)), { rounds: 10 })
    const seat = council.seats[3]
    seat.clock.advance(ahead * epochLength)
    for (let epoch = EPOCH + 1; epoch <= EPOCH + 3; epoch++) {
      council.advance(epoch * epochLength - LEAD - council.seats[0].clock.now())
      await council.publishAll()
      await council.settle(() => [0, 1, 2].every(has(council, epoch)), { step: 500 })
      await agreed(council, [0, 1, 2], epoch)
    }
    expect(seat.authority.status.clock).toBe('ahead')
    expect(seat.meter.of('directory_clock_wrong', { reason: 'ahead' })).toBe(1)
    for (const { meter } of council.seats.slice(0, 3)) expect(meter.of('directory_clock_wrong', { reason: 'ahead' })).toBe(0)
    seat.clock.set(council.seats[0].clock.now())
    // What it said of epochs that the others had not come to, and has forgotten, it says no more of: for two epochs at most.
    const later = EPOCH + 6
    council.advance(later * epochLength - LEAD - council.seats[0].clock.now())
    await council.publishAll()
    await council.settle(() => council.honest.every(has(council, later)), { step: 500 })
    await agreed(council, council.honest, later)
    expect([...council.words.keys()]).toContainEqual(expect.stringMatching(`^${toHex(seat.key.publicKey)} vote ${later} `))
    expect(seat.authority.status.clock).toBe('right')
    expect(council.seats.flatMap(({ authority }) => authority.evidence.proofs)).toEqual([])
  })
})

describe('an authority whose clock is set back into an epoch that has its document', () => {
  it('hears of it when it next asks, and when it is right again, too', async () => {
    const council = await Council.of(suite, 4, TINY)
    await council.publishAll()
    await council.settle(() => council.honest.every(has(council)), { rounds: 10 })
    const seat = council.seats[3]
    const now = seat.clock.now()
    seat.clock.set(now - 2 * clockSkew)
    for (const j of [0, 1, 2]) await council.pull(3, j)
    expect(seat.authority.status.clock).toBe('right') // so soon it does not ask
    seat.clock.set(now - 0.4 * epochLength)
    for (const j of [0, 1, 2]) await council.pull(3, j)
    expect(seat.authority.status.clock).toBe('behind')
    expect(seat.meter.of('directory_clock_wrong', { reason: 'behind' })).toBe(1)
    seat.clock.set(now)
    for (const j of [0, 1, 2]) await council.pull(3, j)
    expect(seat.authority.status.clock).toBe('right')
  })
})

describe('the power fails', () => {
  it.each([1, 4])('at any time at one of %i: never does it say two things, and the document comes', async n => {
    for (const kept of [false, true]) {
      for (let inBatches = 1; inBatches <= 9; inBatches++) {
        const council = await Council.of(suite, n, TINY)
        await council.publishAll()
        council.seats[0].store.fails = { inBatches, kept }
        const before = council.seats[0].authority
        for (let k = 0; k < 12 && council.seats[0].authority === before && !council.honest.every(has(council)); k++) {
          for (const i of council.honest) {
            for (const j of council.honest) if (i !== j) await council.crashing(i, async () => await council.pull(i, j))
            await council.crashing(i, async () => await council.tick(i))
          }
          council.advance(50)
        }
        council.seats[0].store.fails = { inBatches: 0, kept: false }
        // What it knows by now is not what it voted for.
        await council.publishAll()
        await council.settle(() => council.honest.every(has(council)), { step: 500 })
        await agreed(council)
        expect(council.valid(EPOCH, quorum(n))).toHaveLength(1)
      }
    }
  })
})
