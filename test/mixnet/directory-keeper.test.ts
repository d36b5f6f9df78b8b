import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { isZero, toHex, utf8 } from '@mixmint/core/kit/bytes'
import { decode, encode } from '@mixmint/core/kit/codec'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Log, Store } from '@mixmint/core/kit/ports'
import type { BasePorts } from '@mixmint/core/kit/saga'
import { defaultSuite } from '@mixmint/core/crypto/choose'
import { Authority } from '@mixmint/mixnet/directory/authority'
import { signDocument } from '@mixmint/mixnet/directory/document'
import type { SignedDocument } from '@mixmint/mixnet/directory/formats'
import type { MixKey, Rotation } from '@mixmint/mixnet/directory/keys'
import { DirectoryReply, DirectoryRequest } from '@mixmint/mixnet/directory/messages'
import { verifyEquivocation } from '@mixmint/mixnet/directory/statement'
import type { DirectoryView } from '@mixmint/mixnet/directory/view'
import { answerAsMirror, answerDirectory, fetchDocument, fetchSchedule, publishDescriptor, type Ask } from '@mixmint/mixnet/wire/directory'
import { AuthorityServer } from '@mixmint/mixnet/wire/directory-authority'
import { DirectoryKeeper, type KeeperOptions } from '@mixmint/mixnet/wire/directory-keeper'
import { admissionOf, authorityKeys, EPOCH, keysOf, NETWORK, PARAMETERS, signed, START, testDocument, testNetwork, type Placed } from '../doubles/directory.ts'
import { FaultyStore } from '../doubles/faulty-store.ts'
import { MemoryKeys } from '../doubles/memory-keys.ts'
import { MemoryStore } from '../doubles/memory-store.ts'
import { CountingMeter } from '../doubles/meter.ts'
import { seededRng } from '../doubles/rng.ts'

const suite = await defaultSuite()
const keys = authorityKeys(suite, 4)
const nodes = testNetwork(1)
const NOW = START + 600_000
const { epochLength, epochGrace } = PARAMETERS
const clock = { now: (): number => Date.now() }
const quiet: Log = { info: () => {}, warn: () => {}, error: () => {} }
const running: Array<{ stop: () => Promise<void> }> = []
let seeds = 0

beforeEach(() => { vi.useFakeTimers({ now: NOW, toFake: ['setTimeout', 'clearTimeout', 'Date', 'performance'] }) })
afterEach(async () => {
  await Promise.all(running.splice(0).map(async part => { await part.stop() }))
  vi.useRealTimers()
})

function portsOn (store: Store = new MemoryStore()): BasePorts {
  return { clock, store, rng: seededRng(seeds++), wait: async ms => { await new Promise(resolve => setTimeout(resolve, ms)) } }
}

/** Authorities that reach each other, and how nodes ask them. */
async function authorities (n: number, parts: { readonly store?: Store, readonly meter?: CountingMeter } = {}): Promise<Ask[]> {
  const { store, meter = new CountingMeter() } = parts
  const trust = { network: NETWORK, authorities: keys.slice(0, n).map(({ publicKey }) => publicKey) }
  const asks = new Map<string, Ask>()
  for (const key of keys.slice(0, n)) {
    const authority = new Authority(suite, { key, trust, parameters: PARAMETERS, admitted: nodes.map(node => admissionOf(node)), bootstrapWait: 3_000 }, new CountingMeter(), quiet)
    const server = new AuthorityServer({ authority, ports: portsOn(store), log: quiet, meter, askOther: other => asks.get(toHex(other)) ?? null })
    asks.set(toHex(key.publicKey), async request => await server.answer(request))
    await server.start()
    running.push(server)
  }
  return [...asks.values()]
}

async function keeper (sources: readonly Ask[], more: Partial<KeeperOptions> = {}, n = 1): Promise<DirectoryKeeper> {
  const made = new DirectoryKeeper({
    suite, ports: portsOn(), log: quiet, meter: new CountingMeter(), sources,
    trust: { network: NETWORK, authorities: keys.slice(0, n).map(({ publicKey }) => publicKey) }, ...more
  })
  running.push(made)
  await made.start()
  return made
}

async function nodeKeeper ({ node, change }: Placed, asks: readonly Ask[], more: Partial<KeeperOptions> = {}, part: object = {}): Promise<DirectoryKeeper> {
  return await keeper(asks, {
    ...more,
    node: {
      secret: node.secret,
      mixKeys: change.mixKeys === undefined ? new MemoryKeys() : null,
      publishTo: () => asks,
      describe: async () => ({ role: change.role ?? 'mix', kind: change.kind ?? '', addresses: ['/ip4/127.0.0.1/tcp/4001'], entry: change.entry ?? [], body: change.body ?? new Uint8Array(0) }),
      ...part
    }
  }, asks.length)
}

const pass = async (ms: number): Promise<void> => { await vi.advanceTimersByTimeAsync(ms) }
/** Let a stretch of time pass in steps, as long waits re-arm on the way. */
const passUntil = async (time: number): Promise<void> => { while (clock.now() < time) await pass(Math.min(30_000, time - clock.now())) }
const withCode = (code: string): object => expect.objectContaining({ name: 'MixmintError', code })
const never = new AbortController().signal

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
  }, 20_000)
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
  }, 20_000)
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
  }, 30_000)
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
  }, 20_000)

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

describe('a node in the directory', () => {
  it('hands over its keys before it publishes them, and after a restart the same ones', async () => {
    const [ask] = await authorities(1)
    const mixKeys = new MemoryKeys()
    const [mix] = nodes.filter(({ layer }) => layer === 1)
    const seen: Array<readonly MixKey[]> = []
    const onKeys = ({ added }: Rotation): void => { seen.push(added) }
    let published = 0
    const onPublished = (): void => { published += 1; expect(seen).toHaveLength(published) }
    const first = await nodeKeeper(mix, [ask], {}, { mixKeys, onKeys, onPublished })
    await pass(100)
    await first.stop()
    await pass(10)
    await nodeKeeper(mix, [ask], {}, { mixKeys, onKeys, onPublished })
    await pass(100)
    expect(published).toBe(2)
    expect(seen[0].map(({ epoch }) => epoch - EPOCH)).toEqual([0, 1, 2])
    expect(seen[1].map(({ publicKey }) => publicKey)).toEqual(seen[0].map(({ publicKey }) => publicKey))
  })

  it('destroys its keys when their grace is over', async () => {
    const [ask] = await authorities(1)
    const rotations: Rotation[] = []
    await nodeKeeper(nodes[2], [ask], {}, { onKeys: (rotation: Rotation) => { rotations.push(rotation) } })
    await passUntil(START + epochLength + epochGrace + 100)
    const destroyed = rotations.flatMap(rotation => rotation.destroyed)
    expect(destroyed.map(({ epoch }) => epoch)).toEqual([EPOCH])
    expect(isZero(destroyed[0].secret)).toBe(true)
  })

  it('publishes again at once when what it says has changed', async () => {
    const [ask] = await authorities(1)
    const bank = nodes.find(({ change }) => change.kind === 'bank') as Placed
    let body = utf8('one')
    const describeBank = async (): Promise<object> => ({ role: 'service', kind: 'bank', addresses: ['/ip4/127.0.0.1/tcp/4001'], entry: [], body })
    const keep = await nodeKeeper(bank, [ask], {}, { describe: describeBank })
    await pass(100)
    body = utf8('two')
    keep.republish()
    await pass(100)
    for (const node of nodes.filter(other => other !== bank)) {
      await publishDescriptor(ask, signed(suite, node.node, { mixKeys: keysOf(suite, node.node, EPOCH), ...node.change, published: clock.now() }), never)
    }
    await pass(100)
    const { signed: { document } } = await fetchDocument(ask, null, clock, never)
    expect(document.nodes.find(({ signed: { descriptor } }) => descriptor.kind === 'bank')?.signed.descriptor.body).toEqual(utf8('two'))
  })

  it('makes its keys by what more authorities say than may lie', async () => {
    const asks = await authorities(4)
    const liar: Ask = async (request, signal) => {
      const asked = decode(DirectoryRequest, request)
      if (asked.op !== 'schedule') return await asks[0](request, signal)
      return encode(DirectoryReply, { is: 'schedule', time: clock.now(), epochLength: 7 * epochLength, epochGrace, clockSkew: PARAMETERS.clockSkew })
    }
    const seen: Array<readonly MixKey[]> = []
    await nodeKeeper(nodes[0], [liar, ...asks.slice(1)], {}, { onKeys: ({ added }: Rotation) => { seen.push(added) } })
    await pass(500)
    expect(seen.flat().map(({ epoch }) => epoch - EPOCH)).toEqual([0, 1, 2])
  })

  it('says that its clock is wrong', async () => {
    const asks = await authorities(4)
    const lines: unknown[] = []
    const ahead = { now: (): number => clock.now() + 60_000 }
    await nodeKeeper(nodes[0], asks, { ports: { ...portsOn(), clock: ahead }, log: { ...quiet, warn: (_message, fields) => { lines.push(fields) } } })
    await pass(500)
    expect(lines).toContainEqual(expect.objectContaining({ code: 'clock-skewed', message: expect.stringContaining('this machine\'s clock is 60 s ahead of') }))
  })

  it('whom most authorities refuse signs anew and tries again; whom one refuses leaves it be', async () => {
    const asks = await authorities(4)
    const refusing = new Set([0])
    const requests: Uint8Array[] = []
    const watched = asks.map((ask, i): Ask => async (request, signal) => {
      if (request.length > 200) requests.push(request)
      if (request.length > 200 && refusing.has(i)) return encode(DirectoryReply, { is: 'refused', code: 'not-admitted', fault: 'peer', retry: false, message: 'who are you?' })
      return await ask(request, signal)
    })
    let published = 0
    const keep = await nodeKeeper(nodes[0], watched, {}, { onPublished: () => { published += 1 } })
    await pass(20_000)
    expect([published, requests.length]).toEqual([1, 4])
    refusing.add(1).add(2)
    keep.republish()
    await pass(1_000)
    expect(published).toBe(1)
    expect(new Set(requests.slice(4).map(toHex)).size).toBeGreaterThan(1)
    refusing.clear()
    await pass(6_000)
    expect(published).toBe(2)
  })

  it('keeps trying an authority that is away, with the same descriptor for all', async () => {
    const asks = await authorities(4)
    let away = true
    const requests: Uint8Array[][] = asks.map(() => [])
    const watched = asks.map((ask, i): Ask => async (request, signal) => {
      if (request.length > 200) requests[i].push(request)
      if (i === 2 && away) throw new MixmintError('not-sent', 'peer', 'nobody there', { retry: true })
      return await ask(request, signal)
    })
    let published = false
    await nodeKeeper(nodes[0], watched, {}, { onPublished: () => { published = true } })
    await pass(1_000)
    expect(published).toBe(true)
    expect(requests.map(({ length }) => length)).toEqual([1, 1, 1, 1])
    away = false
    await pass(6_000)
    expect(requests.map(({ length }) => length)).toEqual([1, 1, 2, 1])
    for (const request of requests.flat()) expect(request).toEqual(requests[0][0])
  })
})

it('bad requests are refused, not thrown', async () => {
  const [ask] = await authorities(1)
  const garbage = await ask(utf8('garbage'), never)
  await expect(fetchDocument(async () => garbage, null, clock, never)).rejects.toThrow(withCode('directory-refused'))
  await expect(fetchDocument(async () => await ask(new Uint8Array(1 << 20), never), null, clock, never)).rejects.toThrow(withCode('directory-refused'))
  await expect(fetchDocument(async (_, signal) => await ask(encode(DirectoryRequest, { op: 'schedule' }), signal), null, clock, never)).rejects.toThrow(withCode('directory-reply'))
})
