/** Sessions over networks without a directory, in both ways of putting requests into packets. */
import { describe, expect, it } from 'vitest'
import type { MixmintError } from '@mixmint/core/kit/errors'
import { toHex } from '@mixmint/core/kit/bytes'
import { parseAddress } from '@mixmint/mixnet/sphinx/address'
import { PoolNetwork, unaware, type Outcome, type PoolNetworkOptions } from '../doubles/pool-network.ts'
import { suite } from './mix-material.ts'
import { content } from './session-material.ts'

const network = (options: Partial<PoolNetworkOptions> = {}): PoolNetwork => new PoolNetwork({ suite, seed: 'pool network', nodes: 8, session: 'fragments', ...options })
const bytesOf = (outcome: Outcome | undefined): string => outcome !== undefined && 'content' in outcome ? toHex(outcome.content) : ''
const errorOf = (outcome: Outcome | undefined): MixmintError | null => outcome !== undefined && 'error' in outcome ? outcome.error : null

describe.each(['fragments', 'plain'] as const)('in %s', session => {
  describe.each([3, 4, 5])('on paths of %i', pathLength => {
    it.each([['a node', false], ['a client of one', true]])('%s asks nodes, and through exits those that know nothing of mixing', (_, client) => {
      const net = network({ session, pathLength, client, answer: (_node, bytes, destination) => Uint8Array.of(...bytes, destination === null ? 0 : 1) })
      const size = session === 'plain' ? 2000 : 30_000
      const here = [1, 3, 4].map(node => net.request(node, content(size, node)))
      const beyond = [1, 3].map(node => net.request(node, content(size, 10 + node), { destination: unaware(node) }))
      net.run()
      for (const [i, node] of [1, 3, 4].entries()) expect(bytesOf(net.outcomes.get(here[i]))).toBe(toHex(content(size, node)) + '00')
      for (const [i, node] of [1, 3].entries()) expect(bytesOf(net.outcomes.get(beyond[i]))).toBe(toHex(content(size, 10 + node)) + '01')
      expect(net.asked.map(({ node, destination }) => `${node} ${destination?.multiaddr ?? 'itself'}`).sort()).toEqual([
        '1 /ip4/198.51.100.1/tcp/4001', '1 itself', '3 /ip4/198.51.100.3/tcp/4001', '3 itself', '4 itself'
      ])
      expect(net.requester.held).toEqual({ calls: 0, surbs: 0 })
      for (const node of [1, 3, 4]) expect(net.engineOf(node).responder.held).toEqual({ requests: 0, running: 0, bytes: 0 })
    })
  })

  it('an exit asks nobody outside of what it is an exit for', () => {
    const net = network({ session })
    const call = net.request(1, content(10), { destination: unaware(1).fill(10, 0, 1), deadline: 5000 })
    net.run()
    expect(errorOf(net.outcomes.get(call))?.code).toBe('lost')
    expect(net.asked).toEqual([])
    expect(net.engineOf(1).engine.counts().dropped['exit-refused']).toBeGreaterThan(0)
  })

  it('the same content for two destinations is two requests', () => {
    const net = network({ session })
    for (const host of [1, 2]) net.request(1, content(10), { destination: unaware(host) })
    net.request(1, content(10))
    net.run()
    expect(net.asked.map(({ destination }) => destination?.multiaddr ?? '').sort()).toEqual(['', '/ip4/198.51.100.1/tcp/4001', '/ip4/198.51.100.2/tcp/4001'])
    expect(net.outcomes.size).toBe(3)
  })

  it('in packets of another size', () => {
    for (const packetSize of [1572, 20_000]) {
      const net = network({ session, packetSize, pathLength: 3 })
      const call = net.request(1, content(80))
      net.run()
      expect(bytesOf(net.outcomes.get(call))).toBe(toHex(content(80)))
    }
  })
})

it('a node that is down is set aside, and paths go around it', () => {
  const net = network({ nodes: 9, pathLength: 4 })
  net.down.add(5)
  const aside = (): string[] => net.pool.list(net.now).filter(({ asideUntil }) => asideUntil !== null).map(({ node }) => node.name)
  for (let i = 0; i < 60 && !aside().includes(net.nameOf(5)); i++) {
    net.request(1, content(100, i), { deadline: 120_000 })
    net.run()
  }
  expect(aside()).toContain(net.nameOf(5))
  const path = net.paths.forward({ service: net.nameOf(1), destination: null }, net.now, { bytes: length => new Uint8Array(length) })
  expect(path?.hops.map(({ address }) => toHex(parseAddress(address)?.peer ?? new Uint8Array(0)))).not.toContain(net.nameOf(5))
  net.down.clear()
  net.now += 3_600_000
  expect(aside()).toEqual([])
})
