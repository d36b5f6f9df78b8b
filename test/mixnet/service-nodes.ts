/** Whole libp2p nodes with the service, on loopback, stopped when the tests of their file are over. */
import { noise } from '@chainsafe/libp2p-noise'
import { generateKeyPair } from '@libp2p/crypto/keys'
import type { Libp2p, PrivateKey, ServiceMap } from '@libp2p/interface'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { createLibp2p, type ServiceFactoryMap } from 'libp2p'
import { afterAll } from 'vitest'
import type { MixService } from '@mixmint/mixnet/service/api'
import type { MixInit } from '@mixmint/mixnet/service/init'
import { mix } from '@mixmint/mixnet/service/mix'

export type MixedNode = Libp2p<{ mix: MixService }>

/** So that a test takes no longer than it must. */
export const FAST = { meanDelay: 2, pathLength: 4, cover: { send: 0, echoes: 0, pace: 0, loop: 0 } }

const running = new Set<Libp2p>()

afterAll(async () => {
  // One after the other: two that close one connection at the same time wait for each other.
  for (const node of running) await node.stop()
  running.clear()
})

const base = {
  transports: [tcp()], connectionEncrypters: [noise()], streamMuxers: [yamux()],
  connectionGater: { denyDialMultiaddr: () => false },
  connectionManager: { inboundConnectionThreshold: 1000 }
}

/** With `listen` empty: a node without an address. Of `services`, those that it has beside the mix. */
export async function mixedNode<T extends ServiceMap = ServiceMap> (
  init: MixInit, { listen = ['/ip4/127.0.0.1/tcp/0'], privateKey, services }: { listen?: string[], privateKey?: PrivateKey, services?: ServiceFactoryMap<T> } = {}
): Promise<Libp2p<T & { mix: MixService }>> {
  const all = { ...services, mix: mix({ ...init, limits: { drain: 50, ...init.limits } }) } as unknown as ServiceFactoryMap<T & { mix: MixService }>
  const node = await createLibp2p<T & { mix: MixService }>({
    ...base, privateKey: privateKey ?? await generateKeyPair('secp256k1'), addresses: { listen }, start: false, services: all
  })
  running.add(node)
  await node.start()
  return node
}

/** One that knows nothing of mixing. */
export async function plainNode<T extends ServiceMap = ServiceMap> (keyType: 'secp256k1' | 'Ed25519' = 'secp256k1', services?: ServiceFactoryMap<T>): Promise<Libp2p<T>> {
  const node = await createLibp2p<T>({ ...base, privateKey: keyType === 'secp256k1' ? await generateKeyPair(keyType) : await generateKeyPair(keyType), addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] }, services })
  running.add(node)
  return node
}

/** Relays that know each other, of which the first takes clients; `inits` says more of some of them, in order. */
export async function mixedNetwork (count: number, inits: readonly MixInit[] = []): Promise<MixedNode[]> {
  const nodes: MixedNode[] = []
  for (let i = 0; i < count; i++) {
    nodes.push(await mixedNode({ parameters: FAST, relay: { clients: i === 0 }, ...inits[i] }))
  }
  for (const node of nodes) introduce(node, nodes)
  return nodes
}

/** Let this node know all of these. */
export function introduce (node: MixedNode, others: readonly MixedNode[]): void {
  for (const other of others) node.services.mix.pool.add(other.services.mix.describe())
}

export async function stopNode (node: Libp2p): Promise<void> {
  running.delete(node)
  await node.stop()
}
