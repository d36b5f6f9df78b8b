import { describe, expect, it } from 'vitest'
import { toHex } from '@mixmint/core/kit/bytes'
import { PoolPaths, type Home } from '@mixmint/mixnet/pool/paths'
import { mayReplyInto, poolNeighbourhood, poolTopology } from '@mixmint/mixnet/pool/topology'
import type { Path, Target } from '@mixmint/mixnet/session/engines'
import { addressBlock, nodeOf, parseAddress } from '@mixmint/mixnet/sphinx/address'
import { CountingMeter } from '../doubles/meter.ts'
import { seededRng } from '../doubles/rng.ts'
import { chiSquare } from '../reference/statistics.ts'
import { blockOf, peerOf, suite } from './mix-material.ts'
import { entryOf, nameOf, numbers, poolOf } from './pool-material.ts'

const rng = seededRng('pool paths')
const mixKey = suite.x25519Base(peerOf('us').slice(0, 32))
const PUBLIC: Home = { peer: peerOf('us'), mixKey, at: { block: blockOf('us') } }
const CLIENT: Home = { peer: peerOf('us'), mixKey, at: { entry: peerOf('3') } }
const to = (service: string, destination: Uint8Array | null = null): Target => ({ service: nameOf(service), destination })

function pathsOf (names: readonly string[], home: Home, pathLength = 5): { paths: PoolPaths, pool: ReturnType<typeof poolOf>['pool'], meter: CountingMeter } {
  const { pool } = poolOf(names)
  const meter = new CountingMeter()
  return { pool, meter, paths: new PoolPaths({ pool, home, meter, parameters: () => ({ pathLength, meanDelay: 70 }) }) }
}

const names = (path: Path | null): string[] => path?.hops.map(({ address }) => {
  const at = parseAddress(address)
  return at === null ? '' : toHex(nodeOf(at))
}) ?? []

describe.each([3, 4, 5])('paths of %i', length => {
  it.each([['a node with an address', PUBLIC], ['a client of an entry', CLIENT]])('there and back, of %s', (_, home) => {
    const { paths, pool } = pathsOf(numbers(9), home, length)
    for (let i = 0; i < 100; i++) {
      const there = paths.forward(to('1', blockOf('2')), 0, rng)
      const back = paths.back(to('1', blockOf('2')), 0, rng)
      for (const path of [there, back]) {
        expect(path?.hops).toHaveLength(length)
        expect(path?.hops.map(({ delay }) => delay)).toEqual([...Array.from({ length: length - 1 }, () => 70), 0])
        expect(new Set(names(path)).size).toBe(length)
        expect(names(path)).not.toContain(nameOf('2'))
      }
      const [out, home_] = [names(there), names(back)]
      expect(out.at(-1)).toBe(nameOf('1'))
      expect(out).not.toContain(nameOf('us'))
      expect(there?.hops.at(-1)?.publicKey).toEqual(pool.get(nameOf('1'))?.mixKey)
      expect(home_.at(-1)).toBe(nameOf('us'))
      expect(home_.slice(0, -1)).not.toContain(nameOf('1'))
      expect(back?.hops.at(-1)?.publicKey).toEqual(mixKey)
      if (home === CLIENT) {
        expect(out[0]).toBe(nameOf('3'))
        expect(home_.at(-2)).toBe(nameOf('3'))
        expect(back?.hops.at(-1)?.address).toEqual(addressBlock('/ip4/192.0.2.3/tcp/4001', peerOf('3'), peerOf('us')))
      } else {
        expect(back?.hops.at(-1)?.address).toEqual(blockOf('us'))
      }
    }
  })
})

it('any node may follow any, and every one is equally likely at every place', () => {
  const { paths } = pathsOf(numbers(7), PUBLIC)
  const others = numbers(7).slice(1).map(nameOf)
  const pairs = new Set<string>()
  const counts = [0, 1, 2, 3].map(() => others.map(() => 0))
  for (let i = 0; i < 6000; i++) {
    const there = names(paths.forward(to('1'), 0, rng))
    const back = names(paths.back(to('1'), 0, rng))
    for (const path of [there, back]) path.slice(0, 4).forEach((name, place) => { counts[place][others.indexOf(name)] += 1 })
    for (const place of [1, 2, 3]) pairs.add(there[place - 1] + there[place])
  }
  expect(pairs.size).toBe(6 * 5)
  for (const count of counts) expect(chiSquare(count, others.map(() => 2000))).toBeGreaterThan(0.001)
})

it('there is no path to strangers, nor through too few, nor from or over an unknown entry; that is counted', () => {
  const none = (home: Home, pool: readonly string[], target: Target, which: 'forward' | 'back', reason: string): void => {
    const { paths, meter } = pathsOf(pool, home)
    expect(paths[which](target, 0, rng)).toBeNull()
    expect(meter.of('request_no_path', { code: `pool-${reason}` })).toBe(1)
  }
  none(PUBLIC, numbers(9), to('stranger'), 'forward', 'service-unknown')
  none(PUBLIC, numbers(4), to('1'), 'forward', 'too-few-nodes')
  none(PUBLIC, numbers(4), to('1'), 'back', 'too-few-nodes')
  none(PUBLIC, numbers(5), to('1', blockOf('2')), 'forward', 'too-few-nodes')
  none(CLIENT, ['1', '2', '4', '5', '6', '7'], to('1'), 'forward', 'entry-unknown')
  none(CLIENT, ['1', '2', '4', '5', '6', '7'], to('1'), 'back', 'entry-unknown')
  none(CLIENT, numbers(9), to('3'), 'forward', 'entry-is-service')
  expect(names(pathsOf(numbers(5), PUBLIC).paths.forward(to('1'), 0, rng))).toHaveLength(5)
  expect(names(pathsOf(numbers(5), CLIENT).paths.back(to('1'), 0, rng))).toHaveLength(5)
})

it('an entry behind a relay cannot have clients of its own: a block has no room for both', () => {
  const { paths, pool, meter } = pathsOf(numbers(9), CLIENT)
  pool.add(entryOf('3', { addresses: ['/ip4/192.0.2.3/tcp/1/p2p/16Uiu2HAm2qm9mNoTqNFHJXrLVkC4BXFjbP3hgbrgvHJJMAj3Ht7e/p2p-circuit'] }))
  expect(paths.back(to('1'), 0, rng)).toBeNull()
  expect(meter.of('request_no_path', { code: 'pool-entry-relayed' })).toBe(1)
})

it('a loop ends at us, where we are a node', () => {
  const loop = names(pathsOf(numbers(4), PUBLIC).paths.loop(0, rng))
  expect(loop.slice(0, -1).sort()).toEqual(numbers(4).map(nameOf).sort())
  expect(loop.at(-1)).toBe(nameOf('us'))
  expect(pathsOf(numbers(9), CLIENT).paths.loop(0, rng)).toBeNull()
})

it('what is learned of a path is learned of its nodes', () => {
  const { paths, pool } = pathsOf(numbers(12), CLIENT)
  const path = paths.forward(to('1'), 0, rng) as Path
  for (let i = 0; i < 4; i++) paths.learned(path, false, 0)
  const aside = (): string[] => pool.list(0).filter(({ asideUntil }) => asideUntil !== null).map(({ node }) => node.name)
  expect(aside()).toHaveLength(4)
  for (const name of aside()) expect(names(path)).toContain(name)
  paths.learned(path, true, 0)
  expect(aside()).toEqual([])
})

it('packets go on to nodes of the pool, at their own addresses; to clients where there are any', () => {
  const { pool } = poolOf(numbers(2))
  const [one, two, client] = ['1', '2', 'client'].map(nameOf)
  const open = poolTopology(pool, true)
  const closed = poolTopology(pool, false)
  for (const topology of [open, closed]) {
    expect([topology.mayForward(one, two, null), topology.mayForward(client, two, one), topology.mayForward(one, client, null)]).toEqual([true, true, false])
    expect(topology.mayReachWallet(one, two)).toBe(true)
  }
  expect([open.mayReachWallet(one, client), closed.mayReachWallet(one, client)]).toEqual([true, false])
  expect([true, false].map(clients => [one, client].map(peer => poolNeighbourhood(pool, clients).accepts(peer)))).toEqual([[true, true], [true, false]])
  expect([one, client].map(peer => poolNeighbourhood(pool, true).addresses(peer))).toEqual([['/ip4/192.0.2.1/tcp/4001'], []])
  const [member, stranger, relayed] = [blockOf('1'), blockOf('stranger'), blockOf('stranger', '2')].map(block => parseAddress(block)!)
  expect([member, stranger, relayed].map(firstHop => mayReplyInto(pool, firstHop))).toEqual([true, false, true])
})
