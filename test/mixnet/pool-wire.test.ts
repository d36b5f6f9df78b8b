/** A network without a directory over TCP: eight nodes that know each other by hand, a client of one, and destinations of exits. */
import { afterEach, expect, it } from 'vitest'
import { concat, toHex } from '@mixmint/core/kit/bytes'
import { MixmintError } from '@mixmint/core/kit/errors'
import { RateLimit } from '@mixmint/mixnet/abuse/rate-limit'
import { MixEngine } from '@mixmint/mixnet/mixing/engine'
import { PoolPaths, type Home } from '@mixmint/mixnet/pool/paths'
import { NodePool } from '@mixmint/mixnet/pool/pool'
import { mayReplyInto, poolNeighbourhood, poolTopology } from '@mixmint/mixnet/pool/topology'
import type { Session, SessionParameters } from '@mixmint/mixnet/session/engines'
import { addressBlock, type PacketAddress } from '@mixmint/mixnet/sphinx/address'
import { MixNode } from '@mixmint/mixnet/wire/mix-node'
import type { SendResult } from '@mixmint/mixnet/wire/packets'
import { MixnetRequester } from '@mixmint/mixnet/wire/requester'
import { MixnetResponder } from '@mixmint/mixnet/wire/responder'
import { systemClock, systemRng } from '../../nodes/clock.ts'
import { freshIdentity } from '../../nodes/identity.ts'
import { CountingMeter } from '../doubles/meter.ts'
import { startHost, until } from './hosts.ts'
import { peerOf, suite } from './mix-material.ts'

const PROTOCOL = '/test/reverse/1.0.0'
const UNAWARE: PacketAddress = { multiaddr: '/ip4/192.0.2.99/tcp/4001', peer: peerOf('unaware'), client: null }
const stopping: Array<() => Promise<void>> = []
afterEach(async () => {
  for (const stop of stopping.splice(0)) await stop()
})

interface Member { readonly peer: Uint8Array, readonly mix: MixNode, readonly paths: PoolPaths, readonly door: string[], readonly requester: MixnetRequester }

interface World {
  readonly members: readonly Member[]
  readonly client: Member
  readonly meter: CountingMeter
  readonly pool: NodePool
  pathLength: number
}

/** @param count nodes, of which the first answers and the second is an exit; the client stays connected to the third */
async function world (count: number, session: Session): Promise<World> {
  const meter = new CountingMeter()
  const pool = new NodePool({ suite, meter })
  const parameters = (pathLength: number): SessionParameters => ({
    strategy: { kind: 'poisson' }, cover: { send: 0, echoes: 0, pace: 0, loop: 0 }, pathLength, packetSize: 3000, meanDelay: 4, requestLimit: 1 << 16, surbsPerPacket: 3, answerKept: 1000
  })
  const each = new Map([3, 4, 5].map(length => [length, parameters(length)]))
  const state = { pathLength: 3 }
  const current = (): SessionParameters => each.get(state.pathLength) as SessionParameters

  /** @param clients has it, besides, a host for clients? */
  const join = async (entry: Member | null, clients = false): Promise<Member> => {
    const identity = await freshIdentity()
    const host = await startHost({ privateKey: identity, ...(entry === null ? {} : { role: 'wallet' as const, listen: [] }) })
    const door = clients ? await startHost({ privateKey: identity, role: 'entry' }) : null
    const privateKey = systemRng.bytes(32)
    const mixKey = suite.x25519Base(privateKey)
    const engine = new MixEngine({
      suite, self: host.peer, topology: entry === null ? poolTopology(pool, clients) : { mayForward: () => false, mayReachWallet: () => false },
      exits: ({ multiaddr }) => multiaddr === UNAWARE.multiaddr,
      parameters: { strategy: { kind: 'poisson' }, meanDelay: { most: 100 }, packetSize: 3000, queueLimit: 1000, replayLimit: 10_000 }
    })
    const home: Home = { peer: host.peer, mixKey, at: entry === null ? { block: addressBlock(host.addresses()[0], host.peer) } : { entry: entry.peer } }
    const paths = new PoolPaths({ pool, meter, home, parameters: current })
    const common = { suite, clock: systemClock, rng: systemRng, meter, parameters: current, session, sendPacket: (to: Uint8Array, packet: Uint8Array): SendResult => mix.sendPacket(to, packet) }
    const requester = new MixnetRequester({ ...common, paths, limits: { base: 2000 } })
    const responder = new MixnetResponder({
      ...common, mayReplyTo: firstHop => mayReplyInto(pool, firstHop),
      exit: {
        carries: protocol => protocol === PROTOCOL,
        ask: async ({ peer }, _, content) => concat(peer, content)
      }
    })
    responder.handle(PROTOCOL, async content => {
      if (content.length === 0) throw new MixmintError('nothing-asked', 'caller', 'say something')
      return content.toReversed()
    })
    const mix: MixNode = new MixNode({
      node: host.node, engine, clock: systemClock, rng: systemRng, meter,
      neighbourhood: entry === null ? poolNeighbourhood(pool, false) : { addresses: () => entry.door, accepts: peer => peer === toHex(entry.peer) },
      ...(door === null
        ? {}
        : {
            wallets: {
              host: door.node, accepts: peer => pool.get(peer) === undefined, grace: () => 1000,
              admit: new RateLimit(() => ({ each: { perSecond: 1000, burst: 1000 }, all: { perSecond: 10_000, burst: 10_000 }, patience: 1000 }))
            }
          }),
      onDeliver: message => { responder.onDeliver(message) },
      onExit: (message, destination) => { responder.onDeliver(message, destination) },
      onReply: requester.onReply,
      onUnreachable: peer => { pool.unreachable(peer, systemClock.now()) }
    })
    mix.install({ epoch: 0, privateKey, from: 0, until: Infinity })
    await mix.start()
    if (entry === null) pool.add({ peer: host.peer, addresses: host.addresses(), mixKey })
    else mix.keep(entry.peer)
    stopping.push(async () => {
      requester.close()
      responder.close()
      await mix.stop(200)
    })
    return { peer: host.peer, mix, paths, requester, door: door?.addresses() ?? [] }
  }

  const members: Member[] = []
  for (let i = 0; i < count; i++) members.push(await join(null, i === 2))
  const client = await join(members[2])
  await until(() => client.mix.isUp(members[2].peer))
  return {
    members, client, meter, pool,
    get pathLength () { return state.pathLength },
    set pathLength (length) { state.pathLength = length }
  }
}

it.each(['fragments', 'plain'] as const)('a node and a client ask a node, and through an exit one that knows nothing of mixing, in %s', async session => {
  const net = await world(8, session)
  const [service, exit] = net.members
  const size = session === 'plain' ? 1200 : 20_000
  for (const pathLength of [3, 4, 5]) {
    net.pathLength = pathLength
    for (const asking of [net.members[4], net.client]) {
      const content = systemRng.bytes(size)
      expect(await asking.requester.request(service.peer, PROTOCOL, content)).toEqual(content.toReversed())
      expect(await asking.requester.request(exit.peer, PROTOCOL, content, { destination: UNAWARE })).toEqual(concat(UNAWARE.peer, content))
      expect(asking.requester.held).toEqual({ calls: 0, surbs: 0 })
    }
  }
  for (const { mix } of net.members) expect(mix.counts().mix.dropped).toEqual({})
  expect(net.meter.of('request_no_path')).toBe(0)
})

it('what cannot be asked or answered: in fragments the service says so, plain has limits and silence', async () => {
  const [fragments, plain] = [await world(4, 'fragments'), await world(4, 'plain')]
  const ask = async (net: World, content: Uint8Array, protocol = PROTOCOL): Promise<Uint8Array> =>
    await net.members[2].requester.request(net.members[0].peer, protocol, content, { deadline: systemClock.now() + 1500 })
  await expect(ask(fragments, new Uint8Array(0))).rejects.toMatchObject({ code: 'refused', cause: { code: 'nothing-asked' } })
  await expect(ask(fragments, new Uint8Array(1 << 17))).rejects.toMatchObject({ code: 'request-too-long' })
  const silence = [ask(plain, new Uint8Array(0)), ask(plain, new Uint8Array(1), '/test/none')]
  await expect(ask(plain, new Uint8Array(1), '/test/none'.padEnd(3000, '/'))).rejects.toMatchObject({ code: 'bad-argument' })
  await expect(ask(plain, new Uint8Array(1620))).rejects.toMatchObject({ code: 'request-too-long' })
  for (const asked of silence) await expect(asked).rejects.toMatchObject({ code: 'lost' })
  expect(plain.meter.of('responder_refused', { code: 'nothing-asked' })).toBe(1)
  expect(plain.meter.of('responder_dropped', { reason: 'unknown-protocol' })).toBe(1)
})

it('a node that cannot be reached is set aside', async () => {
  const net = await world(6, 'fragments')
  net.pool.add({ peer: peerOf('gone'), addresses: ['/ip4/127.0.0.1/tcp/9'], mixKey: suite.x25519Base(systemRng.bytes(32)) })
  net.members[0].mix.sendPacket(peerOf('gone'), systemRng.bytes(3000))
  await until(() => net.pool.list(systemClock.now()).some(({ node, asideUntil }) => node.name === toHex(peerOf('gone')) && asideUntil !== null))
})
