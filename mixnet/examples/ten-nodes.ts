/**
 * Ten nodes of a mix network in one process, over TCP on this machine, and two who use it: a client that has no address,
 * and a node that knows nothing of mixing. The client pings, with the ordinary ping of js-libp2p, a server of the network
 * and the node outside, and asks a protocol of its own. Then each party says what it saw. `npm run example`
 */
import { noise } from '@chainsafe/libp2p-noise'
import { generateKeyPair } from '@libp2p/crypto/keys'
import type { Libp2p, PeerId, ServiceMap, StreamHandler } from '@libp2p/interface'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { lpStream } from '@libp2p/utils'
import { yamux } from '@libp2p/yamux'
import { createLibp2p, type ServiceFactoryMap } from 'libp2p'
import { exactly, isAnonymous, lengthPrefixed, mix, type MixService } from '@mixmint/mixnet'

const PING = '/ipfs/ping/1.0.0'
const GREET = '/greet/1'
const PATIENCE = 60_000

/** A node of js-libp2p as any other; who listens nowhere has no address. */
async function start<T extends ServiceMap> (services: ServiceFactoryMap<T>, listen = ['/ip4/127.0.0.1/tcp/0']): Promise<Libp2p<T>> {
  return await createLibp2p<T>({
    privateKey: await generateKeyPair('secp256k1'), addresses: { listen }, services,
    transports: [tcp()], connectionEncrypters: [noise()], streamMuxers: [yamux()],
    // All of them dial from one address.
    connectionManager: { inboundConnectionThreshold: 100 }
  })
}

// The network: ten relays. One takes clients, one serves two protocols, one is an exit for ping.
const entry = await start({ mix: mix({ relay: { clients: true } }) })
const server = await start({ ping: ping(), mix: mix({ relay: true, serve: { [PING]: exactly(32), [GREET]: lengthPrefixed({ max: 1024 }) } }) })
// Here everything is on one machine, and exits reach no private addresses unless they are told to.
const exit = await start({ mix: mix({ relay: true, exit: { protocols: { [PING]: exactly(32) }, privateAddresses: true } }) })
const mixes = await Promise.all(Array.from({ length: 7 }, async () => await start({ mix: mix({ relay: true }) })))
const nodes: ReadonlyArray<Libp2p<{ mix: MixService }>> = [entry, server, exit, ...mixes]

// Who uses it.
const client = await start({ mix: mix() }, [])
const outside = await start({ ping: ping() })

// There is no directory: whoever takes part knows the others by their entries, which are plain text.
for (const { services: { mix } } of [...nodes, client]) {
  for (const node of nodes) mix.pool.add(node.services.mix.describe())
}

/** The server's own protocol: an ordinary handler. */
const askedBy: string[] = []
const greet: StreamHandler = async (stream, connection) => {
  askedBy.push(isAnonymous(connection) ? 'somebody without a name' : name(connection.remotePeer))
  const lp = lpStream(stream)
  await lp.write(new TextEncoder().encode(`hello ${new TextDecoder().decode((await lp.read()).subarray())}`))
  await stream.close()
}
await server.handle(GREET, greet)

/** Everybody that speaks with the node outside. */
const outsideMet = new Set<string>()
outside.addEventListener('connection:open', ({ detail: { remotePeer } }) => { outsideMet.add(name(remotePeer)) })

try {
  const over = client.services.mix
  const pinger = over.client(ping())
  const signal = (): AbortSignal => AbortSignal.timeout(PATIENCE)

  console.log('The client')
  console.log(`  pings the server, the last hop            ${await pinger.ping(server.peerId, { signal: signal() })} ms`)
  console.log(`  pings the node outside, through the exit  ${await pinger.ping(outside.getMultiaddrs(), { signal: signal() })} ms`)

  const stream = await over.dialProtocol(server.peerId, GREET, { signal: signal() })
  const lp = lpStream(stream)
  await lp.write(new TextEncoder().encode('from nowhere'))
  console.log(`  asks the server for a greeting            "${new TextDecoder().decode((await lp.read()).subarray())}"`)

  console.log('What they saw')
  console.log(`  the client spoke with             ${client.getPeers().map(name).join(', ')}`)
  console.log(`  the server was greeted by         ${askedBy.join(', ')}`)
  console.log(`  the node outside was pinged by    ${[...outsideMet].join(', ')}`)
  for (const node of nodes) {
    const { forwarded = 0, delivered = 0 } = node.services.mix.status().packets?.mix ?? {}
    console.log(`  ${name(node.peerId).padEnd(34)}${forwarded} packets passed on, ${delivered} for itself`)
  }
} finally {
  for (const node of [client, outside, ...nodes]) await node.stop()
}

function name (peer: PeerId): string {
  const i = nodes.findIndex(node => node.peerId.equals(peer))
  if (i >= 0) return ['the entry', 'the server', 'the exit'][i] ?? `mix ${i - 2}`
  return peer.equals(client.peerId) ? 'the client' : 'the node outside'
}
