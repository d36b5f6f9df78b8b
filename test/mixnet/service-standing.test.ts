import { expect, it } from 'vitest'
import { until } from './hosts.ts'
import { mixedNetwork, stopNode } from './service-nodes.ts'

const GREET = '/greet/1'

it('a node that is down is set aside in the pool of those who try to reach it', async () => {
  const nodes = await mixedNetwork(6, [{}, { relay: true, serve: [GREET] }])
  const [asking, server, ...others] = nodes
  await stopNode(others[0])
  const { mix } = asking.services
  const aside = (): string[] => mix.pool.entries().filter(({ asideUntil }) => asideUntil !== null).map(({ peer }) => peer)
  // Of four nodes that can be the first of a path one is down: what is asked often enough goes there.
  for (let i = 0; i < 50; i++) {
    const stream = await mix.dialProtocol(server.peerId, GREET)
    stream.send(Uint8Array.of(i))
    await stream.close()
  }
  await until(() => aside().includes(others[0].peerId.toString()))
  expect(aside()).not.toContain(server.peerId.toString())
})
