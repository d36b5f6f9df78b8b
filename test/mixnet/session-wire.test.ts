/** The shells of anonymous requests, joined by mixers that are not there: packets are peeled where they are sent. */
import { afterEach, expect, it } from 'vitest'
import { toHex } from '@mixmint/core/kit/bytes'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Document } from '@mixmint/mixnet/directory/formats'
import { profile } from '@mixmint/mixnet/directory/profiles'
import { directoryPaths } from '@mixmint/mixnet/directory/route'
import { mayReplyTo } from '@mixmint/mixnet/directory/topology'
import { DirectoryView } from '@mixmint/mixnet/directory/view'
import { parseAddress, type PacketAddress } from '@mixmint/mixnet/sphinx/address'
import { peel } from '@mixmint/mixnet/sphinx/peel'
import { MixnetRequester, type MixnetRequesterOptions } from '@mixmint/mixnet/wire/requester'
import { MixnetResponder, type MixnetResponderOptions } from '@mixmint/mixnet/wire/responder'
import type { SendResult } from '@mixmint/mixnet/wire/packets'
import { CountingMeter } from '../doubles/meter.ts'
import { seededRng } from '../doubles/rng.ts'
import { native as suite } from './sphinx-material.ts'

const PROTOCOL = '/test/1'
const clock = { now: () => Date.now() }
const closing: Array<() => void> = []
afterEach(() => { for (const close of closing.splice(0)) close() })

function world (changes: Partial<MixnetRequesterOptions> = {}, responding: Partial<MixnetResponderOptions> = {}): {
  requester: MixnetRequester, responder: MixnetResponder, service: Uint8Array, meter: CountingMeter, cut: (down: boolean) => void, layers: (layer: number) => void
} {
  const rng = seededRng('wire')
  const meter = new CountingMeter()
  const keys = new Map<string, Uint8Array>()
  const peerOf = (): Uint8Array => Uint8Array.of(0, 37, 8, 2, 18, 33, 2, ...rng.bytes(32))
  let mixLayer = 1
  const layers: Array<[number, Document['nodes'][number]['signed']['descriptor']['role']]> = [[0, 'gateway'], [1, 'mix'], [2, 'mix'], [3, 'mix'], [255, 'service']]
  const view = (): DirectoryView => new DirectoryView({
    signatures: [],
    document: {
      network: 'test', epoch: Math.floor(Date.now() / 3_600_000), validFrom: 0, validUntil: Number.MAX_SAFE_INTEGER,
      parameters: {
        ...profile('demo', new Uint8Array(0)), cover: { send: 0, echoes: 0, pace: 0, loop: 0 }, meanDelay: 2, epochLength: 3_600_000, epochGrace: 600_000, clockSkew: 0, queueLimit: 1, replayLimit: 1,
        requestLimit: 1 << 18, surbsPerPacket: 5, answerKept: 100
      },
      nodes: nodes.map(node => node.layer === 1 ? { ...node, layer: mixLayer } : node)
    }
  })
  const nodes: Document['nodes'] = layers.map(([layer, role]) => {
    const peer = peerOf()
    const key = rng.bytes(32)
    keys.set(toHex(peer), key)
    const epoch = Math.floor(Date.now() / 3_600_000)
    return {
      layer,
      signed: {
        signature: new Uint8Array(64),
        descriptor: {
          network: 'test', role, peer, addresses: ['/ip4/127.0.0.1/tcp/1'], entry: [], kind: '', body: new Uint8Array(0), published: 0,
          mixKeys: [{ epoch, key: suite.x25519Base(key) }, { epoch: epoch + 1, key: suite.x25519Base(key) }]
        }
      }
    }
  })
  const wallet = { peer: peerOf(), key: rng.bytes(32) }
  keys.set(toHex(wallet.peer), wallet.key)
  const [gateway, , , , service] = nodes.map(({ signed }) => signed.descriptor.peer)

  let down = false
  const send = (to: Uint8Array, packet: Uint8Array): SendResult => {
    if (down) return 'no-link'
    const peeled = peel(suite, keys.get(toHex(to.length === 39 ? to : parseAddress(to)?.peer ?? to)) ?? new Uint8Array(32), packet)
    if (peeled.kind === 'forward') {
      const next = parseAddress(peeled.next)
      setImmediate(() => { send(next?.client ?? next?.peer ?? to, peeled.packet) })
    }
    if (peeled.kind === 'exit') responder.onDeliver(peeled.message, parseAddress(peeled.destination))
    if (peeled.kind === 'reply') requester.onReply(peeled.surbId, peeled.payload)
    return 'queued'
  }
  const common = { suite, clock, rng, meter, parameters: () => view().parameters, sendPacket: send }
  const paths = directoryPaths(view, { gateway, peer: wallet.peer, mixKey: suite.x25519Base(wallet.key) }, meter)
  const requester = new MixnetRequester({ ...common, paths, ...changes })
  const responder = new MixnetResponder({ ...common, mayReplyTo: firstHop => mayReplyTo([view()], firstHop), ...responding })
  closing.push(() => { requester.close() }, () => { responder.close() })
  return { requester, responder, service, meter, cut: is => { down = is }, layers: layer => { mixLayer = layer } }
}

it('requests are answered by the handler of their protocol, many at a time', async () => {
  // A part that is sent again on a busy machine may come when its answer, kept for 100 ms here, is forgotten; it is soon, too.
  const { requester, responder, service } = world({}, { limits: { gatherFor: 1000 } })
  responder.handle(PROTOCOL, async content => content.map(byte => byte + 1))
  responder.handle('/test/2', async () => new Uint8Array(50_000).fill(2))
  const sizes = [0, 1, 5000, 30_000]
  const answers = await Promise.all([
    ...sizes.map(size => requester.request(service, PROTOCOL, new Uint8Array(size))),
    requester.request(service, '/test/2', new Uint8Array(3), { replySize: 50_000 })
  ])
  expect(answers.map(({ length }) => length)).toEqual([...sizes, 50_000])
  expect(answers[2].every(byte => byte === 1)).toBe(true)
  expect(requester.held).toEqual({ calls: 0, surbs: 0 })
  await expect.poll(() => responder.held, { timeout: 20_000 }).toEqual({ requests: 0, running: 0, bytes: 0 })
})

it('a refusal of the handler comes with its code; of a defect nothing is told', async () => {
  const { requester, responder, service } = world()
  responder.handle(PROTOCOL, async content => {
    if (content.length === 0) throw new MixmintError('store-full', 'operator', 'no room', { retry: true })
    throw new Error('the secret is 42')
  })
  await expect(requester.request(service, PROTOCOL, new Uint8Array(0))).rejects.toMatchObject({ code: 'refused', retry: true, cause: { code: 'store-full' } })
  const defect = await requester.request(service, PROTOCOL, new Uint8Array(1)).catch((error: unknown) => error)
  expect(defect).toMatchObject({ code: 'refused', cause: { code: 'internal' } })
  expect(String((defect as MixmintError).message)).not.toContain('42')
  await expect(requester.request(service, '/test/none', new Uint8Array(1))).rejects.toMatchObject({ code: 'refused', cause: { code: 'unknown-protocol' } })
})

it('not-sent: no gateway, no document, no such service, a closed session', async () => {
  const { requester, service, cut } = world()
  cut(true)
  await expect(requester.request(service, PROTOCOL, new Uint8Array(9000))).rejects.toMatchObject({ code: 'not-sent' })
  cut(false)
  await expect(requester.request(new Uint8Array(39), PROTOCOL, new Uint8Array(1))).rejects.toMatchObject({ code: 'not-sent' })
  await expect(world({ parameters: () => null }).requester.request(service, PROTOCOL, new Uint8Array(1))).rejects.toMatchObject({ code: 'not-sent' })
  requester.close()
  await expect(requester.request(service, PROTOCOL, new Uint8Array(1))).rejects.toMatchObject({ code: 'not-sent' })
})

it('overdue and lost are told apart at the deadline', async () => {
  const { requester, responder, service } = world({ limits: { base: 20 } })
  responder.handle(PROTOCOL, async () => await new Promise(() => {}))
  await expect(requester.request(service, PROTOCOL, new Uint8Array(1), { deadline: Date.now() + 1500 })).rejects.toMatchObject({ code: 'overdue' })
  responder.close()
  await expect(requester.request(service, PROTOCOL, new Uint8Array(1), { deadline: Date.now() + 100 })).rejects.toMatchObject({ code: 'lost' })
})

it('a signal aborts, before and after sending, and frees everything', async () => {
  const { requester, responder, service } = world()
  responder.handle(PROTOCOL, async () => await new Promise(() => {}))
  await expect(requester.request(service, PROTOCOL, new Uint8Array(1), { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'aborted' })
  const controller = new AbortController()
  const asked = requester.request(service, PROTOCOL, new Uint8Array(1), { signal: controller.signal })
  expect(requester.held.calls).toBe(1)
  controller.abort()
  await expect(asked).rejects.toMatchObject({ code: 'aborted' })
  expect(requester.held).toEqual({ calls: 0, surbs: 0 })
})

it('an exit asks the destination that the request names, where it carries the protocol there', async () => {
  const destination: PacketAddress = { multiaddr: '/ip4/192.0.2.1/tcp/4001', peer: Uint8Array.of(0, 37, 8, 2, 18, 33, 2, ...new Uint8Array(32).fill(9)), client: null }
  const asked: string[] = []
  const { requester, responder, service } = world({}, {
    exit: {
      carries: (protocol, { multiaddr }) => protocol === PROTOCOL && multiaddr === destination.multiaddr,
      ask: async ({ multiaddr, peer }, protocol, content) => {
        asked.push(`${protocol} of ${toHex(peer).slice(-2)} at ${multiaddr}`)
        if (content.length === 0) throw new MixmintError('exit-unreachable', 'peer', 'down', { retry: true })
        return content.map(byte => byte + 1)
      }
    }
  })
  responder.handle(PROTOCOL, async () => new Uint8Array(1))
  expect(await requester.request(service, PROTOCOL, new Uint8Array(9000), { destination })).toEqual(new Uint8Array(9000).fill(1))
  expect(asked).toEqual([`${PROTOCOL} of 09 at /ip4/192.0.2.1/tcp/4001`])
  expect(await requester.request(service, PROTOCOL, new Uint8Array(9000))).toHaveLength(1)
  await expect(requester.request(service, PROTOCOL, new Uint8Array(0), { destination })).rejects.toMatchObject({ code: 'refused', retry: true, cause: { code: 'exit-unreachable' } })
  for (const [protocol, multiaddr] of [['/test/2', destination.multiaddr], [PROTOCOL, '/ip4/192.0.2.2/tcp/4001']]) {
    await expect(requester.request(service, protocol, new Uint8Array(1), { destination: { ...destination, multiaddr } })).rejects.toMatchObject({ code: 'refused', cause: { code: 'exit-refused' } })
  }
  await expect(requester.request(service, PROTOCOL, new Uint8Array(1), { destination: { ...destination, multiaddr: '/dns4/x/tcp/1' } })).rejects.toMatchObject({ code: 'bad-address' })
  expect(requester.held).toEqual({ calls: 0, surbs: 0 })
  expect(asked).toHaveLength(2)
})

it('a node that is no exit asks nobody', async () => {
  const { requester, responder, service } = world()
  responder.handle(PROTOCOL, async content => content)
  const destination: PacketAddress = { multiaddr: '/ip4/192.0.2.1/tcp/4001', peer: Uint8Array.of(0, 37, 8, 2, 18, 33, 2, ...new Uint8Array(32).fill(9)), client: null }
  await expect(requester.request(service, PROTOCOL, new Uint8Array(1), { destination })).rejects.toMatchObject({ code: 'refused', cause: { code: 'exit-refused' } })
})

it('a service sends replies only to mixes where return paths begin', async () => {
  const { requester, responder, service, meter, layers } = world({ limits: { base: 50 } })
  responder.handle(PROTOCOL, async content => {
    layers(2)
    return content
  })
  await expect(requester.request(service, PROTOCOL, new Uint8Array(1), { deadline: Date.now() + 150 })).rejects.toMatchObject({ code: 'lost' })
  expect(meter.of('responder_dropped', { reason: 'first-hop' })).toBeGreaterThan(0)
})

it('a service that stops finishes what it is working on, if that does not take too long', async () => {
  const { requester, responder, service } = world()
  let finish = (): void => {}
  const begun = Promise.withResolvers<void>()
  responder.handle(PROTOCOL, async content => {
    begun.resolve()
    await new Promise<void>(resolve => { finish = resolve })
    return content
  })
  const asked = requester.request(service, PROTOCOL, new Uint8Array(3))
  await begun.promise
  await responder.settle(AbortSignal.timeout(20))
  let settled = false
  const settling = responder.settle(AbortSignal.timeout(20_000)).then(() => { settled = true })
  await new Promise(resolve => setImmediate(resolve))
  expect(settled).toBe(false)
  finish()
  await settling
  expect(responder.held.running).toBe(0)
  expect(await asked).toHaveLength(3)
  await responder.settle(AbortSignal.timeout(20_000))
})
