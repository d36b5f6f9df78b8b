import { describe, expect, it, vi } from 'vitest'
import { compare, isZero, toHex, utf8 } from '@mixmint/core/kit/bytes'
import { decode, encode } from '@mixmint/core/kit/codec'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { SignedDescriptor } from '@mixmint/mixnet/directory/formats'
import type { MixKey, Rotation } from '@mixmint/mixnet/directory/keys'
import { DirectoryReply, DirectoryRequest } from '@mixmint/mixnet/directory/messages'
import { answerDirectory, fetchDocument, publishDescriptor, recallServices, type Ask } from '@mixmint/mixnet/wire/directory'
import type { Recall } from '@mixmint/mixnet/wire/directory-publisher'
import { EPOCH, keysOf, PARAMETERS, signed, START, testNode, type Placed } from '../doubles/directory.ts'
import { MemoryKeys } from '../doubles/memory-keys.ts'
import { authorities, clock, never, nodeKeeper, nodes, NOW, pass, passUntil, portsOn, quiet, suite, withCode, withTime } from './keeper-material.ts'

const { epochLength, epochGrace } = PARAMETERS
withTime()

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

describe('a service that has forgotten what it said', () => {
  const recalled = async (ask: Ask): Promise<SignedDescriptor[]> => {
    const all: SignedDescriptor[] = []
    for await (const each of recallServices(ask, 'bank', never)) all.push(each)
    return all
  }
  const bank = { ...nodes.find(({ change }) => change.kind === 'bank') as Placed }
  /** Publishes, is away until the directory lists it no more, and comes back: what it is told then; null while that is nothing. */
  const comeBack = async (asks: readonly Ask[], kind = 'bank'): Promise<() => string[] | null> => {
    const first = await nodeKeeper(bank, asks)
    await pass(1_000)
    await first.stop()
    vi.setSystemTime((EPOCH + 5) * epochLength + 1_000)
    let told: string[] | null = null
    await nodeKeeper({ ...bank, change: { ...bank.change, body: utf8('another') } }, asks, {}, {
      describe: async (_: AbortSignal, recall: Recall) => {
        told = (await recall(kind, () => true)).map(({ body }) => new TextDecoder().decode(body))
        return { role: 'service', kind: 'bank', addresses: ['/ip4/127.0.0.1/tcp/4001'], entry: [], body: utf8('another') }
      }
    })
    await pass(30_000)
    return () => told
  }

  it('is told by authorities, long after it was listed; of its own kind only', async () => {
    const told = await comeBack(await authorities(4))
    expect(new Set(told())).toEqual(new Set(['listing']))
    expect((await comeBack(await authorities(4), 'center'))()).toEqual([])
  })

  it('though one of four has forgotten it, too; and one whose signatures fail counts as silent', async () => {
    const forgetful: Ask = async request => await answerDirectory(request, async () => ({ is: 'descriptors', signed: [] }))
    const forged = signed(suite, bank.node, { role: 'service', kind: 'bank', body: utf8('never said') })
    const forger: Ask = async request => await answerDirectory(request, async asked => ({
      is: 'descriptors', signed: asked.op === 'recall' && asked.after === null ? [{ ...forged, signature: signed(suite, bank.node).signature }] : []
    }))
    for (const liar of [forgetful, forger]) {
      const asks = await authorities(4)
      expect(new Set((await comeBack([...asks.slice(0, 3), liar]))())).toEqual(new Set(['listing']))
    }
  })

  it('says nothing before a quorum has answered', async () => {
    const asks = await authorities(4)
    let away = 0
    const told = await comeBack(asks.map((ask, i) => async (request, signal) => {
      if (away > 0 && i < away) throw new MixmintError('not-sent', 'peer', 'nobody there', { retry: true })
      if (decode(DirectoryRequest, request).op === 'recall' && away === 0) away = 2
      return await ask(request, signal)
    }))
    expect(told()).toBeNull()
    away = 1
    await pass(30_000)
    expect(new Set(told())).toEqual(new Set(['listing']))
  })

  it('reads what an authority keeps page by page, and not without end', async () => {
    const all = ['a', 'b', 'c'].map(name => signed(suite, testNode(name), { role: 'service', kind: 'bank', body: utf8(name) })).sort((a, b) => compare(a.descriptor.peer, b.descriptor.peer))
    const paged: Ask = async request => await answerDirectory(request, async asked => {
      const after = asked.op === 'recall' ? asked.after : null
      return { is: 'descriptors', signed: all.filter(({ descriptor: { peer } }) => after === null || compare(peer, after) > 0).slice(0, 1) }
    })
    expect(await recalled(paged)).toEqual(all)
    const circling: Ask = async request => await answerDirectory(request, async () => ({ is: 'descriptors', signed: all }))
    await expect(recalled(circling)).rejects.toThrow(withCode('directory-reply'))
  })

  it('as much as fits into a reply is sent at a time', async () => {
    const large = Array.from({ length: 6 }, (_, i) => ({ node: testNode(`bank ${i}`), layer: 255, change: { role: 'service' as const, kind: 'bank', body: new Uint8Array(250_000).fill(i), mixKeys: [] } }))
    const [ask] = await authorities(1, { more: large })
    for (const { node, change } of large) await publishDescriptor(ask, signed(suite, node, { ...change, published: NOW }), never)
    expect((await recalled(ask)).map(({ descriptor }) => descriptor.body[0]).sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5])
  })
})
