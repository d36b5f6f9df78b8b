/** A gateway's door without the mixing behind it, and wallets of all kinds before it. */
import { afterEach, expect } from 'vitest'
import type { Secp256k1PrivateKey } from '@libp2p/interface'
import { toHex } from '@mixmint/core/kit/bytes'
import type { Admit } from '@mixmint/mixnet/abuse/admit'
import { PacketLinks } from '@mixmint/mixnet/wire/packets'
import { WalletLinks, type WalletLimits } from '@mixmint/mixnet/wire/wallets'
import type { Host, HostOptions } from '../../nodes/host.ts'
import { freshIdentity } from '../../nodes/identity.ts'
import { Forwarder } from '../doubles/forwarder.ts'
import { CountingMeter } from '../doubles/meter.ts'
import { seededRng } from '../doubles/rng.ts'
import { startHost, until } from './hosts.ts'

export interface Gateway {
  readonly host: Host
  readonly links: WalletLinks
  readonly meter: CountingMeter
  readonly id: string
  readonly got: Array<{ readonly from: string, readonly number: number }>
  /** What became of wallets: `attached`, `away`, `gone`, and whose. */
  readonly events: string[]
}

export interface Wallet {
  readonly host: Host
  readonly links: PacketLinks
  readonly id: string
  readonly got: number[]
}

export const SIZE = 4608
const SMALL = { backoff: { first: 10, most: 50 } }
const lines: Forwarder[] = []
const open: Array<{ stop: (signal: AbortSignal) => Promise<unknown> }> = []

afterEach(async () => {
  await Promise.all(open.splice(0).map(async links => { await links.stop(AbortSignal.timeout(50)) }))
  await Promise.all(lines.splice(0).map(async line => { await line.stop() }))
})

export async function openGateway (options: {
  limits?: Partial<WalletLimits>, grace?: number, admit?: Admit, host?: Partial<HostOptions>, accepts?: (peer: string) => boolean
} = {}): Promise<Gateway> {
  const meter = new CountingMeter()
  const host = await startHost({ role: 'entry', meter, ...options.host })
  const gateway: Gateway = {
    host, meter, id: toHex(host.peer), got: [], events: [],
    links: new WalletLinks({
      host: host.node, packetSize: SIZE, rng: seededRng('gateway'), meter,
      admit: options.admit ?? { admit: () => 0, forget: () => {} },
      grace: () => options.grace ?? 20_000,
      accepts: options.accepts ?? (() => true),
      onPacket: (from, bytes) => {
        gateway.got.push({ from, number: new DataView(bytes.buffer, bytes.byteOffset).getUint32(100) })
        return bytes[0] !== BAD
      },
      onAttached: id => { gateway.events.push(`attached ${id}`) },
      onAway: id => { gateway.events.push(`away ${id}`) },
      onGone: id => { gateway.events.push(`gone ${id}`) },
      limits: { ...SMALL, ...options.limits }
    })
  }
  await gateway.links.start()
  open.push(gateway.links)
  return gateway
}

/** @param at where it looks for the gateway, by default its entry */
export async function openWallet (gateway: Gateway, options: { at?: readonly string[], identity?: Secp256k1PrivateKey } = {}): Promise<Wallet> {
  const host = await startHost({ role: 'wallet', listen: [], privateKey: options.identity ?? await freshIdentity() })
  const wallet: Wallet = {
    host, id: toHex(host.peer), got: [],
    links: new PacketLinks({
      node: host.node, packetSize: SIZE, rng: seededRng('wallet'), meter: new CountingMeter(),
      neighbourhood: { addresses: peer => peer === gateway.id ? options.at ?? gateway.host.addresses() : [], accepts: peer => peer === gateway.id },
      onPacket: (_from, bytes) => { wallet.got.push(new DataView(bytes.buffer, bytes.byteOffset).getUint32(100)) },
      limits: SMALL
    })
  }
  await wallet.links.start()
  open.push(wallet.links)
  wallet.links.keep(gateway.id)
  return wallet
}

const BAD = 0xbd

export function packet (number: number): Uint8Array {
  const bytes = new Uint8Array(SIZE)
  new DataView(bytes.buffer).setUint32(100, number)
  return bytes
}

/** A line to the gateway, at whose far end wallets have this network address: loopback has 2^24. */
export async function lineTo (gateway: Gateway, address = '127.0.0.1'): Promise<Forwarder> {
  const line = await Forwarder.start(gateway.host.addresses()[0], () => address)
  lines.push(line)
  return line
}

/** The wallet has sent a packet, and one for it has come. */
export async function meet (gateway: Gateway, wallet: Wallet): Promise<void> {
  const [got, sent] = [wallet.got.length, gateway.got.length]
  wallet.links.send(gateway.id, packet(0))
  await until(() => gateway.got.length > sent)
  expect(gateway.links.send(wallet.id, packet(0))).toBe('queued')
  await until(() => wallet.got.length > got)
}

/** Bytes of the right length that are no packet. */
export function bad (): Uint8Array {
  return packet(0).fill(BAD, 0, 1)
}

/** As it goes over a stream. */
export function framed (bytes: Uint8Array): Uint8Array {
  const frame = new Uint8Array(bytes.length + 2)
  frame.set([bytes.length & 0x7f | 0x80, bytes.length >> 7])
  frame.set(bytes, 2)
  return frame
}
