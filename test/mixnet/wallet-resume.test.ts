/** Anonymous requests of a wallet whose line is cut, or whose gateway goes down, go on. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join as pathOf } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { toHex } from '@mixmint/core/kit/bytes'
import { MixnetRequester } from '@mixmint/mixnet/wire/requester'
import { MixnetResponder } from '@mixmint/mixnet/wire/responder'
import { systemClock, systemRng } from '../../nodes/clock.ts'
import { Forwarder } from '../doubles/forwarder.ts'
import { CountingMeter } from '../doubles/meter.ts'
import { until } from './hosts.ts'
import { attach, join, joinGateway, kill, leave, type Member } from './members.ts'
import { suite } from './mix-material.ts'

const PROTOCOL = '/test/1'
const MEAN = 5
const PARAMETERS = { pathLength: 3, packetSize: 4608, meanDelay: MEAN, strategy: { kind: 'poisson' as const }, cover: { send: 0, echoes: 0, pace: 0, loop: 0 }, requestLimit: 1 << 18, surbsPerPacket: 4, answerKept: 60_000 }

const closing: Array<() => void | Promise<void>> = []
afterEach(async () => { for (const close of closing.splice(0)) await close() })

/** A wallet behind a line, its gateway, a mix, and a service that answers when it is let. */
async function world (entry = '/ip4/127.0.0.1/tcp/0'): Promise<{ gateway: () => Member, restart: (end?: (gateway: Member) => Promise<void>) => Promise<void>, folder: string, line: Forwarder, wallet: Member, asked: () => number, answer: () => void, request: (size: number) => Promise<Uint8Array> }> {
  const folder = mkdtempSync(pathOf(tmpdir(), 'mixmint-resume-'))
  closing.push(() => { rmSync(folder, { recursive: true }) })
  let gateway = await joinGateway({ meanDelay: MEAN, entry: [entry], folder })
  const line = await Forwarder.start(gateway.entry?.addresses()[0] ?? '')
  closing.push(async () => { await line.stop() })
  let answer = (): void => {}
  let asked = 0
  const gate = new Promise<void>(resolve => { answer = resolve })
  let responder: MixnetResponder | null = null
  let requester: MixnetRequester | null = null
  const [mix, service] = [await join({ meanDelay: MEAN }), await join({ meanDelay: MEAN, onDeliver: message => { responder?.onDeliver(message) } })]
  const wallet = await attach(gateway, { meanDelay: MEAN, at: [line.address + (entry.endsWith('/ws') ? '/ws' : '')], onReply: (id, payload) => { requester?.onReply(id, payload) } })
  const common = { suite, clock: systemClock, rng: systemRng, meter: new CountingMeter(), parameters: () => PARAMETERS }
  responder = new MixnetResponder({ ...common, mayReplyTo: () => true, sendPacket: (to, packet) => service.mix.sendPacket(to, packet) })
  responder.handle(PROTOCOL, async content => {
    asked += 1
    await gate
    return content
  })
  const expires = Number.MAX_SAFE_INTEGER
  requester = new MixnetRequester({
    ...common, sendPacket: (to, packet) => wallet.mix.sendPacket(to, packet), limits: { base: 200 },
    paths: {
      forward: () => ({ hops: [gateway.hop(MEAN), mix.hop(MEAN), service.hop(0)], expires }),
      back: () => ({ hops: [mix.hop(MEAN), gateway.hop(MEAN), wallet.hop(0)], expires })
    }
  })
  const [asking, answering] = [requester, responder]
  closing.push(() => { asking.close(); answering.close() })
  return {
    gateway: () => gateway, folder, line, wallet, asked: () => asked, answer: () => { answer() },
    restart: async (end = kill) => {
      const { identity, key, entry, host } = gateway
      const listen = [host.addresses(), entry?.addresses() ?? []]
      await end(gateway)
      gateway = await joinGateway({ meanDelay: MEAN, identity, key, listen: listen[0], entry: listen[1], folder })
    },
    request: async size => await asking.request(service.host.peer, PROTOCOL, systemRng.bytes(size), { deadline: Date.now() + 25_000, replySize: size })
  }
}

/** Ask, be cut off while the service works, and have its answer wait at the gateway. */
async function askAndLeave ({ gateway, line, asked, answer, request }: Awaited<ReturnType<typeof world>>): Promise<[Promise<Uint8Array>]> {
  const asking = request(20_000)
  await until(() => asked() === 1)
  line.frozen = true
  line.cut()
  await until(() => gateway().mix.counts().wallets?.away === 1)
  answer()
  await until(() => (gateway().mix.counts().wallets?.queued ?? 0) > 3)
  return [asking]
}

test('the line is cut while the answer is being made: it is kept, and comes on the next connection', async () => {
  const place = await world()
  const { gateway, line, wallet } = place
  const [asking] = await askAndLeave(place)
  expect(gateway().mix.counts().wallets?.attached).toBe(0)
  line.frozen = false
  line.cut()
  expect(await asking).toHaveLength(20_000)
  expect(gateway().mix.counts().wallets).toMatchObject({ attached: 1, away: 0, dropped: { 'no-link': 0, 'wallet-gone': 0 } })
  expect(toHex(wallet.host.peer)).toHaveLength(78)
})

test.each(['', '/ws'])('the line (/tcp%s) is cut while the request is under way: it goes on, and is carried out once', async transport => {
  const { gateway, line, asked, answer, request } = await world(`/ip4/127.0.0.1/tcp/0${transport}`)
  answer()
  const asking = request(100_000)
  await until(() => gateway().mix.counts().mix.received > 10)
  line.cut()
  expect(await asking).toHaveLength(100_000)
  expect(asked()).toBe(1)
  expect(line.made).toBeGreaterThan(1)
})

test('the gateway is killed, and started anew, while the answer is being made: the wallet comes back, and asks again for what was lost', async () => {
  const { gateway, restart, asked, answer, request } = await world()
  const asking = request(20_000)
  await until(() => asked() === 1)
  await restart()
  answer()
  expect(await asking).toHaveLength(20_000)
  expect(asked()).toBe(1)
  expect(gateway().mix.counts().wallets?.attached).toBe(1)
})

test('a gateway that is told to stop hands over what waits for a wallet that is away, and its place', async () => {
  const place = await world()
  const { gateway, restart, folder, line, asked } = place
  const [asking] = await askAndLeave(place)
  let waiting = 0
  await restart(async before => {
    await leave(before)
    waiting = before.mix.counts().wallets?.unsent ?? 0
    expect(before.mix.counts().wallets?.dropped).toEqual({ 'link-full': 0, 'no-link': 0, 'wallet-gone': 0 })
    expect(existsSync(pathOf(folder, 'handover-wallets'))).toBe(true)
  })
  expect(existsSync(pathOf(folder, 'handover-wallets'))).toBe(false)
  expect(waiting).toBeGreaterThan(3)
  expect(gateway().mix.counts().wallets).toMatchObject({ attached: 0, away: 1 })
  expect(gateway().mix.counts().wallets?.queued).toBeGreaterThanOrEqual(waiting)
  line.frozen = false
  line.cut()
  expect(await asking).toHaveLength(20_000)
  await until(() => (gateway().mix.counts().wallets?.sent ?? 0) >= waiting)
  expect(asked()).toBe(1)
  expect(gateway().mix.counts().wallets).toMatchObject({ attached: 1, away: 0, dropped: { 'link-full': 0, 'no-link': 0, 'wallet-gone': 0 } })
})

test('a wallet for which nothing waits is known again to a gateway that was told to stop, until the grace is over', async () => {
  const { gateway, restart, asked, answer, request } = await world()
  const asking = request(20_000)
  await until(() => asked() === 1)
  await restart(leave)
  answer()
  expect(await asking).toHaveLength(20_000)
  expect(asked()).toBe(1)
  expect(gateway().mix.counts().wallets?.dropped).toEqual({ 'link-full': 0, 'no-link': 0, 'wallet-gone': 0 })
})
