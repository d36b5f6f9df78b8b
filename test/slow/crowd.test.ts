/** Crowds at a gateway's door, with the limits that it really has: those who are let in flow on, and more come in. */
import type { Socket } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { noise } from '@chainsafe/libp2p-noise'
import type { Libp2p, Stream } from '@libp2p/interface'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { createLibp2p } from 'libp2p'
import { RateLimit, walletLimits } from '@mixmint/mixnet/abuse/rate-limit'
import { MIX_PROTOCOL } from '@mixmint/mixnet/wire/packets'
import { dialable } from '@mixmint/mixnet/wire/peers'
import { freshIdentity } from '../../nodes/identity.ts'
import { Forwarder } from '../doubles/forwarder.ts'
import { until } from '../mixnet/hosts.ts'
import { framed, openGateway, openWallet, packet, type Gateway, type Wallet } from '../mixnet/wallet-material.ts'

const SEATS = 512
const crowd: Libp2p[] = []
const sockets: Socket[] = []
const lines: Forwarder[] = []
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy()
  await Promise.all(lines.splice(0).map(async line => { await line.stop() }))
  await Promise.all(crowd.splice(0).map(async node => { await node.stop() }))
})

/** A libp2p node as small as can be comes in by this line and opens its stream, however often it must try. */
async function comeIn (gateway: Gateway, line: Forwarder): Promise<Stream> {
  const node = await createLibp2p({
    privateKey: await freshIdentity(), transports: [tcp()], connectionEncrypters: [noise()], streamMuxers: [yamux()],
    connectionGater: { denyDialMultiaddr: () => false }, connectionMonitor: { enabled: false }
  })
  crowd.push(node)
  for (;;) {
    try {
      return await node.dialProtocol(dialable({ peer: gateway.host.peer, addresses: [line.address] }), MIX_PROTOCOL, { signal: AbortSignal.timeout(5000) })
    } catch {
      await new Promise(resolve => setTimeout(resolve, 200))
    }
  }
}

async function lineTo (gateway: Gateway, from: (n: number) => string): Promise<Forwarder> {
  const line = await Forwarder.start(gateway.host.addresses()[0], from)
  lines.push(line)
  return line
}

async function flows (gateway: Gateway, wallet: Wallet): Promise<void> {
  const got = wallet.got.length
  wallet.links.send(gateway.id, packet(1))
  await until(() => gateway.got.some(({ from }) => from === wallet.id))
  await until(() => gateway.links.send(wallet.id, packet(2)) === 'queued')
  await until(() => wallet.got.length > got)
}

test('more silent strangers than there are seats, from many addresses: a wallet comes in among them', async () => {
  // Given time: those who say nothing would be gone before all of them are here.
  const gateway = await openGateway({ limits: { proof: 300_000 } })
  const early = await openWallet(gateway)
  await flows(gateway, early)
  const line = await lineTo(gateway, n => `127.1.${n >> 8}.${n & 255}`)
  for (let left = SEATS + 20; left > 0; left -= 28) await Promise.all(Array.from({ length: Math.min(left, 28) }, async () => await comeIn(gateway, line)))
  await until(() => gateway.links.counts().attached === SEATS)
  expect(gateway.meter.of('wallets_displaced')).toBeGreaterThanOrEqual(20)
  const late = await openWallet(gateway)
  await flows(gateway, late)
  await flows(gateway, early)
  expect(gateway.links.counts()).toMatchObject({ attached: SEATS, away: 0, queued: 0 })
  expect(gateway.host.node.getConnections().length).toBeLessThanOrEqual(768)
}, 180_000)

test('a crowd of good packets from few addresses: each flows at its rate, a wallet among them as ever', async () => {
  const limits = walletLimits({ send: 200 })
  const gateway = await openGateway({ admit: new RateLimit(() => limits) })
  const honest = await openWallet(gateway)
  await flows(gateway, honest)
  const line = await lineTo(gateway, n => `127.2.0.${1 + n % 3}`)
  const floods = await Promise.all(Array.from({ length: 30 }, async () => await comeIn(gateway, line)))
  const frame = framed(packet(3))
  for (const stream of floods) {
    const pour = (): void => { while (stream.writeStatus === 'writable' && !stream.writableNeedsDrain) stream.send(frame) }
    stream.addEventListener('drain', () => { queueMicrotask(pour) })
    pour()
  }
  const started = performance.now()
  await until(() => gateway.got.length > 30 * limits.each.burst)
  for (let i = 0; i < 20; i++) await flows(gateway, honest)
  await until(() => performance.now() - started > 5000)
  const seconds = (performance.now() - started) / 1000
  expect(gateway.got.length).toBeLessThan(31 * (limits.each.burst + limits.each.perSecond * seconds))
  const held = gateway.host.node.getConnections().flatMap(({ streams }) => streams).reduce((sum, { readBufferLength }) => sum + readBufferLength, 0)
  expect(held).toBeLessThanOrEqual(30 * 270_000)
  expect(gateway.links.counts()).toMatchObject({ attached: 31, queued: 0 })
}, 60_000)
