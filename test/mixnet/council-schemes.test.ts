/**
 * Authorities that lie in one way each, over two epochs, with lost messages and power: in whatever order things happen, readers
 * hold one document an epoch, the honest have it, and whoever contradicted itself is convicted before third parties.
 */
import { describe, expect, it } from 'vitest'
import { equal, toHex } from '@mixmint/core/kit/bytes'
import { decode, encode } from '@mixmint/core/kit/codec'
import { isMixmintError } from '@mixmint/core/kit/errors'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import { DirectoryClient } from '@mixmint/mixnet/directory/client'
import { quorum } from '@mixmint/mixnet/directory/document'
import { Document } from '@mixmint/mixnet/directory/formats'
import { EquivocationProof, verifyEquivocation } from '@mixmint/mixnet/directory/statement'
import { Council, TINY } from '../doubles/council.ts'
import { admissionOf, authorityKeys, EPOCH, PARAMETERS, testNode, type Placed } from '../doubles/directory.ts'
import { Liar } from '../doubles/liar.ts'
import { randomOf } from '../doubles/rng.ts'
import { CONTRADICTIONS, Schemer, SCHEMES, type Scheme } from '../doubles/schemer.ts'

const suite = await defaultSuite()
const { epochLength } = PARAMETERS
const LEAD = epochLength / 8
const RUNS = 6
const OWN: Placed[] = ['mix of its own', 'another', 'a third'].map(name => ({ node: testNode(name), layer: 1, change: {} }))
/** The one that leads the first round of EPOCH. */
const LIAR = authorityKeys(suite, 4).map(({ publicKey }, i) => ({ publicKey, i })).sort((a, b) => Buffer.compare(a.publicKey, b.publicKey))[EPOCH % 4].i
const HONEST = [0, 1, 2, 3].filter(i => i !== LIAR)

/** What the liar itself lists. */
const listOf = (scheme: Scheme): readonly Placed[] =>
  scheme === 'lists nodes of its own' ? [...TINY.nodes, ...OWN] : scheme === 'leaves a node out' ? TINY.nodes.slice(0, 2) : TINY.nodes

async function seat (scheme: Scheme, random: (below: number) => number): Promise<{ council: Council, act: () => Promise<void>, lied: (epoch: number) => boolean }> {
  const list = listOf(scheme)
  const council = await Council.of(suite, 4, {
    ...TINY, config: i => ({ ...TINY.config(), ...(i === LIAR ? { admitted: list.map(node => admissionOf(node)) } : {}) })
  })
  await council.acquaint()
  if (scheme === 'votes otherwise to some') {
    const liar = await Liar.seat(council, LIAR, [TINY.nodes, TINY.nodes.slice(0, 2)], random)
    return { council, act: async () => { await liar.act() }, lied: () => true }
  }
  const schemer = new Schemer(council, LIAR, scheme)
  return { council, act: async () => { await schemer.act() }, lied: epoch => schemer.isContradictory(epoch) }
}

/** @returns the epochs in which somebody honest holds a proof, each checked from its bytes alone */
function proven (council: Council): Set<number> {
  const epochs = new Set<number>()
  for (const i of council.honest) {
    for (const kept of council.seats[i].authority.evidence.proofs) {
      const proof = decode(EquivocationProof, encode(EquivocationProof, kept))
      verifyEquivocation(suite, proof)
      expect(equal(proof.first.authority, council.keys[LIAR].publicKey)).toBe(true)
      epochs.add(proof.first.statement.epoch)
    }
  }
  return epochs
}

async function history (scheme: Scheme, seed: number): Promise<{ proofs: Set<number>, lied: boolean }> {
  const random = randomOf(seed)
  const { council, act, lied } = await seat(scheme, random)
  const readers = [0, 1, 2, 3].map(() => new DirectoryClient(suite, council.trust))
  for (const epoch of [EPOCH, EPOCH + 1]) {
    if (epoch > EPOCH) council.advance(epoch * epochLength - LEAD - council.seats[0].clock.now())
    await council.publishAll(TINY.nodes, HONEST)
    await council.publishAll(listOf(scheme), [LIAR])
    for (let k = random(60); k > 0; k--) {
      const i = HONEST[random(3)]
      // What somebody heard and has not passed on is gone with its process: in the first epoch there is none of that.
      if (epoch > EPOCH && random(12) === 0) council.seats[i].store.fails = { inBatches: 1 + random(3), kept: random(2) === 0 }
      if (random(3) === 0) await act()
      else if (random(2) === 0) await council.crashing(i, async () => await council.tick(i))
      else if (random(10) > 0) await council.crashing(i, async () => await council.pull(i, (i + 1 + random(3)) % 4))
      council.advance(random(300))
    }
    for (const { store } of council.seats) store.fails = { inBatches: 0, kept: false }
    // Once more round, so that all are asked once since.
    for (let k = 0, after = 0; after < 2; k++) {
      if (HONEST.every(i => council.seats[i].authority.status.epoch >= epoch)) after += 1
      await act()
      await council.settle(() => false, { rounds: 1, step: 400 }).catch((error: unknown) => { if (k > 200) throw error })
    }
    const documents = new Set<string>()
    for (const [i, reader] of readers.entries()) {
      const signed = await council.get(i, epoch)
      try {
        if (signed !== null) reader.accept(signed, council.seats[0].clock.now())
      } catch (error) {
        if (!isMixmintError(error)) throw error
      }
      const held = reader.of(epoch)?.signed.document
      if (held !== undefined) documents.add(toHex(encode(Document, held)))
      if (i === LIAR) continue
      expect(held?.nodes.map(({ signed: { descriptor } }) => toHex(descriptor.peer)).sort()).toEqual(TINY.nodes.map(({ node }) => toHex(node.peer)).sort())
    }
    expect(documents.size).toBe(1)
    expect(council.valid(epoch, quorum(4))).toHaveLength(1)
  }
  return { proofs: proven(council), lied: lied(EPOCH) }
}

describe.each(SCHEMES)('one of four that %s', scheme => {
  let lies = 0

  it.each(Array.from({ length: RUNS }, (_, seed) => seed))('brings no reader another document, and the honest go on (%i)', async seed => {
    const { proofs, lied } = await history(scheme, 1000 * SCHEMES.indexOf(scheme) + seed)
    if (CONTRADICTIONS.includes(scheme)) {
      expect(proofs.has(EPOCH)).toBe(lied)
      lies += Number(lied)
    } else if (scheme !== 'shows votes of older epochs') {
      expect([...proofs]).toEqual([])
    }
  })

  it('said two things in most of these histories, if that is its scheme', () => {
    if (CONTRADICTIONS.includes(scheme)) expect(lies).toBeGreaterThan(RUNS / 2)
  })
})
