import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { peerIdFromString } from '@libp2p/peer-id'
import { toHex } from '@mixmint/core/kit/bytes'
import { parseAddress } from '@mixmint/mixnet/sphinx/address'
import type { NodePool } from '@mixmint/mixnet/pool/pool'
import { peerIdFromBytes } from '@mixmint/mixnet/wire/peers'
import { seededRng } from '../doubles/rng.ts'
import { chiSquare } from '../reference/statistics.ts'
import { peerOf, suite } from './mix-material.ts'
import { entryOf, nameOf, numbers, poolOf } from './pool-material.ts'

const rng = seededRng('pool')
const any = (): boolean => true
const aside = (pool: NodePool, now: number): string[] => pool.list(now).filter(({ asideUntil }) => asideUntil !== null).map(({ node }) => node.name)

describe('entries', () => {
  it('are added, replaced, listed in order, found and removed', () => {
    const { pool } = poolOf(numbers(5))
    pool.add(entryOf('3', { addresses: ['/ip4/192.0.2.9/udp/9/quic-v1'] }))
    expect(pool.size).toBe(5)
    expect(pool.get(nameOf('3'))).toMatchObject({ addresses: ['/ip4/192.0.2.9/udp/9/quic-v1'] })
    const listed = pool.list(0).map(({ node }) => toHex(node.peer))
    expect(listed).toEqual(numbers(5).map(nameOf).sort())
    expect([pool.remove(peerOf('3')), pool.remove(peerOf('3')), pool.size, pool.get(nameOf('3'))]).toEqual([true, false, 4, undefined])
  })

  it('keep their standing when they are added again as they were, and begin anew at another address or key', () => {
    for (const changes of [{}, { addresses: ['/ip4/192.0.2.1/tcp/4001', '/ip4/192.0.2.9/tcp/1'] }, { addresses: ['/ip4/192.0.2.9/tcp/1'] }, { mixKey: suite.x25519Base(peerOf('x').slice(0, 32)) }]) {
      const { pool } = poolOf(numbers(4))
      pool.unreachable(nameOf('1'), 0)
      pool.add(entryOf('1', changes))
      expect(aside(pool, 1)).toEqual('mixKey' in changes || changes.addresses?.length === 1 ? [] : [nameOf('1')])
    }
  })

  it('are copied: what becomes of the given bytes is nothing to the pool', () => {
    const { pool } = poolOf([])
    const entry = entryOf('1')
    pool.add(entry)
    entry.peer.fill(0)
    entry.mixKey.fill(0)
    expect(pool.get(nameOf('1'))).toMatchObject({ peer: peerOf('1'), mixKey: entryOf('1').mixKey })
  })

  it('name the first address that a packet can hold', () => {
    const { pool } = poolOf([])
    const relay = peerIdFromBytes(peerOf('relay')).toString()
    const blocks = [
      [['/dns4/mix.example/tcp/1', '/ip4/192.0.2.1/tcp/4001/ws', '/ip4/192.0.2.1/tcp/4001', '/ip4/192.0.2.2/tcp/4001'], '/ip4/192.0.2.1/tcp/4001', null],
      [['/ip4/192.0.2.1/udp/4001/quic-v1'], '/ip4/192.0.2.1/udp/4001/quic-v1', null],
      [[`/ip4/192.0.2.1/tcp/4001/p2p/${relay}/p2p-circuit`], '/ip4/192.0.2.1/tcp/4001', 'relay'],
      [[`/ip4/192.0.2.1/udp/4001/quic-v1/p2p/${relay}/p2p-circuit`], '/ip4/192.0.2.1/udp/4001/quic-v1', 'relay']
    ] as const
    for (const [addresses, multiaddr, by] of blocks) {
      pool.add(entryOf('1', { addresses }))
      expect(parseAddress(pool.get(nameOf('1'))?.block as Uint8Array)).toEqual(by === null
        ? { multiaddr, peer: peerOf('1'), client: null }
        : { multiaddr, peer: peerOf('relay'), client: peerOf('1') })
    }
  })

  it.each([
    ['no address', { addresses: [] }],
    ['only addresses that no packet holds', { addresses: ['/dns4/mix.example/tcp/1', '/ip6/::1/tcp/1', '/ip4/192.0.2.1/tcp/0', 'nonsense'] }],
    ['a relay with another kind of identity', { addresses: [`/ip4/192.0.2.1/tcp/1/p2p/${peerIdFromString('12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5').toString()}/p2p-circuit`] }],
    ['a relay that is no peer', { addresses: ['/ip4/192.0.2.1/tcp/1/p2p/none/p2p-circuit'] }],
    ['another kind of identity', { peer: new Uint8Array(38) }],
    ['a short key', { mixKey: new Uint8Array(31) }],
    ['a key of low order', { mixKey: new Uint8Array(32) }]
  ])('with %s are refused', (_, changes) => {
    const { pool } = poolOf([])
    expect(() => { pool.add(entryOf('1', changes)) }).toThrow(expect.objectContaining({ code: 'bad-pool-entry', fault: 'caller' }))
    expect(pool.size).toBe(0)
  })

  it('are no more than the limit; those there can still be replaced', () => {
    const { pool } = poolOf(numbers(3), { nodes: 3 })
    expect(() => { pool.add(entryOf('4')) }).toThrow(expect.objectContaining({ code: 'pool-full', fault: 'operator' }))
    pool.add(entryOf('3'))
    expect(pool.size).toBe(3)
  })

  it('are replaced all at once, or not at all; who stays keeps its standing', () => {
    const { pool } = poolOf(numbers(6), { nodes: 6 })
    pool.unreachable(nameOf('1'), 0)
    pool.unreachable(nameOf('2'), 0)
    expect(() => { pool.replace([entryOf('7'), entryOf('8', { addresses: [] })]) }).toThrow(expect.objectContaining({ code: 'bad-pool-entry' }))
    expect(() => { pool.replace(numbers(7).map(name => entryOf(name))) }).toThrow(expect.objectContaining({ code: 'pool-full' }))
    expect(pool.size).toBe(6)
    pool.replace(['1', '2', '4', '5', '6', '7'].map(name => entryOf(name, name === '2' ? { mixKey: suite.x25519Base(peerOf('2').slice(0, 32)) } : {})))
    expect(pool.list(0).map(({ node }) => node.name)).toEqual(['1', '2', '4', '5', '6', '7'].map(nameOf).sort())
    expect(aside(pool, 1)).toEqual([nameOf('1')])
  })
})

describe('standing', () => {
  const first = 1000
  const most = 8000
  const limits = { aside: { first, most } }

  it('four lost paths in a row set a node aside, one that came home forgives them', () => {
    const { pool, meter } = poolOf(numbers(9), limits)
    const lose = (times: number): void => { for (let i = 0; i < times; i++) pool.lost([nameOf('1'), nameOf('2'), 'nobody'], 0) }
    lose(3)
    pool.served([nameOf('2'), 'nobody'])
    expect(aside(pool, 0)).toEqual([])
    lose(1)
    expect(aside(pool, 0)).toEqual([nameOf('1')])
    expect(meter.of('pool_set_aside')).toBe(1)
    lose(2)
    expect(aside(pool, 0)).toEqual([nameOf('1')])
    lose(1)
    expect(aside(pool, 0).sort()).toEqual([nameOf('1'), nameOf('2')].sort())
  })

  it('a node that cannot be reached is set aside at once, and for longer each time that it fails again', () => {
    const { pool } = poolOf(numbers(9), limits)
    let now = 0
    for (const wait of [1000, 2000, 4000, 8000, 8000]) {
      pool.unreachable(nameOf('1'), now)
      expect(pool.list(now).find(({ node }) => node.name === nameOf('1'))?.asideUntil).toBe(now + wait)
      pool.unreachable(nameOf('1'), now + 1)
      pool.lost([nameOf('1')], now + 1)
      expect(aside(pool, now + wait - 1)).toEqual([nameOf('1')])
      now += wait
      expect(aside(pool, now)).toEqual([])
    }
  })

  it('when its time is over it is on probation: one lost path is enough; when it serves, all is forgotten', () => {
    const { pool } = poolOf(numbers(9), limits)
    pool.unreachable(nameOf('1'), 0)
    pool.lost([nameOf('1')], 1000)
    expect(aside(pool, 2999)).toEqual([nameOf('1')])
    pool.served([nameOf('1')])
    expect(aside(pool, 1001)).toEqual([])
    pool.unreachable(nameOf('1'), 5000)
    expect(aside(pool, 5999)).toEqual([nameOf('1')])
    expect(aside(pool, 6000)).toEqual([])
  })

  it('never is more than a third aside: who was to come back first comes back', () => {
    fc.assert(fc.property(fc.integer({ min: 0, max: 20 }), fc.array(fc.tuple(fc.nat(19), fc.nat(3000)), { maxLength: 60 }), (size, events) => {
      const { pool } = poolOf(numbers(size), limits)
      let now = 0
      for (const [index, later] of events) {
        now += later
        const before = pool.list(now).filter(({ asideUntil }) => asideUntil !== null)
        pool.unreachable(nameOf(`${index + 1}`), now)
        const after = aside(pool, now)
        expect(after.length).toBeLessThanOrEqual(Math.floor(size / 3))
        if (index < size && size >= 3) expect(after).toContain(nameOf(`${index + 1}`))
        const kept = before.sort((a, b) => (a.asideUntil as number) - (b.asideUntil as number)).slice(1).map(({ node }) => node.name)
        for (const name of kept) expect(after).toContain(name)
      }
    }), { numRuns: 60 })
  })
})

describe('choosing', () => {
  it('gives different nodes that fit, or null', () => {
    const { pool } = poolOf(numbers(8))
    fc.assert(fc.property(fc.nat(9), fc.uniqueArray(fc.nat(8)), (count, not) => {
      const barred = new Set(not.map(i => nameOf(`${i + 1}`)))
      const left = 8 - [...barred].filter(name => pool.get(name) !== undefined).length
      const chosen = pool.choose(count, ({ name }) => !barred.has(name), 0, rng)
      if (count > left) {
        expect(chosen).toBeNull()
        return
      }
      const names = chosen?.map(({ name }) => name) ?? []
      expect(new Set(names).size).toBe(count)
      expect(names.filter(name => barred.has(name))).toEqual([])
    }))
  })

  it('every node, at every place, equally often', () => {
    const { pool } = poolOf(numbers(6))
    const names = pool.list(0).map(({ node }) => node.name)
    const counts = names.map(() => [0, 0, 0])
    for (let i = 0; i < 6000; i++) pool.choose(3, any, 0, rng)?.forEach(({ name }, place) => { counts[names.indexOf(name)][place] += 1 })
    for (const place of [0, 1, 2]) expect(chiSquare(counts.map(count => count[place]), names.map(() => 1000))).toBeGreaterThan(0.001)
  })

  it('leaves out who is set aside, while there are enough others; else those come in whose time is over first', () => {
    const { pool } = poolOf(numbers(9))
    pool.unreachable(nameOf('1'), 0)
    pool.unreachable(nameOf('2'), 10)
    pool.unreachable(nameOf('3'), 20)
    const chosen = (count: number): string[] => (pool.choose(count, any, 30, rng) ?? []).map(({ name }) => name).sort()
    for (let i = 0; i < 50; i++) {
      expect(chosen(5).filter(name => ['1', '2', '3'].map(nameOf).includes(name))).toEqual([])
      expect(chosen(7)).toEqual(['1', '4', '5', '6', '7', '8', '9'].map(nameOf).sort())
      expect(chosen(8)).toEqual(['1', '2', '4', '5', '6', '7', '8', '9'].map(nameOf).sort())
    }
    expect(chosen(9)).toHaveLength(9)
    expect(pool.choose(10, any, 30, rng)).toBeNull()
  })
})
