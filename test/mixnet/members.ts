/** Mixers over real libp2p hosts: mixes, gateways with their second host for wallets, and wallets, stopped after each test. */
import { join as pathOf } from 'node:path'
import { afterEach } from 'vitest'
import type { Secp256k1PrivateKey } from '@libp2p/interface'
import { toHex } from '@mixmint/core/kit/bytes'
import { RateLimit } from '@mixmint/mixnet/abuse/rate-limit'
import { MixEngine } from '@mixmint/mixnet/mixing/engine'
import type { EpochKey } from '@mixmint/mixnet/mixing/keyring'
import { addressBlock } from '@mixmint/mixnet/sphinx/address'
import type { Hop } from '@mixmint/mixnet/sphinx/wrap'
import { HandoverFile } from '@mixmint/mixnet/wire/handover'
import { MixNode } from '@mixmint/mixnet/wire/mix-node'
import type { WalletLimits } from '@mixmint/mixnet/wire/wallets'
import { systemClock, systemRng } from '../../nodes/clock.ts'
import type { Host } from '../../nodes/host.ts'
import { freshIdentity } from '../../nodes/identity.ts'
import { CountingMeter } from '../doubles/meter.ts'
import { startHost, stopHost } from './hosts.ts'
import { suite } from './mix-material.ts'

export interface Member {
  readonly host: Host
  /** A gateway's host for wallets. */
  readonly entry: Host | null
  readonly identity: Secp256k1PrivateKey
  readonly mix: MixNode
  readonly key: EpochKey
  readonly hop: (delay: number) => Hop
  readonly messages: Uint8Array[]
  readonly replies: Array<{ surbId: Uint8Array, payload: Uint8Array }>
  readonly meter: CountingMeter
}

export interface MemberOptions {
  readonly meanDelay?: number
  readonly onDeliver?: (message: Uint8Array) => void
  readonly onReply?: (surbId: Uint8Array, payload: Uint8Array) => void
  /** Of a node that is started again. */
  readonly identity?: Secp256k1PrivateKey
  readonly key?: EpochKey
  readonly listen?: readonly string[]
}

export interface GatewayOptions extends MemberOptions {
  readonly entry?: readonly string[]
  readonly limits?: Partial<WalletLimits>
  readonly grace?: number
  /** A folder for what is to outlive a restart in good order. */
  readonly folder?: string
}

const members: Member[] = []

afterEach(async () => {
  await Promise.all(members.splice(0).map(async ({ mix }) => { await mix.stop(50) }))
})

/** A mix or a service: it forwards wherever a packet wants. */
export async function join (options: MemberOptions = {}): Promise<Member> {
  return await make(options, null, null)
}

export async function joinGateway (options: GatewayOptions = {}): Promise<Member> {
  const identity = options.identity ?? await freshIdentity()
  const entry = await startHost({ role: 'entry', privateKey: identity, listen: options.entry ?? ['/ip4/127.0.0.1/tcp/0'] })
  return await make({ ...options, identity }, entry, null)
}

/** A wallet that keeps to this gateway, at its entry addresses or others. */
export async function attach (gateway: Member, options: MemberOptions & { readonly at?: readonly string[] } = {}): Promise<Member> {
  const wallet = await make(options, null, { gateway, at: options.at ?? gateway.entry?.addresses() ?? [] })
  wallet.mix.keep(gateway.host.peer)
  return wallet
}

/** As if the power had gone. */
export async function kill (member: Member): Promise<void> {
  members.splice(members.indexOf(member), 1)
  if (member.entry !== null) await stopHost(member.entry)
  await stopHost(member.host)
  await member.mix.stop(0)
}

/** As it was told to. */
export async function leave (member: Member): Promise<void> {
  members.splice(members.indexOf(member), 1)
  await member.mix.stop(5_000)
  if (member.entry !== null) await stopHost(member.entry)
  await stopHost(member.host)
}

async function make (options: GatewayOptions, entry: Host | null, home: { readonly gateway: Member, readonly at: readonly string[] } | null): Promise<Member> {
  const identity = options.identity ?? await freshIdentity()
  const host = await startHost({
    privateKey: identity, ...(home === null ? { listen: options.listen ?? ['/ip4/127.0.0.1/tcp/0'] } : { role: 'wallet' as const, listen: [] })
  })
  const meter = new CountingMeter()
  const messages: Uint8Array[] = []
  const replies: Member['replies'] = []
  const key = options.key ?? { epoch: 1, privateKey: systemRng.bytes(32), from: 0, until: Number.MAX_SAFE_INTEGER }
  const engine = new MixEngine({
    suite, self: host.peer,
    parameters: { strategy: { kind: 'poisson' }, meanDelay: options.meanDelay ?? 5, packetSize: 4608, queueLimit: 1000, replayLimit: 1000 },
    topology: { mayForward: () => home === null, mayReachWallet: () => home === null }
  })
  const mix = new MixNode({
    node: host.node, engine, clock: systemClock, rng: systemRng, meter,
    neighbourhood: {
      addresses: peer => home === null ? members.find(member => toHex(member.host.peer) === peer)?.host.addresses() ?? [] : home.at,
      accepts: () => true
    },
    limits: { backoff: { first: 20, most: 100 } },
    ...(entry === null
      ? {}
      : {
          wallets: {
            host: entry.node,
            accepts: peer => !members.some(member => toHex(member.host.peer) === peer && member.entry !== null),
            admit: new RateLimit(() => ({ each: { perSecond: 1000, burst: 1000 }, all: { perSecond: 10_000, burst: 10_000 }, patience: 1000 })),
            grace: () => options.grace ?? 20_000,
            ...(options.folder === undefined ? {} : { handover: new HandoverFile(pathOf(options.folder, 'handover-wallets'), engine.packetSize) }),
            ...(options.limits === undefined ? {} : { limits: options.limits })
          }
        }),
    onDeliver: message => {
      messages.push(message)
      options.onDeliver?.(message)
    },
    onReply: (surbId, payload) => {
      replies.push({ surbId, payload })
      options.onReply?.(surbId, payload)
    }
  })
  mix.install(key)
  await mix.start()
  const address = home === null ? addressBlock(host.addresses()[0], host.peer) : addressBlock(home.gateway.host.addresses()[0], home.gateway.host.peer, host.peer)
  const hop = (delay: number): Hop => ({ publicKey: suite.x25519Base(key.privateKey), address, delay })
  const member: Member = { host, entry, identity, mix, key, hop, messages, replies, meter }
  members.push(member)
  return member
}
