import { expect, test } from 'vitest'
import { equal } from '@mixmint/core/kit/bytes'
import { createSurb, openReply, useSurb } from '@mixmint/mixnet/sphinx/surb'
import { wrap } from '@mixmint/mixnet/sphinx/wrap'
import { systemRng } from '../../nodes/clock.ts'
import { until } from './hosts.ts'
import { attach, join, joinGateway } from './members.ts'
import { HERE, suite } from './mix-material.ts'

test('a message goes through gateway and mix to a service, and its reply comes back to the wallet', async () => {
  const [gateway, mix, service] = [await joinGateway(), await join(), await join()]
  const wallet = await attach(gateway)
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
  const [before, mix, after] = [await join({ meanDelay: 1 }), await join({ meanDelay: 200 }), await join({ meanDelay: 1 })]
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
  const [before, mix, after] = [await join({ meanDelay: 1 }), await join({ meanDelay: 60_000 }), await join({ meanDelay: 1 })]
  before.mix.sendPacket(mix.host.peer, wrap(suite, systemRng.bytes(32), [mix.hop(60_000), after.hop(0)], HERE, systemRng.bytes(3968)))
  await until(() => mix.mix.counts().mix.queued === 1)
  await mix.mix.stop(100)
  expect(mix.mix.counts().mix).toEqual({ received: 1, forwarded: 0, delivered: 0, queued: 0, dropped: { abandoned: 1 } })
})

test('a key that is retired opens no more; a hook that throws stops nothing', async () => {
  const before = await join({ meanDelay: 1 })
  const service = await join({ meanDelay: 1, onDeliver: () => { throw new Error('defect') } })
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
  const { mix, host } = await join({ meanDelay: 1 })
  for (const [to, packet] of [[host.peer, new Uint8Array(4607)], [new Uint8Array(94), new Uint8Array(4608)], [new Uint8Array(38), new Uint8Array(4608)]]) {
    expect(() => mix.sendPacket(to, packet)).toThrow(expect.objectContaining({ code: 'bad-argument' }))
  }
})

test('a gateway tells a wallet that sends garbage from one whose packets come at a bad time', async () => {
  const gateway = await joinGateway({ limits: { bad: 4 } })
  const [evil, unlucky] = [await attach(gateway), await attach(gateway)]
  const good = (): Uint8Array => wrap(suite, systemRng.bytes(32), [gateway.hop(5), unlucky.hop(0)], HERE, systemRng.bytes(3968))
  const old = good()
  unlucky.mix.sendPacket(gateway.host.peer, old)
  await until(() => gateway.mix.counts().mix.forwarded === 1)
  for (const bytes of [old, systemRng.bytes(4608), good().fill(1, 4000), ...Array<Uint8Array>(20).fill(old)]) evil.mix.sendPacket(gateway.host.peer, bytes)
  await until(() => gateway.meter.of('wallet_streams_broken', { reason: 'packets-bad' }) === 1)
  const { received } = gateway.mix.counts().mix
  expect(received).toBe(1 + 3 + 4) // the third was in order as far as can be seen here
  gateway.mix.retire(1)
  for (let i = 0; i < 20; i++) unlucky.mix.sendPacket(gateway.host.peer, good())
  await until(() => gateway.mix.counts().mix.dropped['no-key'] === 20)
  expect(gateway.meter.of('wallet_streams_broken', { reason: 'packets-bad' })).toBe(1)
  expect(unlucky.mix.isUp(gateway.host.peer)).toBe(true)
})
