/**
 * A gateway's two listeners as a process of its own, with the limits that they really have and everything behind them that
 * reads bytes: packets of wallets and of nodes, requests. Says where it listens; answers each line of its input with its figures.
 */
import { writeSync } from 'node:fs'
import { RateLimit, walletLimits } from '@mixmint/mixnet/abuse/rate-limit'
import { MIX_PROTOCOL, PacketLinks } from '@mixmint/mixnet/wire/packets'
import { formatTarget, peerIdFromBytes } from '@mixmint/mixnet/wire/peers'
import { serveRpc } from '@mixmint/mixnet/wire/rpc-server'
import { WalletLinks } from '@mixmint/mixnet/wire/wallets'
import { systemRng } from '../../nodes/clock.ts'
import { createHost } from '../../nodes/host.ts'
import { freshIdentity } from '../../nodes/identity.ts'
import { Counters } from '../../nodes/observe.ts'
import { admitRequests, STRANGERS_STREAMS } from '../../nodes/strangers.ts'

export const RPC = '/test/rpc/1.0.0'
export const SIZE = 4608

if (process.argv[1]?.endsWith('hostile-child.ts') === true) await serve()

async function serve (): Promise<void> {
  const meter = new Counters()
  const listen = '/ip4/127.0.0.1/tcp/0'
  const entry = await createHost({ privateKey: await freshIdentity(), role: 'entry', listen: [listen, `${listen}/ws`], meter })
  const inner = await createHost({ privateKey: await freshIdentity(), role: 'node', listen: [listen], isKnown: () => true, meter })
  const wallets: WalletLinks = new WalletLinks({
    host: entry.node, packetSize: SIZE, rng: systemRng, meter, admit: new RateLimit(() => walletLimits({ send: 0 })), grace: () => 2000, accepts: () => true,
    // Back to whoever sent it.
    onPacket: (from, packet) => {
      wallets.send(from, packet)
      return packet[0] === 0
    }
  })
  const links: PacketLinks = new PacketLinks({
    node: inner.node, packetSize: SIZE, rng: systemRng, meter, neighbourhood: { addresses: () => [], accepts: () => true }, onPacket: () => {}
  })
  await wallets.start()
  await links.start()
  for (const [node, options] of [[entry.node, { meter, admit: admitRequests(), limits: STRANGERS_STREAMS }], [inner.node, { meter }]] as const) {
    await serveRpc(node, RPC, async (_from, _protocol, body) => await Promise.resolve(body), options)
  }
  const say = (what: unknown): void => { writeSync(1, `${JSON.stringify(what)}\n`) }
  const [tcp, ws] = entry.addresses()
  say({ tcp: formatTarget({ peer: entry.peer, addresses: [tcp] }), ws: formatTarget({ peer: entry.peer, addresses: [ws] }), inner: formatTarget({ peer: inner.peer, addresses: inner.addresses() }), id: peerIdFromBytes(entry.peer).toString(), protocol: MIX_PROTOCOL })
  process.stdin.on('data', () => {
    const { rss } = process.memoryUsage()
    const connections = [entry, inner].map(({ node }) => node.getConnections().length)
    say({ rss, connections, sockets: process.getActiveResourcesInfo().filter(name => name === 'TCPSocketWrap').length, counters: meter.all() })
  }).on('end', () => { process.exit(0) })
}
