/** Nodes for pools, by name. */
import { toHex } from '@mixmint/core/kit/bytes'
import type { PoolEntry } from '@mixmint/mixnet/pool/entry'
import { NodePool, type PoolLimits } from '@mixmint/mixnet/pool/pool'
import { CountingMeter } from '../doubles/meter.ts'
import { peerOf, suite } from './mix-material.ts'

export const secretOf = (name: string): Uint8Array => suite.sha256(new TextEncoder().encode(`mix key of ${name}`))

export function entryOf (name: string, changes: Partial<PoolEntry> = {}): PoolEntry {
  return { peer: peerOf(name), addresses: [`/ip4/192.0.2.${Number.parseInt(name, 10) || 1}/tcp/4001`], mixKey: suite.x25519Base(secretOf(name)), ...changes }
}

export function poolOf (names: readonly string[], limits: Partial<PoolLimits> = {}): { pool: NodePool, meter: CountingMeter } {
  const meter = new CountingMeter()
  const pool = new NodePool({ suite, meter, limits })
  for (const name of names) pool.add(entryOf(name))
  return { pool, meter }
}

export const numbers = (count: number): string[] => Array.from({ length: count }, (_, i) => `${i + 1}`)
export const nameOf = (name: string): string => toHex(peerOf(name))
