/** The service in whole nodes over TCP: both modes, and how exchanges fail. */
import { ping } from '@libp2p/ping'
import { lpStream } from '@libp2p/utils'
import { expect, it } from 'vitest'
import { utf8 } from '@mixmint/core/kit/bytes'
import { isAnonymous } from '@mixmint/mixnet/service/connection'
import { exactly } from '@mixmint/mixnet/service/reply-rule'
import { introduce, mixedNetwork, mixedNode, plainNode, FAST } from './service-nodes.ts'

const GREET = '/greet/1'
const PING = '/ipfs/ping/1.0.0'

it('ten nodes: a handler of a node at the end of the path answers a client without an address', async () => {
  const nodes = await mixedNetwork(9, [{}, { relay: true, serve: [GREET] }])
  const server = nodes[1]
  const seen: boolean[] = []
  await server.handle(GREET, async (stream, connection) => {
    seen.push(isAnonymous(connection))
    const lp = lpStream(stream)
    const name = new TextDecoder().decode((await lp.read()).subarray())
    await lp.write(utf8(`hello ${name}`))
    await stream.close()
  })
  const client = await mixedNode({ parameters: FAST }, { listen: [] })
  introduce(client, nodes)

  const stream = await client.services.mix.dialProtocol(server.peerId, GREET)
  const lp = lpStream(stream)
  await lp.write(utf8('world'))
  expect((await lp.read()).subarray()).toEqual(utf8('hello world'))
  expect(seen).toEqual([true])
  // It speaks with its entry, and with nobody else.
  expect(client.getPeers().map(String)).toEqual([nodes[0].peerId.toString()])
  expect(client.services.mix.status().entry).toBe(nodes[0].peerId.toString())
})

it('ten nodes: the ping client reaches a node that knows nothing of mixing, through an exit', async () => {
  const nodes = await mixedNetwork(8, [{}, { relay: true, exit: { protocols: { [PING]: exactly(32) }, privateAddresses: true } }])
  const target = await plainNode()
  const responder = ping()(target as unknown as Parameters<ReturnType<typeof ping>>[0])
  void responder
  const client = await mixedNode({ parameters: FAST }, { listen: [] })
  introduce(client, nodes)
  await target.handle(PING, async stream => { for await (const part of stream) stream.send(part); await stream.close() })
  const { mix } = client.services
  const pinger = ping()({
    registrar: { handle: async () => {}, unhandle: async () => {} },
    connectionManager: { openStream: async (peer: never, protocol: string, options: object) => await mix.dialProtocol(peer, protocol, options) }
  } as unknown as Parameters<ReturnType<typeof ping>>[0])
  expect(await pinger.ping(target.getMultiaddrs(), { signal: AbortSignal.timeout(10_000) })).toBeGreaterThan(0)
})
