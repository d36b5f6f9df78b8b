/** Storms of connections from a few hundred addresses, with the limits that hosts really have: memory is bounded, and honest traffic flows. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { afterEach, expect, test } from 'vitest'
import { dialable, formatTarget } from '@mixmint/mixnet/wire/peers'
import type { Host } from '../../nodes/host.ts'
import { CountingMeter } from '../doubles/meter.ts'
import { startHost, targetOf, until } from '../mixnet/hosts.ts'
import { lineTo, openGateway, openWallet, packet, type Gateway, type Wallet } from '../mixnet/wallet-material.ts'

const children: ChildProcess[] = []
afterEach(() => { for (const child of children.splice(0)) child.kill('SIGKILL') })

interface Storm { readonly child: ChildProcess, readonly end: () => Promise<{ connected: number, whole: number }> }

function storm (host: Host, perSecond: number, addresses: number, net: string): Storm {
  const script = fileURLToPath(new URL('storm-child.ts', import.meta.url))
  const child = spawn(process.execPath, [script, formatTarget(targetOf(host)), String(perSecond), String(addresses), net], { stdio: ['pipe', 'pipe', 'inherit'] })
  children.push(child)
  let said = ''
  child.stdout?.on('data', (bytes: Buffer) => { said += bytes.toString() })
  return {
    child,
    end: async () => {
      child.stdin?.end()
      await once(child, 'close')
      return JSON.parse(said) as { connected: number, whole: number }
    }
  }
}

/** How long a packet each way takes, ms. */
async function roundTrip (gateway: Gateway, wallet: Wallet): Promise<number> {
  const [got, sent, started] = [wallet.got.length, gateway.got.length, performance.now()]
  expect(wallet.links.send(gateway.id, packet(1))).toBe('queued')
  await until(() => gateway.got.slice(sent).some(({ from }) => from === wallet.id))
  await until(() => gateway.links.send(wallet.id, packet(2)) === 'queued')
  await until(() => wallet.got.length > got)
  return performance.now() - started
}

const sockets = (): number => process.getActiveResourcesInfo().filter(name => name === 'TCPSocketWrap').length
const refused = (meter: CountingMeter): number => ['handshakes', 'handshake-bytes', 'full', 'stranger'].reduce((sum, reason) => sum + meter.of('connections_refused', { reason }), 0)

test('at a gateway: wallets flow on, new ones come in from other addresses, every connection is accounted for', async () => {
  const gateway = await openGateway()
  const { host, meter } = gateway
  let upgraded = 0
  host.node.addEventListener('connection:open', () => { upgraded += 1 })
  const early = await openWallet(gateway)
  await roundTrip(gateway, early)
  const before = process.memoryUsage().rss
  const raging = storm(host, 500, 300, '127.21')
  await until(() => refused(meter) > 500)
  const times: number[] = []
  let [most, memory] = [0, 0]
  for (let i = 0; i < 5; i++) {
    const line = await lineTo(gateway, `127.22.0.${1 + i}`)
    const late = await openWallet(gateway, { at: [line.address] })
    times.push(await roundTrip(gateway, late))
    for (let j = 0; j < 20; j++) times.push(await roundTrip(gateway, early))
    most = Math.max(most, sockets())
    memory = Math.max(memory, process.memoryUsage().rss - before)
  }
  const { connected, whole } = await raging.end()
  await until(() => host.node.getConnections().length === 6)
  // The forwarders of this test have two each, and 6 wallets.
  expect(most).toBeLessThan(512 + 768 + 50)
  expect(memory).toBeLessThan(300 << 20)
  expect(Math.max(...times)).toBeLessThan(30_000)
  expect(whole).toBeGreaterThan(0)
  await until(() => refused(meter) + meter.of('handshakes_unfinished') + upgraded >= connected)
  expect(gateway.links.counts()).toMatchObject({ attached: 6, away: 0, queued: 0 })
  expect(gateway.events.filter(event => !event.startsWith('attached'))).toEqual([])
  // Whoever came without a wallet is forgotten.
  await until(() => host.node.getConnections().length === 6)
  expect((await host.node.peerStore.all()).length).toBeLessThan(50)
  process.stderr.write(`storm at a gateway: ${connected} connections, ${whole} of them whole, slowest round trip ${Math.round(Math.max(...times))} ms, ${memory >> 20} MiB\n`)
}, 120_000)

test('at a listener for nodes: nodes come in, from their own addresses and from others', async () => {
  const meter = new CountingMeter()
  const friends = await Promise.all(Array.from({ length: 3 }, async () => await startHost()))
  const host = await startHost({
    meter, isKnown: peer => friends.some(friend => Buffer.from(friend.peer).toString('hex') === peer), isHome: group => group === '127.0.0.1'
  })
  const raging = storm(host, 500, 300, '127.23')
  await until(() => refused(meter) > 500)
  const times: number[] = []
  for (let i = 0; i < 10; i++) {
    for (const friend of friends) {
      const started = performance.now()
      while (await friend.node.dial(dialable(targetOf(host))).then(() => false, () => true));
      await until(() => host.node.getConnections(friend.node.peerId).length === 1)
      times.push(performance.now() - started)
      await friend.node.hangUp(host.node.peerId)
      await until(() => host.node.getConnections(friend.node.peerId).length === 0)
    }
  }
  const { connected } = await raging.end()
  expect(Math.max(...times)).toBeLessThan(30_000)
  expect(meter.of('connections_refused', { reason: 'stranger' })).toBeGreaterThan(0)
  process.stderr.write(`storm at a node: ${connected} connections, slowest way in ${Math.round(Math.max(...times))} ms\n`)
}, 120_000)
