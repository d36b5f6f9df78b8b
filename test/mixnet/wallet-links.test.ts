/** Sessions of wallets at a gateway: attached, away, back, gone. */
import { describe, expect, test } from 'vitest'
import type { Connection, Stream, StreamHandler } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { toHex } from '@mixmint/core/kit/bytes'
import { MIX_PROTOCOL } from '@mixmint/mixnet/wire/packets'
import type { StreamHost } from '@mixmint/mixnet/wire/stream-host'
import { WalletLinks } from '@mixmint/mixnet/wire/wallets'
import { freshIdentity } from '../../nodes/identity.ts'
import { CountingMeter } from '../doubles/meter.ts'
import { seededRng } from '../doubles/rng.ts'
import { rawStream, startHost, stopHost, until } from './hosts.ts'
import { framed, lineTo, meet, openGateway, openWallet, packet, SIZE } from './wallet-material.ts'

const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i)

describe('a wallet', () => {
  test('is reached only over the connection that it opened, from its first stream on', async () => {
    const gateway = await openGateway()
    const wallet = await openWallet(gateway)
    expect(gateway.links.send(wallet.id, packet(1))).toBe('no-link')
    await until(() => gateway.links.counts().attached === 1)
    for (let i = 0; i < 100; i++) expect(gateway.links.send(wallet.id, packet(i))).toBe('queued')
    await until(() => wallet.got.length === 100)
    expect(wallet.got).toEqual(upTo(100))
    expect(gateway.host.node.getConnections()).toHaveLength(1)
    expect(gateway.links.counts()).toEqual({ attached: 1, away: 0, received: 0, sent: 100, queued: 0, unsent: 0, dropped: { 'link-full': 0, 'no-link': 1, 'wallet-gone': 0 } })
    expect(gateway.links.send('00'.repeat(39), packet(1))).toBe('no-link')
  })

  test('that says goodbye leaves its seat at once', async () => {
    const gateway = await openGateway()
    const wallet = await openWallet(gateway)
    await meet(gateway, wallet)
    await wallet.links.stop(AbortSignal.timeout(5000))
    await until(() => gateway.events.includes(`gone ${wallet.id}`))
    expect(gateway.links.counts()).toMatchObject({ attached: 0, away: 0 })
    expect(gateway.events).toEqual([`attached ${wallet.id}`, `gone ${wallet.id}`])
    expect(gateway.links.send(wallet.id, packet(1))).toBe('no-link')
  })

  test('may be no node of the network', async () => {
    const gateway = await openGateway({ accepts: () => false })
    const wallet = await openWallet(gateway)
    await until(() => gateway.meter.of('wallet_streams_refused', { reason: 'stranger' }) > 0)
    await until(() => wallet.host.node.getConnections().length === 0)
    expect(gateway.links.counts().attached).toBe(0)
  })

  test('attaches over WebSocket as over TCP', async () => {
    const gateway = await openGateway({ host: { listen: ['/ip4/127.0.0.1/tcp/0', '/ip4/127.0.0.1/tcp/0/ws'] } })
    const [tcp, ws] = gateway.host.addresses()
    expect([tcp, ws]).toEqual([expect.stringMatching(/^\/ip4\/127.0.0.1\/tcp\/\d+$/), expect.stringMatching(/^\/ip4\/127.0.0.1\/tcp\/\d+\/ws$/)])
    const wallet = await openWallet(gateway, { at: [ws] })
    await meet(gateway, wallet)
    expect(gateway.host.node.getConnections().map(({ remoteAddr }) => remoteAddr.toString())).toEqual([expect.stringContaining('/ws')])
  })
})

test('a wallet that says goodbye and stays connected has no stream left', async () => {
  const gateway = await openGateway()
  const odd = await startHost({ role: 'wallet', listen: [] })
  await odd.node.handle(MIX_PROTOCOL, () => {})
  const stream = await rawStream(odd, gateway.host, MIX_PROTOCOL)
  stream.send(framed(packet(1)))
  await until(() => gateway.got.length === 1)
  const id = toHex(odd.peer)
  gateway.links.send(id, packet(2))
  const streams = (): number => gateway.host.node.getConnections().flatMap(({ streams }) => streams).filter(({ protocol }) => protocol === MIX_PROTOCOL).length
  await until(() => streams() === 2)
  await stream.close()
  await until(() => gateway.events.includes(`gone ${id}`))
  await until(() => streams() === 0)
  expect(gateway.host.node.getConnections()).toHaveLength(1)
})

test('a stream whose connection is gone before it is looked at takes no seat', async () => {
  const { promise, resolve } = Promise.withResolvers<StreamHandler>()
  const gateway = await openGateway()
  const links = new WalletLinks({
    host: { ...gateway.host.node, handle: async (_protocol, handler) => { resolve(handler) }, unhandle: async () => {} } as StreamHost,
    packetSize: SIZE, admit: { admit: () => 0, forget: () => {} }, grace: () => 0, accepts: () => true, onPacket: () => true,
    rng: seededRng('late'), meter: new CountingMeter()
  })
  await links.start()
  const { peerId: remotePeer } = gateway.host.node
  await (await promise)({} as Stream, { remotePeer, remoteAddr: multiaddr('/ip4/192.0.2.1/tcp/1'), status: 'closed' } as unknown as Connection)
  expect(links.counts()).toMatchObject({ attached: 0, away: 0 })
})

describe('a wallet whose connection breaks', () => {
  test.each(['cut', 'end'] as const)('(%s) comes back under the same name, and gets what came meanwhile, in order', async how => {
    // Nothing is tried again of itself for a long time: coming back is what counts.
    const gateway = await openGateway({ limits: { backoff: { first: 100_000, most: 100_000 } } })
    const line = await lineTo(gateway)
    const wallet = await openWallet(gateway, { at: [line.address] })
    await meet(gateway, wallet)
    line.frozen = true // nobody comes through before we have looked
    line[how]()
    await until(() => gateway.links.counts().away === 1)
    for (let i = 1; i <= 50; i++) expect(gateway.links.send(wallet.id, packet(i))).toBe('queued')
    expect(gateway.links.counts()).toMatchObject({ attached: 0, queued: 50 })
    line.frozen = false
    line.cut()
    await until(() => wallet.got.length === 51)
    expect(wallet.got).toEqual(upTo(51))
    expect(gateway.links.counts()).toMatchObject({ attached: 1, away: 0, sent: 51, queued: 0, dropped: { 'wallet-gone': 0 } })
    expect(gateway.events).toEqual([`attached ${wallet.id}`, `away ${wallet.id}`, `attached ${wallet.id}`])
    await meet(gateway, wallet)
  })

  test('comes back over another of the entry addresses', async () => {
    const gateway = await openGateway()
    const [one, two] = [await lineTo(gateway), await lineTo(gateway)]
    const wallet = await openWallet(gateway, { at: [one.address, two.address] })
    await meet(gateway, wallet)
    await [one, two].find(({ open }) => open === 1)?.stop()
    await until(() => gateway.events.length === 3)
    await meet(gateway, wallet)
    expect([one.open, two.open].sort()).toEqual([0, 1])
  })

  test('and is not noticed to be broken here, is served on the new one', async () => {
    const gateway = await openGateway()
    const line = await lineTo(gateway)
    const identity = await freshIdentity()
    const before = await openWallet(gateway, { identity, at: [line.address] })
    await meet(gateway, before)
    line.frozen = true
    for (let i = 0; i < 3; i++) gateway.links.send(before.id, packet(99)) // into the void
    const after = await openWallet(gateway, { identity })
    await meet(gateway, after)
    expect(gateway.links.counts()).toMatchObject({ attached: 1, away: 0 })
    await until(() => gateway.host.node.getConnections().length === 1)
    expect(gateway.events).toEqual([`attached ${before.id}`])
  })

  test('is waited for so long and no longer; what was kept is dropped and counted', async () => {
    const gateway = await openGateway({ grace: 300, limits: { queue: 20 } })
    const line = await lineTo(gateway)
    const wallet = await openWallet(gateway, { at: [line.address] })
    await meet(gateway, wallet)
    await line.stop()
    await until(() => gateway.links.counts().away === 1)
    for (let i = 0; i < 25; i++) gateway.links.send(wallet.id, packet(i))
    expect(gateway.links.counts()).toMatchObject({ queued: 20, dropped: { 'link-full': 5 } })
    await until(() => gateway.events.includes(`gone ${wallet.id}`))
    expect(gateway.links.counts()).toMatchObject({ attached: 0, away: 0, sent: 1, queued: 0, dropped: { 'link-full': 5, 'wallet-gone': 20 } })
    expect(gateway.links.send(wallet.id, packet(1))).toBe('no-link')
  })

  test('and that is back is not waited for any more', async () => {
    const gateway = await openGateway({ grace: 400 })
    const line = await lineTo(gateway)
    const wallet = await openWallet(gateway, { at: [line.address] })
    for (let i = 0; i < 3; i++) {
      await meet(gateway, wallet)
      line.cut()
      await until(() => gateway.events.length === 2 * i + 3)
    }
    const back = performance.now()
    await until(() => performance.now() - back > 500)
    expect(gateway.events.filter(event => event.startsWith('gone'))).toEqual([])
    await meet(gateway, wallet)
  })

  test('before it has sent a packet, is not waited for', async () => {
    const gateway = await openGateway()
    const line = await lineTo(gateway)
    await openWallet(gateway, { at: [line.address] })
    await until(() => gateway.links.counts().attached === 1)
    await line.stop()
    await until(() => gateway.links.counts().attached === 0)
    expect(gateway.links.counts().away).toBe(0)
  })

  test('finds its gateway again after that was started anew', async () => {
    const privateKey = await freshIdentity()
    const first = await openGateway({ host: { privateKey } })
    const listen = first.host.addresses()
    const wallet = await openWallet(first, { at: listen })
    await meet(first, wallet)
    await stopHost(first.host)
    await until(() => !wallet.links.isUp(first.id))
    wallet.links.send(first.id, packet(7))
    const second = await openGateway({ host: { privateKey, listen } })
    await until(() => second.got.length === 1)
    expect(second.got).toEqual([{ from: wallet.id, number: 7 }])
    await meet(second, wallet)
  })
})

describe('a gateway that stops', () => {
  test('takes no more, sends what is left, and ends the sessions', async () => {
    const gateway = await openGateway()
    const wallet = await openWallet(gateway)
    await meet(gateway, wallet)
    await gateway.links.refuse(AbortSignal.timeout(5000))
    expect(gateway.links.counts()).toMatchObject({ attached: 1 })
    for (let i = 1; i <= 40; i++) gateway.links.send(wallet.id, packet(i))
    await gateway.links.stop(AbortSignal.timeout(5000))
    await until(() => wallet.got.length === 41)
    expect(gateway.links.counts()).toMatchObject({ attached: 0, sent: 41, queued: 0, dropped: { 'wallet-gone': 0 } })
  })

  test('gives back what it keeps for those who are away', async () => {
    const gateway = await openGateway()
    const line = await lineTo(gateway)
    const wallet = await openWallet(gateway, { at: [line.address] })
    await meet(gateway, wallet)
    await line.stop()
    await until(() => gateway.links.counts().away === 1)
    gateway.links.send(wallet.id, packet(1))
    expect(gateway.links.sessions).toEqual([wallet.id])
    expect(await gateway.links.stop(AbortSignal.timeout(5000))).toEqual([{ to: wallet.id, packet: packet(1) }])
    expect(gateway.links.counts()).toMatchObject({ attached: 0, away: 0, queued: 0, unsent: 1, dropped: { 'wallet-gone': 0 } })
  })

  test('knows wallets again that were attached before, as long as they may be away, and no nodes', async () => {
    const gateway = await openGateway({ grace: 300, limits: { wallets: 2 }, accepts: peer => !peer.startsWith('ff') })
    expect(['aa', 'ff', 'bb', 'cc', 'aa'].map(byte => gateway.links.resume(byte.repeat(39)))).toEqual([true, false, true, false, true])
    expect(gateway.links.counts()).toMatchObject({ attached: 0, away: 2 })
    expect(gateway.links.send('aa'.repeat(39), packet(1))).toBe('queued')
    expect(gateway.links.send('ff'.repeat(39), packet(1))).toBe('no-link')
    await until(() => gateway.links.counts().away === 0)
    expect(gateway.links.counts()).toMatchObject({ queued: 0, dropped: { 'wallet-gone': 1 } })
    expect(gateway.events).toEqual(['aa', 'bb'].map(byte => `gone ${byte.repeat(39)}`))
  })
})
