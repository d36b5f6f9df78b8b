/** An exit and destinations that know nothing of mixing, over TCP. */
import type { StreamHandler } from '@libp2p/interface'
import { lpStream } from '@libp2p/utils'
import { expect, it } from 'vitest'
import { concat, utf8 } from '@mixmint/core/kit/bytes'
import { ExitForwarder, type ExitPolicy } from '@mixmint/mixnet/service/exit'
import { exactly, lengthPrefixed, untilEnd } from '@mixmint/mixnet/service/reply-rule'
import { addressBlock, parseAddress, type PacketAddress } from '@mixmint/mixnet/sphinx/address'
import { formatTarget } from '@mixmint/mixnet/wire/peers'
import type { Host } from '../../nodes/host.ts'
import { CountingMeter } from '../doubles/meter.ts'
import { startHost, stopHost, until } from './hosts.ts'

const LIMIT = 1 << 16
const POLICY: ExitPolicy = {
  protocols: new Map([['/ping', exactly(32)], ['/ask', lengthPrefixed({ max: 1000 })], ['/all', untilEnd({ max: 5000 })]]),
  allows: () => true, privateAddresses: true, streams: 8, keep: 20, dialPatience: 2_000, patience: 5_000
}

interface World { exit: ExitForwarder, meter: CountingMeter, at: Host, to: Host, destination: PacketAddress }

async function world (handlers: Record<string, StreamHandler>, changes: Partial<ExitPolicy> = {}): Promise<World> {
  const [at, to] = [await startHost(), await startHost()]
  for (const [protocol, handler] of Object.entries(handlers)) await to.node.handle(protocol, handler)
  const meter = new CountingMeter()
  const connections = { getConnections: at.node.getConnections.bind(at.node), openConnection: at.node.dial.bind(at.node) }
  const exit = new ExitForwarder({ connections, policy: { ...POLICY, ...changes }, replyLimit: () => LIMIT, meter })
  return { exit, meter, at, to, destination: { multiaddr: to.addresses()[0], peer: to.peer, client: null } }
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
    exit.ask(destination, '/ping', new Uint8Array(40).fill(7)),
    exit.ask(destination, '/ask', Uint8Array.of(2, 104, 105)),
    exit.ask(destination, '/all', new Uint8Array(5000).fill(1))
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
  for (let i = 0; i < 20; i++) await exit.ask(destination, '/ping', new Uint8Array(32))
  expect(connections.size).toBe(1)
  await until(() => at.node.getConnections()[0]?.status !== 'open')
  await exit.ask(destination, '/ping', new Uint8Array(32))
  expect(connections.size).toBe(2)
})

it('a connection that was there before stays', async () => {
  const { exit, at, to, destination } = await world({ '/ping': echo })
  const before = await at.node.dial(to.node.getMultiaddrs())
  await exit.ask(destination, '/ping', new Uint8Array(32))
  await until(() => before.streams.length === 0)
  expect(at.node.getConnections(to.node.peerId)).toEqual([before])
  expect(before.status).toBe('open')
})

it('only listed protocols are carried, only allowed destinations reached', async () => {
  const asked: string[] = []
  const { exit, destination } = await world({}, { allows: ({ peer, address }) => { asked.push(`${address.toString()}/p2p/${peer.toString()}`); return asked.length === 1 } })
  expect(exit.carries('/other', destination)).toBe(false)
  expect(exit.carries('/ping', destination)).toBe(true)
  expect(exit.carries('/ping', destination)).toBe(false)
  expect(asked[0]).toBe(formatTarget({ peer: destination.peer, addresses: [destination.multiaddr] }))
  await expect(exit.ask(destination, '/other', new Uint8Array(0))).rejects.toMatchObject({ code: 'exit-refused' })
})

it('a predicate that throws, or promises, allows nothing', async () => {
  for (const allows of [() => { throw new Error('a defect') }, (async () => true) as unknown as ExitPolicy['allows']]) {
    const { exit, destination } = await world({}, { allows })
    expect(exit.carries('/ping', destination)).toBe(false)
  }
})

it('no private address is reached unless told to, and nobody behind a relay', async () => {
  const { exit, destination } = await world({}, { privateAddresses: false })
  const at = (address: string): PacketAddress => {
    const parsed = parseAddress(addressBlock(address, destination.peer))
    if (parsed === null) throw new Error('no address')
    return parsed
  }
  for (const ip of ['127.0.0.1', '10.1.2.3', '172.16.0.1', '192.168.1.1', '169.254.169.254', '100.64.0.1', '0.0.0.0', '224.0.0.1', '255.255.255.255']) {
    for (const tail of ['tcp/80', 'udp/80/quic-v1']) expect(exit.reaches(at(`/ip4/${ip}/${tail}`))).toBe(false)
  }
  expect(exit.reaches(at('/ip4/8.8.8.8/tcp/80'))).toBe(true)
  expect(exit.reaches({ ...at('/ip4/8.8.8.8/tcp/80'), client: destination.peer })).toBe(false)
  expect((await world({})).exit.reaches(at('/ip4/127.0.0.1/tcp/80'))).toBe(true)
})

it('one that is not there is said to be unreachable', async () => {
  const { exit, to, destination } = await world({})
  await stopHost(to)
  await expect(exit.ask(destination, '/ping', new Uint8Array(0))).rejects.toMatchObject({ code: 'exit-unreachable', retry: true })
})

it('what a destination says is bounded in bytes', async () => {
  const flood: StreamHandler = async stream => { while (stream.status === 'open' && stream.send(new Uint8Array(60_000)));}
  const { exit, at, destination } = await world({ '/all': flood, '/ask': async stream => { stream.send(Uint8Array.of(0xff, 0xff, 0x7f)) } })
  await expect(exit.ask(destination, '/all', new Uint8Array(1))).rejects.toMatchObject({ code: 'reply-too-long' })
  await expect(exit.ask(destination, '/ask', new Uint8Array(1))).rejects.toMatchObject({ code: 'reply-too-long' })
  await until(() => at.node.getConnections().length === 0)
})

it('and in time; one that cuts, resets or does not speak is told apart', async () => {
  const { exit, at, destination } = await world({
    '/ping': async stream => { stream.send(new Uint8Array(31)); await stream.close() },
    '/ask': stream => { stream.addEventListener('message', () => { stream.abort(new Error('no')) }) },
    '/all': () => {}
  }, { patience: 300, protocols: new Map([...POLICY.protocols, ['/unheard', exactly(1)]]) })
  const ask = async (protocol: string): Promise<unknown> => await exit.ask(destination, protocol, new Uint8Array(1)).catch((error: unknown) => (error as { code: string }).code)
  expect(await ask('/ping')).toBe('reply-cut')
  expect(await ask('/ask')).toBe('exit-broken')
  expect(await ask('/all')).toBe('exit-overdue')
  expect(await ask('/unheard')).toBe('exit-unreachable')
  await until(() => at.node.getConnections().length === 0)
})

it('no more exchanges than the policy allows; closing ends those under way', async () => {
  let asked = 0
  const { exit, at, destination } = await world({ '/all': stream => { stream.addEventListener('message', () => { asked += 1 }) } }, { streams: 2 })
  const under = [1, 2].map(async () => await exit.ask(destination, '/all', new Uint8Array(1)).catch((error: unknown) => (error as { code: string }).code))
  await until(() => asked === 2)
  await expect(exit.ask(destination, '/all', new Uint8Array(1))).rejects.toMatchObject({ code: 'exit-busy', retry: true })
  exit.close()
  expect(await Promise.all(under)).toEqual(['exit-overdue', 'exit-overdue'])
  await until(() => at.node.getConnections().length === 0)
})
