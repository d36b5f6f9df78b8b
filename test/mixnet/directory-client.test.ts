import { describe, expect, it } from 'vitest'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import { DirectoryClient } from '@mixmint/mixnet/directory/client'
import type { SignedDocument } from '@mixmint/mixnet/directory/formats'
import { verifyEquivocation } from '@mixmint/mixnet/directory/statement'
import { DirectoryView } from '@mixmint/mixnet/directory/view'
import { authorityKeys, EPOCH, NETWORK, PARAMETERS, signedBy, START, testDocument, testNetwork, keysOf } from '../doubles/directory.ts'
import { seededRng } from '../doubles/rng.ts'

const suite = await defaultSuite()
const keys = authorityKeys(suite, 4)
const trust = { network: NETWORK, authorities: keys.map(({ publicKey }) => publicKey) }
const nodes = testNetwork()
const { epochLength, epochGrace, clockSkew } = PARAMETERS
const LEAD = epochLength / 8
const documentOf = (epoch: number, by = keys.slice(0, 3), which = nodes): SignedDocument => signedBy(suite, testDocument(suite, which, { epoch }), by)
const [previous, first, second, third] = [EPOCH - 1, EPOCH, EPOCH + 1, EPOCH + 2].map(epoch => documentOf(epoch))
const client = (): DirectoryClient => new DirectoryClient(suite, trust)
const withCode = (code: string, fault = 'peer'): object => expect.objectContaining({ name: 'MixmintError', code, fault })

describe('a reader of the directory', () => {
  it('has nothing before the first document, and nothing once the last has expired', () => {
    const reader = client()
    expect(reader.view(START)).toBeNull()
    expect(reader.accept(first, START)).toBe(true)
    expect(reader.accept(first, START)).toBe(false)
    expect(reader.view(START + epochLength + epochGrace)?.epoch).toBe(EPOCH)
    expect(reader.view(START + epochLength + epochGrace + 1)).toBeNull()
  })

  it('refuses what does not verify', () => {
    const reader = client()
    expect(() => reader.accept(documentOf(EPOCH, keys.slice(0, 2)), START)).toThrow(withCode('document-quorum'))
    expect(reader.view(START)).toBeNull()
  })

  it('holds the next document until its epoch begins, and never goes back', () => {
    const reader = client()
    reader.accept(first, START)
    const early = START + epochLength - LEAD
    expect(reader.accept(second, early)).toBe(true)
    expect(reader.view(early)?.epoch).toBe(EPOCH)
    expect(reader.nextChange(early)).toBe(START + epochLength)
    expect(reader.view(START + epochLength)?.epoch).toBe(EPOCH + 1)
    // Not even when the clock does.
    expect(reader.view(START + epochLength - 1)?.epoch).toBe(EPOCH + 1)
    expect(() => reader.accept(previous, START)).toThrow(withCode('document-older'))
    expect(reader.nextChange(START + epochLength)).toBe(START + 2 * epochLength + epochGrace + 1)
  })

  it('knows by which documents packets on their way may have been made', () => {
    const reader = client()
    const live = (now: number): number[] => reader.live(now).map(({ epoch }) => epoch - EPOCH)
    expect(live(START)).toEqual([])
    reader.accept(first, START)
    const turn = START + epochLength
    reader.accept(second, turn - LEAD)
    expect(live(turn - clockSkew - 1)).toEqual([0])
    expect(live(turn - clockSkew)).toEqual([1, 0])
    expect(live(turn + epochGrace)).toEqual([1, 0])
    expect(live(turn + epochGrace + 1)).toEqual([1])
    // The one in force stays so when the clock steps back.
    expect(live(START + clockSkew)).toEqual([1, 0])
    expect(live(turn + epochLength + epochGrace + 1)).toEqual([])
  })

  it('refuses a document that makes packets of another size, which nodes at work could not', () => {
    const reader = client()
    reader.accept(first, START)
    const other = signedBy(suite, testDocument(suite, nodes, { epoch: EPOCH + 1, parameters: { ...PARAMETERS, packetSize: 8192 } }), keys)
    expect(() => reader.accept(other, START + epochLength - LEAD)).toThrow(withCode('document-packet-size'))
    expect(reader.accept(second, START + epochLength - LEAD)).toBe(true)
    expect(client().accept(other, START + epochLength)).toBe(true)
  })

  it('refuses a document of two epochs ahead: its clock must be wrong', () => {
    expect(() => client().accept(third, START)).toThrow(withCode('document-too-early', 'caller'))
  })

  it('takes a document that begins within the skew at once, when it has no other', () => {
    const reader = client()
    reader.accept(first, START - clockSkew)
    expect(reader.view(START - clockSkew)?.epoch).toBe(EPOCH)
  })

  it('keeps the first of two documents of one epoch, and convicts who signed both', () => {
    const reader = client()
    reader.accept(first, START)
    const other = documentOf(EPOCH, keys.slice(1), nodes.slice(1))
    for (let i = 0; i < 3; i++) expect(() => reader.accept(other, START)).toThrow(withCode('document-conflict'))
    expect(reader.view(START)?.signed).toBe(first)
    const proofs = reader.takeProofs()
    for (const proof of proofs) verifyEquivocation(suite, proof)
    expect(proofs.slice(0, 2).map(proof => proof.first.authority)).toEqual([trust.authorities[1], trust.authorities[2]])
    expect(reader.takeProofs()).toEqual([])
  })

  it('keeps evidence against one authority too, though its document is short of a quorum', () => {
    const reader = client()
    reader.accept(first, START)
    expect(() => reader.accept(documentOf(EPOCH, keys.slice(0, 1), nodes.slice(1)), START)).toThrow(withCode('document-quorum'))
    expect(reader.takeProofs().map(({ second }) => second.authority)).toEqual([trust.authorities[0]])
  })

  it('keeps nothing of a forged document: it convicts nobody', () => {
    const reader = client()
    reader.accept(first, START)
    const forged = { document: documentOf(EPOCH, keys, nodes.slice(1)).document, signatures: first.signatures }
    expect(() => reader.accept(forged, START)).toThrow(withCode('document-signature'))
    expect(reader.takeProofs()).toEqual([])
  })

  it('tells a wrong clock from an old document by the clock of its source', () => {
    const late = START + epochLength + epochGrace + 1
    const source = (time: number, asked: number): { time: number, asked: number } => ({ time, asked })
    expect(() => client().accept(first, late, source(late, late))).toThrow(withCode('document-expired'))
    expect(() => client().accept(first, late, source(START, late))).toThrow(withCode('clock-skewed', 'operator'))
    expect(() => client().accept(third, START, source(START + 2 * epochLength, START))).toThrow(withCode('clock-skewed', 'operator'))
    expect(() => client().accept(first, START, source(START + clockSkew + 1, START))).toThrow(withCode('clock-skewed', 'operator'))
    expect(() => client().accept(first, START + 9, source(START - clockSkew - 1, START))).toThrow(withCode('clock-skewed', 'operator'))
    expect(client().accept(first, START + 9, source(START - clockSkew, START))).toBe(true)
    expect(client().accept(first, START, source(START + clockSkew, START))).toBe(true)
  })

  it('fetches the next one between its making and its beginning, at a time of its own', () => {
    const reader = client()
    const rng = seededRng('fetch')
    expect(reader.nextFetch(START, rng)).toBe(START)
    reader.accept(first, START)
    const [from, to] = [START + epochLength - LEAD * 7 / 8, START + epochLength - LEAD / 8]
    const times = Array.from({ length: 200 }, () => reader.nextFetch(START, rng))
    expect(Math.min(...times)).toBeGreaterThanOrEqual(from)
    expect(Math.max(...times)).toBeLessThanOrEqual(to)
    expect(Math.max(...times) - Math.min(...times)).toBeGreaterThan((to - from) * 0.9)
    expect(reader.nextFetch(START + epochLength - 10, rng)).toBe(START + epochLength - 10)
    reader.accept(second, START + epochLength - 10)
    expect(reader.nextFetch(START + epochLength - 10, rng)).toBeGreaterThan(START + 2 * epochLength - LEAD)
    expect(reader.nextFetch(START + 9 * epochLength, rng)).toBe(START + 9 * epochLength)
  })
})

describe('a view', () => {
  const view = new DirectoryView(first)

  it('finds nodes by peer, layer and kind', () => {
    const bank = view.services('bank')
    expect(bank).toHaveLength(1)
    expect(view.byPeer(bank[0].peer)).toBe(bank[0])
    expect(view.byPeer(new Uint8Array(39))).toBeUndefined()
    expect(view.gateways).toHaveLength(2)
    expect([1, 2, 3, 4].map(layer => view.layer(layer).length)).toEqual([2, 2, 2, 0])
    expect(view.services('merchant')).toEqual([])
  })

  it('chooses the mix key of the current epoch, else of the document\'s', () => {
    const [mix] = nodes.filter(({ layer }) => layer === 1)
    const node = view.byPeer(mix.node.peer)
    const [center] = view.services('center')
    if (node === undefined) throw new Error('the mix is listed')
    const [now, next, after] = keysOf(suite, mix.node, EPOCH).map(({ key }, i) => ({ key, until: START + (i + 1) * epochLength + epochGrace }))
    expect(view.mixKey(node, START)).toEqual(now)
    expect(view.mixKey(node, START + epochLength)).toEqual(next)
    expect(view.mixKey(node, START - 1)).toEqual(now)
    expect(view.mixKey({ ...node, mixKeys: node.mixKeys.slice(0, 1) }, START + epochLength)).toEqual(now)
    expect(view.mixKey(node, START + 2 * epochLength)).toEqual(after)
    expect(view.mixKey(center, START)).toBeNull()
  })
})
