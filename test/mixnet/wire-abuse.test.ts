/** Wallets that mean harm: what they may take up is bounded and counted, and the packets of others flow meanwhile. */
import { describe, expect, test } from 'vitest'
import type { Stream } from '@libp2p/interface'
import { toHex } from '@mixmint/core/kit/bytes'
import type { Admit } from '@mixmint/mixnet/abuse/admit'
import { RateLimit } from '@mixmint/mixnet/abuse/rate-limit'
import { MIX_PROTOCOL } from '@mixmint/mixnet/wire/packets'
import type { Host } from '../../nodes/host.ts'
import { closed, rawStream, startHost, stopHost, until } from './hosts.ts'
import { bad, framed, lineTo, openGateway, openWallet, packet, type Gateway, type Wallet } from './wallet-material.ts'

const WIDE = { perSecond: 1e6, burst: 1e6 }

async function evilHost (): Promise<Host> {
  return await startHost({ role: 'wallet', listen: [] })
}

/** Round trips of an honest wallet. */
async function flows (gateway: Gateway, wallet: Wallet, count = 3): Promise<void> {
  for (let i = 0; i < count; i++) {
    const [got, sent] = [wallet.got.length, gateway.got.filter(({ from }) => from === wallet.id).length]
    expect(wallet.links.send(gateway.id, packet(i))).toBe('queued')
    await until(() => gateway.got.filter(({ from }) => from === wallet.id).length > sent)
    expect(gateway.links.send(wallet.id, packet(i))).toBe('queued')
    await until(() => wallet.got.length > got)
  }
}

/** Writes as fast as it is let, for ever. */
function pour (stream: Stream, frame: Uint8Array): { readonly count: () => number } {
  let count = 0
  const on = (): void => {
    try {
      while (stream.writeStatus === 'writable' && !stream.writableNeedsDrain && count < 100_000) {
        stream.send(frame)
        count += 1
      }
    } catch {
      // It was ended.
    }
  }
  stream.addEventListener('drain', () => { queueMicrotask(on) })
  on()
  return { count: () => count }
}

describe('a wallet that breaks a rule loses its connection and its seat', () => {
  test.each([
    ['a giant frame', 'frame-size', Uint8Array.of(0xff, 0xff, 0xff, 0x7f)],
    ['a frame of another size', 'frame-size', Uint8Array.of(4, 1, 2, 3, 4)],
    ['a length that is none', 'frame-malformed', Uint8Array.of(0x80, 0x80, 0x80, 0x80, 0x80)]
  ])('%s', async (_name, reason, bytes) => {
    const gateway = await openGateway()
    const [honest, evil] = [await openWallet(gateway), await evilHost()]
    await flows(gateway, honest)
    const stream = await rawStream(evil, gateway.host, MIX_PROTOCOL)
    stream.send(framed(packet(1)))
    stream.send(bytes)
    await until(() => evil.node.getConnections().length === 0)
    await until(() => gateway.meter.of('wallet_streams_broken', { reason }) === 1)
    expect(gateway.links.counts()).toMatchObject({ attached: 1, away: 0 })
    await flows(gateway, honest)
  })

  test('packets that are none, one after the other', async () => {
    const gateway = await openGateway({ limits: { bad: 5 } })
    const [honest, evil] = [await openWallet(gateway), await evilHost()]
    await flows(gateway, honest)
    const stream = await rawStream(evil, gateway.host, MIX_PROTOCOL)
    // A good one between makes them forgiven.
    for (let i = 0; i < 3; i++) for (const bytes of [bad(), bad(), bad(), bad(), packet(i)]) stream.send(framed(bytes))
    await until(() => gateway.got.filter(({ from }) => from === toHex(evil.peer)).length === 15)
    expect(gateway.links.counts().attached).toBe(2)
    for (let i = 0; i < 50; i++) stream.send(framed(bad()))
    await until(() => gateway.meter.of('wallet_streams_broken', { reason: 'packets-bad' }) === 1)
    await until(() => evil.node.getConnections().length === 0)
    // No more of them were looked at.
    expect(gateway.got.filter(({ from }) => from === toHex(evil.peer))).toHaveLength(20)
    expect(gateway.links.counts()).toMatchObject({ attached: 1, away: 0 })
    await flows(gateway, honest)
  })

  test('talking on the stream that is for listening', async () => {
    const gateway = await openGateway()
    const evil = await evilHost()
    await evil.node.handle(MIX_PROTOCOL, stream => { stream.addEventListener('message', () => { stream.send(Uint8Array.of(1)) }) })
    const stream = await rawStream(evil, gateway.host, MIX_PROTOCOL)
    stream.send(framed(packet(1)))
    await until(() => gateway.got.length === 1)
    gateway.links.send(toHex(evil.peer), packet(2))
    await until(() => gateway.meter.of('wallet_streams_broken', { reason: 'frame-malformed' }) === 1)
    await until(() => evil.node.getConnections().length === 0)
  })
})

describe('a flood', () => {
  test('is held back before the packets are looked at: nothing is lost, nothing piles up, others flow', async () => {
    const limits = { each: { perSecond: 200, burst: 50 }, all: WIDE, patience: 60_000 }
    const gateway = await openGateway({ admit: new RateLimit(() => limits) })
    const [honest, evil] = [await openWallet(gateway), await evilHost()]
    await flows(gateway, honest)
    const stream = await rawStream(evil, gateway.host, MIX_PROTOCOL)
    const id = toHex(evil.peer)
    const started = performance.now()
    const poured = pour(stream, framed(packet(7)))
    const taken = (): number => gateway.got.filter(({ from }) => from === id).length
    await until(() => taken() > 100)
    await flows(gateway, honest, 10)
    await until(() => taken() > 200)
    const ms = performance.now() - started
    expect(taken()).toBeLessThanOrEqual(50 + 200 * ms / 1000 + 2)
    // What the gateway holds of it: a receive window, and the packet in hand.
    const held = gateway.host.node.getConnections().flatMap(({ streams }) => streams).map(({ readBufferLength }) => readBufferLength)
    expect(Math.max(...held)).toBeLessThanOrEqual(256 * 1024 + 4610)
    expect(stream.status).toBe('open')
    expect(gateway.meter.of('wallet_packets_held_back')).toBeGreaterThan(0)
    // All the rest waits at whoever made it.
    expect(poured.count() * 4610).toBeLessThan(6 * 1024 * 1024)
    await flows(gateway, honest)
  })

  test('that does not end, ends with the connection', async () => {
    const gateway = await openGateway({ admit: new RateLimit(() => ({ each: { perSecond: 200, burst: 20 }, all: WIDE, patience: 200 })) })
    const [honest, evil] = [await openWallet(gateway), await evilHost()]
    await flows(gateway, honest)
    const stream = await rawStream(evil, gateway.host, MIX_PROTOCOL)
    pour(stream, framed(packet(7)))
    await until(() => gateway.meter.of('wallet_streams_broken', { reason: 'flood' }) === 1)
    await until(() => evil.node.getConnections().length === 0)
    expect(gateway.links.counts()).toMatchObject({ attached: 1, away: 0 })
    await flows(gateway, honest)
  })

  test('by many is shared with the honest, packet by packet', async () => {
    const gateway = await openGateway({ admit: new RateLimit(() => ({ each: WIDE, all: { perSecond: 400, burst: 10 }, patience: 60_000 })) })
    const [honest, ...evil] = [await openWallet(gateway), await evilHost(), await evilHost(), await evilHost()]
    await flows(gateway, honest)
    for (const host of evil) pour(await rawStream(host, gateway.host, MIX_PROTOCOL), framed(packet(7)))
    await until(() => gateway.got.length > 100)
    const before = gateway.got.length
    for (let i = 0; i < 30; i++) honest.links.send(gateway.id, packet(i))
    const own = (): number => gateway.got.slice(before).filter(({ from }) => from === honest.id).length
    await until(() => own() === 30)
    // Had it stood behind all that they have sent, some hundreds would have come first.
    expect(gateway.got.length - before).toBeLessThan(4 * 30 + 30)
  })
})

describe('silence', () => {
  test('from the beginning is cut short; afterwards it is not', async () => {
    const gateway = await openGateway({ limits: { proof: 100 } })
    const honest = await openWallet(gateway)
    await flows(gateway, honest)
    const evil = await evilHost()
    await closed(await rawStream(evil, gateway.host, MIX_PROTOCOL))
    await until(() => evil.node.getConnections().length === 0)
    expect(gateway.meter.of('wallet_streams_broken', { reason: 'peer-silent' })).toBe(1)
    expect(honest.links.isUp(gateway.id)).toBe(true)
    expect(gateway.events).not.toContain(`away ${honest.id}`)
    expect(gateway.links.counts()).toMatchObject({ attached: 1, away: 0 })
  })

  test('half a packet is no packet', async () => {
    const gateway = await openGateway({ limits: { proof: 20_000, stall: 100 } })
    const evil = await evilHost()
    const stream = await rawStream(evil, gateway.host, MIX_PROTOCOL)
    stream.send(framed(packet(1)).subarray(0, 2000))
    await until(() => evil.node.getConnections().length === 0)
    expect(gateway.links.counts().attached).toBe(0)
  })

  test('a proven wallet loses its stream after a long one, but not its seat; the stream comes back', async () => {
    const gateway = await openGateway({ limits: { silence: 150 } })
    const honest = await openWallet(gateway)
    await flows(gateway, honest)
    await until(() => gateway.meter.of('wallet_streams_broken', { reason: 'peer-silent' }) === 1)
    await flows(gateway, honest)
    expect(gateway.events).toEqual([`attached ${honest.id}`])
  })
})

describe('when all seats are taken', () => {
  test('those who say nothing give way', async () => {
    const gateway = await openGateway({ limits: { wallets: 5 } })
    const early = await openWallet(gateway)
    await flows(gateway, early)
    const evil = await Promise.all(Array.from({ length: 4 }, async () => await evilHost()))
    for (const host of evil) await rawStream(host, gateway.host, MIX_PROTOCOL)
    await until(() => gateway.links.counts().attached === 5)
    const late = await openWallet(gateway)
    await flows(gateway, late)
    await flows(gateway, early)
    expect(gateway.meter.of('wallets_displaced')).toBe(1)
    await until(() => evil.filter(({ node }) => node.getConnections().length === 0).length === 1)
    expect(gateway.links.counts().attached).toBe(5)
  })

  test('those who are away give way too; those who speak do not', async () => {
    const gateway = await openGateway({ limits: { wallets: 2 } })
    const [one, two] = [await openWallet(gateway), await openWallet(gateway)]
    await flows(gateway, one)
    await flows(gateway, two)
    const third = await openWallet(gateway)
    await until(() => gateway.meter.of('wallet_streams_refused', { reason: 'wallets-full' }) > 0)
    expect(gateway.links.counts().attached).toBe(2)
    await stopHost(two.host)
    await flows(gateway, third)
    await flows(gateway, one)
    expect(gateway.events).toContain(`gone ${two.id}`)
    expect(gateway.links.counts()).toMatchObject({ attached: 2, away: 0 })
  })
})

test('a wallet that has moved is of the crowd of its new address', async () => {
  const gateway = await openGateway({ limits: { wallets: 3 } })
  const [home, away, third] = [await lineTo(gateway), await lineTo(gateway, '127.5.0.1'), await lineTo(gateway, '127.6.0.1')]
  const moved = await openWallet(gateway, { at: [home.address, away.address] })
  await flows(gateway, moved)
  await home.stop()
  await until(() => away.open === 1)
  const [one, two] = [await openWallet(gateway), await openWallet(gateway)]
  await flows(gateway, one)
  await flows(gateway, two)
  // Of those who speak, one of the two with the same address goes, though the one that moved has been silent for longer.
  await flows(gateway, await openWallet(gateway, { at: [third.address] }))
  expect(gateway.events).toContain(`gone ${one.id}`)
  expect(gateway.events).not.toContain(`gone ${moved.id}`)
})

describe('a wallet that does not read', () => {
  test('has so much waiting and no more; when nothing moves, it loses its connection, and later the rest', async () => {
    const gateway = await openGateway({ grace: 200, limits: { stall: 300, queue: 40 } })
    const [honest, evil] = [await openWallet(gateway), await evilHost()]
    await flows(gateway, honest)
    // Its libp2p reads; it does not.
    await evil.node.handle(MIX_PROTOCOL, stream => { stream.pause() })
    const stream = await rawStream(evil, gateway.host, MIX_PROTOCOL)
    stream.send(framed(packet(1)))
    const id = toHex(evil.peer)
    await until(() => gateway.links.counts().attached === 2)
    let given = 0
    for (let refused = 0; refused < 20;) {
      refused = gateway.links.send(id, packet(given++)) === 'queued' ? 0 : refused + 1
      if (refused > 0) await new Promise(resolve => setTimeout(resolve, 5))
    }
    expect(gateway.links.counts().queued).toBe(40)
    await flows(gateway, honest)
    await until(() => gateway.meter.of('wallet_streams_broken', { reason: 'peer-stalled' }) === 1)
    await until(() => gateway.events.includes(`gone ${id}`))
    const { sent, queued, dropped } = gateway.links.counts()
    expect({ queued, gone: dropped['wallet-gone'] }).toEqual({ queued: 0, gone: 40 })
    expect(sent + queued + dropped['link-full'] + dropped['wallet-gone']).toBe(given + 6)
    await flows(gateway, honest)
  })

  test('gives way, when all queues are full, to one whose queue is shorter', async () => {
    const gateway = await openGateway({ grace: 600, limits: { queue: 30, queues: 50 } })
    const [honest, ...evil] = [await openWallet(gateway), await openWallet(gateway), await openWallet(gateway)]
    for (const wallet of [honest, ...evil]) await flows(gateway, wallet, 1)
    await Promise.all(evil.map(async ({ host }) => { await stopHost(host) }))
    await until(() => gateway.links.counts().away === 2)
    for (let i = 0; i < 30; i++) for (const { id } of evil) gateway.links.send(id, packet(i))
    expect(gateway.links.counts()).toMatchObject({ queued: 50, dropped: { 'link-full': 10 } })
    await flows(gateway, honest, 5)
    await until(() => gateway.links.counts().away === 0)
    expect(gateway.links.counts()).toMatchObject({ queued: 0, dropped: { 'link-full': 11, 'wallet-gone': 49 } })
    const { sent, queued, dropped } = gateway.links.counts()
    expect(sent + queued + dropped['link-full'] + dropped['wallet-gone']).toBe(3 + 60 + 5)
  })
})

/** Takes tokens instead of time: whoever has paid passes at once, others are let wait a while, and then refused. */
class Toll implements Admit {
  readonly #paid = new Map<string, number>()
  readonly forgotten: string[] = []
  asked = 0

  pay (wallet: string, packets: number): void {
    this.#paid.set(wallet, (this.#paid.get(wallet) ?? 0) + packets)
  }

  admit = (from: string): number | 'refuse' => {
    this.asked += 1
    const left = this.#paid.get(from)
    if (left === undefined) return 100
    this.#paid.set(from, left - 1)
    return left > 0 ? 0 : 'refuse'
  }

  forget = (from: string): void => { this.forgotten.push(from) }
}

test('a gateway may ask another price than time: who has paid passes at once, others wait or are refused', async () => {
  const toll = new Toll()
  const gateway = await openGateway({ admit: toll })
  const [honest, poor, spent] = [await openWallet(gateway), await evilHost(), await evilHost()]
  toll.pay(honest.id, 100)
  toll.pay(toHex(spent.peer), 2)
  const waiting = await rawStream(poor, gateway.host, MIX_PROTOCOL)
  for (let i = 0; i < 20; i++) waiting.send(framed(packet(i)))
  const last = await rawStream(spent, gateway.host, MIX_PROTOCOL)
  for (let i = 0; i < 3; i++) last.send(framed(packet(i)))
  await until(() => gateway.meter.of('wallet_streams_broken', { reason: 'flood' }) === 1)
  await until(() => toll.forgotten.includes(toHex(spent.peer)))
  expect(gateway.got.filter(({ from }) => from === toHex(spent.peer))).toHaveLength(2)
  await flows(gateway, honest, 5)
  expect(gateway.meter.of('wallet_packets_held_back')).toBeGreaterThan(0)
  // It is asked once for each packet, and before anybody looks at it.
  expect(toll.asked).toBe(gateway.got.length + 2)
})
