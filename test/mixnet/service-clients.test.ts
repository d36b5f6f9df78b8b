/** Services of js-libp2p as they are, asking over the mix: at the end of a path, and through an exit. */
import { fetch, type Fetch } from '@libp2p/fetch'
import { ping } from '@libp2p/ping'
import type { Libp2p, PeerId } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'
import { lpStream } from '@libp2p/utils'
import { beforeAll, describe, expect, it } from 'vitest'
import { utf8 } from '@mixmint/core/kit/bytes'
import { lengthPrefixed, exactly } from '@mixmint/mixnet/service/reply-rule'
import { FAST, introduce, mixedNetwork, mixedNode, plainNode, type MixedNode } from './service-nodes.ts'

const PING = '/ipfs/ping/1.0.0'
const FETCH = '/libp2p/fetch/0.0.1'
const LONG = 20_000
const rules = { [PING]: exactly(32), [FETCH]: lengthPrefixed({ max: 1 << 16 }) }

let client: MixedNode
let server: Libp2p
let unaware: Libp2p

function library (service: Fetch): void {
  service.registerLookupFunction('/book/', async key => {
    const name = new TextDecoder().decode(key)
    if (name === '/book/stolen') throw new Error('it is gone')
    return name === '/book/long' ? new Uint8Array(LONG).fill(7) : name === '/book/1' ? utf8('once upon a time') : undefined
  })
}

beforeAll(async () => {
  const nodes: MixedNode[] = await mixedNetwork(5, [{}, { relay: true, exit: { protocols: rules, privateAddresses: true } }])
  const serving = await mixedNode({ parameters: FAST, relay: true, serve: rules }, { services: { ping: ping(), fetch: fetch() } })
  const outside = await plainNode('Ed25519', { ping: ping(), fetch: fetch() })
  for (const { services } of [serving, outside]) library(services.fetch)
  client = await mixedNode({ parameters: FAST }, { listen: [] })
  for (const node of [...nodes, client, serving]) introduce(node, [...nodes, serving])
  ;[server, unaware] = [serving, outside]
})

describe.each([['the last hop', (): PeerId => server.peerId], ['through an exit', (): Multiaddr[] => unaware.getMultiaddrs()]])('%s', (_where, to) => {
  it('ping', async () => {
    const { mix } = client.services
    expect(await mix.client(ping()).ping(to(), { signal: AbortSignal.timeout(20_000) })).toBeGreaterThan(0)
  })

  it('fetch: what there is, what there is not, what fails, what is long', async () => {
    const asking = client.services.mix.client(fetch({ timeout: 20_000 }), { replySize: LONG })
    // Its type names peer ids; it hands on whatever it is given.
    const read = async (key: string): Promise<Uint8Array | undefined> => await asking.fetch(to() as PeerId, key)
    expect(await Promise.all([read('/book/1'), read('/book/2')])).toEqual([utf8('once upon a time'), undefined])
    expect(await read('/book/long')).toEqual(new Uint8Array(LONG).fill(7))
    await expect(read('/book/stolen')).rejects.toThrow('it is gone')
    await expect(read('/music/1')).rejects.toThrow('No lookup function')
  })
})

it('a service that goes over a connection gets one to whom it asks, which is open until it closes it', async () => {
  const connection = await client.services.mix.client((components: { connectionManager: { openConnection: (peer: PeerId) => Promise<Awaited<ReturnType<Libp2p['dial']>>> } }) => components)
    .connectionManager.openConnection(server.peerId)
  expect(connection).toMatchObject({ direction: 'outbound', status: 'open', streams: [] })
  expect(connection.remotePeer.equals(server.peerId)).toBe(true)
  await expect(connection.newStream([PING, FETCH])).rejects.toMatchObject({ code: 'bad-argument' })
  const stream = await connection.newStream([FETCH])
  expect(connection.streams).toEqual([stream])
  const lp = lpStream(stream)
  // A FetchRequest of the key `/other`: field 1, six bytes.
  await lp.write(Uint8Array.of(10, 6, ...utf8('/other')))
  expect((await lp.read()).byteLength).toBeGreaterThan(0)
  await stream.close()
  await expect.poll(() => connection.streams).toEqual([])
  const second = await connection.newStream(PING)
  connection.abort(new Error('no more'))
  expect([second.status, connection.status]).toEqual(['aborted', 'aborted'])
})
