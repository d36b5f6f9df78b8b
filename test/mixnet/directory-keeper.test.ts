import { describe, expect, it, vi } from 'vitest'
import { utf8 } from '@mixmint/core/kit/bytes'
import { decode, encode } from '@mixmint/core/kit/codec'
import { MixmintError } from '@mixmint/core/kit/errors'
import { signDocument } from '@mixmint/mixnet/directory/document'
import type { SignedDocument } from '@mixmint/mixnet/directory/formats'
import { DirectoryReply, DirectoryRequest } from '@mixmint/mixnet/directory/messages'
import { verifyEquivocation } from '@mixmint/mixnet/directory/statement'
import type { DirectoryView } from '@mixmint/mixnet/directory/view'
import { answerAsMirror, answerDirectory, fetchDocument, fetchSchedule, publishDescriptor, type Ask } from '@mixmint/mixnet/wire/directory'
import type { DirectoryKeeper } from '@mixmint/mixnet/wire/directory-keeper'
import { EPOCH, PARAMETERS, signed, START, testDocument } from '../doubles/directory.ts'
import { FaultyStore } from '../doubles/faulty-store.ts'
import { MemoryStore } from '../doubles/memory-store.ts'
import { CountingMeter } from '../doubles/meter.ts'
import { authorities, clock, keeper, keys, never, nodeKeeper, nodes, pass, passUntil, portsOn, quiet, suite, withCode, withTime } from './keeper-material.ts'

const { epochLength, epochGrace } = PARAMETERS
withTime()

describe.each([1, 4])('a network of %i authorities and its nodes', n => {
  it('has its first document within two seconds, and a new one each epoch, with keys for it', async () => {
    const asks = await authorities(n)
    const taken: DirectoryView[] = []
    const keepers = await Promise.all(nodes.map(async node => await nodeKeeper(node, asks)))
    const wallet = await keeper(asks, { onDocument: view => { taken.push(view) } }, n)
    await pass(2_000)
    expect((await wallet.ready(never)).nodes).toHaveLength(nodes.length)
    for (let epoch = EPOCH + 1; epoch < EPOCH + 4; epoch++) {
      await passUntil(epoch * epochLength + 1)
      for (const each of [wallet, ...keepers]) expect(each.view()?.epoch).toBe(epoch)
      const view = wallet.view()
      expect(view?.nodes).toHaveLength(nodes.length)
      for (const mix of view?.layer(1) ?? []) expect(mix.mixKeys.map(key => key.epoch)).toEqual(expect.arrayContaining([epoch, epoch + 1]))
    }
    expect(taken.map(({ epoch }) => epoch)).toEqual([0, 1, 2, 3].map(i => EPOCH + i))
  })
})

describe('an authority whose disk is full', () => {
  it('says and signs nothing of the next epoch, counts it, and signs as soon as there is room', async () => {
    const [store, meter] = [new FaultyStore(new MemoryStore()), new CountingMeter()]
    const asks = await authorities(1, { store, meter })
    for (const node of nodes) await nodeKeeper(node, asks)
    await pass(2_000)
    const shown = async (epoch: number): Promise<DirectoryReply> => decode(DirectoryReply, await asks[0](encode(DirectoryRequest, { op: 'agreement', epoch }), never))
    expect(await shown(EPOCH)).toMatchObject({ document: { signatures: [expect.anything()] } })
    const failed = (): number => meter.of('directory_authority_failed', { reason: 'store-full' })
    expect(failed()).toBe(0)
    store.hooks = { before: async operation => { if (operation === 'batch') throw new MixmintError('store-full', 'operator', 'no room', { retry: true }) } }
    await passUntil((EPOCH + 1) * epochLength + 1)
    expect(failed()).toBeGreaterThan(10)
    expect(await shown(EPOCH + 1)).toMatchObject({ statements: [], proposals: [], decision: null, document: null })
    store.hooks = {}
    await pass(5_000)
    expect(await shown(EPOCH + 1)).toMatchObject({ document: { signatures: [expect.anything()] } })
    const before = failed()
    await pass(60_000)
    expect(failed()).toBe(before)
  })
})

describe('a keeper whose clock is set back by an hour', () => {
  it('has no document in force and says why, also when the authorities have forgotten its own, and goes on once it is right', async () => {
    let off = 0
    const own = { now: (): number => Date.now() - off }
    const asks = await authorities(1)
    for (const node of nodes) await nodeKeeper(node, asks)
    const made = await keeper(asks, { ports: { ...portsOn(), clock: own } })
    await pass(2_000)
    expect(made.view()?.epoch).toBe(EPOCH)
    off = 3 * epochLength
    await passUntil((EPOCH + 1) * epochLength + 60_000)
    expect(made.view()).toBeNull()
    expect(made.unavailable).toMatchObject({ code: 'clock-skewed', fault: 'operator', message: expect.stringContaining('behind') })
    await passUntil((EPOCH + 6) * epochLength + 60_000)
    off = 20 * epochLength
    await pass(60_000)
    expect(made.unavailable).toMatchObject({ code: 'clock-skewed' })
    off = 0
    await pass(60_000)
    expect(made.view()?.epoch).toBe(EPOCH + 6)
  })
})

describe('a keeper', () => {
  /** A source that gives these documents, with its own clock. */
  const source = (documents: readonly SignedDocument[], off = 0): Ask => async request => await answerDirectory(request, async asked => {
    const wanted = asked.op === 'get' ? asked.epoch ?? Math.floor(clock.now() / epochLength) : -1
    const found = documents.find(({ document }) => document.epoch === wanted)
    if (found === undefined) throw new MixmintError('document-unavailable', 'peer', 'not yet', { retry: true })
    return { is: 'document', time: clock.now() + off, signed: found }
  })
  const documentOf = (epoch: number, which = nodes): SignedDocument => signDocument(suite, keys[0], testDocument(suite, which, { epoch }))
  const dead: Ask = async () => { throw new MixmintError('not-sent', 'peer', 'nobody there', { retry: true }) }

  it('goes past sources that are dead, lie or are out of date', async () => {
    const forged = documentOf(EPOCH)
    forged.signatures[0].signature[0] ^= 1
    const garbage: Ask = async () => utf8('garbage')
    const meter = new CountingMeter()
    const one = await keeper([dead, garbage, source([forged]), source([documentOf(EPOCH - 5)]), source([documentOf(EPOCH)])], { meter })
    await pass(2_000)
    expect((await one.ready(never)).epoch).toBe(EPOCH)
  })

  it('that has the document in force in its store asks nobody before the next one is made', async () => {
    const ports = portsOn()
    const first = await keeper([source([documentOf(EPOCH)])], { ports })
    await pass(1_000)
    await first.stop()
    const asked: number[] = []
    const counting: Ask = async (request, signal) => {
      asked.push(clock.now())
      return await source([documentOf(EPOCH), documentOf(EPOCH + 1)])(request, signal)
    }
    const again = await keeper([counting], { ports })
    expect((await again.ready(never)).epoch).toBe(EPOCH)
    await passUntil((EPOCH + 1) * epochLength)
    expect(asked).toHaveLength(1)
    expect(asked[0]).toBeGreaterThan((EPOCH + 1) * epochLength - epochLength / 8)
    expect(again.view()?.epoch).toBe(EPOCH + 1)
  })

  it('tells its node the latest document: of a new network none, in the grace of one what there is by then; and nothing while nobody can say', async () => {
    const documents: SignedDocument[] = []
    const latest = async (one: DirectoryKeeper, signal = never): Promise<number | null> => {
      const asking = one.latest(signal)
      asking.catch(() => {}) // it is awaited below
      await pass(20_000)
      return (await asking)?.epoch ?? null
    }
    expect(await latest(await keeper([source(documents), dead, source(documents)]))).toBeNull()
    documents.push(documentOf(EPOCH))
    const one = await keeper([source(documents)])
    expect(await latest(one)).toBe(EPOCH)
    await passUntil((EPOCH + 1) * epochLength + 1)
    expect([one.view()?.epoch, await latest(one)]).toEqual([EPOCH, EPOCH])
    documents.push(documentOf(EPOCH + 1))
    expect(await latest(one)).toBe(EPOCH + 1)

    const cut = await keeper([dead])
    await expect(latest(cut)).rejects.toEqual(withCode('not-sent'))
    const given = new AbortController()
    const waiting = cut.latest(given.signal)
    given.abort()
    await expect(waiting).rejects.toEqual(withCode('aborted'))
  })

  it('on a machine that has slept through epochs has the document soon after', async () => {
    const documents = [documentOf(EPOCH)]
    const one = await keeper([source(documents)])
    await pass(1_000)
    documents.push(documentOf(EPOCH + 3))
    vi.setSystemTime((EPOCH + 3) * epochLength + 1_000)
    await pass(15_000)
    expect(one.view()?.epoch).toBe(EPOCH + 3)
  })

  it('says why there is no document', async () => {
    const aborted = AbortSignal.abort()
    const nobody = await keeper([])
    await pass(10)
    await expect(nobody.ready(aborted)).rejects.toThrow(withCode('no-source'))
    const off = await keeper([source([documentOf(EPOCH)], 60_000)])
    await pass(10)
    await expect(off.ready(aborted)).rejects.toThrow(withCode('clock-skewed'))
    const other = await keeper([source([signDocument(suite, keys[1], testDocument(suite, nodes))])])
    await pass(10)
    await expect(other.ready(aborted)).rejects.toThrow(withCode('document-quorum'))
  })

  it('hears of the first document while it waits', async () => {
    const documents: SignedDocument[] = []
    const one = await keeper([source(documents)])
    const ready = one.ready(never)
    await pass(5_000)
    documents.push(documentOf(EPOCH))
    await pass(1_100)
    expect((await ready).epoch).toBe(EPOCH)
  })

  it('goes on with the old document through its grace, says so, and takes the new one when it comes late', async () => {
    const documents = [documentOf(EPOCH)]
    const lines: unknown[] = []
    const write = (message: string, fields?: object): void => { lines.push({ message, ...fields }) }
    const one = await keeper([source(documents)], { log: { ...quiet, warn: write, error: write } })
    await passUntil(START + epochLength)
    expect(lines).toEqual([expect.objectContaining({ code: 'directory-late', epoch: EPOCH })])
    await passUntil(START + epochLength + epochGrace)
    expect(one.view()?.epoch).toBe(EPOCH)
    await pass(1)
    expect(one.view()).toBeNull()
    const ended = new Date(START + epochLength + epochGrace).toISOString()
    expect(lines.slice(1)).toEqual([expect.objectContaining({ code: 'directory-unavailable', message: expect.stringContaining(`of epoch ${EPOCH}, was good until ${ended}`) })])
    await expect(one.ready(AbortSignal.abort())).rejects.toThrow(withCode('directory-unavailable'))
    documents.push(documentOf(EPOCH + 1))
    await pass(2_000)
    expect(one.view()?.epoch).toBe(EPOCH + 1)
  })

  it('whose sources hang asks the next one meanwhile', async () => {
    const hanging: Ask = async () => await new Promise(() => {})
    const one = await keeper([hanging, hanging, source([documentOf(EPOCH)])])
    await pass(2 * 2_000 + 100)
    expect(one.view()?.epoch).toBe(EPOCH)
  })

  it('hears what most sources say of its clock, not what one does', async () => {
    const wrong = source([documentOf(EPOCH)], 3_600_000)
    const none = source([])
    for (const [sources, code] of [[[wrong, none, none], 'document-unavailable'], [[wrong, wrong, none], 'clock-skewed']] as const) {
      const one = await keeper(sources)
      await pass(100)
      await expect(one.ready(AbortSignal.abort())).rejects.toThrow(withCode(code))
      await one.stop()
    }
    // And with its document gone, that its clock is wrong is still what to say.
    const documents = [documentOf(EPOCH)]
    let off = 0
    const one = await keeper([async (request, signal) => await source(documents, off)(request, signal)])
    await pass(100)
    documents.push(documentOf(EPOCH + 1))
    off = 3_600_000
    vi.setSystemTime(START + epochLength + epochGrace + 1)
    await pass(12_000)
    await expect(one.ready(AbortSignal.abort())).rejects.toThrow(withCode('clock-skewed'))
  })

  it('begins with what it had stored, though no source answers', async () => {
    const store = new MemoryStore()
    const first = await keeper([source([documentOf(EPOCH)])], { ports: portsOn(store) })
    await pass(100)
    expect(first.view()?.epoch).toBe(EPOCH)
    const again = await keeper([dead], { ports: portsOn(store) })
    expect((await again.ready(never)).epoch).toBe(EPOCH)
  })

  it('keeps evidence against authorities that sign two documents of one epoch, and counts it', async () => {
    const meter = new CountingMeter()
    const ports = portsOn()
    let given = documentOf(EPOCH)
    const ask: Ask = async request => await answerDirectory(request, async () => ({ is: 'document', time: clock.now(), signed: given }))
    const one = await keeper([ask], { meter, ports })
    await pass(100)
    given = documentOf(EPOCH, nodes.slice(1))
    await passUntil(START + epochLength)
    expect(one.evidence.proofs.map(({ first }) => first.authority)).toEqual([keys[0].publicKey])
    expect(meter.of('directory_equivocation', { what: 'document' })).toBe(1)
    for (const proof of one.evidence.proofs) verifyEquivocation(suite, proof)
    const again = await keeper([dead], { ports })
    expect(again.evidence.proofs).toEqual(one.evidence.proofs)
    expect(one.view()?.nodes).toHaveLength(nodes.length)
  })

  it('passes its document on, and takes no publications', async () => {
    const one = await keeper([source([documentOf(EPOCH)])])
    await pass(100)
    const mirror: Ask = async request => await answerAsMirror(one.client, clock, request)
    expect((await fetchDocument(mirror, null, clock, never)).signed).toEqual(documentOf(EPOCH))
    expect((await fetchDocument(mirror, EPOCH, clock, never)).source).toEqual({ time: clock.now(), asked: clock.now() })
    expect(await fetchSchedule(mirror, clock, never)).toEqual({ epochLength, epochGrace })
    await expect(fetchDocument(mirror, EPOCH + 1, clock, never)).rejects.toThrow(withCode('document-unavailable'))
    await expect(publishDescriptor(mirror, signed(suite, nodes[0].node), never)).rejects.toThrow(withCode('not-an-authority'))
    expect((await keeper([mirror]).then(async other => { await pass(100); return other })).view()?.epoch).toBe(EPOCH)
  })
})
