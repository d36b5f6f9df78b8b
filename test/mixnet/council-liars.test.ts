/** Authorities that lie: what the others agree on, what readers believe, and the proofs that stay. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { concat, equal, toHex } from '@mixmint/core/kit/bytes'
import { encode } from '@mixmint/core/kit/codec'
import { isMixmintError } from '@mixmint/core/kit/errors'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import { DirectoryClient } from '@mixmint/mixnet/directory/client'
import { addSignatures, quorum, signDocument, tolerated } from '@mixmint/mixnet/directory/document'
import { Document, type SignedDocument } from '@mixmint/mixnet/directory/formats'
import type { DirectoryReply, ReplyOf } from '@mixmint/mixnet/directory/messages'
import { contradict, signStatement, verifyEquivocation, type Statement } from '@mixmint/mixnet/directory/statement'
import { Council, NOW, PowerStore, TINY } from '../doubles/council.ts'
import { EPOCH, NETWORK, PARAMETERS, testDocument } from '../doubles/directory.ts'
import { Liar } from '../doubles/liar.ts'
import { copyOf } from '../doubles/memory-store.ts'
import { randomOf } from '../doubles/rng.ts'

const suite = await defaultSuite()
const has = (council: Council) => (i: number): boolean => council.seats[i].authority.status.epoch >= EPOCH

/** Readers that take whatever anybody gives them. */
class Readers {
  readonly #clients: DirectoryClient[]
  constructor (council: Council, count: number) { this.#clients = Array.from({ length: count }, () => new DirectoryClient(suite, council.trust)) }
  give (which: number, signed: SignedDocument, now: number): void {
    try {
      this.#clients[which].accept(signed, now)
    } catch (error) {
      if (!isMixmintError(error)) throw error
    }
  }

  get held (): Set<string> {
    return new Set(this.#clients.flatMap(client => client.newest === null ? [] : [toHex(encode(Document, client.newest.signed.document))]))
  }
}

describe.each([[4, 1, 8], [7, 2, 2]])('of %i authorities of which %i have two faces and sign anything', (n, liars, numRuns) => {
  it('the honest never say two things, no two readers hold different documents, and after all troubles there is one', async () => {
    await fc.assert(fc.asyncProperty(fc.nat(), fc.integer({ min: 0, max: 90 }), async (seed, steps) => {
      const random = randomOf(seed)
      const council = await Council.of(suite, n, TINY)
      const seats = Array.from({ length: n }, (_, i) => i).sort(() => random(3) - 1).slice(0, liars)
      const faces = await Promise.all(seats.map(async i => await Liar.seat(council, i, [TINY.nodes, TINY.nodes.slice(0, 2)], random)))
      await council.publishAll()
      const readers = new Readers(council, 3)
      const give = async (): Promise<void> => {
        const from = random(n)
        const signed = await council.get(from, EPOCH)
        if (signed !== null) readers.give(random(3), signed, council.seats[0].clock.now())
      }
      for (let k = 0; k < steps; k++) {
        const i = council.honest[random(council.honest.length)]
        if (k % 30 === 0) {
          council.cut.clear()
          const cut = random(6)
          for (const a of council.honest) for (let b = 0; b < n; b++) if (random(8) < cut) council.cut.add(`${a} ${b}`)
        }
        if (random(10) === 0) council.seats[i].store.fails = { inBatches: 1 + random(3), kept: random(2) === 0 }
        const what = random(8)
        if (what < 4) await council.crashing(i, async () => await council.pull(i, (i + 1 + random(n - 1)) % n))
        else if (what < 6) await council.crashing(i, async () => await council.tick(i))
        else if (what < 7) await faces[random(faces.length)].act()
        else await give()
        council.advance(random(random(4) === 0 ? 6_000 : 300))
      }
      for (const { store } of council.seats) store.fails = { inBatches: 0, kept: false }
      council.cut.clear()
      await council.settle(() => council.honest.every(has(council)), { step: 400 })
      for (let k = 0; k < 4 * n; k++) await give()
      for (const i of council.honest) expect(await council.get(i, EPOCH)).not.toBeNull()
      expect(council.valid(EPOCH, quorum(n))).toHaveLength(1)
      expect(readers.held.size).toBe(1)
      // Whatever was kept as proof convicts none but liars, before anybody.
      for (const i of council.honest) {
        for (const proof of council.seats[i].authority.evidence.proofs) {
          verifyEquivocation(suite, proof)
          expect(seats.some(liar => equal(council.keys[liar].publicKey, proof.first.authority))).toBe(true)
        }
      }
    }), { numRuns })
  })
})

describe('two readers hold different documents of one epoch', () => {
  it('only if more authorities than may lie signed both, and these are convicted', () => {
    fc.assert(fc.property(fc.constantFrom(1, 2, 3, 4, 5, 7), fc.infiniteStream(fc.nat(2)), (n, choices) => {
      const { keys, trust } = { keys: authorityKeysOf(n), trust: { network: NETWORK, authorities: authorityKeysOf(n).map(({ publicKey }) => publicKey) } }
      const [one, other] = DOCUMENTS
      const by = (document: Document, which: number): SignedDocument =>
        addSignatures({ document, signatures: [] }, keys.filter((_, i) => (picks[i] ?? 0) === which || picks[i] === 2).flatMap(key => signDocument(suite, key, document).signatures))
      const picks = Array.from({ length: n }, () => choices.next().value as number)
      const [first, second] = [new DirectoryClient(suite, trust), new DirectoryClient(suite, trust)]
      const accepts = (client: DirectoryClient, signed: SignedDocument): boolean => {
        try {
          return client.accept(signed, NOW)
        } catch {
          return false
        }
      }
      const both = accepts(first, by(one, 0)) && accepts(second, by(other, 1))
      const liars = picks.filter(pick => pick === 2).length
      if (both) expect(liars).toBeGreaterThan(tolerated(n))
      // Whoever sees both convicts them all.
      accepts(second, by(one, 0))
      const convicted = new Set(second.takeProofs().map(({ first: { authority } }) => toHex(authority)))
      if (both) expect(convicted.size).toBe(liars)
    }), { numRuns: 120 })
  })
})

const DOCUMENTS = [testDocument(suite, TINY.nodes, { parameters: TINY.config().parameters }), testDocument(suite, TINY.nodes.slice(0, 2), { parameters: TINY.config().parameters })]
const keysByCount = new Map<number, ReturnType<typeof suite.ed25519KeyPair>[]>()
function authorityKeysOf (n: number): ReturnType<typeof suite.ed25519KeyPair>[] {
  const known = keysByCount.get(n) ?? Array.from({ length: n }, (_, i) => suite.ed25519KeyPair(new Uint8Array(32).fill(i + 1)))
  keysByCount.set(n, known)
  return known
}

describe('a lie', () => {
  /** Four, of which number 3 answers as honest ones do, but for what `bend` makes of it. */
  async function withLiar (bend: (reply: ReplyOf<'agreement'>, asker: Uint8Array, council: Council) => DirectoryReply | null, request?: (op: string) => DirectoryReply | null): Promise<Council> {
    const council = await Council.of(suite, 4, TINY)
    const { authority } = council.seats[3]
    council.liars.set(toHex(council.keys[3].publicKey), async (asker, asked) => {
      const special = request?.(asked.op)
      if (special !== undefined && special !== null) return special
      const reply = await council.run(3, authority.handle(asked))
      return reply.is === 'agreement' ? bend(reply, asker, council) : reply
    })
    await council.publishAll(council.nodes, [0, 1, 2, 3])
    return council
  }
  const run = async (council: Council): Promise<void> => {
    await council.settle(() => council.honest.every(has(council)), { step: 500 })
  }
  const statement = (council: Council, what: Statement['what'], round: number, value: Uint8Array, epoch = EPOCH): ReturnType<typeof signStatement> =>
    signStatement(suite, council.keys[3], { network: NETWORK, epoch, what, round, value })
  const liarName = (council: Council): string => toHex(council.keys[3].publicKey)

  it.each(['vote', 'prevote', 'precommit'] as const)('in two %ss of one place is kept as a proof by all, over restarts, and counted once', async what => {
    const values = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)]
    const council = await withLiar((reply, asker, all) => {
      // To number 0 one thing, to the others another: they find out from each other.
      const mine = statement(all, what, 0, values[equal(asker, all.keys[0].publicKey) ? 0 : 1])
      return what === 'vote' ? reply : { ...reply, statements: [mine, ...reply.statements.filter(({ statement: said, authority }) => said.what !== what || toHex(authority) !== liarName(all))] }
    })
    await council.acquaint()
    if (what === 'vote') {
      // Two real votes: its engine begins anew on an empty disk, with other nodes.
      await council.tick(3)
      await council.pull(0, 3)
      const second = await Council.of(suite, 4, TINY)
      await second.acquaint()
      await second.publishAll(council.nodes.slice(0, 2), [3])
      second.advance(4_000)
      await second.tick(3)
      council.liars.set(liarName(council), async (_asker, asked) => await second.run(3, second.seats[3].authority.handle(asked)))
    }
    await run(council)
    for (const i of council.honest) {
      const { evidence } = council.seats[i].authority
      expect(evidence.proofs.map(({ first }) => toHex(first.authority))).toEqual([liarName(council)])
      for (const proof of evidence.proofs) verifyEquivocation(suite, proof)
      expect(evidence.proofs[0].first.statement.what).toBe(what)
      expect(council.seats[i].meter.of('directory_equivocation', { what })).toBe(1)
      expect(council.seats[i].log).toContainEqual(expect.stringContaining(`authority ${liarName(council).slice(0, 8)} said two different things`))
      await council.restart(i)
      expect(council.seats[i].authority.evidence.proofs).toHaveLength(1)
    }
  })

  it('in two proposals is kept as a proof, and the next leader makes the document', async () => {
    // Who leads in round 0 depends on the order of keys: find the one.
    const council = await Council.of(suite, 4, TINY)
    await council.publishAll()
    const leader = [0, 1, 2, 3].find(i => equal(council.keys[i].publicKey, council.keys.map(({ publicKey }) => publicKey).sort(Buffer.compare)[EPOCH % 4])) ?? 0
    const liar = await Liar.seat(council, leader, [TINY.nodes, TINY.nodes.slice(0, 2)], randomOf(5))
    for (let k = 0; k < 120 && council.honest.some(i => council.seats[i].authority.evidence.proofs.length === 0 || !has(council)(i)); k++) {
      await liar.act()
      for (const i of council.honest) {
        for (let j = 0; j < 4; j++) if (i !== j) await council.pull(i, j)
        await council.tick(i)
      }
      council.advance(400)
    }
    for (const i of council.honest) expect(council.seats[i].authority.evidence.convicts(council.keys[leader].publicKey, EPOCH)).toBe(true)
    await run(council)
    expect(council.valid(EPOCH, quorum(4))).toHaveLength(1)
  })

  it('in two signatures on documents is kept as a proof', async () => {
    const council = await withLiar((reply, asker, all) => {
      const hash = new Uint8Array(32).fill(equal(asker, all.keys[0].publicKey) ? 1 : 2)
      const { authority, signature } = statement(all, 'document', 0, hash)
      // What is said in no place of a document's hides nothing.
      const elsewhere = statement(all, 'document', 1, new Uint8Array(32).fill(3))
      return { ...reply, statements: [elsewhere, ...reply.statements], document: { hash, signatures: [{ authority, signature }] } }
    })
    // Number 0 hears the one itself, and the other from nobody: only who hears both can tell.
    await council.pull(0, 3)
    const [bent] = council.liars.values()
    council.liars.set(liarName(council), async (_asker, asked) => await bent(council.keys[1].publicKey, asked))
    await council.pull(0, 3)
    expect(council.seats[0].authority.evidence.proofs.map(({ first, second }) => [first.statement.what, contradict(first, second)])).toEqual([['document', true]])
    // The others have it from number 0.
    council.cut.add('1 3')
    await council.pull(1, 0)
    expect(council.seats[1].authority.evidence.proofs).toHaveLength(1)
    await run(council)
  })

  it('told at the very last, one thing to one and another to another, comes out when they ask each other once more', async () => {
    const council = await withLiar((reply, asker, all) => {
      const hash = new Uint8Array(32).fill(equal(asker, all.keys[0].publicKey) ? 1 : 2)
      const { authority, signature } = statement(all, 'document', 0, hash)
      return { ...reply, document: { hash, signatures: [{ authority, signature }] } }
    })
    // The honest without the liar, until each has signed and number 2 has seen all three signatures, and only that one.
    for (const i of [0, 1, 2]) council.cut.add(`${i} 3`)
    await council.acquaint()
    const hasSigned = (i: number): boolean => council.words.has(`${toHex(council.keys[i].publicKey)} document ${EPOCH}`)
    for (let k = 0; !has(council)(2); k++) {
      for (const i of [0, 1, 2]) {
        for (const j of [0, 1, 2]) if (i !== j && (i === 2 || !hasSigned(i))) await council.pull(i, j)
        await council.tick(i)
      }
      council.advance(500)
      if (k > 60) throw new Error('not signed')
    }
    expect([0, 1].filter(has(council))).toEqual([])
    council.cut.clear()
    for (const i of [0, 1]) {
      await council.pull(i, 3)
      await council.pull(i, 2)
    }
    expect([0, 1].filter(has(council))).toEqual([0, 1])
    const held = (): number[] => council.honest.filter(i => council.seats[i].authority.evidence.convicts(council.keys[3].publicKey, EPOCH))
    for (const [i, j] of [[0, 1], [1, 0], [2, 0], [2, 1]]) await council.pull(i, j)
    expect(held()).toEqual([0, 1, 2])
    // It ends: an eighth of an epoch later nothing is left of the ballot.
    council.advance(PARAMETERS.epochLength / 8)
    for (const i of council.honest) {
      await council.tick(i)
      expect(await council.answer(i, { op: 'agreement', epoch: EPOCH })).toMatchObject({ statements: [], proposals: [] })
    }
  })

  it('forged in others\' names, or of other epochs, is not even heard', async () => {
    const forge = (council: Council): ReturnType<typeof signStatement>[] => [0, 1].flatMap(k => [0, 1, 2].map(i => ({
      ...statement(council, 'precommit', 0, new Uint8Array(32).fill(k)), authority: council.keys[i].publicKey
    })))
    const council = await withLiar((reply, _asker, all) => {
      const stranger = suite.ed25519KeyPair(new Uint8Array(32).fill(77))
      const strange = signStatement(suite, stranger, { network: NETWORK, epoch: EPOCH, what: 'prevote', round: 0, value: new Uint8Array(32) })
      const elsewhere = [statement(all, 'prevote', 0, new Uint8Array(32), EPOCH + 1), statement(all, 'prevote', 0, new Uint8Array(32).fill(1), EPOCH + 1)]
      const proof = { first: forge(all)[0], second: forge(all)[3] }
      const theirs = { first: elsewhere[0], second: { ...elsewhere[1], authority: all.keys[0].publicKey } }
      return { ...reply, statements: [strange, ...forge(all), ...elsewhere, ...reply.statements], proofs: [proof, theirs] }
    })
    await run(council)
    for (const i of council.honest) expect(council.seats[i].authority.evidence.proofs).toEqual([])
    expect(council.valid(EPOCH, quorum(4))).toHaveLength(1)
  })

  it('of a lock or a decision that no quorum signed convinces nobody', async () => {
    const document = new Uint8Array(32).fill(9)
    const council = await withLiar((reply, _asker, all) => {
      const choice = { document, votes: all.keys.map(({ publicKey }) => ({ authority: publicKey, vote: document })) }
      const { authority, signature } = statement(all, 'prevote', 0, document)
      const twice = [{ authority, signature }, { authority, signature }, { authority, signature }]
      return { ...reply, lock: { choice, round: 0, signatures: twice }, decision: { choice, round: 0, signatures: twice } }
    })
    await run(council)
    for (const i of council.honest) expect((await council.get(i, EPOCH))?.document.nodes).toHaveLength(TINY.nodes.length)
  })

  it('about what there is (votes that cannot be had, documents that are not valid) only loses its vote', async () => {
    let served = 0
    const council = await withLiar((reply, _asker, all) => {
      const { authority, signature } = statement(all, 'document', 0, new Uint8Array(32).fill(3))
      return { ...reply, document: { hash: new Uint8Array(32).fill(3), signatures: [0, 1, 2].map(() => ({ authority, signature })) } }
    }, op => {
      if (op === 'descriptors') {
        served += 1
        return { is: 'descriptors', signed: [] }
      }
      return null
    })
    await council.acquaint()
    // Its newest descriptors are its own alone.
    council.advance(10)
    await council.publishAll(council.nodes, [3])
    await council.tick(3)
    await run(council)
    expect(served).toBeGreaterThan(0)
    expect(council.seats[0].meter.of('directory_vote_refused', { code: 'vote-incomplete' })).toBeGreaterThan(0)
    for (const i of council.honest) {
      const signed = await council.get(i, EPOCH)
      expect(signed?.document.nodes.every(({ signed: { descriptor } }) => descriptor.published === NOW)).toBe(true)
    }
  })

  it('of ours, told by others, because our disk was set back or our key is in other hands, is noticed', async () => {
    let told = false
    const council = await withLiar((reply, _asker, all) => {
      const ours = (what: Statement['what'], value: number): ReturnType<typeof signStatement> =>
        signStatement(suite, all.keys[0], { network: NETWORK, epoch: EPOCH, what, round: 0, value: new Uint8Array(32).fill(value) })
      const { authority, signature } = ours('document', 7)
      return { ...reply, document: { hash: new Uint8Array(32).fill(7), signatures: [{ authority, signature }] }, proofs: told ? [{ first: ours('prevote', 1), second: ours('prevote', 2) }] : [] }
    })
    await expect(run(council)).rejects.toMatchObject({ code: 'authority-forgot', fault: 'operator' })
    told = true
    await council.pull(0, 3)
    expect(council.seats[0].log).toContainEqual(expect.stringContaining('this authority itself said two different things'))
  })
})

it('an authority on a disk that was set back hears from the others what it had said, and says nothing else', async () => {
  const council = await Council.of(suite, 4, TINY)
  await council.acquaint()
  await council.publishAll()
  const old = await copyOf(council.seats[0].store)
  for (const link of ['1 2', '1 3', '2 1', '2 3', '3 1', '3 2']) council.cut.add(link)
  for (let k = 0; k < 3; k++) {
    await council.tick(0)
    for (const i of [1, 2, 3]) {
      await council.pull(i, 0)
      await council.tick(i)
      await council.pull(0, i)
    }
  }
  const own = (what: string): string[] => [...council.words.keys()].filter(name => name.startsWith(`${toHex(council.keys[0].publicKey)} ${what}`))
  expect([own('vote').length, own('prevote').length]).toEqual([1, 1])
  council.seats[0].store = new PowerStore(old)
  await council.restart(0)
  council.advance(10)
  await council.publishAll()
  for (const i of [1, 2, 3]) await council.pull(0, i)
  council.cut.clear()
  await council.settle(() => council.honest.every(has(council)), { step: 500 })
  expect(own('vote')).toHaveLength(1)
  for (const { authority } of council.seats) expect(authority.evidence.proofs).toEqual([])
})


it('proofs of one authority are kept up to a number, each once, and none of nobody', async () => {
  const council = await Council.of(suite, 4, TINY)
  const { evidence } = council.seats[0].authority
  const prove = (epoch: number, key = council.keys[1], network = NETWORK): Parameters<typeof evidence.add>[0] => {
    const say = (value: number): ReturnType<typeof signStatement> => signStatement(suite, key, { network, epoch, what: 'prevote', round: 0, value: new Uint8Array(32).fill(value) })
    return { first: say(1), second: say(2) }
  }
  const add = async (proof: Parameters<typeof evidence.add>[0]): Promise<boolean> => await council.run(0, evidence.add(proof))
  expect(await add(prove(1))).toBe(true)
  expect(await add(prove(1))).toBe(false)
  expect(await add(prove(2, suite.ed25519KeyPair(new Uint8Array(32).fill(5))))).toBe(false)
  expect(await add(prove(2, council.keys[1], 'other'))).toBe(false)
  const { first, second } = prove(3)
  expect(await add({ first, second: first })).toBe(false)
  expect(await add({ first, second: { ...second, signature: first.signature } })).toBe(false)
  expect(await add({ first: { ...first, signature: second.signature }, second })).toBe(false)
  for (let epoch = 4; epoch < 40; epoch++) await add(prove(epoch))
  expect(evidence.proofs).toHaveLength(16)
  expect(await add(prove(4, council.keys[2]))).toBe(true)
  expect(concat(...evidence.proofs.map(proof => proof.first.authority)).length).toBe(17 * 32)
})
