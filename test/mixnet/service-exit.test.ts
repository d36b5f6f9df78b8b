/** An exit and destinations that know nothing of mixing, over TCP. */
import type { StreamHandler } from '@libp2p/interface'
import { lpStream } from '@libp2p/utils'
import { expect, it } from 'vitest'
import { concat, utf8 } from '@mixmint/core/kit/bytes'
import { ExitForwarder, type ExitDestination, type ExitPolicy } from '@mixmint/mixnet/service/exit'
import { exactly, lengthPrefixed, untilEnd } from '@mixmint/mixnet/service/reply-rule'
import { addressBlock, parseAddress } from '@mixmint/mixnet/sphinx/address'
import type { Host } from '../../nodes/host.ts'
import { CountingMeter } from '../doubles/meter.ts'
import { startHost, until } from './hosts.ts'

const LIMIT = 1 << 16
const POLICY: ExitPolicy = {
  protocols: new Map([['/ping', exactly(32)], ['/ask', lengthPrefixed({ max: 1000 })], ['/all', untilEnd({ max: 5000 })]]),
  allows: () => true, privateAddresses: true, streams: 8, keep: 20, dialPatience: 2_000, patience: 5_000
}

interface World { exit: ExitForwarder, meter: CountingMeter, at: Host, to: Host, destination: ExitDestination }

async function world (handlers: Record<string, StreamHandler>, changes: Partial<ExitPolicy> = {}): Promise<World> {
  const [at, to] = [await startHost(), await startHost()]
  for (const [protocol, handler] of Object.entries(handlers)) await to.node.handle(protocol, handler)
  const meter = new CountingMeter()
  const connections = { getConnections: at.node.getConnections.bind(at.node), openConnection: at.node.dial.bind(at.node) }
  const exit = new ExitForwarder(connections, { ...POLICY, ...changes }, meter)
  return { exit, meter, at, to, destination: { multiaddr: to.addresses()[0], peer: to.peer } }
}

const echo: StreamHandler = async stream => {
  for await (const part of stream) stream.send(part)
  await stream.close()
}

it('a reply of each kind, over a connection that is closed afterwards', async () => {
  const { exit, at, to, destination } = await world({
    '/ping': echo,
    '/ask': async stream => {
      const lp = lpStream(stream)
      await lp.write(concat(utf8('re: '), (await lp.read()).subarray()))
    },
    '/all': echo
  })
  const [ping, ask, all] = await Promise.all([
    exit.forward(destination, '/ping', new Uint8Array(40).fill(7), LIMIT),
    exit.forward(destination, '/ask', Uint8Array.of(2, 104, 105), LIMIT),
    exit.forward(destination, '/all', new Uint8Array(5000).fill(1), LIMIT)
  ])
  expect(ping).toEqual(new Uint8Array(32).fill(7))
  expect(ask).toEqual(utf8('\u0006re: hi'))
  expect(all).toEqual(new Uint8Array(5000).fill(1))
  // The handler of /ask never closes its end: its stream is broken off in the end, and the connection is not kept for it.
  await until(() => at.node.getConnections(to.node.peerId).length === 0)
})

it('a connection that was opened for exchanges is used again while it is kept, and not while it is being closed', async () => {
  const { exit, at, to, destination } = await world({ '/ping': echo })
  const connections = new Set<unknown>()
  to.node.addEventListener('connection:open', ({ detail }) => { connections.add(detail) })
  for (let i = 0; i < 20; i++) await exit.forward(destination, '/ping', new Uint8Array(32), LIMIT)
  expect(connections.size).toBe(1)
  await until(() => at.node.getConnections()[0]?.status !== 'open')
  await exit.forward(destination, '/ping', new Uint8Array(32), LIMIT)
  expect(connections.size).toBe(2)
})

it('a connection that was there before stays', async () => {
  const { exit, at, to, destination } = await world({ '/ping': echo })
  const before = await at.node.dial(to.node.getMultiaddrs())
  await exit.forward(destination, '/ping', new Uint8Array(32), LIMIT)
  await until(() => before.streams.length === 0)
  expect(at.node.getConnections(to.node.peerId)).toEqual([before])
  expect(before.status).toBe('open')
})

it('only listed protocols are carried, only allowed destinations reached', async () => {
  const asked: string[] = []
  const { exit, meter, to, destination } = await world({ '/ping': echo }, { allows: ({ address }) => { asked.push(address.toString()); return false } })
  await expect(exit.forward(destination, '/other', new Uint8Array(0), LIMIT)).rejects.toMatchObject({ code: 'exit-protocol', retry: false })
  await expect(exit.forward(destination, '/ping', new Uint8Array(0), LIMIT)).rejects.toMatchObject({ code: 'exit-destination', retry: false })
  expect(asked).toEqual(to.node.getMultiaddrs().map(String))
  expect(meter.of('mix_exit_failed', { code: 'exit-protocol' })).toBe(1)
  expect(to.node.getConnections()).toEqual([])
})

it('no private address is reached unless told to', async () => {
  const { exit, destination } = await world({}, { privateAddresses: false, dialPatience: 50 })
  for (const ip of ['127.0.0.1', '10.1.2.3', '172.16.0.1', '192.168.1.1', '169.254.169.254', '100.64.0.1', '0.0.0.0', '224.0.0.1', '255.255.255.255']) {
    for (const tail of ['tcp/80', 'udp/80/quic-v1']) {
      const parsed = parseAddress(addressBlock(`/ip4/${ip}/${tail}`, destination.peer))
      if (parsed === null) throw new Error('no address')
      await expect(exit.forward(parsed, '/ping', new Uint8Array(0), LIMIT)).rejects.toMatchObject({ code: 'exit-destination' })
    }
  }
  // A public address is tried.
  await expect(exit.forward({ ...destination, multiaddr: '/ip4/8.8.8.8/tcp/9' }, '/ping', new Uint8Array(0), LIMIT)).rejects.toMatchObject({ code: 'exit-unreachable' })
})

it('what a destination says is bounded in bytes', async () => {
  const flood: StreamHandler = async stream => { while (stream.status === 'open' && stream.send(new Uint8Array(60_000)));}
  const { exit, at, destination } = await world({ '/all': flood, '/ask': async stream => { stream.send(Uint8Array.of(0xff, 0xff, 0x7f)) } })
  await expect(exit.forward(destination, '/all', new Uint8Array(1), LIMIT)).rejects.toMatchObject({ code: 'reply-too-long' })
  await expect(exit.forward(destination, '/ask', new Uint8Array(1), LIMIT)).rejects.toMatchObject({ code: 'reply-too-long' })
  await until(() => at.node.getConnections().length === 0)
})

it('and in time; one that cuts, resets or does not speak is told apart', async () => {
  const { exit, at, destination } = await world({
    '/ping': async stream => { stream.send(new Uint8Array(31)); await stream.close() },
    '/ask': stream => { stream.addEventListener('message', () => { stream.abort(new Error('no')) }) },
    '/all': () => {}
  }, { patience: 300, protocols: new Map([...POLICY.protocols, ['/unheard', exactly(1)]]) })
  const ask = async (protocol: string): Promise<unknown> => await exit.forward(destination, protocol, new Uint8Array(1), LIMIT).catch((error: unknown) => (error as { code: string }).code)
  expect(await ask('/ping')).toBe('reply-cut')
  expect(await ask('/ask')).toBe('exit-broken')
  expect(await ask('/all')).toBe('exit-overdue')
  expect(await ask('/unheard')).toBe('exit-unreachable')
  await until(() => at.node.getConnections().length === 0)
})

it('no more exchanges than the policy allows; closing ends those under way', async () => {
  let asked = 0
  const { exit, at, destination } = await world({ '/all': stream => { stream.addEventListener('message', () => { asked += 1 }) } }, { streams: 2 })
  const under = [1, 2].map(async () => await exit.forward(destination, '/all', new Uint8Array(1), LIMIT).catch((error: unknown) => (error as { code: string }).code))
  await until(() => asked === 2)
  await expect(exit.forward(destination, '/all', new Uint8Array(1), LIMIT)).rejects.toMatchObject({ code: 'exit-busy', retry: true })
  exit.close()
  expect(await Promise.all(under)).toEqual(['exit-overdue', 'exit-overdue'])
  await until(() => at.node.getConnections().length === 0)
})
