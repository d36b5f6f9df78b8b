/** Authorities that come and go, or lost their disk: each epoch's document is made by those in office, and is one. */
import { describe, expect, it } from 'vitest'
import { toHex } from '@mixmint/core/kit/bytes'
import { drive } from '@mixmint/core/kit/saga'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import { Archive } from '@mixmint/mixnet/directory/archive'
import { DirectoryClient } from '@mixmint/mixnet/directory/client'
import { quorum, trustAt, trustOf, verifyDocument, type Term } from '@mixmint/mixnet/directory/document'
import { signStatement } from '@mixmint/mixnet/directory/statement'
import { Council, PowerStore, TINY } from '../doubles/council.ts'
import { authorityKeys, EPOCH, NETWORK, PARAMETERS, START } from '../doubles/directory.ts'
import { MemoryStore } from '../doubles/memory-store.ts'
import { seededRng } from '../doubles/rng.ts'

const suite = await defaultSuite()
const { epochLength } = PARAMETERS
const LEAD = epochLength / 8

/** Of n authorities those who are not in office in all epochs: [from, until) by number. */
type Terms = Readonly<Record<number, readonly [number, number]>>

function termsOf (n: number, terms: Terms): Array<Partial<Term>> {
  return Array.from({ length: n }, (_, i) => i in terms ? { from: terms[i][0], until: terms[i][1] } : {})
}

/** All make the documents of `epochs` epochs, from EPOCH on; a reader who knows the terms takes each. @returns who signed them */
async function epochs (council: Council, count: number): Promise<number[][]> {
  const { trust } = council
  const reader = new DirectoryClient(suite, trust)
  const signed: number[][] = []
  for (let epoch = EPOCH; epoch < EPOCH + count; epoch++) {
    if (epoch > EPOCH) council.advance(epoch * epochLength - LEAD - council.seats[0].clock.now())
    await council.publishAll()
    const inOffice = council.honest.filter(i => trustAt(trust, epoch).authorities.some(key => toHex(key) === toHex(council.keys[i].publicKey)))
    await council.settle(() => council.honest.every(i => council.seats[i].authority.status.epoch >= epoch), { step: 400 })
    const by = new Set<number>()
    for (const i of council.honest) {
      const found = await council.get(i, epoch)
      if (found === null) throw new Error(`authority ${i} has no document of ${epoch}`)
      verifyDocument(suite, found, trust, epoch * epochLength)
      reader.accept(found, council.seats[0].clock.now())
      for (const { authority } of found.signatures) by.add(council.keys.findIndex(({ publicKey }) => toHex(publicKey) === toHex(authority)))
    }
    expect(council.valid(epoch, quorum(inOffice.length))).toHaveLength(1)
    expect([...by].filter(i => !inOffice.includes(i))).toEqual([])
    expect(by.size).toBeGreaterThanOrEqual(quorum(inOffice.length))
    // Whoever is not in office has said nothing at all of it.
    const silent = council.keys.filter((_, i) => !inOffice.includes(i)).map(({ publicKey }) => toHex(publicKey))
    expect([...council.words.keys()].filter(word => silent.some(key => word.startsWith(key)) && word.includes(` ${epoch}`))).toEqual([])
    expect(reader.newest?.epoch).toBe(epoch)
    signed.push([...by].sort())
  }
  expect(reader.takeProofs()).toEqual([])
  return signed
}

describe('from one epoch to the next', () => {
  it.each([
    ['one of four is replaced', 5, { 3: [0, EPOCH + 2], 4: [EPOCH + 2, Infinity] }],
    ['four become seven', 7, { 4: [EPOCH + 1, Infinity], 5: [EPOCH + 1, Infinity], 6: [EPOCH + 1, Infinity] }],
    ['one becomes four', 4, { 1: [EPOCH + 1, Infinity], 2: [EPOCH + 1, Infinity], 3: [EPOCH + 1, Infinity] }],
    ['five become four', 5, { 0: [0, EPOCH + 1] }],
    ['all four are others', 8, Object.fromEntries([0, 1, 2, 3, 4, 5, 6, 7].map(i => [i, i < 4 ? [0, EPOCH + 1] : [EPOCH + 1, Infinity]]))]
  ] as ReadonlyArray<readonly [string, number, Terms]>)('%s, and no reader is without a document', async (_what, n, terms) => {
    await epochs(await Council.of(suite, n, { ...TINY, terms: termsOf(n, terms) }), 4)
  })

  it('the one that goes may be gone, and the one that comes may be late', async () => {
    const council = await Council.of(suite, 5, { ...TINY, terms: termsOf(5, { 3: [0, EPOCH + 1], 4: [EPOCH + 1, Infinity] }) })
    for (const i of [0, 1, 2, 3]) for (const link of [`${i} 4`, `4 ${i}`]) council.cut.add(link)
    await council.publishAll()
    await council.settle(() => [0, 1, 2, 3].every(i => council.seats[i].authority.status.epoch >= EPOCH), { step: 400 })
    for (const i of [0, 1, 2, 4]) for (const link of [`${i} 3`, `3 ${i}`]) council.cut.add(link)
    council.advance(START + epochLength - LEAD - council.seats[0].clock.now())
    await council.publishAll(council.nodes, [0, 1, 2])
    await council.settle(() => [0, 1, 2].every(i => council.seats[i].authority.status.epoch > EPOCH), { step: 400 })
    for (const i of [0, 1, 2]) for (const link of [`${i} 4`, `4 ${i}`]) council.cut.delete(link)
    council.advance(epochLength)
    await council.publishAll(council.nodes, [0, 1, 2, 4])
    // It learns what went before from what the others go on from, though it did not make it.
    await council.settle(() => [0, 1, 2, 4].every(i => council.seats[i].authority.status.epoch === EPOCH + 2), { step: 400 })
    expect(council.valid(EPOCH + 2, 3)).toHaveLength(1)
    expect((await council.get(4, EPOCH + 1))?.document.epoch).toBe(EPOCH + 1)
  })

  it('those who are not in office yet do not judge the clocks of those who are, however many', async () => {
    const council = await Council.of(suite, 4, { ...TINY, terms: termsOf(4, { 1: [EPOCH + 3, Infinity], 2: [EPOCH + 3, Infinity], 3: [EPOCH + 3, Infinity] }) })
    for (const i of [1, 2, 3]) council.seats[i].clock.advance(10 * PARAMETERS.clockSkew)
    await council.publishAll(council.nodes, [0])
    await council.settle(() => council.seats[0].authority.status.epoch >= EPOCH, { step: 400 })
    expect(council.seats[0].authority.status.clock).toBe('right')
  })

  it('a document of those who are not in office any more, by the file that one has now, is none', async () => {
    const council = await Council.of(suite, 6, { ...TINY, terms: termsOf(6, { 4: [EPOCH + 1, Infinity], 5: [EPOCH + 1, Infinity] }) })
    await council.publishAll()
    await council.settle(() => [0, 1, 2, 3].every(i => council.seats[i].authority.status.epoch === EPOCH), { step: 400 })
    const found = await council.get(0, EPOCH)
    if (found === null) throw new Error('no document')
    // It was handed over too late: in that epoch four others were in office.
    const late = trustOf(NETWORK, termsOf(6, { 2: [0, EPOCH], 3: [0, EPOCH] }).map((term, i) => ({ key: council.keys[i].publicKey, ...term })))
    const archive = new Archive(suite, late)
    const ports = { clock: council.seats[0].clock, rng: seededRng(1), store: new MemoryStore(), wait: async () => {} }
    await drive(archive.insert({ ...found, signatures: found.signatures }), ports, async () => {})
    const counted = found.signatures.filter(({ authority }) => [0, 1].some(i => toHex(council.keys[i].publicKey) === toHex(authority))).length
    expect(found.signatures.length).toBeGreaterThanOrEqual(3)
    expect(counted).toBeLessThan(3)
    expect(archive.of(EPOCH)).not.toBeNull()
    expect(archive.valid(EPOCH)).toBeNull()
    const nobody = new Archive(suite, trustOf(NETWORK, council.keys.map(({ publicKey }) => ({ key: publicKey, from: EPOCH + 1 }))))
    await drive(nobody.insert(found), { ...ports, store: new MemoryStore() }, async () => {})
    expect(nobody.valid(EPOCH)).toBeNull()
  })

  it('what one says that is not in office is not heard', async () => {
    const council = await Council.of(suite, 5, { ...TINY, terms: termsOf(5, { 3: [0, EPOCH] }) })
    council.liars.set(toHex(council.keys[3].publicKey), async (_asker, request) => {
      const reply = await council.run(3, council.seats[3].authority.handle(request))
      const statement = { network: NETWORK, epoch: EPOCH, what: 'prevote' as const, round: 0, value: new Uint8Array(32) }
      return reply.is === 'agreement' ? { ...reply, statements: [signStatement(suite, council.keys[3], statement), ...reply.statements] } : reply
    })
    await council.publishAll()
    for (const i of [0, 1, 2, 4]) await council.tick(i)
    await council.pull(0, 3)
    const shown = await council.answer(0, { op: 'agreement', epoch: EPOCH })
    if (shown?.is !== 'agreement') throw new Error('no agreement')
    expect(shown.statements.filter(({ authority }) => toHex(authority) === toHex(council.keys[3].publicKey))).toEqual([])
  })

  it('signatures of those not in office count for nothing, at readers and at authorities', async () => {
    const council = await Council.of(suite, 4, TINY)
    await council.publishAll()
    await council.settle(() => council.honest.every(i => council.seats[i].authority.status.epoch === EPOCH))
    const found = await council.get(0, EPOCH)
    if (found === null) throw new Error('no document')
    const signedBy = (...who: number[]): typeof found => ({ ...found, signatures: found.signatures.filter(({ authority }) => who.some(i => toHex(council.keys[i].publicKey) === toHex(authority))) })
    const accepts = (terms: Terms, ...who: number[]): void => {
      const trust = trustOf(NETWORK, termsOf(5, terms).map((term, i) => ({ key: authorityKeys(suite, 5)[i].publicKey, ...term })))
      verifyDocument(suite, signedBy(...who), trust, START)
    }
    expect(found.signatures.length).toBeGreaterThanOrEqual(3)
    const three = [0, 1, 2, 3].filter(i => signedBy(i).signatures.length > 0).slice(0, 3)
    accepts({ 4: [EPOCH + 1, Infinity] }, ...three)
    const without = three[2]
    expect(() => { accepts({ [without]: [EPOCH + 1, Infinity] }, ...three) }).toThrow(expect.objectContaining({ code: 'document-quorum' }))
    expect(() => { accepts({ [without]: [0, EPOCH] }, ...three) }).toThrow(expect.objectContaining({ code: 'document-quorum' }))
  })
})

describe('after the loss of a disk', () => {
  it.each(['empty', 'old'])('with one that is %s and the same key it says nothing of epochs that it may have spoken of', async kind => {
    const council = await Council.of(suite, 4, TINY)
    const backup = council.seats[0].store.inner.crash()
    council.seats[0].store = new PowerStore(backup.crash())
    await council.restart(0)
    await council.publishAll()
    const old = council.seats[0].store.inner.crash()
    council.seats[0].store = new PowerStore(old.crash())
    await council.restart(0)
    await council.settle(() => council.honest.every(i => council.seats[i].authority.status.epoch === EPOCH))
    const own = (epoch: number): string[] => [...council.words.keys()].filter(word => word.startsWith(toHex(council.keys[0].publicKey)) && word.includes(` ${epoch}`))
    expect(own(EPOCH).length).toBeGreaterThan(2)
    const before = own(EPOCH).length
    // The others have forgotten what it said, so that nobody could tell it.
    council.seats[0].store = new PowerStore(kind === 'old' ? old : new MemoryStore())
    await council.restart(0, { signsFrom: EPOCH + 2 })
    for (const epoch of [EPOCH, EPOCH + 1, EPOCH + 2]) {
      if (epoch > EPOCH) council.advance(epoch * epochLength - LEAD - council.seats[0].clock.now())
      await council.publishAll()
      await council.settle(() => [1, 2, 3].every(i => council.seats[i].authority.status.epoch >= epoch), { step: 400 })
      for (let k = 0; k < 5; k++) {
        await council.tick(0)
        for (const j of [1, 2, 3]) await council.pull(0, j)
      }
    }
    expect([own(EPOCH).length, own(EPOCH + 1).length]).toEqual([before, 0])
    expect(own(EPOCH + 2).length).toBeGreaterThan(0)
    for (const { authority } of council.seats) expect(authority.evidence.proofs).toEqual([])
    // A slip would silence it for good: it is told, and nothing is raised.
    await expect(council.restart(0, { signsFrom: 10 * EPOCH })).rejects.toMatchObject({ code: 'signs-from' })
    // The setting may go again: what it forbade stays forbidden.
    await council.restart(0, { signsFrom: 0 })
    council.seats[0].clock.set(START + epochLength)
    await council.tick(0)
    expect(own(EPOCH + 1)).toEqual([])
  })
})
