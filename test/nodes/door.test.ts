/** The door of a host, asked by libp2p at each step of a connection. */
import { describe, expect, test } from 'vitest'
import type { Connection, MultiaddrConnection, PeerId } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { groupOf, linkIdOf } from '@mixmint/mixnet/wire/peers'
import type { TurnstileLimits } from '@mixmint/mixnet/abuse/turnstile'
import { Door } from '../../nodes/door.ts'
import { freshIdentity } from '../../nodes/identity.ts'
import { CountingMeter } from '../doubles/meter.ts'
import { until } from '../mixnet/hosts.ts'

/** Someone at the door, who may be sent away or go. */
class Comer extends EventTarget {
  readonly remoteAddr: ReturnType<typeof multiaddr>
  aborted = false
  constructor (address: string) {
    super()
    this.remoteAddr = multiaddr(address)
  }

  onData = (): void => {}
  abort = (): void => {
    this.aborted = true
    this.dispatchEvent(new Event('close'))
  }
}
const from = (address: string): MultiaddrConnection => new Comer(address) as unknown as MultiaddrConnection
const anybody = async (): Promise<PeerId> => peerIdFromPrivateKey(await freshIdentity())
const WIDE = { perSecond: 1e6, burst: 1e6 }
const UNLIMITED: TurnstileLimits = { each: WIDE, preferred: WIDE, all: WIDE, pendingEach: 1000, pending: 1000 }

interface Opened { open: Connection[], gater: ReturnType<Door['gater']>, meter: CountingMeter }

function door (options: { strangers?: number, handshakes?: Partial<TurnstileLimits>, known?: string[], home?: string } = {}): Opened {
  const meter = new CountingMeter()
  const open: Connection[] = []
  const gater = new Door({
    strangers: options.strangers ?? 2, handshakes: { ...UNLIMITED, ...options.handshakes }, isKnown: peer => options.known?.includes(peer) === true,
    isHome: group => group === options.home, connections: () => open, meter
  }).gater()
  return { open, gater, meter }
}

/** How it stands with each of those who came; undefined while they wait. */
function coming (gater: ReturnType<Door['gater']>, addresses: readonly string[]): { readonly comers: Comer[], readonly refused: Array<boolean | undefined> } {
  const comers = addresses.map(address => new Comer(address))
  const refused: Array<boolean | undefined> = comers.map(() => undefined)
  for (const [i, comer] of comers.entries()) {
    void Promise.resolve(gater.denyInboundConnection?.(comer as unknown as MultiaddrConnection)).then(is => { refused[i] = is })
  }
  return { comers, refused }
}

describe('handshakes', () => {
  test('over the rate of an address wait their turn, and go when their connection does', async () => {
    const { gater } = door({ handshakes: { each: { perSecond: 20, burst: 2 } } })
    const { comers, refused } = coming(gater, Array<string>(4).fill('/ip4/192.0.2.1/tcp/1'))
    await until(() => refused[1] === false)
    expect(refused).toEqual([false, false, undefined, undefined])
    comers[2].abort()
    await until(() => refused[3] === false)
    expect(refused).toEqual([false, false, true, false])
  })

  test('have so many places and no more; who is refused is counted', async () => {
    const { gater, meter } = door({ handshakes: { pendingEach: 2 } })
    const { comers, refused } = coming(gater, [...Array<string>(3).fill('/ip4/192.0.2.1/tcp/1'), '/ip4/192.0.2.2/tcp/1'])
    await until(() => refused.every(is => is !== undefined))
    expect(refused).toEqual([false, false, true, false])
    expect(meter.of('connections_refused', { reason: 'handshakes' })).toBe(1)
    // One that is done leaves its place.
    gater.denyInboundUpgradedConnection?.(await anybody(), comers[0] as unknown as MultiaddrConnection)
    const next = coming(gater, ['/ip4/192.0.2.1/tcp/1'])
    await until(() => next.refused[0] !== undefined)
    expect(next.refused).toEqual([false])
  })

  test('that are not done give way after a time', async () => {
    const { gater, meter } = door({ handshakes: { pending: 2 } })
    const { comers } = coming(gater, ['/ip4/192.0.2.1/tcp/1', '/ip4/192.0.2.2/tcp/1'])
    await new Promise(resolve => setTimeout(resolve, 1010))
    const { refused } = coming(gater, ['/ip4/192.0.2.3/tcp/1'])
    await until(() => refused[0] === false)
    expect(comers.map(({ aborted }) => aborted)).toEqual([true, false])
    expect(meter.of('connections_refused', { reason: 'handshakes' })).toBe(1)
  })

  test('with an address from which a node of the network has come, likewise', async () => {
    const friend = await anybody()
    const { gater } = door({ known: [linkIdOf(friend)], handshakes: { all: { perSecond: 0.001, burst: 1 } } })
    gater.denyInboundUpgradedConnection?.(friend, from('/ip4/192.0.2.9/tcp/1'))
    const { refused } = coming(gater, ['/ip4/192.0.2.1/tcp/1', '/ip4/192.0.2.2/tcp/1', '/ip4/192.0.2.9/tcp/1'])
    await until(() => refused[2] === false)
    expect(refused).toEqual([false, undefined, false])
  })

  test('with an address from which one came long ago, and many others since, wait', async () => {
    const friend = await anybody()
    const { gater } = door({ known: [linkIdOf(friend)], handshakes: { all: { perSecond: 0.001, burst: 1 } } })
    for (let i = 0; i < 4097; i++) gater.denyInboundUpgradedConnection?.(friend, from(`/ip4/198.51.${i >> 8}.${i & 255}/tcp/1`))
    const { refused } = coming(gater, ['/ip4/192.0.2.1/tcp/1', '/ip4/198.51.0.0/tcp/1', '/ip4/198.51.0.1/tcp/1'])
    await until(() => refused[2] === false)
    expect(refused).toEqual([false, undefined, false])
  })

  test('with a home of the network stand in no line of strangers', async () => {
    const { gater } = door({ home: '192.0.2.9', handshakes: { all: { perSecond: 0.001, burst: 1 } } })
    const { refused } = coming(gater, ['/ip4/192.0.2.1/tcp/1', '/ip4/192.0.2.2/tcp/1', '/ip4/192.0.2.9/tcp/1'])
    await until(() => refused[2] === false)
    expect(refused).toEqual([false, undefined, false])
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

test('of one of the network\'s own nodes, the oldest of many connections goes', async () => {
  const friend = await anybody()
  const { open, gater, meter } = door({ known: [linkIdOf(friend)] })
  const gone: number[] = []
  for (let i = 0; i < 4; i++) open.push({ remotePeer: friend, direction: 'inbound', abort: () => { gone.push(i) } } as unknown as Connection)
  expect(gater.denyInboundUpgradedConnection?.(friend, from('/ip4/192.0.2.1/tcp/1'))).toBe(false)
  expect(gone).toEqual([0])
  expect(meter.of('connections_displaced')).toBe(1)
})

test('a network address is an IPv4 address, or 64 bits of an IPv6 address', () => {
  const groups = (...addresses: string[]): string[] => addresses.map(address => groupOf(multiaddr(address)))
  expect(groups('/ip4/192.0.2.1/tcp/1', '/ip4/192.0.2.1/tcp/2/ws')).toEqual(['192.0.2.1', '192.0.2.1'])
  expect(new Set(groups('/ip6/2001:db8:0:1::1/tcp/1', '/ip6/2001:db8:0:1:ffff::/tcp/1', '/ip6/2001:db8::1:0:0:0:2/tcp/1')).size).toBe(1)
  expect(new Set(groups('/ip6/2001:db8:0:1::1/tcp/1', '/ip6/2001:db8:0:2::1/tcp/1', '/ip6/::1/tcp/1', '/ip6/2001::/tcp/1')).size).toBe(4)
})
