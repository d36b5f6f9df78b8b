/**
 * The folder of a private network on this machine: one folder a node with its keys and configuration, and `network.toml`,
 * which is all that a wallet needs.
 */
import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'smol-toml'
import { toHex } from '@mixmint/core/kit/bytes'
import { MixmintError } from '@mixmint/core/kit/errors'
import type { Suite } from '@mixmint/core/crypto/suite'
import { formatTarget, peerIdFromBytes } from '@mixmint/mixnet/wire/peers'
import { centerId, makeKeys, makeNode, type NodeKeys } from './node-folder.ts'
import { writeRing } from './ring-file.ts'
import type { Role } from './settings.ts'

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
  // Names begin with the role.
  const roleOf = (name: string): Role => name.split('-')[0] as Role
  // Of all before the first has its configuration: some name others.
  const keys = new Map(all.map(name => [name, makeKeys(suite, join(dir, name), roleOf(name), null)]))
  const of = (name: string): NodeKeys => keys.get(name) as NodeKeys
  const publicKey = (name: string): Uint8Array => of(name).key ?? new Uint8Array(0)
  const peerOf = (name: string): string => peerIdFromBytes(of(name).peer).toString()
  const bank = publicKey('bank')

  const admit = [...names.mixnet, ...names.money].map(name => {
    const [kind, layer] = name.split('-')
    const role = kind === 'gateway' || kind === 'mix' ? kind : 'service'
    return { peer: peerOf(name), role, kind: role === 'service' ? kind : '', ...(kind === 'mix' ? { layer: Number(layer) } : {}) }
  })
  const settings: Partial<Record<Role, Record<string, unknown>>> = {
    authority: { 'authority.profile': plan.profile, ...(plan.parameters === undefined ? {} : { 'authority.parameters': plan.parameters }), 'authority.admit': admit },
    bank: { 'bank.unit': plan.unit, 'bank.denominations': plan.denominations },
    merchant: { 'merchant.name': 'Corner Shop', 'merchant.unit': plan.unit, 'merchant.bank': toHex(bank), 'merchant.catalogue': plan.catalogue }
  }
  for (const name of all) {
    const entry = entryTransports(name).map(transport => `${listen()}${transport}`)
    makeNode(suite, join(dir, name), roleOf(name), { listen: address.get(name), ...(entry.length > 0 ? { entry } : {}), ...settings[roleOf(name)] }, null)
  }
  writeRing(join(dir, 'bank', 'ring.json'), {
    centers: names.money.filter(name => name.startsWith('center-')).map(name => ({ id: centerId(suite, of(name).peer), voteKey: publicKey(name), weight: 1 })),
    virtualNodesPerWeight: 512, ...plan.ring
  })
  // Last, so that a folder with it is complete.
  writeFileSync(join(dir, 'network.toml'), `${stringify({
    network: `${plan.network}-${toHex(bank).slice(0, 8)}`,
    authority: names.authority.map(name => ({
      key: toHex(publicKey(name)), address: formatTarget({ peer: of(name).peer, addresses: [address.get(name) ?? ''] })
    }))
  })}\n`)
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
