/** The door of a host, asked by libp2p at each step of a connection. */
import { describe, expect, test } from 'vitest'
import type { Connection, MultiaddrConnection, PeerId } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { groupOf, linkIdOf } from '@mixmint/mixnet/wire/peers'
import { Door } from '../../nodes/door.ts'
import { freshIdentity } from '../../nodes/identity.ts'
import { CountingMeter } from '../doubles/meter.ts'

const from = (address: string): MultiaddrConnection => ({ remoteAddr: multiaddr(address) }) as unknown as MultiaddrConnection
const anybody = async (): Promise<PeerId> => peerIdFromPrivateKey(await freshIdentity())
const LIMITS = { each: { perSecond: 1, burst: 3 }, all: { perSecond: 1, burst: 5 } }

interface Opened { open: Connection[], gater: ReturnType<Door['gater']>, meter: CountingMeter }

function door (options: { strangers?: number, handshakes?: typeof LIMITS | null, known?: string[] } = {}): Opened {
  const meter = new CountingMeter()
  const open: Connection[] = []
  const gater = new Door({
    strangers: options.strangers ?? 2, handshakes: options.handshakes ?? null, isKnown: peer => options.known?.includes(peer) === true,
    connections: () => open, meter
  }).gater()
  return { open, gater, meter }
}

describe('handshakes', () => {
  test('are limited for one network address, and for all', () => {
    const { gater, meter } = door({ handshakes: LIMITS })
    const refused = (address: string): unknown => gater.denyInboundConnection?.(from(address))
    expect([1, 2, 3, 4].map(() => refused('/ip4/192.0.2.1/tcp/1'))).toEqual([false, false, false, true])
    expect(refused('/ip4/192.0.2.2/tcp/1')).toBe(false)
    expect(refused('/ip6/2001:db8::1/tcp/1/ws')).toBe(false)
    // Five were enough for all.
    expect(refused('/ip4/192.0.2.3/tcp/1')).toBe(true)
    expect(meter.of('connections_refused', { reason: 'handshakes' })).toBe(2)
  })

  test('that were refused cost nobody anything', () => {
    const { gater } = door({ handshakes: { each: { perSecond: 1, burst: 1 }, all: { perSecond: 1, burst: 2 } } })
    const refused = (address: string): unknown => gater.denyInboundConnection?.(from(address))
    expect(refused('/ip4/192.0.2.1/tcp/1')).toBe(false)
    for (let i = 0; i < 100; i++) expect(refused('/ip4/192.0.2.1/tcp/1')).toBe(true)
    expect(refused('/ip4/192.0.2.2/tcp/1')).toBe(false)
  })

  test('without limits are not counted', () => {
    const { gater } = door()
    for (let i = 0; i < 100; i++) expect(gater.denyInboundConnection?.(from('/ip4/192.0.2.1/tcp/1'))).toBe(false)
  })
})

describe('seats', () => {
  const seated = async (open: Connection[], address: string, protocol = ''): Promise<{ aborted: boolean }> => {
    const seat = { aborted: false }
    open.push({
      remoteAddr: multiaddr(address), remotePeer: await anybody(), direction: 'inbound', streams: [{ protocol }], timeline: { open: open.length },
      abort: () => { seat.aborted = true }
    } as unknown as Connection)
    return seat
  }

  test('of the known are not for strangers, nor the other way round', async () => {
    const [friend, stranger] = [await anybody(), await anybody()]
    const { gater, meter } = door({ strangers: 0, known: [linkIdOf(friend)] })
    const at = from('/ip4/192.0.2.1/tcp/1')
    expect(gater.denyInboundEncryptedConnection?.(stranger, at)).toBe(true)
    expect(gater.denyInboundEncryptedConnection?.(friend, at)).toBe(false)
    expect(gater.denyInboundUpgradedConnection?.(friend, at)).toBe(false)
    expect(meter.of('connections_refused', { reason: 'stranger' })).toBe(1)
  })

  test('a stranger who does nothing gives way; one who does something only when it came with a crowd', async () => {
    const { open, gater, meter } = door({ strangers: 2 })
    const idle = await seated(open, '/ip4/192.0.2.1/tcp/1')
    const busy = await seated(open, '/ip4/192.0.2.2/tcp/1', '/mix/1.0.0')
    const come = async (address: string): Promise<unknown> => gater.denyInboundUpgradedConnection?.(await anybody(), from(address))
    expect(await come('/ip4/192.0.2.3/tcp/1')).toBe(false)
    expect([idle.aborted, busy.aborted]).toEqual([true, false])
    open.splice(0, 1)
    const second = await seated(open, '/ip4/192.0.2.4/tcp/1', '/mix/1.0.0')
    expect(await come('/ip4/192.0.2.3/tcp/1')).toBe(true)
    open.splice(1, 1)
    const crowded = await seated(open, '/ip4/192.0.2.2/tcp/2', '/mix/1.0.0')
    expect(await come('/ip4/192.0.2.3/tcp/1')).toBe(false)
    expect([busy.aborted, second.aborted, crowded.aborted]).toEqual([true, false, false])
    expect(meter.of('connections_displaced')).toBe(2)
    expect(meter.of('connections_refused', { reason: 'full' })).toBe(1)
  })
})

test('a network address is an IPv4 address, or 64 bits of an IPv6 address', () => {
  const groups = (...addresses: string[]): string[] => addresses.map(address => groupOf(multiaddr(address)))
  expect(groups('/ip4/192.0.2.1/tcp/1', '/ip4/192.0.2.1/tcp/2/ws')).toEqual(['192.0.2.1', '192.0.2.1'])
  expect(new Set(groups('/ip6/2001:db8:0:1::1/tcp/1', '/ip6/2001:db8:0:1:ffff::/tcp/1', '/ip6/2001:db8::1:0:0:0:2/tcp/1')).size).toBe(1)
  expect(new Set(groups('/ip6/2001:db8:0:1::1/tcp/1', '/ip6/2001:db8:0:2::1/tcp/1', '/ip6/::1/tcp/1', '/ip6/2001::/tcp/1')).size).toBe(4)
})
