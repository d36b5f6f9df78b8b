/**
 * A page that is a client of a mix network: it attaches to an entry over WebSocket, asks a server of the network, and through
 * an exit pings a node that knows nothing of mixing. What network, `network.json` beside the page says. Pages that come
 * over https need entries with `wss://` addresses.
 */
import { noise } from '@chainsafe/libp2p-noise'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { ping } from '@libp2p/ping'
import { lpStream } from '@libp2p/utils'
import { webSockets } from '@libp2p/websockets'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { mix, type MixPoolEntry } from '@mixmint/mixnet'

interface Network {
  readonly pool: MixPoolEntry[]
  /** Its peer id; it serves /greet/1. */
  readonly server: string
  /** The address of a node that is no part of the network and answers ping. */
  readonly outside: string
}

const signal = AbortSignal.timeout(60_000)

try {
  const { pool, server, outside } = await (await fetch('network.json')).json() as Network
  const node = await createLibp2p({
    privateKey: await generateKeyPair('secp256k1'),
    transports: [webSockets()], connectionEncrypters: [noise()], streamMuxers: [yamux()],
    // Browsers' nodes refuse to dial ws:// and private addresses unless they are told otherwise.
    connectionGater: { denyDialMultiaddr: () => false },
    services: { mix: mix({ pool }) }
  })
  const over = node.services.mix
  await over.ready(signal)
  show('Attached to', over.status().entry ?? 'nobody')

  const lp = lpStream(await over.dialProtocol(server, '/greet/1', { signal }))
  await lp.write(new TextEncoder().encode('from a page'))
  show('The server says', new TextDecoder().decode((await lp.read({ signal })).subarray()))

  const pinger = over.client(ping())
  show('The node outside answered after', `${await pinger.ping(multiaddr(outside), { signal })} ms`)
  show('Spoke with', node.getPeers().join(', '))
  await node.stop()
  show('State', 'done')
} catch (error) {
  show('State', String(error), 'failed')
}

function show (what: string, seen: string, kind = ''): void {
  const [dt, dd] = [document.createElement('dt'), document.createElement('dd')]
  dt.textContent = what
  dd.textContent = seen
  dd.className = kind
  document.querySelector('#seen')?.append(dt, dd)
}
