/** Real libp2p hosts on loopback, stopped after each test; and waiting for things to happen. */
import { afterEach } from 'vitest'
import type { Secp256k1PrivateKey, Stream } from '@libp2p/interface'
import { dialable } from '@mixmint/mixnet/wire/peers'
import { createHost, type Host, type HostOptions } from '../../nodes/host.ts'
import { freshIdentity } from '../../nodes/identity.ts'
import { CountingMeter } from '../doubles/meter.ts'

const running = new Set<Host>()

afterEach(async () => {
  // One after the other: two that close one connection at the same time wait for each other.
  for (const host of running) await host.stop()
  running.clear()
})

/** By default one among nodes, which takes all others for such; with a role, one that knows nobody. */
export async function startHost (options: Partial<HostOptions> = {}): Promise<Host> {
  const privateKey: Secp256k1PrivateKey = await freshIdentity()
  const host = await createHost({ privateKey, role: 'node', listen: ['/ip4/127.0.0.1/tcp/0'], isKnown: () => options.role === undefined, meter: new CountingMeter(), ...options })
  running.add(host)
  return host
}

export async function stopHost (host: Host): Promise<void> {
  running.delete(host)
  await host.stop()
}

export function targetOf (host: Host): { peer: Uint8Array, addresses: string[] } {
  return { peer: host.peer, addresses: host.addresses() }
}

/** A bare stream, for peers that do not keep to the protocol. */
export async function rawStream (from: Host, to: Host, protocol: string): Promise<Stream> {
  const stream = await from.node.dialProtocol(dialable(targetOf(to)), protocol)
  stream.addEventListener('message', () => {})
  return stream
}

/** Resolves when the condition holds; the test's own timeout is the limit. */
export async function until (condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise(resolve => setTimeout(resolve, 2))
}

export async function closed (stream: Stream): Promise<void> {
  await until(() => stream.status !== 'open')
}
