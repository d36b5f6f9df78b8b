import { afterEach, expect, test } from 'vitest'
import { equal, toHex } from '@mixmint/core/kit/bytes'
import { MixEngine, type EpochKey } from '@mixmint/mixnet/mixing/engine'
import { MixNode } from '@mixmint/mixnet/wire/mix-node'
import { addressBlock } from '@mixmint/mixnet/sphinx/address'
import { createSurb, openReply, useSurb } from '@mixmint/mixnet/sphinx/surb'
import { wrap, type Hop } from '@mixmint/mixnet/sphinx/wrap'
import type { Host } from '../../nodes/host.ts'
import { systemClock, systemRng } from '../../nodes/clock.ts'
import { CountingMeter } from '../doubles/meter.ts'
import { startHost, until } from './hosts.ts'
import { HERE, suite } from './mix-material.ts'

interface Member { host: Host, mix: MixNode, key: EpochKey, hop: (delay: number) => Hop, messages: Uint8Array[], replies: Array<{ surbId: Uint8Array, payload: Uint8Array }>, meter: CountingMeter }

const members: Member[] = []

afterEach(async () => {
  await Promise.all(members.splice(0).map(async ({ mix }) => { await mix.stop(50) }))
})

async function join (meanDelay: number, gateway?: Member, hook?: () => void): Promise<Member> {
  const host = await startHost(gateway === undefined ? {} : { role: 'wallet', listen: [] })
  const meter = new CountingMeter()
  const messages: Uint8Array[] = []
  const replies: Member['replies'] = []
  const key: EpochKey = { epoch: 1, privateKey: systemRng.bytes(32), from: 0, until: Number.MAX_SAFE_INTEGER }
  const engine = new MixEngine({
    suite, self: host.peer,
    parameters: { strategy: { kind: 'poisson' }, meanDelay, packetSize: 4608, queueLimit: 1000, replayLimit: 1000 },
    topology: { mayForward: () => gateway === undefined, mayReachWallet: () => gateway === undefined }
  })
  const mix = new MixNode({
    node: host.node, engine, clock: systemClock, rng: systemRng, meter,
    neighbourhood: { addresses: peer => members.find(member => toHex(member.host.peer) === peer)?.host.addresses() ?? [], accepts: () => true },
    onDeliver: message => { messages.push(message); hook?.() },
    onReply: (surbId, payload) => { replies.push({ surbId, payload }) }
  })
  mix.install(key)
  await mix.start()
  const hop = (delay: number): Hop => ({
    publicKey: suite.x25519Base(key.privateKey),
    address: gateway === undefined ? addressBlock(host.addresses()[0], host.peer) : addressBlock(gateway.host.addresses()[0], gateway.host.peer, host.peer),
    delay
  })
  const member: Member = { host, mix, key, hop, messages, replies, meter }
  members.push(member)
  return member
}

test('a message goes through gateway and mix to a service, and its reply comes back to the wallet', async () => {
  const [gateway, mix, service] = [await join(5), await join(5), await join(5)]
  const wallet = await join(5, gateway)
  wallet.mix.keep(gateway.host.peer)
  await until(() => wallet.mix.isUp(gateway.host.peer))

  const message = systemRng.bytes(3968)
  const there = [gateway.hop(5), mix.hop(5), service.hop(0)]
  expect(wallet.mix.sendPacket(gateway.host.peer, wrap(suite, systemRng.bytes(32), there, HERE, message))).toBe('queued')
  await until(() => service.messages.length === 1)
  expect(equal(service.messages[0], message)).toBe(true)

  const surbId = systemRng.bytes(16)
  const { surb, secrets } = createSurb(suite, systemRng.bytes(32), [mix.hop(5), gateway.hop(5), wallet.hop(0)], surbId, systemRng.bytes(16))
  const used = useSurb(suite, surb, message)
  if (used === null) throw new Error('no SURB')
  expect(service.mix.sendPacket(used.firstHop, used.packet)).toBe('queued')
  await until(() => wallet.replies.length === 1)
  expect(equal(wallet.replies[0].surbId, surbId)).toBe(true)
  expect(openReply(suite, secrets, wallet.replies[0].payload)).toEqual(message)
  expect(gateway.mix.counts().mix).toMatchObject({ received: 2, forwarded: 2, dropped: {} })
  expect(mix.mix.counts().links).toMatchObject({ received: 2, sent: 2 })
})

test('stopping lets what is inside leave in its time, and takes nothing new', async () => {
  const [before, mix, after] = [await join(1), await join(200), await join(1)]
  for (let i = 0; i < 20; i++) {
    before.mix.sendPacket(mix.host.peer, wrap(suite, systemRng.bytes(32), [mix.hop(200), after.hop(0)], HERE, systemRng.bytes(3968)))
  }
  await until(() => mix.mix.counts().mix.received === 20)
  expect(mix.mix.counts().mix.queued).toBeGreaterThan(0)
  await mix.mix.stop(20_000)
  await until(() => after.messages.length === 20)
  expect(mix.mix.counts().mix).toEqual({ received: 20, forwarded: 20, delivered: 0, queued: 0, dropped: {} })
})

test('stopping in a hurry drops what is left, and says so', async () => {
  const [before, mix, after] = [await join(1), await join(60_000), await join(1)]
  before.mix.sendPacket(mix.host.peer, wrap(suite, systemRng.bytes(32), [mix.hop(60_000), after.hop(0)], HERE, systemRng.bytes(3968)))
  await until(() => mix.mix.counts().mix.queued === 1)
  await mix.mix.stop(100)
  expect(mix.mix.counts().mix).toEqual({ received: 1, forwarded: 0, delivered: 0, queued: 0, dropped: { abandoned: 1 } })
})

test('a key that is retired opens no more; a hook that throws stops nothing', async () => {
  const before = await join(1)
  const service = await join(1, undefined, () => { throw new Error('defect') })
  const send = (): void => { before.mix.sendPacket(service.host.peer, wrap(suite, systemRng.bytes(32), [service.hop(0)], HERE, systemRng.bytes(3968))) }
  send()
  send()
  await until(() => service.mix.counts().mix.delivered === 2)
  expect(service.meter.of('mix_hook_failed')).toBe(2)
  service.mix.retire(1)
  send()
  await until(() => service.mix.counts().mix.dropped['no-key'] === 1)
})

test('a packet of ours needs the size of the network and a first hop', async () => {
  const { mix, host } = await join(1)
  for (const [to, packet] of [[host.peer, new Uint8Array(4607)], [new Uint8Array(94), new Uint8Array(4608)], [new Uint8Array(38), new Uint8Array(4608)]]) {
    expect(() => mix.sendPacket(to, packet)).toThrow(expect.objectContaining({ code: 'bad-argument' }))
  }
})
