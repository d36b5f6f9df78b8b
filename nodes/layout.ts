/**
 * The folder of a private network on this machine: one folder a node with its keys and configuration, and `network.toml`,
 * which is all that a wallet needs.
 */
import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'smol-toml'
import { toHex } from '@mixmint/core/kit/bytes'
import { tagged } from '@mixmint/core/kit/codec'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Suite } from '@mixmint/core/crypto/suite'
import { formatTarget, peerBytes } from '@mixmint/mixnet/wire/peers'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { loadOrCreateIdentity } from './identity.ts'
import { writeRing } from './ring-file.ts'
import { loadOrCreateSeed } from './secrets.ts'

export interface NetworkPlan {
  readonly network: string
  readonly profile: 'default' | 'demo'
  /** What differs from the profile, as under [authority.parameters]. */
  readonly parameters?: Readonly<Record<string, unknown>>
  readonly authorities: number
  readonly unit: string
  readonly gateways: number
  readonly layers: number
  readonly mixesPerLayer: number
  readonly centers: number
  readonly ring: { readonly replicas: number, readonly faults: number, readonly quorum: number }
  readonly denominations: number
  readonly catalogue: ReadonlyArray<{ readonly item: string, readonly price: number }>
}

export const SMALL_NETWORK: NetworkPlan = {
  network: 'mixmint-local', profile: 'demo', authorities: 4, unit: 'cent', gateways: 2, layers: 3, mixesPerLayer: 2, centers: 7,
  ring: { replicas: 4, faults: 1, quorum: 3 }, denominations: 16,
  catalogue: [{ item: 'newspaper', price: 250 }, { item: 'coffee', price: 320 }, { item: 'book', price: 1995 }, { item: 'song', price: 99 }]
}

/** Names of the nodes in the order in which they are started: what others need first comes first. */
export function nodeNames (plan: NetworkPlan): { authority: string[], mixnet: string[], money: string[] } {
  const up = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1)
  return {
    authority: up(plan.authorities).map(i => `authority-${i}`),
    mixnet: [...up(plan.gateways).map(i => `gateway-${i}`), ...up(plan.layers).flatMap(layer => up(plan.mixesPerLayer).map(i => `mix-${layer}-${i}`))],
    money: [...up(plan.centers).map(i => `center-${i}`), 'bank', 'merchant']
  }
}

/** Where wallets come in besides: at a gateway to attach, at the bank to withdraw, at a center with what a till took. */
function entryTransports (name: string): readonly string[] {
  const [kind] = name.split('-')
  return kind === 'gateway' || kind === 'bank' ? ['', '/ws'] : kind === 'center' ? [''] : []
}

export function isNetwork (dir: string): boolean {
  return existsSync(join(dir, 'network.toml'))
}

/** Write the whole folder. @throws folder-not-empty (caller) when a network is there already */
export async function createNetwork (suite: Suite, dir: string, plan: NetworkPlan): Promise<void> {
  if (isNetwork(dir)) throw new MixmintError('folder-not-empty', 'caller', `${dir} holds a network already`)
  const names = nodeNames(plan)
  const all = [...names.authority, ...names.mixnet, ...names.money]
  const ports = await freePorts(all.length + all.flatMap(entryTransports).length)
  const listen = (): string => `/ip4/127.0.0.1/tcp/${ports.pop()}`
  const address = new Map(all.map(name => [name, listen()]))
  const peers = new Map<string, { bytes: Uint8Array, text: string }>()
  for (const name of all) {
    mkdirSync(join(dir, name), { recursive: true, mode: 0o700 })
    const peer = peerIdFromPrivateKey(loadOrCreateIdentity(join(dir, name, 'identity.key')))
    peers.set(name, { bytes: peerBytes(peer), text: peer.toString() })
  }
  const secret = (name: string, file: string): Uint8Array => suite.ed25519KeyPair(loadOrCreateSeed(join(dir, name, file))).publicKey
  const bank = secret('bank', 'bank.key')

  const admit = [...names.mixnet, ...names.money].map(name => {
    const [kind, layer] = name.split('-')
    const role = kind === 'gateway' || kind === 'mix' ? kind : 'service'
    return { peer: peers.get(name)?.text ?? '', role, kind: role === 'service' ? kind : '', ...(kind === 'mix' ? { layer: Number(layer) } : {}) }
  })
  const write = (name: string, role: string, settings: Record<string, unknown> = {}): void => {
    const entry = entryTransports(name).map(transport => `${listen()}${transport}`)
    writeFileSync(join(dir, name, 'config.toml'), `${stringify({ role, listen: address.get(name), ...(entry.length > 0 ? { entry } : {}), ...(Object.keys(settings).length > 0 ? { [role]: settings } : {}) })}\n`)
  }
  for (const name of names.authority) {
    write(name, 'authority', { profile: plan.profile, bootstrapWait: 60_000, ...(plan.parameters === undefined ? {} : { parameters: plan.parameters }), admit })
  }
  for (const name of names.mixnet) write(name, name.split('-')[0])
  for (const name of names.money.filter(name => name.startsWith('center-'))) write(name, 'center')
  write('bank', 'bank', { unit: plan.unit, denominations: plan.denominations })
  write('merchant', 'merchant', { name: 'Corner Shop', unit: plan.unit, bank: toHex(bank), catalogue: plan.catalogue })
  writeRing(join(dir, 'bank', 'ring.json'), {
    centers: names.money.filter(name => name.startsWith('center-')).map(name => ({
      id: centerId(suite, peers.get(name)?.bytes ?? new Uint8Array(0)), voteKey: secret(name, 'vote.key'), weight: 1
    })),
    virtualNodesPerWeight: 512, ...plan.ring
  })
  // Last, so that a folder with it is complete.
  writeFileSync(join(dir, 'network.toml'), `${stringify({
    network: `${plan.network}-${toHex(bank).slice(0, 8)}`,
    authority: names.authority.map(name => ({
      key: toHex(secret(name, 'authority.key')), address: formatTarget({ peer: peers.get(name)?.bytes ?? new Uint8Array(0), addresses: [address.get(name) ?? ''] })
    }))
  })}\n`)
}

/** A center's id on rings: from its libp2p identity, so that it outlives vote keys. */
export function centerId (suite: Suite, peer: Uint8Array): Uint8Array {
  return suite.sha256(tagged('center', peer))
}

/** Below the range from which systems draw ports for outgoing connections, so that a stopped node finds its own again. */
const LOWEST_PORT = 20_000
const HIGHEST_PORT = 32_000

/** TCP ports of 127.0.0.1 that nobody uses. @throws no-free-port (operator) */
export async function freePorts (count: number): Promise<number[]> {
  const found: number[] = []
  const from = randomInt(LOWEST_PORT, HIGHEST_PORT)
  for (let i = 0; found.length < count; i++) {
    if (i > HIGHEST_PORT - LOWEST_PORT) throw new MixmintError('no-free-port', 'operator', `fewer than ${count} TCP ports are free on 127.0.0.1`)
    const port = LOWEST_PORT + (from + i) % (HIGHEST_PORT - LOWEST_PORT)
    if (await isFree(port)) found.push(port)
  }
  return found
}

/** Can this TCP port of 127.0.0.1 be listened on now? */
export async function isFree (port: number): Promise<boolean> {
  const server = createServer()
  return await new Promise<boolean>(resolve => {
    server.once('error', () => { resolve(false) })
    server.listen(port, '127.0.0.1', () => { server.close(() => { resolve(true) }) })
  })
}
